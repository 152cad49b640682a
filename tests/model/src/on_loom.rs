//! The protocol on loom: every interleaving, and every value that the memory model lets an atomic load return.

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

/// Runs `body` in every interleaving with at most `preemptions` switches away from a thread that could go on. Panics
/// where one fails.
pub fn check(preemptions: usize, body: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.max_branches = 20_000;
    builder.check(body);
}
