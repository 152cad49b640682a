//! Accesses of one block that are checked together: those from the same register, unchanged, at offsets that lie close to
//! each other, as in stack frames and structures.
//!
//! The first of them, the *leader*, looks for the fast entry of a page in which all of them lie, and keeps in the frame
//! what that entry adds to addresses; the others use it without another look. Where they do not all lie in the page, or
//! are not aligned, or there is no such entry, 0 is kept, and each of them looks for its own. A fast entry vanishes only at
//! a safepoint, which no block has in its middle, or in a step of the core itself; after any step 0 is kept (ORD-1).

use cantus_interp::Block;
use cantus_isa::Width;
use cantus_isa::riscv::class::Class;

/// Groups of a block at most: what the frame has room for.
pub(crate) const GROUPS_MAX: usize = 4;
/// A group has so many accesses at least: fewer are not worth the leader's longer check.
const ACCESSES_MIN: usize = 3;
/// Bytes from a group's first to its end at most.
const SPAN_MAX: i32 = 512;

/// Accesses that are checked together.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Group {
    /// Which of the block's groups it is.
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

    fn close(self, parts: &mut [Option<Part>], groups: &mut usize) {
        if self.accesses.len() < ACCESSES_MIN || *groups == GROUPS_MAX {
            return;
        }
        let (low, end) = self.range();
        let widest = self.accesses.iter().map(|&(_, _, width)| width).max_by_key(|width| width.bytes());
        let group = Group { number: *groups, low, end, widest: widest.unwrap_or(Width::Byte) };
        *groups += 1;
        for (place, &(index, ..)) in self.accesses.iter().enumerate() {
            parts[index] = Some(if place == 0 { Part::Leader(group) } else { Part::Follower(group) });
        }
    }
}

/// For each operation of a block what it is in its group, if it is in one; and how many groups there are.
pub(crate) fn fold(block: &Block) -> (Vec<Option<Part>>, usize) {
    let mut parts = vec![None; block.len()];
    let mut groups = 0;
    let mut open: Vec<Open> = Vec::new();
    for (index, (_, op)) in block.ops().enumerate() {
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
                full.close(&mut parts, &mut groups);
            }
        }
        // Where it is a floating-point register that is written, this is more careful than it need be.
        while let Some(changed) = open.iter().position(|open| open.base == op.rd) {
            open.swap_remove(changed).close(&mut parts, &mut groups);
        }
    }
    open.into_iter().for_each(|open| open.close(&mut parts, &mut groups));
    (parts, groups)
}
