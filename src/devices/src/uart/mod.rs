//! The serial port: a 16550A on the host's console.
//!
//! Follows the PC16550D datasheet where a program can tell, except that time does not pass in it: a character that is
//! stored is sent at once, so the transmitter is always empty; and received characters below the trigger level are
//! reported as timed out at once. Baud rate, word length, parity and break have no effect.
//!
//! Input that finds the FIFO full waits in a queue of its own (the other end of the line is polite) and moves up when
//! there is room, so only a loopback can overrun. Clearing the FIFO does not touch that queue.
//!
//! Accesses of any width mean the one register at their offset, as on QEMU.

pub mod registers;
#[cfg(test)]
mod tests;

use crate::state::write_queue;
use crate::{Blocked, Device, Outside, Refusal, StateError, StateReader};
use cantus_isa::Width;
use registers::{FIFO_MAX, Register, fcr, ier, iir, lcr, lsr, mcr, msr};
use std::collections::VecDeque;

/// Bytes of input that the port likes to keep waiting at most.
const WAITING_MAX: usize = 4096;

/// The serial port.
pub struct Uart {
    /// The source of the interrupt controller that its interrupt is wired to.
    source: u32,
    interrupt_enable: u8,
    fifo_control: u8,
    line_control: u8,
    modem_control: u8,
    scratch: u8,
    divisor: [u8; 2],
    /// The bits of the modem status that a load clears.
    modem_changes: u8,
    overrun: bool,
    /// The transmitter became empty, and nobody has taken note of it.
    transmitter_interrupt: bool,
    /// What the receiver holds: a FIFO, or one character.
    received: VecDeque<u8>,
    /// What waits on the line.
    waiting: VecDeque<u8>,
    /// The level of the interrupt.
    raised: bool,
}

impl Uart {
    /// A port after a reset, wired to this interrupt source.
    pub fn new(source: u32) -> Self {
        Self {
            source,
            interrupt_enable: 0,
            fifo_control: 0,
            line_control: 0,
            modem_control: 0,
            scratch: 0,
            divisor: [0; 2],
            modem_changes: 0,
            overrun: false,
            transmitter_interrupt: false,
            received: VecDeque::new(),
            waiting: VecDeque::new(),
            raised: false,
        }
    }

    fn capacity(&self) -> usize {
        if self.fifo_control & fcr::ENABLE != 0 { FIFO_MAX } else { 1 }
    }

    fn is_looped(&self) -> bool {
        self.modem_control & mcr::LOOP != 0
    }

    /// What the modem lines say: in loopback what the modem control register drives (section 8.8), else that the other
    /// end is there.
    fn modem_lines(&self) -> u8 {
        if !self.is_looped() {
            return msr::CTS | msr::DSR | msr::DCD;
        }
        let drives =
            [(mcr::RTS, msr::CTS), (mcr::DTR, msr::DSR), (mcr::OUT1, msr::RI), (mcr::OUT2, msr::DCD)];
        drives
            .iter()
            .filter(|(output, _)| self.modem_control & output != 0)
            .fold(0, |lines, (_, line)| lines | line)
    }

    fn line_status(&self) -> u8 {
        let ready = if self.received.is_empty() { 0 } else { lsr::DATA_READY };
        let overrun = if self.overrun { lsr::OVERRUN } else { 0 };
        ready | overrun | lsr::TRANSMITTER_EMPTY | lsr::TRANSMITTER_IDLE
    }

    /// The pending and enabled interrupt of the highest priority (section 8.6, table IV).
    fn interrupt(&self) -> u8 {
        let enabled = |bit| self.interrupt_enable & bit != 0;
        let trigger = if self.capacity() == 1 { 1 } else { fcr::trigger(self.fifo_control) };
        if enabled(ier::LINE_STATUS) && self.overrun {
            iir::LINE_STATUS
        } else if enabled(ier::RECEIVED) && self.received.len() >= trigger {
            iir::RECEIVED
        } else if enabled(ier::RECEIVED) && !self.received.is_empty() {
            iir::TIMEOUT
        } else if enabled(ier::TRANSMITTER_EMPTY) && self.transmitter_interrupt {
            iir::TRANSMITTER_EMPTY
        } else if enabled(ier::MODEM_STATUS) && self.modem_changes != 0 {
            iir::MODEM_STATUS
        } else {
            iir::NONE
        }
    }

    /// What follows from any change: waiting input moves up, and the interrupt gets its level.
    fn settle(&mut self, outside: &mut dyn Outside) {
        while !self.is_looped() && self.received.len() < self.capacity() {
            let Some(byte) = self.waiting.pop_front() else { break };
            self.received.push_back(byte);
        }
        let level = self.interrupt() != iir::NONE;
        if level != self.raised {
            self.raised = level;
            outside.raise(self.source, level);
        }
    }

    fn transmit(&mut self, byte: u8, outside: &mut dyn Outside) {
        if !self.is_looped() {
            outside.output(&[byte]);
        } else if self.received.len() < self.capacity() {
            self.received.push_back(byte);
        } else {
            // Without a FIFO the new character destroys the old one; with one, it is itself lost (section 8.4).
            self.overrun = true;
            if self.capacity() == 1 {
                self.received[0] = byte;
            }
        }
        self.transmitter_interrupt = true;
    }

