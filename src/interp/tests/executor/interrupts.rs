//! When interrupts are taken, and how a core waits for them.

use crate::board::{BASE, Board};
use cantus_interp::Exit;
use cantus_isa::riscv::Privilege;
use cantus_isa::riscv::csr::number::*;

const HANDLER: u64 = BASE + 0x200;

fn board(program: &str) -> Board {
    let mut board = Board::new(program);
    board.write(HANDLER, &crate::assembler::assemble("addi x20,x20,1\ncsrrw x0,mie,x0\nmret"));
    board.set_csr(MTVEC, HANDLER);
    board
}

/// A pending interrupt that an instruction enables is taken before the next one, which is no step.
#[test]
fn taken_right_after_the_instruction_that_enables_it() {
    for enabling in ["csrrsi x0,mstatus,8", "csrrs x0,mie,x11", "csrrs x0,mip,x12", "mret"] {
        let mut board = board(&format!("addi x10,x10,1\n{enabling}\naddi x10,x10,1\naddi x10,x10,1"));
        board.core.hart.x[11] = 1 << 7;
        board.core.hart.x[12] = 1 << 1;
        board.core.hart.mepc = BASE + 8;
        match enabling {
            "csrrsi x0,mstatus,8" => (board.core.hart.lines, board.core.hart.mie) = (1 << 7, 1 << 7),
            "csrrs x0,mie,x11" => (board.core.hart.lines, board.core.hart.mstatus) = (1 << 7, 1 << 3),
            "csrrs x0,mip,x12" => (board.core.hart.mie, board.core.hart.mstatus) = (1 << 1, 1 << 3),
            _ => {
                (board.core.hart.lines, board.core.hart.mie) = (1 << 7, 1 << 7);
                board.core.hart.mstatus = 1 << 7 | 3 << 11;
            }
        }
        board.run(2);
        // Not taken yet: whoever stands at a position has not taken what is due there.
        assert_eq!((board.core.hart.pc, board.x(20)), (BASE + 8, 0), "{enabling}");
        board.run(3);
        assert_eq!((board.csr(MEPC), board.x(20), board.x(10)), (BASE + 8, 1, 1), "{enabling}");
        board.run(7);
        assert_eq!((board.x(10), board.core.hart.pc, board.core.position), (3, BASE + 16, 7), "{enabling}");
    }
}

#[test]
fn rep_2_an_interrupt_is_taken_at_the_same_position_in_one_run_or_many() {
    let program = "csrrsi x0,mstatus,8\nloop:\naddi x10,x10,1\njal x0,loop";
    let run = |cut: u64| {
        let mut board = board(program);
        board.core.hart.mie = 1 << 3;
        for (position, line) in [(37, 1 << 3), (60, 0)] {
            while board.core.position < position {
                board.run((board.core.position + cut).min(position));
            }
            board.core.hart.lines = line;
        }
        board.state()
    };
    let whole = run(1000);
    for cut in 1..20 {
        assert!(run(cut) == whole, "in runs of {cut}");
    }
}

#[test]
fn wfi_waits_unless_something_is_pending() {
    let mut board = board("wfi\naddi x10,x10,1\nwfi\naddi x10,x10,1");
    assert_eq!((board.run(10), board.core.position, board.core.hart.pc), (Exit::Wait, 1, BASE + 4));
    // Pending and enabled in mie, though not in mstatus: it goes on.
    board.core.hart.lines = 1 << 7;
    board.core.hart.mie = 1 << 7;
    assert_eq!((board.run(4), board.core.position, board.x(10)), (Exit::Until, 4, 2));
    assert_eq!(board.x(20), 0);
}

#[test]
fn wfi_is_followed_by_the_interrupt_that_ends_it() {
    let mut board = board("csrrsi x0,mstatus,8\nwfi\naddi x10,x10,1");
    board.core.hart.mie = 1 << 11;
    assert_eq!(board.run(10), Exit::Wait);
    board.core.hart.lines = 1 << 11;
    board.run(6);
    assert_eq!((board.csr(MEPC), board.x(20), board.x(10)), (BASE + 8, 1, 1));
}

/// Delegated, from U-mode to S-mode and back.
#[test]
fn supervisor_interrupts() {
    let mut board = board("loop:\naddi x10,x10,1\njal x0,loop");
    board.write(HANDLER, &crate::assembler::assemble("addi x20,x20,1\ncsrrci x0,sip,2\nsret"));
    board.set_csr(PMPADDR0, u64::MAX);
    board.set_csr(PMPCFG0, 0x1f);
    board.set_csr(MIDELEG, 0x222);
    board.set_csr(MIE, 0x222);
    board.set_csr(STVEC, HANDLER);
    board.core.hart.privilege = Privilege::User;
    board.run(6);
    board.core.hart.mip = 1 << 1;
    board.run(7);
    assert_eq!(
        (board.core.hart.privilege, board.csr(SEPC), board.csr(SCAUSE)),
        (Privilege::Supervisor, BASE, 1 << 63 | 1)
    );
    board.run(9);
    assert_eq!((board.core.hart.privilege, board.core.hart.pc, board.x(20)), (Privilege::User, BASE, 1));
    // SEIP by its line.
    board.core.hart.lines = 1 << 9;
    board.run(10);
    assert_eq!(board.csr(SCAUSE), 1 << 63 | 9);
}
