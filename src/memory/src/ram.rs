//! Guest RAM: one anonymous mapping, zero until written. If it can be, it is *near*: host addresses are guest physical ones and
//! a distance that an instruction of the host has room for.

use crate::code_watch::CodeWatch;
use crate::{PageIndex, host};
use cantus_isa::{
    Gpa, Width,
    address::{PAGE_SHIFT, PAGE_SIZE},
};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::{io, ops::Range, ptr};

/// Why there is no RAM.
#[derive(Debug)]
pub enum RamError {
    /// The size is not a positive multiple of the page size, or over 1 TiB; bytes.
    Size(u64),
    /// The host gives no memory.
    Host(io::Error),
}

impl std::fmt::Display for RamError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            RamError::Size(bytes) => {
                write!(
                    f,
                    "a RAM of {bytes} bytes: expected a multiple of {PAGE_SIZE} from {PAGE_SIZE} to 1 TiB"
                )
            }
            RamError::Host(error) => write!(f, "the host gives no memory for the guest's RAM: {error}"),
        }
    }
}

impl std::error::Error for RamError {}

/// Guest RAM at a guest physical base, with the ranges in it that a device answers for instead.
pub struct Ram {
    base: Gpa,
    bytes: u64,
    host: *mut u8,
    overlays: Vec<Range<u64>>,
    /// One bit for each page: whether it may differ from the zeroes that it began with.
    written: Box<[AtomicU64]>,
    /// The same since [`Ram::take_changed`] was asked last.
    changed: Box<[AtomicU64]>,
    pub(crate) code_watch: CodeWatch,
}

// SAFETY: the mapping lives as long as the value, and is accessed by relaxed atomics only (`host`).
unsafe impl Send for Ram {}
// SAFETY: as above.
unsafe impl Sync for Ram {}

impl Ram {
    /// Maps `bytes` of zeroes at guest physical `base`. In `overlays` (guest physical ranges) a device answers.
    pub fn new(base: Gpa, bytes: u64, overlays: Vec<Range<u64>>) -> Result<Self, RamError> {
        if bytes == 0 || !bytes.is_multiple_of(PAGE_SIZE) || bytes > 1 << 40 || base.offset() != 0 {
            return Err(RamError::Size(bytes));
        }
        let host = map_near(base, bytes).map_or_else(|| map(ptr::null_mut(), bytes, 0), Ok);
        let host = host.map_err(RamError::Host)?;
        let words = (bytes >> PAGE_SHIFT).div_ceil(64);
        let bits = || (0..words).map(|_| AtomicU64::new(0)).collect();
        let code_watch = CodeWatch::new((bytes >> PAGE_SHIFT) as usize);
        Ok(Self { base, bytes, host, overlays, written: bits(), changed: bits(), code_watch })
    }

    /// Guest physical address of the first byte.
    pub fn base(&self) -> Gpa {
        self.base
    }

    /// Size in bytes.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Size in pages.
    pub fn pages(&self) -> usize {
        (self.bytes >> PAGE_SHIFT) as usize
    }

    /// The page that holds `address`, where that is RAM.
    #[inline]
    pub fn page(&self, address: Gpa) -> Option<PageIndex> {
        let offset = address.0.wrapping_sub(self.base.0);
        (offset < self.bytes).then_some(PageIndex((offset >> PAGE_SHIFT) as u32))
    }

    /// The guest physical address of a page's first byte.
    pub fn address(&self, page: PageIndex) -> Gpa {
        Gpa(self.base.0 + (u64::from(page.0) << PAGE_SHIFT))
    }

    /// Whether all of `address..address + length` is RAM that no device answers for.
    #[inline]
    pub fn is_plain(&self, address: Gpa, length: u64) -> bool {
        let offset = address.0.wrapping_sub(self.base.0);
        offset < self.bytes
            && length <= self.bytes - offset
            && !self.overlays.iter().any(|range| address.0 < range.end && range.start < address.0 + length)
    }

