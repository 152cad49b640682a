//! RISC-V: RV64GC with Zba, Zbb and Zbs, and the privileged architecture 1.12.

mod compressed;
mod pattern;
mod table;

pub mod class;
pub mod csr_names;
pub mod decode;
pub mod disassemble;
pub mod encode;
pub mod hart;
pub mod op;

pub use class::Class;
pub use decode::{Illegal, decode, length};
pub use disassemble::disassemble;
pub use encode::{compress, encode};
pub use op::{Op, Opcode};
