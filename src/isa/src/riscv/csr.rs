//! Control and status registers: which there are, who may access them, and what they do with what is written to them
//! (Privileged ISA, "Control and Status Registers"; Unprivileged ISA, "Zicsr", "Counters").
//!
//! No CSR of this hart has a side effect when it is read. What a write changes beyond the hart's own registers is said by
//! [`Effect`].
//!
//! Choices that the manual leaves (WARL and the like), beside those said at each rule below:
//! - `misa` cannot be written; the counters `mhpmcounter3` and up are zero, and so are their events;
//! - `mcycle` counts retired instructions, as `minstret` does, so that it depends on nothing but the program;
//! - `medeleg` takes every exception that a lower level can cause, `mideleg` the supervisor's interrupts;
//! - `mtvec` and `stvec` ignore a write of a reserved mode;
//! - `mcause` and `scause` hold any value;
//! - there is no trigger: `tselect` is 0, and `tinfo` says so;
//! - a change of `menvcfg.PBMTE` drops no translation: that takes an `sfence.vma`;
//! - `stimecmp` is all ones after reset, which is never; while it makes STIP, the bit that software had set is hidden;
//! - absent: `mseccfg`, debug mode's registers, PMP entries above 15, anything of the hypervisor.

use super::hart::{Hart, Privilege};
use envcfg::{ADUE, CBCFE, CBIE, CBZE, FIOM, PBMTE, STCE};
use mstatus::{FS, MPIE, MPP, MPRV, MXR, SD, SPIE, SPP, SUM, TSR, TVM, TW, UXL, UXL_SXL};
use number::*;

/// The numbers of the registers that there are.
#[allow(missing_docs, reason = "each is the manual's name")]
#[rustfmt::skip]
pub mod number {
    pub const FFLAGS: u16 = 0x001;
    pub const FRM: u16 = 0x002;
    pub const FCSR: u16 = 0x003;
    pub const SSTATUS: u16 = 0x100;
    pub const SIE: u16 = 0x104;
    pub const STVEC: u16 = 0x105;
    pub const SCOUNTEREN: u16 = 0x106;
    pub const SENVCFG: u16 = 0x10a;
    pub const SSCRATCH: u16 = 0x140;
    pub const SEPC: u16 = 0x141;
    pub const SCAUSE: u16 = 0x142;
    pub const STVAL: u16 = 0x143;
    pub const SIP: u16 = 0x144;
    pub const STIMECMP: u16 = 0x14d;
    pub const SATP: u16 = 0x180;
    pub const MSTATUS: u16 = 0x300;
    pub const MISA: u16 = 0x301;
    pub const MEDELEG: u16 = 0x302;
    pub const MIDELEG: u16 = 0x303;
    pub const MIE: u16 = 0x304;
    pub const MTVEC: u16 = 0x305;
    pub const MCOUNTEREN: u16 = 0x306;
    pub const MENVCFG: u16 = 0x30a;
    pub const MCOUNTINHIBIT: u16 = 0x320;
    pub const MHPMEVENT3: u16 = 0x323;
    pub const MHPMEVENT31: u16 = 0x33f;
    pub const MSCRATCH: u16 = 0x340;
    pub const MEPC: u16 = 0x341;
    pub const MCAUSE: u16 = 0x342;
    pub const MTVAL: u16 = 0x343;
    pub const MIP: u16 = 0x344;
    pub const PMPCFG0: u16 = 0x3a0;
    pub const PMPCFG2: u16 = 0x3a2;
    pub const PMPADDR0: u16 = 0x3b0;
    pub const PMPADDR15: u16 = 0x3bf;
    pub const TSELECT: u16 = 0x7a0;
    pub const TDATA1: u16 = 0x7a1;
    pub const TDATA2: u16 = 0x7a2;
    pub const TDATA3: u16 = 0x7a3;
    pub const TINFO: u16 = 0x7a4;
    pub const MCYCLE: u16 = 0xb00;
    pub const MINSTRET: u16 = 0xb02;
    pub const MHPMCOUNTER3: u16 = 0xb03;
    pub const MHPMCOUNTER31: u16 = 0xb1f;
    pub const CYCLE: u16 = 0xc00;
    pub const TIME: u16 = 0xc01;
    pub const INSTRET: u16 = 0xc02;
    pub const HPMCOUNTER3: u16 = 0xc03;
    pub const HPMCOUNTER31: u16 = 0xc1f;
    pub const MVENDORID: u16 = 0xf11;
    pub const MARCHID: u16 = 0xf12;
    pub const MIMPID: u16 = 0xf13;
    pub const MHARTID: u16 = 0xf14;
    pub const MCONFIGPTR: u16 = 0xf15;
}
/// The fields of `mstatus`.
#[allow(missing_docs, reason = "each is the manual's name")]
#[rustfmt::skip]
pub mod mstatus {
    pub const SIE: u64 = 1 << 1;
    pub const MIE: u64 = 1 << 3;
    pub const SPIE: u64 = 1 << 5;
    pub const MPIE: u64 = 1 << 7;
    pub const SPP: u64 = 1 << 8;
    pub const MPP: u64 = 3 << 11;
    pub const FS: u64 = 3 << 13;
    pub const MPRV: u64 = 1 << 17;
    pub const SUM: u64 = 1 << 18;
    pub const MXR: u64 = 1 << 19;
    pub const TVM: u64 = 1 << 20;
    pub const TW: u64 = 1 << 21;
    pub const TSR: u64 = 1 << 22;
    /// Both 2: 64 bits, read-only.
    pub const UXL_SXL: u64 = 2 << 32 | 2 << 34;
    pub const UXL: u64 = 2 << 32;
    pub const SD: u64 = 1 << 63;
}

