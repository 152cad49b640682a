//! What several operations of a block come to together: rotations, extensions, addresses; and what nobody reads.
//!
//! Code for cores without "Zbb" rotates by two shifts and an `or`, extends by two shifts, and makes indices addresses by a
//! shift and an addition. Where the last of these operations replaces what the ones before it have written, it becomes
//! one that does all of it, and they are left out. The result of any operation on integers is left out, too, if another
//! one replaces it before it is read. Between them there is nothing at which code could stop or be left, so that nobody can
//! see a register without it (REP-2); all of them are steps as ever.

use cantus_isa::riscv::class::Class;
use cantus_isa::riscv::op::{Op, Opcode};

/// What is made of an operation.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum Idiom {
    /// What it says.
    #[default]
    Plain,
    /// Nothing: its result is not read, or another one sees to it.
    Dead,
    /// Another operation, in which those before it are.
    All(Op),
}

/// For each of operations that follow each other what is made of it, where all registers are read behind them.
pub(crate) fn idioms(ops: &[&Op]) -> Vec<Idiom> {
    let mut idioms = vec![Idiom::Plain; ops.len()];
    for (at, three) in ops.windows(3).enumerate() {
        if let Some(rotation) = rotation([three[0], three[1], three[2]]) {
            idioms[at + 1] = Idiom::Dead;
            idioms[at + 2] = Idiom::All(rotation);
        }
    }
    for (at, two) in ops.windows(2).enumerate() {
        if idioms[at..at + 2] == [Idiom::Plain; 2]
            && let Some(pair) = pair([two[0], two[1]])
        {
            idioms[at] = Idiom::Dead;
            idioms[at + 1] = Idiom::All(pair);
        }
    }
    // From the end on: registers that are read before they are written again, as bits.
    let mut read = u32::MAX;
    for (op, idiom) in ops.iter().zip(&mut idioms).rev() {
        let made = if let Idiom::All(made) = *idiom { made } else { **op };
        if op.code.class() != Class::Compute || op.code.is_floating() {
            read = u32::MAX;
        } else if *idiom == Idiom::Dead {
            // What it reads the one behind does, if any.
        } else if read >> op.rd & 1 == 0 {
            *idiom = Idiom::Dead;
        } else {
            read = read & !(1 << op.rd) | 1 << made.rs1 | 1 << made.rs2;
        }
    }
    idioms
}

/// The rotation of the register that the last two of three operations write, if they are one.
fn rotation([first, second, or]: [&Op; 3]) -> Option<Op> {
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
    let rotation = Op { code: Opcode::Rori, rs1: register, rs2: 0, imm: right, ..*or };
    (is_one && register != other && register != 0 && other != 0).then_some(rotation)
}

