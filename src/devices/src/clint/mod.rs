//! The CLINT: software interrupts, deadlines and the clock, as far as one hart is concerned.
//!
//! A [`Clint`] holds the registers of one hart, and the board has one for each. So accesses that concern different
//! harts need no order among them, and an IPI makes an order edge with its target only. Registers of other harts read
//! as zero here and ignore stores, as do those of harts that the machine does not have. The clock is no register of
//! anyone: what it reads is an input (STATE-3), so each hart's `Clint` answers for it.
//!
//! A store to MTIME sets the clock of the whole machine ([`Outside::set_clock`]): the `time` CSR and all deadlines
//! follow it.

pub mod registers;
#[cfg(test)]
mod tests;

use crate::{Device, Outside, Refusal, StateError, StateReader, lines};
use cantus_isa::Width;
use registers::{Part, Register};

/// The registers of one hart.
pub struct Clint {
    hart: usize,
    software: bool,
    /// MTIMECMP. Its value at reset is left open (ACLINT, section 2.3): here no deadline that the clock could reach, so
    /// that a hart that never set one gets no interrupt.
    compare: u64,
}

impl Clint {
    /// The registers of `hart`, after a reset.
    pub fn new(hart: usize) -> Self {
        Self { hart, software: false, compare: u64::MAX }
    }

    /// The hart's line that it holds raised, and its deadline in ticks.
    pub fn live(&self) -> (u32, u64) {
        (if self.software { lines::MSIP } else { 0 }, self.compare)
    }
}

impl Device for Clint {
    fn name(&self) -> &'static str {
        "clint"
    }

    fn load(&mut self, offset: u64, width: Width, outside: &mut dyn Outside) -> Result<u64, Refusal> {
        Ok(match Register::at(offset, width).ok_or(Refusal::Fault)? {
            Register::Software { hart } if hart == self.hart => self.software.into(),
            Register::Compare { hart, part } if hart == self.hart => part.of(self.compare),
            Register::Software { .. } | Register::Compare { .. } => 0,
            Register::Clock { part } => part.of(outside.clock()),
        })
    }

    fn store(
        &mut self,
        offset: u64,
        width: Width,
        value: u64,
        outside: &mut dyn Outside,
    ) -> Result<(), Refusal> {
        match Register::at(offset, width).ok_or(Refusal::Fault)? {
            Register::Software { hart } if hart == self.hart => {
                let level = value & 1 != 0;
                if level != self.software {
                    self.software = level;
                    outside.set_line(hart, lines::MSIP, level);
                }
            }
            Register::Compare { hart, part } if hart == self.hart => {
                self.compare = part.replace(self.compare, value);
                outside.set_deadline(hart, self.compare);
            }
            Register::Software { .. } | Register::Compare { .. } => {}
            Register::Clock { part: Part::Whole } => outside.set_clock(value),
            Register::Clock { part } => {
                let clock = outside.clock();
                outside.set_clock(part.replace(clock, value));
            }
        }
        Ok(())
    }

    fn write_state(&self, into: &mut Vec<u8>) {
        into.push(self.software.into());
        into.extend(self.compare.to_le_bytes());
    }

    fn read_state(&mut self, from: &mut StateReader<'_>) -> Result<(), StateError> {
        self.software = from.flag()?;
        self.compare = from.u64()?;
        Ok(())
    }
}
