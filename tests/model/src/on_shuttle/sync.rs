//! What the protocol and its players synchronise with, under shuttle.

pub use shuttle::sync::atomic::{AtomicBool, AtomicU64, Ordering};
pub use shuttle::thread::{JoinHandle, spawn, yield_now};
pub use std::sync::OnceLock;

/// Pages are made when first asked for, so many at a time: all that a scenario has.
pub const PAGES_IN_LEAF: usize = 2;

/// shuttle's mutex with the face of parking_lot's.
pub struct Mutex<T>(shuttle::sync::Mutex<T>);

impl<T> Mutex<T> {
    /// An unlocked mutex.
    pub fn new(value: T) -> Self {
        Self(shuttle::sync::Mutex::new(value))
    }

    /// Locks it.
    pub fn lock(&self) -> shuttle::sync::MutexGuard<'_, T> {
        self.0.lock().expect("a panic ends the check")
    }
}

/// A piece of guest memory. Fails where two accesses of which one writes meet.
#[derive(Default)]
pub struct Cell {
    /// Negative while somebody writes, else how many read.
    users: std::sync::atomic::AtomicI64,
    /// Gives the others a chance in between.
    pause: AtomicU64,
}

impl Cell {
    /// Begins and ends a read.
    pub fn read(&self, during: impl FnOnce()) {
        let before = self.users.fetch_add(1, Ordering::SeqCst);
        assert!(before >= 0, "ORD-1: a core reads what another one writes");
        during();
        self.pause.load(Ordering::SeqCst);
        self.users.fetch_sub(1, Ordering::SeqCst);
    }

    /// Begins and ends a write.
    pub fn write(&self, during: impl FnOnce()) {
        let before = self.users.fetch_sub(1, Ordering::SeqCst);
        assert!(before == 0, "ORD-1: a core writes what another one uses");
        during();
        self.pause.load(Ordering::SeqCst);
        self.users.fetch_add(1, Ordering::SeqCst);
    }
}

/// Few, so that a core that is turned away has few futures.
pub const REFUSALS_MAX: u32 = 1;
