//! ORD-4: an instruction that lacks a grant leaves no trace, and does the same when it is run again.

use crate::board::{Board, Question};
use crate::exact::{STEPS, everything};
use crate::translation::paged;
use cantus_interp::Exit;

/// Runs to the end with the `nth` blockable question refused once; checks that nothing was visible.
fn blocked(mut board: Board, nth: usize, steps: u64) -> (Vec<u8>, bool) {
    board.world.block = Some(nth);
    let mut was_blocked = false;
    let mut before = board.state();
    while board.core.position < steps {
        let position = board.core.position;
        let asked = board.world.asked.len();
        match board.run(steps) {
            Exit::Blocked => {
                assert!(!was_blocked, "only one question is refused");
                was_blocked = true;
                let question = board.world.asked.last().copied();
                let at = match question {
                    Some(Question::Grant(at, ..) | Question::Load(at, ..) | Question::Store(at, ..)) => at,
                    other => panic!("{other:?} cannot be blocked"),
                };
                assert_eq!(at, board.core.position, "a step is blocked at its own position");
                if board.core.position == position {
                    assert!(board.state() == before, "question {nth}: {:?}", &board.world.asked[asked..]);
                }
            }
            Exit::Until | Exit::Device | Exit::Yield | Exit::Wait | Exit::Attention => {}
        }
        before = board.state();
    }
    (board.state(), was_blocked)
}

fn check(make: impl Fn() -> Board, steps: u64) {
    let mut undisturbed = make();
    while undisturbed.core.position < steps {
        undisturbed.run(steps);
    }
    let expected = undisturbed.state();
    let questions = undisturbed.world.blockable;
    assert!(questions > 10, "{questions} questions");
    for nth in 0..questions {
        let (state, was_blocked) = blocked(make(), nth, steps);
        assert!(was_blocked && state == expected, "question {nth} of {questions}");
        // The same when each step is a run of its own, so that the state before is known.
        let mut board = make();
        board.world.block = Some(nth);
        let mut at = Vec::new();
        while board.core.position < steps {
            let (before, until) = (board.state(), board.core.position + 1);
            let translations = translations(&board);
            if board.run(until) == Exit::Blocked {
                assert!(board.state() == before, "question {nth}");
                assert_eq!(self::translations(&board), translations, "question {nth}");
                at.push(board.core.position);
            }
        }
        assert!(at.len() == 1 && board.state() == expected, "question {nth} of {questions}");
    }
}

/// The translations that tests use: of all pages of RAM, and of the low virtual pages.
fn translations(board: &Board) -> Vec<Option<cantus_memory::Translation>> {
    (0..cantus_memory::MODES)
        .flat_map(|mode| (0..512).map(move |page| (mode, page)))
        .map(|(mode, page)| {
            let base = if page < 256 { crate::board::BASE } else { 0 };
            board.core.tlb.translation(mode, cantus_isa::Gva(base + page % 256 * 4096))
        })
        .collect()
}

#[test]
fn ord_4_every_grant_of_everything_may_be_blocked() {
    check(|| everything(false), STEPS);
}

#[test]
fn ord_4_every_grant_of_lines_may_be_blocked() {
    check(|| everything(true), 120);
}

#[test]
fn ord_4_every_grant_of_walks_may_be_blocked() {
    check(paged, 60);
}

/// An interrupt that is due belongs to the step that comes after it: if that is blocked, it is not taken yet.
#[test]
fn ord_4_a_blocked_step_does_not_take_the_interrupt() {
    let mut board = Board::new("addi x10,x10,1\nwfi");
    board.core.hart.mtvec = crate::board::BASE + 0x2000;
    board.write(crate::board::BASE + 0x2000, &crate::assembler::assemble("addi x10,x10,1"));
    board.core.hart.mie = 1 << 7;
    board.core.hart.mstatus = 1 << 3;
    board.run(1);
    board.core.hart.lines = 1 << 7;
    let before = board.state();
    // The handler's page has not been asked for yet.
    board.world.block = Some(board.world.blockable);
    assert_eq!(board.run(9), Exit::Blocked);
    assert!(board.state() == before);
    // A more urgent one comes before it is tried again: that one is taken.
    board.core.hart.lines |= 1 << 11;
    board.core.hart.mie |= 1 << 11;
    board.run(2);
    assert_eq!(board.core.hart.mcause, 1 << 63 | 11);
    assert_eq!(board.core.hart.mepc, crate::board::BASE + 4);
}