/// What two operations do that write the same register, of which the second one reads it.
fn pair([first, second]: [&Op; 2]) -> Option<Op> {
    use Opcode::{
        Add, AddUw, Addi, Addiw, Andi, Auipc, Lui, SextB, SextH, Sh1add, Sh2add, Sh3add, Slli, SlliUw, Srai,
        Srli,
    };
    let register = first.rd;
    if register == 0 || second.rd != register {
        return None;
    }
    if second.code == Add {
        // The other operand is not what the first one writes.
        let other = match [second.rs1, second.rs2] {
            [one, other] | [other, one] if one == register && other != register => other,
            _ => return None,
        };
        let code = *[Sh1add, Sh2add, Sh3add].get(usize::try_from(first.imm).ok()?.checked_sub(1)?)?;
        let is_one = first.code == Slli;
        return is_one.then_some(Op { code, rs1: first.rs1, rs2: other, imm: 0, ..*second });
    }
    let bits = 64_i32.wrapping_sub(first.imm);
    let (code, imm) = match (first.code, second.code, second.imm) {
        (Slli, Srli, 32) if bits == 32 => (AddUw, 0),
        (Slli, Srli, by @ 29..32) if bits == 32 => (SlliUw, 32 - by),
        (Slli, Srli, by) if by == first.imm && bits < 32 => (Andi, i32::MAX >> (31 - bits)),
        (Slli, Srai, 32) if bits == 32 => (Addiw, 0),
        (Slli, Srai, 48) if bits == 16 => (SextH, 0),
        (Slli, Srai, 56) if bits == 8 => (SextB, 0),
        (Lui, Addi, more) => (Lui, first.imm.checked_add(more)?),
        (Lui, Addiw, more) => (Lui, first.imm.wrapping_add(more)),
        // What is added to the address of the second one.
        (Auipc, Addi, more) => (Auipc, first.imm.checked_add(more - i32::from(first.length))?),
        _ => return None,
    };
    (second.rs1 == register).then_some(Op { code, rs1: first.rs1, rs2: 0, imm, ..*second })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn op(code: Opcode, rd: u8, rs1: u8, rs2: u8, imm: i32) -> Op {
        Op { rd, rs1, rs2, imm, ..Op::of(code) }
    }

    fn check(ops: &[Op], expected: &[Idiom]) {
        assert_eq!(idioms(&ops.iter().collect::<Vec<_>>()), expected, "{ops:?}");
    }

    #[test]
    fn shifts_are_rotations() {
        use Idiom::{Dead, Plain};
        let left = op(Opcode::Slli, 5, 6, 0, 29);
        let right = op(Opcode::Srli, 6, 6, 0, 35);
        let or = op(Opcode::Or, 6, 6, 5, 0);
        let rotation = Idiom::All(op(Opcode::Rori, 6, 6, 0, 35));
        check(&[left, right, or], &[Plain, Dead, rotation]);
        check(&[left, right, or, left], &[Dead, Dead, rotation, Plain]);
        // A load may trap, and then the register is seen.
        let load = op(Opcode::Ld, 7, 8, 0, 0);
        check(&[left, right, or, load, left], &[Plain, Dead, rotation, Plain, Plain]);
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

    #[test]
    fn pairs_are_one_operation() {
        use Idiom::{All, Dead, Plain};
        use Opcode::{
            Add, AddUw, Addi, Addiw, Andi, Auipc, Lui, SextB, SextH, Sh3add, Slli, SlliUw, Srai, Srli,
        };
        let one = |code, rs1, rs2, imm| All(op(code, 5, rs1, rs2, imm));
        for (first, second, expected) in [
            (op(Slli, 5, 6, 0, 32), op(Srli, 5, 5, 0, 32), one(AddUw, 6, 0, 0)),
            (op(Slli, 5, 6, 0, 32), op(Srli, 5, 5, 0, 29), one(SlliUw, 6, 0, 3)),
            (op(Slli, 5, 6, 0, 48), op(Srli, 5, 5, 0, 48), one(Andi, 6, 0, 0xffff)),
            (op(Slli, 5, 6, 0, 33), op(Srli, 5, 5, 0, 33), one(Andi, 6, 0, i32::MAX)),
            (op(Slli, 5, 6, 0, 32), op(Srai, 5, 5, 0, 32), one(Addiw, 6, 0, 0)),
            (op(Slli, 5, 5, 0, 48), op(Srai, 5, 5, 0, 48), one(SextH, 5, 0, 0)),
            (op(Slli, 5, 6, 0, 56), op(Srai, 5, 5, 0, 56), one(SextB, 6, 0, 0)),
            (op(Slli, 5, 6, 0, 3), op(Add, 5, 7, 5, 0), one(Sh3add, 6, 7, 0)),
            (op(Lui, 5, 0, 0, 0x1000), op(Addi, 5, 5, 0, -1), one(Lui, 0, 0, 0xfff)),
            (op(Lui, 5, 0, 0, i32::MIN), op(Addiw, 5, 5, 0, -1), one(Lui, 0, 0, i32::MAX)),
            (op(Auipc, 5, 0, 0, 0x1000), op(Addi, 5, 5, 0, 8), one(Auipc, 0, 0, 0x1004)),
        ] {
            check(&[first, second], &[Dead, expected]);
            // Where the first one's result is seen.
            check(&[first, op(Opcode::Ld, 9, 8, 0, 0), second], &[Plain; 3]);
        }
        for (first, second) in [
            (op(Slli, 5, 6, 0, 31), op(Srli, 5, 5, 0, 31)),
            (op(Slli, 5, 6, 0, 48), op(Srli, 5, 5, 0, 47)),
            (op(Slli, 5, 6, 0, 32), op(Srli, 7, 5, 0, 32)),
            (op(Slli, 5, 6, 0, 32), op(Srli, 5, 7, 0, 32)),
            (op(Slli, 5, 6, 0, 4), op(Add, 5, 5, 7, 0)),
            (op(Slli, 5, 6, 0, 3), op(Add, 5, 5, 5, 0)),
            (op(Srli, 5, 6, 0, 3), op(Add, 5, 5, 7, 0)),
            (op(Lui, 5, 0, 0, i32::MIN), op(Addi, 5, 5, 0, -1)),
        ] {
            let [first_made, _] = idioms(&[&first, &second])[..] else { unreachable!("two") };
            assert!(!matches!(idioms(&[&first, &second])[1], All(_)), "{first:?} {second:?}");
            assert!(first_made == Plain || second.rs1 != first.rd, "{first:?} {second:?}");
        }
    }
}
