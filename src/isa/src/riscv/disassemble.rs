//! From an operation to text, in the dialect of GNU objdump.
//!
//! Registers have their ABI names, control and status registers their own, and where objdump prefers a pseudo-instruction
//! (Unprivileged ISA, "RISC-V Assembly Programmer's Handbook") so does this. It differs from objdump in these:
//! - one space, not a tab, stands between mnemonic and operands;
//! - a target is written as `0x80000010`, without a symbol, which the caller adds;
//! - instructions with an immediate keep their names (`addi`, where objdump 2.40 writes `add` with a number);
//! - compressed hints (`c.nop 1`) are written as the operations that they execute as (`li zero,1`).
//!
//! The GNU assembler takes every text, with targets written relative to the instruction, but for the few operations that
//! it has no syntax for: a fence with an empty set, and a rounding mode of a conversion that never rounds.

use std::fmt::Write;

use super::csr_names;
use super::op::Op;
use super::op::Opcode::{self, *};
use super::table;

/// ABI names of the integer registers, by number.
pub const X_NAMES: [&str; 32] = [
    "zero", "ra", "sp", "gp", "tp", "t0", "t1", "t2", "s0", "s1", "a0", "a1", "a2", "a3", "a4", "a5", "a6",
    "a7", "s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9", "s10", "s11", "t3", "t4", "t5", "t6",
];

/// ABI names of the floating-point registers, by number.
pub const F_NAMES: [&str; 32] = [
    "ft0", "ft1", "ft2", "ft3", "ft4", "ft5", "ft6", "ft7", "fs0", "fs1", "fa0", "fa1", "fa2", "fa3", "fa4",
    "fa5", "fa6", "fa7", "fs2", "fs3", "fs4", "fs5", "fs6", "fs7", "fs8", "fs9", "fs10", "fs11", "ft8",
    "ft9", "ft10", "ft11",
];

/// The assembly-language text of an operation at address `pc`, e.g. `addi sp,sp,-16` or `beqz a0,0x80000010`.
///
/// An operation that no encoding gives (see [`encode`](super::encode::encode)) gives some text, never a panic.
pub fn disassemble(op: &Op, pc: u64) -> String {
    let row = table::of(op.code);
    let alias = ALIASES.iter().find(|alias| alias.code == op.code && (alias.when)(op));
    let (name, syntax) = alias.map_or((row.name, row.syntax), |alias| (alias.name, alias.syntax));
    let mut text = String::from(name);
    text.push_str(ordering_suffix(op));
    if !syntax.is_empty() {
        text.push(' ');
    }
    let mut rest = syntax;
    while let Some(first) = rest.chars().next() {
        let length = rest.find([',', '(', ')']).unwrap_or(rest.len());
        if length == 0 {
            text.push(first);
            rest = &rest[1..];
        } else {
            operand(&mut text, op, pc, &rest[..length]);
            rest = &rest[length..];
        }
    }
    text
}

/// Writes one operand, which `token` of a syntax names:
///
/// | token | text |
/// | --- | --- |
/// | `rd rs1 rs2` | an integer register |
/// | `fd fs1 fs2 fs3` | a floating-point register |
/// | `imm` | the immediate, in decimal |
/// | `shamt` | a shift amount, in hexadecimal |
/// | `upper` | the 20 bits of `lui` and `auipc`, in hexadecimal |
/// | `target` | where a jump or branch at `pc` goes |
/// | `csr` `zimm` | the CSR; the five-bit immediate, in decimal |
/// | `pred succ` | a set of `fence`, e.g. `rw` |
/// | `rm` | a rounding mode with the comma before it left out if it is dynamic, as assemblers take none for dynamic |
/// | `exact` | the same of conversions that never round, where assemblers take none for round-to-nearest |
fn operand(text: &mut String, op: &Op, pc: u64, token: &str) {
    let x = |register: u8| X_NAMES[register as usize & 31];
    let f = |register: u8| F_NAMES[register as usize & 31];
    match token {
        "rd" => text.push_str(x(op.rd)),
        "rs1" => text.push_str(x(op.rs1)),
        "rs2" => text.push_str(x(op.rs2)),
        "fd" => text.push_str(f(op.rd)),
        "fs1" => text.push_str(f(op.rs1)),
        "fs2" => text.push_str(f(op.rs2)),
        "fs3" => text.push_str(f(op.rs3)),
        "pred" => text.push_str(&fence_set(op.imm >> 4)),
        "succ" => text.push_str(&fence_set(op.imm)),
        "csr" => match csr_names::name(op.imm as u16) {
            Some(name) => text.push_str(&name),
            None => formatted(text, format_args!("{:#x}", op.imm)),
        },
        "rm" | "exact" => {
            let left_out = if token == "rm" { 7 } else { 0 };
            if op.rm == left_out {
                // The comma before it.
                text.pop();
            } else {
                text.push_str(ROUNDING_NAMES[op.rm as usize & 7]);
            }
        }
        "imm" => formatted(text, format_args!("{}", op.imm)),
        "zimm" => formatted(text, format_args!("{}", op.rs1)),
        "shamt" => formatted(text, format_args!("{:#x}", op.imm)),
        "upper" => formatted(text, format_args!("{:#x}", op.imm as u32 >> 12)),
        "target" => formatted(text, format_args!("{:#x}", pc.wrapping_add_signed(op.imm.into()))),
        _ => unreachable!("the tables use only the tokens above"),
    }
}

