//! `interp(p) == jit(p)`: random programs, all of the state compared after every block (REP-2).
//!
//! `CANTUS_BLOCKS` says how many blocks are compared; without it, as many as a test has time for.

use crate::board::{Board, DATA, World};
use crate::counts::check;
use crate::random::{Numbers, START, board_of, instruction};
use crate::tested::with;
use cantus_interp::{CodeCounts, Executor, Exit};
use cantus_isa::riscv::class::Class;
use cantus_isa::riscv::csr::envcfg;
use cantus_isa::riscv::{Op, Opcode, encode, hart::STATE_BYTES};
use cantus_isa::{Gpa, address::PAGE_SIZE};
use cantus_jit::Limits;
use std::ops::Range;

/// Steps of a program at most.
const STEPS: u64 = 400;

/// Blocks to compare for each kind of program.
fn blocks() -> u64 {
    match std::env::var("CANTUS_BLOCKS") {
        Ok(count) => count.parse().expect("CANTUS_BLOCKS is a number"),
        Err(_) => 20_000,
    }
}

/// Doubles and boxed singles with which arithmetic has trouble: zeroes, ones, infinities, NaNs, the least and the greatest,
/// subnormal ones, those next to powers of two, what is not boxed; and those at the ends of integers.
const SPECIAL: [u64; 50] = [
    0,
    1 << 63,
    0x3ff0_0000_0000_0000,
    0xbff0_0000_0000_0001,
    0x7ff0_0000_0000_0000,
    0xfff0_0000_0000_0000,
    0x7ff8_0000_0000_0000,
    0x7ff0_0000_0000_0001,
    0xfff8_0000_dead_beef,
    1,
    0x8000_0000_0000_0001,
    0x000f_ffff_ffff_ffff,
    0x0010_0000_0000_0000,
    0x7fef_ffff_ffff_ffff,
    0x3fef_ffff_ffff_ffff,
    0x43e0_0000_0000_0000,
    0xffff_ffff_0000_0000,
    0xffff_ffff_8000_0000,
    0xffff_ffff_3f80_0000,
    0xffff_ffff_bf80_0001,
    0xffff_ffff_7f80_0000,
    0xffff_ffff_ff80_0000,
    0xffff_ffff_7fc0_0000,
    0xffff_ffff_7f80_0001,
    0xffff_ffff_ffc0_beef,
    0xffff_ffff_0000_0001,
    0xffff_ffff_8000_0001,
    0xffff_ffff_007f_ffff,
    0xffff_ffff_0080_0000,
    0xffff_ffff_7f7f_ffff,
    0xffff_ffff_3f7f_ffff,
    0x0000_0000_3f80_0000,
    0x3fe0_0000_0000_0000,
    0xbfe0_0000_0000_0000,
    0x4004_0000_0000_0000,
    0x41df_ffff_ffd0_0000,
    0xc1e0_0000_0010_0000,
    0x41ef_ffff_ffe0_0000,
    0x41ef_ffff_fff0_0000,
    0x43df_ffff_ffff_ffff,
    0x43ef_ffff_ffff_ffff,
    0xffff_ffff_bf00_0000,
    0xffff_ffff_4f00_0000,
    0xffff_ffff_4f7f_ffff,
    0xffff_ffff_4f80_0000,
    0xffff_ffff_5eff_ffff,
    0x3fdf_ffff_ffff_ffff,
    0x4330_0000_0000_0001,
    0xffff_ffff_3eff_ffff,
    0xffff_ffff_c020_0000,
];

/// Integers that divide, shift, compare and are rounded in an unusual way.
const UNUSUAL: [u64; 16] = [
    0,
    1,
    u64::MAX,
    1 << 63,
    (1 << 63) - 1,
    1 << 31,
    (1 << 31) - 1,
    !0 << 31,
    0xffff_ffff,
    31,
    (1 << 24) + 1,
    1 << 53,
    (1 << 53) + 1,
    (1 << 63) + 0x401,
    (1 << 63) + 0x400,
    (1 << 63) + (1 << 39) + 1,
];

