//! Checkpoints: where a replay begins, and what it must come to where the trace has another.

use crate::{Cause, Lane, Replayer};
use cantus_engine::{CoreStateError, read_core, write_core};
use cantus_interp::Core;
use cantus_memory::Ram;
use cantus_traces::{ContentDigest, CoreId, Digest, History};
use std::sync::Arc;

/// Gives the states of all cores that the trace has a checkpoint of at this cut, if it has one.
pub type Checkpoints = Box<dyn Fn(u32) -> Option<Vec<Vec<u8>>> + Send + Sync>;

/// A core, and its history, from its state in a checkpoint.
///
/// # Errors
/// Where no recorder could have written it for this core.
pub fn restore(id: CoreId, ram: &Arc<Ram>, state: &[u8]) -> Result<(Core, History), CoreStateError> {
    let (link, rest) = state.split_first_chunk().ok_or(CoreStateError::Short)?;
    Ok((read_core(id, ram, rest)?, History::resume(ContentDigest(*link))))
}

fn state(core: &Core, lane: &Lane) -> Vec<u8> {
    let mut state = lane.history.link().0.to_vec();
    write_core(core, &mut state);
    state
}

impl Replayer {
    /// All cores stand at this cut: compares them with the checkpoint there, if there is one.
    pub(crate) fn check_checkpoint(&self, cores: &mut [(&mut Core, &mut Lane)], cut: u32) {
        let Some(states) = (self.checkpoints)(cut) else { return };
        for ((core, lane), recorded) in cores.iter_mut().zip(&states) {
            let came = state(core, lane);
            if came != *recorded {
                let (expected, came) = (Digest::of(recorded), Digest::of(&came));
                self.diverge(lane, core, Cause::Checkpoint { cut, expected, came });
            }
        }
    }
}
