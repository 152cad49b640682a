//! Arithmetic in integers: every operation, every rounding mode, on any host.
//!
//! A finite number is an integer times a power of two. Each operation computes its result exactly, or so far that the
//! bits left off only say "and a little more" (a sticky lowest bit), and [`round`] makes a number of the format of it.

use super::format::Format;
use super::{Flags, Rounding};

/// `significand` × 2^`exponent`, negated if `negative`. The significand's highest bit, 63, is set.
#[derive(Clone, Copy)]
pub(super) struct Number {
    pub negative: bool,
    pub exponent: i32,
    pub significand: u64,
}

/// Takes a finite number other than zero apart.
pub(super) fn unpack<F: Format>(value: u64) -> Number {
    let field = ((value & F::INFINITY) >> (F::PRECISION - 1)) as i32;
    let fraction = value & F::FRACTION;
    let (significand, field) = if field == 0 { (fraction, 1) } else { (fraction | (F::FRACTION + 1), field) };
    let shift = significand.leading_zeros();
    Number {
        negative: F::is_negative(value),
        exponent: field - 1 + F::EXPONENT_MIN - (F::PRECISION as i32 - 1) - shift as i32,
        significand: significand << shift,
    }
}

/// Divides by 2^`shift`, rounding. The second result says whether bits were lost. `shift` is 1 at least.
pub(super) fn shift_right_rounded(
    significand: u128,
    shift: u32,
    negative: bool,
    rounding: Rounding,
) -> (u128, bool) {
    let (quotient, remainder, half) = match shift {
        ..=127 => (significand >> shift, significand & ((1 << shift) - 1), 1 << (shift - 1)),
        128 => (0, significand, 1 << 127),
        // Less than a half, whatever it is: half of a unit is out of reach.
        129.. => (0, significand.min(1), 2),
    };
    let up = match rounding {
        Rounding::NearestEven => remainder > half || remainder == half && quotient & 1 == 1,
        Rounding::TowardZero => false,
        Rounding::Down => negative && remainder != 0,
        Rounding::Up => !negative && remainder != 0,
        Rounding::NearestMaxMagnitude => remainder >= half,
    };
    (quotient + u128::from(up), remainder != 0)
}

/// The number of the format that `significand` × 2^`exponent` rounds to, and the flags of that.
///
/// The significand is not zero. If its lowest bit is sticky it must have two bits more than the format's precision, so
/// that the sticky bit lies below the half of a unit.
pub(super) fn round<F: Format>(
    negative: bool,
    exponent: i32,
    significand: u128,
    rounding: Rounding,
) -> (u64, Flags) {
    let sign = if negative { F::SIGN } else { 0 };
    let zeros = significand.leading_zeros();
    let significand = significand << zeros;
    // The number is 1.something × 2^`scale`.
    let scale = exponent - zeros as i32 + 127;
    let normal_shift = 128 - F::PRECISION;

    if scale > F::EXPONENT_MAX {
        return (sign | overflowed::<F>(negative, rounding), Flags::OVERFLOW | Flags::INEXACT);
    }
    if scale < F::EXPONENT_MIN {
        let below = (F::EXPONENT_MIN - scale) as u32;
        let (rounded, inexact) = shift_right_rounded(significand, normal_shift + below, negative, rounding);
        // "Tininess is detected after rounding" (21.4, "Subnormal Arithmetic"): after rounding to the full precision
        // with an unbounded exponent, which carries to the smallest normal number a little later than the rounding
        // to the subnormals' coarser units does.
        let (unbounded, _) = shift_right_rounded(significand, normal_shift, negative, rounding);
        let tiny = below > 1 || unbounded >> F::PRECISION == 0;
        // A carry into the implicit bit's place makes the smallest normal number by itself.
        let raised = (Flags::INEXACT | Flags::UNDERFLOW.when(tiny)).when(inexact);
        return (sign | rounded as u64, raised);
    }
    let (rounded, inexact) = shift_right_rounded(significand, normal_shift, negative, rounding);
    // The implicit bit, and a carry beyond it, add one to the exponent's field each.
    let field = (scale - F::EXPONENT_MIN) as u64;
    let value = (field << (F::PRECISION - 1)) + rounded as u64;
    if value >= F::INFINITY {
        return (sign | overflowed::<F>(negative, rounding), Flags::OVERFLOW | Flags::INEXACT);
    }
    (sign | value, Flags::INEXACT.when(inexact))
}

/// The magnitude that stands for one beyond the greatest finite number.
fn overflowed<F: Format>(negative: bool, rounding: Rounding) -> u64 {
    let to_infinity = match rounding {
        Rounding::NearestEven | Rounding::NearestMaxMagnitude => true,
        Rounding::TowardZero => false,
        Rounding::Down => negative,
        Rounding::Up => !negative,
    };
    if to_infinity { F::INFINITY } else { F::INFINITY - 1 }
}

/// The canonical NaN for NaN operands: invalid if one of them is signaling.
fn propagated<F: Format>(operands: &[u64]) -> (u64, Flags) {
    (F::NAN, Flags::INVALID.when(operands.iter().any(|&value| F::is_signaling(value))))
}

/// The canonical NaN that an invalid operation gives.
fn invalid<F: Format>() -> (u64, Flags) {
    (F::NAN, Flags::INVALID)
}

/// a + b. Multiplying by one changes neither value nor flags.
pub(super) fn add<F: Format>(rounding: Rounding, a: u64, b: u64) -> (u64, Flags) {
    multiply_add::<F>(rounding, a, F::ONE, b)
}

