//! What can go wrong with a trace file. Every error names the file, and the chunk and offset where there are any.

use std::{io, path::PathBuf, sync::Arc};

use crate::{CoreId, Position};

/// An error of a trace file.
///
/// Trace bytes are input: whatever they are, the outcome is a trace or one of these, never a panic (`REP-3`).
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TraceError {
    /// The host refused an operation on the file.
    #[error("{}: cannot {doing}", path.display())]
    Io {
        /// The trace.
        path: PathBuf,
        /// What was tried.
        doing: &'static str,
        /// What the host said.
        source: Arc<io::Error>,
    },
    /// A trace is there already, and nobody said that it may go.
    #[error("{}: exists already and is not overwritten unless you force it", path.display())]
    Exists {
        /// The file that is there.
        path: PathBuf,
    },
    /// The file does not begin as a trace does.
    #[error("{}: not a trace: expected the magic bytes {expected:?}, came {came:?}", path.display())]
    NotATrace {
        /// The file.
        path: PathBuf,
        /// The magic bytes.
        expected: String,
        /// The file's first bytes.
        came: String,
    },
    /// The trace has a format that this version does not read.
    #[error("{}: the trace has format version {came}; this program reads version {expected}", path.display())]
    Version {
        /// The trace.
        path: PathBuf,
        /// The version that is read.
        expected: u32,
        /// The version of the trace.
        came: u32,
    },
    /// The header cannot be used, so nothing of the trace can.
    #[error("{}: the header, at offset {offset}, is damaged: {what}", path.display())]
    Header {
        /// The trace.
        path: PathBuf,
        /// Where in the file.
        offset: u64,
        /// What was expected and what came.
        what: String,
    },
    /// A chunk's bytes are not those that were written.
    #[error("{}: chunk {chunk} at offset {offset} is damaged: {what}", path.display())]
    Damaged {
        /// The trace.
        path: PathBuf,
        /// The chunk's number.
        chunk: u32,
        /// Where in the file it begins.
        offset: u64,
        /// The core whose events it holds, if it holds a core's.
        core: Option<CoreId>,
        /// What was expected and what came.
        what: String,
    },
    /// A chunk is whole, but an event in it makes no sense.
    #[error(
        "{}: {core}: chunk {chunk} at offset {offset}: byte {at} of its payload begins no event: {what}",
        path.display()
    )]
    Event {
        /// The trace.
        path: PathBuf,
        /// The chunk's number.
        chunk: u32,
        /// Where in the file the chunk begins.
        offset: u64,
        /// The core whose event it is.
        core: CoreId,
        /// Where in the decompressed payload the event begins.
        at: u64,
        /// What was expected and what came.
        what: String,
    },
    /// Something was asked for that the trace does not hold.
    #[error("{}: the trace does not hold {what}", path.display())]
    Missing {
        /// The trace.
        path: PathBuf,
        /// What was asked for.
        what: String,
    },
    /// A trace was to be written that lies outside the format's limits, or contradicts itself.
    #[error("{}: cannot be written as a trace: {what}", path.display())]
    Unwritable {
        /// The trace.
        path: PathBuf,
        /// Which limit, and what came.
        what: String,
    },
    /// The events of one position of a core do not fit into a chunk.
    #[error("{}: {core} has more events at position {position} than a chunk can hold", path.display())]
    Crowded {
        /// The trace.
        path: PathBuf,
        /// The core.
        core: CoreId,
        /// The position.
        position: Position,
    },
}

impl TraceError {
    pub(crate) fn io(path: &std::path::Path, doing: &'static str, source: io::Error) -> TraceError {
        TraceError::Io { path: path.to_owned(), doing, source: Arc::new(source) }
    }
}
