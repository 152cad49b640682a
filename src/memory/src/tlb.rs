//! The two-level TLB of one core (MMU-1).
//!
//! *Translations* are architectural: filled by walks, dropped by fences, replaced by a rule that depends on this core's
//! own accesses alone, so that a walk happens at the same position in a record and in its replay. *Fast entries* are
//! transient: one exists only while its core holds the grant, and a revocation empties it without a scan, through a
//! chain of entries for each page of RAM. The inline check of a fast entry is the whole instrumentation of a recording.
//!
//! Invariants:
//! - a fast entry has a translation that is seen in the current address space, which permits all of its rights, and its
//!   page is plain RAM;
//! - a fast entry is in the chain of its page, exactly once;
//! - a page that holds decoded code of this core has no fast right to write (MMU-3).

mod bytes;
mod fast;
#[cfg(test)]
mod tests;
mod translations;

pub use bytes::BadTranslations;

use crate::code_watch::Watcher;
use crate::{PageIndex, Ram};
use cantus_isa::{
    Gpa, Gva,
    address::{PAGE_SHIFT, PAGE_SIZE},
};
pub use fast::{FAST_SLOTS, fast_slot};
use fast::{FastEntries, Kind};
use translations::{Replaced, Translations};

/// Translations are kept apart by the mode in which they were made: fetch or data, privilege and the like.
pub const MODES: usize = 7;

/// Whether a mode is one of M-mode, where nothing is translated: 0 for data, 4 for fetches.
pub fn is_machine(mode: usize) -> bool {
    matches!(mode, 0 | 4)
}

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
    /// log2 of the bytes that the page-table entry maps: more than [`PAGE_SHIFT`] for a superpage, which a fence for any
    /// address in it drops.
    pub shift: u8,
    /// Whether protection is the same for all of what the entry maps, and `rights` regards it. Where it is not, whoever
    /// uses the translation asks protection, and no fast entry is made unless it is the same for the page.
    pub uniform: bool,
    /// Whether it is seen in every address space.
    pub global: bool,
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

/// The translations and fast entries of one core.
pub struct Tlb {
    fast: FastEntries,
    translations: Translations,
    /// Which pages of RAM hold code that this core has decoded.
    code: Vec<u64>,
    /// Where cores need no grants, what tells them of each other's code.
    watcher: Option<Watcher>,
    ram_base: Gpa,
    ram_pages: u64,
    /// What the fills of the step at this position have replaced, latest last.
    fills: Vec<Replaced>,
    fills_at: u64,
}

impl Tlb {
    /// An empty TLB over `ram`, without translation.
    pub fn new(ram: &Ram) -> Self {
        Self {
            fast: FastEntries::new(ram.pages()),
            translations: Translations::new(),
            code: vec![0; ram.pages().div_ceil(64)],
            watcher: None,
            ram_base: ram.base(),
            ram_pages: ram.pages() as u64,
            fills: Vec::new(),
            fills_at: 0,
        }
    }

    fn tag(address: Gva) -> u64 {
        address.0 & !(PAGE_SIZE - 1)
    }

    /// The fast entry that `address` would use.
    #[inline(always)]
    pub fn fast(&self, mode: usize, address: Gva) -> &Fast {
        self.fast.get(mode, address)
    }

