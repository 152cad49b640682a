//! The transient half of the TLB: host addresses, for as long as a translation and a grant allow them.
//!
//! Direct-mapped. The entries of a page of RAM form a chain, so that a revocation finds them; those that are seen in one
//! address space only, in every one, and without translation, are listed apart, so that what makes many of them wrong
//! costs as much as there are.

use super::{Fast, MODES};
use crate::PageIndex;
use cantus_isa::{
    Gva,
    address::{PAGE_SHIFT, PAGE_SIZE},
};

/// Entries of each mode.
const SLOTS: usize = FAST_SLOTS;
/// Fast entries of each mode.
pub const FAST_SLOTS: usize = 512;
/// The first of the modes of fetches; those before are of loads and stores, by whose entries nothing is fetched.
const FETCH_MODES: usize = 4;
/// A tag that no address matches: not page-aligned.
pub(super) const NOTHING: u64 = u64::MAX;
const EMPTY: Fast = Fast { read: NOTHING, write: NOTHING, execute: NOTHING, addend: 0 };

/// By whom an entry is seen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    /// M-mode, which has no translation.
    Machine,
    /// Every address space.
    Shared,
    /// The current one.
    Private,
}

#[derive(Clone, Copy)]
struct Link {
    /// Virtual page; meaningful in a chain.
    tag: u64,
    /// The page of RAM whose chain it is in.
    page: Option<PageIndex>,
    /// The next in the chain, plus one; 0 ends it.
    next: u16,
    kind: Kind,
    /// In the lists of which kinds it stands, a bit for each.
    listed: u8,
}

const LOOSE: Link = Link { tag: 0, page: None, next: 0, kind: Kind::Machine, listed: 0 };

/// Which of a mode's fast entries an address uses: the low bits of its page's number. To mix them with others would cost
/// translated code more, access for access, than what it saves in misses.
#[inline(always)]
pub const fn fast_slot(address: u64) -> usize {
    (address >> PAGE_SHIFT) as usize % SLOTS
}

/// The fast entries of a core.
pub(super) struct FastEntries {
    entries: Box<[Fast]>,
    links: Box<[Link]>,
    /// For each page of RAM the first of its chain, plus one.
    heads: Vec<u16>,
    /// For each kind the entries that were put in a chain since the list was last swept, and perhaps others.
    lists: [Vec<u16>; 3],
    /// How many rights to fetch, in the modes of fetches, have been emptied.
    fetches_lost: u64,
}

impl FastEntries {
    pub(super) fn new(pages: usize) -> Self {
        Self {
            entries: vec![EMPTY; MODES * SLOTS].into(),
            links: vec![LOOSE; MODES * SLOTS].into(),
            heads: vec![0; pages],
            lists: Default::default(),
            fetches_lost: 0,
        }
    }

    pub(super) fn fetches_lost(&self) -> u64 {
        self.fetches_lost
    }

    #[inline(always)]
    fn index(mode: usize, address: u64) -> usize {
        (mode % MODES) * SLOTS + fast_slot(address)
    }

    pub(super) fn of_mode(&self, mode: usize) -> *const Fast {
        self.entries[(mode % MODES) * SLOTS..].as_ptr()
    }

    #[inline(always)]
    pub(super) fn get(&self, mode: usize, address: Gva) -> &Fast {
        let index = Self::index(mode, address.0);
        // SAFETY: `index` is below MODES * SLOTS, which is the slice's length since `new`.
        unsafe { self.entries.get_unchecked(index) }
    }

    /// The entry of the page of `address`, which lies in `page` of RAM, at `host`: to give it rights.
    pub(super) fn take(
        &mut self,
        mode: usize,
        address: Gva,
        page: PageIndex,
        kind: Kind,
        host: *mut u8,
    ) -> &mut Fast {
        let index = Self::index(mode, address.0);
        let tag = address.0 & !(PAGE_SIZE - 1);
        let link = self.links[index];
        if link.page != Some(page) || link.tag != tag || link.kind != kind {
            self.empty(index);
            let listed = link.listed | 1 << kind as u8;
            if listed != link.listed {
                self.lists[kind as usize].push(index as u16);
            }
            let next = std::mem::replace(&mut self.heads[page.index()], index as u16 + 1);
            self.links[index] = Link { tag, page: Some(page), next, kind, listed };
            self.entries[index].addend = (host as u64).wrapping_sub(tag);
        }
        &mut self.entries[index]
    }

    /// Empties the entries of a page of RAM: all of them, or only those to write.
    pub(super) fn revoke(&mut self, page: PageIndex, keep_read: bool) {
        let mut next = self.heads[page.index()];
        if !keep_read {
            self.heads[page.index()] = 0;
        }
        while next != 0 {
            let index = usize::from(next - 1);
            next = self.links[index].next;
            if keep_read {
                self.entries[index].write = NOTHING;
            } else {
                self.clear(index);
                self.links[index].page = None;
            }
        }
    }

    /// Empties those to write, of a page or of every one.
    pub(super) fn revoke_writes_of(&mut self, page: Option<PageIndex>) {
        match page {
            Some(page) => self.revoke(page, true),
            None => self.revoke_writes(),
        }
    }

    /// Empties those to write, of every page.
    pub(super) fn revoke_writes(&mut self) {
        self.entries.iter_mut().for_each(|fast| fast.write = NOTHING);
    }

    /// Empties those of a kind.
    pub(super) fn sweep(&mut self, kind: Kind) {
        let mut list = std::mem::take(&mut self.lists[kind as usize]);
        for index in list.drain(..).map(usize::from) {
            self.links[index].listed &= !(1 << kind as u8);
            if self.links[index].kind == kind {
                self.empty(index);
            }
        }
        self.lists[kind as usize] = list;
    }

    /// Empties those of a virtual page, or of all that a superpage of 2^`shift` bytes has, in `mode`.
    pub(super) fn forget(&mut self, mode: usize, tag: u64, shift: u32) {
        if shift == PAGE_SHIFT {
            let index = Self::index(mode, tag);
            if self.links[index].tag == tag {
                self.empty(index);
            }
            return;
        }
        for list in 0..self.lists.len() {
            for at in 0..self.lists[list].len() {
                let index = usize::from(self.lists[list][at]);
                if index / SLOTS == mode && self.links[index].tag >> shift == tag >> shift {
                    self.empty(index);
                }
            }
        }
    }

    fn clear(&mut self, index: usize) {
        let is_fetch = index >= FETCH_MODES * SLOTS && self.entries[index].execute != NOTHING;
        self.fetches_lost += u64::from(is_fetch);
        self.entries[index] = EMPTY;
    }

    /// Takes an entry out of its chain.
    fn empty(&mut self, index: usize) {
        let Some(page) = self.links[index].page.take() else { return };
        self.clear(index);
        let (this, after) = (index as u16 + 1, self.links[index].next);
        if self.heads[page.index()] == this {
            self.heads[page.index()] = after;
            return;
        }
        let mut next = self.heads[page.index()];
        while next != 0 {
            let link = &mut self.links[usize::from(next - 1)];
            if link.next == this {
                link.next = after;
                return;
            }
            next = link.next;
        }
        unreachable!("MMU-1: entry {index} is not in the chain of {page:?}");
    }

    /// Whether no entry is in a chain.
    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.heads.iter().all(|&head| head == 0) && self.links.iter().all(|link| link.page.is_none())
    }
}