/// The registers that programs write. Where nothing accesses memory, addresses may be overwritten: all but that of the
/// program, which handlers need.
fn written(codes: &[Opcode]) -> Range<u8> {
    if codes.iter().any(|code| code.is_memory()) { 8..32 } else { 2..30 }
}

fn program<const ATOMICS: bool>(
    seed: u64,
    codes: &[Opcode],
    written: Range<u8>,
    limits: Limits,
) -> Board<ATOMICS> {
    let written = u64::from(written.start)..u64::from(written.end);
    let Board { core, world, .. } = board_of(seed, codes, written);
    let world =
        World { device_value: world.device_value, conditionals_fail: seed % 8 > 5, ..World::default() };
    let mut board = Board { core, executor: with(limits), world };
    let mut numbers = Numbers(!seed);
    for register in 8..32 {
        match numbers.below(4) {
            0 => board.core.hart.x[register] = numbers.pick(&UNUSUAL),
            1 => board.core.hart.x[register] = numbers.next() as i32 as u64,
            _ => {}
        }
        match numbers.below(4) {
            0 | 1 => board.core.hart.f[register] = numbers.pick(&SPECIAL),
            2 => board.core.hart.f[register] |= 0xffff_ffff << 32,
            _ => {}
        }
    }
    if numbers.below(8) != 0 {
        board.core.hart.mstatus |= 1 << 13;
    }
    // One of four starts with a rounding mode that the host does not have, or that there is not.
    board.core.hart.fcsr = numbers.next() & if numbers.below(2) == 0 { 0xff } else { 0x7f };
    if numbers.below(2) == 0 {
        board.core.hart.menvcfg |= envcfg::CBZE;
    }
    board
}

/// The hart's state and the data that programs use.
fn state<const ATOMICS: bool>(board: &Board<ATOMICS>, into: &mut Vec<u8>) {
    into.clear();
    board.core.hart.write_state(into);
    assert_eq!(into.len(), STATE_BYTES);
    into.resize(STATE_BYTES + 3 * PAGE_SIZE as usize, 0);
    board.core.ram.read(Gpa(DATA), &mut into[STATE_BYTES..]);
}

/// Compares programs of these instructions: every other one block by block, the others in stretches that end anywhere,
/// with blocks that are translated together once it is known where loops go.
fn compare(kind: u64, codes: &[Opcode]) {
    let together = compare_programs::<false>(kind, codes, written(codes), blocks());
    assert!(together > 0, "no blocks were translated together");
}

