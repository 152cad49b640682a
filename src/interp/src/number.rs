//! The operations of meanings on numbers.

use cantus_isa::Width;
use cantus_isa::riscv::meaning::{Amo, Binary, Unary};

/// An operation on two numbers. In all uses `operation` is a constant.
#[inline(always)]
pub fn binary(operation: Binary, a: u64, b: u64) -> u64 {
    let (x, y) = (a as i64, b as i64);
    match operation {
        Binary::Add => a.wrapping_add(b),
        Binary::Sub => a.wrapping_sub(b),
        Binary::And => a & b,
        Binary::Or => a | b,
        Binary::Xor => a ^ b,
        Binary::ShiftLeft => a.wrapping_shl(b as u32),
        Binary::ShiftRight => a.wrapping_shr(b as u32),
        Binary::ShiftRightSigned => x.wrapping_shr(b as u32) as u64,
        Binary::RotateLeft => a.rotate_left(b as u32 & 63),
        Binary::RotateRight => a.rotate_right(b as u32 & 63),
        Binary::Equal => u64::from(a == b),
        Binary::Less => u64::from(x < y),
        Binary::LessUnsigned => u64::from(a < b),
        Binary::Mul => a.wrapping_mul(b),
        Binary::MulHigh => ((i128::from(x) * i128::from(y)) >> 64) as u64,
        Binary::MulHighSignedUnsigned => ((i128::from(x) * i128::from(b)) >> 64) as u64,
        Binary::MulHighUnsigned => ((u128::from(a) * u128::from(b)) >> 64) as u64,
        Binary::Div => {
            if b == 0 {
                !0
            } else {
                x.wrapping_div(y) as u64
            }
        }
        Binary::DivUnsigned => a.checked_div(b).unwrap_or(!0),
        Binary::Rem => {
            if b == 0 {
                a
            } else {
                x.wrapping_rem(y) as u64
            }
        }
        Binary::RemUnsigned => a.checked_rem(b).unwrap_or(a),
    }
}

/// An operation on one number.
#[inline(always)]
pub fn unary(operation: Unary, a: u64) -> u64 {
    match operation {
        Unary::LeadingZeros => u64::from(a.leading_zeros()),
        Unary::TrailingZeros => u64::from(a.trailing_zeros()),
        Unary::CountOnes => u64::from(a.count_ones()),
        Unary::OrBytes => u64::from_le_bytes(a.to_le_bytes().map(|byte| if byte == 0 { 0 } else { 255 })),
        Unary::SwapBytes => a.swap_bytes(),
    }
}

/// The low bytes as a signed number.
#[inline(always)]
pub fn sign_extend(width: Width, a: u64) -> u64 {
    match width {
        Width::Byte => a as i8 as u64,
        Width::Half => a as i16 as u64,
        Width::Word => a as i32 as u64,
        Width::Double => a,
    }
}

/// The low bytes as an unsigned number.
#[inline(always)]
pub fn zero_extend(width: Width, a: u64) -> u64 {
    match width {
        Width::Byte => a & 0xff,
        Width::Half => a & 0xffff,
        Width::Word => a & 0xffff_ffff,
        Width::Double => a,
    }
}

/// What an AMO stores over `old`, both as wide as the access and zero-extended.
#[inline(always)]
pub fn amo(amo: Amo, width: Width, old: u64, operand: u64) -> u64 {
    let less = match amo {
        Amo::Min | Amo::Max => (sign_extend(width, old) as i64) < sign_extend(width, operand) as i64,
        Amo::MinUnsigned | Amo::MaxUnsigned => old < operand,
        Amo::Swap | Amo::Add | Amo::Xor | Amo::And | Amo::Or => false,
    };
    match amo {
        Amo::Swap => operand,
        Amo::Add => old.wrapping_add(operand),
        Amo::Xor => old ^ operand,
        Amo::And => old & operand,
        Amo::Or => old | operand,
        Amo::Min | Amo::MinUnsigned if less => old,
        Amo::Max | Amo::MaxUnsigned if !less => old,
        Amo::Min | Amo::MinUnsigned | Amo::Max | Amo::MaxUnsigned => operand,
    }
}
