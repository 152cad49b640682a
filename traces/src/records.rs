//! What a trace says of the whole machine at a cut: digests, and checkpoints.

use serde::{Deserialize, Serialize};

use crate::{ContentDigest, Position};

/// The machine at a consistent cut.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(wincode::SchemaWrite, wincode::SchemaRead))]
pub struct MachineDigest {
    /// The cut's number.
    pub cut: u32,
    /// Where each core stopped, by number.
    pub positions: Vec<Position>,
    /// The digest of memory.
    pub memory: ContentDigest,
}

/// The machine at a consistent cut, complete: a replay can start here.
///
/// Pages are named by their contents, and their contents stand in the trace once, however often they recur.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Checkpoint {
    /// The cut's number.
    pub cut: u32,
    /// The cut of an earlier checkpoint that this one completes: a page that is not in `pages` is as it was there.
    /// Without one, it is all zeros.
    pub base: Option<u32>,
    /// Where each core stopped, by number.
    pub positions: Vec<Position>,
    /// The state of each core, by number, in a form that only the engine knows.
    pub cores: Vec<Vec<u8>>,
    /// The state of the devices, in a form that only the machine knows.
    pub devices: Vec<u8>,
    /// Pages by their number within RAM, ascending, and their contents. Those of a page of zeros need not be stored.
    pub pages: Vec<(u64, ContentDigest)>,
}

/// The payload of a checkpoint's chunk. The pages stand in chunks of their own before it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(wincode::SchemaWrite, wincode::SchemaRead))]
pub(crate) struct CheckpointBlock {
    pub cut: u32,
    pub base: Option<u32>,
    pub positions: Vec<Position>,
    pub cores: Vec<Vec<u8>>,
    pub devices: Vec<u8>,
    /// How many pages the chunks of this cut list.
    pub pages: u64,
}
