//! The two formats, binary32 and binary64, and the boxing of the first in registers of the second.
//!
//! A value is its bit pattern in the low bits of a `u64`, the bits above it zero, whatever the format.

/// A binary interchange format of IEEE 754.
pub(super) trait Format: Copy {
    /// Bits of the encoding.
    const WIDTH: u32;
    /// Bits of the significand, the implicit one included.
    const PRECISION: u32;

    /// The sign bit.
    const SIGN: u64 = 1 << (Self::WIDTH - 1);
    /// The bits of the fraction.
    const FRACTION: u64 = (1 << (Self::PRECISION - 1)) - 1;
    /// Plus infinity, which is also the mask of the exponent's field.
    const INFINITY: u64 = (Self::SIGN - 1) & !Self::FRACTION;
    /// The bit that tells a quiet NaN from a signaling one.
    const QUIET: u64 = 1 << (Self::PRECISION - 2);
    /// The canonical NaN (21.3, "NaN Generation and Propagation").
    const NAN: u64 = Self::INFINITY | Self::QUIET;
    /// 1.0
    const ONE: u64 = (Self::INFINITY >> 1) & Self::INFINITY;
    /// Exponent of the smallest normal number, that is, `e` of 2^e.
    const EXPONENT_MIN: i32 = 2 - (1 << (Self::WIDTH - Self::PRECISION - 1));
    /// Exponent of the greatest finite number.
    const EXPONENT_MAX: i32 = 1 - Self::EXPONENT_MIN;

    /// The value in a 64-bit register.
    fn unboxed(register: u64) -> u64;
    /// The register that holds a value.
    fn boxed(value: u64) -> u64;

    /// Whether it is a NaN of either kind.
    #[inline(always)]
    fn is_nan(value: u64) -> bool {
        value & !Self::SIGN > Self::INFINITY
    }

    /// Whether it is a signaling NaN.
    #[inline(always)]
    fn is_signaling(value: u64) -> bool {
        Self::is_nan(value) && value & Self::QUIET == 0
    }

    /// Whether it is an infinity.
    #[inline(always)]
    fn is_infinite(value: u64) -> bool {
        value & !Self::SIGN == Self::INFINITY
    }

    /// Whether it is a zero.
    #[inline(always)]
    fn is_zero(value: u64) -> bool {
        value & !Self::SIGN == 0
    }

    /// Whether the sign bit is set.
    #[inline(always)]
    fn is_negative(value: u64) -> bool {
        value & Self::SIGN != 0
    }
}

/// binary32: F.
#[derive(Clone, Copy)]
pub(super) struct Single;

/// binary64: D.
#[derive(Clone, Copy)]
pub(super) struct Double;

impl Format for Single {
    const WIDTH: u32 = 32;
    const PRECISION: u32 = 24;

    #[inline(always)]
    fn unboxed(register: u64) -> u64 {
        u64::from(unbox_single(register))
    }

    #[inline(always)]
    fn boxed(value: u64) -> u64 {
        box_single(value as u32)
    }
}

impl Format for Double {
    const WIDTH: u32 = 64;
    const PRECISION: u32 = 53;

    #[inline(always)]
    fn unboxed(register: u64) -> u64 {
        register
    }

    #[inline(always)]
    fn boxed(value: u64) -> u64 {
        value
    }
}

const BOX: u64 = 0xffff_ffff_0000_0000;

/// The register content that holds a single: its bits below, ones above (22.2, "NaN Boxing of Narrower Values"). What
/// `flw` and `fmv.w.x` write.
#[inline(always)]
pub fn box_single(bits: u32) -> u64 {
    BOX | u64::from(bits)
}

/// The single in a register: the low half, or the canonical NaN if the high half is not all ones (22.2). Not for
/// `fsw` and `fmv.x.w`, which take the low half as it is.
#[inline(always)]
pub fn unbox_single(register: u64) -> u32 {
    if register >= BOX { register as u32 } else { Single::NAN as u32 }
}
