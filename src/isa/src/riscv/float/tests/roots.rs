//! Square roots against their definition, in exact integers: no root is computed here, only squares compared.

use super::numbers::Numbers;
use crate::riscv::float::format::{Double, Format, Single};
use crate::riscv::float::{Flags, Rounding, evaluate, soft};
use crate::riscv::op::Opcode;

/// Integer significand with all bits of the precision, and the power of two that it is multiplied with.
fn parts<F: Format>(value: u64) -> (u128, i32) {
    let number = soft::unpack::<F>(value);
    let spare = 64 - F::PRECISION;
    (u128::from(number.significand >> spare), number.exponent + spare as i32)
}

/// Checks that `root`, with these flags, is √`value` for a positive finite value.
fn check<F: Format>(rounding: Rounding, value: u64, (root, raised): (u64, Flags)) {
    let (significand, exponent) = parts::<F>(value);
    let (root_significand, root_exponent) = parts::<F>(root);
    // Everything in quarters of the root's unit, squared: exact, and far below 2^128.
    let scale = exponent - 2 * root_exponent + 4;
    assert!((0..72).contains(&scale), "√{value:#x} = {root:#x} is off by a power of two");
    let radicand = significand << scale;
    let quarters = |beyond: i128| {
        let side = (4 * root_significand as i128 + beyond) as u128;
        side * side
    };
    // Below a power of two, units are half as wide.
    let below = if root_significand == 1 << (F::PRECISION - 1) { -2 } else { -4 };
    let nearest = quarters(below / 2) < radicand && radicand < quarters(2);
    let right = match rounding {
        Rounding::NearestEven | Rounding::NearestMaxMagnitude => nearest,
        Rounding::TowardZero | Rounding::Down => quarters(0) <= radicand && radicand < quarters(4),
        Rounding::Up => quarters(below) < radicand && radicand <= quarters(0),
    };
    assert!(right, "√{value:#x} {rounding:?} is not {root:#x}");
    let inexact = radicand != quarters(0);
    assert_eq!(raised, Flags::INEXACT.when(inexact), "√{value:#x} {rounding:?} = {root:#x}");
}

fn roots<F: Format>(seed: u64, count: usize, code: Opcode) {
    let mut numbers = Numbers::new(seed);
    for index in 0..count {
        // A third of them squares of short numbers, and their neighbours.
        let value = match index % 3 {
            0 => {
                let short = 1 + numbers.below(1 << (F::PRECISION / 2));
                let (square, _) =
                    soft::round::<F>(false, index as i32 % 40, u128::from(short * short), Rounding::Up);
                square + numbers.below(3) - 1
            }
            _ => numbers.value::<F>() & !F::SIGN,
        };
        if F::is_nan(value) || F::is_infinite(value) || F::is_zero(value) {
            continue;
        }
        for rounding in Rounding::ALL {
            check::<F>(rounding, value, soft::square_root::<F>(rounding, value));
            let (root, raised) = evaluate(code, rounding, Flags::NONE, F::boxed(value), 0, 0);
            assert_eq!(root, F::boxed(F::unboxed(root)));
            check::<F>(rounding, value, (F::unboxed(root), raised));
            let (again, accrued) = evaluate(code, rounding, Flags::INEXACT, F::boxed(value), 0, 0);
            assert_eq!((again, accrued), (root, Flags::INEXACT));
        }
    }
}

#[test]
fn roots_are_the_numbers_whose_squares_enclose_the_radicand() {
    roots::<Single>(0x551, 100_000, Opcode::FsqrtS);
    roots::<Double>(0x5d0, 100_000, Opcode::FsqrtD);
}
