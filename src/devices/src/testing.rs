//! What the tests of all devices share: an outside that notes what it is told, and a hail of random accesses.

use crate::{Device, Outcome, Outside, Refusal, StateReader};
use cantus_isa::{Gpa, Width};
use std::collections::BTreeMap;

pub const WIDTHS: [Width; 4] = [Width::Byte, Width::Half, Width::Word, Width::Double];

/// What a device told the outside, in order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Told {
    SetClock(u64),
    Deadline(usize, u64),
    Alarm(u64),
    Line(usize, u32, bool),
    Raise(u32, bool),
    Output(Vec<u8>),
    Stop(Outcome),
    Asked(Vec<u8>),
    Host(Vec<u8>),
    Warned(String),
}

/// What a step holds.
#[derive(Default)]
pub struct Step {
    /// How many more grants it gets.
    pub lines: u64,
    /// Its rights by line.
    held: BTreeMap<usize, u8>,
}

impl Step {
    pub fn of_lines(lines: u64) -> Self {
        Self { lines, held: BTreeMap::new() }
    }
}

const READ: u8 = 1;
const WRITE: u8 = 2;

/// Another core, which waits until the device writes to `at`, and then makes its writes: where, and what.
pub struct OtherCore {
    pub at: u64,
    pub writes: Vec<(u64, Vec<u8>)>,
}

/// An outside with a clock to set and 64 KiB of memory at `MEMORY`.
pub struct Bench {
    pub clock: u64,
    pub told: Vec<Told>,
    pub memory: Vec<u8>,
    /// How many more accesses to memory are granted before one is blocked.
    pub grants: u64,
    /// Where given, grants are counted by lines instead: what a step has got it keeps, and new lines are so many more.
    pub step: Option<Step>,
    /// Bytes of memory that were read, written or reserved.
    pub touched: u64,
    /// What the host answers; where nothing is given, the question backwards.
    pub answer: Option<Vec<u8>>,
    /// Whether `told` is kept: a hail of accesses would fill it.
    pub quiet: bool,
    /// Another core; memory is shared then.
    pub other_core: Option<OtherCore>,
}

/// Where the memory of a [`Bench`] begins.
pub const MEMORY: u64 = 0x8000_0000;

impl Bench {
    pub fn new() -> Self {
        Self {
            clock: 0,
            told: Vec::new(),
            memory: vec![0; 0x1_0000],
            grants: u64::MAX,
            step: None,
            touched: 0,
            answer: None,
            quiet: false,
            other_core: None,
        }
    }

    /// Everything told since the last call.
    pub fn take(&mut self) -> Vec<Told> {
        std::mem::take(&mut self.told)
    }

    fn tell(&mut self, told: Told) {
        if !self.quiet {
            self.told.push(told);
        }
    }

    fn range(&mut self, address: Gpa, length: usize, right: u8) -> Result<std::ops::Range<usize>, Refusal> {
        let start = usize::try_from(address.0.wrapping_sub(MEMORY)).map_err(|_| Refusal::Fault)?;
        let end = start.checked_add(length).filter(|&end| end <= self.memory.len()).ok_or(Refusal::Fault)?;
        self.touched += 16 + length as u64;
        match &mut self.step {
            None => self.grants = self.grants.checked_sub(1).ok_or(Refusal::Blocked)?,
            Some(step) => {
                for line in start / 64..end.div_ceil(64) {
                    if step.held.get(&line).is_none_or(|held| held & right != right) {
                        step.lines = step.lines.checked_sub(1).ok_or(Refusal::Blocked)?;
                        *step.held.entry(line).or_default() |= right;
                    }
                }
            }
        }
        Ok(start..end)
    }
}

impl Outside for Bench {
    fn clock(&mut self) -> u64 {
        self.clock
    }

    fn set_clock(&mut self, ticks: u64) {
        self.clock = ticks;
        self.tell(Told::SetClock(ticks));
    }

    fn set_alarm(&mut self, ticks: u64) {
        self.tell(Told::Alarm(ticks));
    }

    fn set_deadline(&mut self, core: usize, ticks: u64) {
        self.tell(Told::Deadline(core, ticks));
    }

    fn set_line(&mut self, core: usize, line: u32, level: bool) {
        self.tell(Told::Line(core, line, level));
    }

    fn raise(&mut self, source: u32, level: bool) {
        self.tell(Told::Raise(source, level));
    }

    fn output(&mut self, bytes: &[u8]) {
        self.tell(Told::Output(bytes.to_vec()));
    }

    fn stop(&mut self, outcome: Outcome) {
        self.tell(Told::Stop(outcome));
    }

    fn memory_read(&mut self, address: Gpa, into: &mut [u8]) -> Result<(), Refusal> {
        let range = self.range(address, into.len(), READ)?;
        into.copy_from_slice(&self.memory[range]);
        Ok(())
    }

    fn memory_write(&mut self, address: Gpa, from: &[u8]) -> Result<(), Refusal> {
        let range = self.range(address, from.len(), READ | WRITE)?;
        self.memory[range].copy_from_slice(from);
        if let Some(other) = self.other_core.as_mut().filter(|other| other.at == address.0) {
            for (at, bytes) in other.writes.drain(..) {
                let at = (at - MEMORY) as usize;
                self.memory[at..at + bytes.len()].copy_from_slice(&bytes);
            }
        }
        Ok(())
    }

    fn is_memory_shared(&self) -> bool {
        self.other_core.is_some()
    }

    fn memory_reserve(&mut self, address: Gpa, length: u64) -> Result<(), Refusal> {
        self.range(address, length.min(1 << 32) as usize, READ | WRITE).map(|_| ())
    }

