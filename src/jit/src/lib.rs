//! The fast executor: what is executed often is translated to code of the host (x86-64).
//!
//! It is the interpreter with a [`Translator`](cantus_interp::Translator) behind it. Everything that translated code does
//! not do by itself the interpreter does, in the middle of a block, too; positions, traps and the validity of code are its
//! own. Translation is one pass over a block's operations, by the meanings that the interpreter executes.

#![cfg(target_arch = "x86_64")]
#![allow(clippy::useless_conversion, reason = "`dynasm!` converts what stands in its instructions")]

mod float;
mod frame;
mod memory;
mod native;
mod select;
mod translate;
mod tree;

pub use native::{Jit, Limits, Native, Statistics, jit};
