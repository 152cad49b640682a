//! Recordings that do not hold a run from its beginning, since they go on from another one, or keep only the end: they replay on their own, from wherever, and what the guest
//! waits for comes.

use cantus::{
    Error, Guest, Keep, Moment, Options, Outcome, Policy, ReplayOptions, Verdict, replay, verify_stretches,
};
use cantus_tests::equation::{Schedule, guest};
use cantus_tests::generator::{Program, Size};
use cantus_traces::{CoreId, Event, Position, Trace, rewrite};
use std::path::Path;
use std::time::Duration;

fn on_two() -> ReplayOptions {
    ReplayOptions { workers: 2, ..ReplayOptions::default() }
}

/// A recording, and another one from about a moment of it.
fn resumed(folder: &Path, moment: Moment) -> (Trace, Trace) {
    let (guest, options) = guest(&Program::random(7, Size::default()), &Schedule::random(7));
    let options = Options { workers: 2, digest_interval: 500, checkpoint_interval: 1_500, ..options };
    let (first, second) = (folder.join("first.cantus"), folder.join("second.cantus"));
    cantus::record(&guest, &options, &first, true).expect("generated programs can be recorded");
    let options = Options { policy: Policy::Random { slice_max: 70 }, seed: 8, ..options };
    cantus::record_from(&first, moment, &[], &options, &second, true).expect("it goes on");
    (Trace::open(&first).expect("a trace"), Trace::open(&second).expect("a trace"))
}

#[test]
fn rep_1_what_goes_on_from_any_moment_replays_from_any_moment() {
    let folder = tempfile::tempdir().expect("a folder");
    for moment in [
        Moment::Percent(50),
        Moment::Steps(2_000),
        Moment::Cut(1),
        Moment::Position(CoreId(0), Position(300)),
        Moment::Steps(0),
        Moment::Steps(2_001),
        Moment::Position(CoreId(1), Position(171)),
    ] {
        let (_, trace) = resumed(folder.path(), moment);
        let path = trace.path();
        let whole = replay(path, &on_two()).expect("it replays");
        assert_eq!(whole.verdict, Verdict::Identical, "from {moment}");
        let verified = verify_stretches(path, &on_two(), 2).expect("it verifies");
        assert_eq!(verified.replayed.verdict, Verdict::Identical, "from {moment}, in stretches");
        for percent in [0, 30, 60, 100] {
            let from = Some(Moment::Percent(percent));
            let part = ReplayOptions { from, ..on_two() };
            assert_eq!(
                replay(path, &part).expect("it replays").verdict,
                Verdict::Identical,
                "from {percent}%"
            );
            let part = ReplayOptions { to: from, ..on_two() };
            assert_eq!(replay(path, &part).expect("it replays").verdict, Verdict::Identical, "to {percent}%");
        }
    }
}

#[test]
fn positions_go_on_and_what_was_before_is_not_in_the_trace() {
    let folder = tempfile::tempdir().expect("a folder");
    let (first, second) = resumed(folder.path(), Moment::Percent(50));
    assert_eq!(first.origin().expect("whole"), None);
    let (cut, positions) = second.origin().expect("whole").expect("it begins later");
    assert_eq!(cut, 0);
    let begun: u64 = positions.iter().map(|position| position.0).sum();
    let total: u64 = first.footer().expect("complete").cores.iter().map(|end| end.position.0).sum();
    assert_eq!(begun, total / 2, "it begins at the moment itself");
    for core in second.cores() {
        assert_eq!(second.extent(core).expect("a core").begun, positions[core.index()]);
        let (position, _) = second.stream(core).next().expect("an event").expect("whole");
        assert_eq!(position, positions[core.index()]);
    }
    for early in [Moment::Steps(begun - 1), Moment::Position(CoreId(0), Position(0))] {
        let refused = replay(second.path(), &ReplayOptions { to: Some(early), ..on_two() });
        let Err(error @ Error::NoSuchMoment { .. }) = refused else { panic!("{early}: {refused:?}") };
        assert!(error.to_string().contains("begins at a checkpoint"), "{error}");
    }
    // It goes on from there, too, and a copy is as good.
    let third = folder.path().join("third.cantus");
    let options = Options::default();
    cantus::record_from(second.path(), Moment::Percent(50), &[], &options, &third, false)
        .expect("it goes on");
    assert_eq!(replay(&third, &on_two()).expect("it replays").verdict, Verdict::Identical);
    let copy = folder.path().join("copy.cantus");
    rewrite(&second, &copy, &second.read_all().expect("whole"), Default::default()).expect("written");
    assert_eq!(replay(&copy, &on_two()).expect("it replays").verdict, Verdict::Identical);
    let onto_itself = cantus::record_from(&third, Moment::Percent(50), &[], &options, &third, true);
    assert!(matches!(onto_itself, Err(Error::Resume { .. })), "{onto_itself:?}");
}