/// Compares so many blocks and stretches of programs that write these registers. Says how many blocks were translated
/// together with others.
fn compare_programs<const ATOMICS: bool>(
    kind: u64,
    codes: &[Opcode],
    written: Range<u8>,
    blocks: u64,
) -> u64 {
    let (mut compared, mut translated, mut entered, mut together) = (0, 0, 0, 0);
    let mut seed = kind << 48;
    let [mut ours, mut theirs] = [Vec::new(), Vec::new()];
    while compared < blocks {
        let by_blocks = seed.is_multiple_of(2);
        let threshold = if by_blocks { 0 } else { (seed / 2 % 3) as u32 };
        let mut ends = Numbers(seed ^ 0xe0d5);
        let of = |limits| program::<ATOMICS>(seed, codes, written.clone(), limits);
        let physical = (seed / 2).is_multiple_of(2);
        let mut jit = of(Limits { threshold, code_bytes: 1 << 18, physical, ..Limits::default() });
        let mut interp = of(Limits { threshold: u32::MAX, ..Limits::default() });
        // So it comes back after every block.
        jit.world.attention = by_blocks;
        while jit.core.position < STEPS {
            let stretch = if by_blocks { STEPS } else { 1 + ends.below(80) };
            let exit = jit.run(STEPS.min(jit.core.position + stretch));
            let mut expected = interp.run(jit.core.position);
            while interp.core.position < jit.core.position && expected != Exit::Blocked {
                expected = interp.run(jit.core.position);
            }
            state(&jit, &mut ours);
            state(&interp, &mut theirs);
            assert!(
                jit.core.position == interp.core.position && ours == theirs,
                "kind {kind}, seed {seed:#x}: different at {} ({exit:?})\n{:x?}\n{:x?}",
                jit.core.position,
                jit.core.hart,
                interp.core.hart
            );
            compared += 1;
        }
        assert!(jit.state() == interp.state(), "kind {kind}, seed {seed:#x}: different in the end");
        assert_eq!(jit.world.asked, interp.world.asked, "kind {kind}, seed {seed:#x}: other questions");
        let done = jit.executor.counts().code;
        assert_eq!(interp.executor.counts().code.entries, 0);
        check(&done, jit.core.position);
        translated += done.units;
        together += done.blocks - done.units;
        entered += done.entries;
        seed += 1;
    }
    println!(
        "kind {kind}: {compared} blocks, {translated} units, {together} more blocks, {entered} entered as code"
    );
    assert!(entered > compared / 2, "code was run: {entered} times in {compared} blocks");
    together
}

#[test]
fn rep_2_blocks_of_all_instructions() {
    compare(0, &Opcode::all().collect::<Vec<_>>());
}

#[test]
fn rep_2_blocks_of_integers() {
    let codes: Vec<_> =
        Opcode::all().filter(|code| code.class() == Class::Compute && !code.is_floating()).collect();
    compare(1, &[codes, vec![Opcode::Bne, Opcode::Bltu, Opcode::Blt, Opcode::Beq, Opcode::Jal]].concat());
}

#[test]
fn rep_2_blocks_of_memory() {
    let used = |code: &Opcode| code.is_memory() || code.class() == Class::Branch || *code == Opcode::Jalr;
    let add = [Opcode::Addi, Opcode::Add, Opcode::Sub, Opcode::Xor];
    compare(2, &[Opcode::all().filter(used).collect::<Vec<_>>(), add.to_vec()].concat());
}

#[test]
fn rep_2_blocks_of_floating_point() {
    let codes: Vec<_> = Opcode::all().filter(|code| code.is_floating()).collect();
    compare(3, &[codes, vec![Opcode::Csrrs, Opcode::Csrrw, Opcode::Bne]].concat());
}

/// Atomic operations and reservations, some of which hold, under grants and by those of the host; and blocks that are zeroed.
#[test]
fn rep_2_ord_7_blocks_of_atomics() {
    let is_reservation =
        |code: &Opcode| matches!(code.class(), Class::LoadReserved(_) | Class::StoreConditional(_));
    let reservations: Vec<_> = Opcode::all().filter(is_reservation).collect();
    let amos = Opcode::all().filter(|code| matches!(code.class(), Class::Amo(_) | Class::BlockZero));
    let others = [Opcode::Ld, Opcode::Sd, Opcode::Sw, Opcode::Addi, Opcode::Bne, Opcode::Blt];
    let codes = [reservations.repeat(6), amos.collect(), others.to_vec()].concat();
    compare_programs::<false>(8, &codes, 8..32, blocks() / 2);
    compare_programs::<true>(9, &codes, 8..32, blocks() / 2);
}

/// CSRs, and what else comes before code that must be fetched anew: interrupts come, and modes of accesses change.
#[test]
fn rep_2_blocks_of_csrs() {
    let csrs = Opcode::all().filter(|code| code.class() == Class::Csr).collect::<Vec<_>>();
    let system = [Opcode::SfenceVma, Opcode::FenceI, Opcode::Mret, Opcode::Sret, Opcode::Wfi, Opcode::Fence];
    let others = [Opcode::Ld, Opcode::Sd, Opcode::FaddD, Opcode::Addi, Opcode::Bne, Opcode::Blt];
    let codes = [csrs.repeat(4), system.to_vec(), others.repeat(2)].concat();
    compare_programs::<false>(10, &codes, 8..32, blocks() / 2);
    compare_programs::<true>(11, &codes, 8..32, blocks() / 2);
}

