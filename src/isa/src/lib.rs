//! One instruction: bytes → operation → meaning → text.
//!
//! Knows no other crate of Cantus: no memory, no engine, no devices. What an instruction needs of the world it asks
//! for through the traits declared here.

pub mod address;
pub mod riscv;

pub use address::{Gpa, Gva, Width};
