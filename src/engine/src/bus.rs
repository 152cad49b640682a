//! What the engine is to the devices, and the devices to the engine.

use cantus_interp::Refusal;
use cantus_isa::{Gpa, Width};
use cantus_traces::{CoreId, DeviceId, Position};

/// How a guest ends its run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stop {
    /// With this status; 0 is success.
    Exit(u32),
    /// By asking for a reset.
    Reset,
}

/// Everything at guest physical addresses that is not plain RAM.
///
/// A device is ordered like a granule (ORD-8): under its lock, the bus tells the context who accessed it last.
pub trait Bus: Send + Sync {
    /// A load by the context's core.
    fn load(&self, address: Gpa, width: Width, context: &mut dyn BusContext) -> Result<u64, Refusal>;

    /// A store by the context's core. When it is refused, nothing has happened.
    fn store(
        &self,
        address: Gpa,
        width: Width,
        value: u64,
        context: &mut dyn BusContext,
    ) -> Result<(), Refusal>;

    /// Bytes from outside, received in the name of the context's core.
    fn input(&self, device: DeviceId, bytes: &[u8], context: &mut dyn BusContext);
}

/// The engine's side of one access.
pub trait BusContext {
    /// Whose step it is, and how many steps that core has completed before.
    fn here(&self) -> (CoreId, Position);

    /// This step comes after `core` has completed `position` steps.
    fn order_after(&mut self, core: CoreId, position: Position);

    /// The clock, in ticks of the time base.
    fn clock(&mut self) -> u64;

    /// Sets the clock, in ticks of the time base.
    fn set_clock(&mut self, ticks: u64);

    /// Sets an interrupt line of a core (a bit as in `mip`).
    fn set_line(&mut self, core: CoreId, line: u32, level: bool);

    /// The machine timer interrupt of `core` is pending while the clock is at or past `ticks`.
    fn set_deadline(&mut self, core: CoreId, ticks: u64);

    /// Bytes for the console.
    fn output(&mut self, bytes: &[u8]);

    /// The guest ends the run.
    fn stop(&mut self, stop: Stop);

    /// Reads guest RAM in the name of this step.
    fn read_memory(&mut self, address: Gpa, into: &mut [u8]) -> Result<(), Refusal>;

    /// Writes guest RAM in the name of this step.
    fn write_memory(&mut self, address: Gpa, from: &[u8]) -> Result<(), Refusal>;
}
