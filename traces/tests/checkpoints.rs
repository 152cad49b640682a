//! Checkpoints: what is written comes back, each page's contents stand in the file once, and damage is named.

mod samples;

use std::collections::BTreeMap;

use cantus_traces::{
    Checkpoint, ChunkKind, Completeness, ContentDigest, Position, Trace, TraceError, TraceWriter,
    WriterOptions, limits::PAGE_BYTES, rewrite,
};
use samples::{PROGRAM, append_all, footer, forgery, header, plausible};

type Page = [u8; PAGE_BYTES];
type Memory = BTreeMap<u64, Page>;

/// A page whose contents are this number's: zeros for 0, and nothing that could be compressed for the others.
fn page(content: u32) -> Page {
    let mut page = [0; PAGE_BYTES];
    for (bytes, place) in page.chunks_exact_mut(32).zip(0_u32..).filter(|_| content != 0) {
        let seed = [content.to_le_bytes(), place.to_le_bytes()].concat();
        bytes.copy_from_slice(&ContentDigest::of(&seed).0);
    }
    page
}

fn checkpoint(writer: &TraceWriter, cut: u32, base: Option<u32>, changed: &Memory) -> Checkpoint {
    let checkpoint = Checkpoint {
        cut,
        base,
        positions: vec![Position(u64::from(cut) * 7), Position(9)],
        cores: vec![vec![cut as u8; 600], vec![]],
        devices: vec![1, 2, 3],
        pages: changed.iter().map(|(number, page)| (*number, writer.page(page))).collect(),
    };
    writer.checkpoint(&checkpoint);
    checkpoint
}

/// A trace with three checkpoints, the second on top of the first; with them, memory at each.
fn write(path: &std::path::Path) -> Vec<(Checkpoint, Memory)> {
    let streams = plausible(2, 50, 41);
    let (writer, writers) =
        TraceWriter::create(path, &header(2), &[PROGRAM], WriterOptions::default()).unwrap();
    append_all(&streams, writers, 20);
    let first: Memory = (0..600).map(|number| (number, page(number as u32 % 500))).collect();
    // Page 3 becomes zero, 4 gets what 5 had, 4000 comes anew.
    let changed: Memory = [(3, page(0)), (4, page(5)), (4000, page(1000))].into();
    let mut second = first.clone();
    second.extend(changed.clone());
    let third: Memory = [(0, page(1)), (4095, page(1000))].into();
    let written = vec![
        (checkpoint(&writer, 2, None, &first), first),
        (checkpoint(&writer, 5, Some(2), &changed), second),
        (checkpoint(&writer, 6, None, &third), third),
    ];
    writer.finish(footer(&streams)).unwrap();
    written
}

fn memory(trace: &Trace, cut: u32) -> Result<Memory, TraceError> {
    let mut memory = Memory::new();
    trace.checkpoint_memory(cut, |number, page| {
        assert_eq!(memory.insert(number, *page), None, "page {number} comes once");
    })?;
    Ok(memory)
}

#[test]
fn checkpoints_come_back_with_their_memory() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.cantus");
    let written = write(&path);
    let copy = folder.path().join("copy.cantus");
    let trace = Trace::open(&path).unwrap();
    rewrite(&trace, &copy, &trace.read_all().unwrap(), WriterOptions::default()).unwrap();
    for trace in [trace, Trace::open(&copy).unwrap()] {
        assert_eq!(trace.completeness(), &Completeness::Complete);
        assert_eq!(trace.checkpoints(), [2, 5, 6]);
        for (checkpoint, expected) in &written {
            assert_eq!(&trace.checkpoint(checkpoint.cut).unwrap(), checkpoint);
            assert!(memory(&trace, checkpoint.cut).unwrap() == *expected, "cut {}", checkpoint.cut);
        }
        assert!(
            matches!(trace.checkpoint(3), Err(TraceError::Missing { what, .. }) if what.contains("cut 3"))
        );
        let stored: u32 =
            trace.chunks().filter(|chunk| chunk.kind == ChunkKind::Pages).map(|chunk| chunk.count).sum();
        assert_eq!(stored, 500, "contents 1 to 499 and 1000 once each, zeros never");
    }
}

#[test]
fn a_trace_cut_before_a_checkpoint_has_those_before() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.cantus");
    let written = write(&path);
    let bytes = std::fs::read(&path).unwrap();
    let chunks: Vec<_> = Trace::open(&path).unwrap().chunks().collect();
    for end in chunks.iter().map(|chunk| chunk.offset as usize) {
        let trace = Trace::from_bytes(&path, bytes[..end].to_vec()).unwrap();
        let expected: Vec<u32> = chunks
            .iter()
            .filter(|chunk| chunk.kind == ChunkKind::Checkpoint && (chunk.offset as usize) < end)
            .zip(&written)
            .map(|(_, (checkpoint, _))| checkpoint.cut)
            .collect();
        assert_eq!(trace.checkpoints(), expected);
        for cut in expected {
            assert!(memory(&trace, cut).is_ok());
        }
    }
}

#[test]
fn a_lost_page_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.cantus");
    write(&path);
    let mut bytes = std::fs::read(&path).unwrap();
    let trace = Trace::open(&path).unwrap();
    let pages = trace.chunks().find(|chunk| chunk.kind == ChunkKind::Pages).unwrap();
    bytes[pages.offset as usize + 60] ^= 1;
    let damaged = Trace::from_bytes(&path, bytes).unwrap();
    assert!(matches!(
        damaged.completeness(),
        Completeness::Damaged(damage) if damage.chunk == pages.number && damage.kind == Some(ChunkKind::Pages)
    ));
    let error = memory(&damaged, 2).unwrap_err();
    assert!(
        matches!(&error, TraceError::Missing { what, .. } if what.starts_with("256 pages of cut 2")),
        "{error}"
    );
    assert!(memory(&damaged, 6).is_err(), "its page 0 was in that chunk");
    let copy = folder.path().join("copy.cantus");
    let outcome = rewrite(&damaged, &copy, &damaged.read_all().unwrap(), WriterOptions::default());
    assert!(matches!(outcome, Err(TraceError::Missing { .. })));
}

#[test]
fn a_forged_page_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.cantus");
    let page = page(77);
    let (writer, _) = TraceWriter::create(&path, &header(2), &[PROGRAM], WriterOptions::default()).unwrap();
    checkpoint(&writer, 0, None, &[(1, page)].into());
    writer.abandon().unwrap();
    let mut bytes = std::fs::read(&path).unwrap();
    // Nobody could compress that page, so it stands there as it is.
    let offset =
        Trace::open(&path).unwrap().chunks().find(|chunk| chunk.kind == ChunkKind::Pages).unwrap().offset;
    let offset = offset as usize;
    assert_eq!(bytes[offset + 48..offset + 80], ContentDigest::of(&page).0);
    assert_eq!(bytes[offset + 80..offset + 80 + PAGE_BYTES], page);
    bytes[offset + 500] ^= 1;
    forgery::seal(&mut bytes, offset);
    let forged = Trace::from_bytes(&path, bytes).unwrap();
    assert!(matches!(forged.completeness(), Completeness::Killed { .. }));
    assert!(matches!(memory(&forged, 0), Err(TraceError::Damaged { what, .. }) if what.contains("digest")));
}
