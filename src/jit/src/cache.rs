//! Translated code, shared by all cores of a machine: what there is, where it lies, and when it is given up.
//!
//! Code takes its core from a host register and whatever else differs between cores from the frame. So one core's code
//! for a unit is right for every core whose blocks at the same places in RAM have the same bytes, which is all that decoding
//! depends on; they are compared when a core meets the unit first. Each core keeps for itself which blocks these are, and at
//! which epoch it compared them last (MMU-2): code that is stale on one core may be right on another one that has not
//! executed FENCE.I yet.
//!
//! A unit has as many numbers as it has blocks, one behind the other, and is named by the first of them.
//!
//! Memory is bounded, and divided into regions that are filled in turn. When all are full, the next one is given up,
//! in two steps. First it is *retired*: no core finds its code any more, and jumps into it lead out again. It is filled
//! anew only after every core has been seen outside of code, where it notices what was retired and forgets what it
//! knows of it. A core that gets no memory meanwhile interprets.

use crate::frame::Stubs;
use crate::listener::Block as Made;
use crate::memory::CodeMemory;
use crate::select::Features;
use crate::tolls::Toll;
use crate::translate::{BLOCKS_MAX, LINKS_OF_BLOCK, Link, Regime, STALE_LINK, Target, translate};
use crate::unit::{UNIT_BLOCKS_MAX, Unit, start};
use crate::{Limits, Listening};
use cantus_interp::{Block, CodeCounts};
use cantus_isa::Gva;
use cantus_memory::Untouched;
use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Into how many regions memory is divided.
pub(crate) const REGIONS: usize = 4;
/// Bytes of a region at least. Code of a unit that takes more than a region has is not kept.
const REGION_MIN: usize = 1 << 15;
/// Bytes that a block has on average at least: there are no more numbers of blocks than would fill memory with such.
const BLOCK_CODE_MIN: usize = 128;

/// Bits of the table of where units begin.
const HEADS: usize = 1 << 19;

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
    /// For the number of each unit its [`Place`].
    places: Untouched<AtomicU64>,
    /// For the number of each block what is paid ahead when it ends: the bits of a toll.
    ahead: Untouched<AtomicU64>,
    /// For whoever has no lock: a bit for host addresses at some of which a unit begins, or began.
    heads: Untouched<AtomicU64>,
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
    /// How many of its numbers are used, and its units by theirs.
    members: u32,
    units: BTreeMap<u32, Held>,
    /// For each of its numbers that is used, so many links.
    links: Vec<[Link; LINKS_OF_BLOCK as usize]>,
    /// Links from other regions into this one, with the generation that the other one had.
    incoming: Vec<(u32, u32)>,
    /// Since when it is retired: the stamp that every core outside of code then has.
    retired: Option<u64>,
}

/// A unit that has code.
struct Held {
    key: Key,
    /// How many were made before it.
    order: u64,
}

/// Host address of a unit's first byte; and what its code takes for granted.
type Key = (u64, Regime);

/// A block of a unit, by what its decoding depended on.
#[derive(PartialEq, Eq)]
pub(crate) struct Member {
    /// Distance from its page's start.
    pub offset: u64,
    pub source: Box<[u8]>,
}

impl Member {
    fn of(block: &Block) -> Self {
        Self { offset: start(block) as u64, source: block.source().into() }
    }
}

/// Where a unit's code is entered: by others' jumps, and by a translator; how many blocks it has, and whether its addresses
/// are physical.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    pub chained: *const u8,
    pub entered: *const u8,
    pub members: usize,
    pub is_physical: bool,
}

/// The bit for that in what is packed.
const PHYSICAL: u64 = 1 << 7;

const _: () = assert!(UNIT_BLOCKS_MAX < PHYSICAL as usize);

/// What changes.
struct Store {
    memory: CodeMemory,
    features: Features,
    listening: Listening,
    regions: [Region; REGIONS],
    /// The region that is being filled.
    current: usize,
    generation: u32,
    /// Units made so far.
    made: u64,
    /// The latest unit that begins at a place.
    table: BTreeMap<Key, Latest>,
    /// Where each core stands: outside of code, or in code since it saw this stamp.
    cores: Vec<Arc<AtomicU64>>,
}

/// What a core must know of the regions.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Known {
    pub stamp: u64,
    pub generations: [u32; REGIONS],
}

struct Latest {
    number: u32,
    members: Arc<[Member]>,
}

