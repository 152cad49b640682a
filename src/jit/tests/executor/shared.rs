//! Cores that share code, each on a thread of its own: they translate, link and give up code at the same time, in as little
//! memory as there can be, and each does what the interpreter does (REP-2).

use crate::board::{BASE, Board, SIZE};
use crate::random::{Numbers, board_of};
use crate::tested::with;
use cantus_interp::{CodeCounts, Executor};
use cantus_isa::riscv::Opcode;
use cantus_isa::riscv::class::Class;
use cantus_isa::{Gpa, Width};
use cantus_jit::{Jit, Limits, Shared};
use cantus_memory::{PageIndex, Ram, Tlb};
use std::ops::AddAssign;
use std::sync::Arc;

const CORES: u64 = 4;
const PROGRAMS: usize = 60;
/// Steps of a core in a program.
const STEPS: u64 = 1_500;
/// Steps of a turn at most.
const TURN: u64 = 300;

/// A program that leaves memory as it is, and how each core stands at its end.
struct Program {
    seed: u64,
    ram: Arc<Ram>,
    ends: Vec<Vec<u8>>,
}

/// A core before a program, in memory that others may run it in, too.
fn board(seed: u64, core: u64, ram: Option<&Arc<Ram>>, executor: Jit) -> Board {
    let codes = Opcode::all().filter(|code| code.class() == Class::Compute && !code.is_floating());
    let jumps = [Opcode::Bne, Opcode::Bltu, Opcode::Blt, Opcode::Beq, Opcode::Jal, Opcode::Jalr];
    let mut board = board_of(seed, &codes.chain(jumps).collect::<Vec<_>>(), 8..30);
    if let Some(ram) = ram {
        board.core.ram = ram.clone();
        board.core.tlb = Tlb::new(ram);
    }
    let mut numbers = Numbers(seed ^ core << 32);
    board.core.hart.x[8..30].fill_with(|| numbers.next() >> numbers.below(64));
    board.executor = executor;
    board
}

fn interpreter() -> Jit {
    with(Limits { threshold: u32::MAX, code_bytes: 0, ..Limits::default() })
}

/// What is in RAM, and which pages of it have been written to.
fn memory(board: &Board) -> (Vec<u8>, Vec<PageIndex>) {
    let mut bytes = vec![0; SIZE as usize];
    board.core.ram.read(Gpa(BASE), &mut bytes);
    (bytes, board.core.ram.written_pages().collect())
}

/// Programs with what the interpreter makes of them.
fn programs() -> Vec<Program> {
    let program = |seed| {
        let first = board(seed, 0, None, interpreter());
        let ram = first.core.ram.clone();
        let before = memory(&first);
        let ends = (0..CORES).map(|core| {
            let mut board = board(seed, core, Some(&ram), interpreter());
            board.steps(STEPS);
            board.state()
        });
        let ends = ends.collect();
        (memory(&first) == before).then_some(Program { seed, ram, ends })
    };
    (0..).filter_map(program).take(PROGRAMS).collect()
}

/// Runs all programs on one core, a turn of one after a turn of another.
fn run(programs: &[Program], core: u64, shared: &Shared) -> CodeCounts {
    let mut boards: Vec<Board> = programs
        .iter()
        .map(|Program { seed, ram, .. }| board(*seed, core, Some(ram), shared.jit()))
        .collect();
    let mut numbers = Numbers(core);
    let mut running: Vec<usize> = (0..boards.len()).collect();
    while !running.is_empty() {
        let place = numbers.below(running.len() as u64) as usize;
        let board = &mut boards[running[place]];
        board.steps((1 + numbers.below(TURN)).min(STEPS - board.core.position));
        if board.core.position == STEPS {
            running.swap_remove(place);
        }
    }
    let mut counts = CodeCounts::default();
    for (Program { seed, ends, .. }, board) in programs.iter().zip(&boards) {
        assert!(board.state() == ends[core as usize], "core {core} differs after program {seed}");
        counts.add_assign(board.executor.counts().code);
    }
    counts
}

