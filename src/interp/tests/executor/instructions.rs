//! Instruction by instruction: the tables of `instructions.txt`, and what does not fit them.

use crate::assembler::number;
use crate::board::{BASE, Board, DATA};
use cantus_interp::Exit;
use cantus_isa::riscv::csr::number::*;

const TABLES: &str = include_str!("instructions.txt");

/// The numbers before and after the `=` of a line.
struct Case<'a> {
    line: &'a str,
    mnemonic: &'a str,
    given: Vec<u64>,
    expected: Vec<u64>,
}

/// The cases of all tables of this kind.
fn cases(kind: &str) -> Vec<Case<'static>> {
    let mut current = "";
    let mut cases = Vec::new();
    for line in TABLES.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if let Some(header) = line.strip_prefix('[') {
            current = header.split(']').next().expect("a kind");
        } else if current == kind {
            let (left, right) = line.split_once('=').expect("a case has a result");
            let (mnemonic, operands) = left.split_once(' ').expect("a case has operands");
            let numbers = |text: &str| {
                text.split_whitespace().map(|text| number(text).expect("a number") as u64).collect()
            };
            cases.push(Case { line, mnemonic, given: numbers(operands), expected: numbers(right) });
        }
    }
    assert!(cases.len() > 30, "{kind}");
    cases
}

/// Runs one instruction, given as its mnemonic and operands, on a board that has x11 and x12 set.
fn one(text: &str, x11: u64, x12: u64) -> Board {
    let mut board = Board::new(text);
    (board.core.hart.x[11], board.core.hart.x[12]) = (x11, x12);
    assert_eq!(board.run(1), Exit::Until, "{text}");
    assert_eq!((board.core.position, board.core.hart.pc), (1, BASE + 4), "{text} retires");
    board
}

#[test]
fn of_two_registers() {
    for case in cases("register") {
        let (a, b, expected) = (case.given[0], case.given[1], case.expected[0]);
        // Destination apart, as either source, and none.
        for (rd, rs) in [(10, "x11,x12"), (11, "x11,x12"), (12, "x11,x12"), (0, "x11,x12")] {
            let board = one(&format!("{} x{rd},{rs}", case.mnemonic), a, b);
            assert_eq!(board.x(rd), if rd == 0 { 0 } else { expected }, "{} into x{rd}", case.line);
            for other in [11, 12].into_iter().filter(|&other| other != rd) {
                assert_eq!(board.x(other), [a, b][other - 11], "{} keeps x{other}", case.line);
            }
        }
    }
}

#[test]
fn of_a_register_and_an_immediate() {
    for case in cases("immediate") {
        for rd in [10, 11, 0] {
            let board =
                one(&format!("{} x{rd},x11,{}", case.mnemonic, case.given[1] as i64), case.given[0], 0);
            assert_eq!(board.x(rd), if rd == 0 { 0 } else { case.expected[0] }, "{} into x{rd}", case.line);
        }
    }
}

#[test]
fn of_one_register() {
    for case in cases("unary") {
        for rd in [10, 11, 0] {
            let board = one(&format!("{} x{rd},x11", case.mnemonic), case.given[0], 0);
            assert_eq!(board.x(rd), if rd == 0 { 0 } else { case.expected[0] }, "{} into x{rd}", case.line);
        }
    }
}

#[test]
fn branches() {
    for case in cases("branch") {
        for offset in [8, -8, 4094, -4096] {
            let mut board = Board::new("");
            let at = BASE + 0x2000;
            board.write(at, &crate::assembler::assemble(&format!("{} x11,x12,{offset}", case.mnemonic)));
            board.core.hart.pc = at;
            (board.core.hart.x[11], board.core.hart.x[12]) = (case.given[0], case.given[1]);
            board.run(1);
            let expected = if case.expected[0] == 1 { at.wrapping_add(offset as u64) } else { at + 4 };
            assert_eq!(board.core.hart.pc, expected, "{} by {offset}", case.line);
        }
    }
}

