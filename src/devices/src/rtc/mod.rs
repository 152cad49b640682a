//! The real-time clock: goldfish's, as on QEMU's `virt` board.
//!
//! Its time is in nanoseconds, UTC since 1970. The host is asked for it once, at the first access that needs it (an empty
//! question; the answer is eight bytes, little-endian; without an answer the time begins at 0). From then on it goes on
//! with the guest's clock, so it is as reproducible as that.
//!
//! An alarm that is set asks for an input at its time: the guest's clock, in ticks (eight bytes, little-endian). It goes off
//! with that, or at an access that comes later than its time, whichever is first.

pub mod registers;
#[cfg(test)]
mod tests;

use crate::{Blocked, Device, Outside, Refusal, StateError, StateReader};
use cantus_isa::Width;
use registers::Register;

/// The real-time clock.
pub struct Rtc {
    /// The source of the interrupt controller that its interrupt is wired to.
    source: u32,
    /// Nanoseconds of a tick of the guest's clock.
    tick_nanoseconds: u64,
    /// What to add to the guest's clock, in nanoseconds modulo 2^64, once that is known.
    offset: Option<u64>,
    /// The high half that the last load of the low one has kept.
    time_high: u32,
    /// The high half of a time to set.
    time_high_set: u32,
    alarm: u64,
    is_armed: bool,
    interrupt_enabled: bool,
    interrupt_pending: bool,
    /// The level of the interrupt.
    raised: bool,
}

impl Rtc {
    /// A clock after a reset, wired to this interrupt source.
    pub fn new(source: u32, tick_nanoseconds: u64) -> Self {
        Self {
            source,
            tick_nanoseconds,
            offset: None,
            time_high: 0,
            time_high_set: 0,
            alarm: 0,
            is_armed: false,
            interrupt_enabled: false,
            interrupt_pending: false,
            raised: false,
        }
    }

    /// The time now, in nanoseconds; an alarm that is due goes off. To be asked for once in an access.
    fn now(&mut self, outside: &mut dyn Outside) -> u64 {
        let guest = outside.clock().wrapping_mul(self.tick_nanoseconds);
        let offset = *self.offset.get_or_insert_with(|| {
            let answer = outside.ask_host(&[]);
            let start = answer.iter().take(8).rfold(0, |start, &byte| start << 8 | u64::from(byte));
            start.wrapping_sub(guest)
        });
        let now = guest.wrapping_add(offset);
        self.go_off(now);
        now
    }

    /// The alarm goes off if it is due.
    fn go_off(&mut self, now: u64) {
        if self.is_armed && now >= self.alarm {
            self.is_armed = false;
            self.interrupt_pending = true;
        }
    }

    /// When the alarm that is set is due by the guest's clock, in ticks.
    pub fn alarm_ticks(&self) -> Option<u64> {
        let offset = self.offset.filter(|_| self.is_armed)?;
        Some(self.alarm.wrapping_sub(offset).div_ceil(self.tick_nanoseconds))
    }

    /// Asks for what tells when the alarm is due, or for nothing any more.
    fn set_alarm(&self, outside: &mut dyn Outside) {
        outside.set_alarm(self.alarm_ticks().unwrap_or(u64::MAX));
    }

    fn settle(&mut self, outside: &mut dyn Outside) {
        let level = self.interrupt_pending && self.interrupt_enabled;
        if level != self.raised {
            self.raised = level;
            outside.raise(self.source, level);
        }
    }
}

impl Device for Rtc {
    fn name(&self) -> &'static str {
        "rtc"
    }

    fn load(&mut self, offset: u64, width: Width, outside: &mut dyn Outside) -> Result<u64, Refusal> {
        if offset >= registers::END {
            return Err(Refusal::Fault);
        }
        let Some(register) = Register::at(offset).filter(|_| width == Width::Word) else { return Ok(0) };
        let value = match register {
            Register::TimeLow => {
                let now = self.now(outside);
                self.time_high = (now >> 32) as u32;
                now as u32
            }
            Register::TimeHigh => self.time_high,
            Register::AlarmLow => self.alarm as u32,
            Register::AlarmHigh => (self.alarm >> 32) as u32,
            Register::InterruptEnable => self.interrupt_enabled.into(),
            Register::AlarmStatus => {
                if self.is_armed {
                    self.now(outside);
                }
                self.is_armed.into()
            }
            Register::ClearAlarm | Register::ClearInterrupt => 0,
        };
        self.settle(outside);
        Ok(value.into())
    }

    fn store(
        &mut self,
        offset: u64,
        width: Width,
        value: u64,
        outside: &mut dyn Outside,
    ) -> Result<(), Refusal> {
        if offset >= registers::END {
            return Err(Refusal::Fault);
        }
        let Some(register) = Register::at(offset).filter(|_| width == Width::Word) else { return Ok(()) };
        let value = value as u32;
        match register {
            Register::TimeLow => {
                let time = u64::from(self.time_high_set) << 32 | u64::from(value);
                let guest = outside.clock().wrapping_mul(self.tick_nanoseconds);
                self.offset = Some(time.wrapping_sub(guest));
                if self.is_armed {
                    self.go_off(time);
                    self.set_alarm(outside);
                }
            }
            Register::TimeHigh => self.time_high_set = value,
            Register::AlarmLow => {
                self.alarm = self.alarm & !0xffff_ffff | u64::from(value);
                self.is_armed = true;
                self.now(outside);
                self.set_alarm(outside);
            }
            Register::AlarmHigh => {
                self.alarm = self.alarm & 0xffff_ffff | u64::from(value) << 32;
                if self.is_armed {
                    self.set_alarm(outside);
                }
            }
            Register::InterruptEnable => self.interrupt_enabled = value & 1 != 0,
            Register::ClearAlarm => {
                self.is_armed = false;
                self.set_alarm(outside);
            }
            Register::ClearInterrupt => self.interrupt_pending = false,
            Register::AlarmStatus => {}
        }
        self.settle(outside);
        Ok(())
    }

    /// What is no clock is dropped, and so is one that comes before the alarm's time.
    fn input(&mut self, bytes: &[u8], outside: &mut dyn Outside) -> Result<(), Blocked> {
        if let (Ok(ticks), Some(offset)) = (bytes.try_into().map(u64::from_le_bytes), self.offset) {
            self.go_off(ticks.wrapping_mul(self.tick_nanoseconds).wrapping_add(offset));
            self.settle(outside);
        }
        Ok(())
    }

    fn write_state(&self, into: &mut Vec<u8>) {
        into.push(self.offset.is_some().into());
        into.extend(self.offset.unwrap_or(0).to_le_bytes());
        into.extend(self.time_high.to_le_bytes());
        into.extend(self.time_high_set.to_le_bytes());
        into.extend(self.alarm.to_le_bytes());
        let flags = [self.is_armed, self.interrupt_enabled, self.interrupt_pending, self.raised];
        into.extend(flags.map(u8::from));
    }

    fn read_state(&mut self, from: &mut StateReader<'_>) -> Result<(), StateError> {
        let is_known = from.flag()?;
        let offset = from.u64()?;
        self.offset = is_known.then_some(offset);
        self.time_high = from.u32()?;
        self.time_high_set = from.u32()?;
        self.alarm = from.u64()?;
        self.is_armed = from.flag()?;
        self.interrupt_enabled = from.flag()?;
        self.interrupt_pending = from.flag()?;
        self.raised = from.flag()?;
        Ok(())
    }
}
