//! What is known of floating-point registers inside of a block.
//!
//! Whether the host's registers are the guest's is asked once: after that it holds to the end of the block, or to an operation
//! that is interpreted. Where the host cannot compute for the guest (there is no floating point, or its rounding mode is none of
//! the host's), the rest of the block is interpreted.
//!
//! The guest's NaN results are canonical ("NaN Generation and Propagation"), the host's are not. But what is computed of a
//! NaN is one again: if a result is none, neither are the operands, so only results that nothing else was computed of are
//! compared with themselves, two by one instruction, and not before anybody could see their bits: a store, a move, a
//! step, the end of the block. If there is a NaN, all results since the last comparison are repaired, out of line.

use crate::frame::{DIRTY, FILLED, FLOATING, FS, MSTATUS, NOT_FLOATING, RCX, f, vector};
use crate::translate::Translator;
use dynasmrt::{DynamicLabel, DynasmApi, DynasmLabelApi, dynasm};

/// The guest's NaN: a double, a single in its box.
const NAN: i64 = 0x7ff8_0000_0000_0000;
const NAN_BOXED: i64 = 0xffff_ffff_7fc0_0000_u64 as i64;

/// Results that wait for a comparison at most: whatever may be a step takes code to repair them.
const PENDING_MAX: u32 = 6;

/// A set of guest registers.
pub(crate) fn set(registers: &[u8]) -> u32 {
    registers.iter().fold(0, |set, register| set | 1 << register)
}

/// The guest registers of a set, with the host's.
fn members(set: u32) -> impl Iterator<Item = u8> {
    (0..32).filter(move |register| set >> register & 1 != 0).filter_map(vector)
}

/// Registers that may hold a NaN of the host's: sets of guest registers, all of which live in host registers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Pending {
    singles: u32,
    doubles: u32,
}

impl Pending {
    fn all(self) -> u32 {
        self.singles | self.doubles
    }

    fn remove(&mut self, set: u32) {
        *self = self.without(set);
    }

    pub fn without(self, set: u32) -> Self {
        Self { singles: self.singles & !set, doubles: self.doubles & !set }
    }
}

/// What is known before an operation.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Floats {
    /// What the frame's state is at least.
    pub known: i32,
    /// Registers that hold boxed singles.
    boxed: u32,
    pub pending: Pending,
    /// Those of them that no other one was computed of.
    uncovered: u32,
}

impl Floats {
    /// What is known where nothing is but the frame's state.
    pub fn of_state(known: i32) -> Self {
        Self { known, ..Self::default() }
    }

    /// An operation is interpreted.
    pub fn forget(&mut self) {
        assert!(self.pending == Pending::default(), "a step sees no NaN of the host's");
        *self = Self::default();
    }

    /// A register gets a new value that is no result of arithmetic.
    pub fn overwrite(&mut self, register: u8, is_boxed: bool) {
        let this = 1 << register;
        if self.pending.all() & this != 0 {
            // What it vouched for stands for itself again.
            self.pending.remove(this);
            self.uncovered = self.pending.all();
        }
        self.boxed = self.boxed & !this | if is_boxed { this } else { 0 };
    }

    /// A register gets a result, which is a NaN if one of `operands` is; it has been compared, or may wait for that.
    pub fn result(&mut self, register: u8, operands: u32, is_single: bool, is_compared: bool) {
        self.overwrite_unless_consumed(register, operands);
        self.uncovered &= !operands;
        let this = 1 << register;
        self.pending.remove(this);
        self.uncovered &= !this;
        if is_compared {
            self.pending.remove(operands);
        } else {
            let pending = if is_single { &mut self.pending.singles } else { &mut self.pending.doubles };
            *pending |= this;
            self.uncovered |= this;
        }
        self.boxed = self.boxed & !this | if is_single { this } else { 0 };
    }

    fn overwrite_unless_consumed(&mut self, register: u8, operands: u32) {
        if operands >> register & 1 == 0 {
            self.overwrite(register, false);
        }
    }
}

/// Floating point is prepared out of line.
pub(crate) struct Preparation {
    pub at: DynamicLabel,
    /// The number of the operation that wants it.
    pub number: u32,
    /// The state that is known, and the one that it wants.
    pub known: i32,
    pub needed: i32,
    pub ready: DynamicLabel,
}

