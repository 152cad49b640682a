//! HTIF: tables of accesses, and a hail of random ones.

use super::*;
use crate::testing::{Bench, MEMORY, Random, Told, hail, state};
use Width::{Byte, Double, Half, Word};

const CALL: u64 = MEMORY + 0x100;
const TEXT: u64 = MEMORY + 0x200;

fn tohost(htif: &mut Htif, value: u64, bench: &mut Bench) -> Result<(), Refusal> {
    htif.store(TOHOST, Double, value, bench)
}

fn fromhost(htif: &mut Htif, bench: &mut Bench) -> u64 {
    htif.load(FROMHOST, Double, bench).unwrap()
}

fn put(bench: &mut Bench, address: u64, words: &[u64]) {
    for (word, at) in words.iter().zip((address - MEMORY..).step_by(8)) {
        bench.memory[at as usize..][..8].copy_from_slice(&word.to_le_bytes());
    }
}

fn result(bench: &Bench) -> u64 {
    u64::from_le_bytes(bench.memory[0x100..0x108].try_into().unwrap())
}

#[test]
fn commands_end_the_run_or_print() {
    let stop = |outcome| vec![Told::Stop(outcome)];
    let table = [
        (1, stop(Outcome::Passed)),
        (3, stop(Outcome::Failed(1))),
        (1337 << 1 | 1, stop(Outcome::Failed(1337))),
        (u64::MAX, stop(Outcome::Failed(u64::MAX >> 1))),
        (0x0101_0000_0000_0041, vec![Told::Output(b"A".to_vec())]),
        (0x0101_0000_0000_0100, vec![Told::Output(b"\0".to_vec())]),
        (0x0100_0000_0000_0001, vec![]),
        (0x0102_0000_0000_0001, vec![]),
        (0x0200_0000_0000_0002, vec![]),
        (0x0001_0000_0000_0002, vec![]),
        (0, vec![]),
    ];
    for (value, expected) in table {
        let (mut htif, mut bench) = (Htif::new(), Bench::new());
        assert_eq!(tohost(&mut htif, value, &mut bench), Ok(()), "{value:#x}");
        assert_eq!(bench.take(), expected, "{value:#x}");
        assert_eq!(htif.load(TOHOST, Double, &mut bench), Ok(0), "{value:#x} is consumed");
        assert_eq!(fromhost(&mut htif, &mut bench), 0, "{value:#x} has no answer");
    }
}

#[test]
fn the_store_to_the_low_word_gives_the_command() {
    type Store = (u64, Width, u64);
    let table: [(&str, &[Store], &[Told]); 5] = [
        ("low word alone", &[(0, Word, 7)], &[Told::Stop(Outcome::Failed(3))]),
        ("low, then high", &[(0, Word, 1), (4, Word, 0)], &[Told::Stop(Outcome::Passed)]),
        ("high, then low", &[(4, Word, 0x0101_0000), (0, Word, 0x42)], &[Told::Output(vec![0x42])]),
        ("halfwords and bytes", &[(6, Half, 0x0101), (0, Byte, 0x43)], &[Told::Output(vec![0x43])]),
        ("high word alone", &[(4, Word, 0x0101_0000)], &[]),
    ];
    for (what, stores, expected) in table {
        let (mut htif, mut bench) = (Htif::new(), Bench::new());
        for &(offset, width, value) in stores {
            assert_eq!(htif.store(offset, width, value, &mut bench), Ok(()), "{what}");
        }
        assert_eq!(bench.take(), expected, "{what}");
    }
}

#[test]
fn system_calls() {
    let printed = |text: &[u8]| vec![Told::Output(text.to_vec())];
    let table: [(&[u64], u64, Vec<Told>); 11] = [
        (&[64, 1, TEXT, 5], 5, printed(b"hello")),
        (&[64, 2, TEXT, 5], 5, printed(b"hello")),
        (&[64, 1, TEXT, 0], 0, vec![]),
        (&[64, 1, 0, 0], 0, vec![]),
        (&[64, 0, TEXT, 5], error::EBADF, vec![]),
        (&[64, 3, TEXT, 5], error::EBADF, vec![]),
        (&[64, 1, 0, 5], error::EFAULT, vec![]),
        (&[64, 1, u64::MAX, 5], error::EFAULT, vec![]),
        (&[64, 1, MEMORY + 0xfff0, u64::MAX], error::EFAULT, vec![]),
        (&[63, 0, TEXT, 5], error::ENOSYS, vec![]),
        (&[u64::MAX], error::ENOSYS, vec![]),
    ];
    for (call, expected, told) in table {
        let (mut htif, mut bench) = (Htif::new(), Bench::new());
        bench.memory[0x200..0x205].copy_from_slice(b"hello");
        put(&mut bench, CALL, call);
        assert_eq!(tohost(&mut htif, CALL, &mut bench), Ok(()), "{call:x?}");
        assert_eq!(result(&bench), expected, "{call:x?}");
        assert_eq!(bench.take(), told, "{call:x?}");
        assert_eq!(fromhost(&mut htif, &mut bench), 1, "{call:x?}");
    }
}

