//! Programs as text: one instruction a line, as the manual writes it, with labels and comments.
//!
//! `loop:` defines a label, which branches and jumps name. `c.` before any mnemonic asks for its compressed encoding.
//! `.word N` and `.half N` stand for themselves. Of CSRs the names are known.

use cantus_isa::riscv::class::Class;
use cantus_isa::riscv::{Op, Opcode, compress, csr_names, encode};
use std::collections::BTreeMap;

/// The bytes of `program`, to stand anywhere.
pub fn assemble(program: &str) -> Vec<u8> {
    let lines: Vec<&str> = program
        .lines()
        .map(|line| line.split('#').next().unwrap_or_default().trim())
        .filter(|line| !line.is_empty())
        .collect();
    // Lengths do not depend on labels: compressed instructions are asked for.
    let mut labels = BTreeMap::new();
    let mut at = 0;
    for line in &lines {
        match line.strip_suffix(':') {
            Some(label) => drop(labels.insert(label, at)),
            None => at += if line.starts_with("c.") || line.starts_with(".half") { 2 } else { 4 },
        }
    }
    let mut bytes = Vec::new();
    for line in lines.iter().filter(|line| !line.ends_with(':')) {
        if let Some(value) = line.strip_prefix(".word ") {
            bytes.extend((number(value).expect("a number") as u32).to_le_bytes());
        } else if let Some(value) = line.strip_prefix(".half ") {
            bytes.extend((number(value).expect("a number") as u16).to_le_bytes());
        } else if let Some(line) = line.strip_prefix("c.") {
            let op = instruction(line, bytes.len(), &labels);
            bytes.extend(compress(&op).unwrap_or_else(|| panic!("{line}: no short form")).to_le_bytes());
        } else {
            let op = instruction(line, bytes.len(), &labels);
            bytes.extend(encode(&op).unwrap_or_else(|| panic!("{line}: no such instruction")).to_le_bytes());
        }
    }
    bytes
}

/// A number, decimal or hexadecimal, perhaps negative.
pub fn number(text: &str) -> Option<i64> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text),
    };
    let value = match digits.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(&digits.replace('_', ""), 16).ok()? as i64,
        None => digits.parse().ok()?,
    };
    Some(value.wrapping_mul(sign))
}

pub fn opcode(mnemonic: &str) -> Opcode {
    Opcode::all()
        .find(|code| code.mnemonic() == mnemonic)
        .unwrap_or_else(|| panic!("{mnemonic}: no such mnemonic"))
}

fn register(text: &str) -> Option<u8> {
    let digits = text.strip_prefix('x').or_else(|| text.strip_prefix('f'))?;
    digits.parse().ok().filter(|&number| number < 32)
}

const ROUNDING: [&str; 5] = ["rne", "rtz", "rdn", "rup", "rmm"];

fn instruction(line: &str, at: usize, labels: &BTreeMap<&str, usize>) -> Op {
    let (mnemonic, operands) = line.split_once(' ').unwrap_or((line, ""));
    let code = opcode(mnemonic);
    let mut op = Op::of(code);
    let mut registers = Vec::new();
    if code.is_floating() {
        // Where the instruction has the field: dynamic, unless the text says otherwise.
        op.rm = 7;
        if encode(&op).is_none() {
            op.rm = 0;
        }
    }
    for operand in operands.split(',').map(str::trim).filter(|operand| !operand.is_empty()) {
        if let Some(number) = register(operand) {
            registers.push(number);
        } else if let Some((offset, base)) = operand.strip_suffix(')').and_then(|text| text.split_once('(')) {
            op.imm = number(offset).unwrap_or(0) as i32;
            op.rs1 = register(base).expect("a base register");
        } else if let Some(mode) = ROUNDING.iter().position(|&mode| mode == operand) {
            op.rm = mode as u8;
        } else if let Some(&label) = labels.get(operand) {
            op.imm = label as i32 - at as i32;
        } else if let Some(csr) = csr_names::number(operand) {
            op.imm = i32::from(csr);
        } else {
            let value = number(operand).unwrap_or_else(|| panic!("{line}: {operand}?"));
            if matches!(code, Opcode::Csrrwi | Opcode::Csrrsi | Opcode::Csrrci) && op.imm != 0 {
                op.rs1 = value as u8;
            } else {
                op.imm = value as i32;
            }
        }
    }
    let fields: Vec<&mut u8> = match code.class() {
        Class::Branch => vec![&mut op.rs1, &mut op.rs2],
        Class::Store(_) => vec![&mut op.rs2],
        Class::Load(_) | Class::LoadReserved(_) => vec![&mut op.rd],
        Class::StoreConditional(_) | Class::Amo(_) => vec![&mut op.rd, &mut op.rs2],
        Class::TranslationFence => vec![&mut op.rs1, &mut op.rs2],
        Class::BlockManagement | Class::BlockZero => Vec::new(),
        Class::Compute
        | Class::Jump
        | Class::Fence
        | Class::Pause
        | Class::FenceI
        | Class::Csr
        | Class::Call
        | Class::Return
        | Class::Wait => vec![&mut op.rd, &mut op.rs1, &mut op.rs2, &mut op.rs3],
    };
    for (field, number) in fields.into_iter().zip(registers) {
        *field = number;
    }
    op
}
