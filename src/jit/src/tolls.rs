//! What blocks of a unit take off the budget, and where: not each at its beginning, but as many as possible together.
//!
//! A block may be paid for before it begins, with blocks that come behind it. How much is still paid for when a block
//! ends, what is *ahead* of it, is the same however it was reached. So a way from one block to another costs the length of
//! the other one and what is ahead of that, less what is ahead of the first. Where the difference is 0, the way has no code;
//! where it is below 0, the way gives steps back; only where it is above, the way tests whether the budget has them. Every
//! loop has such a way, for around it the differences add up to its length. Where the unit is left, what is ahead is given
//! back; and a step knows its position by what is ahead of its block (REP-2).
//!
//! This is a potential on the graph of blocks: ways that form no circle can all be free. So ways become free one after the
//! other, the most used ones first, if what they connect is not yet connected (a spanning tree of greatest weight: Kruskal,
//! 1956), and nothing that is ahead would be below 0 or more than [`AHEAD_MAX`] by that.

use crate::frame::{BUDGET_SHIFT, PAID_MAX};
use crate::hammock;
use crate::homes::Homes;
use crate::unit::{start, successors};
use cantus_interp::{Block, OPS_MAX};
use cantus_isa::riscv::class::Class;
use std::ops::{Add, Sub};

/// Steps, or blocks, that are ahead at most. What a slice has no room for is interpreted, from where it would be paid for on.
const AHEAD_MAX: i32 = PAID_MAX - OPS_MAX as i32;

/// A loop is expected to be left once in so many turns.
const TURNS: u64 = 8;
/// What a block's execution counts, which is divided among the ways behind it.
const WEIGHT: u64 = 2 * TURNS;

/// Steps, and blocks that are begun.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Toll {
    pub steps: i32,
    pub blocks: i32,
}

impl Toll {
    /// That of a block of so many operations.
    pub fn of(length: usize) -> Self {
        Self { steps: length as i32, blocks: 1 }
    }

    /// What is taken off a budget.
    pub fn bits(self) -> i32 {
        (self.steps << BUDGET_SHIFT) - self.blocks
    }

    /// The one that has these bits; its blocks are not below 0, and less than a step is worth.
    pub fn of_bits(bits: i32) -> Self {
        let steps = (bits + ((1 << BUDGET_SHIFT) - 1)) >> BUDGET_SHIFT;
        Self { steps, blocks: (steps << BUDGET_SHIFT) - bits }
    }

    fn with(self, other: Self, choose: impl Fn(i32, i32) -> i32) -> Self {
        Self { steps: choose(self.steps, other.steps), blocks: choose(self.blocks, other.blocks) }
    }
}

impl Add for Toll {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        self.with(other, |a, b| a + b)
    }
}

impl Sub for Toll {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        self.with(other, |a, b| a - b)
    }
}

/// A way from a block to another one of the unit, or out of it, and how often it is taken.
#[derive(Clone, Copy, Debug)]
struct Way {
    from: usize,
    to: Option<usize>,
    /// Operations in between that may be executed on it: those that a branch skips that has become moves.
    over: usize,
    weight: u64,
}

/// What the blocks of a unit pay.
pub(crate) struct Tolls {
    lengths: Vec<usize>,
    /// For each block what is ahead when it ends.
    ahead: Vec<Toll>,
    /// Where most go on behind each block, if that is in the unit.
    usual: Vec<Option<usize>>,
    /// What is paid in front of each block's code by most of those to whom the way there is not free.
    front: Vec<Toll>,
}

impl Tolls {
    /// Those of a block that nothing is translated with.
    pub fn of_one(block: &Block) -> Self {
        Self::choose(vec![block.len()], &[])
    }

    /// Chooses those of blocks, of which each is executed so many times.
    pub fn of(blocks: &[&Block], homes: &Homes, times: &[u64]) -> Self {
        Self::choose(blocks.iter().map(|block| block.len()).collect(), &ways(blocks, homes, times))
    }

    fn choose(lengths: Vec<usize>, ways: &[Way]) -> Self {
        let mut usual = vec![None; lengths.len()];
        for (from, usual) in usual.iter_mut().enumerate() {
            let ways = ways.iter().filter(|way| way.from == from);
            *usual = ways.max_by_key(|way| way.weight).and_then(|way| way.to);
        }
        let ahead = ahead(&lengths, ways);
        let front = vec![Toll::default(); lengths.len()];
        let mut tolls = Self { lengths, ahead, usual, front };
        tolls.front = (0..tolls.front.len()).map(|place| tolls.most_paid(place, ways)).collect();
        tolls
    }

