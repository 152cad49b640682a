//! Steps: what code leaves to the interpreter, an operation at a time, or the rest of a block.
//!
//! A step sees the core as the interpreter would: registers are where they usually are, and what floating point the host
//! has computed is settled. Where an operation is a step only if its short way is closed, the call stands out of line.

use crate::frame::{FLOATING, NOT_FLOATING};
use crate::known::Pending;
use crate::translate::{INDEX_BITS, Translator};
use dynasmrt::{DynamicLabel, DynasmApi, DynasmLabelApi, dynasm};

/// A step out of line.
pub(crate) struct Step {
    /// Where it is called for.
    at: DynamicLabel,
    number: u32,
    /// How many groups of accesses its block has.
    groups: usize,
    /// What of the registers the host has computed, which a step must see as the guest would have.
    pending: Pending,
    /// Where code goes on.
    resume: DynamicLabel,
    /// What code there takes for granted of [`FLOATING`].
    pub known: i32,
}

impl Translator<'_> {
    /// Where the operation being translated is a step, out of line.
    pub(crate) fn slow(&mut self) -> DynamicLabel {
        let number = self.step_number();
        let (slow, _) = *self.slow.get_or_insert_with(|| {
            let [slow, resume] = [(); 2].map(|()| self.asm.new_dynamic_label());
            let (groups, pending) = (self.groups, self.floats.pending);
            self.steps.push(Step { at: slow, number, groups, pending, resume, known: NOT_FLOATING });
            (slow, resume)
        });
        slow
    }

    /// The number of the step that this operation is.
    pub(crate) fn step_number(&self) -> u32 {
        self.number_of(self.place, self.index)
    }

    pub(crate) fn number_of(&self, place: usize, index: usize) -> u32 {
        self.member(place) << INDEX_BITS | index as u32
    }

    /// The number of a block of the unit.
    pub(crate) fn member(&self, place: usize) -> u32 {
        self.number + place as u32
    }

    /// Calls for a step.
    pub(crate) fn step(&mut self, number: u32) {
        if self.unit.swaps.is_empty() {
            dynasm!(self.asm; .arch x64; mov eax, DWORD number as i32; call extern self.target.stubs.step);
            return;
        }
        let [out, back] = self.swaps();
        dynasm!(self.asm
            ; .arch x64
            ; call =>out
            ; mov eax, DWORD number as i32
            ; call extern self.target.stubs.step
            ; call =>back
        );
    }

    /// Leaves the rest of the block, from the operation of this number on, to the interpreter.
    pub(crate) fn rest(&mut self, number: u32) {
        self.call_swap_out();
        dynasm!(self.asm; .arch x64; mov eax, DWORD number as i32; jmp extern self.target.stubs.rest);
    }

    /// Makes the code of steps out of line.
    pub(crate) fn steps(&mut self) {
        for Step { at, number, groups, pending, resume, known } in std::mem::take(&mut self.steps) {
            dynasm!(self.asm; .arch x64; =>at);
            self.repair(pending);
            self.step(number);
            self.forget(groups);
            if known == NOT_FLOATING {
                dynasm!(self.asm; .arch x64; jmp =>resume);
                continue;
            }
            // It has settled what floating point there was.
            dynasm!(self.asm
                ; .arch x64
                ; call extern self.target.stubs.floating
                ; cmp DWORD [rsp + FLOATING], known
                ; jae =>resume
            );
            self.rest(number + 1);
        }
    }
}
