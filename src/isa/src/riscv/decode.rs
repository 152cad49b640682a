//! From the bits in memory to an operation.
//!
//! Guarantees: every 32-bit value gives an operation or [`Illegal`], never a panic; what the manual reserves is illegal,
//! as `table.rs` and `compressed.rs` say in detail; the operation does not depend on the hart's state (whether the
//! floating-point unit is off, or a CSR does not exist, is a matter of meaning).
//!
//! An index on the bits that tell instructions apart leads to a short chain of rows (one row in most cases, five in the
//! worst). It is built at compile time from the tables.

use super::op::Op;
use super::table::Row;
use super::{compressed, table};

/// Bits that are no instruction of this hart: an illegal-instruction exception.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Illegal {
    /// The bits as they were fetched, 16 of them if that is the instruction's length: what `mtval` shows.
    pub bits: u32,
    /// Bytes of the encoding: 2 or 4. Encodings of more than 32 bits, of which there are none yet, count as 4.
    pub length: u8,
}

/// The length in bytes, 2 or 4, of the instruction that starts with this halfword (Unprivileged ISA, "Base Instruction-
/// Length Encoding"). Tells the fetcher whether it needs the next halfword.
pub const fn length(low: u16) -> u8 {
    if low & 3 == 3 { 4 } else { 2 }
}

/// The instruction that `bits` start with. Of a compressed instruction only the low half is looked at.
#[inline]
pub fn decode(bits: u32) -> Result<Op, Illegal> {
    let (bits, length, row) = if bits & 3 == 3 {
        (bits, 4, WIDE.find(&table::ROWS, wide_key(bits), bits))
    } else {
        let bits = bits & 0xffff;
        (bits, 2, COMPRESSED.find(&compressed::ROWS, compressed_key(bits), bits))
    };
    row.and_then(|row| read(row, bits, length)).ok_or(Illegal { bits, length })
}

/// The operation of a row that matches; none if a field has a reserved value.
#[inline]
fn read(row: &Row, bits: u32, length: u8) -> Option<Op> {
    let layout = &row.layout;
    let op = Op {
        code: row.code,
        rd: layout.rd.read(bits),
        rs1: layout.rs1.read(bits),
        rs2: layout.rs2.read(bits),
        rs3: layout.rs3.read(bits),
        rm: layout.rm.read(bits),
        length,
        imm: layout.imm.read(bits),
        bits,
    };
    let reserved = layout.restricted
        && (layout.rd_not_0 && op.rd == 0
            || layout.rs1_not_0 && op.rs1 == 0
            || layout.imm_not_0 && op.imm == 0
            || matches!(op.rm, 5 | 6));
    (!reserved).then_some(op)
}

/// Opcode, funct3 and funct7: what tells most instructions of 32 bits apart.
const WIDE_KEY: u32 = 0x7f << 25 | 7 << 12 | 31 << 2;

const fn wide_key(bits: u32) -> usize {
    (bits >> 2 & 31 | (bits >> 12 & 7) << 5 | bits >> 25 << 8) as usize
}

/// Quadrant, bits 15 to 10 and bits 6 and 5: what tells most compressed instructions apart.
const COMPRESSED_KEY: u32 = 0x3f << 10 | 3 << 5 | 3;

const fn compressed_key(bits: u32) -> usize {
    (bits & 3 | (bits >> 5 & 3) << 2 | (bits >> 10 & 63) << 4) as usize
}

static WIDE: Index<{ 1 << 15 }, { table::COUNT }> = {
    let mut index = Index::EMPTY;
    let mut row = 0;
    while row < table::COUNT {
        let layout = &table::ROWS[row].layout;
        let free = WIDE_KEY & !layout.mask;
        let mut rest = free;
        loop {
            index.enter(wide_key(layout.bits | rest), row);
            if rest == 0 {
                break;
            }
            rest = (rest - 1) & free;
        }
        row += 1;
    }
    index
};

static COMPRESSED: Index<{ 1 << 10 }, { compressed::COUNT }> = {
    let mut index = Index::EMPTY;
    let mut row = 0;
    while row < compressed::COUNT {
        let layout = &compressed::ROWS[row].layout;
        let free = COMPRESSED_KEY & !layout.mask;
        let mut rest = free;
        loop {
            index.enter(compressed_key(layout.bits | rest), row);
            if rest == 0 {
                break;
            }
            rest = (rest - 1) & free;
        }
        row += 1;
    }
    index
};

/// No row.
const NONE: u8 = u8::MAX;

/// Finds the row whose fixed bits match, among those that share a key.
struct Index<const KEYS: usize, const ROWS: usize> {
    /// By key: the first row to look at.
    first: [u8; KEYS],
    /// By row: which one to look at if this does not match.
    next: [u8; ROWS],
}

impl<const KEYS: usize, const ROWS: usize> Index<KEYS, ROWS> {
    const EMPTY: Self = {
        assert!(ROWS < NONE as usize, "a row's number fits the index");
        Index { first: [NONE; KEYS], next: [NONE; ROWS] }
    };

    /// Puts `row` before the rows that have this key already: later rows are the more specific ones.
    const fn enter(&mut self, key: usize, row: usize) {
        let before = self.first[key];
        let next = &mut self.next[row];
        assert!(*next == NONE || *next == before, "rows that share a key share the rest of their chain");
        *next = before;
        self.first[key] = row as u8;
    }

    #[inline]
    fn find<'a>(&self, rows: &'a [Row; ROWS], key: usize, bits: u32) -> Option<&'a Row> {
        let mut row = self.first[key];
        while row != NONE {
            let candidate = &rows[row as usize];
            if bits & candidate.layout.mask == candidate.layout.bits {
                return Some(candidate);
            }
            row = self.next[row as usize];
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pairs of rows that some encoding matches both of: the general one, then the more specific one.
    fn overlaps(rows: &[Row]) -> Vec<(&str, &str)> {
        let mut pairs = Vec::new();
        for (index, later) in rows.iter().enumerate() {
            for earlier in &rows[..index] {
                let (a, b) = (&earlier.layout, &later.layout);
                if (a.bits ^ b.bits) & a.mask & b.mask == 0 {
                    assert_eq!(a.mask & b.mask, a.mask, "{} is part of {}", later.name, earlier.name);
                    assert_ne!(a.mask, b.mask, "{} and {} are told apart", later.name, earlier.name);
                    pairs.push((earlier.name, later.name));
                }
            }
        }
        pairs
    }

    #[test]
    fn rows_overlap_only_where_one_is_a_special_case() {
        assert_eq!(overlaps(&table::ROWS), [("fence", "pause")]);
        let compressed = [
            ("c.lui", "c.addi16sp"),
            ("c.mv", "c.jr"),
            ("c.add", "c.jalr"),
            ("c.add", "c.ebreak"),
            ("c.jalr", "c.ebreak"),
        ];
        assert_eq!(overlaps(&compressed::ROWS), compressed);
    }

    #[test]
    fn no_key_leads_to_a_long_chain() {
        let longest = |first: &[u8], next: &[u8]| {
            let chain = |&row: &u8| {
                std::iter::successors(Some(row), |&row| next.get(usize::from(row)).copied())
                    .take_while(|&row| row != NONE)
                    .count()
            };
            first.iter().map(chain).max()
        };
        assert_eq!(longest(&WIDE.first, &WIDE.next), Some(5), "clz, ctz, cpop, sext.b, sext.h");
        assert_eq!(longest(&COMPRESSED.first, &COMPRESSED.next), Some(3), "c.add, c.jalr, c.ebreak");
    }
}
