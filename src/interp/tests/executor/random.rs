//! Random programs: however a run is cut, blocked, split or revoked, its states are the same (REP-2, ORD-4, MMU-1).

use crate::assembler::assemble;
use crate::board::{BASE, Board, DATA, DEVICE};
use cantus_interp::Exit;
use cantus_isa::riscv::class::Class;
use cantus_isa::riscv::csr::number::*;
use cantus_isa::riscv::{Op, Opcode, Privilege, encode};
use std::ops::Range;

const PROGRAMS: u64 = 150;
const STEPS: u64 = 300;
/// Instructions of a program; it lies across the end of a page.
const LENGTH: u64 = 200;
pub const START: u64 = BASE + 0x1000 - 2 * LENGTH + 2;
const ROOT: u64 = BASE + 0x2_0000;
/// The page of the handlers: they go on somewhere in the program.
const HANDLERS: u64 = BASE + 0x6000;
const M_HANDLER: &str = "
    csrrs x31,mcycle,x0
    slli x31,x31,3
    andi x31,x31,0xf8
    add x31,x31,x1
    csrrw x0,mepc,x31
    mret";
const S_HANDLER: &str = "
    csrrs x31,sepc,x0
    add x31,x31,x30
    andi x31,x31,0xfc
    add x31,x31,x1
    csrrw x0,sepc,x31
    sret";

/// Numbers that look random, the same for the same seed.
pub struct Numbers(pub u64);

impl Numbers {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize]
    }
}

const CSRS: [u16; 22] = [
    FFLAGS,
    FRM,
    FCSR,
    SSTATUS,
    SIE,
    SSCRATCH,
    SEPC,
    SIP,
    MSTATUS,
    MEDELEG,
    MIDELEG,
    MIE,
    MIP,
    MSCRATCH,
    MEPC,
    MCOUNTEREN,
    MCOUNTINHIBIT,
    MCYCLE,
    MINSTRET,
    CYCLE,
    TIME,
    INSTRET,
];

/// A random instruction, which writes one of these registers. Registers x1 to x7 hold addresses.
#[allow(clippy::wildcard_enum_match_arm, reason = "what has no rule takes anything")]
pub fn instruction(numbers: &mut Numbers, codes: &[Opcode], written: &Range<u64>) -> u32 {
    let code = numbers.pick(codes);
    let class = code.class();
    let (first, count) = match class {
        Class::Load(_) | Class::Store(_) => (2, 6),
        Class::LoadReserved(_)
        | Class::StoreConditional(_)
        | Class::Amo(_)
        | Class::BlockZero
        | Class::BlockManagement => (2, 5),
        Class::Jump => (1, 1),
        _ => (0, 32),
    };
    let rs1 = (first + numbers.below(count)) as u8;
    let imm = match class {
        Class::Load(_) | Class::Store(_) => numbers.below(128) as i32 - 64,
        Class::Branch | Class::Jump => (numbers.below(70) as i32 - 10) * 2,
        Class::Csr => i32::from(numbers.pick(&CSRS)),
        _ if matches!(code, Opcode::Lui | Opcode::Auipc) => (numbers.next() as i32) << 12,
        _ => numbers.below(32) as i32,
    };
    let (rd, rs2, rs3) = (
        (written.start + numbers.below(written.end - written.start)) as u8,
        numbers.below(32) as u8,
        numbers.below(32) as u8,
    );
    // Compilers leave it to `frm`, but for conversions.
    let rm = numbers.pick(&[0, 1, 2, 3, 4, 7, 7, 7, 7, 7, 7, 7, 7, 7]);
    // Each of the fields that the instruction has.
    let mut op = Op::of(code);
    for with in [
        |op: &Op, from: &Op| Op { rd: from.rd, ..*op },
        |op: &Op, from: &Op| Op { rs1: from.rs1, ..*op },
        |op: &Op, from: &Op| Op { rs2: from.rs2, ..*op },
        |op: &Op, from: &Op| Op { rs3: from.rs3, ..*op },
        |op: &Op, from: &Op| Op { rm: from.rm, ..*op },
        |op: &Op, from: &Op| Op { imm: from.imm, ..*op },
    ] {
        let more = with(&op, &Op { rd, rs1, rs2, rs3, rm, imm, ..op });
        op = if encode(&more).is_some() { more } else { op };
    }
    encode(&op).expect("an instruction whose fields are zero, or were tried")
}

/// A board with the random program of this seed; half of them in S- or U-mode over page tables.
fn board(seed: u64) -> Board {
    board_of(seed, &Opcode::all().collect::<Vec<_>>(), 8..32)
}

