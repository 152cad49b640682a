//! Rounding modes that instructions name.
//!
//! Most leave the mode to `frm`, and MXCSR has that as long as floating point is ready. Conversions to integers name theirs
//! (`lrint`, casts): the host rounds by an operand of `roundsd` then, or cuts; to the nearest with ties away from zero
//! (`lround`), which it lacks, what was cut off is looked at. Arithmetic that names one has MXCSR changed for one
//! instruction, which is still a fraction of a step.

use crate::frame::{MXCSR, MXCSR_FLAGS, MXCSR_ROUNDING, MXCSR_STATIC, ROUNDINGS};
use crate::translate::Translator;
use cantus_isa::riscv::op::Op;
use dynasmrt::{DynasmApi, dynasm};

/// The rounding-mode field that leaves the choice to `frm`.
pub(crate) const DYNAMIC: u8 = 7;
/// Towards zero.
pub(crate) const TOWARDS_ZERO: u8 = 1;
/// To the nearest, ties away from zero.
pub(crate) const AWAY: u8 = 4;
/// The fields of the modes that the host rounds in by an operand of `roundsd`, with what stands for each there.
const STATIC: [(u8, i8); 3] = [(0, 0), (2, 1), (3, 2)];
/// The operand of `roundsd` that cuts, and raises nothing.
const CUT: i8 = 0b1011;

/// What stands for the mode of an instruction as an operand of `roundsd`.
pub(crate) fn rounding(op: &Op) -> Option<i8> {
    STATIC.iter().find(|(mode, _)| *mode == op.rm).map(|&(_, host)| host)
}

/// Whether the host can compute in the mode that an instruction names, or leaves to `frm`.
pub(crate) fn is_of_host(op: &Op) -> bool {
    op.rm < AWAY || op.rm == DYNAMIC
}

impl Translator<'_> {
    /// From here on the host rounds as the instruction says. Overwrites rcx.
    pub(crate) fn round_as(&mut self, op: &Op) {
        if op.rm == DYNAMIC {
            return;
        }
        let mode = (ROUNDINGS >> (2 * op.rm) & 3) as i32;
        dynasm!(self.asm
            ; .arch x64
            ; stmxcsr [rsp + MXCSR]
            ; mov ecx, [rsp + MXCSR]
            ; and ecx, !(3 << MXCSR_ROUNDING)
            ; or ecx, mode << MXCSR_ROUNDING
            ; mov [rsp + MXCSR_STATIC], ecx
            ; ldmxcsr [rsp + MXCSR_STATIC]
        );
    }

    /// From here on it rounds as it did before; the flags stay. Overwrites rcx.
    pub(crate) fn round_as_before(&mut self, op: &Op) {
        if op.rm == DYNAMIC {
            return;
        }
        dynasm!(self.asm
            ; .arch x64
            ; stmxcsr [rsp + MXCSR_STATIC]
            ; mov ecx, [rsp + MXCSR_STATIC]
            ; and ecx, MXCSR_FLAGS
            ; or ecx, [rsp + MXCSR]
            ; mov [rsp + MXCSR_STATIC], ecx
            ; ldmxcsr [rsp + MXCSR_STATIC]
        );
    }

    /// An operand was cut to the integer in rax, and fits whichever way it is rounded. If it is to be rounded to the nearest
    /// with ties away from zero, adds what is lacking: the fraction times two, cut. Both are exact, so nothing is raised but
    /// "inexact" for what was inexact when it was cut. Overwrites rcx.
    pub(crate) fn round_away(&mut self, op: &Op, is_single: bool) {
        if op.rm != AWAY {
            return;
        }
        self.copied(op.rs1, 1);
        if is_single {
            dynasm!(self.asm
                ; .arch x64
                ; roundss xmm0, xmm1, BYTE CUT
                ; subss xmm1, xmm0
                ; addss xmm1, xmm1
                ; cvttss2si rcx, xmm1
            );
        } else {
            dynasm!(self.asm
                ; .arch x64
                ; roundsd xmm0, xmm1, BYTE CUT
                ; subsd xmm1, xmm0
                ; addsd xmm1, xmm1
                ; cvttsd2si rcx, xmm1
            );
        }
        dynasm!(self.asm; .arch x64; add rax, rcx);
    }
}
