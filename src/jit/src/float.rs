//! Floating point on the host's unit.
//!
//! While it computes for the guest, MXCSR holds the guest's rounding mode and collects its flags, and vector registers hold
//! the guest's; both come into the core whenever code is left, for a step, too (`frame.rs`). Both sides detect tininess
//! after rounding, so flags are the same. A single is always in its box: instructions that compute one copy the upper half
//! from their first operand. NaN results are made canonical (`known.rs`). What else hosts do otherwise is interpreted:
//! operands that are not NaN-boxed, conversions that do not fit, arithmetic in rounding modes that the host lacks. Whatever
//! flags the host has already raised the guest raises, too. For an instruction that names another mode than `frm` MXCSR
//! is changed, and back (`rounding.rs`).

#![allow(clippy::wildcard_enum_match_arm, reason = "what is not listed in `is_translated` is a step")]

use crate::frame::{DIRTY, FILLED, NOT_FLOATING, RAX, RCX, RDX, f, vector};
use crate::known::{Computed, Operand, operand, set};
use crate::rounding::{AWAY, DYNAMIC, TOWARDS_ZERO, is_of_host, rounding};
use crate::select::Free;
use crate::short::near;
use crate::translate::{Interpreted, Translator};
use crate::tree::{Node, Value};
use cantus_interp::Block;
use cantus_isa::riscv::meaning::Binary;
use cantus_isa::riscv::op::{Op, Opcode, Opcode::*};
use dynasmrt::{DynasmApi, DynasmLabelApi, dynasm};

/// Upper half of a boxed single.
const BOX: u64 = 0xffff_ffff << 32;

/// Whether an instruction of F or D is translated.
#[rustfmt::skip]
pub(crate) fn is_translated(op: &Op, has_fusion: bool) -> bool {
    // Where the result is exact, any mode that there is will do. (A host with fused operations has `roundsd`, too.)
    let exact = op.rm <= 4 || op.rm == DYNAMIC;
    match op.code {
        Flw | Fld | Fsw | Fsd | FmvXW | FmvXD | FmvWX | FmvDX => true,
        FsgnjS | FsgnjnS | FsgnjxS | FsgnjD | FsgnjnD | FsgnjxD => true,
        FminS | FmaxS | FminD | FmaxD => true,
        FeqS | FltS | FleS | FeqD | FltD | FleD => true,
        FaddS | FsubS | FmulS | FdivS | FsqrtS | FaddD | FsubD | FmulD | FdivD | FsqrtD => is_of_host(op),
        FmaddS | FmsubS | FnmsubS | FnmaddS | FmaddD | FmsubD | FnmsubD | FnmaddD =>
            is_of_host(op) && has_fusion,
        FcvtDS | FcvtDW | FcvtDWu => exact,
        FcvtSW | FcvtSWu | FcvtSL | FcvtSLu | FcvtDL | FcvtDLu => exact,
        FcvtSD => is_of_host(op),
        FcvtWS | FcvtWuS | FcvtLS | FcvtLuS | FcvtWD | FcvtWuD | FcvtLD | FcvtLuD =>
            op.rm == DYNAMIC || op.rm == TOWARDS_ZERO || has_fusion && (rounding(op).is_some() || op.rm == AWAY),
        FclassS | FclassD => true,
        _ => false,
    }
}

/// The state of the frame that a block's floating point needs in the end.
pub(crate) fn needed(block: &Block, has_fusion: bool) -> i32 {
    let translated = |op: &Op| op.code.is_floating() && is_translated(op, has_fusion);
    block
        .ops()
        .map(|(_, op)| op)
        .filter(|op| translated(op))
        .map(|op| state(op.code))
        .max()
        .unwrap_or(NOT_FLOATING)
}

/// The state that an instruction leaves.
#[rustfmt::skip]
fn state(code: Opcode) -> i32 {
    match code {
        Fsw | Fsd | FmvXW | FmvXD | FeqS | FltS | FleS | FeqD | FltD | FleD | FclassS | FclassD
        | FcvtWS | FcvtWuS | FcvtLS | FcvtLuS | FcvtWD | FcvtWuD | FcvtLD | FcvtLuD => FILLED,
        _ => DIRTY,
    }
}

