//! The architectural state of a hart.
//!
//! Guarantees that everything a guest program can observe of its hart is in [`Hart`], in numbers that mean the same on
//! every host: two harts are equal exactly if [`Hart::write_state`] gives equal bytes.
//!
//! The rules by which the state changes stand beside it: `csr.rs` (control and status registers), `trap.rs` (exceptions,
//! interrupts, returns), `pmp.rs` (physical memory protection), `walk.rs` (translation), `meaning` (instructions).

use super::pmp::{ENTRIES, Pmp};
use crate::{Gpa, Width};
use std::fmt;

/// How much the running program may do (Privileged ISA, "Privilege Levels"). The discriminant is the manual's encoding.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub enum Privilege {
    /// U-mode: applications.
    User = 0,
    /// S-mode: the operating system.
    Supervisor = 1,
    /// M-mode: firmware.
    Machine = 3,
}

impl Privilege {
    /// The level with this encoding; none for 2, which is reserved.
    pub const fn from_bits(bits: u64) -> Option<Self> {
        match bits {
            0 => Some(Privilege::User),
            1 => Some(Privilege::Supervisor),
            3 => Some(Privilege::Machine),
            _ => None,
        }
    }

    /// The manual's encoding.
    pub const fn bits(self) -> u64 {
        self as u64
    }
}

/// What a load-reserved has reserved.
///
/// The reservation set is exactly what was loaded: a store-conditional to another address or of another width fails.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Reservation {
    /// Where.
    pub address: Gpa,
    /// How much; a word or a doubleword.
    pub width: Width,
    /// What was loaded, zero-extended. A free run compares it (DESIGN ORD-7).
    pub value: u64,
}

/// A counter of retired instructions, as a distance from the position, so that nothing has to be counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counter {
    /// The count is `position + value` while the counter runs, `value` while it is inhibited.
    pub value: u64,
    /// Whether `mcountinhibit` stops it.
    pub inhibited: bool,
}

impl Counter {
    /// What the counter shows to the step that starts at `position`.
    pub fn read(self, position: u64) -> u64 {
        if self.inhibited { self.value } else { self.value.wrapping_add(position) }
    }

    /// Lets the counter show `value` to the step after the one that starts at `position`.
    pub(super) fn write(&mut self, position: u64, value: u64) {
        self.value = if self.inhibited { value } else { value.wrapping_sub(position.wrapping_add(1)) };
    }

    /// Stops it, or lets it go on, after the step that starts at `position`.
    pub(super) fn inhibit(&mut self, position: u64, inhibited: bool) {
        let shown = self.read(position.wrapping_add(1));
        self.inhibited = inhibited;
        self.write(position, shown);
    }

    /// Takes the step that has just been made back out of the count: it was no instruction that retired.
    fn not_retired(&mut self) {
        if !self.inhibited {
            self.value = self.value.wrapping_sub(1);
        }
    }
}

/// One RISC-V hart. Registers hold raw bits; those of `mstatus` and the like which can never change are not kept but
/// shown by [`Hart::csr_read`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Hart {
    /// `mhartid`.
    pub id: u64,
    /// The integer registers; `x[0]` is always 0.
    pub x: [u64; 32],
    /// The floating-point registers; single precision is NaN-boxed.
    pub f: [u64; 32],
    /// Address of the next instruction.
    pub pc: u64,
    /// The current level.
    pub privilege: Privilege,
    /// Interrupt lines from outside, each at its place in `mip`: MSIP, STIP, MTIP, MEIP, SEIP. Set by the engine.
    pub lines: u32,
    /// The changeable fields of `mstatus`.
    pub mstatus: u64,
    /// Exceptions that S-mode handles.
    pub medeleg: u64,
    /// Interrupts that S-mode handles.
    pub mideleg: u64,
    /// Interrupts enabled.
    pub mie: u64,
    /// The bits of `mip` that software has set: SSIP, STIP, SEIP.
    pub mip: u64,
    /// Where M-mode's trap handler is.
    pub mtvec: u64,
    /// M-mode's scratch register.
    pub mscratch: u64,
    /// Where the trap into M-mode happened.
    pub mepc: u64,
    /// Why.
    pub mcause: u64,
    /// And more of it.
    pub mtval: u64,
    /// Counters that S-mode may read.
    pub mcounteren: u64,
    /// M-mode's configuration of the lower levels.
    pub menvcfg: u64,
    /// Where S-mode's trap handler is.
    pub stvec: u64,
    /// S-mode's scratch register.
    pub sscratch: u64,
    /// Where the trap into S-mode happened.
    pub sepc: u64,
    /// Why.
    pub scause: u64,
    /// And more of it.
    pub stval: u64,
    /// Counters that U-mode may read.
    pub scounteren: u64,
    /// S-mode's configuration of U-mode.
    pub senvcfg: u64,
    /// When the supervisor's timer is due, if `menvcfg.STCE` lets it.
    pub stimecmp: u64,
    /// Translation: mode, address space, root table.
    pub satp: u64,
    /// Floating-point flags (bits 4 to 0) and rounding mode (bits 7 to 5).
    pub fcsr: u64,
    /// `mcycle`.
    pub cycle: Counter,
    /// `minstret`.
    pub instret: Counter,
    /// Physical memory protection.
    pub pmp: Pmp,
    /// What the last `lr` has reserved.
    pub reservation: Option<Reservation>,
}

