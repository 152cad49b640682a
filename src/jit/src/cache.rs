//! Translated code, shared by all cores of a machine: what there is, where it lies, and when it is given up.
//!
//! Code takes its core from a host register and whatever else differs between cores from the frame. So one core's code
//! for a block is right for every core that has a block of the same bytes at the same place in RAM; the bytes are compared
//! when a core meets the block first. Each core keeps for itself at which epoch it compared them last (MMU-2).
//!
//! Memory is bounded, and divided into regions that are filled in turn. When all are full, the next one is given up,
//! in two steps. First it is *retired*: no core finds its code any more, and jumps into it lead out again. It is filled
//! anew only after every core has been seen outside of code, where it notices what was retired and forgets what it
//! knows of it. A core that gets no memory meanwhile interprets.

use crate::frame::Stubs;
use crate::listener::Block as Made;
use crate::memory::CodeMemory;
use crate::select::Features;
use crate::translate::{BLOCKS_MAX, LINKS_OF_BLOCK, Link, Target, translate};
use crate::{Limits, Listening};
use cantus_interp::{Block, CodeCounts};
use cantus_isa::Gva;
use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Into how many regions memory is divided.
pub(crate) const REGIONS: usize = 4;
/// More than a block's code takes: 64 operations, each with some hundred bytes.
const BLOCK_CODE_MAX: usize = 1 << 15;
/// Bytes that a block has on average at least: there are no more numbers of blocks than would fill memory with such.
const BLOCK_CODE_MIN: usize = 256;

/// Where a core stands that is not in code.
pub(crate) const OUTSIDE: u64 = 0;

/// The shared code.
pub(crate) struct Cache {
    pub limits: Limits,
    pub stubs: Stubs,
    /// Numbers that each region has.
    pub numbers: u32,
    /// Where code is executed.
    base: usize,
    /// Where the code of each number is entered: by others' jumps in the high half, by a translator in the low one.
    entries: Box<[AtomicU64]>,
    /// Counted up whenever a region is retired; begins at 1. Changes under the lock.
    stamp: AtomicU64,
    store: Mutex<Store>,
}

/// A region.
#[derive(Default)]
struct Region {
    /// The marks of its blocks have it; never 0, and never used again for other code.
    generation: u32,
    /// Where its memory begins, where what is used ends, and where it ends.
    first: usize,
    used: usize,
    end: usize,
    /// Its blocks, by number from its first.
    blocks: Vec<Held>,
    /// Links from other regions into this one, with the generation that the other one had.
    incoming: Vec<(u32, u32)>,
    /// Since when it is retired: the stamp that every core outside of code then has.
    retired: Option<u64>,
}

/// A block that has code.
struct Held {
    key: Key,
    source: Box<[u8]>,
    links: Vec<Link>,
}

/// Host address of a block's first byte; and whether its atomics are the host's.
type Key = (u64, bool);

/// What changes.
struct Store {
    memory: CodeMemory,
    features: Features,
    listening: Listening,
    regions: [Region; REGIONS],
    /// The region that is being filled.
    current: usize,
    generation: u32,
    /// The latest code for what lies at a place.
    table: BTreeMap<Key, u32>,
    /// Where each core stands: outside of code, or in code since it saw this stamp.
    cores: Vec<Arc<AtomicU64>>,
}

/// What a core must know of the regions.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Known {
    pub stamp: u64,
    pub generations: [u32; REGIONS],
}

/// So many zeroes, which cost nothing until they are touched.
fn untouched(count: usize) -> Box<[AtomicU64]> {
    let zeroes = Box::into_raw(vec![0_u64; count].into_boxed_slice());
    // SAFETY: atomics lie in memory as what they hold does, with the same alignment on this host; nobody else has these.
    unsafe { Box::from_raw(zeroes as *mut [AtomicU64]) }
}

/// What came of asking for code.
pub(crate) struct Found {
    pub number: u32,
    pub generation: u32,
}

