//! Every compressed instruction of RV64DC: the second half of the table.
//!
//! A row is a row of the listings at the end of the manual's chapter "C" (Unprivileged ISA, "RVC Instruction Set
//! Listings"): encoding in the notation of [`pattern`](super::pattern), then the instruction that it abbreviates and the
//! latter's operands, as the text of the chapter gives them ("It expands to ..."). Where a register stands for both
//! destination and source (`rd/rs1` in the manual), the encoding calls it `rd`.
//!
//! Where two rows match, the more specific one is meant (`c.jr` is `c.mv` with rs2 = 0). Code points that the chapter
//! calls HINTs are instructions that write x0 or that change nothing, so they need no row and execute as no-operations.
//! Code points that it calls reserved have no row, or a field that must not be zero. The all-zero halfword, "defined
//! illegal", is `c.addi4spn` with an immediate of zero.

use super::op::Opcode::{self, *};
use super::pattern::Layout;
use super::table::{self, Row};

/// The row of a compressed instruction: its own mnemonic and encoding, the opcode that it abbreviates, and the latter's
/// operands.
const fn row(name: &'static str, encoding: &str, code: Opcode, operands: &str) -> Row {
    let syntax = table::of(code).syntax;
    Row { code, name, syntax, layout: Layout::parse(encoding, 16).expand(syntax, operands) }
}

/// How many rows the table has.
pub(super) const COUNT: usize = 36;

#[rustfmt::skip]
pub(super) static ROWS: [Row; COUNT] = [
    // Quadrant 0.
    row("c.addi4spn",  "000 nzuimm[5:4|9:6|2|3] rd' 00",           Addi,   "rd',x2,imm"),
    row("c.fld",       "001 uimm[5:3] rs1' uimm[7:6] rd' 00",      Fld,    "rd',imm(rs1')"),
    row("c.lw",        "010 uimm[5:3] rs1' uimm[2|6] rd' 00",      Lw,     "rd',imm(rs1')"),
    row("c.ld",        "011 uimm[5:3] rs1' uimm[7:6] rd' 00",      Ld,     "rd',imm(rs1')"),
    row("c.fsd",       "101 uimm[5:3] rs1' uimm[7:6] rs2' 00",     Fsd,    "rs2',imm(rs1')"),
    row("c.sw",        "110 uimm[5:3] rs1' uimm[2|6] rs2' 00",     Sw,     "rs2',imm(rs1')"),
    row("c.sd",        "111 uimm[5:3] rs1' uimm[7:6] rs2' 00",     Sd,     "rs2',imm(rs1')"),
    // Quadrant 1. `c.nop` is `c.addi` with rd = 0.
    row("c.addi",      "000 imm[5] rd imm[4:0] 01",                Addi,   "rd,rd,imm"),
    row("c.addiw",     "001 imm[5] rd!=0 imm[4:0] 01",             Addiw,  "rd,rd,imm"),
    row("c.li",        "010 imm[5] rd imm[4:0] 01",                Addi,   "rd,x0,imm"),
    row("c.lui",       "011 nzimm[17] rd nzimm[16:12] 01",         Lui,    "rd,imm"),
    row("c.addi16sp",  "011 nzimm[9] 00010 nzimm[4|6|8:7|5] 01",   Addi,   "x2,x2,imm"),
    row("c.srli",      "100 uimm[5] 00 rd' uimm[4:0] 01",          Srli,   "rd',rd',imm"),
    row("c.srai",      "100 uimm[5] 01 rd' uimm[4:0] 01",          Srai,   "rd',rd',imm"),
    row("c.andi",      "100 imm[5] 10 rd' imm[4:0] 01",            Andi,   "rd',rd',imm"),
    row("c.sub",       "100 0 11 rd' 00 rs2' 01",                  Sub,    "rd',rd',rs2'"),
    row("c.xor",       "100 0 11 rd' 01 rs2' 01",                  Xor,    "rd',rd',rs2'"),
    row("c.or",        "100 0 11 rd' 10 rs2' 01",                  Or,     "rd',rd',rs2'"),
    row("c.and",       "100 0 11 rd' 11 rs2' 01",                  And,    "rd',rd',rs2'"),
    row("c.subw",      "100 1 11 rd' 00 rs2' 01",                  Subw,   "rd',rd',rs2'"),
    row("c.addw",      "100 1 11 rd' 01 rs2' 01",                  Addw,   "rd',rd',rs2'"),
    row("c.j",         "101 imm[11|4|9:8|10|6|7|3:1|5] 01",        Jal,    "x0,imm"),
    row("c.beqz",      "110 imm[8|4:3] rs1' imm[7:6|2:1|5] 01",    Beq,    "rs1',x0,imm"),
    row("c.bnez",      "111 imm[8|4:3] rs1' imm[7:6|2:1|5] 01",    Bne,    "rs1',x0,imm"),
    // Quadrant 2.
    row("c.slli",      "000 uimm[5] rd uimm[4:0] 10",              Slli,   "rd,rd,imm"),
    row("c.fldsp",     "001 uimm[5] rd uimm[4:3|8:6] 10",          Fld,    "rd,imm(x2)"),
    row("c.lwsp",      "010 uimm[5] rd!=0 uimm[4:2|7:6] 10",       Lw,     "rd,imm(x2)"),
    row("c.ldsp",      "011 uimm[5] rd!=0 uimm[4:3|8:6] 10",       Ld,     "rd,imm(x2)"),
    row("c.mv",        "100 0 rd rs2 10",                          Add,    "rd,x0,rs2"),
    row("c.jr",        "100 0 rs1!=0 00000 10",                    Jalr,   "x0,0(rs1)"),
    row("c.add",       "100 1 rd rs2 10",                          Add,    "rd,rd,rs2"),
    row("c.jalr",      "100 1 rs1 00000 10",                       Jalr,   "x1,0(rs1)"),
    row("c.ebreak",    "100 1 00000 00000 10",                     Ebreak, ""),
    row("c.fsdsp",     "101 uimm[5:3|8:6] rs2 10",                 Fsd,    "rs2,imm(x2)"),
    row("c.swsp",      "110 uimm[5:2|7:6] rs2 10",                 Sw,     "rs2,imm(x2)"),
    row("c.sdsp",      "111 uimm[5:3|8:6] rs2 10",                 Sd,     "rs2,imm(x2)"),
];
