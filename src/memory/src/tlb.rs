//! The two-level TLB of one core (MMU-1).
//!
//! *Translations* are architectural: filled by walks, dropped by fences, replaced by a rule that depends on this core's
//! own accesses alone, so that a walk happens at the same position in a record and in its replay. *Fast entries* are
//! transient: one exists only while its core holds the grant, and a revocation empties it without a scan, through a
//! chain of slots for each page of RAM. The inline check of a fast entry is the whole instrumentation of a recording.
//!
//! Invariants:
//! - a slot has a fast right only if its translation permits it and its page is plain RAM;
//! - a slot whose translation points into RAM is in the chain of that page, exactly once;
//! - a page that holds decoded code of this core has no fast right to write (MMU-3).

use crate::{PageIndex, Ram};
use cantus_isa::{
    Gpa, Gva,
    address::{PAGE_SHIFT, PAGE_SIZE},
};

/// Translations are kept apart by the mode (privilege and the like, fetch or data) in which they were made.
pub const MODES: usize = 8;
/// Slots of each mode; direct-mapped by the low bits of the virtual page's number, folded once, so that pages at a
/// distance of a round number do not drive each other out.
pub(crate) const SLOTS: usize = 256;
/// A tag that no address matches: not page-aligned.
pub(crate) const NOTHING: u64 = u64::MAX;

/// What a translation, or a grant, permits. A set of bits.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Rights(pub u8);

impl Rights {
    /// Nothing.
    pub const NONE: Self = Self(0);
    /// Load.
    pub const READ: Self = Self(1);
    /// Store.
    pub const WRITE: Self = Self(2);
    /// Fetch.
    pub const EXECUTE: Self = Self(4);

    /// Whether every one of `others` is among these.
    pub fn has(self, others: Self) -> bool {
        self.0 & others.0 == others.0
    }

    /// These and `others`.
    #[must_use]
    pub fn with(self, others: Self) -> Self {
        Self(self.0 | others.0)
    }
}

/// Where a virtual page lies, and what the page tables and memory protection permit there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Translation {
    /// Guest physical address of the page.
    pub page: Gpa,
    /// What is permitted anywhere in the page.
    pub rights: Rights,
    /// log2 of the bytes that the page-table entry maps: more than [`PAGE_SHIFT`] for a part of a superpage, of which a
    /// fence for any address in it drops every part.
    pub shift: u8,
    /// Whether protection is the same for the whole page. Where it is not, every access must be checked on its own,
    /// and no fast entry is made.
    pub uniform: bool,
}

/// A fast entry: the tags are virtual page addresses, compared with the access's address with its page offset cleared
/// (but for the bits that would make it unaligned); `addend` plus the virtual address is the host address.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Fast {
    /// Tag for loads.
    pub read: u64,
    /// Tag for stores and atomics.
    pub write: u64,
    /// Tag for fetches.
    pub execute: u64,
    /// Host address minus virtual address.
    pub addend: u64,
}

const EMPTY: Fast = Fast { read: NOTHING, write: NOTHING, execute: NOTHING, addend: 0 };

#[derive(Clone, Copy)]
pub(crate) struct Slot {
    /// Virtual page address, or [`NOTHING`].
    pub(crate) tag: u64,
    pub(crate) translation: Translation,
    /// Next slot of the same page of RAM, plus one; 0 ends the chain.
    pub(crate) next: u16,
}

impl Slot {
    fn is_part(&self) -> bool {
        self.tag != NOTHING && u32::from(self.translation.shift) > PAGE_SHIFT
    }
}

const VACANT: Slot = Slot {
    tag: NOTHING,
    translation: Translation { page: Gpa(0), rights: Rights::NONE, shift: 0, uniform: false },
    next: 0,
};

