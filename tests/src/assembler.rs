//! An assembler for programs that write programs: operations in, bytes out, with labels.

use cantus_isa::riscv::{Op, Opcode, compress, encode};

/// The integer registers that generated code gives names to.
pub mod register {
    #![allow(missing_docs, reason = "each is the ABI's name")]
    pub const ZERO: u8 = 0;
    pub const RA: u8 = 1;
    pub const SP: u8 = 2;
    pub const GP: u8 = 3;
    pub const TP: u8 = 4;
    pub const T: [u8; 7] = [5, 6, 7, 28, 29, 30, 31];
    pub const S: [u8; 12] = [8, 9, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27];
    pub const A: [u8; 8] = [10, 11, 12, 13, 14, 15, 16, 17];
}

/// A place in the code.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Label(usize);

enum Fix {
    /// A jump or branch of four bytes.
    Jump(Op),
    /// `auipc` and `addi`.
    Address(u8),
}

/// Code that is being written.
pub struct Assembler {
    base: u64,
    bytes: Vec<u8>,
    compressed: bool,
    labels: Vec<Option<u64>>,
    fixes: Vec<(usize, Label, Fix)>,
}

/// Two source registers and a destination.
pub fn r(code: Opcode, rd: u8, rs1: u8, rs2: u8) -> Op {
    Op { rd, rs1, rs2, ..Op::of(code) }
}

/// A destination, a source register and an immediate; loads, too.
pub fn i(code: Opcode, rd: u8, rs1: u8, imm: i32) -> Op {
    Op { rd, rs1, imm, ..Op::of(code) }
}

/// A store of `rs2` at `rs1` plus `imm`; a branch, too.
pub fn s(code: Opcode, rs2: u8, rs1: u8, imm: i32) -> Op {
    Op { rs1, rs2, imm, ..Op::of(code) }
}

/// A read-modify-write of a CSR.
pub fn csr(code: Opcode, rd: u8, number: u16, rs1: u8) -> Op {
    Op { rd, rs1, imm: i32::from(number), ..Op::of(code) }
}

/// The 32 bits of an operation.
///
/// # Panics
/// Where an operand does not fit.
pub fn bits(op: Op) -> u32 {
    encode(&op).unwrap_or_else(|| panic!("{op:?} has no encoding"))
}

impl Assembler {
    /// Code that will stand at `base`; with 16-bit instructions wherever there is one, if `compressed`.
    pub fn new(base: u64, compressed: bool) -> Self {
        Self { base, bytes: Vec::new(), compressed, labels: Vec::new(), fixes: Vec::new() }
    }

    /// The address of what comes next.
    pub fn here(&self) -> u64 {
        self.base + self.bytes.len() as u64
    }

    /// A label that has no place yet.
    pub fn label(&mut self) -> Label {
        self.labels.push(None);
        Label(self.labels.len() - 1)
    }

    /// Gives a label its place: here.
    pub fn place(&mut self, label: Label) {
        self.labels[label.0] = Some(self.here());
    }

    /// A label here.
    pub fn mark(&mut self) -> Label {
        let label = self.label();
        self.place(label);
        label
    }

    /// One operation.
    pub fn op(&mut self, op: Op) {
        match compress(&op) {
            Some(half) if self.compressed => self.bytes.extend_from_slice(&half.to_le_bytes()),
            Some(_) | None => self.wide(op),
        }
    }

    /// One operation, in four bytes.
    pub fn wide(&mut self, op: Op) {
        self.word(bits(op));
    }

    /// Four bytes of any kind.
    pub fn word(&mut self, word: u32) {
        self.bytes.extend_from_slice(&word.to_le_bytes());
    }

    /// Two bytes of any kind.
    pub fn half(&mut self, half: u16) {
        self.bytes.extend_from_slice(&half.to_le_bytes());
    }

    /// Fills up to a multiple of `bytes` with `nop`s that are never reached, or zeroes.
    pub fn align(&mut self, bytes: u64) {
        while !self.here().is_multiple_of(bytes) {
            self.bytes.push(0);
        }
    }

    /// A branch or a `jal`.
    pub fn jump(&mut self, op: Op, to: Label) {
        self.fixes.push((self.bytes.len(), to, Fix::Jump(op)));
        self.word(0);
    }