fn formatted(text: &mut String, value: std::fmt::Arguments<'_>) {
    text.write_fmt(value).expect("a string takes whatever is written to it");
}

/// By the value of the rounding-mode field.
const ROUNDING_NAMES: [&str; 8] = ["rne", "rtz", "rdn", "rup", "rmm", "unknown", "unknown", "dyn"];

/// The low four bits of `set` as letters: device input and output, memory reads and writes.
fn fence_set(set: i32) -> String {
    let letters = [(8, 'i'), (4, 'o'), (2, 'r'), (1, 'w')];
    match set & 15 {
        0 => String::from("0"),
        set => letters.iter().filter(|(bit, _)| set & bit != 0).map(|(_, letter)| letter).collect(),
    }
}

/// The suffix of an atomic instruction whose encoding has `aq` or `rl` set (bits 26 and 25).
fn ordering_suffix(op: &Op) -> &'static str {
    if !op.code.is_atomic() {
        return "";
    }
    match op.bits >> 25 & 3 {
        0 => "",
        1 => ".rl",
        2 => ".aq",
        _ => ".aqrl",
    }
}

/// A pseudo-instruction: how an operation of `code` is read when its operands are as `when` wants them.
struct Alias {
    code: Opcode,
    when: fn(&Op) -> bool,
    name: &'static str,
    syntax: &'static str,
}

const fn alias(code: Opcode, when: fn(&Op) -> bool, name: &'static str, syntax: &'static str) -> Alias {
    Alias { code, when, name, syntax }
}

