//! `replay(record(p)) == p`: random programs of 2 to 16 cores, each recorded by 1 to 4 workers under a random schedule
//! and replayed by another number of workers.
//!
//! `cargo xtask fuzz` does the same for as many programs as one likes.

use cantus::{Captured, ClockPolicy, Executor, Input, Options, Outcome, Output, record, run};
use cantus_tests::equation::{Schedule, check_seed, guest};
use cantus_tests::generator::{Program, Size};
use cantus_traces::{Event, Trace};
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

/// The programs run free as well, where atomics are the host's.
#[test]
fn ord_7_programs_run_free() {
    for seed in 0..300 {
        let (guest, options) = guest(&Program::random(seed, Size::default()), &Schedule::random(seed));
        let ran = run(&guest, &options).expect("generated programs can be run");
        assert_eq!(ran.outcome, Outcome::Exit(0), "seed {seed}");
    }
}

/// One worker, the virtual clock and no input: the run follows from its options, and from no executor.
#[test]
fn rep_2_every_executor_gives_the_same_run() {
    for seed in 30_000..30_150 {
        let program = Program::random(seed, Size::default());
        let schedule = Schedule { clock: ClockPolicy::Virtual, record_workers: 1, ..Schedule::random(seed) };
        let (guest, options) = guest(&program, &schedule);
        let runs = [Executor::Interp, Executor::Jit, Executor::Mixed].map(|executor| {
            let console = Captured::default();
            let output = Output::Captured(console.clone());
            let options = Options { executor, output, input: Input::Nothing, ..options.clone() };
            let ran = run(&guest, &options).expect("generated programs can be run");
            (ran.outcome, ran.steps, ran.signature, console.bytes())
        });
        assert!(runs[0] == runs[1] && runs[0] == runs[2], "seed {seed}: {runs:?}");
    }
}

/// What the suite proves, it proves for everything that a trace can say.
#[test]
fn state_2_programs_depend_on_inputs_of_every_kind() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("one.cantus");
    // Order, lines, clock, failed store-conditionals, input.
    let mut programs = [0; 5];
    for seed in 0..200 {
        let (guest, options) = guest(&Program::random(seed, Size::default()), &Schedule::random(seed));
        record(&guest, &options, &path, true).expect("generated programs can be recorded");
        let events = Trace::open(&path).and_then(|trace| trace.read_all()).expect("the trace is whole");
        let mut has = [false; 5];
        for (_, event) in events.iter().flatten() {
            match event {
                Event::Order { .. } => has[0] = true,
                Event::Lines(_) => has[1] = true,
                Event::Clock(_) => has[2] = true,
                Event::ConditionalFailed => has[3] = true,
                Event::Input { .. } => has[4] = true,
                // No device that asks the host is in these programs.
                Event::Answer { .. } | Event::Digest { .. } | Event::Cut { .. } => {}
            }
        }
        programs.iter_mut().zip(has).for_each(|(count, has)| *count += u32::from(has));
    }
    assert!(programs.iter().all(|programs| *programs >= 20), "of 200 programs: {programs:?}");
}
