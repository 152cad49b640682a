//! Loads and stores of integer registers.

use super::integer::imm;
use super::ops::{Binary, Block, Flow, Ops};
use crate::address::Width;
use crate::riscv::op::Op;

/// rs1 + immediate.
#[inline(always)]
pub(super) fn address<O: Ops>(op: &Op, o: &mut O) -> O::Value {
    let (base, offset) = (o.x(op.rs1), imm(op, o));
    o.binary(Binary::Add, base, offset)
}

#[inline(always)]
pub(super) fn load<O: Ops>(op: &Op, o: &mut O, width: Width) -> Result<Flow, O::Stop> {
    let address = address(op, o);
    let loaded = o.load(width, address)?;
    let value = o.sign_extend(width, loaded);
    o.set_x(op.rd, value);
    Ok(Flow::Next)
}

#[inline(always)]
pub(super) fn load_unsigned<O: Ops>(op: &Op, o: &mut O, width: Width) -> Result<Flow, O::Stop> {
    let address = address(op, o);
    let loaded = o.load(width, address)?;
    o.set_x(op.rd, loaded);
    Ok(Flow::Next)
}

#[inline(always)]
pub(super) fn store<O: Ops>(op: &Op, o: &mut O, width: Width) -> Result<Flow, O::Stop> {
    let (address, value) = (address(op, o), o.x(op.rs2));
    o.store(width, address, value)?;
    Ok(Flow::Next)
}

/// The address is rs1 as it stands; the block is the one that it lies in.
#[inline(always)]
pub(super) fn block<O: Ops>(op: &Op, o: &mut O, block: Block) -> Result<Flow, O::Stop> {
    let address = o.x(op.rs1);
    o.block(op, block, address)?;
    Ok(Flow::Next)
}
