//! Whatever happens to a trace's bytes: it opens or says why not, never panics, and never delivers anything but a prefix
//! of what was written, nor calls itself complete (`REP-3`).

mod samples;

use std::{path::Path, sync::LazyLock};

use cantus_traces::{
    ChunkKind, Completeness, CoreId, Event, Position, Trace, TraceError, TraceWriter, WriterOptions,
};
use proptest::prelude::*;
use samples::{PROGRAM, Streams, append_all, footer, forgery, header, machine_digest, plausible};

/// A small complete trace of two cores in several chunks, with its events.
fn small() -> (Vec<u8>, Streams) {
    static SMALL: LazyLock<(Vec<u8>, Streams)> = LazyLock::new(|| {
        let streams = plausible(2, 60, 11);
        (bytes(&streams, 20), streams)
    });
    SMALL.clone()
}

fn bytes(streams: &Streams, round: usize) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.cantus");
    samples::write(&path, streams, round, WriterOptions::default());
    std::fs::read(path).unwrap()
}

fn open(bytes: &[u8]) -> Result<Trace, TraceError> {
    Trace::from_bytes(Path::new("damaged.cantus"), bytes.to_vec())
}

/// Checks that all that the trace gives is true: prefixes of the streams, and nothing that was not written. Gives how many
/// events it delivered of each core.
fn check_truth(trace: &Trace, truth: &Streams) -> Vec<usize> {
    let mut delivered = Vec::new();
    let mut stopped_well = true;
    for (core, events) in trace.cores().zip(truth) {
        let mut count = 0;
        for event in trace.stream(core) {
            match event {
                Ok(event) => {
                    assert_eq!(Some(&event), events.get(count), "REP-3: {core} delivers what was written");
                    count += 1;
                }
                Err(_) => stopped_well = false,
            }
        }
        delivered.push(count);
        let reached = trace.extent(core).unwrap().reached;
        let known = events.iter().filter(|(position, _)| *position < reached).count();
        assert_eq!(count, known, "REP-3: {core} delivers all events before {reached}");
    }
    if let Some(came) = trace.footer() {
        assert_eq!(*came, footer(truth));
    }
    if let Ok(digests) = trace.machine_digests() {
        assert!(digests.is_empty() || digests == [machine_digest(0, truth.len())]);
    }
    if let Ok(image) = trace.image(1) {
        assert_eq!(image, PROGRAM);
    }
    assert!(stopped_well || matches!(trace.completeness(), Completeness::Damaged(_)));
    let horizon = trace.horizon().unwrap();
    check_horizon(&horizon, truth);
    for (core, end) in trace.cores().zip(&horizon) {
        assert!(*end <= trace.extent(core).unwrap().reached);
    }
    delivered
}

/// Checks that no core would wait for ever if each ran to the horizon.
fn check_horizon(horizon: &[Position], truth: &Streams) {
    for (events, end) in truth.iter().zip(horizon) {
        for (_, event) in events.iter().take_while(|(position, _)| position < end) {
            if let Event::Order { after, position } = event {
                assert!(*position <= horizon[after.index()], "ORD-3: an edge leads beyond the horizon");
            }
        }
    }
}

#[test]
fn a_trace_cut_at_any_byte_is_read_to_its_last_whole_chunk() {
    let (bytes, truth) = small();
    let whole = open(&bytes).unwrap();
    assert_eq!(whole.completeness(), &Completeness::Complete);
    let chunks: Vec<_> = whole.chunks().collect();
    assert!(chunks.len() > 7, "one chunk would prove little: {chunks:?}");
    for length in 0..bytes.len() {
        let cut = open(&bytes[..length]);
        if length < forgery::first_chunk(&bytes) {
            assert!(matches!(cut, Err(TraceError::Header { .. } | TraceError::NotATrace { .. })));
            continue;
        }
        let cut = cut.unwrap();
        let before: Vec<_> =
            chunks.iter().filter(|chunk| chunk.offset + chunk.bytes <= length as u64).copied().collect();
        assert_eq!(cut.chunks().collect::<Vec<_>>(), before);
        let delivered = check_truth(&cut, &truth);
        let footer_is_there = cut.footer().is_some();
        match *cut.completeness() {
            Completeness::Killed { chunks, offset, torn_bytes } => {
                assert_eq!(chunks as usize, before.len());
                assert_eq!(offset + torn_bytes, length as u64);
                assert!(!footer_is_there);
            }
            // Only the trailer is cut.
            Completeness::Damaged(_) => {
                assert!(footer_is_there);
                assert_eq!(delivered, truth.iter().map(Vec::len).collect::<Vec<_>>());
            }
            Completeness::Complete => panic!("REP-3: {length} of {} bytes are not complete", bytes.len()),
        }
    }
}

