//! The supervisor's own timer (Sstc), from the comparison to the interrupt: recorded under both clocks, and replayed.

use cantus::{ClockPolicy, Guest, Options, Outcome, ReplayOptions, Verdict};
use cantus_isa::riscv::Opcode::*;
use cantus_isa::riscv::csr::number::*;
use cantus_tests::assembler::register::{A, S, T, ZERO};
use cantus_tests::assembler::{Assembler, csr, i, r, s};
use cantus_tests::elf;
use cantus_traces::{Event, Trace};
use std::path::Path;

const BASE: u64 = 0x8000_0000;
const FINISHER: u64 = 0x10_0000;
const STIP: u64 = 1 << 5;
/// Interrupts that a core waits for.
const TICKS: u64 = 20;
/// Between two of them.
const INTERVAL: i32 = 700;

/// Every core, in S-mode, sets its timer and waits, [`TICKS`] times; an interrupt before its time, or one that is still
/// pending after the timer was set anew, ends the run with an error. At last it is disarmed, as Linux does.
fn program(cores: usize) -> Vec<u8> {
    let mut code = Assembler::new(BASE, false);
    let (supervisor, handler, failed, done) = (code.label(), code.label(), code.label(), code.label());
    let (deadline, count, arrived) = (S[0], S[1], S[2]);
    let set = |code: &mut Assembler, number, value| {
        code.number(T[0], value);
        code.op(csr(Csrrw, ZERO, number, T[0]));
    };
    set(&mut code, PMPADDR0, u64::MAX);
    set(&mut code, PMPCFG0, 0x1f);
    set(&mut code, MIDELEG, 0x222);
    set(&mut code, MCOUNTEREN, 7);
    set(&mut code, MENVCFG, 1 << 63);
    set(&mut code, MSTATUS, 1 << 11);
    code.address(T[0], failed);
    code.op(csr(Csrrw, ZERO, MTVEC, T[0]));
    code.address(T[0], handler);
    code.op(csr(Csrrw, ZERO, STVEC, T[0]));
    code.address(T[0], supervisor);
    code.op(csr(Csrrw, ZERO, MEPC, T[0]));
    code.op(i(Mret, 0, 0, 0));

    code.place(supervisor);
    code.number(count, TICKS);
    set(&mut code, SIE, STIP);
    code.op(csr(Csrrs, deadline, TIME, ZERO));
    code.op(i(Addi, deadline, deadline, INTERVAL));
    code.op(csr(Csrrw, ZERO, STIMECMP, deadline));
    code.op(csr(Csrrsi, ZERO, SSTATUS, 2));
    let wait = code.mark();
    code.op(i(Wfi, 0, 0, 0));
    code.branch(Bne, count, ZERO, wait);
    code.address(arrived, done);
    code.number(T[0], 1);
    code.op(r(AmoaddD, T[1], arrived, T[0]));
    code.number(T[0], cores as u64 - 1);
    let sleep = code.label();
    code.branch(Bne, T[1], T[0], sleep);
    code.number(T[1], 0x5555);
    let finish = code.mark();
    code.number(T[0], FINISHER);
    code.op(s(Sw, T[1], T[0], 0));
    code.place(sleep);
    code.op(i(Wfi, 0, 0, 0));
    code.jump(i(Jal, 0, 0, 0), sleep);

    code.align(4);
    code.place(handler);
    code.op(csr(Csrrs, A[0], TIME, ZERO));
    code.branch(Bltu, A[0], deadline, failed);
    code.op(i(Addi, count, count, -1));
    code.op(i(Addi, deadline, A[0], INTERVAL));
    let (armed, disarm) = (code.label(), code.label());
    code.branch(Beq, count, ZERO, disarm);
    code.op(csr(Csrrw, ZERO, STIMECMP, deadline));
    code.jump(i(Jal, 0, 0, 0), armed);
    code.place(disarm);
    code.number(A[0], u64::MAX);
    code.op(csr(Csrrw, ZERO, STIMECMP, A[0]));
    code.place(armed);
    // Right behind the write, the line is that of the new deadline, unless this has passed already.
    code.op(csr(Csrrs, A[0], SIP, ZERO));
    code.op(csr(Csrrs, A[1], TIME, ZERO));
    let fine = code.label();
    code.branch(Bgeu, A[1], deadline, fine);
    code.op(i(Andi, A[0], A[0], STIP as i32));
    code.branch(Bne, A[0], ZERO, failed);
    code.place(fine);
    code.op(i(Sret, 0, 0, 0));

    code.align(4);
    code.place(failed);
    code.number(T[1], 1 << 16 | 0x3333);
    code.jump(i(Jal, 0, 0, 0), finish);
    code.align(8);
    code.place(done);
    code.align(8);
    elf::file(BASE, &code.finish(), 1 << 16)
}

fn check(clock: ClockPolicy, cores: usize) {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let path = folder.join(format!("timer-{clock:?}-{cores}.cantus"));
    let guest = Guest::new("timer", program(cores));
    let options = Options { cores, workers: 2, clock, ram_bytes: 1 << 20, ..Options::default() };
    let recorded = cantus::record(&guest, &options, &path, true).expect("the program can be recorded");
    assert_eq!(recorded.outcome, Outcome::Exit(0), "{clock:?}, {cores} cores");
    let events = Trace::open(&path).and_then(|trace| trace.read_all()).expect("the trace is whole");
    for (core, events) in events.iter().enumerate() {
        let raised =
            events.iter().filter(|(_, event)| matches!(event, Event::Lines(lines) if *lines == STIP as u32));
        let raised = raised.count() as u64;
        // Where the host's time runs on, a new deadline may have passed before the line was seen to fall.
        let enough = if clock == ClockPolicy::Virtual { TICKS } else { 1 };
        assert!((enough..=TICKS).contains(&raised), "core {core}: {raised} interrupts were inputs");
    }
    for workers in [1, 2, 4] {
        let replayed = cantus::replay(&path, &ReplayOptions { workers, ..ReplayOptions::default() });
        assert_eq!(replayed.expect("the trace can be replayed").verdict, Verdict::Identical);
    }
}

#[test]
fn state_3_the_supervisor_s_timer_is_recorded_under_the_virtual_clock() {
    [1, 4].into_iter().for_each(|cores| check(ClockPolicy::Virtual, cores));
}

#[test]
fn state_3_the_supervisor_s_timer_is_recorded_under_the_host_s_clock() {
    check(ClockPolicy::Host, 2);
}