/// 64-bit words of the written state: `x`, `f`, 32 further registers, counters and the like, PMP.
const STATE_WORDS: usize = 32 + 32 + 32 + ENTRIES + ENTRIES / 8;

/// Bytes that [`Hart::write_state`] appends.
pub const STATE_BYTES: usize = 8 * STATE_WORDS;

/// The bytes are not those of a hart.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StateError {
    /// There are only this many bytes, fewer than [`STATE_BYTES`].
    Short(usize),
    /// No hart can be in this state: this word of the state (counted from 0) has a value that is not legal.
    Illegal(usize),
}

impl fmt::Display for StateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StateError::Short(bytes) => write!(f, "a hart's state of {bytes} bytes: expected {STATE_BYTES}"),
            StateError::Illegal(word) => write!(f, "a hart's state whose word {word} is not a legal value"),
        }
    }
}

impl std::error::Error for StateError {}

impl Hart {
    /// The hart after reset: M-mode, interrupts off, floating point off, all registers zero. Where it starts (`pc`), and
    /// with which arguments, is up to the board.
    pub fn new(id: u64) -> Self {
        Self {
            id,
            x: [0; 32],
            f: [0; 32],
            pc: 0,
            privilege: Privilege::Machine,
            lines: 0,
            mstatus: 0,
            medeleg: 0,
            mideleg: 0,
            mie: 0,
            mip: 0,
            mtvec: 0,
            mscratch: 0,
            mepc: 0,
            mcause: 0,
            mtval: 0,
            mcounteren: 0,
            menvcfg: super::csr::MENVCFG_RESET,
            stvec: 0,
            sscratch: 0,
            sepc: 0,
            scause: 0,
            stval: 0,
            scounteren: 0,
            senvcfg: 0,
            stimecmp: u64::MAX,
            satp: 0,
            fcsr: 0,
            cycle: Counter::default(),
            instret: Counter::default(),
            pmp: Pmp::default(),
            reservation: None,
        }
    }

    /// The step that has just completed, or is about to, retires no instruction: `mcycle` and `minstret` do not count it.
    pub fn not_retired(&mut self) {
        self.cycle.not_retired();
        self.instret.not_retired();
    }

    /// Appends all of the state, [`STATE_BYTES`] bytes: little-endian words, of which [`Hart::words`] says the order.
    /// The counters are written as distances from the position, so the bytes mean something only together with it.
    pub fn write_state(&self, into: &mut Vec<u8>) {
        into.extend(self.words().iter().flat_map(|word| word.to_le_bytes()));
    }

    /// The hart whose state stands at the start of `bytes`. Never panics, and never gives a hart that could not have
    /// written these very bytes.
    pub fn read_state(bytes: &[u8]) -> Result<Self, StateError> {
        let Some(bytes) = bytes.get(..STATE_BYTES) else { return Err(StateError::Short(bytes.len())) };
        let mut words = [0; STATE_WORDS];
        for (word, bytes) in words.iter_mut().zip(bytes.chunks_exact(8)) {
            *word = u64::from_le_bytes(bytes.try_into().expect("chunks of eight bytes"));
        }
        let hart = Self::from_words(&words);
        match hart.words().iter().zip(&words).position(|(legal, given)| legal != given) {
            None => Ok(hart),
            Some(word) => Err(StateError::Illegal(word)),
        }
    }

