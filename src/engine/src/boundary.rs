//! The boundary: an oracle for order and inputs.
//!
//! Whatever a run depends on and does not follow from the guest's own state is asked here, in the name of a core at a
//! position. [`crate::Free`] answers from the live outside and notes nothing; a recorder notes; a replayer answers from a
//! trace. The engine is generic over it, so that a free run pays nothing for the others.

use cantus_interp::{Blocked, Core, Extent};
use cantus_memory::{PageIndex, Right};
use cantus_traces::{CoreId, DeviceId, Digest, Position};

/// What a core is to do before its next step.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Next {
    /// Run, at most until this position; then ask again.
    Run {
        /// A position, greater than the core's.
        until: u64,
    },
    /// Wait until [`Boundary::ready`], then ask again.
    Wait,
    /// These bytes reach a device from outside, in the name of this core; then ask again.
    Input {
        /// The device.
        device: DeviceId,
        /// What reaches it.
        bytes: Vec<u8>,
    },
    /// Wait until every core whose part is not over has come to the cut, and [`Boundary::cut`] was told.
    Cut,
    /// This core's part is over.
    End,
}

/// Who comes next on a granule, and what does the outside say? Every question comes from the worker that runs the core,
/// with the core's own lane.
pub trait Boundary: Sync {
    /// What the boundary keeps for each core.
    type Lane: Send;

    /// Whether the outside is live: interrupt lines, devices' inputs, sleeping and stopping happen as they come. Where it
    /// is not, they happen as [`Boundary::next`] says.
    const LIVE: bool;

    /// See [`cantus_interp::Port::HOST_ATOMICS`].
    const HOST_ATOMICS: bool;

    /// What comes before the core's next step. May change the core's interrupt lines.
    fn next(&self, lane: &mut Self::Lane, core: &mut Core) -> Next;

    /// Asks for a right on the granule that holds this line of the page, for the step at `position`.
    fn grant(
        &self,
        lane: &mut Self::Lane,
        position: u64,
        page: PageIndex,
        line: u8,
        right: Right,
    ) -> Result<Extent, Blocked>;

    /// The core is at a safepoint that somebody asked for.
    fn safepoint(&self, lane: &mut Self::Lane, core: &mut Core);

    /// The core stops running: it leaves its worker, or waits.
    fn park(&self, lane: &mut Self::Lane, core: &Core);

    /// The core is about to run.
    fn unpark(&self, lane: &mut Self::Lane, core: &mut Core);

    /// Whether a core that was blocked, or told to wait, may try again.
    fn ready(&self, lane: &Self::Lane) -> bool;

    /// Whether cores need grants, which they may lose time over.
    const HAS_GRANTS: bool = false;

    /// Which running core had last what this core then had to wait for, since this was last asked.
    fn kept_waiting_by(&self, lane: &mut Self::Lane) -> Option<CoreId> {
        let _ = lane;
        None
    }

    /// A core that waits, waits for this core to have completed so many steps, if that is all that it waits for.
    fn awaits(&self, lane: &Self::Lane) -> Option<(CoreId, u64)> {
        let _ = lane;
        None
    }

    /// How many steps a core has before it, where that is known beforehand. Asked before the run.
    fn steps_ahead(&self, lane: &Self::Lane) -> Option<u64> {
        let _ = lane;
        None
    }

    /// The core has completed this many steps, and everything that they did to memory is done.
    fn completed(&self, lane: &Self::Lane, position: u64);

    /// The step at `position` comes after `after` has completed `completed` steps.
    fn ordered(&self, lane: &mut Self::Lane, position: u64, after: CoreId, completed: Position);

    /// The lines outside are `live`, the core sees `seen`: what does it see from `position` on? Asked when live only.
    fn lines(&self, lane: &mut Self::Lane, position: u64, seen: u32, live: u32) -> u32;

    /// What the clock says to the step at `position`; `live` reads the outside's.
    fn clock(&self, lane: &mut Self::Lane, position: u64, live: &mut dyn FnMut() -> u64) -> u64;

    /// Whether the store-conditional at `position` succeeds. See [`cantus_interp::Port::conditional`].
    fn conditional(&self, lane: &mut Self::Lane, position: u64, intact: bool) -> bool;

    /// Whether those whose reservation is intact succeed. See [`cantus_interp::Port::conditionals_hold`].
    fn conditionals_hold(&self, lane: &Self::Lane) -> bool;

    /// These bytes reach a device before the step at `position`. Asked when live only.
    fn input(&self, lane: &mut Self::Lane, position: u64, device: DeviceId, bytes: &[u8]);

    /// What the host answers to the question that `device` asks in the step at `position`; `live` asks it.
    fn answer(
        &self,
        lane: &mut Self::Lane,
        position: u64,
        device: DeviceId,
        live: &mut dyn FnMut() -> Vec<u8>,
    ) -> Vec<u8>;

    /// A consistent cut: all these cores have come to it, and nothing runs.
    fn cut(&self, cores: &mut [(&mut Core, &mut Self::Lane)]);

    /// Whether the run cannot be continued. Asked at every turn of a core.
    fn failed(&self, lane: &Self::Lane) -> bool;
}

/// The digest of a core's architectural state (CHK-1).
pub fn digest_state(core: &Core, scratch: &mut Vec<u8>) -> Digest {
    scratch.clear();
    scratch.extend_from_slice(&core.position.to_le_bytes());
    core.hart.write_state(scratch);
    Digest::of(scratch)
}
