//! The guests with bugs: a hunt finds each, what it found fails the same way on every replay, its neighbour in the schedule
//! passes, and the fixed program survives. One test for each guest; the last one says when a guest has none.

use cantus::{Captured, Guest, Options, Outcome, Output, ReplayOptions, Verdict, hunt};
use cantus_guests::{Catalogue, Program};
use std::path::Path;

/// Runs that a hunt may take.
const HUNT_RUNS: u64 = 400;
/// Runs that the fixed program must survive.
const FIXED_RUNS: u64 = 1_000;

fn open(program: Program<'_>) -> Guest {
    Guest::open(program.elf()).unwrap()
}

fn options(cores: u16, run: u64) -> Options {
    let (policy, seed) = hunt::schedule(1, run, 100_000);
    Options {
        cores: usize::from(cores),
        workers: 1,
        policy,
        seed,
        ram_bytes: 16 << 20,
        steps_max: Some(50_000_000),
        ..Options::default()
    }
}

/// Whether a run ended as the catalogue says.
fn is(outcome: Outcome, expected: cantus_guests::Outcome) -> bool {
    match expected {
        cantus_guests::Outcome::Pass => outcome == Outcome::Exit(0),
        cantus_guests::Outcome::Fail(status) => outcome == Outcome::Exit(u32::from(status)),
        cantus_guests::Outcome::Stuck => outcome == Outcome::Hung,
    }
}

fn bug(name: &str) {
    let catalogue = Catalogue::load();
    let listed = catalogue.guest(name).expect("in the catalogue");
    let (broken, fixed) = (open(listed.broken().expect("a bug")), open(listed.correct()));
    let folder = tempfile::tempdir().unwrap();
    let trace = folder.path().join("caught.cantus");

    let caught = (0..HUNT_RUNS).find_map(|run| {
        let said = Captured::default();
        let options = Options { output: Output::Captured(said.clone()), ..options(listed.cores, run) };
        let recorded = cantus::record(&broken, &options, &trace, true).unwrap();
        hunt::is_failure(recorded.outcome).then(|| (run, recorded, said.bytes()))
    });
    let (run, recorded, said) = caught.unwrap_or_else(|| panic!("{name}: not caught in {HUNT_RUNS} runs"));
    assert!(is(recorded.outcome, listed.outcome), "{name}, run {run}: {:?}", recorded.outcome);

    for workers in [1, 2, 3] {
        let again = Captured::default();
        let output = Output::Captured(again.clone());
        let replay = ReplayOptions { workers, output, ..ReplayOptions::default() };
        let replayed = cantus::replay(&trace, &replay).unwrap();
        assert_eq!(replayed.verdict, Verdict::Identical, "{name}, run {run}, {workers} workers");
        assert_eq!(
            (replayed.steps, again.bytes()),
            (recorded.steps.clone(), said.clone()),
            "{name}, run {run}"
        );
    }
    narrows(name, &broken, &options(listed.cores, run), folder.path());

    for run in 0..FIXED_RUNS {
        let ended = cantus::record(&fixed, &options(listed.cores, run), &trace, true).unwrap().outcome;
        assert_eq!(ended, Outcome::Exit(0), "{name}, fixed, run {run}");
    }
}

/// The schedule's neighbours: one passes, one fails, and their difference says why.
fn narrows(name: &str, broken: &Guest, options: &Options, folder: &Path) {
    let (passing, failing) = (folder.join("passing.cantus"), folder.join("failing.cantus"));
    let narrowed = hunt::narrow(broken, options, &passing, &failing).unwrap();
    let Some(narrowed) = narrowed else {
        panic!("{name}: the run that failed does not fail again under {:?}", options.policy);
    };
    assert!(!hunt::is_failure(narrowed.passing.outcome) && hunt::is_failure(narrowed.failing.outcome));
    let difference = cantus::diff(&passing, &failing).unwrap();
    assert!(!difference.same() && difference.why.is_some(), "{name}: {difference}");
}

macro_rules! bugs {
    ($($name:ident)*) => {
        $(#[test]
        fn $name() {
            bug(stringify!($name));
        })*

        #[test]
        fn every_bug_of_the_catalogue_is_hunted() {
            let hunted = [$(stringify!($name)),*];
            for guest in Catalogue::load().guests.iter().filter(|guest| guest.broken().is_some()) {
                assert!(hunted.contains(&guest.name.as_str()), "{} has no test here", guest.name);
            }
        }
    };
}

bugs! {
    aba_stack bank_transfer box_office double_checked interrupt_ring lock_order lost_update lost_wakeup peterson
    reference_count seqlock test_and_set torn_read
}
