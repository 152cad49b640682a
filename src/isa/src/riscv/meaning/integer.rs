//! Integer registers: arithmetic, shifts, bits, jumps.

use super::ops::{Binary, Flow, Ops};
use crate::address::Width::Word;
use crate::riscv::op::Op;

/// The immediate.
#[inline(always)]
pub(super) fn imm<O: Ops>(op: &Op, o: &mut O) -> O::Value {
    o.constant(i64::from(op.imm) as u64)
}

/// rd = f(rs1, rs2).
#[inline(always)]
pub(super) fn compute<O: Ops>(
    op: &Op,
    o: &mut O,
    f: impl FnOnce(&mut O, O::Value, O::Value) -> O::Value,
) -> Result<Flow, O::Stop> {
    let (a, b) = (o.x(op.rs1), o.x(op.rs2));
    let value = f(o, a, b);
    o.set_x(op.rd, value);
    Ok(Flow::Next)
}

/// rd = f(rs1, immediate).
#[inline(always)]
pub(super) fn immediate<O: Ops>(
    op: &Op,
    o: &mut O,
    f: impl FnOnce(&mut O, O::Value, O::Value) -> O::Value,
) -> Result<Flow, O::Stop> {
    let (a, b) = (o.x(op.rs1), imm(op, o));
    let value = f(o, a, b);
    o.set_x(op.rd, value);
    Ok(Flow::Next)
}

/// rd = the low word of f(rs1, rs2), sign-extended.
#[inline(always)]
pub(super) fn compute_word<O: Ops>(
    op: &Op,
    o: &mut O,
    f: impl FnOnce(&mut O, O::Value, O::Value) -> O::Value,
) -> Result<Flow, O::Stop> {
    compute(op, o, |o, a, b| {
        let value = f(o, a, b);
        o.sign_extend(Word, value)
    })
}

/// rd = the low word of f(rs1, immediate), sign-extended.
#[inline(always)]
pub(super) fn immediate_word<O: Ops>(
    op: &Op,
    o: &mut O,
    f: impl FnOnce(&mut O, O::Value, O::Value) -> O::Value,
) -> Result<Flow, O::Stop> {
    immediate(op, o, |o, a, b| {
        let value = f(o, a, b);
        o.sign_extend(Word, value)
    })
}

/// rd = f(rs1).
#[inline(always)]
pub(super) fn unary<O: Ops>(
    op: &Op,
    o: &mut O,
    f: impl FnOnce(&mut O, O::Value) -> O::Value,
) -> Result<Flow, O::Stop> {
    let a = o.x(op.rs1);
    let value = f(o, a);
    o.set_x(op.rd, value);
    Ok(Flow::Next)
}

#[inline(always)]
pub(super) fn auipc<O: Ops>(op: &Op, o: &mut O) -> Result<Flow, O::Stop> {
    let (pc, offset) = (o.pc(), imm(op, o));
    let value = o.binary(Binary::Add, pc, offset);
    o.set_x(op.rd, value);
    Ok(Flow::Next)
}

#[inline(always)]
pub(super) fn jal<O: Ops>(op: &Op, o: &mut O) -> Result<Flow, O::Stop> {
    let (pc, offset) = (o.pc(), imm(op, o));
    let target = o.binary(Binary::Add, pc, offset);
    link(op, o, pc);
    o.jump(target);
    Ok(Flow::Jump)
}

#[inline(always)]
pub(super) fn jalr<O: Ops>(op: &Op, o: &mut O) -> Result<Flow, O::Stop> {
    let (base, offset) = (o.x(op.rs1), imm(op, o));
    let sum = o.binary(Binary::Add, base, offset);
    let even = o.constant(!1);
    let target = o.binary(Binary::And, sum, even);
    let pc = o.pc();
    link(op, o, pc);
    o.jump(target);
    Ok(Flow::Jump)
}

