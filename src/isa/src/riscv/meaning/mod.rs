//! What each instruction does, written once for all executors (DESIGN §6).
//!
//! [`execute`] says it in terms of [`Ops`]: an interpreter implements these on numbers, a translator on operands of the
//! host, an analysis may wrap either. Therefore no meaning ever looks at a value: it branches on the operation's static
//! fields alone, and leaves to [`Ops::select`] and [`Ops::branch`] whatever depends on the guest's state.
//!
//! An instruction's effects come in an order that lets it stop half-way without a trace: whatever may fail or be
//! blocked comes first, registers are written last.

mod atomic;
mod floating;
mod integer;
mod memory;
mod ops;
mod system;

pub use ops::{Amo, Binary, Block, Change, Flow, Ops, Return, Unary};

use super::op::{Op, Opcode::*};
use crate::address::Width::{Byte, Double, Half, Word};
use Binary as B;
use Unary as U;
use atomic::{amo, load_reserved, store_conditional};
use floating::{
    compare, from_integer, fused, load_double, load_single, move_to_double, move_to_integer, move_to_single,
    operate, store_double, store_single, to_integer,
};
use integer::{branch, compute, compute_word, immediate, immediate_word, unary};
use memory::{block, load, load_unsigned, store};
use system::{csr, csr_immediate};

