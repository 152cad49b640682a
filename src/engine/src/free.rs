//! The boundary of a free run: the outside is live, and nothing is noted.

use crate::boundary::{Boundary, Next};
use cantus_interp::{Blocked, Core, Extent};
use cantus_memory::{PageIndex, Right};
use cantus_traces::{CoreId, DeviceId, Position};

/// Runs free: memory is the host's, with the host's atomics.
pub struct Free;

impl Boundary for Free {
    type Lane = ();
    const LIVE: bool = true;
    const HOST_ATOMICS: bool = true;

    fn next(&self, _: &mut (), core: &mut Core) -> Next {
        core.tlb.heed_watches(&core.ram);
        Next::Run { until: u64::MAX }
    }

    fn grant(&self, _: &mut (), _: u64, _: PageIndex, _: u8, _: Right) -> Result<Extent, Blocked> {
        Ok(Extent::Page)
    }

    fn safepoint(&self, _: &mut (), _: &mut Core) {}

    fn park(&self, _: &mut (), core: &Core) {
        core.ram.parked(core.id);
    }

    fn unpark(&self, _: &mut (), core: &mut Core) {
        core.tlb.begin_watch(&core.ram, core.id);
    }

    fn ready(&self, _: &()) -> bool {
        true
    }

    fn completed(&self, _: &(), _: u64) {}

    fn ordered(&self, _: &mut (), _: u64, _: CoreId, _: Position) {}

    fn lines(&self, _: &mut (), _: u64, _: u32, live: u32) -> u32 {
        live
    }

    fn clock(&self, _: &mut (), _: u64, live: &mut dyn FnMut() -> u64) -> u64 {
        live()
    }

    fn conditional(&self, _: &mut (), _: u64, intact: bool) -> bool {
        intact
    }

    fn conditionals_hold(&self, (): &()) -> bool {
        true
    }

    fn input(&self, _: &mut (), _: u64, _: DeviceId, _: &[u8]) {}

    fn answer(&self, _: &mut (), _: u64, _: DeviceId, live: &mut dyn FnMut() -> Vec<u8>) -> Vec<u8> {
        live()
    }

    fn cut(&self, _: &mut [(&mut Core, &mut ())]) {}

    fn failed(&self, _: &()) -> bool {
        false
    }
}