/// The translations and fast entries of one core.
pub struct Tlb {
    fast: Box<[Fast]>,
    pub(crate) slots: Box<[Slot]>,
    /// How many slots hold a part of a superpage.
    parts: usize,
    /// For each page of RAM the first slot of its chain, plus one.
    heads: Vec<u16>,
    /// Which pages of RAM hold code that this core has decoded.
    code: Vec<u64>,
    ram_base: Gpa,
    /// The fills of the step at this position, with what they replaced, latest last.
    fills: Vec<(usize, Slot)>,
    fills_at: u64,
}

impl Tlb {
    /// An empty TLB over `ram`.
    pub fn new(ram: &Ram) -> Self {
        Self {
            fast: vec![EMPTY; MODES * SLOTS].into(),
            slots: vec![VACANT; MODES * SLOTS].into(),
            parts: 0,
            heads: vec![0; ram.pages()],
            code: vec![0; ram.pages().div_ceil(64)],
            ram_base: ram.base(),
            fills: Vec::new(),
            fills_at: 0,
        }
    }

    pub(crate) fn index(mode: usize, address: Gva) -> usize {
        let page = address.page() as usize;
        (mode % MODES) * SLOTS + (page ^ (page / SLOTS)) % SLOTS
    }

    fn tag(address: Gva) -> u64 {
        address.0 & !(PAGE_SIZE - 1)
    }

    /// The fast entry that `address` would use.
    #[inline(always)]
    pub fn fast(&self, mode: usize, address: Gva) -> &Fast {
        let index = Self::index(mode, address);
        // SAFETY: `index` is below MODES * SLOTS, which is the slice's length since `new`.
        unsafe { self.fast.get_unchecked(index) }
    }

    /// Host pointer for an aligned load of `bytes` at `address`, where this core may make it right away.
    #[inline(always)]
    pub fn read(&self, mode: usize, address: Gva, bytes: u64) -> Option<*const u8> {
        let fast = self.fast(mode, address);
        (fast.read == address.0 & (!(PAGE_SIZE - 1) | (bytes - 1)))
            .then(|| address.0.wrapping_add(fast.addend) as *const u8)
    }

    /// Host pointer for an aligned store of `bytes` at `address`, where this core may make it right away.
    #[inline(always)]
    pub fn write(&self, mode: usize, address: Gva, bytes: u64) -> Option<*mut u8> {
        let fast = self.fast(mode, address);
        (fast.write == address.0 & (!(PAGE_SIZE - 1) | (bytes - 1)))
            .then(|| address.0.wrapping_add(fast.addend) as *mut u8)
    }

    /// Host pointer to the code at `address`, where this core may fetch from it right away.
    #[inline(always)]
    pub fn execute(&self, mode: usize, address: Gva) -> Option<*const u8> {
        let fast = self.fast(mode, address);
        (fast.execute == Self::tag(address)).then(|| address.0.wrapping_add(fast.addend) as *const u8)
    }

    /// The translation of `address`, if there is one.
    #[inline]
    pub fn translation(&self, mode: usize, address: Gva) -> Option<Translation> {
        let slot = &self.slots[Self::index(mode, address)];
        (slot.tag == Self::tag(address)).then_some(slot.translation)
    }

    /// Enters a translation in the name of the step at `position`.
    pub fn fill(&mut self, position: u64, mode: usize, address: Gva, translation: Translation) {
        let index = Self::index(mode, address);
        if self.fills_at != position {
            self.fills.clear();
            self.fills_at = position;
        }
        self.fills.push((index, self.slots[index]));
        self.put(index, Slot { tag: Self::tag(address), translation, next: 0 });
    }

    /// Takes back what the unfinished step at `position` has filled (ORD-4: nothing of it is visible).
    pub fn undo(&mut self, position: u64) {
        if self.fills_at == position {
            while let Some((index, before)) = self.fills.pop() {
                self.put(index, before);
            }
        }
    }

