//! A split virtqueue (Virtual I/O Device 1.2, section 2.7), from the device's side.
//!
//! The rings lie in guest memory, and what they say is input: an index, an address, a length or a chain that makes no
//! sense is [`Fail::Broken`], never a panic, and no chain costs more than so many descriptors and bytes.
//!
//! A device works in two halves. First it looks: [`Queue::available`], [`Queue::chain`] and [`Queue::reserve`] read the
//! rings and get the grants for all buffers; each may be blocked, and nothing has changed then. After that it does its
//! work, with [`Chain::read`], [`Chain::write`] and [`Queue::push`], which cannot be refused any more (ORD-4).
//!
//! With EVENT_IDX (sections 2.7.7 to 2.7.10), which is what `events` says here, the device asks to be told of the entry
//! behind the last one that it has taken, and the driver says which one it wants to be told of.

use crate::{Outside, Refusal, StateError, StateReader};
use cantus_isa::Gpa;
use std::cell::Cell;

/// The most bytes of a chain's buffers together. Boot loaders read a file's whole extent by one request, and one of ext4
/// has up to 128 MiB.
pub const CHAIN_BYTES_MAX: u64 = 256 << 20;

/// Bytes of a descriptor (section 2.7.5).
const DESCRIPTOR_BYTES: u64 = 16;
const NEXT: u16 = 1;
const WRITE: u16 = 2;
const INDIRECT: u16 = 4;
/// The driver wants no interrupt (section 2.7.6).
const NO_INTERRUPT: u16 = 1;
/// Bytes of either ring before its entries, and of an entry of each.
const RING_HEAD_BYTES: u64 = 4;
const AVAILABLE_BYTES: u64 = 2;
const USED_BYTES: u64 = 8;
/// Bytes of the index behind the entries of either ring, with which the other side says what it wants to be told of.
const EVENT_BYTES: u64 = 2;

/// Why a queue cannot be worked on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fail {
    /// Guest memory cannot be had at once. Nothing has been done.
    Blocked,
    /// What the driver put into the queue, in words, makes no sense: the device needs a reset (section 2.1.1).
    Broken(&'static str),
}

impl From<Refusal> for Fail {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Blocked => Fail::Blocked,
            Refusal::Fault => Fail::Broken("an address outside of RAM"),
        }
    }
}

/// Memory that was reserved is there.
fn granted(answer: Result<(), Refusal>) {
    assert_eq!(answer, Ok(()), "ORD-4: what was reserved is not refused in the same step");
}

/// A piece of guest memory that belongs to a chain.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Buffer {
    address: u64,
    length: u32,
}

/// The buffers of a request. All of them lie in RAM, and the step has the grants for them.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Chain {
    head: u16,
    readable: Vec<Buffer>,
    writable: Vec<Buffer>,
}

impl Chain {
    /// Bytes that the driver has written.
    pub fn readable_bytes(&self) -> u64 {
        self.readable.iter().map(|buffer| u64::from(buffer.length)).sum()
    }

    /// Bytes that the device may write.
    pub fn writable_bytes(&self) -> u64 {
        self.writable.iter().map(|buffer| u64::from(buffer.length)).sum()
    }

    /// Copies what the driver has written from `offset` on, as much as is there, up to `length` bytes.
    pub fn read(&self, offset: u64, length: u64, outside: &mut dyn Outside) -> Vec<u8> {
        let length = length.min(self.readable_bytes().saturating_sub(offset));
        let mut bytes = vec![0; length as usize];
        each_piece(&self.readable, offset, length, |address, range| {
            granted(outside.memory_read(Gpa(address), &mut bytes[range]));
        });
        bytes
    }

    /// Writes from `offset` of the writable part on; what does not fit is left out.
    pub fn write(&self, offset: u64, bytes: &[u8], outside: &mut dyn Outside) {
        each_piece(&self.writable, offset, bytes.len() as u64, |address, range| {
            granted(outside.memory_write(Gpa(address), &bytes[range]));
        });
    }
}

/// The pieces of `offset..offset + length` of these buffers, each with its range in what is copied.
fn each_piece(
    buffers: &[Buffer],
    mut offset: u64,
    length: u64,
    mut piece: impl FnMut(u64, std::ops::Range<usize>),
) {
    let mut done = 0;
    for buffer in buffers {
        let here = u64::from(buffer.length);
        if offset >= here {
            offset -= here;
            continue;
        }
        let count = (here - offset).min(length - done);
        if count == 0 {
            break;
        }
        piece(buffer.address.wrapping_add(offset), done as usize..(done + count) as usize);
        done += count;
        offset = 0;
    }
}