/// An operand of an instruction of the host.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Operand {
    Vector(u8),
    /// From the core.
    Memory(i32),
}

/// Where a guest register is an operand.
pub(crate) fn operand(register: u8) -> Operand {
    vector(register).map_or(Operand::Memory(f(register)), Operand::Vector)
}

/// A result in the host register `vector` is a NaN.
pub(crate) struct Computed {
    pub vector: u8,
    pub is_single: bool,
    /// The factors, if it is that of a fused operation; the first one is in a register, and neither is the result's.
    pub factors: Option<(u8, Operand)>,
}

/// There are NaNs, out of line.
pub(crate) struct Repair {
    at: DynamicLabel,
    pending: Pending,
    result: Option<Computed>,
    resume: DynamicLabel,
}

impl Translator<'_> {
    /// Lets the frame's state be `needed` at least. Where it cannot be, the rest of the block is interpreted, from this
    /// operation on, which has changed nothing yet. Overwrites rcx and rdx if it is not known to be filled.
    pub(crate) fn begin(&mut self, needed: i32) {
        if self.floats.known >= needed {
            return;
        }
        let [at, ready] = [(); 2].map(|()| self.asm.new_dynamic_label());
        dynasm!(self.asm; .arch x64; cmp DWORD [rsp + FLOATING], needed; jb =>at; =>ready);
        let (number, known) = (self.step_number(), self.floats.known);
        self.preparations.push(Preparation { at, number, known, needed, ready });
        self.floats.known = needed;
    }

    /// What was called for out of line by that.
    pub(crate) fn preparations(&mut self) {
        for Preparation { at, number, known, needed, ready } in std::mem::take(&mut self.preparations) {
            dynasm!(self.asm; .arch x64; =>at);
            if known == NOT_FLOATING {
                let filled = self.asm.new_dynamic_label();
                dynasm!(self.asm
                    ; .arch x64
                    ; cmp DWORD [rsp + FLOATING], NOT_FLOATING
                    ; jne =>filled
                    ; call extern self.target.stubs.floating
                    ; cmp DWORD [rsp + FLOATING], NOT_FLOATING
                    ; jne =>filled
                );
                self.rest(number);
                dynasm!(self.asm; .arch x64; =>filled);
            }
            if needed == DIRTY {
                dynasm!(self.asm
                    ; .arch x64
                    ; or DWORD [rbx + MSTATUS], DWORD FS
                    ; mov DWORD [rsp + FLOATING], DWORD DIRTY
                );
            }
            dynasm!(self.asm; .arch x64; jmp =>ready);
        }
    }

    /// Where one of the operands is no boxed single, the rest of the block is interpreted. Overwrites rcx.
    pub(crate) fn boxed(&mut self, registers: &[u8]) {
        // A double that is a NaN of the host's might look like one.
        if self.floats.pending.doubles & set(registers) != 0 {
            self.check_results();
        }
        for &register in registers {
            if self.floats.boxed >> register & 1 != 0 {
                continue;
            }
            let unboxed = self.asm.new_dynamic_label();
            match operand(register) {
                Operand::Memory(at) => {
                    dynasm!(self.asm; .arch x64; cmp DWORD [rbx + at + 4], BYTE -1; jne =>unboxed);
                }
                Operand::Vector(from) => {
                    dynasm!(self.asm; .arch x64; movq rcx, Rx(from); shr rcx, BYTE 32; inc ecx; jnz =>unboxed);
                }
            }
            self.unboxed.push((unboxed, self.step_number(), self.floats.pending));
            self.floats.boxed |= 1 << register;
        }
    }

    /// Somebody sees the bits of these registers.
    pub(crate) fn expose(&mut self, registers: &[u8]) {
        if self.floats.pending.all() & set(registers) != 0 {
            self.check_results();
        }
    }

    /// Makes results canonical, if it is time for that.
    pub(crate) fn limit_results(&mut self) {
        if self.floats.pending.all().count_ones() >= PENDING_MAX {
            self.check_results();
        }
    }

    /// Makes all results canonical.
    pub(crate) fn check_results(&mut self) {
        let Floats { pending, uncovered, .. } = self.floats;
        if pending == Pending::default() {
            return;
        }
        let [at, resume] = [(); 2].map(|()| self.asm.new_dynamic_label());
        let pairs = |set| {
            let members: Vec<_> = members(set).collect();
            members.chunks(2).map(|pair| (pair[0], pair[pair.len() - 1])).collect::<Vec<_>>()
        };
        for (a, b) in pairs(uncovered & pending.singles) {
            dynasm!(self.asm; .arch x64; ucomiss Rx(a), Rx(b); jp =>at);
        }
        for (a, b) in pairs(uncovered & pending.doubles) {
            dynasm!(self.asm; .arch x64; ucomisd Rx(a), Rx(b); jp =>at);
        }
        dynasm!(self.asm; .arch x64; =>resume);
        self.repairs.push(Repair { at, pending, result: None, resume });
        self.floats.pending = Pending::default();
        self.floats.uncovered = 0;
    }

    /// Makes a result canonical at once, and with it all that wait.
    pub(crate) fn check_result(&mut self, computed: Computed, pending: Pending) {
        let [at, resume] = [(); 2].map(|()| self.asm.new_dynamic_label());
        let vector = computed.vector;
        if computed.is_single {
            dynasm!(self.asm; .arch x64; ucomiss Rx(vector), Rx(vector));
        } else {
            dynasm!(self.asm; .arch x64; ucomisd Rx(vector), Rx(vector));
        }
        dynasm!(self.asm; .arch x64; jp =>at; =>resume);
        self.repairs.push(Repair { at, pending, result: Some(computed), resume });
    }

    /// What was called for out of line.
    pub(crate) fn repairs(&mut self) {
        for Repair { at, pending, result, resume } in std::mem::take(&mut self.repairs) {
            dynasm!(self.asm; .arch x64; =>at);
            if let Some(Computed { vector, is_single, factors }) = result {
                if let Some((a, b)) = factors {
                    self.raise_invalid(vector, is_single, a, b);
                }
                self.nan(is_single);
                dynasm!(self.asm; .arch x64; movq Rx(vector), rcx);
            }
            self.repair(pending);
            dynasm!(self.asm; .arch x64; jmp =>resume);
        }
    }

    /// The product of an infinity and 0 is invalid for the guest even if a NaN is added to it, for the host not always. A
    /// product with 0, or of a NaN, raises nothing else. Overwrites `free`.
    fn raise_invalid(&mut self, free: u8, is_single: bool, a: u8, b: Operand) {
        macro_rules! multiply {
            ($compare:ident $multiply:ident) => {{
                dynasm!(self.asm; .arch x64; xorps Rx(free), Rx(free); $compare Rx(a), Rx(free); je >product);
                match b {
                    Operand::Vector(b) => dynasm!(self.asm; .arch x64; $compare Rx(b), Rx(free)),
                    Operand::Memory(b) => dynasm!(self.asm; .arch x64; $compare Rx(free), [rbx + b]),
                }
                dynasm!(self.asm; .arch x64; jne >done; product:; movaps Rx(free), Rx(a));
                match b {
                    Operand::Vector(b) => dynasm!(self.asm; .arch x64; $multiply Rx(free), Rx(b)),
                    Operand::Memory(b) => dynasm!(self.asm; .arch x64; $multiply Rx(free), [rbx + b]),
                }
                dynasm!(self.asm; .arch x64; done:);
            }};
        }
        if is_single {
            multiply!(ucomiss mulss);
        } else {
            multiply!(ucomisd mulsd);
        }
    }

    /// Makes those registers canonical that hold NaNs. Overwrites rcx.
    pub(crate) fn repair(&mut self, pending: Pending) {
        macro_rules! repair {
            ($set:expr, $compare:ident) => {
                for register in members($set) {
                    dynasm!(self.asm
                        ; .arch x64
                        ; $compare Rx(register), Rx(register)
                        ; jnp >canonical
                        ; movq Rx(register), Rq(RCX)
                        ;canonical:
                    );
                }
            };
        }
        if pending.singles != 0 {
            self.nan(true);
            repair!(pending.singles, ucomiss);
        }
        if pending.doubles != 0 {
            self.nan(false);
            repair!(pending.doubles, ucomisd);
        }
    }

    fn nan(&mut self, is_single: bool) {
        let nan = if is_single { NAN_BOXED } else { NAN };
        dynasm!(self.asm; .arch x64; mov Rq(RCX), QWORD nan);
    }
}

const _: () = assert!(NOT_FLOATING < FILLED && FILLED < DIRTY);