#[test]
fn every_flipped_bit_is_noticed() {
    let (mut bytes, truth) = small();
    let whole = open(&bytes).unwrap();
    let total: usize = truth.iter().map(Vec::len).sum();
    for bit in 0..8 * bytes.len() {
        bytes[bit / 8] ^= 1 << (bit % 8);
        match open(&bytes) {
            Err(error) => {
                assert!(bit / 8 < forgery::first_chunk(&bytes), "{error}");
                assert!(error.to_string().starts_with("damaged.cantus: "), "{error}");
            }
            Ok(trace) => {
                let Completeness::Damaged(damage) = trace.completeness() else {
                    panic!("REP-3: bit {bit} was flipped, but the trace is {:?}", trace.completeness());
                };
                let hit = whole.chunks().find(|chunk| bit as u64 / 8 < chunk.offset + chunk.bytes);
                if let Some(hit) = hit {
                    assert_eq!((damage.chunk, damage.offset), (hit.number, hit.offset));
                    assert_eq!((damage.kind, damage.core), (Some(hit.kind), hit.core));
                }
                // One damaged chunk costs the rest of its own core, and nothing of another.
                let delivered: usize = check_truth(&trace, &truth).into_iter().sum();
                let is_event = hit.is_some_and(|hit| hit.kind == ChunkKind::Events);
                assert_eq!(delivered == total, !is_event, "bit {bit}");
            }
        }
        bytes[bit / 8] ^= 1 << (bit % 8);
    }
}

#[test]
fn a_flipped_bit_is_noticed_without_an_index_too() {
    let (bytes, truth) = small();
    let footer = *forgery::chunks(&bytes).last().unwrap();
    let mut bytes = bytes[..footer].to_vec();
    for bit in 8 * forgery::first_chunk(&bytes)..8 * bytes.len() {
        bytes[bit / 8] ^= 1 << (bit % 8);
        let trace = open(&bytes).unwrap();
        assert!(matches!(trace.completeness(), Completeness::Damaged(_)), "bit {bit}");
        check_truth(&trace, &truth);
        bytes[bit / 8] ^= 1 << (bit % 8);
    }
}

#[test]
fn damage_is_noticed_while_reading_what_was_not_verified() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.cantus");
    let (mut bytes, truth) = small();
    let chunk = open(&bytes).unwrap().chunks().filter(|chunk| chunk.core == Some(CoreId(1))).nth(2).unwrap();
    bytes[chunk.offset as usize + 50] ^= 4;
    std::fs::write(&path, &bytes).unwrap();
    let trace = Trace::open_unverified(&path).unwrap();
    assert_eq!(trace.completeness(), &Completeness::Complete, "nobody looked yet");
    let came: Vec<_> = trace.stream(CoreId(1)).collect();
    let (last, before) = came.split_last().unwrap();
    let before: Vec<_> = before.iter().map(|event| event.clone().unwrap()).collect();
    assert!(truth[1].starts_with(&before) && !before.is_empty());
    let Err(error) = last else { panic!("REP-3: {last:?}") };
    assert!(matches!(
        error,
        TraceError::Damaged { chunk: number, core: Some(CoreId(1)), offset, .. }
            if *number == chunk.number && *offset == chunk.offset
    ));
    let said = error.to_string();
    assert!(said.contains(&format!("chunk {} at offset {}", chunk.number, chunk.offset)), "{said}");
    let other: Vec<_> = trace.stream(CoreId(0)).collect::<Result<_, _>>().unwrap();
    assert_eq!(other, truth[0]);
}

