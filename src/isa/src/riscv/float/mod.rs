//! The meaning of the F and D instructions (Unprivileged ISA, chapters 21 and 22), as pure functions on bit patterns.
//!
//! Guarantees: results and accrued flags are those of the specification in every bit, in each of the five rounding
//! modes, and the same on every host. NaN results are canonical, underflow means tiny *after* rounding with an
//! unbounded exponent, and an improperly boxed single reads as the canonical NaN.
//!
//! Three ways lead to a result, and the tests hold them together: plain host arithmetic where its flags follow from
//! the result alone (`arithmetic`), host arithmetic under the guest's MXCSR (`host`), and integer arithmetic for the
//! rest (`soft`): the rounding mode that hosts lack, hosts without fused multiply-add, results that are NaN.
//! Callers may not rely on which one is taken.

mod arithmetic;
mod compare;
mod convert;
mod format;
mod host;
mod soft;
#[cfg(test)]
mod tests;

use std::ops::BitOr;

use self::convert::Integer;
use self::format::{Double, Format, Single};
use super::op::Opcode;

pub use self::format::{box_single, unbox_single};

/// A rounding mode, numbered as `frm` and the `rm` field number them (21.2, "Floating-Point Control and Status
/// Register").
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
pub enum Rounding {
    /// RNE: to the nearest, a tie to the even one.
    NearestEven = 0,
    /// RTZ: towards zero.
    TowardZero = 1,
    /// RDN: towards minus infinity.
    Down = 2,
    /// RUP: towards plus infinity.
    Up = 3,
    /// RMM: to the nearest, a tie to the one of greater magnitude.
    NearestMaxMagnitude = 4,
}

impl Rounding {
    /// The five modes, in the order of their encodings.
    pub const ALL: [Rounding; 5] = [
        Rounding::NearestEven,
        Rounding::TowardZero,
        Rounding::Down,
        Rounding::Up,
        Rounding::NearestMaxMagnitude,
    ];

    /// The mode that `frm` or a static `rm` field encodes. `None` for the reserved 5 and 6, and for 7, which is
    /// "dynamic" in an instruction and reserved in `frm`.
    #[inline]
    pub fn from_bits(bits: u8) -> Option<Rounding> {
        Rounding::ALL.get(usize::from(bits)).copied()
    }
}

/// A set of exception flags, laid out as `fflags` (21.2).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Flags(pub u8);

impl Flags {
    /// No flag.
    pub const NONE: Flags = Flags(0);
    /// NX, inexact.
    pub const INEXACT: Flags = Flags(1);
    /// UF, underflow.
    pub const UNDERFLOW: Flags = Flags(2);
    /// OF, overflow.
    pub const OVERFLOW: Flags = Flags(4);
    /// DZ, divide by zero.
    pub const DIVIDE_BY_ZERO: Flags = Flags(8);
    /// NV, invalid operation.
    pub const INVALID: Flags = Flags(16);

    /// Whether every flag of `other` is in `self`.
    #[inline]
    pub fn contains(self, other: Flags) -> bool {
        self.0 & other.0 == other.0
    }

    /// `self` where `condition` holds, else no flag.
    #[inline]
    fn when(self, condition: bool) -> Flags {
        Flags(self.0 & 0u8.wrapping_sub(u8::from(condition)))
    }
}

impl BitOr for Flags {
    type Output = Flags;

    #[inline]
    fn bitor(self, other: Flags) -> Flags {
        Flags(self.0 | other.0)
    }
}

impl std::fmt::Debug for Flags {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names = [(16, "NV"), (8, "DZ"), (4, "OF"), (2, "UF"), (1, "NX")];
        let set: Vec<&str> =
            names.iter().filter(|(bit, _)| self.0 & bit != 0).map(|&(_, name)| name).collect();
        write!(f, "{{{}}}", set.join(" "))
    }
}

