//! Where code goes on at addresses that it computes, and in other pages: calls by pointers, returns, tables of cases.
//!
//! Each core has a table of *landings*: at this virtual address the code for it is entered there. Every jump looks into it
//! by itself, so that the host predicts each of them apart. What is not there is looked up by the fast entry of its page, and
//! noted.
//!
//! A landing holds as long as its stamp is the core's, which is as long as fetches are in the same mode and no fast right to
//! fetch has been lost: whatever could be fetched still can, and lies where it did (MMU-1, ORD-1). Neither changes while code
//! runs. Whether the code there is still what RAM says is for it to compare, at its beginning, with the core's epoch (MMU-2);
//! and code that is given up is forgotten before anything else lies there.

use crate::frame::{Assembler, LANDINGS, PAGE, STAMP};
use crate::short::near;
use cantus_memory::MODES;
use dynasmrt::{DynasmApi, DynasmLabelApi, dynasm};
use std::mem::offset_of;

/// Where the code for what lies at a virtual address is entered.
#[derive(Clone, Copy)]
#[repr(C, align(32))]
pub(crate) struct Landing {
    pub pc: u64,
    pub stamp: u64,
    pub code: *const u8,
}

/// How many there are.
pub(crate) const LANDING_COUNT: usize = 512;

/// What stands in a place without one: no stamp is 0.
pub(crate) const NO_LANDING: Landing = Landing { pc: 0, stamp: 0, code: std::ptr::null() };

/// From an address, of which the lowest bit is 0, to the distance of its place from the table's start.
const SHIFT: i8 = 4;
const MASK: i32 = ((LANDING_COUNT - 1) * size_of::<Landing>()) as i32;

const _: () = assert!(size_of::<Landing>() == 2 << SHIFT && LANDING_COUNT.is_power_of_two());

/// The place of the landing at an address.
pub(crate) fn landing_slot(pc: u64) -> usize {
    (pc >> 1) as usize % LANDING_COUNT
}

/// The stamp of what is entered while so many fast rights to fetch have been lost, and fetches are in this mode.
pub(crate) fn stamp_of(fetches_lost: u64, mode: usize) -> u64 {
    1 + mode as u64 + fetches_lost * MODES as u64
}

macro_rules! landing {
    ($field:ident) => {
        offset_of!(Landing, $field) as i32
    };
}

/// Gives in rcx the place of the landing at the address in rax.
fn find(asm: &mut Assembler) {
    dynasm!(asm; .arch x64; mov ecx, eax; shl ecx, SHIFT; and ecx, MASK);
    near!(asm; LANDINGS; add rcx, [rsp]);
}

/// Goes on at the virtual address in rax: at its landing, or by `lookup`.
pub(crate) fn land(asm: &mut Assembler, lookup: usize) {
    let unknown = asm.new_dynamic_label();
    find(asm);
    near!(asm; STAMP; mov rdx, [rsp]);
    near!(asm; landing!(pc); cmp rax, [rcx]);
    dynasm!(asm; .arch x64; jne =>unknown);
    near!(asm; landing!(stamp); cmp rdx, [rcx]);
    dynasm!(asm; .arch x64; jne =>unknown; and rax, -4096);
    near!(asm; PAGE; mov [rsp], rax);
    near!(asm; landing!(code); jmp QWORD [rcx]);
    dynasm!(asm; .arch x64; =>unknown; jmp extern lookup);
}

/// Notes the landing at the virtual address in rax, which is entered at the host address in rdx, and goes there.
pub(crate) fn note_and_land(asm: &mut Assembler) {
    find(asm);
    dynasm!(asm
        ; .arch x64
        ; mov [rcx + landing!(pc)], rax
        ; mov [rcx + landing!(code)], rdx
        ; mov rax, [rsp + STAMP]
        ; mov [rcx + landing!(stamp)], rax
        ; jmp rdx
    );
}