/// One queue of a device.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Queue {
    /// The most entries that the driver may choose.
    pub(super) size_max: u16,
    /// How many entries the driver has chosen: a power of two, or 0 where it chose what cannot be.
    pub(super) size: u16,
    /// Whether the driver has set it up.
    pub(super) ready: bool,
    /// Addresses of the descriptor table, the available ring and the used ring.
    pub(super) addresses: [u64; 3],
    /// How many entries of the available ring the device has taken, modulo 2^16.
    taken: u16,
    /// How many it has used, modulo 2^16.
    used: u16,
    /// How many entries the available ring had when it was looked at last. Means nothing beyond the step.
    seen: Cell<u16>,
}

impl Queue {
    /// A queue that no driver has set up.
    pub fn new(size_max: u16) -> Self {
        assert!(size_max.is_power_of_two(), "a queue has a power of two of entries");
        Self {
            size_max,
            size: size_max,
            ready: false,
            addresses: [0; 3],
            taken: 0,
            used: 0,
            seen: Cell::new(0),
        }
    }

    /// The driver chooses how many entries the queue has.
    pub(super) fn resize(&mut self, entries: u32) {
        let fits = |size: &u16| size.is_power_of_two() && *size <= self.size_max;
        self.size = u16::try_from(entries).ok().filter(fits).unwrap_or(0);
    }

    /// How many chains wait to be taken.
    pub fn available(&self, outside: &mut dyn Outside) -> Result<u16, Fail> {
        if !self.ready {
            return Ok(0);
        }
        if self.size == 0 {
            return Err(Fail::Broken("a queue of a size that cannot be"));
        }
        // With the flags, which stand before the index and are looked at again at the end.
        let mut ring = [0; 4];
        outside.memory_read(Gpa(self.addresses[1]), &mut ring)?;
        self.seen.set(u16::from_le_bytes([ring[2], ring[3]]));
        let waiting = self.seen.get().wrapping_sub(self.taken);
        if waiting > self.size {
            return Err(Fail::Broken("more chains than the queue has entries"));
        }
        Ok(waiting)
    }

    /// Where the driver says of which entry of the used ring it wants to be told.
    fn used_event(&self) -> Gpa {
        Gpa(self.addresses[1].wrapping_add(RING_HEAD_BYTES + AVAILABLE_BYTES * u64::from(self.size)))
    }

    /// Gets the grants for giving chains back.
    pub fn reserve(&self, events: bool, outside: &mut dyn Outside) -> Result<(), Fail> {
        let ring = RING_HEAD_BYTES + USED_BYTES * u64::from(self.size);
        if events {
            outside.memory_reserve_read(self.used_event(), EVENT_BYTES)?;
        }
        Ok(outside.memory_reserve(Gpa(self.addresses[2]), ring + if events { EVENT_BYTES } else { 0 })?)
    }

    /// The `nth` of the chains that wait, which must be fewer than [`Queue::available`] says.
    pub fn chain(&self, nth: u16, outside: &mut dyn Outside) -> Result<Chain, Fail> {
        let entry = u64::from(self.taken.wrapping_add(nth) % self.size);
        let mut head = [0; 2];
        let at = RING_HEAD_BYTES + AVAILABLE_BYTES * entry;
        outside.memory_read(Gpa(self.addresses[1].wrapping_add(at)), &mut head)?;
        let head = u16::from_le_bytes(head);
        let mut chain = Chain { head, ..Chain::default() };
        let mut table = (self.addresses[0], u32::from(self.size));
        let mut index = u32::from(head);
        let mut is_indirect = false;
        let mut bytes = 0;
        // A chain is never longer than the queue (section 2.7.5), so one that is goes in circles.
        for _ in 0..=self.size {
            if index >= table.1 {
                return Err(Fail::Broken("a descriptor beyond the table"));
            }
            let mut descriptor = [0; DESCRIPTOR_BYTES as usize];
            let at = table.0.wrapping_add(DESCRIPTOR_BYTES * u64::from(index));
            outside.memory_read(Gpa(at), &mut descriptor)?;
            let [a, b, c, d, e, f, g, h, rest @ ..] = descriptor;
            let address = u64::from_le_bytes([a, b, c, d, e, f, g, h]);
            let [a, b, c, d, e, f, g, h] = rest;
            let length = u32::from_le_bytes([a, b, c, d]);
            let (flags, next) = (u16::from_le_bytes([e, f]), u16::from_le_bytes([g, h]));
            if flags & INDIRECT != 0 {
                let entries = length / DESCRIPTOR_BYTES as u32;
                if is_indirect || flags & NEXT != 0 || length % DESCRIPTOR_BYTES as u32 != 0 || entries == 0 {
                    return Err(Fail::Broken("a table of descriptors where none can be"));
                }
                (is_indirect, table, index) = (true, (address, entries), 0);
                continue;
            }
            bytes += u64::from(length);
            if bytes > CHAIN_BYTES_MAX {
                return Err(Fail::Broken("a chain of too many bytes"));
            }
            let buffer = Buffer { address, length };
            if flags & WRITE != 0 {
                outside.memory_reserve(Gpa(address), length.into())?;
                chain.writable.push(buffer);
            } else if chain.writable.is_empty() {
                outside.memory_reserve_read(Gpa(address), length.into())?;
                chain.readable.push(buffer);
            } else {
                return Err(Fail::Broken("a buffer to read behind one to write"));
            }
            if flags & NEXT == 0 {
                return Ok(chain);
            }
            index = next.into();
        }
        Err(Fail::Broken("a chain that is longer than its queue"))
    }

