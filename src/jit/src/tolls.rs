//! What blocks of a unit take off the budget, and where: not each at its beginning, but as many as possible together.
//!
//! A block may be paid for before it begins, and what comes behind it, too. What is still paid for when a block ends, its
//! *ahead*, is the same however it was reached. So a way from one block to another costs what the other one is, with its
//! ahead, less the ahead of the first: where that is nothing, the way has no code; where it is less than nothing, the way
//! gives steps back; and only where it is more, it tests whether the budget has them. On every circle it is more somewhere,
//! for the lengths of its blocks are all that is left of the sum. Whoever leaves the unit gives its ahead back; and what
//! runs, or is a step, in a block knows its position by the block's ahead (REP-2).
//!
//! A tree of ways can always be free: it fixes each ahead by that of a neighbour. So the most used ways are made free one
//! after the other, where they are not yet tied together (Kruskal, 1956), as long as no ahead is below nothing, or large.

use crate::frame::{BUDGET_SHIFT, PAID_MAX};
use crate::hammock;
use crate::homes::Homes;
use crate::unit::{start, successors};
use cantus_interp::{Block, OPS_MAX};
use cantus_isa::riscv::class::Class;
use std::ops::{Add, Sub};

/// Steps, or blocks, that may be ahead at most. A slice that ends earlier is interpreted from where they would be paid for.
const AHEAD_MAX: i32 = PAID_MAX - OPS_MAX as i32;

/// One of so many turns leaves a loop, as far as is known.
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

    /// The one that is taken off as these bits; it has no more blocks than steps fit into a budget, and no less than none.
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

/// A way from a block to another one of the unit, or out of it, over what is skipped by most, and how often it is gone.
#[derive(Clone, Copy, Debug)]
struct Way {
    from: usize,
    to: Option<usize>,
    /// Operations in between that belong to the way.
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
}

impl Tolls {
    /// Those of a block that nothing is translated with.
    pub fn of_one(block: &Block) -> Self {
        Self { lengths: vec![block.len()], ahead: vec![Toll::default()], usual: vec![None] }
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
        Self { lengths, ahead, usual }
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