/// The fields of `menvcfg` and, as far as it has them, of `senvcfg`.
#[allow(missing_docs, reason = "each is the manual's name")]
#[rustfmt::skip]
pub mod envcfg {
    /// It changes nothing, since accesses are sequentially consistent.
    pub const FIOM: u64 = 1;
    /// What `cbo.inval` is: 0 illegal, 1 a flush, 3 itself; 2 is reserved.
    pub const CBIE: u64 = 3 << 4;
    /// Whether `cbo.clean` and `cbo.flush` are legal.
    pub const CBCFE: u64 = 1 << 6;
    /// Whether `cbo.zero` is.
    pub const CBZE: u64 = 1 << 7;
    /// Whether walks set accessed and dirty bits (Svadu), or fault where one is clear (Svade).
    pub const ADUE: u64 = 1 << 61;
    /// Whether page-table entries name memory types (Svpbmt).
    pub const PBMTE: u64 = 1 << 62;
    pub const STCE: u64 = 1 << 63;
}

/// The fields of `mstatus` that can change.
pub(super) const MSTATUS_LEGAL: u64 =
    mstatus::SIE | mstatus::MIE | SPIE | MPIE | SPP | MPP | FS | MPRV | SUM | MXR | TVM | TW | TSR;
/// Those of them that `sstatus` shows.
pub const SSTATUS_LEGAL: u64 = mstatus::SIE | SPIE | SPP | FS | SUM | MXR;
/// Instruction address misaligned to environment call from S-mode, and the page faults.
pub(super) const MEDELEG_LEGAL: u64 = 0xb3ff;
/// Supervisor software, timer and external.
pub(super) const MIDELEG_LEGAL: u64 = 0x222;
/// Those, and the machine's.
pub(super) const MIE_LEGAL: u64 = 0xaaa;
/// The bits of `mip` that software sets: SSIP, STIP, SEIP.
pub(super) const MIP_LEGAL: u64 = 0x222;
const SSIP: u64 = 1 << 1;
const STIP: u64 = 1 << 5;
/// The place of `time` in the counter-enable registers.
const TM: u64 = 1 << 1;
/// All but the reserved modes 2 and 3.
pub(super) const TVEC_LEGAL: u64 = !2;
/// Every counter.
pub(super) const COUNTEREN_LEGAL: u64 = 0xffff_ffff;
/// The fields of `menvcfg` that can change.
pub(super) const MENVCFG_LEGAL: u64 = FIOM | CBIE | CBCFE | CBZE | ADUE | PBMTE | STCE;
/// As on QEMU's `virt`, for firmware that knows nothing of them: walks set bits, and memory types may be named.
pub(super) const MENVCFG_RESET: u64 = ADUE | PBMTE;
/// Those of `senvcfg`.
pub(super) const SENVCFG_LEGAL: u64 = FIOM | CBIE | CBCFE | CBZE;
/// RV64, and the extensions A, C, D, F, I, M, S and U.
pub(super) const MISA_VALUE: u64 = {
    let letters = b"ACDFIMSU";
    let (mut value, mut at) = (2 << 62, 0);
    while at < letters.len() {
        value |= 1 << (letters[at] - b'A');
        at += 1;
    }
    value
};

/// The access is an illegal instruction: there is no such CSR, or not for this level, or not for writing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Denied;

/// What reading a CSR gives.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reading {
    /// This value.
    Value(u64),
    /// The clock, which the hart does not have: to be asked of the world.
    Clock,
}

/// What a write to a CSR asks the executor to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Effect {
    /// Translations that were made under the old value may be wrong: drop them all.
    pub flush: bool,
    /// `satp` may be another one: translations are those of another address space or root.
    pub space: bool,
    /// The time at which the supervisor's timer is due is another one now: [`Hart::timer_deadline`].
    pub timer: bool,
}

