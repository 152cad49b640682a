//! Inputs: what the outside said is read from the trace.

use crate::{Cause, Lane, Replayer};
use cantus_traces::{DeviceId, Event};

impl Lane {
    /// A store-conditional fails where the trace says so.
    pub(crate) fn recorded_conditional(&mut self, position: u64) -> bool {
        match &self.next {
            Some((at, Event::ConditionalFailed)) if at.0 == position => {
                self.consume();
                false
            }
            _ => true,
        }
    }

    /// Whether the next event is no failure of a store-conditional.
    pub(crate) fn conditionals_hold(&self) -> bool {
        !matches!(self.next, Some((_, Event::ConditionalFailed)))
    }
}

impl Replayer {
    /// The clock says what it said. Where the trace has no reading, the run has left it.
    pub(crate) fn recorded_clock(&self, lane: &mut Lane, position: u64) -> u64 {
        if let Some((at, Event::Clock(ticks))) = &lane.next
            && at.0 == position
        {
            let ticks = *ticks;
            lane.consume();
            return ticks;
        }
        self.diverge_at(lane, position, Cause::NotRecorded { question: "the clock" });
        0
    }

    /// The host answers what it answered. Where the trace has no answer to this device, the run has left it.
    pub(crate) fn recorded_answer(&self, lane: &mut Lane, position: u64, device: DeviceId) -> Vec<u8> {
        if let Some((at, Event::Answer { device: asked, .. })) = &lane.next
            && at.0 == position
            && *asked == device
            && let Some((_, Event::Answer { bytes, .. })) = lane.consume()
        {
            return bytes;
        }
        self.diverge_at(lane, position, Cause::NotRecorded { question: "an answer of the host" });
        Vec::new()
    }
}