impl Cache {
    pub fn new(limits: Limits, listening: Listening) -> io::Result<Self> {
        let bytes = limits.code_bytes.max(2 * REGIONS * BLOCK_CODE_MAX).next_multiple_of(1 << 16);
        let mut memory = CodeMemory::new(bytes)?;
        let (stubs, first) = Stubs::write(&mut memory);
        if let Some(listener) = &listening {
            listener.made(memory.address(0) as u64, first as u64, Made::All);
        }
        let numbers = (bytes / REGIONS / BLOCK_CODE_MIN).min(BLOCKS_MAX as usize / REGIONS);
        let regions = std::array::from_fn(|region| {
            let start = bytes / REGIONS * region;
            let first = if region == 0 { first.next_multiple_of(16) } else { start };
            let generation = region as u32 + 1;
            Region { generation, first, used: first, end: start + bytes / REGIONS, ..Region::default() }
        });
        Ok(Self {
            limits,
            stubs,
            numbers: numbers as u32,
            base: memory.address(0) as usize,
            entries: untouched(numbers * REGIONS),
            stamp: AtomicU64::new(1),
            store: Mutex::new(Store {
                memory,
                features: Features::of_host(),
                listening,
                regions,
                current: 0,
                generation: REGIONS as u32,
                table: BTreeMap::new(),
                cores: Vec::new(),
            }),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Store> {
        // A translation that panicked has changed nothing yet.
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many numbers there are.
    pub fn numbers(&self) -> usize {
        self.entries.len()
    }

    /// The region of a number.
    pub fn region(&self, number: u32) -> usize {
        (number / self.numbers) as usize
    }

    /// Where the code with this number is entered: by jumps, and by a translator.
    pub fn entered(&self, number: u32) -> (*const u8, *const u8) {
        let at = self.entries[number as usize].load(Acquire);
        let code = |offset: u64| (self.base + offset as usize) as *const u8;
        (code(at >> 32), code(at & 0xffff_ffff))
    }

    /// The stamp now.
    #[inline(always)]
    pub fn stamp(&self) -> u64 {
        self.stamp.load(SeqCst)
    }

    /// A core comes. Says what it must know; where it stands is to be kept up to date there.
    pub fn register(&self) -> (Known, Arc<AtomicU64>) {
        let mut store = self.lock();
        let core = Arc::new(AtomicU64::new(OUTSIDE));
        store.cores.push(core.clone());
        (self.known(&store), core)
    }

    /// A core goes.
    pub fn forget(&self, core: &Arc<AtomicU64>) {
        self.lock().cores.retain(|other| !Arc::ptr_eq(other, core));
    }

    fn known(&self, store: &Store) -> Known {
        Known {
            stamp: self.stamp.load(Relaxed),
            generations: std::array::from_fn(|region| store.regions[region].generation),
        }
    }

    /// What a core must know now.
    pub fn look(&self) -> Known {
        self.known(&self.lock())
    }

    /// The code of a block that is at `pc` now, if there is some; if `make`, it is made. Nobody makes it where memory is
    /// full of code that some core may still be in.
    pub fn find(
        &self,
        block: &Block,
        atomics: bool,
        pc: u64,
        make: bool,
        counts: &mut CodeCounts,
    ) -> Option<Found> {
        let mut store = self.lock();
        let key = (block.host(), atomics);
        if let Some(&number) = store.table.get(&key) {
            let region = &store.regions[self.region(number)];
            if *region.blocks[(number % self.numbers) as usize].source == *block.source() {
                return Some(Found { number, generation: region.generation });
            }
        }
        if !make {
            return None;
        }
        let at = self.room(&mut store, counts)?;
        let current = store.current;
        let number = current as u32 * self.numbers + store.regions[current].blocks.len() as u32;
        let target = Target { stubs: self.stubs, features: store.features, atomics };
        let translated =
            translate(&target, block, number, number * LINKS_OF_BLOCK, store.memory.address(at) as usize)?;
        let length = translated.code.len();
        assert!(length <= BLOCK_CODE_MAX, "a block's code takes no more than it may");
        store.memory.write(at, &translated.code);
        let entries = ((at + translated.chained) as u64) << 32 | (at + translated.entered) as u64;
        self.entries[number as usize].store(entries, Release);
        let links = translated.links.iter().map(|link| Link { at: at + link.at, ..*link }).collect();
        let region = &mut store.regions[current];
        region.used = (at + length).next_multiple_of(16);
        region.blocks.push(Held { key, source: block.source().into(), links });
        let generation = region.generation;
        store.table.insert(key, number);
        if let Some(listener) = &store.listening {
            listener.made(store.memory.address(at) as u64, length as u64, Made::At(Gva(pc)));
        }
        counts.blocks += 1;
        counts.bytes += length as u64;
        Some(Found { number, generation })
    }

    /// Where the next block's code may lie.
    fn room(&self, store: &mut Store, counts: &mut CodeCounts) -> Option<usize> {
        let region = &store.regions[store.current];
        let has_room =
            region.used + BLOCK_CODE_MAX <= region.end && region.blocks.len() < self.numbers as usize;
        if region.retired.is_none() && has_room {
            return Some(region.used);
        }
        if region.retired.is_none() {
            store.current = (store.current + 1) % REGIONS;
            counts.flushes += u64::from(self.retire(store, store.current));
        }
        let Store { regions, cores, current, .. } = store;
        let region = &mut regions[*current];
        if let Some(stamp) = region.retired {
            let is_out = |core: &Arc<AtomicU64>| {
                let stands = core.load(SeqCst);
                stands == OUTSIDE || stands >= stamp
            };
            if !cores.iter().all(is_out) {
                return None;
            }
            region.retired = None;
            region.used = region.first;
        }
        Some(region.used)
    }

    /// Gives up what lies in a region, if anything does. Says whether it did.
    fn retire(&self, store: &mut Store, number: usize) -> bool {
        let region = &mut store.regions[number];
        if region.retired.is_some() || region.blocks.is_empty() {
            return false;
        }
        store.generation = store.generation.checked_add(1).expect("code is not given up so often");
        region.generation = store.generation;
        let stamp = self.stamp.load(Relaxed) + 1;
        region.retired = Some(stamp);
        let incoming = std::mem::take(&mut region.incoming);
        for (offset, Held { key, .. }) in std::mem::take(&mut region.blocks).into_iter().enumerate() {
            let held = (number * self.numbers as usize + offset) as u32;
            if store.table.get(&key) == Some(&held) {
                store.table.remove(&key);
            }
        }
        for (link, generation) in incoming {
            let from = link / LINKS_OF_BLOCK;
            let region = &store.regions[self.region(from)];
            if region.generation == generation {
                let held = &region.blocks[(from % self.numbers) as usize];
                let Link { at, out, .. } = held.links[(link % LINKS_OF_BLOCK) as usize];
                store.memory.set(at, out);
            }
        }
        // Behind what it announces.
        self.stamp.store(stamp, SeqCst);
        true
    }

    /// Gives up all code.
    pub fn retire_all(&self, counts: &mut CodeCounts) {
        let mut store = self.lock();
        (0..REGIONS).for_each(|region| counts.flushes += u64::from(self.retire(&mut store, region)));
    }

    /// Leads the jump with this number to the code of a block at the host address `host`, if that is where it goes, for a
    /// core that has seen this stamp. Says whether it does.
    pub fn link(&self, link: u32, host: u64, to: u32, stamp: u64) -> bool {
        let mut store = self.lock();
        if self.stamp.load(Relaxed) != stamp {
            return false;
        }
        let from = link / LINKS_OF_BLOCK;
        let (home, region) = (self.region(from), self.region(to));
        let held = &store.regions[home].blocks[(from % self.numbers) as usize];
        let known = held.links[(link % LINKS_OF_BLOCK) as usize];
        if known.host != host {
            return false;
        }
        let chained = self.entries[to as usize].load(Relaxed) >> 32;
        let distance = chained as i64 - (known.at as i64 + 4);
        store.memory.set(known.at, i32::try_from(distance).expect("code memory is small"));
        if home != region {
            let generation = store.regions[home].generation;
            store.regions[region].incoming.push((link, generation));
        }
        true
    }
}
