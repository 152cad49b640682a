//! Reading checkpoints, and the pages that they are made of.

use std::collections::BTreeMap;

use crate::{
    Checkpoint, ContentDigest, Position, Trace, TraceError,
    frame::ChunkKind,
    layout::Placed,
    limits::{DEVICE_PAGES, PAGE_BYTES},
    page_store::{PAGE_LIST_ENTRY_BYTES, PAGE_RECORD_BYTES, ZERO_PAGE},
    records::CheckpointBlock,
    trace::Decompressor,
};

impl Trace {
    /// The cuts that have a checkpoint, ascending.
    pub fn checkpoints(&self) -> Vec<u32> {
        let mut cuts: Vec<u32> = self.checkpoint_chunks().map(|chunk| chunk.header.first as u32).collect();
        cuts.sort_unstable();
        cuts.dedup();
        cuts
    }

    /// The cut that the trace begins at, and the cores' positions there; none where it begins with the run.
    ///
    /// # Errors
    ///
    /// If the trace begins later than the run, but not at a checkpoint of its own that needs no other.
    pub fn origin(&self) -> Result<Option<(u32, Vec<Position>)>, TraceError> {
        let extents: Vec<_> = self.cores().filter_map(|core| self.extent(core)).collect();
        if extents.iter().all(|extent| extent.begun == Position(0)) {
            return Ok(None);
        }
        let wanted = "the checkpoint that it begins at".to_owned();
        let Some(&cut) = self.checkpoints().first() else { return Err(self.inner().missing(wanted)) };
        let Checkpoint { base, positions, .. } = self.checkpoint(cut)?;
        let begins_there = extents
            .iter()
            .zip(&positions)
            .all(|(extent, position)| extent.chunks == 0 || extent.begun == *position);
        if base.is_some() || !begins_there {
            return Err(self.inner().missing(wanted));
        }
        Ok(Some((cut, positions)))
    }

    fn checkpoint_chunks(&self) -> impl DoubleEndedIterator<Item = &Placed> {
        let chunks = self.inner().whole_chunks(ChunkKind::Checkpoint);
        chunks.filter(|chunk| u32::try_from(chunk.header.first).is_ok())
    }

    /// The checkpoint of a cut, as it was written: with the pages that differ from its base.
    ///
    /// # Errors
    ///
    /// If there is none, or its chunks cannot be read or do not fit each other or the machine.
    pub fn checkpoint(&self, cut: u32) -> Result<Checkpoint, TraceError> {
        let inner = self.inner();
        let Some(chunk) = self.checkpoint_chunks().find(|chunk| chunk.header.first == u64::from(cut)) else {
            return Err(inner.missing(format!("a whole checkpoint of cut {cut}")));
        };
        let block: CheckpointBlock = inner.block(chunk)?;
        let cores = usize::from(inner.header.configuration.cores);
        if block.cut != cut || block.positions.len() != cores || block.cores.len() != cores {
            let what = format!(
                "expected cut {cut} of {cores} cores, came cut {} of {} positions and {} states",
                block.cut,
                block.positions.len(),
                block.cores.len()
            );
            return Err(inner.damaged(chunk, what));
        }
        if block.base.is_some_and(|base| base >= cut) {
            return Err(inner.damaged(chunk, "its base is not an earlier checkpoint".to_owned()));
        }
        let pages = self.page_list(chunk)?;
        if pages.len() as u64 != block.pages {
            let what = format!("expected {} listed pages, came {}", block.pages, pages.len());
            return Err(inner.damaged(chunk, what));
        }
        let CheckpointBlock { cut, base, positions, cores, devices, pages: _ } = block;
        Ok(Checkpoint { cut, base, positions, cores, devices, pages })
    }

