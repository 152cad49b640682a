//! An encoding as the manual's listings write it, read at compile time into places of fields.
//!
//! The text goes from the most significant bit down, one token a field, e.g. `sw` is
//! `"imm[11:5] rs2 rs1 010 imm[4:0] 0100011"`:
//!
//! | token | means |
//! | --- | --- |
//! | `0110011` | fixed bits |
//! | `-----` | bits that the manual says to ignore (or that this emulator may, as `aq` and `rl`); encoded as zeros |
//! | `rd rs1 rs2 rs3` | a register's number, five bits |
//! | `rd' rs1' rs2'` | one of the eight popular registers x8 to x15, three bits |
//! | `rd!=0 rs1!=0` | the same as without, and zero is reserved |
//! | `rm` | a rounding mode: 5 and 6 are reserved |
//! | `imm[12\|10:5]` | those bits of a sign-extended immediate, in that order |
//! | `uimm[5:3] shamt[5:0]` | the same, zero-extended |
//! | `nzimm[5] nzuimm[5:4]` | the same, and an immediate of zero is reserved |
//! | `csr` | a CSR's number (Zicsr), 12 bits, as the immediate |
//! | `zimm` | the five-bit immediate of the CSR instructions, in the place of `rs1` |
//! | `fm pred succ` | the three parts of `fence`, four bits each, as the immediate |
//!
//! A text that breaks these rules, or whose fields do not add up to the width, does not compile.

/// Where a small field stands, or which constant stands for it.
#[derive(Clone, Copy)]
pub(super) struct Place {
    shift: u8,
    /// The field's ones, shifted down; 0 for a constant.
    ones: u8,
    /// What is added: 8 for a popular register; the constant.
    base: u8,
}

impl Place {
    /// A field that the instruction does not have reads as zero.
    pub(super) const ABSENT: Place = Place::constant(0);

    pub(super) const fn constant(value: u8) -> Place {
        Place { shift: 0, ones: 0, base: value }
    }

    const fn field(shift: u32, ones: u8, base: u8) -> Place {
        Place { shift: shift as u8, ones, base }
    }

    pub(super) const fn read(self, bits: u32) -> u8 {
        (bits >> self.shift) as u8 & self.ones | self.base
    }

    /// The field's bits for `value`; what does not fit is cut off.
    pub(super) const fn write(self, value: u8) -> u32 {
        ((value & self.ones) as u32) << self.shift
    }
}

/// A run of an immediate's bits that stand together in the encoding.
#[derive(Clone, Copy)]
struct Part {
    /// The run's lowest bit in the encoding.
    shift: u8,
    width: u8,
    /// The run's lowest bit in the immediate.
    to: u8,
}

/// Parts of the most scattered immediate, that of `c.j`.
const PARTS_MAX: usize = 8;

/// An immediate's parts.
#[derive(Clone, Copy)]
pub(super) struct Immediate {
    parts: [Part; PARTS_MAX],
    count: u8,
    /// 32 less the immediate's width if it is sign-extended, else 0.
    extend: u8,
}

impl Immediate {
    const ABSENT: Immediate =
        Immediate { parts: [Part { shift: 0, width: 0, to: 0 }; PARTS_MAX], count: 0, extend: 0 };

    #[inline]
    pub(super) fn read(&self, bits: u32) -> i32 {
        let mut value = 0;
        for part in self.parts.iter().take(self.count.into()) {
            value |= (bits >> part.shift & ((1 << part.width) - 1)) << part.to;
        }
        ((value << self.extend) as i32) >> self.extend
    }

    /// The encoding's bits for `value`; what does not fit is cut off.
    pub(super) fn write(&self, value: i32) -> u32 {
        self.parts
            .iter()
            .take(self.count.into())
            .map(|part| (value as u32 >> part.to & ((1 << part.width) - 1)) << part.shift)
            .fold(0, |bits, part| bits | part)
    }
}

/// Where everything stands in one instruction's encoding.
#[derive(Clone, Copy)]
pub(super) struct Layout {
    /// The fixed bits' places and their values.
    pub(super) mask: u32,
    pub(super) bits: u32,
    pub(super) rd: Place,
    pub(super) rs1: Place,
    pub(super) rs2: Place,
    pub(super) rs3: Place,
    pub(super) rm: Place,
    pub(super) imm: Immediate,
    /// Whether some values of a field are reserved: the next four say which.
    pub(super) restricted: bool,
    pub(super) rd_not_0: bool,
    pub(super) rs1_not_0: bool,
    pub(super) imm_not_0: bool,
    pub(super) has_rm: bool,
}

