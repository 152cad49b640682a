//! Code that changes (MMU-2, MMU-3): stores by this core take effect at the next instruction, those of others when the
//! code epoch says so; nothing depends on what was decoded before.

use crate::assembler::assemble;
use crate::board::{BASE, Board, DATA};
use cantus_interp::Exit;
use cantus_isa::riscv::Privilege;
use cantus_isa::riscv::csr::number::*;
use cantus_isa::{Gpa, Width};

/// The bits of one instruction.
fn bits(text: &str) -> u64 {
    let bytes = assemble(text);
    bytes.iter().rev().fold(0, |bits, &byte| bits << 8 | u64::from(byte))
}

#[test]
fn mmu_3_a_store_to_the_next_instruction() {
    for (store, text) in [("sw x12,8(x11)", "addi x10,x10,100"), ("sh x12,8(x11)", "addi x10,x10,100")] {
        let mut board = Board::new(&format!("addi x10,x10,1\n{store}\naddi x10,x10,2\naddi x10,x10,4"));
        board.core.hart.x[11] = BASE;
        // The low half alone makes another register the destination of the next.
        board.core.hart.x[12] =
            if store.starts_with("sw") { bits(text) } else { bits("addi x9,x10,0") & 0xffff };
        board.run(4);
        let expected = if store.starts_with("sw") { (105, 0) } else { (5, 3) };
        assert_eq!((board.x(10), board.x(9)), expected, "{store}");
    }
}

#[test]
fn mmu_3_a_store_across_the_boundary_of_instructions() {
    // Upper half of the second, lower half of the third: immediate 5, and destination x9.
    let mut board = Board::new("sw x12,6(x11)\naddi x10,x10,1\naddi x10,x10,2\naddi x10,x10,4");
    let third = bits("addi x9,x10,2") & 0xffff;
    board.core.hart.x[11] = BASE;
    board.core.hart.x[12] = third << 16 | bits("addi x10,x10,5") >> 16;
    board.run(4);
    assert_eq!((board.x(10), board.x(9)), (9, 7));
}

#[test]
fn mmu_3_every_kind_of_store_changes_code() {
    for store in [
        "sw x12,0(x11)",
        "amoswap.w x9,x12,(x11)",
        "amoadd.w x9,x13,(x11)",
        "sc.w x9,x12,(x11)",
        "fsw f12,0(x11)",
        "sb x14,3(x11)",
    ] {
        // The target runs once before, so that it is decoded.
        let program = format!("lr.w x9,(x11)\n{store}\njal x0,target\n.word 0\ntarget:\naddi x10,x10,1\nwfi");
        let mut board = Board::new(&program);
        let target = BASE + 16;
        board.core.hart.mstatus |= 3 << 13;
        board.core.hart.x[11] = target;
        let (before, after) = (bits("addi x10,x10,1"), bits("addi x10,x10,0x501"));
        board.core.hart.x[12] = after;
        board.core.hart.f[12] = after | !0 << 32;
        board.core.hart.x[13] = after - before;
        board.core.hart.x[14] = after >> 24;
        board.core.hart.pc = target;
        board.run(1);
        assert_eq!(board.x(10), 1);
        board.core.hart.pc = BASE;
        board.steps(4);
        assert_eq!(board.x(10), 1 + 0x501, "{store}");
    }
}

#[test]
fn mmu_3_a_loop_that_changes_itself_each_time() {
    // Adds 1, 2, 3, ... by counting its own immediate up.
    let program = "
        loop:
        lw x12,20(x11)
        add x12,x12,x13
        sw x12,20(x11)
        addi x14,x14,-1
        addi x0,x0,0
        addi x10,x10,0
        bne x14,x0,loop";
    for cut in [u64::MAX, 1, 3] {
        let mut board = Board::new(program);
        board.core.hart.x[11] = BASE;
        board.core.hart.x[13] = 1 << 20;
        board.core.hart.x[14] = 100;
        while board.core.position < 700 {
            board.run((board.core.position.saturating_add(cut)).min(700));
        }
        assert_eq!((board.x(10), board.x(14)), (5050, 0), "in runs of {cut}");
    }
}

#[test]
fn mmu_3_data_beside_code_in_the_same_page() {
    // Stores to the page, even to the line, of the running block do not disturb it.
    let mut board = Board::new("loop:\nsw x10,0x100(x11)\nsw x10,60(x11)\naddi x10,x10,1\njal x0,loop");
    board.core.hart.x[11] = BASE;
    board.run(4000);
    assert_eq!(board.x(10), 1000);
    assert_eq!(board.core.ram.load(Gpa(BASE + 0x100), Width::Word), 999);
    assert_eq!(board.core.ram.load(Gpa(BASE + 60), Width::Word), 999);
}

/// What another core writes is seen once the epoch has moved: at a `fence.i`, or when the engine says so. Under grants it
/// is the engine alone that says so.
fn check_code_of_others<const ATOMICS: bool>(by_fence: bool) {
    let mut board: Board<ATOMICS> = Board::with("loop:\naddi x10,x10,1\njal x0,loop\nfence.i\njal x0,loop");
    board.run(20);
    assert_eq!(board.x(10), 10);
    board.core.ram.store(Gpa(BASE), Width::Word, bits("addi x10,x10,3"));
    if by_fence {
        board.core.hart.pc = BASE + 8;
        board.steps(2);
    } else {
        board.core.code_epoch += 1;
    }
    board.steps(20);
    let is_seen = ATOMICS || !by_fence;
    assert_eq!(board.x(10), if is_seen { 40 } else { 20 }, "atomics: {ATOMICS}, by fence.i: {by_fence}");
}

