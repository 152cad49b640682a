//! Decoded code, by where it lies in RAM.
//!
//! Guarantees (MMU-2, MMU-3): a block that [`Blocks::get`] finds was, at the code epoch it is asked for, what the bytes in
//! RAM say; a store by this core that touches a byte of a block drops it. Blocks do not depend on virtual addresses, nor
//! on anything else of the hart's state. A dropped block's memory stays until [`Blocks::bury`], because it may be the one
//! that is being executed.

use cantus_isa::riscv::{Op, decode, length};
use cantus_isa::{Gpa, address::PAGE_SIZE};
use cantus_memory::{LINE_SIZE, PageIndex, Ram, Tlb};
use std::collections::BTreeMap;

/// Operations of a block at most.
pub(crate) const OPS_MAX: usize = 64;
/// Blocks at most, and so many halfwords of contiguous code do not collide.
const BLOCKS: usize = 1 << 15;

/// Operations that follow each other in memory, all in one page.
pub(crate) struct Block {
    /// Host address of its first byte.
    pub host: u64,
    /// Its bytes were compared with RAM at this code epoch.
    pub epoch: u64,
    /// It ends at the end of its line, and may be used where only this line may be read.
    pub line: bool,
    /// The operations, at least one. Only the last may end a block.
    pub ops: Box<[Op]>,
    /// Distance of each operation from the first, in halfwords, and of the end.
    pub starts: Box<[u8]>,
    address: Gpa,
    source: Box<[u8]>,
}

/// Which of a page's bytes are in blocks.
#[derive(Default)]
struct CodePage {
    /// The lines that blocks touch, or have touched.
    lines: u64,
    /// The blocks' places in the table.
    places: Vec<u16>,
}

/// All blocks of one core.
pub(crate) struct Blocks {
    /// By host address.
    table: Box<[Option<Box<Block>>]>,
    pages: BTreeMap<PageIndex, CodePage>,
    dropped: Vec<Block>,
}

impl Block {
    /// Decodes what lies at `address`, up to the first instruction that ends a block, the end of the page or, if `line`,
    /// of the line. None if not one whole legal instruction lies there.
    pub fn decode(ram: &Ram, address: Gpa, epoch: u64, line: bool) -> Option<Box<Self>> {
        let unit = if line { LINE_SIZE } else { PAGE_SIZE };
        let room = (unit - address.0 % unit).min(4 * OPS_MAX as u64) as usize;
        let mut buffer = [0; 4 * OPS_MAX];
        let bytes = &mut buffer[..room];
        ram.read(address, bytes);
        let half = |at: usize| u16::from_le_bytes([bytes[at], bytes[at + 1]]);
        let (mut ops, mut starts, mut at) = (Vec::with_capacity(16), vec![0], 0);
        while ops.len() < OPS_MAX && at + 2 <= room {
            let low = half(at);
            let end = at + usize::from(length(low));
            if end > room {
                break;
            }
            let high = if end - at == 4 { half(at + 2) } else { 0 };
            let Ok(op) = decode(u32::from(low) | u32::from(high) << 16) else { break };
            ops.push(op);
            starts.push((end / 2) as u8);
            at = end;
            if op.code.ends_block() {
                break;
            }
        }
        (!ops.is_empty()).then(|| {
            Box::new(Self {
                host: ram.host(address) as u64,
                epoch,
                line,
                ops: ops.into(),
                starts: starts.into(),
                address,
                source: bytes[..at].into(),
            })
        })
    }

    fn is_current(&self, ram: &Ram) -> bool {
        let mut buffer = [0; 4 * OPS_MAX];
        let bytes = &mut buffer[..self.source.len()];
        ram.read(self.address, bytes);
        *bytes == *self.source
    }

    fn end(&self) -> u64 {
        self.address.0 + self.source.len() as u64
    }

    fn overlaps(&self, start: u64, end: u64) -> bool {
        self.address.0 < end && start < self.end()
    }
}

