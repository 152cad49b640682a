//! Positions are exact (REP-2): cutting a run anywhere changes nothing.

use crate::board::{BASE, Board, DATA, DEVICE};
use cantus_interp::Exit;
use cantus_isa::riscv::csr::number::*;

/// A program with something of everything: calls, loops, traps and their handler, atomics, misaligned accesses, counters,
/// changing code, floating point, devices, U-mode.
pub const EVERYTHING: &str = "
    # x11 = DATA, x13 = DEVICE, x14 = BASE
    auipc x5,0
    addi x5,x5,0x400
    csrrw x0,mtvec,x5
    addi x20,x0,6
    loop:
    addi x10,x10,1
    c.addi x10,x10,1
    sd x10,0(x11)
    lw x6,2(x11)
    sw x6,0x7fe(x11)
    amoadd.d x7,x10,(x11)
    lr.w x8,(x11)
    sc.w x8,x10,(x11)
    add x9,x9,x8
    jal x1,function
    ecall
    csrrs x15,minstret,x0
    csrrs x16,time,x0
    add x9,x9,x15
    add x9,x9,x16
    sw x9,4(x13)
    lw x17,0(x13)
    fcvt.d.l f1,x10
    fdiv.d f2,f1,f3
    fadd.d f3,f2,f1
    lw x18,32(x14)
    sw x18,32(x14)
    .word 0
    sd x9,0x7fc(x11)
    ld x19,0x7f9(x11)
    lr.d x8,(x11)
    addi x20,x20,-1
    bne x20,x0,loop
    # Down to U-mode, where everything privileged traps.
    addi x21,x0,40
    auipc x5,0
    addi x5,x5,20
    csrrw x0,mepc,x5
    mret
    user:
    addi x10,x10,3
    csrrs x22,cycle,x0
    csrrs x22,mstatus,x0
    wfi
    ld x22,0(x0)
    jal x0,user
    function:
    slli x23,x10,3
    xor x23,x23,x10
    jalr x0,0(x1)";

/// Counts, and goes on behind the instruction; back to M-mode after forty traps, and then for ever.
const HANDLER: &str = "
    csrrw x31,mscratch,x31
    csrrs x30,mcause,x0
    add x29,x29,x30
    csrrs x30,mepc,x0
    addi x30,x30,4
    csrrw x0,mepc,x30
    csrrw x31,mscratch,x31
    mret";

pub fn everything(split: bool) -> Board {
    let mut board = Board::new(EVERYTHING);
    board.write(BASE + 0x400, &crate::assembler::assemble(HANDLER));
    board.core.hart.x[11] = DATA;
    board.core.hart.x[13] = DEVICE;
    board.core.hart.x[14] = BASE;
    board.core.hart.mstatus |= 1 << 13;
    // U-mode may use all of memory, and the cycle counter.
    board.set_csr(PMPADDR0, u64::MAX);
    board.set_csr(PMPCFG0, 0x1f);
    board.set_csr(MCOUNTEREN, 1);
    board.set_csr(SCOUNTEREN, 1);
    board.world.device_value = 0x1234;
    if split {
        board.world.split.extend([BASE >> 12, DATA >> 12]);
    }
    board
}

pub const STEPS: u64 = 400;

/// The state after each step, running one step at a time.
fn single_steps(split: bool) -> Vec<Vec<u8>> {
    let mut board = everything(split);
    let mut states = vec![board.state()];
    while board.core.position < STEPS {
        let until = board.core.position + 1;
        board.run(until);
        assert_eq!(board.core.position, until, "one step is one step");
        states.push(board.state());
    }
    states
}

#[test]
fn rep_2_one_run_equals_single_steps() {
    for split in [false, true] {
        let states = single_steps(split);
        let mut board = everything(split);
        while board.core.position < STEPS {
            board.run(STEPS);
            assert!(board.state() == states[board.core.position as usize], "at {}", board.core.position);
        }
        assert_eq!(board.core.position, STEPS);
        assert!(board.csr(MINSTRET) < STEPS && board.core.hart.x[29] > 0, "some steps trapped");
    }
}

#[test]
fn rep_2_a_run_can_be_cut_anywhere() {
    let states = single_steps(false);
    for cut in 0..STEPS {
        let mut board = everything(false);
        while board.core.position < cut {
            board.run(cut);
        }
        assert!(board.state() == states[cut as usize], "at the cut, {cut}");
        while board.core.position < STEPS {
            board.run(STEPS);
        }
        assert!(board.state() == states[STEPS as usize], "after a cut at {cut}");
    }
}

/// What an executor keeps never shows: another one goes on at any step as if it had been there from the start.
#[test]
fn state_2_an_executor_has_no_state_of_the_guest() {
    let states = single_steps(false);
    for every in [1, 3, 50] {
        let mut board = everything(false);
        while board.core.position < STEPS {
            board.run((board.core.position + every).min(STEPS));
            board.executor = crate::tested::tested();
            assert!(board.state() == states[board.core.position as usize], "at {}", board.core.position);
        }
    }
}

/// Splitting pages changes what is asked, not what happens.
#[test]
fn rep_2_lines_and_pages_give_the_same() {
    assert!(single_steps(false) == single_steps(true));
}

/// Grants that come and go between runs change nothing.
#[test]
fn mmu_1_revoking_everything_between_steps_changes_nothing() {
    let states = single_steps(false);
    for every in [1, 2, 7] {
        let mut board = everything(false);
        while board.core.position < STEPS {
            board.run((board.core.position + every).min(STEPS));
            board.core.tlb.revoke_all();
            board.core.code_epoch += 1;
            assert!(board.state() == states[board.core.position as usize], "at {}", board.core.position);
        }
    }
}

#[test]
fn a_run_that_is_there_already_does_nothing() {
    let mut board = everything(false);
    board.run(10);
    let (state, asked) = (board.state(), board.world.asked.len());
    for until in [0, 9, 10] {
        assert_eq!(board.run(until), Exit::Until);
    }
    assert!(board.state() == state && board.world.asked.len() == asked);
}

#[test]
fn attention_comes_between_blocks() {
    let mut board = Board::new("loop:\naddi x10,x10,1\naddi x10,x10,1\njal x0,loop");
    board.world.attention = true;
    // There is progress, even while attention is always asked for.
    assert_eq!((board.run(100), board.core.position), (Exit::Attention, 3));
    assert_eq!((board.run(100), board.core.position), (Exit::Attention, 6));
    assert_eq!((board.run(8), board.core.position), (Exit::Until, 8));
    assert_eq!(board.world.completed.get(), 8);
}
