//! Exceptions, interrupts, and the way back from them (Privileged ISA, "Machine Cause", "Trap Return", "Wait for
//! Interrupt", "Supervisor Mode").
//!
//! Choices that the manual leaves: traps and returns keep the reservation; a breakpoint's `mtval` is its address, an
//! illegal instruction's its bits; `wfi` in U-mode is illegal, and `wrs.nto` never, since it waits for a bounded time only.

use super::csr::envcfg::{CBCFE, CBIE, CBZE};
use super::csr::{Denied, mstatus::*};
use super::hart::{Hart, Privilege};
use super::meaning::Block;

/// The lines that may come from outside: MSIP, STIP, MTIP, MEIP, SEIP.
pub const LINES: u32 = 1 << 3 | 1 << 5 | 1 << 7 | 1 << 11 | 1 << 9;

/// Synchronous causes. The discriminant is the manual's code.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[allow(missing_docs, reason = "each is the manual's name")]
pub enum Exception {
    InstructionMisaligned = 0,
    InstructionAccess = 1,
    IllegalInstruction = 2,
    Breakpoint = 3,
    LoadMisaligned = 4,
    LoadAccess = 5,
    StoreMisaligned = 6,
    StoreAccess = 7,
    EcallFromUser = 8,
    EcallFromSupervisor = 9,
    EcallFromMachine = 11,
    InstructionPage = 12,
    LoadPage = 13,
    StorePage = 15,
}

/// Asynchronous causes. The discriminant is the manual's code, and the bit in `mip`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[allow(missing_docs, reason = "each is the manual's name")]
pub enum Interrupt {
    SupervisorSoftware = 1,
    MachineSoftware = 3,
    SupervisorTimer = 5,
    MachineTimer = 7,
    SupervisorExternal = 9,
    MachineExternal = 11,
}

/// In the order of precedence ("Machine Interrupt Registers").
const PRECEDENCE: [Interrupt; 6] = [
    Interrupt::MachineExternal,
    Interrupt::MachineSoftware,
    Interrupt::MachineTimer,
    Interrupt::SupervisorExternal,
    Interrupt::SupervisorSoftware,
    Interrupt::SupervisorTimer,
];

/// An exception, with what goes into `mtval` or `stval`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Trap {
    /// What happened.
    pub cause: Exception,
    /// The address that faulted, or the bits of the instruction, or 0.
    pub value: u64,
}

impl Trap {
    /// An exception.
    pub const fn new(cause: Exception, value: u64) -> Self {
        Self { cause, value }
    }

    /// An illegal instruction, with its bits as they were fetched.
    pub const fn illegal(bits: u32) -> Self {
        Self { cause: Exception::IllegalInstruction, value: bits as u64 }
    }
}

/// What taking an interrupt changes, to take it back.
#[derive(Clone, Copy, Debug)]
pub struct Before {
    pc: u64,
    privilege: Privilege,
    mstatus: u64,
    machine: [u64; 3],
    supervisor: [u64; 3],
}

impl Hart {
    /// Enters the handler of an exception of the instruction at `pc`, which thereby does not retire.
    pub fn take_exception(&mut self, trap: Trap) {
        self.not_retired();
        let code = trap.cause as u64;
        let delegated = self.privilege != Privilege::Machine && self.medeleg >> code & 1 != 0;
        self.enter(delegated, code, trap.value, 0);
    }

    /// The interrupt that is to be taken now, if any: pending, enabled, and not masked at the current level.
    pub fn pending_interrupt(&self) -> Option<Interrupt> {
        let pending = self.interrupts() & self.mie;
        if pending == 0 {
            return None;
        }
        let machine = self.privilege != Privilege::Machine || self.mstatus & MIE != 0;
        let supervisor = match self.privilege {
            Privilege::User => true,
            Privilege::Supervisor => self.mstatus & SIE != 0,
            Privilege::Machine => false,
        };
        let due = |delegated: bool| match delegated {
            false if machine => pending & !self.mideleg,
            true if supervisor => pending & self.mideleg,
            _ => 0,
        };
        // Those that trap to the higher level come first.
        [due(false), due(true)]
            .into_iter()
            .find_map(|due| PRECEDENCE.into_iter().find(|&interrupt| due >> interrupt as u64 & 1 != 0))
    }

    /// Enters the handler of an interrupt before the instruction at `pc`. Takes no step.
    pub fn take_interrupt(&mut self, interrupt: Interrupt) -> Before {
        let before = Before {
            pc: self.pc,
            privilege: self.privilege,
            mstatus: self.mstatus,
            machine: [self.mepc, self.mcause, self.mtval],
            supervisor: [self.sepc, self.scause, self.stval],
        };
        let code = interrupt as u64;
        self.enter(self.mideleg >> code & 1 != 0, 1 << 63 | code, 0, 4 * code);
        before
    }