/// Chains of results in few registers, of which the host holds all, or some; what a block leaves in them is used by the next.
#[test]
fn rep_2_floating_point_across_blocks() {
    let mut codes: Vec<_> = Opcode::all().filter(|code| code.is_floating()).collect();
    codes.extend([Opcode::Bne, Opcode::Blt, Opcode::Csrrs, Opcode::Ld, Opcode::Sd]);
    compare_programs::<false>(5, &codes, 8..16, blocks() / 2);
    compare_programs::<false>(6, &codes, 14..20, blocks() / 2);
    let doubles = |code: &Opcode| code.is_floating() && code.mnemonic().contains(".d");
    let codes: Vec<_> =
        Opcode::all().filter(doubles).chain([Opcode::Fld, Opcode::Fsd, Opcode::Bne]).collect();
    compare_programs::<false>(7, &codes, 10..14, blocks() / 2);
}

/// Writes a program of two loops, one in the other, around random instructions, which write these registers, and a way
/// around some of them. Its counters are x28 and x29; it ends in an illegal instruction, whose handler goes on somewhere.
fn write_loops(board: &mut Board, seed: u64, codes: &[Opcode], written: &Range<u8>, longest: u64) {
    let mut numbers = Numbers(seed);
    let written = u64::from(written.start)..u64::from(written.end);
    let mut some = |count: u64| -> Vec<u32> {
        (0..1 + numbers.below(count)).map(|_| instruction(&mut numbers, codes, &written)).collect()
    };
    let [before, outer, around, inner, after] = [some(6), some(8), some(8), some(longest), some(longest)];
    let op =
        |code, rd, rs1, rs2, imm| encode(&Op { rd, rs1, rs2, imm, ..Op::of(code) }).expect("an instruction");
    let mut program = before;
    program.push(op(Opcode::Addi, 28, 0, 0, 1 + (seed % 7) as i32));
    let outer_start = program.len();
    program.extend(outer);
    program.push(op(Opcode::Bltu, 0, 8, 9, 4 * (around.len() as i32 + 1)));
    program.extend(around);
    program.push(op(Opcode::Addi, 29, 0, 0, 1 + (seed % 11) as i32));
    let inner_start = program.len();
    program.extend(inner);
    program.push(op(Opcode::Addi, 29, 29, 0, -1));
    let back = |program: &Vec<u32>, start: usize| 4 * (start as i32 - program.len() as i32);
    program.push(op(Opcode::Bne, 0, 29, 0, back(&program, inner_start)));
    program.extend(after);
    program.push(op(Opcode::Addi, 28, 28, 0, -1));
    program.push(op(Opcode::Bne, 0, 28, 0, back(&program, outer_start)));
    program.push(0);
    for (at, bits) in program.into_iter().enumerate() {
        board.write(START + 4 * at as u64, &bits.to_le_bytes());
    }
}

/// Loops within loops, which are translated together and have registers elsewhere; their accesses miss, are not aligned,
/// and go to devices.
#[test]
fn rep_2_loops() {
    let used = |code: &Opcode| {
        let computes = code.class() == Class::Compute && !code.is_floating() && *code != Opcode::Auipc;
        computes || matches!(code.class(), Class::Load(_) | Class::Store(_) | Class::Amo(_))
    };
    compare_loops(&Opcode::all().filter(used).collect::<Vec<_>>(), 8..28, 12);
}

