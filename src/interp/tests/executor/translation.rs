//! Paging, through instructions: faults, accessed and dirty bits as steps, fences, superpages, replacement.

use crate::assembler::assemble;
use crate::board::{BASE, Board, DATA, Question};
use cantus_isa::riscv::Privilege::{self, Supervisor as S, User as U};
use cantus_isa::riscv::csr::number::*;
use cantus_isa::{Gpa, Gva};
use cantus_memory::Right;

const V: u64 = 1;
const R: u64 = 2;
const W: u64 = 4;
const X: u64 = 8;
const UB: u64 = 16;
const A: u64 = 64;
const D: u64 = 128;

const ROOT: u64 = BASE + 0x2_0000;
const MIDDLE: u64 = BASE + 0x2_1000;
const LEAVES: u64 = BASE + 0x2_2000;
const HANDLER: u64 = BASE + 0x200;
/// Virtual pages: code, and data of which the tests choose the entry.
const CODE: u64 = 0x4000;
const PAGE: u64 = 0x7000;

fn entry(page: u64, bits: u64) -> u64 {
    page >> 12 << 10 | bits
}

/// A board with Sv39: virtual pages 0 to 511 by one table of leaves. The program lies at virtual [`CODE`].
fn board(level: Privilege, program: &str) -> Board {
    let mut board = Board::new("");
    board.write(BASE + 0x4000, &assemble(program));
    board.write_double(ROOT, entry(MIDDLE, V));
    board.write_double(MIDDLE, entry(LEAVES, V));
    let user = if level == U { UB } else { 0 };
    map(&mut board, CODE, BASE + 0x4000, V | R | X | A | user);
    map(&mut board, CODE + 0x1000, BASE + 0x5000, V | R | X | A | user);
    board.set_csr(SATP, 8 << 60 | ROOT >> 12);
    board.set_csr(MTVEC, HANDLER);
    board.set_csr(PMPADDR15, u64::MAX);
    board.set_csr(PMPCFG2, 0x1f << 56);
    board.core.hart.privilege = level;
    board.core.hart.pc = CODE;
    board.core.hart.x[11] = PAGE;
    board.core.hart.x[12] = 0x1234;
    board
}

/// Where the entry of a page is. All entries of [`MIDDLE`] that a test makes tables lead to the same leaves.
fn leaf(address: u64) -> u64 {
    LEAVES + (address >> 12) % 512 * 8
}

fn map(board: &mut Board, address: u64, page: u64, bits: u64) {
    board.write_double(leaf(address), entry(page, bits));
}

/// A program in U-mode whose every page has its bits still to be set, with straddling code and data, superpages and fences.
pub fn paged() -> Board {
    let program = "
        ld x10,0(x11)
        addi x10,x10,1
        sd x10,0x7fc(x11)
        sd x10,0(x13)
        ld x14,0(x13)
        lr.w x15,(x16)
        sc.w x15,x12,(x16)
        amoadd.d x17,x12,(x16)
        sd x10,-2(x16)
        jal x0,next
        next:
        ld x18,0(x19)
        addi x20,x20,1
        blt x20,x12,0x100
        ";
    let mut board = board(U, "");
    board.write(BASE + 0x4fe2, &assemble(program));
    // Back to the start, from where the branch leads.
    board.write(BASE + 0x5112, &assemble("jal x0,-0x130"));
    for (page, to) in [(4, 4), (5, 5), (7, 0x10), (8, 0x11), (9, 0x12), (10, 0x13)] {
        let bits = V | R | W | X | UB;
        map(&mut board, page << 12, BASE + (to << 12), bits);
    }
    // A superpage over all of RAM, at 2 MiB.
    board.write_double(MIDDLE + 8, entry(BASE, V | R | W | UB));
    board.core.hart.pc = CODE + 0xfe2;
    board.core.hart.x[11] = PAGE + 0x800;
    board.core.hart.x[12] = 1000;
    board.core.hart.x[13] = 0x20_0000 + 0x1_8000;
    board.core.hart.x[16] = 0x9000;
    board.core.hart.x[19] = 0x20_0000 + 0x1_4000;
    board
}

#[test]
fn loads_and_stores_go_where_the_tables_say() {
    for (level, bits) in [(S, 0), (U, UB)] {
        let mut board = board(level, "sd x12,8(x11)\nld x10,8(x11)\nsd x10,16(x11)");
        map(&mut board, PAGE, DATA, V | R | W | A | D | bits);
        board.run(3);
        assert_eq!((board.double(DATA + 8), board.double(DATA + 16), board.x(10)), (0x1234, 0x1234, 0x1234));
        assert_eq!(board.core.hart.pc, CODE + 12);
    }
}

