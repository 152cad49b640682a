//! Loads and stores: devices, faults, straddling, what the port is asked.

use crate::board::{BASE, Board, DATA, DEVICE, OVERLAY, Question, SIZE};
use cantus_interp::Exit;
use cantus_isa::riscv::csr::number::*;
use cantus_isa::{Gpa, Width};
use cantus_memory::Right;

const HANDLER: u64 = BASE + 0x100;

fn board(program: &str, x11: u64) -> Board {
    let mut board = Board::new(program);
    board.set_csr(MTVEC, HANDLER);
    board.core.hart.x[11] = x11;
    board.core.hart.x[12] = 0x1122_3344_5566_7788;
    board
}

#[test]
fn ord_1_a_page_is_asked_for_once_for_each_right() {
    let mut board = board("lw x10,0(x11)\nlw x10,4(x11)\nsw x10,0(x11)\nsw x10,8(x11)\nlw x10,8(x11)", DATA);
    assert_eq!(board.run(5), Exit::Until);
    let expected = [
        Question::Grant(0, Gpa(BASE), Right::Read),
        Question::Grant(0, Gpa(DATA), Right::Read),
        Question::Grant(2, Gpa(DATA), Right::Write),
    ];
    assert_eq!(board.world.asked, expected);
    assert_eq!(board.world.completed.get(), 5);
}

#[test]
fn a_revoked_grant_is_asked_for_again() {
    let mut board = board("lw x10,0(x11)\nlw x10,0(x11)\nlw x10,0(x11)", DATA);
    board.run(1);
    let page = board.core.ram.page(Gpa(DATA)).expect("RAM");
    board.core.tlb.revoke(page, false);
    board.run(3);
    let grants =
        board.world.asked.iter().filter(|&&question| question == Question::Grant(1, Gpa(DATA), Right::Read));
    assert_eq!((grants.count(), board.world.asked.len()), (1, 3));
}

/// In a split page each access asks for its line, or both lines, and code for its own.
#[test]
fn split_pages_are_asked_for_line_by_line() {
    let mut board =
        board("ld x10,0(x11)\nld x10,60(x11)\nsd x10,56(x11)\nsd x10,120(x11)\nsb x10,63(x11)", DATA);
    board.world.split.insert(DATA >> 12);
    board.run(5);
    let data: Vec<_> = board.world.asked[1..].to_vec();
    let read = |position, offset| Question::Grant(position, Gpa(DATA + offset), Right::Read);
    let write = |position, offset| Question::Grant(position, Gpa(DATA + offset), Right::Write);
    assert_eq!(data, [read(0, 0), read(1, 60), read(1, 64), write(2, 56), write(3, 120), write(4, 63)]);
}

#[test]
fn ord_1_code_in_a_split_page_is_asked_for_line_by_line() {
    // 15 instructions of 4 bytes, one of 2, then one that straddles lines, then more.
    let program =
        format!("{}c.addi x10,x10,1\n{}", "addi x10,x10,1\n".repeat(15), "addi x10,x10,1\n".repeat(20));
    let mut board = board(&program, 0);
    board.world.split.insert(BASE >> 12);
    board.run(36);
    assert_eq!(board.x(10), 36);
    let read = |position, offset| Question::Grant(position, Gpa(BASE + offset), Right::Read);
    // The straddling one needs both lines; the one behind it starts a line's block anew.
    let expected = [read(0, 0), read(16, 62), read(16, 62), read(16, 64), read(17, 66), read(32, 126)];
    let asked: Vec<_> = board.world.asked.clone();
    for question in expected {
        assert!(asked.contains(&question), "{question:?} is not among {asked:?}");
    }
    assert!(asked.iter().all(|question| matches!(question, Question::Grant(_, _, Right::Read))));
}

