//! Every instruction of 32 bits: the one table that decoder, encoder and disassembler follow.
//!
//! A row is a row of the manual's listings (Unprivileged ISA, "RV32/64G Instruction Set Listings"; chapter "B" and the
//! privileged volume for the rest): mnemonic, encoding in the notation of [`pattern`](super::pattern), and operands in
//! the order of the assembly language. Rows stand in the order of [`Opcode`], so that an opcode is its row's index.
//!
//! Where the manual reserves something, the table says what this hart does:
//! - A fixed field with another value, a rounding mode of 5 or 6 in an instruction, and a reserved shift amount make
//!   the encoding illegal. Rounding mode 7 asks `frm`, so its legality is a matter of state, not of decoding.
//! - The reserved fields of `fence` and `fence.i` are ignored, as their sections ask of a base implementation, and a
//!   reserved `fm` is a normal fence.
//! - `aq` and `rl` are ignored: execution is sequentially consistent. The disassembler shows them.

use super::op::Opcode::{self, *};
use super::pattern::Layout;

/// One instruction of this table, or of that in `compressed.rs`.
pub(super) struct Row {
    /// What it means. A compressed instruction means what it abbreviates.
    pub(super) code: Opcode,
    /// The mnemonic.
    pub(super) name: &'static str,
    /// Operands as the disassembler writes them; its tokens are listed in `disassemble.rs`.
    pub(super) syntax: &'static str,
    /// Where the operands stand.
    pub(super) layout: Layout,
}

const fn row(code: Opcode, name: &'static str, encoding: &str, syntax: &'static str) -> Row {
    Row { code, name, syntax, layout: Layout::parse(encoding, 32) }
}

/// How many rows the table has.
pub(super) const COUNT: usize = SfenceInvalIr as usize + 1;

/// The row of an opcode.
pub(super) const fn of(code: Opcode) -> &'static Row {
    &ROWS[code as usize]
}

impl Opcode {
    /// Every opcode, in the order of their declaration.
    pub fn all() -> impl ExactSizeIterator<Item = Opcode> {
        ROWS.iter().map(|row| row.code)
    }

    /// The mnemonic in lower case, as the assembler takes it: `"fence.i"`.
    pub fn mnemonic(self) -> &'static str {
        of(self).name
    }
}

const _: () = {
    let mut i = 0;
    while i < COUNT {
        assert!(ROWS[i].code as usize == i, "rows stand in the order of Opcode");
        i += 1;
    }
};

