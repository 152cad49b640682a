//! The ways to a result agree: plain, measured and soft, in every rounding mode that the host has.

use super::numbers::Numbers;
use crate::riscv::float::format::{Double, Single};
use crate::riscv::float::host::{Control, Fusion, Native};
use crate::riscv::float::{Flags, Rounding, arithmetic, evaluate, soft};
use crate::riscv::op::Opcode;

/// The soft result is the reference. There may be no way to measure.
fn agree<F: Native>(
    rounding: Rounding,
    operands: &[u64],
    soft: (u64, Flags),
    measured: impl Fn(Control) -> Option<(u64, Flags)>,
    chosen: impl Fn(Flags) -> (u64, Flags),
) {
    for accrued in (0..32).step_by(1 + operands[0] as usize % 7).map(Flags) {
        let context = || format!("{rounding:?} {operands:#x?}: {:#x} {:?} in software", soft.0, soft.1);
        let expected = (soft.0, soft.1 | accrued);
        if let Some(measured) = Control::of(rounding, accrued).and_then(&measured) {
            // Which NaN it is, and what that raised, is the host's own business.
            assert_eq!(F::is_nan(measured.0), F::is_nan(soft.0), "{}", context());
            assert!(F::is_nan(soft.0) || measured == expected, "{}, measured {measured:x?}", context());
        }
        let (value, raised) = chosen(accrued);
        assert_eq!((value, raised | accrued), expected, "{}", context());
    }
}

fn ways<F: Native>(seed: u64, count: usize) {
    let mut numbers = Numbers::new(seed);
    let fusion = Fusion::of_host();
    for _ in 0..count {
        let [a, b, c] = numbers.triple::<F>(F::multiply);
        for rounding in Rounding::ALL {
            agree::<F>(
                rounding,
                &[a, b],
                soft::add::<F>(rounding, a, b),
                |control| Some(F::add_measured(control, a, b)),
                |accrued| arithmetic::add::<F>(rounding, accrued, a, b),
            );
            agree::<F>(
                rounding,
                &[a, b],
                soft::multiply::<F>(rounding, a, b),
                |control| Some(F::multiply_measured(control, a, b)),
                |accrued| arithmetic::multiply::<F>(rounding, accrued, a, b),
            );
            agree::<F>(
                rounding,
                &[a, b],
                soft::divide::<F>(rounding, a, b),
                |control| Some(F::divide_measured(control, a, b)),
                |accrued| arithmetic::divide::<F>(rounding, accrued, a, b),
            );
            agree::<F>(
                rounding,
                &[a],
                soft::square_root::<F>(rounding, a),
                |control| Some(F::square_root_measured(control, a)),
                |accrued| arithmetic::square_root::<F>(rounding, accrued, a),
            );
            agree::<F>(
                rounding,
                &[a, b, c],
                soft::multiply_add::<F>(rounding, a, b, c),
                |control| fusion.map(|fusion| F::multiply_add_measured(fusion, control, a, b, c)),
                |accrued| arithmetic::multiply_add::<F>(rounding, accrued, a, b, c),
            );
        }
    }
}

#[test]
fn singles_agree_in_software_and_on_the_host() {
    ways::<Single>(0x651, 60_000);
}

#[test]
fn doubles_agree_in_software_and_on_the_host() {
    ways::<Double>(0x6d0, 60_000);
}

#[test]
fn a_measured_operation_leaves_the_default_rounding_behind() {
    let third = || std::hint::black_box(1.0f64) / std::hint::black_box(3.0);
    let before = third();
    let (up, _) = evaluate(Opcode::FdivD, Rounding::Up, Flags::NONE, 1.0f64.to_bits(), 3.0f64.to_bits(), 0);
    assert_eq!(third(), before);
    assert_eq!(up, before.to_bits() + 1);
    // Subnormal operands and results still count.
    let tiny = std::hint::black_box(f64::from_bits(3));
    assert_eq!((tiny + tiny).to_bits(), 6);
}
