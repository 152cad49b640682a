//! What is around the cores' bodies: boot, trap handler, page tables, the end.

use super::emit::{ADDI, Emitter, entry};
use super::layout::{self, FUNCTION_OFFSETS};
use super::{Paging, Program, Pte};
use crate::assembler::register::{A, GP, RA, S, T, TP, ZERO};
use crate::assembler::{Assembler, Label, csr, i, r, s};
use crate::random::Random;
use cantus_isa::riscv::Op;
use cantus_isa::riscv::Opcode::{self, *};

/// What a body may ask of the trap handler: the number goes into `t0`, and then `ecall`.
pub(super) mod service {
    /// Sleeps until an interrupt comes, at most for `t1` ticks.
    pub const SLEEP: i32 = 1;
    /// Stops this core.
    pub const STOP: i32 = 2;
}

mod number {
    pub const MSTATUS: u16 = 0x300;
    pub const MIE: u16 = 0x304;
    pub const MTVEC: u16 = 0x305;
    pub const MCOUNTEREN: u16 = 0x306;
    pub const MEPC: u16 = 0x341;
    pub const MCAUSE: u16 = 0x342;
    pub const MTVAL: u16 = 0x343;
    pub const PMPCFG0: u16 = 0x3a0;
    pub const PMPADDR0: u16 = 0x3b0;
    pub const SATP: u16 = 0x180;
    pub const MENVCFG: u16 = 0x30a;
    pub const MHARTID: u16 = 0xf14;
}

/// V R W A D: what a leaf of the window has to begin with.
const DATA: u8 = 0b1100_0111;
/// V R W X A D.
const CODE: u8 = 0b1100_1111;

/// All of the program's memory, from [`layout::BASE`] on.
pub(super) fn image(program: &Program) -> Vec<u8> {
    let mut random = Random::new(program.contents);
    let mut image = vec![0; (layout::CODE - layout::BASE) as usize];
    let at = |address: u64| (address - layout::BASE) as usize;

    let shared = at(layout::SHARED)..at(layout::SHARED + layout::SHARED_PAGES * 4096);
    let private = at(layout::PRIVATE)..at(layout::PRIVATE) + program.cores.len() * 4096;
    for range in [shared, private] {
        // Mostly small numbers, so that locks are free and counters count.
        for word in image[range].chunks_exact_mut(8) {
            if random.one_in(4) {
                word.copy_from_slice(&random.bits().to_le_bytes());
            }
        }
    }
    functions(&mut image[at(layout::FUNCTIONS)..at(layout::TABLES)], &mut random);
    if program.paging != Paging::Bare {
        tables(&mut image[at(layout::TABLES)..at(layout::SHARED)]);
    }

    let mut code = Assembler::new(layout::CODE, program.compressed);
    let bodies: Vec<u64> = program
        .cores
        .iter()
        .map(|statements| {
            code.align(4);
            let start = code.here();
            Emitter { code: &mut code, paging: program.paging, depth: 0 }.body(statements);
            end(&mut code, program);
            start
        })
        .collect();
    image.extend(code.finish());

    let boot = boot(program, &bodies, &mut random);
    assert!(boot.len() <= 4096, "boot has a page");
    image[..boot.len()].copy_from_slice(&boot);
    image
}

fn functions(pages: &mut [u8], random: &mut Random) {
    let mut write = |offset: u64| {
        let mut code = Assembler::new(0, false);
        code.op(Op { imm: random.below(2048) as i32, ..ADDI });
        code.op(i(Addi, T[0], T[0], 1));
        code.op(i(Jalr, ZERO, RA, 0));
        let code = code.finish();
        pages[offset as usize..][..code.len()].copy_from_slice(&code);
    };
    FUNCTION_OFFSETS.into_iter().for_each(&mut write);
    // The same ones in the other page, but for those that lie there already.
    FUNCTION_OFFSETS[1..usize::from(layout::FUNCTIONS_IN_WINDOW)]
        .iter()
        .for_each(|offset| write(offset + 4096));
}

fn tables(pages: &mut [u8]) {
    let mut set = |table: u64, index: u64, value: u64| {
        pages[(table * 4096 + index * 8) as usize..][..8].copy_from_slice(&value.to_le_bytes());
    };
    let pointer = |table: u64| (layout::TABLES + table * 4096) >> 2 | 1;
    let (gigapage, kept) = (|address: u64, flags: u8| address >> 2 | u64::from(flags), 0b0010_0000);
    set(0, 0, pointer(1));
    set(1, 0, gigapage(0, DATA | kept));
    set(1, layout::WINDOW >> 30, pointer(2));
    set(1, layout::BASE >> 30, gigapage(layout::BASE, CODE | kept));
    set(2, 0, pointer(3));
    for window in 0..layout::WINDOW_DATA as u8 + 2 {
        let flags = if u64::from(window) < layout::WINDOW_DATA { DATA } else { CODE };
        set(3, u64::from(window), entry(window, Pte { target: window, flags, memory_type: 0 }));
    }
}