    /// The state as words: the registers, then what is listed here, then protection.
    fn words(&self) -> [u64; STATE_WORDS] {
        let reserved = match self.reservation {
            None => [0; 3],
            Some(Reservation { address, width, value }) => [width.bytes(), address.0, value],
        };
        let rest = [
            self.id,
            self.pc,
            self.privilege.bits(),
            u64::from(self.lines),
            self.mstatus,
            self.medeleg,
            self.mideleg,
            self.mie,
            self.mip,
            self.mtvec,
            self.mscratch,
            self.mepc,
            self.mcause,
            self.mtval,
            self.mcounteren,
            self.menvcfg,
            self.stvec,
            self.sscratch,
            self.sepc,
            self.scause,
            self.stval,
            self.scounteren,
            self.senvcfg,
            self.satp,
            self.fcsr,
            self.cycle.value,
            self.instret.value,
            u64::from(self.cycle.inhibited) | u64::from(self.instret.inhibited) << 1,
            reserved[0],
            reserved[1],
            reserved[2],
            self.stimecmp,
        ];
        let mut words = [0; STATE_WORDS];
        words[..32].copy_from_slice(&self.x);
        words[32..64].copy_from_slice(&self.f);
        words[64..96].copy_from_slice(&rest);
        words[96..].copy_from_slice(&self.pmp.words());
        words
    }

    /// The inverse of [`Hart::words`] for what it gives; for other words, some hart that gives other words.
    fn from_words(words: &[u64; STATE_WORDS]) -> Self {
        let mut next = words[64..].iter().copied();
        let mut word = || next.next().expect("as many words as were written");
        let mut hart = Self::new(word());
        hart.x.copy_from_slice(&words[..32]);
        hart.x[0] = 0;
        hart.f.copy_from_slice(&words[32..64]);
        hart.pc = word() & !1;
        hart.privilege = Privilege::from_bits(word()).unwrap_or(Privilege::Machine);
        hart.lines = word() as u32 & super::trap::LINES;
        for (register, legal) in [
            (&mut hart.mstatus, super::csr::MSTATUS_LEGAL),
            (&mut hart.medeleg, super::csr::MEDELEG_LEGAL),
            (&mut hart.mideleg, super::csr::MIDELEG_LEGAL),
            (&mut hart.mie, super::csr::MIE_LEGAL),
            (&mut hart.mip, super::csr::MIP_LEGAL),
            (&mut hart.mtvec, super::csr::TVEC_LEGAL),
            (&mut hart.mscratch, u64::MAX),
            (&mut hart.mepc, !1),
            (&mut hart.mcause, u64::MAX),
            (&mut hart.mtval, u64::MAX),
            (&mut hart.mcounteren, super::csr::COUNTEREN_LEGAL),
            (&mut hart.menvcfg, super::csr::MENVCFG_LEGAL),
            (&mut hart.stvec, super::csr::TVEC_LEGAL),
            (&mut hart.sscratch, u64::MAX),
            (&mut hart.sepc, !1),
            (&mut hart.scause, u64::MAX),
            (&mut hart.stval, u64::MAX),
            (&mut hart.scounteren, super::csr::COUNTEREN_LEGAL),
            (&mut hart.senvcfg, super::csr::SENVCFG_LEGAL),
        ] {
            *register = word() & legal;
        }
        hart.mstatus = super::csr::legal_mstatus(hart.mstatus, 0);
        hart.menvcfg = super::csr::legal_envcfg(hart.menvcfg, 0);
        hart.senvcfg = super::csr::legal_envcfg(hart.senvcfg, 0);
        hart.satp = super::csr::legal_satp(word(), 0);
        hart.fcsr = word() & 0xff;
        hart.cycle.value = word();
        hart.instret.value = word();
        let inhibited = word();
        hart.cycle.inhibited = inhibited & 1 != 0;
        hart.instret.inhibited = inhibited & 2 != 0;
        let (bytes, address, value) = (word(), Gpa(word()), word());
        hart.reservation = match bytes {
            4 => Some(Reservation { address, width: Width::Word, value: value & 0xffff_ffff }),
            8 => Some(Reservation { address, width: Width::Double, value }),
            _ => None,
        };
        hart.stimecmp = word();
        hart.pmp = Pmp::from_words(&words[96..]);
        hart
    }
}
