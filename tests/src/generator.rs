//! Random multicore programs, as bare machine code.
//!
//! A program is a function of its seed. Every core runs a list of [`Statement`]s over memory that it shares with the
//! others: plain and atomic accesses of all sizes, aligned and straddling, on few lines, so that they meet; store-
//! conditionals, locks, fences, interrupts between cores and by timers, code that changes while others run it, page
//! tables that change while others walk them. Whatever a core loads it folds into its registers, so that a wrong value
//! shows in every digest from there on. It guarantees that a program ends: loops are counted, nobody waits for anybody
//! but by going to sleep with a timer set, and the last core to arrive at the end stops the machine.
//!
//! For a program that fails, [`Program::shrunk`] finds a small one that still does.

mod emit;
pub mod layout;
mod random_statement;
mod runtime;
mod shrink;
mod statement;

pub use statement::{Counter, Place, Pte, Read, Statement};

use crate::elf;
use crate::random::Random;

/// How a program's harts translate addresses.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Paging {
    /// In M-mode, not at all.
    Bare,
    /// In S-mode, by three levels.
    Sv39,
    /// In S-mode, by four levels.
    Sv48,
}

/// How large programs are to be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Size {
    /// The most cores, 2 to 16.
    pub cores_max: u64,
    /// The most statements of a core, less those in loops.
    pub statements_max: u64,
}

impl Default for Size {
    fn default() -> Self {
        Self { cores_max: 16, statements_max: 40 }
    }
}

/// A random program.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Program {
    /// What each core does.
    pub cores: Vec<Vec<Statement>>,
    /// How addresses are translated.
    pub paging: Paging,
    /// Whether 16-bit instructions are used.
    pub compressed: bool,
    /// Whether the UART interrupts when bytes come in.
    pub external: bool,
    /// What memory and registers begin with.
    pub contents: u64,
    /// Whether memory is written to the console at the end, as it is: [`layout::PRINTED`].
    pub prints: bool,
}

impl Program {
    /// The program of a seed.
    pub fn random(seed: u64, size: Size) -> Self {
        random_statement::program(&mut Random::new(seed), size)
    }

    /// A program of one core, the same for every machine that is as the manual says: without clocks and interrupts, with
    /// a fence wherever one is needed, without what the manual leaves open. It prints its memory.
    pub fn portable(seed: u64, statements_max: u64) -> Self {
        random_statement::portable(&mut Random::new(seed), statements_max)
    }

    /// The program as an ELF file.
    pub fn elf(&self) -> Vec<u8> {
        let bytes = runtime::image(self);
        elf::file(layout::BASE, &bytes, bytes.len() as u64)
    }

    /// How many statements it has, those in loops included.
    pub fn len(&self) -> usize {
        self.cores.iter().flatten().map(Statement::len).sum()
    }

    /// Whether no core does anything.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
