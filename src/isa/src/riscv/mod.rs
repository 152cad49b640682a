//! RISC-V: RV64GC with Zba, Zbb and Zbs, and the privileged architecture 1.12.

pub mod float;
pub mod op;
