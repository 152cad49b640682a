//! All 65,536 halfwords against a second reading of the manual's chapter "C", written as nested cases instead of a table.

use cantus_isa::riscv::Opcode::{self, *};
use cantus_isa::riscv::{Illegal, Op, decode, length};

/// Bits `high` to `low`.
fn field(bits: u16, high: u32, low: u32) -> u32 {
    u32::from(bits) >> low & ((1 << (high - low + 1)) - 1)
}

/// `value`, whose sign is bit `sign`, as a number.
fn signed(value: u32, sign: u32) -> i32 {
    ((value << (31 - sign)) as i32) >> (31 - sign)
}

/// The expansion of a halfword, none if it is reserved.
fn expand(c: u16) -> Option<Op> {
    let op = |code: Opcode, rd: u32, rs1: u32, rs2: u32, imm: i32| {
        let (rd, rs1, rs2) = (rd as u8, rs1 as u8, rs2 as u8);
        Some(Op { rd, rs1, rs2, imm, length: 2, bits: c.into(), ..Op::of(code) })
    };
    let bit = |n| field(c, n, n);
    // The two full and the two popular register fields.
    let (high, low) = (field(c, 11, 7), field(c, 6, 2));
    let (high_popular, low_popular) = (8 + field(c, 9, 7), 8 + field(c, 4, 2));
    // Six bits, 12 and 6 to 2.
    let six = bit(12) << 5 | field(c, 6, 2);
    // Offsets of register-based loads and stores, scaled by four and by eight.
    let by_4 = (bit(5) << 6 | field(c, 12, 10) << 3 | bit(6) << 2) as i32;
    let by_8 = (field(c, 6, 5) << 6 | field(c, 12, 10) << 3) as i32;
    // The same of the stack-pointer-based loads, and of stores.
    let sp_load_4 = (field(c, 3, 2) << 6 | bit(12) << 5 | field(c, 6, 4) << 2) as i32;
    let sp_load_8 = (field(c, 4, 2) << 6 | bit(12) << 5 | field(c, 6, 5) << 3) as i32;
    let sp_store_4 = (field(c, 8, 7) << 6 | field(c, 12, 9) << 2) as i32;
    let sp_store_8 = (field(c, 9, 7) << 6 | field(c, 12, 10) << 3) as i32;
    let branch = signed(
        bit(12) << 8 | field(c, 6, 5) << 6 | bit(2) << 5 | field(c, 11, 10) << 3 | field(c, 4, 3) << 1,
        8,
    );
    let jump = signed(
        bit(12) << 11
            | bit(8) << 10
            | field(c, 10, 9) << 8
            | bit(6) << 7
            | bit(7) << 6
            | bit(2) << 5
            | bit(11) << 4
            | field(c, 5, 3) << 1,
        11,
    );
    match (c & 3, c >> 13) {
        (0, 0) => {
            let imm = field(c, 10, 7) << 6 | field(c, 12, 11) << 4 | bit(5) << 3 | bit(6) << 2;
            if imm == 0 { None } else { op(Addi, low_popular, 2, 0, imm as i32) }
        }
        (0, 1) => op(Fld, low_popular, high_popular, 0, by_8),
        (0, 2) => op(Lw, low_popular, high_popular, 0, by_4),
        (0, 3) => op(Ld, low_popular, high_popular, 0, by_8),
        (0, 5) => op(Fsd, 0, high_popular, low_popular, by_8),
        (0, 6) => op(Sw, 0, high_popular, low_popular, by_4),
        (0, 7) => op(Sd, 0, high_popular, low_popular, by_8),
        (1, 0) => op(Addi, high, high, 0, signed(six, 5)),
        (1, 1) if high == 0 => None,
        (1, 1) => op(Addiw, high, high, 0, signed(six, 5)),
        (1, 2) => op(Addi, high, 0, 0, signed(six, 5)),
        (1, 3) if six == 0 => None,
        (1, 3) if high == 2 => {
            let imm = bit(12) << 9 | field(c, 4, 3) << 7 | bit(5) << 6 | bit(2) << 5 | bit(6) << 4;
            op(Addi, 2, 2, 0, signed(imm, 9))
        }
        (1, 3) => op(Lui, high, 0, 0, signed(six, 5) << 12),
        (1, 4) => match (field(c, 11, 10), bit(12), field(c, 6, 5)) {
            (0, _, _) => op(Srli, high_popular, high_popular, 0, six as i32),
            (1, _, _) => op(Srai, high_popular, high_popular, 0, six as i32),
            (2, _, _) => op(Andi, high_popular, high_popular, 0, signed(six, 5)),
            (3, 0, 0) => op(Sub, high_popular, high_popular, low_popular, 0),
            (3, 0, 1) => op(Xor, high_popular, high_popular, low_popular, 0),
            (3, 0, 2) => op(Or, high_popular, high_popular, low_popular, 0),
            (3, 0, 3) => op(And, high_popular, high_popular, low_popular, 0),
            (3, 1, 0) => op(Subw, high_popular, high_popular, low_popular, 0),
            (3, 1, 1) => op(Addw, high_popular, high_popular, low_popular, 0),
            _ => None,
        },
        (1, 5) => op(Jal, 0, 0, 0, jump),
        (1, 6) => op(Beq, 0, high_popular, 0, branch),
        (1, 7) => op(Bne, 0, high_popular, 0, branch),
        (2, 0) => op(Slli, high, high, 0, six as i32),
        (2, 1) => op(Fld, high, 2, 0, sp_load_8),
        (2, 2) if high == 0 => None,
        (2, 2) => op(Lw, high, 2, 0, sp_load_4),
        (2, 3) if high == 0 => None,
        (2, 3) => op(Ld, high, 2, 0, sp_load_8),
        (2, 4) => match (bit(12), high, low) {
            (0, 0, 0) => None,
            (0, _, 0) => op(Jalr, 0, high, 0, 0),
            (0, _, _) => op(Add, high, 0, low, 0),
            (1, 0, 0) => op(Ebreak, 0, 0, 0, 0),
            (1, _, 0) => op(Jalr, 1, high, 0, 0),
            _ => op(Add, high, high, low, 0),
        },
        (2, 5) => op(Fsd, 0, 2, low, sp_store_8),
        (2, 6) => op(Sw, 0, 2, low, sp_store_4),
        (2, 7) => op(Sd, 0, 2, low, sp_store_8),
        _ => None,
    }
}

#[test]
fn every_halfword_expands_as_the_chapter_says() {
    let mut legal = 0;
    for low in (0..=u16::MAX).filter(|&low| length(low) == 2) {
        let expected = expand(low).ok_or(Illegal { bits: low.into(), length: 2 });
        legal += u32::from(expected.is_ok());
        // What stands behind a compressed instruction does not matter.
        for above in [0, 0xffff, low.rotate_left(5)] {
            assert_eq!(decode(u32::from(above) << 16 | u32::from(low)), expected, "{low:#06x}");
        }
    }
    // Three quadrants of 16,384, less what is reserved.
    let reserved = [
        ("c.addi4spn with an immediate of zero", 8),
        ("quadrant 0, funct3 100", 2048),
        ("c.addiw to x0", 64),
        ("c.lui and c.addi16sp with an immediate of zero", 32),
        ("quadrant 1, the last two of the register-register group", 2 * 64),
        ("c.lwsp and c.ldsp to x0", 2 * 64),
        ("c.jr to x0", 1),
    ];
    assert_eq!(legal, 3 * 16_384 - reserved.iter().map(|(_, count)| count).sum::<u32>());
}
