//! The two words of the host-target interface, and what is in them (Spike's `fesvr` is the definition in use).

/// Where a program gives commands, a doubleword.
pub const TOHOST: u64 = 0;
/// Where it finds answers, a doubleword.
pub const FROMHOST: u64 = 8;
/// The end of the registers.
pub const END: u64 = 16;

/// The device that ends the run and takes system calls.
pub const DEVICE_SYSTEM: u8 = 0;
/// The console ("blocking character device").
pub const DEVICE_CONSOLE: u8 = 1;

const PAYLOAD_BITS: u32 = 48;
const PAYLOAD: u64 = (1 << PAYLOAD_BITS) - 1;

/// What a program asks for by a value of `tohost`: device in the top byte, function in the next, then the payload.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Command {
    /// End the run; 0 is success.
    Exit(u64),
    /// A system call, its words at this physical address.
    SystemCall(u64),
    /// A character from the console is wanted.
    Read,
    /// A character for the console.
    Write(u8),
    /// Nothing that anyone answers.
    Unknown,
}

impl Command {
    /// The command in a value that is not zero. An odd value that is not the console's ends the run, whatever the bits
    /// of the device say, so that a failure code of -1 does not make a program hang.
    pub fn of(value: u64) -> Self {
        let (device, function) = ((value >> 56) as u8, (value >> PAYLOAD_BITS) as u8);
        match (device, function) {
            (DEVICE_CONSOLE, 0) => Command::Read,
            (DEVICE_CONSOLE, 1) => Command::Write(value as u8),
            (DEVICE_CONSOLE, _) => Command::Unknown,
            _ if value & 1 != 0 => Command::Exit(value >> 1),
            (DEVICE_SYSTEM, 0) => Command::SystemCall(value & PAYLOAD),
            _ => Command::Unknown,
        }
    }
}

/// The answer to a system call.
pub const ANSWER_SYSTEM_CALL: u64 = 1;

/// The answer to a read from the console.
pub fn answer_read(byte: u8) -> u64 {
    u64::from(DEVICE_CONSOLE) << 56 | 0x100 | u64::from(byte)
}

/// Bytes of the memory that a system call's number and arguments lie in, and its result: eight doublewords.
pub const CALL_BYTES: usize = 64;

/// Numbers of system calls (RISC-V Linux).
pub mod call {
    /// `write(fd, buffer, length)`.
    pub const WRITE: u64 = 64;
    /// `exit(code)`.
    pub const EXIT: u64 = 93;
}

/// Results of system calls that fail.
pub mod error {
    /// Not a file descriptor that can be written.
    pub const EBADF: u64 = 9u64.wrapping_neg();
    /// The buffer is not memory.
    pub const EFAULT: u64 = 14u64.wrapping_neg();
    /// No such system call.
    pub const ENOSYS: u64 = 38u64.wrapping_neg();
}
