//! The devices of the board, one folder each.
//!
//! A device is a deterministic function of the accesses, the input and the clock answers that it gets (STATE-1 to
//! STATE-3): it has no thread, no host clock and no random numbers, and it touches guest memory only inside of an
//! access, in the name of the core that made it. It does not know where on the board it lies, who else accesses it, or
//! in which order: that is the board's work.
//!
//! Every folder has the same files: `mod.rs` the device, `registers.rs` what the manual says of its registers,
//! `tests.rs` tables of accesses and a hail of random ones.

mod device;
pub mod lines;
mod state;

pub mod clint;
pub mod finisher;
pub mod htif;
pub mod plic;
pub mod rtc;
pub mod uart;
pub mod virtio;

#[cfg(test)]
mod testing;

pub use device::{Blocked, Device, Outcome, Outside, PAGE_BYTES, Refusal};
pub use state::{StateError, StateReader};
