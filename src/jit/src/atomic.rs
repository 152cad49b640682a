//! Atomic memory operations, reservations, and blocks that are zeroed, by fast TLB entries.
//!
//! Under grants nobody comes in between, so that they are plain loads and stores; running free, they are the host's, and a
//! store-conditional compares and swaps (ORD-7). Whatever is not the common case, a reservation of something else, one that
//! is lost, or that the port has to be asked about, a value that has changed, is a step, which nothing has been done for
//! yet: the interpreter then finds out what it means.

use crate::frame::{CORE, ENV, GUEST, HART, HOLDS, PRIVILEGE, RAX, RCX, RDX, WRITE};
use crate::select::Free;
use crate::translate::Translator;
use crate::tree::{Node, Value};
use cantus_interp::Core;
use cantus_isa::address::CACHE_BLOCK_SIZE;
use cantus_isa::riscv::Hart;
use cantus_isa::riscv::csr::envcfg;
use cantus_isa::riscv::hart::{Privilege, Reservation};
use cantus_isa::riscv::meaning::{Amo, Binary};
use cantus_isa::{Gpa, Width};
use dynasmrt::{DynasmApi, DynasmLabelApi, dynasm};
use std::mem::offset_of;

/// Parts of the reservation, from the core.
const RESERVATION: i32 = HART + offset_of!(Hart, reservation) as i32;
const ADDRESS: i32 = RESERVATION + offset_of!(Reservation, address) as i32;
const WIDTH: i32 = RESERVATION + offset_of!(Reservation, width) as i32;
const VALUE: i32 = RESERVATION + offset_of!(Reservation, value) as i32;
const LOST: i32 = offset_of!(Core, reservation_lost) as i32 - CORE;
const MENVCFG: i32 = HART + offset_of!(Hart, menvcfg) as i32;

/// What stands in the place of the width while there is no reservation.
const NO_WIDTH: u8 = width_of(&None);

/// The byte in the place of a reservation's width.
const fn width_of(reservation: &Option<Reservation>) -> u8 {
    let at = std::ptr::from_ref(reservation).cast::<u8>();
    // SAFETY: inside of it, and initialized in either case, as the compiler has checked below.
    unsafe { *at.add(offset_of!(Reservation, width)) }
}

/// The doubleword at a distance from the start of a reservation.
const fn word_of(reservation: &Option<Reservation>, at: usize) -> u64 {
    // SAFETY: as above.
    unsafe { *std::ptr::from_ref(reservation).cast::<u8>().add(at).cast() }
}

// A reservation that there may be lies as one that there is, and its width says whether it is there.
const _: () = {
    assert!(size_of::<Option<Reservation>>() == size_of::<Reservation>());
    let word = Some(Reservation { address: Gpa(5), width: Width::Word, value: 6 });
    let double = Some(Reservation { address: Gpa(7), width: Width::Double, value: 8 });
    assert!(width_of(&word) == Width::Word as u8 && width_of(&double) == Width::Double as u8);
    assert!(NO_WIDTH != Width::Word as u8 && NO_WIDTH != Width::Double as u8);
    assert!(word_of(&word, offset_of!(Reservation, address)) == 5);
    assert!(word_of(&double, offset_of!(Reservation, value)) == 8);
};

