//! That the check can fail: traces that were changed since they were recorded, each of which must be caught, on the right
//! core, at a position not later than the next digest (CHK-1, CHK-2).

use cantus::{Cause, Divergence, Guest, Input, Narrowed, Options, Policy, ReplayOptions, Verdict};
use cantus_guests::Catalogue;
use cantus_tests::equation::{Schedule, guest};
use cantus_tests::generator::{Program, Size};
use cantus_traces::{CoreId, Event, Header, Image, Position, Trace, TraceWriter, WriterOptions, rewrite};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// Every how many steps the recordings here are digested.
const INTERVAL: u64 = 1_000;

type Streams = Vec<Vec<(Position, Event)>>;

fn elf(name: &str) -> Vec<u8> {
    let catalogue = Catalogue::load();
    std::fs::read(catalogue.guest(name).expect("in the catalogue").correct().elf()).unwrap()
}

/// What is typed at a guest.
fn input(name: &str) -> Input {
    let catalogue = Catalogue::load();
    Input::Bytes(catalogue.guest(name).expect("in the catalogue").input.clone().into_bytes())
}

/// A recording of a guest on two workers, and its events.
fn recording(name: &str, cores: usize, folder: &TempDir) -> (Trace, Streams) {
    let path = folder.path().join("original.cantus");
    let options = Options {
        cores,
        workers: 2,
        policy: Policy::Random { slice_max: 500 },
        digest_interval: INTERVAL,
        input: input(name),
        ..Options::default()
    };
    cantus::record(&Guest::new(name, elf(name)), &options, &path, false).unwrap();
    let trace = Trace::open(&path).unwrap();
    let streams = trace.read_all().unwrap();
    (trace, streams)
}

fn changed(trace: &Trace, streams: &Streams, folder: &TempDir) -> PathBuf {
    let path = folder.path().join("changed.cantus");
    rewrite(trace, &path, streams, WriterOptions { force: true, ..WriterOptions::default() }).unwrap();
    path
}

/// The same trace of another program.
fn with_program(trace: &Trace, streams: &Streams, program: &[u8], folder: &TempDir) -> PathBuf {
    let header = Header {
        images: vec![Image::stored("other", cantus_traces::ImageRole::Program, program)],
        ..trace.header().clone()
    };
    with_header(trace, streams, &header, program, folder)
}

/// The same trace under another header.
fn with_header(
    trace: &Trace,
    streams: &Streams,
    header: &Header,
    program: &[u8],
    folder: &TempDir,
) -> PathBuf {
    let path = folder.path().join("other-header.cantus");
    let options = WriterOptions { force: true, ..WriterOptions::default() };
    let (writer, lanes) = TraceWriter::create(&path, header, &[program], options).unwrap();
    let footer = trace.footer().unwrap().clone();
    for (mut lane, events) in lanes.into_iter().zip(streams) {
        events.iter().for_each(|(position, event)| lane.append(*position, event));
        let core = lane.core();
        lane.close(footer.cores[core.index()].position);
    }
    trace.machine_digests().unwrap().iter().for_each(|digest| writer.machine_digest(digest));
    writer.finish(footer).unwrap();
    path
}

/// Verifies a trace that must not pass.
fn caught(path: &Path) -> (Divergence, Option<Narrowed>) {
    let verified = cantus::verify(path, &ReplayOptions::default()).unwrap();
    let Verdict::Diverged(divergence) = verified.replayed.verdict else {
        panic!("CHK-1: the change was not caught: {:?}", verified.replayed.verdict);
    };
    (divergence, verified.narrowed)
}

/// CHK-2: the divergence is on this core, and not later than its first digest after the change.
fn assert_placed(divergence: &Divergence, core: usize, changed_at: Position, streams: &Streams) {
    let next = streams[core]
        .iter()
        .find(|(position, event)| *position > changed_at && matches!(event, Event::Digest { .. }));
    let (next, _) = next.expect("a digest after the change");
    assert_eq!(divergence.core, CoreId(core as u8), "CHK-2: {divergence}");
    assert!(divergence.position <= *next, "CHK-2: {divergence}, but the next digest is at {next}");
    assert!(
        divergence.agreed <= changed_at,
        "CHK-2: {divergence} vouches for what was changed at {changed_at}"
    );
}

/// The events of a kind, as (core, index).
fn all(streams: &Streams, kind: impl Fn(&Event) -> bool) -> Vec<(usize, usize)> {
    let of_core = |(core, events): (usize, &Vec<(Position, Event)>)| {
        let found = events.iter().enumerate().filter(|(_, (_, event))| kind(event));
        found.map(|(index, _)| (core, index)).collect::<Vec<_>>()
    };
    streams.iter().enumerate().flat_map(of_core).collect()
}

