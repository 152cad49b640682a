//! What the engine is to the devices, and the devices to the engine.

use cantus_interp::{Blocked, Refusal};
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

    /// Bytes from outside, received in the name of the context's core. Where the device needs guest memory that cannot be
    /// had at once, nothing has happened, and the bytes come again later.
    fn input(&self, device: DeviceId, bytes: &[u8], context: &mut dyn BusContext) -> Result<(), Blocked>;
}

/// The engine's side of one access.
///
/// A step may need guest memory in many places, and each may say [`Refusal::Blocked`]; the step then starts over. So a
/// device first reads and reserves all that it needs, and only then changes anything, writes, asks the host or tells it
/// something. From its first write, question or message on, nothing in the step may be blocked any more, and nothing is:
/// what was read or reserved stays granted to the end of the step (ORD-4).
pub trait BusContext {
    /// Whose step it is, and how many steps that core has completed before.
    fn here(&self) -> (CoreId, Position);

    /// This step comes after `core` has completed `position` steps.
    fn order_after(&mut self, core: CoreId, position: Position);

    /// The clock, in ticks of the time base.
    fn clock(&mut self) -> u64;

    /// Sets the clock, in ticks of the time base.
    fn set_clock(&mut self, ticks: u64);

    /// Sets an interrupt line of a core (a bit as in `mip`). That core may see it at once, and then comes after this step:
    /// so no other device is accessed in the step any more.
    fn set_line(&mut self, core: CoreId, line: u32, level: bool);

    /// The machine timer interrupt of `core` is pending while the clock is at or past `ticks`.
    fn set_deadline(&mut self, core: CoreId, ticks: u64);

    /// The device receives an input of the clock (eight bytes, little-endian, in ticks) once that is at or past `ticks`,
    /// and not when it was to receive one before. All ones is never.
    fn set_alarm(&mut self, device: DeviceId, ticks: u64);

    /// Bytes for the console.
    fn output(&mut self, bytes: &[u8]);

    /// The guest ends the run.
    fn stop(&mut self, stop: Stop);

    /// Reads guest RAM in the name of this step.
    fn read_memory(&mut self, address: Gpa, into: &mut [u8]) -> Result<(), Refusal>;

    /// Writes guest RAM in the name of this step: all of it, or nothing.
    fn write_memory(&mut self, address: Gpa, from: &[u8]) -> Result<(), Refusal>;

    /// Gets what [`BusContext::write_memory`] needs for this range, and writes nothing. Later writes to it in this step
    /// are not refused.
    fn reserve_memory(&mut self, address: Gpa, length: u64) -> Result<(), Refusal>;

    /// The same for [`BusContext::read_memory`].
    fn reserve_memory_read(&mut self, address: Gpa, length: u64) -> Result<(), Refusal>;

    /// Whether other cores may write guest RAM in the middle of this step. Then nothing is refused.
    fn is_memory_shared(&self) -> bool;

    /// Asks the host, in the name of this step. A logged input, of at most [`INPUT_BYTES_MAX`] bytes (what is longer is
    /// cut). Not to be asked while a device receives an input.
    ///
    /// [`INPUT_BYTES_MAX`]: cantus_traces::limits::INPUT_BYTES_MAX
    fn ask_host(&mut self, device: DeviceId, question: &[u8]) -> Vec<u8>;

    /// Tells the host something. A replay's host hears nothing.
    fn tell_host(&mut self, device: DeviceId, message: &[u8]);

    /// Tells the user what went wrong in a device, in a replay as in the recorded run. No guest sees it.
    fn warn(&mut self, device: DeviceId, what: &str);
}
