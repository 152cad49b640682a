//! What the whole-system suites are made with: programs that write programs, the equations that must hold for them, golden
//! traces, real Linux guests, and what is at the host's end of their devices.

pub mod assembler;
pub mod elf;
pub mod equation;
pub mod generator;
pub mod golden;
pub mod host;
pub mod linux;
pub mod random;
pub mod streams;
