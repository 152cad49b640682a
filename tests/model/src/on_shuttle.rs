//! The protocol on shuttle: many random interleavings, sequentially consistent.

pub mod sync;

#[path = "../../../src/transactions/src/core_set.rs"]
#[allow(dead_code, reason = "the protocol's own")]
mod core_set;
#[path = "discipline.rs"]
mod discipline;
#[path = "../../../src/transactions/src/granule_state.rs"]
mod granule_state;
#[path = "../../../src/transactions/src/ownership.rs"]
#[allow(dead_code, reason = "the protocol's own")]
mod ownership;
#[path = "../../../src/transactions/src/safepoint.rs"]
#[allow(dead_code, reason = "the protocol's own")]
mod safepoint;

use core_set::CoreSet;
pub use discipline::play;
use ownership::{Edge, Ownership, Revoked};
use safepoint::Safepoints;

use shuttle::scheduler::{PctScheduler, RandomScheduler};
use shuttle::{Config, MaxSteps, Runner};

/// How shuttle chooses interleavings.
#[derive(Clone, Copy, Debug)]
pub enum Choice {
    /// Any thread that is ready, at every point.
    Random,
    /// Random priorities with so many random change points.
    Pct(usize),
}

/// Runs `body` in so many interleavings, the same ones for the same seed. Panics where one fails, or takes so many steps
/// that it does not seem to end.
pub fn check(choice: Choice, seed: u64, interleavings: usize, body: impl Fn() + Sync + Send + 'static) {
    let mut config = Config::new();
    config.max_steps = MaxSteps::FailAfter(50_000);
    match choice {
        Choice::Random => {
            Runner::new(RandomScheduler::new_from_seed(seed, interleavings), config).run(body);
        }
        Choice::Pct(depth) => {
            Runner::new(PctScheduler::new_from_seed(seed, depth, interleavings), config).run(body);
        }
    }
}
