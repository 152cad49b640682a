//! An executor that shows every step of a stretch.
//!
//! It runs another executor one instruction at a time where somebody looks, and at full speed elsewhere; what the core
//! does is the same (REP-2).

use cantus_interp::{Core, Executor, Exit, Port};
use cantus_isa::riscv::hart::Hart;
use std::ops::Range;
use std::sync::Arc;

/// Looks at the steps of a core.
pub(crate) trait Observer: Send + Sync {
    /// The positions to look at.
    fn stretch(&self, core: usize) -> Range<u64>;

    /// The core is about to make, or has made, the step at `before.position`.
    fn step(&self, core: usize, before: &Before, after: &Core);
}

/// A core before a step.
pub(crate) struct Before {
    /// Steps completed.
    pub(crate) position: u64,
    /// The architectural state.
    pub(crate) hart: Hart,
}

/// Runs `inner`, and shows its steps to `observer`.
pub(crate) struct Probe<E, O> {
    pub(crate) core: usize,
    pub(crate) inner: E,
    pub(crate) observer: Arc<O>,
}

impl<E: Executor, O: Observer> Executor for Probe<E, O> {
    fn run<P: Port>(&mut self, core: &mut Core, port: &mut P, until: u64) -> Exit {
        let stretch = self.observer.stretch(self.core);
        if core.position >= stretch.end {
            return self.inner.run(core, port, until);
        }
        if core.position < stretch.start {
            let exit = self.inner.run(core, port, until.min(stretch.start));
            if exit != Exit::Until || core.position >= until {
                return exit;
            }
        }
        while core.position < until.min(stretch.end) {
            let before = Before { position: core.position, hart: core.hart.clone() };
            let exit = self.inner.run(core, port, core.position + 1);
            if core.position > before.position {
                self.observer.step(self.core, &before, core);
            }
            match exit {
                Exit::Until if !port.attention() => {}
                Exit::Until => return Exit::Attention,
                other => return other,
            }
        }
        if core.position >= until { Exit::Until } else { self.inner.run(core, port, until) }
    }
}