/// Causes 12, 13 and 15: page faults of fetch, load and store; 1, 5, 7: access faults.
#[test]
fn faults() {
    let all = V | R | W | X | A | D;
    #[rustfmt::skip]
    let table: &[(&str, Privilege, u64, u64)] = &[
        // Instruction, level, leaf of PAGE, cause.
        ("ld x10,8(x11)", S, 0, 13),
        ("sd x10,8(x11)", S, 0, 15),
        ("jalr x1,8(x11)", S, 0, 12),
        ("lr.d x10,(x11)", S, 0, 13),
        ("sc.d x10,x12,(x11)", S, 0, 15),
        ("amoadd.d x10,x12,(x11)", S, 0, 15),
        ("sd x10,8(x11)", S, entry(DATA, V | R | A | D), 15),
        ("amoadd.d x10,x12,(x11)", S, entry(DATA, V | R | A | D), 15),
        ("ld x10,8(x11)", S, entry(DATA, V | X | A | D), 13),
        ("jalr x1,8(x11)", S, entry(DATA, V | R | W | A | D), 12),
        ("ld x10,8(x11)", S, entry(DATA, all | UB), 13),
        ("ld x10,8(x11)", U, entry(DATA, all), 13),
        ("ld x10,8(x11)", S, entry(DATA, V | W | A | D), 13),
        ("ld x10,8(x11)", S, entry(DATA, all) | 1 << 60, 13),
        // Beyond RAM.
        ("ld x10,8(x11)", S, entry(0x4000_0000, all), 5),
        ("sd x10,8(x11)", S, entry(0x4000_0000, all), 7),
        ("jalr x1,8(x11)", S, entry(0x4000_0000, all), 1),
    ];
    for &(text, level, bits, cause) in table {
        let mut board = board(level, text);
        board.write_double(leaf(PAGE), bits);
        board.core.hart.x[10] = 99;
        board.run(if text.starts_with("jalr") { 2 } else { 1 });
        let address = if text.contains("(x11)") && text.contains('8') { PAGE + 8 } else { PAGE };
        assert_eq!(
            (board.csr(MCAUSE), board.csr(MTVAL)),
            (cause, address),
            "{text} in {level:?} of {bits:#x}"
        );
        assert_eq!((board.x(10), board.core.hart.pc), (99, HANDLER), "{text}");
        assert_eq!(board.double(leaf(PAGE)), bits, "{text}: a fault sets no bits");
    }
}

#[test]
fn faults_of_the_tables_themselves() {
    for (text, cause) in [("ld x10,8(x11)", 5), ("sd x10,8(x11)", 7)] {
        // The table of leaves lies outside of RAM, for addresses from 2 MiB.
        let mut board = board(S, text);
        board.write_double(MIDDLE + 8, entry(0x4000_0000, V));
        board.core.hart.x[11] = 0x20_0000;
        board.run(1);
        assert_eq!((board.csr(MCAUSE), board.csr(MTVAL)), (cause, 0x20_0008), "{text}");
    }
    // Not canonical.
    let mut board = board(S, "ld x10,0(x11)");
    board.core.hart.x[11] = 1 << 40;
    board.run(1);
    assert_eq!((board.csr(MCAUSE), board.csr(MTVAL)), (13, 1 << 40));
}

