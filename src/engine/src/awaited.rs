//! Which cores wait for which others to come to a position.

use cantus_traces::CoreId;

/// Those that wait, and how far the others are known to be.
pub(crate) struct Awaited {
    /// For each core those that wait for it, with the position that they wait for.
    waiters: Vec<Vec<(CoreId, u64)>>,
    /// How many that are in all.
    count: usize,
    /// How far each core is known to be; none once its part is over.
    came_to: Vec<Option<u64>>,
}

impl Awaited {
    pub(crate) fn new(cores: usize) -> Self {
        Self { waiters: vec![Vec::new(); cores], count: 0, came_to: vec![Some(0); cores] }
    }

    /// Whether no core waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// One of those that wait, if there are any.
    pub(crate) fn any(&self) -> Option<CoreId> {
        self.waiters.iter().flatten().next().map(|&(core, _)| core)
    }

    /// `core` waits for `awaited` to come to a position. False where that has happened, or never will: there is nothing to
    /// wait for.
    pub(crate) fn lay_aside(&mut self, core: CoreId, awaited: CoreId, position: u64) -> bool {
        let Some(Some(came_to)) = self.came_to.get(awaited.index()) else { return false };
        let waits = *came_to < position;
        if waits {
            self.waiters[awaited.index()].push((core, position));
            self.count += 1;
        }
        waits
    }

    /// `core` has come to a position, or its part is over: tells `ready` of each that has waited for that. Gives the first
    /// position that others still wait for; all ones is none.
    pub(crate) fn came_to(
        &mut self,
        core: CoreId,
        position: Option<u64>,
        mut ready: impl FnMut(CoreId),
    ) -> u64 {
        self.came_to[core.index()] = position;
        let (mut next, count) = (u64::MAX, &mut self.count);
        self.waiters[core.index()].retain(|&(waiter, awaited)| {
            let waits = position.is_some_and(|position| position < awaited);
            if waits {
                next = next.min(awaited);
            } else {
                ready(waiter);
                *count -= 1;
            }
            waits
        });
        next
    }
}
