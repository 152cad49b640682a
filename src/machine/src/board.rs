//! The board: finds the device at an address, and orders the cores' accesses to it.
//!
//! Board invariants:
//! - Every access to a device happens under the device's lock, and names the device's last accessor to the context
//!   before the device does anything (ORD-8).
//! - The locks nest in one order only: UART, HTIF, clock or a virtio slot, then PLIC, then the host's side. The CLINT's
//!   nest with none.
//! - Nobody waits under a lock for anything but another lock: guest memory that cannot be had at once is refused
//!   (ORD-5), and the access made again later.

mod pages;
mod slot;
#[cfg(test)]
mod tests;

use crate::Peripherals;
use crate::map::{self, Device, HtifWords};
use cantus_devices::clint::{self, Clint};
use cantus_devices::finisher::Finisher;
use cantus_devices::htif::Htif;
use cantus_devices::plic::Plic;
use cantus_devices::rtc::Rtc;
use cantus_devices::uart::Uart;
use cantus_devices::{self as devices, Device as _, Outcome, StateError, StateReader};
use cantus_engine::{Bus, BusContext, Stop, TICKS_PER_SECOND};
use cantus_interp::{Blocked, Refusal};
use cantus_isa::{Gpa, Width};
use cantus_traces::{CoreId, DeviceId};
use pages::Pages;
use parking_lot::Mutex;
use slot::Slot;

/// Nanoseconds of a tick of the clock.
const TICK_NANOSECONDS: u64 = 1_000_000_000 / TICKS_PER_SECOND;

/// The devices of a machine.
pub struct Board {
    finisher: Slot<Finisher>,
    /// One for each hart: what concerns different harts needs no order.
    clint: Box<[Slot<Clint>]>,
    plic: Slot<Plic>,
    uart: Slot<Uart>,
    htif: Option<(HtifWords, Slot<Htif>)>,
    rtc: Slot<Rtc>,
    virtio: Box<[Slot<Box<dyn devices::Device>>]>,
    host: Slot<HostSide>,
    pages: Mutex<Pages>,
}

/// Where all devices' output and the end of the run come together: ordered like a device, so that a replay's console is
/// the recording's byte for byte, whichever devices and cores it came from.
struct HostSide {
    /// Bytes of output so far.
    output_bytes: u64,
}

impl Board {
    /// A board after a reset, for so many cores, with HTIF where the program has it, and these devices in its virtio
    /// slots.
    pub fn new(cores: usize, htif: Option<HtifWords>, peripherals: &Peripherals) -> Self {
        let virtio = |slot: usize| Slot::new(Device::Virtio(slot as u8).id(), peripherals.device(slot));
        Self {
            finisher: Slot::new(Device::Finisher.id(), Finisher::new()),
            clint: (0..cores).map(|hart| Slot::new(Device::Clint.id(), Clint::new(hart))).collect(),
            plic: Slot::new(Device::Plic.id(), Plic::new(cores)),
            uart: Slot::new(Device::Uart.id(), Uart::new(map::UART_SOURCE)),
            htif: htif.map(|words| (words, Slot::new(Device::Htif.id(), Htif::new()))),
            rtc: Slot::new(Device::Rtc.id(), Rtc::new(map::RTC_SOURCE, TICK_NANOSECONDS)),
            virtio: (0..map::VIRTIO_SLOTS).map(virtio).collect(),
            host: Slot::new(map::HOST_SIDE, HostSide { output_bytes: 0 }),
            pages: Mutex::default(),
        }
    }

    /// The device that input from the host's console is for: the UART, or HTIF once the program has read from that. It
    /// may change in the course of a run, so ask whenever there is input; the answer is a logged input.
    pub fn console(&self) -> DeviceId {
        let htif = self.htif.as_ref().filter(|(_, htif)| htif.look(|htif| htif.reads_console()));
        if htif.is_some() { Device::Htif.id() } else { Device::Uart.id() }
    }

    /// How many bytes of input to give a device at most, so that it keeps no more waiting than it wants to. It takes
    /// more, too.
    pub fn input_room(&self, device: DeviceId) -> usize {
        match Device::of(device) {
            Some(Device::Uart) => self.uart.look(|uart| uart.input_room()),
            Some(Device::Htif) => {
                self.htif.as_ref().map_or(0, |(_, htif)| htif.look(|htif| htif.input_room()))
            }
            Some(Device::Virtio(slot)) => self.virtio[usize::from(slot)].look(|device| device.input_room()),
            Some(Device::Finisher | Device::Clint | Device::Plic | Device::Rtc) | None => 0,
        }
    }

