//! State: digests at fixed positions (CHK-1), and chunks that do not wait for ever.

use crate::{Lane as CoreLane, Recorder};
use cantus_engine::digest_state;
use cantus_interp::Core;
use cantus_traces::{CoreEnd, Event, Position};

/// After so many steps a core's chunk is written even if it is not full, so that a recorder that is killed has lost
/// little.
const CHUNK_STEPS: u64 = 20_000_000;

/// What the recorder keeps of one core's state.
pub(crate) struct Lane {
    /// Where the next digest is due.
    digest_at: u64,
    /// Where the chunk is written at the latest.
    flush_at: u64,
    scratch: Vec<u8>,
}

impl Lane {
    pub(crate) fn new(digest_interval: u64) -> Self {
        let digest_at = if digest_interval == 0 { u64::MAX } else { digest_interval };
        Self { digest_at, flush_at: CHUNK_STEPS, scratch: Vec::new() }
    }
}

impl CoreLane {
    /// Closes the core's stream at the end of the run.
    pub fn close(mut self, core: &Core) -> CoreEnd {
        let position = Position(core.position);
        let state = digest_state(core, &mut self.state.scratch);
        let history = self.history.digest();
        self.stream.append(position, &Event::Digest { state, history });
        self.stream.close(position);
        CoreEnd { position, state }
    }
}

impl Recorder {
    /// Takes a digest if one is due; returns the position of the next one.
    pub(crate) fn digest_when_due(&self, lane: &mut CoreLane, core: &Core) -> u64 {
        assert!(core.position <= lane.state.digest_at, "CHK-1: a core has run past its digest");
        let position = Position(core.position);
        if core.position == lane.state.digest_at {
            let state = digest_state(core, &mut lane.state.scratch);
            let history = lane.history.digest();
            lane.stream.append(position, &Event::Digest { state, history });
            lane.state.digest_at += self.digest_interval;
        }
        if core.position >= lane.state.flush_at {
            lane.stream.flush(position);
            lane.state.flush_at = core.position + CHUNK_STEPS;
        }
        lane.state.digest_at
    }
}
