//! Every trace under `golden/traces/` replays, and prints what the recorded run printed.

use std::collections::BTreeSet;

use cantus::{Executor, Verdict};
use cantus_tests::golden::{TRACES, folder};
use cantus_traces::{Event, Trace};

/// What to do when one does not.
const REMEDY: &str =
    "mend the replay; while the format is at version 0, `cargo xtask bless` records the trace anew";

#[test]
fn rep_2_golden_traces_replay_on_any_number_of_workers_by_every_executor() {
    for golden in TRACES {
        let printed = golden.printed().unwrap();
        for executor in [Executor::Interp, Executor::Jit, Executor::Mixed] {
            for workers in [1, 2, 4] {
                let name = format!("{} by {executor:?} on {workers} workers", golden.name());
                let (replayed, shown) = golden
                    .replay(workers, executor)
                    .unwrap_or_else(|error| panic!("{name}: {error}\n{REMEDY}"));
                let because = golden.because;
                assert_eq!(replayed.verdict, Verdict::Identical, "{name} ({because}): {REMEDY}");
                assert_eq!(
                    String::from_utf8_lossy(&shown),
                    String::from_utf8_lossy(&printed),
                    "{name} prints something else: {REMEDY}"
                );
            }
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

#[test]
fn golden_traces_hold_events_of_every_kind() {
    let mut kinds = BTreeSet::new();
    for golden in TRACES {
        let trace = Trace::open(&golden.trace()).unwrap();
        for (_, event) in trace.read_all().unwrap().into_iter().flatten() {
            kinds.insert(match event {
                Event::Order { .. } => "order",
                Event::Lines(_) => "lines",
                Event::Clock(_) => "clock",
                Event::ConditionalFailed => "conditional failed",
                Event::Input { .. } => "input",
                Event::Digest { .. } => "digest",
                Event::Answer { .. } => "answer",
                // Comes only in runs that are too long to be kept.
                Event::Cut { .. } => continue,
            });
        }
    }
    let expected = ["clock", "conditional failed", "digest", "input", "lines", "order"];
    assert_eq!(kinds.into_iter().collect::<Vec<_>>(), expected);
}
