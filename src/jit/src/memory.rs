//! Memory for code: one piece of memory, mapped twice.
//!
//! Guarantees that no page is ever writable and executable through the same mapping: code is written through one mapping
//! and executed through the other.

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
        // SAFETY: the name is a C string.
        let file = unsafe { libc::memfd_create(c"cantus-code".as_ptr(), libc::MFD_CLOEXEC) };
        if file < 0 {
            return Err(io::Error::last_os_error());
        }
        let map = |protection| {
            // SAFETY: a mapping at an address of the kernel's choice touches nothing of ours.
            let at = unsafe { libc::mmap(ptr::null_mut(), bytes, protection, libc::MAP_SHARED, file, 0) };
            if at == libc::MAP_FAILED { Err(io::Error::last_os_error()) } else { Ok(at.cast::<u8>()) }
        };
        // SAFETY: the file is ours.
        let sized = unsafe { libc::ftruncate(file, bytes as libc::off_t) };
        let writable = if sized == 0 {
            map(libc::PROT_READ | libc::PROT_WRITE)
        } else {
            Err(io::Error::last_os_error())
        };
        let executable =
            if writable.is_ok() { map(libc::PROT_READ | libc::PROT_EXEC) } else { Ok(ptr::null_mut()) };
        // SAFETY: the file is ours, and the mappings keep what they need of it.
        unsafe { libc::close(file) };
        let writable = writable?;
        match executable {
            Ok(executable) => Ok(Self { writable, executable, bytes }),
            Err(error) => {
                // SAFETY: mapped above, and nobody has it.
                unsafe { libc::munmap(writable.cast(), bytes) };
                Err(error)
            }
        }
    }

    /// Size in bytes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Where the byte at `offset` is executed.
    pub fn address(&self, offset: usize) -> *const u8 {
        assert!(offset <= self.bytes, "offset {offset} is outside of the code");
        // SAFETY: inside of the mapping, or at its end.
        unsafe { self.executable.add(offset) }
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
        // SAFETY: both were mapped by `new`, and no code in them runs: whoever runs it borrows this value.
        unsafe {
            libc::munmap(self.writable.cast(), self.bytes);
            libc::munmap(self.executable.cast_mut().cast(), self.bytes);
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
    #[should_panic(expected = "outside of the code")]
    fn nothing_is_written_outside() {
        CodeMemory::new(4096).expect("memory").write(4090, &[0; 7]);
    }

    #[test]
    fn no_mapping_is_both_writable_and_executable() {
        let memory = CodeMemory::new(1 << 16).expect("memory");
        let maps = std::fs::read_to_string("/proc/self/maps").expect("a list of mappings");
        let ours: Vec<_> = maps.lines().filter(|line| line.contains("cantus-code")).collect();
        assert!(ours.len() >= 2 && memory.bytes() == 1 << 16, "{ours:?}");
        for line in ours {
            let rights = line.split(' ').nth(1).expect("rights");
            assert!(!(rights.contains('w') && rights.contains('x')), "{line}");
        }
    }
}