    /// The pages that the lists of a checkpoint's cut name.
    fn page_list(&self, checkpoint: &Placed) -> Result<Vec<(u64, ContentDigest)>, TraceError> {
        let inner = self.inner();
        let ram_pages = inner.header.configuration.ram_bytes / PAGE_BYTES as u64;
        let mut pages: Vec<(u64, ContentDigest)> = Vec::new();
        let (mut decompressor, mut raw) = (Decompressor::new(), Vec::new());
        let lists = inner.whole_chunks(ChunkKind::PageList).filter(|list| {
            list.header.first == checkpoint.header.first && list.header.number < checkpoint.header.number
        });
        for list in lists {
            inner.payload(list, &mut decompressor, &mut raw)?;
            if raw.len() != list.header.count as usize * PAGE_LIST_ENTRY_BYTES {
                let what = format!("expected {} entries, came {} bytes", list.header.count, raw.len());
                return Err(inner.damaged(list, what));
            }
            for entry in raw.chunks_exact(PAGE_LIST_ENTRY_BYTES) {
                let (page, digest) = entry.split_at(8);
                let page = u64::from_le_bytes(page.try_into().expect("eight bytes"));
                let is_known = page < ram_pages || page >= DEVICE_PAGES;
                if !is_known || pages.last().is_some_and(|(before, _)| *before >= page) {
                    let what =
                        format!("expected ascending pages below {ram_pages} or of devices, came {page}");
                    return Err(inner.damaged(list, what));
                }
                pages.push((page, ContentDigest(digest.try_into().expect("thirty-two bytes"))));
            }
        }
        Ok(pages)
    }

    /// The contents of memory at a cut, page by page in any order: all pages that are not zero, and some that are. And all
    /// pages of devices, whose numbers begin at [`DEVICE_PAGES`]. It reads the chunks of pages up to the checkpoint once.
    ///
    /// # Errors
    ///
    /// As [`Trace::checkpoint`], also of the bases; and if a page's contents are missing or are not those of its digest.
    pub fn checkpoint_memory(
        &self,
        cut: u32,
        mut page: impl FnMut(u64, &[u8; PAGE_BYTES]),
    ) -> Result<(), TraceError> {
        let inner = self.inner();
        let mut contents = BTreeMap::new();
        let mut next = Some(cut);
        while let Some(cut) = next {
            let checkpoint = self.checkpoint(cut)?;
            for (number, digest) in checkpoint.pages {
                contents.entry(number).or_insert(digest);
            }
            next = checkpoint.base;
        }
        let zero = ContentDigest::of(&ZERO_PAGE);
        let mut wanted: BTreeMap<ContentDigest, Vec<u64>> = BTreeMap::new();
        for (number, digest) in contents {
            if digest == zero {
                page(number, &ZERO_PAGE);
            } else {
                wanted.entry(digest).or_default().push(number);
            }
        }
        let (mut decompressor, mut raw) = (Decompressor::new(), Vec::new());
        for chunk in inner.whole_chunks(ChunkKind::Pages) {
            if wanted.is_empty() {
                break;
            }
            inner.payload(chunk, &mut decompressor, &mut raw)?;
            if raw.len() != chunk.header.count as usize * PAGE_RECORD_BYTES {
                let what = format!("expected {} pages, came {} bytes", chunk.header.count, raw.len());
                return Err(inner.damaged(chunk, what));
            }
            for record in raw.chunks_exact(PAGE_RECORD_BYTES) {
                let (digest, bytes) = record.split_at(32);
                let digest = ContentDigest(digest.try_into().expect("thirty-two bytes"));
                let bytes: &[u8; PAGE_BYTES] = bytes.try_into().expect("one page");
                let Some(numbers) = wanted.remove(&digest) else { continue };
                if ContentDigest::of(bytes) != digest {
                    return Err(inner.damaged(chunk, format!("a page does not have the digest {digest}")));
                }
                numbers.into_iter().for_each(|number| page(number, bytes));
            }
        }
        match wanted.first_key_value() {
            None => Ok(()),
            Some((digest, _)) => {
                Err(inner.missing(format!("{} pages of cut {cut}, among them {digest}", wanted.len())))
            }
        }
    }

    /// All stored pages, in the file's order.
    pub(crate) fn each_stored_page(&self, mut page: impl FnMut(&[u8; PAGE_BYTES])) -> Result<(), TraceError> {
        let (mut decompressor, mut raw) = (Decompressor::new(), Vec::new());
        for chunk in self.inner().whole_chunks(ChunkKind::Pages) {
            self.inner().payload(chunk, &mut decompressor, &mut raw)?;
            for record in raw.chunks_exact(PAGE_RECORD_BYTES) {
                page(record[32..].try_into().expect("one page"));
            }
        }
        Ok(())
    }
}