    /// All chains that wait, with the grants for giving them back.
    pub fn chains(&self, events: bool, outside: &mut dyn Outside) -> Result<Vec<Chain>, Fail> {
        let available = self.available(outside)?;
        let chains = (0..available).map(|nth| self.chain(nth, outside)).collect::<Result<_, _>>()?;
        if available > 0 {
            self.reserve(events, outside)?;
        }
        Ok(chains)
    }

    /// Gives the first chain that waits back, with so many bytes written to it. To be called for each in turn.
    pub fn push(&mut self, chain: &Chain, written: u64, events: bool, outside: &mut dyn Outside) {
        let mut element = [0; 8];
        element[..4].copy_from_slice(&u32::from(chain.head).to_le_bytes());
        element[4..].copy_from_slice(&(written.min(chain.writable_bytes()) as u32).to_le_bytes());
        let ring = self.addresses[2];
        let entry = u64::from(self.used % self.size);
        let at = RING_HEAD_BYTES + USED_BYTES * entry;
        granted(outside.memory_write(Gpa(ring.wrapping_add(at)), &element));
        self.taken = self.taken.wrapping_add(1);
        self.used = self.used.wrapping_add(1);
        granted(outside.memory_write(Gpa(ring.wrapping_add(2)), &self.used.to_le_bytes()));
        if events {
            let available_event = RING_HEAD_BYTES + USED_BYTES * u64::from(self.size);
            let at = Gpa(ring.wrapping_add(available_event));
            granted(outside.memory_write(at, &self.taken.to_le_bytes()));
        }
    }

    /// Whether the driver wants to be told of what was pushed since `before` chains had been given back. Looked at after the
    /// pushes, because the driver says first what it wants and looks at the ring then (section 2.7.7).
    pub(super) fn wants_interrupt(&self, before: u16, events: bool, outside: &mut dyn Outside) -> bool {
        let mut word = [0; 2];
        if !events {
            granted(outside.memory_read(Gpa(self.addresses[1]), &mut word));
            return u16::from_le_bytes(word) & NO_INTERRUPT == 0;
        }
        granted(outside.memory_read(self.used_event(), &mut word));
        // Section 2.7.10: whether the entry is among those that were pushed.
        let behind = self.used.wrapping_sub(u16::from_le_bytes(word)).wrapping_sub(1);
        behind < self.used.wrapping_sub(before)
    }

    /// Whether the driver has made chains available since the device looked, which can be only where memory is shared. It
    /// may not have seen yet that the device wants to hear of them.
    pub(super) fn has_news(&self, outside: &mut dyn Outside) -> bool {
        let mut index = [0; 2];
        granted(outside.memory_read(Gpa(self.addresses[1].wrapping_add(2)), &mut index));
        u16::from_le_bytes(index) != self.seen.get()
    }

    /// How many chains have been given back, modulo 2^16.
    pub(super) fn used(&self) -> u16 {
        self.used
    }

    pub(super) fn write_state(&self, into: &mut Vec<u8>) {
        into.extend(self.size.to_le_bytes());
        into.push(self.ready.into());
        self.addresses.iter().for_each(|address| into.extend(address.to_le_bytes()));
        into.extend(self.taken.to_le_bytes());
        into.extend(self.used.to_le_bytes());
    }

    pub(super) fn read_state(&mut self, from: &mut StateReader<'_>) -> Result<(), StateError> {
        let size = from.u16()?;
        self.resize(size.into());
        self.ready = from.flag()?;
        for address in &mut self.addresses {
            *address = from.u64()?;
        }
        self.taken = from.u16()?;
        self.used = from.u16()?;
        Ok(())
    }
}
