//! The architectural state of a hart.

/// The architectural state of a hart.
pub struct Hart {
    /// Interrupt lines from outside, in the layout of `mip`.
    pub lines: u32,
}

impl Hart {
    /// Appends the architectural state in its canonical form.
    pub fn write_state(&self, into: &mut Vec<u8>) {
        into.extend_from_slice(&self.lines.to_le_bytes());
    }

    /// Whether a WFI ends.
    pub fn wfi_wakes(&self) -> bool {
        self.lines != 0
    }
}
