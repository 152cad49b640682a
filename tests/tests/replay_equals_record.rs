//! `replay(record(p)) == p`: random programs of 2 to 16 cores, each recorded by 1 to 4 workers under a random schedule
//! and replayed by another number of workers.
//!
//! `cargo xtask fuzz` does the same for as many programs as one likes.

use cantus_tests::equation::check_seed;
use cantus_tests::generator::Size;
use std::ops::Range;
use std::path::Path;

fn check(seeds: Range<u64>, size: Size) {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    for seed in seeds {
        if let Err(report) = check_seed(seed, size, folder, false) {
            panic!("{report}");
        }
    }
}

#[test]
fn rep_1_small_programs_0_to_499() {
    check(0..500, Size::default());
}

#[test]
fn rep_1_small_programs_500_to_999() {
    check(500..1000, Size::default());
}

#[test]
fn rep_1_small_programs_1000_to_1499() {
    check(1000..1500, Size::default());
}

#[test]
fn rep_1_small_programs_1500_to_1999() {
    check(1500..2000, Size::default());
}

#[test]
fn rep_1_pairs_of_cores() {
    check(10_000..10_200, Size { cores_max: 2, statements_max: 60 });
}

#[test]
fn rep_1_long_programs() {
    check(20_000..20_050, Size { cores_max: 16, statements_max: 200 });
}
