//! A machine as it stands before its first step: RAM with the program and the device tree in it, and the board.

#[cfg(test)]
mod tests;

use crate::boot::{self, BOOT_INFO, Boot, FIRMWARE_RANGE, INITRD_ALIGNMENT, KernelBoot};
use crate::makeup::Makeup;
use crate::map::{HtifWords, RAM_BASE};
use crate::signature::signature;
use crate::{
    Board, Granularity, GuestImage, MachineConfig, Peripherals, TreeError, device_tree, digest::digest,
};
use cantus_isa::Gpa;
use cantus_isa::address::PAGE_SIZE;
use cantus_memory::{Ram, RamError};
use cantus_traces::{ContentDigest, CoreId, Digest};
use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;
use thiserror::Error;

/// A program cannot be loaded into a machine.
#[derive(Debug, Error)]
pub enum MachineError {
    /// There is no RAM.
    #[error("{0}")]
    Ram(#[from] RamError),
    /// There is no device tree.
    #[error("{name}: {problem}")]
    Tree {
        /// The program.
        name: String,
        /// Why.
        problem: TreeError,
    },
    /// Something of the program lies elsewhere than in RAM.
    #[error(
        "{name}: {what} lies at {from:#x}..{to:#x}, expected in RAM at {ram_from:#x}..{ram_to:#x}{hint}",
        hint = hint(*.from, *.to, *.ram_from, *.ram_to)
    )]
    Outside {
        /// The program.
        name: String,
        /// What of it.
        what: &'static str,
        /// Where it begins.
        from: u64,
        /// Where it ends.
        to: u64,
        /// Where RAM begins.
        ram_from: u64,
        /// Where RAM ends.
        ram_to: u64,
    },
    /// Two things want the same memory.
    #[error("{name}: {what} at {from:#x}..{to:#x} overlaps {other}")]
    Overlap {
        /// The file.
        name: String,
        /// What of it.
        what: &'static str,
        /// Where it begins.
        from: u64,
        /// Where it ends.
        to: u64,
        /// The other.
        other: &'static str,
    },
    /// There is no room for the initial RAM disk.
    #[error(
        "the initrd of {bytes:#x} bytes does not fit between the kernel's end at {from:#x} and {to:#x}; give the machine more RAM"
    )]
    Initrd {
        /// Its size.
        bytes: u64,
        /// Where it may begin.
        from: u64,
        /// Where it may end.
        to: u64,
    },
}

/// What to do about something that lies outside of RAM.
fn hint(from: u64, to: u64, ram_from: u64, ram_to: u64) -> &'static str {
    if from < ram_from {
        "; is it a program for an operating system? A bare-metal program is linked to run in RAM"
    } else if from < ram_to && to > ram_to {
        "; give the machine more RAM"
    } else {
        ""
    }
}

/// What a hart holds after a reset, all else being as the architecture says: M-mode, zero in all other registers.
///
/// This is how QEMU's reset ROM at 0x1000 leaves it. There is no such ROM here. `a2`, where QEMU passes the address of a
/// structure for OpenSBI, is zero for a program of its own. QEMU enters RAM at its first byte; here an ELF program is
/// entered where it says. Every hart starts, at the same place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ResetState {
    /// The address of the first instruction.
    pub pc: u64,
    /// `a0`: the hart's number.
    pub a0: u64,
    /// `a1`: the address of the device tree.
    pub a1: u64,
    /// `a2`: the address of the boot info, or zero.
    pub a2: u64,
}

/// A machine before its first step.
pub struct Machine {
    config: MachineConfig,
    ram: Arc<Ram>,
    board: Arc<Board>,
    entry: Gpa,
    device_tree: Gpa,
    boot_info: Gpa,
    signature: Option<Range<u64>>,
    makeup: Makeup,
}

/// Something that lies in RAM before the first step.
struct Piece<'a> {
    /// The file that it is of.
    name: &'a str,
    what: &'static str,
    range: Range<u64>,
    /// Its first bytes; the others are zero.
    bytes: Cow<'a, [u8]>,
}