/// The same, of these instructions alone, which write these registers.
pub fn board_of(seed: u64, codes: &[Opcode], written: Range<u64>) -> Board {
    let mut numbers = Numbers(seed);
    let mut board = Board::new("");
    let mut at = START;
    while at < START + 4 * LENGTH {
        let mut bits = instruction(&mut numbers, codes, &written);
        if numbers.below(40) == 0 {
            bits = numbers.next() as u32;
        }
        board.write(at, &bits.to_le_bytes());
        at += 4;
        if numbers.below(8) == 0 {
            // `c.nop`, so that what follows is not a multiple of four.
            board.write(at, &1u16.to_le_bytes());
            at += 2;
        }
    }
    for register in 8..32 {
        board.core.hart.x[register] = numbers.next() >> numbers.below(64);
        board.core.hart.f[register] = numbers.next();
    }
    let data = DATA + numbers.below(3) * 0x7f8;
    board.core.hart.x[1..8].copy_from_slice(&[
        START + 2 * LENGTH,
        data,
        data + 64,
        DATA + 0xfc0,
        DATA + 0x1000,
        START + 4 * numbers.below(LENGTH),
        numbers.pick(&[DEVICE, DATA + 0xfff, DATA + 0x800]),
    ]);
    board.world.device_value = numbers.next();
    board.core.hart.pc = START;
    board.write(HANDLERS, &assemble(M_HANDLER));
    board.write(HANDLERS + 0x100, &assemble(S_HANDLER));
    board.set_csr(MTVEC, HANDLERS);
    board.set_csr(STVEC, HANDLERS + 0x100);
    board.set_csr(PMPADDR0, u64::MAX);
    board.set_csr(PMPCFG0, 0x1f);
    board.core.hart.mstatus |= numbers.next() & 0x7e_79aa & !(3 << 11);
    board.core.hart.medeleg = numbers.next() & 0xb3ff;
    board.core.hart.privilege = numbers.pick(&[Privilege::Machine, Privilege::Supervisor, Privilege::User]);
    if board.core.hart.privilege != Privilege::Machine {
        // The same addresses by page tables: RAM by pages of which many have bits still to be set, devices by a superpage.
        let user = if board.core.hart.privilege == Privilege::User { 16 } else { 0 };
        board.write_double(ROOT + 2 * 8, (ROOT + 0x1000) >> 2 | 1);
        board.write_double(ROOT + 0x1000, (ROOT + 0x2000) >> 2 | 1);
        board.write_double(ROOT, 0xcf | user);
        for page in 0..256 {
            let bits = match page {
                6 => 0xcf,
                0 | 1 => 1 | user | numbers.pick(&[0x0e, 0x4e, 0xce]),
                _ => 1 | user | numbers.pick(&[0x0e, 0x0e, 0x4e, 0xce, 0xce, 0x0a, 0x06, 0xc6, 0]),
            };
            board.write_double(ROOT + 0x2000 + 8 * page, (BASE + (page << 12)) >> 2 | bits);
        }
        board.set_csr(SATP, 8 << 60 | ROOT >> 12);
    }
    board
}

/// The program counter in a state: behind the position, the registers, and the hart's number.
fn pc(state: &[u8]) -> u64 {
    u64::from_le_bytes(state[8 * 66..8 * 67].try_into().expect("eight bytes"))
}

/// The state after each step.
fn single_steps(seed: u64) -> Vec<Vec<u8>> {
    let mut board = board(seed);
    let mut states = vec![board.state()];
    while board.core.position < STEPS {
        let until = board.core.position + 1;
        board.run(until);
        assert_eq!(board.core.position, until, "seed {seed}");
        states.push(board.state());
    }
    states
}

#[test]
fn rep_2_ord_4_random_programs_run_the_same_however_they_are_disturbed() {
    let (mut different, mut total) = (0, 0);
    for seed in 0..PROGRAMS {
        let states = single_steps(seed);
        // A step that traps to a handler's start leads where another has led; those that do not are work.
        let places: std::collections::BTreeSet<_> = states.iter().map(|state| pc(state)).collect();
        different += places.len() as u64;
        total += STEPS;
        // One run; random cuts; grants blocked at random; pages split; everything revoked now and then.
        for way in 0..5u64 {
            let mut numbers = Numbers(seed << 8 | way);
            let mut board = board(seed);
            if way == 3 {
                board
                    .world
                    .split
                    .extend((0..256).filter(|page| page % 3 != 0).map(|page| (BASE >> 12) + page));
            }
            while board.core.position < STEPS {
                let length = if way == 0 { STEPS } else { 1 + numbers.below(40) };
                if way == 2 {
                    board.world.block = Some(board.world.blockable + numbers.below(40) as usize);
                }
                let before = board.state();
                let position = board.core.position;
                let exit = board.run((position + length).min(STEPS));
                if exit == Exit::Blocked && board.core.position == position {
                    assert!(board.state() == before, "seed {seed}, way {way}: blocked at {position}");
                }
                if way == 4 {
                    board.core.tlb.revoke_all();
                    board.core.code_epoch += numbers.below(2);
                }
                let here = board.core.position;
                assert!(
                    board.state() == states[here as usize],
                    "seed {seed}, way {way}: different at {here}"
                );
            }
        }
    }
    assert!(different > total / 8, "the programs get around: {different} addresses in {total} steps");
}