#[rustfmt::skip]
pub(super) static ROWS: [Row; COUNT] = [
    // RV32I, "Integer Computational Instructions" and "Control Transfer Instructions".
    row(Lui,       "lui",       "imm[31:12] rd 0110111",                           "rd,upper"),
    row(Auipc,     "auipc",     "imm[31:12] rd 0010111",                           "rd,upper"),
    row(Jal,       "jal",       "imm[20|10:1|11|19:12] rd 1101111",                "rd,target"),
    row(Jalr,      "jalr",      "imm[11:0] rs1 000 rd 1100111",                    "rd,imm(rs1)"),
    row(Beq,       "beq",       "imm[12|10:5] rs2 rs1 000 imm[4:1|11] 1100011",    "rs1,rs2,target"),
    row(Bne,       "bne",       "imm[12|10:5] rs2 rs1 001 imm[4:1|11] 1100011",    "rs1,rs2,target"),
    row(Blt,       "blt",       "imm[12|10:5] rs2 rs1 100 imm[4:1|11] 1100011",    "rs1,rs2,target"),
    row(Bge,       "bge",       "imm[12|10:5] rs2 rs1 101 imm[4:1|11] 1100011",    "rs1,rs2,target"),
    row(Bltu,      "bltu",      "imm[12|10:5] rs2 rs1 110 imm[4:1|11] 1100011",    "rs1,rs2,target"),
    row(Bgeu,      "bgeu",      "imm[12|10:5] rs2 rs1 111 imm[4:1|11] 1100011",    "rs1,rs2,target"),
    // RV32I and RV64I, "Load and Store Instructions".
    row(Lb,        "lb",        "imm[11:0] rs1 000 rd 0000011",                    "rd,imm(rs1)"),
    row(Lh,        "lh",        "imm[11:0] rs1 001 rd 0000011",                    "rd,imm(rs1)"),
    row(Lw,        "lw",        "imm[11:0] rs1 010 rd 0000011",                    "rd,imm(rs1)"),
    row(Ld,        "ld",        "imm[11:0] rs1 011 rd 0000011",                    "rd,imm(rs1)"),
    row(Lbu,       "lbu",       "imm[11:0] rs1 100 rd 0000011",                    "rd,imm(rs1)"),
    row(Lhu,       "lhu",       "imm[11:0] rs1 101 rd 0000011",                    "rd,imm(rs1)"),
    row(Lwu,       "lwu",       "imm[11:0] rs1 110 rd 0000011",                    "rd,imm(rs1)"),
    row(Sb,        "sb",        "imm[11:5] rs2 rs1 000 imm[4:0] 0100011",          "rs2,imm(rs1)"),
    row(Sh,        "sh",        "imm[11:5] rs2 rs1 001 imm[4:0] 0100011",          "rs2,imm(rs1)"),
    row(Sw,        "sw",        "imm[11:5] rs2 rs1 010 imm[4:0] 0100011",          "rs2,imm(rs1)"),
    row(Sd,        "sd",        "imm[11:5] rs2 rs1 011 imm[4:0] 0100011",          "rs2,imm(rs1)"),
    // RV32I, "Integer Register-Immediate Instructions"; shift amounts as RV64I widens them.
    row(Addi,      "addi",      "imm[11:0] rs1 000 rd 0010011",                    "rd,rs1,imm"),
    row(Slti,      "slti",      "imm[11:0] rs1 010 rd 0010011",                    "rd,rs1,imm"),
    row(Sltiu,     "sltiu",     "imm[11:0] rs1 011 rd 0010011",                    "rd,rs1,imm"),
    row(Xori,      "xori",      "imm[11:0] rs1 100 rd 0010011",                    "rd,rs1,imm"),
    row(Ori,       "ori",       "imm[11:0] rs1 110 rd 0010011",                    "rd,rs1,imm"),
    row(Andi,      "andi",      "imm[11:0] rs1 111 rd 0010011",                    "rd,rs1,imm"),
    row(Slli,      "slli",      "000000 shamt[5:0] rs1 001 rd 0010011",            "rd,rs1,shamt"),
    row(Srli,      "srli",      "000000 shamt[5:0] rs1 101 rd 0010011",            "rd,rs1,shamt"),
    row(Srai,      "srai",      "010000 shamt[5:0] rs1 101 rd 0010011",            "rd,rs1,shamt"),
    // RV32I, "Integer Register-Register Operations".
    row(Add,       "add",       "0000000 rs2 rs1 000 rd 0110011",                  "rd,rs1,rs2"),
    row(Sub,       "sub",       "0100000 rs2 rs1 000 rd 0110011",                  "rd,rs1,rs2"),
    row(Sll,       "sll",       "0000000 rs2 rs1 001 rd 0110011",                  "rd,rs1,rs2"),
    row(Slt,       "slt",       "0000000 rs2 rs1 010 rd 0110011",                  "rd,rs1,rs2"),
    row(Sltu,      "sltu",      "0000000 rs2 rs1 011 rd 0110011",                  "rd,rs1,rs2"),
    row(Xor,       "xor",       "0000000 rs2 rs1 100 rd 0110011",                  "rd,rs1,rs2"),
    row(Srl,       "srl",       "0000000 rs2 rs1 101 rd 0110011",                  "rd,rs1,rs2"),
    row(Sra,       "sra",       "0100000 rs2 rs1 101 rd 0110011",                  "rd,rs1,rs2"),
    row(Or,        "or",        "0000000 rs2 rs1 110 rd 0110011",                  "rd,rs1,rs2"),
    row(And,       "and",       "0000000 rs2 rs1 111 rd 0110011",                  "rd,rs1,rs2"),
    // RV64I, "Integer Computational Instructions". A set bit 5 of a word's shift amount is reserved.
    row(Addiw,     "addiw",     "imm[11:0] rs1 000 rd 0011011",                    "rd,rs1,imm"),
    row(Slliw,     "slliw",     "0000000 shamt[4:0] rs1 001 rd 0011011",           "rd,rs1,shamt"),
    row(Srliw,     "srliw",     "0000000 shamt[4:0] rs1 101 rd 0011011",           "rd,rs1,shamt"),
    row(Sraiw,     "sraiw",     "0100000 shamt[4:0] rs1 101 rd 0011011",           "rd,rs1,shamt"),
    row(Addw,      "addw",      "0000000 rs2 rs1 000 rd 0111011",                  "rd,rs1,rs2"),
    row(Subw,      "subw",      "0100000 rs2 rs1 000 rd 0111011",                  "rd,rs1,rs2"),
    row(Sllw,      "sllw",      "0000000 rs2 rs1 001 rd 0111011",                  "rd,rs1,rs2"),
    row(Srlw,      "srlw",      "0000000 rs2 rs1 101 rd 0111011",                  "rd,rs1,rs2"),
    row(Sraw,      "sraw",      "0100000 rs2 rs1 101 rd 0111011",                  "rd,rs1,rs2"),
    // RV32I, "Memory Ordering Instructions", "Environment Call and Breakpoints"; Zihintpause.
    row(Fence,     "fence",     "fm pred succ ----- 000 ----- 0001111",            "pred,succ"),
    row(Pause,     "pause",     "0000 0001 0000 00000 000 00000 0001111",          ""),
    row(Ecall,     "ecall",     "000000000000 00000 000 00000 1110011",            ""),
    row(Ebreak,    "ebreak",    "000000000001 00000 000 00000 1110011",            ""),
    // Zifencei.
    row(FenceI,    "fence.i",   "------------ ----- 001 ----- 0001111",            ""),
    // Zicsr.
    row(Csrrw,     "csrrw",     "csr rs1 001 rd 1110011",                          "rd,csr,rs1"),
    row(Csrrs,     "csrrs",     "csr rs1 010 rd 1110011",                          "rd,csr,rs1"),
    row(Csrrc,     "csrrc",     "csr rs1 011 rd 1110011",                          "rd,csr,rs1"),
    row(Csrrwi,    "csrrwi",    "csr zimm 101 rd 1110011",                         "rd,csr,zimm"),
    row(Csrrsi,    "csrrsi",    "csr zimm 110 rd 1110011",                         "rd,csr,zimm"),
    row(Csrrci,    "csrrci",    "csr zimm 111 rd 1110011",                         "rd,csr,zimm"),
    // M.
    row(Mul,       "mul",       "0000001 rs2 rs1 000 rd 0110011",                  "rd,rs1,rs2"),
    row(Mulh,      "mulh",      "0000001 rs2 rs1 001 rd 0110011",                  "rd,rs1,rs2"),
    row(Mulhsu,    "mulhsu",    "0000001 rs2 rs1 010 rd 0110011",                  "rd,rs1,rs2"),
    row(Mulhu,     "mulhu",     "0000001 rs2 rs1 011 rd 0110011",                  "rd,rs1,rs2"),
    row(Div,       "div",       "0000001 rs2 rs1 100 rd 0110011",                  "rd,rs1,rs2"),
    row(Divu,      "divu",      "0000001 rs2 rs1 101 rd 0110011",                  "rd,rs1,rs2"),
    row(Rem,       "rem",       "0000001 rs2 rs1 110 rd 0110011",                  "rd,rs1,rs2"),
    row(Remu,      "remu",      "0000001 rs2 rs1 111 rd 0110011",                  "rd,rs1,rs2"),
    row(Mulw,      "mulw",      "0000001 rs2 rs1 000 rd 0111011",                  "rd,rs1,rs2"),
    row(Divw,      "divw",      "0000001 rs2 rs1 100 rd 0111011",                  "rd,rs1,rs2"),
    row(Divuw,     "divuw",     "0000001 rs2 rs1 101 rd 0111011",                  "rd,rs1,rs2"),
    row(Remw,      "remw",      "0000001 rs2 rs1 110 rd 0111011",                  "rd,rs1,rs2"),
    row(Remuw,     "remuw",     "0000001 rs2 rs1 111 rd 0111011",                  "rd,rs1,rs2"),
    // A. The two ignored bits are `aq` and `rl`.
    row(LrW,       "lr.w",      "00010 -- 00000 rs1 010 rd 0101111",               "rd,(rs1)"),
    row(ScW,       "sc.w",      "00011 -- rs2 rs1 010 rd 0101111",                 "rd,rs2,(rs1)"),
    row(AmoswapW,  "amoswap.w", "00001 -- rs2 rs1 010 rd 0101111",                 "rd,rs2,(rs1)"),
    row(AmoaddW,   "amoadd.w",  "00000 -- rs2 rs1 010 rd 0101111",                 "rd,rs2,(rs1)"),
    row(AmoxorW,   "amoxor.w",  "00100 -- rs2 rs1 010 rd 0101111",                 "rd,rs2,(rs1)"),
    row(AmoandW,   "amoand.w",  "01100 -- rs2 rs1 010 rd 0101111",                 "rd,rs2,(rs1)"),
    row(AmoorW,    "amoor.w",   "01000 -- rs2 rs1 010 rd 0101111",                 "rd,rs2,(rs1)"),
    row(AmominW,   "amomin.w",  "10000 -- rs2 rs1 010 rd 0101111",                 "rd,rs2,(rs1)"),
    row(AmomaxW,   "amomax.w",  "10100 -- rs2 rs1 010 rd 0101111",                 "rd,rs2,(rs1)"),
    row(AmominuW,  "amominu.w", "11000 -- rs2 rs1 010 rd 0101111",                 "rd,rs2,(rs1)"),
    row(AmomaxuW,  "amomaxu.w", "11100 -- rs2 rs1 010 rd 0101111",                 "rd,rs2,(rs1)"),
    row(LrD,       "lr.d",      "00010 -- 00000 rs1 011 rd 0101111",               "rd,(rs1)"),
    row(ScD,       "sc.d",      "00011 -- rs2 rs1 011 rd 0101111",                 "rd,rs2,(rs1)"),
    row(AmoswapD,  "amoswap.d", "00001 -- rs2 rs1 011 rd 0101111",                 "rd,rs2,(rs1)"),
    row(AmoaddD,   "amoadd.d",  "00000 -- rs2 rs1 011 rd 0101111",                 "rd,rs2,(rs1)"),
    row(AmoxorD,   "amoxor.d",  "00100 -- rs2 rs1 011 rd 0101111",                 "rd,rs2,(rs1)"),
    row(AmoandD,   "amoand.d",  "01100 -- rs2 rs1 011 rd 0101111",                 "rd,rs2,(rs1)"),
    row(AmoorD,    "amoor.d",   "01000 -- rs2 rs1 011 rd 0101111",                 "rd,rs2,(rs1)"),
    row(AmominD,   "amomin.d",  "10000 -- rs2 rs1 011 rd 0101111",                 "rd,rs2,(rs1)"),
    row(AmomaxD,   "amomax.d",  "10100 -- rs2 rs1 011 rd 0101111",                 "rd,rs2,(rs1)"),
    row(AmominuD,  "amominu.d", "11000 -- rs2 rs1 011 rd 0101111",                 "rd,rs2,(rs1)"),
    row(AmomaxuD,  "amomaxu.d", "11100 -- rs2 rs1 011 rd 0101111",                 "rd,rs2,(rs1)"),
    // F.
    row(Flw,       "flw",       "imm[11:0] rs1 010 rd 0000111",                    "fd,imm(rs1)"),
    row(Fsw,       "fsw",       "imm[11:5] rs2 rs1 010 imm[4:0] 0100111",          "fs2,imm(rs1)"),
    row(FmaddS,    "fmadd.s",   "rs3 00 rs2 rs1 rm rd 1000011",                    "fd,fs1,fs2,fs3,rm"),
    row(FmsubS,    "fmsub.s",   "rs3 00 rs2 rs1 rm rd 1000111",                    "fd,fs1,fs2,fs3,rm"),
    row(FnmsubS,   "fnmsub.s",  "rs3 00 rs2 rs1 rm rd 1001011",                    "fd,fs1,fs2,fs3,rm"),
    row(FnmaddS,   "fnmadd.s",  "rs3 00 rs2 rs1 rm rd 1001111",                    "fd,fs1,fs2,fs3,rm"),
    row(FaddS,     "fadd.s",    "0000000 rs2 rs1 rm rd 1010011",                   "fd,fs1,fs2,rm"),
    row(FsubS,     "fsub.s",    "0000100 rs2 rs1 rm rd 1010011",                   "fd,fs1,fs2,rm"),
    row(FmulS,     "fmul.s",    "0001000 rs2 rs1 rm rd 1010011",                   "fd,fs1,fs2,rm"),
    row(FdivS,     "fdiv.s",    "0001100 rs2 rs1 rm rd 1010011",                   "fd,fs1,fs2,rm"),
    row(FsqrtS,    "fsqrt.s",   "0101100 00000 rs1 rm rd 1010011",                 "fd,fs1,rm"),
    row(FsgnjS,    "fsgnj.s",   "0010000 rs2 rs1 000 rd 1010011",                  "fd,fs1,fs2"),
    row(FsgnjnS,   "fsgnjn.s",  "0010000 rs2 rs1 001 rd 1010011",                  "fd,fs1,fs2"),
    row(FsgnjxS,   "fsgnjx.s",  "0010000 rs2 rs1 010 rd 1010011",                  "fd,fs1,fs2"),
    row(FminS,     "fmin.s",    "0010100 rs2 rs1 000 rd 1010011",                  "fd,fs1,fs2"),
    row(FmaxS,     "fmax.s",    "0010100 rs2 rs1 001 rd 1010011",                  "fd,fs1,fs2"),
    row(FcvtWS,    "fcvt.w.s",  "1100000 00000 rs1 rm rd 1010011",                 "rd,fs1,rm"),
    row(FcvtWuS,   "fcvt.wu.s", "1100000 00001 rs1 rm rd 1010011",                 "rd,fs1,rm"),
    row(FcvtLS,    "fcvt.l.s",  "1100000 00010 rs1 rm rd 1010011",                 "rd,fs1,rm"),
    row(FcvtLuS,   "fcvt.lu.s", "1100000 00011 rs1 rm rd 1010011",                 "rd,fs1,rm"),
    row(FmvXW,     "fmv.x.w",   "1110000 00000 rs1 000 rd 1010011",                "rd,fs1"),
    row(FeqS,      "feq.s",     "1010000 rs2 rs1 010 rd 1010011",                  "rd,fs1,fs2"),
    row(FltS,      "flt.s",     "1010000 rs2 rs1 001 rd 1010011",                  "rd,fs1,fs2"),
    row(FleS,      "fle.s",     "1010000 rs2 rs1 000 rd 1010011",                  "rd,fs1,fs2"),
    row(FclassS,   "fclass.s",  "1110000 00000 rs1 001 rd 1010011",                "rd,fs1"),
    row(FcvtSW,    "fcvt.s.w",  "1101000 00000 rs1 rm rd 1010011",                 "fd,rs1,rm"),
    row(FcvtSWu,   "fcvt.s.wu", "1101000 00001 rs1 rm rd 1010011",                 "fd,rs1,rm"),
    row(FcvtSL,    "fcvt.s.l",  "1101000 00010 rs1 rm rd 1010011",                 "fd,rs1,rm"),
    row(FcvtSLu,   "fcvt.s.lu", "1101000 00011 rs1 rm rd 1010011",                 "fd,rs1,rm"),
    row(FmvWX,     "fmv.w.x",   "1111000 00000 rs1 000 rd 1010011",                "fd,rs1"),
    // D.
    row(Fld,       "fld",       "imm[11:0] rs1 011 rd 0000111",                    "fd,imm(rs1)"),
    row(Fsd,       "fsd",       "imm[11:5] rs2 rs1 011 imm[4:0] 0100111",          "fs2,imm(rs1)"),
    row(FmaddD,    "fmadd.d",   "rs3 01 rs2 rs1 rm rd 1000011",                    "fd,fs1,fs2,fs3,rm"),
    row(FmsubD,    "fmsub.d",   "rs3 01 rs2 rs1 rm rd 1000111",                    "fd,fs1,fs2,fs3,rm"),
    row(FnmsubD,   "fnmsub.d",  "rs3 01 rs2 rs1 rm rd 1001011",                    "fd,fs1,fs2,fs3,rm"),
    row(FnmaddD,   "fnmadd.d",  "rs3 01 rs2 rs1 rm rd 1001111",                    "fd,fs1,fs2,fs3,rm"),
    row(FaddD,     "fadd.d",    "0000001 rs2 rs1 rm rd 1010011",                   "fd,fs1,fs2,rm"),
    row(FsubD,     "fsub.d",    "0000101 rs2 rs1 rm rd 1010011",                   "fd,fs1,fs2,rm"),
    row(FmulD,     "fmul.d",    "0001001 rs2 rs1 rm rd 1010011",                   "fd,fs1,fs2,rm"),
    row(FdivD,     "fdiv.d",    "0001101 rs2 rs1 rm rd 1010011",                   "fd,fs1,fs2,rm"),
    row(FsqrtD,    "fsqrt.d",   "0101101 00000 rs1 rm rd 1010011",                 "fd,fs1,rm"),
    row(FsgnjD,    "fsgnj.d",   "0010001 rs2 rs1 000 rd 1010011",                  "fd,fs1,fs2"),
    row(FsgnjnD,   "fsgnjn.d",  "0010001 rs2 rs1 001 rd 1010011",                  "fd,fs1,fs2"),
    row(FsgnjxD,   "fsgnjx.d",  "0010001 rs2 rs1 010 rd 1010011",                  "fd,fs1,fs2"),
    row(FminD,     "fmin.d",    "0010101 rs2 rs1 000 rd 1010011",                  "fd,fs1,fs2"),
    row(FmaxD,     "fmax.d",    "0010101 rs2 rs1 001 rd 1010011",                  "fd,fs1,fs2"),
    row(FcvtSD,    "fcvt.s.d",  "0100000 00001 rs1 rm rd 1010011",                 "fd,fs1,rm"),
    row(FcvtDS,    "fcvt.d.s",  "0100001 00000 rs1 rm rd 1010011",                 "fd,fs1,exact"),
    row(FeqD,      "feq.d",     "1010001 rs2 rs1 010 rd 1010011",                  "rd,fs1,fs2"),
    row(FltD,      "flt.d",     "1010001 rs2 rs1 001 rd 1010011",                  "rd,fs1,fs2"),
    row(FleD,      "fle.d",     "1010001 rs2 rs1 000 rd 1010011",                  "rd,fs1,fs2"),
    row(FclassD,   "fclass.d",  "1110001 00000 rs1 001 rd 1010011",                "rd,fs1"),
    row(FcvtWD,    "fcvt.w.d",  "1100001 00000 rs1 rm rd 1010011",                 "rd,fs1,rm"),
    row(FcvtWuD,   "fcvt.wu.d", "1100001 00001 rs1 rm rd 1010011",                 "rd,fs1,rm"),
    row(FcvtLD,    "fcvt.l.d",  "1100001 00010 rs1 rm rd 1010011",                 "rd,fs1,rm"),
    row(FcvtLuD,   "fcvt.lu.d", "1100001 00011 rs1 rm rd 1010011",                 "rd,fs1,rm"),
    row(FmvXD,     "fmv.x.d",   "1110001 00000 rs1 000 rd 1010011",                "rd,fs1"),
    row(FcvtDW,    "fcvt.d.w",  "1101001 00000 rs1 rm rd 1010011",                 "fd,rs1,exact"),
    row(FcvtDWu,   "fcvt.d.wu", "1101001 00001 rs1 rm rd 1010011",                 "fd,rs1,exact"),
    row(FcvtDL,    "fcvt.d.l",  "1101001 00010 rs1 rm rd 1010011",                 "fd,rs1,rm"),
    row(FcvtDLu,   "fcvt.d.lu", "1101001 00011 rs1 rm rd 1010011",                 "fd,rs1,rm"),
    row(FmvDX,     "fmv.d.x",   "1111001 00000 rs1 000 rd 1010011",                "fd,rs1"),
    // B: Zba, "Address generation".
    row(AddUw,     "add.uw",    "0000100 rs2 rs1 000 rd 0111011",                  "rd,rs1,rs2"),
    row(Sh1add,    "sh1add",    "0010000 rs2 rs1 010 rd 0110011",                  "rd,rs1,rs2"),
    row(Sh1addUw,  "sh1add.uw", "0010000 rs2 rs1 010 rd 0111011",                  "rd,rs1,rs2"),
    row(Sh2add,    "sh2add",    "0010000 rs2 rs1 100 rd 0110011",                  "rd,rs1,rs2"),
    row(Sh2addUw,  "sh2add.uw", "0010000 rs2 rs1 100 rd 0111011",                  "rd,rs1,rs2"),
    row(Sh3add,    "sh3add",    "0010000 rs2 rs1 110 rd 0110011",                  "rd,rs1,rs2"),
    row(Sh3addUw,  "sh3add.uw", "0010000 rs2 rs1 110 rd 0111011",                  "rd,rs1,rs2"),
    row(SlliUw,    "slli.uw",   "000010 shamt[5:0] rs1 001 rd 0011011",            "rd,rs1,shamt"),
    // B: Zbb, "Basic bit-manipulation".
    row(Andn,      "andn",      "0100000 rs2 rs1 111 rd 0110011",                  "rd,rs1,rs2"),
    row(Orn,       "orn",       "0100000 rs2 rs1 110 rd 0110011",                  "rd,rs1,rs2"),
    row(Xnor,      "xnor",      "0100000 rs2 rs1 100 rd 0110011",                  "rd,rs1,rs2"),
    row(Clz,       "clz",       "0110000 00000 rs1 001 rd 0010011",                "rd,rs1"),
    row(Clzw,      "clzw",      "0110000 00000 rs1 001 rd 0011011",                "rd,rs1"),
    row(Ctz,       "ctz",       "0110000 00001 rs1 001 rd 0010011",                "rd,rs1"),
    row(Ctzw,      "ctzw",      "0110000 00001 rs1 001 rd 0011011",                "rd,rs1"),
    row(Cpop,      "cpop",      "0110000 00010 rs1 001 rd 0010011",                "rd,rs1"),
    row(Cpopw,     "cpopw",     "0110000 00010 rs1 001 rd 0011011",                "rd,rs1"),
    row(Max,       "max",       "0000101 rs2 rs1 110 rd 0110011",                  "rd,rs1,rs2"),
    row(Maxu,      "maxu",      "0000101 rs2 rs1 111 rd 0110011",                  "rd,rs1,rs2"),
    row(Min,       "min",       "0000101 rs2 rs1 100 rd 0110011",                  "rd,rs1,rs2"),
    row(Minu,      "minu",      "0000101 rs2 rs1 101 rd 0110011",                  "rd,rs1,rs2"),
    row(SextB,     "sext.b",    "0110000 00100 rs1 001 rd 0010011",                "rd,rs1"),
    row(SextH,     "sext.h",    "0110000 00101 rs1 001 rd 0010011",                "rd,rs1"),
    row(ZextH,     "zext.h",    "0000100 00000 rs1 100 rd 0111011",                "rd,rs1"),
    row(Rol,       "rol",       "0110000 rs2 rs1 001 rd 0110011",                  "rd,rs1,rs2"),
    row(Rolw,      "rolw",      "0110000 rs2 rs1 001 rd 0111011",                  "rd,rs1,rs2"),
    row(Ror,       "ror",       "0110000 rs2 rs1 101 rd 0110011",                  "rd,rs1,rs2"),
    row(Rori,      "rori",      "011000 shamt[5:0] rs1 101 rd 0010011",            "rd,rs1,shamt"),
    row(Roriw,     "roriw",     "0110000 shamt[4:0] rs1 101 rd 0011011",           "rd,rs1,shamt"),
    row(Rorw,      "rorw",      "0110000 rs2 rs1 101 rd 0111011",                  "rd,rs1,rs2"),
    row(OrcB,      "orc.b",     "0010100 00111 rs1 101 rd 0010011",                "rd,rs1"),
    row(Rev8,      "rev8",      "0110101 11000 rs1 101 rd 0010011",                "rd,rs1"),
    // B: Zbs, "Single-bit instructions".
    row(Bclr,      "bclr",      "0100100 rs2 rs1 001 rd 0110011",                  "rd,rs1,rs2"),
    row(Bclri,     "bclri",     "010010 shamt[5:0] rs1 001 rd 0010011",            "rd,rs1,shamt"),
    row(Bext,      "bext",      "0100100 rs2 rs1 101 rd 0110011",                  "rd,rs1,rs2"),
    row(Bexti,     "bexti",     "010010 shamt[5:0] rs1 101 rd 0010011",            "rd,rs1,shamt"),
    row(Binv,      "binv",      "0110100 rs2 rs1 001 rd 0110011",                  "rd,rs1,rs2"),
    row(Binvi,     "binvi",     "011010 shamt[5:0] rs1 001 rd 0010011",            "rd,rs1,shamt"),
    row(Bset,      "bset",      "0010100 rs2 rs1 001 rd 0110011",                  "rd,rs1,rs2"),
    row(Bseti,     "bseti",     "001010 shamt[5:0] rs1 001 rd 0010011",            "rd,rs1,shamt"),
    // "Zicond", conditional operations; "Zawrs", waiting on a reservation set.
    row(CzeroEqz,  "czero.eqz", "0000111 rs2 rs1 101 rd 0110011",                  "rd,rs1,rs2"),
    row(CzeroNez,  "czero.nez", "0000111 rs2 rs1 111 rd 0110011",                  "rd,rs1,rs2"),
    row(WrsNto,    "wrs.nto",   "000000001101 00000 000 00000 1110011",            ""),
    row(WrsSto,    "wrs.sto",   "000000011101 00000 000 00000 1110011",            ""),
    // "CMO": Zicbom, "Cache-Block Management Instructions"; Zicboz, "Cache-Block Zero Instructions".
    row(CboInval,  "cbo.inval", "000000000000 rs1 010 00000 0001111",              "(rs1)"),
    row(CboClean,  "cbo.clean", "000000000001 rs1 010 00000 0001111",              "(rs1)"),
    row(CboFlush,  "cbo.flush", "000000000010 rs1 010 00000 0001111",              "(rs1)"),
    row(CboZero,   "cbo.zero",  "000000000100 rs1 010 00000 0001111",              "(rs1)"),
    // Privileged architecture, "Trap-Return Instructions", "Wait for Interrupt", "Supervisor Memory-Management Fence".
    row(Mret,      "mret",      "0011000 00010 00000 000 00000 1110011",           ""),
    row(Sret,      "sret",      "0001000 00010 00000 000 00000 1110011",           ""),
    row(Wfi,       "wfi",       "0001000 00101 00000 000 00000 1110011",           ""),
    row(SfenceVma, "sfence.vma", "0001001 rs2 rs1 000 00000 1110011",              "rs1,rs2"),
    // "Svinval", fine-grained address-translation cache invalidation.
    row(SinvalVma, "sinval.vma", "0001011 rs2 rs1 000 00000 1110011",              "rs1,rs2"),
    row(SfenceWInval, "sfence.w.inval", "0001100 00000 00000 000 00000 1110011",   ""),
    row(SfenceInvalIr, "sfence.inval.ir", "0001100 00001 00000 000 00000 1110011", ""),
];
