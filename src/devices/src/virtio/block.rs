//! A drive (Virtual I/O Device 1.2, section 5.2).
//!
//! The image is never changed: what the guest writes lies over it, in blocks of 4 KiB. With `write_through` the host is
//! also told of each write, as the offset in bytes (eight bytes, little-endian) and the bytes; and of each flush, by an
//! empty message. Every request is done when the notification is, so a flush has nothing to wait for.
//!
//! The overlay is kept by pages, a block each, so that what changes of it is known, and no more than that is looked at.
//!
//! The overlay has at most [`OVERLAY_BLOCKS_MAX`] blocks. A write that would make it larger is an I/O error to the guest.

use super::queue::{Chain, Fail};
use super::{Kind, Queues};
use crate::{Outside, PAGE_BYTES, StateError, StateReader};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Bytes of a sector.
pub const SECTOR_BYTES: u64 = 512;
/// The most blocks of the overlay: 2 GiB.
pub const OVERLAY_BLOCKS_MAX: usize = 1 << 19;
/// Bytes of the identification (section 5.2.6.2).
pub const ID_BYTES: usize = 20;

/// Bytes of a block of the overlay.
const BLOCK_BYTES: u64 = PAGE_BYTES as u64;
/// Bytes of a request before its data.
const HEADER_BYTES: u64 = 16;
/// The most sectors, and segments, of a request to discard or to write zeroes.
const ZEROES_SECTORS_MAX: u32 = 1 << 15;
const ZEROES_SEGMENTS_MAX: u32 = 16;
/// Bytes of such a segment.
const SEGMENT_BYTES: usize = 16;
/// The most bytes, and number, of a request's buffers, so that a chain is never too large.
const BUFFER_BYTES_MAX: u32 = 32 << 10;
const BUFFERS_MAX: u32 = QUEUE_ENTRIES as u32 - 2;
const QUEUE_ENTRIES: u16 = 128;

/// Features (section 5.2.3).
mod feature {
    pub const SIZE_MAX: u64 = 1 << 1;
    pub const SEG_MAX: u64 = 1 << 2;
    pub const READ_ONLY: u64 = 1 << 5;
    pub const FLUSH: u64 = 1 << 9;
    pub const DISCARD: u64 = 1 << 13;
    pub const WRITE_ZEROES: u64 = 1 << 14;
}

/// Types of requests (section 5.2.6).
mod request {
    pub const READ: u32 = 0;
    pub const WRITE: u32 = 1;
    pub const FLUSH: u32 = 4;
    pub const GET_ID: u32 = 8;
    pub const DISCARD: u32 = 11;
    pub const WRITE_ZEROES: u32 = 13;
}

/// A request's outcome (section 5.2.6).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
enum Outcome {
    Done = 0,
    Failed = 1,
    Unsupported = 2,
}

/// The bytes of an image, wherever the host keeps them.
pub type Image = Arc<dyn AsRef<[u8]> + Send + Sync>;

/// What a drive is made of.
#[derive(Clone)]
pub struct Drive {
    /// What it holds at first. Zeroes follow up to a whole sector.
    pub image: Image,
    /// Whether the guest may only read it.
    pub read_only: bool,
    /// Whether the host is told of each write.
    pub write_through: bool,
    /// What it calls itself.
    pub id: [u8; ID_BYTES],
}

/// A drive.
pub struct Block {
    drive: Drive,
    /// Blocks that were written, by number; none where a block is all zeroes, and only there.
    overlay: BTreeMap<u64, Option<Box<[u8]>>>,
    /// Those of them that were written since somebody asked.
    written: BTreeSet<u64>,
}

impl Block {
    /// A drive that holds what its image does.
    pub fn new(drive: Drive) -> Self {
        Self { drive, overlay: BTreeMap::new(), written: BTreeSet::new() }
    }

    fn sectors(&self) -> u64 {
        (self.image().len() as u64).div_ceil(SECTOR_BYTES)
    }

    fn image(&self) -> &[u8] {
        (*self.drive.image).as_ref()
    }

    /// Whether all of this is on the drive; how far from its start, in bytes.
    fn place(&self, sector: u64, bytes: u64) -> Option<u64> {
        let sectors = bytes.div_ceil(SECTOR_BYTES);
        let fits = bytes.is_multiple_of(SECTOR_BYTES)
            && sector.checked_add(sectors).is_some_and(|end| end <= self.sectors());
        fits.then_some(sector.wrapping_mul(SECTOR_BYTES))
    }

    /// What the image has at a place of at most a block.
    fn image_bytes(&self, offset: u64, into: &mut [u8]) {
        let image = self.image();
        let from = image.get(offset as usize..).unwrap_or_default();
        let count = from.len().min(into.len());
        into[..count].copy_from_slice(&from[..count]);
        into[count..].fill(0);
    }

