//! What an instruction's meaning is made of.

use crate::address::Width;
use crate::riscv::op::Op;

/// An operation on two values of 64 bits. Shifts and rotations take the low six bits of the second.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Binary {
    /// Sum; wraps.
    Add,
    /// Difference; wraps.
    Sub,
    /// Bitwise and.
    And,
    /// Bitwise or.
    Or,
    /// Bitwise exclusive or.
    Xor,
    /// Logical shift left.
    ShiftLeft,
    /// Logical shift right.
    ShiftRight,
    /// Arithmetic shift right.
    ShiftRightSigned,
    /// Rotation left.
    RotateLeft,
    /// Rotation right.
    RotateRight,
    /// 1 if equal, else 0.
    Equal,
    /// 1 if less as signed numbers, else 0.
    Less,
    /// 1 if less as unsigned numbers, else 0.
    LessUnsigned,
    /// Low half of the product.
    Mul,
    /// High half of the signed product.
    MulHigh,
    /// High half of the product of a signed and an unsigned number.
    MulHighSignedUnsigned,
    /// High half of the unsigned product.
    MulHighUnsigned,
    /// Signed quotient; -1 by zero, the dividend on overflow ("Division Operations").
    Div,
    /// Unsigned quotient; all ones by zero.
    DivUnsigned,
    /// Signed remainder; the dividend by zero, 0 on overflow.
    Rem,
    /// Unsigned remainder; the dividend by zero.
    RemUnsigned,
}

/// What is to become of a block of memory and its copies in caches ("CMO").
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Block {
    /// The copies are dropped.
    Invalidate,
    /// Memory gets what they have.
    Clean,
    /// Both.
    Flush,
    /// Zeros are stored.
    Zero,
}

/// An operation on one value of 64 bits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unary {
    /// How many zeros above the highest one; 64 for zero.
    LeadingZeros,
    /// How many zeros below the lowest one; 64 for zero.
    TrailingZeros,
    /// How many ones.
    CountOnes,
    /// Each byte that is not zero becomes 255.
    OrBytes,
    /// The bytes in the opposite order.
    SwapBytes,
}

/// What an atomic memory operation stores, given what is there and the operand.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Amo {
    /// The operand.
    Swap,
    /// The sum.
    Add,
    /// The exclusive or.
    Xor,
    /// The and.
    And,
    /// The or.
    Or,
    /// The lesser, signed.
    Min,
    /// The greater, signed.
    Max,
    /// The lesser, unsigned.
    MinUnsigned,
    /// The greater, unsigned.
    MaxUnsigned,
}

/// How a CSR instruction changes a CSR.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Change {
    /// It becomes the operand.
    Write,
    /// The operand's ones become ones.
    Set,
    /// The operand's ones become zeros.
    Clear,
}

/// Which trap to return from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Return {
    /// One into M-mode: `mret`.
    Machine,
    /// One into S-mode: `sret`.
    Supervisor,
}

/// What comes after an instruction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Flow {
    /// The next one in memory.
    Next,
    /// What [`Ops::branch`] or [`Ops::jump`] has said.
    Jump,
    /// The next one in memory, but it must be fetched, translated and permitted anew, and an interrupt may be due.
    Sync,
    /// As [`Flow::Sync`], where [`Ops::jump`] has said.
    SyncJump,
}

/// What executors and analyses give to meanings.
///
/// Methods that return a `Result` may stop the instruction: by an exception, or because the executor cannot go on yet.
/// Each is called at most once by an instruction, before anything is written, but for those that check.
pub trait Ops {
    /// A value of 64 bits.
    type Value: Copy;
    /// Why an instruction did not complete.
    type Stop;

    /// A value that is known.
    fn constant(&mut self, value: u64) -> Self::Value;
    /// Address of this instruction.
    fn pc(&mut self) -> Self::Value;
    /// An integer register; 0 for register 0.
    fn x(&mut self, register: u8) -> Self::Value;
    /// Writes an integer register; does nothing to register 0.
    fn set_x(&mut self, register: u8, value: Self::Value);
    /// A floating-point register's bits.
    fn f(&mut self, register: u8) -> Self::Value;
    /// Writes a floating-point register, and makes `mstatus.FS` dirty.
    fn set_f(&mut self, register: u8, value: Self::Value);