    /// Gives the slot of `address` fast rights to `page`, whose first byte stands at `host`. The caller holds the grant.
    /// A right that the translation does not permit, or to write to a page of code, is left out.
    pub fn allow(&mut self, mode: usize, address: Gva, rights: Rights, host: *mut u8) {
        let index = Self::index(mode, address);
        let slot = self.slots[index];
        let tag = Self::tag(address);
        if slot.tag != tag || !slot.translation.uniform {
            return;
        }
        let Some(page) = self.ram_page(slot.translation.page) else { return };
        let code = self.is_code(page);
        let fast = &mut self.fast[index];
        fast.addend = (host as u64).wrapping_sub(tag);
        let permitted = |right| rights.has(right) && slot.translation.rights.has(right);
        if permitted(Rights::READ) {
            fast.read = tag;
        }
        if permitted(Rights::WRITE) && !code {
            fast.write = tag;
        }
        if permitted(Rights::EXECUTE) {
            fast.execute = tag;
        }
    }

    /// Empties the fast entries of a page of RAM: all of them, or only those to write.
    pub fn revoke(&mut self, page: PageIndex, keep_read: bool) {
        let mut next = self.heads[page.index()];
        while next != 0 {
            let index = usize::from(next - 1);
            if keep_read {
                self.fast[index].write = NOTHING;
            } else {
                self.fast[index] = EMPTY;
            }
            next = self.slots[index].next;
        }
    }

    /// Notes that this core has decoded code in `page`; its stores there now take the slow path.
    pub fn mark_code(&mut self, page: PageIndex) {
        if !self.is_code(page) {
            self.code[page.index() / 64] |= 1 << (page.0 % 64);
            self.revoke(page, true);
        }
    }

    /// Notes that none of this core's decoded code lies in `page` any more.
    pub fn clear_code(&mut self, page: PageIndex) {
        self.code[page.index() / 64] &= !(1 << (page.0 % 64));
    }

    /// Whether this core has decoded code in `page`.
    #[inline]
    pub fn is_code(&self, page: PageIndex) -> bool {
        self.code[page.index() / 64] >> (page.0 % 64) & 1 != 0
    }

    /// Drops every translation.
    pub fn flush(&mut self) {
        for index in 0..self.slots.len() {
            self.put(index, VACANT);
        }
    }

    /// Drops the translations of one virtual page, in every mode, and those that come from the same superpage.
    pub fn flush_page(&mut self, address: Gva) {
        if self.parts != 0 {
            for index in 0..self.slots.len() {
                let slot = &self.slots[index];
                if slot.is_part() && slot.tag >> slot.translation.shift == address.0 >> slot.translation.shift
                {
                    self.put(index, VACANT);
                }
            }
        }
        for mode in 0..MODES {
            let index = Self::index(mode, address);
            if self.slots[index].tag == Self::tag(address) {
                self.put(index, VACANT);
            }
        }
    }

    /// Empties every fast entry and keeps the translations.
    pub fn revoke_all(&mut self) {
        self.fast.fill(EMPTY);
    }

    /// Empties every fast right to write: whoever writes next asks again.
    pub fn revoke_writes(&mut self) {
        self.fast.iter_mut().for_each(|fast| fast.write = NOTHING);
    }

    fn ram_page(&self, page: Gpa) -> Option<PageIndex> {
        let index = page.0.wrapping_sub(self.ram_base.0) >> PAGE_SHIFT;
        (index < self.heads.len() as u64).then_some(PageIndex(index as u32))
    }

    /// Replaces a slot, its place in the chains, and empties its fast entry.
    pub(crate) fn put(&mut self, index: usize, slot: Slot) {
        let old = self.slots[index];
        if old.tag == NOTHING && slot.tag == NOTHING {
            return;
        }
        if old.tag != NOTHING
            && let Some(page) = self.ram_page(old.translation.page)
        {
            self.unlink(page, index);
        }
        self.parts = self.parts + usize::from(slot.is_part()) - usize::from(old.is_part());
        self.fast[index] = EMPTY;
        self.slots[index] = slot;
        if slot.tag != NOTHING
            && let Some(page) = self.ram_page(slot.translation.page)
        {
            self.slots[index].next = self.heads[page.index()];
            self.heads[page.index()] = index as u16 + 1;
        }
    }

