//! Decoded code, by where it lies in RAM.
//!
//! Guarantees (MMU-2, MMU-3): a block that [`Blocks::get`] finds was, at the code epoch it is asked for, what the bytes in
//! RAM say; a store by this core that touches a byte of a block drops it. Blocks do not depend on virtual addresses, nor
//! on anything else of the hart's state.
//!
//! A block stays in memory from when it is found until [`Blocks::bury`], even if it is dropped meanwhile, because it may be
//! the one that is being executed. Blocks remember which block came after them, under a stamp: where that lies holds as long
//! as neither translations of code nor grants change, nor the mode of fetches; and it is still in memory as long as none
//! was let go of, which happens to many of them together.

mod text;

use cantus_isa::riscv::op::Opcode;
use cantus_isa::riscv::{Op, decode, length};
use cantus_isa::{Gpa, address::PAGE_SIZE};
use cantus_memory::{LINE_SIZE, PageIndex, Ram, Tlb, Untouched};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::ptr::NonNull;
use text::Text;

/// Operations of a block at most.
pub const OPS_MAX: usize = 64;
/// Blocks at most. Debian's kernel executes some 180,000 on four cores until there is a shell. With 131,072, 300,000 were
/// decoded, and each one that drove out another let code that had been translated go stale, and links; with these, 196,000.
/// Twice as many give 188,000. A core touches only so much of the table as it executes code.
const BLOCKS: usize = 1 << 19;
/// Bytes that are read at once for decoding: most blocks are shorter.
const READ_TOGETHER: usize = 64;
/// So many dropped blocks are let go of together.
const BURIED_TOGETHER: usize = 512;
/// The code epoch of a block that was dropped: no core reaches it.
const DROPPED: u64 = u64::MAX;

/// Operations that follow each other in memory, all in one page.
pub struct Block {
    /// The operations, at least one, of which only the last may end a block; and their bytes.
    text: Text,
    /// Two numbers of the translator's own; 0 at first.
    pub mark: Cell<(u32, u32)>,
    /// The blocks that came after it lately.
    links: [Cell<Link>; 2],
    /// Host address of its first byte.
    host: u64,
    /// Its bytes were compared with RAM at this code epoch.
    epoch: Cell<u64>,
    /// It ends at the end of its line, and may be used where only this line may be read.
    line: bool,
    address: Gpa,
}

/// What comes after a block when it goes on at a virtual address, while the stamp is the same.
#[derive(Clone, Copy)]
struct Link {
    pc: u64,
    stamp: u64,
    to: NonNull<Block>,
}

/// Which of a page's bytes are in blocks.
#[derive(Default)]
struct CodePage {
    /// The lines that blocks touch, or have touched.
    lines: u64,
    /// The blocks' places in the table.
    places: Vec<u32>,
}

/// All blocks of one core.
pub(crate) struct Blocks {
    /// How often dropped blocks have been let go of.
    pub gone: u64,
    /// By host address. Each points to a box of its own.
    table: Untouched<Option<NonNull<Block>>>,
    pages: BTreeMap<PageIndex, CodePage>,
    /// Boxes that are in the table no more, and how many of them were mourned.
    dropped: Vec<NonNull<Block>>,
    mourned: usize,
    /// Blocks decoded, and compared with RAM, so far.
    pub decoded: u64,
    pub compared: u64,
}

// SAFETY: the pointers are to boxes that belong to this value alone.
unsafe impl Send for Blocks {}

impl Block {
    /// Decodes what lies at `address`, up to the first instruction that ends a block, the end of the page or, if `line`,
    /// of the line. None if not one whole legal instruction lies there.
    fn decode(ram: &Ram, address: Gpa, epoch: u64, line: bool) -> Option<Self> {
        let unit = if line { LINE_SIZE } else { PAGE_SIZE };
        let room = (unit - address.0 % unit).min(4 * OPS_MAX as u64) as usize;
        let mut buffer = [0; 4 * OPS_MAX];
        let bytes = &mut buffer[..room];
        let mut read = 0;
        let (mut ops, mut starts) = ([Op::of(Opcode::Addi); OPS_MAX], [0; OPS_MAX + 1]);
        let (mut count, mut at) = (0, 0);
        while count < OPS_MAX && at + 2 <= room {
            if at + 4 > read && read < room {
                let more = READ_TOGETHER.min(room - read);
                ram.read(Gpa(address.0 + read as u64), &mut bytes[read..read + more]);
                read += more;
            }
            let half = |at: usize| u16::from_le_bytes([bytes[at], bytes[at + 1]]);
            let low = half(at);
            let end = at + usize::from(length(low));
            if end > room {
                break;
            }
            let high = if end - at == 4 { half(at + 2) } else { 0 };
            let Ok(op) = decode(u32::from(low) | u32::from(high) << 16) else { break };
            ops[count] = op;
            count += 1;
            starts[count] = (end / 2) as u8;
            at = end;
            if op.code.ends_block() {
                break;
            }
        }
        let nothing = Cell::new(Link { pc: 0, stamp: 0, to: NonNull::dangling() });
        (count != 0).then(|| Self {
            text: Text::new(&ops[..count], &starts[..=count], &bytes[..at]),
            mark: Cell::new((0, 0)),
            links: [nothing.clone(), nothing],
            host: ram.host(address) as u64,
            epoch: Cell::new(epoch),
            line,
            address,
        })
    }

