//! Which blocks are translated together: those that loops go through, in one page, from one block on.
//!
//! Between the blocks of a unit code goes on without being compared (MMU-2): all of them were current when it was entered,
//! and nothing changes that but a step, after which the run ends. Where there is no loop, blocks stay on their own:
//! they would only be translated several times.

use crate::homes::{Homes, Swap};
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
}

impl Unit<'_> {
    /// The window of an operation's access, if it has one.
    pub fn window(&self, op: &Op) -> Option<usize> {
        let of = Window::of(op)?;
        self.windows.iter().position(|window| *window == of)
    }
}

/// Where a block goes on in its page: behind it, and elsewhere; distances from the page's start. A place that may be
/// found out only when it runs, or comes after what only the interpreter does, is not among them.
fn successors(block: &Block) -> [Option<i32>; 2] {
    let start = start(block);
    let next = start + block.bytes() as i32;
    let (distance, last) = block.ops().last().expect("a block is not empty");
    let to = start + distance as i32 + last.imm;
    let within = |to: i32| (0..PAGE_SIZE as i32).contains(&to).then_some(to);
    if last.code == Opcode::Jal && last.rd == 0 {
        [within(to), None]
    } else if last.code.class() == Class::Branch {
        [within(next), within(to)]
    } else if last.code.ends_block() {
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
            let [first, second] = successors(block).map(|to| to.and_then(&find));
            follows = first.or(second);
            pending.extend(first.and(second));
        }
    }
    let mut times = vec![1; blocks.len()];
    for (from, block) in blocks.iter().enumerate() {
        for to in successors(block).into_iter().flatten() {
            let Some(to) = blocks.iter().position(|block| start(block) == to).filter(|&to| to <= from) else {
                continue;
            };
            times[to..=from].iter_mut().for_each(|times| *times = TIMES_MAX.min(*times * LOOP_TIMES));
        }
    }
    if times.iter().all(|&times| times == 1) {
        return Unit { blocks: vec![head], homes: Homes::fixed(), swaps: Vec::new(), windows: Vec::new() };
    }
    let windows = windows::choose(&blocks, &times);
    let mut uses = [0; 32];
    for (block, times) in blocks.iter().zip(times) {
        for (_, op) in block.ops() {
            registers(op).into_iter().for_each(|register| uses[usize::from(register)] += times);
        }
    }
    uses[0] = 0;
    let (homes, swaps) = Homes::of_loop(&uses);
    Unit { blocks, homes, swaps, windows }
}

/// The integer registers that an operation names, 0 for none; nothing goes wrong where it names another kind.
fn registers(op: &Op) -> [u8; 3] {
    match op.code.is_floating() {
        true if op.code.is_memory() => [op.rs1, 0, 0],
        true => [0; 3],
        false => [op.rs1, op.rs2, op.rd],
    }
}
