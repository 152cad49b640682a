//! The one register of the test finisher, at offset 0 (SiFive's test device, as QEMU's `virt` board has it).

/// The low half of the register: what to do. The high half is the code of a failure.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Command {
    /// 0x3333: end the run as failed with this code.
    Fail(u16),
    /// 0x5555: end the run as passed.
    Pass,
    /// 0x7777: reset the machine.
    Reset,
}

impl Command {
    /// The command in a value written to the register; `None` where it says nothing.
    pub fn of(value: u64) -> Option<Self> {
        match value & 0xffff {
            0x3333 => Some(Command::Fail((value >> 16) as u16)),
            0x5555 => Some(Command::Pass),
            0x7777 => Some(Command::Reset),
            _ => None,
        }
    }
}