/// Each update is a step: the position moves, nothing retires, the instruction comes again.
#[test]
fn ord_4_accessed_and_dirty_bits_are_steps() {
    #[rustfmt::skip]
    let table: &[(&str, u64, u64, u64)] = &[
        // Instruction, bits of the leaf before, after, steps that retire nothing.
        ("ld x10,0(x11)", 0, A, 1),
        ("sd x10,0(x11)", 0, A | D, 1),
        ("sd x10,0(x11)", A, A | D, 1),
        ("ld x10,0(x11)", A, A, 0),
        ("ld x10,0(x11)", A | D, A | D, 0),
        ("sd x10,0(x11)", A | D, A | D, 0),
        ("amoor.d x10,x0,(x11)", 0, A | D, 1),
        ("lr.d x10,(x11)", 0, A, 1),
        ("sc.d x10,x12,(x11)", A, A | D, 1),
    ];
    for &(text, before, after, updates) in table {
        let mut board = board(S, &format!("addi x9,x9,1\n{text}\naddi x9,x9,1"));
        map(&mut board, PAGE, DATA, V | R | W | before);
        board.run(1);
        for step in 0..updates {
            let state = (board.core.hart.pc, board.x(10));
            board.steps(1);
            assert_eq!((board.core.hart.pc, board.x(10)), state, "{text}: step {step} is no instruction");
            assert!(board.core.tlb.translation(1, Gva(PAGE)).is_none(), "{text}: an update fills nothing");
        }
        board.steps(2);
        assert_eq!(board.double(leaf(PAGE)), entry(DATA, V | R | W | after), "{text}");
        assert_eq!((board.x(9), board.core.hart.pc), (2, CODE + 12), "{text}");
        assert_eq!(board.csr(MINSTRET), 3, "{text}");
        // The grant to write the entry is asked for by the step that does.
        let writes = board
            .world
            .asked
            .iter()
            .filter(|&&asked| asked == Question::Grant(1, Gpa(leaf(PAGE)), Right::Write));
        assert_eq!(writes.count() as u64, updates, "{text}");
    }
}

/// A step that is an update leaves no translation, also not of the code and the part that it needed before.
#[test]
fn ord_4_an_update_fills_nothing() {
    let mut board = board(S, "ld x10,-4(x11)");
    map(&mut board, PAGE, DATA, V | R | A);
    map(&mut board, PAGE + 0x1000, DATA + 0x1000, V | R);
    board.core.hart.x[11] = PAGE + 0x1000;
    let translated = |board: &Board| {
        [(5, CODE), (1, PAGE), (1, PAGE + 0x1000)]
            .map(|(mode, address)| board.core.tlb.translation(mode, Gva(address)).is_some())
    };
    board.run(1);
    assert_eq!((translated(&board), board.core.hart.pc), ([false; 3], CODE));
    board.run(2);
    assert_eq!((translated(&board), board.core.hart.pc), ([true; 3], CODE + 4));
}

/// A page that was read first needs a walk of its own to be written.
#[test]
fn a_clean_page_is_walked_again_for_a_store() {
    let mut board = board(S, "ld x10,0(x11)\nsd x12,0(x11)\nsd x12,8(x11)");
    map(&mut board, PAGE, DATA, V | R | W);
    board.run(1 + 1 + 1 + 1 + 1);
    assert_eq!(board.core.hart.pc, CODE + 12);
    assert_eq!(board.double(leaf(PAGE)), entry(DATA, V | R | W | A | D));
    assert_eq!(board.csr(MINSTRET), 3);
}

#[test]
fn a_straddling_instruction_and_access_take_a_step_for_each_bit() {
    let mut board = board(S, "");
    board.write(BASE + 0x4ffe, &assemble("sd x12,-4(x11)"));
    map(&mut board, CODE, BASE + 0x4000, V | X);
    map(&mut board, CODE + 0x1000, BASE + 0x5000, V | X);
    map(&mut board, PAGE, DATA, V | R | W);
    map(&mut board, PAGE + 0x1000, DATA + 0x3000, V | R | W);
    board.core.hart.pc = CODE + 0xffe;
    board.core.hart.x[11] = PAGE + 0x1000;
    board.run(5);
    assert_eq!((board.core.hart.pc, board.csr(MINSTRET)), (CODE + 0x1002, 1));
    assert_eq!((board.double(DATA + 0xff8), board.double(DATA + 0x3000)), (0x1234 << 32, 0));
    for (page, bits) in [(CODE, A), (CODE + 0x1000, A), (PAGE, A | D), (PAGE + 0x1000, A | D)] {
        assert_eq!(board.double(leaf(page)) & (A | D), bits, "{page:#x}");
    }
}

/// The second half of a straddling access faults: nothing is stored, and `mtval` is in that half.
#[test]
fn straddling_into_a_page_that_faults() {
    for (text, cause) in [("ld x10,0(x11)", 13), ("sd x12,0(x11)", 15)] {
        let mut board = board(S, text);
        map(&mut board, PAGE, DATA, V | R | W | A | D);
        board.core.hart.x[11] = PAGE + 0xffd;
        board.run(1);
        assert_eq!((board.csr(MCAUSE), board.csr(MTVAL), board.csr(MEPC)), (cause, PAGE + 0x1000, CODE));
        assert_eq!(board.double(DATA + 0xff8), 0);
    }
    let mut board = board(S, "");
    map(&mut board, CODE + 0x1000, BASE + 0x5000, 0);
    board.write(BASE + 0x4ffe, &assemble("addi x10,x10,1"));
    board.core.hart.pc = CODE + 0xffe;
    board.run(1);
    assert_eq!((board.csr(MCAUSE), board.csr(MTVAL), board.csr(MEPC)), (12, CODE + 0x1000, CODE + 0xffe));
}