    /// The block that came after this one at the virtual address `pc`, if that is still so, and it is known to be current at
    /// a code epoch. None was let go of since a link with this stamp was made.
    #[inline(always)]
    pub(crate) fn next(&self, pc: u64, stamp: u64, epoch: u64) -> Option<NonNull<Block>> {
        let [first, second] = [self.links[0].get(), self.links[1].get()];
        let link = if first.pc == pc && first.stamp == stamp { first } else { second };
        if link.pc != pc || link.stamp != stamp {
            return None;
        }
        // SAFETY: a link with this stamp leads to a box that was in the table then, and none was freed since.
        (unsafe { link.to.as_ref() }.epoch.get() == epoch).then_some(link.to)
    }

    /// Notes that `to` came after this block at the virtual address `pc`.
    pub(crate) fn link(&self, pc: u64, stamp: u64, to: NonNull<Block>) {
        self.links[1].swap(&self.links[0]);
        self.links[0].set(Link { pc, stamp, to });
    }

    /// The operations: each with its distance from the block's start, in bytes.
    pub fn ops(&self) -> impl Iterator<Item = (u64, &Op)> {
        self.starts().iter().zip(self.text.ops()).map(|(&start, op)| (2 * u64::from(start), op))
    }

    /// The operations alone.
    #[inline(always)]
    pub(crate) fn text(&self) -> &[Op] {
        self.text.ops()
    }

    /// Distance of each operation from the first, in halfwords, and of the end.
    #[inline(always)]
    pub(crate) fn starts(&self) -> &[u8] {
        self.text.starts()
    }

    /// How many operations there are.
    pub fn len(&self) -> usize {
        self.text.len()
    }

    /// Whether there are none; never.
    pub fn is_empty(&self) -> bool {
        self.text.len() == 0
    }

    /// Guest physical address of its first byte.
    pub fn address(&self) -> Gpa {
        self.address
    }

    /// Host address of its first byte.
    pub fn host(&self) -> u64 {
        self.host
    }

    /// Its bytes.
    pub fn source(&self) -> &[u8] {
        self.text.source()
    }

    /// Its length in bytes.
    pub fn bytes(&self) -> u64 {
        self.source().len() as u64
    }

    fn is_current(&self, ram: &Ram) -> bool {
        let mut buffer = [0; 4 * OPS_MAX];
        let source = self.source();
        let bytes = &mut buffer[..source.len()];
        ram.read(self.address, bytes);
        *bytes == *source
    }

    fn end(&self) -> u64 {
        self.address.0 + self.bytes()
    }

    fn overlaps(&self, start: u64, end: u64) -> bool {
        self.address.0 < end && start < self.end()
    }
}

impl Blocks {
    pub fn new() -> Self {
        Self {
            gone: 0,
            table: Untouched::new(BLOCKS),
            pages: BTreeMap::new(),
            dropped: Vec::new(),
            mourned: 0,
            decoded: 0,
            compared: 0,
        }
    }

    fn place(host: u64) -> usize {
        // Folded, so that blocks at a distance of a round number do not drive each other out.
        (host >> 1 ^ host >> 17) as usize % BLOCKS
    }

    fn at(&self, place: usize) -> Option<&Block> {
        // SAFETY: a block in the table is a live box of ours, of which only shared references are made.
        self.table[place].map(|block| unsafe { block.as_ref() })
    }

    /// The block that starts at the host address, in a page all of which may be read, if it is known to be current.
    #[inline(always)]
    pub fn get(&self, host: u64, epoch: u64) -> Option<NonNull<Block>> {
        let pointer = self.table[Self::place(host)]?;
        // SAFETY: as for `at`.
        let block = unsafe { pointer.as_ref() };
        (block.host == host && block.epoch.get() == epoch && !block.line).then_some(pointer)
    }

