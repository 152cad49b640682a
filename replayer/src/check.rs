//! The check: what becomes of a difference between run and trace.
//!
//! A core that diverges goes on as far as its events carry it, and so do the others: only then can be told which core
//! was the first to leave the trace, and which were led astray by it.

use crate::{Cause, Divergence, Lane, Replayer, Report, Until};
use cantus_interp::Core;
use cantus_traces::{Event, Position};
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

    /// Whether some core has left the trace.
    pub fn has_diverged(&self) -> bool {
        self.diverged.load(Relaxed)
    }
}

impl Lane {
    /// Whether the core's events are not those that were recorded. Their digests tell without executing anything: what the
    /// core has not consumed is hashed here, up to the first digest that differs. A core that has noticed nothing diverges
    /// where it waits in vain, or at that digest.
    pub(crate) fn find_altered(&mut self, core: &Core) -> bool {
        while !self.is_altered {
            match &self.next {
                None => return false,
                Some((_, Event::Cut { number })) if self.until == Until::Cut(*number) => return false,
                Some((position, Event::Digest { history, .. })) => {
                    let (position, expected, came) = (*position, *history, self.history.digest());
                    if expected == came {
                        self.advance();
                        continue;
                    }
                    let (position, pc, cause) = match self.waits_for {
                        Some(_) => (Position(core.position), Some(core.hart.pc), Cause::Stuck),
                        None => (position, None, Cause::History { expected, came }),
                    };
                    let agreed = Position(self.agreed);
                    let divergence = Divergence { core: self.id, position, pc, agreed, cause };
                    self.divergence.get_or_insert(divergence);
                    self.is_altered = true;
                }
                Some(_) => {
                    self.consume();
                }
            }
        }
        true
    }
}

/// The divergence that explains the others: one of a core whose events were altered; else one that a core came to by
/// itself, rather than by waiting for another one; of these the one at the lowest position.
pub fn first_divergence(reports: &[Report]) -> Option<&Divergence> {
    let rank = |(report, divergence): &(&Report, &Divergence)| {
        let waited = match divergence.cause {
            Cause::NeverCame { .. } | Cause::Stuck => true,
            Cause::State { .. }
            | Cause::History { .. }
            | Cause::NotRecorded { .. }
            | Cause::NotAsked { .. }
            | Cause::Memory { .. }
            | Cause::Checkpoint { .. }
            | Cause::End { .. } => false,
        };
        (!report.is_altered, waited, divergence.position, divergence.core)
    };
    let diverged = reports.iter().filter_map(|report| Some((report, report.divergence.as_ref()?)));
    diverged.min_by_key(rank).map(|(_, divergence)| divergence)
}