/// Without a fence an old translation stays; with one, for the page or for all, the new one is walked.
#[test]
fn mmu_1_translations_stay_until_a_fence() {
    for (fence, new) in [
        ("addi x0,x0,0", false),
        ("sfence.vma x11,x0", true),
        ("sfence.vma x0,x0", true),
        ("sfence.vma x13,x0", false),
    ] {
        let mut board = board(S, &format!("ld x10,0(x11)\nsd x14,0(x15)\n{fence}\nld x16,0(x11)"));
        map(&mut board, PAGE, DATA, V | R | W | A | D);
        map(&mut board, 0x9000, LEAVES, V | R | W | A | D);
        board.write_double(DATA, 1);
        board.write_double(DATA + 0x1000, 2);
        board.core.hart.x[13] = 0x6000;
        board.core.hart.x[14] = entry(DATA + 0x1000, V | R | W | A | D);
        board.core.hart.x[15] = 0x9000 + (PAGE >> 12) * 8;
        board.run(4);
        assert_eq!((board.x(10), board.x(16)), (1, if new { 2 } else { 1 }), "{fence}");
    }
}

/// A fence for any address of a superpage drops every translation that came from it.
#[test]
fn mmu_1_a_fence_in_a_superpage_drops_all_of_it() {
    for (fence, new) in [("sfence.vma x13,x0", true), ("sfence.vma x17,x0", false)] {
        let mut board = board(S, &format!("ld x10,0(x11)\nsd x14,0(x15)\n{fence}\nld x16,0(x11)"));
        let second = BASE + 0x20_0000;
        board.write_double(MIDDLE + 8, entry(BASE, V | R | A));
        map(&mut board, 0x9000, MIDDLE, V | R | W | A | D);
        board.write_double(DATA, 77);
        board.core.hart.x[11] = 0x20_0000 + (DATA - BASE);
        board.core.hart.x[13] = 0x20_0000 + 0x5_5000;
        board.core.hart.x[14] = entry(second, V | R | A);
        board.core.hart.x[15] = 0x9008;
        board.core.hart.x[17] = 0x40_0000;
        board.run(4);
        // The new superpage lies beyond RAM.
        let expected = if new { (77, 5) } else { (77, 0) };
        assert_eq!((board.x(10), board.csr(MCAUSE)), expected, "{fence}");
        assert_eq!(board.x(16), if new { 0 } else { 77 }, "{fence}");
    }
}

#[test]
fn satp_sum_and_mxr_take_effect_at_once() {
    #[rustfmt::skip]
    let table: &[(&str, u64, u64)] = &[
        // The instruction between two loads, bits of the leaf, cause of the second (0: none).
        ("csrrs x0,sstatus,x13", V | R | UB | A, 0),
        ("csrrs x0,sstatus,x14", V | X | A, 0),
        ("csrrw x0,satp,x0", V | R | A, 5),
    ];
    for &(text, bits, cause) in table {
        let mut board = board(S, &format!("ld x10,0(x11)\n{text}\nld x10,0(x11)"));
        map(&mut board, PAGE, DATA, bits);
        // Bare, the next instruction lies where it lies virtually: code there, too.
        map(&mut board, CODE, BASE + 0x4000, V | X | A);
        board.write_double(DATA, 55);
        board.core.hart.x[13] = 1 << 18;
        board.core.hart.x[14] = 1 << 19;
        if cause == 0 {
            board.write(HANDLER, &assemble("csrrs x30,mepc,x0\naddi x30,x30,4\ncsrrw x0,mepc,x30\nmret"));
            board.run(5);
            assert_eq!((board.csr(MCAUSE), board.x(10)), (13, 0), "{text}: the first load faults");
            board.run(7);
            assert_eq!((board.x(10), board.core.hart.pc), (55, CODE + 12), "{text}");
        } else {
            board.run(2);
            assert_eq!(board.x(10), 55, "{text}");
            board.run(3);
            assert_eq!((board.csr(MCAUSE), board.csr(MTVAL)), (1, CODE + 8), "{text}: no code there");
        }
    }
}

