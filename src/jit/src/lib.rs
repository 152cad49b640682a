//! The fast executor: what is executed often is translated to code of the host (x86-64).
//!
//! It is the interpreter with a [`Translator`](cantus_interp::Translator) behind it. Everything that translated code does
//! not do by itself the interpreter does, in the middle of a block, too; positions, traps and the validity of code are its
//! own. Translation is one pass over a block's operations, by the meanings that the interpreter executes.

#![allow(clippy::useless_conversion, reason = "`dynasm!` converts what stands in its instructions")]

mod limits;
mod listener;

#[cfg(target_arch = "x86_64")]
mod access;
#[cfg(target_arch = "x86_64")]
mod atomic;
#[cfg(target_arch = "x86_64")]
mod cache;
#[cfg(target_arch = "x86_64")]
mod csr;
#[cfg(not(target_arch = "x86_64"))]
mod elsewhere;
#[cfg(target_arch = "x86_64")]
mod float;
#[cfg(target_arch = "x86_64")]
mod fold;
#[cfg(target_arch = "x86_64")]
mod frame;
#[cfg(target_arch = "x86_64")]
mod hammock;
#[cfg(target_arch = "x86_64")]
mod homes;
#[cfg(target_arch = "x86_64")]
mod idioms;
#[cfg(target_arch = "x86_64")]
mod known;
#[cfg(target_arch = "x86_64")]
mod landing;
#[cfg(target_arch = "x86_64")]
mod loops;
#[cfg(target_arch = "x86_64")]
mod memory;
#[cfg(target_arch = "x86_64")]
mod native;
#[cfg(target_arch = "x86_64")]
mod rounding;
#[cfg(target_arch = "x86_64")]
mod select;
#[cfg(target_arch = "x86_64")]
mod short;
#[cfg(target_arch = "x86_64")]
mod steps;
#[cfg(target_arch = "x86_64")]
mod tolls;
#[cfg(target_arch = "x86_64")]
mod translate;
#[cfg(target_arch = "x86_64")]
mod tree;
#[cfg(target_arch = "x86_64")]
mod unaligned;
#[cfg(target_arch = "x86_64")]
mod unit;
#[cfg(target_arch = "x86_64")]
mod ways;
#[cfg(target_arch = "x86_64")]
mod windows;

#[cfg(not(target_arch = "x86_64"))]
pub use elsewhere::{Jit, Shared, jit};
pub use limits::{CODE_BYTES, Limits};
pub use listener::{Block, Listener, Listening};
#[cfg(target_arch = "x86_64")]
pub use native::{Jit, Native, Shared, jit};
