//! A core's state as bytes: what a checkpoint keeps of it.
//!
//! The position (u64, little-endian), the architectural state ([`Hart::write_state`]), and the translations. What a core
//! has besides follows from these, or belongs to the host: fast entries and decoded code are made again as they are needed.

use cantus_interp::Core;
use cantus_isa::riscv::hart::{Hart, STATE_BYTES, StateError};
use cantus_memory::{BadTranslations, Ram, Tlb};
use cantus_traces::{CoreId, limits::POSITION_MAX};
use std::sync::Arc;

/// The bytes are not the state of the core that they should be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CoreStateError {
    /// They end before the position does.
    Short,
    /// No core can be at this position.
    Position(u64),
    /// The architectural state cannot be.
    Hart(StateError),
    /// It is another core's: this one's.
    Other(u64),
    /// The translations cannot be.
    Translations(BadTranslations),
}

impl std::fmt::Display for CoreStateError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Short => write!(f, "a core's state that ends before its position does"),
            Self::Position(position) => {
                write!(f, "a core at position {position}: expected at most {POSITION_MAX}")
            }
            Self::Hart(error) => error.fmt(f),
            Self::Other(id) => write!(f, "the state of core {id} in place of another's"),
            Self::Translations(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for CoreStateError {}

/// Appends the state of a core that stands between two steps.
pub fn write_core(core: &Core, into: &mut Vec<u8>) {
    into.extend(core.position.to_le_bytes());
    core.hart.write_state(into);
    core.tlb.write_translations(into);
}

/// The core `id` with the state that [`write_core`] wrote, all of `bytes`, over this RAM.
///
/// # Errors
/// Where no core with this number could have written these bytes.
pub fn read_core(id: CoreId, ram: &Arc<Ram>, bytes: &[u8]) -> Result<Core, CoreStateError> {
    let (position, rest) = bytes.split_first_chunk().ok_or(CoreStateError::Short)?;
    let position = u64::from_le_bytes(*position);
    if position > POSITION_MAX {
        return Err(CoreStateError::Position(position));
    }
    let hart = Hart::read_state(rest).map_err(CoreStateError::Hart)?;
    if hart.id != u64::from(id.0) {
        return Err(CoreStateError::Other(hart.id));
    }
    let mut tlb = Tlb::new(ram);
    tlb.read_translations(&rest[STATE_BYTES..]).map_err(CoreStateError::Translations)?;
    Ok(Core { id: id.0, hart, tlb, position, code_epoch: 0, reservation_lost: false, ram: ram.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use cantus_isa::{Gpa, Gva};
    use cantus_memory::{Rights, Translation};

    #[test]
    fn rep_3_a_core_comes_back_and_other_bytes_are_refused_or_another_core() {
        let ram = Arc::new(Ram::new(Gpa(0x8000_0000), 1 << 16, Vec::new()).expect("memory"));
        let (mut hart, mut tlb) = (Hart::new(3), Tlb::new(&ram));
        (hart.pc, hart.x[5]) = (0x8000_0124, 77);
        let page = Gpa(0x8000_2000);
        tlb.fill(
            9,
            1,
            Gva(page.0),
            Translation { page, rights: Rights(7), shift: 12, uniform: true, global: true },
        );
        let core =
            Core { id: 3, hart, tlb, position: 10, code_epoch: 4, reservation_lost: false, ram: ram.clone() };
        let bytes = |core: &Core| {
            let mut bytes = Vec::new();
            write_core(core, &mut bytes);
            bytes
        };
        let written = bytes(&core);
        let read = read_core(CoreId(3), &ram, &written).expect("its own bytes");
        assert_eq!((read.position, read.hart.x[5], bytes(&read)), (10, 77, written.clone()));
        assert_eq!(read_core(CoreId(2), &ram, &written).err(), Some(CoreStateError::Other(3)));
        for bit in 0..8 * written.len() {
            let mut flipped = written.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            if let Ok(core) = read_core(CoreId(3), &ram, &flipped) {
                assert_eq!(bytes(&core), flipped, "bit {bit}");
            }
        }
        for length in 0..written.len() {
            assert!(read_core(CoreId(3), &ram, &written[..length]).is_err(), "{length} bytes");
        }
    }
}
