//! What is measured: the guests, and how much work they do.
//!
//! Each guest does `work_rounds` rounds of its work on every core, and reads that number from a variable, whose initial
//! value is changed in the ELF file's bytes.

use anyhow::{Context, Result};
use cantus::Guest;
use cantus_guests::Catalogue;
use object::{Object, ObjectSection, ObjectSymbol};

/// On how many cores each pattern is measured.
pub const CORES: &[usize] = &[1, 2, 4, 16];

/// A way in which cores share memory.
pub struct Pattern {
    /// The guest's name.
    pub name: &'static str,
    /// With fewer cores it does nothing.
    pub cores_min: usize,
    /// Whether cores do nothing but take memory from each other: its trace grows with every hand-over.
    pub is_pure_contention: bool,
    /// The most that recording may cost, as a ratio to a free run, where there is such a limit for each number of cores.
    pub record_max: Option<f64>,
}

/// All patterns, from least to most sharing.
pub const PATTERNS: &[Pattern] = &[
    Pattern { name: "private_pages", cores_min: 1, is_pure_contention: false, record_max: Some(1.03) },
    Pattern { name: "read_shared", cores_min: 1, is_pure_contention: false, record_max: Some(1.03) },
    Pattern { name: "producer_consumer", cores_min: 2, is_pure_contention: false, record_max: None },
    Pattern { name: "false_sharing", cores_min: 1, is_pure_contention: true, record_max: None },
    Pattern { name: "contended_lock", cores_min: 1, is_pure_contention: true, record_max: None },
];

/// The guest that says how fast a core is.
pub const INTEGER_LOOP: &str = "integer_loop";

const ROUNDS: &str = "work_rounds";

/// A guest of which one can say how much it shall do.
pub struct Workload {
    name: String,
    bytes: Vec<u8>,
    /// Where in the file the number of rounds stands.
    rounds_at: usize,
}

impl Workload {
    /// Reads a guest of the catalogue.
    pub fn open(name: &str) -> Result<Self> {
        let catalogue = Catalogue::load();
        let guest = catalogue.guest(name).with_context(|| format!("no guest is called {name}"))?;
        let path = guest.correct().elf();
        let bytes = std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let rounds_at = file_offset(&bytes, ROUNDS)
            .with_context(|| format!("{} has no initialised variable {ROUNDS}", path.display()))?;
        Ok(Self { name: name.to_owned(), bytes, rounds_at })
    }

    /// How much it does as it is committed.
    pub fn rounds(&self) -> u64 {
        let word = self.bytes[self.rounds_at..].first_chunk().copied().unwrap_or_default();
        u64::from_le_bytes(word)
    }

    /// The guest, doing so many rounds.
    pub fn guest(&self, rounds: u64) -> Guest {
        let mut bytes = self.bytes.clone();
        bytes[self.rounds_at..self.rounds_at + 8].copy_from_slice(&rounds.to_le_bytes());
        Guest::new(self.name.clone(), bytes)
    }
}

/// Where in an ELF file the eight bytes of an initialised variable stand.
fn file_offset(bytes: &[u8], name: &str) -> Option<usize> {
    let file = object::File::parse(bytes).ok()?;
    let symbol = file.symbol_by_name(name)?;
    let section = file.section_by_index(symbol.section_index()?).ok()?;
    let (offset, size) = section.file_range()?;
    let within = symbol.address().checked_sub(section.address())?;
    (symbol.size() == 8 && within + 8 <= size).then_some((offset + within) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_workload_has_rounds_that_can_be_changed() {
        for name in PATTERNS.iter().map(|pattern| pattern.name).chain([INTEGER_LOOP]) {
            let workload = Workload::open(name).unwrap();
            assert!((1..1_000_000).contains(&workload.rounds()), "{name}: {} rounds", workload.rounds());
            let changed = workload.guest(0x0123_4567_89ab_cdef);
            let differing = changed.bytes.iter().zip(&workload.bytes).filter(|(a, b)| a != b).count();
            assert!((1..=8).contains(&differing), "{name}: {differing} bytes changed");
            assert_eq!(*changed.bytes, *workload.guest(0x0123_4567_89ab_cdef).bytes);
        }
    }
}