    fn unlink(&mut self, page: PageIndex, index: usize) {
        let this = index as u16 + 1;
        let after = self.slots[index].next;
        if self.heads[page.index()] == this {
            self.heads[page.index()] = after;
            return;
        }
        let mut next = self.heads[page.index()];
        while next != 0 {
            let slot = &mut self.slots[usize::from(next - 1)];
            if slot.next == this {
                slot.next = after;
                return;
            }
            next = slot.next;
        }
        unreachable!("MMU-1: slot {index} is not in the chain of {page:?}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: u64 = 0x8000_0000;

    #[allow(clippy::single_range_in_vec_init, reason = "one overlay")]
    fn ram() -> Ram {
        Ram::new(Gpa(BASE), 64 * PAGE_SIZE, vec![BASE + 0x5000..BASE + 0x5008]).expect("memory")
    }

    fn to(page: u64) -> Translation {
        let rights = Rights::READ.with(Rights::WRITE).with(Rights::EXECUTE);
        Translation { page: Gpa(BASE + page * PAGE_SIZE), rights, shift: 12, uniform: true }
    }

    const ALL: Rights = Rights(7);

    #[test]
    fn mmu_1_revocation_empties_every_alias_and_keeps_translations() {
        let ram = ram();
        let mut tlb = Tlb::new(&ram);
        let aliases = [(0, Gva(0x1000)), (1, Gva(0x1000)), (2, Gva(0x7000)), (0, Gva(0x9000))];
        for (mode, address) in aliases {
            tlb.fill(0, mode, address, to(3));
            tlb.allow(mode, address, ALL, ram.host(Gpa(BASE + 0x3000)));
        }
        tlb.fill(0, 3, Gva(0x2000), to(4));
        tlb.allow(3, Gva(0x2000), ALL, ram.host(Gpa(BASE + 0x4000)));
        tlb.revoke(PageIndex(3), true);
        for (mode, address) in aliases {
            assert!(tlb.read(mode, address, 8).is_some() && tlb.write(mode, address, 8).is_none());
        }
        tlb.revoke(PageIndex(3), false);
        for (mode, address) in aliases {
            assert!(tlb.read(mode, address, 8).is_none() && tlb.execute(mode, address).is_none());
            assert_eq!(tlb.translation(mode, address), Some(to(3)));
        }
        assert!(tlb.write(3, Gva(0x2008), 8).is_some());
    }

    #[test]
    fn ord_4_undo_restores_what_an_unfinished_step_replaced() {
        let ram = ram();
        let mut tlb = Tlb::new(&ram);
        let (old, new) = (Gva(0x1000), Gva(0x10_0000));
        assert_eq!(Tlb::index(0, old), Tlb::index(0, new));
        tlb.fill(7, 0, old, to(1));
        tlb.fill(8, 0, new, to(2));
        tlb.fill(8, 0, new, to(3));
        assert_eq!((tlb.translation(0, old), tlb.translation(0, new)), (None, Some(to(3))));
        tlb.undo(9);
        assert_eq!(tlb.translation(0, new), Some(to(3)));
        tlb.undo(8);
        assert_eq!((tlb.translation(0, old), tlb.translation(0, new)), (Some(to(1)), None));
        tlb.undo(7);
        tlb.revoke(PageIndex(1), false);
    }

    #[test]
    fn an_unaligned_access_never_takes_the_fast_path() {
        let ram = ram();
        let mut tlb = Tlb::new(&ram);
        tlb.fill(0, 0, Gva(0x1000), to(1));
        tlb.allow(0, Gva(0x1000), ALL, ram.host(Gpa(BASE + 0x1000)));
        assert!(tlb.read(0, Gva(0x1ff8), 8).is_some());
        assert!(tlb.read(0, Gva(0x1ff9), 8).is_none());
        assert!(tlb.read(0, Gva(0x1fff), 1).is_some());
        assert!(tlb.write(0, Gva(0x1001), 2).is_none());
    }

    #[test]
    fn mmu_3_a_page_of_code_has_no_fast_write() {
        let ram = ram();
        let mut tlb = Tlb::new(&ram);
        tlb.fill(0, 0, Gva(0x1000), to(1));
        tlb.allow(0, Gva(0x1000), ALL, ram.host(Gpa(BASE + 0x1000)));
        tlb.mark_code(PageIndex(1));
        assert!(tlb.write(0, Gva(0x1000), 8).is_none() && tlb.execute(0, Gva(0x1000)).is_some());
        tlb.allow(0, Gva(0x1000), ALL, ram.host(Gpa(BASE + 0x1000)));
        assert!(tlb.write(0, Gva(0x1000), 8).is_none());
        tlb.clear_code(PageIndex(1));
        tlb.allow(0, Gva(0x1000), ALL, ram.host(Gpa(BASE + 0x1000)));
        assert!(tlb.write(0, Gva(0x1000), 8).is_some());
    }

    #[test]
    fn mmu_1_a_fence_drops_every_part_of_a_superpage_and_undo_brings_them_back() {
        let ram = ram();
        let mut tlb = Tlb::new(&ram);
        let part = |page| Translation { shift: 21, ..to(page) };
        tlb.fill(1, 1, Gva(0x20_1000), part(1));
        tlb.fill(2, 3, Gva(0x3f_f000), part(2));
        tlb.fill(3, 1, Gva(0x40_2000), part(3));
        tlb.fill(4, 1, Gva(0x20_5000), to(5));
        tlb.flush_page(Gva(0x20_0000));
        let left = |tlb: &Tlb| {
            [(1, 0x20_1000), (3, 0x3f_f000), (1, 0x40_2000), (1, 0x20_5000)]
                .map(|(mode, address)| tlb.translation(mode, Gva(address)).is_some())
        };
        assert_eq!(left(&tlb), [false, false, true, true]);
        tlb.fill(5, 1, Gva(0x40_2000), to(6));
        tlb.undo(5);
        assert_eq!(left(&tlb), [false, false, true, true]);
        tlb.flush_page(Gva(0x5f_ffff));
        assert_eq!(left(&tlb), [false, false, false, true]);
        assert_eq!(tlb.parts, 0);
    }

    #[test]
    fn chains_survive_random_use() {
        let ram = ram();
        let mut tlb = Tlb::new(&ram);
        let mut seed = 1u64;
        let mut next = |below: u64| {
            seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (seed >> 33) % below
        };
        for position in 0..20_000 {
            let (mode, address) = (next(4) as usize, Gva(next(600) * PAGE_SIZE));
            match next(5) {
                0 | 1 => {
                    let page = next(64);
                    tlb.fill(position, mode, address, to(page));
                    tlb.allow(mode, address, ALL, ram.host(Gpa(BASE + page * PAGE_SIZE)));
                }
                2 => tlb.revoke(PageIndex(next(64) as u32), false),
                3 => tlb.undo(position),
                _ => tlb.flush_page(address),
            }
        }
        tlb.flush();
        assert!(tlb.heads.iter().all(|&head| head == 0));
    }

    #[test]
    fn overlays_are_not_plain_ram() {
        let ram = ram();
        assert!(ram.is_plain(Gpa(BASE + 0x4ff8), 8));
        assert!(!ram.is_plain(Gpa(BASE + 0x4ffc), 8));
        assert!(!ram.is_plain(Gpa(BASE + 0x5000), 1) && !ram.is_plain(Gpa(BASE + 64 * PAGE_SIZE - 4), 8));
        assert!(!ram.is_plain(Gpa(u64::MAX), 8));
    }
}
