//! What cores that watch code are told, and that it is enough.

use super::NEWS_MAX;
use crate::{PageIndex, Ram, Rights, Tlb, Translation};
use cantus_isa::{Gpa, Gva, Width, address::PAGE_SIZE};
use std::sync::atomic::{AtomicU64, Ordering::*};

const BASE: Gpa = Gpa(0x8000_0000);

fn ram(pages: u64) -> Ram {
    Ram::new(BASE, pages * PAGE_SIZE, Vec::new()).expect("memory")
}

/// A core that begins to run, with what it does to one page.
struct Core<'a> {
    id: u8,
    tlb: Tlb,
    ram: &'a Ram,
}

impl<'a> Core<'a> {
    fn new(ram: &'a Ram, id: u8) -> Self {
        let mut core = Self { id, tlb: Tlb::new(ram), ram };
        core.begin();
        core
    }

    fn begin(&mut self) {
        self.tlb.begin_watch(self.ram, self.id);
    }

    fn heed(&mut self) {
        self.tlb.heed_watches(self.ram);
    }

    /// Stores a doubleword at the start of a page as an executor does.
    fn store(&mut self, page: PageIndex, value: u64) {
        let at = self.ram.address(page);
        if self.fast(page).is_none() {
            let translation =
                Translation { page: at, rights: Rights(7), shift: 12, uniform: true, global: false };
            self.tlb.fill(0, 0, Gva(at.0), translation);
            self.ram.note_write(page);
            self.tlb.allow(0, Gva(at.0), translation, Rights::READ.with(Rights::WRITE), self.ram.host(at));
        }
        let pointer = self.fast(page).expect("an entry was made");
        // SAFETY: in RAM, and it lives.
        unsafe { crate::host::store(pointer, Width::Double, value) };
    }

    fn fast(&self, page: PageIndex) -> Option<*mut u8> {
        self.tlb.write(0, Gva(self.ram.address(page).0), 8)
    }

    /// Looks at code in the page.
    fn compare(&mut self, page: PageIndex) -> u64 {
        self.tlb.watch_code(self.ram, page);
        self.ram.load(self.ram.address(page), Width::Double)
    }

    /// Passes an edge.
    fn may_differ(&mut self) -> bool {
        self.tlb.may_code_differ(self.ram)
    }
}

#[test]
fn mmu_2_who_watches_is_told_of_writes_and_of_nothing_else() {
    let ram = ram(4);
    let (mut a, mut b) = (Core::new(&ram, 0), Core::new(&ram, 1));
    let (code, data) = (PageIndex(1), PageIndex(2));
    assert!(b.may_differ(), "nothing has been compared yet");
    b.compare(code);
    a.heed();
    assert!(b.may_differ(), "core 0 had not heeded it");
    b.compare(code);
    assert!(!b.may_differ());
    a.store(data, 1);
    assert!(!b.may_differ(), "no code lies there");
    a.store(code, 1);
    assert!(b.may_differ());
    // Core 0 has a right to write now, and need not ask for its next store.
    assert_eq!(b.compare(code), 1);
    a.store(code, 2);
    assert!(b.may_differ());
    assert_eq!(b.compare(code), 2);
    a.heed();
    assert!(a.fast(code).is_none(), "the right is older than the watch");
    assert!(b.may_differ());
    b.compare(code);
    assert!(!b.may_differ());
    // Its own stores count, too.
    b.store(code, 3);
    assert!(b.may_differ());
}

#[test]
fn mmu_2_a_parked_core_heeds_before_it_runs_on() {
    let ram = ram(4);
    let (mut a, mut b) = (Core::new(&ram, 0), Core::new(&ram, 1));
    let code = PageIndex(3);
    a.store(code, 1);
    ram.parked(0);
    b.may_differ();
    b.compare(code);
    assert!(!b.may_differ(), "core 0 is parked");
    assert!(a.fast(code).is_some());
    a.begin();
    assert!(a.fast(code).is_none());
    a.store(code, 2);
    assert!(b.may_differ());
}

#[test]
fn mmu_2_a_core_that_has_missed_news_gives_up_every_right() {
    let ram = ram(2 * NEWS_MAX as u64);
    let (mut a, mut b) = (Core::new(&ram, 0), Core::new(&ram, 1));
    let page = |number: usize| PageIndex(number as u32);
    for news in [NEWS_MAX - 1, NEWS_MAX + 3] {
        let written = page(2 * NEWS_MAX - 1);
        a.store(written, 1);
        for number in 0..news {
            b.compare(page(number));
        }
        a.heed();
        assert_eq!(a.fast(written).is_some(), news < NEWS_MAX, "{news}");
        (0..news).for_each(|number| ram.note_write(page(number)));
        a.store(page(5), 1);
        b.compare(page(5));
        a.heed();
        assert!(a.fast(page(5)).is_none(), "{news}");
    }
}

/// One core writes and says so; the other one looks at code again only where it is told to, or by chance.
#[test]
#[expect(clippy::disallowed_methods, reason = "two cores that run at the same time")]
fn mmu_2_no_byte_that_is_executed_is_older_than_an_edge_before() {
    let ram = ram(4);
    let (code, other) = (PageIndex(1), PageIndex(2));
    const STORES: u64 = 200_000;
    let (published, compared) = (AtomicU64::new(0), AtomicU64::new(0));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut a = Core::new(&ram, 0);
            for value in 1..=STORES {
                match value % 7 {
                    0 => a.heed(),
                    1 if value % 3 == 0 => {
                        ram.parked(0);
                        a.begin();
                    }
                    _ => {}
                }
                a.store(code, value);
                a.store(other, value);
                published.store(value, Release);
            }
            ram.parked(0);
        });
        let mut b = Core::new(&ram, 1);
        let mut known = b.compare(code);
        for round in 0_u64.. {
            let before = published.load(Acquire);
            if b.may_differ() {
                known = b.compare(code);
                compared.fetch_add(1, Relaxed);
            } else if round % 5 == 0 {
                // A block that comes to be decoded between two edges.
                known = b.compare(code);
            }
            assert!(known >= before, "{known} is older than {before}");
            if before == STORES {
                break;
            }
        }
        assert!(!b.may_differ() || b.compare(code) == STORES && !b.may_differ());
    });
    assert!(compared.into_inner() > 0);
}
