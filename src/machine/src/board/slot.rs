//! A device behind its lock, with its place in the order of the cores (ORD-8).

use super::{Board, Outside};
use cantus_devices::Refusal;
use cantus_engine::BusContext;
use cantus_traces::{CoreId, DeviceId, Position};
use parking_lot::Mutex;

/// A device behind its lock.
pub(super) struct Slot<D> {
    id: DeviceId,
    ordered: Mutex<Ordered<D>>,
}

struct Ordered<D> {
    device: D,
    /// Who accessed it last, and how many steps that core has completed when the access is over.
    last: Option<(CoreId, Position)>,
}

impl<D> Slot<D> {
    pub(super) fn new(id: DeviceId, device: D) -> Self {
        Self { id, ordered: Mutex::new(Ordered { device, last: None }) }
    }

    /// One access, or one input, in the name of the context's core: a part of that core's step, which nothing can keep
    /// from being completed once the device has done its part. So whoever comes next comes after that step.
    pub(super) fn access<R>(
        &self,
        board: &Board,
        context: &mut dyn BusContext,
        access: impl FnOnce(&mut D, &mut Outside<'_>) -> Result<R, Refusal>,
    ) -> Result<R, Refusal> {
        let (core, position) = context.here();
        let mut ordered = self.ordered.lock();
        if let Some((last, completed)) = ordered.last
            && last != core
        {
            context.order_after(last, completed);
        }
        let answer = access(&mut ordered.device, &mut Outside { board, context, device: self.id });
        // A blocked access has not happened. One that faulted has: the device may have looked at its state to say so.
        if !matches!(answer, Err(Refusal::Blocked)) {
            ordered.last = Some((core, Position(position.0 + 1)));
        }
        answer
    }

    /// Looks at the device, in nobody's name: for what no guest can see.
    pub(super) fn look<R>(&self, look: impl FnOnce(&D) -> R) -> R {
        look(&self.ordered.lock().device)
    }

    /// Lets the device put away what no guest can see.
    pub(super) fn tidy<R>(&self, tidy: impl FnOnce(&mut D) -> R) -> R {
        tidy(&mut self.ordered.lock().device)
    }

    /// Puts the device into another state, in nobody's name. Nobody has accessed it since.
    pub(super) fn restore<R>(&self, restore: impl FnOnce(&mut D) -> R) -> R {
        let mut ordered = self.ordered.lock();
        ordered.last = None;
        restore(&mut ordered.device)
    }
}
