//! The registers of the goldfish real-time clock, 32 bits each (Android emulator, `GOLDFISH-VIRTUAL-HARDWARE.TXT`).

/// The last offset plus one.
pub const END: u64 = 0x1000;

/// A register.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Register {
    /// `TIME_LOW`. Load: the low half of the time, and keeps the high half. Store: sets the time.
    TimeLow,
    /// `TIME_HIGH`. Load: the high half that was kept. Store: keeps the high half of a time to set.
    TimeHigh,
    /// `ALARM_LOW`. A store sets the alarm.
    AlarmLow,
    /// `ALARM_HIGH`.
    AlarmHigh,
    /// `IRQ_ENABLED`.
    InterruptEnable,
    /// `CLEAR_ALARM`.
    ClearAlarm,
    /// `ALARM_STATUS`: whether an alarm is set.
    AlarmStatus,
    /// `CLEAR_INTERRUPT`.
    ClearInterrupt,
}

impl Register {
    /// The register at an offset.
    pub fn at(offset: u64) -> Option<Self> {
        Some(match offset {
            0x00 => Register::TimeLow,
            0x04 => Register::TimeHigh,
            0x08 => Register::AlarmLow,
            0x0c => Register::AlarmHigh,
            0x10 => Register::InterruptEnable,
            0x14 => Register::ClearAlarm,
            0x18 => Register::AlarmStatus,
            0x1c => Register::ClearInterrupt,
            _ => return None,
        })
    }
}
