//! Where the CLINT's registers lie.
//!
//! The SiFive CLINT's layout is the RISC-V ACLINT specification's MSWI device at offset 0 followed by its MTIMER device at
//! 0x4000 (section 1.1), with MTIME as the last register of the MTIMER's range.

use cantus_isa::Width;

/// MSWI: one word for each hart.
pub const MSIP: u64 = 0;
/// MTIMER: one doubleword for each hart.
pub const MTIMECMP: u64 = 0x4000;
/// MTIMER: the clock.
pub const MTIME: u64 = 0xbff8;
/// The end of the registers.
pub const END: u64 = 0xc000;

/// How much of a doubleword register an access means.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Part {
    /// All of it.
    Whole,
    /// The low word.
    Low,
    /// The high word.
    High,
}

impl Part {
    /// What a load of this part of `register` gives.
    pub fn of(self, register: u64) -> u64 {
        match self {
            Part::Whole => register,
            Part::Low => register & 0xffff_ffff,
            Part::High => register >> 32,
        }
    }

    /// What `register` holds after a store of `value` to this part.
    pub fn replace(self, register: u64, value: u64) -> u64 {
        match self {
            Part::Whole => value,
            Part::Low => register & !0xffff_ffff | value & 0xffff_ffff,
            Part::High => value << 32 | register & 0xffff_ffff,
        }
    }
}

/// A register of the CLINT.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Register {
    /// The software interrupt of a hart (ACLINT, section 3.2): bit 0; the others are hardwired to zero.
    Software {
        /// The hart.
        hart: usize,
    },
    /// The deadline of a hart (ACLINT, section 2.3).
    Compare {
        /// The hart.
        hart: usize,
        /// Which part of it.
        part: Part,
    },
    /// The clock (ACLINT, section 2.2).
    Clock {
        /// Which part of it.
        part: Part,
    },
}

impl Register {
    /// The register that an aligned access means; `None` where there is none of this width. Words of MSIP, words and
    /// doublewords of the others, as QEMU has it.
    pub fn at(offset: u64, width: Width) -> Option<Self> {
        let part = match width {
            Width::Double if offset.is_multiple_of(8) => Part::Whole,
            Width::Word if offset.is_multiple_of(8) => Part::Low,
            Width::Word if offset.is_multiple_of(4) => Part::High,
            Width::Byte | Width::Half | Width::Word | Width::Double => return None,
        };
        match offset {
            MSIP..MTIMECMP if part == Part::Whole => None,
            MSIP..MTIMECMP => Some(Register::Software { hart: (offset / 4) as usize }),
            MTIMECMP..MTIME => Some(Register::Compare { hart: ((offset - MTIMECMP) / 8) as usize, part }),
            MTIME..END => Some(Register::Clock { part }),
            END.. => None,
        }
    }
}