impl Hart {
    /// Whether the current level may access a CSR, reading or (also) writing it.
    pub fn csr_check(&self, number: u16, write: bool) -> Result<(), Denied> {
        let level = u64::from(number >> 8 & 3);
        if level > self.privilege.bits() || write && number >> 10 == 3 {
            return Err(Denied);
        }
        let allowed = match number {
            FFLAGS | FRM | FCSR => self.mstatus & FS != 0,
            SATP => self.privilege == Privilege::Machine || self.mstatus & TVM == 0,
            // "Sstc", "Machine and Supervisor Level Additions".
            STIMECMP => {
                self.privilege == Privilege::Machine || self.menvcfg & STCE != 0 && self.mcounteren & TM != 0
            }
            CYCLE..=HPMCOUNTER31 => {
                let bit = 1 << (number & 31);
                match self.privilege {
                    Privilege::Machine => true,
                    Privilege::Supervisor => self.mcounteren & bit != 0,
                    Privilege::User => self.mcounteren & self.scounteren & bit != 0,
                }
            }
            _ => true,
        };
        if allowed && self.csr_read(number, 0).is_some() { Ok(()) } else { Err(Denied) }
    }

    /// What a CSR shows to the step that starts at `position`; none if there is no such CSR. Does not ask whether the
    /// current level may see it.
    pub fn csr_read(&self, number: u16, position: u64) -> Option<Reading> {
        Some(Reading::Value(match number {
            FFLAGS => self.fcsr & 0x1f,
            FRM => self.fcsr >> 5,
            FCSR => self.fcsr,
            SSTATUS => self.mstatus & SSTATUS_LEGAL | UXL | self.dirty(),
            number::SIE => self.mie & self.mideleg,
            STVEC => self.stvec,
            SCOUNTEREN => self.scounteren,
            SENVCFG => self.senvcfg,
            SSCRATCH => self.sscratch,
            SEPC => self.sepc,
            SCAUSE => self.scause,
            STVAL => self.stval,
            SIP => self.interrupts() & self.mideleg,
            STIMECMP => self.stimecmp,
            SATP => self.satp,
            MSTATUS => self.mstatus | UXL_SXL | self.dirty(),
            MISA => MISA_VALUE,
            MEDELEG => self.medeleg,
            MIDELEG => self.mideleg,
            number::MIE => self.mie,
            MTVEC => self.mtvec,
            MCOUNTEREN => self.mcounteren,
            MENVCFG => self.menvcfg,
            MCOUNTINHIBIT => u64::from(self.cycle.inhibited) | u64::from(self.instret.inhibited) << 2,
            MHPMEVENT3..=MHPMEVENT31 => 0,
            MSCRATCH => self.mscratch,
            MEPC => self.mepc,
            MCAUSE => self.mcause,
            MTVAL => self.mtval,
            MIP => self.interrupts(),
            PMPCFG0 => self.pmp.read_config(0),
            PMPCFG2 => self.pmp.read_config(1),
            PMPADDR0..=PMPADDR15 => self.pmp.read_address(usize::from(number - PMPADDR0)),
            TSELECT | TDATA1 | TDATA2 | TDATA3 => 0,
            TINFO => 1,
            MCYCLE | CYCLE => self.cycle.read(position),
            MINSTRET | INSTRET => self.instret.read(position),
            TIME => return Some(Reading::Clock),
            MHPMCOUNTER3..=MHPMCOUNTER31 | HPMCOUNTER3..=HPMCOUNTER31 => 0,
            MVENDORID | MARCHID | MIMPID | MCONFIGPTR => 0,
            MHARTID => self.id,
            _ => return None,
        }))
    }

    /// What the bits that `csrrs` and `csrrc` do not name keep: what was read, except in `mip`, where a line from outside
    /// must not become a bit that software has set ("Machine Interrupt Registers": SEIP).
    pub fn csr_kept(&self, number: u16, read: u64) -> u64 {
        if number == MIP { self.mip } else { read }
    }

