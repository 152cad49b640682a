//! Levels, traps and protection, through instructions.

use crate::board::{BASE, Board, DATA, Question};
use cantus_interp::Exit;
use cantus_isa::riscv::Privilege::{self, Machine as M, Supervisor as S, User as U};
use cantus_isa::riscv::csr::number::*;

const M_HANDLER: u64 = BASE + 0x200;
const S_HANDLER: u64 = BASE + 0x300;

/// A board that stands in `level`, with all of memory open to the lower ones.
fn board(level: Privilege, program: &str) -> Board {
    let mut board = Board::new(program);
    board.set_csr(MTVEC, M_HANDLER);
    board.set_csr(STVEC, S_HANDLER);
    board.set_csr(PMPADDR15, u64::MAX);
    board.set_csr(PMPCFG2, 0x1f << 56);
    board.core.hart.x[11] = DATA;
    board.core.hart.privilege = level;
    board
}

#[test]
fn environment_calls_and_breakpoints() {
    #[rustfmt::skip]
    let table: &[(&str, Privilege, u64, u64)] = &[
        // Instruction, level, cause, mtval.
        ("ecall", U, 8, 0), ("ecall", S, 9, 0), ("ecall", M, 11, 0),
        ("ebreak", U, 3, BASE + 2), ("ebreak", M, 3, BASE + 2), ("c.ebreak", S, 3, BASE + 2),
    ];
    for &(text, level, cause, value) in table {
        for delegated in [false, true] {
            let mut board = board(level, &format!("c.addi x10,x10,1\n{text}"));
            board.set_csr(MEDELEG, if delegated { 0xffff } else { 0 });
            board.run(2);
            let (to, handler, state) = if delegated && level != M {
                (S, S_HANDLER, (board.csr(SEPC), board.csr(SCAUSE), board.csr(STVAL)))
            } else {
                (M, M_HANDLER, (board.csr(MEPC), board.csr(MCAUSE), board.csr(MTVAL)))
            };
            assert_eq!((board.core.hart.privilege, board.core.hart.pc), (to, handler), "{text} in {level:?}");
            assert_eq!(state, (BASE + 2, cause, value), "{text} in {level:?}");
            assert_eq!(board.csr(MINSTRET), 1, "{text} does not retire");
        }
    }
}

#[test]
fn instructions_that_a_level_may_not_use() {
    #[rustfmt::skip]
    let table: &[(&str, Privilege, u64, bool)] = &[
        // Instruction, level, mstatus, legal.
        ("mret", M, 0, true), ("mret", S, 0, false), ("mret", U, 0, false),
        ("sret", M, 0, true), ("sret", S, 0, true), ("sret", S, 1 << 22, false), ("sret", U, 0, false),
        ("wfi", M, 1 << 21, true), ("wfi", S, 0, true), ("wfi", S, 1 << 21, false), ("wfi", U, 0, false),
        ("sfence.vma x0,x0", M, 1 << 20, true), ("sfence.vma x11,x0", S, 0, true),
        ("sfence.vma x11,x12", S, 1 << 20, false), ("sfence.vma x0,x0", U, 0, false),
        ("sinval.vma x11,x12", S, 0, true), ("sinval.vma x11,x12", S, 1 << 20, false), ("sinval.vma x0,x0", U, 0, false),
        ("sfence.w.inval", S, 1 << 20, true), ("sfence.inval.ir", S, 1 << 20, true),
        ("sfence.w.inval", U, 0, false), ("sfence.inval.ir", U, 0, false),
        ("cbo.inval (x11)", M, 0, true), ("cbo.clean (x11)", M, 0, true), ("cbo.zero (x11)", M, 0, true),
        ("cbo.inval (x11)", S, 0, false), ("cbo.flush (x11)", S, 0, false), ("cbo.zero (x11)", U, 0, false),
        ("csrrw x0,satp,x0", S, 0, true), ("csrrw x0,satp,x0", S, 1 << 20, false),
        ("csrrs x10,sstatus,x0", U, 0, false), ("csrrs x10,mstatus,x0", S, 0, false),
        ("csrrs x10,cycle,x0", S, 0, false), ("csrrs x10,cycle,x0", M, 0, true),
        ("fence", U, 0, true), ("fence.i", U, 0, true), ("pause", U, 0, true),
    ];
    for &(text, level, status, legal) in table {
        let mut board = board(level, text);
        board.core.hart.mstatus = status;
        board.core.hart.mepc = BASE + 4;
        board.core.hart.sepc = BASE + 4;
        board.run(1);
        let expected = if legal { BASE + 4 } else { M_HANDLER };
        assert_eq!(board.core.hart.pc, expected, "{text} in {level:?} with {status:#x}");
        if !legal {
            let bits = board.core.ram.load(cantus_isa::Gpa(BASE), cantus_isa::Width::Word);
            assert_eq!((board.csr(MCAUSE), board.csr(MTVAL)), (2, bits), "{text} in {level:?}");
        }
    }
}