/// Code that was found by jumps, again and again, and that has become known as a page's, needs its grant like any other.
#[test]
fn ord_1_revoked_code_is_asked_for_again() {
    for split in [false, true] {
        // 7 steps a round, over two pages; in the second from one line into the next.
        let mut board = board("loop:\naddi x10,x10,1\njalr x1,0(x11)\njal x0,loop", DATA + 56);
        board.write(
            DATA + 56,
            &crate::assembler::assemble("addi x10,x10,1\naddi x10,x10,0\naddi x10,x10,1\njalr x0,0(x1)"),
        );
        board.run(70);
        board.world.asked.clear();
        let page = board.core.ram.page(Gpa(DATA)).expect("RAM");
        board.core.tlb.revoke(page, false);
        if split {
            board.world.split.insert(DATA >> 12);
        }
        board.run(77);
        let line = [
            Question::Grant(72, Gpa(DATA + 56), Right::Read),
            Question::Grant(74, Gpa(DATA + 64), Right::Read),
        ];
        assert_eq!(board.world.asked, line[..if split { 2 } else { 1 }], "split: {split}");
        assert_eq!(board.x(10), 33);
    }
}

#[test]
fn devices_answer_at_exact_positions() {
    let mut board = board(
        "addi x9,x9,1\nlw x10,4(x11)\nsh x12,2(x11)\naddi x9,x9,1\nld x10,0(x11)\nsb x12,0(x11)",
        DEVICE,
    );
    board.world.device_value = 0xffff_ffff_8000_0001;
    assert_eq!(board.run(100), Exit::Device);
    // The port promises zero-extension; what is loaded is sign-extended as ever.
    assert_eq!((board.core.position, board.x(10)), (2, 0xffff_ffff_8000_0001));
    assert_eq!(board.core.hart.pc, BASE + 8);
    assert_eq!((board.run(100), board.core.position), (Exit::Device, 3));
    assert_eq!((board.run(100), board.core.position), (Exit::Device, 5));
    assert_eq!((board.run(6), board.core.position), (Exit::Device, 6));
    assert_eq!(board.run(6), Exit::Until);
    assert_eq!(
        board.world.asked[1..],
        [
            Question::Load(1, Gpa(DEVICE + 4), Width::Word),
            Question::Store(2, Gpa(DEVICE + 2), Width::Half, 0x7788),
            Question::Load(4, Gpa(DEVICE), Width::Double),
            Question::Store(5, Gpa(DEVICE), Width::Byte, 0x88),
        ]
    );
}

#[test]
fn an_overlay_is_a_device_in_ram() {
    let mut board = board("lw x10,0(x11)\nlw x10,8(x11)\nsw x12,0(x11)\nlw x10,4(x11)", OVERLAY);
    board.world.device_value = 0x55;
    board.core.ram.store(Gpa(OVERLAY + 8), Width::Word, 0x66);
    board.steps(1);
    assert_eq!(board.x(10), 0x55);
    board.steps(1);
    assert_eq!(board.x(10), 0x66);
    board.steps(2);
    assert_eq!(board.core.ram.load(Gpa(OVERLAY), Width::Word), 0, "the RAM under a device stays as it is");
    let questions: Vec<_> =
        board.world.asked.iter().filter(|asked| !matches!(asked, Question::Grant(..))).collect();
    assert_eq!(questions.len(), 2);
    // The rest of its page is RAM, but has no fast entries.
    assert!(board.core.tlb.read(0, cantus_isa::Gva(OVERLAY + 8), 4).is_none());
}

/// Causes: 4 and 6 are misaligned, 5 and 7 access faults of loads and stores.
#[test]
fn faults_of_physical_memory() {
    let nowhere = 0x4000_0000;
    #[rustfmt::skip]
    let table: &[(&str, u64, u64)] = &[
        // Instruction, x11, cause.
        ("ld x10,0(x11)", nowhere, 5),
        ("sb x12,0(x11)", nowhere, 7),
        ("ld x10,0(x11)", u64::MAX - 7, 5),
        ("lb x10,0(x11)", BASE - 1, 5),
        ("sw x12,0(x11)", BASE + SIZE, 7),
        // A misaligned access to a device, or to half of one.
        ("lw x10,0(x11)", DEVICE + 2, 5),
        ("sh x12,0(x11)", DEVICE + 1, 7),
        ("lw x10,0(x11)", OVERLAY + 2, 5),
        ("sd x12,0(x11)", OVERLAY - 4, 7),
        // Atomic accesses to a device.
        ("amoadd.w x10,x12,(x11)", DEVICE, 7),
        ("lr.w x10,(x11)", DEVICE, 5),
        ("sc.w x10,x12,(x11)", DEVICE, 7),
        ("amoswap.w x10,x12,(x11)", OVERLAY, 7),
        ("amoadd.d x10,x12,(x11)", nowhere, 7),
        // Misaligned atomic accesses, of memory or not.
        ("amoadd.w x10,x12,(x11)", DATA + 2, 6),
        ("amoadd.d x10,x12,(x11)", DATA + 4, 6),
        ("lr.w x10,(x11)", DATA + 1, 4),
        ("lr.d x10,(x11)", DATA + 4, 4),
        ("sc.w x10,x12,(x11)", DATA + 2, 6),
        ("amomax.d x10,x12,(x11)", nowhere + 1, 6),
    ];
    for &(text, address, cause) in table {
        let mut board = board(text, address);
        board.core.hart.x[10] = 99;
        assert_eq!(board.run(1), Exit::Until, "{text}");
        assert_eq!(
            (board.csr(MCAUSE), board.csr(MTVAL), board.csr(MEPC)),
            (cause, address, BASE),
            "{text} at {address:#x}"
        );
        assert_eq!((board.core.hart.pc, board.x(10)), (HANDLER, 99), "{text}");
        assert_eq!(board.csr(MINSTRET), 0, "{text} does not retire");
    }
}