impl Translator<'_> {
    /// Loads the word or doubleword at an address, and reserves it.
    pub(crate) fn reserve(&mut self, width: Width, address: Value) -> Value {
        let (base, index, at) = self.reach_aligned(width, address, WRITE).operand();
        dynasm!(self.asm; .arch x64; lea rax, [Rq(base) + Rq(index) + at]);
        if width == Width::Double {
            dynasm!(self.asm; .arch x64; mov rdx, [rax]);
        } else {
            dynasm!(self.asm; .arch x64; mov edx, [rax]);
        }
        dynasm!(self.asm
            ; .arch x64
            ; sub rax, [rsp + GUEST]
            ; mov [rbx + ADDRESS], rax
            ; mov [rbx + VALUE], rdx
            ; mov BYTE [rbx + WIDTH], width as i8
            ; mov BYTE [rbx + LOST], 0
        );
        self.tree.add(Node::Host(RDX))
    }

    /// Stores to what is reserved, and gives 0; all else is a step.
    pub(crate) fn store_reserved(&mut self, width: Width, address: Value, value: Value) -> Value {
        let slow = self.slow();
        let (base, index, at) = self.reach_aligned(width, address, WRITE).operand();
        let double = width == Width::Double;
        dynasm!(self.asm
            ; .arch x64
            ; lea rcx, [Rq(base) + Rq(index) + at]
            ; mov rax, rcx
            ; sub rax, [rsp + GUEST]
            ; cmp BYTE [rbx + WIDTH], width as i8
            ; jne =>slow
            ; cmp [rbx + ADDRESS], rax
            ; jne =>slow
        );
        if self.target.regime.atomics {
            self.selector().compute(value, RDX, Free::ALL.without(RCX));
            dynasm!(self.asm; .arch x64; mov rax, [rbx + VALUE]);
            if double {
                dynasm!(self.asm; .arch x64; lock cmpxchg [rcx], rdx);
            } else {
                dynasm!(self.asm; .arch x64; lock cmpxchg [rcx], edx);
            }
            dynasm!(self.asm; .arch x64; jne =>slow);
        } else {
            dynasm!(self.asm
                ; .arch x64
                ; cmp BYTE [rbx + LOST], 0
                ; jne =>slow
                ; mov rax, [rsp + ENV]
                ; cmp DWORD [rax + HOLDS], 0
                ; je =>slow
            );
            self.selector().compute(value, RDX, Free::ALL.without(RCX));
            if double {
                dynasm!(self.asm; .arch x64; mov [rcx], rdx);
            } else {
                dynasm!(self.asm; .arch x64; mov [rcx], edx);
            }
        }
        dynasm!(self.asm; .arch x64; mov BYTE [rbx + WIDTH], NO_WIDTH as i8);
        self.tree.add(Node::Constant(0))
    }

    /// Does what `amo` says to the word or doubleword at an address, and gives what was there.
    pub(crate) fn exchange(&mut self, amo: Amo, width: Width, address: Value, value: Value) -> Value {
        let (base, index, at) = self.reach_aligned(width, address, WRITE).operand();
        let double = width == Width::Double;
        dynasm!(self.asm; .arch x64; lea rcx, [Rq(base) + Rq(index) + at]);
        let atomics = self.target.regime.atomics;
        if atomics && matches!(amo, Amo::Swap | Amo::Add) {
            self.selector().compute(value, RAX, Free::ALL.without(RCX));
            match (amo, double) {
                (Amo::Swap, true) => dynasm!(self.asm; .arch x64; xchg [rcx], rax),
                (Amo::Swap, false) => dynasm!(self.asm; .arch x64; xchg [rcx], eax),
                (_, true) => dynasm!(self.asm; .arch x64; lock xadd [rcx], rax),
                (_, false) => dynasm!(self.asm; .arch x64; lock xadd [rcx], eax),
            }
            return self.tree.add(Node::Host(RAX));
        }
        if double {
            dynasm!(self.asm; .arch x64; mov rax, [rcx]);
        } else {
            dynasm!(self.asm; .arch x64; mov eax, [rcx]);
        }
        let retry = self.asm.new_dynamic_label();
        dynasm!(self.asm; .arch x64; =>retry);
        self.selector().compute(value, RDX, Free::ALL.without(RAX).without(RCX));
        self.combine(amo, double);
        match (atomics, double) {
            // What was there is in rax if it has changed meanwhile.
            (true, true) => dynasm!(self.asm; .arch x64; lock cmpxchg [rcx], rdx; jne =>retry),
            (true, false) => dynasm!(self.asm; .arch x64; lock cmpxchg [rcx], edx; jne =>retry),
            (false, true) => dynasm!(self.asm; .arch x64; mov [rcx], rdx),
            (false, false) => dynasm!(self.asm; .arch x64; mov [rcx], edx),
        }
        self.tree.add(Node::Host(RAX))
    }

    /// Gives in rdx what `amo` makes of rax, which was there, and rdx.
    fn combine(&mut self, amo: Amo, double: bool) {
        if matches!(amo, Amo::Min | Amo::Max | Amo::MinUnsigned | Amo::MaxUnsigned) {
            if double {
                dynasm!(self.asm; .arch x64; cmp rax, rdx);
            } else {
                dynasm!(self.asm; .arch x64; cmp eax, edx);
            }
        }
        match amo {
            Amo::Swap => {}
            Amo::Add => dynasm!(self.asm; .arch x64; add rdx, rax),
            Amo::Xor => dynasm!(self.asm; .arch x64; xor rdx, rax),
            Amo::And => dynasm!(self.asm; .arch x64; and rdx, rax),
            Amo::Or => dynasm!(self.asm; .arch x64; or rdx, rax),
            Amo::Min => dynasm!(self.asm; .arch x64; cmovl rdx, rax),
            Amo::Max => dynasm!(self.asm; .arch x64; cmovg rdx, rax),
            Amo::MinUnsigned => dynasm!(self.asm; .arch x64; cmovb rdx, rax),
            Amo::MaxUnsigned => dynasm!(self.asm; .arch x64; cmova rdx, rax),
        }
    }

    /// Zeroes the block that an address lies in, where the machine or supervisors may do so; for users it is a step.
    pub(crate) fn zero_block(&mut self, address: Value) {
        let slow = self.slow();
        dynasm!(self.asm
            ; .arch x64
            ; cmp BYTE [rbx + PRIVILEGE], Privilege::Supervisor as i8
            ; jb =>slow
            ; ja >allowed
            ; test BYTE [rbx + MENVCFG], envcfg::CBZE as i8
            ; jz =>slow
            ;allowed:
        );
        let start = self.tree.add(Node::Constant(!(CACHE_BLOCK_SIZE - 1)));
        let start = self.tree.binary(Binary::And, address, start);
        self.selector().compute(start, RAX, Free::ALL);
        let start = self.tree.add(Node::Host(RAX));
        let (base, index, first) = self.reach_aligned(Width::Double, start, WRITE).operand();
        dynasm!(self.asm; .arch x64; xorps xmm0, xmm0);
        for at in (0..CACHE_BLOCK_SIZE as i32).step_by(16) {
            dynasm!(self.asm; .arch x64; movaps [Rq(base) + Rq(index) + first + at], xmm0);
        }
    }
}
