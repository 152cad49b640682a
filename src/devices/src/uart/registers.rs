//! The registers of a 16550A, one byte each at offsets 0 to 7 (National Semiconductor PC16550D datasheet, section 8).

/// The last offset plus one.
pub const END: u64 = 8;
/// Characters that the receiver's FIFO holds (section 8.5).
pub const FIFO_MAX: usize = 16;

/// A register, as a load or a store means it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Register {
    /// Load: receiver buffer. Store: transmitter holding.
    Data,
    /// Interrupt enable.
    InterruptEnable,
    /// Low byte of the divisor latch.
    DivisorLow,
    /// High byte of the divisor latch.
    DivisorHigh,
    /// Load: interrupt identification. Store: FIFO control.
    InterruptOrFifo,
    /// Line control.
    LineControl,
    /// Modem control.
    ModemControl,
    /// Line status; a factory test's when stored to.
    LineStatus,
    /// Modem status; a factory test's when stored to.
    ModemStatus,
    /// Scratch.
    Scratch,
}

impl Register {
    /// The register at an offset, `divisor` being the divisor latch access bit (section 8.1, table II).
    pub fn at(offset: u64, divisor: bool) -> Option<Self> {
        Some(match offset {
            0 if divisor => Register::DivisorLow,
            1 if divisor => Register::DivisorHigh,
            0 => Register::Data,
            1 => Register::InterruptEnable,
            2 => Register::InterruptOrFifo,
            3 => Register::LineControl,
            4 => Register::ModemControl,
            5 => Register::LineStatus,
            6 => Register::ModemStatus,
            7 => Register::Scratch,
            _ => return None,
        })
    }
}

/// Interrupt enable register (section 8.7).
pub mod ier {
    /// Received data available, and character timeout.
    pub const RECEIVED: u8 = 1 << 0;
    /// Transmitter holding register empty.
    pub const TRANSMITTER_EMPTY: u8 = 1 << 1;
    /// Receiver line status.
    pub const LINE_STATUS: u8 = 1 << 2;
    /// Modem status.
    pub const MODEM_STATUS: u8 = 1 << 3;
    /// All that can be set.
    pub const ALL: u8 = 0x0f;
}

/// Interrupt identification register (section 8.6, table IV).
pub mod iir {
    /// Nothing is pending.
    pub const NONE: u8 = 0x01;
    /// Modem status, the lowest priority.
    pub const MODEM_STATUS: u8 = 0x00;
    /// Transmitter holding register empty.
    pub const TRANSMITTER_EMPTY: u8 = 0x02;
    /// Received data available, up to the trigger level.
    pub const RECEIVED: u8 = 0x04;
    /// Characters below the trigger level that nobody fetches.
    pub const TIMEOUT: u8 = 0x0c;
    /// Receiver line status, the highest priority.
    pub const LINE_STATUS: u8 = 0x06;
    /// The FIFOs are enabled.
    pub const FIFOS: u8 = 0xc0;
}

/// FIFO control register (section 8.5).
pub mod fcr {
    /// The FIFOs are enabled.
    pub const ENABLE: u8 = 1 << 0;
    /// Empties the receiver's FIFO; clears itself.
    pub const CLEAR_RECEIVER: u8 = 1 << 1;
    /// The receiver's trigger level.
    pub const TRIGGER: u8 = 3 << 6;

    /// The trigger level in characters.
    pub fn trigger(fcr: u8) -> usize {
        [1, 4, 8, 14][usize::from(fcr >> 6)]
    }
}

/// Line control register (section 8.1).
pub mod lcr {
    /// Divisor latch access.
    pub const DIVISOR: u8 = 1 << 7;
}

/// Modem control register (section 8.8).
pub mod mcr {
    /// Data terminal ready.
    pub const DTR: u8 = 1 << 0;
    /// Request to send.
    pub const RTS: u8 = 1 << 1;
    /// Output 1.
    pub const OUT1: u8 = 1 << 2;
    /// Output 2.
    pub const OUT2: u8 = 1 << 3;
    /// Local loopback.
    pub const LOOP: u8 = 1 << 4;
    /// All that can be set.
    pub const ALL: u8 = 0x1f;
}

/// Line status register (section 8.4).
pub mod lsr {
    /// There is received data.
    pub const DATA_READY: u8 = 1 << 0;
    /// A character was lost because the FIFO was full.
    pub const OVERRUN: u8 = 1 << 1;
    /// The transmitter takes a character.
    pub const TRANSMITTER_EMPTY: u8 = 1 << 5;
    /// The transmitter has sent everything.
    pub const TRANSMITTER_IDLE: u8 = 1 << 6;
}

/// Modem status register (section 8.9).
pub mod msr {
    /// Ring indicator has fallen.
    pub const RING_FELL: u8 = 1 << 2;
    /// All the bits that a load clears: one for each line, in the order of the lines.
    pub const CHANGES: u8 = 0x0f;
    /// Clear to send.
    pub const CTS: u8 = 1 << 4;
    /// Data set ready.
    pub const DSR: u8 = 1 << 5;
    /// Ring indicator.
    pub const RI: u8 = 1 << 6;
    /// Data carrier detect.
    pub const DCD: u8 = 1 << 7;
}
