//! `FORMAT.md` and the code say the same: a reader written from the document alone reads what the crate writes, and the
//! document's example and limits are the crate's.

mod reader;
#[path = "../samples/mod.rs"]
mod samples;

use std::path::Path;

use cantus_traces::{
    Checkpoint, ClockPolicy, Configuration, ContentDigest, CoreEnd, Digest, EndReason, Event, Footer, Header,
    HostFacts, Position, Schedule, Trace, TraceWriter, WriterOptions, limits,
};
use proptest::prelude::*;
use samples::{FIRMWARE, PROGRAM, Streams, append_all, footer, forgery, header, machine_digest, plausible};

const FORMAT: &str = include_str!("../../FORMAT.md");

fn check_contents(path: &Path, streams: &Streams) -> reader::Contents {
    let contents = reader::read(&std::fs::read(path).unwrap());
    assert_eq!(contents.header, header(streams.len() as u16));
    assert!(contents.header.images[0].is(FIRMWARE));
    assert_eq!(contents.images, [&b""[..], PROGRAM]);
    assert_eq!(&contents.events, streams);
    assert_eq!(contents.machine_digests, [machine_digest(0, streams.len())]);
    assert_eq!(contents.footer, footer(streams));
    assert!(contents.is_indexed);
    let trace = Trace::open(path).unwrap();
    let totals = cantus_traces::Totals { file_bytes: contents.totals.file_bytes, ..trace.totals() };
    assert_eq!(contents.totals, totals);
    contents
}

proptest! {
    #[test]
    fn a_reader_made_from_the_document_reads_any_trace(
        streams in samples::streams(),
        round in 1_usize..80,
        buffer_bytes in 1_usize..2000,
    ) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.cantus");
        samples::write(&path, &streams, round, WriterOptions { buffer_bytes, ..WriterOptions::default() });
        check_contents(&path, &streams);
    }
}

#[test]
fn a_reader_made_from_the_document_reads_large_traces() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.cantus");
    let streams = plausible(3, 30_000, 51);
    samples::write(&path, &streams, usize::MAX, WriterOptions::default());
    check_contents(&path, &streams);
}

#[test]
fn a_reader_made_from_the_document_reads_checkpoints() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.cantus");
    let streams = plausible(2, 50, 52);
    let (writer, writers) =
        TraceWriter::create(&path, &header(2), &[PROGRAM], WriterOptions::default()).unwrap();
    append_all(&streams, writers, 20);
    writer.machine_digest(&machine_digest(0, 2));
    let contents = [[0; 4096], [7; 4096], [8; 4096], [7; 4096]];
    let pages: Vec<_> = (40..).zip(&contents).map(|(number, page)| (number, writer.page(page))).collect();
    let first = Checkpoint {
        cut: 300,
        base: None,
        positions: vec![Position(1 << 40), Position(0)],
        cores: vec![vec![1, 251, 255], vec![]],
        devices: vec![9; 700],
        pages,
    };
    writer.checkpoint(&first);
    let page = writer.page(&[8; 4096]);
    let second = Checkpoint { cut: 301, base: Some(300), pages: vec![(0, page)], ..first.clone() };
    writer.checkpoint(&second);
    writer.finish(footer(&streams)).unwrap();

    let read = check_contents(&path, &streams);
    assert_eq!(read.checkpoints, [first, second]);
    let stored = [[7; 4096], [8; 4096]].map(|page| (ContentDigest::of(&page), page.to_vec()));
    assert_eq!(read.pages, stored);
}

/// The trace of the document's example.
fn example(path: &Path) {
    let header = Header {
        recorder: "cantus".to_owned(),
        configuration: Configuration {
            isa: "rv64gc".to_owned(),
            board: "virt".to_owned(),
            cores: 1,
            ram_bytes: 4096,
            clock: ClockPolicy::Virtual,
            timebase_hz: 10_000_000,
            digest_interval: 0,
            settings: Vec::new(),
        },
        images: Vec::new(),
        schedule: Schedule::default(),
        host: HostFacts::default(),
        command_line: vec!["cantus".to_owned()],
    };
    let (writer, mut streams) = TraceWriter::create(path, &header, &[], WriterOptions::default()).unwrap();
    let mut stream = streams.remove(0);
    for (position, event) in &example_events() {
        stream.append(*position, event);
    }
    stream.close(Position(300));
    let cores = vec![CoreEnd { position: Position(300), state: Digest::of(b"state") }];
    let memory = ContentDigest::of(b"memory");
    writer.finish(Footer { reason: EndReason::Exited, exit_status: Some(0), cores, memory }).unwrap();
}

