//! A decoded instruction: the manual's mnemonic with its operands.
//!
//! Compressed instructions decode to the instruction that they abbreviate (Unprivileged ISA, chapter 26: "each
//! compressed instruction expands into a single 32-bit instruction"), so nothing behind the decoder knows them; only
//! [`Op::length`] tells.

/// The manual's mnemonics. In the order of the manual's chapters.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
#[allow(missing_docs, reason = "each is the manual's name")]
#[rustfmt::skip]
pub enum Opcode {
    // RV32I and RV64I (chapters 2 and 4).
    Lui, Auipc, Jal, Jalr,
    Beq, Bne, Blt, Bge, Bltu, Bgeu,
    Lb, Lh, Lw, Ld, Lbu, Lhu, Lwu,
    Sb, Sh, Sw, Sd,
    Addi, Slti, Sltiu, Xori, Ori, Andi, Slli, Srli, Srai,
    Add, Sub, Sll, Slt, Sltu, Xor, Srl, Sra, Or, And,
    Addiw, Slliw, Srliw, Sraiw, Addw, Subw, Sllw, Srlw, Sraw,
    Fence, Pause, Ecall, Ebreak,
    // Zifencei (chapter 6), Zicsr (chapter 7). `imm` is the CSR's number, for the I forms `rs1` is the immediate.
    FenceI, Csrrw, Csrrs, Csrrc, Csrrwi, Csrrsi, Csrrci,
    // M (chapter 13).
    Mul, Mulh, Mulhsu, Mulhu, Div, Divu, Rem, Remu,
    Mulw, Divw, Divuw, Remw, Remuw,
    // A (chapter 14). Acquire and release bits are dropped: execution is sequentially consistent.
    LrW, ScW, AmoswapW, AmoaddW, AmoxorW, AmoandW, AmoorW, AmominW, AmomaxW, AmominuW, AmomaxuW,
    LrD, ScD, AmoswapD, AmoaddD, AmoxorD, AmoandD, AmoorD, AmominD, AmomaxD, AmominuD, AmomaxuD,
    // F (chapter 21) and D (chapter 22). `rm` is the rounding-mode field.
    Flw, Fsw, FmaddS, FmsubS, FnmsubS, FnmaddS,
    FaddS, FsubS, FmulS, FdivS, FsqrtS, FsgnjS, FsgnjnS, FsgnjxS, FminS, FmaxS,
    FcvtWS, FcvtWuS, FcvtLS, FcvtLuS, FmvXW, FeqS, FltS, FleS, FclassS,
    FcvtSW, FcvtSWu, FcvtSL, FcvtSLu, FmvWX,
    Fld, Fsd, FmaddD, FmsubD, FnmsubD, FnmaddD,
    FaddD, FsubD, FmulD, FdivD, FsqrtD, FsgnjD, FsgnjnD, FsgnjxD, FminD, FmaxD,
    FcvtSD, FcvtDS, FeqD, FltD, FleD, FclassD,
    FcvtWD, FcvtWuD, FcvtLD, FcvtLuD, FmvXD, FcvtDW, FcvtDWu, FcvtDL, FcvtDLu, FmvDX,
    // Zba, Zbb, Zbs (chapter 28).
    AddUw, Sh1add, Sh1addUw, Sh2add, Sh2addUw, Sh3add, Sh3addUw, SlliUw,
    Andn, Orn, Xnor, Clz, Clzw, Ctz, Ctzw, Cpop, Cpopw, Max, Maxu, Min, Minu,
    SextB, SextH, ZextH, Rol, Rolw, Ror, Rori, Roriw, Rorw, OrcB, Rev8,
    Bclr, Bclri, Bext, Bexti, Binv, Binvi, Bset, Bseti,
    // Privileged architecture.
    Mret, Sret, Wfi, SfenceVma,
}

/// A decoded instruction. Fields that the mnemonic does not have are zero.
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
    /// 12) for `lui` and `auipc`; a shift amount; a CSR's number.
    pub imm: i32,
    /// The encoding as it was fetched (16 bits for a compressed instruction): what `mtval` shows of an illegal one.
    pub bits: u32,
}
