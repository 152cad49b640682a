//! What several operations of a block come to together: rotations, and what nobody reads.
//!
//! Code for cores without "Zbb" rotates by two shifts and an `or`. The one shift whose result the `or` replaces is left
//! out, and the `or` becomes a rotation. The result of the other shift, and of any operation on integers, is left out if
//! another one replaces it before it is read. Between them there is nothing at which code could stop or be left, so
//! that nobody can see a register without it (REP-2); all of them are steps as ever.

use cantus_interp::Block;
use cantus_isa::riscv::class::Class;
use cantus_isa::riscv::op::{Op, Opcode};

/// What is made of an operation.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum Idiom {
    /// What it says.
    #[default]
    Plain,
    /// Nothing: its result is not read.
    Dead,
    /// Its register is rotated right.
    Rotation {
        /// By so many bits, 1 to 63.
        by: u8,
    },
}

/// For each operation of a block what is made of it.
pub(crate) fn idioms(block: &Block) -> Vec<Idiom> {
    let ops: Vec<&Op> = block.ops().map(|(_, op)| op).collect();
    of(&ops)
}

fn of(ops: &[&Op]) -> Vec<Idiom> {
    let mut idioms = vec![Idiom::Plain; ops.len()];
    for (at, three) in ops.windows(3).enumerate() {
        if let Some(by) = rotation([three[0], three[1], three[2]]) {
            idioms[at + 1] = Idiom::Dead;
            idioms[at + 2] = Idiom::Rotation { by };
        }
    }
    // From the end on: registers that are read before they are written again, as bits.
    let mut read = u32::MAX;
    for (op, idiom) in ops.iter().zip(&mut idioms).rev() {
        if op.code.class() != Class::Compute || op.code.is_floating() {
            read = u32::MAX;
        } else if *idiom == Idiom::Plain && read >> op.rd & 1 == 0 {
            *idiom = Idiom::Dead;
        } else if *idiom != Idiom::Dead {
            read = read & !(1 << op.rd) | 1 << op.rs1;
            if *idiom == Idiom::Plain {
                read |= 1 << op.rs2;
            }
        }
    }
    idioms
}

/// How far right three operations rotate the register that the last two write.
fn rotation([first, second, or]: [&Op; 3]) -> Option<u8> {
    let right = match (first.code, second.code) {
        (Opcode::Slli, Opcode::Srli) => second.imm,
        (Opcode::Srli, Opcode::Slli) => first.imm,
        _ => return None,
    };
    let (register, other) = (second.rd, first.rd);
    let is_one = or.code == Opcode::Or
        && first.imm + second.imm == 64
        && [first.rs1, second.rs1, or.rd] == [register; 3]
        && ([or.rs1, or.rs2] == [register, other] || [or.rs1, or.rs2] == [other, register]);
    (is_one && register != other && register != 0 && other != 0).then_some(right as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn op(code: Opcode, rd: u8, rs1: u8, rs2: u8, imm: i32) -> Op {
        Op { rd, rs1, rs2, imm, ..Op::of(code) }
    }

    fn check(ops: &[Op], expected: &[Idiom]) {
        assert_eq!(of(&ops.iter().collect::<Vec<_>>()), expected, "{ops:?}");
    }

    #[test]
    fn shifts_are_rotations() {
        use Idiom::{Dead, Plain, Rotation};
        let left = op(Opcode::Slli, 5, 6, 0, 29);
        let right = op(Opcode::Srli, 6, 6, 0, 35);
        let or = op(Opcode::Or, 6, 6, 5, 0);
        check(&[left, right, or], &[Plain, Dead, Rotation { by: 35 }]);
        check(&[left, right, or, left], &[Dead, Dead, Rotation { by: 35 }, Plain]);
        // A load may trap, and then the register is seen.
        let load = op(Opcode::Ld, 7, 8, 0, 0);
        check(&[left, right, or, load, left], &[Plain, Dead, Rotation { by: 35 }, Plain, Plain]);
        for wrong in [
            [op(Opcode::Slli, 5, 6, 0, 28), right, or],
            [op(Opcode::Slli, 5, 7, 0, 29), right, or],
            [left, op(Opcode::Srli, 7, 6, 0, 35), or],
            [left, right, op(Opcode::Or, 7, 6, 5, 0)],
            [left, right, op(Opcode::Or, 6, 6, 7, 0)],
            [left, right, op(Opcode::Add, 6, 6, 5, 0)],
        ] {
            check(&wrong, &[Plain; 3]);
        }
    }

    #[test]
    fn what_is_read_is_not_dead() {
        use Idiom::{Dead, Plain};
        let set = |imm| op(Opcode::Addi, 5, 0, 0, imm);
        check(&[set(1), set(2)], &[Dead, Plain]);
        check(&[set(1), op(Opcode::Add, 6, 5, 5, 0), set(2)], &[Plain; 3]);
        check(&[set(1), op(Opcode::Addi, 5, 5, 0, 1)], &[Plain; 2]);
        check(&[set(1), op(Opcode::FaddD, 5, 5, 5, 0), set(2)], &[Plain; 3]);
    }
}
