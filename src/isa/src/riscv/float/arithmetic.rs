//! The six operations that round: which of the three ways each takes.
//!
//! 1. *Plain*: rounding to nearest even, NX accrued already. The host computes in its default mode and nobody reads
//!    its flags, because the result shows that no flag but NX can have been raised: a finite result excludes
//!    overflow, division by zero and invalid; a result above the smallest normal number excludes underflow.
//! 2. *Measured*: under an MXCSR with the guest's rounding mode, its flags read afterwards. For results that are numbers.
//! 3. *Soft*: all else. A NaN result is left to it since hosts differ in when a fused multiply-add is invalid.
//!
//! The flags that an operation returns, added to the accrued ones, are the new accrued ones: ways 1 and 2 may leave
//! out, or repeat, what was accrued before.

use super::format::Format;
use super::host::{Control, Fusion, Native};
use super::{Flags, Rounding, soft};

/// Takes the cheapest way that gives a right answer. `settled` says of a plain result that it implies the flags.
#[inline(always)]
fn compute<F: Format>(
    rounding: Rounding,
    accrued: Flags,
    settled: impl FnOnce(u64) -> bool,
    plain: impl FnOnce() -> u64,
    measured: impl FnOnce(Control) -> (u64, Flags),
    soft: impl FnOnce() -> (u64, Flags),
) -> (u64, Flags) {
    if rounding == Rounding::NearestEven && accrued.contains(Flags::INEXACT) {
        let value = plain();
        if settled(value) {
            return (value, Flags::NONE);
        }
    }
    if let Some(control) = Control::of(rounding, accrued) {
        let (value, raised) = measured(control);
        if !F::is_nan(value) {
            return (value, raised);
        }
    }
    soft()
}

/// a + b. A sum that is subnormal or zero is exact, so every finite one is settled.
#[inline]
pub(super) fn add<F: Native>(rounding: Rounding, accrued: Flags, a: u64, b: u64) -> (u64, Flags) {
    compute::<F>(
        rounding,
        accrued,
        F::is_finite,
        || F::add(a, b),
        |control| F::add_measured(control, a, b),
        || soft::add::<F>(rounding, a, b),
    )
}

/// a - b.
#[inline]
pub(super) fn subtract<F: Native>(rounding: Rounding, accrued: Flags, a: u64, b: u64) -> (u64, Flags) {
    add::<F>(rounding, accrued, a, b ^ F::SIGN)
}

/// a × b.
#[inline]
pub(super) fn multiply<F: Native>(rounding: Rounding, accrued: Flags, a: u64, b: u64) -> (u64, Flags) {
    compute::<F>(
        rounding,
        accrued,
        F::is_settled,
        || F::multiply(a, b),
        |control| F::multiply_measured(control, a, b),
        || soft::multiply::<F>(rounding, a, b),
    )
}

/// a ÷ b.
#[inline]
pub(super) fn divide<F: Native>(rounding: Rounding, accrued: Flags, a: u64, b: u64) -> (u64, Flags) {
    compute::<F>(
        rounding,
        accrued,
        F::is_settled,
        || F::divide(a, b),
        |control| F::divide_measured(control, a, b),
        || soft::divide::<F>(rounding, a, b),
    )
}

/// √a. A root never overflows or underflows, so every finite one is settled.
#[inline]
pub(super) fn square_root<F: Native>(rounding: Rounding, accrued: Flags, a: u64) -> (u64, Flags) {
    // The two ways to the nearest differ on ties only, and a root is never one: halfway between two numbers of p bits
    // lies an odd multiple of a power of two with p + 1 bits, and its square, odd again, has 2p + 1 bits or more, so
    // it is no number of the format.
    let rounding = match rounding {
        Rounding::NearestMaxMagnitude => Rounding::NearestEven,
        Rounding::NearestEven | Rounding::TowardZero | Rounding::Down | Rounding::Up => rounding,
    };
    compute::<F>(
        rounding,
        accrued,
        F::is_finite,
        || F::square_root(a),
        |control| F::square_root_measured(control, a),
        || soft::square_root::<F>(rounding, a),
    )
}

/// a × b + c, rounded once.
#[inline]
pub(super) fn multiply_add<F: Native>(
    rounding: Rounding,
    accrued: Flags,
    a: u64,
    b: u64,
    c: u64,
) -> (u64, Flags) {
    let Some(fusion) = Fusion::of_host() else {
        return soft::multiply_add::<F>(rounding, a, b, c);
    };
    compute::<F>(
        rounding,
        accrued,
        F::is_settled,
        || F::multiply_add(fusion, a, b, c),
        |control| F::multiply_add_measured(fusion, control, a, b, c),
        || soft::multiply_add::<F>(rounding, a, b, c),
    )
}
