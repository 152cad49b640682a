//! From an operation to bits: the decoder's inverse, for tests and for programs that write programs.
//!
//! Guarantees: `decode(encode(op))` is `op`, but for [`Op::bits`] and [`Op::length`], which are not looked at. What the
//! decoder drops is encoded as zeros: `aq` and `rl`, the ignored fields of fences.

use super::decode::decode;
use super::op::Op;
use super::table::Row;
use super::{compressed, table};

/// The 32-bit encoding of an operation, or none if an operand does not fit: a register above 31, an immediate out of
/// range or unaligned, a rounding mode that is reserved, a field that the mnemonic does not have and that is not zero.
/// `fence w,0` has none either, because its bits mean `pause`.
pub fn encode(op: &Op) -> Option<u32> {
    let bits = write(table::of(op.code), op);
    same(op, bits).then_some(bits)
}

/// The 16-bit encoding of an operation, or none if no compressed instruction abbreviates it.
pub fn compress(op: &Op) -> Option<u16> {
    compressed::ROWS
        .iter()
        .filter(|row| row.code == op.code)
        .map(|row| write(row, op))
        .find(|&bits| same(op, bits))
        .map(|bits| bits as u16)
}

/// The row's encoding with the operands in their places. An operand that does not fit is cut off.
fn write(row: &Row, op: &Op) -> u32 {
    let layout = &row.layout;
    layout.bits
        | layout.rd.write(op.rd)
        | layout.rs1.write(op.rs1)
        | layout.rs2.write(op.rs2)
        | layout.rs3.write(op.rs3)
        | layout.rm.write(op.rm)
        | layout.imm.write(op.imm)
}

/// Whether `bits` say all that `op` says.
fn same(op: &Op, bits: u32) -> bool {
    decode(bits).is_ok_and(|read| read == Op { bits: read.bits, length: read.length, ..*op })
}
