//! Which cores wait for which others to come to a position, and which of those that are ready goes first.

use cantus_traces::CoreId;
use std::collections::VecDeque;

/// Of how many cores it is looked for who lets them go on.
const FIRST_MAX: usize = 8;

/// Those that wait, and how far the others are known to be.
pub(crate) struct Awaited {
    /// For each core those that wait for it, with the position that they wait for.
    waiters: Vec<Vec<(CoreId, u64)>>,
    /// How many that are in all.
    count: usize,
    /// How far each core is known to be; none once its part is over.
    came_to: Vec<Option<u64>>,
    /// For whom each core waits.
    awaits: Vec<Option<CoreId>>,
    /// The cores by how many steps they have before them when a run begins, most first; none where that is not known.
    longest: Vec<CoreId>,
}

impl Awaited {
    pub(crate) fn new(cores: usize) -> Self {
        Self {
            waiters: vec![Vec::new(); cores],
            count: 0,
            came_to: vec![Some(0); cores],
            awaits: vec![None; cores],
            longest: Vec::new(),
        }
    }

    /// So many steps each core has before it.
    pub(crate) fn begin(&mut self, steps: &[u64]) {
        self.longest = (0..steps.len()).map(|core| CoreId(core as u8)).collect();
        self.longest.sort_by_key(|core| std::cmp::Reverse(steps[core.index()]));
    }

    /// Where among those that are ready the core is on which most depends: the one that has the most steps before it, or
    /// for which that one waits, be it through others. For a run takes as long as its longest core, and what that waits for.
    pub(crate) fn first(&self, ready: &VecDeque<CoreId>) -> Option<usize> {
        if self.longest.is_empty() || ready.len() < 2 {
            return None;
        }
        let mut place = vec![None; self.awaits.len()];
        ready.iter().enumerate().for_each(|(at, core)| place[core.index()] = Some(at));
        let left = self.longest.iter().filter(|core| self.came_to[core.index()].is_some());
        left.take(FIRST_MAX).find_map(|&longest| {
            let chain = std::iter::successors(Some(longest), |core| self.awaits[core.index()]);
            // Those who wait for each other in a circle are not more than all.
            chain.take(self.awaits.len()).find_map(|core| place[core.index()])
        })
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
            self.awaits[core.index()] = Some(awaited);
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
        let (mut next, count, awaits) = (u64::MAX, &mut self.count, &mut self.awaits);
        self.waiters[core.index()].retain(|&(waiter, awaited)| {
            let waits = position.is_some_and(|position| position < awaited);
            if waits {
                next = next.min(awaited);
            } else {
                ready(waiter);
                awaits[waiter.index()] = None;
                *count -= 1;
            }
            waits
        });
        next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rep_1_the_longest_core_goes_first_or_who_lets_it_go_on() {
        let ready = |cores: &[u8]| cores.iter().map(|&core| CoreId(core)).collect::<VecDeque<_>>();
        let mut awaited = Awaited::new(4);
        assert_eq!(awaited.first(&ready(&[2, 0, 1])), None, "nothing is known of them");
        awaited.begin(&[10, 1000, 20, 100]);
        assert_eq!(awaited.first(&ready(&[2, 0, 1])), Some(2));
        assert_eq!(awaited.first(&ready(&[2, 0, 3])), Some(2), "core 1 runs");
        assert!(awaited.lay_aside(CoreId(1), CoreId(2), 5) && awaited.lay_aside(CoreId(2), CoreId(0), 7));
        assert_eq!(awaited.first(&ready(&[3, 0])), Some(1), "core 1 waits for 2, and that for 0");
        let mut told = Vec::new();
        assert_eq!(awaited.came_to(CoreId(0), Some(7), |core| told.push(core)), u64::MAX);
        assert_eq!((told, awaited.first(&ready(&[3, 0, 2]))), (vec![CoreId(2)], Some(2)));
        // A circle, and a core whose part is over.
        assert!(awaited.lay_aside(CoreId(2), CoreId(1), 5));
        assert_eq!(awaited.first(&ready(&[0, 3])), Some(1));
        awaited.came_to(CoreId(1), None, |_| ());
        assert_eq!(awaited.first(&ready(&[0, 2])), Some(1));
    }
}