#[test]
fn chunks_out_of_place_are_noticed() {
    let (bytes, truth) = small();
    let offsets = forgery::chunks(&bytes);
    // Two chunks change places, checksums and all; and one stands twice; and one is gone.
    let part = |n: usize| &bytes[offsets[n]..offsets[n + 1]];
    let before = &bytes[..offsets[2]];
    let behind = &bytes[offsets[4]..];
    for middle in [[part(3), part(2)].concat(), [part(2), part(2), part(3)].concat(), part(3).to_vec()] {
        let changed = [before, &middle, behind].concat();
        let trace = open(&changed).unwrap();
        assert!(matches!(trace.completeness(), Completeness::Damaged(_)), "{:?}", trace.completeness());
        check_truth(&trace, &truth);
    }
}

#[test]
fn other_files_are_no_traces() {
    let (bytes, _) = small();
    for other in [&b""[..], b"CANTUST", b"\x7fELF\x02\x01\x01\0 and so on, for more than a prologue"] {
        let error = open(other).unwrap_err();
        assert!(matches!(error, TraceError::NotATrace { .. }), "{error}");
    }
    let mut newer = bytes.clone();
    newer[8] = 1;
    let error = open(&newer).unwrap_err();
    assert!(matches!(error, TraceError::Version { expected: 0, came: 1, .. }), "{error}");
    let missing = Trace::open(Path::new("/nowhere/t.cantus")).unwrap_err();
    assert!(matches!(missing, TraceError::Io { .. }) && missing.to_string().contains("/nowhere/t.cantus"));
}

#[test]
fn a_killed_recorder_leaves_a_consistent_horizon() {
    let truth = plausible(4, 500, 21);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.cantus");
    let (writer, writers) =
        TraceWriter::create(&path, &header(4), &[PROGRAM], WriterOptions::default()).unwrap();
    append_all(&truth, writers, 30);
    writer.abandon().unwrap();
    let bytes = std::fs::read(&path).unwrap();
    let offsets: Vec<u64> = open(&bytes).unwrap().chunks().map(|chunk| chunk.offset).collect();
    let mut moved = false;
    for offset in offsets {
        let trace = open(&bytes[..offset as usize]).unwrap();
        check_truth(&trace, &truth);
        let reached: Vec<_> = trace.cores().map(|core| trace.extent(core).unwrap().reached).collect();
        moved |= trace.horizon().unwrap() != reached;
    }
    assert!(moved, "some cut leaves an edge that leads beyond it");
}

/// A change of a file's bytes.
#[derive(Clone, Debug)]
enum Mutation {
    Overwrite(usize, Vec<u8>),
    Remove(usize, usize),
    Insert(usize, Vec<u8>),
    Repeat(usize, usize),
    Truncate(usize),
}

fn mutation() -> impl Strategy<Value = Mutation> {
    let garbage = || prop::collection::vec(prop_oneof![any::<u8>(), Just(0), Just(0xff)], 1..64);
    let at = 0_usize..1 << 20;
    prop_oneof![
        (at.clone(), garbage()).prop_map(|(at, garbage)| Mutation::Overwrite(at, garbage)),
        (at.clone(), 1_usize..200).prop_map(|(at, length)| Mutation::Remove(at, length)),
        (at.clone(), garbage()).prop_map(|(at, garbage)| Mutation::Insert(at, garbage)),
        (at.clone(), 1_usize..200).prop_map(|(at, length)| Mutation::Repeat(at, length)),
        at.prop_map(Mutation::Truncate),
    ]
}

