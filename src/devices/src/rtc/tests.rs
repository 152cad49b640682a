//! The real-time clock: a story, and a hail of random accesses.

use super::*;
use crate::testing::{Bench, Told, hail, state};
use Width::{Byte, Double, Word};

const SOURCE: u32 = 11;

fn load(rtc: &mut Rtc, offset: u64, bench: &mut Bench) -> u64 {
    rtc.load(offset, Word, bench).expect("a register")
}

fn store(rtc: &mut Rtc, offset: u64, value: u64, bench: &mut Bench) {
    assert_eq!(rtc.store(offset, Word, value, bench), Ok(()));
}

fn time(rtc: &mut Rtc, bench: &mut Bench) -> u64 {
    let low = load(rtc, 0, bench);
    load(rtc, 4, bench) << 32 | low
}

#[test]
fn the_host_is_asked_once_and_time_goes_on_with_the_clock() {
    let (mut rtc, mut bench) = (Rtc::new(SOURCE, 100), Bench::new());
    bench.clock = 50;
    bench.answer = Some(1_700_000_000_123_456_789_u64.to_le_bytes().to_vec());
    assert_eq!(time(&mut rtc, &mut bench), 1_700_000_000_123_456_789);
    assert_eq!(bench.take(), [Told::Asked(vec![])]);
    bench.clock = 60;
    assert_eq!(time(&mut rtc, &mut bench), 1_700_000_000_123_457_789);
    assert_eq!(bench.take(), []);
    store(&mut rtc, 4, 7, &mut bench);
    store(&mut rtc, 0, 9, &mut bench);
    bench.clock = 61;
    assert_eq!(time(&mut rtc, &mut bench), (7 << 32) + 109);
    assert_eq!(bench.take(), []);
}

#[test]
fn a_host_without_a_clock_begins_at_zero() {
    let (mut rtc, mut bench) = (Rtc::new(SOURCE, 100), Bench::new());
    (bench.clock, bench.answer) = (1_000, Some(vec![]));
    assert_eq!(time(&mut rtc, &mut bench), 0);
    bench.clock = 1_001;
    assert_eq!(time(&mut rtc, &mut bench), 100);
}

#[test]
fn an_alarm_goes_off_at_the_next_access_after_its_time() {
    let (mut rtc, mut bench) = (Rtc::new(SOURCE, 1), Bench::new());
    bench.answer = Some(vec![]);
    store(&mut rtc, 0x10, 1, &mut bench);
    store(&mut rtc, 0x0c, 0, &mut bench);
    store(&mut rtc, 0x08, 500, &mut bench);
    assert_eq!(load(&mut rtc, 0x18, &mut bench), 1);
    bench.take();
    bench.clock = 500;
    assert_eq!(load(&mut rtc, 0x18, &mut bench), 0);
    assert_eq!(bench.take(), [Told::Raise(SOURCE, true)]);
    store(&mut rtc, 0x1c, 0, &mut bench);
    assert_eq!(bench.take(), [Told::Raise(SOURCE, false)]);
}

#[test]
fn an_alarm_goes_off_by_itself_at_its_time() {
    let (mut rtc, mut bench) = (Rtc::new(SOURCE, 100), Bench::new());
    (bench.clock, bench.answer) = (10, Some(1_000_000_u64.to_le_bytes().to_vec()));
    store(&mut rtc, 0x10, 1, &mut bench);
    store(&mut rtc, 0x0c, 0, &mut bench);
    store(&mut rtc, 0x08, 1_000_950, &mut bench);
    let told = bench.take();
    assert_eq!(told.last(), Some(&Told::Alarm(20)), "the first tick that is not before it");
    assert_eq!(rtc.input(&19_u64.to_le_bytes(), &mut bench), Ok(()));
    assert_eq!(rtc.input(&[20], &mut bench), Ok(()));
    assert_eq!(bench.take(), [], "not before its time");
    assert_eq!(rtc.input(&20_u64.to_le_bytes(), &mut bench), Ok(()));
    assert_eq!(bench.take(), [Told::Raise(SOURCE, true)]);
    assert_eq!(rtc.input(&21_u64.to_le_bytes(), &mut bench), Ok(()));
    assert_eq!(bench.take(), [], "once");
    store(&mut rtc, 0x08, 2_000_000, &mut bench);
    store(&mut rtc, 0x00, 1_999_000, &mut bench);
    assert_eq!(bench.take(), [Told::Alarm(10_010), Told::Alarm(20)], "another time, another wait");
    store(&mut rtc, 0x14, 0, &mut bench);
    assert_eq!(bench.take(), [Told::Alarm(u64::MAX)], "it is taken back");
}

#[test]
fn other_widths_and_offsets_are_zero_and_beyond_them_is_a_fault() {
    let (mut rtc, mut bench) = (Rtc::new(SOURCE, 100), Bench::new());
    for (offset, width, expected) in
        [(0, Byte, Ok(0)), (0, Double, Ok(0)), (0x20, Word, Ok(0)), (0x1000, Word, Err(Refusal::Fault))]
    {
        assert_eq!(rtc.load(offset, width, &mut bench), expected);
        assert_eq!(rtc.store(offset, width, 1, &mut bench), expected.map(|_| ()));
    }
    assert_eq!(state(&rtc), state(&Rtc::new(SOURCE, 100)));
}

#[test]
fn random_accesses_have_defined_answers_and_the_state_is_all_there_is() {
    hail(200_000, || Rtc::new(SOURCE, 100), |random| random.below(0x24), |random| random.value());
}
