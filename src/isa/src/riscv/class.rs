//! What kind of thing an opcode does: the questions that executors and analyses ask of a decoded instruction.
//!
//! Every opcode is listed once, in [`Opcode::class`]; a new one does not compile until it is.

use super::op::Opcode::{self, *};
use crate::address::Width;

/// What an instruction does besides writing registers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Class {
    /// Nothing: it reads registers and writes one (and sets the floating-point flags).
    Compute,
    /// Loads from memory.
    Load(Width),
    /// Stores to memory.
    Store(Width),
    /// `lr`: loads and reserves.
    LoadReserved(Width),
    /// `sc`: stores if the reservation holds.
    StoreConditional(Width),
    /// An AMO: loads and stores.
    Amo(Width),
    /// Jumps if a condition holds.
    Branch,
    /// Jumps.
    Jump,
    /// Orders memory accesses. Accesses are sequentially consistent, so nothing is left to do.
    Fence,
    /// `pause`, `wrs.nto`, `wrs.sto`: a wish to give way.
    Pause,
    /// `fence.i`: what was stored before is what is fetched after.
    FenceI,
    /// Reads or writes a control and status register.
    Csr,
    /// `ecall`, `ebreak`: traps.
    Call,
    /// `mret`, `sret`: returns from a trap.
    Return,
    /// `wfi`: waits for an interrupt.
    Wait,
    /// `sfence.vma` and the like: drops translations.
    TranslationFence,
    /// `cbo.inval`, `cbo.clean`, `cbo.flush`: asks that a block of memory may be accessed. There is no cache that memory
    /// could differ from, so nothing is left to do.
    BlockManagement,
    /// `cbo.zero`: stores zeros to a block of memory, [`CACHE_BLOCK_SIZE`](crate::address::CACHE_BLOCK_SIZE) bytes.
    BlockZero,
}

impl Opcode {
    /// What an instruction of this opcode does.
    #[rustfmt::skip]
    pub const fn class(self) -> Class {
        match self {
            Jal | Jalr => Class::Jump,
            Beq | Bne | Blt | Bge | Bltu | Bgeu => Class::Branch,
            Lb | Lbu => Class::Load(Width::Byte),
            Lh | Lhu => Class::Load(Width::Half),
            Lw | Lwu | Flw => Class::Load(Width::Word),
            Ld | Fld => Class::Load(Width::Double),
            Sb => Class::Store(Width::Byte),
            Sh => Class::Store(Width::Half),
            Sw | Fsw => Class::Store(Width::Word),
            Sd | Fsd => Class::Store(Width::Double),
            LrW => Class::LoadReserved(Width::Word),
            LrD => Class::LoadReserved(Width::Double),
            ScW => Class::StoreConditional(Width::Word),
            ScD => Class::StoreConditional(Width::Double),
            AmoswapW | AmoaddW | AmoxorW | AmoandW | AmoorW | AmominW | AmomaxW | AmominuW | AmomaxuW =>
                Class::Amo(Width::Word),
            AmoswapD | AmoaddD | AmoxorD | AmoandD | AmoorD | AmominD | AmomaxD | AmominuD | AmomaxuD =>
                Class::Amo(Width::Double),
            Fence => Class::Fence,
            Pause | WrsNto | WrsSto => Class::Pause,
            FenceI => Class::FenceI,
            Csrrw | Csrrs | Csrrc | Csrrwi | Csrrsi | Csrrci => Class::Csr,
            Ecall | Ebreak => Class::Call,
            Mret | Sret => Class::Return,
            Wfi => Class::Wait,
            SfenceVma | SinvalVma | SfenceWInval | SfenceInvalIr => Class::TranslationFence,
            CboInval | CboClean | CboFlush => Class::BlockManagement,
            CboZero => Class::BlockZero,
            Lui | Auipc
            | Addi | Slti | Sltiu | Xori | Ori | Andi | Slli | Srli | Srai
            | Add | Sub | Sll | Slt | Sltu | Xor | Srl | Sra | Or | And
            | Addiw | Slliw | Srliw | Sraiw | Addw | Subw | Sllw | Srlw | Sraw
            | Mul | Mulh | Mulhsu | Mulhu | Div | Divu | Rem | Remu
            | Mulw | Divw | Divuw | Remw | Remuw
            | FmaddS | FmsubS | FnmsubS | FnmaddS
            | FaddS | FsubS | FmulS | FdivS | FsqrtS | FsgnjS | FsgnjnS | FsgnjxS | FminS | FmaxS
            | FcvtWS | FcvtWuS | FcvtLS | FcvtLuS | FmvXW | FeqS | FltS | FleS | FclassS
            | FcvtSW | FcvtSWu | FcvtSL | FcvtSLu | FmvWX
            | FmaddD | FmsubD | FnmsubD | FnmaddD
            | FaddD | FsubD | FmulD | FdivD | FsqrtD | FsgnjD | FsgnjnD | FsgnjxD | FminD | FmaxD
            | FcvtSD | FcvtDS | FeqD | FltD | FleD | FclassD
            | FcvtWD | FcvtWuD | FcvtLD | FcvtLuD | FmvXD | FcvtDW | FcvtDWu | FcvtDL | FcvtDLu | FmvDX
            | AddUw | Sh1add | Sh1addUw | Sh2add | Sh2addUw | Sh3add | Sh3addUw | SlliUw
            | Andn | Orn | Xnor | Clz | Clzw | Ctz | Ctzw | Cpop | Cpopw | Max | Maxu | Min | Minu
            | SextB | SextH | ZextH | Rol | Rolw | Ror | Rori | Roriw | Rorw | OrcB | Rev8
            | Bclr | Bclri | Bext | Bexti | Binv | Binvi | Bset | Bseti
            | CzeroEqz | CzeroNez => Class::Compute,
        }
    }