/// Many accesses from few registers, some of which lie at ends of pages and are not aligned: they are checked together. In
/// between, what the interpreter does.
#[test]
fn rep_2_accesses_that_are_checked_together() {
    let accesses = Opcode::all().filter(|code| matches!(code.class(), Class::Load(_) | Class::Store(_)));
    let others = [Opcode::Addi, Opcode::Add, Opcode::LrW, Opcode::ScW, Opcode::AmoaddD];
    let doubles = [Opcode::Ld, Opcode::Sd, Opcode::Fld, Opcode::Fsd].repeat(4);
    compare_loops(&[accesses.collect(), doubles, others.to_vec()].concat(), 8..28, 40);
}

/// Loops whose results are in registers of the host while blocks without floating point, accesses, those that are checked
/// together, too, and what the interpreter does come in between.
#[test]
fn rep_2_loops_of_floating_point() {
    let floating: Vec<_> = Opcode::all().filter(|code| code.is_floating()).collect();
    let some = [Opcode::Addi, Opcode::Add, Opcode::Ld, Opcode::Sd, Opcode::AmoaddD, Opcode::Csrrs];
    let mixed = [floating.clone(), some.to_vec()].concat();
    compare_loops(&mixed, 8..28, 12);
    compare_loops(&mixed, 8..16, 40);
    let translated = |code: &&Opcode| {
        ["fadd", "fsub", "fmul", "fmadd", "fnmsub"].iter().any(|name| code.mnemonic().starts_with(name))
    };
    let arithmetic: Vec<_> = floating.iter().filter(translated).copied().collect();
    let accesses = [Opcode::Fld, Opcode::Fsd, Opcode::Flw, Opcode::Fsw].repeat(3);
    let smooth = [arithmetic, accesses, vec![Opcode::Addi, Opcode::FltD, Opcode::FmvXD]].concat();
    compare_loops(&smooth, 8..16, 12);
    compare_loops(&smooth, 10..20, 40);
}

/// Rotations by two shifts and an `or`, and what almost is one, in few registers: results that nobody reads are left out, but
/// whoever looks at a register sees it.
#[test]
fn rep_2_rotations_by_shifts() {
    for seed in 0..blocks() / 40 {
        let mut numbers = Numbers(seed);
        let mut text = String::from("addi x28,x0,9\nturn:\n");
        for _ in 0..1 + numbers.below(12) {
            let [a, b, c, d] = std::array::from_fn(|_| 8 + numbers.below(3));
            let by = 1 + numbers.below(63);
            let rest = if numbers.below(8) == 0 { by } else { 64 - by };
            let [first, second] = if numbers.below(2) == 0 { ["slli", "srli"] } else { ["srli", "slli"] };
            text += &match numbers.below(8) {
                0 => format!("ld x{a},0(x20)\n"),
                1 => format!("sd x{a},8(x20)\n"),
                2 => format!("addi x{a},x{b},{by}\n"),
                3 => format!("{first} x{a},x{b},{by}\n{second} x{c},x{d},{rest}\nor x{c},x{a},x{b}\n"),
                4 | 5 => format!("{first} x{a},x{b},{by}\n{second} x{b},x{b},{rest}\nor x{b},x{a},x{b}\n"),
                _ => format!("{first} x{a},x{b},{by}\n{second} x{b},x{b},{rest}\nor x{b},x{b},x{a}\n"),
            };
        }
        text += "addi x28,x28,-1\nbne x28,x0,turn\nebreak";
        // Now and then accesses are not aligned.
        compare_text(&text, seed, DATA + seed % 16 / 15, 200, || numbers.below(40));
    }
}

