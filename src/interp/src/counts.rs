//! What executors have done, for people who ask where a run's time went. Nothing depends on it.
//!
//! It is counted where things are slow anyway. What is fast is not counted: it follows from positions.

use derive_more::AddAssign;

/// What an executor has done.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, AddAssign)]
pub struct Counts {
    /// Blocks decoded.
    pub decoded: u64,
    /// Blocks compared with RAM because others might have changed them.
    pub compared: u64,
    /// Loads, stores and AMOs that no fast TLB entry allowed, those of devices and of split pages among them.
    pub misses: u64,
    /// Translations that the TLB lacked, of code and of data.
    pub fills: u64,
    /// What was done with translated code.
    pub code: CodeCounts,
}

/// What a translator has done.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, AddAssign)]
pub struct CodeCounts {
    /// Units translated: blocks together, or on their own.
    pub units: u64,
    /// Blocks in them.
    pub blocks: u64,
    /// Bytes of code made for them.
    pub bytes: u64,
    /// How often code was given up: all of it, or a region.
    pub flushes: u64,
    /// How often code was entered.
    pub entries: u64,
    /// Blocks that were begun as code: by entering it, by a jump from code to code, within a unit.
    pub runs: u64,
    /// Jumps between units that were linked.
    pub links: u64,
    /// Steps that code made by itself.
    pub instructions: u64,
    /// Operations that code left to the interpreter.
    pub steps: u64,
    /// How code was left.
    pub exits: CodeExits,
}

/// How code was left, how often.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, AddAssign)]
pub struct CodeExits {
    /// Before a block that does not fit before the next look at the outside.
    pub spent: u64,
    /// To another unit of the same page that the jump was not linked to yet.
    pub unlinked: u64,
    /// To an address that has no code in the table of jumps, or no fast TLB entry.
    pub elsewhere: u64,
    /// Before a unit with a block that others may have changed.
    pub stale: u64,
    /// By an operation of the interpreter: a trap, a device, a wait, a grant that is lacking, a change of code or of modes.
    pub step: u64,
}
