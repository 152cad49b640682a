//! Control and status registers, fences of translation.

use super::ops::{Change, Flow, Ops};
use crate::riscv::op::Op;

/// The operand is x[rs1]. `writes` says whether the CSR is written at all ("Zicsr": not by `csrrs` and `csrrc` with x0).
#[inline(always)]
pub(super) fn csr<O: Ops>(op: &Op, o: &mut O, change: Change, writes: bool) -> Result<Flow, O::Stop> {
    let operand = o.x(op.rs1);
    access(op, o, writes.then_some((change, operand)))
}

/// The operand is the number in the field of rs1.
#[inline(always)]
pub(super) fn csr_immediate<O: Ops>(
    op: &Op,
    o: &mut O,
    change: Change,
    writes: bool,
) -> Result<Flow, O::Stop> {
    let operand = o.constant(u64::from(op.rs1));
    access(op, o, writes.then_some((change, operand)))
}

#[inline(always)]
fn access<O: Ops>(op: &Op, o: &mut O, change: Option<(Change, O::Value)>) -> Result<Flow, O::Stop> {
    let read = o.csr(op, change)?;
    o.set_x(op.rd, read);
    Ok(Flow::Sync)
}

/// rs1 = x0 means every address, rs2 = x0 every address space.
#[inline(always)]
pub(super) fn sfence_vma<O: Ops>(op: &Op, o: &mut O) -> Result<Flow, O::Stop> {
    let address = if op.rs1 == 0 { None } else { Some(o.x(op.rs1)) };
    let asid = if op.rs2 == 0 { None } else { Some(o.x(op.rs2)) };
    o.sfence_vma(op, address, asid)
}
