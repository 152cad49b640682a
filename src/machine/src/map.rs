//! The memory map: that of QEMU's `virt` board, as far as its devices are here.
//!
//! ```text
//! 0x0010_0000  test finisher      0x1000
//! 0x0010_1000  real-time clock     0x1000   goldfish, source 11 of the PLIC
//! 0x0200_0000  CLINT             0x1_0000   software and timer interrupts
//! 0x0c00_0000  PLIC             0x60_0000   external interrupts
//! 0x1000_0000  UART                 0x100   16550A, source 10 of the PLIC
//! 0x1000_1000  virtio, 8 slots     0x1000   each; sources 1 to 8 of the PLIC
//! 0x8000_0000  RAM                          as much as configured; tohost and fromhost of the program lie over it
//! ```
//!
//! Traces and inputs name devices by number. Bytes for a device come under the number of the device. What else reaches a
//! virtio device from outside (a control input, such as a console's new size) comes under that number plus 8.
//!
//! Everything else is an access fault. There is no reset ROM at 0x1000: harts start where QEMU's ROM would send them,
//! with the registers that it would leave (see [`crate::ResetState`]).

use cantus_devices::{htif, plic, virtio};
use cantus_isa::{Gpa, Width};
use cantus_traces::DeviceId;
use std::ops::Range;

/// Where RAM begins.
pub const RAM_BASE: Gpa = Gpa(0x8000_0000);

/// The test finisher's range.
pub const FINISHER: Range<u64> = 0x10_0000..0x10_1000;
/// The real-time clock's range.
pub const RTC: Range<u64> = 0x10_1000..0x10_2000;
/// The real-time clock's interrupt source.
pub const RTC_SOURCE: u32 = 11;
/// The CLINT's range.
pub const CLINT: Range<u64> = 0x200_0000..0x201_0000;
/// The PLIC's range.
pub const PLIC: Range<u64> = 0xc00_0000..0xc00_0000 + plic::registers::END;
/// The UART's range.
pub const UART: Range<u64> = 0x1000_0000..0x1000_0100;
/// The UART's interrupt source.
pub const UART_SOURCE: u32 = 10;

/// How many slots for virtio devices there are.
pub const VIRTIO_SLOTS: usize = 8;
/// Bytes of a slot.
const VIRTIO_SLOT_BYTES: u64 = virtio::registers::END;
/// The range of all slots.
const VIRTIO: Range<u64> = 0x1000_1000..0x1000_1000 + VIRTIO_SLOTS as u64 * VIRTIO_SLOT_BYTES;

/// The range of a virtio slot.
pub fn virtio(slot: usize) -> Range<u64> {
    let start = VIRTIO.start + slot as u64 * VIRTIO_SLOT_BYTES;
    start..start + VIRTIO_SLOT_BYTES
}

/// The interrupt source of a virtio slot.
pub fn virtio_source(slot: usize) -> u32 {
    slot as u32 + 1
}

/// The devices in the order of their [`DeviceId`]s.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Device {
    /// The test finisher.
    Finisher,
    /// The CLINT.
    Clint,
    /// The PLIC.
    Plic,
    /// The UART.
    Uart,
    /// `tohost` and `fromhost`.
    Htif,
    /// The real-time clock.
    Rtc,
    /// What is in a virtio slot, which is below [`VIRTIO_SLOTS`].
    Virtio(u8),
}

/// The number of the first virtio slot's device.
const VIRTIO_ID: u8 = 8;
/// The number of the first virtio slot's control input.
const VIRTIO_CONTROL_ID: u8 = VIRTIO_ID + VIRTIO_SLOTS as u8;

impl Device {
    /// Those that are alone of their kind.
    const SINGLE: [Device; 6] =
        [Device::Finisher, Device::Clint, Device::Plic, Device::Uart, Device::Htif, Device::Rtc];

