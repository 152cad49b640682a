//! Accesses of one block that are checked together: those from the same register, unchanged, at offsets that lie close to
//! each other, as in stack frames and structures.
//!
//! The first of them, the *leader*, looks for the fast entry of a page in which all of them lie, and keeps in the frame
//! what that entry adds to addresses; the others use it without another look. Where they do not all lie in the page, or
//! are not aligned, or there is no such entry, 0 is kept, and each of them looks for its own. A fast entry vanishes only at
//! a safepoint, which no block has in its middle, or in a step of the core itself; after any step 0 is kept (ORD-1).
//!
//! Where nothing but accesses of the group and what cannot be a step follows the leader, as where registers are saved and
//! restored, those accesses need not even look whether something is kept: if the leader does not find an entry for all of
//! them, other code of the same operations is executed, out of line, in which each looks for its own.

use cantus_isa::Width;
use cantus_isa::riscv::class::Class;
use cantus_isa::riscv::op::{Op, Opcode};

/// Groups of a block at most: what the frame has room for.
pub(crate) const GROUPS_MAX: usize = 4;
/// A group has so many accesses at least: fewer are not worth the leader's longer check, unless that covers them.
const ACCESSES_MIN: usize = 3;
const COVERED_MIN: usize = 2;
/// Bytes from a group's first to its end at most.
const SPAN_MAX: i32 = 512;

/// Accesses that are checked together.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Group {
    /// Which of the block's groups it is, of those that something is kept of.
    pub number: usize,
    /// The offsets of its first byte and of its end from the register.
    pub low: i32,
    pub end: i32,
    /// How its lowest access must be aligned, so that all are.
    pub widest: Width,
}

/// What an access is in its group.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Part {
    Leader(Group),
    Follower(Group),
    /// One that covers the accesses behind it.
    Covering(Group, Covered),
    /// One that is covered.
    Covered,
}

/// What a leader covers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Covered {
    /// The last one of its operations: the place in the block.
    pub last: usize,
    /// Whether there are followers that it does not cover.
    pub leaves: bool,
}

/// A group that may still grow.
struct Open {
    base: u8,
    stores: bool,
    accesses: Vec<(usize, i32, Width)>,
}

impl Open {
    fn range(&self) -> (i32, i32) {
        let low = self.accesses.iter().map(|&(_, offset, _)| offset).min().unwrap_or(0);
        let ends = self.accesses.iter().map(|&(_, offset, width)| offset + width.bytes() as i32);
        (low, ends.max().unwrap_or(0))
    }

    /// Whether its accesses lie close to each other, and are aligned if the lowest one is as the widest must be.
    fn is_good(&self) -> bool {
        let (low, end) = self.range();
        let fits = |&(_, offset, width): &(usize, i32, Width)| (offset - low) % width.bytes() as i32 == 0;
        end - low <= SPAN_MAX && self.accesses.iter().all(fits)
    }

    /// How many accesses behind the first one nothing can come before that is a step.
    fn covered(&self, ops: &[&Op]) -> usize {
        let is_within = |pair: &&[(usize, i32, Width)]| {
            let between = &ops[pair[0].0 + 1..pair[1].0];
            // What ends a block is a step of its own kind.
            pair[1].0 + 1 < ops.len() && between.iter().all(|op| is_simple(op))
        };
        let is_integer = |at: usize| !ops[at].code.is_floating();
        let pairs =
            self.accesses.windows(2).take_while(|pair| is_integer(pair[0].0) && is_integer(pair[1].0));
        pairs.take_while(is_within).count()
    }

    fn close(self, ops: &[&Op], parts: &mut [Option<Part>], groups: &mut usize) {
        let (count, covered) = (self.accesses.len(), self.covered(ops));
        let is_worth = count >= ACCESSES_MIN || count >= COVERED_MIN && covered + 1 == count;
        // What a leader covers needs no place in the frame.
        let leaves = covered + 1 < count;
        if !is_worth || leaves && *groups == GROUPS_MAX {
            return;
        }
        let (low, end) = self.range();
        let widest = self.accesses.iter().map(|&(_, _, width)| width).max_by_key(|width| width.bytes());
        let group = Group { number: *groups, low, end, widest: widest.unwrap_or(Width::Byte) };
        *groups += usize::from(leaves);
        for (place, &(index, ..)) in self.accesses.iter().enumerate() {
            parts[index] = Some(match place {
                0 if covered == 0 => Part::Leader(group),
                0 => {
                    let last = self.accesses[covered].0;
                    Part::Covering(group, Covered { last, leaves })
                }
                _ if place <= covered => Part::Covered,
                _ => Part::Follower(group),
            });
        }
    }
}