    /// The host's pointer to a guest physical address.
    ///
    /// # Panics
    /// Where the address is not RAM.
    #[inline]
    pub fn host(&self, address: Gpa) -> *mut u8 {
        let offset = address.0.wrapping_sub(self.base.0);
        assert!(offset < self.bytes, "{address} is not RAM");
        // SAFETY: inside of the mapping, checked above.
        unsafe { self.host.add(offset as usize) }
    }

    /// Host address minus guest physical address, of all of it, where it is near; bytes. An offset of 16 bits may be added.
    pub fn distance(&self) -> Option<i32> {
        let distance = (self.host as u64).wrapping_sub(self.base.0) as i64;
        i32::try_from(distance).ok().filter(|distance| u64::from(distance.unsigned_abs()) <= NEAR)
    }

    /// The guest physical address of a host pointer into RAM.
    #[inline]
    pub fn address_of(&self, host: *const u8) -> Gpa {
        Gpa(self.base.0.wrapping_add((host as u64).wrapping_sub(self.host as u64)))
    }

    fn host_range(&self, address: Gpa, length: u64) -> *mut u8 {
        let offset = address.0.wrapping_sub(self.base.0);
        assert!(
            offset < self.bytes && length <= self.bytes - offset,
            "{length} bytes at {address} are not RAM"
        );
        self.host(address)
    }

    /// Notes that a page is about to be written, be it through a host pointer: whoever gives out a right to write says
    /// so here, and [`Ram::written_pages`] and the watch on code rest on it.
    #[inline]
    pub fn note_write(&self, page: PageIndex) {
        self.code_watch.written(page);
        let (at, bit) = (page.index() / 64, 1 << (page.0 % 64));
        if self.changed[at].load(Relaxed) & bit == 0 {
            self.changed[at].fetch_or(bit, Relaxed);
            self.written[at].fetch_or(bit, Relaxed);
        }
    }

    /// A core that watches code (see [`crate::Tlb::begin_watch`]) stops running.
    pub fn parked(&self, core: u8) {
        self.code_watch.parked(core);
    }

    /// The pages that may have been written since this was asked last, ascending. To be asked for while no core runs, and
    /// when none has a right to write left that was given out before: see [`crate::Tlb::revoke_writes`].
    pub fn take_changed(&self) -> Vec<PageIndex> {
        let taken: Vec<u64> = self.changed.iter().map(|word| word.swap(0, Relaxed)).collect();
        pages_of(taken.into_iter()).collect()
    }