/// The registers of F that an instruction reads, whatever their bits mean.
#[rustfmt::skip]
fn operands(op: &Op) -> Vec<u8> {
    match op.code {
        Flw | Fld | FmvWX | FmvDX => vec![],
        FcvtSW | FcvtSWu | FcvtSL | FcvtSLu | FcvtDW | FcvtDWu | FcvtDL | FcvtDLu => vec![],
        Fsw | Fsd => vec![op.rs2],
        FmvXW | FmvXD | FsqrtS | FsqrtD | FcvtSD | FcvtDS | FclassS | FclassD
        | FcvtWS | FcvtWuS | FcvtLS | FcvtLuS | FcvtWD | FcvtWuD | FcvtLD | FcvtLuD => vec![op.rs1],
        FmaddS | FmsubS | FnmsubS | FnmaddS | FmaddD | FmsubD | FnmsubD | FnmaddD => vec![op.rs1, op.rs2, op.rs3],
        _ => vec![op.rs1, op.rs2],
    }
}

/// Whether an instruction sees more of a NaN than that it is one.
#[rustfmt::skip]
fn exposes(code: Opcode) -> bool {
    matches!(
        code,
        Fsw | Fsd | FmvXW | FmvXD | FsgnjS | FsgnjnS | FsgnjxS | FsgnjD | FsgnjnD | FsgnjxD
        | FminS | FmaxS | FminD | FmaxD | FclassS | FclassD
        | FcvtWS | FcvtWuS | FcvtLS | FcvtLuS | FcvtWD | FcvtWuD | FcvtLD | FcvtLuD
    )
}

/// Whether an instruction reads singles.
#[rustfmt::skip]
fn reads_singles(code: Opcode) -> bool {
    matches!(
        code,
        FaddS | FsubS | FmulS | FdivS | FsqrtS | FmaddS | FmsubS | FnmsubS | FnmaddS
        | FsgnjS | FsgnjnS | FsgnjxS | FminS | FmaxS | FeqS | FltS | FleS | FclassS | FcvtDS | FcvtWS | FcvtWuS | FcvtLS | FcvtLuS
    )
}

/// Whether an instruction computes in the mode that MXCSR says.
#[rustfmt::skip]
fn is_rounded(code: Opcode) -> bool {
    matches!(
        code,
        FaddS | FsubS | FmulS | FdivS | FsqrtS | FaddD | FsubD | FmulD | FdivD | FsqrtD | FcvtSD
        | FmaddS | FmsubS | FnmsubS | FnmaddS | FmaddD | FmsubD | FnmsubD | FnmaddD
    )
}

/// An instruction of the host with an operand in a register or in the core.
macro_rules! with {
    ($asm:expr, $name:ident Rx($into:expr), $operand:expr) => {
        match $operand {
            Operand::Vector(from) => dynasm!($asm; .arch x64; $name Rx($into), Rx(from)),
            Operand::Memory(at) => dynasm!($asm; .arch x64; $name Rx($into), [rbx + at]),
        }
    };
    ($asm:expr, $name:ident Rx($into:expr), Rx($first:expr), $operand:expr) => {
        match $operand {
            Operand::Vector(from) => dynasm!($asm; .arch x64; $name Rx($into), Rx($first), Rx(from)),
            Operand::Memory(at) => dynasm!($asm; .arch x64; $name Rx($into), Rx($first), [rbx + at]),
        }
    };
    ($asm:expr, $name:ident eax, $operand:expr) => {
        match $operand {
            Operand::Vector(from) => dynasm!($asm; .arch x64; $name eax, Rx(from)),
            Operand::Memory(at) => dynasm!($asm; .arch x64; $name eax, [rbx + at]),
        }
    };
    ($asm:expr, $name:ident rax, $operand:expr) => {
        match $operand {
            Operand::Vector(from) => dynasm!($asm; .arch x64; $name rax, Rx(from)),
            Operand::Memory(at) => dynasm!($asm; .arch x64; $name rax, [rbx + at]),
        }
    };
}

