//! Code that one core changes while others execute it. Without a `fence.i`: recorded by one executor, replayed by each. With
//! one: run free.

use cantus::{
    ClockPolicy, Executor, Guest, Options, Outcome, Policy, ReplayOptions, Verdict, record, replay, run,
};
use cantus_isa::riscv::{Op, Opcode};
use cantus_tests::assembler::register::{A, RA, S, T, ZERO};
use cantus_tests::assembler::{Assembler, bits, i, r, s};
use cantus_tests::elf;

const BASE: u64 = 0x8000_0000;
/// What the cores tell each other: for each the number of its last turn.
const TURNS: u64 = BASE + 0x2000;
/// The function that changes, in a page with data that change more often.
const FUNCTION: u64 = BASE + 0x3000;
const FINISHER: u64 = 0x10_0000;
const ROUNDS: u64 = 300;

/// Core 0 changes by how much the function adds, and calls it, too; the others call it. If `in_turn`, they wait for each
/// other, so that every core knows what comes of it: else they do not, and only the record says what did. If `fenced`, the
/// others execute a `fence.i` first, and who waits says so.
fn program(others: u8, in_turn: bool, fenced: bool) -> Vec<u8> {
    let mut code = Assembler::new(BASE, false);
    let (sum, round, end, turns, function, instruction) = (A[1], S[0], S[1], S[2], S[3], S[4]);
    let [reader, failed] = [(); 2].map(|()| code.label());
    let wait = |code: &mut Assembler| {
        let waits = code.mark();
        if fenced {
            code.op(Op::of(Opcode::Pause));
        }
        waits
    };
    code.number(sum, 0);
    code.number(turns, TURNS);
    code.number(function, FUNCTION);
    code.number(end, ROUNDS);
    code.number(instruction, u64::from(bits(i(Opcode::Addi, sum, sum, 0))));
    code.branch(Opcode::Bne, A[0], ZERO, reader);

    let writes = code.mark();
    code.op(i(Opcode::Addi, round, round, 1));
    code.number(T[0], 1 << 20);
    code.op(r(Opcode::Add, instruction, instruction, T[0]));
    code.op(s(Opcode::Sw, instruction, function, 0));
    code.op(i(Opcode::Jalr, RA, function, 0));
    // Data in the function's page, which nobody waits for.
    for at in [64, 128, 2040] {
        code.op(s(Opcode::Sd, round, function, at));
    }
    code.op(s(Opcode::Sd, round, turns, 0));
    if in_turn {
        for other in 1..=others {
            let waits = wait(&mut code);
            code.op(i(Opcode::Ld, T[0], turns, 64 * i32::from(other)));
            code.branch(Opcode::Bltu, T[0], round, waits);
        }
    }
    code.branch(Opcode::Bltu, round, end, writes);
    let check = |code: &mut Assembler| {
        if in_turn {
            code.number(T[1], ROUNDS * (ROUNDS + 1) / 2);
            code.branch(Opcode::Bne, sum, T[1], failed);
        }
    };
    check(&mut code);
    for other in 1..=others {
        let waits = wait(&mut code);
        code.op(i(Opcode::Ld, T[0], turns, 64 * i32::from(other) + 8));
        code.branch(Opcode::Beq, T[0], ZERO, waits);
    }
    code.number(T[0], FINISHER);
    code.number(T[1], 0x5555);
    code.op(s(Opcode::Sw, T[1], T[0], 0));
    code.place(failed);
    code.number(T[0], FINISHER);
    code.number(T[1], 0x1_3333);
    code.op(s(Opcode::Sw, T[1], T[0], 0));

    code.place(reader);
    code.number(T[0], 6);
    code.op(r(Opcode::Sll, T[2], A[0], T[0]));
    code.op(r(Opcode::Add, T[2], T[2], turns));
    let reads = code.mark();
    code.op(i(Opcode::Addi, round, round, 1));
    if in_turn {
        let waits = wait(&mut code);
        code.op(i(Opcode::Ld, T[0], turns, 0));
        code.branch(Opcode::Bltu, T[0], round, waits);
    }
    if fenced {
        code.op(Op::of(Opcode::FenceI));
    }
    code.op(i(Opcode::Jalr, RA, function, 0));
    code.op(s(Opcode::Sd, round, T[2], 0));
    code.branch(Opcode::Bltu, round, end, reads);
    check(&mut code);
    code.op(s(Opcode::Sd, end, T[2], 8));
    code.op(i(Opcode::Jal, ZERO, 0, 0));

    let mut bytes = code.finish();
    bytes.resize((FUNCTION - BASE) as usize, 0);
    for op in [i(Opcode::Addi, sum, sum, 0), i(Opcode::Jalr, ZERO, RA, 0)] {
        bytes.extend(bits(op).to_le_bytes());
    }
    bytes
}

fn check(others: u8, in_turn: bool) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("one.cantus");
    let guest = Guest::new("changing code", elf::file(BASE, &program(others, in_turn, false), 0x5000));
    for (seed, executor) in [Executor::Interp, Executor::Jit, Executor::Mixed].into_iter().enumerate() {
        for slice in [7, 200, 3_000] {
            let options = Options {
                cores: usize::from(others) + 1,
                ram_bytes: 1 << 20,
                workers: 2,
                clock: ClockPolicy::Virtual,
                policy: Policy::Random { slice_max: slice },
                seed: seed as u64,
                digest_interval: 500,
                cut_interval: 5_000,
                steps_max: Some(100_000_000),
                executor,
                ..Options::default()
            };
            let recorded = record(&guest, &options, &path, true).expect("it can be recorded");
            assert_eq!(recorded.outcome, Outcome::Exit(0), "{executor:?}, slices of {slice}");
            for executor in [Executor::Interp, Executor::Jit, Executor::Mixed] {
                for workers in [1, 2, 3] {
                    let options = ReplayOptions { executor, workers, ..ReplayOptions::default() };
                    let replayed = replay(&path, &options).expect("it can be replayed");
                    assert_eq!(replayed.verdict, Verdict::Identical, "{executor:?}, {workers} workers");
                }
            }
        }
    }
}

#[test]
fn mmu_3_code_is_what_its_writer_said_before() {
    check(1, true);
    check(3, true);
}

#[test]
fn mmu_3_code_that_is_written_while_it_runs_is_replayed_as_it_was() {
    check(1, false);
    check(3, false);
}

#[test]
fn mmu_2_a_free_run_sees_changed_code_at_a_fence() {
    for others in [1, 3] {
        let guest = Guest::new("changing code", elf::file(BASE, &program(others, true, true), 0x5000));
        for (seed, executor) in [Executor::Interp, Executor::Jit, Executor::Mixed].into_iter().enumerate() {
            for slice in [7, 200, 3_000] {
                for workers in [1, 2] {
                    let options = Options {
                        cores: usize::from(others) + 1,
                        ram_bytes: 1 << 20,
                        workers,
                        clock: ClockPolicy::Virtual,
                        policy: Policy::Random { slice_max: slice },
                        seed: seed as u64,
                        steps_max: Some(20_000_000_000),
                        executor,
                        ..Options::default()
                    };
                    let ran = run(&guest, &options).expect("it can be run");
                    let case = format!("{others} others, {executor:?}, slices of {slice}, {workers} workers");
                    assert_eq!(ran.outcome, Outcome::Exit(0), "{case}");
                }
            }
        }
    }
}
