//! The seam between engine and executors, and the reference executor behind it.
//!
//! An executor is a sequential emulator of one core. It knows nothing of other cores: whatever it cannot answer from
//! the core's own state it asks its [`Port`], at an exact position.

mod block;
mod interp;
mod number;
mod reach;
mod seam;
mod step;
mod system;

pub use interp::Interp;
pub use seam::{Blocked, Core, Executor, Exit, Extent, Port, Refusal};
