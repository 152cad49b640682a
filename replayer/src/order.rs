//! Order: a core waits at an edge until the other core has published that it is far enough.

use crate::{Cause, Lane, Replayer};
use cantus_engine::Next;
use cantus_interp::Core;
use cantus_traces::CoreId;
use std::sync::atomic::Ordering::{Acquire, Release};

impl Replayer {
    /// The core has completed this many steps.
    #[inline(always)]
    pub(crate) fn publish(&self, lane: &Lane, position: u64) {
        self.published[lane.id.index()].store(position, Release);
    }

    fn has_completed(&self, core: CoreId, steps: u64) -> bool {
        self.published.get(core.index()).is_some_and(|published| published.load(Acquire) >= steps)
    }

    /// Whether what the core waits for has happened, or never will.
    pub(crate) fn is_satisfied(&self, lane: &Lane) -> bool {
        lane.waits_for.is_none_or(|(core, steps)| self.has_completed(core, steps) || self.is_over(core))
    }

    fn is_over(&self, core: CoreId) -> bool {
        self.over.get(core.index()).is_none_or(|over| over.load(Acquire))
    }

    /// The core's part is over.
    pub(crate) fn end(&self, lane: &Lane, core: &Core) -> Next {
        self.publish(lane, core.position);
        self.over[lane.id.index()].store(true, Release);
        Next::End
    }

    /// The core's next event is this edge: consumes it if it is satisfied; otherwise says how to wait.
    pub(crate) fn await_order(
        &self,
        lane: &mut Lane,
        core: &mut Core,
        after: CoreId,
        completed: u64,
    ) -> Option<Next> {
        let over = self.is_over(after);
        if self.has_completed(after, completed) {
            lane.waits_for = None;
            lane.consume();
            // The giver may have changed code that this core has decoded (MMU-3).
            if core.tlb.may_code_differ(&core.ram) {
                core.code_epoch += 1;
            }
            return None;
        }
        if over {
            // A trace that was cut short ends here for this core, too.
            if lane.is_whole {
                self.diverge(lane, core, Cause::NeverCame { core: after, steps: completed });
            }
            return Some(self.end(lane, core));
        }
        lane.waits_for = Some((after, completed));
        Some(Next::Wait)
    }
}
