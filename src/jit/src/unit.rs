//! Which blocks are translated together: those that loops go through, in one page, from one block on.
//!
//! Between the blocks of a unit code goes on without being compared (MMU-2): all of them were current when it was entered,
//! and a step that changes that ends the run. Where there is no loop, blocks stay on their own: they would only be
//! translated several times.

use crate::hammock;
use crate::homes::{Homes, Swap};
use crate::tolls::Tolls;
use crate::windows::{self, Window};
use cantus_interp::Block;
use cantus_isa::address::PAGE_SIZE;
use cantus_isa::riscv::class::Class;
use cantus_isa::riscv::op::{Op, Opcode};

/// Blocks of a unit at most.
pub(crate) const UNIT_BLOCKS_MAX: usize = 16;
/// Operations of a unit at most, unless its one block has more.
pub(crate) const UNIT_OPS_MAX: usize = 160;

/// How often what is in a loop is expected to be executed for once outside of it; and loops within loops at most.
const LOOP_TIMES: u64 = 8;
const TIMES_MAX: u64 = 512;

/// Blocks of one page, in the order in which their code lies. The first one is where it is entered.
pub(crate) struct Unit<'a> {
    pub blocks: Vec<&'a Block>,
    pub homes: Homes,
    pub swaps: Vec<Swap>,
    pub windows: Vec<Window>,
    pub tolls: Tolls,
}

impl Unit<'_> {
    /// The place of the window of an operation's access, if it has one.
    pub fn window(&self, op: &Op) -> Option<usize> {
        Window::of(op).filter(|of| self.windows.contains(of)).map(Window::place)
    }
}

/// Where a block goes on in its page: behind it, and elsewhere; distances from the page's start. A place that may be
/// found out only when it runs, or comes after what only the interpreter does, is not among them.
pub(crate) fn successors(block: &Block) -> [Option<i32>; 2] {
    let start = start(block);
    let next = start + block.bytes() as i32;
    let (distance, last) = block.ops().last().expect("a block is not empty");
    let to = start + distance as i32 + last.imm;
    let within = |to: i32| (0..PAGE_SIZE as i32).contains(&to).then_some(to);
    if last.code == Opcode::Jal && last.rd == 0 {
        [within(to), None]
    } else if last.code.class() == Class::Branch {
        [within(next), within(to)]
    } else if last.code.ends_block() && last.code.class() != Class::Csr {
        [None, None]
    } else {
        [within(next), None]
    }
}

/// Distance of a block from its page's start.
pub(crate) fn start(block: &Block) -> i32 {
    block.address().offset() as i32
}

/// Chooses what is translated together with `head`, of the blocks that `find` knows by their distance from the page's start.
pub(crate) fn choose<'a>(head: &'a Block, find: impl Fn(i32) -> Option<&'a Block>) -> Unit<'a> {
    let mut blocks: Vec<&Block> = Vec::new();
    let mut pending = std::collections::VecDeque::from([head]);
    let mut ops = 0;
    while let Some(block) = pending.pop_front() {
        let mut follows = Some(block);
        while let Some(block) = follows.take() {
            let is_placed = blocks.iter().any(|placed| start(placed) == start(block));
            let fits =
                blocks.is_empty() || blocks.len() < UNIT_BLOCKS_MAX && ops + block.len() <= UNIT_OPS_MAX;
            if is_placed || !fits {
                break;
            }
            blocks.push(block);
            ops += block.len();
            let [next, to] = successors(block);
            let [mut first, mut second] = [next, to].map(|to| to.and_then(&find));
            // A branch that becomes moves goes on where it leads to.
            if let (Some(behind), Some(_), Some(to)) = (first, second, to)
                && hammock::skipped(behind, to).is_some()
            {
                std::mem::swap(&mut first, &mut second);
            }
            follows = first.or(second);
            pending.extend(first.and(second));
        }
    }
    // One that begins in the middle of another one of the loop, where a slice ended, is left as soon as that is: a copy of
    // the loop would be code like the one that there is, but colder.
    let begins_within =
        |block: &&Block| start(block) < start(head) && start(head) < start(block) + block.bytes() as i32;
    if blocks.iter().any(begins_within) {
        blocks.truncate(1);
    }
    let place = |to| blocks.iter().position(|block| start(block) == to);
    let follows: Vec<u32> = blocks
        .iter()
        .map(|block| {
            let places = successors(block).into_iter().flatten().filter_map(place);
            places.fold(0, |places, place| places | 1 << place)
        })
        .collect();
    let times = times(&follows);
    if times.iter().all(|&times| times == 1) {
        return Unit {
            blocks: vec![head],
            homes: Homes::fixed(),
            swaps: Vec::new(),
            windows: windows::choose(&[head], &[1]),
            tolls: Tolls::of_one(head),
        };
    }
    let windows = windows::choose(&blocks, &times);
    let mut uses = [0; 32];
    for (block, &times) in blocks.iter().zip(&times) {
        block.ops().for_each(|(_, op)| count(op, times, &mut uses));
    }
    uses[0] = 0;
    let (homes, swaps) = Homes::of_loop(&uses);
    let tolls = Tolls::of(&blocks, &homes, &times);
    Unit { blocks, homes, swaps, windows, tolls }
}