    /// The pages that may hold something else than zeroes, ascending.
    pub fn written_pages(&self) -> impl Iterator<Item = PageIndex> + '_ {
        pages_of(self.written.iter().map(|word| word.load(Relaxed)))
    }

    fn note_range(&self, address: Gpa, length: u64) {
        let first = (address.0 - self.base.0) >> PAGE_SHIFT;
        let last = (address.0 + length.max(1) - 1 - self.base.0) >> PAGE_SHIFT;
        (first..=last).for_each(|page| self.note_write(PageIndex(page as u32)));
    }

    /// Loads `width` bytes, zero-extended. Panics where they are not RAM.
    #[inline]
    pub fn load(&self, address: Gpa, width: Width) -> u64 {
        // SAFETY: `host_range` has checked that all of it is RAM.
        unsafe { host::load(self.host_range(address, width.bytes()), width) }
    }

    /// Stores `width` bytes. Panics where they are not RAM.
    #[inline]
    pub fn store(&self, address: Gpa, width: Width, value: u64) {
        let into = self.host_range(address, width.bytes());
        self.note_range(address, width.bytes());
        // SAFETY: `host_range` has checked that all of it is RAM.
        unsafe { host::store(into, width, value) }
    }

    /// The aligned word at `address`, as a host atomic (to write through it, [`Ram::note_write`] first). Panics where it
    /// is not RAM or not aligned.
    #[inline]
    pub fn atomic32(&self, address: Gpa) -> &AtomicU32 {
        assert!(address.0.is_multiple_of(4), "{address} is not aligned");
        // SAFETY: aligned (the mapping is page-aligned), in RAM, and lives as long as `self`.
        unsafe { &*self.host_range(address, 4).cast() }
    }

    /// The aligned doubleword at `address`, as a host atomic (to write through it, [`Ram::note_write`] first). Panics
    /// where it is not RAM or not aligned.
    #[inline]
    pub fn atomic64(&self, address: Gpa) -> &AtomicU64 {
        assert!(address.0.is_multiple_of(8), "{address} is not aligned");
        // SAFETY: aligned (the mapping is page-aligned), in RAM, and lives as long as `self`.
        unsafe { &*self.host_range(address, 8).cast() }
    }

    /// Copies guest bytes out. Panics where they are not RAM.
    pub fn read(&self, address: Gpa, into: &mut [u8]) {
        let from = self.host_range(address, into.len() as u64);
        let (head, whole) = split(from, into.len());
        let copy = |at: usize, width: Width, into: &mut [u8]| {
            // SAFETY: `host_range` has checked the whole range.
            let value = unsafe { host::load(from.add(at), width) };
            into.copy_from_slice(&value.to_le_bytes()[..into.len()]);
        };
        for (at, width) in pieces(from, 0..head).chain(pieces(from, head + whole..into.len())) {
            copy(at, width, &mut into[at..at + width.bytes() as usize]);
        }
        for (at, word) in into[head..head + whole].chunks_exact_mut(WORD).enumerate() {
            copy(head + at * WORD, Width::Double, word);
        }
    }

    /// Whether a page holds nothing but zeroes.
    pub fn is_zero(&self, page: PageIndex) -> bool {
        let from = self.host_range(self.address(page), PAGE_SIZE);
        // SAFETY: `host_range` has checked the whole page.
        let is_zero = |at| unsafe { host::load(from.add(at), Width::Double) } == 0;
        (0..PAGE_SIZE as usize).step_by(WORD).all(is_zero)
    }

    /// Copies bytes into the guest. Panics where they are not RAM.
    pub fn write(&self, address: Gpa, from: &[u8]) {
        let into = self.host_range(address, from.len() as u64);
        if !from.is_empty() {
            self.note_range(address, from.len() as u64);
        }
        let (head, whole) = split(into, from.len());
        let copy = |at: usize, width: Width, from: &[u8]| {
            let value = from.iter().rfold(0, |value, &byte| value << 8 | u64::from(byte));
            // SAFETY: `host_range` has checked the whole range.
            unsafe { host::store(into.add(at), width, value) };
        };
        for (at, width) in pieces(into, 0..head).chain(pieces(into, head + whole..from.len())) {
            copy(at, width, &from[at..at + width.bytes() as usize]);
        }
        for (at, word) in from[head..head + whole].chunks_exact(WORD).enumerate() {
            copy(head + at * WORD, Width::Double, word);
        }
    }
}

/// Maps bytes of zeroes: at `at`, or, if that is null, where the host likes.
fn map(at: *mut u8, bytes: u64, flags: i32) -> io::Result<*mut u8> {
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    let flags = flags | libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
    // SAFETY: a mapping that replaces none touches nothing of ours.
    let host = unsafe { libc::mmap(at.cast(), bytes as usize, protection, flags, -1, 0) };
    if host == libc::MAP_FAILED { Err(io::Error::last_os_error()) } else { Ok(host.cast()) }
}

/// Maps bytes of zeroes where host addresses differ little from guest physical ones, if there is room. A host that does not
/// know how to replace nothing takes the place for a hint.
fn map_near(base: Gpa, bytes: u64) -> Option<*mut u8> {
    let stride = bytes.next_multiple_of(LARGE_PAGE);
    let distances = (0..).map(|place| place * stride).take_while(|&distance| distance <= NEAR);
    let hosts = distances.filter_map(|distance| base.0.checked_add(distance));
    hosts
        .filter(|&host| host >= LARGE_PAGE)
        .find_map(|host| map(host as *mut u8, bytes, libc::MAP_FIXED_NOREPLACE).ok())
}

/// How far near RAM lies behind its guest physical addresses at most: an instruction of x86-64 adds a signed word, in which an
/// instruction of the guest's has its offset, too.
const NEAR: u64 = i32::MAX as u64 - (1 << 16);
/// What a host's page may be, where it has large ones.
const LARGE_PAGE: u64 = 2 << 20;

/// Bytes of the widest access.
const WORD: usize = 8;

