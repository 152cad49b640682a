//! Regression tests as another project would write them, with the crate `cantus` alone.
//!
//! The project under test is a bank: `bank_transfer-broken` is the program as it was when accounts were overdrawn now
//! and then, `bank_transfer-fixed` the program since then.

use cantus::{Captured, Guest, Options, Outcome, Output, Policy, ReplayOptions, Selection, Verdict};
use std::path::{Path, PathBuf};

/// A program of the project.
fn program(name: &str) -> Guest {
    let elf = Path::new(env!("CARGO_MANIFEST_DIR")).join("guests/riscv64/elf").join(format!("{name}.elf"));
    Guest::open(elf).unwrap()
}

/// Runs that follow from their options: one worker, and the virtual clock, which is the default.
fn options(seed: u64) -> Options {
    Options { cores: 2, workers: 1, policy: Policy::Random { slice_max: 1000 }, seed, ..Options::default() }
}

/// The first recording that fails, and the seed of its schedule.
fn failing(folder: &Path) -> (PathBuf, u64) {
    let trace = folder.join("overdrawn.cantus");
    let fails = |seed: &u64| {
        let recorded =
            cantus::record(&program("bank_transfer-broken"), &options(*seed), &trace, true).unwrap();
        cantus::hunt::is_failure(recorded.outcome)
    };
    let seed = (0..1_000).find(fails).expect("the bug shows under one of many schedules");
    (trace, seed)
}

/// The text of a trace's events that equal runs have in common.
fn events(trace: &Path) -> String {
    cantus::dump(trace, Selection { normalised: true, ..Selection::default() }).unwrap()
}

#[test]
fn the_bug_is_replayed_as_it_was_recorded() {
    let folder = tempfile::tempdir().unwrap();
    let (trace, _) = failing(folder.path());
    for workers in [1, 2, 4] {
        let captured = Captured::default();
        let output = Output::Captured(captured.clone());
        let verified =
            cantus::verify(&trace, &ReplayOptions { workers, output, ..ReplayOptions::default() }).unwrap();
        assert_eq!(verified.replayed.verdict, Verdict::Identical);
        let footer = verified.replayed.footer.expect("the recording came to its end");
        assert_eq!(footer.exit_status, Some(1));
        let console = String::from_utf8(captured.bytes()).unwrap();
        assert!(console.starts_with("FAILED: bank_transfer: "), "{console}");
    }
}

#[test]
fn the_fixed_program_survives_the_schedules_that_broke_the_old_one() {
    let folder = tempfile::tempdir().unwrap();
    let (trace, seed) = failing(folder.path());
    for seed in seed..seed + 50 {
        let recorded = cantus::record(&program("bank_transfer-fixed"), &options(seed), &trace, true).unwrap();
        assert_eq!(recorded.outcome, Outcome::Exit(0), "seed {seed}");
    }
}

#[test]
fn the_bug_begins_where_the_balance_is_checked() {
    let folder = tempfile::tempdir().unwrap();
    let (_, seed) = failing(folder.path());
    let [passing, failing] = ["passing.cantus", "failing.cantus"].map(|name| folder.path().join(name));
    let narrowed =
        cantus::hunt::narrow(&program("bank_transfer-broken"), &options(seed), &passing, &failing).unwrap();
    let narrowed = narrowed.expect("one choice of the schedule makes it fail");
    assert_eq!(narrowed.passing.outcome, Outcome::Exit(0));
    assert_eq!(narrowed.failing.outcome, Outcome::Exit(1));

    let difference = cantus::diff(&passing, &failing).unwrap();
    assert!(!difference.same());
    let why = difference.why.expect("there is a reason");
    let place = why.site.expect("it is in the program's code").to_string();
    assert!(place.contains("withdraw()"), "{place}");
    assert!(cantus::diff(&failing, &failing).unwrap().same());
}

#[test]
fn what_a_run_depends_on_can_be_kept() {
    let folder = tempfile::tempdir().unwrap();
    let guest = program("bank_transfer-fixed");
    // A few choices of the schedule, and then in turn: enough to see how the cores meet.
    let options = Options { choices_max: 250, ..options(7) };
    let record = |name: &str| {
        let recorded = cantus::record(&guest, &options, folder.path().join(name), false).unwrap();
        events(&recorded.path)
    };
    let once = record("once.cantus");
    assert_eq!(once, record("again.cantus"), "equal runs give equal text");
    insta::assert_snapshot!("events", once);
}