/// What one level, or SUM, let into the TLB is not there for another.
#[test]
fn levels_have_translations_of_their_own() {
    // Code of S-mode, then the same in U-mode.
    let mut code = board(S, "addi x10,x10,1\nsret\naddi x10,x10,1");
    code.core.hart.sepc = CODE + 8;
    code.run(3);
    assert_eq!((code.csr(MCAUSE), code.csr(MTVAL), code.x(10)), (12, CODE + 8, 1));
    // Data of U-mode, with SUM and without.
    let mut data = board(S, "ld x10,0(x11)\ncsrrw x0,sstatus,x0\nld x12,0(x11)");
    map(&mut data, PAGE, DATA, V | R | UB | A);
    data.core.hart.mstatus |= 1 << 18;
    data.run(3);
    assert_eq!((data.csr(MCAUSE), data.csr(MTVAL), data.csr(MEPC)), (13, PAGE, CODE + 8));
    // The same by MPRV: as M-mode, as S-mode, as M-mode.
    let mut lent = board(S, "");
    lent.write(
        BASE,
        &assemble("ld x10,0(x11)\ncsrrs x0,mstatus,x13\nld x10,0(x12)\ncsrrc x0,mstatus,x13\nld x14,0(x12)"),
    );
    lent.core.hart.privilege = Privilege::Machine;
    lent.core.hart.pc = BASE;
    map(&mut lent, PAGE, DATA, V | R | A);
    lent.write_double(DATA, 5);
    lent.core.hart.mstatus = 1 << 11;
    lent.core.hart.x[11] = DATA;
    lent.core.hart.x[12] = PAGE;
    lent.core.hart.x[13] = 1 << 17;
    lent.run(5);
    assert_eq!((lent.x(10), lent.csr(MCAUSE), lent.csr(MTVAL), lent.csr(MEPC)), (5, 5, PAGE, BASE + 16));
}

/// Pages of one set of the TLB, which is found by the low eight bits of the page's number, exclusive-or those above. A set
/// has four ways.
const RIVALS: [u64; 5] = [CODE, 0x10_5000, 0x20_6000, 0x30_7000, 0x40_0000];
const RIVAL: u64 = RIVALS[1];

/// Walks of these pages, with the position of each.
fn walks(board: &Board) -> Vec<Question> {
    let of_leaf = |question: &&Question| matches!(question, Question::Grant(_, at, _) if RIVALS.iter().any(|&page| at.0 == leaf(page)));
    board.world.asked.iter().filter(of_leaf).copied().collect()
}

fn read(position: u64, page: u64) -> Question {
    Question::Grant(position, Gpa(leaf(page)), Right::Read)
}

/// Loads and stores do not replace the translations of fetches, whatever the page.
#[test]
fn rep_2_data_does_not_replace_the_translation_of_code() {
    for cut in 1..=4 {
        let mut board = board(S, "ld x10,0(x11)\naddi x9,x9,1\nld x10,0(x11)\naddi x9,x9,1");
        map(&mut board, RIVAL, DATA, V | R | A);
        board.core.hart.x[11] = RIVAL;
        while board.core.position < 4 {
            board.run((board.core.position + cut).min(4));
        }
        assert_eq!(walks(&board), [read(0, CODE), read(0, RIVAL)], "in runs of {cut}");
    }
}

/// Code in more pages than a set has ways is walked for at each jump, wherever runs are cut.
#[test]
fn rep_2_a_walk_happens_at_the_same_position_in_one_run_or_many() {
    for cut in 1..=13 {
        let mut board = board(S, "");
        board.write_double(MIDDLE + 8, entry(LEAVES, V));
        board.write_double(MIDDLE + 16, entry(LEAVES, V));
        for (number, &page) in RIVALS.iter().enumerate() {
            let (to, next) = (DATA + 0x1000 * number as u64, (number + 1) % RIVALS.len());
            map(&mut board, page, to, V | R | X | A);
            board.write(to, &assemble(&format!("addi x9,x9,1\njalr x0,0(x{})", 20 + next)));
            board.core.hart.x[20 + number] = page;
        }
        while board.core.position < 13 {
            board.run((board.core.position + cut).min(13));
        }
        let expected: Vec<_> =
            (0..7).map(|jump| read(2 * jump, RIVALS[jump as usize % RIVALS.len()])).collect();
        assert_eq!(walks(&board), expected, "in runs of {cut}");
    }
}

