//! Large tables of which little is used: memory of their own, which costs nothing where it is not touched.
//!
//! Allocators give the memory of a machine that is gone to the next one, and clear all of it first; where machines come and
//! go by the thousand, as in a hunt, that takes longer than short guests do.

use std::alloc::{Layout, handle_alloc_error};
use std::ops::{Deref, DerefMut};
use std::ptr::{self, NonNull};
use std::slice;
use std::sync::atomic::AtomicU64;

/// What all bytes zero are a value of.
///
/// # Safety
/// They are, and it needs no drop.
pub unsafe trait Zero {}

// SAFETY: the number 0.
unsafe impl Zero for u64 {}
// SAFETY: as `u64` lies in memory.
unsafe impl Zero for AtomicU64 {}
// SAFETY: the null pointer.
unsafe impl<T> Zero for *mut T {}
// SAFETY: `None`, by the layout that the standard library promises.
unsafe impl<T> Zero for Option<NonNull<T>> {}

/// A slice, all zero at first.
pub struct Untouched<T: Zero> {
    at: NonNull<T>,
    count: usize,
}

// SAFETY: it owns its elements as a boxed slice does.
unsafe impl<T: Zero + Send> Send for Untouched<T> {}
// SAFETY: as above.
unsafe impl<T: Zero + Sync> Sync for Untouched<T> {}

impl<T: Zero> Untouched<T> {
    /// So many elements, at least one. As with every allocation, the process ends where the host has no room.
    pub fn new(count: usize) -> Self {
        let layout = Layout::array::<T>(count).expect("a table is no larger than memory");
        assert!(layout.size() != 0, "a table has elements");
        let (protection, flags) = (
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE,
        );
        // SAFETY: an anonymous mapping at an address of the kernel's choice touches nothing of ours.
        let at = unsafe { libc::mmap(ptr::null_mut(), layout.size(), protection, flags, -1, 0) };
        match NonNull::new(at.cast()).filter(|_| at != libc::MAP_FAILED) {
            Some(at) => Self { at, count },
            None => handle_alloc_error(layout),
        }
    }
}

impl<T: Zero> Deref for Untouched<T> {
    type Target = [T];

    #[inline(always)]
    fn deref(&self) -> &[T] {
        // SAFETY: the mapping has so many elements, page-aligned, and zeroes are values.
        unsafe { slice::from_raw_parts(self.at.as_ptr(), self.count) }
    }
}

impl<T: Zero> DerefMut for Untouched<T> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: as above, and nobody else has a reference.
        unsafe { slice::from_raw_parts_mut(self.at.as_ptr(), self.count) }
    }
}

impl<T: Zero> Drop for Untouched<T> {
    fn drop(&mut self) {
        // SAFETY: the mapping that `new` made, and nobody has a reference into it any more.
        unsafe { libc::munmap(self.at.as_ptr().cast(), self.count * size_of::<T>()) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_zero_and_keeps_what_is_written() {
        let mut table = Untouched::<Option<NonNull<u64>>>::new(100_000);
        assert!(table.iter().all(Option::is_none));
        let (first, last) = (NonNull::dangling(), NonNull::from(&7));
        (table[0], table[99_999]) = (Some(first), Some(last));
        assert_eq!((table[0], table[1], table[99_999]), (Some(first), None, Some(last)));
        assert_eq!(Untouched::<u64>::new(3)[..], [0; 3]);
    }
}
