//! Which core runs next, and for how long: the part of a live run that a seed can vary.
//!
//! Guarantees fairness whatever the policy: a core that is ready runs after finitely many slices of others. With one
//! worker, the virtual clock and no console input, a run is a function of guest and seed.

use cantus_traces::CoreId;
use std::collections::VecDeque;
use std::fmt;

/// How slices are chosen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Policy {
    /// In turn, for about so many steps each.
    Fair {
        /// Steps of a slice, on average.
        slice: u64,
    },
    /// A random core, for a random number of steps: as often few as many.
    Random {
        /// The longest slice in steps.
        slice_max: u64,
    },
    /// Random priorities with random change points (PCT: Burckhardt et al., ASPLOS 2010): the ready core with the highest
    /// priority runs; at each of `depth - 1` random positions among the first `horizon` steps of the run it falls to the
    /// bottom. A core that runs long without rest falls, too, since guests may spin.
    Pct {
        /// The number of ordering constraints that the bug needs.
        depth: u32,
        /// About how many steps the run takes in all.
        horizon: u64,
    },
}

impl Policy {
    /// Steps of a fair slice, unless something else is asked for. A fast guest makes them in some 50 µs, in which a turn's
    /// end and beginning, about 0.5 µs, are little; a timer's interrupt comes that late to a core that is busy.
    pub const SLICE: u64 = 200_000;
}

impl fmt::Display for Policy {
    /// As the command line takes it: `fair:50000`, `random:2000`, `pct:3:100000`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fair { slice } => write!(f, "fair:{slice}"),
            Self::Random { slice_max } => write!(f, "random:{slice_max}"),
            Self::Pct { depth, horizon } => write!(f, "pct:{depth}:{horizon}"),
        }
    }
}

/// A core's unbroken turns under PCT, in steps, before it falls to the bottom.
const TURN_MAX: u64 = 20_000;

/// A small generator of pseudo-random numbers (splitmix64: Steele, Lea, Flood, OOPSLA 2014).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }
}

/// The policy at work.
pub(crate) struct Schedule {
    policy: Policy,
    random: Random,
    /// PCT: higher runs first.
    priorities: Vec<i64>,
    /// PCT: steps of the whole run at which the running core falls, descending.
    changes: Vec<u64>,
    /// PCT: the lowest priority given so far.
    bottom: i64,
    /// Steps of the whole run so far.
    steps: u64,
    /// PCT: steps of the core since it last fell.
    turns: Vec<u64>,
    /// How many more choices the policy may make.
    choices_left: u64,
}

/// The slice after the policy has made all its choices.
const SLICE_AFTERWARDS: u64 = 50_000;

impl Schedule {
    /// `choices_max` choices are made by `policy`; from then on cores run in turn.
    pub(crate) fn new(policy: Policy, seed: u64, choices_max: u64, cores: usize) -> Self {
        let mut random = Random(seed);
        let mut priorities: Vec<i64> = (1..=cores as i64).collect();
        for at in (1..cores).rev() {
            priorities.swap(at, random.below(at as u64 + 1) as usize);
        }
        let mut changes = match policy {
            Policy::Pct { depth, horizon } => (1..depth).map(|_| random.below(horizon)).collect(),
            Policy::Fair { .. } | Policy::Random { .. } => Vec::new(),
        };
        changes.sort_unstable_by(|a, b| b.cmp(a));
        Self {
            policy,
            random,
            priorities,
            changes,
            bottom: 0,
            steps: 0,
            turns: vec![0; cores],
            choices_left: choices_max,
        }
    }

    /// Takes the core that runs next, one that may run, out of `ready`, with the number of steps that it may run.
    pub(crate) fn choose(
        &mut self,
        ready: &mut VecDeque<CoreId>,
        may_run: impl Fn(CoreId) -> bool,
    ) -> Option<(CoreId, u64)> {
        let first = ready.iter().position(|&core| may_run(core))?;
        match self.choices_left.checked_sub(1) {
            Some(left) => self.choices_left = left,
            None => self.policy = Policy::Fair { slice: SLICE_AFTERWARDS },
        }
        let candidates = || (first..ready.len()).filter(|&at| may_run(ready[at]));
        match self.policy {
            Policy::Fair { slice } => {
                let core = ready.remove(first)?;
                Some((core, slice / 2 + self.random.below(slice) + 1))
            }
            Policy::Random { slice_max } => {
                let chosen = self.random.below(candidates().count() as u64) as usize;
                let chosen = candidates().nth(chosen)?;
                let core = ready.remove(chosen)?;
                let magnitude = self.random.below(u64::from(slice_max.max(2).ilog2()) + 1);
                Some((core, 1 + self.random.below(1 << magnitude)))
            }
            Policy::Pct { .. } => {
                let highest = candidates().max_by_key(|&at| self.priorities[ready[at].index()])?;
                let core = ready.remove(highest)?;
                let until_change = self.changes.last().map_or(u64::MAX, |&at| at.saturating_sub(self.steps));
                Some((core, until_change.clamp(1, TURN_MAX)))
            }
        }
    }

    /// Whether cores run in turn, in slices about as long as each other, so that nothing but the time that it takes
    /// depends on whether two of them run side by side.
    pub(crate) fn is_fair(&self) -> bool {
        matches!(self.policy, Policy::Fair { .. })
    }

    /// The core has run `steps` and is ready again, or not (`rests`).
    pub(crate) fn ran(&mut self, core: CoreId, steps: u64, rests: bool) {
        self.steps += steps;
        if let Policy::Pct { .. } = self.policy {
            let turn = &mut self.turns[core.index()];
            *turn += steps;
            let changes = self.changes.last().is_some_and(|&at| at <= self.steps);
            if changes {
                self.changes.pop();
            }
            if changes || rests || *turn >= TURN_MAX {
                *turn = 0;
                self.bottom -= 1;
                self.priorities[core.index()] = self.bottom;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_policy_lets_every_core_run() {
        let policies = [
            Policy::Fair { slice: 1000 },
            Policy::Random { slice_max: 1000 },
            Policy::Pct { depth: 3, horizon: 100_000 },
        ];
        for policy in policies {
            let mut schedule = Schedule::new(policy, 7, u64::MAX, 5);
            let mut ready: VecDeque<CoreId> = (0..5).map(CoreId).collect();
            let mut steps = [0u64; 5];
            for _ in 0..2_000 {
                let (core, slice) = schedule.choose(&mut ready, |_| true).expect("somebody is ready");
                steps[core.index()] += slice;
                schedule.ran(core, slice, false);
                ready.push_back(core);
            }
            assert!(steps.iter().all(|&steps| steps > 1_000), "{policy:?}: {steps:?}");
        }
    }
}