/// The tables may lie in a page with code, and an update may change code.
#[test]
fn mmu_3_an_update_that_changes_code() {
    let mut board = board(S, "ld x10,0(x11)\nwfi");
    // The leaf of PAGE is also an instruction: `c.addi`-like bits do not matter, only that it was decoded before.
    map(&mut board, PAGE, DATA, V | R);
    map(&mut board, 0x8000, LEAVES, V | R | X | A);
    board.core.hart.pc = 0x8000 + (PAGE >> 12) * 8;
    let before = board.core.ram.load(Gpa(leaf(PAGE)), cantus_isa::Width::Half) as u16;
    board.run(1);
    board.core.hart.pc = CODE;
    board.core.hart.privilege = S;
    board.steps(2);
    board.core.hart.pc = 0x8000 + (PAGE >> 12) * 8;
    board.steps(1);
    let after = board.core.ram.load(Gpa(leaf(PAGE)), cantus_isa::Width::Half) as u16;
    assert_eq!(after, before | A as u16);
    // It was an illegal instruction both times; `mtval` shows which bits were executed last.
    assert_eq!((board.csr(MCAUSE), board.csr(MTVAL) as u16), (2, after));
}

#[test]
fn rep_2_a_paged_program_can_be_cut_anywhere() {
    let mut board = paged();
    let mut states = vec![board.state()];
    while board.core.position < 200 {
        board.run(board.core.position + 1);
        states.push(board.state());
    }
    assert!(board.csr(MINSTRET) > 150 && board.csr(MINSTRET) < 200, "{}", board.csr(MINSTRET));
    assert_eq!(board.core.hart.privilege, U, "no trap");
    for cut in [2, 3, 5, 11, 200] {
        let mut board = paged();
        while board.core.position < 200 {
            board.run((board.core.position + cut).min(200));
            assert!(board.state() == states[board.core.position as usize], "at {}", board.core.position);
        }
    }
}

/// `SATP` with Sv48 works as far as Sv39 does.
#[test]
fn four_levels() {
    let mut board = board(S, "ld x10,0(x11)");
    let top = BASE + 0x2_3000;
    board.write_double(top, entry(ROOT, V));
    map(&mut board, PAGE, DATA, V | R | A);
    board.write_double(DATA, 66);
    board.set_csr(SATP, 9 << 60 | top >> 12);
    board.run(1);
    assert_eq!(board.x(10), 66);
}

/// "CMO", "Address Translation and Protection": what may be loaded from may be managed, and every fault is a store's.
#[test]
fn blocks_in_pages() {
    let address = PAGE + 13;
    #[rustfmt::skip]
    let table: &[(&str, u64, Option<u64>, u64)] = &[
        // Instruction, leaf of PAGE, cause, bits that are set.
        ("cbo.zero (x11)", 0, Some(15), 0),
        ("cbo.clean (x11)", 0, Some(15), 0),
        ("cbo.zero (x11)", entry(DATA, V | R | A | D), Some(15), 0),
        ("cbo.flush (x11)", entry(DATA, V | R | A), None, 0),
        ("cbo.inval (x11)", entry(DATA, V | R | W), None, A),
        ("cbo.zero (x11)", entry(DATA, V | R | W), None, A | D),
        ("cbo.zero (x11)", entry(0x4000_0000, V | R | W | A | D), Some(7), 0),
        ("cbo.clean (x11)", entry(DATA, V | X | A), Some(15), 0),
    ];
    for &(text, bits, cause, set) in table {
        let mut board = board(S, text);
        board.set_csr(MENVCFG, 1 << 61 | 0xf0);
        board.core.hart.x[11] = address;
        board.write_double(leaf(PAGE), bits);
        board.run(if set == 0 { 1 } else { 2 });
        let expected = cause.map_or((0, 0), |cause| (cause, address));
        assert_eq!((board.csr(MCAUSE), board.csr(MTVAL)), expected, "{text}, leaf {bits:#x}");
        assert_eq!(board.double(leaf(PAGE)), bits | set, "{text}, leaf {bits:#x}");
        assert_eq!(board.csr(MINSTRET), u64::from(cause.is_none()), "{text}, leaf {bits:#x}");
    }
}

