//! The interpreter, through the seam that the engine uses.

mod assembler;
mod board;

mod atomics;
mod blocked;
mod code;
mod exact;
mod floating;
mod instructions;
mod interrupts;
mod memory;
mod privileged;
mod random;
mod translation;