    /// Appends the state of all devices, less their pages. To be asked for when no core runs.
    pub fn write_state(&self, into: &mut Vec<u8>) {
        let mut add = |device: &dyn devices::Device| {
            let length_at = into.len();
            into.extend([0; 4]);
            device.write_state(into);
            let length = (into.len() - length_at - 4) as u32;
            into[length_at..length_at + 4].copy_from_slice(&length.to_le_bytes());
        };
        self.finisher.look(|device| add(device));
        self.clint.iter().for_each(|slot| slot.look(|device| add(device)));
        self.plic.look(|device| add(device));
        self.uart.look(|device| add(device));
        if let Some((_, slot)) = &self.htif {
            slot.look(|device| add(device));
        }
        self.rtc.look(|device| add(device));
        self.virtio.iter().for_each(|slot| slot.look(|device| add(&**device)));
        into.extend(self.host.look(|host| host.output_bytes).to_le_bytes());
    }

    /// Takes over a state that [`Board::write_state`] wrote for a board of the same configuration, without pages. The
    /// interrupt lines that follow from it are part of the cores' state and not announced. After an error the board is not
    /// to be used.
    pub fn read_state(&self, bytes: &[u8]) -> Result<(), StateError> {
        *self.pages.lock() = Pages::default();
        let mut whole = StateReader::new("the board", bytes);
        let mut take = |device: &mut dyn devices::Device| {
            let length = whole.u32()? as usize;
            let mut reader = StateReader::new(device.name(), whole.bytes(length)?);
            device.read_state(&mut reader)?;
            reader.finish()
        };
        self.finisher.restore(|device| take(device))?;
        self.clint.iter().try_for_each(|slot| slot.restore(|device| take(device)))?;
        self.plic.restore(|device| take(device))?;
        self.uart.restore(|device| take(device))?;
        if let Some((_, slot)) = &self.htif {
            slot.restore(|device| take(device))?;
        }
        self.rtc.restore(|device| take(device))?;
        self.virtio.iter().try_for_each(|slot| slot.restore(|device| take(&mut **device)))?;
        self.host.restore(|host| whole.u64().map(|bytes| host.output_bytes = bytes))?;
        whole.finish()
    }

    /// From here on, nobody has accessed the devices yet.
    pub fn forget_accesses(&self) {
        self.finisher.restore(|_| ());
        self.clint.iter().for_each(|slot| slot.restore(|_| ()));
        self.plic.restore(|_| ());
        self.uart.restore(|_| ());
        if let Some((_, slot)) = &self.htif {
            slot.restore(|_| ());
        }
        self.rtc.restore(|_| ());
        self.virtio.iter().for_each(|slot| slot.restore(|_| ()));
        self.host.restore(|_| ());
    }

    /// The interrupt lines of a core that devices hold raised, and when its machine timer is due, in ticks. To be asked for
    /// when no core runs.
    pub fn live(&self, core: CoreId) -> (u32, u64) {
        let (software, deadline) =
            self.clint.get(core.index()).map_or((0, u64::MAX), |slot| slot.look(|clint| clint.live()));
        (software | self.plic.look(|plic| plic.live(core.index())), deadline)
    }

    /// What the drive in a slot holds that its image does not: where, in bytes from its start, and what. To be asked for when
    /// no core runs.
    pub fn drive_changes(&self, slot: u8, each: &mut dyn FnMut(u64, &[u8])) {
        if let Some(slot) = self.virtio.get(usize::from(slot)) {
            slot.look(|device| device.changes(each));
        }
    }

    /// The devices that are to receive an input at some time, and when, in ticks. To be asked for when no core runs.
    pub fn alarms(&self) -> Vec<(DeviceId, u64)> {
        let alarm = self.rtc.look(|rtc| rtc.alarm_ticks());
        alarm.into_iter().map(|ticks| (Device::Rtc.id(), ticks)).collect()
    }