fn example_events() -> [(Position, Event); 2] {
    [(Position(10), Event::Lines(0x80)), (Position(200), Event::Clock(1000))]
}

/// The bytes of the document's example: two hexadecimal digits each, up to a bar.
fn bytes_in_document() -> Vec<u8> {
    let (_, behind) = FORMAT.split_once("## Example").unwrap();
    let block = behind.split("```").nth(1).unwrap();
    let digits = block.lines().flat_map(|line| line.split('|').next().unwrap().split_whitespace());
    digits.map(|digits| u8::from_str_radix(digits, 16).unwrap()).collect()
}

/// The bytes of the example as the document should have them.
fn for_document(file: &[u8]) -> String {
    let mut text = String::new();
    let mut put = |from: usize, to: usize, what: &str| {
        for (line, what) in file[from..to].chunks(16).zip([what].into_iter().chain(std::iter::repeat(""))) {
            let hexadecimal: Vec<_> = line.iter().map(|byte| format!("{byte:02x}")).collect();
            text.push_str(format!("{:47} | {what}", hexadecimal.join(" ")).trim_end());
            text.push('\n');
        }
    };
    put(0, 24, "prologue");
    put(24, forgery::first_chunk(file), "header block");
    for (number, offset) in forgery::chunks(file).into_iter().enumerate() {
        put(offset, offset + 48, &format!("chunk {number}"));
        put(offset + 48, forgery::next_chunk(file, offset), "payload");
    }
    put(file.len() - 24, file.len(), "trailer");
    text
}

#[test]
fn the_example_is_what_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.cantus");
    example(&path);
    let written = std::fs::read(&path).unwrap();
    assert!(
        written == bytes_in_document(),
        "the example in FORMAT.md is another; this is written now:\n{}",
        for_document(&written)
    );
}

#[test]
fn the_example_is_read_by_both_readers() {
    let bytes = bytes_in_document();
    assert_eq!(reader::read(&bytes).events, [example_events()]);
    let trace = Trace::from_bytes(Path::new("FORMAT.md"), bytes).unwrap();
    assert_eq!(trace.read_all().unwrap(), [example_events()]);
    assert_eq!(trace.footer().unwrap().cores[0].position, Position(300));
}

#[test]
fn the_limits_are_the_crate_s() {
    let expected: [(&str, u64); 11] = [
        ("HEADER_BYTES_MAX", limits::HEADER_BYTES_MAX.into()),
        ("RAM_BYTES_MIN", limits::RAM_BYTES_MIN),
        ("RAM_BYTES_MAX", limits::RAM_BYTES_MAX),
        ("IMAGE_BYTES_MAX", limits::IMAGE_BYTES_MAX),
        ("IMAGES_MAX", limits::IMAGES_MAX as u64),
        ("TIMEBASE_HZ_MAX", limits::TIMEBASE_HZ_MAX),
        ("WORDS_MAX", limits::WORDS_MAX as u64),
        ("POSITION_MAX", limits::POSITION_MAX),
        ("INPUT_BYTES_MAX", limits::INPUT_BYTES_MAX as u64),
        ("CHUNK_BYTES_MAX", limits::CHUNK_BYTES_MAX.into()),
        ("INDEX_ENTRIES_MAX", limits::INDEX_ENTRIES_MAX as u64),
    ];
    let documented: Vec<(&str, u64)> = FORMAT
        .lines()
        .filter_map(|line| {
            let (name, rest) = line.strip_prefix("| `")?.split_once('`')?;
            let value = rest.trim_end_matches('|').rsplit('|').next()?.trim().parse().ok()?;
            Some((name, value))
        })
        .collect();
    assert_eq!(documented, expected);
    assert!(FORMAT.contains(&format!("format version **{}**", limits::FORMAT_VERSION)));
}