impl Layout {
    /// Reads `text`, the encoding of an instruction of `width` bits.
    pub(super) const fn parse(text: &str, width: u32) -> Layout {
        let mut layout = Layout {
            mask: 0,
            bits: 0,
            rd: Place::ABSENT,
            rs1: Place::ABSENT,
            rs2: Place::ABSENT,
            rs3: Place::ABSENT,
            rm: Place::ABSENT,
            imm: Immediate::ABSENT,
            restricted: false,
            rd_not_0: false,
            rs1_not_0: false,
            imm_not_0: false,
            has_rm: false,
        };
        let mut rest = text.as_bytes();
        // The lowest bit of the fields read so far.
        let mut at = width;
        while !rest.is_empty() {
            let length = token_length(rest);
            let (token, after) = rest.split_at(length);
            at = layout.token(token, at);
            rest = if after.is_empty() { after } else { after.split_at(1).1 };
        }
        assert!(at == 0, "the fields of an encoding add up to its width");
        layout.restricted = layout.rd_not_0 || layout.rs1_not_0 || layout.imm_not_0 || layout.has_rm;
        layout
    }

    /// Reads one token, whose highest bit is below `at`; gives its lowest bit.
    const fn token(&mut self, token: &[u8], at: u32) -> u32 {
        match token {
            [b'0' | b'1', ..] => self.fixed(token, at),
            [b'-', ..] => at - token.len() as u32,
            b"rd" | b"rd!=0" => {
                self.rd = Place::field(at - 5, 31, 0);
                self.rd_not_0 = token.len() > 2;
                at - 5
            }
            b"rs1" | b"rs1!=0" | b"zimm" => {
                self.rs1 = Place::field(at - 5, 31, 0);
                self.rs1_not_0 = token.len() > 4;
                at - 5
            }
            b"rs2" => {
                self.rs2 = Place::field(at - 5, 31, 0);
                at - 5
            }
            b"rs3" => {
                self.rs3 = Place::field(at - 5, 31, 0);
                at - 5
            }
            b"rd'" => {
                self.rd = Place::field(at - 3, 7, 8);
                at - 3
            }
            b"rs1'" => {
                self.rs1 = Place::field(at - 3, 7, 8);
                at - 3
            }
            b"rs2'" => {
                self.rs2 = Place::field(at - 3, 7, 8);
                at - 3
            }
            b"rm" => {
                self.rm = Place::field(at - 3, 7, 0);
                self.has_rm = true;
                at - 3
            }
            b"csr" => self.part(at, 11, 0),
            b"fm" => self.part(at, 11, 8),
            b"pred" => self.part(at, 7, 4),
            b"succ" => self.part(at, 3, 0),
            [b'n', b'z', b'i', b'm', b'm', b'[', runs @ .., b']'] => {
                self.imm_not_0 = true;
                self.signed(runs, at)
            }
            [b'n', b'z', b'u', b'i', b'm', b'm', b'[', runs @ .., b']'] => {
                self.imm_not_0 = true;
                self.runs(runs, at)
            }
            [b'i', b'm', b'm', b'[', runs @ .., b']'] => self.signed(runs, at),
            [b'u', b'i', b'm', b'm', b'[', runs @ .., b']']
            | [b's', b'h', b'a', b'm', b't', b'[', runs @ .., b']'] => self.runs(runs, at),
            _ => panic!("a token of an encoding is one that the table at the top of pattern.rs lists"),
        }
    }

    const fn fixed(&mut self, digits: &[u8], mut at: u32) -> u32 {
        let mut i = 0;
        while i < digits.len() {
            at -= 1;
            self.mask |= 1 << at;
            self.bits |= ((digits[i] - b'0') as u32) << at;
            i += 1;
        }
        at
    }

