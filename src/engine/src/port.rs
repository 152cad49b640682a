//! The engine as one core's executor, and the devices that it reaches, see it.

use crate::bus::{Bus, BusContext, Stop};
use crate::{Boundary, Outcome, Outside};
use cantus_interp::{Blocked, Core, Extent, Port, Refusal};
use cantus_isa::{Gpa, Width, address::PAGE_SIZE};
use cantus_memory::{LINE_SIZE, Ram, Right};
use cantus_traces::{CoreId, DeviceId, Position};
use std::sync::atomic::{Ordering::SeqCst, fence};

/// One core's window on the world, while it runs.
pub(crate) struct Window<'a, B: Boundary> {
    pub(crate) id: CoreId,
    pub(crate) boundary: &'a B,
    pub(crate) lane: &'a mut B::Lane,
    pub(crate) bus: &'a dyn Bus,
    pub(crate) outside: &'a Outside,
    pub(crate) ram: &'a Ram,
    /// Steps of this core that the clock has counted.
    pub(crate) counted: &'a mut u64,
    /// Set when a device has written to guest memory in this core's name.
    pub(crate) memory_written: bool,
}

impl<B: Boundary> Window<'_, B> {
    /// Tells the clock how far this core has come.
    pub(crate) fn count(&mut self, position: u64) {
        self.outside.clock.advance(position - *self.counted);
        *self.counted = position;
    }

    /// A device receives bytes from outside in the name of this core. That is a step: others that come to the device
    /// afterwards come after it (ORD-8). It may be blocked like any other step, and has then not happened.
    pub(crate) fn input(&mut self, core: &mut Core, device: DeviceId, bytes: &[u8]) -> Result<(), Blocked> {
        let bus = self.bus;
        let position = core.position;
        let mut access =
            Access { window: self, position, receives: true, committed: false, has_announced: false };
        bus.input(device, bytes, &mut access)?;
        if std::mem::take(&mut self.memory_written) && core.tlb.may_code_differ(&core.ram) {
            core.code_epoch += 1;
        }
        core.position += 1;
        core.hart.not_retired();
        self.boundary.completed(self.lane, core.position);
        Ok(())
    }

    fn ask(&mut self, position: u64, address: Gpa, right: Right) -> Result<Extent, Blocked> {
        let page = self.ram.page(address).expect("ORD-1: grants are asked for RAM only");
        let line = (address.offset() / LINE_SIZE) as u8;
        self.boundary.grant(self.lane, position, page, line, right)
    }
}

impl<B: Boundary> Port for Window<'_, B> {
    const HOST_ATOMICS: bool = B::HOST_ATOMICS;

    fn grant(&mut self, position: u64, address: Gpa, right: Right) -> Result<Extent, Blocked> {
        self.ask(position, address, right)
    }

    fn device_load(&mut self, position: u64, address: Gpa, width: Width) -> Result<u64, Refusal> {
        self.bus.load(address, width, &mut Access::to_device(self, position))
    }

    fn device_store(&mut self, position: u64, address: Gpa, width: Width, value: u64) -> Result<(), Refusal> {
        self.bus.store(address, width, value, &mut Access::to_device(self, position))
    }

    fn clock(&mut self, position: u64) -> u64 {
        self.count(position);
        let outside = self.outside;
        self.boundary.clock(self.lane, position, &mut || outside.clock.now())
    }

    fn set_timer(&mut self, _position: u64, ticks: u64) {
        self.outside.set_supervisor_deadline(self.id, ticks);
    }

    fn conditional(&mut self, position: u64, intact: bool) -> bool {
        self.boundary.conditional(self.lane, position, intact)
    }

    fn conditionals_hold(&self) -> bool {
        self.boundary.conditionals_hold(self.lane)
    }

    #[inline(always)]
    fn attention(&self) -> bool {
        self.outside.safepoints.is_raised(self.id)
    }

    #[inline(always)]
    fn completed(&self, position: u64) {
        self.boundary.completed(self.lane, position);
    }
}

/// One access of a core to a device, or an input that the core receives for one.
struct Access<'w, 'a, B: Boundary> {
    window: &'w mut Window<'a, B>,
    position: u64,
    /// Whether it is an input. Its questions would stand before it in the record, and a replay would put them to the next
    /// instruction.
    receives: bool,
    /// Something has happened that cannot be taken back.
    committed: bool,
    /// A line has been changed, and another core may have seen it.
    has_announced: bool,
}

impl<'w, 'a, B: Boundary> Access<'w, 'a, B> {
    fn to_device(window: &'w mut Window<'a, B>, position: u64) -> Self {
        Self { window, position, receives: false, committed: false, has_announced: false }
    }