/// The first that fits is taken.
#[rustfmt::skip]
static ALIASES: &[Alias] = &[
    alias(Addi,    |op| op.rd == 0 && op.rs1 == 0 && op.imm == 0, "nop",    ""),
    alias(Addi,    |op| op.rs1 == 0,                              "li",     "rd,imm"),
    alias(Addi,    |op| op.imm == 0 && op.length == 4,            "mv",     "rd,rs1"),
    alias(Add,     |op| op.rd != 0 && op.rs1 == 0 && op.length == 2, "mv",  "rd,rs2"),
    alias(Addiw,   |op| op.imm == 0,                              "sext.w", "rd,rs1"),
    alias(Xori,    |op| op.imm == -1,                             "not",    "rd,rs1"),
    alias(Andi,    |op| op.imm == 255,                            "zext.b", "rd,rs1"),
    alias(AddUw,   |op| op.rs2 == 0,                              "zext.w", "rd,rs1"),
    alias(Sub,     |op| op.rs1 == 0,                              "neg",    "rd,rs2"),
    alias(Subw,    |op| op.rs1 == 0,                              "negw",   "rd,rs2"),
    alias(Sltiu,   |op| op.imm == 1,                              "seqz",   "rd,rs1"),
    alias(Sltu,    |op| op.rs1 == 0,                              "snez",   "rd,rs2"),
    alias(Slt,     |op| op.rs2 == 0,                              "sltz",   "rd,rs1"),
    alias(Slt,     |op| op.rs1 == 0,                              "sgtz",   "rd,rs2"),
    alias(Beq,     |op| op.rs2 == 0,                              "beqz",   "rs1,target"),
    alias(Bne,     |op| op.rs2 == 0,                              "bnez",   "rs1,target"),
    alias(Bge,     |op| op.rs1 == 0,                              "blez",   "rs2,target"),
    alias(Bge,     |op| op.rs2 == 0,                              "bgez",   "rs1,target"),
    alias(Blt,     |op| op.rs2 == 0,                              "bltz",   "rs1,target"),
    alias(Blt,     |op| op.rs1 == 0,                              "bgtz",   "rs2,target"),
    alias(Jal,     |op| op.rd == 0,                               "j",      "target"),
    alias(Jal,     |op| op.rd == 1,                               "jal",    "target"),
    alias(Jalr,    |op| op.rd == 0 && op.rs1 == 1 && op.imm == 0, "ret",    ""),
    alias(Jalr,    |op| op.rd == 0 && op.imm == 0,                "jr",     "rs1"),
    alias(Jalr,    |op| op.rd == 0,                               "jr",     "imm(rs1)"),
    alias(Jalr,    |op| op.rd == 1 && op.imm == 0,                "jalr",   "rs1"),
    alias(Jalr,    |op| op.rd == 1,                               "jalr",   "imm(rs1)"),
    alias(Jalr,    |op| op.imm == 0,                              "jalr",   "rd,rs1"),
    alias(Fence,   |op| op.imm == 0x0ff,                          "fence",  ""),
    alias(Fence,   |op| op.imm == 0x833,                          "fence.tso", ""),
    alias(SfenceVma, |op| op.rs1 == 0 && op.rs2 == 0,             "sfence.vma", ""),
    alias(SfenceVma, |op| op.rs2 == 0,                            "sfence.vma", "rs1"),
    // The word that assemblers emit for `unimp`: a write to a read-only CSR.
    alias(Csrrw,   |op| op.rd == 0 && op.rs1 == 0 && op.imm == 0xc00, "unimp", ""),
    alias(Csrrw,   |op| op.rd == 0 && op.imm == 1,                "fsflags", "rs1"),
    alias(Csrrw,   |op| op.imm == 1,                              "fsflags", "rd,rs1"),
    alias(Csrrw,   |op| op.rd == 0 && op.imm == 2,                "fsrm",   "rs1"),
    alias(Csrrw,   |op| op.imm == 2,                              "fsrm",   "rd,rs1"),
    alias(Csrrw,   |op| op.rd == 0 && op.imm == 3,                "fscsr",  "rs1"),
    alias(Csrrw,   |op| op.imm == 3,                              "fscsr",  "rd,rs1"),
    alias(Csrrwi,  |op| op.rd == 0 && op.imm == 1,                "fsflagsi", "zimm"),
    alias(Csrrwi,  |op| op.imm == 1,                              "fsflagsi", "rd,zimm"),
    alias(Csrrwi,  |op| op.rd == 0 && op.imm == 2,                "fsrmi",  "zimm"),
    alias(Csrrwi,  |op| op.imm == 2,                              "fsrmi",  "rd,zimm"),
    alias(Csrrs,   |op| op.rs1 == 0 && op.imm == 0x001,           "frflags", "rd"),
    alias(Csrrs,   |op| op.rs1 == 0 && op.imm == 0x002,           "frrm",   "rd"),
    alias(Csrrs,   |op| op.rs1 == 0 && op.imm == 0x003,           "frcsr",  "rd"),
    alias(Csrrs,   |op| op.rs1 == 0 && op.imm == 0xc00,           "rdcycle", "rd"),
    alias(Csrrs,   |op| op.rs1 == 0 && op.imm == 0xc01,           "rdtime", "rd"),
    alias(Csrrs,   |op| op.rs1 == 0 && op.imm == 0xc02,           "rdinstret", "rd"),
    alias(Csrrs,   |op| op.rs1 == 0,                              "csrr",   "rd,csr"),
    alias(Csrrw,   |op| op.rd == 0,                               "csrw",   "csr,rs1"),
    alias(Csrrs,   |op| op.rd == 0,                               "csrs",   "csr,rs1"),
    alias(Csrrc,   |op| op.rd == 0,                               "csrc",   "csr,rs1"),
    alias(Csrrwi,  |op| op.rd == 0,                               "csrwi",  "csr,zimm"),
    alias(Csrrsi,  |op| op.rd == 0,                               "csrsi",  "csr,zimm"),
    alias(Csrrci,  |op| op.rd == 0,                               "csrci",  "csr,zimm"),
    alias(FsgnjS,  |op| op.rs1 == op.rs2,                         "fmv.s",  "fd,fs1"),
    alias(FsgnjnS, |op| op.rs1 == op.rs2,                         "fneg.s", "fd,fs1"),
    alias(FsgnjxS, |op| op.rs1 == op.rs2,                         "fabs.s", "fd,fs1"),
    alias(FsgnjD,  |op| op.rs1 == op.rs2,                         "fmv.d",  "fd,fs1"),
    alias(FsgnjnD, |op| op.rs1 == op.rs2,                         "fneg.d", "fd,fs1"),
    alias(FsgnjxD, |op| op.rs1 == op.rs2,                         "fabs.d", "fd,fs1"),
];
