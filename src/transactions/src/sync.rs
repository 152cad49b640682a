//! The synchronisation that the protocol uses. The model checker compiles the same protocol with a module of its own in
//! this one's place.

pub use parking_lot::Mutex;
pub use std::sync::OnceLock;
pub use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Pages are made when first asked for, so many at a time.
pub const PAGES_IN_LEAF: usize = 256;

/// So often others are turned away for the sake of a core that has been given a granule and has not come for it yet. One
/// that does not come, because the host has taken its worker away, must not hold up the others for long.
pub const REFUSALS_MAX: u32 = 100;
