//! The PLIC: tables of accesses, and a hail of random ones.

use super::*;
use crate::Blocked;
use crate::testing::{Bench, Random, Told, hail};
use Width::{Byte, Double, Half, Word};

const PENDING: u64 = 0x1000;
const ENABLE: u64 = 0x2000;
const CONTEXT: u64 = 0x20_0000;

fn enable(context: u64, word: u64) -> u64 {
    ENABLE + 0x80 * context + 4 * word
}

fn threshold(context: u64) -> u64 {
    CONTEXT + 0x1000 * context
}

fn claim(context: u64) -> u64 {
    threshold(context) + 4
}

fn machine(hart: usize, level: bool) -> Told {
    Told::Line(hart, lines::MEIP, level)
}

fn supervisor(hart: usize, level: bool) -> Told {
    Told::Line(hart, lines::SEIP, level)
}

/// What is done to the controller in one step of a story.
enum Does {
    /// A source changes its level.
    Source(u32, bool),
    /// A word is stored at an offset.
    Store(u64, u32),
    /// A word is loaded from an offset, and is this.
    Gives(u64, u64),
}
use Does::{Gives, Source, Store};

/// Tells a story to a new controller of two harts; every step says what it tells the harts.
fn story(name: &str, steps: impl IntoIterator<Item = (Does, Vec<Told>)>) {
    let (mut plic, mut bench) = (Plic::new(2), Bench::new());
    for (at, (does, told)) in steps.into_iter().enumerate() {
        match does {
            Source(number, level) => plic.set_source(number, level, &mut bench),
            Store(offset, value) => {
                assert_eq!(plic.store(offset, Word, value.into(), &mut bench), Ok(()), "{name}, step {at}");
            }
            Gives(offset, value) => {
                assert_eq!(plic.load(offset, Word, &mut bench), Ok(value), "{name}, step {at}");
            }
        }
        assert_eq!(bench.take(), told, "{name}, step {at}");
    }
}

#[test]
fn interrupt_flow() {
    story(
        "PLIC 1.0.0, \"Interrupt Flow\"",
        [
            (Store(4 * 10, 1), vec![]),
            (Store(enable(0, 0), 1 << 10), vec![]),
            (Source(10, true), vec![machine(0, true)]),
            (Gives(PENDING, 1 << 10), vec![]),
            (Gives(claim(0), 10), vec![machine(0, false)]),
            (Gives(PENDING, 0), vec![]),
            (Gives(claim(0), 0), vec![]),
            (Source(10, false), vec![]),
            (Store(claim(0), 10), vec![]),
            (Gives(PENDING, 0), vec![]),
        ],
    );
}

#[test]
fn gateways() {
    let enabled = || [(Store(4 * 10, 1), vec![]), (Store(enable(0, 0), 1 << 10), vec![])].into_iter();
    story(
        "\"Interrupt Gateways\": a level that stays asserted is a new request after the completion",
        enabled().chain([
            (Source(10, true), vec![machine(0, true)]),
            (Gives(claim(0), 10), vec![machine(0, false)]),
            (Source(10, true), vec![]),
            (Gives(PENDING, 0), vec![]),
            (Store(claim(0), 10), vec![machine(0, true)]),
            (Gives(PENDING, 1 << 10), vec![]),
        ]),
    );
    story(
        "\"Interrupt Gateways\": a request is not retracted when the level falls",
        enabled().chain([
            (Source(10, true), vec![machine(0, true)]),
            (Source(10, false), vec![]),
            (Gives(PENDING, 1 << 10), vec![]),
            (Gives(claim(0), 10), vec![machine(0, false)]),
        ]),
    );
    story(
        "a level that fell and rose while it was served",
        enabled().chain([
            (Source(10, true), vec![machine(0, true)]),
            (Gives(claim(0), 10), vec![machine(0, false)]),
            (Source(10, false), vec![]),
            (Source(10, true), vec![]),
            (Store(claim(0), 10), vec![machine(0, true)]),
        ]),
    );
}