/// Every hart begins here.
fn boot(program: &Program, bodies: &[u64], random: &mut Random) -> Vec<u8> {
    let mut code = Assembler::new(layout::BASE, false);
    let (handler, table) = (code.label(), code.label());
    let set = |code: &mut Assembler, number: u16, value: u64| {
        code.number(T[0], value);
        code.op(csr(Csrrw, ZERO, number, T[0]));
    };
    code.op(csr(Csrrs, TP, number::MHARTID, ZERO));
    // A machine may have more harts than the program.
    let one_of_ours = code.label();
    code.number(T[0], program.cores.len() as u64);
    code.branch(Bltu, TP, T[0], one_of_ours);
    let asleep = code.mark();
    code.op(Op::of(Wfi));
    code.jump(Op::of(Jal), asleep);
    code.place(one_of_ours);
    code.address(T[0], handler);
    code.op(csr(Csrrw, ZERO, number::MTVEC, T[0]));
    // Everything is permitted to S-mode.
    set(&mut code, number::PMPADDR0, u64::MAX >> 10);
    set(&mut code, number::PMPCFG0, 0x1f);
    set(&mut code, number::MCOUNTEREN, 7);
    // Blocks may be zeroed, and the rest is as it is after reset. Not every machine has blocks.
    if !program.prints {
        set(&mut code, number::MENVCFG, 1 << 62 | 1 << 61 | 1 << 7);
    }
    // Before its first setting, the timer may be at any time.
    code.number(T[0], layout::MTIMECMP);
    code.op(r(Sh3add, T[0], TP, T[0]));
    code.op(i(Addi, T[1], ZERO, -1));
    code.op(s(Sd, T[1], T[0], 0));
    // Software, timer and external interrupts of the machine.
    set(&mut code, number::MIE, 1 << 3 | 1 << 7 | 1 << 11);
    // MPP, FS initial, MPIE.
    let privilege = if program.paging == Paging::Bare { 3 } else { 1 };
    set(&mut code, number::MSTATUS, privilege << 11 | 1 << 13 | 1 << 7);
    if let Some(satp) = layout::satp(program.paging) {
        set(&mut code, number::SATP, satp);
    }
    code.op(Op::of(SfenceVma));
    if program.external {
        external_interrupts(&mut code);
    }
    code.number(GP, layout::SHARED);
    code.number(S[0], layout::PRIVATE);
    code.op(i(Slli, T[0], TP, 12));
    code.op(r(Add, S[0], S[0], T[0]));
    code.number(S[5], layout::WINDOW);
    code.number(S[6], layout::LEAVES);
    for acc in A {
        code.number(acc, random.bits() >> random.below(64));
        code.op(r(Add, acc, acc, TP));
    }
    code.address(T[0], table);
    code.op(r(Sh3add, T[0], TP, T[0]));
    code.op(i(Ld, T[0], T[0], 0));
    code.op(csr(Csrrw, ZERO, number::MEPC, T[0]));
    code.op(Op::of(Mret));
    code.align(8);
    code.place(table);
    for body in bodies {
        code.word(*body as u32);
        code.word((body >> 32) as u32);
    }
    trap_handler(&mut code, handler);
    code.finish()
}

/// The UART tells every hart, through the PLIC, that a byte is there.
fn external_interrupts(code: &mut Assembler) {
    let word = |code: &mut Assembler, address: u64, value: u64| {
        code.number(T[0], address);
        code.number(T[1], value);
        code.op(s(Sw, T[1], T[0], 0));
    };
    word(code, layout::PLIC + 4 * 10, 1);
    // The context of a hart's M-mode is twice its number: its enable bits are 0x100 bytes further on.
    code.number(T[0], layout::PLIC + 0x2000);
    code.op(i(Slli, T[1], TP, 8));
    code.op(r(Add, T[0], T[0], T[1]));
    code.number(T[1], 1 << 10);
    code.op(s(Sw, T[1], T[0], 0));
    code.number(T[0], layout::UART);
    code.op(i(Addi, T[1], ZERO, 1));
    code.op(s(Sb, T[1], T[0], 1));
}

