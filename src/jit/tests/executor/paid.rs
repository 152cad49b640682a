//! Blocks that are paid for together (`tolls.rs`): whoever stops among them, or traps, stands where the interpreter would
//! (REP-2).

use crate::assembler::assemble;
use crate::board::{BASE, Board, DATA};
use crate::tested::with;
use cantus_interp::Executor;
use cantus_isa::riscv::csr::number::{MSCRATCH, MTVEC};
use cantus_jit::Limits;

/// A loop of several blocks, of which the second one accesses memory, with two ways of different length through it, and one
/// over an addition only.
const LOOP: &str = "
    addi x28,x0,2000
    turn:
    addi x8,x8,1
    andi x9,x8,3
    beq x9,x0,other
    ld x12,0(x11)
    add x10,x10,x12
    blt x10,x0,done
    sd x8,8(x11)
    addi x13,x13,1
    beq x13,x30,done
    sd x13,16(x11)
    jal x0,join
    other:
    slli x10,x10,1
    xor x10,x10,x8
    sd x10,24(x11)
    join:
    andi x9,x8,5
    bne x9,x0,over
    addi x14,x14,1
    over:
    addi x28,x28,-1
    bne x28,x0,turn
    done:
    jal x0,done";

/// Gives x11 the address of the data, and tries again.
const HANDLER: &str = "
    csrrs x11,mscratch,x0
    addi x15,x15,1
    mret";

/// Four turns at most.
const STEPS: u64 = 4 * 15;
/// When the loop has been code for long.
const WARM: u64 = 600;

fn board(limits: Limits) -> Board {
    let mut board = Board::new(LOOP);
    board.executor = with(limits);
    board.write(BASE + 0x400, &assemble(HANDLER));
    board.set_csr(MTVEC, BASE + 0x400);
    board.set_csr(MSCRATCH, DATA);
    board.core.hart.x[11] = DATA;
    board
}

/// One that interprets, and one whose loop is code, both after so many steps.
fn both(steps: u64) -> [Board; 2] {
    [u32::MAX, 2].map(|threshold| {
        let mut board = board(Limits { threshold, ..Limits::default() });
        board.steps(steps);
        board
    })
}

fn compare([interp, jit]: &[Board; 2], case: &str) {
    assert!(
        interp.core.position == jit.core.position && interp.state() == jit.state(),
        "{case}: at {} and {}",
        interp.core.position,
        jit.core.position
    );
}

#[test]
fn rep_2_a_slice_ends_at_every_step_of_what_is_paid_for_together() {
    for end in 1..=STEPS {
        let mut boards = both(WARM);
        let before = boards[1].executor.counts().code;
        boards.iter_mut().for_each(|board| board.steps(end));
        compare(&boards, &format!("a slice of {end}"));
        // And goes on from there.
        boards.iter_mut().for_each(|board| board.steps(STEPS));
        compare(&boards, &format!("after a slice of {end}"));
        let done = boards[1].executor.counts().code;
        assert!(done.blocks > done.units + 4, "the loop is one unit: {done:?}");
        assert!(done.instructions > before.instructions, "it is code that runs: {done:?}");
    }
}

#[test]
fn rep_2_a_trap_in_the_second_of_blocks_that_are_paid_for_together() {
    let mut trapped = 0;
    for phase in 0..STEPS {
        let mut boards = both(WARM + phase);
        boards.iter_mut().for_each(|board| board.core.hart.x[11] = 0);
        let before = boards[1].executor.counts().code;
        for board in &mut boards {
            while board.x(15) == 0 {
                board.steps(1 + phase % 2 * (STEPS - 1));
            }
            let position = board.core.position;
            board.steps(WARM + 2 * STEPS - position);
        }
        compare(&boards, &format!("a trap after {phase}"));
        trapped += boards[1].executor.counts().code.exits.step - before.exits.step;
    }
    assert!(trapped > STEPS / 4, "code trapped {trapped} times only");
}

#[test]
fn who_is_wanted_comes_within_what_is_paid_for_at_once() {
    /// A block, and what is ahead of it.
    const PAID_MAX: u64 = 128;
    let mut boards = both(WARM);
    boards[1].world.attention = true;
    while boards[1].core.position < WARM + 8 * STEPS {
        let before = boards[1].core.position;
        boards[1].run(WARM + 8 * STEPS);
        let made = boards[1].core.position - before;
        assert!((1..=PAID_MAX).contains(&made), "{made} steps");
        boards[0].steps(made);
        compare(&boards, "wanted");
    }
}
