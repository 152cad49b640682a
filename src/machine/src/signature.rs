//! The signature of a test program: what riscof and riscv-arch-test compare.

use cantus_isa::Gpa;
use cantus_memory::Ram;
use std::fmt::Write;
use std::ops::Range;
use thiserror::Error;

/// Bytes of a line of the signature: 1, 2, 4, 8 or 16.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Granularity(usize);

/// A granularity that there is not.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[error("a signature granularity of {0}: expected 1, 2, 4, 8 or 16 bytes a line")]
pub struct GranularityError(pub u64);

impl Granularity {
    /// Lines of so many bytes.
    pub fn new(bytes: u64) -> Result<Self, GranularityError> {
        match bytes {
            1 | 2 | 4 | 8 | 16 => Ok(Self(bytes as usize)),
            _ => Err(GranularityError(bytes)),
        }
    }
}

impl Default for Granularity {
    /// A 32-bit word a line.
    fn default() -> Self {
        Self(4)
    }
}

/// The bytes of RAM in `range` as text, as Spike writes it: each line a little-endian number in lower-case hexadecimal,
/// the last one filled up with zeroes.
///
/// # Panics
/// Where not all of the range is RAM; [`crate::Machine::signature`] is checked.
pub(crate) fn signature(ram: &Ram, range: Range<u64>, granularity: Granularity) -> String {
    let length = (range.end - range.start) as usize;
    let mut bytes = vec![0; length];
    if length != 0 {
        ram.read(Gpa(range.start), &mut bytes);
    }
    let mut text = String::with_capacity(2 * length + length / granularity.0 + 1);
    for line in bytes.chunks(granularity.0) {
        for at in (0..granularity.0).rev() {
            let byte = line.get(at).copied().unwrap_or(0);
            write!(text, "{byte:02x}").expect("a string takes all that is written");
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::map::RAM_BASE;

    #[test]
    fn lines_are_numbers_and_the_last_one_is_filled_up() {
        let ram = Ram::new(RAM_BASE, 1 << 20, vec![]).unwrap();
        let start = RAM_BASE.0 + 0xff8;
        ram.write(Gpa(start), &[0xef, 0xbe, 0xad, 0xde, 1, 2, 3, 4, 0xa5, 0xff]);
        let table = [
            (1, "ef\nbe\nad\nde\n01\n02\n03\n04\na5\nff\n"),
            (2, "beef\ndead\n0201\n0403\nffa5\n"),
            (4, "deadbeef\n04030201\n0000ffa5\n"),
            (8, "04030201deadbeef\n000000000000ffa5\n"),
            (16, "000000000000ffa504030201deadbeef\n"),
        ];
        for (bytes, expected) in table {
            let granularity = Granularity::new(bytes).unwrap();
            assert_eq!(signature(&ram, start..start + 10, granularity), expected, "{bytes}");
            assert_eq!(signature(&ram, start..start, granularity), "", "{bytes}");
        }
        assert_eq!(Granularity::default(), Granularity(4));
    }

    #[test]
    fn other_granularities_are_refused() {
        for bytes in [0, 3, 5, 32, u64::MAX] {
            assert_eq!(Granularity::new(bytes), Err(GranularityError(bytes)));
        }
    }
}
