//! Physical memory protection (Privileged ISA, "Physical Memory Protection").

use super::read;
use cantus_isa::riscv::csr::number::*;
use cantus_isa::riscv::hart::Hart;
use cantus_isa::riscv::pmp::Permissions;
use cantus_isa::riscv::{
    Privilege, Privilege::Machine as M, Privilege::Supervisor as S, Privilege::User as U,
};

const R: u64 = 1;
const W: u64 = 2;
const X: u64 = 4;
const TOR: u64 = 1 << 3;
const NA4: u64 = 2 << 3;
const NAPOT: u64 = 3 << 3;
const LOCK: u64 = 1 << 7;

/// A hart with these entries: configuration, address register.
fn hart(entries: &[(u64, u64)]) -> Hart {
    let mut hart = Hart::new(0);
    for (at, &(_, address)) in entries.iter().enumerate() {
        hart.csr_write(PMPADDR0 + at as u16, address, 0);
    }
    let config = entries.iter().rev().fold(0, |word, &(config, _)| word << 8 | config);
    hart.csr_write(PMPCFG0, config, 0);
    hart
}

fn letters(permissions: Permissions) -> String {
    let Permissions { read, write, execute } = permissions;
    [(read, 'r'), (write, 'w'), (execute, 'x')]
        .iter()
        .map(|&(has, letter)| if has { letter } else { '-' })
        .collect()
}

#[test]
fn matching_and_priority() {
    #[rustfmt::skip]
    #[allow(clippy::type_complexity, reason = "a table")]
    let table: &[(&str, &[(u64, u64)], Privilege, u64, u64, &str)] = &[
        ("no entry, M", &[], M, 0x8000_0000, 8, "rwx"),
        ("no entry, S", &[], S, 0x8000_0000, 8, "---"),
        ("no entry, U", &[], U, 0x8000_0000, 8, "---"),
        ("off", &[(R | W | X, 0x2000_0000)], U, 0x8000_0000, 8, "---"),
        ("NA4, inside", &[(NA4 | R, 0x2000_0000)], U, 0x8000_0000, 4, "r--"),
        ("NA4, one byte", &[(NA4 | R, 0x2000_0000)], U, 0x8000_0003, 1, "r--"),
        ("NA4, beyond", &[(NA4 | R, 0x2000_0000)], U, 0x8000_0004, 4, "---"),
        ("NA4, before", &[(NA4 | R, 0x2000_0000)], U, 0x7fff_fffc, 4, "---"),
        ("NA4, part", &[(NA4 | R | W | X, 0x2000_0000)], U, 0x8000_0000, 8, "---"),
        ("NA4, part, even in M without lock", &[(NA4 | R | W | X, 0x2000_0000)], M, 0x8000_0000, 8, "---"),
        ("NAPOT of 8, both words", &[(NAPOT | R | X, 0x2000_0000)], U, 0x8000_0000, 8, "r-x"),
        ("NAPOT of 8, beyond", &[(NAPOT | R | X, 0x2000_0000)], U, 0x8000_0008, 1, "---"),
        ("NAPOT of 4 KiB", &[(NAPOT | R | W, 0x2000_0000 | 0x1ff)], U, 0x8000_0ff8, 8, "rw-"),
        ("NAPOT of 4 KiB, beyond", &[(NAPOT | R | W, 0x2000_0000 | 0x1ff)], U, 0x8000_1000, 1, "---"),
        ("NAPOT of everything", &[(NAPOT | X, u64::MAX)], S, 0x00ff_ffff_ffff_fff8, 8, "--x"),
        ("TOR from 0", &[(TOR | R, 0x100)], U, 0x3f8, 8, "r--"),
        ("TOR, at the top", &[(TOR | R, 0x100)], U, 0x400, 1, "---"),
        ("TOR between two", &[(0, 0x100), (TOR | W | R, 0x200)], U, 0x400, 8, "rw-"),
        ("TOR between two, below", &[(0, 0x100), (TOR | W | R, 0x200)], U, 0x3ff, 1, "---"),
        ("TOR, part", &[(0, 0x100), (TOR | W | R, 0x200)], U, 0x7fc, 8, "---"),
        ("TOR, empty", &[(0, 0x200), (TOR | R, 0x100)], U, 0x500, 4, "---"),
        ("TOR, equal bounds", &[(0, 0x100), (TOR | R, 0x100)], U, 0x400, 4, "---"),
        ("the first match decides", &[(NA4 | R, 0x100), (NAPOT | R | W | X, u64::MAX)], U, 0x400, 4, "r--"),
        ("the first match decides, elsewhere", &[(NA4 | R, 0x100), (NAPOT | R | W | X, u64::MAX)], U, 0x404, 4, "rwx"),
        ("the first match decides, part", &[(NA4 | R, 0x100), (NAPOT | R | W | X, u64::MAX)], U, 0x400, 8, "---"),
        ("unlocked does not bind M", &[(NA4, 0x100)], M, 0x400, 4, "rwx"),
        ("locked binds M", &[(NA4 | LOCK | X, 0x100)], M, 0x400, 4, "--x"),
        ("locked binds M, elsewhere not", &[(NA4 | LOCK | X, 0x100)], M, 0x404, 4, "rwx"),
        ("locked binds the others, too", &[(NA4 | LOCK | X, 0x100)], S, 0x400, 4, "--x"),
    ];
    for &(name, entries, level, address, bytes, expected) in table {
        assert_eq!(letters(hart(entries).pmp.permissions(level, address, bytes)), expected, "{name}");
    }
}

