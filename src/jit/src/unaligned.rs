//! Loads and stores that are not aligned, out of line.
//!
//! A fast entry is for all of its page, so it is for whatever bytes of it an access takes: a tag is compared with an address
//! whose low bits must be clear only because an access could leave the page with them set. One that is not aligned but stays
//! in its page therefore goes by the fast entry, too. It may tear, as the manual lets it ("Load and Store Instructions").
//! What is aligned and has no entry, or straddles pages, is a step.

use crate::access::Detour;
use crate::frame::{ADDEND, Assembler, READ, SLOT_MASK, SLOT_SHIFT, WRITE};
use crate::translate::Translator;
use cantus_isa::Width;
use cantus_isa::address::PAGE_SIZE;
use dynasmrt::{DynamicLabel, DynasmApi, DynasmLabelApi, dynasm};

/// The widths of what can be unaligned.
const WIDTHS: [Width; 3] = [Width::Half, Width::Word, Width::Double];

/// Stubs for loads and for stores of each width: called with an address in rdx, they give zero in the flags if it is not aligned
/// and there is a fast entry for the access, and in rcx what that adds to the address. They overwrite rdx.
#[derive(Clone, Copy)]
pub(crate) struct Unaligned {
    loads: [usize; WIDTHS.len()],
    stores: [usize; WIDTHS.len()],
}

impl Unaligned {
    /// Writes the stubs of a memory that begins at `base`.
    pub fn write(asm: &mut Assembler, base: usize) -> Self {
        let mut stubs = |right| {
            WIDTHS.map(|width| {
                dynasm!(asm; .arch x64; .align 16);
                let at = base + asm.offset().0;
                write(asm, width, right);
                at
            })
        };
        Self { loads: stubs(READ), stores: stubs(WRITE) }
    }

    /// The stub of an access; whatever is one byte wide is aligned.
    fn of(&self, width: Width, right: i32) -> Option<usize> {
        let place = WIDTHS.iter().position(|&of| of == width)?;
        Some(if right == READ { self.loads[place] } else { self.stores[place] })
    }
}

fn write(asm: &mut Assembler, width: Width, right: i32) {
    let bytes = width.bytes() as i32;
    dynasm!(asm
        ; .arch x64
        ; test edx, bytes - 1
        ; jz >none
        ; mov ecx, edx
        ; and ecx, PAGE_SIZE as i32 - 1
        ; cmp ecx, PAGE_SIZE as i32 - bytes
        ; ja >none
        ; mov ecx, edx
        ; shr ecx, SLOT_SHIFT
        ; and ecx, SLOT_MASK
        ; and rdx, -(PAGE_SIZE as i32)
        ; cmp rdx, [r13 + rcx + right]
        ; mov rcx, [r13 + rcx + ADDEND]
        ; ret
        ;none:
        ; test rsp, rsp
        ; ret
    );
}

impl Translator<'_> {
    /// Where an access goes that finds no fast entry: there it is looked at once more if it is not aligned, and else is a
    /// step.
    pub(crate) fn unaligned_or(&mut self, mut detour: Detour) -> DynamicLabel {
        if self.target.stubs.unaligned.of(detour.width, detour.right).is_none() {
            return detour.slow;
        }
        detour.from = self.asm.new_dynamic_label();
        let from = detour.from;
        self.unaligned.push(detour);
        from
    }

    /// Makes the code of accesses that may be unaligned.
    pub(crate) fn unaligned(&mut self) {
        for Detour { from, to, slow, width, place, right } in std::mem::take(&mut self.unaligned) {
            let Some(stub) = self.target.stubs.unaligned.of(width, right) else { continue };
            dynasm!(self.asm; .arch x64; =>from);
            self.address(place);
            dynasm!(self.asm; .arch x64; call extern stub; je =>to; jmp =>slow);
        }
    }
}
