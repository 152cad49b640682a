//! What is counted is what was done.

use crate::board::{Board, DATA};
use crate::tested::with;
use cantus_interp::{CodeCounts, CodeExits, Executor};
use cantus_jit::Limits;

/// What has to hold of a run of so many steps.
pub fn check(done: &CodeCounts, steps: u64) {
    let CodeExits { spent, unlinked, elsewhere, stale, step } = done.exits;
    let left = spent + unlinked + elsewhere + stale + step;
    assert_eq!(done.entries, left, "every way out is counted once: {done:?}");
    let made = done.instructions + done.steps;
    assert!(made <= steps, "{made} of {steps} steps: {done:?}");
    assert!(done.blocks >= done.units, "{done:?}");
}

/// Two loops, one in the other. After its first step, a turn of the outer one has seven of the inner one.
const LOOPS: &str = "
    addi x28,x0,100
    outer:
    addi x8,x8,1
    addi x29,x0,7
    inner:
    cbo.clean (x8) # is left to the interpreter
    addi x29,x29,-1
    bne x29,x0,inner
    addi x28,x28,-1
    bne x28,x0,outer";

/// The position after so many turns, and how many steps, steps left to the interpreter, and blocks a turn has.
const fn after(turns: u64) -> u64 {
    1 + turns * STEPS
}
const STEPS: u64 = 2 + 7 * 3 + 2;
const LEFT: u64 = 7;
const BLOCKS: u64 = 7 + 1;

#[test]
fn steps_and_blocks_of_units_are_counted_exactly() {
    for (threshold, stretch, attention) in
        [(0, 1 << 30, false), (1, 1 << 30, false), (2, 9, false), (1, 1, false), (1, 1 << 30, true)]
    {
        let limits = Limits { threshold, stretch, ..Limits::default() };
        let mut board = Board::new(LOOPS);
        board.executor = with(limits);
        board.world.attention = attention;
        board.steps(after(10));
        let before = board.executor.counts().code;
        board.steps(after(90) - after(10));
        let all = board.executor.counts();
        let (turns, done) = (80, all.code);
        assert_eq!(done.steps - before.steps, turns * LEFT, "{limits:?}: {done:?}");
        assert_eq!(done.instructions - before.instructions, turns * (STEPS - LEFT), "{limits:?}: {done:?}");
        assert_eq!(done.runs - before.runs, turns * BLOCKS, "{limits:?}: {done:?}");
        assert!(
            threshold == 0 || done.blocks > done.units,
            "{limits:?}: a unit has several blocks: {done:?}"
        );
        // Where nobody wants attention, one stretch follows another without a return.
        assert_eq!(done.exits.spent - before.exits.spent > turns, attention, "{limits:?}: {done:?}");
        check(&done, board.core.position);

        board.core.code_epoch += 1;
        board.steps(STEPS);
        let then = board.executor.counts();
        assert_eq!(then.compared - all.compared, 3, "{limits:?}: each block is compared once");
        assert_eq!(then.code.runs - done.runs, BLOCKS, "{limits:?}: {then:?}");
    }
}

/// Where the host lacks the rounding mode, what is left of a block from its first floating-point operation on is left to
/// the interpreter, and counted operation by operation.
#[test]
fn the_rest_of_a_block_is_counted_by_its_operations() {
    const PROGRAM: &str = "
        addi x28,x0,100
        turn:
        addi x8,x8,1
        fadd.d f10,f11,f12
        fsd f10,0(x9)
        addi x28,x28,-1
        bne x28,x0,turn";
    const STEPS: u64 = 5;
    let (nearest_even, nearest_away) = (0, 4);
    for (mode, left) in [(nearest_even, 0), (nearest_away, STEPS)] {
        let mut board = Board::new(PROGRAM);
        board.executor = with(Limits { threshold: 0, ..Limits::default() });
        board.core.hart.mstatus |= 1 << 13;
        board.core.hart.fcsr = mode << 5;
        board.core.hart.x[9] = DATA;
        board.steps(1 + 10 * STEPS);
        let before = board.executor.counts().code;
        board.steps(80 * STEPS);
        let done = board.executor.counts().code;
        assert_eq!(done.steps - before.steps, 80 * left, "mode {mode}: {done:?}");
        assert_eq!(done.instructions - before.instructions, 80 * (STEPS - left), "mode {mode}: {done:?}");
        check(&done, board.core.position);
    }
}