    /// Whether a block of decoded instructions has to end after this one: the next instruction is elsewhere, or may
    /// have to be fetched, translated or permitted anew, or an interrupt may be due that was not before, or the
    /// instruction looks at state that is exact only between blocks (counters, the clock).
    pub const fn ends_block(self) -> bool {
        match self.class() {
            Class::Branch
            | Class::Jump
            | Class::Pause
            | Class::FenceI
            | Class::Csr
            | Class::Call
            | Class::Return
            | Class::Wait
            | Class::TranslationFence => true,
            Class::Compute
            | Class::Load(_)
            | Class::Store(_)
            | Class::LoadReserved(_)
            | Class::StoreConditional(_)
            | Class::Amo(_)
            | Class::BlockManagement
            | Class::BlockZero
            | Class::Fence => false,
        }
    }

    /// How much memory the instruction accesses, none if it does not, or a whole block.
    pub const fn width(self) -> Option<Width> {
        match self.class() {
            Class::Load(width)
            | Class::Store(width)
            | Class::LoadReserved(width)
            | Class::StoreConditional(width)
            | Class::Amo(width) => Some(width),
            Class::Compute
            | Class::Branch
            | Class::Jump
            | Class::Fence
            | Class::Pause
            | Class::FenceI
            | Class::Csr
            | Class::Call
            | Class::Return
            | Class::Wait
            | Class::TranslationFence
            | Class::BlockManagement
            | Class::BlockZero => None,
        }
    }

    /// Whether it accesses memory.
    pub const fn is_memory(self) -> bool {
        self.width().is_some() || matches!(self.class(), Class::BlockZero)
    }

    /// Whether it may read memory.
    pub const fn reads_memory(self) -> bool {
        self.is_memory()
            && !matches!(self.class(), Class::Store(_) | Class::StoreConditional(_) | Class::BlockZero)
    }

    /// Whether it may write memory.
    pub const fn writes_memory(self) -> bool {
        self.is_memory() && !matches!(self.class(), Class::Load(_) | Class::LoadReserved(_))
    }

    /// Whether it is of the A extension.
    pub const fn is_atomic(self) -> bool {
        matches!(self.class(), Class::LoadReserved(_) | Class::StoreConditional(_) | Class::Amo(_))
    }

    /// Whether the next instruction may be elsewhere by what this one does, traps aside: branches, jumps and returns.
    pub const fn is_control_flow(self) -> bool {
        matches!(self.class(), Class::Branch | Class::Jump | Class::Return)
    }

