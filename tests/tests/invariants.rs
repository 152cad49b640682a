//! Invariants that hold for the machine as a whole, attacked on real guests.

use cantus::{Captured, ClockPolicy, Guest, Input, Options, Outcome, Output, Policy, ReplayOptions, Verdict};
use cantus_guests::Catalogue;
use cantus_traces::{Event, Position, Trace};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

fn guest(name: &str) -> Guest {
    Guest::open(Catalogue::load().guest(name).expect("in the catalogue").correct().elf()).unwrap()
}

fn record(name: &str, options: &Options, folder: &TempDir) -> (PathBuf, Outcome) {
    let path = folder.path().join(format!("{name}.cantus"));
    let recorded = cantus::record(&guest(name), options, &path, true).unwrap();
    (path, recorded.outcome)
}

fn events(path: &Path) -> Vec<Vec<(Position, Event)>> {
    Trace::open(path).unwrap().read_all().unwrap()
}

#[test]
fn state_1_input_is_a_step_of_a_core() {
    let folder = tempfile::tempdir().unwrap();
    let said = Captured::default();
    let options = Options {
        input: Input::Bytes(b"to be echoed\n".to_vec()),
        output: Output::Captured(said.clone()),
        ..Options::default()
    };
    let (path, outcome) = record("echo", &options, &folder);
    assert_eq!(outcome, Outcome::Exit(0));
    assert!(String::from_utf8_lossy(&said.bytes()).contains("TO BE ECHOED"));
    let streams = events(&path);
    let inputs = streams
        .iter()
        .flat_map(|events| events.windows(2).filter(|pair| matches!(pair[0].1, Event::Input { .. })));
    let mut count = 0;
    for pair in inputs {
        count += 1;
        assert!(pair[1].0 > pair[0].0, "STATE-1: {pair:?} share a position");
    }
    assert!(count > 0, "there was input");
    let again = Captured::default();
    let replay = ReplayOptions { output: Output::Captured(again.clone()), ..ReplayOptions::default() };
    assert_eq!(cantus::replay(&path, &replay).unwrap().verdict, Verdict::Identical);
    assert_eq!(again.bytes(), said.bytes(), "ORD-8");
}

#[test]
fn state_2_a_run_follows_from_its_seed() {
    let folder = tempfile::tempdir().unwrap();
    let options = |seed| Options {
        cores: 3,
        workers: 1,
        policy: Policy::Random { slice_max: 300 },
        digest_interval: 1_000,
        seed,
        ..Options::default()
    };
    let mut different = 0;
    for seed in 0..10 {
        let first = events(&record("lost_update", &options(seed), &folder).0);
        let second = events(&record("lost_update", &options(seed), &folder).0);
        assert!(first == second, "STATE-2: two runs of seed {seed} differ");
        let other = events(&record("lost_update", &options(seed + 100), &folder).0);
        different += usize::from(first != other);
    }
    assert!(different > 5, "seeds make no difference");
}

#[test]
fn state_3_what_the_clock_said_is_in_the_trace() {
    let folder = tempfile::tempdir().unwrap();
    for clock in [ClockPolicy::Host, ClockPolicy::Virtual] {
        let options = Options { cores: 2, workers: 2, clock, ..Options::default() };
        let (path, outcome) = record("timer", &options, &folder);
        assert_eq!(outcome, Outcome::Exit(0));
        let readings: Vec<u64> = events(&path)
            .concat()
            .into_iter()
            .filter_map(|(_, event)| if let Event::Clock(ticks) = event { Some(ticks) } else { None })
            .collect();
        assert!(readings.len() > 10, "STATE-3: {} readings", readings.len());
        // The replay has no clock: if a reading were not in the trace, it would diverge.
        let replayed = cantus::replay(&path, &ReplayOptions::default()).unwrap();
        assert_eq!(replayed.verdict, Verdict::Identical, "STATE-3");
    }
}

#[test]
fn ord_5_cores_that_wait_keep_nobody_waiting() {
    let folder = tempfile::tempdir().unwrap();
    // Far more cores than workers, all after the same granules.
    for (name, cores, workers) in
        [("lost_update", 16, 1), ("lost_update", 16, 2), ("lrsc_counter", 8, 3), ("amo_mix", 16, 4)]
    {
        let options = Options { cores, workers, steps_max: Some(50_000_000), ..Options::default() };
        let (path, outcome) = record(name, &options, &folder);
        assert_eq!(outcome, Outcome::Exit(0), "ORD-5: {name} on {cores} cores and {workers} workers");
        let replayed =
            cantus::replay(&path, &ReplayOptions { workers: 2, ..ReplayOptions::default() }).unwrap();
        assert_eq!(replayed.verdict, Verdict::Identical);
    }
}

#[test]
fn the_largest_machine_runs_on_two_workers() {
    let folder = tempfile::tempdir().unwrap();
    let said = Captured::default();
    let options =
        Options { cores: 255, workers: 2, output: Output::Captured(said.clone()), ..Options::default() };
    let (path, outcome) = record("hello", &options, &folder);
    assert_eq!(outcome, Outcome::Exit(0));
    assert_eq!(String::from_utf8_lossy(&said.bytes()).matches("hello from hart").count(), 255);
    for workers in [1, 2, 4] {
        let again = Captured::default();
        let output = Output::Captured(again.clone());
        let replay = ReplayOptions { workers, output, ..ReplayOptions::default() };
        assert_eq!(cantus::replay(&path, &replay).unwrap().verdict, Verdict::Identical);
        assert_eq!(again.bytes(), said.bytes(), "ORD-8");
    }
}
