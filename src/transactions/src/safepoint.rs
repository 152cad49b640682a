//! Safepoint requests: one flag for each core, raised by anybody, seen by the core between two blocks.

use super::sync::{AtomicBool, Ordering};
use cantus_traces::CoreId;
use crossbeam::utils::CachePadded;

/// The flags of all cores.
pub struct Safepoints(Box<[CachePadded<AtomicBool>]>);

impl Safepoints {
    /// Lowered flags for `cores` cores.
    pub fn new(cores: usize) -> Self {
        Self((0..cores).map(|_| CachePadded::new(AtomicBool::new(false))).collect())
    }

    /// Asks `core` to come to a safepoint.
    pub fn raise(&self, core: CoreId) {
        self.0[core.index()].store(true, Ordering::Release);
    }

    /// Asks every core to come to a safepoint.
    pub fn raise_all(&self) {
        self.0.iter().for_each(|flag| flag.store(true, Ordering::Release));
    }

    /// Lowers the flag of `core`, before looking at what it was raised for.
    pub fn lower(&self, core: CoreId) {
        self.0[core.index()].swap(false, Ordering::AcqRel);
    }

    /// Whether `core` is asked to come.
    #[inline(always)]
    pub fn is_raised(&self, core: CoreId) -> bool {
        self.0[core.index()].load(Ordering::Relaxed)
    }
}
