//! The ownership protocol: who may touch which granule, and in which order cores got there.
//!
//! Guarantees ORD-1 to ORD-6 of the transaction layer: many readers or one writer; a grant leaves a running core only at
//! its safepoint, a parked one at once; every hand-over names the giver's position; a waiting core is parked, so it
//! never keeps anybody waiting. Knows no I/O, no clock and no threads, and takes its locks from [`sync`], so that the
//! same source runs under a model checker.

mod core_set;
mod granule_state;
mod ownership;
mod safepoint;
mod split_pages;
mod sync;

pub use core_set::CoreSet;
pub use ownership::{Edge, Ownership, Revoked, Waiting};
pub use safepoint::Safepoints;
pub use split_pages::SplitPages;

#[cfg(test)]
mod tests;