impl<'a> Piece<'a> {
    fn of_image(image: &'a GuestImage, what: &'static str) -> impl Iterator<Item = Piece<'a>> {
        image.segments().iter().map(move |segment| {
            let bytes = Cow::Borrowed(image.contents(segment));
            Piece { name: image.name(), what, range: segment.range(), bytes }
        })
    }

    fn at(name: &'a str, what: &'static str, address: u64, bytes: impl Into<Cow<'a, [u8]>>) -> Self {
        let bytes = bytes.into();
        Piece { name, what, range: address..address.saturating_add(bytes.len() as u64), bytes }
    }
}

/// What lies where, and where harts start.
struct Layout<'a> {
    pieces: Vec<Piece<'a>>,
    /// How many of the pieces, from the first on, are firmware and what it is told.
    firmware_pieces: usize,
    entry: Gpa,
    boot_info: Gpa,
    htif: Option<HtifWords>,
    signature: Option<Range<u64>>,
    chosen: Option<device_tree::Chosen<'a>>,
}

impl<'a> Layout<'a> {
    fn of_program(image: &'a GuestImage) -> Self {
        Self {
            pieces: Piece::of_image(image, "a segment").collect(),
            firmware_pieces: 0,
            entry: image.entry(),
            boot_info: Gpa(0),
            htif: image.htif().copied(),
            signature: image.signature(),
            chosen: None,
        }
    }

    fn of_kernel(
        boot: &'a KernelBoot,
        config: &MachineConfig,
        ram: &Range<u64>,
    ) -> Result<Self, MachineError> {
        let KernelBoot { firmware, kernel, initrd, command_line, seed } = boot;
        let mut pieces: Vec<_> = Piece::of_image(firmware, "the firmware").collect();
        let info = boot::info(kernel.entry(), config.cores(), ram.end);
        pieces.push(Piece::at(firmware.name(), "the boot info", BOOT_INFO.0, info));
        let firmware_pieces = pieces.len();
        pieces.extend(Piece::of_image(kernel, "the kernel"));
        let initrd = initrd.as_deref().map(|bytes| {
            let from = kernel.segments().last().map_or(ram.start, |segment| segment.range().end);
            let from = from.next_multiple_of(PAGE_SIZE);
            let to = (ram.end.min(device_tree::END_MAX) & !(INITRD_ALIGNMENT - 1))
                .saturating_sub(INITRD_ALIGNMENT);
            let start = to.checked_sub(bytes.len() as u64).map(|start| start & !(PAGE_SIZE - 1));
            let start = start.filter(|start| *start >= from);
            let no_room = MachineError::Initrd { bytes: bytes.len() as u64, from, to };
            start.map(|start| Piece::at("initrd", "the initrd", start, bytes)).ok_or(no_room)
        });
        let initrd = initrd.transpose()?;
        let chosen = device_tree::Chosen {
            command_line,
            initrd: initrd.as_ref().map(|piece| piece.range.clone()),
            seed: *seed,
            reserved: FIRMWARE_RANGE,
        };
        pieces.extend(initrd);
        Ok(Self {
            pieces,
            firmware_pieces,
            entry: firmware.entry(),
            boot_info: BOOT_INFO,
            htif: None,
            signature: None,
            chosen: Some(chosen),
        })
    }

    /// Checks that everything lies in RAM, and nothing over something else.
    fn check(&self, ram: &Range<u64>) -> Result<(), MachineError> {
        let name = self.pieces.first().map_or("", |piece| piece.name);
        let inside = |name: &str, what, range: &Range<u64>| {
            if ram.start <= range.start && range.end <= ram.end {
                return Ok(());
            }
            let (name, from, to) = (name.to_owned(), range.start, range.end);
            Err(MachineError::Outside { name, what, from, to, ram_from: ram.start, ram_to: ram.end })
        };
        for piece in &self.pieces {
            inside(piece.name, piece.what, &piece.range)?;
        }
        let words = self.htif.iter().flat_map(|words| words.ranges());
        for ((range, _), what) in words.zip(["`tohost`", "`fromhost`"]) {
            inside(name, what, &range)?;
        }
        if let Some(range) = &self.signature {
            inside(name, "its signature", range)?;
        }
        let mut sorted: Vec<_> = self.pieces.iter().collect();
        sorted.sort_by_key(|piece| piece.range.start);
        for pair in sorted.windows(2) {
            let (other, piece) = (pair[0], pair[1]);
            if other.range.end > piece.range.start {
                let (name, what, from, to) =
                    (piece.name.to_owned(), piece.what, piece.range.start, piece.range.end);
                return Err(MachineError::Overlap { name, what, from, to, other: other.what });
            }
        }
        Ok(())
    }
}