    fn read(&self, offset: u64, into: &mut [u8]) {
        for (block, within, range) in pieces(offset, into.len() as u64) {
            let into = &mut into[range];
            match self.overlay.get(&block) {
                Some(Some(bytes)) => into.copy_from_slice(&bytes[within..within + into.len()]),
                Some(None) => into.fill(0),
                None => self.image_bytes(block * BLOCK_BYTES + within as u64, into),
            }
        }
    }

    /// Whether the overlay has room for so many bytes more, wherever they are.
    fn has_room(&self, bytes: u64) -> bool {
        self.overlay.len() + (bytes / BLOCK_BYTES) as usize + 2 <= OVERLAY_BLOCKS_MAX
    }

    /// Writes these bytes, or zeroes where there are none.
    fn write(&mut self, offset: u64, length: u64, from: Option<&[u8]>) {
        for (block, within, range) in pieces(offset, length) {
            self.written.insert(block);
            if from.is_none() && range.len() as u64 == BLOCK_BYTES {
                self.overlay.insert(block, None);
                continue;
            }
            let mut bytes = vec![0; BLOCK_BYTES as usize];
            self.read(block * BLOCK_BYTES, &mut bytes);
            let into = &mut bytes[within..within + range.len()];
            match from {
                Some(from) => into.copy_from_slice(&from[range]),
                None => into.fill(0),
            }
            self.overlay.insert(block, non_zero(bytes));
        }
    }

    #[cfg(test)]
    pub(super) fn overlay(&self) -> &BTreeMap<u64, Option<Box<[u8]>>> {
        &self.overlay
    }

    /// How many blocks the drive has.
    fn blocks(&self) -> u64 {
        (self.sectors() * SECTOR_BYTES).div_ceil(BLOCK_BYTES)
    }

    fn tell(&self, offset: u64, bytes: &[u8], outside: &mut dyn Outside) {
        if self.drive.write_through {
            outside.tell_host(&[&offset.to_le_bytes()[..], bytes].concat());
        }
    }

    /// Does a request; says how, and how many bytes of data it wrote to guest memory.
    fn request(&mut self, chain: &Chain, outside: &mut dyn Outside) -> (Outcome, u64) {
        let header = chain.read(0, HEADER_BYTES, outside);
        let word = |at: usize| header[at..at + 4].iter().rfold(0, |word, &byte| word << 8 | u32::from(byte));
        let sector = u64::from(word(12)) << 32 | u64::from(word(8));
        let room = chain.writable_bytes() - 1;
        match word(0) {
            request::READ => {
                let Some(offset) = self.place(sector, room) else { return (Outcome::Failed, 0) };
                let mut bytes = vec![0; room as usize];
                self.read(offset, &mut bytes);
                chain.write(0, &bytes, outside);
                (Outcome::Done, room)
            }
            request::WRITE => {
                let bytes = chain.read(HEADER_BYTES, u64::MAX, outside);
                let length = bytes.len() as u64;
                let place = self.place(sector, length).filter(|_| self.has_room(length));
                let Some(offset) = place.filter(|_| !self.drive.read_only) else {
                    return (Outcome::Failed, 0);
                };
                self.write(offset, length, Some(&bytes));
                self.tell(offset, &bytes, outside);
                (Outcome::Done, 0)
            }
            request::FLUSH => {
                if self.drive.write_through {
                    outside.tell_host(&[]);
                }
                (Outcome::Done, 0)
            }
            request::GET_ID => {
                let count = room.min(ID_BYTES as u64);
                chain.write(0, &self.drive.id[..count as usize], outside);
                (Outcome::Done, count)
            }
            request::DISCARD | request::WRITE_ZEROES => (self.zero(chain, outside), 0),
            _ => (Outcome::Unsupported, 0),
        }
    }

    /// Section 5.2.6.2. What is discarded reads as zeroes from then on.
    fn zero(&mut self, chain: &Chain, outside: &mut dyn Outside) -> Outcome {
        let segments = chain.read(HEADER_BYTES, u64::MAX, outside);
        let count = segments.len() / SEGMENT_BYTES;
        let is_whole = segments.len().is_multiple_of(SEGMENT_BYTES);
        if self.drive.read_only || !is_whole || count == 0 || count > ZEROES_SEGMENTS_MAX as usize {
            return Outcome::Failed;
        }
        let mut places = Vec::new();
        for segment in segments.chunks_exact(SEGMENT_BYTES) {
            let number = |range: std::ops::Range<usize>| {
                segment[range].iter().rfold(0_u64, |number, &byte| number << 8 | u64::from(byte))
            };
            let (sector, sectors, flags) = (number(0..8), number(8..12), number(12..16));
            // Bit 0 allows to unmap; no other bit is known.
            if flags & !1 != 0 {
                return Outcome::Unsupported;
            }
            let length = sectors * SECTOR_BYTES;
            let place = self.place(sector, length).filter(|_| sectors <= ZEROES_SECTORS_MAX.into());
            let Some(offset) = place else { return Outcome::Failed };
            places.push((offset, length));
        }
        if !self.has_room(places.iter().map(|(_, length)| length + 2 * BLOCK_BYTES).sum()) {
            return Outcome::Failed;
        }
        for (offset, length) in places {
            self.write(offset, length, None);
            if self.drive.write_through {
                self.tell(offset, &vec![0; length as usize], outside);
            }
        }
        Outcome::Done
    }
}

