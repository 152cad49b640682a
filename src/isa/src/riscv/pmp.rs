//! Physical memory protection (Privileged ISA, "Physical Memory Protection").
//!
//! Sixteen entries, granularity of four bytes. Choices that the manual leaves:
//! - an entry written with W = 1 and R = 0, which is reserved, gets W = 0;
//! - an access fails if an entry matches only a part of it, and is one access even where it is not aligned (but two
//!   where it straddles a page, and one for each halfword of an instruction);
//! - the words of page-table walks are accessed with S-mode's permissions.

use super::hart::Privilege;
use super::walk::Access;
use crate::address::PAGE_SIZE;

/// How many entries there are.
pub const ENTRIES: usize = 16;
/// Bits 55 to 2 of an address.
const ADDRESS: u64 = (1 << 54) - 1;

const R: u8 = 1;
const W: u8 = 2;
const X: u8 = 4;
const MODE: u8 = 3 << 3;
const OFF: u8 = 0;
const TOR: u8 = 1 << 3;
const NA4: u8 = 2 << 3;
const LOCK: u8 = 1 << 7;

/// What may be done to some memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Permissions {
    /// Load.
    pub read: bool,
    /// Store.
    pub write: bool,
    /// Fetch.
    pub execute: bool,
}

impl Permissions {
    /// Everything.
    pub const ALL: Self = Self { read: true, write: true, execute: true };
    /// Nothing.
    pub const NONE: Self = Self { read: false, write: false, execute: false };

    /// Whether `access` is among them.
    pub fn permit(self, access: Access) -> bool {
        match access {
            Access::Fetch => self.execute,
            Access::Load => self.read,
            Access::Store => self.write,
        }
    }
}

/// The entries. `pmpcfg` and `pmpaddr` as the guest wrote them, legalised.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Pmp {
    config: [u8; ENTRIES],
    address: [u64; ENTRIES],
}

impl Pmp {
    /// `pmpcfg0` (`index` 0) or `pmpcfg2` (`index` 1): eight entries each.
    pub(super) fn read_config(&self, index: usize) -> u64 {
        (0..8).fold(0, |word, at| word | u64::from(self.config[8 * index + at]) << (8 * at))
    }

    /// Writes `pmpcfg0` or `pmpcfg2`; locked entries keep what they have.
    pub(super) fn write_config(&mut self, index: usize, word: u64) {
        for at in 0..8 {
            let entry = &mut self.config[8 * index + at];
            if *entry & LOCK == 0 {
                *entry = legal_config((word >> (8 * at)) as u8);
            }
        }
    }

    /// `pmpaddr`.
    pub(super) fn read_address(&self, entry: usize) -> u64 {
        self.address[entry]
    }

    /// Writes `pmpaddr`, unless the entry is locked, or is the lower bound of a locked entry.
    pub(super) fn write_address(&mut self, entry: usize, word: u64) {
        let bound = self.config.get(entry + 1).is_some_and(|&next| next & (LOCK | MODE) == LOCK | TOR);
        if self.config[entry] & LOCK == 0 && !bound {
            self.address[entry] = word & ADDRESS;
        }
    }

    /// What `privilege` may do to all of the `bytes` bytes at physical `address`.
    pub fn permissions(&self, privilege: Privilege, address: u64, bytes: u64) -> Permissions {
        match self.matching(address, bytes) {
            None if privilege == Privilege::Machine => Permissions::ALL,
            None => Permissions::NONE,
            Some(Match::Part) => Permissions::NONE,
            Some(Match::Whole(config)) if privilege == Privilege::Machine && config & LOCK == 0 => {
                Permissions::ALL
            }
            Some(Match::Whole(config)) => {
                Permissions { read: config & R != 0, write: config & W != 0, execute: config & X != 0 }
            }
        }
    }

    /// What `privilege` may do anywhere in the page at physical `page`; none where that is not the same for all of it.
    pub fn of_page(&self, privilege: Privilege, page: u64) -> Option<Permissions> {
        self.of_range(privilege, page, PAGE_SIZE)
    }

    /// The same of any range.
    pub fn of_range(&self, privilege: Privilege, address: u64, bytes: u64) -> Option<Permissions> {
        match self.matching(address, bytes) {
            Some(Match::Part) => None,
            None | Some(Match::Whole(_)) => Some(self.permissions(privilege, address, bytes)),
        }
    }

    /// The first entry that matches any byte of the access.
    fn matching(&self, address: u64, bytes: u64) -> Option<Match> {
        // Physical addresses have 56 bits: beyond, `end` does not overflow 64 and nothing matches.
        let (start, end) = (u128::from(address), u128::from(address) + u128::from(bytes));
        (0..ENTRIES).find_map(|entry| {
            let (low, high) = self.range(entry)?;
            if start >= high || end <= low {
                None
            } else if low <= start && end <= high {
                Some(Match::Whole(self.config[entry]))
            } else {
                Some(Match::Part)
            }
        })
    }

    /// The bytes that an entry covers, as a half-open range; none if it is off.
    fn range(&self, entry: usize) -> Option<(u128, u128)> {
        let address = u128::from(self.address[entry]) << 2;
        match self.config[entry] & MODE {
            OFF => None,
            TOR => {
                let low = if entry == 0 { 0 } else { u128::from(self.address[entry - 1]) << 2 };
                Some((low, address))
            }
            NA4 => Some((address, address + 4)),
            // NAPOT: as many trailing ones as the size has bits over eight bytes.
            _ => {
                let size = 8u128 << self.address[entry].trailing_ones();
                let low = address & !(size - 1);
                Some((low, low + size))
            }
        }
    }

    /// The state as words: addresses, then configurations.
    pub(super) fn words(&self) -> [u64; ENTRIES + ENTRIES / 8] {
        let mut words = [0; ENTRIES + ENTRIES / 8];
        words[..ENTRIES].copy_from_slice(&self.address);
        words[ENTRIES] = self.read_config(0);
        words[ENTRIES + 1] = self.read_config(1);
        words
    }

    /// The inverse of [`Pmp::words`]; makes illegal words legal.
    pub(super) fn from_words(words: &[u64]) -> Self {
        let mut pmp = Self::default();
        for (address, word) in pmp.address.iter_mut().zip(words) {
            *address = word & ADDRESS;
        }
        pmp.write_config(0, words[ENTRIES]);
        pmp.write_config(1, words[ENTRIES + 1]);
        pmp
    }
}

enum Match {
    /// All of the access, by an entry with this configuration.
    Whole(u8),
    /// Some of it.
    Part,
}

fn legal_config(config: u8) -> u8 {
    let config = config & (R | W | X | MODE | LOCK);
    if config & R == 0 { config & !W } else { config }
}