    /// Reads `12|10:5`, the bits of a sign-extended immediate.
    const fn signed(&mut self, runs: &[u8], at: u32) -> u32 {
        let low = self.runs(runs, at);
        let mut top = 0;
        let mut i = 0;
        while i < self.imm.count as usize {
            let part = self.imm.parts[i];
            if part.to + part.width > top {
                top = part.to + part.width;
            }
            i += 1;
        }
        self.imm.extend = 32 - top;
        low
    }

    /// Reads `12|10:5`, the bits of an immediate.
    const fn runs(&mut self, runs: &[u8], mut at: u32) -> u32 {
        let mut i = 0;
        while i < runs.len() {
            let (high, after) = number(runs, i);
            let (low, after) = match after < runs.len() && runs[after] == b':' {
                true => number(runs, after + 1),
                false => (high, after),
            };
            at = self.part(at, high, low);
            // Past the bar, or past the end.
            i = after + 1;
        }
        at
    }

    /// Places bits `high` to `low` of the immediate below `at`.
    const fn part(&mut self, at: u32, high: u32, low: u32) -> u32 {
        let width = high - low + 1;
        let shift = at - width;
        self.imm.parts[self.imm.count as usize] =
            Part { shift: shift as u8, width: width as u8, to: low as u8 };
        self.imm.count += 1;
        shift
    }

    /// The layout of a compressed instruction whose encoding has the fields of `self`, in the terms of the instruction
    /// that it abbreviates: `operands` are the latter's, in the order in which `syntax` (the latter's own) names them.
    /// An operand is a field of `self`, a fixed register as `x2`, or the constant `0`.
    pub(super) const fn expand(&self, syntax: &str, operands: &str) -> Layout {
        let mut layout = *self;
        layout.rd = Place::ABSENT;
        layout.rs1 = Place::ABSENT;
        layout.rs2 = Place::ABSENT;
        layout.imm = Immediate::ABSENT;
        let mut names = syntax.as_bytes();
        let mut values = operands.as_bytes();
        while !names.is_empty() {
            let (name, after_name) = operand(names);
            let (value, after_value) = operand(values);
            match name {
                b"rd" | b"fd" => layout.rd = self.source(value),
                b"rs1" | b"fs1" => layout.rs1 = self.source(value),
                b"rs2" | b"fs2" => layout.rs2 = self.source(value),
                b"imm" | b"shamt" | b"upper" | b"target" => match value {
                    b"imm" => layout.imm = self.imm,
                    b"0" => {}
                    _ => panic!("the immediate of an expansion is `imm` or 0"),
                },
                _ => {
                    panic!("compressed instructions expand to those with rd, rs1, rs2 and an immediate only")
                }
            }
            names = after_name;
            values = after_value;
        }
        assert!(values.is_empty(), "an expansion has as many operands as the instruction that it gives");
        layout
    }

    const fn source(&self, value: &[u8]) -> Place {
        match value {
            b"rd" | b"rd'" => self.rd,
            b"rs1" | b"rs1'" => self.rs1,
            b"rs2" | b"rs2'" => self.rs2,
            [b'x', digit] => Place::constant(*digit - b'0'),
            _ => panic!("an operand of an expansion is a field or a register"),
        }
    }
}

/// Bytes before the next space, or before the end.
const fn token_length(text: &[u8]) -> usize {
    let mut length = 0;
    while length < text.len() && text[length] != b' ' {
        length += 1;
    }
    length
}

/// The number that stands at `i`, and where it ends.
const fn number(text: &[u8], mut i: usize) -> (u32, usize) {
    let mut value = 0;
    let start = i;
    while i < text.len() && text[i].is_ascii_digit() {
        value = value * 10 + (text[i] - b'0') as u32;
        i += 1;
    }
    assert!(i > start, "an immediate's bits are numbers");
    (value, i)
}

/// The first operand of a syntax such as `rd,imm(rs1)`, and what stands behind it and its delimiters.
const fn operand(text: &[u8]) -> (&[u8], &[u8]) {
    let mut end = 0;
    while end < text.len() && !is_delimiter(text[end]) {
        end += 1;
    }
    let mut next = end;
    while next < text.len() && is_delimiter(text[next]) {
        next += 1;
    }
    (text.split_at(end).0, text.split_at(next).1)
}

const fn is_delimiter(byte: u8) -> bool {
    matches!(byte, b',' | b'(' | b')')
}