impl Machine {
    /// Builds a machine with what it is started with loaded. The same configuration and files give the same machine,
    /// always.
    ///
    /// # Errors
    /// Where something does not fit into RAM.
    pub fn new(config: MachineConfig, boot: &Boot) -> Result<Self, MachineError> {
        Self::with_peripherals(config, boot, &Peripherals::default())
    }

    /// The same with devices in its virtio slots.
    ///
    /// # Errors
    /// Where something does not fit into RAM.
    pub fn with_peripherals(
        config: MachineConfig,
        boot: &Boot,
        peripherals: &Peripherals,
    ) -> Result<Self, MachineError> {
        let bounds = RAM_BASE.0..RAM_BASE.0 + config.ram_bytes();
        let layout = match boot {
            Boot::Program(image) => Layout::of_program(image),
            Boot::Kernel(boot) => Layout::of_kernel(boot, &config, &bounds)?,
        };
        layout.check(&bounds)?;

        let overlays: Vec<_> =
            layout.htif.iter().flat_map(|words| words.ranges()).map(|(range, _)| range).collect();
        let pieces = layout.pieces.iter().map(|piece| piece.range.clone());
        let taken: Vec<_> = pieces.chain(overlays.iter().cloned()).collect();
        let name = layout.pieces.first().map_or("", |piece| piece.name);
        let tree_problem = |problem| MachineError::Tree { name: name.to_owned(), problem };
        let tree = device_tree::write(&config, layout.chosen.as_ref()).map_err(tree_problem)?;
        let length = tree.len() as u64;
        let no_room = TreeError::NoRoom { tree: length, ram: config.ram_bytes() };
        let device_tree =
            device_tree::place(length, bounds.clone(), &taken).ok_or(no_room).map_err(tree_problem)?;

        let ram = Ram::new(RAM_BASE, config.ram_bytes(), overlays)?;
        for piece in &layout.pieces {
            ram.write(Gpa(piece.range.start), &piece.bytes);
        }
        ram.write(Gpa(device_tree), &tree);
        let board = Arc::new(Board::new(config.cores(), layout.htif, peripherals));
        let firmware =
            layout.pieces[..layout.firmware_pieces].iter().map(|piece| (&piece.range, &*piece.bytes));
        let makeup = Makeup::new(firmware, (&(device_tree..device_tree + length), &tree), &board);
        Ok(Self {
            config,
            ram: Arc::new(ram),
            board,
            makeup,
            entry: layout.entry,
            device_tree: Gpa(device_tree),
            boot_info: layout.boot_info,
            signature: layout.signature,
        })
    }

    /// What it is made of.
    pub fn config(&self) -> &MachineConfig {
        &self.config
    }

    /// Its RAM, with the program and the device tree in it.
    pub fn ram(&self) -> &Arc<Ram> {
        &self.ram
    }

    /// Its devices: the engine's bus.
    pub fn board(&self) -> &Arc<Board> {
        &self.board
    }

    /// What of it is this build's own, as it was before the first step.
    pub fn makeup(&self) -> &Makeup {
        &self.makeup
    }

    /// Where a core starts, and with what.
    pub fn reset_state(&self, core: CoreId) -> ResetState {
        ResetState { pc: self.entry.0, a0: core.index() as u64, a1: self.device_tree.0, a2: self.boot_info.0 }
    }

    /// The program's signature as RAM holds it now, if the program has one. To be asked for when no core runs.
    pub fn signature(&self, granularity: Granularity) -> Option<String> {
        self.signature.clone().map(|range| signature(&self.ram, range, granularity))
    }

    /// The digest of memory, devices and these digests of cores, as it is now. To be asked for when no core runs.
    pub fn digest(&self, cores: &[Digest]) -> ContentDigest {
        digest(&self.ram, &self.board, cores)
    }
}