/// Some of many, evenly.
fn some<T: Copy>(of: &[T], count: usize) -> impl Iterator<Item = T> {
    assert!(!of.is_empty(), "nothing to change");
    of.iter().copied().step_by((of.len() / count).max(1))
}

#[test]
fn an_unchanged_copy_is_identical() {
    let folder = tempfile::tempdir().unwrap();
    let (trace, streams) = recording("lost_update", 3, &folder);
    let path = changed(&trace, &streams, &folder);
    let verified = cantus::verify(&path, &ReplayOptions::default()).unwrap();
    assert_eq!((verified.replayed.verdict, verified.narrowed), (Verdict::Identical, None));
}

#[test]
fn chk_1_a_dropped_order_edge_is_caught() {
    let folder = tempfile::tempdir().unwrap();
    let (trace, streams) = recording("lost_update", 3, &folder);
    let edges = all(&streams, |event| matches!(event, Event::Order { .. }));
    for (core, index) in some(&edges, 12) {
        let mut without = streams.clone();
        let (position, _) = without[core].remove(index);
        let (divergence, _) = caught(&changed(&trace, &without, &folder));
        assert_placed(&divergence, core, position, &streams);
    }
}

#[test]
fn chk_1_an_altered_clock_reading_is_caught() {
    let folder = tempfile::tempdir().unwrap();
    let (trace, streams) = recording("timer", 2, &folder);
    let readings = all(&streams, |event| matches!(event, Event::Clock(_)));
    for (core, index) in some(&readings, 6) {
        let mut altered = streams.clone();
        let (position, event) = &mut altered[core][index];
        if let Event::Clock(ticks) = event {
            *ticks += 1;
        }
        let position = *position;
        let (divergence, narrowed) = caught(&changed(&trace, &altered, &folder));
        assert_placed(&divergence, core, position, &streams);
        // It is no chance: the two executions of the stretch are the same, and the reading is among the suspects.
        let Some(Narrowed::Same { suspects, count }) = narrowed else {
            panic!("CHK-2: narrowed to {narrowed:?}");
        };
        assert!(count > suspects.len() || suspects.contains(&altered[core][index]), "{suspects:?}");
    }
}

#[test]
fn chk_1_altered_interrupt_lines_are_caught() {
    let folder = tempfile::tempdir().unwrap();
    let (trace, streams) = recording("ipi_ping_pong", 2, &folder);
    let lines = all(&streams, |event| matches!(event, Event::Lines(_)));
    for (core, index) in some(&lines, 6) {
        let mut altered = streams.clone();
        let (position, event) = &mut altered[core][index];
        *event = Event::Lines(1 << 11);
        let position = *position;
        let (divergence, _) = caught(&changed(&trace, &altered, &folder));
        assert_eq!(divergence.core, CoreId(core as u8), "CHK-2: {divergence}");
        assert!(divergence.agreed <= position, "CHK-2: {divergence}");
    }
}

#[test]
fn chk_1_an_altered_byte_of_the_guest_is_caught() {
    let folder = tempfile::tempdir().unwrap();
    let (trace, streams) = recording("lost_update", 2, &folder);
    let mut program = elf("lost_update");
    // The step of the guest's counting: `addi` by one becomes `addi` by two, wherever there is one.
    let add_one = [0x85, 0x07];
    let at = program.windows(2).position(|bytes| bytes == add_one).expect("c.addi a5,1");
    program[at] = 0x89;
    let path = with_program(&trace, &streams, &program, &folder);
    let (divergence, _) = caught(&path);
    // Whichever core adds first: its digests agree up to there, and not in the interval after it.
    let digests =
        streams[divergence.core.index()].iter().filter(|(_, event)| matches!(event, Event::Digest { .. }));
    let next = digests.map(|(position, _)| *position).find(|position| *position > divergence.agreed);
    assert!(next.is_some_and(|next| divergence.position <= next), "CHK-2: {divergence}");
    assert!(matches!(divergence.cause, Cause::State { .. } | Cause::NotAsked { .. }), "{divergence}");
}

#[test]
fn chk_2_an_edge_to_a_step_that_never_comes_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let (trace, streams) = recording("lost_update", 2, &folder);
    let edges = all(&streams, |event| matches!(event, Event::Order { .. }));
    let (core, index) = edges[edges.len() / 2];
    let mut altered = streams.clone();
    if let (_, Event::Order { position, .. }) = &mut altered[core][index] {
        *position = Position(1 << 40);
    }
    let (divergence, _) = caught(&changed(&trace, &altered, &folder));
    assert!(matches!(divergence.cause, Cause::NeverCame { .. } | Cause::Stuck), "{divergence}");
    assert!(divergence.to_string().contains("everything agreed up to"), "{divergence}");
}

