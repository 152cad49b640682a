//! Floating point on the host's unit.
//!
//! While it computes for the guest, MXCSR holds the guest's rounding mode and collects its flags; they come into `fcsr`
//! whenever code is left, for a step, too (`frame.rs`). Both sides detect tininess after rounding, so flags are the
//! same. What hosts do otherwise is a step: NaN results, which the guest wants canonical; operands that are not
//! NaN-boxed; conversions that do not fit; rounding modes that the host lacks. A step computes anew, and whatever flags the
//! host has already raised the guest raises, too.

#![allow(clippy::wildcard_enum_match_arm, reason = "what is not listed in `is_translated` is a step")]

use crate::frame::{FLOATING, FS, MSTATUS, RAX, RCX, RDX, f};
use crate::select::Free;
use crate::translate::{Interpreted, Translator};
use crate::tree::{Node, Value};
use cantus_isa::Width;
use cantus_isa::riscv::meaning::Binary;
use cantus_isa::riscv::op::{Op, Opcode, Opcode::*};
use dynasmrt::{DynasmApi, DynasmLabelApi, dynasm};

/// The rounding-mode field that leaves the choice to `frm`.
const DYNAMIC: u8 = 7;
/// Towards zero.
const TOWARDS_ZERO: u8 = 1;
/// Upper half of a boxed single.
const BOX: u64 = 0xffff_ffff << 32;

/// Whether an instruction of F or D is translated.
#[rustfmt::skip]
pub(crate) fn is_translated(op: &Op, has_fusion: bool) -> bool {
    // Where the result is exact, any mode that there is will do.
    let exact = op.rm <= 4 || op.rm == DYNAMIC;
    match op.code {
        Flw | Fld | Fsw | Fsd | FmvXW | FmvXD | FmvWX | FmvDX => true,
        FsgnjS | FsgnjnS | FsgnjxS | FsgnjD | FsgnjnD | FsgnjxD => true,
        FeqS | FltS | FleS | FeqD | FltD | FleD => true,
        FaddS | FsubS | FmulS | FdivS | FsqrtS | FaddD | FsubD | FmulD | FdivD | FsqrtD => op.rm == DYNAMIC,
        FmaddS | FmsubS | FnmsubS | FnmaddS | FmaddD | FmsubD | FnmsubD | FnmaddD =>
            op.rm == DYNAMIC && has_fusion,
        FcvtDS | FcvtDW | FcvtDWu => exact,
        FcvtSD | FcvtSW | FcvtSWu | FcvtSL | FcvtSLu | FcvtDL | FcvtDLu => op.rm == DYNAMIC,
        FcvtWS | FcvtLS | FcvtWD | FcvtLD => op.rm == DYNAMIC || op.rm == TOWARDS_ZERO,
        _ => false,
    }
}

/// Whether an instruction reads singles.
#[rustfmt::skip]
fn reads_singles(code: Opcode) -> bool {
    matches!(
        code,
        FaddS | FsubS | FmulS | FdivS | FsqrtS | FmaddS | FmsubS | FnmsubS | FnmaddS
        | FsgnjS | FsgnjnS | FsgnjxS | FeqS | FltS | FleS | FcvtDS | FcvtWS | FcvtLS
    )
}