#[test]
fn priorities() {
    story(
        "\"Interrupt Priorities\": the highest first, among equals the lowest number",
        [
            (Store(4 * 3, 2), vec![]),
            (Store(4 * 40, 5), vec![]),
            (Store(4 * 41, 5), vec![]),
            (Store(4 * 96, 2), vec![]),
            (Store(enable(1, 0), u32::MAX), vec![]),
            (Store(enable(1, 1), u32::MAX), vec![]),
            (Store(enable(1, 3), u32::MAX), vec![]),
            (Source(96, true), vec![supervisor(0, true)]),
            (Source(3, true), vec![]),
            (Source(41, true), vec![]),
            (Source(40, true), vec![]),
            (Gives(PENDING + 12, 1), vec![]),
            (Gives(claim(1), 40), vec![]),
            (Gives(claim(1), 41), vec![]),
            (Gives(claim(1), 3), vec![]),
            (Gives(claim(1), 96), vec![supervisor(0, false)]),
            (Gives(claim(1), 0), vec![]),
        ],
    );
    story(
        "\"Interrupt Priorities\": priority 0 never interrupts",
        [
            (Store(enable(0, 0), 1 << 7), vec![]),
            (Source(7, true), vec![]),
            (Gives(PENDING, 1 << 7), vec![]),
            (Gives(claim(0), 0), vec![]),
            (Store(4 * 7, 1), vec![machine(0, true)]),
            (Store(4 * 7, 0), vec![machine(0, false)]),
        ],
    );
    story(
        "\"Interrupt Priorities\": WARL, three variable bits; source 0 does not exist",
        [
            (Store(4, 0xffff_ffff), vec![]),
            (Gives(4, 7), vec![]),
            (Store(4, 8), vec![]),
            (Gives(4, 0), vec![]),
            (Store(0, 3), vec![]),
            (Gives(0, 0), vec![]),
            (Store(4 * 97, 3), vec![]),
            (Gives(4 * 97, 0), vec![]),
        ],
    );
}

#[test]
fn thresholds() {
    story(
        "\"Priority Thresholds\": only what is over the threshold interrupts; a claim takes it all the same",
        [
            (Store(4 * 10, 3), vec![]),
            (Store(enable(2, 0), 1 << 10), vec![]),
            (Store(threshold(2), 3), vec![]),
            (Source(10, true), vec![]),
            (Store(threshold(2), 2), vec![machine(1, true)]),
            (Store(threshold(2), 7), vec![machine(1, false)]),
            (Gives(threshold(2), 7), vec![]),
            (Gives(claim(2), 10), vec![]),
            (Store(threshold(2), 0xff08), vec![]),
            (Gives(threshold(2), 0), vec![]),
        ],
    );
}

#[test]
fn enables() {
    story(
        "\"Interrupt Enables\": a bit for each source that exists, of each context alone",
        [
            (Store(enable(0, 0), u32::MAX), vec![]),
            (Gives(enable(0, 0), 0xffff_fffe), vec![]),
            (Gives(enable(1, 0), 0), vec![]),
            (Store(enable(3, 3), u32::MAX), vec![]),
            (Gives(enable(3, 3), 1), vec![]),
            (Store(enable(3, 4), u32::MAX), vec![]),
            (Gives(enable(3, 4), 0), vec![]),
            (Store(enable(4, 0), u32::MAX), vec![]),
            (Gives(enable(4, 0), 0), vec![]),
        ],
    );
    story(
        "every target that enables a source is notified, the first claim wins",
        [
            (Store(4 * 10, 1), vec![]),
            (Source(10, true), vec![]),
            (Store(enable(0, 0), 1 << 10), vec![machine(0, true)]),
            (Store(enable(3, 0), 1 << 10), vec![supervisor(1, true)]),
            (Gives(claim(3), 10), vec![machine(0, false), supervisor(1, false)]),
            (Gives(claim(0), 0), vec![]),
        ],
    );
    story(
        "a source that is disabled again interrupts no more, but stays pending",
        [
            (Store(4 * 10, 1), vec![]),
            (Store(enable(0, 0), 1 << 10), vec![]),
            (Source(10, true), vec![machine(0, true)]),
            (Store(enable(0, 0), 0), vec![machine(0, false)]),
            (Gives(PENDING, 1 << 10), vec![]),
        ],
    );
}

