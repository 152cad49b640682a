//! The event vocabulary and the trace file.
//!
//! Knows no other crate of Cantus: what a trace says can be read without an emulator.

mod vocabulary;

pub use vocabulary::*;
