//! The synchronisation that the protocol uses. The model checker compiles the same protocol with a module of its own in
//! this one's place.

pub use parking_lot::Mutex;
pub use std::sync::OnceLock;
pub use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Pages are made when first asked for, so many at a time.
pub const PAGES_IN_LEAF: usize = 256;