    /// The block that starts at `address`, compared with RAM, or decoded anew. The core may read the code; if `line`, only
    /// this line of it.
    pub fn find(
        &mut self,
        ram: &Ram,
        tlb: &mut Tlb,
        address: Gpa,
        epoch: u64,
        line: bool,
    ) -> Option<NonNull<Block>> {
        let host = ram.host(address) as u64;
        let place = Self::place(host);
        let page = ram.page(address)?;
        tlb.watch_code(ram, page);
        let known = self.at(place).filter(|block| block.host == host && block.line == line);
        let is_to_compare = known.is_some_and(|block| block.epoch.get() != epoch);
        if known.is_none_or(|block| is_to_compare && !block.is_current(ram)) {
            let block = Block::decode(ram, address, epoch, line)?;
            self.decoded += 1;
            self.remove(ram, tlb, place);
            let code = self.pages.entry(page).or_default();
            code.lines |= lines(block.address.0, block.end());
            code.places.push(place as u32);
            self.table[place] = Some(NonNull::from(Box::leak(Box::new(block))));
        }
        self.compared += u64::from(is_to_compare);
        // Anew even if the block is not: the mark may have been made in another TLB.
        tlb.mark_code(page);
        self.at(place)?.epoch.set(epoch);
        self.table[place]
    }

    /// Whether a block is known to be current at this code epoch, or is compared with RAM and found to be.
    pub fn is_current(&mut self, block: &Block, ram: &Ram, epoch: u64) -> bool {
        if block.epoch.get() == epoch || block.epoch.get() == DROPPED {
            return block.epoch.get() == epoch;
        }
        self.compared += 1;
        let is_current = block.is_current(ram);
        if is_current {
            block.epoch.set(epoch);
        }
        is_current
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
            .map(|&place| place as usize)
            .filter(|&place| self.at(place).is_some_and(|block| block.overlaps(start, end)))
            .collect();
        hit.iter().for_each(|&place| self.remove(ram, tlb, place));
        // What has been dropped may have been the last in a line.
        let places = self.pages.get(&page).map_or(&[][..], |code| &code.places);
        let left = places.iter().filter_map(|&place| self.at(place as usize));
        let left = left.fold(0, |all, block| all | lines(block.address.0, block.end()));
        if let Some(code) = self.pages.get_mut(&page) {
            code.lines = left;
        }
        !hit.is_empty()
    }

    /// Whether blocks were dropped that [`Self::bury`] has not shown yet.
    #[inline(always)]
    pub fn are_to_mourn(&self) -> bool {
        self.mourned != self.dropped.len()
    }

    /// Shows each block that was dropped to `mourn`, once; lets go of them when there are many. None of them is being executed.
    #[inline(always)]
    pub fn bury(&mut self, mourn: impl FnMut(&Block)) {
        if self.are_to_mourn() {
            self.mourn(mourn);
        }
    }

    #[cold]
    fn mourn(&mut self, mut mourn: impl FnMut(&Block)) {
        for block in &self.dropped[self.mourned..] {
            // SAFETY: a box that was in the table, and is freed below only.
            mourn(unsafe { block.as_ref() });
        }
        self.mourned = self.dropped.len();
        if self.mourned >= BURIED_TOGETHER {
            self.let_go();
        }
    }

    fn let_go(&mut self) {
        for block in self.dropped.drain(..) {
            // SAFETY: it came out of a box in `find`, and is in the table no more.
            drop(unsafe { Box::from_raw(block.as_ptr()) });
        }
        self.mourned = 0;
        self.gone += 1;
    }

    fn remove(&mut self, ram: &Ram, tlb: &mut Tlb, place: usize) {
        let Some(pointer) = self.table[place].take() else { return };
        // SAFETY: as for `at`; it has only just been taken out.
        let block = unsafe { pointer.as_ref() };
        block.epoch.set(DROPPED);
        let page = ram.page(block.address).expect("blocks lie in RAM");
        if let Some(code) = self.pages.get_mut(&page) {
            if let Some(at) = code.places.iter().rposition(|&other| other as usize == place) {
                code.places.swap_remove(at);
            }
            if code.places.is_empty() {
                self.pages.remove(&page);
                tlb.clear_code(page);
            }
        }
        self.dropped.push(pointer);
    }
}

impl Drop for Blocks {
    fn drop(&mut self) {
        let places = self.pages.values().flat_map(|code| &code.places);
        self.dropped.extend(places.filter_map(|&place| self.table[place as usize].take()));
        self.let_go();
    }
}

/// The lines of a page that `start..end`, which is not empty, touches.
fn lines(start: u64, end: u64) -> u64 {
    let (first, last) = (start % PAGE_SIZE / LINE_SIZE, (end - 1) % PAGE_SIZE / LINE_SIZE);
    !0 << first & !0 >> (63 - last)
}