/// Does what `op` means. On `Err` nothing of it has happened to the registers.
#[inline(always)]
#[rustfmt::skip]
pub fn execute<O: Ops>(op: &Op, o: &mut O) -> Result<Flow, O::Stop> {
    match op.code {
        // Unprivileged ISA, "RV32I Base Integer Instruction Set" and "RV64I Base Integer Instruction Set".
        Lui => { let value = integer::imm(op, o); o.set_x(op.rd, value); Ok(Flow::Next) }
        Auipc => integer::auipc(op, o),
        Jal => integer::jal(op, o),
        Jalr => integer::jalr(op, o),
        Beq => branch(op, o, |o, a, b| o.binary(B::Equal, a, b)),
        Bne => branch(op, o, |o, a, b| { let equal = o.binary(B::Equal, a, b); integer::not_bit(o, equal) }),
        Blt => branch(op, o, |o, a, b| o.binary(B::Less, a, b)),
        Bge => branch(op, o, |o, a, b| { let less = o.binary(B::Less, a, b); integer::not_bit(o, less) }),
        Bltu => branch(op, o, |o, a, b| o.binary(B::LessUnsigned, a, b)),
        Bgeu => branch(op, o, |o, a, b| { let less = o.binary(B::LessUnsigned, a, b); integer::not_bit(o, less) }),
        Lb => load(op, o, Byte),
        Lh => load(op, o, Half),
        Lw => load(op, o, Word),
        Ld => load_unsigned(op, o, Double),
        Lbu => load_unsigned(op, o, Byte),
        Lhu => load_unsigned(op, o, Half),
        Lwu => load_unsigned(op, o, Word),
        Sb => store(op, o, Byte),
        Sh => store(op, o, Half),
        Sw => store(op, o, Word),
        Sd => store(op, o, Double),
        Addi => immediate(op, o, |o, a, b| o.binary(B::Add, a, b)),
        Slti => immediate(op, o, |o, a, b| o.binary(B::Less, a, b)),
        Sltiu => immediate(op, o, |o, a, b| o.binary(B::LessUnsigned, a, b)),
        Xori => immediate(op, o, |o, a, b| o.binary(B::Xor, a, b)),
        Ori => immediate(op, o, |o, a, b| o.binary(B::Or, a, b)),
        Andi => immediate(op, o, |o, a, b| o.binary(B::And, a, b)),
        Slli => immediate(op, o, |o, a, b| o.binary(B::ShiftLeft, a, b)),
        Srli => immediate(op, o, |o, a, b| o.binary(B::ShiftRight, a, b)),
        Srai => immediate(op, o, |o, a, b| o.binary(B::ShiftRightSigned, a, b)),
        Add => compute(op, o, |o, a, b| o.binary(B::Add, a, b)),
        Sub => compute(op, o, |o, a, b| o.binary(B::Sub, a, b)),
        Sll => compute(op, o, |o, a, b| o.binary(B::ShiftLeft, a, b)),
        Slt => compute(op, o, |o, a, b| o.binary(B::Less, a, b)),
        Sltu => compute(op, o, |o, a, b| o.binary(B::LessUnsigned, a, b)),
        Xor => compute(op, o, |o, a, b| o.binary(B::Xor, a, b)),
        Srl => compute(op, o, |o, a, b| o.binary(B::ShiftRight, a, b)),
        Sra => compute(op, o, |o, a, b| o.binary(B::ShiftRightSigned, a, b)),
        Or => compute(op, o, |o, a, b| o.binary(B::Or, a, b)),
        And => compute(op, o, |o, a, b| o.binary(B::And, a, b)),
        Addiw => immediate_word(op, o, |o, a, b| o.binary(B::Add, a, b)),
        Slliw => immediate_word(op, o, |o, a, b| o.binary(B::ShiftLeft, a, b)),
        Srliw => immediate_word(op, o, |o, a, b| {
            let a = o.zero_extend(Word, a);
            o.binary(B::ShiftRight, a, b)
        }),
        Sraiw => immediate_word(op, o, |o, a, b| {
            let a = o.sign_extend(Word, a);
            o.binary(B::ShiftRightSigned, a, b)
        }),
        Addw => compute_word(op, o, |o, a, b| o.binary(B::Add, a, b)),
        Subw => compute_word(op, o, |o, a, b| o.binary(B::Sub, a, b)),
        Sllw => compute_word(op, o, |o, a, b| {
            let b = integer::low_bits(o, b, 31);
            o.binary(B::ShiftLeft, a, b)
        }),
        Srlw => compute_word(op, o, |o, a, b| {
            let (a, b) = (o.zero_extend(Word, a), integer::low_bits(o, b, 31));
            o.binary(B::ShiftRight, a, b)
        }),
        Sraw => compute_word(op, o, |o, a, b| {
            let (a, b) = (o.sign_extend(Word, a), integer::low_bits(o, b, 31));
            o.binary(B::ShiftRightSigned, a, b)
        }),
        Fence => { o.fence(); Ok(Flow::Next) }
        Pause => { o.pause(); Ok(Flow::Next) }
        Ecall => Err(o.ecall()),
        Ebreak => Err(o.ebreak()),

        // "Zifencei", "Zicsr".
        FenceI => o.fence_i(),
        Csrrw => csr(op, o, Change::Write, true),
        Csrrs => csr(op, o, Change::Set, op.rs1 != 0),
        Csrrc => csr(op, o, Change::Clear, op.rs1 != 0),
        Csrrwi => csr_immediate(op, o, Change::Write, true),
        Csrrsi => csr_immediate(op, o, Change::Set, op.rs1 != 0),
        Csrrci => csr_immediate(op, o, Change::Clear, op.rs1 != 0),

        // "M".
        Mul => compute(op, o, |o, a, b| o.binary(B::Mul, a, b)),
        Mulh => compute(op, o, |o, a, b| o.binary(B::MulHigh, a, b)),
        Mulhsu => compute(op, o, |o, a, b| o.binary(B::MulHighSignedUnsigned, a, b)),
        Mulhu => compute(op, o, |o, a, b| o.binary(B::MulHighUnsigned, a, b)),
        Div => compute(op, o, |o, a, b| o.binary(B::Div, a, b)),
        Divu => compute(op, o, |o, a, b| o.binary(B::DivUnsigned, a, b)),
        Rem => compute(op, o, |o, a, b| o.binary(B::Rem, a, b)),
        Remu => compute(op, o, |o, a, b| o.binary(B::RemUnsigned, a, b)),
        Mulw => compute_word(op, o, |o, a, b| o.binary(B::Mul, a, b)),
        Divw => compute_word(op, o, |o, a, b| integer::signed_words(o, B::Div, a, b)),
        Divuw => compute_word(op, o, |o, a, b| integer::unsigned_words(o, B::DivUnsigned, a, b)),
        Remw => compute_word(op, o, |o, a, b| integer::signed_words(o, B::Rem, a, b)),
        Remuw => compute_word(op, o, |o, a, b| integer::unsigned_words(o, B::RemUnsigned, a, b)),

        // "A".
        LrW => load_reserved(op, o, Word),
        ScW => store_conditional(op, o, Word),
        AmoswapW => amo(op, o, Amo::Swap, Word),
        AmoaddW => amo(op, o, Amo::Add, Word),
        AmoxorW => amo(op, o, Amo::Xor, Word),
        AmoandW => amo(op, o, Amo::And, Word),
        AmoorW => amo(op, o, Amo::Or, Word),
        AmominW => amo(op, o, Amo::Min, Word),
        AmomaxW => amo(op, o, Amo::Max, Word),
        AmominuW => amo(op, o, Amo::MinUnsigned, Word),
        AmomaxuW => amo(op, o, Amo::MaxUnsigned, Word),
        LrD => load_reserved(op, o, Double),
        ScD => store_conditional(op, o, Double),
        AmoswapD => amo(op, o, Amo::Swap, Double),
        AmoaddD => amo(op, o, Amo::Add, Double),
        AmoxorD => amo(op, o, Amo::Xor, Double),
        AmoandD => amo(op, o, Amo::And, Double),
        AmoorD => amo(op, o, Amo::Or, Double),
        AmominD => amo(op, o, Amo::Min, Double),
        AmomaxD => amo(op, o, Amo::Max, Double),
        AmominuD => amo(op, o, Amo::MinUnsigned, Double),
        AmomaxuD => amo(op, o, Amo::MaxUnsigned, Double),

        // "F" and "D".
        Flw => load_single(op, o),
        Fld => load_double(op, o),
        Fsw => store_single(op, o),
        Fsd => store_double(op, o),
        FmaddS | FmsubS | FnmsubS | FnmaddS | FmaddD | FmsubD | FnmsubD | FnmaddD => fused(op, o),
        FaddS | FsubS | FmulS | FdivS | FsqrtS | FsgnjS | FsgnjnS | FsgnjxS | FminS | FmaxS
        | FaddD | FsubD | FmulD | FdivD | FsqrtD | FsgnjD | FsgnjnD | FsgnjxD | FminD | FmaxD
        | FcvtSD | FcvtDS => operate(op, o),
        FeqS | FltS | FleS | FeqD | FltD | FleD => compare(op, o),
        FcvtWS | FcvtWuS | FcvtLS | FcvtLuS | FclassS
        | FcvtWD | FcvtWuD | FcvtLD | FcvtLuD | FclassD => to_integer(op, o),
        FcvtSW | FcvtSWu | FcvtSL | FcvtSLu | FcvtDW | FcvtDWu | FcvtDL | FcvtDLu => from_integer(op, o),
        FmvXW => move_to_integer(op, o, Word),
        FmvXD => move_to_integer(op, o, Double),
        FmvWX => move_to_single(op, o),
        FmvDX => move_to_double(op, o),

        // "B": Zba, Zbb, Zbs.
        AddUw => compute(op, o, |o, a, b| { let a = o.zero_extend(Word, a); o.binary(B::Add, a, b) }),
        Sh1add => compute(op, o, |o, a, b| integer::shift_add(o, a, b, 1)),
        Sh2add => compute(op, o, |o, a, b| integer::shift_add(o, a, b, 2)),
        Sh3add => compute(op, o, |o, a, b| integer::shift_add(o, a, b, 3)),
        Sh1addUw => compute(op, o, |o, a, b| { let a = o.zero_extend(Word, a); integer::shift_add(o, a, b, 1) }),
        Sh2addUw => compute(op, o, |o, a, b| { let a = o.zero_extend(Word, a); integer::shift_add(o, a, b, 2) }),
        Sh3addUw => compute(op, o, |o, a, b| { let a = o.zero_extend(Word, a); integer::shift_add(o, a, b, 3) }),
        SlliUw => immediate(op, o, |o, a, b| { let a = o.zero_extend(Word, a); o.binary(B::ShiftLeft, a, b) }),
        Andn => compute(op, o, |o, a, b| { let b = integer::not(o, b); o.binary(B::And, a, b) }),
        Orn => compute(op, o, |o, a, b| { let b = integer::not(o, b); o.binary(B::Or, a, b) }),
        Xnor => compute(op, o, |o, a, b| { let b = integer::not(o, b); o.binary(B::Xor, a, b) }),
        Clz => unary(op, o, |o, a| o.unary(U::LeadingZeros, a)),
        Clzw => unary(op, o, |o, a| {
            let a = o.zero_extend(Word, a);
            let (zeros, spare) = (o.unary(U::LeadingZeros, a), o.constant(32));
            o.binary(B::Sub, zeros, spare)
        }),
        Ctz => unary(op, o, |o, a| o.unary(U::TrailingZeros, a)),
        Ctzw => unary(op, o, |o, a| {
            let end = o.constant(1 << 32);
            let a = o.binary(B::Or, a, end);
            o.unary(U::TrailingZeros, a)
        }),
        Cpop => unary(op, o, |o, a| o.unary(U::CountOnes, a)),
        Cpopw => unary(op, o, |o, a| { let a = o.zero_extend(Word, a); o.unary(U::CountOnes, a) }),
        Max => compute(op, o, |o, a, b| { let less = o.binary(B::Less, a, b); o.select(less, b, a) }),
        Maxu => compute(op, o, |o, a, b| { let less = o.binary(B::LessUnsigned, a, b); o.select(less, b, a) }),
        Min => compute(op, o, |o, a, b| { let less = o.binary(B::Less, a, b); o.select(less, a, b) }),
        Minu => compute(op, o, |o, a, b| { let less = o.binary(B::LessUnsigned, a, b); o.select(less, a, b) }),
        SextB => unary(op, o, |o, a| o.sign_extend(Byte, a)),
        SextH => unary(op, o, |o, a| o.sign_extend(Half, a)),
        ZextH => unary(op, o, |o, a| o.zero_extend(Half, a)),
        Rol => compute(op, o, |o, a, b| o.binary(B::RotateLeft, a, b)),
        Ror => compute(op, o, |o, a, b| o.binary(B::RotateRight, a, b)),
        Rori => immediate(op, o, |o, a, b| o.binary(B::RotateRight, a, b)),
        Rolw => compute_word(op, o, |o, a, b| integer::rotate_word(o, B::RotateLeft, a, b)),
        Rorw => compute_word(op, o, |o, a, b| integer::rotate_word(o, B::RotateRight, a, b)),
        Roriw => immediate_word(op, o, |o, a, b| integer::rotate_word(o, B::RotateRight, a, b)),
        OrcB => unary(op, o, |o, a| o.unary(U::OrBytes, a)),
        Rev8 => unary(op, o, |o, a| o.unary(U::SwapBytes, a)),
        Bclr => compute(op, o, integer::bit_clear),
        Bclri => immediate(op, o, integer::bit_clear),
        Bext => compute(op, o, integer::bit_extract),
        Bexti => immediate(op, o, integer::bit_extract),
        Binv => compute(op, o, integer::bit_invert),
        Binvi => immediate(op, o, integer::bit_invert),
        Bset => compute(op, o, integer::bit_set),
        Bseti => immediate(op, o, integer::bit_set),

        // "Zicond", "Zawrs", "CMO".
        CzeroEqz => compute(op, o, |o, a, b| { let zero = o.constant(0); o.select(b, a, zero) }),
        CzeroNez => compute(op, o, |o, a, b| { let zero = o.constant(0); o.select(b, zero, a) }),
        WrsNto | WrsSto => { o.pause(); Ok(Flow::Next) }
        CboInval => block(op, o, Block::Invalidate),
        CboClean => block(op, o, Block::Clean),
        CboFlush => block(op, o, Block::Flush),
        CboZero => block(op, o, Block::Zero),

        // Privileged ISA; "Svinval".
        Mret => o.trap_return(op, Return::Machine),
        Sret => o.trap_return(op, Return::Supervisor),
        Wfi => o.wait(op),
        // An invalidation may come earlier than the fences around it ask for.
        SfenceVma | SinvalVma => system::sfence_vma(op, o),
        SfenceWInval | SfenceInvalIr => o.invalidation_fence(op),
    }
}
