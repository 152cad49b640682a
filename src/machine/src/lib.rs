//! The board: memory map, loader, device tree, signature, digest of the whole machine.
//!
//! [`Machine::new`] builds what [`GuestImage`] is loaded into, from a [`MachineConfig`] and the image's bytes alone, so
//! that a replay builds the same from what its trace contains. The [`Board`] is the engine's bus: it finds the device
//! at an address and orders the cores' accesses to it (ORD-8). It does not run anything, and knows no file system.

mod board;
mod boot;
mod config;
mod device_tree;
mod digest;
mod image;
mod machine;
mod makeup;
pub mod map;
mod peripherals;
mod signature;

#[cfg(test)]
mod testing;

pub use board::Board;
pub use boot::{Boot, KernelBoot};
pub use cantus_devices::virtio::{block::Drive, registers::Layout};
pub use config::{ConfigError, MachineConfig};
pub use device_tree::{ISA, TreeError};
pub use image::{GuestImage, ImageError, ImageProblem, Segment};
pub use machine::{Machine, MachineError, ResetState};
pub use makeup::Makeup;
pub use peripherals::{Peripheral, Peripherals, TooManyPeripherals};
pub use signature::{Granularity, GranularityError};