#[test]
fn mmu_2_code_of_others_is_compared_when_the_epoch_moves() {
    for by_fence in [false, true] {
        check_code_of_others::<false>(by_fence);
        check_code_of_others::<true>(by_fence);
    }
}

#[test]
fn mmu_2_an_epoch_that_moves_over_unchanged_code_changes_nothing() {
    let mut board = Board::new("loop:\naddi x10,x10,1\njal x0,loop");
    for _ in 0..50 {
        board.core.code_epoch += 1;
        board.steps(3);
    }
    assert_eq!(board.x(10), 75);
}

/// The changed code is reached by jumps that have led to the old code before.
#[test]
fn mmu_3_a_loop_over_code_that_changes_elsewhere() {
    let mut board = Board::new("loop:\nsw x12,0(x11)\nadd x12,x12,x13\njalr x1,0(x11)\njal x0,loop");
    board.write(DATA, &assemble("addi x10,x10,1\njalr x0,0(x1)"));
    board.core.hart.x[11] = DATA;
    board.core.hart.x[12] = bits("addi x10,x10,1");
    board.core.hart.x[13] = 1 << 20;
    board.run(6 * 100);
    assert_eq!(board.x(10), 5050);
}

/// Code that ran in M-mode may not be permitted in U-mode.
#[test]
fn code_that_ran_in_one_mode_is_permitted_anew_in_another() {
    // From one page to the other and back.
    let mut board = Board::new("addi x10,x10,1\njalr x1,0(x11)\njal x0,-8");
    board.write(DATA, &assemble("addi x10,x10,1\njalr x0,0(x1)"));
    board.set_csr(PMPADDR0, BASE >> 2 | 0x1ff);
    board.set_csr(PMPCFG0, 0x1f);
    board.set_csr(MTVEC, BASE + 0x200);
    board.core.hart.x[11] = DATA;
    board.run(50);
    assert_eq!(board.x(10), 20);
    board.core.hart.privilege = Privilege::User;
    board.run(52);
    assert_eq!(board.core.hart.pc, DATA);
    board.run(53);
    assert_eq!((board.csr(MCAUSE), board.csr(MTVAL)), (1, DATA));
}

/// Blocks that start at different places overlap; a store drops all of them.
#[test]
fn mmu_3_overlapping_blocks_are_all_dropped() {
    let body = "addi x10,x10,1\n".repeat(8);
    let mut board = Board::new(&format!("{body}wfi"));
    board.core.hart.x[11] = BASE;
    board.core.hart.x[12] = bits("addi x10,x10,0x100");
    for start in 0..8 {
        board.core.hart.pc = BASE + 4 * start;
        board.steps(8 - start);
    }
    assert_eq!(board.x(10), 36);
    board.write(DATA, &assemble("sw x12,28(x11)"));
    board.core.hart.pc = DATA;
    board.steps(1);
    for start in 0..8 {
        board.core.hart.x[10] = 0;
        board.core.hart.pc = BASE + 4 * start;
        board.steps(8 - start);
        assert_eq!(board.x(10), 0x100 + 7 - start, "from {start}");
    }
}

/// Instructions that straddle pages, on the slow path and again.
#[test]
fn instructions_that_straddle_pages() {
    let program = "loop:\naddi x10,x10,1\naddi x10,x10,2\njal x0,loop";
    for start in [4094, 4090] {
        let mut board = Board::new("");
        board.write(BASE + start, &assemble(program));
        board.core.hart.pc = BASE + start;
        board.run(30);
        assert_eq!(board.x(10), 30, "at {start:#x}");
        // The half in the second page changes.
        let second = if start == 4094 { bits("addi x10,x10,0x101") } else { bits("addi x10,x10,0x102") };
        board.core.ram.store(Gpa(BASE + 4096), Width::Half, second >> 16);
        board.core.code_epoch += 1;
        board.steps(30);
        assert_eq!(board.x(10), 60 + 0x100 * 10, "at {start:#x}");
    }
}

/// Split pages have blocks of their own, and a page may be split and merged at any time.
#[test]
fn mmu_2_code_in_a_page_that_is_split_and_merged() {
    let mut board =
        Board::new(&format!("loop:\n{}jal x0,loop", "addi x10,x10,1\nc.addi x10,x10,1\n".repeat(20)));
    let mut expected = 0;
    for round in 0..10u64 {
        if round % 2 == 1 {
            board.world.split.insert(BASE >> 12);
        } else {
            board.world.split.clear();
        }
        let page = board.core.ram.page(Gpa(BASE)).expect("RAM");
        board.core.tlb.revoke(page, false);
        board.core.code_epoch += 1;
        board.core.ram.store(Gpa(BASE), Width::Word, bits(&format!("addi x10,x10,{round}")));
        board.core.hart.pc = BASE;
        board.steps(41 * 3);
        expected += 3 * (39 + round);
        assert_eq!(board.x(10), expected, "round {round}");
    }
}

#[test]
fn long_straight_code() {
    let mut board = Board::new(&format!("{}wfi", "addi x10,x10,1\n".repeat(5000)));
    assert_eq!(board.run(10_000), Exit::Wait);
    assert_eq!((board.x(10), board.core.position), (5000, 5001));
}
