//! Where the PLIC's registers lie (RISC-V PLIC specification 1.0.0, "Memory Map"), with the parameters of the board.
//!
//! All registers are words. What the specification reserves, and what belongs to sources and contexts that this PLIC
//! does not have, reads as zero and ignores stores.

use cantus_isa::Width;

/// Interrupt sources are 1 to this; there is no source 0.
pub const SOURCE_MAX: u32 = 96;
/// Words of a bit array over all sources, bit 0 of word 0 being the source that does not exist.
pub const SOURCE_WORDS: usize = SOURCE_MAX as usize / 32 + 1;
/// Priorities and thresholds are 0 to this; three bits are variable ("Interrupt Priorities").
pub const PRIORITY_MAX: u8 = 7;
/// The end of the range, with room for every context of the most harts that QEMU's board may have.
pub const END: u64 = 0x60_0000;

const PENDING: u64 = 0x1000;
const PENDING_END: u64 = 0x1080;
const ENABLE: u64 = 0x2000;
const ENABLE_STRIDE: u64 = 0x80;
const ENABLE_END: u64 = 0x1f_2000;
const CONTEXT: u64 = 0x20_0000;
const CONTEXT_STRIDE: u64 = 0x1000;

/// A register of the PLIC.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Register {
    /// "Interrupt Priorities": of one source.
    Priority {
        /// The source.
        source: usize,
    },
    /// "Interrupt Pending Bits": one word of them.
    Pending {
        /// Which word.
        word: usize,
    },
    /// "Interrupt Enables": one word of a context's.
    Enable {
        /// The context.
        context: usize,
        /// Which word.
        word: usize,
    },
    /// "Priority Thresholds": of one context.
    Threshold {
        /// The context.
        context: usize,
    },
    /// "Interrupt Claim Process" and "Interrupt Completion": of one context.
    Claim {
        /// The context.
        context: usize,
    },
    /// Anything else in the range.
    Reserved,
}

impl Register {
    /// The register that an access means; `None` where the access is no aligned word in the range. Sources, words and
    /// contexts may be ones that do not exist.
    pub fn at(offset: u64, width: Width) -> Option<Self> {
        if width != Width::Word || !offset.is_multiple_of(4) || offset >= END {
            return None;
        }
        Some(match offset {
            ..PENDING => Register::Priority { source: (offset / 4) as usize },
            PENDING..PENDING_END => Register::Pending { word: ((offset - PENDING) / 4) as usize },
            ENABLE..ENABLE_END => Register::Enable {
                context: ((offset - ENABLE) / ENABLE_STRIDE) as usize,
                word: ((offset - ENABLE) % ENABLE_STRIDE / 4) as usize,
            },
            CONTEXT.. => {
                let context = ((offset - CONTEXT) / CONTEXT_STRIDE) as usize;
                match (offset - CONTEXT) % CONTEXT_STRIDE {
                    0 => Register::Threshold { context },
                    4 => Register::Claim { context },
                    _ => Register::Reserved,
                }
            }
            PENDING_END..ENABLE | ENABLE_END..CONTEXT => Register::Reserved,
        })
    }
}