#[test]
fn timers_and_interrupts_come_where_they_were_waited_for() {
    let folder = tempfile::tempdir().expect("a folder");
    let elves = Path::new(env!("CARGO_MANIFEST_DIR")).join("guests/riscv64/elf");
    for name in ["timer", "ipi_ping_pong", "interrupt_ring-fixed", "paging", "lost_wakeup-fixed"] {
        let guest = Guest::open(elves.join(format!("{name}.elf"))).expect("a guest");
        let options = Options { cores: 2, workers: 2, checkpoint_interval: 1_500, ..Options::default() };
        let (first, second) = (folder.path().join("first.cantus"), folder.path().join("second.cantus"));
        let recorded = cantus::record(&guest, &options, &first, true).expect("it is recorded");
        assert_eq!(recorded.outcome, Outcome::Exit(0), "{name}");
        let trace = Trace::open(&first).expect("a trace");
        let end = trace.footer().expect("complete").cores[0].position.0;
        for percent in [1, 20, 45, 70, 90, 99] {
            // Of the core that ends the guest: the other one may run on for a while meanwhile.
            let moment = Moment::Position(CoreId(0), Position(end * percent / 100));
            let went_on =
                cantus::record_from(&first, moment, &[], &options, &second, true).expect("it goes on");
            assert_eq!(went_on.outcome, Outcome::Exit(0), "{name} from {percent}%");
            let replayed = replay(&second, &on_two()).expect("it replays");
            assert_eq!(replayed.verdict, Verdict::Identical, "{name} from {percent}%");
        }
    }
}

/// The line of software interrupts in `mip`.
const MSIP: u32 = 1 << 3;

/// The guest fails where a core has seen an interrupt and not the message that it was sent for, and where the interrupt comes
/// twice.
#[test]
fn ord_8_whoever_has_seen_an_interrupt_comes_after_the_core_that_sent_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let elves = Path::new(env!("CARGO_MANIFEST_DIR")).join("guests/riscv64/elf");
    let guest = Guest::open(elves.join("ipi_ping_pong.elf")).expect("a guest");
    // Long slices part the cores: one is far ahead in the file when the other has its turn.
    let options =
        Options { cores: 4, policy: Policy::Fair { slice: 100_000 }, workers: 2, ..Options::default() };
    let (first, second) = (folder.path().join("first.cantus"), folder.path().join("second.cantus"));
    cantus::record(&guest, &options, &first, true).expect("it is recorded");
    let first = Trace::open(&first).expect("a trace");
    let mut seen = 0;
    for core in first.cores() {
        let events: Vec<_> = first.stream(core).map(|event| event.expect("whole")).collect();
        let rises = |event: &Event| matches!(event, Event::Lines(lines) if lines & MSIP != 0);
        let sender = CoreId(core.0 ^ 1);
        for pair in events.windows(2).filter(|pair| rises(&pair[1].1)) {
            let is_edge = matches!(pair[0].1, Event::Order { after, .. } if after == sender);
            assert!(
                is_edge && pair[0].0 == pair[1].0,
                "ORD-8: {core} sees {:?} after {:?}",
                pair[1],
                pair[0]
            );
        }
        let rises = events.iter().filter(|(_, event)| rises(event));
        for (at, _) in rises.step_by(97) {
            seen += 1;
            for behind in 1..=3 {
                let moment = Moment::Position(core, Position(at.0 + behind));
                let went_on = cantus::record_from(first.path(), moment, &[], &options, &second, true)
                    .expect("it goes on");
                assert_eq!(went_on.outcome, Outcome::Exit(0), "from {moment}");
                let replayed = replay(&second, &on_two()).expect("it replays");
                assert_eq!(replayed.verdict, Verdict::Identical, "from {moment}");
            }
        }
    }
    assert!(seen > 8, "{seen} interrupts");
}

#[test]
fn a_guest_that_has_ended_its_run_does_not_go_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let (first, second) = resumed(folder.path(), Moment::Percent(50));
    let over = Moment::Percent(100);
    let refused = cantus::record_from(first.path(), over, &[], &Options::default(), second.path(), true);
    let Err(error @ Error::Resume { .. }) = refused else { panic!("{refused:?}") };
    assert!(error.to_string().contains("the guest has ended its run"), "{error}");
}

#[test]
fn rep_3_one_that_was_cut_off_replays_as_far_as_it_goes_or_says_why_not() {
    let folder = tempfile::tempdir().expect("a folder");
    let (_, trace) = resumed(folder.path(), Moment::Percent(30));
    let bytes = std::fs::read(trace.path()).expect("its bytes");
    let torn = folder.path().join("torn.cantus");
    let mut replayed = 0;
    for length in (0..bytes.len()).step_by(bytes.len() / 60) {
        std::fs::write(&torn, &bytes[..length]).expect("a file");
        match replay(&torn, &on_two()).map(|replayed| replayed.verdict) {
            Ok(Verdict::IdenticalSoFar(_)) => replayed += 1,
            Err(Error::Trace(_) | Error::ImageMissing { .. }) => {}
            other => panic!("{length} bytes: {other:?}"),
        }
    }
    assert!(replayed > 5, "{replayed} of 60 replayed");
}

