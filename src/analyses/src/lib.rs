//! What traces say: symbols, dump, diff.
//!
//! Reads traces, and asks questions that only a replay can answer through [`replays::Replays`], which others implement:
//! nothing here knows how a trace is executed.

pub mod diff;
pub mod dump;
mod interrupts;
pub mod junit;
pub mod replays;
pub mod site;
pub mod symbols;

pub use cantus_isa::{Gpa, Gva};
use serde::Serializer;

/// An address as JSON has it: a string such as `"0x80000000"`, since JSON's numbers end at 2^53 for many readers.
fn hex<A: Copy + Into<Hex>, S: Serializer>(address: &A, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&format!("{:#x}", (*address).into().0))
}

struct Hex(u64);

impl From<Gva> for Hex {
    fn from(address: Gva) -> Self {
        Self(address.0)
    }
}

impl From<Gpa> for Hex {
    fn from(address: Gpa) -> Self {
        Self(address.0)
    }
}

impl From<u64> for Hex {
    fn from(value: u64) -> Self {
        Self(value)
    }
}
