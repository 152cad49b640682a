//! The architectural half of the TLB: where pages lie, for each mode and address space.
//!
//! A table for each size of page, every one set-associative by the virtual page alone, so that a fence for an address
//! looks at a few sets. Which entry makes room for another is a matter of fills alone: each set gives up its ways in
//! turn. A use shows nowhere, since a fast entry would hide it.
//!
//! An entry has an *owner*, a number that is never given twice: an address space, the global mappings, or what needs no
//! translation. Whoever gets another number has thereby lost every entry, at no cost (Privileged ISA, "Supervisor
//! Memory-Management Fence Instruction").

use super::{MODES, Rights, Translation, is_machine};
use cantus_isa::{Gpa, Gva, address::PAGE_SHIFT};

/// Ways of a set.
pub(super) const WAYS: usize = 4;
/// How many address spaces keep their translations; of more, the one that was left the longest ago loses them.
pub(super) const SPACES_MAX: usize = 64;
/// The owner of an entry that was dropped by itself.
pub(super) const NOBODY: u64 = 0;
/// The owner of what needs no translation, after reset.
pub(super) const FLAT: u64 = 1;
/// The owner of global mappings, after reset.
pub(super) const SHARED: u64 = 2;

/// An address space as `satp` names it: mode and ASID.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Space(pub u32);

impl Space {
    /// None where `satp` turns translation off.
    pub(super) fn of(satp: u64) -> Option<Self> {
        (satp >> 60 != 0).then_some(Self((satp >> 44) as u32))
    }

    fn asid(self) -> u16 {
        self.0 as u16
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Entry {
    pub owner: u64,
    /// Virtual address of the page, superpages too.
    pub tag: u64,
    /// Where it lies.
    pub page: Gpa,
    pub rights: Rights,
    pub uniform: bool,
}

const VACANT: Entry = Entry { owner: NOBODY, tag: 0, page: Gpa(0), rights: Rights::NONE, uniform: false };

/// The pages of one size.
pub(super) struct Table {
    /// log2 of the page's bytes.
    pub shift: u32,
    /// Sets of each mode.
    sets: usize,
    /// By mode, set, and way.
    pub entries: Box<[Entry]>,
    /// For each mode and set the way that is given up next.
    pub turns: Box<[u8]>,
    /// Whether there may be entries. The smallest table always says so.
    used: bool,
}

impl Table {
    fn new(shift: u32, sets: usize) -> Self {
        Self {
            shift,
            sets,
            entries: vec![VACANT; MODES * sets * WAYS].into(),
            turns: vec![0; MODES * sets].into(),
            used: shift == PAGE_SHIFT,
        }
    }

    pub(super) fn tag(&self, address: u64) -> u64 {
        address >> self.shift << self.shift
    }

    /// The set of an address. Folded, so that pages at a distance of a round number do not drive each other out.
    #[inline]
    pub(super) fn set(&self, mode: usize, address: u64) -> usize {
        let page = (address >> self.shift) as usize;
        (mode % MODES) * self.sets + (page ^ (page / self.sets)) % self.sets
    }

    pub(super) fn mode(&self, index: usize) -> usize {
        index / (self.sets * WAYS)
    }

    #[inline]
    fn find(&self, mode: usize, address: u64, owners: [u64; 2]) -> Option<usize> {
        let (first, tag) = (self.set(mode, address) * WAYS, self.tag(address));
        (first..first + WAYS).find(|&index| {
            let entry = &self.entries[index];
            entry.tag == tag && owners.contains(&entry.owner)
        })
    }
}

/// What [`Translations::fill`] has replaced.
pub(super) struct Replaced {
    table: u8,
    index: u32,
    entry: Entry,
    turn: u8,
}

/// An entry that is there no more, whose fast entries must go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Gone {
    pub mode: usize,
    pub tag: u64,
    pub shift: u32,
}

/// The translations of a core.
pub(super) struct Translations {
    pub satp: u64,
    /// The owners of what needs no translation, of global mappings, and of the current address space.
    pub flat: u64,
    pub shared: u64,
    pub current: u64,
    /// The address spaces that have translations, with their owners; the one that was left last is last, or the current.
    pub spaces: Vec<(Space, u64)>,
    /// The number of the next owner.
    pub next: u64,
    /// In the order of the sizes.
    pub tables: [Table; 5],
}

impl Translations {
    pub(super) fn new() -> Self {
        Self {
            satp: 0,
            flat: FLAT,
            shared: SHARED,
            current: FLAT,
            spaces: Vec::new(),
            next: SHARED + 1,
            // Pages, 64 KiB (Svnapot), and superpages of 2 MiB, 1 GiB, 512 GiB.
            tables: [(12, 256), (16, 32), (21, 64), (30, 16), (39, 4)]
                .map(|(shift, sets)| Table::new(shift, sets)),
        }
    }

