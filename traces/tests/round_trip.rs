//! read(write(t)) == t, however the events were cut into chunks and whoever wrote them.

#![allow(
    clippy::disallowed_methods,
    reason = "cores of a recording append from the threads of their workers"
)]

mod samples;

use std::thread;

use cantus_traces::{
    Completeness, CoreId, DeviceId, Event, Position, Trace, TraceError, TraceWriter, WriterOptions,
    limits::INPUT_BYTES_MAX, rewrite,
};
use proptest::prelude::*;
use samples::{FIRMWARE, PROGRAM, Streams, append_all, footer, header, machine_digest, plausible, write};

proptest! {
    #[test]
    fn what_is_written_is_read(
        streams in samples::streams(),
        round in 1_usize..80,
        buffer_bytes in 1_usize..2000,
        level in 1..4,
    ) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.cantus");
        write(&path, &streams, round, WriterOptions { buffer_bytes, level, ..WriterOptions::default() });

        for trace in [Trace::open(&path).unwrap(), Trace::open_unverified(&path).unwrap()] {
            prop_assert_eq!(trace.completeness(), &Completeness::Complete);
            prop_assert_eq!(trace.header(), &header(streams.len() as u16));
            prop_assert_eq!(trace.footer(), Some(&footer(&streams)));
            prop_assert_eq!(trace.machine_digests().unwrap(), vec![machine_digest(0, streams.len())]);
            prop_assert_eq!(&trace.read_all().unwrap(), &streams);
            let ends: Vec<_> = footer(&streams).cores.iter().map(|end| end.position).collect();
            prop_assert_eq!(trace.horizon().unwrap(), ends);
        }
    }

    #[test]
    fn a_stream_starts_at_any_position(streams in samples::streams(), round in 1_usize..20, part in 0_usize..100) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.cantus");
        write(&path, &streams, round, WriterOptions::default());
        let trace = Trace::open(&path).unwrap();
        for (core, events) in trace.cores().zip(&streams) {
            let from = events.get(part * events.len() / 100).map_or(Position(0), |(position, _)| *position);
            let expected: Vec<_> = events.iter().filter(|(position, _)| *position >= from).cloned().collect();
            let came: Vec<_> = trace.stream_from(core, from).collect::<Result<_, _>>().unwrap();
            prop_assert_eq!(came, expected);
        }
    }
}

#[test]
fn cores_append_from_threads_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.cantus");
    let streams = plausible(4, 20_000, 1);
    fn may_be_shared(_: &(impl Send + Sync)) {}
    let options = WriterOptions { buffer_bytes: 4096, queue_chunks: 1, ..WriterOptions::default() };
    let (writer, writers) = TraceWriter::create(&path, &header(4), &[PROGRAM], options).unwrap();
    may_be_shared(&writer);
    thread::scope(|scope| {
        for (mut writer, events) in writers.into_iter().zip(&streams) {
            scope.spawn(move || {
                for (position, event) in events {
                    writer.append(*position, event);
                }
                writer.close(Position(events.last().unwrap().0.0 + 100));
            });
        }
    });
    let totals = writer.finish(footer(&streams)).unwrap();
    assert_eq!(totals.events, 80_000);

    let trace = Trace::open(&path).unwrap();
    assert_eq!(trace.totals().events, totals.events);
    assert_eq!(trace.totals().file_bytes, totals.file_bytes);
    assert_eq!(trace.totals().event_bytes_stored, totals.event_bytes_stored);
    thread::scope(|scope| {
        for (core, events) in trace.cores().zip(&streams) {
            let trace = &trace;
            scope.spawn(move || {
                let came: Vec<_> = trace.stream(core).collect::<Result<_, _>>().unwrap();
                assert!(came == *events, "{core} reads what it wrote");
            });
        }
    });
}

#[test]
fn images_come_back_unless_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.cantus");
    write(&path, &plausible(2, 10, 2), 10, WriterOptions::default());
    let trace = Trace::open(&path).unwrap();
    assert_eq!(trace.image(1).unwrap(), PROGRAM);
    assert!(matches!(trace.image(0), Err(TraceError::Missing { what, .. }) if what.contains("fw.bin")));
    assert!(matches!(trace.image(2), Err(TraceError::Missing { .. })));
    assert!(trace.header().images[0].is(FIRMWARE));
    assert!(!trace.header().images[0].is(PROGRAM));
}

