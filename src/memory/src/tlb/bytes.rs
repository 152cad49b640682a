//! The translations as bytes, for whoever keeps a core and goes on with it later.
//!
//! Guarantees (MMU-1) that a core whose translations were read back walks where the one that wrote them does: what is
//! written is all that fills, fences and replacement depend on. Little-endian: `satp`; how many address spaces, and each;
//! for every table the turns of its sets; how many entries, and each.

use super::translations::{Entry, FLAT, NOBODY, SHARED, SPACES_MAX, Space, Translations, WAYS};
use super::{Rights, is_machine};
use cantus_isa::{Gpa, address::PAGE_SHIFT};
use std::fmt;

/// Bytes that are not those of translations.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BadTranslations {
    /// How far they were read.
    pub at: usize,
    /// What was expected there.
    pub expected: &'static str,
}

impl fmt::Display for BadTranslations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "translations that are wrong before byte {}: expected {}", self.at, self.expected)
    }
}

impl std::error::Error for BadTranslations {}

/// Physical addresses have 56 bits.
const PHYSICAL_BITS: u32 = 56;
/// Virtual ones have 48, the last of which is repeated.
const VIRTUAL_BITS: u32 = 48;

impl Translations {
    pub(super) fn write(&self, into: &mut Vec<u8>) {
        into.extend(self.satp.to_le_bytes());
        into.push(self.spaces.len() as u8);
        for (space, _) in &self.spaces {
            into.extend(space.0.to_le_bytes());
        }
        for table in &self.tables {
            into.extend_from_slice(&table.turns);
        }
        let entries = || {
            self.tables.iter().enumerate().flat_map(|(number, table)| {
                let live = |entry: &Entry| entry.owner != NOBODY && self.is_live(entry.owner);
                let entries = table.entries.iter().enumerate().filter(move |(_, entry)| live(entry));
                entries.map(move |(index, entry)| (number, index, entry))
            })
        };
        into.extend((entries().count() as u32).to_le_bytes());
        for (number, index, entry) in entries() {
            let owner = match self.spaces.iter().position(|&(_, owner)| owner == entry.owner) {
                Some(at) => SHARED + 1 + at as u64,
                None if entry.owner == self.shared => SHARED,
                None => FLAT,
            };
            into.extend([number as u8, owner as u8, entry.rights.0, u8::from(entry.uniform)]);
            into.extend((index as u32).to_le_bytes());
            into.extend(entry.tag.to_le_bytes());
            into.extend(entry.page.0.to_le_bytes());
        }
    }

    pub(super) fn read(bytes: &[u8]) -> Result<Self, BadTranslations> {
        let mut bytes = Bytes { bytes, at: 0 };
        let mut read = Self::new();
        read.satp = bytes.double()?;
        let current = Space::of(read.satp);
        let count = usize::from(bytes.byte()?);
        bytes.expect(count <= SPACES_MAX, "no more address spaces than are kept")?;
        for _ in 0..count {
            let space = Space(bytes.word()?);
            let known = read.spaces.iter().any(|&(other, _)| other == space);
            bytes.expect(space.0 >> 16 != 0 && !known, "an address space that is another one")?;
            read.spaces.push((space, read.next));
            read.next += 1;
        }
        if let Some(current) = current {
            let &(last, owner) = read.spaces.last().unwrap_or(&(Space(0), NOBODY));
            bytes.expect(last == current, "the current address space behind the others")?;
            read.current = owner;
        }
        for table in &mut read.tables {
            for turn in &mut table.turns {
                *turn = bytes.byte()?;
                bytes.expect(usize::from(*turn) < WAYS, "the number of a way")?;
            }
        }
        let mut before = None;
        for _ in 0..bytes.word()? {
            let [number, owner, rights, uniform] = bytes.word()?.to_le_bytes();
            let (index, tag, page) = (bytes.word()? as usize, bytes.double()?, bytes.double()?);
            bytes.expect(usize::from(number) < read.tables.len(), "the number of a table")?;
            let table = &mut read.tables[usize::from(number)];
            bytes.expect(index < table.entries.len(), "the place of an entry")?;
            bytes.expect(before < Some((number, index)), "entries in the order of their places")?;
            before = Some((number, index));
            let (mode, owner) = (table.mode(index), u64::from(owner));
            bytes.expect(owner != NOBODY && owner < read.next, "an owner that there is")?;
            bytes.expect(!is_machine(mode) || owner == FLAT, "no translation in M-mode")?;
            bytes.expect(rights < 8 && uniform < 2, "the rights of a page")?;
            bytes.expect(
                table.tag(tag) == tag && table.set(mode, tag) == index / WAYS,
                "a page at its place",
            )?;
            let canonical = (tag << (64 - VIRTUAL_BITS)) as i64 >> (64 - VIRTUAL_BITS) == tag as i64;
            let legal = if owner == FLAT {
                tag == page && table.shift == PAGE_SHIFT
            } else {
                canonical && table.tag(page) == page && page >> PHYSICAL_BITS == 0
            };
            bytes.expect(legal, "addresses that a walk gives")?;
            let set = &table.entries[index / WAYS * WAYS..index];
            let twice = set.iter().any(|other| other.owner == owner && other.tag == tag);
            bytes.expect(!twice, "an address once in an address space")?;
            let (rights, uniform) = (Rights(rights), uniform != 0);
            table.entries[index] = Entry { owner, tag, page: Gpa(page), rights, uniform };
        }
        let rest = bytes.bytes.len();
        bytes.expect(bytes.at == rest, "the end")?;
        read.find_used();
        Ok(read)
    }
}

struct Bytes<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Bytes<'_> {
    fn expect(&self, holds: bool, expected: &'static str) -> Result<(), BadTranslations> {
        if holds { Ok(()) } else { Err(BadTranslations { at: self.at, expected }) }
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], BadTranslations> {
        let taken = self.bytes.get(self.at..).and_then(|rest| rest.first_chunk::<N>());
        let Some(taken) = taken else { return Err(BadTranslations { at: self.at, expected: "more bytes" }) };
        self.at += N;
        Ok(*taken)
    }

    fn byte(&mut self) -> Result<u8, BadTranslations> {
        self.take().map(|[byte]| byte)
    }

    fn word(&mut self) -> Result<u32, BadTranslations> {
        self.take().map(u32::from_le_bytes)
    }

    fn double(&mut self) -> Result<u64, BadTranslations> {
        self.take().map(u64::from_le_bytes)
    }
}