/// Drops events of a kind, one at a time.
fn every_dropped_one_is_caught(name: &str, cores: usize, kind: impl Fn(&Event) -> bool) {
    let folder = tempfile::tempdir().unwrap();
    let (trace, streams) = recording(name, cores, &folder);
    for (core, index) in some(&all(&streams, kind), 12) {
        let mut without = streams.clone();
        let (position, _) = without[core].remove(index);
        let path = changed(&trace, &without, &folder);
        let verdict = cantus::replay(&path, &ReplayOptions::default()).unwrap().verdict;
        let Verdict::Diverged(divergence) = verdict else {
            panic!("CHK-1: {name}, core {core}, position {position}: {verdict:?}");
        };
        assert_placed(&divergence, core, position, &streams);
    }
}

#[test]
fn chk_2_whoever_lacks_an_order_edge_is_named_and_not_who_was_led_astray() {
    for (name, cores) in [("contended_lock", 4), ("paging", 3), ("peterson", 2), ("code_patch", 3)] {
        every_dropped_one_is_caught(name, cores, |event| matches!(event, Event::Order { .. }));
    }
}

#[test]
fn chk_2_whoever_lacks_an_input_is_named_and_not_who_was_led_astray() {
    every_dropped_one_is_caught("timer", 3, |event| matches!(event, Event::Clock(_)));
    every_dropped_one_is_caught("timer", 3, |event| matches!(event, Event::Lines(_)));
    every_dropped_one_is_caught("ipi_ping_pong", 2, |event| matches!(event, Event::Lines(_)));
    every_dropped_one_is_caught("lrsc_counter", 4, |event| matches!(event, Event::ConditionalFailed));
    every_dropped_one_is_caught("echo", 1, |event| matches!(event, Event::Input { .. }));
}

#[test]
fn chk_1_a_byte_that_no_core_reads_is_caught_at_the_first_cut() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("original.cantus");
    let program = Program::random(3, Size::default());
    let (_, options) = guest(&program, &Schedule::random(3));
    let mut elf = program.elf();
    let options = Options { cut_interval: 500, ..options };
    cantus::record(&Guest::new("generated", elf.clone()), &options, &path, false).unwrap();
    let trace = Trace::open(&path).unwrap();
    assert!(trace.machine_digests().unwrap().len() > 1);
    // Between the last page of data and the code.
    let behind_headers = 64 + 56;
    elf[behind_headers + 31 * 4096 + 5] ^= 1;
    let (divergence, _) = caught(&with_program(&trace, &trace.read_all().unwrap(), &elf, &folder));
    assert_eq!(divergence.cause, Cause::Memory { cut: Some(0) }, "{divergence}");
    let first = &trace.machine_digests().unwrap()[0];
    assert_eq!(divergence.position, first.positions[divergence.core.index()], "CHK-2: {divergence}");
    assert_eq!(divergence.agreed, Position(0), "CHK-2: {divergence}");
}

/// A trace whose machine had something else in it than this build puts there is refused, and it is said what.
#[test]
fn chk_2_a_board_that_this_build_does_not_make_is_told_before_the_first_step() {
    let folder = tempfile::tempdir().unwrap();
    let (trace, streams) = recording("hello", 2, &folder);
    let program = trace.image(0).unwrap();
    let other_board = |parts: &[&str]| {
        let mut header = trace.header().clone();
        header.recorder = "cantus 0.0.1".to_owned();
        let settings = header.configuration.settings.iter_mut();
        let mut altered = settings.filter(|setting| parts.contains(&setting.name.as_str()));
        altered.by_ref().for_each(|setting| setting.value = "00".repeat(16));
        with_header(&trace, &streams, &header, &program, &folder)
    };
    let parts = ["board-tree", "board-devices"];
    let error = cantus::verify(other_board(&parts), &ReplayOptions::default()).unwrap_err();
    assert!(matches!(error, cantus::Error::Board { .. }), "{error}");
    let text = error.to_string();
    for words in
        ["board that this build does not make", "in device tree, devices;", "by cantus 0.0.1, this is cantus"]
    {
        assert!(text.contains(words), "{words}: {text}");
    }
    let error = cantus::diff(trace.path(), other_board(&parts[..1])).unwrap_err();
    assert!(error.to_string().contains("it differs in device tree;"), "{error}");
    let same = cantus::verify(other_board(&[]), &ReplayOptions::default()).unwrap();
    assert_eq!(same.replayed.verdict, Verdict::Identical);
}