/// rd = the address behind this instruction.
#[inline(always)]
fn link<O: Ops>(op: &Op, o: &mut O, pc: O::Value) {
    let length = o.constant(u64::from(op.length));
    let next = o.binary(Binary::Add, pc, length);
    o.set_x(op.rd, next);
}

#[inline(always)]
pub(super) fn branch<O: Ops>(
    op: &Op,
    o: &mut O,
    condition: impl FnOnce(&mut O, O::Value, O::Value) -> O::Value,
) -> Result<Flow, O::Stop> {
    let (a, b) = (o.x(op.rs1), o.x(op.rs2));
    let condition = condition(o, a, b);
    o.branch(op, condition, op.imm);
    Ok(Flow::Jump)
}

/// 0 for 1, 1 for 0.
#[inline(always)]
pub(super) fn not_bit<O: Ops>(o: &mut O, bit: O::Value) -> O::Value {
    let one = o.constant(1);
    o.binary(Binary::Xor, bit, one)
}

#[inline(always)]
pub(super) fn not<O: Ops>(o: &mut O, value: O::Value) -> O::Value {
    let ones = o.constant(!0);
    o.binary(Binary::Xor, value, ones)
}

#[inline(always)]
pub(super) fn low_bits<O: Ops>(o: &mut O, value: O::Value, mask: u64) -> O::Value {
    let mask = o.constant(mask);
    o.binary(Binary::And, value, mask)
}

#[inline(always)]
pub(super) fn signed_words<O: Ops>(o: &mut O, operation: Binary, a: O::Value, b: O::Value) -> O::Value {
    let (a, b) = (o.sign_extend(Word, a), o.sign_extend(Word, b));
    o.binary(operation, a, b)
}

#[inline(always)]
pub(super) fn unsigned_words<O: Ops>(o: &mut O, operation: Binary, a: O::Value, b: O::Value) -> O::Value {
    let (a, b) = (o.zero_extend(Word, a), o.zero_extend(Word, b));
    o.binary(operation, a, b)
}

#[inline(always)]
pub(super) fn shift_add<O: Ops>(o: &mut O, a: O::Value, b: O::Value, shift: u64) -> O::Value {
    let shift = o.constant(shift);
    let shifted = o.binary(Binary::ShiftLeft, a, shift);
    o.binary(Binary::Add, shifted, b)
}

/// A rotation of 64 bits rotates a word that stands in both halves as a rotation of 32 would.
#[inline(always)]
pub(super) fn rotate_word<O: Ops>(o: &mut O, operation: Binary, a: O::Value, b: O::Value) -> O::Value {
    let (low, half) = (o.zero_extend(Word, a), o.constant(32));
    let high = o.binary(Binary::ShiftLeft, low, half);
    let twice = o.binary(Binary::Or, low, high);
    let amount = low_bits(o, b, 31);
    o.binary(operation, twice, amount)
}

/// The bit that the low six bits of `b` number.
#[inline(always)]
fn bit<O: Ops>(o: &mut O, b: O::Value) -> O::Value {
    let one = o.constant(1);
    o.binary(Binary::ShiftLeft, one, b)
}

#[inline(always)]
pub(super) fn bit_clear<O: Ops>(o: &mut O, a: O::Value, b: O::Value) -> O::Value {
    let bit = bit(o, b);
    let others = not(o, bit);
    o.binary(Binary::And, a, others)
}

#[inline(always)]
pub(super) fn bit_extract<O: Ops>(o: &mut O, a: O::Value, b: O::Value) -> O::Value {
    let shifted = o.binary(Binary::ShiftRight, a, b);
    low_bits(o, shifted, 1)
}

#[inline(always)]
pub(super) fn bit_invert<O: Ops>(o: &mut O, a: O::Value, b: O::Value) -> O::Value {
    let bit = bit(o, b);
    o.binary(Binary::Xor, a, bit)
}

#[inline(always)]
pub(super) fn bit_set<O: Ops>(o: &mut O, a: O::Value, b: O::Value) -> O::Value {
    let bit = bit(o, b);
    o.binary(Binary::Or, a, bit)
}
