//! Walks of page tables (Privileged ISA, "Virtual Address Translation Process").

use cantus_isa::Gpa;
use cantus_isa::riscv::Privilege::{self, Machine as M, Supervisor as S, User as U};
use cantus_isa::riscv::csr::number::*;
use cantus_isa::riscv::hart::Hart;
use cantus_isa::riscv::pmp::Permissions;
use cantus_isa::riscv::trap::Exception;
use cantus_isa::riscv::walk::{Access, Access::Fetch, Access::Load, Access::Store, Walk};
use std::collections::BTreeMap;
use std::convert::Infallible;

const V: u64 = 1;
const R: u64 = 2;
const W: u64 = 4;
const X: u64 = 8;
const UB: u64 = 16;
const G: u64 = 32;
const A: u64 = 64;
const D: u64 = 128;

const ROOT: u64 = 0x8000_1000;
const SUM: u64 = 1 << 18;
const MXR: u64 = 1 << 19;

/// Tables in a memory that holds nothing else.
struct Tables {
    hart: Hart,
    memory: BTreeMap<u64, u64>,
}

fn entry(page: u64, bits: u64) -> u64 {
    page >> 12 << 10 | bits
}

impl Tables {
    /// `mode` is 8 for Sv39, 9 for Sv48. Protection permits everything.
    fn new(mode: u64) -> Self {
        let mut hart = Hart::new(0);
        hart.csr_write(SATP, mode << 60 | 0xabc << 44 | ROOT >> 12, 0);
        hart.csr_write(PMPADDR15, u64::MAX, 0);
        hart.csr_write(PMPCFG2, 0x1f << 56, 0);
        Self { hart, memory: BTreeMap::new() }
    }

    /// Maps `address` by `levels` tables, of which the last holds `leaf`; gives where the leaf stands.
    fn map(&mut self, top: u32, levels: u32, address: u64, leaf: u64) -> u64 {
        let mut table = ROOT;
        for level in (0..levels).rev() {
            let at = table + (address >> (12 + 9 * (top - levels + level)) & 0x1ff) * 8;
            if level == 0 {
                self.memory.insert(at, leaf);
                return at;
            }
            table += 0x1_0000;
            self.memory.insert(at, entry(table, V));
        }
        unreachable!("a walk has at least one level")
    }

    fn walk(&self, level: Privilege, access: Access, address: u64) -> Walk {
        let read = |at: Gpa| Ok::<_, Infallible>(self.memory.get(&at.0).copied());
        match self.hart.walk(level, access, address, read) {
            Ok(walk) => walk,
        }
    }
}

fn mapped(page: u64, letters: &str, shift: u32) -> Walk {
    let has = |letter| letters.contains(letter);
    let permissions = Permissions { read: has('r'), write: has('w'), execute: has('x') };
    Walk::Mapped { page: Gpa(page), permissions, shift, global: false }
}

fn global(walk: Walk) -> Walk {
    match walk {
        Walk::Mapped { page, permissions, shift, .. } => {
            Walk::Mapped { page, permissions, shift, global: true }
        }
        Walk::Update { .. } | Walk::Fault(_) => walk,
    }
}

const PAGE: u64 = 0x8765_4000;
const VIRTUAL: u64 = 0x12_3456_7abc;

#[test]
fn pages_and_superpages_of_sv39_and_sv48() {
    for (mode, top) in [(8, 3), (9, 4)] {
        for levels in 1..=top {
            let mut tables = Tables::new(mode);
            let shift = 12 + 9 * (top - levels);
            // The largest pages lie at 0, to be aligned.
            let base = 0x0080_8765_4000u64 >> shift << shift;
            tables.map(top, levels, VIRTUAL, entry(base, V | R | W | X | A | D | G));
            let page = base | VIRTUAL & ((1 << shift) - 1) & !0xfff;
            assert_eq!(
                tables.walk(S, Load, VIRTUAL),
                global(mapped(page, "rwx", shift)),
                "mode {mode}, {levels} levels"
            );
            if shift > 12 {
                tables.map(top, levels, VIRTUAL, entry(base | 1 << (shift - 1), V | R | W | X | A | D));
                assert_eq!(
                    tables.walk(S, Load, VIRTUAL),
                    Walk::Fault(Exception::LoadPage),
                    "misaligned superpage"
                );
            }
        }
    }
}