    /// What those pay who come to a block from the code in front of it; where none do, what most others do.
    fn most_paid(&self, place: usize, ways: &[Way]) -> Toll {
        if place == 0 {
            return self.paid(0);
        }
        let mut paid: Vec<(Toll, u64)> = Vec::new();
        for &Way { from, over, weight, .. } in ways.iter().filter(|way| way.to == Some(place)) {
            let toll = self.between(from, place);
            if from + 1 == place {
                // Who might skip something has paid before.
                return if over == 0 { toll } else { Toll::default() };
            }
            match paid.iter_mut().find(|(other, _)| *other == toll) {
                Some((_, sum)) => *sum += weight,
                None if toll == Toll::default() => {}
                None => paid.push((toll, weight)),
            }
        }
        paid.into_iter().max_by_key(|&(_, sum)| sum).map_or_else(Toll::default, |(toll, _)| toll)
    }

    /// What is paid for when the block at this place begins: itself, and what is ahead.
    pub fn paid(&self, place: usize) -> Toll {
        Toll::of(self.lengths[place]) + self.ahead[place]
    }

    /// What is still paid for when the block at this place ends.
    pub fn ahead(&self, place: usize) -> Toll {
        self.ahead[place]
    }

    /// What the way between two blocks costs; it may be less than nothing.
    pub fn between(&self, from: usize, to: usize) -> Toll {
        self.paid(to) - self.ahead[from]
    }

    /// What is paid in front of the code of the block at this place.
    pub fn front(&self, place: usize) -> Toll {
        self.front[place]
    }

    /// Whether most go on at `to` behind `from`.
    pub fn is_usual(&self, from: usize, to: usize) -> bool {
        self.usual[from] == Some(to)
    }
}

/// The ways behind blocks, of which each is executed so many times.
fn ways(blocks: &[&Block], homes: &Homes, times: &[u64]) -> Vec<Way> {
    let place = |to: i32| blocks.iter().position(|block| start(block) == to);
    let mut ways = Vec::new();
    for (from, block) in blocks.iter().enumerate() {
        let [next, to] = successors(block).map(|to| to.and_then(place));
        let is_branch = block.ops().last().is_some_and(|(_, op)| op.code.class() == Class::Branch);
        let over = match (next, to) {
            (Some(next), Some(to)) if is_branch => hammock::over(blocks[next], blocks[to], homes),
            (_, _) => None,
        };
        let all: &[_] = match over {
            Some(_) => &[to],
            None if is_branch => &[next, to],
            None => &[next.or(to)],
        };
        let stays = |to: Option<usize>| match to {
            Some(to) => times[to] >= times[from],
            None => times[from] == 1,
        };
        let (staying, total) = (all.iter().filter(|&&to| stays(to)).count() as u64, WEIGHT * times[from]);
        let leaving = all.len() as u64 - staying;
        ways.extend(all.iter().map(|&to| {
            let weight = match (stays(to), staying, leaving) {
                (_, 0, all) | (_, all, 0) => total / all,
                (true, staying, leaving) => (total - leaving * (total / TURNS)) / staying,
                (false, ..) => total / TURNS,
            };
            Way { from, to, over: over.map_or(0, |(count, _)| count), weight }
        }));
    }
    ways
}

/// What is ahead at the end of each of the blocks that have these lengths, so that most of these ways are free.
fn ahead(lengths: &[usize], ways: &[Way]) -> Vec<Toll> {
    // Outside, which comes last, nothing is ahead.
    let outside = lengths.len();
    let mut ahead = vec![Toll::default(); outside + 1];
    // What is tied together has the same name, and differs by what it should.
    let mut tied: Vec<usize> = (0..=outside).collect();
    let mut ways = ways.to_vec();
    ways.sort_by_key(|way| u64::MAX - way.weight);
    for Way { from, to, over, .. } in ways {
        let free = match to {
            Some(to) => {
                let over = if over == 0 { Toll::default() } else { Toll::of(over) };
                over + Toll::of(lengths[to]) + ahead[to]
            }
            None => ahead[outside],
        };
        let (with, to) = (tied[from], tied[to.unwrap_or(outside)]);
        if with == to {
            continue;
        }
        let shift = free - ahead[from];
        let mut moved = ahead.clone();
        let mut members = Vec::new();
        for place in 0..=outside {
            if tied[place] == with {
                moved[place] = moved[place] + shift;
            }
            if tied[place] == with || tied[place] == to {
                members.push(place);
            }
        }
        let low = if members.contains(&outside) { moved[outside] } else { lowest(&moved, &members) };
        let fits = |&place: &usize| {
            let Toll { steps, blocks } = moved[place] - low;
            (0..=AHEAD_MAX).contains(&steps) && (0..=AHEAD_MAX).contains(&blocks)
        };
        if members.iter().all(fits) {
            members.iter().for_each(|&place| (ahead[place], tied[place]) = (moved[place] - low, to));
        }
    }
    ahead.pop();
    ahead
}