    fn control_fifo(&mut self, value: u8) {
        // The other bits are taken only together with the enabling one; changing that one empties both FIFOs
        // (section 8.5). The transmitter's is always empty.
        let enable = value & fcr::ENABLE;
        let changed = (value ^ self.fifo_control) & fcr::ENABLE != 0;
        if changed || enable != 0 && value & fcr::CLEAR_RECEIVER != 0 {
            self.received.clear();
        }
        self.fifo_control = if enable == 0 { 0 } else { value & (fcr::ENABLE | fcr::TRIGGER) };
    }

    fn control_modem(&mut self, value: u8) {
        let before = self.modem_lines();
        self.modem_control = value & mcr::ALL;
        let (after, ring) = (self.modem_lines(), msr::RI >> 4);
        // The ring indicator reports only that it fell (section 8.9).
        let changes = (before ^ after) >> 4;
        let fell = if before & !after & msr::RI != 0 { msr::RING_FELL } else { 0 };
        self.modem_changes |= changes & !ring | fell;
    }
}

impl Device for Uart {
    fn name(&self) -> &'static str {
        "uart"
    }

    fn load(&mut self, offset: u64, _width: Width, outside: &mut dyn Outside) -> Result<u64, Refusal> {
        let divisor = self.line_control & lcr::DIVISOR != 0;
        let value = match Register::at(offset, divisor).ok_or(Refusal::Fault)? {
            Register::Data => self.received.pop_front().unwrap_or(0),
            Register::InterruptEnable => self.interrupt_enable,
            Register::DivisorLow => self.divisor[0],
            Register::DivisorHigh => self.divisor[1],
            Register::InterruptOrFifo => {
                let interrupt = self.interrupt();
                if interrupt == iir::TRANSMITTER_EMPTY {
                    self.transmitter_interrupt = false;
                }
                interrupt | if self.capacity() == 1 { 0 } else { iir::FIFOS }
            }
            Register::LineControl => self.line_control,
            Register::ModemControl => self.modem_control,
            Register::LineStatus => {
                let status = self.line_status();
                self.overrun = false;
                status
            }
            Register::ModemStatus => self.modem_lines() | std::mem::take(&mut self.modem_changes),
            Register::Scratch => self.scratch,
        };
        self.settle(outside);
        Ok(value.into())
    }

    fn store(
        &mut self,
        offset: u64,
        _width: Width,
        value: u64,
        outside: &mut dyn Outside,
    ) -> Result<(), Refusal> {
        let divisor = self.line_control & lcr::DIVISOR != 0;
        let value = value as u8;
        match Register::at(offset, divisor).ok_or(Refusal::Fault)? {
            Register::Data => self.transmit(value, outside),
            Register::InterruptEnable => {
                // Enabling the transmitter's interrupt while the transmitter is empty raises it.
                if value & !self.interrupt_enable & ier::TRANSMITTER_EMPTY != 0 {
                    self.transmitter_interrupt = true;
                }
                self.interrupt_enable = value & ier::ALL;
            }
            Register::DivisorLow => self.divisor[0] = value,
            Register::DivisorHigh => self.divisor[1] = value,
            Register::InterruptOrFifo => self.control_fifo(value),
            Register::LineControl => self.line_control = value,
            Register::ModemControl => self.control_modem(value),
            Register::LineStatus | Register::ModemStatus => {}
            Register::Scratch => self.scratch = value,
        }
        self.settle(outside);
        Ok(())
    }

    fn input(&mut self, bytes: &[u8], outside: &mut dyn Outside) -> Result<(), Blocked> {
        self.waiting.extend(bytes);
        self.settle(outside);
        Ok(())
    }

    fn input_room(&self) -> usize {
        WAITING_MAX.saturating_sub(self.waiting.len())
    }

    fn write_state(&self, into: &mut Vec<u8>) {
        into.extend([
            self.interrupt_enable,
            self.fifo_control,
            self.line_control,
            self.modem_control,
            self.scratch,
            self.divisor[0],
            self.divisor[1],
            self.modem_changes,
            self.overrun.into(),
            self.transmitter_interrupt.into(),
            self.raised.into(),
        ]);
        write_queue(&self.received, into);
        write_queue(&self.waiting, into);
    }

    fn read_state(&mut self, from: &mut StateReader<'_>) -> Result<(), StateError> {
        self.interrupt_enable = from.u8_up_to(ier::ALL, "an interrupt enable register, 0 to 15")?;
        self.fifo_control = from.u8()? & (fcr::ENABLE | fcr::TRIGGER);
        self.line_control = from.u8()?;
        self.modem_control = from.u8_up_to(mcr::ALL, "a modem control register, 0 to 31")?;
        self.scratch = from.u8()?;
        self.divisor = [from.u8()?, from.u8()?];
        self.modem_changes = from.u8_up_to(msr::CHANGES, "changes of modem lines, 0 to 15")?;
        self.overrun = from.flag()?;
        self.transmitter_interrupt = from.flag()?;
        self.raised = from.flag()?;
        self.received = from.queue(self.capacity(), "the length of the receiver's FIFO")?;
        self.waiting = from.queue(usize::MAX, "the length of the waiting input")?;
        Ok(())
    }
}