    /// Writes a CSR that [`Hart::csr_check`] has allowed to be written, in the step that starts at `position`.
    pub fn csr_write(&mut self, number: u16, value: u64, position: u64) -> Effect {
        let (mut flush, mut space) = (false, false);
        let deadline = self.timer_deadline();
        match number {
            FFLAGS => self.write_fcsr(self.fcsr & !0x1f | value & 0x1f),
            FRM => self.write_fcsr(self.fcsr & 0x1f | (value & 7) << 5),
            FCSR => self.write_fcsr(value & 0xff),
            SSTATUS => flush = self.write_mstatus(self.mstatus & !SSTATUS_LEGAL | value & SSTATUS_LEGAL),
            number::SIE => self.mie = self.mie & !self.mideleg | value & self.mideleg,
            STVEC => write_tvec(&mut self.stvec, value),
            SCOUNTEREN => self.scounteren = value & COUNTEREN_LEGAL,
            SENVCFG => self.senvcfg = legal_envcfg(value & SENVCFG_LEGAL, self.senvcfg),
            SSCRATCH => self.sscratch = value,
            SEPC => self.sepc = value & !1,
            SCAUSE => self.scause = value,
            STVAL => self.stval = value,
            SIP => {
                let writable = SSIP & self.mideleg;
                self.mip = self.mip & !writable | value & writable;
            }
            STIMECMP => self.stimecmp = value,
            SATP => {
                self.satp = legal_satp(value, self.satp);
                space = true;
            }
            MSTATUS => flush = self.write_mstatus(value),
            MEDELEG => self.medeleg = value & MEDELEG_LEGAL,
            MIDELEG => self.mideleg = value & MIDELEG_LEGAL,
            number::MIE => self.mie = value & MIE_LEGAL,
            MTVEC => write_tvec(&mut self.mtvec, value),
            MCOUNTEREN => self.mcounteren = value & COUNTEREN_LEGAL,
            MENVCFG => self.menvcfg = legal_envcfg(value & MENVCFG_LEGAL, self.menvcfg),
            MCOUNTINHIBIT => {
                self.cycle.inhibit(position, value & 1 != 0);
                self.instret.inhibit(position, value & 4 != 0);
            }
            MSCRATCH => self.mscratch = value,
            MEPC => self.mepc = value & !1,
            MCAUSE => self.mcause = value,
            MTVAL => self.mtval = value,
            MIP => {
                // With Sstc, STIP is read-only.
                let writable = if self.menvcfg & STCE != 0 { MIP_LEGAL & !STIP } else { MIP_LEGAL };
                self.mip = self.mip & !writable | value & writable;
            }
            PMPCFG0 | PMPCFG2 => {
                self.pmp.write_config(usize::from(number - PMPCFG0) / 2, value);
                flush = true;
            }
            PMPADDR0..=PMPADDR15 => {
                self.pmp.write_address(usize::from(number - PMPADDR0), value);
                flush = true;
            }
            MCYCLE => self.cycle.write(position, value),
            MINSTRET => self.instret.write(position, value),
            // The rest cannot be changed.
            _ => {}
        }
        Effect { flush, space, timer: self.timer_deadline() != deadline }
    }

    /// `mip`: what software has set, and the lines. STIP is one or the other ("Sstc", "Machine and Supervisor Level
    /// Additions").
    pub fn interrupts(&self) -> u64 {
        let lines = u64::from(self.lines);
        if self.menvcfg & STCE != 0 { self.mip & !STIP | lines } else { self.mip | lines & !STIP }
    }

    /// The time, in ticks, from which on the line of STIP is up; all ones is never.
    pub fn timer_deadline(&self) -> u64 {
        if self.menvcfg & STCE != 0 { self.stimecmp } else { u64::MAX }
    }

    /// Marks the floating-point state as changed.
    #[inline(always)]
    pub fn floating_point_changed(&mut self) {
        self.mstatus |= FS;
    }

    fn write_fcsr(&mut self, value: u64) {
        self.fcsr = value;
        self.floating_point_changed();
    }

    /// Returns whether translations may have changed. SUM, MPRV and MPP only select among them.
    fn write_mstatus(&mut self, value: u64) -> bool {
        let before = self.mstatus;
        self.mstatus = legal_mstatus(value, before);
        (self.mstatus ^ before) & MXR != 0
    }

    /// `mstatus.SD`: FS is dirty (there is no other unit).
    fn dirty(&self) -> u64 {
        if self.mstatus & FS == FS { SD } else { 0 }
    }
}

/// MPP keeps its value where the reserved level 2 is written.
pub(super) fn legal_mstatus(value: u64, before: u64) -> u64 {
    let value = value & MSTATUS_LEGAL;
    if Privilege::from_bits(value >> 11 & 3).is_some() { value } else { value & !MPP | before & MPP }
}

/// CBIE keeps its value where the reserved one is written.
pub(super) fn legal_envcfg(value: u64, before: u64) -> u64 {
    if value & CBIE == 2 << 4 { value & !CBIE | before & CBIE } else { value }
}

/// Bare, Sv39 or Sv48, with all 16 bits of ASID; a write of another mode changes nothing. With Bare, the other fields are
/// kept as they were written.
pub(super) fn legal_satp(value: u64, before: u64) -> u64 {
    match value >> 60 {
        0 | 8 | 9 => value,
        _ => before,
    }
}

fn write_tvec(tvec: &mut u64, value: u64) {
    if value & 2 == 0 {
        *tvec = value;
    }
}
