//! What an analysis may ask of a trace beyond its events: questions that are answered by executing it again.
//!
//! Everything asked is about what a core did between two of its positions. Answers follow from the trace alone: to ask
//! twice gives the same. A question about positions that the trace does not reach is answered for those that it does.

use cantus_isa::{Gpa, Gva};
use cantus_traces::{CoreId, Position};
use serde::Serialize;

/// Why a trace could not be executed again as far as a question needed it.
pub type Trouble = Box<dyn std::error::Error + Send + Sync>;

/// The steps of one core from one position up to, not including, another.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stretch {
    /// The core.
    pub core: CoreId,
    /// The position before the first step.
    pub from: Position,
    /// The position after the last step.
    pub to: Position,
}

/// A hash of what a core did, good for comparing two executions and for nothing else: 128 bits, not cryptographic, not
/// the same in every version of Cantus.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Print {
    low: u64,
    high: u64,
}

impl Print {
    /// The print with one more word. The order of words matters.
    #[must_use]
    pub fn with(self, word: u64) -> Self {
        // Two multiply-and-fold mixers over the same words, each with its own odd constants (from the digits of pi).
        let fold = |state: u64, constant: u64, key: u64| {
            let product = u128::from(state ^ word ^ key) * u128::from(constant);
            (product as u64 ^ (product >> 64) as u64).wrapping_add(state.rotate_left(29))
        };
        Self {
            low: fold(self.low, 0x9216_d5d9_8979_fb1b, 0x243f_6a88_85a3_08d3),
            high: fold(self.high, 0xba7c_9045_f12c_7f99, 0x1319_8a2e_0370_7345),
        }
    }

    /// The print of these words.
    pub fn of(words: impl IntoIterator<Item = u64>) -> Self {
        words.into_iter().fold(Self::default(), Self::with)
    }

    /// The print of a stretch with one more step.
    #[must_use]
    pub fn then(self, step: &Step) -> Self {
        self.with(step.pc.0).with(step.state.low).with(step.state.high)
    }
}

/// One step of a core.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Step {
    /// The position before the step.
    pub position: Position,
    /// Where the instruction stands that was executed, in the addresses of the core.
    pub pc: Gva,
    /// The architectural state of the core after the step.
    pub state: Print,
}

/// What an access was for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum AccessKind {
    /// The instruction itself. Need not be reported.
    Fetch,
    /// A page-table entry, read by a walk. Need not be reported.
    Walk,
    /// A load from memory, the reading half of an atomic operation, a load-reserved.
    Load,
    /// A store to memory, the writing half of an atomic operation, a store-conditional that succeeded.
    Store,
    /// A load from a device.
    DeviceLoad,
    /// A store to a device.
    DeviceStore,
}

/// One access of a core.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Access {
    /// The position before the step that made it.
    pub position: Position,
    /// Where the instruction stands that made it.
    pub pc: Gva,
    /// The address as the instruction named it.
    pub virtual_address: Gva,
    /// The address on the bus.
    pub address: Gpa,
    /// How many bytes: 1 to 8.
    pub bytes: u8,
    /// What was read or written, zero-extended.
    pub value: u64,
    /// What it was for.
    pub kind: AccessKind,
}

/// Which step wrote something.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct Writer {
    /// The core that wrote.
    pub core: CoreId,
    /// The position before the step that wrote.
    pub position: Position,
    /// Where the instruction stands that wrote.
    #[serde(serialize_with = "crate::hex")]
    pub pc: Gva,
}

/// A trace that can be executed again and watched while it is.
pub trait Replays {
    /// For each stretch: the prints of its parts of `every` steps each, in order. The last part may be shorter; where
    /// the core ends earlier than the stretch, so do the parts.
    fn prints(&mut self, stretches: &[Stretch], every: u64) -> Result<Vec<Vec<Print>>, Trouble>;

    /// For each stretch: its steps, in order. Of one core there may be many stretches, which ascend and do not overlap.
    fn paths(&mut self, stretches: &[Stretch]) -> Result<Vec<Vec<Step>>, Trouble>;

    /// The accesses of a stretch, in the order in which the core made them.
    fn accesses(&mut self, stretch: Stretch) -> Result<Vec<Access>, Trouble>;

    /// Who last wrote to any of these bytes of memory, in the order of the recorded execution, before the step of
    /// `core` at `position`. `None`: nobody, they hold what was loaded before the first step.
    fn last_writer(
        &mut self,
        address: Gpa,
        bytes: u8,
        core: CoreId,
        position: Position,
    ) -> Result<Option<Writer>, Trouble>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_tell_words_and_their_order_apart() {
        let words: Vec<u64> = (0..1000).collect();
        let print = Print::of(words.iter().copied());
        for at in 0..words.len() {
            let mut other = words.clone();
            other[at] ^= 1 << (at % 64);
            assert_ne!(print, Print::of(other));
        }
        assert_ne!(Print::of([1, 2]), Print::of([2, 1]));
        assert_ne!(Print::of([0]), Print::of([0, 0]));
    }
}
