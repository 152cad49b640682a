//! Pages on their way into the file: each content once.

use std::collections::BTreeSet;

use crate::{
    Checkpoint, ContentDigest, blocks,
    core_stream::Record,
    frame::ChunkKind,
    limits::{PAGE_BYTES, PAGE_LIST_ENTRIES_MAX, PAGES_IN_CHUNK_MAX},
    records::CheckpointBlock,
};

/// A page of zeros, which no trace stores.
pub(crate) static ZERO_PAGE: [u8; PAGE_BYTES] = [0; PAGE_BYTES];

/// Bytes of one page in the payload of a chunk of pages: its digest and its contents.
pub(crate) const PAGE_RECORD_BYTES: usize = 32 + PAGE_BYTES;
/// Bytes of one entry in the payload of a list of pages: the page's number and its digest.
pub(crate) const PAGE_LIST_ENTRY_BYTES: usize = 8 + 32;

/// Which pages the trace holds, and those that wait for their chunk to be full.
#[derive(Default)]
pub(crate) struct PageStore {
    held: BTreeSet<ContentDigest>,
    waiting: Vec<u8>,
    count: u32,
}

impl PageStore {
    /// Takes a page with this digest, and gives the chunk that it filled, if it did.
    pub(crate) fn put(&mut self, digest: ContentDigest, page: &[u8; PAGE_BYTES]) -> Option<Record> {
        if *page == ZERO_PAGE || !self.held.insert(digest) {
            return None;
        }
        self.waiting.extend_from_slice(&digest.0);
        self.waiting.extend_from_slice(page);
        self.count += 1;
        let full = self.count as usize == PAGES_IN_CHUNK_MAX;
        if full { self.take() } else { None }
    }

    /// Whether the trace holds a page with this content, or needs none.
    pub(crate) fn holds(&self, digest: &ContentDigest) -> bool {
        self.held.contains(digest) || *digest == ContentDigest::of(&ZERO_PAGE)
    }

    /// The chunk of the pages that still wait, if any do.
    pub(crate) fn take(&mut self) -> Option<Record> {
        let count = std::mem::take(&mut self.count);
        let bytes = std::mem::take(&mut self.waiting);
        (count != 0).then_some(Record { kind: ChunkKind::Pages, core: 0, first: 0, last: 0, count, bytes })
    }
}

/// The chunks of a checkpoint: its lists of pages, then itself.
pub(crate) fn checkpoint_records(checkpoint: &Checkpoint) -> Vec<Record> {
    let Checkpoint { cut, base, positions, cores, devices, pages } = checkpoint;
    let (first, last) = (u64::from(*cut), u64::from(*cut) + 1);
    let mut records = Vec::new();
    for entries in pages.chunks(PAGE_LIST_ENTRIES_MAX) {
        let mut bytes = Vec::with_capacity(entries.len() * PAGE_LIST_ENTRY_BYTES);
        for (page, digest) in entries {
            bytes.extend_from_slice(&page.to_le_bytes());
            bytes.extend_from_slice(&digest.0);
        }
        let count = entries.len() as u32;
        records.push(Record { kind: ChunkKind::PageList, core: 0, first, last, count, bytes });
    }
    let bytes = blocks::encode(&CheckpointBlock {
        cut: *cut,
        base: *base,
        positions: positions.clone(),
        cores: cores.clone(),
        devices: devices.clone(),
        pages: pages.len() as u64,
    });
    records.push(Record { kind: ChunkKind::Checkpoint, core: 0, first, last, count: 1, bytes });
    records
}