/// How often each block is expected to be executed for once that the first one is entered, from the sets of blocks that come
/// next: each loop that a block is in counts. A loop's head is the first of its blocks.
fn times(follows: &[u32]) -> Vec<u64> {
    let mut times = vec![1; follows.len()];
    let mut follows = follows.to_vec();
    let mut within = vec![(1u32 << follows.len()) - 1];
    while let Some(blocks) = within.pop() {
        let mut reached = follows.clone();
        reached.iter_mut().for_each(|next| *next &= blocks);
        // What can be reached, by ways through more and more blocks (Warshall, 1962).
        for through in 0..reached.len() {
            for from in 0..reached.len() {
                if reached[from] >> through & 1 != 0 {
                    reached[from] |= reached[through];
                }
            }
        }
        let mut left = blocks;
        while left != 0 {
            let head = left.trailing_zeros() as usize;
            let back = (0..reached.len()).filter(|&from| reached[from] >> head & 1 != 0);
            let all = back.fold(0, |all, from| all | 1u32 << from) & reached[head] & blocks;
            left &= !(all | 1 << head);
            if all == 0 {
                continue;
            }
            for (place, times) in times.iter_mut().enumerate().filter(|(place, _)| all >> place & 1 != 0) {
                *times = TIMES_MAX.min(*times * LOOP_TIMES);
                follows[place] &= !(1 << head);
            }
            within.push(all);
        }
    }
    times
}

/// Counts what it gains if an operation's integer registers are in registers of the host. What is written is read soon, and
/// comes late from memory; what is only read can be read from there, but for addresses.
fn count(op: &Op, times: u64, uses: &mut [u64; 32]) {
    const READ: u64 = 1;
    const ADDRESS: u64 = 2;
    const WRITTEN: u64 = 4;
    let mut add = |register: u8, gain| uses[usize::from(register)] += gain * times;
    let is_memory = op.code.is_memory();
    if is_memory {
        add(op.rs1, ADDRESS);
    }
    if op.code.is_floating() {
        return;
    }
    if !is_memory {
        add(op.rs1, READ);
    }
    add(op.rs2, READ);
    add(op.rd, WRITTEN);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_loops_within_loops_counts_more() {
        // 0 → 1 → 2 → 3, with 2 a loop, 1 to 2 a loop around it, and 3 behind.
        assert_eq!(times(&[0b10, 0b100, 0b1110, 0]), [1, 8, 64, 1]);
        // The head of a loop with two ways back counts once; the loop within begins behind it.
        assert_eq!(times(&[0b10, 0b111, 0b1]), [8, 64, 8]);
        assert_eq!(times(&[0b10, 0]), [1, 1]);
    }

    #[test]
    fn loops_within_loops_end() {
        let all = (1u32 << UNIT_BLOCKS_MAX) - 1;
        assert_eq!(times(&[all; UNIT_BLOCKS_MAX])[UNIT_BLOCKS_MAX - 1], TIMES_MAX);
    }
}