#[test]
fn without_translation_pages_are_themselves() {
    let mut tables = Tables::new(8);
    assert_eq!(tables.walk(M, Store, 0x8000_0123), mapped(0x8000_0000, "rwx", 0));
    tables.hart.csr_write(SATP, 0, 0);
    for level in [S, U] {
        assert_eq!(tables.walk(level, Fetch, u64::MAX), mapped(!0xfff, "rwx", 0));
    }
}

#[test]
fn addresses_must_be_canonical() {
    for (mode, bits) in [(8, 39), (9, 48)] {
        let tables = Tables::new(mode);
        // Canonical, but not mapped: the read of the table fails, for nothing is there.
        for address in [0, (1 << (bits - 1)) - 1, !0, !0 << (bits - 1)] {
            assert_eq!(tables.walk(S, Load, address), Walk::Fault(Exception::LoadAccess), "{address:#x}");
        }
        for address in [1 << (bits - 1), 1 << bits, 1 << 63, !(1 << bits), !(1 << 63), !0 >> 1] {
            assert_eq!(tables.walk(S, Load, address), Walk::Fault(Exception::LoadPage), "{address:#x}");
        }
    }
}

#[test]
fn kinds_of_faults() {
    for (access, page, fault) in [
        (Fetch, Exception::InstructionPage, Exception::InstructionAccess),
        (Load, Exception::LoadPage, Exception::LoadAccess),
        (Store, Exception::StorePage, Exception::StoreAccess),
    ] {
        let mut tables = Tables::new(8);
        assert_eq!(tables.walk(S, access, VIRTUAL), Walk::Fault(fault), "no memory there");
        tables.map(3, 3, VIRTUAL, 0);
        assert_eq!(tables.walk(S, access, VIRTUAL), Walk::Fault(page), "not valid");
        // Protection forbids to read the table.
        tables.hart.csr_write(PMPADDR0, ROOT >> 2 | 0x1ff, 0);
        tables.hart.csr_write(PMPCFG0, 0x18, 0);
        assert_eq!(tables.walk(S, access, VIRTUAL), Walk::Fault(fault), "protected");
    }
}

#[test]
fn malformed_entries() {
    let all = V | R | W | X | A | D;
    #[rustfmt::skip]
    let leaves: &[(u64, &str)] = &[
        (all & !V, "V = 0"),
        (V | W | A | D, "W without R"),
        (V | W | X | A | D, "W without R, with X"),
        (V, "a table at the last level"),
        (all | 1 << 63, "N, and a frame that says no size"),
        (all | 3 << 61, "PBMT = 3"),
        (all | 1 << 60, "reserved"),
        (all | 1 << 54, "reserved"),
    ];
    for &(bits, name) in leaves {
        let mut tables = Tables::new(8);
        tables.map(3, 3, VIRTUAL, entry(PAGE, bits));
        assert_eq!(tables.walk(S, Load, VIRTUAL), Walk::Fault(Exception::LoadPage), "{name}");
    }
    for (bits, name) in
        [(A, "A"), (D, "D"), (UB, "U"), (1 << 63, "N"), (1 << 61, "PBMT"), (1 << 54, "reserved")]
    {
        let mut tables = Tables::new(8);
        tables.map(3, 3, VIRTUAL, entry(PAGE, all));
        let first = ROOT + (VIRTUAL >> 30 & 0x1ff) * 8;
        *tables.memory.get_mut(&first).expect("the first entry") |= bits;
        assert_eq!(
            tables.walk(S, Load, VIRTUAL),
            Walk::Fault(Exception::LoadPage),
            "{name} in a table's entry"
        );
    }
}

