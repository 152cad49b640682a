//! What the protocol and its players synchronise with, under loom.

pub use loom::sync::atomic::{AtomicBool, AtomicU64, Ordering};
pub use loom::thread::{JoinHandle, spawn, yield_now};
pub use std::sync::OnceLock;

/// Pages are made when first asked for, so many at a time: all that a scenario has.
pub const PAGES_IN_LEAF: usize = 2;

/// loom's mutex with the face of parking_lot's.
pub struct Mutex<T>(loom::sync::Mutex<T>);

impl<T> Mutex<T> {
    /// An unlocked mutex.
    pub fn new(value: T) -> Self {
        Self(loom::sync::Mutex::new(value))
    }

    /// Locks it.
    pub fn lock(&self) -> loom::sync::MutexGuard<'_, T> {
        self.0.lock().expect("a panic ends the check")
    }
}

/// A piece of guest memory. Fails where two accesses of which one writes are not ordered by the protocol's own
/// synchronisation, be it that they did not meet in this interleaving.
#[derive(Default)]
pub struct Cell(loom::cell::UnsafeCell<()>);

impl Cell {
    /// Begins and ends a read.
    pub fn read(&self, during: impl FnOnce()) {
        self.0.with(|_| during());
    }

    /// Begins and ends a write.
    pub fn write(&self, during: impl FnOnce()) {
        self.0.with_mut(|_| during());
    }
}

/// Few, so that a core that is turned away has few futures.
pub const REFUSALS_MAX: u32 = 1;
