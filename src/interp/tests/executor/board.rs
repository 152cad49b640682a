//! A core with some RAM, one device, and a port that does what a test wants.

use crate::assembler::assemble;
use crate::tested::{Tested, tested};
use cantus_interp::{Blocked, Core, Executor, Exit, Extent, Port, Refusal};
use cantus_isa::riscv::Hart;
use cantus_isa::riscv::csr::Reading;
use cantus_isa::{Gpa, Width, address::PAGE_SIZE};
use cantus_memory::{Ram, Right, Tlb};
use std::cell::Cell;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Where RAM starts, and programs.
pub const BASE: u64 = 0x8000_0000;
/// Size of RAM.
pub const SIZE: u64 = 1 << 20;
/// Where tests keep data: a page of its own, whose slot in the TLB is not that of the program.
pub const DATA: u64 = BASE + 0x1_0000;
/// A device: it takes stores of any width, and loads give what [`World::device_value`] says.
pub const DEVICE: u64 = 0x1000_0000;
/// An overlay: four bytes in RAM for which a device answers.
pub const OVERLAY: u64 = BASE + 0x8_0010;

/// What the port was asked, with the position.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Question {
    Grant(u64, Gpa, Right),
    Load(u64, Gpa, Width),
    Store(u64, Gpa, Width, u64),
    Clock(u64),
    Timer(u64, u64),
    Conditional(u64, bool),
}

/// The world outside of the core. `ATOMICS` as of [`Port::HOST_ATOMICS`].
#[derive(Default)]
pub struct World<const ATOMICS: bool> {
    /// All questions, those that were refused too.
    pub asked: Vec<Question>,
    /// This grant or device access, counted from 0, is blocked; once.
    pub block: Option<usize>,
    /// How many of them there were.
    pub blockable: usize,
    /// Pages of RAM that are split to lines.
    pub split: BTreeSet<u64>,
    /// What devices answer.
    pub device_value: u64,
    /// Store-conditionals fail.
    pub conditionals_fail: bool,
    /// The engine wants a safepoint.
    pub attention: bool,
    /// What [`Port::completed`] was told.
    pub completed: Cell<u64>,
}

impl<const ATOMICS: bool> World<ATOMICS> {
    fn blocked(&mut self) -> bool {
        let blocked = self.block == Some(self.blockable);
        self.blockable += 1;
        blocked
    }
}

impl<const ATOMICS: bool> Port for World<ATOMICS> {
    const HOST_ATOMICS: bool = ATOMICS;

    fn grant(&mut self, position: u64, address: Gpa, right: Right) -> Result<Extent, Blocked> {
        assert!((BASE..BASE + SIZE).contains(&address.0), "ORD-1: a grant of {address}, which is not RAM");
        self.asked.push(Question::Grant(position, address, right));
        if self.blocked() {
            return Err(Blocked);
        }
        Ok(if self.split.contains(&address.page()) { Extent::Line } else { Extent::Page })
    }

    fn device_load(&mut self, position: u64, address: Gpa, width: Width) -> Result<u64, Refusal> {
        self.asked.push(Question::Load(position, address, width));
        if !responds(address) {
            return Err(Refusal::Fault);
        }
        if self.blocked() { Err(Refusal::Blocked) } else { Ok(self.device_value) }
    }

    fn device_store(&mut self, position: u64, address: Gpa, width: Width, value: u64) -> Result<(), Refusal> {
        self.asked.push(Question::Store(position, address, width, value));
        if !responds(address) {
            return Err(Refusal::Fault);
        }
        if self.blocked() { Err(Refusal::Blocked) } else { Ok(()) }
    }

    fn clock(&mut self, position: u64) -> u64 {
        self.asked.push(Question::Clock(position));
        1_000_000 + position
    }

    fn set_timer(&mut self, position: u64, ticks: u64) {
        self.asked.push(Question::Timer(position, ticks));
    }