impl Translator<'_> {
    /// Where floating point is off, the operation is a step, which traps.
    pub(crate) fn floating_is_on(&mut self) {
        if !self.knows_floating {
            let slow = self.slow();
            dynasm!(self.asm; .arch x64; test DWORD [rbx + MSTATUS], FS; jz =>slow);
            self.knows_floating = true;
        }
    }

    /// Lets MXCSR be the guest's.
    fn begin(&mut self) {
        let slow = self.slow();
        let [load, loaded] = [(); 2].map(|()| self.asm.new_dynamic_label());
        dynasm!(self.asm; .arch x64; cmp DWORD [rsp + FLOATING], 0; je =>load; =>loaded);
        self.floats.push((load, loaded, slow));
    }

    /// Where an operand that should be a single is none, the operation is a step.
    fn boxed(&mut self, register: u8) {
        let slow = self.slow();
        dynasm!(self.asm; .arch x64; cmp DWORD [rbx + f(register) + 4], -1; jne =>slow);
    }

    /// Computes `op` to a value.
    #[rustfmt::skip]
    pub(crate) fn compute_floating(&mut self, op: &Op, a: Value) -> Result<Value, Interpreted> {
        let (x, y, z) = (f(op.rs1), f(op.rs2), f(op.rs3));
        if reads_singles(op.code) {
            self.boxed(op.rs1);
            let operands = match op.code {
                FsqrtS | FcvtDS | FcvtWS | FcvtLS => &[][..],
                FmaddS | FmsubS | FnmsubS | FnmaddS => &[op.rs2, op.rs3][..],
                _ => &[op.rs2][..],
            };
            for &register in operands.iter().filter(|&&register| register != op.rs1) {
                self.boxed(register);
            }
        }
        match op.code {
            FsgnjS | FsgnjnS | FsgnjxS | FsgnjD | FsgnjnD | FsgnjxD => return Ok(self.sign(op)),
            _ => self.begin(),
        }
        macro_rules! two {
            ($load:ident $name:ident) => {
                dynasm!(self.asm; .arch x64; $load xmm0, [rbx + x]; $name xmm0, [rbx + y])
            };
        }
        macro_rules! three {
            ($load:ident $name:ident) => {
                dynasm!(self.asm; .arch x64; $load xmm0, [rbx + x]; $load xmm1, [rbx + y]; $name xmm0, xmm1, [rbx + z])
            };
        }
        match op.code {
            FaddS => two!(movss addss),
            FsubS => two!(movss subss),
            FmulS => two!(movss mulss),
            FdivS => two!(movss divss),
            FaddD => two!(movsd addsd),
            FsubD => two!(movsd subsd),
            FmulD => two!(movsd mulsd),
            FdivD => two!(movsd divsd),
            FsqrtS => dynasm!(self.asm; .arch x64; movss xmm0, [rbx + x]; sqrtss xmm0, xmm0),
            FsqrtD => dynasm!(self.asm; .arch x64; movsd xmm0, [rbx + x]; sqrtsd xmm0, xmm0),
            FmaddS => three!(movss vfmadd213ss),
            FmsubS => three!(movss vfmsub213ss),
            FnmsubS => three!(movss vfnmadd213ss),
            FnmaddS => three!(movss vfnmsub213ss),
            FmaddD => three!(movsd vfmadd213sd),
            FmsubD => three!(movsd vfmsub213sd),
            FnmsubD => three!(movsd vfnmadd213sd),
            FnmaddD => three!(movsd vfnmsub213sd),
            FcvtSD => dynasm!(self.asm; .arch x64; movsd xmm0, [rbx + x]; cvtsd2ss xmm0, xmm0),
            FcvtDS => dynasm!(self.asm; .arch x64; movss xmm0, [rbx + x]; cvtss2sd xmm0, xmm0),
            FcvtSW | FcvtSWu | FcvtSL | FcvtSLu | FcvtDW | FcvtDWu | FcvtDL | FcvtDLu =>
                return Ok(self.of_integer(op.code, a)),
            FcvtWS | FcvtLS | FcvtWD | FcvtLD => return Ok(self.integer_of(op)),
            FeqS | FltS | FleS | FeqD | FltD | FleD => return Ok(self.compare_floating(op)),
            _ => return Err(Interpreted),
        }
        let slow = self.slow();
        let single = matches!(op.code, FcvtSD) || reads_singles(op.code) && op.code != FcvtDS;
        if single {
            dynasm!(self.asm; .arch x64; ucomiss xmm0, xmm0; jp =>slow);
            Ok(self.tree.add(Node::Vector(Width::Word)))
        } else {
            dynasm!(self.asm; .arch x64; ucomisd xmm0, xmm0; jp =>slow);
            Ok(self.tree.add(Node::Vector(Width::Double)))
        }
    }

    /// The bits of the first operand, whose sign the second one has a say in.
    fn sign(&mut self, op: &Op) -> Value {
        let single = matches!(op.code, FsgnjS | FsgnjnS | FsgnjxS);
        let bit = if single { 31 } else { 63 };
        let (x, y) = (f(op.rs1), f(op.rs2));
        dynasm!(self.asm; .arch x64; mov rcx, [rbx + x]);
        match op.code {
            FsgnjS | FsgnjD if op.rs1 == op.rs2 => {}
            FsgnjnS | FsgnjnD if op.rs1 == op.rs2 => dynasm!(self.asm; .arch x64; btc rcx, BYTE bit),
            FsgnjxS | FsgnjxD if op.rs1 == op.rs2 => dynasm!(self.asm; .arch x64; btr rcx, BYTE bit),
            FsgnjxS | FsgnjxD => {
                dynasm!(self.asm; .arch x64; mov rdx, [rbx + y]; shr rdx, BYTE bit; shl rdx, BYTE 63);
                if single {
                    dynasm!(self.asm; .arch x64; shr rdx, BYTE 32);
                }
                dynasm!(self.asm; .arch x64; xor rcx, rdx);
            }
            _ => {
                dynasm!(self.asm; .arch x64; mov rdx, [rbx + y]);
                if matches!(op.code, FsgnjnS | FsgnjnD) {
                    dynasm!(self.asm; .arch x64; not rdx);
                }
                dynasm!(self.asm; .arch x64; shr rdx, BYTE bit; shl rdx, BYTE 63; btr rcx, BYTE bit);
                if single {
                    dynasm!(self.asm; .arch x64; shr rdx, BYTE 32);
                }
                dynasm!(self.asm; .arch x64; or rcx, rdx);
            }
        }
        self.tree.add(Node::Host(RCX))
    }

    fn of_integer(&mut self, code: Opcode, from: Value) -> Value {
        self.selector().compute(from, RAX, Free::ALL);
        dynasm!(self.asm; .arch x64; xorps xmm0, xmm0);
        match code {
            FcvtSW => dynasm!(self.asm; .arch x64; cvtsi2ss xmm0, eax),
            FcvtDW => dynasm!(self.asm; .arch x64; cvtsi2sd xmm0, eax),
            FcvtSWu => dynasm!(self.asm; .arch x64; mov eax, eax; cvtsi2ss xmm0, rax),
            FcvtDWu => dynasm!(self.asm; .arch x64; mov eax, eax; cvtsi2sd xmm0, rax),
            FcvtSL | FcvtSLu | FcvtDL | FcvtDLu => {
                if matches!(code, FcvtSLu | FcvtDLu) {
                    let slow = self.slow();
                    dynasm!(self.asm; .arch x64; test rax, rax; js =>slow);
                }
                if matches!(code, FcvtSL | FcvtSLu) {
                    dynasm!(self.asm; .arch x64; cvtsi2ss xmm0, rax);
                } else {
                    dynasm!(self.asm; .arch x64; cvtsi2sd xmm0, rax);
                }
            }
            _ => unreachable!("is no conversion of an integer"),
        }
        let single = matches!(code, FcvtSW | FcvtSWu | FcvtSL | FcvtSLu);
        self.tree.add(Node::Vector(if single { Width::Word } else { Width::Double }))
    }

    /// What does not fit gives the host's least number, and so does that number itself.
    fn integer_of(&mut self, op: &Op) -> Value {
        let (slow, x, cut) = (self.slow(), f(op.rs1), op.rm == TOWARDS_ZERO);
        match (op.code, cut) {
            (FcvtWS, true) => dynasm!(self.asm; .arch x64; cvttss2si eax, [rbx + x]),
            (FcvtWS, false) => dynasm!(self.asm; .arch x64; cvtss2si eax, [rbx + x]),
            (FcvtLS, true) => dynasm!(self.asm; .arch x64; cvttss2si rax, [rbx + x]),
            (FcvtLS, false) => dynasm!(self.asm; .arch x64; cvtss2si rax, [rbx + x]),
            (FcvtWD, true) => dynasm!(self.asm; .arch x64; cvttsd2si eax, [rbx + x]),
            (FcvtWD, false) => dynasm!(self.asm; .arch x64; cvtsd2si eax, [rbx + x]),
            (_, true) => dynasm!(self.asm; .arch x64; cvttsd2si rax, [rbx + x]),
            (_, false) => dynasm!(self.asm; .arch x64; cvtsd2si rax, [rbx + x]),
        }
        if matches!(op.code, FcvtWS | FcvtWD) {
            dynasm!(self.asm; .arch x64; cmp eax, DWORD i32::MIN; je =>slow; movsxd rax, eax);
        } else {
            dynasm!(self.asm; .arch x64; mov rcx, QWORD i64::MIN; cmp rax, rcx; je =>slow);
        }
        self.tree.add(Node::Host(RAX))
    }

    fn compare_floating(&mut self, op: &Op) -> Value {
        let (x, y) = (f(op.rs1), f(op.rs2));
        // Unordered looks like below and like equal to the host.
        match op.code {
            FeqS | FeqD => {
                if op.code == FeqS {
                    dynasm!(self.asm; .arch x64; movss xmm0, [rbx + x]; ucomiss xmm0, [rbx + y]);
                } else {
                    dynasm!(self.asm; .arch x64; movsd xmm0, [rbx + x]; ucomisd xmm0, [rbx + y]);
                }
                dynasm!(self.asm; .arch x64; sete al; setnp cl; and eax, ecx);
            }
            FltS | FleS => dynasm!(self.asm; .arch x64; movss xmm0, [rbx + y]; comiss xmm0, [rbx + x]),
            _ => dynasm!(self.asm; .arch x64; movsd xmm0, [rbx + y]; comisd xmm0, [rbx + x]),
        }
        match op.code {
            FltS | FltD => dynasm!(self.asm; .arch x64; seta al),
            FleS | FleD => dynasm!(self.asm; .arch x64; setae al),
            _ => {}
        }
        dynasm!(self.asm; .arch x64; movzx eax, al);
        self.tree.add(Node::Host(RAX))
    }

    /// Writes a floating-point register, and makes the state dirty.
    pub(crate) fn write_floating(&mut self, register: u8, value: Value) {
        let to = f(register);
        match self.tree.node(value) {
            Node::Vector(Width::Double) => dynasm!(self.asm; .arch x64; movsd [rbx + to], xmm0),
            Node::Vector(_) => {
                dynasm!(self.asm; .arch x64; movss [rbx + to], xmm0; mov DWORD [rbx + to + 4], -1);
            }
            Node::Binary(Binary::Or, single, upper) if self.tree.constant(upper) == Some(BOX) => {
                self.selector().compute(single, RCX, Free::ALL.without(RAX));
                dynasm!(self.asm; .arch x64; mov [rbx + to], ecx; mov DWORD [rbx + to + 4], -1);
            }
            _ => {
                self.selector().compute(value, RCX, Free::ALL.without(RAX).without(RDX));
                dynasm!(self.asm; .arch x64; mov [rbx + to], rcx);
            }
        }
        if !self.is_dirty {
            dynasm!(self.asm; .arch x64; or QWORD [rbx + MSTATUS], DWORD FS);
            self.is_dirty = true;
        }
    }
}
