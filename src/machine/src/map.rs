//! The memory map: that of QEMU's `virt` board, as far as its devices are here.
//!
//! ```text
//! 0x0010_0000  test finisher      0x1000
//! 0x0200_0000  CLINT             0x1_0000   software and timer interrupts
//! 0x0c00_0000  PLIC             0x60_0000   external interrupts
//! 0x1000_0000  UART                 0x100   16550A, source 10 of the PLIC
//! 0x8000_0000  RAM                          as much as configured; tohost and fromhost of the program lie over it
//! ```
//!
//! Everything else is an access fault. There is no reset ROM at 0x1000: harts start where QEMU's ROM would send them,
//! with the registers that it would leave (see [`crate::ResetState`]).

use cantus_devices::{htif, plic};
use cantus_isa::{Gpa, Width};
use cantus_traces::DeviceId;
use std::ops::Range;

/// Where RAM begins.
pub const RAM_BASE: Gpa = Gpa(0x8000_0000);

/// The test finisher's range.
pub const FINISHER: Range<u64> = 0x10_0000..0x10_1000;
/// The CLINT's range.
pub const CLINT: Range<u64> = 0x200_0000..0x201_0000;
/// The PLIC's range.
pub const PLIC: Range<u64> = 0xc00_0000..0xc00_0000 + plic::registers::END;
/// The UART's range.
pub const UART: Range<u64> = 0x1000_0000..0x1000_0100;
/// The UART's interrupt source.
pub const UART_SOURCE: u32 = 10;

/// The devices in the order of their [`DeviceId`]s.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Device {
    /// The test finisher.
    Finisher = 0,
    /// The CLINT.
    Clint = 1,
    /// The PLIC.
    Plic = 2,
    /// The UART.
    Uart = 3,
    /// `tohost` and `fromhost`.
    Htif = 4,
}

impl Device {
    /// All of them.
    pub const ALL: [Device; 5] = [Device::Finisher, Device::Clint, Device::Plic, Device::Uart, Device::Htif];

    /// How traces call it.
    pub fn id(self) -> DeviceId {
        DeviceId(self as u8)
    }

    /// The device that traces call so; none where a trace's number is not one of the board's.
    pub fn of(id: DeviceId) -> Option<Self> {
        Device::ALL.into_iter().find(|device| device.id() == id)
    }

    /// Its name, for people.
    pub fn name(self) -> &'static str {
        match self {
            Device::Finisher => "finisher",
            Device::Clint => "clint",
            Device::Plic => "plic",
            Device::Uart => "uart",
            Device::Htif => "htif",
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
    let fixed =
        [(FINISHER, Device::Finisher), (CLINT, Device::Clint), (PLIC, Device::Plic), (UART, Device::Uart)];
    if let Some((range, device)) = fixed.into_iter().find(|(range, _)| within(range)) {
        // The registers of the board's devices take natural alignment only.
        return address.0.is_multiple_of(width.bytes()).then(|| (device, address.0 - range.start));
    }
    let (range, offset) = htif?.ranges().find(|(range, _)| within(range))?;
    Some((Device::Htif, offset + (address.0 - range.start)))
}