/// Two operations that are one, and what almost is, between accesses, in few registers.
#[test]
fn rep_2_pairs_that_are_one_operation() {
    for seed in 0..blocks() / 40 {
        let mut numbers = Numbers(seed);
        let mut text = String::from("addi x28,x0,9\nturn:\n");
        for _ in 0..1 + numbers.below(12) {
            let [a, b, c] = std::array::from_fn(|_| 8 + numbers.below(3));
            let (by, rest) =
                (numbers.pick(&[1, 2, 3, 31, 32, 33, 48, 56, 63]), numbers.pick(&[29, 31, 32, 48]));
            let rest = if numbers.below(2) == 0 { by } else { rest };
            let (upper, more) = (
                numbers.pick(&["0x1000", "0x7ffff000", "-0x80000000", "-0x1000"]),
                numbers.below(4096) as i64 - 2048,
            );
            text += &match numbers.below(9) {
                0 => format!("ld x{a},0(x20)\n"),
                1 => format!("sd x{a},8(x20)\n"),
                2 | 3 => format!("slli x{a},x{b},{by}\nsrli x{a},x{a},{rest}\n"),
                4 => format!("slli x{a},x{b},{by}\nsrai x{a},x{a},{rest}\n"),
                5 => format!("slli x{a},x{b},{}\nadd x{a},x{c},x{a}\n", 1 + numbers.below(4)),
                6 => format!("slli x{a},x{b},{}\nadd x{a},x{a},x{c}\n", 1 + numbers.below(4)),
                7 => format!("lui x{a},{upper}\naddi{} x{a},x{a},{more}\n", numbers.pick(&["", "w"])),
                _ => format!("auipc x{a},{upper}\naddi x{a},x{a},{more}\n"),
            };
        }
        text += "addi x28,x28,-1\nbne x28,x0,turn\nebreak";
        compare_text(&text, seed, DATA, 200, || numbers.below(40));
    }
}

/// Accesses from one register that nothing but simple operations comes between, as where registers are saved: the first one
/// covers them, unless they lie in two pages, are not aligned, or there is no fast entry.
#[test]
fn rep_2_accesses_that_the_first_one_covers() {
    for seed in 0..blocks() / 40 {
        let mut numbers = Numbers(seed);
        let mut text = String::from("addi x28,x0,60\nturn:\n");
        for _ in 0..1 + numbers.below(3) {
            let access = numbers.pick(&["ld", "sd", "lw", "sw", "lbu", "sb", "lh"]);
            for _ in 0..1 + numbers.below(6) {
                let [a, b] = std::array::from_fn(|_| 8 + numbers.below(4));
                text += &format!("{access} x{a},{}(x20)\n", 8 * numbers.below(6) as i64 - 16);
                text += &match numbers.below(9) {
                    0 => format!("addi x{a},x{b},{}\n", numbers.below(9)),
                    1 => format!("addiw x{b},x{b},-1\n"),
                    2 => format!("add x{a},x{a},x{b}\n"),
                    3 if numbers.below(4) == 0 => format!("sll x{a},x{a},x{b}\n"),
                    4 if numbers.below(8) == 0 => format!("ld x20,{}(x21)\n", 8 * numbers.below(2)),
                    _ => String::new(),
                };
            }
            text += &format!("addi x20,x20,{}\n", numbers.pick(&[1, 8, 8, 8, 16, 64]));
        }
        text += "addi x28,x28,-1\nbne x28,x0,turn\nebreak";
        compare_text(&text, seed, DATA + 0xf00, 700, || numbers.below(90));
    }
}