fn mutate(file: &mut Vec<u8>, mutation: Mutation) {
    let length = file.len();
    let stretch = |at: usize, wanted: usize| {
        let at = at % (length + 1);
        at..(at + wanted).min(length)
    };
    match mutation {
        Mutation::Overwrite(at, garbage) => {
            let stretch = stretch(at, garbage.len());
            let garbage = &garbage[..stretch.len()];
            file[stretch].copy_from_slice(garbage);
        }
        Mutation::Remove(at, wanted) => drop(file.drain(stretch(at, wanted))),
        Mutation::Insert(at, garbage) => {
            let at = at % (length + 1);
            file.splice(at..at, garbage);
        }
        Mutation::Repeat(at, wanted) => {
            let stretch = stretch(at, wanted);
            let again = file[stretch.clone()].to_vec();
            file.splice(stretch.start..stretch.start, again);
        }
        Mutation::Truncate(at) => file.truncate(at % (length + 1)),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn mutations_give_truth_or_errors(mutations in prop::collection::vec(mutation(), 1..4)) {
        let (mut bytes, truth) = small();
        let original = bytes.clone();
        mutations.into_iter().for_each(|mutation| mutate(&mut bytes, mutation));
        if let Ok(trace) = open(&bytes) {
            check_truth(&trace, &truth);
            prop_assert!(bytes == original || trace.completeness() != &Completeness::Complete);
        }
    }

    #[test]
    fn cuts_of_a_larger_trace_give_a_prefix(length in 0_usize..1 << 20) {
        static LARGER: LazyLock<(Vec<u8>, Streams)> = LazyLock::new(|| {
            let streams = plausible(3, 2000, 12);
            (bytes(&streams, 300), streams)
        });
        let (bytes, truth) = &*LARGER;
        let length = length % bytes.len();
        if let Ok(trace) = open(&bytes[..length]) {
            check_truth(&trace, truth);
            prop_assert!(trace.completeness() != &Completeness::Complete);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// Whoever forges a trace can make its checksums right. Then anything may come out of it, but no panic.
    #[test]
    fn forged_chunks_give_events_or_errors(
        changes in prop::collection::vec((0_usize..1 << 20, any::<u8>()), 1..6),
        headers_too: bool,
    ) {
        let (mut bytes, _) = small();
        let offsets = forgery::chunks(&bytes);
        for (at, byte) in changes {
            let offset = offsets[at % offsets.len()];
            let end = forgery::next_chunk(&bytes, offset);
            // The lengths stay, so that the chunk stays where it is.
            let from = if headers_too { offset } else { offset + 48 };
            let at = from + (at / offsets.len()) % (end - from).max(1);
            if at < end && !(offset + 32..offset + 48).contains(&at) {
                bytes[at] = byte;
                forgery::seal(&mut bytes, offset);
            }
        }
        exercise(&bytes);
    }

    #[test]
    fn forged_headers_give_a_trace_or_an_error(at in 0_usize..1 << 20, byte: u8) {
        let (mut bytes, _) = small();
        let length = forgery::first_chunk(&bytes) - 24;
        bytes[24 + at % length] = byte;
        forgery::seal_header(&mut bytes);
        exercise(&bytes);
    }
}

/// Reads all that a trace has, whatever that is.
fn exercise(bytes: &[u8]) {
    let Ok(trace) = open(bytes) else { return };
    for core in trace.cores() {
        let mut at = Position(0);
        for (position, _) in trace.stream(core).map_while(Result::ok) {
            assert!(position >= at, "REP-3: positions ascend");
            at = position;
        }
    }
    let _ = (trace.read_all(), trace.horizon(), trace.machine_digests(), trace.totals());
    let _ = (trace.image(0), trace.image(1), trace.chunks().count());
    for cut in trace.checkpoints() {
        let _ = (trace.checkpoint(cut), trace.checkpoint_memory(cut, |_, _| ()));
    }
}

#[test]
fn events_that_make_no_sense_are_named_with_chunk_and_offset() {
    let streams: Streams = vec![vec![(Position(3), Event::ConditionalFailed)], vec![]];
    let mut bytes = bytes(&streams, 1);
    let offset = forgery::chunks(&bytes)
        .into_iter()
        .find(|offset| bytes[*offset] == 1 && bytes[*offset + 28] == 1)
        .unwrap();
    assert_eq!(bytes[offset + 48], 5, "the event's head");
    bytes[offset + 48] = 7;
    forgery::seal(&mut bytes, offset);
    let trace = open(&bytes).unwrap();
    let error = trace.read_all().unwrap_err();
    let TraceError::Event { chunk, offset: at, core, at: in_payload, ref what, .. } = error else {
        panic!("{error}")
    };
    assert_eq!((core, at, in_payload), (CoreId(0), offset as u64, 0));
    assert!(what.contains("came 7"), "{what}");
    assert!(error.to_string().contains(&format!("chunk {chunk} at offset {at}")), "{error}");
}
