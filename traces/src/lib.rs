//! The event vocabulary and the trace file.
//!
//! Knows no other crate of Cantus: what a trace says can be read without an emulator. `FORMAT.md` beside the sources
//! describes the file byte by byte.
//!
//! - What a record says: [`Event`] and the other words of the vocabulary, [`Header`], [`Footer`], [`MachineDigest`],
//!   [`Checkpoint`].
//! - Writing: [`TraceWriter`], which owns the writer thread, and a [`CoreStream`] for each core.
//! - Reading: [`Trace`], an [`EventStream`] for each core, and [`Completeness`], which says what is missing.
//! - Changing: [`rewrite()`].
//!
//! It guarantees that what is read is a prefix of what was written, core by core, whatever happened to the file in
//! between, and that no bytes make it panic (`REP-3`). It does not guarantee that the streams of different cores end at
//! a consistent cut when a recorder was killed: see [`Trace::horizon`].

mod digest;
mod error;
mod footer;
mod header;
mod history;
pub mod limits;
mod records;
mod vocabulary;

mod blocks;
mod events;
mod frame;
mod varint;

mod core_stream;
mod page_store;
mod shorten;
mod writer;

mod checkpoints;
mod event_stream;
mod layout;
mod rewrite;
mod source;
mod trace;

pub use core_stream::CoreStream;
pub use digest::{ContentDigest, DigestHasher, HashedPiece, PIECE_BYTES};
pub use error::TraceError;
pub use event_stream::EventStream;
pub use footer::{CoreEnd, EndReason, Footer, Totals};
pub use frame::ChunkKind;
pub use header::{ClockPolicy, Configuration, Header, HostFacts, Image, ImageRole, Schedule, Setting};
pub use history::History;
pub use layout::{Completeness, CoreExtent, Damage};
pub use records::{Checkpoint, MachineDigest};
pub use rewrite::rewrite;
pub use trace::{ChunkFacts, Trace};
pub use vocabulary::*;
pub use writer::{TraceSink, TraceWriter, WriterOptions};
