//! The check: what becomes of a difference between run and trace.
//!
//! A core that diverges goes on as far as its events carry it, and so do the others: only then can be told which core
//! was the first to leave the trace, and which were led astray by it.

use crate::{Cause, Divergence, Lane, Replayer, Report};
use cantus_interp::Core;
use cantus_traces::Position;
use std::sync::atomic::Ordering::Relaxed;

impl Replayer {
    /// Notes the first divergence of a core.
    pub(crate) fn diverge(&self, lane: &mut Lane, core: &Core, cause: Cause) {
        self.diverged.store(true, Relaxed);
        lane.divergence.get_or_insert(Divergence {
            core: lane.id,
            position: Position(core.position),
            pc: Some(core.hart.pc),
            agreed: Position(lane.agreed),
            cause,
        });
    }

    /// Notes a divergence in the middle of a step, where the core is not at hand.
    pub(crate) fn diverge_at(&self, lane: &mut Lane, position: u64, cause: Cause) {
        self.diverged.store(true, Relaxed);
        lane.divergence.get_or_insert(Divergence {
            core: lane.id,
            position: Position(position),
            pc: None,
            agreed: Position(lane.agreed),
            cause,
        });
    }
}

/// The divergence that explains the others: one of the events themselves, else the one with the smallest stretch behind
/// it that nobody vouches for.
pub fn first_divergence(reports: &[Report]) -> Option<&Divergence> {
    let rank = |divergence: &&Divergence| {
        let of_events = matches!(divergence.cause, Cause::History { .. });
        (!of_events, divergence.position, divergence.core)
    };
    reports.iter().filter_map(|report| report.divergence.as_ref()).min_by_key(rank)
}