/// Whether an operation is never a step, and needs little room.
fn is_simple(op: &Op) -> bool {
    matches!(op.code, Opcode::Addi | Opcode::Addiw | Opcode::Add | Opcode::Lui)
}

/// For each operation of a block, which are all that it has, what it is in its group, if it is in one; and how many groups there are.
pub(crate) fn fold(ops: &[&Op]) -> (Vec<Option<Part>>, usize) {
    let mut parts = vec![None; ops.len()];
    let mut groups = 0;
    let mut open: Vec<Open> = Vec::new();
    for (index, op) in ops.iter().enumerate() {
        let class = op.code.class();
        let stores = matches!(class, Class::Store(_));
        let width = if let Class::Load(width) | Class::Store(width) = class { Some(width) } else { None };
        if let Some(width) = width.filter(|_| op.rs1 != 0) {
            let access = (index, op.imm, width);
            let place = open.iter().position(|open| open.base == op.rs1 && open.stores == stores);
            let place = place.unwrap_or_else(|| {
                open.push(Open { base: op.rs1, stores, accesses: Vec::new() });
                open.len() - 1
            });
            open[place].accesses.push(access);
            if !open[place].is_good() {
                open[place].accesses.pop();
                let full = std::mem::replace(
                    &mut open[place],
                    Open { base: op.rs1, stores, accesses: vec![access] },
                );
                full.close(ops, &mut parts, &mut groups);
            }
        }
        // Where it is a floating-point register that is written, this is more careful than it need be.
        while let Some(changed) = open.iter().position(|open| open.base == op.rd) {
            open.swap_remove(changed).close(ops, &mut parts, &mut groups);
        }
    }
    open.into_iter().for_each(|open| open.close(ops, &mut parts, &mut groups));
    (parts, groups)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn op(code: Opcode, rd: u8, rs1: u8, rs2: u8, imm: i32) -> Op {
        Op { rd, rs1, rs2, imm, ..Op::of(code) }
    }

    const END: Op = op(Opcode::Jal, 0, 0, 0, 8);

    /// What each operation of a block is: leader, follower, covering, covered, or nothing of that.
    fn parts(ops: &[Op]) -> String {
        let (parts, _) = fold(&ops.iter().collect::<Vec<_>>());
        let letter = |part: Option<Part>| match part {
            None => '.',
            Some(Part::Leader(_)) => 'L',
            Some(Part::Follower(_)) => 'F',
            Some(Part::Covering(..)) => 'C',
            Some(Part::Covered) => 'c',
        };
        parts.into_iter().map(letter).collect()
    }

    #[test]
    fn what_nothing_can_come_before_is_covered() {
        let save = |imm| op(Opcode::Sd, 0, 2, 9, imm);
        let simple = op(Opcode::Addi, 11, 10, 0, 1);
        let other = op(Opcode::Ld, 11, 12, 0, 0);
        let divide = op(Opcode::Div, 11, 11, 12, 0);
        assert_eq!(parts(&[save(0), save(8), END]), "Cc.");
        assert_eq!(parts(&[save(0), simple, save(8), simple, END]), "C.c..");
        assert_eq!(parts(&[save(0), save(8), divide, save(16), END]), "Cc.F.");
        assert_eq!(parts(&[save(0), divide, save(8), save(16), END]), "L.FF.");
        assert_eq!(parts(&[save(0), other, save(8), END]), "....");
        // What ends a block is not covered.
        assert_eq!(parts(&[save(0), save(8)]), "..");
        assert_eq!(parts(&[save(0), save(8), save(16)]), "CcF");
        // The register changes.
        let pop = op(Opcode::Ld, 2, 2, 0, 8);
        let restore = op(Opcode::Ld, 9, 2, 0, 0);
        assert_eq!(parts(&[restore, pop, restore, END]), "Cc..");
        let float = op(Opcode::Fld, 9, 2, 0, 8);
        assert_eq!(parts(&[restore, float, restore, END]), "LFF.");
    }

    #[test]
    fn groups_lie_close_together() {
        let load = |imm| op(Opcode::Ld, 11, 10, 0, imm);
        assert_eq!(parts(&[load(0), load(SPAN_MAX - 8), END]), "Cc.");
        assert_eq!(parts(&[load(0), load(SPAN_MAX), END]), "...");
        assert_eq!(parts(&[load(0), load(4), END]), "...");
    }
}
