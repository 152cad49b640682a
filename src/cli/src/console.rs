//! The terminal as the guest's console: every key goes to the guest, but for those that Ctrl-A announces.

use std::io::{self, IsTerminal, Read, Write};
use std::time::Duration;

use cantus::{Interrupt, Keyboard, Typed};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};

/// Ctrl-A, which announces a key for Cantus, as on QEMU.
const ESCAPE: u8 = 1;

/// How long it takes at most until a new size of the terminal is noticed.
const SIZE_EVERY: Duration = Duration::from_millis(250);

const HELP: &str = "\r\n\
    Ctrl-A x       end the run; a recording is closed properly\r\n\
    Ctrl-A h       this help\r\n\
    Ctrl-A Ctrl-A  send Ctrl-A to the guest\r\n";

/// The terminal's columns and rows, where the standard input is one that says so.
pub fn size() -> Option<(u16, u16)> {
    let size = tcgetwinsize(io::stdin()).ok()?;
    (size.ws_col != 0 && size.ws_row != 0).then_some((size.ws_col, size.ws_row))
}

/// A terminal in raw mode, until it is dropped.
pub struct Raw {
    before: Termios,
}

impl Raw {
    /// Gives all keys to the guest. None where the guest's console is not on a terminal, in and out.
    pub fn enter() -> Option<Self> {
        if !io::stdin().is_terminal() || !io::stdout().is_terminal() {
            return None;
        }
        let before = tcgetattr(io::stdin()).ok()?;
        let mut raw = before.clone();
        raw.make_raw();
        // What the guest and Cantus print stays as it is on a terminal: a line feed begins a new line.
        raw.output_modes = before.output_modes;
        tcsetattr(io::stdin(), OptionalActions::Now, &raw).ok()?;
        Some(Self { before })
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // There is nobody to tell that the terminal has gone away.
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.before);
    }
}

/// What the keys mean: bytes for the guest, and what Ctrl-A announces.
#[derive(Default)]
struct Escapes {
    is_announced: bool,
}

/// A key that is not for the guest.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Command {
    Quit,
    Help,
}

impl Escapes {
    /// Splits what was typed: the bytes for the guest up to the first command, and that command. What comes after it is
    /// dropped when it ends the run.
    fn read(&mut self, typed: &[u8]) -> (Vec<u8>, Vec<Command>) {
        let (mut bytes, mut commands) = (Vec::new(), Vec::new());
        for &byte in typed {
            match (std::mem::take(&mut self.is_announced), byte) {
                (false, ESCAPE) => self.is_announced = true,
                (false, byte) | (true, byte @ ESCAPE) => bytes.push(byte),
                (true, b'x' | b'X') => commands.push(Command::Quit),
                // Anything else is a question what there is.
                (true, _) => commands.push(Command::Help),
            }
        }
        (bytes, commands)
    }
}

/// The keys of a terminal in raw mode.
pub struct Keys {
    escapes: Escapes,
    interrupt: Interrupt,
    size: Option<(u16, u16)>,
}

impl Keys {
    /// Ctrl-A x raises the interrupt.
    pub fn new(interrupt: Interrupt) -> Self {
        Self { escapes: Escapes::default(), interrupt, size: size() }
    }
}

impl Keyboard for Keys {
    fn next(&mut self) -> Option<Typed> {
        let mut buffer = [0; 4096];
        loop {
            let stdin = io::stdin();
            let mut waiting = [PollFd::new(&stdin, PollFlags::IN)];
            let timeout = Timespec { tv_sec: 0, tv_nsec: SIZE_EVERY.as_nanos() as i64 };
            let ready = match poll(&mut waiting, Some(&timeout)) {
                Ok(ready) => ready,
                Err(rustix::io::Errno::INTR) => continue,
                Err(_) => return None,
            };
            if ready == 0 {
                let now = size();
                if now != self.size {
                    self.size = now;
                    if let Some((columns, rows)) = now {
                        return Some(Typed::Size { columns, rows });
                    }
                }
                continue;
            }
            let length = stdin.lock().read(&mut buffer).ok().filter(|length| *length != 0)?;
            let (bytes, commands) = self.escapes.read(&buffer[..length]);
            for command in commands {
                match command {
                    Command::Help => {
                        // Nobody may be there to be told; that is no reason to end.
                        let _ = io::stderr().write_all(HELP.as_bytes());
                    }
                    Command::Quit => {
                        self.interrupt.raise();
                        return None;
                    }
                }
            }
            if !bytes.is_empty() {
                return Some(Typed::Bytes(bytes));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_ctrl_a_announces_are_not_for_the_guest() {
        let mut escapes = Escapes::default();
        let table: [(&[u8], &[u8], &[Command]); 7] = [
            (b"ls\r", b"ls\r", &[]),
            (b"\x03\x04\x1b[A", b"\x03\x04\x1b[A", &[]),
            (b"a\x01hb", b"ab", &[Command::Help]),
            (b"\x01\x01", b"\x01", &[]),
            (b"\x01", b"", &[]),
            (b"x", b"", &[Command::Quit]),
            (b"x\x01?\x01X", b"x", &[Command::Help, Command::Quit]),
        ];
        for (typed, bytes, commands) in table {
            assert_eq!(escapes.read(typed), (bytes.to_vec(), commands.to_vec()), "{typed:?}");
        }
    }
}
