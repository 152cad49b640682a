//! Code that takes addresses for physical ones, and code that does not: one runs after the other where M-mode's accesses become
//! those of another level (MPRV), and where the level itself changes (MMU-1).

use crate::assembler::assemble;
use crate::board::{BASE, Board, DATA};
use crate::equal::compare_runs;
use crate::random::Numbers;
use crate::tested::with;
use cantus_isa::riscv::csr::number::{MTVEC, PMPADDR15, PMPCFG2, SATP};
use cantus_jit::Limits;

/// Copies from x10's address to x11's, in M-mode by physical addresses and by the supervisor's, and after some turns goes to
/// the supervisor, who does the same.
const PROGRAM: &str = "
    turn:
    jal x1,copy
    csrrs x0,mstatus,x13
    ld x14,0(x10)
    jal x1,copy
    add x15,x15,x14
    csrrc x0,mstatus,x13
    addi x9,x9,1
    sd x9,8(x10)
    andi x16,x9,7
    bne x16,x0,turn
    csrrs x0,mstatus,x18
    csrrw x0,mepc,x17
    mret
    copy:
    addi x28,x0,5
    add x29,x0,x10
    add x30,x0,x11
    next:
    ld x31,0(x29)
    add x8,x8,x31
    sd x8,0(x30)
    amoadd.d x31,x28,(x30)
    addi x29,x29,8
    addi x30,x30,8
    addi x28,x28,-1
    bne x28,x0,next
    jalr x0,0(x1)";
const COPY: u64 = BASE + 4 * 13;

/// The supervisor's program, which calls the machine in the end.
const SUPERVISOR: &str = "
    addi x22,x22,1
    jalr x1,0(x19)
    ecall";
const AT: u64 = BASE + 0x800;

/// Goes on with the program, in M-mode.
const HANDLER: &str = "
    csrrw x0,mepc,x20
    csrrs x0,mstatus,x21
    mret";
const HANDLER_AT: u64 = BASE + 0x400;

const ROOT: u64 = BASE + 0x2_0000;
const MIDDLE: u64 = BASE + 0x2_1000;
const LEAVES: u64 = BASE + 0x2_2000;
/// What the supervisor has where the data is.
const OTHER: u64 = BASE + 0x3_0000;

/// Sv39 that maps RAM to itself, but for the data.
fn board(limits: Limits, seed: u64) -> Board {
    /// Valid; read, write, execute; accessed, dirty.
    const ALL: u64 = 0xcf;
    let mut board = Board::new(PROGRAM);
    board.executor = with(limits);
    board.write(HANDLER_AT, &assemble(HANDLER));
    board.write(AT, &assemble(SUPERVISOR));
    let entry = |page: u64, bits: u64| page >> 12 << 10 | bits;
    board.write_double(ROOT + 8 * (BASE >> 30), entry(MIDDLE, 1));
    board.write_double(MIDDLE, entry(LEAVES, 1));
    for page in 0..256 {
        let address = BASE + (page << 12);
        let to = if address == DATA { OTHER } else { address };
        board.write_double(LEAVES + 8 * page, entry(to, ALL));
    }
    board.set_csr(SATP, 8 << 60 | ROOT >> 12);
    board.set_csr(MTVEC, HANDLER_AT);
    board.set_csr(PMPADDR15, u64::MAX);
    board.set_csr(PMPCFG2, 0x1f << 56);
    let mut numbers = Numbers(seed);
    for at in 0..8 {
        board.write_double(DATA + 8 * at, numbers.next());
        board.write_double(OTHER + 8 * at, numbers.next());
    }
    let (mprv, supervisor, machine) = (1 << 17, 1 << 11, 3 << 11);
    let to = DATA + 256 + 8 * numbers.below(16);
    for (register, value) in [
        (10, DATA),
        (11, to),
        (13, mprv | supervisor),
        (17, AT),
        (18, supervisor),
        (19, COPY),
        (20, BASE),
        (21, machine),
    ] {
        board.core.hart.x[register] = value;
    }
    board
}

#[test]
fn mmu_1_rep_2_addresses_are_physical_and_virtual_by_turns() {
    const STEPS: u64 = 6000;
    for seed in 0..60 {
        let limits = Limits { threshold: (seed % 3) as u32, ..Limits::default() };
        let mut both = [limits, Limits { threshold: u32::MAX, ..limits }].map(|limits| board(limits, seed));
        assert!(both[0].core.ram.distance().is_some(), "its RAM is near");
        let mut numbers = Numbers(!seed);
        let done = compare_runs(&mut both, STEPS, || numbers.below(300), &format!("seed {seed}"));
        assert!(done.instructions > STEPS / 2, "it is code that runs: {done:?}");
        assert!(both[0].x(9) > 30 && both[0].x(22) > 3, "seed {seed}: {:x?}", both[0].core.hart);
    }
}