    /// Does something to the device at an address, in the context's name.
    fn access<R>(
        &self,
        address: Gpa,
        width: Width,
        context: &mut dyn BusContext,
        access: impl FnOnce(&mut dyn devices::Device, u64, &mut Outside<'_>) -> Result<R, devices::Refusal>,
    ) -> Result<R, Refusal> {
        let words = self.htif.as_ref().map(|(words, _)| words);
        let (device, offset) = map::find(address, width, words).ok_or(Refusal::Fault)?;
        let answer = match device {
            Device::Finisher => {
                self.finisher.access(self, context, |device, outside| access(device, offset, outside))
            }
            Device::Clint => {
                let slot = self.clint_slot(offset, width, context.here().0);
                slot.access(self, context, |device, outside| access(device, offset, outside))
            }
            Device::Plic => {
                self.plic.access(self, context, |device, outside| access(device, offset, outside))
            }
            Device::Uart => {
                self.uart.access(self, context, |device, outside| access(device, offset, outside))
            }
            Device::Htif => {
                let (_, slot) = self.htif.as_ref().ok_or(Refusal::Fault)?;
                slot.access(self, context, |device, outside| access(device, offset, outside))
            }
            Device::Rtc => self.rtc.access(self, context, |device, outside| access(device, offset, outside)),
            Device::Virtio(slot) => {
                let slot = &self.virtio[usize::from(slot)];
                slot.access(self, context, |device, outside| access(&mut **device, offset, outside))
            }
        };
        answer.map_err(refusal)
    }

    /// An input that is not bytes for a guest. One that no device takes is dropped.
    fn control(
        &self,
        id: DeviceId,
        bytes: &[u8],
        context: &mut dyn BusContext,
    ) -> Result<(), devices::Refusal> {
        match Device::controlled(id) {
            Some(Device::Virtio(slot)) => {
                self.virtio[usize::from(slot)].access(self, context, |device, outside| {
                    device.control(bytes, outside);
                    Ok(())
                })
            }
            Some(
                Device::Finisher | Device::Clint | Device::Plic | Device::Uart | Device::Htif | Device::Rtc,
            )
            | None => Ok(()),
        }
    }

    /// The hart's registers that an access means. The clock, and what belongs to no hart, is the same in all of them:
    /// the accessing core's own answers, so that nothing has to be ordered.
    fn clint_slot(&self, offset: u64, width: Width, core: CoreId) -> &Slot<Clint> {
        use clint::registers::Register;
        let own = core.index();
        let hart = match Register::at(offset, width) {
            Some(Register::Software { hart } | Register::Compare { hart, .. }) => hart,
            Some(Register::Clock { .. }) | None => own,
        };
        self.clint.get(hart).unwrap_or(&self.clint[own])
    }
}

/// The engine's word for a device's.
fn refusal(refusal: devices::Refusal) -> Refusal {
    match refusal {
        devices::Refusal::Blocked => Refusal::Blocked,
        devices::Refusal::Fault => Refusal::Fault,
    }
}

/// A device's word for the engine's.
fn device_refusal(refusal: Refusal) -> devices::Refusal {
    match refusal {
        Refusal::Blocked => devices::Refusal::Blocked,
        Refusal::Fault => devices::Refusal::Fault,
    }
}

/// The engine's word for an outcome. A failure is never 0, whatever its code.
fn stop(outcome: Outcome) -> Stop {
    match outcome {
        Outcome::Passed => Stop::Exit(0),
        Outcome::Failed(code) => Stop::Exit(u32::try_from(code).unwrap_or(u32::MAX).max(1)),
        Outcome::Reset => Stop::Reset,
    }
}

impl Bus for Board {
    fn load(&self, address: Gpa, width: Width, context: &mut dyn BusContext) -> Result<u64, Refusal> {
        self.access(address, width, context, |device, offset, outside| device.load(offset, width, outside))
    }

    fn store(
        &self,
        address: Gpa,
        width: Width,
        value: u64,
        context: &mut dyn BusContext,
    ) -> Result<(), Refusal> {
        self.access(address, width, context, |device, offset, outside| {
            device.store(offset, width, value, outside)
        })
    }

