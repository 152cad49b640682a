//! Everything against `rustc_apfloat`, a port of LLVM's arithmetic, in all five rounding modes.
//!
//! Two corrections are due: LLVM calls a result tiny if it is subnormal once rounded *to the subnormals' units*, and
//! sees no overflow where the result is the greatest finite number. Here both are taken, as IEEE 754 defines them, from
//! the same operation in a format with the same precision and a far wider exponent.

use rustc_apfloat::ieee::{self, IeeeFloat, Semantics};
use rustc_apfloat::{Float, FloatConvert, Round, Status, StatusAnd};

use super::numbers::Numbers;
use crate::riscv::float::format::{Double, Format, Single};
use crate::riscv::float::host::Native;
use crate::riscv::float::{Flags, Rounding, convert, evaluate};
use crate::riscv::op::Opcode;

/// Precision of binary32, exponents of 15 bits.
struct WideSingle;

impl Semantics for WideSingle {
    const BITS: usize = 39;
    const EXP_BITS: usize = 15;
}

/// Precision of binary64, exponents of 15 bits.
struct WideDouble;

impl Semantics for WideDouble {
    const BITS: usize = 68;
    const EXP_BITS: usize = 15;
}

/// A format with its counterparts, and the opcodes of its operations.
trait Known: Native {
    type Exact: Float + FloatConvert<Self::Wide>;
    type Wide: Float;
    const OPERATIONS: [(Operation, Opcode); 8];
    /// Opcodes of the conversions to integers, from integers; in the order w, wu, l, lu.
    const TO_INTEGER: [Opcode; 4];
    const FROM_INTEGER: [Opcode; 4];
}

impl Known for Single {
    type Exact = ieee::Single;
    type Wide = IeeeFloat<WideSingle>;
    const OPERATIONS: [(Operation, Opcode); 8] = [
        (Operation::Add, Opcode::FaddS),
        (Operation::Subtract, Opcode::FsubS),
        (Operation::Multiply, Opcode::FmulS),
        (Operation::Divide, Opcode::FdivS),
        (Operation::Fused { product: 1, addend: 1 }, Opcode::FmaddS),
        (Operation::Fused { product: 1, addend: -1 }, Opcode::FmsubS),
        (Operation::Fused { product: -1, addend: 1 }, Opcode::FnmsubS),
        (Operation::Fused { product: -1, addend: -1 }, Opcode::FnmaddS),
    ];
    const TO_INTEGER: [Opcode; 4] = [Opcode::FcvtWS, Opcode::FcvtWuS, Opcode::FcvtLS, Opcode::FcvtLuS];
    const FROM_INTEGER: [Opcode; 4] = [Opcode::FcvtSW, Opcode::FcvtSWu, Opcode::FcvtSL, Opcode::FcvtSLu];
}

