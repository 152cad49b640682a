//! The seam between engine and executors, and the reference executor behind it.
//!
//! An executor is a sequential emulator of one core. It knows nothing of other cores: whatever it cannot answer from
//! the core's own state it asks its [`Port`], at an exact position. A [`Translator`] may execute blocks in the
//! interpreter's stead.

mod block;
mod counts;
mod interp;
pub mod number;
mod reach;
mod seam;
mod step;
mod system;
mod translator;

pub use block::{Block, OPS_MAX};
pub use counts::{CodeCounts, CodeExits, Counts};
pub use interp::Interp;
pub use seam::{Blocked, Core, Executor, Exit, Extent, Port, Refusal};
pub use translator::{Ended, Ran, Running, Translator, Untranslated};
