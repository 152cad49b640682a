//! Memory for code: one piece of memory, mapped twice.
//!
//! Guarantees that no page is ever writable and executable through the same mapping: code is written through one mapping
//! and executed through the other. It is anonymous: `perf` looks into its map of code only for such memory.

use std::{io, ptr};

/// A piece of memory for code, all zero at first.
pub(crate) struct CodeMemory {
    writable: *mut u8,
    executable: *const u8,
    bytes: usize,
}

// SAFETY: the mappings belong to this value alone.
unsafe impl Send for CodeMemory {}

impl CodeMemory {
    /// Maps `bytes`, a multiple of the host's page size. Pages that are never written cost nothing.
    pub fn new(bytes: usize) -> io::Result<Self> {
        let writable = {
            let protection = libc::PROT_READ | libc::PROT_WRITE;
            let flags = libc::MAP_SHARED | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
            // SAFETY: a mapping at an address of the kernel's choice touches nothing of ours.
            let at = unsafe { libc::mmap(ptr::null_mut(), bytes, protection, flags, -1, 0) };
            if at == libc::MAP_FAILED {
                return Err(io::Error::last_os_error());
            }
            at
        };
        let mut memory = Self { writable: writable.cast(), executable: ptr::null(), bytes };
        // SAFETY: of nothing, a shared mapping is moved nowhere: it gets a second place (mremap(2), "old_size").
        let second = unsafe { libc::mremap(writable, 0, bytes, libc::MREMAP_MAYMOVE) };
        if second == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        memory.executable = second.cast_const().cast();
        // SAFETY: this place is ours, and nobody has it yet.
        match unsafe { libc::mprotect(second, bytes, libc::PROT_READ | libc::PROT_EXEC) } {
            0 => Ok(memory),
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// Where the byte at `offset` is executed.
    pub fn address(&self, offset: usize) -> *const u8 {
        assert!(offset <= self.bytes, "offset {offset} is outside of the code");
        // SAFETY: inside of the mapping, or at its end.
        unsafe { self.executable.add(offset) }
    }

    /// Leads a jump elsewhere: writes its distance, which lies at `offset`, a multiple of 4. It may be being executed.
    ///
    /// An aligned doubleword is written at once, and a jump that is fetched meanwhile goes to where it went or to where it
    /// goes now (Intel SDM, volume 3, "Guaranteed Atomic Operations"; its section "Handling Self- and Cross-Modifying Code"
    /// asks for more, so that the new bytes are sure to be executed from some time on; here either are right).
    pub fn set(&mut self, offset: usize, distance: i32) {
        assert!(
            offset.is_multiple_of(4) && offset < self.bytes - 4,
            "no distance of a jump lies at {offset}"
        );
        // SAFETY: inside of the mapping, which nobody has a reference into; aligned.
        let at = unsafe { std::sync::atomic::AtomicI32::from_ptr(self.writable.add(offset).cast()) };
        at.store(distance, std::sync::atomic::Ordering::Release);
    }

    /// Writes code at `offset`. Nothing there is being executed.
    pub fn write(&mut self, offset: usize, code: &[u8]) {
        assert!(
            offset <= self.bytes && code.len() <= self.bytes - offset,
            "{} bytes at {offset} are outside of the code",
            code.len()
        );
        // SAFETY: inside of the mapping, which nobody has a reference into.
        unsafe { ptr::copy_nonoverlapping(code.as_ptr(), self.writable.add(offset), code.len()) };
    }
}

impl Drop for CodeMemory {
    fn drop(&mut self) {
        // SAFETY: they were mapped by `new`, and no code in them runs: whoever runs it borrows this value.
        unsafe {
            libc::munmap(self.writable.cast(), self.bytes);
            if !self.executable.is_null() {
                libc::munmap(self.executable.cast_mut().cast(), self.bytes);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_executed() {
        let mut memory = CodeMemory::new(1 << 16).expect("memory");
        for answer in [42u8, 43] {
            // mov eax, answer; ret
            memory.write(100, &[0xb8, answer, 0, 0, 0, 0xc3]);
            // SAFETY: the code written just now follows the calling convention.
            let function: extern "sysv64" fn() -> u32 = unsafe { std::mem::transmute(memory.address(100)) };
            assert_eq!(function(), u32::from(answer));
        }
    }

    #[test]
    fn jumps_are_led_elsewhere() {
        let mut memory = CodeMemory::new(1 << 16).expect("memory");
        // nop; nop; nop; jmp 16; mov eax, 1; ret; and at 16: mov eax, 2; ret
        memory.write(0, &[0x90, 0x90, 0x90, 0xe9, 8, 0, 0, 0, 0xb8, 1, 0, 0, 0, 0xc3, 0, 0]);
        memory.write(16, &[0xb8, 2, 0, 0, 0, 0xc3]);
        // SAFETY: the code follows the calling convention.
        let function: extern "sysv64" fn() -> u32 = unsafe { std::mem::transmute(memory.address(0)) };
        for (distance, answer) in [(8, 2), (0, 1), (8, 2)] {
            memory.set(4, distance);
            assert_eq!(function(), answer);
        }
    }

    #[test]
    #[should_panic(expected = "no distance of a jump lies at 6")]
    fn a_distance_is_written_at_once_or_not_at_all() {
        CodeMemory::new(4096).expect("memory").set(6, 0);
    }

    #[test]
    #[should_panic(expected = "outside of the code")]
    fn nothing_is_written_outside() {
        CodeMemory::new(4096).expect("memory").write(4090, &[0; 7]);
    }

    #[test]
    fn no_mapping_is_both_writable_and_executable() {
        let memory = CodeMemory::new(1 << 16).expect("memory");
        let maps = std::fs::read_to_string("/proc/self/maps").expect("a list of mappings");
        let start = |line: &str| u64::from_str_radix(line.split('-').next().unwrap_or_default(), 16).ok();
        let at = |address: u64| maps.lines().find(|line| start(line) == Some(address)).expect("a mapping");
        let ours = [at(memory.writable as u64), at(memory.executable as u64)];
        assert!(ours[0] != ours[1], "{ours:?}");
        for line in ours {
            let rights = line.split(' ').nth(1).expect("rights");
            assert!(!(rights.contains('w') && rights.contains('x')), "{line}");
        }
    }
}
