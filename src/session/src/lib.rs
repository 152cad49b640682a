//! Record, replay, verify and diff as functions.
//!
//! This is what the command line is made of, and what a project's own regression tests use. It puts machine, executor,
//! engine and a boundary together; it decides nothing of its own.

mod diff;
mod error;
mod executed;
mod guest;
pub mod hunt;
mod machine;
mod options;
mod record;
mod replay;
mod run;
mod verify;
mod watch;

pub use cantus_engine::{ClockPolicy, Outcome, Policy};
pub use cantus_replayer::{Cause, Divergence};
pub use diff::{diff, diff_executed};
pub use error::Error;
pub use executed::Executed;
pub use guest::Guest;
pub use options::{Captured, Input, Interrupt, Options, Output};
pub use record::{Recorded, record};
pub use replay::{ReplayOptions, Replayed, Verdict, replay};
pub use run::{Ran, run};
pub use verify::{Narrowed, Verified, verify};