    /// Takes back an interrupt after which no step was completed.
    pub fn untake_interrupt(&mut self, before: Before) {
        self.pc = before.pc;
        self.privilege = before.privilege;
        self.mstatus = before.mstatus;
        [self.mepc, self.mcause, self.mtval] = before.machine;
        [self.sepc, self.scause, self.stval] = before.supervisor;
    }

    /// Whether a hart that waits in `wfi` goes on: an interrupt is pending and enabled in `mie`, whatever `mstatus` and
    /// the delegation say.
    pub fn wfi_wakes(&self) -> bool {
        self.interrupts() & self.mie != 0
    }

    /// Whether `wfi` is legal here.
    pub fn wfi_check(&self) -> Result<(), Denied> {
        match self.privilege {
            Privilege::Machine => Ok(()),
            Privilege::Supervisor if self.mstatus & TW == 0 => Ok(()),
            Privilege::Supervisor | Privilege::User => Err(Denied),
        }
    }

    /// Whether `sfence.w.inval` and `sfence.inval.ir` are legal here.
    pub fn invalidation_fence_check(&self) -> Result<(), Denied> {
        match self.privilege {
            Privilege::Machine | Privilege::Supervisor => Ok(()),
            Privilege::User => Err(Denied),
        }
    }

    /// Whether an instruction that works on blocks of memory is legal here ("CMO", "Environment Configuration").
    pub fn block_check(&self, block: Block) -> Result<(), Denied> {
        let field = match block {
            Block::Invalidate => CBIE,
            Block::Clean | Block::Flush => CBCFE,
            Block::Zero => CBZE,
        };
        let allowed = match self.privilege {
            Privilege::Machine => true,
            Privilege::Supervisor => self.menvcfg & field != 0,
            Privilege::User => self.menvcfg & field != 0 && self.senvcfg & field != 0,
        };
        if allowed { Ok(()) } else { Err(Denied) }
    }

    /// Whether `sfence.vma` and `sinval.vma` are legal here.
    pub fn sfence_check(&self) -> Result<(), Denied> {
        match self.privilege {
            Privilege::Machine => Ok(()),
            Privilege::Supervisor if self.mstatus & TVM == 0 => Ok(()),
            Privilege::Supervisor | Privilege::User => Err(Denied),
        }
    }

    /// `mret`: sets level and interrupt enable, and returns the address to go on at.
    pub fn mret(&mut self) -> Result<u64, Denied> {
        if self.privilege != Privilege::Machine {
            return Err(Denied);
        }
        let mut status = self.mstatus & !(MIE | MPP) | MPIE;
        if self.mstatus & MPIE != 0 {
            status |= MIE;
        }
        self.privilege = self.previous_privilege();
        if self.privilege != Privilege::Machine {
            status &= !MPRV;
        }
        self.mstatus = status;
        Ok(self.mepc)
    }

    /// `sret`: sets level and interrupt enable, and returns the address to go on at.
    pub fn sret(&mut self) -> Result<u64, Denied> {
        match self.privilege {
            Privilege::Machine => {}
            Privilege::Supervisor if self.mstatus & TSR == 0 => {}
            Privilege::Supervisor | Privilege::User => return Err(Denied),
        }
        let mut status = self.mstatus & !(SIE | SPP | MPRV) | SPIE;
        if self.mstatus & SPIE != 0 {
            status |= SIE;
        }
        self.privilege = if self.mstatus & SPP != 0 { Privilege::Supervisor } else { Privilege::User };
        self.mstatus = status;
        Ok(self.sepc)
    }

    /// The level whose rules hold for loads and stores ("Memory Privilege in mstatus Register").
    pub fn data_privilege(&self) -> Privilege {
        if self.privilege == Privilege::Machine && self.mstatus & MPRV != 0 {
            self.previous_privilege()
        } else {
            self.privilege
        }
    }

    /// `mstatus.MPP`, which is never the reserved level.
    fn previous_privilege(&self) -> Privilege {
        Privilege::from_bits(self.mstatus >> 11 & 3).expect("MPP is legalised wherever it is written")
    }

    fn enter(&mut self, delegated: bool, cause: u64, value: u64, vector: u64) {
        let tvec = if delegated {
            self.sepc = self.pc;
            self.scause = cause;
            self.stval = value;
            let mut status = self.mstatus & !(SIE | SPIE | SPP);
            if self.mstatus & SIE != 0 {
                status |= SPIE;
            }
            if self.privilege == Privilege::Supervisor {
                status |= SPP;
            }
            self.mstatus = status;
            self.privilege = Privilege::Supervisor;
            self.stvec
        } else {
            self.mepc = self.pc;
            self.mcause = cause;
            self.mtval = value;
            let mut status = self.mstatus & !(MIE | MPIE | MPP) | self.privilege.bits() << 11;
            if self.mstatus & MIE != 0 {
                status |= MPIE;
            }
            self.mstatus = status;
            self.privilege = Privilege::Machine;
            self.mtvec
        };
        self.pc = (tvec & !3).wrapping_add(if tvec & 1 != 0 { vector } else { 0 });
    }
}
