//! The CLINT: tables of accesses, and a hail of random ones.

use super::*;
use crate::testing::{Bench, Told, hail};
use Width::{Byte, Double, Half, Word};

const HART: usize = 5;
const MSIP: u64 = registers::MSIP + 4 * HART as u64;
const MTIMECMP: u64 = registers::MTIMECMP + 8 * HART as u64;
use registers::MTIME;

/// One store, what it told, and then one load.
struct Row {
    section: &'static str,
    store: (u64, Width, u64),
    told: Vec<Told>,
    load: (u64, Width),
    gives: u64,
}

fn row(
    section: &'static str,
    store: (u64, Width, u64),
    told: impl IntoIterator<Item = Told>,
    load: (u64, Width),
    gives: u64,
) -> Row {
    Row { section, store, told: told.into_iter().collect(), load, gives }
}

/// The rows are done one after the other, on one device whose clock starts at 1000.
#[test]
fn registers_of_the_own_hart() {
    let soft = |level| Told::Line(HART, lines::MSIP, level);
    let rows = [
        row("ACLINT 3.2: bit 0 raises", (MSIP, Word, 1), [soft(true)], (MSIP, Word), 1),
        row("no change, no signal", (MSIP, Word, 1), [], (MSIP, Word), 1),
        row("ACLINT 3.2: the upper 31 bits are zero", (MSIP, Word, !1), [soft(false)], (MSIP, Word), 0),
        row(
            "ACLINT 2.3: doubleword",
            (MTIMECMP, Double, 0x1_0000_0002),
            [Told::Deadline(HART, 0x1_0000_0002)],
            (MTIMECMP, Double),
            0x1_0000_0002,
        ),
        row(
            "ACLINT 2.3: low word",
            (MTIMECMP, Word, 0xffff_ffff_1234_5678),
            [Told::Deadline(HART, 0x1_1234_5678)],
            (MTIMECMP + 4, Word),
            1,
        ),
        row(
            "ACLINT 2.3: high word",
            (MTIMECMP + 4, Word, 9),
            [Told::Deadline(HART, 0x9_1234_5678)],
            (MTIMECMP, Word),
            0x1234_5678,
        ),
        row("ACLINT 2.2: read", (MSIP, Word, 0), [], (MTIME, Double), 1000),
        row("ACLINT 2.2: read", (MSIP, Word, 0), [], (MTIME + 4, Word), 0),
        row(
            "ACLINT 2.2: write",
            (MTIME, Double, 7 << 32 | 8),
            [Told::SetClock(7 << 32 | 8)],
            (MTIME, Word),
            8,
        ),
        row("low word", (MTIME, Word, 3), [Told::SetClock(7 << 32 | 3)], (MTIME, Double), 7 << 32 | 3),
        row("high word", (MTIME + 4, Word, 0), [Told::SetClock(3)], (MTIME, Double), 3),
        row("another hart's", (MSIP + 4, Word, 1), [], (MSIP + 4, Word), 0),
        row("another hart's", (MTIMECMP - 8, Double, 1), [], (MTIMECMP - 8, Double), 0),
        row("no hart's at all", (0x3ffc, Word, 1), [], (0x3ffc, Word), 0),
    ];
    let (mut clint, mut bench) = (Clint::new(HART), Bench::new());
    bench.clock = 1000;
    for Row { section, store: (offset, width, value), told, load, gives } in rows {
        let what = format!("{section}: {width:?} of {value:#x} to {offset:#x}");
        assert_eq!(clint.store(offset, width, value, &mut bench), Ok(()), "{what}");
        assert_eq!(bench.take(), told, "{what}");
        assert_eq!(clint.load(load.0, load.1, &mut bench), Ok(gives), "{what}");
        assert_eq!(bench.take(), [], "{what}: a load tells nothing");
    }
}

#[test]
fn no_deadline_after_reset() {
    let (mut clint, mut bench) = (Clint::new(HART), Bench::new());
    assert_eq!(clint.load(MTIMECMP, Double, &mut bench), Ok(u64::MAX));
    assert_eq!(clint.load(MSIP, Word, &mut bench), Ok(0));
}

#[test]
fn other_widths_and_offsets_fault() {
    let table = [
        (MSIP, Byte),
        (MSIP, Half),
        (0, Double),
        (MSIP + 2, Word),
        (MTIMECMP, Byte),
        (MTIMECMP, Half),
        (MTIMECMP + 4, Double),
        (MTIME, Half),
        (MTIME + 4, Double),
        (0xc000, Word),
        (0xfff8, Double),
    ];
    for (offset, width) in table {
        let (mut clint, mut bench) = (Clint::new(HART), Bench::new());
        assert_eq!(clint.load(offset, width, &mut bench), Err(Refusal::Fault), "{offset:#x} {width:?}");
        assert_eq!(clint.store(offset, width, 1, &mut bench), Err(Refusal::Fault), "{offset:#x} {width:?}");
        assert_eq!(bench.take(), [], "{offset:#x} {width:?}");
    }
}

#[test]
fn random_accesses_have_defined_answers() {
    let around = [MSIP, MTIMECMP, MTIME, 0];
    hail(
        1_000_000,
        || Clint::new(HART),
        |random| match random.below(4) {
            0 => random.below(0x1_0000),
            _ => around[random.below(4) as usize] + random.below(16),
        },
        |random| random.value(),
    );
}