/// The least steps and the least blocks that are ahead at these places.
fn lowest(ahead: &[Toll], places: &[usize]) -> Toll {
    let all = places.iter().map(|&place| ahead[place]);
    all.reduce(|a, b| a.with(b, i32::min)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers that follow from a seed (Knuth's MMIX generator).
    struct Numbers(u64);

    impl Numbers {
        fn below(&mut self, end: usize) -> usize {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (self.0 >> 33) as usize % end
        }
    }

    fn way(from: usize, to: usize, weight: u64) -> Way {
        Way { from, to: Some(to), over: 0, weight }
    }

    fn out(from: usize, weight: u64) -> Way {
        Way { from, to: None, over: 0, weight }
    }

    #[test]
    fn what_is_paid_is_what_is_executed() {
        for seed in 0..2000 {
            let mut numbers = Numbers(seed);
            let lengths: Vec<usize> = (0..1 + numbers.below(16)).map(|_| 1 + numbers.below(64)).collect();
            let mut ways = Vec::new();
            for from in 0..lengths.len() {
                for _ in 0..1 + numbers.below(2) {
                    let to = Some(numbers.below(lengths.len() + 1)).filter(|&to| to < lengths.len());
                    let over = if to.is_some() && numbers.below(4) == 0 { 1 + numbers.below(4) } else { 0 };
                    ways.push(Way { from, to, over, weight: numbers.below(100) as u64 });
                }
            }
            let tolls = Tolls::choose(lengths.clone(), &ways);
            let (mut place, mut paid, mut executed) = (0, tolls.paid(0), Toll::default());
            // Since something was paid last.
            let mut free = 0;
            for _ in 0..1000 {
                assert_eq!(paid - executed, tolls.paid(place), "seed {seed}: before block {place}");
                executed = executed + Toll::of(lengths[place]);
                let ahead = tolls.ahead(place);
                assert_eq!(paid - executed, ahead, "seed {seed}: behind block {place}");
                assert!((0..=AHEAD_MAX).contains(&ahead.steps) && (0..=AHEAD_MAX).contains(&ahead.blocks));
                let behind: Vec<_> = ways.iter().filter(|way| way.from == place).collect();
                let &Way { to, over, .. } = behind[numbers.below(behind.len())];
                let Some(to) = to else {
                    assert_eq!(paid - tolls.ahead(place), executed, "seed {seed}: outside of the unit");
                    (place, paid, executed, free) = (0, tolls.paid(0), Toll::default(), 0);
                    continue;
                };
                let cost = tolls.between(place, to);
                paid = paid + cost;
                if over != 0 && numbers.below(2) == 0 {
                    // It is paid for, and not given back.
                    (paid, executed) = (paid + Toll::of(over), executed + Toll::of(over));
                }
                free = if cost.steps > 0 { 0 } else { free + 1 };
                assert!(free < lengths.len(), "seed {seed}: a circle of blocks that nobody pays for");
                place = to;
            }
        }
    }

    #[test]
    fn bits_say_what_is_taken_off() {
        for steps in [0, 1, AHEAD_MAX, PAID_MAX] {
            for blocks in [0, 1, PAID_MAX] {
                let toll = Toll { steps, blocks };
                assert_eq!(Toll::of_bits(toll.bits()), toll);
            }
        }
        assert_eq!(Toll::of(5).bits(), (5 << BUDGET_SHIFT) - 1);
    }

    /// The ways that cost something, with what they do.
    fn costs(lengths: &[usize], ways: &[Way]) -> Vec<(usize, Option<usize>, i32)> {
        let tolls = Tolls::choose(lengths.to_vec(), ways);
        let cost = |way: &Way| match way.to {
            Some(to) => tolls.between(way.from, to).steps,
            None => -tolls.ahead(way.from).steps,
        };
        ways.iter().map(|way| (way.from, way.to, cost(way))).filter(|&(.., cost)| cost != 0).collect()
    }

    #[test]
    fn a_turn_of_a_loop_pays_once() {
        let turn = [way(0, 1, 90), way(1, 2, 80), out(1, 10), way(2, 0, 70), out(2, 10)];
        // The way that is gone least pays, and those who leave the loop early have the rest back.
        assert_eq!(costs(&[3, 4, 5], &turn), [(1, None, -5), (2, Some(0), 12)]);
        // Two ways that are as long as each other.
        let both = [way(0, 1, 50), way(0, 2, 50), way(1, 3, 50), way(2, 3, 50), way(3, 0, 30), out(3, 2)];
        assert_eq!(costs(&[3, 4, 4, 5], &both), [(3, Some(0), 12)]);
        // One of them is longer.
        assert_eq!(costs(&[3, 4, 6, 5], &both), [(2, Some(3), 2), (3, Some(0), 12)]);
    }

    #[test]
    fn so_much_is_ahead_and_no_more() {
        let ways: Vec<_> = (0..7).map(|from| way(from, from + 1, 10)).chain([out(7, 10)]).collect();
        let tolls = Tolls::choose(vec![20; 8], &ways);
        assert!((0..8).all(|place| tolls.paid(place).steps <= PAID_MAX));
        assert!(costs(&[20; 8], &ways).len() < 3, "{:?}", costs(&[20; 8], &ways));
    }
}
