//! Which blocks are translated together: those of the loops around a block, in one page.
//!
//! The innermost loop has the registers of the host and the windows that it needs; one around it is translated with it if
//! there is enough for both. A loop that the block is not in has a unit of its own.
//!
//! Between the blocks of a unit code goes on without being compared (MMU-2): all of them were current when it was entered,
//! and a step that changes that ends the run. Where there is no loop, blocks stay on their own: they would only be
//! translated several times.

use crate::hammock;
use crate::homes::{Homes, Swap};
use crate::loops::{self, PLACES_MAX, Set, has, places};
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
/// What it costs to go from one unit to another, and each register that is swapped for that, in uses of registers.
const LEAVING: u64 = 16;
const SWAPPING: u64 = 4;

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

/// Chooses what is translated together with `head`, of the blocks that `find` knows by their distance from the page's start:
/// the innermost loop around it, and those around that, as long as it gains. A block that begins in the middle of another one,
/// where a slice ended, is in no loop: nothing leads back to it.
pub(crate) fn choose<'a>(head: &'a Block, find: impl Fn(i32) -> Option<&'a Block>) -> Unit<'a> {
    let near = Near::of(head, find);
    let mut around: Vec<Set> = near.loops.iter().copied().filter(|&within| has(within, 0)).collect();
    around.sort_by_key(|&within| near.ops(within));
    let mut chosen: Option<(Set, Unit)> = None;
    for within in around {
        let set = chosen.as_ref().map_or(within, |(inner, _)| within | inner);
        if set.count_ones() as usize > UNIT_BLOCKS_MAX || near.ops(set) > UNIT_OPS_MAX {
            break;
        }
        let unit = near.unit(set);
        if let Some((inner, chosen)) = &chosen
            && near.loses(*inner, chosen, &unit)
        {
            break;
        }
        chosen = Some((set, unit));
    }
    chosen.map_or_else(|| near.alone(), |(_, unit)| unit)
}

/// The blocks that are reached from one, which is the first of them, and the loops among them.
struct Near<'a> {
    blocks: Vec<&'a Block>,
    loops: Vec<Set>,
}

impl<'a> Near<'a> {
    fn of(head: &'a Block, find: impl Fn(i32) -> Option<&'a Block>) -> Self {
        let mut blocks: Vec<&Block> = vec![head];
        let mut follows = Vec::new();
        while let Some(block) = blocks.get(follows.len()) {
            let mut next = 0;
            for to in successors(block).into_iter().flatten() {
                let known = blocks.iter().position(|block| start(block) == to);
                let place = known.or_else(|| {
                    let found = find(to).filter(|_| blocks.len() < PLACES_MAX)?;
                    blocks.push(found);
                    Some(blocks.len() - 1)
                });
                next |= place.map_or(0, |place| 1 << place);
            }
            follows.push(next);
        }
        let starts: Vec<i32> = blocks.iter().map(|block| start(block)).collect();
        let loops = loops::loops(&starts, &follows);
        Self { blocks, loops }
    }

    /// Operations of a set.
    fn ops(&self, set: Set) -> usize {
        places(set).map(|place| self.blocks[place].len()).sum()
    }

    /// How often a block is expected to be executed for once that a unit is entered.
    fn times(&self, place: usize, set: Set) -> u64 {
        TIMES_MAX.min(LOOP_TIMES.saturating_pow(loops::depth(&self.loops, place, set)))
    }

    /// The first block on its own.
    fn alone(&self) -> Unit<'a> {
        let blocks = vec![self.blocks[0]];
        let windows = windows::choose(&blocks, &[1]);
        let tolls = Tolls::of_one(self.blocks[0]);
        Unit { blocks, homes: Homes::fixed(), swaps: Vec::new(), windows, tolls }
    }

    /// A loop, in which the first block is.
    fn unit(&self, set: Set) -> Unit<'a> {
        let order = self.order(set);
        let blocks: Vec<&Block> = order.iter().map(|&place| self.blocks[place]).collect();
        let times: Vec<u64> = order.iter().map(|&place| self.times(place, set)).collect();
        let windows = windows::choose(&blocks, &times);
        let (homes, swaps) = Homes::of_loop(&self.uses(set));
        let tolls = Tolls::of(&blocks, &homes, &times);
        Unit { blocks, homes, swaps, windows, tolls }
    }

    /// In which order the code of a set's blocks lies: each is followed by one of those that come next, if it can be.
    fn order(&self, set: Set) -> Vec<usize> {
        let mut order: Vec<usize> = Vec::new();
        let mut pending = std::collections::VecDeque::from([0]);
        while let Some(place) = pending.pop_front() {
            let mut follows = Some(place).filter(|place| !order.contains(place));
            while let Some(place) = follows {
                order.push(place);
                let next = successors(self.blocks[place]);
                let [mut first, mut second] = next.map(|to| self.at(to?).filter(|&place| has(set, place)));
                // A branch that becomes moves goes on where it leads to.
                if let (Some(behind), Some(_), [_, Some(to)]) = (first, second, next)
                    && hammock::skipped(self.blocks[behind], to).is_some()
                {
                    std::mem::swap(&mut first, &mut second);
                }
                pending.extend(first.and(second));
                follows = first.or(second).filter(|place| !order.contains(place));
            }
        }
        order
    }

    /// The block at a distance from the page's start.
    fn at(&self, to: i32) -> Option<usize> {
        self.blocks.iter().position(|block| start(block) == to)
    }

    /// What it gains in a set by each integer register of the guest if that is in a register of the host.
    fn uses(&self, set: Set) -> [u64; 32] {
        let mut uses = [0; 32];
        for place in places(set) {
            let times = self.times(place, set);
            self.blocks[place].ops().for_each(|(_, op)| count(op, times, &mut uses));
        }
        uses[0] = 0;
        uses
    }

    /// Whether a loop loses more, because registers that its unit has at hand are not in that of a loop around it, than it
    /// gains by staying there.
    fn loses(&self, inner: Set, unit: &Unit, around: &Unit) -> bool {
        let uses = self.uses(inner);
        let away = |unit: &Unit| -> u64 {
            (1..32)
                .filter(|&register| unit.homes.of(register).is_none())
                .map(|at| uses[usize::from(at)])
                .sum()
        };
        away(around) > away(unit) + LEAVING + SWAPPING * unit.swaps.len() as u64
    }
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