#[expect(clippy::disallowed_methods, reason = "cores that share code are on threads of their own")]
fn run_all(programs: &[Program], limits: Limits) -> CodeCounts {
    let shared = Shared::new(limits, None).expect("memory for code");
    let mut counts = CodeCounts::default();
    std::thread::scope(|scope| {
        let shared = &shared;
        let cores: Vec<_> = (0..CORES).map(|core| scope.spawn(move || run(programs, core, shared))).collect();
        cores.into_iter().for_each(|core| counts += core.join().expect("it differs nowhere"));
    });
    counts
}

#[test]
fn rep_2_cores_that_share_code() {
    let programs = programs();
    let plain = Limits { threshold: 0, ..Limits::default() };
    let roomy = run_all(&programs, plain);
    let alone = run(&programs, 0, &Shared::new(plain, None).expect("memory for code"));
    assert!(roomy.instructions > roomy.runs && roomy.links > 0 && roomy.flushes == 0, "{roomy:?}");
    assert!(
        roomy.blocks < 2 * alone.blocks,
        "what one core has translated others need not: {roomy:?}, {alone:?}"
    );
    for limits in [
        Limits { code_bytes: 0, ..plain },
        Limits { code_bytes: 0, stretch: 20, ..plain },
        Limits { code_bytes: 0, ..Limits::mixed() },
    ] {
        let tight = run_all(&programs, limits);
        println!("{limits:?}: {tight:?}");
        assert!(tight.flushes > 2 && tight.links > 0 && tight.blocks > alone.blocks, "{limits:?}: {tight:?}");
    }
}

/// A straight stretch of several blocks, and behind it a loop of three that are translated together, which it leads into
/// by a jump from code to code.
fn stretch_and_loop() -> String {
    let straight = "addi x9,x9,1\n".repeat(170);
    format!(
        "outer:\n{straight}addi x28,x0,5\ninner:\naddi x10,x10,1\nbeq x8,x0,even\naddi x11,x11,1\neven:\n\
         xori x8,x8,1\naddi x12,x12,1\naddi x28,x28,-1\nbne x28,x0,inner\njal x0,outer"
    )
}

/// Others change code; each core goes on with what it was until it executes FENCE.I, whatever units the other cores have
/// had made meanwhile (MMU-2).
#[test]
fn mmu_2_code_that_is_stale_on_some_cores_only() {
    const STRAIGHT: u64 = 171;
    let text = stretch_and_loop();
    for limits in [
        Limits { threshold: 0, ..Limits::default() },
        Limits { threshold: 2, stretch: 50, ..Limits::default() },
        Limits { code_bytes: 0, ..Limits::mixed() },
    ] {
        let shared = Shared::new(limits, None).expect("memory for code");
        let ram = Board::<false>::new(&text).core.ram;
        let of = |executor: Jit| {
            let mut board = Board::new(&text);
            board.core.ram = ram.clone();
            board.core.tlb = Tlb::new(&ram);
            board.executor = executor;
            board
        };
        let mut cores: Vec<[Board; 2]> = (0..CORES).map(|_| [of(shared.jit()), of(interpreter())]).collect();
        let mut numbers = Numbers(limits.stretch);
        for round in 0..200 {
            for (core, pair) in cores.iter_mut().enumerate() {
                let fences = numbers.below(3) == 0;
                let steps = 500 + numbers.below(500);
                for board in pair.iter_mut() {
                    board.core.code_epoch += u64::from(fences);
                    board.steps(steps);
                }
                let [translated, interpreted] = pair.each_ref().map(Board::state);
                assert!(translated == interpreted, "core {core} differs in round {round} of {limits:?}");
            }
            // One of the instructions of the loop, or of the stretch, adds another number; now and then one it has added before.
            let place = numbers.pick(&[0, 1, 169, STRAIGHT, STRAIGHT + 2, STRAIGHT + 4]);
            let address = Gpa(BASE + 4 * place);
            let old = ram.load(address, Width::Word);
            ram.store(address, Width::Word, old & 0xf_ffff | (1 + numbers.below(3)) << 20);
        }
        let counts = cores.iter().map(|[board, _]| board.executor.counts().code);
        let counts = counts.fold(CodeCounts::default(), |mut all, counts| {
            all += counts;
            all
        });
        assert!(counts.blocks > counts.units && counts.links > 0 && counts.instructions > 0, "{counts:?}");
        assert!(limits.mixed || counts.exits.stale > 10, "{limits:?}: {counts:?}");
    }
}
