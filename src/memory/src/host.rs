//! Loads and stores through host pointers into guest RAM.
//!
//! Cores share guest RAM, so every access is a relaxed atomic of its width (a plain move on x86-64); an access that is
//! not aligned is made of bytes, so that it tears as the architecture allows and never is undefined behaviour.

use cantus_isa::Width;
use std::sync::atomic::{AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering::Relaxed};

/// Loads `width` bytes, zero-extended.
///
/// # Safety
/// `pointer` and the `width` bytes behind it lie in one live [`crate::Ram`].
#[inline(always)]
pub unsafe fn load(pointer: *const u8, width: Width) -> u64 {
    if !(pointer as usize).is_multiple_of(width.bytes() as usize) {
        // SAFETY: the caller's.
        return unsafe { load_bytes(pointer, width.bytes() as usize) };
    }
    // SAFETY: in RAM (the caller's), aligned (checked), and shared memory is only ever accessed atomically.
    unsafe {
        match width {
            Width::Byte => u64::from((*pointer.cast::<AtomicU8>()).load(Relaxed)),
            Width::Half => u64::from((*pointer.cast::<AtomicU16>()).load(Relaxed)),
            Width::Word => u64::from((*pointer.cast::<AtomicU32>()).load(Relaxed)),
            Width::Double => (*pointer.cast::<AtomicU64>()).load(Relaxed),
        }
    }
}

/// Stores the low `width` bytes of `value`.
///
/// # Safety
/// `pointer` and the `width` bytes behind it lie in one live [`crate::Ram`].
#[inline(always)]
pub unsafe fn store(pointer: *mut u8, width: Width, value: u64) {
    if !(pointer as usize).is_multiple_of(width.bytes() as usize) {
        // SAFETY: the caller's.
        return unsafe { store_bytes(pointer, width.bytes() as usize, value) };
    }
    // SAFETY: in RAM (the caller's), aligned (checked), and shared memory is only ever accessed atomically.
    unsafe {
        match width {
            Width::Byte => (*pointer.cast::<AtomicU8>()).store(value as u8, Relaxed),
            Width::Half => (*pointer.cast::<AtomicU16>()).store(value as u16, Relaxed),
            Width::Word => (*pointer.cast::<AtomicU32>()).store(value as u32, Relaxed),
            Width::Double => (*pointer.cast::<AtomicU64>()).store(value, Relaxed),
        }
    }
}

/// # Safety
/// As [`load`].
#[cold]
unsafe fn load_bytes(pointer: *const u8, bytes: usize) -> u64 {
    (0..bytes).fold(0, |value, at| {
        // SAFETY: the caller's; a byte is always aligned.
        value | u64::from(unsafe { (*pointer.add(at).cast::<AtomicU8>()).load(Relaxed) }) << (8 * at)
    })
}

/// # Safety
/// As [`store`].
#[cold]
unsafe fn store_bytes(pointer: *mut u8, bytes: usize, value: u64) {
    for at in 0..bytes {
        // SAFETY: the caller's; a byte is always aligned.
        unsafe { (*pointer.add(at).cast::<AtomicU8>()).store((value >> (8 * at)) as u8, Relaxed) };
    }
}
