//! Device state as bytes: integers little-endian, a flag as one byte, a queue as its length (u32) and its bytes.

use std::collections::VecDeque;
use thiserror::Error;

/// A device state cannot be read.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum StateError {
    /// The bytes end too early.
    #[error("the state of {device} ends at byte {at}, where {wanted} more bytes were expected")]
    Short {
        /// The device.
        device: &'static str,
        /// Where the bytes that are missing should have begun.
        at: usize,
        /// How many were expected.
        wanted: usize,
    },
    /// A field has a value that the device never has.
    #[error("the state of {device} at byte {at}: expected {expected}, found {found:#x}")]
    Value {
        /// The device.
        device: &'static str,
        /// Where the field begins.
        at: usize,
        /// What it may be.
        expected: &'static str,
        /// What it is.
        found: u64,
    },
    /// A page that the device does not have, or has no room for.
    #[error("the state of {device}: it has no page {number:#x}")]
    Page {
        /// The device.
        device: &'static str,
        /// The page's number.
        number: u64,
    },
    /// There is more than the device wrote.
    #[error("the state of {device}: expected {expected} bytes, found {found}")]
    Long {
        /// The device.
        device: &'static str,
        /// How many bytes it takes.
        expected: usize,
        /// How many there are.
        found: usize,
    },
}

/// Reads the state of one device.
pub struct StateReader<'a> {
    device: &'static str,
    bytes: &'a [u8],
    at: usize,
}

impl<'a> StateReader<'a> {
    /// A reader of all the bytes that `device` wrote.
    pub fn new(device: &'static str, bytes: &'a [u8]) -> Self {
        Self { device, bytes, at: 0 }
    }

    /// The next bytes as they are.
    pub fn bytes(&mut self, count: usize) -> Result<&'a [u8], StateError> {
        let short = StateError::Short { device: self.device, at: self.at, wanted: count };
        let bytes = self.bytes[self.at..].get(..count).ok_or(short)?;
        self.at += count;
        Ok(bytes)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], StateError> {
        let mut array = [0; N];
        array.copy_from_slice(self.bytes(N)?);
        Ok(array)
    }

    /// The next byte.
    pub fn u8(&mut self) -> Result<u8, StateError> {
        Ok(self.array::<1>()?[0])
    }

    /// The next byte, which is a number up to `max`.
    pub fn u8_up_to(&mut self, max: u8, expected: &'static str) -> Result<u8, StateError> {
        let at = self.at;
        match self.u8()? {
            found if found > max => {
                Err(StateError::Value { device: self.device, at, expected, found: found.into() })
            }
            value => Ok(value),
        }
    }

    /// The next flag.
    pub fn flag(&mut self) -> Result<bool, StateError> {
        Ok(self.u8_up_to(1, "a flag, 0 or 1")? == 1)
    }

    /// The next 16-bit number.
    pub fn u16(&mut self) -> Result<u16, StateError> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    /// The next 32-bit number, which is at most `max`.
    pub fn u32_up_to(&mut self, max: u32, expected: &'static str) -> Result<u32, StateError> {
        let at = self.at;
        match self.u32()? {
            found if found > max => {
                Err(StateError::Value { device: self.device, at, expected, found: found.into() })
            }
            value => Ok(value),
        }
    }

    /// The next 64-bit number, which is below `end`.
    pub fn u64_below(&mut self, end: u64, expected: &'static str) -> Result<u64, StateError> {
        let at = self.at;
        match self.u64()? {
            found if found >= end => Err(StateError::Value { device: self.device, at, expected, found }),
            value => Ok(value),
        }
    }

    /// The next 32-bit number.
    pub fn u32(&mut self) -> Result<u32, StateError> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    /// The next 32-bit number, which has no bit outside of `mask`.
    pub fn u32_of(&mut self, mask: u32, expected: &'static str) -> Result<u32, StateError> {
        let at = self.at;
        match self.u32()? {
            found if found & !mask != 0 => {
                Err(StateError::Value { device: self.device, at, expected, found: found.into() })
            }
            value => Ok(value),
        }
    }

    /// The next 64-bit number.
    pub fn u64(&mut self) -> Result<u64, StateError> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    /// The next queue of bytes, of at most `max`.
    pub fn queue(&mut self, max: usize, expected: &'static str) -> Result<VecDeque<u8>, StateError> {
        let at = self.at;
        let length = self.u32()?;
        if length as usize > max {
            return Err(StateError::Value { device: self.device, at, expected, found: length.into() });
        }
        Ok(self.bytes(length as usize)?.iter().copied().collect())
    }

    /// Checks that nothing is left.
    pub fn finish(self) -> Result<(), StateError> {
        if self.at == self.bytes.len() {
            return Ok(());
        }
        Err(StateError::Long { device: self.device, expected: self.at, found: self.bytes.len() })
    }
}

/// Appends a queue of bytes, as [`StateReader::queue`] reads it.
pub(crate) fn write_queue(queue: &VecDeque<u8>, into: &mut Vec<u8>) {
    into.extend((queue.len() as u32).to_le_bytes());
    into.extend(queue);
}