/// What each level may do with each kind of page, with SUM and MXR. `!` is a page fault.
#[test]
fn permissions() {
    #[rustfmt::skip]
    let table: &[(u64, Privilege, u64, [char; 3])] = &[
        // Leaf, level, mstatus: fetch, load, store.
        (R | W | X, S, 0, ['+', '+', '+']),
        (R | W | X, U, 0, ['!', '!', '!']),
        (R, S, 0, ['!', '+', '!']),
        (R | W, S, 0, ['!', '+', '+']),
        (X, S, 0, ['+', '!', '!']),
        (X, S, MXR, ['+', '+', '!']),
        (R | X, S, 0, ['+', '+', '!']),
        (UB | R | W | X, U, 0, ['+', '+', '+']),
        (UB | R, U, 0, ['!', '+', '!']),
        (UB | X, U, 0, ['+', '!', '!']),
        (UB | X, U, MXR, ['+', '+', '!']),
        (UB | R | W | X, S, 0, ['!', '!', '!']),
        (UB | R | W | X, S, SUM, ['!', '+', '+']),
        (UB | X, S, SUM, ['!', '!', '!']),
        (UB | X, S, SUM | MXR, ['!', '+', '!']),
        (UB | R | W | X, U, SUM, ['+', '+', '+']),
        (R | W | X, U, SUM, ['!', '!', '!']),
    ];
    for &(bits, level, status, expected) in table {
        let mut tables = Tables::new(8);
        tables.hart.mstatus = status;
        tables.map(3, 3, VIRTUAL, entry(PAGE, bits | V | A | D));
        let found = [Fetch, Load, Store].map(|access| match tables.walk(level, access, VIRTUAL) {
            Walk::Mapped { page, .. } if page == Gpa(PAGE) => '+',
            Walk::Fault(fault) if fault == access.page_fault() => '!',
            Walk::Mapped { .. } | Walk::Update { .. } | Walk::Fault(_) => '?',
        });
        assert_eq!(found, expected, "leaf {bits:#x} in {level:?} with {status:#x}");
    }
}

/// The accessed bit is set by any access, the dirty bit by a store; both in one update.
#[test]
fn ord_4_accessed_and_dirty_bits_are_updates() {
    let leaf = entry(PAGE, V | R | W | X);
    #[rustfmt::skip]
    let table: &[(u64, Access, Option<u64>)] = &[
        (0, Fetch, Some(A)), (0, Load, Some(A)), (0, Store, Some(A | D)),
        (A, Fetch, None), (A, Load, None), (A, Store, Some(A | D)),
        (D, Load, Some(A | D)), (D, Store, Some(A | D)),
        (A | D, Fetch, None), (A | D, Load, None), (A | D, Store, None),
    ];
    for &(bits, access, updated) in table {
        let mut tables = Tables::new(9);
        let address = Gpa(tables.map(4, 4, VIRTUAL, leaf | bits));
        let expected = match updated {
            Some(bits_after) => Walk::Update { address, entry: leaf | bits, updated: leaf | bits_after },
            // To write is permitted once the page is dirty.
            None => mapped(PAGE, if bits & D != 0 { "rwx" } else { "rx" }, 12),
        };
        assert_eq!(tables.walk(S, access, VIRTUAL), expected, "{bits:#x}, {access:?}");
        // Where protection lets the entry be read but not written, the update is an access fault.
        tables.hart.csr_write(PMPADDR0, address.0 >> 2, 0);
        tables.hart.csr_write(PMPCFG0, 0x19, 0);
        let expected = if updated.is_some() { Walk::Fault(access.access_fault()) } else { expected };
        assert_eq!(tables.walk(S, access, VIRTUAL), expected, "{bits:#x}, {access:?}, protected");
    }
}