#[test]
fn pages_with_one_rule_and_with_several() {
    let uniform = |entries: &[(u64, u64)], level, page| hart(entries).pmp.of_page(level, page).map(letters);
    let everything = (NAPOT | R | W | X, u64::MAX);
    assert_eq!(uniform(&[], M, 0x8000_0000).as_deref(), Some("rwx"));
    assert_eq!(uniform(&[], U, 0x8000_0000).as_deref(), Some("---"));
    assert_eq!(uniform(&[everything], U, 0x8000_0000).as_deref(), Some("rwx"));
    assert_eq!(
        uniform(&[(NAPOT | R, 0x2000_0000 | 0x1ff), everything], U, 0x8000_0000).as_deref(),
        Some("r--")
    );
    assert_eq!(
        uniform(&[(NAPOT | R, 0x2000_0000 | 0x1ff), everything], U, 0x8000_1000).as_deref(),
        Some("rwx")
    );
    assert_eq!(uniform(&[(NA4 | R, 0x2000_0010), everything], U, 0x8000_0000), None);
    assert_eq!(uniform(&[(NA4 | R, 0x2000_0010)], M, 0x8000_0000), None);
    // A page that the first entry covers does not depend on the ones behind.
    assert_eq!(uniform(&[everything, (NA4 | R, 0x2000_0010)], U, 0x8000_0000).as_deref(), Some("rwx"));
    assert_eq!(uniform(&[(TOR | R, 0x2000_0100), everything], U, 0x8000_0000), None);
}

/// "Locking and Privilege Mode".
#[test]
fn locked_entries_do_not_change() {
    let mut hart = hart(&[(0, 0x100), (TOR | LOCK | R, 0x200), (NA4 | R, 0x300), (NA4 | LOCK, 0x400)]);
    let config = read(&hart, PMPCFG0);
    hart.csr_write(PMPCFG0, 0x1f1f_1f1f_1f1f_1f1f, 0);
    assert_eq!(read(&hart, PMPCFG0), 0x1f1f_1f1f_1f1f_1f1f & !0xff00_ff00 | config & 0xff00_ff00);
    for entry in 0..5 {
        hart.csr_write(PMPADDR0 + entry, 0x999, 0);
    }
    let addresses: Vec<u64> = (0..5).map(|entry| read(&hart, PMPADDR0 + entry)).collect();
    // The first is the lower bound of a locked TOR entry.
    assert_eq!(addresses, [0x100, 0x200, 0x999, 0x400, 0x999]);
}

#[test]
fn the_upper_eight_entries() {
    let mut hart = Hart::new(0);
    hart.csr_write(PMPADDR15, 0x2000_0000, 0);
    hart.csr_write(PMPCFG2, (NA4 | R) << 56, 0);
    assert_eq!(letters(hart.pmp.permissions(U, 0x8000_0000, 4)), "r--");
    assert_eq!(read(&hart, PMPCFG2), (NA4 | R) << 56);
    assert_eq!(read(&hart, PMPCFG0), 0);
}
