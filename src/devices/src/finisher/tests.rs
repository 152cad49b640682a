//! The test finisher: tables of accesses, and a hail of random ones.

use super::*;
use crate::testing::{Bench, Told, hail};
use Width::{Byte, Double, Half, Word};

#[test]
fn stores_end_the_run_as_on_qemu() {
    let table = [
        (0, Word, 0x5555, Ok(Some(Outcome::Passed))),
        (0, Half, 0x5555, Ok(Some(Outcome::Passed))),
        (0, Word, 0xabcd_5555, Ok(Some(Outcome::Passed))),
        (0, Word, 0x0001_3333, Ok(Some(Outcome::Failed(1)))),
        (0, Word, 0xffff_3333, Ok(Some(Outcome::Failed(0xffff)))),
        (0, Half, 0x0001_3333, Ok(Some(Outcome::Failed(0)))),
        (0, Word, 0x7777, Ok(Some(Outcome::Reset))),
        (0, Word, 0x1_0000_5555, Ok(Some(Outcome::Passed))),
        (0, Word, 0, Ok(None)),
        (0, Word, 0x5556, Ok(None)),
        (4, Word, 0x5555, Ok(None)),
        (0, Byte, 0x55, Err(Refusal::Fault)),
        (0, Double, 0x5555, Err(Refusal::Fault)),
    ];
    for (offset, width, value, expected) in table {
        let mut bench = Bench::new();
        let answer = Finisher::new().store(offset, width, value, &mut bench);
        let told = bench.take();
        let what = format!("{width:?} of {value:#x} to {offset:#x}");
        assert_eq!(answer, expected.map(|_| ()), "{what}");
        let outcome = expected.unwrap_or(None);
        assert_eq!(told, outcome.map(Told::Stop).into_iter().collect::<Vec<_>>(), "{what}");
    }
}

#[test]
fn reads_as_zero() {
    for (width, expected) in
        [(Half, Ok(0)), (Word, Ok(0)), (Byte, Err(Refusal::Fault)), (Double, Err(Refusal::Fault))]
    {
        assert_eq!(Finisher::new().load(0, width, &mut Bench::new()), expected);
    }
}

#[test]
fn random_accesses_have_defined_answers() {
    let commands = [0x3333, 0x5555, 0x7777];
    hail(
        1_000_000,
        Finisher::new,
        |random| random.value() & 0xfff,
        |random| (random.value() & !0xffff) | commands[random.below(3) as usize],
    );
}
