//! What system instructions do to a core.

use crate::reach::{Reach, Stop};
use crate::{Exit, Port};
use cantus_isa::Gva;
use cantus_isa::riscv::Op;
use cantus_isa::riscv::csr::{Denied, Reading};
use cantus_isa::riscv::float::{Flags, Rounding, evaluate};
use cantus_isa::riscv::hart::Privilege;
use cantus_isa::riscv::meaning::{Change, Flow, Return};
use cantus_isa::riscv::trap::{Exception, Trap};

/// The rounding-mode field that leaves the choice to `frm`.
const DYNAMIC: u8 = 7;
/// The flags in `fcsr`.
const FLAGS: u64 = 0x1f;

impl<P: Port> Reach<'_, P> {
    /// An illegal instruction, given its bits.
    #[cold]
    #[inline(never)]
    pub fn illegal(self, bits: u32) -> Stop {
        self.context.trap = Trap::illegal(bits);
        Stop::Trap
    }

    /// Computes, sets flags, and makes `mstatus.FS` dirty if these are other ones.
    #[inline(never)]
    pub fn evaluate(self, op: &Op, [a, b, c]: [u64; 3]) -> Result<u64, Stop> {
        let hart = &mut self.core.hart;
        let mode = if op.rm == DYNAMIC { (hart.fcsr >> 5) as u8 } else { op.rm };
        let Some(rounding) = Rounding::from_bits(mode) else { return Err(self.illegal(op.bits)) };
        let before = Flags((hart.fcsr & FLAGS) as u8);
        let (value, after) = evaluate(op.code, rounding, before, a, b, c);
        if after != before {
            hart.fcsr |= u64::from(after.0);
            hart.floating_point_changed();
        }
        Ok(value)
    }

    #[inline(never)]
    pub fn csr(self, op: &Op, change: Option<(Change, u64)>) -> Result<u64, Stop> {
        let number = op.imm as u16 & 0xfff;
        let position = self.position();
        let hart = &mut self.core.hart;
        if let Err(Denied) = hart.csr_check(number, change.is_some()) {
            return Err(self.illegal(op.bits));
        }
        let read = match hart.csr_read(number, position) {
            Some(Reading::Value(value)) => value,
            Some(Reading::Clock) => self.port.clock(position),
            None => return Err(self.illegal(op.bits)),
        };
        if let Some((change, operand)) = change {
            let kept = hart.csr_kept(number, read);
            let value = match change {
                Change::Write => operand,
                Change::Set => kept | operand,
                Change::Clear => kept & !operand,
            };
            let effect = hart.csr_write(number, value, position);
            if effect.timer {
                self.port.set_timer(position, hart.timer_deadline());
                self.context.exit = Some(Exit::Device);
            }
            if effect.space {
                self.core.tlb.enter(hart.satp);
            }
            if effect.flush {
                self.core.tlb.flush();
            }
        }
        Ok(read)
    }

    #[inline(never)]
    pub fn sfence_vma(self, bits: u32, address: Option<u64>, asid: Option<u64>) -> Result<Flow, Stop> {
        if let Err(Denied) = self.core.hart.sfence_check() {
            return Err(self.illegal(bits));
        }
        // There are 16 bits of ASID; the others of the register are ignored.
        self.core.tlb.fence(address.map(Gva), asid.map(|asid| asid as u16));
        Ok(Flow::Sync)
    }

    #[inline(never)]
    pub fn invalidation_fence(self, bits: u32) -> Result<Flow, Stop> {
        match self.core.hart.invalidation_fence_check() {
            Ok(()) => Ok(Flow::Sync),
            Err(Denied) => Err(self.illegal(bits)),
        }
    }

    #[inline(never)]
    pub fn trap_return(self, bits: u32, from: Return) -> Result<Flow, Stop> {
        let target = match from {
            Return::Machine => self.core.hart.mret(),
            Return::Supervisor => self.core.hart.sret(),
        };
        match target {
            Ok(target) => {
                self.core.hart.pc = target;
                Ok(Flow::SyncJump)
            }
            Err(Denied) => Err(self.illegal(bits)),
        }
    }

    #[inline(never)]
    pub fn wait(self, bits: u32) -> Result<Flow, Stop> {
        if let Err(Denied) = self.core.hart.wfi_check() {
            return Err(self.illegal(bits));
        }
        if !self.core.hart.wfi_wakes() {
            self.context.exit = Some(Exit::Wait);
        }
        Ok(Flow::Sync)
    }

    #[inline(never)]
    pub fn ecall(mut self) -> Stop {
        let cause = match self.core.hart.privilege {
            Privilege::User => Exception::EcallFromUser,
            Privilege::Supervisor => Exception::EcallFromSupervisor,
            Privilege::Machine => Exception::EcallFromMachine,
        };
        self.trap(cause, 0)
    }
}
