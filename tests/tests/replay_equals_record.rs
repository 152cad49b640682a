//! `replay(record(p)) == p`: random programs, recorded and replayed with different numbers of workers.

use cantus_tests::equation::check_seed;
use cantus_tests::generator::Size;
use std::path::Path;

/// Programs of each of the tests below.
const PROGRAMS: u64 = 500;

fn check(seeds: std::ops::Range<u64>) {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    for seed in seeds {
        if let Err(report) = check_seed(seed, Size::default(), folder, false) {
            panic!("{report}");
        }
    }
}

#[test]
fn rep_1_first_quarter() {
    check(0..PROGRAMS);
}
