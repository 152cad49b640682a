//! The devices of a machine that not every machine has: what is in its virtio slots.

use crate::TreeError;
use crate::device_tree::begin_device;
use crate::map::{self, VIRTIO_SLOTS};
use cantus_devices::virtio::block::{Block, Drive};
use cantus_devices::virtio::console::Console;
use cantus_devices::virtio::entropy::Entropy;
use cantus_devices::virtio::network::Network;
use cantus_devices::virtio::registers::Layout;
use cantus_devices::virtio::share::Share;
use cantus_devices::virtio::{Empty, Virtio};
use cantus_devices::{self as devices};
use std::fmt;
use thiserror::Error;
use vm_fdt::FdtWriter;

/// What is in a slot.
#[derive(Clone)]
pub enum Peripheral {
    /// A drive.
    Drive(Drive),
    /// A console of so many columns and rows.
    Console(u16, u16),
    /// A network card with this address.
    Network([u8; 6]),
    /// A source of random bytes.
    Entropy,
    /// A shared folder, by the tag that the guest mounts.
    Share(String),
}

impl fmt::Debug for Peripheral {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Peripheral::Drive(drive) => write!(f, "Drive({} bytes)", (*drive.image).as_ref().len()),
            Peripheral::Console(columns, rows) => write!(f, "Console({columns}, {rows})"),
            Peripheral::Network(address) => write!(f, "Network({address:02x?})"),
            Peripheral::Entropy => f.write_str("Entropy"),
            Peripheral::Share(tag) => write!(f, "Share({tag:?})"),
        }
    }
}

/// More devices than there are slots.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[error("{0} virtio devices: expected at most {VIRTIO_SLOTS}")]
pub struct TooManyPeripherals(pub usize);

/// What is in a machine's virtio slots: the first slots have the devices, in order, the others are empty. None by default.
#[derive(Clone, Default, Debug)]
pub struct Peripherals {
    layout: Layout,
    slots: Vec<Peripheral>,
}

impl Peripherals {
    /// These devices, behind registers of this layout.
    ///
    /// # Errors
    /// Where there are more of them than slots.
    pub fn new(layout: Layout, slots: Vec<Peripheral>) -> Result<Self, TooManyPeripherals> {
        if slots.len() > VIRTIO_SLOTS {
            Err(TooManyPeripherals(slots.len()))
        } else {
            Ok(Self { layout, slots })
        }
    }

    /// The devices by slot.
    pub fn slots(&self) -> &[Peripheral] {
        &self.slots
    }

    /// The device of a slot after a reset; an empty slot is one, too.
    pub(crate) fn device(&self, slot: usize) -> Box<dyn devices::Device> {
        let (source, layout) = (map::virtio_source(slot), self.layout);
        match self.slots.get(slot) {
            Some(Peripheral::Drive(drive)) => {
                Box::new(Virtio::new(Block::new(drive.clone()), source, layout))
            }
            Some(&Peripheral::Console(columns, rows)) => {
                Box::new(Virtio::new(Console::new(columns, rows), source, layout))
            }
            Some(&Peripheral::Network(address)) => {
                Box::new(Virtio::new(Network::new(address), source, layout))
            }
            Some(Peripheral::Entropy) => Box::new(Virtio::new(Entropy, source, layout)),
            Some(Peripheral::Share(tag)) => Box::new(Virtio::new(Share::new(tag), source, layout)),
            None => Box::new(Empty::new(layout)),
        }
    }
}

/// The nodes of the slots and of the real-time clock, which are on every board.
pub(crate) fn write_nodes(tree: &mut FdtWriter, plic: u32) -> Result<(), TreeError> {
    let slots = (0..VIRTIO_SLOTS)
        .map(|slot| ("virtio_mmio", map::virtio(slot), "virtio,mmio", map::virtio_source(slot)));
    let rtc = ("rtc", map::RTC, "google,goldfish-rtc", map::RTC_SOURCE);
    for (name, range, compatible, source) in slots.chain([rtc]) {
        let node = begin_device(tree, name, &range, &[compatible])?;
        tree.property_u32("interrupts", source)?;
        tree.property_u32("interrupt-parent", plic)?;
        tree.end_node(node)?;
    }
    Ok(())
}