    /// Branches on two registers.
    pub fn branch(&mut self, code: Opcode, rs1: u8, rs2: u8, to: Label) {
        self.jump(s(code, rs2, rs1, 0), to);
    }

    /// Puts an address into a register.
    pub fn address(&mut self, rd: u8, label: Label) {
        self.fixes.push((self.bytes.len(), label, Fix::Address(rd)));
        self.word(0);
        self.word(0);
    }

    /// Puts a number into a register.
    pub fn number(&mut self, rd: u8, value: u64) {
        use Opcode::*;
        let value = value as i64;
        if let Ok(short) = i32::try_from(value) {
            let low = short << 20 >> 20;
            let high = short.wrapping_sub(low);
            if high != 0 {
                self.op(i(Lui, rd, 0, high));
            }
            if low != 0 || high == 0 {
                self.op(i(if high != 0 { Addiw } else { Addi }, rd, if high != 0 { rd } else { 0 }, low));
            }
            return;
        }
        let low = (value << 52 >> 52) as i32;
        let rest = value.wrapping_sub(i64::from(low)) >> 12;
        let shift = rest.trailing_zeros();
        self.number(rd, (rest >> shift) as u64);
        self.op(i(Slli, rd, rd, shift as i32 + 12));
        if low != 0 {
            self.op(i(Addi, rd, rd, low));
        }
    }

    /// Writes the bytes from where the first register points to where the second does to the 16550 at `uart`, waiting for
    /// it to take each. Changes the first register and the last two.
    pub fn print(&mut self, uart: u64, [from, to, byte, port]: [u8; 4]) {
        use Opcode::*;
        self.number(port, uart);
        let wait = self.mark();
        self.op(i(Lbu, byte, port, 5));
        self.op(i(Andi, byte, byte, 0x20));
        self.branch(Beq, byte, 0, wait);
        self.op(i(Lbu, byte, from, 0));
        self.op(s(Sb, byte, port, 0));
        self.op(i(Addi, from, from, 1));
        self.branch(Bltu, from, to, wait);
    }

    /// The bytes.
    ///
    /// # Panics
    /// Where a label has no place, or one that is too far away.
    pub fn finish(mut self) -> Vec<u8> {
        for (at, label, fix) in std::mem::take(&mut self.fixes) {
            let target = self.labels[label.0].expect("every label has a place");
            let distance = target.wrapping_sub(self.base + at as u64) as i32;
            let words = match fix {
                Fix::Jump(op) => vec![bits(Op { imm: distance, ..op })],
                Fix::Address(rd) => {
                    let low = distance << 20 >> 20;
                    let high = distance.wrapping_sub(low);
                    vec![bits(i(Opcode::Auipc, rd, 0, high)), bits(i(Opcode::Addi, rd, rd, low))]
                }
            };
            for (word, place) in words.iter().zip(self.bytes[at..].chunks_exact_mut(4)) {
                place.copy_from_slice(&word.to_le_bytes());
            }
        }
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cantus_isa::riscv::decode;

    /// What the instructions of `number` leave in the register.
    #[expect(clippy::wildcard_enum_match_arm, reason = "an assembler of four instructions")]
    fn value(bytes: &[u8]) -> u64 {
        let mut x = 0i64;
        for word in bytes.chunks_exact(4) {
            let op = decode(u32::from_le_bytes(word.try_into().unwrap())).unwrap();
            let imm = i64::from(op.imm);
            x = match op.code {
                Opcode::Lui => imm,
                Opcode::Addi => (if op.rs1 == 0 { 0 } else { x }).wrapping_add(imm),
                Opcode::Addiw => i64::from((x as i32).wrapping_add(op.imm)),
                Opcode::Slli => x << imm,
                other => panic!("{other:?}"),
            };
        }
        x as u64
    }

    #[test]
    fn numbers_come_out_as_they_went_in() {
        let mut random = crate::random::Random::new(1);
        let special =
            [0, 1, 2047, 2048, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff, u64::MAX, i64::MIN as u64, 1 << 52];
        for number in special.into_iter().chain((0..2_000).map(|_| random.bits() >> random.below(64))) {
            for number in [number, number.wrapping_neg(), !number] {
                let mut code = Assembler::new(0, false);
                code.number(5, number);
                assert_eq!(value(&code.finish()), number, "{number:#x}");
            }
        }
    }
}