    fn fresh(&mut self) -> u64 {
        self.next += 1;
        self.next - 1
    }

    /// Whose translations are seen in `mode`.
    #[inline]
    fn owners(&self, mode: usize) -> [u64; 2] {
        if is_machine(mode) || self.current == self.flat {
            [self.flat; 2]
        } else {
            [self.current, self.shared]
        }
    }

    /// Whether what lies at `address` in `mode` is there for every address space.
    pub(super) fn is_shared(&self, mode: usize, address: Gva) -> bool {
        let owners = self.owners(mode);
        owners[1] == self.shared
            && self
                .tables
                .iter()
                .filter(|table| table.used)
                .find_map(|table| table.find(mode, address.0, owners).map(|index| table.entries[index].owner))
                == Some(self.shared)
    }

    #[inline]
    pub(super) fn find(&self, mode: usize, address: Gva) -> Option<Translation> {
        let owners = self.owners(mode);
        self.tables.iter().filter(|table| table.used).find_map(|table| {
            let entry = &table.entries[table.find(mode, address.0, owners)?];
            let offset = (address.0 - entry.tag) >> PAGE_SHIFT << PAGE_SHIFT;
            Some(Translation {
                page: Gpa(entry.page.0 + offset),
                rights: entry.rights,
                shift: table.shift as u8,
                uniform: entry.uniform,
                global: entry.owner == self.shared,
            })
        })
    }

    /// Enters a translation in the place of whatever was seen at the address before. Notes what it replaces in `log`, and
    /// tells `gone` of it.
    pub(super) fn fill(
        &mut self,
        mode: usize,
        address: Gva,
        translation: Translation,
        log: &mut Vec<Replaced>,
        mut gone: impl FnMut(Gone),
    ) {
        let owners = self.owners(mode);
        let size =
            self.tables.iter().rposition(|table| table.shift <= u32::from(translation.shift)).unwrap_or(0);
        let mut place = None;
        for (number, table) in self.tables.iter_mut().enumerate().filter(|(_, table)| table.used) {
            // A global mapping and one of the space's own may both be there.
            while let Some(index) = table.find(mode, address.0, owners) {
                let turn = table.turns[index / WAYS];
                log.push(Replaced {
                    table: number as u8,
                    index: index as u32,
                    entry: table.entries[index],
                    turn,
                });
                gone(Gone { mode, tag: table.entries[index].tag, shift: table.shift });
                table.entries[index].owner = NOBODY;
                if number == size {
                    place = Some(index);
                }
            }
        }
        let table = &mut self.tables[size];
        table.used = true;
        let set = table.set(mode, address.0);
        let turn = table.turns[set];
        let index = place.unwrap_or_else(|| {
            table.turns[set] = (turn + 1) % WAYS as u8;
            set * WAYS + usize::from(turn)
        });
        let before = table.entries[index];
        log.push(Replaced { table: size as u8, index: index as u32, entry: before, turn });
        if before.owner != NOBODY {
            gone(Gone { mode, tag: before.tag, shift: table.shift });
        }
        let tag = table.tag(address.0);
        let offset = (address.0 - tag) >> PAGE_SHIFT << PAGE_SHIFT;
        table.entries[index] = Entry {
            owner: if translation.global && owners[1] == self.shared { self.shared } else { owners[0] },
            tag,
            page: Gpa(translation.page.0.wrapping_sub(offset)),
            rights: translation.rights,
            uniform: translation.uniform,
        };
    }