impl Blocks {
    pub fn new() -> Self {
        let table = std::iter::repeat_with(|| None).take(BLOCKS).collect();
        Self { table, pages: BTreeMap::new(), dropped: Vec::new() }
    }

    fn place(host: u64) -> usize {
        (host >> 1) as usize % BLOCKS
    }

    /// The block that starts at the host address, if it is known to be current. Where only a line may be read, a block
    /// must be of `line`; elsewhere it must not.
    #[inline(always)]
    pub fn get(&self, host: u64, epoch: u64, line: bool) -> Option<&Block> {
        self.table[Self::place(host)]
            .as_deref()
            .filter(|block| block.host == host && block.epoch == epoch && block.line == line)
    }

    /// The same, comparing it with RAM, or decoding it. The core may read the code.
    pub fn find(&mut self, ram: &Ram, tlb: &mut Tlb, address: Gpa, epoch: u64, line: bool) -> Option<&Block> {
        let host = ram.host(address) as u64;
        let place = Self::place(host);
        let known = self.table[place].as_ref().is_some_and(|block| block.host == host && block.line == line);
        let page = ram.page(address)?;
        if known
            && self.table[place].as_ref().is_some_and(|block| block.epoch == epoch || block.is_current(ram))
        {
            // The marks may be of another TLB than when the block was made.
            tlb.mark_code(page);
        } else {
            let block = Block::decode(ram, address, epoch, line)?;
            self.remove(ram, tlb, place);
            let code = self.pages.entry(page).or_default();
            code.lines |= lines(block.address.0, block.end());
            code.places.push(place as u16);
            tlb.mark_code(page);
            self.table[place] = Some(block);
        }
        let block = self.table[place].as_mut()?;
        block.epoch = epoch;
        Some(block)
    }

    /// Drops the blocks that contain any of `bytes` bytes at `address`, which have been written and lie in one page.
    /// Returns whether there were any.
    pub fn written(&mut self, ram: &Ram, tlb: &mut Tlb, address: Gpa, bytes: u64) -> bool {
        let (start, end) = (address.0, address.0 + bytes);
        let Some(page) = ram.page(address) else { return false };
        let Some(code) = self.pages.get(&page) else { return false };
        if code.lines & lines(start, end) == 0 {
            return false;
        }
        let hit: Vec<usize> = code
            .places
            .iter()
            .map(|&place| usize::from(place))
            .filter(|&place| self.table[place].as_ref().is_some_and(|block| block.overlaps(start, end)))
            .collect();
        hit.iter().for_each(|&place| self.remove(ram, tlb, place));
        if let Some(code) = self.pages.get_mut(&page) {
            // What has been dropped may have been the last in a line.
            let left = code.places.iter().filter_map(|&place| self.table[usize::from(place)].as_ref());
            code.lines = left.fold(0, |all, block| all | lines(block.address.0, block.end()));
        }
        !hit.is_empty()
    }

    /// Lets go of blocks that were dropped, none of which is being executed.
    #[inline(always)]
    pub fn bury(&mut self) {
        if !self.dropped.is_empty() {
            self.dropped.clear();
        }
    }

    fn remove(&mut self, ram: &Ram, tlb: &mut Tlb, place: usize) {
        let Some(block) = self.table[place].take() else { return };
        let page = ram.page(block.address).expect("blocks lie in RAM");
        if let Some(code) = self.pages.get_mut(&page) {
            code.places.retain(|&other| usize::from(other) != place);
            if code.places.is_empty() {
                self.pages.remove(&page);
                tlb.clear_code(page);
            }
        }
        self.dropped.push(*block);
    }
}

/// The lines of a page that `start..end`, which is not empty, touches.
fn lines(start: u64, end: u64) -> u64 {
    let (first, last) = (start % PAGE_SIZE / LINE_SIZE, (end - 1) % PAGE_SIZE / LINE_SIZE);
    !0 << first & !0 >> (63 - last)
}
