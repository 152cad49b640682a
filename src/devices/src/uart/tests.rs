//! The UART: tables of accesses, and a hail of random ones.

use super::*;
use crate::testing::{Bench, Random, Told, hail};
use Width::{Byte, Double, Word};

const SOURCE: u32 = 10;
const DATA: u64 = 0;
const IER: u64 = 1;
const IIR_FCR: u64 = 2;
const LCR: u64 = 3;
const MCR: u64 = 4;
const LSR: u64 = 5;
const MSR: u64 = 6;
const SCR: u64 = 7;

/// What happens to the port in one step of a story.
enum Does {
    Store(u64, u8),
    Gives(u64, u8),
    Input(&'static [u8]),
}
use Does::{Gives, Input, Store};

fn raised() -> Vec<Told> {
    vec![Told::Raise(SOURCE, true)]
}

fn lowered() -> Vec<Told> {
    vec![Told::Raise(SOURCE, false)]
}

fn output(bytes: &[u8]) -> Vec<Told> {
    vec![Told::Output(bytes.to_vec())]
}

/// Tells a story to a new port; every step says what the port tells the outside.
fn story(name: &str, steps: impl IntoIterator<Item = (Does, Vec<Told>)>) {
    let (mut uart, mut bench) = (Uart::new(SOURCE), Bench::new());
    for (at, (does, told)) in steps.into_iter().enumerate() {
        match does {
            Store(offset, value) => {
                let answer = uart.store(offset, Byte, value.into(), &mut bench);
                assert_eq!(answer, Ok(()), "{name}, step {at}");
            }
            Gives(offset, value) => {
                let answer = uart.load(offset, Byte, &mut bench);
                assert_eq!(answer, Ok(value.into()), "{name}, step {at}");
            }
            Input(bytes) => assert_eq!(uart.input(bytes, &mut bench), Ok(())),
        }
        assert_eq!(bench.take(), told, "{name}, step {at}");
    }
}

fn quiet(steps: impl IntoIterator<Item = Does>) -> impl Iterator<Item = (Does, Vec<Told>)> {
    steps.into_iter().map(|does| (does, vec![]))
}

#[test]
fn registers_after_a_reset() {
    story(
        "datasheet, table I: reset",
        quiet([
            Gives(IER, 0),
            Gives(IIR_FCR, 0x01),
            Gives(LCR, 0),
            Gives(MCR, 0),
            Gives(LSR, 0x60),
            Gives(MSR, 0xb0),
            Gives(DATA, 0),
        ]),
    );
}

#[test]
fn registers_hold_what_they_can() {
    story(
        "datasheet, table II",
        quiet([
            Store(SCR, 0xa5),
            Gives(SCR, 0xa5),
            Store(MCR, 0xef),
            Gives(MCR, 0x0f),
            Store(LCR, 0x7f),
            Gives(LCR, 0x7f),
            Store(LSR, 0xff),
            Gives(LSR, 0x60),
            Store(MSR, 0xff),
            Gives(MSR, 0xb0),
        ]),
    );
    story(
        "8.1, 8.3: the divisor latch",
        quiet([
            Store(LCR, 0x83),
            Store(DATA, 0x34),
            Store(IER, 0x12),
            Gives(DATA, 0x34),
            Gives(IER, 0x12),
            Gives(LSR, 0x60),
            Store(LCR, 0x03),
            Gives(DATA, 0),
            Gives(IER, 0),
        ]),
    );
}

#[test]
fn output_goes_out_at_once() {
    story(
        "8: transmitter",
        [(Store(DATA, b'h'), output(b"h")), (Gives(LSR, 0x60), vec![]), (Store(DATA, 0xff), output(&[0xff]))],
    );
}

#[test]
fn transmitter_interrupt() {
    story(
        "8.6, table IV: cleared by the identification, if it is the source, or set anew by a character",
        [
            (Store(IER, 2), raised()),
            (Gives(IIR_FCR, 0x02), lowered()),
            (Gives(IIR_FCR, 0x01), vec![]),
            (Store(DATA, b'x'), [output(b"x"), raised()].concat()),
            (Store(IER, 0), lowered()),
            (Store(IER, 2), raised()),
            (Gives(IIR_FCR, 0x02), lowered()),
            (Store(IER, 3), vec![]),
        ],
    );
    story(
        "8.6: the identification of another source clears nothing",
        [
            (Input(b"a"), vec![]),
            (Store(IER, 3), raised()),
            (Gives(IIR_FCR, 0x04), vec![]),
            (Gives(DATA, b'a'), vec![]),
            (Gives(IIR_FCR, 0x02), lowered()),
        ],
    );
}

#[test]
fn receiver_without_fifo() {
    story(
        "character mode: one character, the others wait",
        [
            (Store(IER, 1), vec![]),
            (Input(b"ab"), raised()),
            (Gives(IIR_FCR, 0x04), vec![]),
            (Gives(LSR, 0x61), vec![]),
            (Gives(DATA, b'a'), vec![]),
            (Gives(LSR, 0x61), vec![]),
            (Gives(DATA, b'b'), lowered()),
            (Gives(LSR, 0x60), vec![]),
            (Gives(DATA, 0), vec![]),
        ],
    );
}

#[test]
fn receiver_with_fifo() {
    story(
        "8.5, 8.6: trigger level and character timeout",
        [
            (Store(IIR_FCR, 0x41), vec![]),
            (Store(IER, 1), vec![]),
            (Input(b"abc"), raised()),
            (Gives(IIR_FCR, 0xcc), vec![]),
            (Input(b"de"), vec![]),
            (Gives(IIR_FCR, 0xc4), vec![]),
            (Gives(DATA, b'a'), vec![]),
            (Gives(IIR_FCR, 0xc4), vec![]),
            (Gives(DATA, b'b'), vec![]),
            (Gives(IIR_FCR, 0xcc), vec![]),
            (Gives(DATA, b'c'), vec![]),
            (Gives(DATA, b'd'), vec![]),
            (Gives(DATA, b'e'), lowered()),
            (Gives(IIR_FCR, 0xc1), vec![]),
        ],
    );
    for (control, trigger) in [(0x01, 1), (0x41, 4), (0x81, 8), (0xc1, 14)] {
        let (mut uart, mut bench) = (Uart::new(SOURCE), Bench::new());
        uart.store(IIR_FCR, Byte, control, &mut bench).unwrap();
        uart.store(IER, Byte, 1, &mut bench).unwrap();
        for count in 1..=20 {
            assert_eq!(uart.input(b"x", &mut bench), Ok(()));
            let expected = if count < trigger { 0xcc } else { 0xc4 };
            assert_eq!(uart.load(IIR_FCR, Byte, &mut bench), Ok(expected), "{control:#x}, {count}");
        }
    }
}

#[test]
fn input_beyond_the_fifo_waits_and_outlives_its_clearing() {
    story(
        "8.5: clearing the FIFO",
        quiet([
            Store(IIR_FCR, 0x01),
            Input(b"0123456789abcdefGHI"),
            Gives(DATA, b'0'),
            Store(IIR_FCR, 0x03),
            Gives(DATA, b'H'),
            Gives(DATA, b'I'),
            Gives(LSR, 0x60),
        ]),
    );
    story(
        "8.5: enabling empties the FIFO; without the enabling bit nothing else is taken",
        quiet([
            Input(b"ab"),
            Store(IIR_FCR, 0xc1),
            Gives(DATA, b'b'),
            Input(b"cd"),
            Store(IIR_FCR, 0x82),
            Gives(IIR_FCR, 0x01),
            Gives(LSR, 0x60),
        ]),
    );
}

#[test]
fn loopback() {
    story(
        "8.8: what is sent is received, nothing goes out, input waits",
        [
            (Store(MCR, 0x10), vec![]),
            (Input(b"z"), vec![]),
            (Gives(LSR, 0x60), vec![]),
            (Store(DATA, b'a'), vec![]),
            (Gives(LSR, 0x61), vec![]),
            (Gives(DATA, b'a'), vec![]),
            (Store(MCR, 0), vec![]),
            (Gives(DATA, b'z'), vec![]),
            (Store(DATA, b'b'), output(b"b")),
        ],
    );
    story(
        "8.8, 8.9: modem lines follow the outputs, and their changes interrupt",
        [
            (Store(MCR, 0x10), vec![]),
            (Gives(MSR, 0x0b), vec![]),
            (Store(IER, 8), vec![]),
            (Store(MCR, 0x12), raised()),
            (Gives(IIR_FCR, 0x00), vec![]),
            (Gives(MSR, 0x11), lowered()),
            (Gives(MSR, 0x10), vec![]),
            (Store(MCR, 0x11), raised()),
            (Gives(MSR, 0x23), lowered()),
            (Store(MCR, 0x14), raised()),
            (Gives(MSR, 0x42), lowered()),
            (Store(MCR, 0x10), raised()),
            (Gives(MSR, 0x04), lowered()),
            (Store(MCR, 0x18), raised()),
            (Gives(MSR, 0x88), lowered()),
        ],
    );
}

#[test]
fn overrun() {
    story(
        "8.4: without a FIFO the new character destroys the old one; line status has the highest priority",
        [
            (Store(MCR, 0x10), vec![]),
            (Store(IER, 7), raised()),
            (Gives(IIR_FCR, 0x02), lowered()),
            (Store(DATA, b'a'), raised()),
            (Gives(IIR_FCR, 0x04), vec![]),
            (Store(DATA, b'b'), vec![]),
            (Gives(IIR_FCR, 0x06), vec![]),
            (Gives(LSR, 0x63), vec![]),
            (Gives(LSR, 0x61), vec![]),
            (Gives(DATA, b'b'), vec![]),
            (Gives(IIR_FCR, 0x02), lowered()),
        ],
    );
    let (mut uart, mut bench) = (Uart::new(SOURCE), Bench::new());
    uart.store(IIR_FCR, Byte, 1, &mut bench).unwrap();
    uart.store(MCR, Byte, 0x10, &mut bench).unwrap();
    for byte in 0..17 {
        uart.store(DATA, Byte, byte, &mut bench).unwrap();
    }
    assert_eq!(uart.load(LSR, Byte, &mut bench), Ok(0x63), "the seventeenth character is lost");
    for byte in 0..16 {
        assert_eq!(uart.load(DATA, Byte, &mut bench), Ok(byte));
    }
    assert_eq!(uart.load(LSR, Byte, &mut bench), Ok(0x60));
}

#[test]
fn any_width_means_the_register_at_the_offset() {
    let (mut uart, mut bench) = (Uart::new(SOURCE), Bench::new());
    assert_eq!(uart.store(SCR, Double, 0x1234_5678_9abc_def0, &mut bench), Ok(()));
    assert_eq!(uart.load(SCR, Word, &mut bench), Ok(0xf0));
    assert_eq!(uart.store(DATA, Word, 0x4142_4344, &mut bench), Ok(()));
    assert_eq!(bench.take(), output(b"D"));
    for offset in [8, 0xff, u64::MAX] {
        assert_eq!(uart.load(offset, Byte, &mut bench), Err(Refusal::Fault));
        assert_eq!(uart.store(offset, Byte, 0, &mut bench), Err(Refusal::Fault));
    }
}

#[test]
fn room_for_input_ends_and_comes_back() {
    let (mut uart, mut bench) = (Uart::new(SOURCE), Bench::new());
    assert_eq!(uart.input_room(), WAITING_MAX);
    assert_eq!(uart.input(&vec![7; WAITING_MAX], &mut bench), Ok(()));
    assert_eq!(uart.input_room(), 1, "one byte moved up into the receiver");
    assert_eq!(uart.input(&[7; 100], &mut bench), Ok(()));
    assert_eq!(uart.input_room(), 0, "it takes more than it likes to");
    for _ in 0..WAITING_MAX + 100 {
        assert_eq!(uart.load(DATA, Byte, &mut bench), Ok(7));
    }
    assert_eq!(uart.load(LSR, Byte, &mut bench), Ok(0x60));
}

#[test]
fn random_accesses_have_defined_answers() {
    let offset = |random: &mut Random| match random.below(50) {
        0 => random.value(),
        _ => random.below(8),
    };
    // The divisor latch and the loopback would hide the rest if they were on half of the time.
    let value = |random: &mut Random| random.value() & if random.below(8) == 0 { !0 } else { !0x90 };
    hail(2_000_000, || Uart::new(SOURCE), offset, value);
}
