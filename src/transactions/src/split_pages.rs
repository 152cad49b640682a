//! A core's own memory of the lines that it holds on split pages, so that an access there needs no lock.
//!
//! A cache: what is not in it is asked of [`crate::Ownership`]. Only the core itself touches it.

use cantus_memory::{Granule, PageIndex, Right};

const ENTRIES: usize = 64;
/// After so many accesses to a split page for which neither this core nor one that runs beside it had to wait, it is worth
/// while to try to merge it: what parked cores hand over costs little, but an access to a line costs more than one to a page.
const CALM_AFTER: u32 = 4096;

#[derive(Clone, Copy)]
struct Entry {
    page: PageIndex,
    read: u64,
    write: u64,
    calm: u32,
}

const VACANT: Entry = Entry { page: PageIndex(u32::MAX), read: 0, write: 0, calm: 0 };

/// The lines of split pages that one core holds.
pub struct SplitPages(Box<[Entry; ENTRIES]>);

impl Default for SplitPages {
    fn default() -> Self {
        Self(Box::new([VACANT; ENTRIES]))
    }
}

impl SplitPages {
    fn entry(&mut self, page: PageIndex) -> &mut Entry {
        &mut self.0[page.index() % ENTRIES]
    }

    /// Whether the core has this right on the line for sure.
    #[inline]
    pub fn permits(&mut self, page: PageIndex, line: u8, right: Right) -> bool {
        let entry = self.entry(page);
        if entry.page != page {
            return false;
        }
        entry.calm += 1;
        let lines = match right {
            Right::Read => entry.read,
            Right::Write => entry.write,
        };
        lines >> line & 1 != 0
    }

    /// The core has got this right on the line.
    pub fn granted(&mut self, page: PageIndex, line: u8, right: Right) {
        let entry = self.entry(page);
        if entry.page != page {
            *entry = Entry { page, ..VACANT };
        }
        entry.read |= 1 << line;
        if right == Right::Write {
            entry.write |= 1 << line;
        }
    }

    /// The core has lost a line, or a page.
    pub fn revoked(&mut self, granule: Granule, keep_read: bool) {
        let entry = self.entry(granule.page);
        if entry.page != granule.page {
            return;
        }
        let lines = granule.line.map_or(u64::MAX, |line| 1 << line);
        entry.write &= !lines;
        if !keep_read {
            entry.read &= !lines;
        }
    }

    /// A core has had to wait for the page, or a line of it.
    pub fn awaited(&mut self, page: PageIndex) {
        let entry = self.entry(page);
        if entry.page == page {
            entry.calm = 0;
        }
    }

    /// Whether to try to merge the page now; counts anew when it says so.
    pub fn is_calm(&mut self, page: PageIndex) -> bool {
        let entry = self.entry(page);
        let calm = entry.page == page && entry.calm >= CALM_AFTER;
        if calm {
            entry.calm = 0;
        }
        calm
    }
}
