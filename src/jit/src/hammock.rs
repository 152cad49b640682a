//! Branches over a few operations on one register ("hammocks"), as moves under a condition: if-conversion (Allen, Kennedy,
//! Porterfield and Warren, 1983).
//!
//! A branch that the host cannot predict costs it some 15 cycles, and compilers for cores without conditional moves write
//! many: a checksum's step, a minimum, a case that is adjusted. Where a branch of a unit leads over the first operations of
//! the block behind it, all of which compute the same register from registers, their result is computed in any case, and
//! the register takes it if the branch is not taken. So does the budget: what is skipped is no step (REP-2). Where the
//! budget might end among those operations, or with what is paid behind them, out of line, the branch is a branch.

use crate::frame::{NOT_FLOATING, RAX, RDX};
use crate::homes::Homes;
use crate::idioms::{Idiom, idioms};
use crate::select::{Condition, Free};
use crate::tolls::Toll;
use crate::translate::{Translator, Way};
use crate::tree::Value;
use crate::unit::start;
use cantus_interp::Block;
use cantus_isa::riscv::meaning::execute;
use cantus_isa::riscv::op::{Op, Opcode};
use dynasmrt::{DynamicLabel, DynasmApi, DynasmLabelApi, dynasm};

/// Operations that are computed in any case at most: as many as cost about what a misprediction does, at even odds.
const OPS_MAX: usize = 4;

/// A branch whose moves need more budget than there is, by this: where it is, and its operation, of a block's place in the
/// unit, and the places where it goes on: behind it, and elsewhere.
pub(crate) struct Branching {
    at: DynamicLabel,
    missing: i32,
    op: Op,
    from: usize,
    next: usize,
    to: usize,
}

/// How many operations at a block's start a branch skips that is right before it and goes to this distance from the page's
/// start, if they can be computed in any case.
pub(crate) fn skipped(behind: &Block, to: i32) -> Option<usize> {
    let end = to.checked_sub(start(behind)).and_then(|bytes| u64::try_from(bytes).ok())?;
    let mut ops = behind.ops();
    let mut skipped: Vec<&Op> = Vec::new();
    let reaches = |&(distance, _): &(u64, &Op)| distance < end;
    skipped.extend(ops.by_ref().take(OPS_MAX + 1).take_while(reaches).map(|(_, op)| op));
    let (at, last) = behind.ops().nth(skipped.len().checked_sub(1)?)?;
    (at + u64::from(last.length) == end && is_simple(&skipped)).then_some(skipped.len())
}

/// Those operations, and the register that they compute, if that has a home, behind a branch to the block `to`.
pub(crate) fn over(behind: &Block, to: &Block, homes: &Homes) -> Option<(usize, u8)> {
    let count = skipped(behind, start(to))?;
    let register = behind.ops().next().map_or(0, |(_, op)| op.rd);
    homes.of(register).map(|home| (count, home))
}

/// Whether operations compute one register, each from the one before and what is at hand.
fn is_simple(ops: &[&Op]) -> bool {
    use Opcode::{
        Add, Addi, Addiw, Addw, And, Andi, Lui, Or, Ori, Slli, Slliw, Srai, Sraiw, Srli, Srliw, Sub, Subw,
        Xor, Xori,
    };
    let Some((first, rest)) = ops.split_first() else { return false };
    let is_plain = |op: &&Op| {
        let code = op.code;
        let on_two = [Add, Addw, And, Or, Sub, Subw, Xor].contains(&code);
        let on_one =
            [Addi, Addiw, Andi, Lui, Ori, Slli, Slliw, Srai, Sraiw, Srli, Srliw, Xori].contains(&code);
        (on_two || on_one) && op.rd == first.rd
    };
    ops.len() <= OPS_MAX
        && first.rd != 0
        && ops.iter().all(is_plain)
        && rest.iter().all(|op| op.rs2 != first.rd)
}

