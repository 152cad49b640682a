//! The words of a record: cores, positions, events.
//!
//! This is all that the engine and the two boundaries (recorder and replayer) share with the file format. An event
//! belongs to one core and to one position of it; a trace is one stream of events for each core, ascending by position.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The most cores that a machine may have.
pub const CORES_MAX: usize = 255;

/// One emulated CPU, numbered from 0.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(wincode::SchemaWrite, wincode::SchemaRead))]
pub struct CoreId(pub u8);

impl CoreId {
    /// The core's number as an index.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

impl fmt::Display for CoreId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "core {}", self.0)
    }
}

/// How many steps a core has completed. A step is an instruction that retired or that ended in an exception, a
/// page-table walk's update of accessed and dirty bits, or the receipt of an input for a device. It is the only time that
/// the record knows: an event *at* position p comes after p whole steps and before, or as part of, the next one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(wincode::SchemaWrite, wincode::SchemaRead))]
pub struct Position(pub u64);

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A device, by its place in the board's list.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct DeviceId(pub u8);

/// Sixteen bytes of a BLAKE3 hash.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[cfg_attr(test, derive(wincode::SchemaWrite, wincode::SchemaRead))]
pub struct Digest(pub [u8; 16]);

/// What a core depended on, or showed, at one of its positions.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// An order edge: this core's next step comes after core `after` has completed `position` steps.
    Order {
        /// The core that must come first.
        after: CoreId,
        /// How many steps it must have completed.
        position: Position,
    },
    /// The interrupt lines as this core sees them from here on (bits as in the RISC-V `mip` register).
    Lines(u32),
    /// The next step read the clock, and this is what it read (in ticks of the time base).
    Clock(u64),
    /// The next step is a store-conditional, and it failed because another core had written the reserved granule.
    ConditionalFailed,
    /// The next step is the receipt of these bytes, from outside, by a device.
    Input {
        /// The device that received them.
        device: DeviceId,
        /// The bytes, in order of arrival; never empty.
        bytes: Vec<u8>,
    },
    /// The next step asked the host through a device, and this is what it answered. A step may ask more than once.
    Answer {
        /// The device that asked.
        device: DeviceId,
        /// The answer; may be empty.
        bytes: Vec<u8>,
    },
    /// What the core's state, and all that it had consumed of its stream, hashed to here.
    Digest {
        /// The architectural state of the core.
        state: Digest,
        /// A running hash over the events that the core has consumed so far.
        history: Digest,
    },
    /// A consistent cut: every core stopped at the cut with this number, and this core stopped here.
    Cut {
        /// Cuts count from 0 in the order in which they were made.
        number: u32,
    },
}