    /// The step changes something of a core's lines: from now on that core may come after it.
    fn announces(&mut self) -> (CoreId, Position) {
        self.committed = true;
        self.has_announced = true;
        (self.window.id, Position(self.position + 1))
    }

    /// Gets the grants for all of a range of RAM, or none that matters.
    fn grants(&mut self, address: Gpa, length: u64, right: Right) -> Result<(), Refusal> {
        if length == 0 {
            return Ok(());
        }
        if !self.window.ram.is_plain(address, length) {
            return Err(Refusal::Fault);
        }
        let last = address.0 + (length - 1);
        let mut line = address.0 & !(LINE_SIZE - 1);
        while line <= last {
            match self.window.ask(self.position, Gpa(line), right) {
                Ok(Extent::Line) => line += LINE_SIZE,
                Ok(Extent::Page) => line = (line & !(PAGE_SIZE - 1)) + PAGE_SIZE,
                Err(Blocked) => {
                    assert!(
                        !self.committed,
                        "ORD-4: a device reserves all that it needs before it does anything"
                    );
                    return Err(Refusal::Blocked);
                }
            }
        }
        Ok(())
    }
}

impl<B: Boundary> BusContext for Access<'_, '_, B> {
    fn here(&self) -> (CoreId, Position) {
        assert!(
            !self.has_announced,
            "ORD-8: what a step comes after is known before a core can come after it"
        );
        (self.window.id, Position(self.position))
    }

    fn order_after(&mut self, core: CoreId, position: Position) {
        if core != self.window.id {
            self.window.boundary.ordered(self.window.lane, self.position, core, position);
        }
    }

    fn clock(&mut self) -> u64 {
        assert!(!self.receives, "STATE-3: a device asks in a step that accesses it");
        self.window.clock(self.position)
    }

    fn set_clock(&mut self, ticks: u64) {
        self.window.outside.set_clock(ticks);
    }

    fn set_line(&mut self, core: CoreId, line: u32, level: bool) {
        let by = self.announces();
        if B::LIVE {
            self.window.outside.set_line(core, line, level, by);
        }
    }

    fn set_deadline(&mut self, core: CoreId, ticks: u64) {
        let by = self.announces();
        self.window.outside.set_deadline(core, ticks, by, B::LIVE);
    }

    fn set_alarm(&mut self, device: DeviceId, ticks: u64) {
        if B::LIVE {
            self.window.outside.set_alarm(device, ticks);
        }
    }

    fn is_memory_shared(&self) -> bool {
        B::HOST_ATOMICS
    }

    fn output(&mut self, bytes: &[u8]) {
        self.committed = true;
        self.window.outside.output(bytes);
    }

    fn stop(&mut self, stop: Stop) {
        let outcome = match stop {
            Stop::Exit(status) => Outcome::Exit(status),
            Stop::Reset => Outcome::Reset,
        };
        if B::LIVE {
            self.window.outside.stop(outcome);
        } else {
            self.window.outside.note_guest_end();
        }
    }

    fn read_memory(&mut self, address: Gpa, into: &mut [u8]) -> Result<(), Refusal> {
        self.grants(address, into.len() as u64, Right::Read)?;
        if !into.is_empty() {
            // Running free, a ring's index and what it announces are read while another core writes them, in this order.
            fence(SeqCst);
            self.window.ram.read(address, into);
        }
        Ok(())
    }

    fn write_memory(&mut self, address: Gpa, from: &[u8]) -> Result<(), Refusal> {
        self.grants(address, from.len() as u64, Right::Write)?;
        if !from.is_empty() {
            fence(SeqCst);
            self.window.ram.write(address, from);
            self.window.memory_written = true;
            self.committed = true;
        }
        Ok(())
    }

    fn reserve_memory(&mut self, address: Gpa, length: u64) -> Result<(), Refusal> {
        self.grants(address, length, Right::Write)
    }

    fn reserve_memory_read(&mut self, address: Gpa, length: u64) -> Result<(), Refusal> {
        self.grants(address, length, Right::Read)
    }

    fn ask_host(&mut self, device: DeviceId, question: &[u8]) -> Vec<u8> {
        assert!(!self.receives, "STATE-3: a device asks in a step that accesses it");
        self.committed = true;
        let outside = self.window.outside;
        let mut live = || outside.ask_host(device, question);
        let answer = self.window.boundary.answer(self.window.lane, self.position, device, &mut live);
        if !B::LIVE {
            outside.overheard(device, question, &answer);
        }
        answer
    }

    fn tell_host(&mut self, device: DeviceId, message: &[u8]) {
        self.committed = true;
        if B::LIVE {
            self.window.outside.tell_host(device, message);
        }
    }

    fn warn(&mut self, device: DeviceId, what: &str) {
        self.committed = true;
        self.window.outside.warn(device, what);
    }
}
