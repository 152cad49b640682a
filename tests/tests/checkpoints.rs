//! Checkpoints: replays begin and end anywhere, stretches between them verify as the whole does, and an altered one is
//! caught.

use cantus::{
    Cause, Error, Guest, Moment, Options, ReplayOptions, Verdict, replay, verify, verify_stretches,
};
use cantus_tests::equation::{Schedule, guest};
use cantus_tests::generator::{Program, Size};
use cantus_traces::{
    Checkpoint, CoreId, Event, Position, Trace, TraceWriter, WriterOptions, limits::PAGE_BYTES,
};
use std::path::{Path, PathBuf};

type Streams = Vec<Vec<(Position, Event)>>;

/// A recording with several checkpoints.
fn recorded(folder: &Path) -> (Trace, Guest) {
    let (guest, options) = guest(&Program::random(7, Size::default()), &Schedule::random(7));
    let options = Options { workers: 2, digest_interval: 500, checkpoint_interval: 1_500, ..options };
    let path = folder.join("recorded.cantus");
    cantus::record(&guest, &options, &path, false).expect("generated programs can be recorded");
    let trace = Trace::open(&path).expect("a trace");
    assert!(trace.checkpoints().len() >= 3, "{:?}", trace.checkpoints());
    (trace, guest)
}

/// The same trace with other events and checkpoints. The pages of a checkpoint are stored whole.
fn rewritten(
    trace: &Trace,
    streams: &Streams,
    change: impl Fn(&mut Checkpoint, &mut Vec<(u64, [u8; PAGE_BYTES])>),
) -> PathBuf {
    let path = trace.path().with_extension("changed");
    let image = trace.image(0).expect("it is stored");
    let options = WriterOptions { force: true, ..WriterOptions::default() };
    let (writer, lanes) = TraceWriter::create(&path, trace.header(), &[&image], options).expect("a file");
    let footer = trace.footer().expect("it is complete").clone();
    for (mut lane, events) in lanes.into_iter().zip(streams) {
        events.iter().for_each(|(position, event)| lane.append(*position, event));
        let core = lane.core();
        lane.close(footer.cores[core.index()].position);
    }
    trace.machine_digests().expect("whole").iter().for_each(|digest| writer.machine_digest(digest));
    for cut in trace.checkpoints() {
        let mut checkpoint = trace.checkpoint(cut).expect("whole");
        let mut pages = Vec::new();
        trace.checkpoint_memory(cut, |number, page| pages.push((number, *page))).expect("whole");
        pages.sort_by_key(|(number, _)| *number);
        checkpoint.base = None;
        change(&mut checkpoint, &mut pages);
        checkpoint.pages = pages.iter().map(|(number, page)| (*number, writer.page(page))).collect();
        writer.checkpoint(&checkpoint);
    }
    writer.finish(footer).expect("written");
    path
}

fn from(cut: u32) -> ReplayOptions {
    ReplayOptions { from: Some(Moment::Cut(cut)), ..ReplayOptions::default() }
}

#[test]
fn an_unchanged_copy_is_identical_in_stretches() {
    let folder = tempfile::tempdir().expect("a folder");
    let (trace, _) = recorded(folder.path());
    let path = rewritten(&trace, &trace.read_all().expect("whole"), |_, _| ());
    let verified = verify_stretches(&path, &ReplayOptions::default(), 2).expect("it opens");
    assert_eq!(verified.replayed.verdict, Verdict::Identical);
    assert_eq!(verified.stretches, trace.checkpoints().len() + 1);
    let whole = verify(&path, &ReplayOptions::default()).expect("it opens");
    assert_eq!(whole.replayed.steps, verified.replayed.steps);
}

#[test]
fn chk_1_an_altered_core_in_a_checkpoint_is_caught_by_whole_and_stretches() {
    let folder = tempfile::tempdir().expect("a folder");
    let (trace, _) = recorded(folder.path());
    let altered = trace.checkpoints()[1];
    let streams = trace.read_all().expect("whole");
    // Bytes of the history, the position, a register, and of the last translation or protection.
    for at in [3, 32, 32 + 8 + 8 * 7 + 1, usize::MAX] {
        let path = rewritten(&trace, &streams, |checkpoint, _| {
            if checkpoint.cut == altered {
                let state = &mut checkpoint.cores[1];
                let at = at.min(state.len() - 1);
                state[at] ^= 1;
            }
        });
        let caught = |verdict: &Verdict| match verdict {
            Verdict::Diverged(divergence) => {
                assert!(
                    matches!(divergence.cause, Cause::Checkpoint { cut, .. } if cut == altered),
                    "CHK-1: byte {at}: {divergence}"
                );
                assert_eq!(divergence.core, CoreId(1), "CHK-2: byte {at}: {divergence}");
            }
            other @ (Verdict::Identical | Verdict::IdenticalSoFar(_) | Verdict::Interrupted) => {
                panic!("CHK-1: byte {at}: {other:?}")
            }
        };
        caught(&verify(&path, &ReplayOptions::default()).expect("it opens").replayed.verdict);
        caught(&verify_stretches(&path, &ReplayOptions::default(), 2).expect("it opens").replayed.verdict);
    }
}