/// The half of a straddling access that faults gives the address; nothing of it is stored.
#[test]
fn straddling_the_end_of_ram() {
    for (text, cause) in [("ld x10,0(x11)", 5), ("sd x12,0(x11)", 7)] {
        let mut above = board(text, BASE + SIZE - 4);
        above.run(1);
        assert_eq!((above.csr(MCAUSE), above.csr(MTVAL)), (cause, BASE + SIZE), "{text}");
        assert_eq!(above.double(BASE + SIZE - 8), 0);
        let mut below = board(text, BASE - 4);
        below.run(1);
        assert_eq!((below.csr(MCAUSE), below.csr(MTVAL)), (cause, BASE - 4), "{text}");
    }
}

#[test]
fn misaligned_accesses_of_every_width_at_every_place() {
    for (store, load, width) in [("sh", "lhu", 2u64), ("sw", "lwu", 4), ("sd", "ld", 8)] {
        for offset in (1..16).chain(4096 - 16..4096 + 8) {
            let address = DATA + offset;
            let mut board = board(&format!("{store} x12,0(x11)\n{load} x10,0(x11)"), address);
            (0..5).for_each(|at| board.write_double(DATA + 4096 - 24 + 8 * at, u64::MAX));
            (0..4).for_each(|at| board.write_double(DATA + 8 * at, u64::MAX));
            assert_eq!(board.run(2), Exit::Until);
            let mask = u64::MAX >> (64 - 8 * width);
            assert_eq!(board.x(10), board.x(12) & mask, "{store} at {address:#x}");
            for byte in 0..width + 2 {
                let at = address - 1 + byte;
                let expected = match byte {
                    0 => 0xff,
                    byte if byte > width => 0xff,
                    byte => board.x(12) >> (8 * (byte - 1)) & 0xff,
                };
                assert_eq!(
                    board.core.ram.load(Gpa(at), Width::Byte),
                    expected,
                    "{store} at {address:#x}, byte {byte}"
                );
            }
        }
    }
}

#[test]
fn both_pages_of_a_straddling_access_are_asked_for() {
    let mut board = board("sd x12,0(x11)", DATA + 4094);
    board.run(1);
    assert_eq!(
        board.world.asked[1..],
        [
            Question::Grant(0, Gpa(DATA + 4094), Right::Write),
            Question::Grant(0, Gpa(DATA + 4096), Right::Write),
        ]
    );
}

#[test]
fn pages_that_were_written_are_noted() {
    let mut board = board("sb x12,0(x11)", DATA + 5 * 4096);
    let pages = |board: &Board| board.core.ram.written_pages().map(|page| page.0).collect::<Vec<_>>();
    assert_eq!(pages(&board), [0]);
    board.run(1);
    assert_eq!(pages(&board), [0, 0x15]);
}

