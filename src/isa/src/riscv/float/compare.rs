//! What looks at numbers without computing with them: order, minimum and maximum, signs, classes.

use super::Flags;
use super::format::Format;

/// `feq`: a quiet comparison, invalid for signaling NaNs only (21.8).
#[inline]
pub(super) fn equal<F: Format>(a: u64, b: u64) -> (u64, Flags) {
    let raised = Flags::INVALID.when(F::is_signaling(a) || F::is_signaling(b));
    (u64::from(!unordered::<F>(a, b) && same::<F>(a, b)), raised)
}

/// `flt`: a signaling comparison, invalid for every NaN (21.8).
#[inline]
pub(super) fn less<F: Format>(a: u64, b: u64) -> (u64, Flags) {
    if unordered::<F>(a, b) {
        return (0, Flags::INVALID);
    }
    (u64::from(!same::<F>(a, b) && precedes::<F>(a, b)), Flags::NONE)
}

/// `fle`: a signaling comparison, invalid for every NaN (21.8).
#[inline]
pub(super) fn less_or_equal<F: Format>(a: u64, b: u64) -> (u64, Flags) {
    if unordered::<F>(a, b) {
        return (0, Flags::INVALID);
    }
    (u64::from(same::<F>(a, b) || precedes::<F>(a, b)), Flags::NONE)
}

/// `fmin`: minimumNumber of IEEE 754-2019, with -0 below +0 (21.6).
#[inline]
pub(super) fn minimum<F: Format>(a: u64, b: u64) -> (u64, Flags) {
    number::<F>(a, b, |a, b| if precedes::<F>(a, b) { a } else { b })
}

/// `fmax`: maximumNumber of IEEE 754-2019, with -0 below +0 (21.6).
#[inline]
pub(super) fn maximum<F: Format>(a: u64, b: u64) -> (u64, Flags) {
    number::<F>(a, b, |a, b| if precedes::<F>(a, b) { b } else { a })
}

/// The one that `choose` takes of two numbers, the number if there is only one, else the canonical NaN. Invalid if
/// either is a signaling NaN, even where the result is a number (21.6).
#[inline(always)]
fn number<F: Format>(a: u64, b: u64, choose: impl FnOnce(u64, u64) -> u64) -> (u64, Flags) {
    let raised = Flags::INVALID.when(F::is_signaling(a) || F::is_signaling(b));
    let chosen = match (F::is_nan(a), F::is_nan(b)) {
        (false, false) => choose(a, b),
        (false, true) => a,
        (true, false) => b,
        (true, true) => F::NAN,
    };
    (chosen, raised)
}

#[inline(always)]
fn unordered<F: Format>(a: u64, b: u64) -> bool {
    F::is_nan(a) || F::is_nan(b)
}

/// Whether two numbers are equal: the same bits, or zeros of any sign.
#[inline(always)]
fn same<F: Format>(a: u64, b: u64) -> bool {
    a == b || F::is_zero(a | b)
}

/// Whether a stands before b on a line of numbers where -0 stands before +0.
#[inline(always)]
fn precedes<F: Format>(a: u64, b: u64) -> bool {
    match (F::is_negative(a), F::is_negative(b)) {
        (true, false) => true,
        (false, true) => false,
        (false, false) => a < b,
        (true, true) => b < a,
    }
}

/// `fsgnj`: the magnitude of one and the sign bit of another, NaNs like any other pattern (21.7).
#[inline(always)]
pub(super) fn inject_sign<F: Format>(magnitude: u64, sign: u64) -> u64 {
    magnitude & !F::SIGN | sign & F::SIGN
}

/// `fclass`: the mask with one bit set for the class (21.9, table "Format of result of FCLASS instruction").
#[inline]
pub(super) fn classify<F: Format>(value: u64) -> u64 {
    let magnitude = value & !F::SIGN;
    let bit = if magnitude > F::INFINITY {
        return if F::is_signaling(value) { 1 << 8 } else { 1 << 9 };
    } else if magnitude == F::INFINITY {
        0
    } else if magnitude > F::FRACTION {
        1
    } else if magnitude != 0 {
        2
    } else {
        3
    };
    // The positive classes are the negative ones mirrored.
    1 << if F::is_negative(value) { bit } else { 7 - bit }
}
