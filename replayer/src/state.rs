//! State: digests are computed where the recorder computed them.

use crate::{Cause, Lane, Replayer};
use cantus_engine::digest_state;
use cantus_interp::Core;
use cantus_traces::Digest;

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
        let cause = if history != recorded.1 {
            Cause::History { expected: recorded.1, came: history }
        } else {
            Cause::State { expected: recorded.0, came: state }
        };
        self.diverge(lane, core, cause);
    }
}
