//! F and D: loads, stores, moves; computing is left to [`Ops::evaluate`].

use super::memory::address;
use super::ops::{Binary, Flow, Ops};
use crate::address::Width::{self, Double, Word};
use crate::riscv::op::Op;

/// A single in a register of 64 bits: the upper half all ones ("NaN Boxing of Narrower Values").
#[inline(always)]
fn boxed<O: Ops>(o: &mut O, single: O::Value) -> O::Value {
    let ones = o.constant(0xffff_ffff << 32);
    o.binary(Binary::Or, single, ones)
}

#[inline(always)]
pub(super) fn load_single<O: Ops>(op: &Op, o: &mut O) -> Result<Flow, O::Stop> {
    o.floating(op)?;
    let address = address(op, o);
    let loaded = o.load(Word, address)?;
    let value = boxed(o, loaded);
    o.set_f(op.rd, value);
    Ok(Flow::Next)
}

#[inline(always)]
pub(super) fn load_double<O: Ops>(op: &Op, o: &mut O) -> Result<Flow, O::Stop> {
    o.floating(op)?;
    let address = address(op, o);
    let loaded = o.load(Double, address)?;
    o.set_f(op.rd, loaded);
    Ok(Flow::Next)
}

#[inline(always)]
pub(super) fn store_single<O: Ops>(op: &Op, o: &mut O) -> Result<Flow, O::Stop> {
    store(op, o, Word)
}

#[inline(always)]
pub(super) fn store_double<O: Ops>(op: &Op, o: &mut O) -> Result<Flow, O::Stop> {
    store(op, o, Double)
}

/// Stores the low bits as they are, boxed or not.
#[inline(always)]
fn store<O: Ops>(op: &Op, o: &mut O, width: Width) -> Result<Flow, O::Stop> {
    o.floating(op)?;
    let (address, value) = (address(op, o), o.f(op.rs2));
    o.store(width, address, value)?;
    Ok(Flow::Next)
}

/// f[rd] from three of f.
#[inline(always)]
pub(super) fn fused<O: Ops>(op: &Op, o: &mut O) -> Result<Flow, O::Stop> {
    o.floating(op)?;
    let (a, b, c) = (o.f(op.rs1), o.f(op.rs2), o.f(op.rs3));
    let value = o.evaluate(op, a, b, c)?;
    o.set_f(op.rd, value);
    Ok(Flow::Next)
}

/// f[rd] from two of f, or one.
#[inline(always)]
pub(super) fn operate<O: Ops>(op: &Op, o: &mut O) -> Result<Flow, O::Stop> {
    o.floating(op)?;
    let (a, b, none) = (o.f(op.rs1), o.f(op.rs2), o.constant(0));
    let value = o.evaluate(op, a, b, none)?;
    o.set_f(op.rd, value);
    Ok(Flow::Next)
}

/// x[rd] from two of f.
#[inline(always)]
pub(super) fn compare<O: Ops>(op: &Op, o: &mut O) -> Result<Flow, O::Stop> {
    o.floating(op)?;
    let (a, b, none) = (o.f(op.rs1), o.f(op.rs2), o.constant(0));
    let value = o.evaluate(op, a, b, none)?;
    o.set_x(op.rd, value);
    Ok(Flow::Next)
}

/// x[rd] from one of f.
#[inline(always)]
pub(super) fn to_integer<O: Ops>(op: &Op, o: &mut O) -> Result<Flow, O::Stop> {
    o.floating(op)?;
    let (a, none) = (o.f(op.rs1), o.constant(0));
    let value = o.evaluate(op, a, none, none)?;
    o.set_x(op.rd, value);
    Ok(Flow::Next)
}

/// f[rd] from one of x.
#[inline(always)]
pub(super) fn from_integer<O: Ops>(op: &Op, o: &mut O) -> Result<Flow, O::Stop> {
    o.floating(op)?;
    let (a, none) = (o.x(op.rs1), o.constant(0));
    let value = o.evaluate(op, a, none, none)?;
    o.set_f(op.rd, value);
    Ok(Flow::Next)
}

/// The low bits as they are, sign-extended.
#[inline(always)]
pub(super) fn move_to_integer<O: Ops>(op: &Op, o: &mut O, width: Width) -> Result<Flow, O::Stop> {
    o.floating(op)?;
    let bits = o.f(op.rs1);
    let value = o.sign_extend(width, bits);
    o.set_x(op.rd, value);
    Ok(Flow::Next)
}

#[inline(always)]
pub(super) fn move_to_single<O: Ops>(op: &Op, o: &mut O) -> Result<Flow, O::Stop> {
    o.floating(op)?;
    let bits = o.x(op.rs1);
    let single = o.zero_extend(Word, bits);
    let value = boxed(o, single);
    o.set_f(op.rd, value);
    Ok(Flow::Next)
}

#[inline(always)]
pub(super) fn move_to_double<O: Ops>(op: &Op, o: &mut O) -> Result<Flow, O::Stop> {
    o.floating(op)?;
    let value = o.x(op.rs1);
    o.set_f(op.rd, value);
    Ok(Flow::Next)
}
