//! What a generated core does, one thing at a time.

use cantus_isa::Width;
use cantus_isa::riscv::Opcode;

/// Where an access goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    /// Shared data, at an offset; that many bytes further in each turn of the innermost loop.
    Shared {
        /// Bytes from the start of shared data.
        offset: u16,
        /// Bytes a turn.
        stride: u8,
    },
    /// The core's own page.
    Private(u16),
    /// A page of the window. Without paging, shared data.
    Window {
        /// Which page.
        page: u8,
        /// Bytes from its start.
        offset: u16,
    },
}

/// What an entry of the window's page table is to be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pte {
    /// The page of shared data, or of functions.
    pub target: u8,
    /// The entry's low eight bits: D A G U X W R V.
    pub flags: u8,
    /// The memory type (Svpbmt).
    pub memory_type: u8,
}

/// A counter to read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Counter {
    /// The `time` CSR.
    Time,
    /// The `cycle` CSR.
    Cycle,
    /// The `instret` CSR.
    Retired,
    /// The CLINT's clock.
    Clint,
}

/// A device's register to read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Read {
    /// The UART's line status.
    LineStatus,
    /// A byte that the UART has received.
    Received,
    /// The UART's scratch register.
    Scratch,
    /// A core's software interrupt.
    SoftwareInterrupt(u8),
    /// Priority of a source of the PLIC.
    Priority,
    /// The PLIC's pending sources.
    Pending,
}

/// Something that a core does. `acc` is one of eight accumulators.
#[derive(Clone, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "the fields are named for what they are")]
pub enum Statement {
    /// Folds what it loads into an accumulator.
    Load { code: Opcode, place: Place, acc: u8 },
    /// Stores an accumulator.
    Store { width: Width, place: Place, acc: u8 },
    /// `cbo.zero`.
    Zero { place: Place },
    /// An atomic operation with an accumulator; folds what was there before.
    Amo { code: Opcode, place: Place, acc: u8 },
    /// Adds an accumulator by load-reserved and store-conditional, at most so often; between them perhaps something else.
    Reserve { double: bool, place: Place, acc: u8, tries: u8, between: Option<Box<Statement>> },
    /// Takes a lock, if it is free within so many looks, does something and gives it back.
    Locked { lock: Place, looks: u8, body: Vec<Statement> },
    /// `fence`.
    Fence,
    /// `fence.i`.
    FenceI,
    /// A software interrupt.
    Interrupt { core: u8 },
    /// A core's timer, so many ticks from now.
    Timer { core: u8, ticks: u16 },
    /// Waits for an interrupt, with the timer set.
    Sleep { ticks: u16 },
    /// Folds a counter.
    Count { counter: Counter, acc: u8 },
    /// Changes a function's immediate to an accumulator's low bits.
    Patch { function: u8, whole: bool, acc: u8, fence: bool },
    /// Calls a function, perhaps through a page of the window, and folds what it returns.
    Call { function: u8, window: Option<u8>, acc: u8 },
    /// Changes the very next instruction, and folds its result.
    PatchSelf { acc: u8, gap: u8 },
    /// Changes an entry of the window, by a store or an atomic swap.
    Map { window: u8, pte: Pte, swap: bool },
    /// `sfence.vma` for a page of the window, or for everything, or the same in the parts that Svinval has for it.
    FenceVma { window: Option<u8>, parts: bool },
    /// Goes on in another address space, with the same tables.
    Space { asid: u16 },
    /// Folds an entry of the window.
    ReadPte { window: u8, acc: u8 },
    /// Writes a byte to the console.
    Print { acc: u8 },
    /// Folds a device's register.
    Device { read: Read, acc: u8 },
    /// Sets a device's register: the UART's scratch register, or a priority of the PLIC.
    SetDevice { plic: bool, acc: u8 },
    /// Arithmetic on accumulators.
    Alu { code: Opcode, rd: u8, rs1: u8, rs2: u8 },
    /// Floating-point arithmetic, on registers that an accumulator has gone into; folds result and flags.
    Float { code: Opcode, acc: u8 },
    /// An illegal instruction, a breakpoint, a load from nowhere.
    Trap { kind: u8 },
    /// The same again and again.
    Repeat { times: u16, body: Vec<Statement> },
}

impl Statement {
    /// How many statements this is, those in it included.
    pub fn len(&self) -> usize {
        let (Statement::Locked { body, .. } | Statement::Repeat { body, .. }) = self else { return 1 };
        1 + body.iter().map(Statement::len).sum::<usize>()
    }

    /// Never: a statement is at least itself.
    pub fn is_empty(&self) -> bool {
        false
    }
}