/// "RV32I, Unconditional Jumps" and "Integer Register-Immediate Instructions".
#[test]
fn jumps_and_upper_immediates() {
    #[rustfmt::skip]
    let table: &[(&str, u64, u64, u64)] = &[
        // Instruction at BASE + 0x2000, with x11 = BASE + 0x3001: pc, x1, x10 afterwards.
        ("jal x1,16", BASE + 0x2010, BASE + 0x2004, 0),
        ("jal x0,-16", BASE + 0x1ff0, 0, 0),
        ("jal x1,-0x100000", BASE + 0x2000 - 0x10_0000, BASE + 0x2004, 0),
        ("jal x10,0xffffe", BASE + 0x2000 + 0xf_fffe, 0, BASE + 0x2004),
        ("jalr x1,2(x11)", BASE + 0x3002, BASE + 0x2004, 0),
        ("jalr x1,1(x11)", BASE + 0x3002, BASE + 0x2004, 0),
        ("jalr x0,-1(x11)", BASE + 0x3000, 0, 0),
        ("jalr x11,0(x11)", BASE + 0x3000, 0, 0),
        ("c.jalr x1,0(x11)", BASE + 0x3000, BASE + 0x2002, 0),
        ("c.jalr x0,0(x11)", BASE + 0x3000, 0, 0),
        ("c.jal x0,-2", BASE + 0x1ffe, 0, 0),
        ("lui x10,0x12345000", BASE + 0x2004, 0, 0x1234_5000),
        ("lui x10,-0x80000000", BASE + 0x2004, 0, 0xffff_ffff_8000_0000),
        ("auipc x10,0x1000", BASE + 0x2004, 0, BASE + 0x3000),
        ("auipc x10,-0x80000000", BASE + 0x2004, 0, 0x2000),
        ("c.lui x10,-4096", BASE + 0x2002, 0, 0xffff_ffff_ffff_f000),
    ];
    for &(text, pc, x1, x10) in table {
        let mut board = Board::new("");
        board.write(BASE + 0x2000, &crate::assembler::assemble(text));
        board.core.hart.pc = BASE + 0x2000;
        board.core.hart.x[11] = BASE + 0x3001;
        board.run(1);
        assert_eq!((board.core.hart.pc, board.x(1), board.x(10)), (pc, x1, x10), "{text}");
    }
}

/// The bytes that [`cases`] of loads start from.
const BYTES: u64 = 0x77e6_d5c4_b3a2_9180;

#[test]
fn loads() {
    for case in cases("load") {
        for base in [0, 24] {
            let offset = case.given[0] as i64 - base;
            let mut board =
                Board::new(&format!("{} x10,{offset}(x11)\n{0} x10,{offset}(x11)", case.mnemonic));
            (0..4).for_each(|at| board.write_double(DATA + 8 * at, BYTES));
            board.core.hart.x[11] = DATA + base as u64;
            board.run(1);
            assert_eq!(board.x(10), case.expected[0], "{} over the slow path", case.line);
            board.core.hart.x[10] = 0;
            board.run(2);
            assert_eq!(board.x(10), case.expected[0], "{} over the fast path", case.line);
        }
    }
}

#[test]
fn stores() {
    for case in cases("store") {
        let text = format!("{} x12,{}(x11)", case.mnemonic, case.given[0]);
        let mut board = Board::new(&format!("{text}\n{text}"));
        (board.core.hart.x[11], board.core.hart.x[12]) = (DATA, case.given[1]);
        for step in 1..=2 {
            (0..3).for_each(|at| board.write_double(DATA + 8 * at, u64::MAX));
            board.run(step);
            assert_eq!(
                [board.double(DATA), board.double(DATA + 8)],
                case.expected[..],
                "{}, time {step}",
                case.line
            );
            assert_eq!(board.double(DATA + 16), u64::MAX);
        }
    }
}

#[test]
fn atomic_memory_operations() {
    fn check<const ATOMICS: bool>(case: &Case) {
        let text = format!("{} x10,x12,(x11)", case.mnemonic);
        let mut board = Board::<ATOMICS>::with(&format!("{text}\n{text}"));
        (board.core.hart.x[11], board.core.hart.x[12]) = (DATA, case.given[1]);
        for step in 1..=2 {
            board.write_double(DATA, case.given[0]);
            board.run(step);
            assert_eq!([board.x(10), board.double(DATA)], case.expected[..], "{}, time {step}", case.line);
        }
    }
    for case in cases("amo") {
        check::<false>(&case);
        check::<true>(&case);
    }
}

/// "Zicsr": what is read, and what is written.
#[test]
fn csr_instructions() {
    #[rustfmt::skip]
    let table: &[(&str, u64, u64)] = &[
        // mscratch = 0xf0, x11 = 0x3c: x10, mscratch afterwards.
        ("csrrw x10,mscratch,x11", 0xf0, 0x3c),
        ("csrrw x0,mscratch,x11", 0, 0x3c),
        ("csrrs x10,mscratch,x11", 0xf0, 0xfc),
        ("csrrs x10,mscratch,x0", 0xf0, 0xf0),
        ("csrrc x10,mscratch,x11", 0xf0, 0xc0),
        ("csrrc x10,mscratch,x0", 0xf0, 0xf0),
        ("csrrwi x10,mscratch,31", 0xf0, 0x1f),
        ("csrrwi x10,mscratch,0", 0xf0, 0),
        ("csrrsi x10,mscratch,15", 0xf0, 0xff),
        ("csrrsi x10,mscratch,0", 0xf0, 0xf0),
        ("csrrci x10,mscratch,16", 0xf0, 0xe0),
        ("csrrci x10,mscratch,0", 0xf0, 0xf0),
    ];
    for &(text, x10, mscratch) in table {
        let mut board = Board::new(text);
        board.set_csr(MSCRATCH, 0xf0);
        board.core.hart.x[11] = 0x3c;
        board.run(1);
        assert_eq!((board.x(10), board.csr(MSCRATCH)), (x10, mscratch), "{text}");
    }
    let mut board = Board::new("csrrw x11,mscratch,x11");
    board.core.hart.x[11] = 5;
    board.set_csr(MSCRATCH, 6);
    board.run(1);
    assert_eq!((board.x(11), board.csr(MSCRATCH)), (6, 5), "a swap");
}

