//! What a device is to the board, and the board to a device.

use crate::{StateError, StateReader};
use cantus_isa::{Gpa, Width};

/// Bytes of a page of a device's state.
pub const PAGE_BYTES: usize = 4096;

/// Why an access was not done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// The device needs guest memory that cannot be had at once. It has done nothing, and the access is made again
    /// later, from the start.
    Blocked,
    /// Nothing answers at this offset, or not to this width: an access fault. The device has done nothing.
    Fault,
}

/// Guest memory that an input needs cannot be had at once. Nothing has happened, and the input comes again later.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Blocked;

/// How the guest ended the run.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Outcome {
    /// It reported success.
    Passed,
    /// It reported a failure with this code.
    Failed(u64),
    /// It asked for a reset of the machine.
    Reset,
}

impl Outcome {
    /// The outcome of a program that ends with an exit code: 0 is success.
    pub fn of_exit_code(code: u64) -> Self {
        if code == 0 { Outcome::Passed } else { Outcome::Failed(code) }
    }
}

/// What a device may ask of the world outside of it, during an access or an input. All of it is done in the name of
/// the accessing core; whatever is not a function of the guest's state is logged by whoever answers.
pub trait Outside {
    /// The clock, in ticks of the time base. A logged input; a device asks at most once in an access.
    fn clock(&mut self) -> u64;

    /// From here on the clock counts from `ticks`: for [`Outside::clock`], for the `time` CSR of every core, and for
    /// the deadlines. A device keeps no offset of its own, so what [`Outside::clock`] answers (and the record holds)
    /// is always what the guest sees, and replay, where all answers come from the record, has nothing to do here.
    fn set_clock(&mut self, ticks: u64);

    /// The device gets an input of the clock (eight bytes, little-endian, in ticks) once that is at or past `ticks`, in
    /// place of what it was to get before; never where `ticks` is all ones.
    fn set_alarm(&mut self, ticks: u64);

    /// The timer interrupt (MTIP) of a core is pending from here on exactly while the clock is at or past `ticks`. It
    /// falls at once where the new deadline lies in the future.
    fn set_deadline(&mut self, core: usize, ticks: u64);

    /// An interrupt line of a core changes its level; `line` is one bit of [`crate::lines`].
    fn set_line(&mut self, core: usize, line: u32, level: bool);

    /// The interrupt source `source` of the platform interrupt controller changes its level.
    fn raise(&mut self, source: u32, level: bool);

    /// Bytes for the host's console.
    fn output(&mut self, bytes: &[u8]);

    /// The guest ends the run. The access still completes; the first outcome counts.
    fn stop(&mut self, outcome: Outcome);

    /// Reads guest RAM. [`Refusal::Fault`] where not all of it is RAM.
    fn memory_read(&mut self, address: Gpa, into: &mut [u8]) -> Result<(), Refusal>;

    /// Writes guest RAM: all of it, or nothing where it refuses.
    fn memory_write(&mut self, address: Gpa, from: &[u8]) -> Result<(), Refusal>;

    /// Gets all that [`Outside::memory_write`] needs for this range, and writes nothing. Once every read and reservation
    /// of a step has been granted, nothing in it is refused any more: a device may then change, write, ask and tell.
    fn memory_reserve(&mut self, address: Gpa, length: u64) -> Result<(), Refusal>;

    /// The same for [`Outside::memory_read`], without reading.
    fn memory_reserve_read(&mut self, address: Gpa, length: u64) -> Result<(), Refusal>;

    /// Whether other cores may write guest RAM in the middle of this step. Then nothing is refused.
    fn is_memory_shared(&self) -> bool {
        false
    }

    /// Asks the host, and waits for its answer: a logged input. A device asks only when its step can no longer be
    /// refused, and never while it receives an input. The answer is not to be trusted.
    fn ask_host(&mut self, question: &[u8]) -> Vec<u8>;

    /// Tells the host something, which a replay's host does not hear. Only when the step can no longer be refused.
    fn tell_host(&mut self, message: &[u8]);

    /// Tells the user, in a line without an end, what went wrong that otherwise only the guest is told. A replay tells the
    /// same. Only when the step can no longer be refused.
    fn warn(&mut self, what: &str);
}

/// A device with registers in the physical address space.
///
/// Offsets count from the start of the device's range, and the board has checked that the access lies in the range and
/// is naturally aligned (HTIF, whose registers are guest memory to the program, takes unaligned ones, too). Every
/// offset, width and value has a defined answer. All accesses to guest memory that can be refused come before the first
/// change of the device's own state, because a refused access is made again.
pub trait Device: Send {
    /// What the device is called, in messages and in the machine's state.
    fn name(&self) -> &'static str;

    /// The core reads a register. Zero-extended.
    fn load(&mut self, offset: u64, width: Width, outside: &mut dyn Outside) -> Result<u64, Refusal>;

    /// The core writes a register, with the low `width` bytes of `value`.
    fn store(
        &mut self,
        offset: u64,
        width: Width,
        value: u64,
        outside: &mut dyn Outside,
    ) -> Result<(), Refusal>;

    /// Bytes arrive from outside. Any number is taken; a device that has no use for them drops them. A device that needs
    /// guest memory for them may be blocked, as in an access; nothing else is a reason to refuse.
    fn input(&mut self, bytes: &[u8], outside: &mut dyn Outside) -> Result<(), Blocked> {
        let _ = (bytes, outside);
        Ok(())
    }

    /// Something about the device changes from outside that is not bytes for the guest, such as the size of a console's
    /// window; each device says what it understands. Anything else is dropped.
    fn control(&mut self, bytes: &[u8], outside: &mut dyn Outside) {
        let _ = (bytes, outside);
    }

    /// How many bytes of input may be given now so that the device keeps no more waiting than it wants to.
    fn input_room(&self) -> usize {
        0
    }

    /// What a drive holds that its image does not: where, in bytes from its start, and what. Any other device has nothing.
    fn changes(&self, each: &mut dyn FnMut(u64, &[u8])) {
        let _ = each;
    }

    /// Appends the device's state: all of what later answers depend on, and nothing else.
    fn write_state(&self, into: &mut Vec<u8>);

    /// A device with much state keeps it by pages, beside what [`Device::write_state`] writes: which of these were written
    /// since this was asked last, each once, ascending.
    fn take_written_pages(&mut self) -> Vec<u64> {
        Vec::new()
    }

    /// What such a page holds. Zeroes where the device has no such page.
    fn load_page(&self, number: u64, into: &mut [u8; PAGE_BYTES]) {
        let _ = number;
        into.fill(0);
    }

    /// Takes over such a page, after [`Device::read_state`], which leaves none; it does not count as written.
    fn store_page(&mut self, number: u64, from: &[u8; PAGE_BYTES]) -> Result<(), StateError> {
        let _ = from;
        Err(StateError::Page { device: self.name(), number })
    }

    /// Takes over a state that [`Device::write_state`] wrote for a device of the same configuration. After an error the
    /// device's state is undefined, but safe.
    fn read_state(&mut self, from: &mut StateReader<'_>) -> Result<(), StateError>;
}
