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

/// The last block, and how many steps it has: where blocks are paid for together, it does not fit before the end with what
/// would come then, and is interpreted.
const LAST: (u64, u64) = (1, 2);

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
        let (blocks, steps) = if threshold == 0 { (0, 0) } else { LAST };
        assert_eq!(done.steps - before.steps, turns * LEFT, "{limits:?}: {done:?}");
        let instructions = done.instructions - before.instructions;
        assert_eq!(instructions, turns * (STEPS - LEFT) - steps, "{limits:?}: {done:?}");
        assert_eq!(done.runs - before.runs, turns * BLOCKS - blocks, "{limits:?}: {done:?}");
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
        assert_eq!(then.code.runs - done.runs, BLOCKS - blocks, "{limits:?}: {then:?}");
    }
}

/// Loops in a loop that is too long to be translated with them have a unit each, without what leads to them; if there is
/// room, all of it is one.
#[test]
fn a_unit_is_the_loop_that_is_hot() {
    for (others, is_one) in [(8, true), (200, false)] {
        let inner =
            |name, turns| format!("addi x29,x0,{turns}\n{name}:\naddi x29,x29,-1\nbne x29,x0,{name}\n");
        let rest = "addi x9,x9,1\n".repeat(others);
        // What is left of the steps at the end is interpreted: that makes the second one no unit of its own.
        let program = format!("turn:\n{}{}{rest}jal x0,turn", inner("first", 10), inner("second", 5));
        let mut board = Board::new(&program);
        board.executor = with(Limits { threshold: 64, ..Limits::default() });
        board.steps(40 * (33 + others as u64));
        let done = board.executor.counts().code;
        let expected = if is_one { [1, 5] } else { [2, 2] };
        assert_eq!([done.units, done.blocks], expected, "{others}: {done:?}");
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

/// A loop around a line of text, after some turns: what was done since, and the steps of so many turns.
fn in_a_loop<const ATOMICS: bool>(text: &str) -> (CodeCounts, CodeCounts, u64) {
    const TURNS: u64 = 80;
    let program = format!("addi x28,x0,200\nturn:\n{text}\naddi x28,x28,-1\nbne x28,x0,turn");
    let steps = text.lines().count() as u64 + 2;
    let mut board = Board::<ATOMICS>::with(&program);
    board.executor = with(Limits { threshold: 0, ..Limits::default() });
    board.core.hart.mstatus |= 1 << 13;
    board.core.hart.x[8] = 5;
    board.core.hart.x[11] = DATA;
    board.core.hart.f[10..12].copy_from_slice(&[2.5f64.to_bits(), 1e-300f64.to_bits()]);
    board.steps(1 + 20 * steps);
    let before = board.executor.counts().code;
    board.steps(TURNS * steps);
    check(&board.executor.counts().code, board.core.position);
    (before, board.executor.counts().code, TURNS)
}

/// What programs and kernels do often is code, and no step, under grants and without.
#[test]
fn what_is_frequent_is_no_step() {
    for text in [
        "mulhsu x9,x8,x8",
        "orc.b x9,x8",
        "amoand.w x9,x8,(x11)",
        "amomaxu.d x9,x8,(x11)",
        "lr.d x9,(x11)\nsc.d x10,x8,(x11)",
        "lr.w x9,(x11)\nsc.w x10,x8,(x11)",
        "cbo.zero (x11)",
        "sd x8,9(x11)\nld x9,9(x11)\nlhu x9,13(x11)",
        "fadd.d f12,f10,f11,rup",
        "fmadd.d f12,f10,f11,f10,rdn",
        "fcvt.l.d x9,f10,rmm",
        "fcvt.wu.d x9,f10,rmm",
        "csrrw x9,sscratch,x9",
        "csrrci x9,sstatus,2\ncsrrs x0,sstatus,x9",
    ] {
        for (before, done, _) in [in_a_loop::<false>(text), in_a_loop::<true>(text)] {
            assert_eq!(done.steps - before.steps, 0, "{text}: {done:?}");
            let code = done.exits.step + done.exits.elsewhere - before.exits.step - before.exits.elsewhere;
            assert_eq!(code, 0, "{text}: {done:?}");
        }
    }
}

/// A step after which there might be news, but is none, is followed by code.
#[test]
fn code_goes_on_where_there_is_no_news() {
    for text in ["csrrs x9,time,x0", "csrrs x9,mie,x0", "csrrc x9,mcounteren,x0"] {
        let (before, done, turns) = in_a_loop::<false>(text);
        assert_eq!(done.steps - before.steps, turns, "{text}: {done:?}");
        assert_eq!(done.exits.step, before.exits.step, "{text}: {done:?}");
    }
}