#[test]
fn an_image_larger_than_a_chunk_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.cantus");
    let contents: Vec<u8> = (0..5_000_000_u32).flat_map(|n| [(n >> 8) as u8, n as u8]).collect();
    let mut header = header(1);
    header.images = vec![cantus_traces::Image::stored("disk", cantus_traces::ImageRole::Drive, &contents)];
    let (writer, _) = TraceWriter::create(&path, &header, &[&contents], WriterOptions::default()).unwrap();
    writer.abandon().unwrap();
    assert!(Trace::open(&path).unwrap().image(0).unwrap() == contents);
}

#[test]
fn a_trace_is_never_overwritten_unless_forced() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.cantus");
    let first = plausible(2, 10, 3);
    write(&path, &first, 10, WriterOptions::default());
    let outcome = TraceWriter::create(&path, &header(2), &[PROGRAM], WriterOptions::default());
    assert!(matches!(outcome, Err(TraceError::Exists { .. })));
    let reader = Trace::open(&path).unwrap();
    assert_eq!(reader.read_all().unwrap(), first);

    let second = plausible(2, 10, 4);
    write(&path, &second, 10, WriterOptions { force: true, ..WriterOptions::default() });
    assert_eq!(Trace::open(&path).unwrap().read_all().unwrap(), second);
    assert_eq!(reader.read_all().unwrap(), first, "who reads the old trace keeps it");
}

#[test]
fn a_footer_must_agree_with_the_streams() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.cantus");
    let streams = plausible(2, 10, 5);
    let (writer, writers) =
        TraceWriter::create(&path, &header(2), &[PROGRAM], WriterOptions::default()).unwrap();
    append_all(&streams, writers, 10);
    let mut other = footer(&streams);
    other.cores[1].position.0 += 1;
    let outcome = writer.finish(other);
    assert!(matches!(outcome, Err(TraceError::Unwritable { what, .. }) if what.contains("core 1")));
    let trace = Trace::open(&path).unwrap();
    assert!(matches!(trace.completeness(), Completeness::Killed { torn_bytes: 0, .. }));
    assert_eq!(trace.read_all().unwrap(), streams);
}

#[test]
fn headers_outside_the_limits_are_not_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.cantus");
    let mut bad = [header(0), header(256), header(1), header(1), header(1), header(1)];
    bad[2].configuration.ram_bytes = 4095;
    bad[3].configuration.ram_bytes = 2 << 40;
    bad[4].configuration.timebase_hz = 0;
    bad[5].command_line = vec!["x".repeat(2 << 20)];
    for header in bad {
        let outcome = TraceWriter::create(&path, &header, &[PROGRAM], WriterOptions::default());
        assert!(matches!(outcome, Err(TraceError::Unwritable { .. })));
    }
    let outcome = TraceWriter::create(&path, &header(1), &[FIRMWARE], WriterOptions::default());
    assert!(matches!(outcome, Err(TraceError::Unwritable { what, .. }) if what.contains("lost-update.elf")));
    assert!(!path.exists());
}

#[test]
fn a_position_with_more_than_a_chunk_holds_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.cantus");
    let (writer, mut writers) =
        TraceWriter::create(&path, &header(2), &[PROGRAM], WriterOptions::default()).unwrap();
    let before = Event::ConditionalFailed;
    writers[1].append(Position(5), &before);
    let input = Event::Input { device: DeviceId(0), bytes: vec![0; INPUT_BYTES_MAX] };
    for _ in 0..20 {
        writers[1].append(Position(6), &input);
    }
    assert!(matches!(
        writer.failed(),
        Some(TraceError::Crowded { core: CoreId(1), position: Position(6), .. })
    ));
    assert!(writers[0].has_failed());
    assert!(matches!(writer.abandon(), Err(TraceError::Crowded { .. })));
    drop(writers);
    assert_eq!(Trace::open(&path).unwrap().read_all().unwrap(), [vec![], vec![(Position(5), before)]]);
}