/// "Svade": the instruction faults, and the entry stays as it is.
#[test]
fn without_adue_software_sets_the_bits() {
    for (text, bits, cause) in [
        ("ld x10,0(x11)", V | R | W, Some(13)),
        ("sd x10,0(x11)", V | R | W | A, Some(15)),
        ("ld x10,0(x11)", V | R | W | A, None),
        ("sd x10,0(x11)", V | R | W | A | D, None),
    ] {
        let mut board = board(S, text);
        board.set_csr(MENVCFG, 0);
        map(&mut board, PAGE, DATA, bits);
        board.run(1);
        assert_eq!(board.csr(MCAUSE), cause.unwrap_or(0), "{text}, {bits:#x}");
        assert_eq!(board.double(leaf(PAGE)), entry(DATA, bits), "{text}, {bits:#x}");
    }
}

/// "Svnapot": the 16 pages are one, which a fence for any address in them drops.
#[test]
fn mmu_1_a_fence_drops_all_of_64_kib() {
    for (fence, new) in
        [("sfence.vma x13,x0", true), ("sinval.vma x13,x0", true), ("sfence.vma x17,x0", false)]
    {
        let mut board = board(S, &format!("ld x10,0(x11)\nsd x14,0(x15)\n{fence}\nld x16,0(x11)"));
        let (first, second) = (DATA | 0x8000, (DATA + 0x1_0000) | 0x8000);
        for page in 0..16 {
            map(&mut board, 0x1_0000 + (page << 12), first, V | R | A | 1 << 63);
        }
        map(&mut board, 0x9000, LEAVES, V | R | W | A | D);
        board.write_double(DATA + 0x5008, 1);
        board.write_double(DATA + 0x1_5008, 2);
        board.core.hart.x[11] = 0x1_5008;
        board.core.hart.x[13] = 0x1_f000;
        board.core.hart.x[14] = entry(second, V | R | A | 1 << 63);
        board.core.hart.x[15] = 0x9000 + 0x15 * 8;
        board.core.hart.x[17] = 0x2_0000;
        board.run(4);
        assert_eq!((board.x(10), board.x(16)), (1, if new { 2 } else { 1 }), "{fence}");
    }
}

/// What rs2 names: an ASID, of which the upper bits of the register are no part; global mappings are not named by one.
#[test]
fn mmu_1_a_fence_for_an_asid() {
    for (fence, bits, new) in [
        ("sfence.vma x0,x13", 0, true),
        ("sfence.vma x11,x13", 0, true),
        ("sfence.vma x0,x17", 0, false),
        ("sfence.vma x11,x17", 0, false),
        ("sfence.vma x0,x13", 1 << 5, false),
        ("sfence.vma x11,x13", 1 << 5, false),
        ("sfence.vma x11,x0", 1 << 5, true),
        ("csrrw x0,satp,x18", 0, false),
    ] {
        let mut board = board(S, &format!("ld x10,0(x11)\nsd x14,0(x15)\n{fence}\nld x16,0(x11)"));
        map(&mut board, PAGE, DATA, V | R | A | bits);
        map(&mut board, 0x9000, LEAVES, V | R | W | A | D);
        board.set_csr(SATP, 8 << 60 | 7 << 44 | ROOT >> 12);
        board.write_double(DATA, 1);
        board.write_double(DATA + 0x1000, 2);
        board.core.hart.x[13] = 0xabc_0007;
        board.core.hart.x[14] = entry(DATA + 0x1000, V | R | A | bits);
        board.core.hart.x[15] = 0x9000 + (PAGE >> 12) * 8;
        board.core.hart.x[17] = 8;
        board.core.hart.x[18] = board.csr(SATP);
        board.run(4);
        assert_eq!((board.x(10), board.x(16)), (1, if new { 2 } else { 1 }), "{fence}, {bits:#x}");
    }
}

