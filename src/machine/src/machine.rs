//! A machine as it stands before its first step: RAM with the program and the device tree in it, and the board.

#[cfg(test)]
mod tests;

use crate::map::RAM_BASE;
use crate::signature::signature;
use crate::{Board, Granularity, GuestImage, MachineConfig, TreeError, device_tree, digest::digest};
use cantus_isa::Gpa;
use cantus_memory::{Ram, RamError};
use cantus_traces::{ContentDigest, CoreId, Digest};
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
/// This is how QEMU's reset ROM at 0x1000 leaves it. There is no such ROM here, and `a2`, where QEMU passes the address
/// of a structure for OpenSBI, is zero. QEMU enters RAM at its first byte; here an ELF program is entered where it says.
/// Every hart starts, at the same place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ResetState {
    /// The address of the first instruction.
    pub pc: u64,
    /// `a0`: the hart's number.
    pub a0: u64,
    /// `a1`: the address of the device tree.
    pub a1: u64,
}

/// A machine before its first step.
pub struct Machine {
    config: MachineConfig,
    ram: Arc<Ram>,
    board: Arc<Board>,
    entry: Gpa,
    device_tree: Gpa,
    signature: Option<Range<u64>>,
}

impl Machine {
    /// Builds a machine with the program loaded. The same configuration and image give the same machine, always.
    pub fn new(config: MachineConfig, image: &GuestImage) -> Result<Self, MachineError> {
        let bounds = RAM_BASE.0..RAM_BASE.0 + config.ram_bytes();
        let check = |what, range: &Range<u64>| {
            if bounds.start <= range.start && range.end <= bounds.end {
                return Ok(());
            }
            let (name, from, to) = (image.name().to_owned(), range.start, range.end);
            Err(MachineError::Outside { name, what, from, to, ram_from: bounds.start, ram_to: bounds.end })
        };
        let segments = image.segments().iter().map(|segment| segment.range());
        let words = image.htif().into_iter().flat_map(|words| words.ranges()).map(|(range, _)| range);
        let overlays = words.collect::<Vec<_>>();
        let taken = segments.chain(overlays.iter().cloned()).collect::<Vec<_>>();
        for range in taken.iter().take(image.segments().len()) {
            check("a segment", range)?;
        }
        for (range, what) in overlays.iter().zip(["`tohost`", "`fromhost`"]) {
            check(what, range)?;
        }
        if let Some(range) = image.signature() {
            check("its signature", &range)?;
        }

        let tree_problem = |problem| MachineError::Tree { name: image.name().to_owned(), problem };
        let tree = device_tree::write(&config).map_err(tree_problem)?;
        let length = tree.len() as u64;
        let no_room = TreeError::NoRoom { tree: length, ram: config.ram_bytes() };
        let device_tree =
            device_tree::place(length, bounds.clone(), &taken).ok_or(no_room).map_err(tree_problem)?;

        let ram = Ram::new(RAM_BASE, config.ram_bytes(), overlays)?;
        for segment in image.segments() {
            ram.write(segment.address, image.contents(segment));
        }
        ram.write(Gpa(device_tree), &tree);
        Ok(Self {
            config,
            ram: Arc::new(ram),
            board: Arc::new(Board::new(config.cores(), image.htif().copied())),
            entry: image.entry(),
            device_tree: Gpa(device_tree),
            signature: image.signature(),
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

    /// Where a core starts, and with what.
    pub fn reset_state(&self, core: CoreId) -> ResetState {
        ResetState { pc: self.entry.0, a0: core.index() as u64, a1: self.device_tree.0 }
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
