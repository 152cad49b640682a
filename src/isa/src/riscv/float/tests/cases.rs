//! The special cases that the manual spells out, row by row with its section.

use crate::riscv::float::Rounding::{self, *};
use crate::riscv::float::{Flags, box_single, evaluate, unbox_single};
use crate::riscv::op::Opcode::{self, *};

const NONE: u8 = 0;
const NX: u8 = 1;
const UF: u8 = 2;
const OF: u8 = 4;
const DZ: u8 = 8;
const NV: u8 = 16;

/// Section, operation, rounding mode, operands, result, flags.
type Row = (&'static str, Opcode, Rounding, [u64; 3], u64, u8);

fn check(rows: &[Row]) {
    for &(section, code, rounding, [a, b, c], expected, flags) in rows {
        for accrued in [Flags::NONE, Flags::INEXACT, Flags(31)] {
            let found = evaluate(code, rounding, accrued, a, b, c);
            assert_eq!(
                found,
                (expected, accrued | Flags(flags)),
                "{section}: {code:?} {rounding:?} {a:#x} {b:#x} {c:#x} gave {:#x}, not {expected:#x}",
                found.0
            );
        }
    }
}

/// A double's register.
const fn d(value: f64) -> u64 {
    value.to_bits()
}

/// A single's register.
const fn s(value: f32) -> u64 {
    bs(value.to_bits())
}

/// The register of a single given by its bits.
const fn bs(bits: u32) -> u64 {
    0xffff_ffff_0000_0000 | bits as u64
}

const D_INF: u64 = 0x7ff0_0000_0000_0000;
const D_NAN: u64 = 0x7ff8_0000_0000_0000;
const D_SNAN: u64 = 0x7ff0_0000_0000_0001;
const D_PAYLOAD: u64 = 0xfff8_0000_dead_beef;
const D_TINY: u64 = 1;
const D_MAX: u64 = 0x7fef_ffff_ffff_ffff;
const D_MIN_NORMAL: u64 = 0x0010_0000_0000_0000;
const D_MINUS: u64 = 1 << 63;
const S_INF: u64 = bs(0x7f80_0000);
const S_NAN: u64 = bs(0x7fc0_0000);
const S_SNAN: u64 = bs(0x7f80_0001);
const S_PAYLOAD: u64 = bs(0xffc0_beef);
const S_MAX: u64 = bs(0x7f7f_ffff);
const S_MIN_NORMAL: u64 = bs(0x0080_0000);
const S_MINUS: u64 = 1 << 31;

#[test]
fn nan_results_are_canonical() {
    let section = "21.3 NaN Generation and Propagation";
    check(&[
        (section, FaddD, NearestEven, [D_PAYLOAD, d(1.0), 0], D_NAN, NONE),
        (section, FaddD, NearestEven, [d(1.0), D_PAYLOAD, 0], D_NAN, NONE),
        (section, FsubD, Down, [D_SNAN, d(1.0), 0], D_NAN, NV),
        (section, FsubD, Down, [D_INF, D_INF, 0], D_NAN, NV),
        (section, FaddD, Down, [D_INF, D_INF | D_MINUS, 0], D_NAN, NV),
        (section, FmulD, Up, [D_INF, d(-0.0), 0], D_NAN, NV),
        (section, FmulD, Up, [D_PAYLOAD, D_SNAN, 0], D_NAN, NV),
        (section, FdivD, NearestEven, [0, d(-0.0), 0], D_NAN, NV),
        (section, FdivD, TowardZero, [D_INF, D_INF, 0], D_NAN, NV),
        (section, FsqrtD, NearestEven, [D_PAYLOAD, 0, 0], D_NAN, NONE),
        (section, FsqrtD, NearestMaxMagnitude, [D_SNAN, 0, 0], D_NAN, NV),
        (section, FcvtSD, NearestEven, [D_PAYLOAD, 0, 0], S_NAN, NONE),
        (section, FcvtSD, NearestEven, [D_SNAN, 0, 0], S_NAN, NV),
        (section, FcvtDS, NearestEven, [S_PAYLOAD, 0, 0], D_NAN, NONE),
        (section, FcvtDS, NearestEven, [S_SNAN, 0, 0], D_NAN, NV),
        (section, FaddS, NearestEven, [S_PAYLOAD, s(1.0), 0], S_NAN, NONE),
        (section, FmulS, NearestMaxMagnitude, [S_SNAN, s(1.0), 0], S_NAN, NV),
        (section, FsubS, NearestEven, [S_INF, S_INF, 0], S_NAN, NV),
        (section, FmaddS, NearestEven, [s(1.0), s(1.0), S_PAYLOAD], S_NAN, NONE),
        (section, FmaddD, Up, [d(1.0), D_SNAN, D_PAYLOAD], D_NAN, NV),
    ]);
}

#[test]
fn tininess_is_detected_after_rounding() {
    let section = "21.4 Subnormal Arithmetic";
    let largest_subnormal = D_MIN_NORMAL - 1;
    // Their products are a half and a quarter of the smallest subnormal, negative.
    let (left, half, quarter) = (d(-2f64.powi(-537)), d(2f64.powi(-538)), d(2f64.powi(-539)));
    check(&[
        // 2^-1022 × (1 - 2^-53) has 53 bits: it is tiny, though it rounds to the smallest normal number.
        (section, FmaddD, NearestEven, [left, half, D_MIN_NORMAL], D_MIN_NORMAL, UF | NX),
        (section, FmaddD, NearestMaxMagnitude, [left, half, D_MIN_NORMAL], D_MIN_NORMAL, UF | NX),
        (section, FmaddD, Up, [left, half, D_MIN_NORMAL], D_MIN_NORMAL, UF | NX),
        (section, FmaddD, Down, [left, half, D_MIN_NORMAL], largest_subnormal, UF | NX),
        // 2^-1022 × (1 - 2^-54) rounds to 2^-1022 in 53 bits: not tiny, if rounded that way.
        (section, FmaddD, NearestEven, [left, quarter, D_MIN_NORMAL], D_MIN_NORMAL, NX),
        (section, FmaddD, NearestMaxMagnitude, [left, quarter, D_MIN_NORMAL], D_MIN_NORMAL, NX),
        (section, FmaddD, Up, [left, quarter, D_MIN_NORMAL], D_MIN_NORMAL, NX),
        (section, FmaddD, TowardZero, [left, quarter, D_MIN_NORMAL], largest_subnormal, UF | NX),
        // An exact subnormal result does not underflow.
        (section, FmulD, NearestEven, [D_MIN_NORMAL, d(0.5), 0], D_MIN_NORMAL >> 1, NONE),
        (section, FsubD, NearestEven, [D_MIN_NORMAL, D_TINY, 0], largest_subnormal, NONE),
        (section, FmulD, NearestEven, [D_TINY, d(0.5), 0], 0, UF | NX),
        (section, FmulD, NearestMaxMagnitude, [D_TINY, d(0.5), 0], D_TINY, UF | NX),
        (section, FmulD, Up, [D_TINY, D_TINY, 0], D_TINY, UF | NX),
        (section, FmulD, Up, [D_TINY | D_MINUS, D_TINY, 0], D_MINUS, UF | NX),
        (section, FmulD, Down, [D_TINY | D_MINUS, D_TINY, 0], D_MINUS | D_TINY, UF | NX),
        (section, FdivS, NearestEven, [S_MIN_NORMAL, s(3.0), 0], bs(0x002a_aaab), UF | NX),
        (section, FmulS, NearestEven, [bs(0x007f_ffff), bs(0x3f80_0001), 0], S_MIN_NORMAL, NX),
        (section, FcvtSD, NearestEven, [d(1.0e-45), 0, 0], bs(1), UF | NX),
        (section, FcvtSD, Down, [d(1.0e-300), 0, 0], s(0.0), UF | NX),
        (section, FcvtSD, NearestEven, [d(f32::from_bits(1) as f64), 0, 0], bs(1), NONE),
        // 2^-126 × (1 - 2^-25), and × (1 - 2^-24).
        (section, FcvtSD, NearestEven, [0x380f_ffff_f000_0000, 0, 0], S_MIN_NORMAL, NX),
        (section, FcvtSD, NearestEven, [0x380f_ffff_e000_0000, 0, 0], S_MIN_NORMAL, UF | NX),
    ]);
}

#[test]
fn rounding_modes_differ_on_ties_limits_and_signs() {
    let section = "21.2 Floating-Point Control and Status Register, table Rounding mode encoding";
    // 1 + 2^-53 is a tie; 3 units + a half too.
    let half_unit = d(2f64.powi(-53));
    let (one, odd) = (d(1.0), d(1.0) + 1);
    check(&[
        (section, FaddD, NearestEven, [one, half_unit, 0], one, NX),
        (section, FaddD, NearestEven, [odd, half_unit, 0], odd + 1, NX),
        (section, FaddD, TowardZero, [odd, half_unit, 0], odd, NX),
        (section, FaddD, Down, [odd, half_unit, 0], odd, NX),
        (section, FaddD, Up, [one, half_unit, 0], odd, NX),
        (section, FaddD, NearestMaxMagnitude, [one, half_unit, 0], odd, NX),
        (section, FaddD, NearestMaxMagnitude, [odd, half_unit, 0], odd + 1, NX),
        (section, FsubD, NearestEven, [one | D_MINUS, half_unit, 0], one | D_MINUS, NX),
        (section, FsubD, TowardZero, [one | D_MINUS, half_unit, 0], one | D_MINUS, NX),
        (section, FsubD, Down, [one | D_MINUS, half_unit, 0], odd | D_MINUS, NX),
        (section, FsubD, Up, [one | D_MINUS, half_unit, 0], one | D_MINUS, NX),
        (section, FsubD, NearestMaxMagnitude, [one | D_MINUS, half_unit, 0], odd | D_MINUS, NX),
        // An exact zero sum is +0, and -0 when rounding down.
        (section, FsubD, NearestEven, [one, one, 0], 0, NONE),
        (section, FsubD, TowardZero, [one, one, 0], 0, NONE),
        (section, FsubD, Up, [one, one, 0], 0, NONE),
        (section, FsubD, NearestMaxMagnitude, [one, one, 0], 0, NONE),
        (section, FsubD, Down, [one, one, 0], D_MINUS, NONE),
        (section, FaddD, Down, [0, 0, 0], 0, NONE),
        (section, FaddD, NearestEven, [D_MINUS, D_MINUS, 0], D_MINUS, NONE),
        (section, FmsubS, Down, [s(2.0), s(3.0), s(6.0)], s(-0.0), NONE),
        (section, FmsubS, Up, [s(2.0), s(3.0), s(6.0)], s(0.0), NONE),
        // Overflow goes to infinity or to the greatest number.
        (section, FmulD, NearestEven, [D_MAX, d(2.0), 0], D_INF, OF | NX),
        (section, FmulD, TowardZero, [D_MAX, d(2.0), 0], D_MAX, OF | NX),
        (section, FmulD, Down, [D_MAX, d(2.0), 0], D_MAX, OF | NX),
        (section, FmulD, Up, [D_MAX, d(2.0), 0], D_INF, OF | NX),
        (section, FmulD, NearestMaxMagnitude, [D_MAX, d(2.0), 0], D_INF, OF | NX),
        (section, FmulD, Down, [D_MAX, d(-2.0), 0], D_INF | D_MINUS, OF | NX),
        (section, FmulD, Up, [D_MAX, d(-2.0), 0], D_MAX | D_MINUS, OF | NX),
        (section, FaddS, Up, [S_MAX, bs(1), 0], S_INF, OF | NX),
        (section, FaddS, Down, [S_MAX, bs(1), 0], S_MAX, NX),
        (section, FaddS, NearestEven, [S_MAX, bs(1), 0], S_MAX, NX),
        (section, FcvtSD, TowardZero, [D_MAX, 0, 0], S_MAX, OF | NX),
        (section, FcvtSD, NearestEven, [D_MAX, 0, 0], S_INF, OF | NX),
        (section, FcvtSD, NearestEven, [D_INF | D_MINUS, 0, 0], S_INF | S_MINUS, NONE),
    ]);
}

#[test]
fn computational_instructions_at_their_limits() {
    let section = "21.6 Single-Precision Floating-Point Computational Instructions";
    check(&[
        (section, FdivS, NearestEven, [s(1.0), s(0.0), 0], S_INF, DZ),
        (section, FdivS, NearestMaxMagnitude, [s(1.0), s(-0.0), 0], S_INF | S_MINUS, DZ),
        (section, FdivS, NearestEven, [S_INF, s(0.0), 0], S_INF, NONE),
        (section, FdivS, NearestEven, [s(-1.0), S_INF, 0], s(-0.0), NONE),
        (section, FsqrtS, NearestEven, [s(-0.0), 0, 0], s(-0.0), NONE),
        (section, FsqrtS, NearestEven, [s(-1.0), 0, 0], S_NAN, NV),
        (section, FsqrtS, Up, [S_INF | S_MINUS, 0, 0], S_NAN, NV),
        (section, FsqrtS, Up, [S_INF, 0, 0], S_INF, NONE),
        (section, FsqrtS, NearestEven, [s(9.0), 0, 0], s(3.0), NONE),
        (section, FsqrtD, Down, [d(2.0), 0, 0], d(std::f64::consts::SQRT_2) - 1, NX),
        (section, FsqrtD, Up, [d(2.0), 0, 0], d(std::f64::consts::SQRT_2), NX),
        // minimumNumber and maximumNumber.
        (section, FminS, NearestEven, [s(-0.0), s(0.0), 0], s(-0.0), NONE),
        (section, FminS, NearestEven, [s(0.0), s(-0.0), 0], s(-0.0), NONE),
        (section, FmaxS, NearestEven, [s(-0.0), s(0.0), 0], s(0.0), NONE),
        (section, FmaxS, NearestEven, [s(0.0), s(-0.0), 0], s(0.0), NONE),
        (section, FminS, NearestEven, [S_PAYLOAD, s(1.0), 0], s(1.0), NONE),
        (section, FmaxS, NearestEven, [s(1.0), S_PAYLOAD, 0], s(1.0), NONE),
        (section, FminS, NearestEven, [S_SNAN, s(1.0), 0], s(1.0), NV),
        (section, FmaxS, NearestEven, [s(1.0), S_SNAN, 0], s(1.0), NV),
        (section, FminS, NearestEven, [S_PAYLOAD, S_PAYLOAD, 0], S_NAN, NONE),
        (section, FmaxS, NearestEven, [S_PAYLOAD, S_SNAN, 0], S_NAN, NV),
        (section, FminS, NearestEven, [S_INF | S_MINUS, s(1.0), 0], S_INF | S_MINUS, NONE),
        (section, FminD, NearestEven, [d(-2.0), d(-1.0), 0], d(-2.0), NONE),
        (section, FmaxD, NearestEven, [d(-2.0), d(-1.0), 0], d(-1.0), NONE),
        (section, FminD, NearestEven, [D_SNAN, D_SNAN, 0], D_NAN, NV),
        // The fused forms' signs: ab + c, ab - c, -ab + c, -ab - c.
        (section, FmaddS, NearestEven, [s(2.0), s(3.0), s(1.0)], s(7.0), NONE),
        (section, FmsubS, NearestEven, [s(2.0), s(3.0), s(1.0)], s(5.0), NONE),
        (section, FnmsubS, NearestEven, [s(2.0), s(3.0), s(1.0)], s(-5.0), NONE),
        (section, FnmaddS, NearestEven, [s(2.0), s(3.0), s(1.0)], s(-7.0), NONE),
        (section, FmaddD, NearestMaxMagnitude, [d(2.0), d(3.0), d(1.0)], d(7.0), NONE),
        (section, FmsubD, NearestMaxMagnitude, [d(2.0), d(3.0), d(1.0)], d(5.0), NONE),
        (section, FnmsubD, NearestMaxMagnitude, [d(2.0), d(3.0), d(1.0)], d(-5.0), NONE),
        (section, FnmaddD, NearestMaxMagnitude, [d(2.0), d(3.0), d(1.0)], d(-7.0), NONE),
        // The product is not rounded.
        (section, FmsubD, NearestEven, [d(1.0) + 1, d(1.0) + 1, d(1.0) + 2], d(2f64.powi(-104)), NONE),
        // -(ab) - c and its like round after the negation.
        (section, FnmaddD, Down, [d(1.0), d(1.0), D_TINY], d(-1.0) + 1, NX),
        (section, FnmaddD, Up, [d(1.0), d(1.0), D_TINY], d(-1.0), NX),
        // Invalid for ∞ × 0, whatever is added.
        (section, FmaddS, NearestEven, [S_INF, s(0.0), S_PAYLOAD], S_NAN, NV),
        (section, FmaddD, NearestEven, [d(0.0), D_INF, D_PAYLOAD], D_NAN, NV),
        (section, FnmsubD, NearestMaxMagnitude, [d(-0.0), D_INF, D_PAYLOAD], D_NAN, NV),
        (section, FmaddD, NearestEven, [D_INF, d(0.0), d(1.0)], D_NAN, NV),
        (section, FmaddD, NearestEven, [D_INF, d(2.0), D_INF | D_MINUS], D_NAN, NV),
        (section, FmaddD, NearestEven, [D_INF, D_PAYLOAD, d(1.0)], D_NAN, NONE),
        (section, FmaddD, NearestEven, [D_MAX, D_MAX, D_INF | D_MINUS], D_INF | D_MINUS, NONE),
    ]);
}

#[test]
fn integers_saturate() {
    let section = "21.7 Conversion and Move Instructions, table Domains of float-to-integer conversions";
    let w_min = i32::MIN as i64 as u64;
    let l_min = i64::MIN as u64;
    let (w_max, l_max, all) = (i32::MAX as u64, i64::MAX as u64, u64::MAX);
    check(&[
        (section, FcvtWS, TowardZero, [S_INF | S_MINUS, 0, 0], w_min, NV),
        (section, FcvtWuS, TowardZero, [S_INF | S_MINUS, 0, 0], 0, NV),
        (section, FcvtLS, TowardZero, [S_INF | S_MINUS, 0, 0], l_min, NV),
        (section, FcvtLuS, TowardZero, [S_INF | S_MINUS, 0, 0], 0, NV),
        (section, FcvtWS, NearestEven, [S_INF, 0, 0], w_max, NV),
        (section, FcvtWuS, NearestEven, [S_INF, 0, 0], all, NV),
        (section, FcvtLS, NearestEven, [S_INF, 0, 0], l_max, NV),
        (section, FcvtLuS, NearestEven, [S_INF, 0, 0], all, NV),
        (section, FcvtWS, TowardZero, [S_PAYLOAD, 0, 0], w_max, NV),
        (section, FcvtWuS, TowardZero, [S_PAYLOAD, 0, 0], all, NV),
        (section, FcvtLS, TowardZero, [S_SNAN, 0, 0], l_max, NV),
        (section, FcvtLuD, TowardZero, [D_PAYLOAD, 0, 0], all, NV),
        (section, FcvtWD, TowardZero, [d(2147483647.75), 0, 0], w_max, NX),
        (section, FcvtWD, Up, [d(2147483647.75), 0, 0], w_max, NV),
        (section, FcvtWD, NearestEven, [d(2147483648.0), 0, 0], w_max, NV),
        (section, FcvtWD, TowardZero, [d(-2147483648.75), 0, 0], w_min, NX),
        (section, FcvtWD, Down, [d(-2147483648.75), 0, 0], w_min, NV),
        (section, FcvtWD, NearestEven, [d(-2147483648.0), 0, 0], w_min, NONE),
        (section, FcvtWuD, TowardZero, [d(4294967295.5), 0, 0], all, NX),
        (section, FcvtWuD, NearestEven, [d(4294967295.5), 0, 0], all, NV),
        (section, FcvtWuD, TowardZero, [d(4294967296.0), 0, 0], all, NV),
        // A 32-bit unsigned result is sign-extended as well.
        (section, FcvtWuD, TowardZero, [d(2147483648.0), 0, 0], 0xffff_ffff_8000_0000, NONE),
        (section, FcvtWuS, TowardZero, [s(-0.75), 0, 0], 0, NX),
        (section, FcvtWuS, NearestEven, [s(-0.75), 0, 0], 0, NV),
        (section, FcvtWuS, NearestEven, [s(-0.5), 0, 0], 0, NX),
        (section, FcvtWuS, NearestMaxMagnitude, [s(-0.5), 0, 0], 0, NV),
        (section, FcvtLuD, TowardZero, [d(-1.0), 0, 0], 0, NV),
        (section, FcvtLuD, Down, [d(-0.25), 0, 0], 0, NV),
        (section, FcvtLuD, Up, [d(-0.25), 0, 0], 0, NX),
        (section, FcvtWuD, TowardZero, [d(-0.0), 0, 0], 0, NONE),
        (section, FcvtLD, TowardZero, [d(9223372036854775808.0), 0, 0], l_max, NV),
        (section, FcvtLD, TowardZero, [d(-9223372036854775808.0), 0, 0], l_min, NONE),
        (section, FcvtLD, TowardZero, [d(-9223372036854775808.0) + 1, 0, 0], l_min, NV),
        (section, FcvtLuD, TowardZero, [d(9223372036854775808.0), 0, 0], l_min, NONE),
        (section, FcvtLuD, TowardZero, [d(18446744073709551616.0), 0, 0], all, NV),
        (section, FcvtLuD, Up, [d(18446744073709551616.0) - 1, 0, 0], all - 2047, NONE),
        (section, FcvtLS, NearestEven, [s(2.5), 0, 0], 2, NX),
        (section, FcvtLS, NearestMaxMagnitude, [s(2.5), 0, 0], 3, NX),
        (section, FcvtLS, Up, [s(-2.5), 0, 0], -2i64 as u64, NX),
        (section, FcvtLS, Down, [s(-2.5), 0, 0], -3i64 as u64, NX),
        (section, FcvtLS, NearestEven, [bs(1), 0, 0], 0, NX),
        (section, FcvtLS, Up, [bs(1), 0, 0], 1, NX),
    ]);
}

#[test]
fn conversions_from_integers_and_moves() {
    let section = "21.7 and 22.5 Conversion and Move Instructions";
    let l_min = i64::MIN as u64;
    check(&[
        // Only the low 32 bits count for w and wu.
        (section, FcvtSW, NearestEven, [0x1234_5678_ffff_ffff, 0, 0], s(-1.0), NONE),
        (section, FcvtSWu, NearestEven, [0x1234_5678_0000_0007, 0, 0], s(7.0), NONE),
        (section, FcvtSWu, NearestEven, [u64::MAX, 0, 0], s(4294967296.0), NX),
        (section, FcvtSWu, TowardZero, [u64::MAX, 0, 0], s(4294967040.0), NX),
        (section, FcvtDWu, Down, [u64::MAX, 0, 0], d(4294967295.0), NONE),
        (section, FcvtDW, NearestEven, [u64::MAX, 0, 0], d(-1.0), NONE),
        (section, FcvtDL, NearestEven, [l_min, 0, 0], d(-9223372036854775808.0), NONE),
        (section, FcvtDLu, NearestEven, [u64::MAX, 0, 0], d(18446744073709551616.0), NX),
        (section, FcvtDLu, Down, [u64::MAX, 0, 0], d(18446744073709551616.0) - 1, NX),
        (section, FcvtDL, NearestEven, [(1 << 53) + 1, 0, 0], d(9007199254740992.0), NX),
        (section, FcvtDL, NearestMaxMagnitude, [(1 << 53) + 1, 0, 0], d(9007199254740994.0), NX),
        (section, FcvtSL, Up, [(-((1i64 << 24) + 1)) as u64, 0, 0], s(-16777216.0), NX),
        (section, FcvtSLu, Up, [(1 << 24) + 1, 0, 0], s(16777218.0), NX),
        // "Zero is converted to positive zero" by any of them.
        (section, FcvtSL, Down, [0, 0, 0], s(0.0), NONE),
        (section, FcvtDW, Down, [0, 0, 0], d(0.0), NONE),
        (section, FcvtDS, NearestEven, [s(1.5), 0, 0], d(1.5), NONE),
        (section, FcvtDS, NearestEven, [bs(0x8000_0001), 0, 0], d(-(f32::from_bits(1) as f64)), NONE),
        (section, FcvtSD, NearestEven, [d(0.1), 0, 0], s(0.1), NX),
        (section, FmvXW, NearestEven, [bs(0x8000_0001), 0, 0], 0xffff_ffff_8000_0001, NONE),
        (section, FmvXW, NearestEven, [0x1234_5678_7f80_0001, 0, 0], 0x7f80_0001, NONE),
        (section, FmvWX, NearestEven, [0x1234_5678_7f80_0001, 0, 0], bs(0x7f80_0001), NONE),
        (section, FmvXD, NearestEven, [D_SNAN, 0, 0], D_SNAN, NONE),
        (section, FmvDX, NearestEven, [D_SNAN, 0, 0], D_SNAN, NONE),
        // Sign injection takes NaNs as they are.
        (section, FsgnjS, NearestEven, [S_SNAN, s(-1.0), 0], S_SNAN | S_MINUS, NONE),
        (section, FsgnjnS, NearestEven, [s(1.0), s(1.0), 0], s(-1.0), NONE),
        (section, FsgnjxS, NearestEven, [s(-1.0), s(-2.0), 0], s(1.0), NONE),
        (section, FsgnjxS, NearestEven, [s(-1.0), s(2.0), 0], s(-1.0), NONE),
        (section, FsgnjD, NearestEven, [D_SNAN, d(-1.0), 0], D_SNAN | D_MINUS, NONE),
        (section, FsgnjnD, NearestEven, [d(-2.0), d(-3.0), 0], d(2.0), NONE),
        (section, FsgnjxD, NearestEven, [d(-2.0), d(-3.0), 0], d(2.0), NONE),
    ]);
}

#[test]
fn comparisons_signal_and_classes_are_told_apart() {
    let compare = "21.8 Single-Precision Floating-Point Compare Instructions";
    let classify = "21.9 Single-Precision Floating-Point Classify Instruction";
    check(&[
        (compare, FeqS, NearestEven, [S_PAYLOAD, s(1.0), 0], 0, NONE),
        (compare, FeqS, NearestEven, [S_PAYLOAD, S_PAYLOAD, 0], 0, NONE),
        (compare, FeqS, NearestEven, [S_SNAN, s(1.0), 0], 0, NV),
        (compare, FltS, NearestEven, [S_PAYLOAD, s(1.0), 0], 0, NV),
        (compare, FleS, NearestEven, [s(1.0), S_PAYLOAD, 0], 0, NV),
        (compare, FleD, NearestEven, [D_NAN, D_NAN, 0], 0, NV),
        (compare, FeqS, NearestEven, [s(-0.0), s(0.0), 0], 1, NONE),
        (compare, FltS, NearestEven, [s(-0.0), s(0.0), 0], 0, NONE),
        (compare, FleS, NearestEven, [s(0.0), s(-0.0), 0], 1, NONE),
        (compare, FltD, NearestEven, [d(-2.0), d(-1.0), 0], 1, NONE),
        (compare, FltD, NearestEven, [D_INF | D_MINUS, D_INF, 0], 1, NONE),
        (compare, FleD, NearestEven, [D_INF, D_INF, 0], 1, NONE),
        (classify, FclassS, NearestEven, [S_INF | S_MINUS, 0, 0], 1 << 0, NONE),
        (classify, FclassS, NearestEven, [s(-1.0), 0, 0], 1 << 1, NONE),
        (classify, FclassS, NearestEven, [bs(0x807f_ffff), 0, 0], 1 << 2, NONE),
        (classify, FclassS, NearestEven, [s(-0.0), 0, 0], 1 << 3, NONE),
        (classify, FclassS, NearestEven, [s(0.0), 0, 0], 1 << 4, NONE),
        (classify, FclassS, NearestEven, [bs(1), 0, 0], 1 << 5, NONE),
        (classify, FclassS, NearestEven, [S_MIN_NORMAL, 0, 0], 1 << 6, NONE),
        (classify, FclassS, NearestEven, [S_INF, 0, 0], 1 << 7, NONE),
        (classify, FclassS, NearestEven, [S_SNAN | S_MINUS, 0, 0], 1 << 8, NONE),
        (classify, FclassS, NearestEven, [S_PAYLOAD, 0, 0], 1 << 9, NONE),
        (classify, FclassD, NearestEven, [D_MAX | D_MINUS, 0, 0], 1 << 1, NONE),
        (classify, FclassD, NearestEven, [D_MIN_NORMAL - 1, 0, 0], 1 << 5, NONE),
        (classify, FclassD, NearestEven, [D_SNAN, 0, 0], 1 << 8, NONE),
    ]);
}

#[test]
fn an_improperly_boxed_single_is_the_canonical_nan() {
    let section = "22.2 NaN Boxing of Narrower Values";
    // 1.0, with an upper half that is not all ones.
    let (bare, nearly) = (0x3f80_0000, 0xffff_fffe_3f80_0000);
    check(&[
        (section, FaddS, NearestEven, [bare, s(1.0), 0], S_NAN, NONE),
        (section, FmaddS, NearestEven, [s(1.0), s(1.0), nearly], S_NAN, NONE),
        (section, FsqrtS, NearestEven, [nearly, 0, 0], S_NAN, NONE),
        (section, FminS, NearestEven, [nearly, s(2.0), 0], s(2.0), NONE),
        (section, FsgnjS, NearestEven, [bare, s(-1.0), 0], S_NAN | S_MINUS, NONE),
        // The sign of the canonical NaN is positive.
        (section, FsgnjS, NearestEven, [s(-1.0), 0xbf80_0000, 0], s(1.0), NONE),
        (section, FclassS, NearestEven, [bare, 0, 0], 1 << 9, NONE),
        (section, FeqS, NearestEven, [bare, bare, 0], 0, NONE),
        (section, FltS, NearestEven, [bare, s(2.0), 0], 0, NV),
        (section, FcvtWS, TowardZero, [bare, 0, 0], i32::MAX as u64, NV),
        (section, FcvtDS, NearestEven, [bare, 0, 0], D_NAN, NONE),
        // The move does not look.
        (section, FmvXW, NearestEven, [bare, 0, 0], 0x3f80_0000, NONE),
    ]);
    assert_eq!(box_single(0x3f80_0000), s(1.0));
    assert_eq!(unbox_single(s(1.0)), 0x3f80_0000);
    assert_eq!(unbox_single(nearly), 0x7fc0_0000);
}

#[test]
fn rounding_modes_are_numbered_as_in_frm() {
    for (bits, mode) in Rounding::ALL.into_iter().enumerate() {
        assert_eq!(mode as usize, bits);
        assert_eq!(Rounding::from_bits(bits as u8), Some(mode));
    }
    for reserved in [5, 6, 7, 8, 255] {
        assert_eq!(Rounding::from_bits(reserved), None);
    }
}

#[test]
#[should_panic(expected = "Addi is no computational instruction of F or D")]
fn an_integer_operation_is_refused() {
    evaluate(Addi, NearestEven, Flags::NONE, 0, 0, 0);
}