    /// Input for a device that the board does not have is dropped.
    fn input(&self, device: DeviceId, bytes: &[u8], context: &mut dyn BusContext) -> Result<(), Blocked> {
        fn receive<D: devices::Device>(
            bytes: &[u8],
        ) -> impl FnOnce(&mut D, &mut Outside<'_>) -> Result<(), devices::Refusal> {
            |device, outside| {
                device.input(bytes, outside).map_err(|devices::Blocked| devices::Refusal::Blocked)
            }
        }
        let answer = match Device::of(device) {
            Some(Device::Uart) => self.uart.access(self, context, receive(bytes)),
            Some(Device::Htif) => {
                self.htif.as_ref().map_or(Ok(()), |(_, htif)| htif.access(self, context, receive(bytes)))
            }
            Some(Device::Virtio(slot)) => {
                self.virtio[usize::from(slot)].access(self, context, |device, outside| {
                    device.input(bytes, outside).map_err(|devices::Blocked| devices::Refusal::Blocked)
                })
            }
            Some(Device::Rtc) => self.rtc.access(self, context, receive(bytes)),
            Some(Device::Finisher | Device::Clint | Device::Plic) | None => {
                self.control(device, bytes, context)
            }
        };
        assert_ne!(answer, Err(devices::Refusal::Fault), "ORD-4: input can be blocked, and no more");
        answer.map_err(|_| Blocked)
    }
}

/// The outside of one access, as a device sees it.
struct Outside<'a> {
    board: &'a Board,
    context: &'a mut dyn BusContext,
    /// Whose it is.
    device: DeviceId,
}

impl Outside<'_> {
    /// Does something on the host's side, in its turn.
    fn at_host(&mut self, then: impl FnOnce(&mut HostSide, &mut dyn BusContext)) {
        let done = self.board.host.access(self.board, self.context, |host, outside| {
            then(host, outside.context);
            Ok(())
        });
        assert_eq!(done, Ok(()), "ORD-4: the host's side never refuses");
    }
}

impl devices::Outside for Outside<'_> {
    fn clock(&mut self) -> u64 {
        self.context.clock()
    }

    fn set_clock(&mut self, ticks: u64) {
        self.context.set_clock(ticks);
    }

    fn set_deadline(&mut self, core: usize, ticks: u64) {
        self.context.set_deadline(core_id(core), ticks);
    }

    fn set_alarm(&mut self, ticks: u64) {
        self.context.set_alarm(self.device, ticks);
    }

    fn is_memory_shared(&self) -> bool {
        self.context.is_memory_shared()
    }

    fn set_line(&mut self, core: usize, line: u32, level: bool) {
        self.context.set_line(core_id(core), line, level);
    }

    fn raise(&mut self, source: u32, level: bool) {
        let done = self.board.plic.access(self.board, self.context, |plic, outside| {
            plic.set_source(source, level, outside);
            Ok(())
        });
        assert_eq!(done, Ok(()), "ORD-4: an interrupt source is never refused");
    }

    fn output(&mut self, bytes: &[u8]) {
        self.at_host(|host, context| {
            host.output_bytes += bytes.len() as u64;
            context.output(bytes);
        });
    }

    fn stop(&mut self, outcome: Outcome) {
        self.at_host(|_, context| context.stop(stop(outcome)));
    }

    fn memory_read(&mut self, address: Gpa, into: &mut [u8]) -> Result<(), devices::Refusal> {
        self.context.read_memory(address, into).map_err(device_refusal)
    }

    fn memory_write(&mut self, address: Gpa, from: &[u8]) -> Result<(), devices::Refusal> {
        self.context.write_memory(address, from).map_err(device_refusal)
    }

    fn memory_reserve(&mut self, address: Gpa, length: u64) -> Result<(), devices::Refusal> {
        self.context.reserve_memory(address, length).map_err(device_refusal)
    }

    fn memory_reserve_read(&mut self, address: Gpa, length: u64) -> Result<(), devices::Refusal> {
        self.context.reserve_memory_read(address, length).map_err(device_refusal)
    }

    fn ask_host(&mut self, question: &[u8]) -> Vec<u8> {
        self.context.ask_host(self.device, question)
    }

    fn tell_host(&mut self, message: &[u8]) {
        self.context.tell_host(self.device, message);
    }

    fn warn(&mut self, what: &str) {
        self.context.warn(self.device, what);
    }
}

/// The board makes devices for its own cores only, so a device's core is one of them.
fn core_id(core: usize) -> CoreId {
    CoreId(u8::try_from(core).expect("a device names one of the machine's cores"))
}