#[test]
fn rep_3_an_altered_page_or_device_in_a_checkpoint_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let (trace, _) = recorded(folder.path());
    let altered = trace.checkpoints()[1];
    let streams = trace.read_all().expect("whole");
    for what in ["page", "device", "missing page"] {
        let path = rewritten(&trace, &streams, |checkpoint, pages| match what {
            _ if checkpoint.cut != altered => {}
            "page" => pages[1].1[77] ^= 1,
            "device" => checkpoint.devices[7] ^= 1,
            _ => drop(pages.remove(0)),
        });
        let refused = replay(&path, &from(altered)).map(|replayed| replayed.verdict);
        assert!(
            matches!(refused, Err(Error::Checkpoint { cut, .. }) if cut == altered),
            "{what}: {refused:?}"
        );
        let refused =
            verify_stretches(&path, &ReplayOptions::default(), 2).map(|verified| verified.replayed.verdict);
        assert!(matches!(refused, Err(Error::Checkpoint { .. })), "{what}: {refused:?}");
        let other = replay(&path, &from(trace.checkpoints()[2])).expect("that one is as it was");
        assert_eq!(other.verdict, Verdict::Identical, "{what}");
    }
}

#[test]
fn chk_2_stretches_name_the_same_divergence_as_the_whole() {
    let folder = tempfile::tempdir().expect("a folder");
    let (trace, _) = recorded(folder.path());
    let streams = trace.read_all().expect("whole");
    let mut changed = 0;
    for core in 0..streams.len() {
        let edges: Vec<usize> = (0..streams[core].len())
            .filter(|at| matches!(streams[core][*at].1, Event::Order { .. } | Event::Clock(_)))
            .collect();
        for &at in edges.iter().step_by(edges.len() / 3 + 1) {
            let mut without = streams.clone();
            without[core].remove(at);
            let path = rewritten(&trace, &without, |_, _| ());
            let whole = replay(&path, &ReplayOptions::default()).expect("it opens").verdict;
            let parts =
                verify_stretches(&path, &ReplayOptions::default(), 2).expect("it opens").replayed.verdict;
            let (Verdict::Diverged(whole), Verdict::Diverged(parts)) = (&whole, &parts) else {
                panic!("CHK-1: event {at} of core {core}: whole {whole:?}, stretches {parts:?}");
            };
            assert_eq!(
                (whole.core, parts.core),
                (CoreId(core as u8), CoreId(core as u8)),
                "{whole}, {parts}"
            );
            changed += 1;
        }
    }
    assert!(changed > 3, "{changed} changes");
}

#[test]
fn a_replay_ends_where_it_is_told_to() {
    let folder = tempfile::tempdir().expect("a folder");
    let (trace, _) = recorded(folder.path());
    let ends: Vec<u64> = trace.footer().expect("complete").cores.iter().map(|end| end.position.0).collect();
    let total: u64 = ends.iter().sum();
    let to = |moment| {
        let options = ReplayOptions { to: Some(moment), from: Some(moment), ..ReplayOptions::default() };
        let replayed = replay(trace.path(), &options).unwrap_or_else(|error| panic!("{moment}: {error}"));
        assert_eq!(replayed.verdict, Verdict::Identical, "{moment}");
        replayed.steps
    };
    for steps in (0..=20).map(|part| total * part / 20).chain([1, total - 1]) {
        assert_eq!(to(Moment::Steps(steps)).iter().sum::<u64>(), steps);
    }
    for (core, end) in ends.iter().enumerate() {
        for position in [0, end / 3, end - 1, *end] {
            assert_eq!(to(Moment::Position(CoreId(core as u8), Position(position)))[core], position);
        }
    }
    for cut in trace.machine_digests().expect("whole") {
        let positions: Vec<u64> = cut.positions.iter().map(|position| position.0).collect();
        assert_eq!(to(Moment::Cut(cut.cut)), positions);
    }
    for moment in [
        Moment::Steps(total + 1),
        Moment::Percent(101),
        Moment::Cut(u32::MAX),
        Moment::Position(CoreId(200), Position(0)),
        Moment::Position(CoreId(0), Position(ends[0] + 1)),
    ] {
        let options = ReplayOptions { to: Some(moment), ..ReplayOptions::default() };
        let refused = replay(trace.path(), &options).map(|replayed| replayed.verdict);
        assert!(matches!(refused, Err(Error::NoSuchMoment { .. })), "{moment}: {refused:?}");
    }
}