    fn conditional(&mut self, position: u64, intact: bool) -> bool {
        self.asked.push(Question::Conditional(position, intact));
        intact && !self.conditionals_fail
    }

    fn conditionals_hold(&self) -> bool {
        !self.conditionals_fail
    }

    fn attention(&self) -> bool {
        self.attention
    }

    fn completed(&self, position: u64) {
        assert!(position >= self.completed.get(), "positions only grow");
        self.completed.set(position);
    }
}

fn responds(address: Gpa) -> bool {
    address.0 & !0xf == DEVICE || address.0 & !3 == OVERLAY
}

/// A core, its executor, and the world.
pub struct Board<const ATOMICS: bool = false> {
    pub core: Core,
    pub executor: Tested,
    pub world: World<ATOMICS>,
}

impl Board {
    /// A board whose port is that of a recording, with `program` at [`BASE`], in M-mode.
    pub fn new(program: &str) -> Self {
        Self::with(program)
    }
}

impl<const ATOMICS: bool> Board<ATOMICS> {
    /// A board of either kind.
    #[allow(clippy::single_range_in_vec_init, reason = "one overlay")]
    pub fn with(program: &str) -> Self {
        let ram = Arc::new(Ram::new(Gpa(BASE), SIZE, vec![OVERLAY..OVERLAY + 4]).expect("memory"));
        let mut hart = Hart::new(0);
        hart.pc = BASE;
        let tlb = Tlb::new(&ram);
        let core = Core { id: 0, hart, tlb, position: 0, code_epoch: 0, reservation_lost: false, ram };
        let mut board = Self { core, executor: tested(), world: World::default() };
        board.write(BASE, &assemble(program));
        board
    }

    /// Bytes into RAM, before the run.
    pub fn write(&mut self, address: u64, bytes: &[u8]) {
        self.core.ram.write(Gpa(address), bytes);
    }

    /// A doubleword into RAM, before the run.
    pub fn write_double(&mut self, address: u64, value: u64) {
        self.core.ram.store(Gpa(address), Width::Double, value);
    }

    /// A doubleword of RAM.
    pub fn double(&self, address: u64) -> u64 {
        self.core.ram.load(Gpa(address), Width::Double)
    }

    /// Runs until the position is `until`.
    pub fn run(&mut self, until: u64) -> Exit {
        self.executor.run(&mut self.core, &mut self.world, until)
    }

    /// Runs `steps` more steps, however often the executor comes back meanwhile.
    pub fn steps(&mut self, steps: u64) {
        let until = self.core.position + steps;
        while self.core.position < until {
            self.run(until);
        }
    }

    /// An integer register.
    pub fn x(&self, number: usize) -> u64 {
        self.core.hart.x[number]
    }

    /// What a CSR shows now.
    pub fn csr(&self, number: u16) -> u64 {
        match self.core.hart.csr_read(number, self.core.position) {
            Some(Reading::Value(value)) => value,
            other => panic!("{number:#x} reads as {other:?}"),
        }
    }

    /// Writes a CSR as if by an instruction before the run.
    pub fn set_csr(&mut self, number: u16, value: u64) {
        let effect = self.core.hart.csr_write(number, value, self.core.position.wrapping_sub(1));
        if effect.space {
            self.core.tlb.enter(self.core.hart.satp);
        }
        if effect.flush {
            self.core.tlb.flush();
        }
    }

    /// Everything that a guest can observe of the core and its RAM, and its translations.
    pub fn state(&self) -> Vec<u8> {
        let mut state = self.core.position.to_le_bytes().to_vec();
        self.core.hart.write_state(&mut state);
        for page in self.core.ram.written_pages() {
            let mut bytes = [0; PAGE_SIZE as usize];
            self.core.ram.read(self.core.ram.address(page), &mut bytes);
            if bytes.iter().any(|&byte| byte != 0) {
                state.extend(page.0.to_le_bytes());
                state.extend(bytes);
            }
        }
        state
    }
}