impl Known for Double {
    type Exact = ieee::Double;
    type Wide = IeeeFloat<WideDouble>;
    const OPERATIONS: [(Operation, Opcode); 8] = [
        (Operation::Add, Opcode::FaddD),
        (Operation::Subtract, Opcode::FsubD),
        (Operation::Multiply, Opcode::FmulD),
        (Operation::Divide, Opcode::FdivD),
        (Operation::Fused { product: 1, addend: 1 }, Opcode::FmaddD),
        (Operation::Fused { product: 1, addend: -1 }, Opcode::FmsubD),
        (Operation::Fused { product: -1, addend: 1 }, Opcode::FnmsubD),
        (Operation::Fused { product: -1, addend: -1 }, Opcode::FnmaddD),
    ];
    const TO_INTEGER: [Opcode; 4] = [Opcode::FcvtWD, Opcode::FcvtWuD, Opcode::FcvtLD, Opcode::FcvtLuD];
    const FROM_INTEGER: [Opcode; 4] = [Opcode::FcvtDW, Opcode::FcvtDWu, Opcode::FcvtDL, Opcode::FcvtDLu];
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum Operation {
    Add,
    Subtract,
    Multiply,
    Divide,
    Fused { product: i8, addend: i8 },
}

impl Operation {
    fn apply<N: Float>(self, [a, b, c]: [N; 3], round: Round) -> StatusAnd<N> {
        match self {
            Operation::Add => a.add_r(b, round),
            Operation::Subtract => a.sub_r(b, round),
            Operation::Multiply => a.mul_r(b, round),
            Operation::Divide => a.div_r(b, round),
            Operation::Fused { product, addend } => {
                let a = if product < 0 { -a } else { a };
                let c = if addend < 0 { -c } else { c };
                a.mul_add_r(b, c, round)
            }
        }
    }
}

fn round(rounding: Rounding) -> Round {
    match rounding {
        Rounding::NearestEven => Round::NearestTiesToEven,
        Rounding::TowardZero => Round::TowardZero,
        Rounding::Down => Round::TowardNegative,
        Rounding::Up => Round::TowardPositive,
        Rounding::NearestMaxMagnitude => Round::NearestTiesToAway,
    }
}

fn flags(status: Status) -> Flags {
    let table = [
        (Status::INVALID_OP, Flags::INVALID),
        (Status::DIV_BY_ZERO, Flags::DIVIDE_BY_ZERO),
        (Status::INEXACT, Flags::INEXACT),
    ];
    table.iter().fold(Flags::NONE, |set, &(theirs, ours)| set | ours.when(status.contains(theirs)))
}

fn exact<F: Known>(value: u64) -> F::Exact {
    F::Exact::from_bits(u128::from(value))
}

fn wide<F: Known>(value: u64) -> F::Wide {
    exact::<F>(value).convert(&mut false).value
}

/// Value and flags as the oracle has them; `unbounded` gives the result in the wide format.
fn expected<F: Known>(result: StatusAnd<F::Exact>, unbounded: impl FnOnce() -> F::Wide) -> (u64, Flags) {
    if result.value.is_nan() {
        return (F::NAN, flags(result.status));
    }
    let value = result.value.to_bits() as u64;
    if !result.status.contains(Status::INEXACT) {
        return (value, flags(result.status));
    }
    let exponent = unbounded().ilogb();
    let (tiny, huge) = (exponent < F::EXPONENT_MIN, exponent > F::EXPONENT_MAX);
    assert!(tiny || !result.status.contains(Status::UNDERFLOW), "{value:#x} is subnormal, hence tiny");
    assert!(huge || !result.status.contains(Status::OVERFLOW), "{value:#x} is infinite, hence huge");
    (value, Flags::INEXACT | Flags::UNDERFLOW.when(tiny) | Flags::OVERFLOW.when(huge))
}

fn check<F: Known>(rounding: Rounding, code: Opcode, registers: [u64; 3], expected: (u64, Flags)) {
    let [a, b, c] = registers;
    let found = evaluate(code, rounding, Flags::NONE, a, b, c);
    assert_eq!(
        found, expected,
        "{code:?} {rounding:?} {a:#x} {b:#x} {c:#x}: {:#x}, not {:#x}",
        found.0, expected.0
    );
    let found = evaluate(code, rounding, Flags::INEXACT, a, b, c);
    let accrued = (expected.0, expected.1 | Flags::INEXACT);
    assert_eq!(found, accrued, "{code:?} {rounding:?} {a:#x} {b:#x} {c:#x} after NX: {:#x}", found.0);
}

/// Asserts that each flag was seen often, and both sides of the narrow border between tiny and not.
fn arithmetic<F: Known>(seed: u64, count: usize) {
    let mut numbers = Numbers::new(seed);
    let mut seen = [0; 5];
    let mut border = [0; 2];
    for index in 0..count {
        let values = numbers.triple::<F>(F::multiply);
        let operands = values.map(exact::<F>);
        let registers = values.map(F::boxed);
        let rounding = Rounding::ALL[index % 5];
        for (operation, code) in F::OPERATIONS {
            let result = operation.apply(operands, round(rounding));
            let unbounded = || operation.apply(values.map(wide::<F>), round(rounding)).value;
            let (value, raised) = expected::<F>(result, unbounded);
            check::<F>(rounding, code, registers, (F::boxed(value), raised));
            (0..5).for_each(|bit| seen[bit] += usize::from(raised.0 >> bit & 1));
            if value & !F::SIGN == F::FRACTION + 1 && raised.contains(Flags::INEXACT) {
                border[usize::from(raised.contains(Flags::UNDERFLOW))] += 1;
            }
        }
    }
    assert!(seen.iter().all(|&times| times > 1_000), "NX, UF, OF, DZ, NV seen: {seen:?}");
    assert!(border.iter().all(|&times| times > 50), "rounded up to normal, not tiny and tiny: {border:?}");
}

#[test]
fn singles_are_computed_as_the_oracle_does() {
    arithmetic::<Single>(0x51, 400_000);
}

#[test]
fn doubles_are_computed_as_the_oracle_does() {
    arithmetic::<Double>(0xd0, 400_000);
}

fn to_integers<F: Known>(seed: u64, count: usize) {
    let mut numbers = Numbers::new(seed);
    for index in 0..count {
        // Half of them integers, and integers and a half, of any length.
        let value = if index % 2 == 0 { numbers.value::<F>() } else { near_integer::<F>(&mut numbers) };
        let operand = exact::<F>(value);
        for rounding in Rounding::ALL {
            for (code, (signed, width)) in F::TO_INTEGER.into_iter().zip([(1, 32), (0, 32), (1, 64), (0, 64)])
            {
                let result = if signed == 1 {
                    operand.to_i128_r(width, round(rounding), &mut false)
                } else {
                    operand.to_u128_r(width, round(rounding), &mut false).map(|magnitude| magnitude as i128)
                };
                // LLVM gives zero for a NaN.
                let integer = if operand.is_nan() { (1 << (width - signed)) - 1 } else { result.value };
                let register = if width == 32 { i64::from(integer as i32) as u64 } else { integer as u64 };
                check::<F>(rounding, code, [F::boxed(value), 0, 0], (register, flags(result.status)));
                let integer =
                    [convert::Integer::W, convert::Integer::Wu, convert::Integer::L, convert::Integer::Lu]
                        [F::TO_INTEGER.iter().position(|&other| other == code).unwrap()];
                let soft = convert::to_integer_soft::<F>(rounding, integer, value);
                assert_eq!(
                    soft,
                    (register, flags(result.status)),
                    "{code:?} in software, {rounding:?} {value:#x}"
                );
            }
        }
    }
}

/// A number close to an integer: itself, its neighbours, or a half more.
fn near_integer<F: Known>(numbers: &mut Numbers) -> u64 {
    let integer = numbers.integer() as i64;
    let value = F::nearest(integer.unsigned_abs()) | if integer < 0 { F::SIGN } else { 0 };
    let half = F::ONE - (F::FRACTION + 1);
    match numbers.below(4) {
        0 => value,
        1 => value.saturating_sub(1),
        2 => value + 1,
        _ => F::add(value, half),
    }
}

#[test]
fn numbers_become_integers_as_the_oracle_does() {
    to_integers::<Single>(0x151, 40_000);
    to_integers::<Double>(0x1d0, 40_000);
}

fn from_integers<F: Known>(seed: u64, count: usize) {
    let mut numbers = Numbers::new(seed);
    for _ in 0..count {
        let register = numbers.integer();
        let integers = [
            i128::from(register as i32),
            i128::from(register as u32),
            i128::from(register as i64),
            i128::from(register),
        ];
        for rounding in Rounding::ALL {
            for (code, integer) in F::FROM_INTEGER.into_iter().zip(integers) {
                let result = F::Exact::from_i128_r(integer, round(rounding));
                let value = F::boxed(result.value.to_bits() as u64);
                check::<F>(rounding, code, [register, 0, 0], (value, flags(result.status)));
            }
        }
    }
}

#[test]
fn integers_become_numbers_as_the_oracle_does() {
    from_integers::<Single>(0x251, 40_000);
    from_integers::<Double>(0x2d0, 40_000);
}

#[test]
fn doubles_become_singles_as_the_oracle_does() {
    let mut numbers = Numbers::new(0x3d0);
    for index in 0..200_000 {
        // All of them doubles; half of them with the exponents, and nearly the fractions, of singles.
        let value = if index % 2 == 0 {
            numbers.value::<Double>()
        } else {
            let single = numbers.value::<Single>();
            let tail = [0, 1, 1 << 27, 1 << 28, (1 << 28) - 1, (1 << 28) + 1, (1 << 29) - 1][index % 7];
            convert::widen(single).0 | tail
        };
        for rounding in Rounding::ALL {
            let operand = exact::<Double>(value);
            let result: StatusAnd<ieee::Single> = operand.convert_r(round(rounding), &mut false);
            let unbounded =
                || FloatConvert::<IeeeFloat<WideSingle>>::convert_r(operand, round(rounding), &mut false);
            let (single, raised) = expected::<Single>(result, || unbounded().value);
            check::<Single>(rounding, Opcode::FcvtSD, [value, 0, 0], (Single::boxed(single), raised));
            assert_eq!(
                convert::narrow_soft(rounding, value),
                (single, raised),
                "{rounding:?} {value:#x} in software"
            );
        }
    }
}

#[test]
fn singles_become_doubles_as_the_oracle_does() {
    let mut numbers = Numbers::new(0x351);
    for _ in 0..100_000 {
        let value = numbers.value::<Single>();
        let result: StatusAnd<ieee::Double> = exact::<Single>(value).convert_r(Round::TowardZero, &mut false);
        let double = if result.value.is_nan() { Double::NAN } else { result.value.to_bits() as u64 };
        let expected = (double, flags(result.status));
        check::<Single>(Rounding::Up, Opcode::FcvtDS, [Single::boxed(value), 0, 0], expected);
    }
}

/// The codes of min, max, eq, lt, le, class, in this order.
fn order<F: Known>(seed: u64, count: usize, [min, max, eq, lt, le, class]: [Opcode; 6]) {
    let mut numbers = Numbers::new(seed);
    for _ in 0..count {
        let a = numbers.value::<F>();
        let b = if numbers.below(2) == 0 { numbers.near::<F>(a) } else { numbers.value::<F>() };
        let (left, right) = (exact::<F>(a), exact::<F>(b));
        let registers = [F::boxed(a), F::boxed(b), 0];
        let signaling = Flags::INVALID.when(left.is_signaling() || right.is_signaling());
        let unordered = Flags::INVALID.when(left.is_nan() || right.is_nan());

        check::<F>(Rounding::Down, eq, registers, (u64::from(left == right), signaling));
        check::<F>(Rounding::Down, lt, registers, (u64::from(left < right), unordered));
        check::<F>(Rounding::Down, le, registers, (u64::from(left <= right), unordered));

        // Equal numbers differ in the sign of zero at most.
        let below = left < right || left == right && left.is_negative();
        let (least, greatest) = match (left.is_nan(), right.is_nan()) {
            (true, true) => (F::NAN, F::NAN),
            (true, false) => (b, b),
            (false, true) => (a, a),
            (false, false) if below => (a, b),
            (false, false) => (b, a),
        };
        check::<F>(Rounding::Down, min, registers, (F::boxed(least), signaling));
        check::<F>(Rounding::Down, max, registers, (F::boxed(greatest), signaling));

        let positive = !left.is_negative();
        let bit = match () {
            () if left.is_signaling() => 8,
            () if left.is_nan() => 9,
            () if left.is_infinite() => [0, 7][usize::from(positive)],
            () if left.is_zero() => [3, 4][usize::from(positive)],
            () if left.is_denormal() => [2, 5][usize::from(positive)],
            () => [1, 6][usize::from(positive)],
        };
        check::<F>(Rounding::Down, class, registers, (1 << bit, Flags::NONE));
    }
}

#[test]
fn order_and_classes_are_the_oracles() {
    let singles = [Opcode::FminS, Opcode::FmaxS, Opcode::FeqS, Opcode::FltS, Opcode::FleS, Opcode::FclassS];
    let doubles = [Opcode::FminD, Opcode::FmaxD, Opcode::FeqD, Opcode::FltD, Opcode::FleD, Opcode::FclassD];
    order::<Single>(0x451, 100_000, singles);
    order::<Double>(0x4d0, 100_000, doubles);
}