#[test]
fn a_run_that_was_stopped_goes_on_where_it_was() {
    let folder = tempfile::tempdir().expect("a folder");
    let elves = Path::new(env!("CARGO_MANIFEST_DIR")).join("guests/riscv64/elf");
    let guest = Guest::open(elves.join("ipi_ping_pong.elf")).expect("a guest");
    let options = Options { cores: 2, workers: 2, steps_max: Some(4_000), ..Options::default() };
    let (first, second) = (folder.path().join("first.cantus"), folder.path().join("second.cantus"));
    let stopped = cantus::record(&guest, &options, &first, false).expect("it is recorded");
    assert!(matches!(stopped.outcome, Outcome::Limit(_)), "{:?}", stopped.outcome);
    let options = Options { steps_max: None, ..options };
    let went_on = cantus::record_from(&first, Moment::Percent(100), &[], &options, &second, false);
    assert_eq!(went_on.expect("it goes on").outcome, Outcome::Exit(0));
    let (_, begun) =
        Trace::open(&second).expect("a trace").origin().expect("whole").expect("it begins later");
    assert_eq!(begun.iter().map(|position| position.0).collect::<Vec<_>>(), stopped.steps);
    assert_eq!(replay(&second, &on_two()).expect("it replays").verdict, Verdict::Identical);
}

/// A recording that keeps the last so many steps, of a guest that runs for long.
fn kept(path: &Path, keep_last: Keep, checkpoint_interval: u64) -> (Trace, Vec<u64>) {
    let elves = Path::new(env!("CARGO_MANIFEST_DIR")).join("guests/riscv64/elf");
    let guest = Guest::open(elves.join("contended_lock.elf")).expect("a guest");
    let options = Options {
        cores: 2,
        workers: 2,
        digest_interval: 1_000,
        checkpoint_interval,
        keep_last: Some(keep_last),
        ..Options::default()
    };
    let recorded = cantus::record(&guest, &options, path, true).expect("it is recorded");
    assert_eq!(recorded.outcome, Outcome::Exit(0));
    (Trace::open(path).expect("a trace"), recorded.steps)
}

#[test]
fn a_recorder_that_keeps_the_end_leaves_a_trace_of_the_end() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("kept.cantus");
    for (keep, every) in [(20_000, 0), (20_000, 1_000), (40_000, 1_000_000)] {
        let (trace, steps) = kept(&path, Keep::Steps(keep), every);
        let (_, begun) = trace.origin().expect("whole").expect("it begins later");
        let held: u64 = steps.iter().zip(&begun).map(|(end, begun)| end - begun.0).sum();
        assert!((keep..3 * keep).contains(&held), "{held} of {steps:?} are held, {keep} were wanted");
        assert!(trace.checkpoints().len() > 1, "{:?}", trace.checkpoints());
        let whole = replay(&path, &on_two()).expect("it replays");
        assert_eq!((whole.verdict, whole.steps), (Verdict::Identical, steps), "{keep} of {every}");
        let verified = verify_stretches(&path, &on_two(), 2).expect("it verifies");
        assert_eq!(verified.replayed.verdict, Verdict::Identical);
        for percent in [0, 40, 100] {
            let moment = Some(Moment::Percent(percent));
            let from = ReplayOptions { from: moment, ..on_two() };
            assert_eq!(replay(&path, &from).expect("it replays").verdict, Verdict::Identical, "{percent}%");
            let to = ReplayOptions { to: moment, ..on_two() };
            assert_eq!(replay(&path, &to).expect("it replays").verdict, Verdict::Identical, "{percent}%");
        }
        assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 1, "no part is left");
    }
    // One that is longer than the run holds all of it.
    let (trace, _) = kept(&path, Keep::Steps(1 << 40), 0);
    assert_eq!(trace.origin().expect("whole"), None);
}

#[test]
fn a_recorder_may_keep_what_ran_in_the_last_of_the_hosts_time() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("kept.cantus");
    let elves = Path::new(env!("CARGO_MANIFEST_DIR")).join("guests/riscv64/elf");
    let guest = Guest::open(elves.join("contended_lock.elf")).expect("a guest");
    // Many times as long as is kept, on any host.
    let keep_last = Some(Keep::Time(Duration::from_micros(100)));
    let options = Options { cores: 4, workers: 2, digest_interval: 1_000, keep_last, ..Options::default() };
    let recorded = cantus::record(&guest, &options, &path, true).expect("it is recorded");
    assert_eq!(recorded.outcome, Outcome::Exit(0));
    let trace = Trace::open(&path).expect("a trace");
    let (_, begun) = trace.origin().expect("whole").expect("it begins later");
    assert!(begun.iter().any(|position| position.0 > 0), "{begun:?}");
    assert!(trace.checkpoints().len() > 1, "{:?}", trace.checkpoints());
    let whole = replay(&path, &on_two()).expect("it replays");
    assert_eq!((whole.verdict, whole.steps), (Verdict::Identical, recorded.steps));
    assert_eq!(
        verify_stretches(&path, &on_two(), 2).expect("it verifies").replayed.verdict,
        Verdict::Identical
    );
}