#[test]
fn counters_through_instructions() {
    let mut board = board(
        M,
        "
        addi x5,x0,100
        csrrs x6,minstret,x0
        csrrw x0,minstret,x5
        csrrs x7,minstret,x0
        ecall
        csrrs x9,mcycle,x0
        csrrwi x0,mcountinhibit,4
        addi x0,x0,0
        csrrs x10,minstret,x0
        csrrs x12,mcycle,x0",
    );
    board.write(
        M_HANDLER,
        &crate::assembler::assemble(
            "csrrs x8,instret,x0\ncsrrs x30,mepc,x0\naddi x30,x30,4\ncsrrw x0,mepc,x30\nmret",
        ),
    );
    board.run(15);
    // The ecall does not count; the handler's first instruction reads as many as had retired.
    assert_eq!((board.x(6), board.x(7), board.x(8)), (1, 100, 101));
    assert_eq!((board.x(9), board.x(10), board.x(12)), (9, 108, 13));
    assert_eq!(board.core.position, 15);
}

#[test]
fn state_3_the_clock_is_asked_of_the_port() {
    let mut board = board(M, "addi x0,x0,0\ncsrrs x10,time,x0\ncsrrs x12,time,x0");
    board.run(3);
    assert_eq!((board.x(10), board.x(12)), (1_000_001, 1_000_002));
    assert_eq!(board.world.asked[1..], [Question::Clock(1), Question::Clock(2)]);
    // Not asked where it may not be read.
    let mut denied = self::board(S, "csrrs x10,time,x0");
    denied.run(1);
    assert_eq!((denied.csr(MCAUSE), denied.x(10)), (2, 0));
    assert!(!denied.world.asked.contains(&Question::Clock(0)));
}

/// The line follows the comparison, so the engine must hear of every other deadline before the next step.
#[test]
fn state_3_a_new_deadline_is_told_to_the_port() {
    let mut board = board(
        S,
        "csrrw x0,stimecmp,x12
        csrrw x0,stimecmp,x12
        csrrsi x13,stimecmp,1
        csrrw x0,sscratch,x12",
    );
    board.set_csr(MENVCFG, 1 << 63);
    board.set_csr(MCOUNTEREN, 2);
    board.core.hart.x[12] = 0x1230;
    assert_eq!((board.run(10), board.core.position), (Exit::Device, 1));
    assert_eq!((board.run(10), board.core.position), (Exit::Device, 3));
    assert_eq!(board.run(4), Exit::Until);
    assert_eq!((board.x(13), board.csr(STIMECMP)), (0x1230, 0x1231));
    let told: Vec<_> =
        board.world.asked.iter().filter(|asked| matches!(asked, Question::Timer(..))).collect();
    assert_eq!(told, [&Question::Timer(0, 0x1230), &Question::Timer(2, 0x1231)]);
    // Not where it is not given down.
    board.set_csr(MCOUNTEREN, 0);
    board.core.hart.pc = BASE;
    board.run(5);
    assert_eq!(board.csr(MCAUSE), 2);
}

/// Entry 0 is the case; the last entry, by [`board`], is open.
#[test]
#[allow(clippy::type_complexity, reason = "a table")]
fn protection_of_pages_and_parts_of_pages() {
    let (page, words) = (DATA >> 2 | 0x1ff, DATA >> 2);
    #[rustfmt::skip]
    let table: &[(&str, Privilege, u64, u64, u64, Option<u64>)] = &[
        // Instruction with x11 = DATA, level, pmpcfg0, pmpaddr0, offset of x11, cause.
        ("ld x10,0(x11)", U, 0x19, page, 0, None),
        ("sd x10,0(x11)", U, 0x19, page, 0, Some(7)),
        ("ld x10,0(x11)", S, 0x18, page, 0, Some(5)),
        ("ld x10,0(x11)", M, 0x18, page, 0, None),
        ("ld x10,0(x11)", M, 0x98, page, 0, Some(5)),
        ("ld x10,0(x11)", U, 0x18, page, 4096, None),
        // A word in the page.
        ("lw x10,0(x11)", U, 0x10, words, 0, Some(5)),
        ("lw x10,0(x11)", U, 0x10, words, 4, None),
        ("ld x10,0(x11)", U, 0x10, words, 0, Some(5)),
        ("ld x10,0(x11)", U, 0x17, words, 0, Some(5)),
        ("lw x10,0(x11)", U, 0x17, words, 0, None),
        ("lw x10,0(x11)", U, 0x17, words, 2, Some(5)),
        ("lw x10,0(x11)", M, 0x17, words, 2, Some(5)),
        ("sw x10,0(x11)", U, 0x11, words, 0, Some(7)),
        ("sw x10,0(x11)", U, 0x11, words, 4, None),
        ("amoadd.w x10,x12,(x11)", U, 0x11, words, 0, Some(7)),
        ("lr.w x10,(x11)", U, 0x10, words, 0, Some(5)),
        ("lr.w x10,(x11)", U, 0x11, words, 0, None),
        // A straddling access is two.
        ("ld x10,0(x11)", U, 0x18, page, 4096 - 4, Some(5)),
        ("ld x10,0(x11)", U, 0x18, page, -4i64 as u64, Some(5)),
    ];
    for &(text, level, config, address, offset, cause) in table {
        // Twice: the first access fills the TLB.
        let mut board = board(level, &format!("{text}\n{text}"));
        board.set_csr(PMPADDR0, address);
        board.set_csr(PMPCFG0, config);
        board.core.hart.x[11] = DATA.wrapping_add(offset);
        let name = format!("{text} in {level:?}, {config:#x}, {offset:#x}");
        match cause {
            Some(cause) => {
                board.run(1);
                let part = if offset == -4i64 as u64 { DATA } else { board.x(11) };
                assert_eq!(
                    (board.core.hart.pc, board.csr(MCAUSE), board.csr(MTVAL)),
                    (M_HANDLER, cause, part),
                    "{name}"
                );
            }
            None => {
                board.steps(2);
                assert_eq!(board.core.hart.pc, BASE + 8, "{name}");
            }
        }
    }
}

