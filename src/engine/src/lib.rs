//! Cores on workers: scheduler, slices, interrupts, clock, and the boundary to whoever records or replays.
//!
//! The engine runs a machine's cores on as many host threads as it is told to, and asks the outside two questions
//! through [`Boundary`]: who comes next on this granule, and what does the outside say here? It has no modes: a free run,
//! a recording and a replay are three implementations of the boundary. It guarantees that guest-visible state changes
//! only in the name of a core at a position (STATE-1). Callers may not rely on which worker runs which core.

mod awaited;
mod boundary;
mod bus;
mod clock;
mod core_state;
mod counts;
mod engine;
mod free;
mod groups;
mod lines;
mod outside;
mod port;
mod schedule;
mod scheduler;
mod shared_work;

pub use boundary::{Boundary, Next, digest_state};
pub use bus::{Bus, BusContext, Stop};
pub use clock::{Clock, ClockPolicy, Stopwatch, TICKS_PER_SECOND};
pub use core_state::{CoreStateError, read_core, write_core};
pub use counts::{Exits, Orders, Work};
pub use engine::{Configuration, Ended, Engine, Finished};
pub use free::Free;
pub use outside::{Console, Host, NoHost, Outside};
pub use schedule::Policy;
pub use shared_work::share;

use cantus_traces::CoreId;

/// How a run came to its end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// The guest ended with this status.
    Exit(u32),
    /// The guest asked for a reset.
    Reset,
    /// Every core waits for an interrupt, and nothing is left that could bring one.
    Hung,
    /// This core reached the limit of steps that the run was given.
    Limit(CoreId),
    /// The user ended the run.
    Interrupted,
    /// The guest's console said what the run was to end on.
    Matched,
    /// The recording cannot be continued (its file cannot be written).
    Failed,
    /// A replay's cores have all reached the ends of their streams.
    Replayed,
    /// A replay's cores wait for each other, and none can go on; this is one of them.
    Stuck(CoreId),
}