    fn memory_reserve_read(&mut self, address: Gpa, length: u64) -> Result<(), Refusal> {
        self.range(address, length.min(1 << 32) as usize, READ).map(|_| ())
    }

    fn ask_host(&mut self, question: &[u8]) -> Vec<u8> {
        self.tell(Told::Asked(question.to_vec()));
        if let Some(answer) = &self.answer {
            return answer.clone();
        }
        question.iter().rev().copied().collect()
    }

    fn tell_host(&mut self, message: &[u8]) {
        self.tell(Told::Host(message.to_vec()));
    }

    fn warn(&mut self, what: &str) {
        self.tell(Told::Warned(what.to_owned()));
    }
}

/// A small generator of random numbers (xorshift64*): the same numbers from the same seed.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed | 1)
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// A number of random size, so that small ones and single bits come up as often as huge ones.
    pub fn value(&mut self) -> u64 {
        match self.below(4) {
            0 => self.below(256),
            1 => 1 << self.below(64),
            2 => self.next() >> self.below(64),
            _ => self.next(),
        }
    }
}

pub fn state<D: Device>(device: &D) -> Vec<u8> {
    let mut state = Vec::new();
    device.write_state(&mut state);
    state
}

/// Random accesses at offsets of `offset` with values of `value`, and input now and then, to two devices that `new`
/// makes. Now and then the second one takes over the first one's state into a device that is new; and a blocked access
/// must leave no trace. Both must answer alike, always, and never panic.
pub fn hail<D: Device>(
    accesses: u64,
    new: impl Fn() -> D,
    offset: impl Fn(&mut Random) -> u64,
    value: impl Fn(&mut Random) -> u64,
) {
    let seed = 0x5eed_0001;
    println!("seed {seed:#x}");
    let mut random = Random::new(seed);
    let (mut first, mut second) = (new(), new());
    let (mut one, mut two) = (Bench::new(), Bench::new());
    for access in 0..accesses {
        let (at, width, bits) = (offset(&mut random), WIDTHS[random.below(4) as usize], value(&mut random));
        one.clock = random.value();
        two.clock = one.clock;
        match random.below(64) {
            0..24 => {
                let answer = first.load(at, width, &mut one);
                assert_eq!(answer, second.load(at, width, &mut two), "load {access} at {at:#x}");
                let fits = |value: u64| width == Width::Double || value >> (8 * width.bytes()) == 0;
                assert!(answer.is_ok_and(fits) || answer == Err(Refusal::Fault), "{answer:x?} at {at:#x}");
            }
            24..60 => {
                one.grants = random.below(5);
                let blocked_before = (one.grants < 3).then(|| (state(&first), one.memory.clone()));
                let mut answer = first.store(at, width, bits, &mut one);
                if answer == Err(Refusal::Blocked) {
                    if let Some((before, memory)) = blocked_before {
                        assert_eq!(state(&first), before, "a blocked store at {at:#x} changed the device");
                        assert_eq!(one.memory, memory, "a blocked store at {at:#x} changed memory");
                    }
                    one.grants = u64::MAX;
                    answer = first.store(at, width, bits, &mut one);
                }
                assert_eq!(answer, second.store(at, width, bits, &mut two), "store {access} at {at:#x}");
                assert_ne!(answer, Err(Refusal::Blocked));
            }
            60..63 => {
                let bytes = bits.to_le_bytes();
                let bytes = &bytes[..random.below(9) as usize];
                if first.input_room() >= bytes.len() {
                    one.grants = u64::MAX;
                    assert_eq!(first.input(bytes, &mut one), Ok(()));
                    assert_eq!(second.input(bytes, &mut two), Ok(()));
                }
            }
            _ => {
                let state = state(&first);
                second = new();
                let mut reader = StateReader::new(second.name(), &state);
                second.read_state(&mut reader).expect("a state that the device wrote");
                reader.finish().expect("all of the state is read");
                // Words that make sense as a system call, for the device that looks for them.
                let words = [64, 93, 1, 2, 5, MEMORY, MEMORY + 0xfff8, random.value()];
                for at in (0x100..0x180).step_by(8) {
                    let word = words[random.below(8) as usize].to_le_bytes();
                    one.memory[at..at + 8].copy_from_slice(&word);
                    two.memory[at..at + 8].copy_from_slice(&word);
                }
            }
        }
        assert_eq!(one.take(), two.take(), "access {access} at {at:#x}");
    }
    assert_eq!(state(&first), state(&second));
    damage(&new, &state(&first), &mut random);
}

/// A damaged state is refused or taken, but never panics, and neither does the device afterwards.
fn damage<D: Device>(new: &impl Fn() -> D, state: &[u8], random: &mut Random) {
    let mut bench = Bench::new();
    bench.quiet = true;
    for _ in 0..2_000 {
        let mut bytes = state.to_vec();
        for _ in 0..random.below(3) {
            if let Some(at) = random.next().checked_rem(bytes.len() as u64) {
                bytes[at as usize] ^= 1 << random.below(8);
            }
        }
        bytes.truncate(bytes.len().saturating_sub(random.below(20).saturating_sub(10) as usize));
        let mut device = new();
        let taken = device.read_state(&mut StateReader::new(device.name(), &bytes));
        if bytes.len() < state.len() && bytes == state[..bytes.len()] {
            assert!(taken.is_err(), "a state that ends too early was taken");
        }
        for _ in 0..20 {
            let (at, width) = (random.below(16), WIDTHS[random.below(4) as usize]);
            let _ = device.load(at, width, &mut bench);
            let _ = device.store(at, width, random.value(), &mut bench);
            let _ = device.input(&[1, 2, 3], &mut bench);
        }
    }
}
