//! The test finisher: a store to it ends the run.
//!
//! It reads as zero, answers halfwords and words as QEMU's does, and has no state.

pub mod registers;
#[cfg(test)]
mod tests;

use crate::{Device, Outcome, Outside, Refusal, StateError, StateReader};
use cantus_isa::Width;
use registers::Command;

/// The test finisher.
#[derive(Default)]
pub struct Finisher;

impl Finisher {
    /// A finisher.
    pub fn new() -> Self {
        Self
    }
}

fn check(width: Width) -> Result<(), Refusal> {
    match width {
        Width::Half | Width::Word => Ok(()),
        Width::Byte | Width::Double => Err(Refusal::Fault),
    }
}

impl Device for Finisher {
    fn name(&self) -> &'static str {
        "finisher"
    }

    fn load(&mut self, _offset: u64, width: Width, _outside: &mut dyn Outside) -> Result<u64, Refusal> {
        check(width).map(|()| 0)
    }

    fn store(
        &mut self,
        offset: u64,
        width: Width,
        value: u64,
        outside: &mut dyn Outside,
    ) -> Result<(), Refusal> {
        check(width)?;
        let value = if width == Width::Half { value & 0xffff } else { value };
        let command = if offset == 0 { Command::of(value) } else { None };
        if let Some(command) = command {
            outside.stop(match command {
                Command::Fail(code) => Outcome::Failed(code.into()),
                Command::Pass => Outcome::Passed,
                Command::Reset => Outcome::Reset,
            });
        }
        Ok(())
    }

    fn write_state(&self, _into: &mut Vec<u8>) {}

    fn read_state(&mut self, _from: &mut StateReader<'_>) -> Result<(), StateError> {
        Ok(())
    }
}