/// Loops with branches over a few operations, most of which compute one register from itself, in few registers, some of
/// which are compared: stretches end before, among and behind what is skipped.
#[test]
fn rep_2_branches_over_little() {
    for seed in 0..blocks() / 20 {
        let mut numbers = Numbers(seed);
        let mut text = String::from("addi x28,x0,40\nturn:\n");
        for place in 0..1 + numbers.below(4) {
            let [a, b, c] = std::array::from_fn(|_| 8 + numbers.below(4));
            for _ in 0..numbers.below(3) {
                let [a, b] = std::array::from_fn(|_| 8 + numbers.below(4));
                text += numbers.pick(&[
                    &format!("srli x{a},x{a},1\n")[..],
                    &format!("xor x{a},x{a},x{b}\n"),
                    &format!("addw x{a},x{b},x28\n"),
                    &format!("andi x{a},x{b},1\n"),
                ]);
            }
            let branch = numbers.pick(&["beq", "bne", "blt", "bge", "bltu", "bgeu"]);
            let against = if numbers.below(2) == 0 { 0 } else { b };
            text += &format!("{branch} x{a},x{against},over{place}\n");
            for _ in 0..1 + numbers.below(5) {
                let to = if numbers.below(8) == 0 { b } else { c };
                let from = if numbers.below(4) == 0 { a } else { to };
                let (other, by) = (8 + numbers.below(4), numbers.below(32));
                let code = numbers.pick(&["add", "sub", "xor", "and", "or", "addw", "subw", "sltu", "mul"]);
                let with = ["addi", "xori", "slli", "srai", "srli", "addiw", "slliw", "sraiw", "srliw"];
                text += &match numbers.below(8) {
                    0 => format!("lui x{to},{}\n", by << 12),
                    1 | 2 => format!("{code} x{to},x{from},x{other}\n"),
                    _ => format!("{} x{to},x{from},{by}\n", numbers.pick(&with)),
                };
            }
            text += &format!("over{place}:\n");
            if numbers.below(2) == 0 {
                text += &format!("sd x{c},8(x20)\n");
            }
        }
        text += "addi x28,x28,-1\nbne x28,x0,turn\nebreak";
        let longest = numbers.pick(&[6, 60, 300]);
        compare_text(&text, seed, DATA, 600, || numbers.below(longest));
    }
}

/// Registers that walk through memory, over ends of pages, now and then not aligned, and are copied to each other; in between,
/// what the interpreter does: windows show the pages that there are.
#[test]
fn rep_2_registers_that_walk_through_memory() {
    let accesses = ["ld", "sd", "lbu", "sb", "lw", "sw", "lh", "sh", "fld", "fsd"];
    for seed in 0..blocks() / 40 {
        let mut numbers = Numbers(seed);
        let mut text = String::from("addi x28,x0,60\nturn:\n");
        for _ in 0..2 + numbers.below(14) {
            let [a, b] = std::array::from_fn(|_| 8 + numbers.below(4));
            let [from, to] = std::array::from_fn(|_| 20 + numbers.below(3));
            text += &match numbers.below(12) {
                0 => {
                    format!("addi x{to},x{to},{}\n", numbers.pick(&[1, 2, 8, 24, 512, (-8i64) as u64]) as i64)
                }
                1 | 2 => format!("addi x{to},x{to},{}\n", 8 * (1 + numbers.below(4))),
                3 => format!("add x{to},x0,x{from}\n"),
                4 if numbers.below(4) == 0 => format!("lr.d x{a},(x{from})\n"),
                4 if numbers.below(4) == 0 => format!("amoadd.d x{a},x{b},(x{from})\n"),
                5 => format!("add x{a},x{a},x{b}\n"),
                _ => {
                    let access = accesses[numbers.below(10) as usize];
                    let register = if access.starts_with('f') { 'f' } else { 'x' };
                    format!("{access} {register}{a},{}(x{from})\n", 8 * numbers.below(5) as i64 - 16)
                }
            };
        }
        text += "addi x28,x28,-1\nbne x28,x0,turn\nebreak";
        let of = |threshold| {
            let mut board = Board::new(&text);
            let limits = Limits { threshold, code_bytes: 1 << 18, ..Limits::default() };
            board.executor = with(Limits { physical: seed.is_multiple_of(2), ..limits });
            board.core.hart.mstatus |= 1 << 13;
            (8..12).for_each(|register| board.core.hart.x[register] = Numbers(seed ^ register as u64).next());
            (20..23).for_each(|register| board.core.hart.x[register] = DATA + 0xf80 * (register as u64 - 19));
            board
        };
        compare_runs(
            &mut [of((seed % 3) as u32), of(u32::MAX)],
            700,
            || numbers.below(150),
            &format!("seed {seed:#x}:\n{text}"),
        );
    }
}