/// From one address space to another and back: neither is walked for again.
#[test]
fn mmu_1_address_spaces_keep_their_translations() {
    let mut board =
        board(S, "ld x10,0(x11)\ncsrrw x0,satp,x12\nld x13,0(x11)\ncsrrw x0,satp,x14\nld x15,0(x11)");
    let (other, middle, leaves) = (BASE + 0x2_4000, BASE + 0x2_5000, BASE + 0x2_6000);
    board.write_double(other, entry(middle, V));
    board.write_double(middle, entry(leaves, V));
    board.write_double(leaves + (CODE >> 12) * 8, entry(BASE + 0x4000, V | R | X | A));
    board.write_double(leaves + (PAGE >> 12) * 8, entry(DATA + 0x1000, V | R | A));
    map(&mut board, PAGE, DATA, V | R | A);
    board.write_double(DATA, 1);
    board.write_double(DATA + 0x1000, 2);
    board.core.hart.x[12] = 8 << 60 | 5 << 44 | other >> 12;
    board.core.hart.x[14] = board.csr(SATP);
    for _ in 0..3 {
        let walks = board.world.asked.len();
        board.core.hart.pc = CODE;
        board.steps(5);
        assert_eq!((board.x(10), board.x(13), board.x(15)), (1, 2, 1));
        let tables = ROOT..leaves + 0x1000;
        let of_tables =
            |asked: &Question| matches!(asked, Question::Grant(_, at, _) if tables.contains(&at.0));
        let walked = board.world.asked[walks..].iter().any(of_tables);
        assert_eq!(walked, walks == 0, "only the first time");
    }
}

/// A loop that calls a function in [`PAGE`], which the tables lead to two places; the program's third line is a fence.
fn board_of_calls(level: Privilege) -> Board {
    let mut board = board(level, "loop:\njalr x1,0(x11)\njal x0,loop\nsfence.vma x0,x0\nsfence.vma x11,x0");
    for (page, adds) in [(DATA, 1), (DATA + 0x1000, 100)] {
        board.write(page, &assemble(&format!("addi x10,x10,{adds}\njalr x0,0(x1)")));
    }
    board
}

/// How much some turns of its loop add, which have four steps each.
fn added(board: &mut Board) -> u64 {
    let before = board.x(10);
    board.core.hart.pc = CODE;
    board.steps(40);
    board.x(10) - before
}

#[test]
fn mmu_1_calls_go_where_they_went_until_a_fence() {
    for fence in [CODE + 8, CODE + 12] {
        let mut board = board_of_calls(S);
        for (page, before, after) in [(DATA, 10, 10), (DATA + 0x1000, 10, 1000), (DATA, 1000, 10)] {
            map(&mut board, PAGE, page, V | R | X | A);
            assert_eq!(added(&mut board), before, "what has been translated stays so");
            board.core.hart.pc = fence;
            board.steps(1);
            assert_eq!(added(&mut board), after);
        }
    }
}

#[test]
fn mmu_1_calls_go_where_the_address_space_says() {
    let mut board = board_of_calls(S);
    let (other, middle, leaves) = (BASE + 0x2_4000, BASE + 0x2_5000, BASE + 0x2_6000);
    board.write_double(other, entry(middle, V));
    board.write_double(middle, entry(leaves, V));
    board.write_double(leaves + (CODE >> 12) * 8, entry(BASE + 0x4000, V | R | X | A));
    board.write_double(leaves + (PAGE >> 12) * 8, entry(DATA + 0x1000, V | R | X | A));
    map(&mut board, PAGE, DATA, V | R | X | A);
    let spaces = [board.csr(SATP), 8 << 60 | 5 << 44 | other >> 12];
    for _ in 0..3 {
        for (satp, adds) in spaces.into_iter().zip([10, 1000]) {
            board.set_csr(SATP, satp);
            assert_eq!(added(&mut board), adds);
        }
    }
}

#[test]
fn calls_go_nowhere_that_the_level_may_not_fetch_from() {
    let mut board = board_of_calls(U);
    map(&mut board, PAGE, DATA, V | R | X | A | UB);
    assert_eq!(added(&mut board), 10);
    // Supervisor's are the pages of the caller now, not that of the function.
    map(&mut board, CODE, BASE + 0x4000, V | R | X | A);
    board.core.hart.privilege = S;
    board.core.hart.pc = CODE;
    board.steps(2);
    assert_eq!((board.csr(MCAUSE), board.csr(MTVAL), board.x(10)), (12, PAGE, 10));
}

#[test]
fn ord_1_calls_ask_anew_for_what_was_lost() {
    let mut board = board_of_calls(S);
    map(&mut board, PAGE, DATA, V | R | X | A);
    assert_eq!(added(&mut board), 10);
    board.world.asked.clear();
    let page = board.core.ram.page(Gpa(DATA)).expect("RAM");
    board.core.tlb.revoke(page, false);
    assert_eq!(added(&mut board), 10);
    assert_eq!(board.world.asked, [Question::Grant(41, Gpa(DATA), Right::Read)]);
}
