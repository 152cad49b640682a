//! The interpreter, through the seam that the engine uses. The tests of every other executor are these, too.

mod assembler;
mod board;
mod tested;

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