/// Runs a program, whose x8 to x11 are random and whose x20 is `data`, as code and interpreted, for so many steps.
fn compare_text(text: &str, seed: u64, data: u64, steps: u64, pause: impl FnMut() -> u64) {
    let of = |threshold| {
        let mut board = Board::new(text);
        let limits = Limits { threshold, code_bytes: 1 << 18, ..Limits::default() };
        board.executor = with(Limits { physical: seed.is_multiple_of(2), ..limits });
        (8..12).for_each(|register| board.core.hart.x[register] = Numbers(seed ^ register as u64).next());
        board.core.hart.x[20] = data;
        board
    };
    compare_runs(
        &mut [of((seed % 3) as u32), of(u32::MAX)],
        steps,
        pause,
        &format!("seed {seed:#x}:\n{text}"),
    );
}

/// Runs both, code and interpreted, for so many steps, with a look at them every so often, and in the end at what they have
/// asked and what the code's counts are.
pub fn compare_runs(
    [jit, interp]: &mut [Board; 2],
    steps: u64,
    mut pause: impl FnMut() -> u64,
    case: &str,
) -> CodeCounts {
    while jit.core.position < steps {
        jit.run((jit.core.position + 1 + pause()).min(steps));
        while interp.core.position < jit.core.position {
            interp.run(jit.core.position);
        }
        assert!(
            jit.state() == interp.state() && jit.core.position == interp.core.position,
            "different at {}\n{:x?}\n{:x?}\n{case}",
            jit.core.position,
            jit.core.hart,
            interp.core.hart
        );
    }
    assert_eq!(jit.world.asked, interp.world.asked, "other questions, {case}");
    let done = jit.executor.counts().code;
    check(&done, jit.core.position);
    done
}

fn compare_loops(codes: &[Opcode], written: Range<u8>, longest: u64) {
    let (programs, mut units, mut blocks) = (blocks() / 40, 0, 0);
    for seed in 0..programs {
        let physical = seed / 4 % 2 == 0;
        let limits = Limits { threshold: (seed % 4) as u32, physical, ..Limits::default() };
        let mut both = [limits, Limits { threshold: u32::MAX, ..limits }].map(|limits| {
            let mut board = program(seed, codes, written.clone(), limits);
            write_loops(&mut board, seed, codes, &written, longest);
            board
        });
        let mut ends = Numbers(seed ^ 0x100b);
        let done = compare_runs(&mut both, 4 * STEPS, || ends.below(300), &format!("seed {seed:#x}"));
        (units, blocks) = (units + done.units, blocks + done.blocks);
    }
    println!("{units} units of {blocks} blocks");
    assert!(blocks > units, "blocks were translated together: {blocks} in {units} units");
}

/// Code that is used up again and again, stretches that end everywhere, blocks that are interpreted in between.
#[test]
fn rep_2_however_code_is_run() {
    let codes: Vec<_> = Opcode::all().collect();
    for seed in 0..300 {
        let of = |limits| program::<false>(seed, &codes, written(&codes), limits);
        let mut plain = of(Limits { threshold: u32::MAX, ..Limits::default() });
        plain.steps(STEPS);
        for limits in [
            Limits { threshold: 0, ..Limits::default() },
            Limits { threshold: 3, ..Limits::default() },
            Limits { threshold: 0, stretch: 1, ..Limits::default() },
            Limits { threshold: 1, stretch: 7, code_bytes: 0, ..Limits::default() },
            Limits::mixed(),
        ] {
            let mut other = of(limits);
            other.steps(STEPS);
            assert!(other.state() == plain.state(), "seed {seed}, {limits:?}");
            assert_eq!(other.world.asked, plain.world.asked, "seed {seed}, {limits:?}");
        }
    }
}
