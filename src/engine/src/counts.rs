//! What cores have done, for people who ask where a run's time went. Nothing depends on it.

use cantus_interp::{Core, Counts, Executor, Exit};
use derive_more::AddAssign;

/// What was done in the name of a core, or of several.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, AddAssign)]
pub struct Work {
    /// Steps completed.
    pub steps: u64,
    /// What the executor did.
    pub counts: Counts,
    /// Why it came back.
    pub exits: Exits,
}

/// Why executors came back to the engine, how often. See [`Exit`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, AddAssign)]
pub struct Exits {
    /// The end of a slice, an event of the trace, a digest.
    pub until: u64,
    /// A safepoint was asked for.
    pub attention: u64,
    /// A grant was lacking.
    pub blocked: u64,
    /// A WFI.
    pub wait: u64,
    /// An access to a device, or a timer that was set.
    pub device: u64,
    /// A hint that the core spins.
    pub spin: u64,
}

/// What became of the order between cores.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, AddAssign)]
pub struct Orders {
    /// Grants that cores took, which they did not have; of whole pages, and of lines. A replay takes none.
    pub grants: u64,
    /// Those of them that came from another core. In a replay, the orders that cores kept to.
    pub hand_overs: u64,
    /// How often a core had to wait, or to try again, for one of these.
    pub waits: u64,
}

impl Exits {
    pub(crate) fn count(&mut self, exit: Exit) {
        *match exit {
            Exit::Until => &mut self.until,
            Exit::Attention => &mut self.attention,
            Exit::Blocked => &mut self.blocked,
            Exit::Wait => &mut self.wait,
            Exit::Device => &mut self.device,
            Exit::Yield => &mut self.spin,
        } += 1;
    }
}

impl Work {
    /// That of a core which began at a position.
    pub(crate) fn of(core: &Core, begun: u64, executor: &impl Executor, exits: Exits) -> Self {
        Self { steps: core.position - begun, counts: executor.counts(), exits }
    }
}
