//! A hart's state as bytes.

use cantus_isa::Gpa;
use cantus_isa::Width;
use cantus_isa::riscv::csr::number::*;
use cantus_isa::riscv::hart::{Hart, Reservation, STATE_BYTES, StateError};
use cantus_isa::riscv::{Privilege, Privilege::*};

fn bytes(hart: &Hart) -> Vec<u8> {
    let mut bytes = Vec::new();
    hart.write_state(&mut bytes);
    bytes
}

/// Numbers that look random, the same in every run.
fn numbers(seed: u64) -> impl FnMut() -> u64 {
    let mut state = seed;
    move || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }
}

const LEVELS: [Privilege; 3] = [User, Supervisor, Machine];

/// A hart in any state that it can reach.
fn any(seed: u64) -> Hart {
    let mut next = numbers(seed);
    let mut hart = Hart::new(next() % 255);
    hart.x[1..].iter_mut().for_each(|register| *register = next());
    hart.f.iter_mut().for_each(|register| *register = next());
    hart.pc = next() & !1;
    hart.lines = next() as u32 & 0xaa8;
    for number in (0..0x1000).filter(|&number| number != PMPCFG0 && number != PMPCFG2) {
        if hart.csr_check(number, true).is_ok() {
            hart.csr_write(number, next(), next());
        }
    }
    hart.csr_write(PMPCFG0, next(), 0);
    hart.csr_write(PMPCFG2, next(), 0);
    hart.csr_write(SATP, (next() % 2) << 63 | next() >> 4, 0);
    hart.privilege = LEVELS[next() as usize % 3];
    hart.reservation = match next() % 3 {
        0 => None,
        1 => Some(Reservation { address: Gpa(next()), width: Width::Word, value: next() >> 32 }),
        _ => Some(Reservation { address: Gpa(next()), width: Width::Double, value: next() }),
    };
    hart
}

#[test]
fn reading_inverts_writing() {
    for seed in 0..300 {
        let hart = any(seed);
        let written = bytes(&hart);
        assert_eq!(written.len(), STATE_BYTES);
        assert_eq!(Hart::read_state(&written).as_ref(), Ok(&hart), "seed {seed}");
    }
    assert_eq!(Hart::read_state(&bytes(&Hart::new(7))), Ok(Hart::new(7)));
}

/// Whatever is read writes the same bytes again; hence different bytes are different harts, and back.
#[test]
fn rep_3_altered_bytes_are_another_hart_or_none() {
    let hart = any(1);
    let written = bytes(&hart);
    let (mut other, mut illegal) = (0, 0);
    for bit in 0..8 * STATE_BYTES {
        let mut altered = written.clone();
        altered[bit / 8] ^= 1 << (bit % 8);
        match Hart::read_state(&altered) {
            Ok(read) => {
                assert_ne!(read, hart, "bit {bit}");
                assert_eq!(bytes(&read), altered, "bit {bit}");
                other += 1;
            }
            Err(StateError::Illegal(word)) => {
                // The width of a reservation says whether there are the two words behind it.
                let blamed = if bit / 64 == 92 { word <= 94 } else { word <= bit / 64 };
                assert!(blamed, "bit {bit} is blamed on word {word}");
                illegal += 1;
            }
            Err(error) => panic!("{error}"),
        }
    }
    assert!(other > 4000 && illegal > 300, "{other} others, {illegal} illegal");
}

#[test]
fn rep_3_short_bytes_are_an_error() {
    let written = bytes(&any(2));
    for length in [0, 1, 8, STATE_BYTES - 1] {
        assert_eq!(Hart::read_state(&written[..length]), Err(StateError::Short(length)));
    }
    let mut longer = written.clone();
    longer.push(1);
    assert_eq!(Hart::read_state(&longer), Hart::read_state(&written));
}
