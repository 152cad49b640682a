//! How a machine is started: with a program of its own, or with firmware and a kernel behind it.
//!
//! ```text
//! 0x8000_0000  firmware       Cantus's own SBI, or one that was given
//! 0x8017_f000  boot info      what the firmware is to start, as OpenSBI's fw_dynamic reads it
//! 0x8020_0000  kernel         or where its file says
//!   …          initrd         as high as it fits, below 3 GiB of addresses
//!   …          device tree
//! ```

use crate::image::{GuestImage, ImageError};
use crate::map::RAM_BASE;
use cantus_isa::Gpa;
use std::ops::Range;

/// Cantus's own firmware: machine mode and SBI for kernels. Its source lies in `src/machine/firmware`.
pub const FIRMWARE: &[u8] = include_bytes!("../firmware/cantus-sbi.elf");

/// What lies below this is the firmware's.
pub(crate) const FIRMWARE_RANGE: Range<u64> = RAM_BASE.0..RAM_BASE.0 + (3 << 19);
/// Where the boot info lies: a page of its own, at the end of what is the firmware's.
pub(crate) const BOOT_INFO: Gpa = Gpa(FIRMWARE_RANGE.end - 0x1000);
/// An initrd ends at a multiple of this, with room for the device tree above.
pub(crate) const INITRD_ALIGNMENT: u64 = 2 << 20;

/// A kernel and all that it is started with.
#[derive(Clone, Debug)]
pub struct KernelBoot {
    /// The firmware: [`KernelBoot::own_firmware`], or another one that takes OpenSBI's dynamic boot info.
    pub firmware: GuestImage,
    /// The kernel.
    pub kernel: GuestImage,
    /// Its initial RAM disk.
    pub initrd: Option<Vec<u8>>,
    /// Its command line.
    pub command_line: String,
    /// What seeds its random numbers.
    pub seed: [u8; 32],
}

impl KernelBoot {
    /// Cantus's own firmware as an image.
    ///
    /// # Errors
    /// None: the firmware is a valid program.
    pub fn own_firmware() -> Result<GuestImage, ImageError> {
        GuestImage::from_bytes("cantus-sbi", FIRMWARE.to_vec())
    }
}

/// What a machine is started with.
#[derive(Clone, Debug)]
pub enum Boot {
    /// A program that is entered in machine mode on every hart.
    Program(GuestImage),
    /// A kernel behind firmware.
    Kernel(Box<KernelBoot>),
}

impl From<GuestImage> for Boot {
    fn from(image: GuestImage) -> Self {
        Boot::Program(image)
    }
}

/// Numbers of `struct fw_dynamic_info` of OpenSBI (include/sbi/fw_dynamic.h): its magic, its version, supervisor mode.
const MAGIC: u64 = 0x4942_534f;
const VERSION: u64 = 2;
const SUPERVISOR: u64 = 1;
const BOOT_HART: u64 = 0;

/// The boot info's bytes. The last two words are for Cantus's own firmware: how many harts there are, and RAM's end.
pub(crate) fn info(entry: Gpa, harts: usize, ram_end: u64) -> Vec<u8> {
    let options = 0;
    let words = [MAGIC, VERSION, entry.0, SUPERVISOR, options, BOOT_HART, harts as u64, ram_end];
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}