#[test]
fn protection_of_code() {
    let at = DATA;
    let program = "addi x10,x10,1\naddi x10,x10,1\nc.addi x10,x10,1\nc.addi x10,x10,1";
    #[rustfmt::skip]
    let table: &[(u64, u64, u64, u64)] = &[
        // pmpcfg0, pmpaddr0, steps that retire, address that faults.
        (0x1b, DATA >> 2 | 0x1ff, 0, at),
        (0x13, (DATA + 4) >> 2, 1, at + 4),
        (0x13, (DATA + 8) >> 2, 2, at + 8),
        (0x14, (DATA + 4) >> 2, 4, 0),
    ];
    for &(config, address, steps, fault) in table {
        let mut board = board(U, "");
        board.write(at, &crate::assembler::assemble(program));
        board.core.hart.pc = at;
        board.set_csr(PMPADDR0, address);
        board.set_csr(PMPCFG0, config);
        board.run(steps);
        assert_eq!(board.x(10), steps, "{config:#x}");
        if fault != 0 {
            board.run(steps + 1);
            assert_eq!(
                (board.csr(MCAUSE), board.csr(MTVAL), board.csr(MEPC)),
                (1, fault, fault),
                "{config:#x}"
            );
        }
    }
    // The second halfword of an instruction.
    let mut board = board(U, "");
    board.write(at + 2, &crate::assembler::assemble("addi x10,x10,1"));
    board.core.hart.pc = at + 2;
    board.set_csr(PMPADDR0, (at + 4) >> 2);
    board.set_csr(PMPCFG0, 0x13);
    board.run(1);
    assert_eq!((board.csr(MCAUSE), board.csr(MTVAL), board.csr(MEPC)), (1, at + 4, at + 2));
}

/// A change of protection is seen by the next access, though a translation was there.
#[test]
fn changing_protection_drops_translations() {
    let mut board = board(M, "ld x10,0(x11)\ncsrrw x0,pmpcfg0,x12\nld x10,0(x11)");
    board.set_csr(PMPADDR0, DATA >> 2 | 0x1ff);
    board.core.hart.x[12] = 0x98;
    board.run(3);
    assert_eq!((board.csr(MCAUSE), board.csr(MEPC)), (5, BASE + 8));
}

/// "Memory Privilege in mstatus Register": loads and stores with the previous level, fetches not.
#[test]
fn mprv_changes_loads_and_stores() {
    let mut board = board(M, "ld x10,0(x11)\ncsrrs x0,mstatus,x13\nld x10,0(x11)");
    board.set_csr(PMPADDR0, DATA >> 2 | 0x1ff);
    board.set_csr(PMPCFG0, 0x18);
    board.core.hart.x[13] = 1 << 17;
    assert_eq!(board.run(3), Exit::Until);
    assert_eq!((board.csr(MCAUSE), board.csr(MEPC)), (5, BASE + 8));
}

#[test]
fn reads_of_the_state_bits_follow_the_registers() {
    let mut board = board(
        M,
        "csrrs x10,mip,x0\ncsrrw x0,mip,x12\ncsrrs x13,mip,x0\ncsrrs x14,misa,x0\ncsrrs x15,mhartid,x0",
    );
    board.core.hart.id = 9;
    board.core.hart.lines = 1 << 11 | 1 << 9;
    board.core.hart.x[12] = u64::MAX;
    board.run(5);
    assert_eq!((board.x(10), board.x(13)), (0xa00, 0xa22));
    assert_eq!((board.x(14), board.x(15)), (0x8000_0000_0014_112d, 9));
}
