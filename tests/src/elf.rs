//! The smallest ELF file that holds a program: one segment, no sections.

const HEADER: u64 = 64;
const PROGRAM_HEADER: u64 = 56;

/// An executable for RISC-V with `bytes` at `address`, entered at its first byte, and zeroes behind them up to
/// `length`.
pub fn file(address: u64, bytes: &[u8], length: u64) -> Vec<u8> {
    let offset = HEADER + PROGRAM_HEADER;
    let mut file = Vec::with_capacity(offset as usize + bytes.len());
    // e_ident: magic, 64 bits, little-endian, version 1.
    file.extend_from_slice(&[0x7f, b'E', b'L', b'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    // e_type EXEC, e_machine RISCV, e_version.
    file.extend_from_slice(&[2, 0, 243, 0, 1, 0, 0, 0]);
    // e_entry, e_phoff, e_shoff.
    for word in [address, HEADER, 0] {
        file.extend_from_slice(&word.to_le_bytes());
    }
    // e_flags: RVC, double-float ABI.
    file.extend_from_slice(&5u32.to_le_bytes());
    // e_ehsize, e_phentsize, e_phnum, e_shentsize, e_shnum, e_shstrndx.
    for half in [HEADER as u16, PROGRAM_HEADER as u16, 1, 64, 0, 0] {
        file.extend_from_slice(&half.to_le_bytes());
    }
    // p_type LOAD, p_flags RWX.
    for word in [1u32, 7] {
        file.extend_from_slice(&word.to_le_bytes());
    }
    // p_offset, p_vaddr, p_paddr, p_filesz, p_memsz, p_align.
    for word in [offset, address, address, bytes.len() as u64, length.max(bytes.len() as u64), 1] {
        file.extend_from_slice(&word.to_le_bytes());
    }
    file.extend_from_slice(bytes);
    file
}
