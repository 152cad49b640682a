//! Load-reserved, store-conditional, atomic memory operations. Their address is rs1 as it stands.

use super::ops::{Amo, Flow, Ops};
use crate::address::Width;
use crate::riscv::op::Op;

#[inline(always)]
pub(super) fn load_reserved<O: Ops>(op: &Op, o: &mut O, width: Width) -> Result<Flow, O::Stop> {
    let address = o.x(op.rs1);
    let loaded = o.load_reserved(width, address)?;
    let value = o.sign_extend(width, loaded);
    o.set_x(op.rd, value);
    Ok(Flow::Next)
}

#[inline(always)]
pub(super) fn store_conditional<O: Ops>(op: &Op, o: &mut O, width: Width) -> Result<Flow, O::Stop> {
    let (address, value) = (o.x(op.rs1), o.x(op.rs2));
    let failed = o.store_conditional(width, address, value)?;
    o.set_x(op.rd, failed);
    Ok(Flow::Next)
}

#[inline(always)]
pub(super) fn amo<O: Ops>(op: &Op, o: &mut O, amo: Amo, width: Width) -> Result<Flow, O::Stop> {
    let (address, value) = (o.x(op.rs1), o.x(op.rs2));
    let loaded = o.amo(amo, width, address, value)?;
    let value = o.sign_extend(width, loaded);
    o.set_x(op.rd, value);
    Ok(Flow::Next)
}
