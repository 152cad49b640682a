//! State: digests are computed where the recorder computed them.

use crate::{Cause, Lane, Replayer};
use cantus_engine::digest_state;
use cantus_interp::Core;
use cantus_traces::Digest;
use std::sync::atomic::Ordering::Relaxed;

impl Replayer {
    /// Compares a recorded digest with the core here.
    pub(crate) fn check_digest(&self, lane: &mut Lane, core: &Core, recorded: (Digest, Digest)) {
        let state = digest_state(core, &mut lane.scratch);
        let history = lane.history.digest();
        if (state, history) == recorded {
            if lane.divergence.is_none() {
                lane.agreed = core.position;
            }
            return;
        }
        lane.is_altered |= history != recorded.1;
        let cause = if history != recorded.1 {
            Cause::History { expected: recorded.1, came: history }
        } else {
            Cause::State { expected: recorded.0, came: state }
        };
        self.diverge(lane, core, cause);
    }

    /// Compares memory at a cut with what the trace says of it.
    pub(crate) fn check_cut(&self, cores: &mut [(&mut Core, &mut Lane)]) {
        let Some((_, lane)) = cores.first() else { return };
        let whole = cores.len() == self.published.len() && cores.iter().all(|(_, each)| each.cut == lane.cut);
        let Some(number) = lane.cut.filter(|_| whole) else { return };
        let recorded = self.recorded_cuts.iter().find(|recorded| recorded.cut == number);
        if recorded.is_some_and(|recorded| recorded.memory != (self.memory)()) {
            self.diverged.store(true, Relaxed);
            self.differing_cuts.lock().push(number);
        }
        self.check_checkpoint(cores, number);
    }

    /// The cuts at which memory was not what it was when the trace was recorded.
    pub fn differing_cuts(&self) -> Vec<u32> {
        self.differing_cuts.lock().clone()
    }
}