    /// The fast entries of a mode, [`FAST_SLOTS`] of them, for code that looks into them by itself; they stay where they are
    /// as long as the TLB lives. [`fast_slot`] says which is an address's.
    pub fn fast_entries(&self, mode: usize) -> *const Fast {
        self.fast.of_mode(mode)
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

    /// How often a fast right to fetch has been emptied: while this stays the same, whatever could be fetched by fast entries
    /// still can, and lies where it did.
    #[inline(always)]
    pub fn fetches_lost(&self) -> u64 {
        self.fast.fetches_lost()
    }

    /// The translation of `address`, if there is one.
    #[inline]
    pub fn translation(&self, mode: usize, address: Gva) -> Option<Translation> {
        self.translations.find(mode, address)
    }

    /// Enters a translation in the name of the step at `position`.
    pub fn fill(&mut self, position: u64, mode: usize, address: Gva, translation: Translation) {
        if self.fills_at != position {
            self.fills.clear();
            self.fills_at = position;
        }
        let Self { fast, translations, fills, .. } = self;
        translations
            .fill(mode, address, translation, fills, |gone| fast.forget(gone.mode, gone.tag, gone.shift));
    }

    /// Takes back what the unfinished step at `position` has filled (ORD-4: nothing of it is visible).
    pub fn undo(&mut self, position: u64) {
        if self.fills_at == position {
            while let Some(replaced) = self.fills.pop() {
                for gone in self.translations.restore(&replaced) {
                    self.fast.forget(gone.mode, gone.tag, gone.shift);
                }
            }
        }
    }

    /// Makes a fast entry for the page of `address`, whose first byte stands at `host`, by its translation, whose `rights`
    /// may have been restricted by protection of the page. The caller holds the grant for `granted`. A right that the
    /// translation does not permit, or to write to a page of code, is left out.
    pub fn allow(
        &mut self,
        mode: usize,
        address: Gva,
        translation: Translation,
        granted: Rights,
        host: *mut u8,
    ) {
        let Some(page) = self.ram_page(translation.page).filter(|_| translation.uniform) else { return };
        if self.translation(mode, address).is_none_or(|known| known.page != translation.page) {
            return;
        }
        let code = self.is_code(page);
        let kind = match translation.global && self.translations.is_shared(mode, address) {
            _ if is_machine(mode) => Kind::Machine,
            true => Kind::Shared,
            false => Kind::Private,
        };
        let tag = Self::tag(address);
        let fast = self.fast.take(mode, address, page, kind, host);
        let permitted = |right| granted.has(right) && translation.rights.has(right);
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
        self.fast.revoke(page, keep_read);
    }

    /// Empties every fast entry and keeps the translations.
    pub fn revoke_all(&mut self) {
        [Kind::Machine, Kind::Shared, Kind::Private].into_iter().for_each(|kind| self.fast.sweep(kind));
    }

    /// Core `core`, which is about to run, watches the code that it decodes, from here until [`Ram::parked`].
    pub fn begin_watch(&mut self, ram: &Ram, core: u8) {
        let Self { watcher, fast, .. } = self;
        let watcher = watcher.get_or_insert_with(|| Watcher::new(core));
        watcher.begin(&ram.code_watch, |page| fast.revoke_writes_of(page));
    }

    /// Between two steps: gives up fast rights to write to pages of which others have decoded code lately.
    #[inline]
    pub fn heed_watches(&mut self, ram: &Ram) {
        let Self { watcher, fast, .. } = self;
        if let Some(watcher) = watcher {
            watcher.heed(&ram.code_watch, |page| fast.revoke_writes_of(page));
        }
    }

    /// Whether code that this core has decoded may have been written by others before what it has just waited for. Always
    /// so where it does not watch.
    #[inline]
    pub fn may_code_differ(&mut self, ram: &Ram) -> bool {
        self.watcher.as_mut().is_none_or(|watcher| watcher.look(&ram.code_watch))
    }

    /// The core is about to look at code in `page`.
    #[inline]
    pub fn watch_code(&mut self, ram: &Ram, page: PageIndex) {
        if let Some(watcher) = &mut self.watcher {
            watcher.watch(&ram.code_watch, page);
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

    /// From here on translations are those of this `satp`. A change of the address space drops none; one of the root alone
    /// drops those of the space that are not global, as if by a fence.
    pub fn enter(&mut self, satp: u64) {
        let translated = satp >> 60 != 0 && self.translations.satp >> 60 != 0;
        if self.translations.enter(satp) {
            self.fast.sweep(Kind::Private);
            if !translated {
                self.fast.sweep(Kind::Shared);
            }
        }
    }

    /// Drops everything: what walks and protection permit is no longer what it was.
    pub fn flush(&mut self) {
        self.translations.drop_all();
        self.revoke_all();
    }

    /// `sfence.vma`: drops what page tables say of the page or superpage at `address`, or of every one, in the address
    /// spaces with this ASID but for global mappings, or in every one. Takes as long as there is something to drop.
    pub fn fence(&mut self, address: Option<Gva>, asid: Option<u16>) {
        let Self { fast, translations, .. } = self;
        match (address, asid) {
            (Some(address), asid) => {
                translations.drop_address(address, asid, |gone| fast.forget(gone.mode, gone.tag, gone.shift));
            }
            (None, Some(asid)) => {
                translations.drop_asid(asid);
                fast.sweep(Kind::Private);
            }
            (None, None) => {
                translations.drop_translated();
                fast.sweep(Kind::Private);
                fast.sweep(Kind::Shared);
            }
        }
    }

    /// Appends all that walks to come depend on. The core stands between two steps.
    pub fn write_translations(&self, into: &mut Vec<u8>) {
        self.translations.write(into);
    }

    /// Takes over the translations that were written to `bytes`, which are not trusted; fast entries there are none.
    ///
    /// # Errors
    /// Where [`Tlb::write_translations`] cannot have written these bytes. Nothing has changed then.
    pub fn read_translations(&mut self, bytes: &[u8]) -> Result<(), BadTranslations> {
        self.translations = Translations::read(bytes)?;
        self.fills.clear();
        self.revoke_all();
        Ok(())
    }

    /// Empties every fast right to write: whoever writes next asks again.
    pub fn revoke_writes(&mut self) {
        self.fast.revoke_writes();
    }

    fn ram_page(&self, page: Gpa) -> Option<PageIndex> {
        let index = page.0.wrapping_sub(self.ram_base.0) >> PAGE_SHIFT;
        (index < self.ram_pages).then_some(PageIndex(index as u32))
    }
}