    /// Whether it is of the F or D extension, thus illegal while `mstatus.FS` is off.
    #[rustfmt::skip]
    pub const fn is_floating(self) -> bool {
        match self {
            Flw | Fsw | FmaddS | FmsubS | FnmsubS | FnmaddS
            | FaddS | FsubS | FmulS | FdivS | FsqrtS | FsgnjS | FsgnjnS | FsgnjxS | FminS | FmaxS
            | FcvtWS | FcvtWuS | FcvtLS | FcvtLuS | FmvXW | FeqS | FltS | FleS | FclassS
            | FcvtSW | FcvtSWu | FcvtSL | FcvtSLu | FmvWX
            | Fld | Fsd | FmaddD | FmsubD | FnmsubD | FnmaddD
            | FaddD | FsubD | FmulD | FdivD | FsqrtD | FsgnjD | FsgnjnD | FsgnjxD | FminD | FmaxD
            | FcvtSD | FcvtDS | FeqD | FltD | FleD | FclassD
            | FcvtWD | FcvtWuD | FcvtLD | FcvtLuD | FmvXD | FcvtDW | FcvtDWu | FcvtDL | FcvtDLu | FmvDX => true,
            Lui | Auipc | Jal | Jalr
            | Beq | Bne | Blt | Bge | Bltu | Bgeu
            | Lb | Lh | Lw | Ld | Lbu | Lhu | Lwu
            | Sb | Sh | Sw | Sd
            | Addi | Slti | Sltiu | Xori | Ori | Andi | Slli | Srli | Srai
            | Add | Sub | Sll | Slt | Sltu | Xor | Srl | Sra | Or | And
            | Addiw | Slliw | Srliw | Sraiw | Addw | Subw | Sllw | Srlw | Sraw
            | Fence | Pause | Ecall | Ebreak
            | FenceI | Csrrw | Csrrs | Csrrc | Csrrwi | Csrrsi | Csrrci
            | Mul | Mulh | Mulhsu | Mulhu | Div | Divu | Rem | Remu
            | Mulw | Divw | Divuw | Remw | Remuw
            | LrW | ScW | AmoswapW | AmoaddW | AmoxorW | AmoandW | AmoorW | AmominW | AmomaxW | AmominuW | AmomaxuW
            | LrD | ScD | AmoswapD | AmoaddD | AmoxorD | AmoandD | AmoorD | AmominD | AmomaxD | AmominuD | AmomaxuD
            | AddUw | Sh1add | Sh1addUw | Sh2add | Sh2addUw | Sh3add | Sh3addUw | SlliUw
            | Andn | Orn | Xnor | Clz | Clzw | Ctz | Ctzw | Cpop | Cpopw | Max | Maxu | Min | Minu
            | SextB | SextH | ZextH | Rol | Rolw | Ror | Rori | Roriw | Rorw | OrcB | Rev8
            | Bclr | Bclri | Bext | Bexti | Binv | Binvi | Bset | Bseti
            | CzeroEqz | CzeroNez | WrsNto | WrsSto | CboInval | CboClean | CboFlush | CboZero
            | Mret | Sret | Wfi | SfenceVma | SinvalVma | SfenceWInval | SfenceInvalIr => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exactly_these_end_a_block() {
        let ends: Vec<_> = Opcode::all().filter(|code| code.ends_block()).map(Opcode::mnemonic).collect();
        let expected = "jal jalr beq bne blt bge bltu bgeu pause ecall ebreak fence.i csrrw csrrs csrrc csrrwi csrrsi \
                        csrrci wrs.nto wrs.sto mret sret wfi sfence.vma sinval.vma sfence.w.inval sfence.inval.ir";
        assert_eq!(ends, expected.split(' ').collect::<Vec<_>>());
    }

    #[test]
    fn classes_agree_with_the_mnemonics() {
        for code in Opcode::all() {
            let name = code.mnemonic();
            assert_eq!(
                code.is_atomic(),
                ["lr.", "sc.", "amo"].iter().any(|prefix| name.starts_with(prefix)),
                "{name}"
            );
            assert_eq!(code.is_floating(), name.starts_with('f') && !name.starts_with("fence"), "{name}");
            // Mnemonics of loads and stores are two letters, less an `f` before and a `u` behind; atomics' end in the width.
            let width = match name.trim_start_matches('f').trim_end_matches('u') {
                "lb" | "sb" => Some(Width::Byte),
                "lh" | "sh" => Some(Width::Half),
                "lw" | "sw" => Some(Width::Word),
                "ld" | "sd" => Some(Width::Double),
                name if code.is_atomic() && name.ends_with(".w") => Some(Width::Word),
                name if code.is_atomic() && name.ends_with(".d") => Some(Width::Double),
                _ => None,
            };
            assert_eq!(code.width(), width, "{name}");
            assert_eq!(code.is_memory(), code.reads_memory() || code.writes_memory(), "{name}");
            assert_eq!(
                code.reads_memory() && code.writes_memory(),
                name.starts_with("amo"),
                "{name}: only AMOs both read and write"
            );
        }
    }
}