    /// All of them.
    pub fn all() -> impl Iterator<Item = Device> {
        Device::SINGLE.into_iter().chain((0..VIRTIO_SLOTS as u8).map(Device::Virtio))
    }

    /// How traces call it.
    pub fn id(self) -> DeviceId {
        DeviceId(match self {
            Device::Finisher => 0,
            Device::Clint => 1,
            Device::Plic => 2,
            Device::Uart => 3,
            Device::Htif => 4,
            Device::Rtc => 5,
            Device::Virtio(slot) => VIRTIO_ID + slot,
        })
    }

    /// The device that traces call so; none where a trace's number is not one of the board's.
    pub fn of(id: DeviceId) -> Option<Self> {
        Device::all().find(|device| device.id() == id)
    }

    /// What an input is for that is not bytes for a guest; see [`cantus_devices::Device::control`].
    pub fn controlled(id: DeviceId) -> Option<Self> {
        Device::all().find(|device| device.control_id() == Some(id))
    }

    /// Under which number such inputs for this device come, where it takes any.
    pub fn control_id(self) -> Option<DeviceId> {
        match self {
            Device::Virtio(slot) => Some(DeviceId(VIRTIO_CONTROL_ID + slot)),
            Device::Finisher | Device::Clint | Device::Plic | Device::Uart | Device::Htif | Device::Rtc => {
                None
            }
        }
    }

    /// Its name, for people.
    pub fn name(self) -> &'static str {
        match self {
            Device::Finisher => "finisher",
            Device::Clint => "clint",
            Device::Plic => "plic",
            Device::Uart => "uart",
            Device::Htif => "htif",
            Device::Rtc => "rtc",
            Device::Virtio(_) => "virtio",
        }
    }
}

/// Stands for the host's side where a device is to be named. It is none, and asks and is told nothing.
pub(crate) const HOST_SIDE: DeviceId = DeviceId(u8::MAX);

/// Where a program has its words for HTIF.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HtifWords {
    /// `tohost`.
    pub tohost: Gpa,
    /// `fromhost`, where the program has it.
    pub fromhost: Option<Gpa>,
}

/// Bytes of each word of HTIF.
pub const HTIF_WORD: u64 = 8;

impl HtifWords {
    /// The words' ranges, with their offsets in the device.
    pub fn ranges(&self) -> impl Iterator<Item = (Range<u64>, u64)> {
        let range = |word: Gpa| word.0..word.0.saturating_add(HTIF_WORD);
        let tohost = (range(self.tohost), htif::registers::TOHOST);
        let fromhost = self.fromhost.map(|word| (range(word), htif::registers::FROMHOST));
        std::iter::once(tohost).chain(fromhost)
    }
}

/// The device that all bytes of an access belong to, and the access's offset in it.
pub fn find(address: Gpa, width: Width, htif: Option<&HtifWords>) -> Option<(Device, u64)> {
    let last = address.0.checked_add(width.bytes() - 1)?;
    let within = |range: &Range<u64>| range.contains(&address.0) && range.contains(&last);
    let fixed = [
        (FINISHER, Device::Finisher),
        (RTC, Device::Rtc),
        (CLINT, Device::Clint),
        (PLIC, Device::Plic),
        (UART, Device::Uart),
    ];
    if let Some((range, device)) = fixed.into_iter().find(|(range, _)| within(range)) {
        // The registers of the board's devices take natural alignment only.
        return address.0.is_multiple_of(width.bytes()).then(|| (device, address.0 - range.start));
    }
    if within(&VIRTIO) && address.0.is_multiple_of(width.bytes()) {
        let offset = address.0 - VIRTIO.start;
        let slot = (offset / VIRTIO_SLOT_BYTES) as u8;
        return Some((Device::Virtio(slot), offset % VIRTIO_SLOT_BYTES));
    }
    let (range, offset) = htif?.ranges().find(|(range, _)| within(range))?;
    Some((Device::Htif, offset + (address.0 - range.start)))
}
