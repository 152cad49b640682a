//! Load-reserved and store-conditional, under grants and with host atomics.

use crate::board::{Board, DATA, Question};
use cantus_interp::Exit;
use cantus_isa::riscv::hart::Reservation;
use cantus_isa::{Gpa, Width};
use cantus_memory::Right;

fn board<const ATOMICS: bool>(program: &str) -> Board<ATOMICS> {
    let mut board = Board::<ATOMICS>::with(program);
    board.core.hart.x[11] = DATA;
    board.core.hart.x[12] = 0x7777_7777_7777_7777;
    board.core.hart.x[13] = DATA + 8;
    board.write_double(DATA, 0xffff_fffe_8000_0001);
    board
}

/// The programs of a table: text, then x10 (of the last SC: 0 is success) and the doubleword at `DATA`.
fn check<const ATOMICS: bool>() {
    let (old, word, double) = (0xffff_fffe_8000_0001, 0xffff_fffe_7777_7777, 0x7777_7777_7777_7777);
    #[rustfmt::skip]
    let table: &[(&str, u64, u64)] = &[
        ("lr.w x10,(x11)\nsc.w x10,x12,(x11)", 0, word),
        ("lr.d x10,(x11)\nsc.d x10,x12,(x11)", 0, double),
        ("sc.w x10,x12,(x11)", 1, old),
        // Each SC needs its own LR.
        ("lr.w x9,(x11)\nsc.w x9,x12,(x11)\nsc.w x10,x0,(x11)", 1, word),
        ("lr.w x9,(x11)\nsc.w x9,x12,(x13)\nsc.w x10,x12,(x11)", 1, old),
        // Another address, another width.
        ("lr.w x9,(x13)\nsc.w x10,x12,(x11)", 1, old),
        ("lr.w x9,(x11)\nsc.d x10,x12,(x11)", 1, old),
        ("lr.d x9,(x11)\nsc.w x10,x12,(x11)", 1, old),
        // The last LR counts.
        ("lr.w x9,(x13)\nlr.w x9,(x11)\nsc.w x10,x12,(x11)", 0, word),
        ("lr.w x9,(x11)\nlr.w x9,(x13)\nsc.w x10,x12,(x11)", 1, old),
        // Own accesses in between.
        ("lr.w x9,(x11)\nsd x0,0(x13)\nld x8,0(x11)\nsc.w x10,x12,(x11)", 0, word),
    ];
    for &(program, x10, memory) in table {
        let mut board = board::<ATOMICS>(program);
        board.steps(program.lines().count() as u64);
        assert_eq!((board.x(10), board.double(DATA)), (x10, memory), "{program}");
        let last = board.core.hart.reservation;
        assert_eq!(last, None, "{program}: a store-conditional drops the reservation");
    }
}

#[test]
fn reservations_under_grants() {
    check::<false>();
}

#[test]
fn reservations_with_host_atomics() {
    check::<true>();
}

#[test]
fn what_is_loaded_is_sign_extended_and_reserved() {
    let mut board = board::<false>("lr.w x10,(x11)");
    board.run(1);
    assert_eq!(board.x(10), 0xffff_ffff_8000_0001);
    let reserved = Reservation { address: Gpa(DATA), width: Width::Word, value: 0x8000_0001 };
    assert_eq!(board.core.hart.reservation, Some(reserved));
}

#[test]
fn ord_7_the_load_asks_for_the_write_grant_so_that_the_store_needs_no_other() {
    let mut board = board::<false>("lr.w x10,(x11)\nsc.w x10,x12,(x11)");
    board.run(1);
    assert_eq!(board.world.asked[1..], [Question::Grant(0, Gpa(DATA), Right::Write)]);
    board.core.reservation_lost = false;
    board.run(2);
    assert_eq!((board.world.asked.len(), board.x(10)), (2, 0), "nothing else was asked");
    // Where the right has been lost meanwhile, it is asked for once more.
    let mut board = self::board::<false>("lr.w x10,(x11)\nsc.w x10,x12,(x11)");
    board.run(1);
    board.core.tlb.revoke_all();
    board.world.conditionals_fail = true;
    board.steps(1);
    let asked = [Question::Grant(1, Gpa(DATA), Right::Write), Question::Conditional(1, true)];
    assert_eq!(board.world.asked[board.world.asked.len() - 2..], asked);
}

#[test]
fn ord_7_a_reservation_that_another_core_has_broken_fails() {
    for (lost, port_fails) in [(true, false), (false, true)] {
        let mut board = board::<false>("lr.w x9,(x11)\nsc.w x10,x12,(x11)\naddi x8,x8,1");
        board.run(1);
        board.core.reservation_lost = lost;
        board.world.conditionals_fail = port_fails;
        assert_eq!(board.run(3), Exit::Yield, "a failed SC is a hint that the core spins");
        assert_eq!((board.core.position, board.x(10), board.double(DATA)), (2, 1, 0xffff_fffe_8000_0001));
        assert!(board.world.asked.contains(&Question::Conditional(1, !lost)));
        assert_eq!(board.run(3), Exit::Until);
    }
}

#[test]
fn ord_7_an_lr_forgets_what_was_lost_before() {
    let mut board = board::<false>("lr.w x9,(x11)\nsc.w x10,x12,(x11)");
    board.core.reservation_lost = true;
    board.run(2);
    assert_eq!(board.x(10), 0);
}

#[test]
fn an_sc_that_does_not_match_asks_nobody() {
    let mut board = board::<false>("sc.w x10,x12,(x11)");
    assert_eq!(board.run(5), Exit::Yield);
    assert!(!board.world.asked.iter().any(|asked| matches!(asked, Question::Conditional(..))));
}

/// In a free run a store-conditional compares values.
#[test]
fn ord_7_with_host_atomics_another_value_fails_and_the_same_passes() {
    for (value, x10) in [(0x8000_0002, 1), (0x8000_0001, 0)] {
        let mut board = board::<true>("lr.w x9,(x11)\nsc.w x10,x12,(x11)");
        board.run(1);
        board.core.ram.store(Gpa(DATA), Width::Word, value);
        board.steps(1);
        assert_eq!(board.x(10), x10);
        let word = board.core.ram.load(Gpa(DATA), Width::Word);
        assert_eq!(word, if x10 == 0 { 0x7777_7777 } else { value });
        assert!(!board.world.asked.iter().any(|asked| matches!(asked, Question::Conditional(..))));
    }
}

#[test]
fn pause_is_a_hint() {
    let mut board = board::<false>("addi x10,x10,1\npause\naddi x10,x10,1");
    assert_eq!(board.run(10), Exit::Yield);
    assert_eq!((board.core.position, board.x(10)), (2, 1));
}
