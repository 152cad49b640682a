//! What the whole-system suites are made with: programs that write programs, and the equations that must hold for them.

pub mod assembler;
pub mod elf;
pub mod equation;
pub mod generator;
pub mod random;
