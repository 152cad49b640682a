//! Windows: the pages that registers were last seen to point into.
//!
//! An access whose register moves slowly, up or down an array, or not at all, finds almost always the page of the time
//! before. So registers have *windows* in the frame, a place for loads and one for stores each: the tag and the addend of
//! the fast entry that the last such access found. An access compares its page with that; only if it is another one it
//! looks among the fast entries, and fills the window with what it finds. Which accesses do so a unit decides; what a
//! window holds is true for all code, for it is a fast entry of now: those vanish only at safepoints, where code is left,
//! and in steps of the core itself. So windows are empty when code is entered, and after every step (ORD-1). Where addresses
//! are physical (`Regime`), no addend is needed, and none is kept: that does not change before code is left.
//!
//! A register that is loaded or computed anew before each access has none: a comparison that fails costs a misprediction.

use cantus_interp::Block;
use cantus_isa::riscv::class::Class;
use cantus_isa::riscv::op::{Op, Opcode};

/// Places for windows: registers share them, for loads and for stores apart.
pub(crate) const WINDOWS: usize = 2 * PLACES;
const PLACES: usize = 16;
/// The stack pointer, which moves slowly everywhere.
const STACK: u8 = 2;
/// How many times as often as its register jumps a window is used at least.
const USES_MIN: u64 = 2;
/// By how many bits an index is shifted at most to become a distance.
const SCALE_MAX: i32 = 4;

/// The pages of the accesses from a register.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Window {
    base: u8,
    stores: bool,
}

impl Window {
    /// Its place among all.
    pub fn place(self) -> usize {
        usize::from(self.base) % PLACES + if self.stores { PLACES } else { 0 }
    }

    /// That of an operation, if it loads or stores.
    pub fn of(op: &Op) -> Option<Self> {
        let is_plain = matches!(op.code.class(), Class::Load(_) | Class::Store(_));
        is_plain.then(|| Self { base: op.rs1, stores: op.code.writes_memory() })
    }
}

/// Chooses the windows of blocks, of which each is executed so many times.
pub(crate) fn choose(blocks: &[&Block], times: &[u64]) -> Vec<Window> {
    let mut ops = Vec::new();
    for (block, &times) in blocks.iter().zip(times) {
        ops.extend(block.ops().map(|(_, op)| (op, times)));
    }
    of(&ops)
}

/// The windows of operations, of which each is executed so many times; the most used ones first.
fn of(ops: &[(&Op, u64)]) -> Vec<Window> {
    let jumps = jumps(ops);
    let mut uses: Vec<(Window, u64)> = Vec::new();
    for &(op, times) in ops {
        // What is executed once says nothing of where its register will be the next time.
        let Some(window) =
            Window::of(op).filter(|window| window.base == STACK || window.base != 0 && times > 1)
        else {
            continue;
        };
        match uses.iter_mut().find(|(other, _)| *other == window) {
            Some((_, uses)) => *uses += times,
            None => uses.push((window, times)),
        }
    }
    uses.retain(|&(Window { base, .. }, uses)| base == STACK || uses >= USES_MIN * jumps[usize::from(base)]);
    uses.sort_by_key(|&(_, uses)| u64::MAX - uses);
    let mut windows: Vec<Window> = Vec::new();
    for (window, _) in uses {
        if windows.iter().all(|other| other.place() != window.place()) {
            windows.push(window);
        }
    }
    windows
}

#[allow(clippy::wildcard_enum_match_arm, reason = "those before are the ones that are known to be slow")]
/// How often each register gets a value that is far from the one before, as far as can be told.
fn jumps(ops: &[(&Op, u64)]) -> [u64; 32] {
    let mut jumps = [0; 32];
    // What is made of slow registers is slow. Registers that are copied to each other in a circle move no faster for it:
    // copies are followed once.
    for copies in [false, true] {
        let before = jumps;
        for &(op, times) in ops {
            let from = |register: u8| if copies { times.min(before[usize::from(register)]) } else { 0 };
            // What floating point or a store names there does no harm.
            jumps[usize::from(op.rd)] += match op.code {
                Opcode::Lui | Opcode::Auipc => 0,
                Opcode::Addi if op.rs1 == op.rd => 0,
                Opcode::Addi => from(op.rs1),
                Opcode::Slli if op.imm <= SCALE_MAX => from(op.rs1),
                Opcode::Add | Opcode::Sub => from(op.rs1) + from(op.rs2),
                code if code.is_floating() || matches!(code.class(), Class::Store(_) | Class::Branch) => 0,
                _ if copies => 0,
                _ => times,
            };
        }
        jumps[0] = 0;
    }
    jumps
}

#[cfg(test)]
mod tests {
    use super::*;

    fn op(code: Opcode, rd: u8, rs1: u8, rs2: u8, imm: i32) -> Op {
        Op { rd, rs1, rs2, imm, ..Op::of(code) }
    }

    /// The registers that have windows, where all of this is executed so many times.
    fn bases(ops: &[Op], times: u64) -> Vec<u8> {
        of(&ops.iter().map(|op| (op, times)).collect::<Vec<_>>())
            .into_iter()
            .map(|window| window.base)
            .collect()
    }

    #[test]
    fn registers_that_walk_have_windows() {
        let load = |base| op(Opcode::Ld, 5, base, 0, 0);
        let walk = op(Opcode::Addi, 10, 10, 0, 8);
        assert_eq!(bases(&[load(10), walk], 8), [10]);
        assert_eq!(bases(&[load(10), walk], 1), [0; 0], "only where there is a loop");
        assert_eq!(bases(&[load(STACK)], 1), [STACK]);
        let next = op(Opcode::Ld, 10, 10, 0, 8);
        assert_eq!(bases(&[next], 8), [0; 0], "a list of which nothing else is read");
        assert_eq!(
            bases(&[load(10), next], 8),
            [10],
            "a list with a value in each node: every second access hits"
        );
        // An index that counts, and one that comes from a hash.
        let scaled = [op(Opcode::Slli, 11, 12, 0, 3), op(Opcode::Add, 11, 11, 13, 0), load(11)];
        assert_eq!(bases(&[&[op(Opcode::Addi, 12, 12, 0, 1)], &scaled[..]].concat(), 8), [11]);
        assert_eq!(bases(&[&[op(Opcode::Mul, 12, 12, 14, 0)], &scaled[..]].concat(), 8), [0; 0]);
        // In a circle.
        assert_eq!(
            bases(&[load(10), op(Opcode::Addi, 11, 10, 0, 8), op(Opcode::Addi, 10, 11, 0, 0)], 8),
            [10]
        );
    }

    #[test]
    fn no_two_windows_have_the_same_place() {
        let [first, second] = [op(Opcode::Ld, 5, 10, 0, 0), op(Opcode::Ld, 5, 10 + PLACES as u8, 0, 0)];
        assert_eq!(bases(&[first, second, second], 8), [second.rs1]);
        let store = op(Opcode::Sd, 0, second.rs1, 5, 0);
        assert_eq!(bases(&[first, first, store], 8), [10, second.rs1]);
        assert!(of(&[(&first, 8), (&store, 8)]).iter().all(|window| window.place() < WINDOWS));
    }
}