/// a × b. Adding a zero of the product's sign changes neither value nor flags.
pub(super) fn multiply<F: Format>(rounding: Rounding, a: u64, b: u64) -> (u64, Flags) {
    multiply_add::<F>(rounding, a, b, (a ^ b) & F::SIGN)
}

/// a × b + c, rounded once.
pub(super) fn multiply_add<F: Format>(rounding: Rounding, a: u64, b: u64, c: u64) -> (u64, Flags) {
    let infinite = F::is_infinite(a) || F::is_infinite(b);
    if !F::is_nan(a) && !F::is_nan(b) && infinite && (F::is_zero(a) || F::is_zero(b)) {
        // 21.6: invalid "when the multiplicands are ∞ and zero, even when the addend is a quiet NaN".
        return invalid::<F>();
    }
    if F::is_nan(a) || F::is_nan(b) || F::is_nan(c) {
        return propagated::<F>(&[a, b, c]);
    }
    let product_sign = (a ^ b) & F::SIGN;
    if infinite {
        let opposed = F::is_infinite(c) && c & F::SIGN != product_sign;
        return if opposed { invalid::<F>() } else { (product_sign | F::INFINITY, Flags::NONE) };
    }
    if F::is_infinite(c) {
        return (c, Flags::NONE);
    }
    if F::is_zero(a) || F::is_zero(b) {
        let sum = match (F::is_zero(c), c & F::SIGN == product_sign) {
            (false, _) | (true, true) => c,
            (true, false) => zero_sum::<F>(rounding),
        };
        return (sum, Flags::NONE);
    }

    // Both terms with bit 126 as their highest, so that a sum fits. The product has 2 × PRECISION significant bits at
    // most, hence 21 zeros below them, and the addend has 74: a shift that loses bits of either is greater than 1, and
    // then the difference of the two keeps bit 125 or 126, far above the sticky bit.
    let (a, b) = (unpack::<F>(a), unpack::<F>(b));
    // Bit 0 of a significand is always zero here: halving it is exact, and keeps bit 127 of the product free.
    let product = u128::from(a.significand >> 1) * u128::from(b.significand);
    let lift = product.leading_zeros() - 1;
    let product = product << lift;
    let product_exponent = a.exponent + 1 + b.exponent - lift as i32;
    let product_negative = product_sign != 0;
    if F::is_zero(c) {
        return round::<F>(product_negative, product_exponent, product, rounding);
    }
    let c = unpack::<F>(c);
    let (addend, addend_exponent) = (u128::from(c.significand) << 63, c.exponent - 63);

    let exponent = product_exponent.max(addend_exponent);
    let product = shift_right_sticky(product, (exponent - product_exponent) as u32);
    let addend = shift_right_sticky(addend, (exponent - addend_exponent) as u32);
    if product_negative == c.negative {
        round::<F>(product_negative, exponent, product + addend, rounding)
    } else if product == addend {
        (zero_sum::<F>(rounding), Flags::NONE)
    } else if product > addend {
        round::<F>(product_negative, exponent, product - addend, rounding)
    } else {
        round::<F>(c.negative, exponent, addend - product, rounding)
    }
}

/// The sum of two terms that cancel out: minus zero only when rounding down.
fn zero_sum<F: Format>(rounding: Rounding) -> u64 {
    if rounding == Rounding::Down { F::SIGN } else { 0 }
}

/// Divides by 2^`shift`; the lowest bit stands for what was lost, too.
fn shift_right_sticky(significand: u128, shift: u32) -> u128 {
    if shift > 127 {
        return u128::from(significand != 0);
    }
    let lost = significand & ((1 << shift) - 1) != 0;
    (significand >> shift) | u128::from(lost)
}

/// a ÷ b.
pub(super) fn divide<F: Format>(rounding: Rounding, a: u64, b: u64) -> (u64, Flags) {
    if F::is_nan(a) || F::is_nan(b) {
        return propagated::<F>(&[a, b]);
    }
    let sign = (a ^ b) & F::SIGN;
    match (F::is_infinite(a), F::is_infinite(b), F::is_zero(a), F::is_zero(b)) {
        (true, true, ..) | (.., true, true) => return invalid::<F>(),
        (true, ..) => return (sign | F::INFINITY, Flags::NONE),
        (_, true, ..) | (_, _, true, _) => return (sign, Flags::NONE),
        (.., true) => return (sign | F::INFINITY, Flags::DIVIDE_BY_ZERO),
        (false, false, false, false) => {}
    }
    let (a, b) = (unpack::<F>(a), unpack::<F>(b));
    // Significands have 64 bits, so the quotient has 63 or 64: enough for a sticky bit at the bottom.
    let dividend = u128::from(a.significand) << 63;
    let divisor = u128::from(b.significand);
    let quotient = (dividend / divisor) | u128::from(dividend % divisor != 0);
    round::<F>(sign != 0, a.exponent - 63 - b.exponent, quotient, rounding)
}

/// √a.
pub(super) fn square_root<F: Format>(rounding: Rounding, a: u64) -> (u64, Flags) {
    if F::is_nan(a) {
        return propagated::<F>(&[a]);
    }
    if F::is_zero(a) || a == F::INFINITY {
        return (a, Flags::NONE);
    }
    if F::is_negative(a) {
        return invalid::<F>();
    }
    let Number { exponent, significand, .. } = unpack::<F>(a);
    // A radicand of 127 or 128 bits with an even exponent, whose root has 64 bits.
    let shift = if exponent & 1 == 0 { 64 } else { 63 };
    let radicand = u128::from(significand) << shift;
    let root = radicand.isqrt();
    let root = root | u128::from(root * root != radicand);
    round::<F>(false, (exponent - shift) / 2, root, rounding)
}
