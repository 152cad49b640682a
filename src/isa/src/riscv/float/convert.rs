//! Conversions: between numbers and integers, and between the two formats.
//!
//! No conversion needs the host's flags: what was lost shows when the result is converted back.

use super::format::{Double, Format, Single};
use super::host::Native;
use super::{Flags, Rounding, soft};

/// The four integer formats, by the letters of the mnemonics.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Integer {
    /// Signed, 32 bits.
    W,
    /// Unsigned, 32 bits.
    Wu,
    /// Signed, 64 bits.
    L,
    /// Unsigned, 64 bits.
    Lu,
}

impl Integer {
    /// The least and the greatest value.
    #[inline(always)]
    fn range(self) -> (i128, i128) {
        match self {
            Integer::W => (i32::MIN as i128, i32::MAX as i128),
            Integer::Wu => (0, u32::MAX as i128),
            Integer::L => (i64::MIN as i128, i64::MAX as i128),
            Integer::Lu => (0, u64::MAX as i128),
        }
    }

    /// The register that holds a value within the range: 32-bit results are sign-extended, unsigned ones too (21.7).
    #[inline(always)]
    fn register(self, value: i128) -> u64 {
        match self {
            Integer::W | Integer::Wu => i64::from(value as i32) as u64,
            Integer::L | Integer::Lu => value as u64,
        }
    }

    /// Sign and magnitude of what a register holds.
    #[inline(always)]
    fn magnitude(self, register: u64) -> (bool, u64) {
        let signed = match self {
            Integer::W => i64::from(register as i32),
            Integer::L => register as i64,
            Integer::Wu => return (false, u64::from(register as u32)),
            Integer::Lu => return (false, register),
        };
        (signed < 0, signed.unsigned_abs())
    }
}

/// `fcvt` to an integer. Out of range is invalid and gives the nearest limit, a NaN the greatest value (21.7, table
/// "Domains of float-to-integer conversions and behavior for invalid inputs"); invalid excludes inexact.
#[inline]
pub(super) fn to_integer<F: Native>(rounding: Rounding, integer: Integer, value: u64) -> (u64, Flags) {
    if let Some((whole, fraction)) = F::parts(value) {
        let away = match rounding {
            Rounding::NearestEven => fraction.abs() > 0.5 || fraction.abs() == 0.5 && whole & 1 == 1,
            Rounding::TowardZero => false,
            Rounding::Down => fraction < 0.0,
            Rounding::Up => fraction > 0.0,
            Rounding::NearestMaxMagnitude => fraction.abs() >= 0.5,
        };
        let step = if fraction < 0.0 { -1 } else { 1 };
        let rounded = i128::from(whole) + if away { step } else { 0 };
        let (least, greatest) = integer.range();
        if (least..=greatest).contains(&rounded) {
            return (integer.register(rounded), Flags::INEXACT.when(fraction != 0.0));
        }
    }
    to_integer_soft::<F>(rounding, integer, value)
}

/// [`to_integer`] for every operand and rounding mode.
pub(super) fn to_integer_soft<F: Format>(rounding: Rounding, integer: Integer, value: u64) -> (u64, Flags) {
    let (least, greatest) = integer.range();
    if F::is_nan(value) {
        return (integer.register(greatest), Flags::INVALID);
    }
    let beyond = if F::is_negative(value) { least } else { greatest };
    if F::is_infinite(value) {
        return (integer.register(beyond), Flags::INVALID);
    }
    if F::is_zero(value) {
        return (0, Flags::NONE);
    }
    let number = soft::unpack::<F>(value);
    // 2^64 and more.
    if number.exponent > 0 {
        return (integer.register(beyond), Flags::INVALID);
    }
    let significand = u128::from(number.significand);
    let (magnitude, inexact) = match number.exponent.unsigned_abs() {
        0 => (significand, false),
        shift => soft::shift_right_rounded(significand, shift, number.negative, rounding),
    };
    let rounded = if number.negative { -(magnitude as i128) } else { magnitude as i128 };
    // The range is that of the rounded value: -0.5 rounded to zero is a good unsigned number.
    if !(least..=greatest).contains(&rounded) {
        return (integer.register(beyond), Flags::INVALID);
    }
    (integer.register(rounded), Flags::INEXACT.when(inexact))
}

/// `fcvt` from an integer. Zero is +0 in every rounding mode (21.7).
#[inline]
pub(super) fn from_integer<F: Native>(rounding: Rounding, integer: Integer, register: u64) -> (u64, Flags) {
    let (negative, magnitude) = integer.magnitude(register);
    // Exact if the bits from the highest to the lowest that is set fit in the significand. An overflow is impossible.
    let exact = magnitude == 0 || 64 - magnitude.leading_zeros() - magnitude.trailing_zeros() <= F::PRECISION;
    if exact || rounding == Rounding::NearestEven {
        let nearest = F::nearest(magnitude);
        return (nearest | if negative { F::SIGN } else { 0 }, Flags::INEXACT.when(!exact));
    }
    soft::round::<F>(negative, 0, u128::from(magnitude), rounding)
}

/// `fcvt.s.d`.
#[inline]
pub(super) fn narrow(rounding: Rounding, value: u64) -> (u64, Flags) {
    let wide = f64::from_bits(value);
    let nearest = wide as f32;
    let single = u64::from(nearest.to_bits());
    // A NaN equals nothing and is not settled.
    let exact = f64::from(nearest) == wide;
    if exact || rounding == Rounding::NearestEven && Single::is_settled(single) {
        return (single, Flags::INEXACT.when(!exact));
    }
    narrow_soft(rounding, value)
}

/// [`narrow`] for every operand and rounding mode.
pub(super) fn narrow_soft(rounding: Rounding, value: u64) -> (u64, Flags) {
    let sign = if Double::is_negative(value) { Single::SIGN } else { 0 };
    if Double::is_nan(value) {
        return (Single::NAN, Flags::INVALID.when(Double::is_signaling(value)));
    }
    if Double::is_infinite(value) {
        return (sign | Single::INFINITY, Flags::NONE);
    }
    if Double::is_zero(value) {
        return (sign, Flags::NONE);
    }
    let number = soft::unpack::<Double>(value);
    soft::round::<Single>(number.negative, number.exponent, u128::from(number.significand), rounding)
}

/// `fcvt.d.s`: never rounds (22.5).
#[inline]
pub(super) fn widen(value: u64) -> (u64, Flags) {
    if Single::is_nan(value) {
        return (Double::NAN, Flags::INVALID.when(Single::is_signaling(value)));
    }
    (f64::from(f32::from_bits(value as u32)).to_bits(), Flags::NONE)
}
