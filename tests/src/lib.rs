//! What the whole-system suites are made with: programs that write programs, the equations that must hold for them, and
//! golden traces.

pub mod assembler;
pub mod elf;
pub mod equation;
pub mod generator;
pub mod golden;
pub mod random;
pub mod streams;
