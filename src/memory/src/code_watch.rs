//! Which pages of RAM hold code that some core has decoded, and whether they have been written since: how a core that
//! needs no grants, in a replay or a free run, knows that its decoded code is still what RAM says (MMU-2).
//!
//! A page is *watched* from when a core decodes code in it until somebody gets the right to write there, by a fast entry or
//! for one access: that ends the watch and counts up `writes`. A right that is older than the watch is looked for the other
//! way: each page that is newly watched is told in `news`; a core that has *heeded* them has no fast right to write there
//! any more. A core heeds between two steps, or is parked, and heeds before it runs on.
//!
//! Why a core B that compares its code anew only where [`Watcher::look`] says so executes no stale byte. Let core A write a
//! byte (w) that B has compared (c), without w being before c; and let B then execute the byte after an edge e that comes
//! after w. Edges synchronize: who passes one sees all that the awaited core did before. B watched the page before c.
//! - A got its right after that: it ended the watch, and counted. B sees the count at e. It cannot have seen that
//!   count before c and yet found the page watched, since both change under the lock, and B takes the count under it.
//! - A got its right before. Either B saw, between watching and c, a core that had not heeded the watch, and compares anew at e
//!   whatever happens; or A had heeded it. Then w was before that, by a right that A then lost, and so before c.
//!
//! The same holds for what devices write in A's step, and if A and B are the same core, whose own stores drop blocks besides.
//!
//! In a free run e is B's FENCE.I, before which code need not be what it has become ("Zifencei"). The host orders what the
//! guest's own synchronization between w and e orders, and A counts before w.

use crate::PageIndex;
use parking_lot::Mutex;
use std::sync::atomic::{
    AtomicU64,
    Ordering::{Acquire, Relaxed, Release, SeqCst},
    fence,
};

/// Pages of which it is known that they are newly watched; of more, whoever has not heeded them gives up all.
const NEWS_MAX: usize = 4096;
/// A core with this number is parked.
const PARKED: u64 = u64::MAX;
/// Cores at most: their numbers are bytes.
const CORES_MAX: usize = 256;

/// What all cores share of it.
pub(crate) struct CodeWatch {
    /// One bit for each page: whether it is watched. Changes under the lock.
    watched: Box<[AtomicU64]>,
    /// How many pages were ever newly watched. Changes under the lock.
    told: AtomicU64,
    /// The last of them.
    news: Mutex<News>,
    /// How many watches were ended by a right to write. Changes under the lock.
    writes: AtomicU64,
    /// Of how many news each core has emptied its fast rights to write.
    heeded: Box<[AtomicU64]>,
}

/// Pages that are newly watched, latest last, but for the first so many.
#[derive(Default)]
struct News {
    gone: u64,
    pages: Vec<PageIndex>,
}

impl CodeWatch {
    /// Nothing is watched of so many pages.
    pub(crate) fn new(pages: usize) -> Self {
        let zeroes = |count: usize| (0..count).map(|_| AtomicU64::new(0)).collect();
        Self {
            watched: zeroes(pages.div_ceil(64)),
            told: AtomicU64::new(0),
            news: Mutex::default(),
            writes: AtomicU64::new(0),
            heeded: (0..CORES_MAX).map(|_| AtomicU64::new(PARKED)).collect(),
        }
    }

    #[inline(always)]
    fn is_watched(&self, page: PageIndex) -> bool {
        self.watched[page.index() / 64].load(Acquire) >> (page.0 % 64) & 1 != 0
    }

    /// Somebody is about to write to a page, or gets the right to.
    #[inline(always)]
    pub(crate) fn written(&self, page: PageIndex) {
        if self.is_watched(page) {
            self.end(page);
        }
    }

    #[cold]
    fn end(&self, page: PageIndex) {
        let _lock = self.news.lock();
        self.writes.fetch_add(1, Relaxed);
        self.watched[page.index() / 64].fetch_and(!(1 << (page.0 % 64)), Release);
    }

    fn watch(&self, page: PageIndex) {
        if self.is_watched(page) {
            return;
        }
        let mut news = self.news.lock();
        if self.is_watched(page) {
            return;
        }
        if news.pages.len() == NEWS_MAX {
            news.pages.drain(..NEWS_MAX / 2);
            news.gone += NEWS_MAX as u64 / 2;
        }
        news.pages.push(page);
        self.told.fetch_add(1, SeqCst);
        // Behind the news: who sees that the page is watched sees how many news there are.
        self.watched[page.index() / 64].fetch_or(1 << (page.0 % 64), Release);
    }

    /// Whether all cores but this one are parked, or have heeded so many news.
    fn have_heeded(&self, core: usize, news: u64) -> bool {
        // With the fence of a core that begins to run: either it sees the news, or is seen here.
        fence(SeqCst);
        self.heeded.iter().enumerate().all(|(other, heeded)| other == core || heeded.load(Acquire) >= news)
    }
}

/// One core's part in it.
pub(crate) struct Watcher {
    core: usize,
    heeded: u64,
    /// The number of writes at which its code was last known to be current.
    writes: u64,
    /// So many news were heeded by all.
    settled: u64,
    /// A core may have had an older right to write to a page, and this one has looked at it meanwhile.
    is_unsettled: bool,
}

impl Watcher {
    /// Core `core` has decoded nothing, and has no right to write.
    pub(crate) fn new(core: u8) -> Self {
        Self { core: usize::from(core), heeded: 0, writes: 0, settled: 0, is_unsettled: true }
    }

    /// The core is about to look at code in a page.
    pub(crate) fn watch(&mut self, shared: &CodeWatch, page: PageIndex) {
        shared.watch(page);
        let told = shared.told.load(Acquire);
        if self.settled == told {
            return;
        }
        if shared.have_heeded(self.core, told) {
            self.settled = told;
        } else {
            self.is_unsettled = true;
        }
    }

    /// The core is about to run: nobody may take it for parked any more.
    pub(crate) fn begin(&mut self, shared: &CodeWatch, revoke: impl FnMut(Option<PageIndex>)) {
        shared.heeded[self.core].store(self.heeded, Relaxed);
        fence(SeqCst);
        self.heed(shared, revoke);
    }

    /// Between two steps: `revoke` empties the fast rights to write to a page, or to all.
    #[inline]
    pub(crate) fn heed(&mut self, shared: &CodeWatch, revoke: impl FnMut(Option<PageIndex>)) {
        if shared.told.load(Acquire) != self.heeded {
            self.heed_news(shared, revoke);
        }
    }

    #[cold]
    fn heed_news(&mut self, shared: &CodeWatch, mut revoke: impl FnMut(Option<PageIndex>)) {
        let news = shared.news.lock();
        match self.heeded.checked_sub(news.gone) {
            Some(first) => news.pages[first as usize..].iter().for_each(|&page| revoke(Some(page))),
            None => revoke(None),
        }
        self.heeded = news.gone + news.pages.len() as u64;
        shared.heeded[self.core].store(self.heeded, Release);
    }

    /// At an edge: whether code that this core has compared before may have been written since.
    pub(crate) fn look(&mut self, shared: &CodeWatch) -> bool {
        if !self.is_unsettled && shared.writes.load(Acquire) == self.writes {
            return false;
        }
        let _lock = shared.news.lock();
        self.writes = shared.writes.load(Relaxed);
        self.is_unsettled = false;
        true
    }
}

impl CodeWatch {
    /// The core stops running. It has heeded what comes before it runs again.
    pub(crate) fn parked(&self, core: u8) {
        self.heeded[usize::from(core)].store(PARKED, Release);
    }
}

#[cfg(test)]
mod tests;
