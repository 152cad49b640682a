//! The footer: how the run ended, and where everything stands in the file. Written last.

use serde::{Deserialize, Serialize};

use crate::{ContentDigest, Digest, Position};

/// How a recorded run ended.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(wincode::SchemaWrite, wincode::SchemaRead))]
pub struct Footer {
    /// Why the run ended.
    pub reason: EndReason,
    /// The status that the guest ended with, if it ended by itself.
    pub exit_status: Option<i32>,
    /// Where every core ended, by number.
    pub cores: Vec<CoreEnd>,
    /// The digest of memory at the end.
    pub memory: ContentDigest,
}

/// Why a run ended.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(wincode::SchemaWrite, wincode::SchemaRead))]
#[serde(rename_all = "kebab-case")]
pub enum EndReason {
    /// The guest ended itself.
    Exited,
    /// Somebody at the host ended it.
    Interrupted,
    /// A limit of time, steps or size was reached.
    LimitReached,
    /// Every core waited for an interrupt that could never come.
    Deadlocked,
    /// The recorder could not go on; the text says why.
    Failed(String),
    /// A line of the guest's console, this one, is what the run was to end on.
    Matched(String),
}

/// Where a core ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(wincode::SchemaWrite, wincode::SchemaRead))]
pub struct CoreEnd {
    /// How many steps it completed.
    pub position: Position,
    /// The digest of its state there.
    pub state: Digest,
}

/// How much a trace holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(wincode::SchemaWrite, wincode::SchemaRead))]
pub struct Totals {
    /// Chunks before the footer.
    pub chunks: u32,
    /// Events of all cores.
    pub events: u64,
    /// Bytes of the cores' events as they were encoded.
    pub event_bytes: u64,
    /// Bytes that the chunks of the cores' events take in the file.
    pub event_bytes_stored: u64,
    /// Bytes of the file; as the footer itself says it, those before the footer.
    pub file_bytes: u64,
}

/// What the index says about one chunk. Chunks lie one behind the other, so their offsets follow.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(wincode::SchemaWrite, wincode::SchemaRead))]
pub(crate) struct IndexEntry {
    pub kind: u8,
    pub core: u8,
    pub codec: u8,
    pub first: u64,
    pub last: u64,
    pub count: u32,
    pub raw_bytes: u32,
    pub stored_bytes: u32,
}

/// The payload of the footer's chunk.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(wincode::SchemaWrite, wincode::SchemaRead))]
pub(crate) struct FooterBlock {
    pub footer: Footer,
    pub totals: Totals,
    /// `None` if there are more chunks than an index may list.
    pub index: Option<Vec<IndexEntry>>,
}