#[test]
fn code_outside_of_ram_is_an_access_fault() {
    for pc in [0, DEVICE, BASE - 4, BASE + SIZE, OVERLAY, u64::MAX - 1] {
        let mut board = board("", 0);
        board.core.hart.pc = pc;
        board.run(1);
        assert_eq!((board.csr(MCAUSE), board.csr(MTVAL), board.csr(MEPC)), (1, pc, pc));
    }
    // The second half of an instruction is outside: its own address, but the instruction's in `mepc`.
    let mut board = board("", 0);
    board.write(BASE + SIZE - 2, &[0x13, 0]);
    board.core.hart.pc = BASE + SIZE - 2;
    board.run(1);
    assert_eq!((board.csr(MCAUSE), board.csr(MTVAL), board.csr(MEPC)), (1, BASE + SIZE, BASE + SIZE - 2));
}

/// Around an overlay in the page, code runs, one instruction at a time.
#[test]
fn code_beside_an_overlay() {
    let mut board = board("", 0);
    let at = OVERLAY + 4;
    board.write(at, &crate::assembler::assemble("addi x10,x10,1\naddi x10,x10,2\nc.addi x10,x10,4"));
    board.core.hart.pc = at;
    board.run(3);
    assert_eq!((board.x(10), board.core.hart.pc), (7, at + 10));
}

#[test]
fn a_trap_loop_ends_where_it_is_told_to() {
    let mut board = Board::new("addi x10,x10,1");
    board.set_csr(MTVEC, 0x40);
    board.core.hart.pc = 0x40;
    assert_eq!(board.run(1000), Exit::Until);
    assert_eq!((board.core.position, board.csr(MINSTRET), board.core.hart.pc), (1000, 0, 0x40));
}

/// "Cache-Block Zero Instructions": all of the block that the address lies in, and nothing else.
#[test]
fn a_block_is_zeroed() {
    for split in [false, true] {
        let mut board = Board::new("cbo.zero (x11)\ncbo.clean (x11)\ncbo.flush (x11)\ncbo.inval (x11)");
        if split {
            board.world.split.insert(DATA >> 12);
        }
        for at in (0..192).step_by(8) {
            board.write_double(DATA + at, u64::MAX);
        }
        board.core.hart.x[11] = DATA + 64 + 13;
        assert_eq!((board.run(4), board.core.position), (Exit::Until, 4));
        for at in (0..192).step_by(8) {
            let expected = if (64..128).contains(&at) { 0 } else { u64::MAX };
            assert_eq!(board.double(DATA + at), expected, "at {at}, split: {split}");
        }
        // What follows asks for nothing: there is no cache.
        let writes =
            board.world.asked.iter().filter(|asked| matches!(asked, Question::Grant(_, _, Right::Write)));
        assert_eq!(writes.collect::<Vec<_>>(), [&Question::Grant(0, Gpa(DATA + 64), Right::Write)]);
    }
}

/// Devices have no blocks; the address that is blamed is the one in the register.
#[test]
fn blocks_of_devices_are_not_zeroed() {
    for (text, address, fault) in [
        ("cbo.zero (x11)", DEVICE + 4, true),
        ("cbo.zero (x11)", OVERLAY & !0x3f, true),
        ("cbo.zero (x11)", BASE + SIZE, true),
        ("cbo.clean (x11)", DEVICE + 4, false),
    ] {
        let mut board = Board::new(text);
        board.core.hart.x[11] = address;
        board.run(1);
        let trap = (board.csr(MCAUSE), board.csr(MTVAL));
        assert_eq!(trap, if fault { (7, address) } else { (0, 0) }, "{text} of {address:#x}");
        assert!(!board.world.asked.iter().any(|asked| matches!(asked, Question::Store(..))));
    }
}

/// MMU-3: zeros over code are what is executed next.
#[test]
fn mmu_3_zeroed_code_is_illegal_at_once() {
    let mut board = Board::new("cbo.zero (x11)\naddi x10,x10,1");
    board.core.hart.x[11] = BASE;
    board.run(2);
    assert_eq!((board.core.position, board.csr(MCAUSE), board.csr(MEPC), board.x(10)), (2, 2, BASE + 4, 0));
}

#[test]
fn waiting_on_a_reservation_gives_way() {
    for text in ["wrs.nto", "wrs.sto"] {
        let mut board = Board::new(text);
        assert_eq!((board.run(9), board.core.position, board.core.hart.pc), (Exit::Yield, 1, BASE + 4));
    }
}