impl Translator<'_> {
    /// What an operation needs before it does anything.
    pub(crate) fn prepare(&mut self, op: &Op) {
        match op.code {
            // Dirty once they have reached their memory: a load that does not changes no register.
            Flw | Fld => self.begin(FILLED),
            _ => self.begin(state(op.code)),
        }
        let operands = operands(op);
        if exposes(op.code) {
            self.expose(&operands);
        }
        if reads_singles(op.code) {
            self.boxed(&operands);
        }
    }

    /// A register with the operand's 64 bits: its own, or `free`.
    pub(crate) fn loaded(&mut self, register: u8, free: u8) -> u8 {
        match operand(register) {
            Operand::Vector(own) => own,
            Operand::Memory(at) => {
                dynasm!(self.asm; .arch x64; movsd Rx(free), [rbx + at]);
                free
            }
        }
    }

    /// The same, in `into` in any case.
    pub(crate) fn copied(&mut self, register: u8, into: u8) {
        let from = self.loaded(register, into);
        if from != into {
            dynasm!(self.asm; .arch x64; movaps Rx(into), Rx(from));
        }
    }

    /// Computes `op` to a value.
    #[rustfmt::skip]
    pub(crate) fn compute_floating(&mut self, op: &Op, a: Value) -> Result<Value, Interpreted> {
        macro_rules! two {
            ($fused:ident $name:ident) => {
                if self.target.features.fusion {
                    let (a, into) = (self.loaded(op.rs1, 0), vector(op.rd).unwrap_or(0));
                    with!(self.asm, $fused Rx(into), Rx(a), operand(op.rs2));
                    into
                } else {
                    self.copied(op.rs1, 0);
                    with!(self.asm, $name Rx(0), operand(op.rs2));
                    0
                }
            };
        }
        macro_rules! three {
            ($name:ident) => {{
                // The factors must be there if the sum is a NaN.
                let into = vector(op.rd).filter(|_| op.rd != op.rs1 && op.rd != op.rs2).unwrap_or(0);
                let a = self.loaded(op.rs1, 1);
                self.copied(op.rs3, into);
                with!(self.asm, $name Rx(into), Rx(a), operand(op.rs2));
                self.round_as_before(op);
                return Ok(self.fused(op, into, a));
            }};
        }
        if is_rounded(op.code) {
            self.round_as(op);
        }
        let vector = match op.code {
            FaddS => two!(vaddss addss),
            FsubS => two!(vsubss subss),
            FmulS => two!(vmulss mulss),
            FdivS => two!(vdivss divss),
            FaddD => two!(vaddsd addsd),
            FsubD => two!(vsubsd subsd),
            FmulD => two!(vmulsd mulsd),
            FdivD => two!(vdivsd divsd),
            FsqrtS | FsqrtD => {
                self.copied(op.rs1, 0);
                if op.code == FsqrtS {
                    dynasm!(self.asm; .arch x64; sqrtss xmm0, xmm0);
                } else {
                    dynasm!(self.asm; .arch x64; sqrtsd xmm0, xmm0);
                }
                0
            }
            FmaddS => three!(vfmadd231ss),
            FmsubS => three!(vfmsub231ss),
            FnmsubS => three!(vfnmadd231ss),
            FnmaddS => three!(vfnmsub231ss),
            FmaddD => three!(vfmadd231sd),
            FmsubD => three!(vfmsub231sd),
            FnmsubD => three!(vfnmadd231sd),
            FnmaddD => three!(vfnmsub231sd),
            FcvtSD => {
                dynasm!(self.asm; .arch x64; pcmpeqd xmm0, xmm0);
                with!(self.asm, cvtsd2ss Rx(0), operand(op.rs1));
                0
            }
            FcvtDS => {
                dynasm!(self.asm; .arch x64; xorps xmm0, xmm0);
                with!(self.asm, cvtss2sd Rx(0), operand(op.rs1));
                0
            }
            FsgnjS | FsgnjnS | FsgnjxS | FsgnjD | FsgnjnD | FsgnjxD => return Ok(self.sign(op)),
            FminS | FmaxS | FminD | FmaxD => return Ok(self.extreme(op)),
            FcvtSW | FcvtSWu | FcvtSL | FcvtSLu | FcvtDW | FcvtDWu | FcvtDL | FcvtDLu =>
                return Ok(self.of_integer(op, a)),
            FcvtWS | FcvtLS | FcvtWD | FcvtLD => return Ok(self.integer_of(op)),
            FcvtWuS | FcvtLuS | FcvtWuD | FcvtLuD => return Ok(self.unsigned_of(op)),
            FclassS | FclassD => return Ok(self.classify(op)),
            FeqS | FltS | FleS | FeqD | FltD | FleD => return Ok(self.compare_floating(op)),
            _ => return Err(Interpreted),
        };
        if is_rounded(op.code) {
            self.round_as_before(op);
        }
        let is_single = op.code == FcvtSD || reads_singles(op.code) && op.code != FcvtDS;
        Ok(self.result(op, Computed { vector, is_single, factors: None }))
    }

    /// The result of a fused operation, in `into`; the first factor is in `a`.
    fn fused(&mut self, op: &Op, into: u8, a: u8) -> Value {
        let factors = Some((a, operand(op.rs2)));
        self.result(op, Computed { vector: into, is_single: reads_singles(op.code), factors })
    }

    /// A result of arithmetic.
    fn result(&mut self, op: &Op, result: Computed) -> Value {
        let Computed { vector: host, is_single, .. } = result;
        let is_compared = result.factors.is_some() || vector(op.rd).is_none();
        if is_compared {
            self.check_result(result, self.floats.pending.without(set(&[op.rd])));
        }
        self.floats.result(op.rd, set(&operands(op)), is_single, is_compared);
        self.tree.add(Node::Vector(host))
    }

    /// The bits of the first operand, whose sign the second one has a say in.
    fn sign(&mut self, op: &Op) -> Value {
        let is_single = matches!(op.code, FsgnjS | FsgnjnS | FsgnjxS);
        let is_same = op.rs1 == op.rs2;
        let host = if is_same && matches!(op.code, FsgnjS | FsgnjD) {
            self.loaded(op.rs1, 0)
        } else {
            dynasm!(self.asm; .arch x64; pcmpeqd xmm0, xmm0; psllq xmm0, BYTE 63);
            if is_single {
                dynasm!(self.asm; .arch x64; psrlq xmm0, BYTE 32);
            }
            self.copied(op.rs1, 1);
            match op.code {
                FsgnjnS | FsgnjnD if is_same => dynasm!(self.asm; .arch x64; xorps xmm0, xmm1),
                FsgnjxS | FsgnjxD if is_same => dynasm!(self.asm; .arch x64; andnps xmm0, xmm1),
                FsgnjxS | FsgnjxD => {
                    self.second_sign(op.rs2);
                    dynasm!(self.asm; .arch x64; xorps xmm0, xmm1);
                }
                _ => {
                    // The first one without its sign, then with the other's.
                    dynasm!(self.asm; .arch x64; orps xmm1, xmm0);
                    if matches!(op.code, FsgnjS | FsgnjD) {
                        dynasm!(self.asm; .arch x64; xorps xmm1, xmm0);
                    }
                    self.second_sign(op.rs2);
                    dynasm!(self.asm; .arch x64; xorps xmm0, xmm1);
                }
            }
            0
        };
        self.floats.overwrite(op.rd, is_single);
        self.tree.add(Node::Vector(host))
    }

    /// Leaves of the sign bit in xmm0 what the register has of it.
    fn second_sign(&mut self, register: u8) {
        match operand(register) {
            Operand::Vector(from) => dynasm!(self.asm; .arch x64; andps xmm0, Rx(from)),
            Operand::Memory(at) => {
                dynasm!(self.asm; .arch x64; movq rcx, xmm0; and rcx, [rbx + at]; movq xmm0, rcx);
            }
        }
    }

    /// The lesser or the greater one; 0 is greater than -0. NaNs are a step.
    fn extreme(&mut self, op: &Op) -> Value {
        let slow = self.slow();
        self.copied(op.rs1, 0);
        self.copied(op.rs2, 1);
        macro_rules! extreme {
            ($compare:ident $choose:ident $join:ident) => {
                // Of two zeroes the host takes the second one.
                dynasm!(self.asm
                    ; .arch x64
                    ; $compare xmm0, xmm1
                    ; jp =>slow
                    ; movq rcx, xmm0
                    ; $choose xmm0, xmm1
                    ; movq rdx, xmm0
                    ; movq xmm0, rcx
                    ; $choose xmm1, xmm0
                    ; movq xmm0, rdx
                    ; $join xmm0, xmm1
                )
            };
        }
        match op.code {
            FminS => extreme!(ucomiss minss orps),
            FmaxS => extreme!(ucomiss maxss andps),
            FminD => extreme!(ucomisd minsd orps),
            _ => extreme!(ucomisd maxsd andps),
        }
        self.floats.overwrite(op.rd, matches!(op.code, FminS | FmaxS));
        self.tree.add(Node::Vector(0))
    }

    fn of_integer(&mut self, op: &Op, from: Value) -> Value {
        let is_single = matches!(op.code, FcvtSW | FcvtSWu | FcvtSL | FcvtSLu);
        self.selector().compute(from, RAX, Free::ALL);
        match op.code {
            FcvtSW | FcvtDW => dynasm!(self.asm; .arch x64; movsxd rax, eax),
            FcvtSWu | FcvtDWu => dynasm!(self.asm; .arch x64; mov eax, eax),
            _ => {}
        }
        if op.rm != DYNAMIC && !matches!(op.code, FcvtDW | FcvtDWu) {
            // What has no more bits than the significand is exact.
            let (slow, bits) = (self.slow(), if is_single { 24 } else { 53 });
            dynasm!(self.asm; .arch x64; mov rcx, rax);
            if matches!(op.code, FcvtSLu | FcvtDLu) {
                dynasm!(self.asm; .arch x64; shr rcx, BYTE bits; jnz =>slow);
            } else {
                dynasm!(self.asm; .arch x64; sar rcx, BYTE bits; inc rcx; cmp rcx, 1; ja =>slow);
            }
        }
        if is_single {
            dynasm!(self.asm; .arch x64; pcmpeqd xmm0, xmm0);
        } else {
            dynasm!(self.asm; .arch x64; xorps xmm0, xmm0);
        }
        macro_rules! convert {
            ($convert:ident $add:ident) => {{
                if matches!(op.code, FcvtSLu | FcvtDLu) && op.rm == DYNAMIC {
                    // Half of a number beyond the host's, with a last bit that stands for all that were lost, is rounded
                    // as the whole is.
                    dynasm!(self.asm
                        ; .arch x64
                        ; test rax, rax
                        ; jns >signed
                        ; mov rcx, rax
                        ; shr rcx, 1
                        ; and eax, 1
                        ; or rax, rcx
                        ; $convert xmm0, rax
                        ; $add xmm0, xmm0
                        ; jmp >done
                        ;signed:
                        ; $convert xmm0, rax
                        ;done:
                    );
                } else {
                    dynasm!(self.asm; .arch x64; $convert xmm0, rax);
                }
            }};
        }
        if is_single {
            convert!(cvtsi2ss addss);
        } else {
            convert!(cvtsi2sd addsd);
        }
        self.floats.overwrite(op.rd, is_single);
        self.tree.add(Node::Vector(0))
    }

    /// The operand of a conversion to an integer, and whether it is to be cut: as a static mode wants it, it is rounded
    /// first, in xmm0.
    fn rounded(&mut self, op: &Op, is_single: bool) -> (Operand, bool) {
        let Some(mode) = rounding(op) else {
            return (operand(op.rs1), matches!(op.rm, TOWARDS_ZERO | AWAY));
        };
        let from = self.loaded(op.rs1, 0);
        if is_single {
            dynasm!(self.asm; .arch x64; roundss xmm0, Rx(from), BYTE mode);
        } else {
            dynasm!(self.asm; .arch x64; roundsd xmm0, Rx(from), BYTE mode);
        }
        (Operand::Vector(0), true)
    }

    /// What does not fit gives the host's least number, and so does that number itself. Nothing is inexact then: where a
    /// double that does not fit in 32 bits is rounded first, it is looked at before.
    fn integer_of(&mut self, op: &Op) -> Value {
        let (slow, is_single) = (self.slow(), reads_singles(op.code));
        if op.code == FcvtWD && (rounding(op).is_some() || op.rm == AWAY) {
            self.bits_of_double(op.rs1);
            dynasm!(self.asm
                ; .arch x64
                ; btr rcx, BYTE 63
                ; mov rdx, QWORD f64::from(i32::MAX).to_bits() as i64
                ; cmp rcx, rdx
                ; ja =>slow
            );
        }
        let (x, cut) = self.rounded(op, is_single);
        match (op.code, cut) {
            (FcvtWS, true) => with!(self.asm, cvttss2si eax, x),
            (FcvtWS, false) => with!(self.asm, cvtss2si eax, x),
            (FcvtLS, true) => with!(self.asm, cvttss2si rax, x),
            (FcvtLS, false) => with!(self.asm, cvtss2si rax, x),
            (FcvtWD, true) => with!(self.asm, cvttsd2si eax, x),
            (FcvtWD, false) => with!(self.asm, cvtsd2si eax, x),
            (_, true) => with!(self.asm, cvttsd2si rax, x),
            (_, false) => with!(self.asm, cvtsd2si rax, x),
        }
        if matches!(op.code, FcvtWS | FcvtWD) {
            dynasm!(self.asm; .arch x64; cmp eax, DWORD i32::MIN; je =>slow; movsxd rax, eax);
        } else {
            dynasm!(self.asm; .arch x64; mov rcx, QWORD i64::MIN; cmp rax, rcx; je =>slow);
        }
        self.round_away(op, is_single);
        self.tree.add(Node::Host(RAX))
    }

    /// Unsigned integers by the host's signed ones of 64 bits. What has a sign, is a NaN or does not fit there, or in 32 bits
    /// whichever way it is rounded, is a step, before anything is raised.
    fn unsigned_of(&mut self, op: &Op) -> Value {
        /// The least double and single that do not fit in 63 bits, and the greatest of which all roundings fit in 32.
        const BEYOND_D: f64 = 9_223_372_036_854_775_808.0;
        const BEYOND_S: f32 = 9_223_372_036_854_775_808.0;
        const GREATEST_S: f32 = 4_294_967_040.0;
        let (slow, is_single) = (self.slow(), reads_singles(op.code));
        let is_word = matches!(op.code, FcvtWuS | FcvtWuD);
        if is_single {
            // Of numbers without a sign, the greater one has the greater bits.
            let greatest = if is_word { GREATEST_S.to_bits() } else { BEYOND_S.to_bits() - 1 };
            match operand(op.rs1) {
                Operand::Vector(from) => dynasm!(self.asm; .arch x64; movd ecx, Rx(from)),
                Operand::Memory(at) => dynasm!(self.asm; .arch x64; mov ecx, [rbx + at]),
            }
            dynasm!(self.asm; .arch x64; cmp ecx, DWORD greatest as i32; ja =>slow);
        } else {
            let greatest = if is_word { f64::from(u32::MAX).to_bits() } else { BEYOND_D.to_bits() - 1 };
            self.bits_of_double(op.rs1);
            dynasm!(self.asm; .arch x64; mov rdx, QWORD greatest as i64; cmp rcx, rdx; ja =>slow);
        }
        let (x, cut) = self.rounded(op, is_single);
        match (is_single, cut) {
            (true, true) => with!(self.asm, cvttss2si rax, x),
            (true, false) => with!(self.asm, cvtss2si rax, x),
            (false, true) => with!(self.asm, cvttsd2si rax, x),
            (false, false) => with!(self.asm, cvtsd2si rax, x),
        }
        self.round_away(op, is_single);
        if is_word {
            dynasm!(self.asm; .arch x64; movsxd rax, eax);
        }
        self.tree.add(Node::Host(RAX))
    }

    /// Leaves the bits of a double in rcx.
    fn bits_of_double(&mut self, register: u8) {
        match operand(register) {
            Operand::Vector(from) => dynasm!(self.asm; .arch x64; movq rcx, Rx(from)),
            Operand::Memory(at) => dynasm!(self.asm; .arch x64; mov rcx, [rbx + at]),
        }
    }

    /// The class of a number as one bit ("Floating-Point Classify Instruction"). NaNs are a step.
    fn classify(&mut self, op: &Op) -> Value {
        let slow = self.slow();
        // A single's bits go to where a double has its own, but for some of the exponent's.
        let (exponent_at, greatest) = if op.code == FclassS { (55_i8, 0xff) } else { (52_i8, 0x7ff) };
        if op.code == FclassS {
            match operand(op.rs1) {
                Operand::Vector(from) => dynasm!(self.asm; .arch x64; movd ecx, Rx(from)),
                Operand::Memory(at) => dynasm!(self.asm; .arch x64; mov ecx, [rbx + at]),
            }
            dynasm!(self.asm; .arch x64; shl rcx, BYTE 32);
        } else {
            self.bits_of_double(op.rs1);
        }
        // Without the sign, 0 for zeroes, 1 for subnormal numbers, 2 for normal ones, 3 for infinities; then down from 3
        // with a sign, up from 4 without.
        let infinity = i64::from(greatest) << exponent_at;
        dynasm!(self.asm
            ; .arch x64
            ; btr rcx, BYTE 63
            ; sbb edx, edx
            ; mov rax, QWORD infinity
            ; cmp rcx, rax
            ; ja =>slow
            ; mov eax, 3
            ; cmp rcx, 1
            ; sbb eax, 0
            ; shr rcx, BYTE exponent_at
            ; cmp ecx, 1
            ; sbb eax, 0
            ; cmp ecx, DWORD greatest
            ; sbb eax, 0
            ; xor eax, edx
            ; lea ecx, [rax + 4]
            ; mov eax, 1
            ; shl eax, cl
        );
        self.tree.add(Node::Host(RAX))
    }

    fn compare_floating(&mut self, op: &Op) -> Value {
        // Unordered looks like below and like equal to the host.
        let is_equal = matches!(op.code, FeqS | FeqD);
        let (first, second) = if is_equal { (op.rs1, op.rs2) } else { (op.rs2, op.rs1) };
        let (first, second) = (self.loaded(first, 0), operand(second));
        match op.code {
            FeqS => with!(self.asm, ucomiss Rx(first), second),
            FeqD => with!(self.asm, ucomisd Rx(first), second),
            FltS | FleS => with!(self.asm, comiss Rx(first), second),
            _ => with!(self.asm, comisd Rx(first), second),
        }
        match op.code {
            FeqS | FeqD => dynasm!(self.asm; .arch x64; sete al; setnp cl; and eax, ecx),
            FltS | FltD => dynasm!(self.asm; .arch x64; seta al),
            _ => dynasm!(self.asm; .arch x64; setae al),
        }
        dynasm!(self.asm; .arch x64; movzx eax, al);
        self.tree.add(Node::Host(RAX))
    }

    /// Writes a floating-point register, and makes the state dirty. Results of arithmetic are noted already.
    pub(crate) fn write_floating(&mut self, register: u8, value: Value) {
        self.begin(DIRTY);
        let (memory, into) = (f(register), vector(register));
        match (self.tree.node(value), into) {
            (Node::Vector(from), Some(into)) if from == into => {}
            (Node::Vector(from), Some(into)) => dynasm!(self.asm; .arch x64; movaps Rx(into), Rx(from)),
            (Node::Vector(from), None) => dynasm!(self.asm; .arch x64; movsd [rbx + memory], Rx(from)),
            (Node::Binary(Binary::Or, single, upper), _) if self.tree.constant(upper) == Some(BOX) => {
                self.floats.overwrite(register, true);
                self.write_single(single, register);
            }
            (Node::Loaded(_, place), Some(into)) => {
                let (base, index, at) = place.operand();
                self.floats.overwrite(register, false);
                near!(self.asm; at; movsd Rx(into), [Rq(base) + Rq(index)]);
            }
            (_, into) => {
                self.floats.overwrite(register, false);
                self.selector().compute(value, RCX, Free::ALL.without(RAX).without(RDX));
                match into {
                    Some(into) => dynasm!(self.asm; .arch x64; movq Rx(into), rcx),
                    None => dynasm!(self.asm; .arch x64; mov [rbx + memory], rcx),
                }
            }
        }
        self.limit_results();
    }

    /// Puts a single in its box.
    fn write_single(&mut self, single: Value, register: u8) {
        let (memory, into) = (f(register), vector(register));
        match (self.tree.node(single), into) {
            (Node::Loaded(_, place), Some(into)) => {
                let (base, index, at) = place.operand();
                near!(self.asm; at; movss xmm0, [Rq(base) + Rq(index)]);
                dynasm!(self.asm; .arch x64; pcmpeqd Rx(into), Rx(into); movss Rx(into), xmm0);
            }
            (_, into) => {
                self.selector().compute(single, RCX, Free::ALL.without(RAX));
                match into {
                    Some(into) => dynasm!(self.asm
                        ; .arch x64
                        ; movd xmm0, ecx
                        ; pcmpeqd Rx(into), Rx(into)
                        ; movss Rx(into), xmm0
                    ),
                    None => {
                        dynasm!(self.asm; .arch x64; mov [rbx + memory], ecx; mov DWORD [rbx + memory + 4], -1)
                    }
                }
            }
        }
    }
}