/// A unit, for whoever has the same blocks.
pub(crate) struct Found {
    pub number: u32,
    pub generation: u32,
    pub members: Arc<[Member]>,
}

impl Cache {
    pub fn new(limits: Limits, listening: Listening) -> io::Result<Self> {
        let bytes = limits.code_bytes.max(REGIONS * REGION_MIN).next_multiple_of(1 << 16);
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
            places: Untouched::new(numbers * REGIONS),
            ahead: Untouched::new(numbers * REGIONS),
            heads: Untouched::new(HEADS / 64),
            stamp: AtomicU64::new(1),
            store: Mutex::new(Store {
                memory,
                features: Features::of_host(),
                listening,
                regions,
                current: 0,
                generation: REGIONS as u32,
                made: 0,
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
        self.places.len()
    }

    /// The region of a number.
    pub fn region(&self, number: u32) -> usize {
        (number / self.numbers) as usize
    }

    /// Where the code of the unit with this number is entered.
    pub fn place(&self, number: u32) -> Place {
        let packed = self.places[number as usize].load(Acquire);
        let code = |offset: u64| (self.base + offset as usize) as *const u8;
        let chained = packed >> 32;
        Place {
            chained: code(chained),
            entered: code(chained + (packed >> 8 & 0xff_ffff)),
            members: (packed & (PHYSICAL - 1)) as usize,
            is_physical: packed & PHYSICAL != 0,
        }
    }

    /// What is paid ahead when the block with this number ends.
    pub fn ahead(&self, number: u32) -> Toll {
        Toll::of_bits(self.ahead[number as usize].load(Acquire) as i32)
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
        (self.knowledge(&store), core)
    }

    /// A core goes.
    pub fn forget(&self, core: &Arc<AtomicU64>) {
        self.lock().cores.retain(|other| !Arc::ptr_eq(other, core));
    }

    fn knowledge(&self, store: &Store) -> Known {
        Known {
            stamp: self.stamp.load(Relaxed),
            generations: std::array::from_fn(|region| store.regions[region].generation),
        }
    }

    /// What a core must know now.
    pub fn look(&self) -> Known {
        self.knowledge(&self.lock())
    }

    /// The bit of a host address among those of `heads`: its word, and its place there.
    fn head(&self, host: u64) -> (&AtomicU64, u64) {
        let bit = (host >> 1 ^ host >> 20) as usize % HEADS;
        (&self.heads[bit / 64], 1 << (bit % 64))
    }

    /// The latest unit that begins with a block at a host address. One that another core makes just now may be overlooked.
    pub fn find(&self, host: u64, regime: Regime) -> Option<Found> {
        let (word, bit) = self.head(host);
        if word.load(Relaxed) & bit == 0 {
            return None;
        }
        self.latest(&self.lock(), (host, regime))
    }

    fn latest(&self, store: &Store, key: Key) -> Option<Found> {
        let Latest { number, members } = store.table.get(&key)?;
        let generation = store.regions[self.region(*number)].generation;
        Some(Found { number: *number, generation, members: members.clone() })
    }

    /// Makes the code of a unit that is at `pc` now, unless another core has just done that. None where memory is full of
    /// code that some core may still be in.
    pub fn make(&self, unit: &Unit, regime: Regime, pc: u64, counts: &mut CodeCounts) -> Option<Found> {
        let members: Arc<[Member]> = unit.blocks.iter().map(|block| Member::of(block)).collect();
        let key = (unit.blocks[0].host(), regime);
        let mut store = self.lock();
        if let Some(found) = self.latest(&store, key)
            && found.members == members
        {
            return Some(found);
        }
        let target = Target { stubs: self.stubs, features: store.features, regime };
        let mut length = 0;
        let (at, current, number, translated) = loop {
            let at = self.room(&mut store, length, counts)?;
            let current = store.current;
            let number = current as u32 * self.numbers + store.regions[current].members;
            let translated = translate(&target, unit, number, store.memory.address(at) as usize)?;
            length = translated.code.len();
            if at + length <= store.regions[current].end {
                break (at, current, number, translated);
            }
            // The first region is the smallest.
            let Region { first, end, .. } = store.regions[0];
            if length > end - first {
                return None;
            }
        };
        store.memory.write(at, &translated.code);
        let place = ((at + translated.chained) as u64) << 32
            | ((translated.entered - translated.chained) as u64) << 8
            | if regime.distance.is_some() { PHYSICAL } else { 0 }
            | members.len() as u64;
        for member in 0..members.len() {
            let ahead = unit.tolls.ahead(member).bits();
            self.ahead[number as usize + member].store(ahead as u64, Release);
        }
        self.places[number as usize].store(place, Release);
        store.made += 1;
        let held = Held { key, order: store.made };
        let region = &mut store.regions[current];
        region.used = (at + length).next_multiple_of(16);
        region.members += members.len() as u32;
        region.units.insert(number, held);
        region.links.resize(region.members as usize, [Link::NONE; LINKS_OF_BLOCK as usize]);
        for (link, known) in translated.links {
            let links = &mut region.links[(link / LINKS_OF_BLOCK % self.numbers) as usize];
            links[(link % LINKS_OF_BLOCK) as usize] = Link { at: at + known.at, ..known };
        }
        let generation = region.generation;
        let (word, bit) = self.head(key.0);
        word.fetch_or(bit, Relaxed);
        store.table.insert(key, Latest { number, members: members.clone() });
        if let Some(listener) = &store.listening {
            listener.made(store.memory.address(at) as u64, length as u64, Made::At(Gva(pc)));
        }
        counts.units += 1;
        counts.blocks += members.len() as u64;
        counts.bytes += length as u64;
        Some(Found { number, generation, members })
    }

    /// Where the next unit's code, which takes so many bytes, may lie.
    fn room(&self, store: &mut Store, bytes: usize, counts: &mut CodeCounts) -> Option<usize> {
        let region = &store.regions[store.current];
        let has_room = region.used + bytes <= region.end
            && region.members as usize + UNIT_BLOCKS_MAX <= self.numbers as usize;
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
        if region.retired.is_some() || region.units.is_empty() {
            return false;
        }
        store.generation = store.generation.checked_add(1).expect("code is not given up so often");
        region.generation = store.generation;
        let stamp = self.stamp.load(Relaxed) + 1;
        region.retired = Some(stamp);
        region.members = 0;
        region.links.clear();
        let incoming = std::mem::take(&mut region.incoming);
        for (number, Held { key, .. }) in std::mem::take(&mut region.units) {
            if store.table.get(&key).is_some_and(|latest| latest.number == number) {
                store.table.remove(&key);
            }
        }
        for (link, generation) in incoming {
            if store.regions[self.home(link)].generation == generation {
                let Link { at, out, .. } = self.known(store, link);
                store.memory.set(at, out);
            }
        }
        // Behind what it announces.
        self.stamp.store(stamp, SeqCst);
        true
    }

    /// The region that a link lies in.
    fn home(&self, link: u32) -> usize {
        self.region(link / LINKS_OF_BLOCK)
    }

    /// The link with this number, whose region is not retired.
    fn known(&self, store: &Store, link: u32) -> Link {
        let links = &store.regions[self.home(link)].links;
        links[(link / LINKS_OF_BLOCK % self.numbers) as usize][(link % LINKS_OF_BLOCK) as usize]
    }

    /// Gives up all code.
    pub fn retire_all(&self, counts: &mut CodeCounts) {
        let mut store = self.lock();
        (0..REGIONS).for_each(|region| counts.flushes += u64::from(self.retire(&mut store, region)));
    }

    /// Leads the jump with this number to a unit, if that begins at the host address `host` to which the jump goes, for a
    /// core that has seen this stamp. Says whether it does.
    ///
    /// A unit's way out when it is stale is a jump to where it begins itself, and is led to a later unit only, so that no core,
    /// whatever is stale there, goes round in a circle.
    pub fn link(&self, link: u32, host: u64, to: u32, stamp: u64) -> bool {
        let mut store = self.lock();
        if self.stamp.load(Relaxed) != stamp {
            return false;
        }
        let (from, home, region) = (link / LINKS_OF_BLOCK, self.home(link), self.region(to));
        let known = self.known(&store, link);
        let order = |number| store.regions[self.region(number)].units.get(&number).map(|held| held.order);
        if known.host != host || link % LINKS_OF_BLOCK == STALE_LINK && order(from) >= order(to) {
            return false;
        }
        let chained = self.places[to as usize].load(Relaxed) >> 32;
        let distance = chained as i64 - (known.at as i64 + 4);
        store.memory.set(known.at, i32::try_from(distance).expect("code memory is small"));
        if home != region {
            let generation = store.regions[home].generation;
            store.regions[region].incoming.push((link, generation));
        }
        true
    }
}
