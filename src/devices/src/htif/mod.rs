//! The host-target interface: the words `tohost` and `fromhost` in a program's memory.
//!
//! Behaves as on Spike: a command is consumed at once (`tohost` reads as zero again), an answer stands in `fromhost`
//! until the program stores zero there, and further answers wait for that. Of the proxied system calls there are
//! `write` to the standard output and error, and `exit`; the others fail with ENOSYS.
//!
//! A store that touches the low word of `tohost` gives the command; one to the high word alone prepares it. So a
//! doubleword, a low word alone, and high word before low word all work.
//!
//! Where Spike would abort, a system call whose words are no memory is an access fault of the store.

pub mod registers;
#[cfg(test)]
mod tests;

use crate::state::write_queue;
use crate::{Blocked, Device, Outcome, Outside, Refusal, StateError, StateReader};
use cantus_isa::{Gpa, Width};
use registers::{CALL_BYTES, Command, FROMHOST, TOHOST, call, error};
use std::collections::VecDeque;

/// The most bytes that one `write` writes: it may always write fewer than it was asked to, and a store must be able to
/// hold all the memory that it needs at once.
pub const WRITE_MAX: u64 = 16 << 10;

/// The most answers that wait for `fromhost`; further ones are dropped. A program that gets there never looks.
const ANSWERS_MAX: usize = 64;

/// Bytes of input that the interface likes to keep waiting at most.
const WAITING_MAX: usize = 4096;

/// The interface.
#[derive(Default)]
pub struct Htif {
    tohost: u64,
    fromhost: u64,
    answers: VecDeque<u64>,
    /// Reads from the console that wait for input.
    reads: u32,
    reads_console: bool,
    waiting: VecDeque<u8>,
}

impl Htif {
    /// An interface after a reset.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether the program has ever read from the console here, so that this is where it expects input.
    pub fn reads_console(&self) -> bool {
        self.reads_console
    }

    fn command(&mut self, value: u64, outside: &mut dyn Outside) -> Result<(), Refusal> {
        match Command::of(value) {
            Command::Exit(code) => outside.stop(Outcome::of_exit_code(code)),
            Command::SystemCall(address) => self.system_call(Gpa(address), outside)?,
            Command::Read => {
                self.reads = self.reads.saturating_add(1);
                self.reads_console = true;
            }
            Command::Write(byte) => outside.output(&[byte]),
            Command::Unknown => {}
        }
        Ok(())
    }

    fn system_call(&mut self, address: Gpa, outside: &mut dyn Outside) -> Result<(), Refusal> {
        let mut bytes = [0; CALL_BYTES];
        outside.memory_read(address, &mut bytes)?;
        let word =
            |at: usize| bytes[8 * at..8 * at + 8].iter().rfold(0, |word, &byte| word << 8 | u64::from(byte));
        let mut text = Vec::new();
        let result = match word(0) {
            call::WRITE if !matches!(word(1), 1 | 2) => error::EBADF,
            call::WRITE if word(3) == 0 => 0,
            call::WRITE => {
                text.resize(word(3).min(WRITE_MAX) as usize, 0);
                match outside.memory_read(Gpa(word(2)), &mut text) {
                    Ok(()) => text.len() as u64,
                    Err(Refusal::Blocked) => return Err(Refusal::Blocked),
                    Err(Refusal::Fault) => {
                        text.clear();
                        error::EFAULT
                    }
                }
            }
            call::EXIT => {
                outside.stop(Outcome::of_exit_code(word(1)));
                return Ok(());
            }
            _ => error::ENOSYS,
        };
        outside.memory_write(address, &result.to_le_bytes())?;
        if !text.is_empty() {
            outside.output(&text);
        }
        if self.answers.len() < ANSWERS_MAX {
            self.answers.push_back(registers::ANSWER_SYSTEM_CALL);
        }
        Ok(())
    }

    /// Puts the next answer into `fromhost`, where that is free.
    fn answer(&mut self) {
        if self.fromhost != 0 {
            return;
        }
        if let Some(answer) = self.answers.pop_front() {
            self.fromhost = answer;
        } else if self.reads > 0
            && let Some(byte) = self.waiting.pop_front()
        {
            self.reads -= 1;
            self.fromhost = registers::answer_read(byte);
        }
    }
}

/// Which register an access means, and the bits of it. An access that leaves the register has none.
fn bits(offset: u64, width: Width) -> Result<(u64, u32, u64), Refusal> {
    let at = offset % 8;
    if offset >= registers::END || at + width.bytes() > 8 {
        return Err(Refusal::Fault);
    }
    Ok((offset - at, 8 * at as u32, u64::MAX >> (64 - 8 * width.bytes())))
}

impl Device for Htif {
    fn name(&self) -> &'static str {
        "htif"
    }

    fn load(&mut self, offset: u64, width: Width, _outside: &mut dyn Outside) -> Result<u64, Refusal> {
        let (register, shift, mask) = bits(offset, width)?;
        let value = if register == TOHOST { self.tohost } else { self.fromhost };
        Ok(value >> shift & mask)
    }

    fn store(
        &mut self,
        offset: u64,
        width: Width,
        value: u64,
        outside: &mut dyn Outside,
    ) -> Result<(), Refusal> {
        let (register, shift, mask) = bits(offset, width)?;
        let replace = |old: u64| old & !(mask << shift) | (value & mask) << shift;
        if register == FROMHOST {
            self.fromhost = replace(self.fromhost);
        } else {
            let mut tohost = replace(self.tohost);
            if shift < 32 && tohost != 0 {
                self.command(tohost, outside)?;
                tohost = 0;
            }
            self.tohost = tohost;
        }
        self.answer();
        Ok(())
    }

    fn input(&mut self, bytes: &[u8], _outside: &mut dyn Outside) -> Result<(), Blocked> {
        self.waiting.extend(bytes);
        self.answer();
        Ok(())
    }

    fn input_room(&self) -> usize {
        WAITING_MAX.saturating_sub(self.waiting.len())
    }

    fn write_state(&self, into: &mut Vec<u8>) {
        into.extend(self.tohost.to_le_bytes());
        into.extend(self.fromhost.to_le_bytes());
        into.extend(self.reads.to_le_bytes());
        into.push(self.reads_console.into());
        into.push(self.answers.len() as u8);
        self.answers.iter().for_each(|answer| into.extend(answer.to_le_bytes()));
        write_queue(&self.waiting, into);
    }

    fn read_state(&mut self, from: &mut StateReader<'_>) -> Result<(), StateError> {
        self.tohost = from.u64()?;
        self.fromhost = from.u64()?;
        self.reads = from.u32()?;
        self.reads_console = from.flag()?;
        let answers = from.u8_up_to(ANSWERS_MAX as u8, "the number of answers that wait")?;
        self.answers = (0..answers).map(|_| from.u64()).collect::<Result<_, _>>()?;
        self.waiting = from.queue(usize::MAX, "the length of the waiting input")?;
        Ok(())
    }
}