/// A block of the overlay.
fn non_zero(bytes: Vec<u8>) -> Option<Box<[u8]>> {
    bytes.iter().any(|&byte| byte != 0).then(|| bytes.into())
}

/// The pieces of a range by blocks: the block, where in it the piece begins, and its range in what is copied.
fn pieces(offset: u64, length: u64) -> impl Iterator<Item = (u64, usize, std::ops::Range<usize>)> {
    let mut done = 0;
    std::iter::from_fn(move || {
        let at = offset + done;
        let within = at % BLOCK_BYTES;
        let count = (BLOCK_BYTES - within).min(length - done);
        let range = done as usize..(done + count) as usize;
        done += count;
        (count > 0).then_some((at / BLOCK_BYTES, within as usize, range))
    })
}

impl Kind for Block {
    fn name(&self) -> &'static str {
        "virtio-block"
    }

    fn id(&self) -> u32 {
        2
    }

    fn features(&self) -> u64 {
        let read_only = if self.drive.read_only { feature::READ_ONLY } else { 0 };
        let zeroes = feature::DISCARD | feature::WRITE_ZEROES;
        feature::SIZE_MAX | feature::SEG_MAX | feature::FLUSH | zeroes | read_only
    }

    fn queues(&self) -> &'static [u16] {
        &[QUEUE_ENTRIES]
    }

    /// Section 5.2.4.
    fn config(&self) -> Vec<u8> {
        let mut config = self.sectors().to_le_bytes().to_vec();
        config.extend(BUFFER_BYTES_MAX.to_le_bytes());
        config.extend(BUFFERS_MAX.to_le_bytes());
        // Geometry, block size, topology, writeback and number of queues: not offered.
        config.resize(36, 0);
        let (sectors, segments) = (ZEROES_SECTORS_MAX, ZEROES_SEGMENTS_MAX);
        for word in [sectors, segments, (BLOCK_BYTES / SECTOR_BYTES) as u32, sectors, segments, 1] {
            config.extend(word.to_le_bytes());
        }
        config
    }

    fn reset(&mut self) {}

    fn notified(
        &mut self,
        queue: usize,
        queues: &mut Queues<'_>,
        outside: &mut dyn Outside,
    ) -> Result<(), Fail> {
        let chains = queues.chains(queue, outside)?;
        if chains.iter().any(|chain| chain.readable_bytes() < HEADER_BYTES || chain.writable_bytes() == 0) {
            return Err(Fail::Broken("a request to a drive without header or status"));
        }
        for chain in chains {
            let (outcome, written) = self.request(&chain, outside);
            // The status is the last byte that the device may write.
            let last = chain.writable_bytes() - 1;
            chain.write(last, &[outcome as u8], outside);
            let written = if written == last { written + 1 } else { written };
            queues.push(queue, &chain, written, outside);
        }
        Ok(())
    }

    fn changes(&self, each: &mut dyn FnMut(u64, &[u8])) {
        let end = self.sectors() * SECTOR_BYTES;
        for (block, bytes) in &self.overlay {
            let offset = block * BLOCK_BYTES;
            let length = BLOCK_BYTES.min(end.saturating_sub(offset)) as usize;
            each(offset, &bytes.as_deref().unwrap_or(&[0; BLOCK_BYTES as usize])[..length]);
        }
    }

    /// All of it is pages.
    fn write_state(&self, _into: &mut Vec<u8>) {}

    fn read_state(&mut self, _from: &mut StateReader<'_>) -> Result<(), StateError> {
        self.overlay.clear();
        self.written.clear();
        Ok(())
    }

    fn take_written_pages(&mut self) -> Vec<u64> {
        std::mem::take(&mut self.written).into_iter().collect()
    }

    fn load_page(&self, number: u64, into: &mut [u8; PAGE_BYTES]) {
        match self.overlay.get(&number) {
            Some(Some(bytes)) => into.copy_from_slice(bytes),
            Some(None) | None => into.fill(0),
        }
    }

    fn store_page(&mut self, number: u64, from: &[u8; PAGE_BYTES]) -> Result<(), StateError> {
        if number >= self.blocks() || self.overlay.len() >= OVERLAY_BLOCKS_MAX {
            return Err(StateError::Page { device: self.name(), number });
        }
        self.overlay.insert(number, non_zero(from.to_vec()));
        Ok(())
    }
}
