//! Bugs of programs with threads and of a kernel module under Debian's kernel: a hunt over seeds finds each, what it found
//! replays with the same console every time, and the fixed ones do not fail under the same seeds.
//!
//! The programs stand in `tests/guests/linux/bugs`, pbzip2 with a bug that it once had among them; the module, which is
//! loaded once for each of its bugs, in `tests/guests/linux/module`. All of them run in one boot, one after the other, since
//! a boot takes most of the time. One that strikes does not end the machine: it says so on the console.

use cantus::{Captured, Moment, Options, Outcome, Output, Policy, ReplayOptions, Verdict};
use cantus::{record, replay, verify_stretches};
use cantus_tests::linux::debian;
use std::collections::BTreeSet;
use std::path::Path;

const BUGS: [&str; 9] = [
    "lost_update",
    "aba_stack",
    "lost_wakeup",
    "lock_order",
    "pbzip2",
    "module_list",
    "module_update",
    "module_refcount",
    "module_deadlock",
];
/// Seeds that a hunt may take.
const SEEDS: std::ops::RangeInclusive<u64> = 1..=6;
/// Steps of the longest slice: some rounds of a program.
const SLICE_MAX: u64 = 6_000;
/// Every how many steps a trace has a checkpoint.
const CHECKPOINT_INTERVAL: u64 = 200_000_000;
/// Well before the programs, which come last, and take no longer than twice the boot.
const IN_THE_BOOT: Moment = Moment::Percent(25);

/// Boots under a seed, runs these programs, and gives what the console said of them: lines that begin with BUG or OK.
fn run(programs: &[String], seed: u64, trace: &Path) -> Vec<String> {
    let autorun = format!("bug:{} modules=no quiet", programs.join(","));
    let (guest, options, console) = debian(2, &autorun);
    let options = Options {
        ram_bytes: 512 << 20,
        workers: 1,
        policy: Policy::Random { slice_max: SLICE_MAX },
        seed,
        checkpoint_interval: CHECKPOINT_INTERVAL,
        ..options
    };
    let recorded = record(&guest, &options, trace, true).unwrap();
    let console = String::from_utf8_lossy(&console.bytes()).into_owned();
    assert!(matches!(recorded.outcome, Outcome::Exit(_)), "seed {seed}: {:?}\n{console}", recorded.outcome);
    let verdicts = verdicts(&console);
    assert_eq!(verdicts.len(), programs.len(), "seed {seed}: each program says how it ended:\n{console}");
    verdicts
}

fn verdicts(console: &str) -> Vec<String> {
    let lines = console.lines().map(|line| line.trim_end().to_owned());
    lines.filter(|line| line.starts_with("BUG ") || line.starts_with("OK ")).collect()
}

/// The trace is the run: verified from its beginning, and three times from a checkpoint before the programs.
fn replays(trace: &Path, said: &[String]) {
    let verified = verify_stretches(trace, &ReplayOptions::default(), 2).unwrap();
    assert_eq!(verified.replayed.verdict, Verdict::Identical);
    for workers in [1, 2, 2] {
        let console = Captured::default();
        let options = ReplayOptions {
            workers,
            from: Some(IN_THE_BOOT),
            output: Output::Captured(console.clone()),
            ..ReplayOptions::default()
        };
        assert_eq!(replay(trace, &options).unwrap().verdict, Verdict::Identical);
        assert_eq!(verdicts(&String::from_utf8_lossy(&console.bytes())), said);
    }
}

#[test]
fn every_bug_of_the_programs_strikes_and_replays_and_the_fixed_ones_do_not() {
    let folder = tempfile::tempdir().unwrap();
    let trace = folder.path().join("bugs.cantus");
    let fixed: Vec<String> = BUGS.iter().map(|name| format!("{name}-fixed")).collect();
    let mut missing = BTreeSet::from(BUGS);
    for seed in SEEDS {
        let broken: Vec<String> = missing.iter().map(|&name| name.to_owned()).collect();
        let said = run(&broken, seed, &trace);
        let before = missing.len();
        missing.retain(|name| !said.iter().any(|line| line.starts_with(&format!("BUG {name} "))));
        if missing.len() < before {
            replays(&trace, &said);
        }
        let said = run(&fixed, seed, &trace);
        let expected: Vec<String> = fixed.iter().map(|name| format!("OK {name}")).collect();
        assert_eq!(said, expected, "seed {seed}");
        if missing.is_empty() {
            return;
        }
    }
    panic!("{missing:?} did not strike under the seeds {SEEDS:?}");
}
