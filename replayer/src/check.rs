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

/// How likely a divergence is the first one, rather than what another one led to; less is likelier.
fn remoteness(cause: &Cause) -> u8 {
    match cause {
        // Nobody else has a hand in which events a core consumes.
        Cause::History { .. } => 0,
        Cause::State { .. } | Cause::NotRecorded { .. } | Cause::NotAsked { .. } | Cause::End { .. } => 1,
        // Some other core has not done what it should have.
        Cause::NeverCame { .. } | Cause::Stuck | Cause::Memory { .. } => 2,
    }
}

/// The divergence that explains the others: of those that are not what another core led to, the one that was noticed
/// at the smallest position.
pub fn first_divergence(reports: &[Report]) -> Option<&Divergence> {
    let rank =
        |divergence: &&Divergence| (remoteness(&divergence.cause), divergence.position, divergence.core);
    reports.iter().filter_map(|report| report.divergence.as_ref()).min_by_key(rank)
}