/// Folds what came, does what is asked, and goes on behind an instruction that cannot be executed. Uses `s9` and `s10`.
fn trap_handler(code: &mut Assembler, handler: Label) {
    let (one, two, sum) = (S[9], S[10], S[11]);
    let fold = |code: &mut Assembler, register: u8| {
        code.op(i(Rori, sum, sum, 7));
        code.op(r(Add, sum, sum, register));
    };
    let read = |code: &mut Assembler, register: u8, number: u16| code.op(csr(Csrrs, register, number, ZERO));
    let (interrupt, call) = (code.label(), code.label());
    code.align(4);
    code.place(handler);
    read(code, one, number::MCAUSE);
    fold(code, one);
    code.branch(Blt, one, ZERO, interrupt);
    // Calls have causes 8 to 11.
    code.op(i(Andi, two, one, !3));
    code.op(i(Xori, two, two, 8));
    code.branch(Beq, two, ZERO, call);
    read(code, two, number::MTVAL);
    fold(code, two);
    read(code, one, number::MEPC);
    fold(code, one);
    code.op(i(Lhu, two, one, 0));
    code.op(i(Andi, two, two, 3));
    code.op(i(Xori, two, two, 3));
    code.op(r(Sltu, two, ZERO, two));
    code.op(i(Slli, two, two, 1));
    code.op(r(Sub, one, one, two));
    code.op(i(Addi, one, one, 4));
    code.op(csr(Csrrw, ZERO, number::MEPC, one));
    code.op(Op::of(Mret));

    code.place(call);
    let stop = code.label();
    read(code, one, number::MEPC);
    code.op(i(Addi, one, one, 4));
    code.op(csr(Csrrw, ZERO, number::MEPC, one));
    code.op(i(Addi, two, ZERO, service::STOP));
    code.branch(Beq, T[0], two, stop);
    code.number(one, layout::MTIME);
    code.op(i(Ld, one, one, 0));
    code.op(r(Add, one, one, T[1]));
    own_timer(code, two);
    code.op(s(Sd, one, two, 0));
    code.op(Op::of(Wfi));
    code.op(i(Addi, one, ZERO, -1));
    code.op(s(Sd, one, two, 0));
    code.op(Op::of(Mret));

    code.place(stop);
    code.op(csr(Csrrw, ZERO, number::MIE, ZERO));
    let asleep = code.mark();
    code.op(Op::of(Wfi));
    code.jump(Op::of(Jal), asleep);

    code.place(interrupt);
    let (timer, outside) = (code.label(), code.label());
    code.op(i(Andi, one, one, 15));
    code.op(i(Addi, two, ZERO, 7));
    code.branch(Beq, one, two, timer);
    code.op(i(Addi, two, ZERO, 11));
    code.branch(Beq, one, two, outside);
    code.number(two, layout::MSIP);
    code.op(csr(Csrrs, one, number::MHARTID, ZERO));
    code.op(r(Sh2add, two, one, two));
    code.op(s(Sw, ZERO, two, 0));
    code.op(Op::of(Mret));

    code.place(timer);
    own_timer(code, two);
    code.op(i(Addi, one, ZERO, -1));
    code.op(s(Sd, one, two, 0));
    code.op(Op::of(Mret));

    code.place(outside);
    let nothing = code.label();
    let claim = |code: &mut Assembler| {
        code.number(two, layout::PLIC + 0x20_0004);
        code.op(csr(Csrrs, one, number::MHARTID, ZERO));
        code.op(i(Slli, one, one, 13));
        code.op(r(Add, two, two, one));
    };
    claim(code);
    code.op(i(Lw, one, two, 0));
    fold(code, one);
    code.branch(Beq, one, ZERO, nothing);
    code.number(two, layout::UART);
    code.op(i(Lbu, two, two, 0));
    fold(code, two);
    claim(code);
    code.op(i(Addi, one, ZERO, 10));
    code.op(s(Sw, one, two, 0));
    code.place(nothing);
    code.op(Op::of(Mret));
}

/// The address of the own timer. Uses nothing else.
fn own_timer(code: &mut Assembler, register: u8) {
    // The hart's number is in `tp`, which no body touches.
    code.number(register, layout::MTIMECMP);
    code.op(r(Sh3add, register, TP, register));
}

/// Stores what has accumulated; the last core to come here stops the machine.
fn end(code: &mut Assembler, program: &Program) {
    code.number(T[6], layout::RESULTS);
    code.number(T[5], layout::RESULTS_SIZE);
    code.op(r(Mul, T[5], T[5], TP));
    code.op(r(Add, T[6], T[6], T[5]));
    let store = |code: &mut Assembler, op: Opcode, register: u8, at: usize| {
        code.op(s(op, register, T[6], 8 * at as i32));
    };
    A.iter().enumerate().for_each(|(at, acc)| store(code, Sd, *acc, at));
    store(code, Sd, S[11], 8);
    (0..5).for_each(|f| store(code, Fsd, f, 9 + usize::from(f)));
    code.op(csr(Csrrs, T[0], 3, ZERO));
    store(code, Sd, T[0], 14);
    let stop = code.label();
    code.number(T[0], layout::ARRIVED);
    code.op(i(Addi, T[1], ZERO, 1));
    code.op(r(AmoaddD, T[0], T[0], T[1]));
    code.number(T[1], program.cores.len() as u64 - 1);
    code.branch(Bne, T[0], T[1], stop);
    if program.prints {
        code.number(T[0], layout::PRINTED.start);
        code.number(T[1], layout::PRINTED.end);
        code.print(layout::UART, [T[0], T[1], T[2], T[3]]);
    }
    code.number(T[0], layout::FINISHER);
    code.number(T[1], 0x5555);
    code.op(s(Sw, T[1], T[0], 0));
    code.place(stop);
    code.op(i(Addi, T[0], ZERO, service::STOP));
    code.wide(Op::of(Ecall));
}
