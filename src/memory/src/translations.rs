//! Translations as bytes: what a checkpoint keeps of a TLB.
//!
//! Only translations are state (MMU-1); fast entries are grants, which no checkpoint has. One entry for each slot that
//! holds a translation, by ascending slot: slot (u16), virtual page address (u64), guest physical page address (u64),
//! rights (u8), shift (u8), uniform (u8), integers little-endian.

use crate::tlb::{MODES, NOTHING, Rights, SLOTS, Slot, Tlb, Translation};
use cantus_isa::{
    Gpa, Gva,
    address::{PAGE_SHIFT, PAGE_SIZE},
};

const ENTRY_BYTES: usize = 2 + 8 + 8 + 3;

/// The bytes are not the translations of any TLB.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TranslationsError {
    /// Where the entry begins that cannot be one.
    pub at: usize,
    /// What was expected there.
    pub expected: &'static str,
}

impl std::fmt::Display for TranslationsError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "a TLB's translations at byte {}: expected {}", self.at, self.expected)
    }
}

impl std::error::Error for TranslationsError {}

impl Tlb {
    /// Appends all translations.
    pub fn write_translations(&self, into: &mut Vec<u8>) {
        for (index, Slot { tag, translation, .. }) in self.slots.iter().enumerate() {
            if *tag != NOTHING {
                let Translation { page, rights, shift, uniform } = translation;
                into.extend((index as u16).to_le_bytes());
                into.extend(tag.to_le_bytes());
                into.extend(page.0.to_le_bytes());
                into.extend([rights.0, *shift, u8::from(*uniform)]);
            }
        }
    }

    /// Takes over the translations that [`Tlb::write_translations`] wrote, all of `bytes`, and drops its own.
    ///
    /// # Errors
    /// Where no TLB could have written these bytes. What was read before stays, and is safe.
    pub fn read_translations(&mut self, bytes: &[u8]) -> Result<(), TranslationsError> {
        self.flush();
        let mut before = None;
        for (entry, number) in bytes.chunks(ENTRY_BYTES).zip(0..) {
            let (index, slot) = read_entry(entry)
                .map_err(|expected| TranslationsError { at: number * ENTRY_BYTES, expected })?;
            if before.is_some_and(|before| before >= index) {
                return Err(TranslationsError { at: number * ENTRY_BYTES, expected: "ascending slots" });
            }
            before = Some(index);
            self.put(index, slot);
        }
        Ok(())
    }
}

fn read_entry(entry: &[u8]) -> Result<(usize, Slot), &'static str> {
    let entry: &[u8; ENTRY_BYTES] = entry.try_into().map_err(|_| "a whole entry")?;
    let word = |from: usize| u64::from_le_bytes(entry[from..from + 8].try_into().expect("eight bytes"));
    let index = usize::from(u16::from_le_bytes([entry[0], entry[1]]));
    let (tag, page, [rights, shift, uniform]) = (word(2), word(10), [entry[18], entry[19], entry[20]]);
    if index >= MODES * SLOTS {
        return Err("a slot");
    }
    if !tag.is_multiple_of(PAGE_SIZE) || Tlb::index(index / SLOTS, Gva(tag)) != index {
        return Err("a virtual page of this slot");
    }
    if !page.is_multiple_of(PAGE_SIZE) {
        return Err("a physical page");
    }
    if rights > 7 || uniform > 1 || !(PAGE_SHIFT..64).contains(&u32::from(shift)) {
        return Err("rights, a shift and a flag");
    }
    let translation = Translation { page: Gpa(page), rights: Rights(rights), shift, uniform: uniform == 1 };
    Ok((index, Slot { tag, translation, next: 0 }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Ram;

    fn filled(ram: &Ram) -> Tlb {
        let mut tlb = Tlb::new(ram);
        for (number, shift) in [(1, 12), (5, 12), (0x4000, 21), (0x8_0000, 30)] {
            let page = Gpa(0x8000_0000 + (number % 16) * PAGE_SIZE);
            let translation =
                Translation { page, rights: Rights(number as u8 & 7), shift, uniform: number != 5 };
            tlb.fill(number, number as usize % MODES, Gva(number * PAGE_SIZE), translation);
        }
        tlb
    }

    fn bytes(tlb: &Tlb) -> Vec<u8> {
        let mut bytes = Vec::new();
        tlb.write_translations(&mut bytes);
        bytes
    }

    #[test]
    fn mmu_1_translations_come_back() {
        let ram = Ram::new(Gpa(0x8000_0000), 16 * PAGE_SIZE, Vec::new()).expect("memory");
        let tlb = filled(&ram);
        let written = bytes(&tlb);
        assert_eq!(written.len(), 4 * ENTRY_BYTES);
        let mut other = Tlb::new(&ram);
        other.fill(0, 3, Gva(0x7000), tlb.translation(1, Gva(0x1000)).expect("filled"));
        other.read_translations(&written).expect("its own bytes");
        assert_eq!(bytes(&other), written);
        assert_eq!(other.translation(3, Gva(0x7000)), None);
        // A superpage's parts are known as such.
        other.flush_page(Gva(0x4001 * PAGE_SIZE));
        assert_eq!(bytes(&other).len(), 3 * ENTRY_BYTES);
    }

    #[test]
    fn rep_3_other_bytes_are_refused_or_harmless() {
        let ram = Ram::new(Gpa(0x8000_0000), 16 * PAGE_SIZE, Vec::new()).expect("memory");
        let written = bytes(&filled(&ram));
        let mut refused = 0;
        for at in 0..8 * written.len() {
            let mut flipped = written.clone();
            flipped[at / 8] ^= 1 << (at % 8);
            let mut tlb = Tlb::new(&ram);
            match tlb.read_translations(&flipped) {
                Ok(()) => assert_eq!(bytes(&tlb), flipped),
                Err(error) => {
                    // A slot that is too high shows at the entry after it.
                    assert!(error.at <= at / 8 + ENTRY_BYTES, "{error}");
                    refused += 1;
                }
            }
            tlb.flush();
        }
        assert!(refused > 4 * 8 * 5, "{refused} flips were refused");
        assert!(Tlb::new(&ram).read_translations(&written[..30]).is_err());
    }
}
