//! Prints how many million instructions a second the interpreter runs, and translated code, of some loops.

use cantus_interp::{Blocked, Core, Executor, Exit, Extent, Interp, Port, Refusal};
use cantus_isa::riscv::{Hart, Op, Opcode, encode};
use cantus_isa::{Gpa, Width};
use cantus_jit::{Limits, jit};
use cantus_memory::{Ram, Right, Tlb};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

const BASE: u64 = 0x8000_0000;

#[derive(Default)]
struct Free {
    attention: AtomicBool,
    completed: AtomicU64,
}

impl Port for Free {
    const HOST_ATOMICS: bool = false;

    fn grant(&mut self, _: u64, _: Gpa, _: Right) -> Result<Extent, Blocked> {
        Ok(Extent::Page)
    }

    fn device_load(&mut self, _: u64, _: Gpa, _: Width) -> Result<u64, Refusal> {
        Err(Refusal::Fault)
    }

    fn device_store(&mut self, _: u64, _: Gpa, _: Width, _: u64) -> Result<(), Refusal> {
        Err(Refusal::Fault)
    }

    fn clock(&mut self, position: u64) -> u64 {
        position
    }

    fn set_timer(&mut self, _: u64, _: u64) {}

    fn conditional(&mut self, _: u64, intact: bool) -> bool {
        intact
    }

    fn conditionals_hold(&self) -> bool {
        true
    }

    fn attention(&self) -> bool {
        self.attention.load(Ordering::Relaxed)
    }

    fn completed(&self, position: u64) {
        self.completed.store(position, Ordering::Release);
    }
}

fn i(code: Opcode, rd: u8, rs1: u8, imm: i32) -> Op {
    Op { rd, rs1, imm, ..Op::of(code) }
}

fn r(code: Opcode, rd: u8, rs1: u8, rs2: u8) -> Op {
    Op { rd, rs1, rs2, ..Op::of(code) }
}

fn s(code: Opcode, rs2: u8, rs1: u8, imm: i32) -> Op {
    Op { rs1, rs2, imm, ..Op::of(code) }
}

/// Runs a loop, whose last operation jumps back to the first, in both ways.
fn measure(name: &str, body: &[Op]) {
    let interpreted = speed(Interp::new(), body);
    let translated = speed(jit(Limits::default(), None).expect("memory for code"), body);
    let times = translated / interpreted;
    println!("{name:<32} {interpreted:7.0} interpreted {translated:7.0} translated {times:5.1} times");
}

/// Runs a loop in short stretches. Gives the best one's speed, in million instructions a second.
#[allow(clippy::disallowed_methods, reason = "nothing of a guest depends on what is measured")]
fn speed(mut executor: impl Executor, body: &[Op]) -> f64 {
    let ram = Arc::new(Ram::new(Gpa(BASE), 16 << 20, vec![]).expect("memory"));
    for (at, op) in body.iter().enumerate() {
        ram.store(Gpa(BASE + 4 * at as u64), Width::Word, u64::from(encode(op).expect("an instruction")));
    }
    let mut hart = Hart::new(0);
    hart.pc = BASE;
    hart.x[10] = BASE + 0x10_1000;
    let mut core =
        Core { id: 0, hart, tlb: Tlb::new(&ram), position: 0, code_epoch: 0, reservation_lost: false, ram };
    let mut port = Free::default();
    let mut best = 0f64;
    for _ in 0..100 {
        let steps = 2_000_000;
        let (start, until) = (Instant::now(), core.position + steps);
        assert_eq!(executor.run(&mut core, &mut port, until), Exit::Until);
        best = best.max(steps as f64 / start.elapsed().as_secs_f64() / 1e6);
    }
    best
}

fn main() {
    use Opcode::*;
    measure(
        "integer, 8 in a block",
        &[
            i(Addi, 5, 5, 1),
            r(Xor, 6, 6, 5),
            i(Slli, 7, 6, 3),
            r(Add, 8, 8, 7),
            i(Srli, 9, 8, 7),
            r(Sub, 6, 6, 9),
            i(Andi, 11, 6, 255),
            s(Bne, 0, 5, -28),
        ],
    );
    measure("integer, 3 in a block", &[i(Addi, 5, 5, 1), r(Xor, 6, 6, 5), s(Bne, 0, 5, -8)]);
    measure(
        "memory, 4 of 8 load or store",
        &[
            i(Ld, 5, 10, 0),
            i(Addi, 5, 5, 1),
            s(Sd, 5, 10, 0),
            i(Lw, 6, 10, 8),
            r(Add, 7, 6, 5),
            s(Sw, 7, 10, 12),
            i(Andi, 8, 7, 63),
            s(Bne, 0, 5, -28),
        ],
    );
    measure(
        "calls",
        &[i(Jal, 1, 0, 12), i(Addi, 5, 5, 1), i(Jal, 0, 0, -8), r(Add, 6, 6, 5), i(Jalr, 0, 1, 0)],
    );
}