/// Computes a floating-point instruction that touches no memory.
///
/// `a`, `b` and `c` are the 64-bit contents of the registers that `rs1`, `rs2` and `rs3` name: floating-point registers
/// as they stand (singles boxed), or the integer register for `fcvt` and `fmv` from one. Operands that the instruction
/// does not have are ignored. `rounding` is the effective mode (the caller has replaced "dynamic" by `frm`), ignored
/// by the instructions that have none.
///
/// Returns the 64-bit content of the destination (a boxed single, a double, or an integer sign-extended from 32 bits
/// where the instruction has a 32-bit result), and `accrued` with the flags that the instruction raises added to it:
/// the new `fflags`. Accrued flags are a parameter because an instruction is cheaper once NX is among them.
///
/// # Panics
///
/// If `code` is no computational instruction of F or D.
#[inline]
pub fn evaluate(code: Opcode, rounding: Rounding, accrued: Flags, a: u64, b: u64, c: u64) -> (u64, Flags) {
    use Opcode::*;
    let (value, raised) = match code {
        // 21.6, "Single-Precision Floating-Point Computational Instructions".
        FaddS => on_singles(a, b, |a, b| arithmetic::add::<Single>(rounding, accrued, a, b)),
        FsubS => on_singles(a, b, |a, b| arithmetic::subtract::<Single>(rounding, accrued, a, b)),
        FmulS => on_singles(a, b, |a, b| arithmetic::multiply::<Single>(rounding, accrued, a, b)),
        FdivS => on_singles(a, b, |a, b| arithmetic::divide::<Single>(rounding, accrued, a, b)),
        FsqrtS => on_singles(a, a, |a, _| arithmetic::square_root::<Single>(rounding, accrued, a)),
        FminS => on_singles(a, b, compare::minimum::<Single>),
        FmaxS => on_singles(a, b, compare::maximum::<Single>),
        FmaddS => fused::<Single>(rounding, accrued, [a, b, c], false, false),
        FmsubS => fused::<Single>(rounding, accrued, [a, b, c], false, true),
        FnmsubS => fused::<Single>(rounding, accrued, [a, b, c], true, false),
        FnmaddS => fused::<Single>(rounding, accrued, [a, b, c], true, true),
        // 21.7, "Single-Precision Floating-Point Conversion and Move Instructions".
        FcvtWS => convert::to_integer::<Single>(rounding, Integer::W, Single::unboxed(a)),
        FcvtWuS => convert::to_integer::<Single>(rounding, Integer::Wu, Single::unboxed(a)),
        FcvtLS => convert::to_integer::<Single>(rounding, Integer::L, Single::unboxed(a)),
        FcvtLuS => convert::to_integer::<Single>(rounding, Integer::Lu, Single::unboxed(a)),
        FcvtSW => boxed::<Single>(convert::from_integer::<Single>(rounding, Integer::W, a)),
        FcvtSWu => boxed::<Single>(convert::from_integer::<Single>(rounding, Integer::Wu, a)),
        FcvtSL => boxed::<Single>(convert::from_integer::<Single>(rounding, Integer::L, a)),
        FcvtSLu => boxed::<Single>(convert::from_integer::<Single>(rounding, Integer::Lu, a)),
        FsgnjS => on_singles(a, b, |a, b| (compare::inject_sign::<Single>(a, b), Flags::NONE)),
        FsgnjnS => on_singles(a, b, |a, b| (compare::inject_sign::<Single>(a, !b), Flags::NONE)),
        FsgnjxS => on_singles(a, b, |a, b| (compare::inject_sign::<Single>(a, a ^ b), Flags::NONE)),
        // The moves transfer bits and do not look at the boxing (22.2, "NaN Boxing of Narrower Values").
        FmvXW => (i64::from(a as i32) as u64, Flags::NONE),
        FmvWX => (box_single(a as u32), Flags::NONE),
        // 21.8, "Single-Precision Floating-Point Compare Instructions", and 21.9, "... Classify Instruction".
        FeqS => compare::equal::<Single>(Single::unboxed(a), Single::unboxed(b)),
        FltS => compare::less::<Single>(Single::unboxed(a), Single::unboxed(b)),
        FleS => compare::less_or_equal::<Single>(Single::unboxed(a), Single::unboxed(b)),
        FclassS => (compare::classify::<Single>(Single::unboxed(a)), Flags::NONE),

        // 22.4, "Double-Precision Floating-Point Computational Instructions".
        FaddD => arithmetic::add::<Double>(rounding, accrued, a, b),
        FsubD => arithmetic::subtract::<Double>(rounding, accrued, a, b),
        FmulD => arithmetic::multiply::<Double>(rounding, accrued, a, b),
        FdivD => arithmetic::divide::<Double>(rounding, accrued, a, b),
        FsqrtD => arithmetic::square_root::<Double>(rounding, accrued, a),
        FminD => compare::minimum::<Double>(a, b),
        FmaxD => compare::maximum::<Double>(a, b),
        FmaddD => fused::<Double>(rounding, accrued, [a, b, c], false, false),
        FmsubD => fused::<Double>(rounding, accrued, [a, b, c], false, true),
        FnmsubD => fused::<Double>(rounding, accrued, [a, b, c], true, false),
        FnmaddD => fused::<Double>(rounding, accrued, [a, b, c], true, true),
        // 22.5, "Double-Precision Floating-Point Conversion and Move Instructions".
        FcvtWD => convert::to_integer::<Double>(rounding, Integer::W, a),
        FcvtWuD => convert::to_integer::<Double>(rounding, Integer::Wu, a),
        FcvtLD => convert::to_integer::<Double>(rounding, Integer::L, a),
        FcvtLuD => convert::to_integer::<Double>(rounding, Integer::Lu, a),
        FcvtDW => convert::from_integer::<Double>(rounding, Integer::W, a),
        FcvtDWu => convert::from_integer::<Double>(rounding, Integer::Wu, a),
        FcvtDL => convert::from_integer::<Double>(rounding, Integer::L, a),
        FcvtDLu => convert::from_integer::<Double>(rounding, Integer::Lu, a),
        FcvtSD => boxed::<Single>(convert::narrow(rounding, a)),
        FcvtDS => convert::widen(Single::unboxed(a)),
        FsgnjD => (compare::inject_sign::<Double>(a, b), Flags::NONE),
        FsgnjnD => (compare::inject_sign::<Double>(a, !b), Flags::NONE),
        FsgnjxD => (compare::inject_sign::<Double>(a, a ^ b), Flags::NONE),
        FmvXD | FmvDX => (a, Flags::NONE),
        // 22.6, "Double-Precision Floating-Point Compare Instructions", and 22.7, "... Classify Instruction".
        FeqD => compare::equal::<Double>(a, b),
        FltD => compare::less::<Double>(a, b),
        FleD => compare::less_or_equal::<Double>(a, b),
        FclassD => (compare::classify::<Double>(a), Flags::NONE),

        Lui | Auipc | Jal | Jalr | Beq | Bne | Blt | Bge | Bltu | Bgeu | Lb | Lh | Lw | Ld | Lbu | Lhu
        | Lwu | Sb | Sh | Sw | Sd | Addi | Slti | Sltiu | Xori | Ori | Andi | Slli | Srli | Srai | Add
        | Sub | Sll | Slt | Sltu | Xor | Srl | Sra | Or | And | Addiw | Slliw | Srliw | Sraiw | Addw
        | Subw | Sllw | Srlw | Sraw | Fence | Pause | Ecall | Ebreak | FenceI | Csrrw | Csrrs | Csrrc
        | Csrrwi | Csrrsi | Csrrci | Mul | Mulh | Mulhsu | Mulhu | Div | Divu | Rem | Remu | Mulw | Divw
        | Divuw | Remw | Remuw | LrW | ScW | AmoswapW | AmoaddW | AmoxorW | AmoandW | AmoorW | AmominW
        | AmomaxW | AmominuW | AmomaxuW | LrD | ScD | AmoswapD | AmoaddD | AmoxorD | AmoandD | AmoorD
        | AmominD | AmomaxD | AmominuD | AmomaxuD | Flw | Fsw | Fld | Fsd | AddUw | Sh1add | Sh1addUw
        | Sh2add | Sh2addUw | Sh3add | Sh3addUw | SlliUw | Andn | Orn | Xnor | Clz | Clzw | Ctz | Ctzw
        | Cpop | Cpopw | Max | Maxu | Min | Minu | SextB | SextH | ZextH | Rol | Rolw | Ror | Rori
        | Roriw | Rorw | OrcB | Rev8 | Bclr | Bclri | Bext | Bexti | Binv | Binvi | Bset | Bseti | Mret
        | CzeroEqz | CzeroNez | WrsNto | WrsSto | CboInval | CboClean | CboFlush | CboZero | Sret | Wfi
        | SfenceVma | SinvalVma | SfenceWInval | SfenceInvalIr => not_computational(code),
    };
    (value, accrued | raised)
}