impl Translator<'_> {
    /// Makes moves of a branch to a distance from the page's start, if it skips little. Says whether it did.
    pub(crate) fn convert(&mut self, op: &Op, condition: Value, next: i32, to: i32) -> bool {
        let place = |at| self.unit.blocks.iter().position(|block| start(block) == at);
        let (Some(next), Some(to)) = (place(next), place(to)) else { return false };
        let behind = self.unit.blocks[next];
        let Some((count, home)) = over(behind, self.unit.blocks[to], &self.unit.homes) else { return false };
        let (from, over) = (self.place, Toll::of(count));
        let toll = (over + self.unit.tolls.between(from, to)).bits();
        if toll < 0 {
            dynasm!(self.asm; .arch x64; add r15, DWORD -toll);
        } else if toll > 0 {
            let at = self.asm.new_dynamic_label();
            dynasm!(self.asm; .arch x64; sub r15, DWORD toll; jl =>at);
            self.branching.push(Branching { at, missing: toll, op: *op, from, next, to });
        }
        let ops: Vec<&Op> = behind.ops().take(count).map(|(_, op)| op).collect();
        for ((distance, op), idiom) in behind.ops().zip(idioms(&ops)) {
            self.offset = start(behind) + distance as i32;
            let made = match idiom {
                Idiom::Plain => op,
                Idiom::Dead => continue,
                Idiom::All(ref made) => made,
            };
            let is_computed = execute(made, self).is_ok();
            assert!(is_computed, "what is simple is not left to the interpreter");
            self.computed = self.written.take();
        }
        let (_, value) = self.computed.take().expect("all of them write the register");
        let free = Free::ALL.without(RDX);
        self.selector().compute(value, RDX, free);
        let taken = self.selector().condition(condition, free.without(RAX));
        dynasm!(self.asm; .arch x64; lea rax, [r15 + over.bits()]);
        match taken {
            Condition::Equal => dynasm!(self.asm; .arch x64; cmove r15, rax; cmovne Rq(home), rdx),
            Condition::NotEqual => dynasm!(self.asm; .arch x64; cmovne r15, rax; cmove Rq(home), rdx),
            Condition::Less => dynasm!(self.asm; .arch x64; cmovl r15, rax; cmovge Rq(home), rdx),
            Condition::NotLess => dynasm!(self.asm; .arch x64; cmovge r15, rax; cmovl Rq(home), rdx),
            Condition::Below => dynasm!(self.asm; .arch x64; cmovb r15, rax; cmovae Rq(home), rdx),
            Condition::NotBelow => dynasm!(self.asm; .arch x64; cmovae r15, rax; cmovb Rq(home), rdx),
        }
        if to != from + 1 || self.unit.tolls.front(to) != Toll::default() {
            let label = self.entry(to);
            dynasm!(self.asm; .arch x64; jmp =>label);
        }
        true
    }

    /// The condition of a branch.
    fn condition_of(&mut self, op: &Op) -> Value {
        let is_branch = execute(op, self).is_ok();
        let Some(Way::Branch(condition, _)) = self.way.take().filter(|_| is_branch) else {
            unreachable!("only branches have conditions")
        };
        condition
    }

    /// Makes the code of branches that are none where the budget allows it.
    pub(crate) fn branching(&mut self) {
        for Branching { at, missing, op, from, next, to } in std::mem::take(&mut self.branching) {
            dynasm!(self.asm; .arch x64; =>at; add r15, DWORD missing);
            self.tree.clear();
            let condition = self.condition_of(&op);
            let taken = self.selector().condition(condition, Free::ALL);
            self.place = from;
            self.floats.known = NOT_FLOATING;
            self.enter_if(taken, to);
            self.enter(next, false);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn op(code: Opcode, rd: u8, rs1: u8, rs2: u8, imm: i32) -> Op {
        Op { rd, rs1, rs2, imm, ..Op::of(code) }
    }

    #[test]
    fn what_computes_one_register_is_simple() {
        let is_simple = |ops: &[Op]| is_simple(&ops.iter().collect::<Vec<_>>());
        let step = op(Opcode::Xor, 9, 9, 19, 0);
        let left = op(Opcode::Slli, 9, 9, 0, 48);
        assert!(is_simple(&[step]) && is_simple(&[step, left, op(Opcode::Srli, 9, 9, 0, 48)]));
        assert!(is_simple(&[op(Opcode::Add, 9, 10, 11, 0)]) && is_simple(&[op(Opcode::Add, 9, 10, 9, 0)]));
        assert!(is_simple(&[left; OPS_MAX]) && !is_simple(&[left; OPS_MAX + 1]));
        for wrong in [
            &[][..],
            &[left, op(Opcode::Add, 10, 9, 10, 0)],
            &[left, op(Opcode::Sub, 9, 10, 9, 0)],
            &[op(Opcode::Addi, 0, 9, 0, 1)],
            &[op(Opcode::Ld, 9, 9, 0, 0)],
            &[op(Opcode::Div, 9, 9, 10, 0)],
            &[step, op(Opcode::Beq, 9, 9, 10, 8)],
        ] {
            assert!(!is_simple(wrong), "{wrong:?}");
        }
    }
}
