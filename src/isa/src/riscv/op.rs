//! A decoded instruction: the manual's mnemonic with its operands.
//!
//! Compressed instructions decode to the instruction that they abbreviate (Unprivileged ISA, chapter "C": each expands
//! into a single 32-bit instruction), so nothing behind the decoder knows them; only [`Op::length`] tells.

/// The manual's mnemonics. In the order of the manual's chapters.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
#[allow(missing_docs, reason = "each is the manual's name")]
#[rustfmt::skip]
pub enum Opcode {
    // RV32I and RV64I.
    Lui, Auipc, Jal, Jalr,
    Beq, Bne, Blt, Bge, Bltu, Bgeu,
    Lb, Lh, Lw, Ld, Lbu, Lhu, Lwu,
    Sb, Sh, Sw, Sd,
    Addi, Slti, Sltiu, Xori, Ori, Andi, Slli, Srli, Srai,
    Add, Sub, Sll, Slt, Sltu, Xor, Srl, Sra, Or, And,
    Addiw, Slliw, Srliw, Sraiw, Addw, Subw, Sllw, Srlw, Sraw,
    Fence, Pause, Ecall, Ebreak,
    // Zifencei, Zicsr. `imm` is the CSR's number, for the I forms `rs1` is the immediate.
    FenceI, Csrrw, Csrrs, Csrrc, Csrrwi, Csrrsi, Csrrci,
    // M.
    Mul, Mulh, Mulhsu, Mulhu, Div, Divu, Rem, Remu,
    Mulw, Divw, Divuw, Remw, Remuw,
    // A. Acquire and release bits are dropped: execution is sequentially consistent.
    LrW, ScW, AmoswapW, AmoaddW, AmoxorW, AmoandW, AmoorW, AmominW, AmomaxW, AmominuW, AmomaxuW,
    LrD, ScD, AmoswapD, AmoaddD, AmoxorD, AmoandD, AmoorD, AmominD, AmomaxD, AmominuD, AmomaxuD,
    // F and D. `rm` is the rounding-mode field.
    Flw, Fsw, FmaddS, FmsubS, FnmsubS, FnmaddS,
    FaddS, FsubS, FmulS, FdivS, FsqrtS, FsgnjS, FsgnjnS, FsgnjxS, FminS, FmaxS,
    FcvtWS, FcvtWuS, FcvtLS, FcvtLuS, FmvXW, FeqS, FltS, FleS, FclassS,
    FcvtSW, FcvtSWu, FcvtSL, FcvtSLu, FmvWX,
    Fld, Fsd, FmaddD, FmsubD, FnmsubD, FnmaddD,
    FaddD, FsubD, FmulD, FdivD, FsqrtD, FsgnjD, FsgnjnD, FsgnjxD, FminD, FmaxD,
    FcvtSD, FcvtDS, FeqD, FltD, FleD, FclassD,
    FcvtWD, FcvtWuD, FcvtLD, FcvtLuD, FmvXD, FcvtDW, FcvtDWu, FcvtDL, FcvtDLu, FmvDX,
    // Zba, Zbb, Zbs.
    AddUw, Sh1add, Sh1addUw, Sh2add, Sh2addUw, Sh3add, Sh3addUw, SlliUw,
    Andn, Orn, Xnor, Clz, Clzw, Ctz, Ctzw, Cpop, Cpopw, Max, Maxu, Min, Minu,
    SextB, SextH, ZextH, Rol, Rolw, Ror, Rori, Roriw, Rorw, OrcB, Rev8,
    Bclr, Bclri, Bext, Bexti, Binv, Binvi, Bset, Bseti,
    // Zicond, Zawrs.
    CzeroEqz, CzeroNez, WrsNto, WrsSto,
    // Zicbom, Zicboz.
    CboInval, CboClean, CboFlush, CboZero,
    // Privileged architecture; Svinval.
    Mret, Sret, Wfi, SfenceVma, SinvalVma, SfenceWInval, SfenceInvalIr,
}

/// A decoded instruction. Fields that the mnemonic does not have are zero.
///
/// Sixteen bytes, so that four fit a line of the host's cache.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Op {
    /// The mnemonic.
    pub code: Opcode,
    /// Destination register.
    pub rd: u8,
    /// First source register, or the five-bit immediate of the CSR instructions.
    pub rs1: u8,
    /// Second source register.
    pub rs2: u8,
    /// Third source register (fused multiply-add).
    pub rs3: u8,
    /// Rounding-mode field of a floating-point instruction, as encoded (7 is dynamic).
    pub rm: u8,
    /// Bytes of the encoding: 2 or 4.
    pub length: u8,
    /// The immediate, sign-extended: bytes for loads, stores, jumps and branches; the value itself (shifted left by
    /// 12) for `lui` and `auipc`. Zero-extended: a shift amount; a CSR's number; of `fence`, the mode in bits 11 to 8, the
    /// predecessor set in bits 7 to 4, the successor set below.
    pub imm: i32,
    /// The encoding as it was fetched (16 bits for a compressed instruction): what `mtval` shows of an illegal one.
    pub bits: u32,
}

const _: () = assert!(size_of::<Op>() == 16);

impl Op {
    /// An instruction of four bytes whose operands are all zero, to set those that the mnemonic has. Its
    /// [`bits`](Self::bits) are those of no instruction: [`encode`](super::encode::encode) gives them.
    pub const fn of(code: Opcode) -> Op {
        Op { code, rd: 0, rs1: 0, rs2: 0, rs3: 0, rm: 0, length: 4, imm: 0, bits: 0 }
    }
}