#[test]
fn flushed_events_are_read_from_an_unfinished_trace() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.cantus");
    let streams: Streams = vec![
        vec![
            (Position(10), Event::Lines(8)),
            (Position(20), Event::Lines(0)),
            (Position(20), Event::Clock(5)),
        ],
        vec![],
    ];
    let (writer, mut writers) =
        TraceWriter::create(&path, &header(2), &[PROGRAM], WriterOptions::default()).unwrap();
    for (position, event) in &streams[0] {
        writers[0].append(*position, event);
    }
    writers[0].flush(Position(20));
    writers[1].flush(Position(700));
    writers[1].flush(Position(700));
    writer.abandon().unwrap();

    // The events at 20 wait for the next chunk: more of them may come.
    let trace = Trace::open(&path).unwrap();
    assert_eq!(trace.read_all().unwrap(), [streams[0][..1].to_vec(), vec![]]);
    assert_eq!(trace.extent(CoreId(0)).unwrap().reached, Position(20));
    assert_eq!(trace.extent(CoreId(1)).unwrap().reached, Position(700));
    assert_eq!(trace.extent(CoreId(1)).unwrap().chunks, 1);
    assert_eq!(trace.extent(CoreId(2)), None);
    assert_eq!(trace.stream(CoreId(2)).count(), 0);
}

#[test]
fn a_trace_is_written_again_with_an_edge_less_and_an_input_altered() {
    let folder = tempfile::tempdir().unwrap();
    let (path, copy) = (folder.path().join("t.cantus"), folder.path().join("copy.cantus"));
    let original = plausible(3, 400, 6);
    write(&path, &original, 50, WriterOptions::default());
    let trace = Trace::open(&path).unwrap();
    let mut changed = trace.read_all().unwrap();
    let edge = changed[1].iter().position(|(_, event)| matches!(event, Event::Order { .. })).unwrap();
    changed[1].remove(edge);
    let clock = changed[2].iter_mut().find_map(|(_, event)| match event {
        Event::Clock(value) => Some(value),
        Event::Order { .. }
        | Event::Lines(_)
        | Event::ConditionalFailed
        | Event::Input { .. }
        | Event::Answer { .. }
        | Event::Digest { .. }
        | Event::Cut { .. } => None,
    });
    *clock.unwrap() += 1;
    rewrite(&trace, &copy, &changed, WriterOptions::default()).unwrap();

    let copy = Trace::open(&copy).unwrap();
    assert_eq!(copy.completeness(), &Completeness::Complete);
    assert_eq!(copy.read_all().unwrap(), changed);
    assert_ne!(changed, original);
    assert_eq!((copy.header(), copy.footer()), (trace.header(), trace.footer()));
    assert_eq!(copy.machine_digests().unwrap(), trace.machine_digests().unwrap());
    assert_eq!(copy.image(1).unwrap(), PROGRAM);
}

#[test]
fn an_unfinished_trace_is_written_again_as_far_as_it_goes() {
    let folder = tempfile::tempdir().unwrap();
    let (path, copy) = (folder.path().join("t.cantus"), folder.path().join("copy.cantus"));
    let (writer, mut writers) =
        TraceWriter::create(&path, &header(2), &[PROGRAM], WriterOptions::default()).unwrap();
    writers[1].append(Position(5), &Event::Lines(8));
    writers[1].flush(Position(70));
    writer.abandon().unwrap();
    let trace = Trace::open(&path).unwrap();
    rewrite(&trace, &copy, &[vec![], vec![(Position(6), Event::Lines(8))]], WriterOptions::default())
        .unwrap();
    let copy = Trace::open(&copy).unwrap();
    assert!(matches!(copy.completeness(), Completeness::Killed { torn_bytes: 0, .. }));
    assert_eq!(copy.read_all().unwrap(), [vec![], vec![(Position(6), Event::Lines(8))]]);
    assert_eq!(copy.extent(CoreId(1)).unwrap().reached, Position(70));
    // Whether the core has made the step before is not known.
    assert_eq!(copy.horizon().unwrap(), [Position(0), Position(69)]);
}
