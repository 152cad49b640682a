//! Record, replay, verify and diff as functions.
//!
//! This is what the command line is made of, and what a project's own regression tests use. It puts machine, executor,
//! engine and a boundary together; it decides nothing of its own. Results are plain data: a guest that fails is an
//! [`Outcome`], a replay that differs a [`Verdict`], two runs that part a [`Difference`]. Only what the host or the caller
//! did wrong is an [`Error`].
//!
//! ```
//! use cantus::{Guest, Options, Outcome, Policy, ReplayOptions, Selection, Verdict};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let root = std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
//! # let traces = tempfile::tempdir()?;
//! # let traces = traces.path();
//! let guest = Guest::open(root.join("tests/guests/riscv64/elf/lost_update-broken.elf"))?;
//!
//! // With one worker, the virtual clock and no input, a run follows from its options. Vary them until one fails.
//! let mut options = Options { cores: 2, workers: 1, ..Options::default() };
//! options.policy = Policy::Random { slice_max: 200 };
//! let trace = traces.join("lost_update.cantus");
//! while cantus::record(&guest, &options, &trace, true)?.outcome == Outcome::Exit(0) {
//!     options.seed += 1;
//! }
//!
//! // From here on it fails in the same way, as often as you like, on as many threads as you like.
//! let replayed = cantus::verify(&trace, &ReplayOptions::default())?.replayed;
//! assert_eq!(replayed.verdict, Verdict::Identical);
//!
//! // Which choice of the schedule makes it fail? Two runs that differ in that one alone show where the bug begins.
//! let (passing, failing) = (traces.join("passing.cantus"), traces.join("failing.cantus"));
//! let narrowed = cantus::hunt::narrow(&guest, &options, &passing, &failing)?;
//! assert!(narrowed.is_some());
//! let difference = cantus::diff(&passing, &failing)?;
//! assert!(difference.to_string().contains("lost_update.c:"));
//!
//! // What a test keeps and compares leaves out whatever may differ between runs that are equal.
//! let events = cantus::dump(&failing, Selection { normalised: true, ..Selection::default() })?;
//! assert!(events.contains("order    after core"));
//! # Ok(())
//! # }
//! ```

mod attach;
mod board;
mod diff;
mod dump;
mod error;
mod executed;
mod executor;
mod guest;
mod host;
pub mod hunt;
mod machine;
mod moment;
mod options;
mod perf_map;
mod peripherals;
mod record;
mod replay;
mod resume;
mod run;
mod seek;
mod statistics;
mod stop_on;
mod stretch;
mod verify;
mod warnings;
mod watch;

pub use attach::Attachment;
pub use cantus_analyses::diff::Difference;
pub use cantus_analyses::dump::Selection;
pub use cantus_engine::{ClockPolicy, Exits, Orders, Outcome, Policy, Work};
pub use cantus_interp::{CodeCounts, CodeExits, Counts};
pub use cantus_replayer::{Cause, Divergence};
pub use cantus_traces::{CoreId, Footer, Position, Totals};
pub use diff::{diff, diff_executed};
pub use dump::dump;
pub use error::Error;
pub use executed::Executed;
pub use executor::Executor;
pub use guest::{Guest, GuestFile, KernelStart};
pub use moment::Moment;
pub use options::{Captured, Input, Interrupt, Keep, Keyboard, Options, Output, Printed, Typed, Typist};
pub use perf_map::PerfMap;
pub use peripherals::{Drive, Forward, Peripheral, Peripherals, Wire, network_address};
pub use record::{Recorded, record};
pub use replay::{ReplayOptions, Replayed, Verdict, replay};
pub use resume::record_from;
pub use run::{Ran, run};
pub use seek::{Span, Stand};
pub use statistics::Statistics;
pub use stop_on::StopOn;
pub use verify::{Narrowed, Verified, verify, verify_stretches};
pub use warnings::Warnings;

/// README's example compiles.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
