//! What a block was decoded from and what it was decoded to, in one piece of memory.

use cantus_isa::riscv::Op;
use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::ptr::NonNull;
use std::slice;

/// Operations, where each of them starts and where the last one ends, and the bytes that they are.
pub(super) struct Text {
    /// The operations; behind them the starts, one more; and behind these the bytes.
    at: NonNull<Op>,
    ops: u16,
    bytes: u16,
}

impl Text {
    /// A copy of these.
    pub(super) fn new(ops: &[Op], starts: &[u8], source: &[u8]) -> Self {
        assert!(starts.len() == ops.len() + 1, "each operation has a start, and the last one an end");
        let number = |length: usize| u16::try_from(length).expect("a block is no longer than a page");
        let (count, bytes) = (number(ops.len()), number(source.len()));
        let layout = Self::layout(count, bytes);
        // SAFETY: there is room for one start at least.
        let at = unsafe { alloc(layout) };
        let Some(at) = NonNull::new(at.cast::<Op>()) else { handle_alloc_error(layout) };
        let text = Self { at, ops: count, bytes };
        // SAFETY: the layout is that of these three, one behind the other, and nobody else knows of it.
        unsafe {
            at.as_ptr().copy_from_nonoverlapping(ops.as_ptr(), ops.len());
            text.starts_at().copy_from_nonoverlapping(starts.as_ptr(), starts.len());
            text.starts_at().add(starts.len()).copy_from_nonoverlapping(source.as_ptr(), source.len());
        }
        text
    }

    fn layout(ops: u16, bytes: u16) -> Layout {
        let size = usize::from(ops) * size_of::<Op>() + usize::from(ops) + 1 + usize::from(bytes);
        Layout::from_size_align(size, align_of::<Op>()).expect("a block is small")
    }

    fn starts_at(&self) -> *mut u8 {
        // SAFETY: that many operations lie there.
        unsafe { self.at.as_ptr().add(self.len()).cast() }
    }

    /// How many operations there are.
    #[inline(always)]
    pub(super) fn len(&self) -> usize {
        usize::from(self.ops)
    }

    /// The operations.
    #[inline(always)]
    pub(super) fn ops(&self) -> &[Op] {
        // SAFETY: `new` has written them, and nobody writes them again.
        unsafe { slice::from_raw_parts(self.at.as_ptr(), self.len()) }
    }

    /// Distance of each operation from the first, in halfwords, and of the end.
    #[inline(always)]
    pub(super) fn starts(&self) -> &[u8] {
        // SAFETY: as for `ops`.
        unsafe { slice::from_raw_parts(self.starts_at(), self.len() + 1) }
    }

    /// The bytes.
    #[inline(always)]
    pub(super) fn source(&self) -> &[u8] {
        // SAFETY: as for `ops`.
        unsafe { slice::from_raw_parts(self.starts_at().add(self.len() + 1), usize::from(self.bytes)) }
    }
}

impl Drop for Text {
    fn drop(&mut self) {
        // SAFETY: `new` has allocated it, with this layout.
        unsafe { dealloc(self.at.as_ptr().cast(), Self::layout(self.ops, self.bytes)) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cantus_isa::riscv::op::Opcode;

    #[test]
    fn what_was_put_in_comes_out() {
        for count in [1, 2, 7, 64] {
            let ops: Vec<Op> = (0..count).map(|imm| Op { imm, ..Op::of(Opcode::Addi) }).collect();
            let starts: Vec<u8> = (0..=count as u8).collect();
            let source: Vec<u8> = (0..2 * count as u8).rev().collect();
            let text = Text::new(&ops, &starts, &source);
            assert_eq!((text.ops(), text.starts(), text.source()), (&*ops, &*starts, &*source));
        }
    }
}
