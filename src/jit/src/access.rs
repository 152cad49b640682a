//! Accesses to memory by fast TLB entries.

use crate::frame::{ADDEND, RAX, SLOT_MASK, SLOT_SHIFT};
use crate::select::{Free, Source};
use crate::translate::Translator;
use crate::tree::{Place, Value};
use cantus_isa::Width;
use cantus_isa::address::PAGE_SIZE;
use cantus_isa::riscv::meaning::Amo;
use dynasmrt::{DynasmApi, DynasmLabelApi, dynasm};

impl Translator<'_> {
    /// Finds where an access goes, without rdx; where no fast entry allows it, the operation is a step.
    pub(crate) fn reach(&mut self, width: Width, address: Value, right: i32) -> Place {
        let slow = self.slow();
        let address = match self.selector().source(address) {
            Some(Source::Register(register)) => register,
            Some(Source::Immediate(_) | Source::Memory(_)) | None => {
                self.selector().compute(address, RAX, Free::ALL);
                RAX
            }
        };
        // The bits that would make the access unaligned stay in what is compared with the tag.
        let tag = -(PAGE_SIZE as i32) | (width.bytes() as i32 - 1);
        if self.target.features.shifts {
            dynasm!(self.asm; .arch x64; rorx ecx, Rd(address), SLOT_SHIFT);
        } else {
            dynasm!(self.asm; .arch x64; mov ecx, Rd(address); shr ecx, SLOT_SHIFT);
        }
        dynasm!(self.asm
            ; .arch x64
            ; and ecx, SLOT_MASK
            ; mov rdx, DWORD tag
            ; and rdx, Rq(address)
            ; cmp rdx, [r13 + rcx + right]
            ; jne =>slow
            ; mov rcx, [r13 + rcx + ADDEND]
        );
        Place { index: address, offset: 0 }
    }

    #[allow(clippy::wildcard_enum_match_arm, reason = "those before are the others")]
    /// Does what `amo` says to the word or doubleword at the host address in rax, with rdx. Leaves what was there in rcx.
    pub(crate) fn exchange(&mut self, amo: Amo, width: Width) {
        let double = width == Width::Double;
        if self.target.atomics {
            dynasm!(self.asm; .arch x64; mov rcx, rdx);
            match (amo, double) {
                (Amo::Swap, true) => dynasm!(self.asm; .arch x64; xchg [rax], rcx),
                (Amo::Swap, false) => dynasm!(self.asm; .arch x64; xchg [rax], ecx),
                (_, true) => dynasm!(self.asm; .arch x64; lock xadd [rax], rcx),
                (_, false) => dynasm!(self.asm; .arch x64; lock xadd [rax], ecx),
            }
            return;
        }
        if double {
            dynasm!(self.asm; .arch x64; mov rcx, [rax]);
        } else {
            dynasm!(self.asm; .arch x64; mov ecx, [rax]);
        }
        match amo {
            Amo::Swap => {}
            Amo::Add => dynasm!(self.asm; .arch x64; add rdx, rcx),
            Amo::Xor => dynasm!(self.asm; .arch x64; xor rdx, rcx),
            Amo::And => dynasm!(self.asm; .arch x64; and rdx, rcx),
            Amo::Or => dynasm!(self.asm; .arch x64; or rdx, rcx),
            Amo::Min | Amo::Max | Amo::MinUnsigned | Amo::MaxUnsigned => {
                if double {
                    dynasm!(self.asm; .arch x64; cmp rcx, rdx);
                } else {
                    dynasm!(self.asm; .arch x64; cmp ecx, edx);
                }
                match amo {
                    Amo::Min => dynasm!(self.asm; .arch x64; cmovl rdx, rcx),
                    Amo::Max => dynasm!(self.asm; .arch x64; cmovg rdx, rcx),
                    Amo::MinUnsigned => dynasm!(self.asm; .arch x64; cmovb rdx, rcx),
                    _ => dynasm!(self.asm; .arch x64; cmova rdx, rcx),
                }
            }
        }
        if double {
            dynasm!(self.asm; .arch x64; mov [rax], rdx);
        } else {
            dynasm!(self.asm; .arch x64; mov [rax], edx);
        }
    }
}
