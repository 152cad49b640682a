//! CSRs by code: those that are nothing but registers, and the supervisor's status as far as its fields take effect nowhere
//! but where they lie.
//!
//! After a CSR an interrupt may be due, and modes of accesses may be others. Here neither is so: an interrupt that was
//! not due before is due only where the supervisor's interrupts are enabled and some are pending, and modes are others only
//! where SUM or MXR is. Then, and for the rest of the CSRs, the operation is a step, which nothing has been done for yet.

use crate::frame::{FLOATING, FS, HART, MSTATUS, NOT_FLOATING, PRIVILEGE, RAX, RDX};
use crate::select::Free;
use crate::translate::{Interpreted, Translator};
use crate::tree::{Node, Value};
use cantus_isa::riscv::Hart;
use cantus_isa::riscv::csr::{SSTATUS_LEGAL, mstatus, number};
use cantus_isa::riscv::hart::Privilege;
use cantus_isa::riscv::meaning::Change;
use cantus_isa::riscv::op::Op;
use dynasmrt::{DynasmApi, DynasmLabelApi, dynasm};
use std::mem::offset_of;

const MIE: i32 = HART + offset_of!(Hart, mie) as i32;
const MIP: i32 = HART + offset_of!(Hart, mip) as i32;
const LINES: i32 = HART + offset_of!(Hart, lines) as i32;

/// The fields of the supervisor's status, in its lower word, as is all that can change of the machine's; those of them that
/// choose how accesses are made.
const STATUS: i32 = SSTATUS_LEGAL as i32;
const MODES: i32 = (mstatus::SUM | mstatus::MXR) as i32;
const SIE: i32 = mstatus::SIE as i32;

/// A CSR that is a register: where it lies, from the core, and the bits that it has.
fn register(number: u16) -> Option<(i32, i32)> {
    macro_rules! register {
        ($name:ident) => {
            HART + offset_of!(Hart, $name) as i32
        };
    }
    let register = match number {
        number::SSCRATCH => (register!(sscratch), -1),
        number::SEPC => (register!(sepc), !1),
        number::SCAUSE => (register!(scause), -1),
        number::STVAL => (register!(stval), -1),
        number::MSCRATCH => (register!(mscratch), -1),
        number::MEPC => (register!(mepc), !1),
        number::MCAUSE => (register!(mcause), -1),
        number::MTVAL => (register!(mtval), -1),
        _ => return None,
    };
    Some(register)
}

impl Translator<'_> {
    /// Reads a CSR and changes it, if it is one of these.
    pub(crate) fn change_csr(
        &mut self,
        op: &Op,
        change: Option<(Change, Value)>,
    ) -> Result<Value, Interpreted> {
        let number = op.imm as u16 & 0xfff;
        if number == number::SSTATUS {
            return Ok(self.status(op, change));
        }
        let (at, mask) = register(number).ok_or(Interpreted)?;
        self.need_level(number);
        dynasm!(self.asm; .arch x64; mov rax, [rbx + at]);
        if let Some((change, operand)) = change {
            self.selector().compute(operand, RDX, Free::ALL.without(RAX));
            match change {
                Change::Write => {}
                Change::Set => dynasm!(self.asm; .arch x64; or rdx, rax),
                Change::Clear => dynasm!(self.asm; .arch x64; not rdx; and rdx, rax),
            }
            if mask != -1 {
                dynasm!(self.asm; .arch x64; and rdx, mask);
            }
            dynasm!(self.asm; .arch x64; mov [rbx + at], rdx);
        }
        Ok(self.tree.add(Node::Host(RAX)))
    }

    /// A level that may not access a CSR makes it a step.
    fn need_level(&mut self, number: u16) {
        let slow = self.slow();
        let machine = number >> 8 & 3 == Privilege::Machine as u16;
        let least = if machine { Privilege::Machine } else { Privilege::Supervisor };
        dynasm!(self.asm; .arch x64; cmp BYTE [rbx + PRIVILEGE], least as i8; jb =>slow);
    }

    /// The supervisor's status. While registers of floating point are at hand, the status does not say yet that they are
    /// dirty.
    fn status(&mut self, op: &Op, change: Option<(Change, Value)>) -> Value {
        let slow = self.slow();
        self.need_level(number::SSTATUS);
        dynasm!(self.asm; .arch x64; cmp DWORD [rsp + FLOATING], NOT_FLOATING; jne =>slow);
        if let Some((change, operand)) = change {
            let constant = self.tree.constant(operand);
            self.selector().compute(operand, RDX, Free::ALL);
            dynasm!(self.asm; .arch x64; mov ecx, [rbx + MSTATUS]; and edx, STATUS);
            match change {
                Change::Write => dynasm!(self.asm; .arch x64; mov eax, ecx; and eax, !STATUS; or edx, eax),
                Change::Set => dynasm!(self.asm; .arch x64; or edx, ecx),
                Change::Clear => dynasm!(self.asm; .arch x64; not edx; and edx, ecx),
            }
            if constant.is_none_or(|operand| operand as i32 & MODES != 0) || change == Change::Write {
                dynasm!(self.asm; .arch x64; xor ecx, edx; test ecx, MODES; jnz =>slow);
            }
            if change != Change::Clear {
                // Nothing that was enabled before is due.
                dynasm!(self.asm
                    ; .arch x64
                    ; test edx, SIE
                    ; jz >masked
                    ; mov ecx, [rbx + MIP]
                    ; or ecx, [rbx + LINES]
                    ; test [rbx + MIE], ecx
                    ; jnz =>slow
                    ;masked:
                );
            }
        }
        if op.rd != 0 {
            // What `csr_read` shows: UXL is 2, and SD is set where FS is 3.
            dynasm!(self.asm
                ; .arch x64
                ; mov ecx, [rbx + MSTATUS]
                ; mov eax, ecx
                ; and eax, STATUS
                ; bts rax, BYTE 33
                ; not ecx
                ; test ecx, FS
                ; jnz >clean
                ; bts rax, BYTE 63
                ;clean:
            );
        }
        if change.is_some() {
            dynasm!(self.asm; .arch x64; mov [rbx + MSTATUS], edx);
        }
        self.tree.add(Node::Host(RAX))
    }
}

const _: () = assert!(mstatus::UXL == 1 << 33 && mstatus::SD == 1 << 63);