#[test]
fn completions() {
    story(
        "\"Interrupt Completion\": ignored where the source is not enabled for the context",
        [
            (Store(4 * 10, 1), vec![]),
            (Store(enable(0, 0), 1 << 10), vec![]),
            (Source(10, true), vec![machine(0, true)]),
            (Gives(claim(0), 10), vec![machine(0, false)]),
            (Store(claim(1), 10), vec![]),
            (Store(claim(0), 11), vec![]),
            (Store(claim(0), 0), vec![]),
            (Store(claim(0), 0xffff_ffff), vec![]),
            (Gives(PENDING, 0), vec![]),
            (Store(claim(0), 10), vec![machine(0, true)]),
        ],
    );
    story(
        "a completion of what is not being served changes nothing",
        [
            (Store(4 * 10, 1), vec![]),
            (Store(enable(0, 0), 1 << 10), vec![]),
            (Source(10, true), vec![machine(0, true)]),
            (Store(claim(0), 10), vec![]),
            (Gives(PENDING, 1 << 10), vec![]),
            (Gives(claim(0), 10), vec![machine(0, false)]),
        ],
    );
}

#[test]
fn pending_bits_are_read_only_and_reserved_registers_are_zero() {
    story(
        "\"Interrupt Pending Bits\", \"Memory Map\"",
        [
            (Store(PENDING, u32::MAX), vec![]),
            (Gives(PENDING, 0), vec![]),
            (Store(0x1080, u32::MAX), vec![]),
            (Gives(0x1080, 0), vec![]),
            (Store(0x1f_2000, u32::MAX), vec![]),
            (Gives(0x1f_2000, 0), vec![]),
            (Store(threshold(0) + 8, u32::MAX), vec![]),
            (Gives(threshold(0) + 8, 0), vec![]),
            (Store(threshold(1023), 7), vec![]),
            (Gives(threshold(1023), 0), vec![]),
            (Gives(claim(1023), 0), vec![]),
            (Source(0, true), vec![]),
            (Source(97, true), vec![]),
            (Source(u32::MAX, true), vec![]),
            (Gives(PENDING, 0), vec![]),
            (Gives(PENDING + 12, 0), vec![]),
        ],
    );
}

#[test]
fn only_aligned_words_are_answered() {
    let table =
        [(4, Byte), (4, Half), (0, Double), (8, Double), (2, Word), (0x60_0000, Word), (u64::MAX - 3, Word)];
    for (offset, width) in table {
        let (mut plic, mut bench) = (Plic::new(1), Bench::new());
        assert_eq!(plic.load(offset, width, &mut bench), Err(Refusal::Fault), "{offset:#x} {width:?}");
        assert_eq!(plic.store(offset, width, 1, &mut bench), Err(Refusal::Fault), "{offset:#x} {width:?}");
    }
}

/// A PLIC whose sources follow the input's bytes, so that the hail reaches them, too.
struct Wired(Plic);

impl Device for Wired {
    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn load(&mut self, offset: u64, width: Width, outside: &mut dyn Outside) -> Result<u64, Refusal> {
        self.0.load(offset, width, outside)
    }

    fn store(&mut self, at: u64, width: Width, value: u64, outside: &mut dyn Outside) -> Result<(), Refusal> {
        self.0.store(at, width, value, outside)
    }

    fn input(&mut self, bytes: &[u8], outside: &mut dyn Outside) -> Result<(), Blocked> {
        for &byte in bytes {
            self.0.set_source(u32::from(byte >> 1), byte & 1 != 0, outside);
        }
        Ok(())
    }

    fn input_room(&self) -> usize {
        usize::MAX
    }

    fn write_state(&self, into: &mut Vec<u8>) {
        self.0.write_state(into);
    }

    fn read_state(&mut self, from: &mut StateReader<'_>) -> Result<(), StateError> {
        self.0.read_state(from)
    }
}

#[test]
fn random_accesses_have_defined_answers() {
    let offset = |random: &mut Random| {
        let at = match random.below(5) {
            0 => random.below(0x60_0010),
            1 => random.below(0x190),
            2 => PENDING + random.below(0x20),
            3 => enable(random.below(7), random.below(5)),
            _ => threshold(random.below(7)) + 4 * random.below(3),
        };
        if random.below(8) == 0 { at } else { at & !3 }
    };
    hail(
        1_000_000,
        || Wired(Plic::new(3)),
        offset,
        |random| {
            if random.below(3) == 0 { random.below(100) } else { random.value() }
        },
    );
}