/// A page fault comes before an update.
#[test]
fn what_is_not_permitted_sets_no_bits() {
    let mut tables = Tables::new(8);
    tables.map(3, 3, VIRTUAL, entry(PAGE, V | R));
    assert_eq!(tables.walk(S, Store, VIRTUAL), Walk::Fault(Exception::StorePage));
    assert_eq!(tables.walk(U, Load, VIRTUAL), Walk::Fault(Exception::LoadPage));
}

/// "Addressing and Memory Protection": what lies below a global table is global.
#[test]
fn global_mappings() {
    let leaf = entry(PAGE, V | R | A);
    for level in 0..4u64 {
        let mut tables = Tables::new(9);
        let at = tables.map(4, 4, VIRTUAL, leaf);
        let shift = 12 + 9 * level;
        let table = if level == 0 { at & !0xfff } else { ROOT + 0x1_0000 * (3 - level) };
        let entry = tables.memory.get_mut(&(table + (VIRTUAL >> shift & 0x1ff) * 8)).expect("an entry");
        *entry |= G;
        assert_eq!(tables.walk(S, Load, VIRTUAL), global(mapped(PAGE, "r", 12)), "level {level}");
    }
}

/// "Svnapot": 16 pages of which all entries have N set and say so in the low bits of the frame.
#[test]
fn pages_of_64_kib() {
    let all = V | R | W | A | D | 1 << 63;
    let mut tables = Tables::new(8);
    tables.map(3, 3, VIRTUAL, entry(0x8765_8000, all));
    assert_eq!(tables.walk(S, Load, VIRTUAL), mapped(0x8765_7000, "rw", 16), "the page of its address");
    // Every other pattern of the low bits is reserved.
    for low in (0..16).filter(|&low| low != 8) {
        tables.map(3, 3, VIRTUAL, entry(0x8765_0000 | low << 12, all));
        assert_eq!(tables.walk(S, Load, VIRTUAL), Walk::Fault(Exception::LoadPage), "low bits {low:#x}");
    }
    // So is N in a superpage.
    let mut tables = Tables::new(8);
    tables.map(3, 2, VIRTUAL, entry(0x8760_0000, all));
    assert_eq!(tables.walk(S, Load, VIRTUAL), Walk::Fault(Exception::LoadPage), "a superpage");
}

/// "Svpbmt": types that nothing depends on, where `menvcfg.PBMTE` lets them be.
#[test]
fn pages_have_memory_types() {
    for memory_type in 0..4u64 {
        for enabled in [false, true] {
            let mut tables = Tables::new(8);
            tables.hart.csr_write(MENVCFG, 1 << 61 | u64::from(enabled) << 62, 0);
            tables.map(3, 3, VIRTUAL, entry(PAGE, V | R | A | memory_type << 61));
            let legal = memory_type == 0 || enabled && memory_type != 3;
            let expected = if legal { mapped(PAGE, "r", 12) } else { Walk::Fault(Exception::LoadPage) };
            assert_eq!(tables.walk(S, Load, VIRTUAL), expected, "type {memory_type}, enabled: {enabled}");
        }
    }
}

/// "Svade": with `menvcfg.ADUE` clear, software sets the bits.
#[test]
fn without_adue_clear_bits_are_page_faults() {
    for (bits, access, faults) in [
        (0, Fetch, true),
        (0, Load, true),
        (A, Load, false),
        (A, Store, true),
        (D, Store, true),
        (A | D, Store, false),
    ] {
        let mut tables = Tables::new(8);
        tables.hart.csr_write(MENVCFG, 0, 0);
        tables.map(3, 3, VIRTUAL, entry(PAGE, V | R | W | X | bits));
        let walk = tables.walk(S, access, VIRTUAL);
        assert_eq!(walk == Walk::Fault(access.page_fault()), faults, "{bits:#x}, {access:?}: {walk:?}");
    }
}

#[test]
fn a_reader_s_error_ends_the_walk() {
    let tables = Tables::new(8);
    assert_eq!(tables.hart.walk(S, Load, VIRTUAL, |_| Err("blocked")), Err("blocked"));
}
