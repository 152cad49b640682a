//! The translator, by the tests of the interpreter: every block is translated the first time that it is executed.

#![cfg(target_arch = "x86_64")]

#[path = "../../../interp/tests/executor/assembler.rs"]
mod assembler;
#[path = "../../../interp/tests/executor/board.rs"]
mod board;
mod counts;
mod equal;
mod paid;
mod physical;
mod shared;
mod tested;

#[path = "../../../interp/tests/executor/atomics.rs"]
mod atomics;
#[path = "../../../interp/tests/executor/blocked.rs"]
mod blocked;
#[path = "../../../interp/tests/executor/code.rs"]
mod code;
#[path = "../../../interp/tests/executor/exact.rs"]
mod exact;
#[path = "../../../interp/tests/executor/floating.rs"]
mod floating;
#[path = "../../../interp/tests/executor/instructions.rs"]
mod instructions;
#[path = "../../../interp/tests/executor/interrupts.rs"]
mod interrupts;
#[path = "../../../interp/tests/executor/memory.rs"]
mod memory;
#[path = "../../../interp/tests/executor/privileged.rs"]
mod privileged;
#[path = "../../../interp/tests/executor/random.rs"]
mod random;
#[path = "../../../interp/tests/executor/translation.rs"]
mod translation;