/// How many bytes of a range come before its first aligned word, and how many whole words there are, in bytes.
fn split(start: *const u8, length: usize) -> (usize, usize) {
    let head = (start as usize).wrapping_neg() % WORD;
    let head = head.min(length);
    (head, (length - head) / WORD * WORD)
}

/// The widest aligned pieces that a part of a range from `start` is made of, so that nobody sees half of an aligned
/// number.
fn pieces(start: *const u8, part: Range<usize>) -> impl Iterator<Item = (usize, Width)> {
    let mut at = part.start;
    std::iter::from_fn(move || {
        let fits = |width: &Width| {
            let length = width.bytes() as usize;
            (start as usize + at).is_multiple_of(length) && part.end - at >= length
        };
        let width = [Width::Double, Width::Word, Width::Half, Width::Byte].into_iter().find(fits);
        let width = width.filter(|_| at < part.end)?;
        let piece = (at, width);
        at += width.bytes() as usize;
        Some(piece)
    })
}

/// The pages whose bits are set.
fn pages_of(words: impl Iterator<Item = u64>) -> impl Iterator<Item = PageIndex> {
    words.enumerate().filter(|(_, bits)| *bits != 0).flat_map(|(at, bits)| {
        (0..64).filter(move |bit| bits >> bit & 1 != 0).map(move |bit| PageIndex(at as u32 * 64 + bit))
    })
}

impl Drop for Ram {
    fn drop(&mut self) {
        // SAFETY: the mapping that `new` made, and nobody has a reference into it any more.
        unsafe { libc::munmap(self.host.cast(), self.bytes as usize) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_that_were_written_again_have_changed_again() {
        let ram = Ram::new(Gpa(0x8000_0000), 200 * PAGE_SIZE, Vec::new()).expect("memory");
        ram.store(Gpa(0x8000_0000), Width::Byte, 1);
        ram.write(Gpa(0x8000_0000 + 130 * PAGE_SIZE - 1), &[1, 2]);
        assert_eq!(ram.take_changed(), [0, 129, 130].map(PageIndex));
        assert_eq!(ram.take_changed(), []);
        ram.note_write(PageIndex(129));
        ram.note_write(PageIndex(64));
        assert_eq!(ram.take_changed(), [64, 129].map(PageIndex));
        let written: Vec<_> = ram.written_pages().collect();
        assert_eq!(written, [0, 64, 129, 130].map(PageIndex));
    }

    #[test]
    fn it_lies_near_where_there_is_room() {
        let ram = |bytes| Ram::new(Gpa(0x8000_0000), bytes, Vec::new()).expect("memory");
        let near = [ram(64 * PAGE_SIZE), ram(64 * PAGE_SIZE)];
        for ram in &near {
            let distance = ram.distance().expect("there is room for two");
            let last = Gpa(0x8000_0000 + 63 * PAGE_SIZE);
            assert_eq!(ram.host(last) as i64, last.0 as i64 + i64::from(distance));
        }
        assert_ne!(near[0].distance(), near[1].distance());
        // There is room for two of this size at most, and the others are as good.
        let large: Vec<Ram> = (0..3).map(|_| ram(1 << 30)).collect();
        assert!(large.iter().any(|ram| ram.distance().is_none()));
        for ram in &large {
            let last = Gpa(0x8000_0000 + (1 << 30) - 8);
            ram.store(last, Width::Double, 7);
            assert_eq!(ram.load(last, Width::Double), 7);
        }
    }

    #[test]
    fn a_page_is_zero_if_all_of_its_bytes_are() {
        let ram = Ram::new(Gpa(0x8000_0000), 3 * PAGE_SIZE, Vec::new()).expect("memory");
        for at in [0, 1, 2047, PAGE_SIZE - 1] {
            let address = Gpa(0x8000_0000 + PAGE_SIZE + at);
            ram.store(address, Width::Byte, 0x80);
            assert_eq!([0, 1, 2].map(|page| ram.is_zero(PageIndex(page))), [true, false, true]);
            ram.store(address, Width::Byte, 0);
            assert!(ram.is_zero(PageIndex(1)));
        }
    }
}