#[cold]
fn not_computational(code: Opcode) -> ! {
    panic!("{code:?} is no computational instruction of F or D")
}

/// Boxes a result.
#[inline(always)]
fn boxed<F: Format>((value, flags): (u64, Flags)) -> (u64, Flags) {
    (F::boxed(value), flags)
}

/// Runs an operation that takes two singles and gives one, on boxed registers.
#[inline(always)]
fn on_singles(a: u64, b: u64, operation: impl FnOnce(u64, u64) -> (u64, Flags)) -> (u64, Flags) {
    boxed::<Single>(operation(Single::unboxed(a), Single::unboxed(b)))
}

/// ±(a × b) ± c, rounded once. Negating an operand negates the term, and does so before rounding, as 21.6 asks.
#[inline(always)]
fn fused<F: host::Native>(
    rounding: Rounding,
    accrued: Flags,
    [a, b, c]: [u64; 3],
    negate_product: bool,
    negate_addend: bool,
) -> (u64, Flags) {
    let a = F::unboxed(a) ^ if negate_product { F::SIGN } else { 0 };
    let c = F::unboxed(c) ^ if negate_addend { F::SIGN } else { 0 };
    boxed::<F>(arithmetic::multiply_add::<F>(rounding, accrued, a, F::unboxed(b), c))
}