    /// Takes a replacement back; the one that was made last first.
    pub(super) fn restore(&mut self, replaced: &Replaced) -> [Gone; 2] {
        let table = &mut self.tables[usize::from(replaced.table)];
        let index = replaced.index as usize;
        let (mode, shift) = (table.mode(index), table.shift);
        let after = std::mem::replace(&mut table.entries[index], replaced.entry);
        table.turns[index / WAYS] = replaced.turn;
        [after, replaced.entry].map(|entry| Gone { mode, tag: entry.tag, shift })
    }

    /// What `satp` now says is where translations are looked for. Returns whether others are seen than before.
    pub(super) fn enter(&mut self, satp: u64) -> bool {
        let before = std::mem::replace(&mut self.satp, satp);
        let Some(space) = Space::of(satp) else {
            self.current = self.flat;
            return Space::of(before).is_some();
        };
        if Space::of(before) == Some(space) {
            if before != satp {
                self.drop_spaces(|other| other == space);
            }
            return before != satp;
        }
        let owner = match self.spaces.iter().position(|&(known, _)| known == space) {
            Some(at) => self.spaces.remove(at).1,
            None => {
                if self.spaces.len() == SPACES_MAX {
                    self.spaces.remove(0);
                }
                self.fresh()
            }
        };
        self.spaces.push((space, owner));
        self.current = owner;
        true
    }

    /// Drops everything, also what needs no translation.
    pub(super) fn drop_all(&mut self) {
        let flat = self.fresh();
        if self.current == self.flat {
            self.current = flat;
        }
        self.flat = flat;
        self.drop_translated();
    }

    /// Drops what was translated.
    pub(super) fn drop_translated(&mut self) {
        self.shared = self.fresh();
        let current = Space::of(self.satp);
        self.spaces.retain(|&(space, _)| Some(space) == current);
        self.drop_spaces(|_| true);
        self.tables.iter_mut().for_each(|table| table.used = table.shift == PAGE_SHIFT);
    }

    /// Drops what belongs to the address spaces with this ASID, and is not global.
    pub(super) fn drop_asid(&mut self, asid: u16) {
        self.drop_spaces(|space| space.asid() == asid);
    }

    fn drop_spaces(&mut self, which: impl Fn(Space) -> bool) {
        let current = Space::of(self.satp);
        for at in 0..self.spaces.len() {
            let space = self.spaces[at].0;
            if which(space) {
                self.spaces[at].1 = self.fresh();
                if Some(space) == current {
                    self.current = self.spaces[at].1;
                }
            }
        }
    }

    /// Drops what was translated for the page of `address`: in every space, or only of the spaces with this ASID, and then
    /// not if it is global.
    pub(super) fn drop_address(&mut self, address: Gva, asid: Option<u16>, mut gone: impl FnMut(Gone)) {
        let Self { spaces, tables, flat, .. } = self;
        let named = |owner: u64| match asid {
            None => owner != *flat,
            Some(asid) => spaces.iter().any(|&(space, known)| known == owner && space.asid() == asid),
        };
        for table in tables.iter_mut().filter(|table| table.used) {
            let tag = table.tag(address.0);
            for mode in (0..MODES).filter(|&mode| !is_machine(mode)) {
                let first = table.set(mode, address.0) * WAYS;
                for entry in &mut table.entries[first..first + WAYS] {
                    if entry.owner != NOBODY && entry.tag == tag && named(entry.owner) {
                        entry.owner = NOBODY;
                        gone(Gone { mode, tag, shift: table.shift });
                    }
                }
            }
        }
    }

    /// Whether an entry of this owner may still be seen.
    pub(super) fn is_live(&self, owner: u64) -> bool {
        owner == self.flat || owner == self.shared || self.spaces.iter().any(|&(_, known)| known == owner)
    }

    /// After entries were put in from outside.
    pub(super) fn find_used(&mut self) {
        for table in &mut self.tables {
            table.used = table.shift == PAGE_SHIFT || table.entries.iter().any(|entry| entry.owner != NOBODY);
        }
    }
}
