//! Every trace under `golden/traces/` replays, and prints what the recorded run printed.

use cantus::Verdict;
use cantus_tests::golden::{TRACES, folder};

/// What to do when one does not.
const REMEDY: &str =
    "mend the replay; while the format is at version 0, `cargo xtask bless` records the trace anew";

#[test]
fn golden_traces_replay_on_any_number_of_workers() {
    for golden in TRACES {
        let printed = golden.printed().unwrap();
        for workers in [1, 2, 4] {
            let name = golden.name();
            let (replayed, shown) =
                golden.replay(workers).unwrap_or_else(|error| panic!("{name}: {error}\n{REMEDY}"));
            assert_eq!(
                replayed.verdict,
                Verdict::Identical,
                "{name} ({}) on {workers} workers: {REMEDY}",
                golden.because
            );
            assert_eq!(
                String::from_utf8_lossy(&shown),
                String::from_utf8_lossy(&printed),
                "{name} on {workers} workers prints something else: {REMEDY}"
            );
        }
    }
}

#[test]
fn every_golden_trace_is_in_the_list() {
    let listed: Vec<_> = TRACES.iter().flat_map(|golden| [golden.trace(), golden.console()]).collect();
    for entry in std::fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        assert!(listed.contains(&path), "{} is in no list: add it to TRACES, or remove it", path.display());
    }
}