    /// An operation on two values.
    fn binary(&mut self, operation: Binary, a: Self::Value, b: Self::Value) -> Self::Value;
    /// An operation on one value.
    fn unary(&mut self, operation: Unary, a: Self::Value) -> Self::Value;
    /// The low `width` bytes, as a signed number.
    fn sign_extend(&mut self, width: Width, a: Self::Value) -> Self::Value;
    /// The low `width` bytes, as an unsigned number.
    fn zero_extend(&mut self, width: Width, a: Self::Value) -> Self::Value;
    /// `yes` if the condition, which is 0 or 1, is 1, else `no`.
    fn select(&mut self, condition: Self::Value, yes: Self::Value, no: Self::Value) -> Self::Value;

    /// Goes on at `offset` bytes from this instruction if the condition, which is 0 or 1, is 1.
    fn branch(&mut self, op: &Op, condition: Self::Value, offset: i32);
    /// Goes on at `target`, whose bit 0 is clear.
    fn jump(&mut self, target: Self::Value);

    /// Loads, zero-extended.
    fn load(&mut self, width: Width, address: Self::Value) -> Result<Self::Value, Self::Stop>;
    /// Stores the low `width` bytes.
    fn store(&mut self, width: Width, address: Self::Value, value: Self::Value) -> Result<(), Self::Stop>;
    /// Loads, zero-extended, and reserves.
    fn load_reserved(&mut self, width: Width, address: Self::Value) -> Result<Self::Value, Self::Stop>;
    /// Stores if the reservation holds, and drops it; gives 0 if it has stored, else 1.
    fn store_conditional(
        &mut self,
        width: Width,
        address: Self::Value,
        value: Self::Value,
    ) -> Result<Self::Value, Self::Stop>;
    /// Loads, zero-extended, and stores what `amo` makes of it.
    fn amo(
        &mut self,
        amo: Amo,
        width: Width,
        address: Self::Value,
        value: Self::Value,
    ) -> Result<Self::Value, Self::Stop>;
    /// Works on the block of memory that `address` lies in.
    fn block(&mut self, op: &Op, block: Block, address: Self::Value) -> Result<(), Self::Stop>;
    /// Orders memory accesses.
    fn fence(&mut self);

    /// Stops with an illegal instruction if `mstatus.FS` is off.
    fn floating(&mut self, op: &Op) -> Result<(), Self::Stop>;
    /// What `op`, an instruction of F or D that computes, gives for its operands, in the rounding mode that it names; sets
    /// flags. Stops with an illegal instruction if the mode is dynamic and `frm` has none.
    fn evaluate(
        &mut self,
        op: &Op,
        a: Self::Value,
        b: Self::Value,
        c: Self::Value,
    ) -> Result<Self::Value, Self::Stop>;

    /// Reads CSR `op.imm`, then changes it, if it is to be changed. Gives what was read.
    fn csr(&mut self, op: &Op, change: Option<(Change, Self::Value)>) -> Result<Self::Value, Self::Stop>;
    /// Makes stores visible to fetches.
    fn fence_i(&mut self) -> Result<Flow, Self::Stop>;
    /// Drops translations: of one address, or all; of one address space but for global ones, or all.
    fn sfence_vma(
        &mut self,
        op: &Op,
        address: Option<Self::Value>,
        asid: Option<Self::Value>,
    ) -> Result<Flow, Self::Stop>;
    /// `sfence.w.inval`, `sfence.inval.ir`.
    fn invalidation_fence(&mut self, op: &Op) -> Result<Flow, Self::Stop>;
    /// `mret`, `sret`.
    fn trap_return(&mut self, op: &Op, from: Return) -> Result<Flow, Self::Stop>;
    /// `wfi`.
    fn wait(&mut self, op: &Op) -> Result<Flow, Self::Stop>;
    /// `pause`.
    fn pause(&mut self);
    /// `ecall`: the exception of the current level.
    fn ecall(&mut self) -> Self::Stop;
    /// `ebreak`.
    fn ebreak(&mut self) -> Self::Stop;
}
