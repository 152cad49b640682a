//! RISC-V: RV64GC with Zba, Zbb and Zbs, and the privileged architecture 1.12.

mod compressed;
mod pattern;
mod table;

pub mod class;
pub mod csr;
pub mod csr_names;
pub mod decode;
pub mod disassemble;
pub mod encode;
pub mod float;
pub mod hart;
pub mod meaning;
pub mod op;
pub mod pmp;
pub mod trap;
pub mod walk;

pub use class::Class;
pub use decode::{Illegal, decode, length};
pub use disassemble::disassemble;
pub use encode::{compress, encode};
pub use hart::{Hart, Privilege};
pub use op::{Op, Opcode};