#[test]
fn exit_ends_the_run() {
    for (code, outcome) in [(0, Outcome::Passed), (7, Outcome::Failed(7))] {
        let (mut htif, mut bench) = (Htif::new(), Bench::new());
        put(&mut bench, CALL, &[93, code]);
        assert_eq!(tohost(&mut htif, CALL, &mut bench), Ok(()));
        assert_eq!(bench.take(), [Told::Stop(outcome)]);
    }
}

#[test]
fn a_long_write_is_cut() {
    let (mut htif, mut bench) = (Htif::new(), Bench::new());
    put(&mut bench, CALL, &[64, 1, TEXT, 20_000]);
    assert_eq!(tohost(&mut htif, CALL, &mut bench), Ok(()));
    assert_eq!(result(&bench), WRITE_MAX);
    let whole = bench.memory[0x200..][..WRITE_MAX as usize].to_vec();
    assert_eq!(bench.take(), [Told::Output(whole)]);
}

#[test]
fn a_call_outside_of_memory_is_an_access_fault() {
    let (mut htif, mut bench) = (Htif::new(), Bench::new());
    for address in [2, MEMORY - 8, MEMORY + 0xffc8, 0xffff_ffff_fffe] {
        assert_eq!(tohost(&mut htif, address, &mut bench), Err(Refusal::Fault), "{address:#x}");
        assert_eq!(bench.take(), []);
    }
}

/// ORD-4: the store is run again from the start, so a blocked one must not have done anything.
#[test]
fn ord_4_a_blocked_call_does_nothing_until_it_holds_all_its_memory() {
    let (mut htif, mut bench) = (Htif::new(), Bench::new());
    bench.memory[0x200..0x205].copy_from_slice(b"hello");
    put(&mut bench, CALL, &[64, 1, TEXT, 5]);
    let (device, memory) = (state(&htif), bench.memory.clone());
    for grants in 0..3 {
        bench.grants = grants;
        assert_eq!(tohost(&mut htif, CALL, &mut bench), Err(Refusal::Blocked), "{grants} grants");
        assert_eq!(bench.take(), [], "{grants} grants");
        assert_eq!(bench.memory, memory, "{grants} grants");
        assert_eq!(state(&htif), device, "{grants} grants");
    }
    bench.grants = 3;
    assert_eq!(tohost(&mut htif, CALL, &mut bench), Ok(()));
    assert_eq!(bench.take(), [Told::Output(b"hello".to_vec())]);
}

#[test]
fn reads_wait_for_input_and_answers_for_the_word() {
    let (mut htif, mut bench) = (Htif::new(), Bench::new());
    let read = 0x0100_0000_0000_0000;
    assert!(!htif.reads_console());
    tohost(&mut htif, read, &mut bench).unwrap();
    assert!(htif.reads_console());
    assert_eq!(fromhost(&mut htif, &mut bench), 0, "nothing to read yet");
    assert_eq!(htif.input(b"ab", &mut bench), Ok(()));
    assert_eq!(fromhost(&mut htif, &mut bench), 0x0100_0000_0000_0161);
    tohost(&mut htif, read, &mut bench).unwrap();
    put(&mut bench, CALL, &[1000]);
    tohost(&mut htif, CALL, &mut bench).unwrap();
    assert_eq!(fromhost(&mut htif, &mut bench), 0x0100_0000_0000_0161, "stays until it is taken");
    htif.store(FROMHOST, Double, 0, &mut bench).unwrap();
    assert_eq!(fromhost(&mut htif, &mut bench), 1, "the answer of the system call");
    htif.store(FROMHOST, Double, 0, &mut bench).unwrap();
    assert_eq!(fromhost(&mut htif, &mut bench), 0x0100_0000_0000_0162);
    htif.store(FROMHOST, Double, 0, &mut bench).unwrap();
    assert_eq!(fromhost(&mut htif, &mut bench), 0, "nobody reads any more");
    assert_eq!(bench.take(), []);
}

#[test]
fn answers_that_nobody_takes_do_not_pile_up() {
    let (mut htif, mut bench) = (Htif::new(), Bench::new());
    put(&mut bench, CALL, &[1000]);
    for _ in 0..10_000 {
        tohost(&mut htif, CALL, &mut bench).unwrap();
    }
    assert!(state(&htif).len() < 1000);
}

#[test]
fn accesses_that_leave_the_words_fault() {
    for (offset, width) in [(1, Double), (6, Word), (7, Half), (15, Half), (16, Byte), (u64::MAX, Byte)] {
        let (mut htif, mut bench) = (Htif::new(), Bench::new());
        assert_eq!(htif.load(offset, width, &mut bench), Err(Refusal::Fault), "{offset} {width:?}");
        assert_eq!(htif.store(offset, width, 1, &mut bench), Err(Refusal::Fault), "{offset} {width:?}");
    }
}

#[test]
fn random_accesses_have_defined_answers() {
    let offset = |random: &mut Random| match random.below(8) {
        0 => random.value(),
        1 => random.below(20),
        2..5 => FROMHOST,
        _ => TOHOST,
    };
    let value = |random: &mut Random| match random.below(8) {
        0 => CALL + 8 * random.below(8),
        1 => MEMORY + random.below(0x1_0100),
        2 => 0x0100_0000_0000_0000 | random.below(3) << 48 | random.below(256),
        3 => 0,
        _ => random.value(),
    };
    hail(1_000_000, Htif::new, offset, value);
}