/// Reading a read-only CSR is legal, also by the instructions that could write; writing one is not.
#[test]
fn csr_instructions_that_are_illegal() {
    for (text, legal) in [
        ("csrrs x10,mhartid,x0", true),
        ("csrrc x10,cycle,x0", true),
        ("csrrsi x10,mhartid,0", true),
        ("csrrs x10,mhartid,x11", false),
        ("csrrw x0,mhartid,x0", false),
        ("csrrwi x10,cycle,0", false),
        ("csrrsi x10,cycle,1", false),
        ("csrrs x10,0x8ff,x0", false),
        ("csrrs x10,mseccfg,x0", false),
        ("csrrs x10,fcsr,x0", false),
    ] {
        let mut board = Board::new(text);
        board.set_csr(MTVEC, BASE + 0x100);
        board.core.hart.x[10] = 77;
        board.run(1);
        if legal {
            assert_eq!((board.core.hart.pc, board.x(10)), (BASE + 4, 0), "{text}");
        } else {
            assert_eq!((board.core.hart.pc, board.x(10), board.csr(MCAUSE)), (BASE + 0x100, 77, 2), "{text}");
            let bits = board.core.ram.load(cantus_isa::Gpa(BASE), cantus_isa::Width::Word);
            assert_eq!((board.csr(MEPC), board.csr(MTVAL)), (BASE, bits), "{text}");
        }
        assert_eq!(board.core.position, 1);
    }
}

/// "C": a compressed instruction is two bytes long and does what it abbreviates.
#[test]
fn compressed_instructions() {
    #[rustfmt::skip]
    let table: &[(&str, u64)] = &[
        // x8 = 5, x9 = 3, x2 = DATA, with 0x1234 at DATA + 8: x8 afterwards.
        ("c.addi x8,x8,-1", 4), ("c.addiw x8,x8,31", 36), ("c.addi x8,x0,-32", -32i64 as u64),
        ("c.slli x8,x8,4", 80), ("c.srli x8,x8,1", 2), ("c.srai x8,x8,1", 2), ("c.andi x8,x8,4", 4),
        ("c.add x8,x8,x9", 8), ("c.add x8,x0,x9", 3), ("c.sub x8,x8,x9", 2), ("c.xor x8,x8,x9", 6),
        ("c.or x8,x8,x9", 7), ("c.and x8,x8,x9", 1), ("c.addw x8,x8,x9", 8), ("c.subw x8,x8,x9", 2),
        ("c.ld x8,8(x2)", 0x1234), ("c.lw x8,8(x2)", 0x1234), ("c.addi x8,x2,16", DATA + 16),
        ("c.sd x9,8(x2)", 5), ("c.sw x9,8(x2)", 5),
    ];
    for &(text, x8) in table {
        let mut board = Board::new(text);
        board.write_double(DATA + 8, 0x1234);
        (board.core.hart.x[2], board.core.hart.x[8], board.core.hart.x[9]) = (DATA, 5, 3);
        board.run(1);
        assert_eq!((board.x(8), board.core.hart.pc), (x8, BASE + 2), "{text}");
        if text.starts_with("c.s") && text.contains('(') {
            assert_eq!(board.double(DATA + 8), 3, "{text}");
        }
    }
}

/// What the decoder does not know is an illegal instruction, with its bits in `mtval`.
#[test]
fn illegal_encodings() {
    for (text, bits) in [
        (".word 0", 0),
        (".word 0xffffffff", 0xffff_ffff),
        (".half 0", 0),
        (".word 0x0000707f", 0x707f),
        (".word 0x9002_0000", 0),
    ] {
        let mut board = Board::new(&format!("addi x10,x10,1\n{text}"));
        board.set_csr(MTVEC, BASE + 0x100);
        board.run(2);
        assert_eq!((board.csr(MCAUSE), board.csr(MTVAL), board.csr(MEPC)), (2, bits, BASE + 4), "{text}");
        assert_eq!((board.core.hart.pc, board.core.position), (BASE + 0x100, 2));
        assert_eq!(board.csr(MINSTRET), 1, "an illegal instruction does not retire");
    }
}
