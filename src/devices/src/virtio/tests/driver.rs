//! A driver that builds its rings in the memory of a [`Bench`].

use super::super::registers::{Layout, status};
use super::super::{Kind, Virtio};
use crate::testing::{Bench, MEMORY, Told};
use crate::{Device, Refusal};
use cantus_isa::Width::Word;

pub const SOURCE: u32 = 3;
/// Entries of each queue.
pub const ENTRIES: u64 = 16;
/// Where buffers begin.
pub const BUFFERS: u64 = MEMORY + 0x8000;

pub const WRITE: u16 = 2;
pub const NEXT: u16 = 1;
pub const INDIRECT: u16 = 4;

/// A buffer of a request: for the device to read, or so many bytes for it to write.
pub enum Part<'a> {
    Out(&'a [u8]),
    In(usize),
}
pub use Part::{In, Out};

/// A device with a driver.
pub struct Driver<K: Kind> {
    pub device: Virtio<K>,
    pub bench: Bench,
    /// Where the next buffer goes.
    free: u64,
    /// The next descriptor of each queue.
    descriptors: [u64; 2],
    /// Features that it does not accept.
    declined: u64,
}

impl<K: Kind> Driver<K> {
    /// A device that nobody has set up.
    pub fn new(kind: K, layout: Layout) -> Self {
        let device = Virtio::new(kind, SOURCE, layout);
        Self { device, bench: Bench::new(), free: BUFFERS, descriptors: [0; 2], declined: 0 }
    }

    /// A device that is ready for requests.
    pub fn ready(kind: K, layout: Layout) -> Self {
        Self::declining(kind, layout, 0)
    }

    /// The same, without these features.
    pub fn declining(kind: K, layout: Layout, declined: u64) -> Self {
        let mut driver = Self::new(kind, layout);
        driver.declined = declined;
        driver.set_up();
        driver
    }

    pub fn load(&mut self, offset: u64) -> u32 {
        self.device.load(offset, Word, &mut self.bench).expect("a register") as u32
    }

    pub fn store(&mut self, offset: u64, value: u32) {
        assert_eq!(self.device.store(offset, Word, value.into(), &mut self.bench), Ok(()));
    }

    /// Section 3.1.1, and 4.2.4 for the older layout.
    pub fn set_up(&mut self) {
        let is_modern = self.load(4) == 2;
        for value in [0, 1, 3] {
            self.store(0x70, value);
        }
        for select in 0..2 {
            self.store(0x14, select);
            let offered = self.load(0x10);
            self.store(0x24, select);
            self.store(0x20, offered & !((self.declined >> (32 * select)) as u32));
        }
        let features_ok = if is_modern { status::FEATURES_OK } else { 0 };
        self.store(0x70, 3 | features_ok);
        assert_eq!(self.load(0x70), 3 | features_ok);
        self.store(0x28, 4096);
        for queue in 0..2 {
            self.store(0x30, queue);
            if self.load(0x34) == 0 {
                continue;
            }
            self.store(0x38, ENTRIES as u32);
            let [table, available, used] = self.rings(queue as usize);
            if is_modern {
                for (offset, address) in [(0x80, table), (0x90, available), (0xa0, used)] {
                    self.store(offset, address as u32);
                    self.store(offset + 4, (address >> 32) as u32);
                }
                self.store(0x44, 1);
            } else {
                self.store(0x3c, 1024);
                self.store(0x40, (table / 4096) as u32);
            }
        }
        self.store(0x70, 3 | features_ok | status::DRIVER_OK);
    }

    /// Where the parts of a queue lie; for either layout.
    pub fn rings(&self, queue: usize) -> [u64; 3] {
        let table = MEMORY + 0x1000 * queue as u64;
        [table, table + 16 * ENTRIES, table + 1024]
    }

    pub fn put(&mut self, address: u64, bytes: &[u8]) {
        let at = (address - MEMORY) as usize;
        self.bench.memory[at..at + bytes.len()].copy_from_slice(bytes);
    }

    pub fn get(&self, address: u64, length: usize) -> &[u8] {
        let at = (address - MEMORY) as usize;
        &self.bench.memory[at..at + length]
    }

    pub fn half(&self, address: u64) -> u16 {
        u16::from_le_bytes(self.get(address, 2).try_into().expect("two bytes"))
    }

    pub fn describe(&mut self, at: u64, address: u64, length: u32, flags: u16, next: u16) {
        let mut bytes = address.to_le_bytes().to_vec();
        bytes.extend(length.to_le_bytes());
        bytes.extend(flags.to_le_bytes());
        bytes.extend(next.to_le_bytes());
        self.put(at, &bytes);
    }

    /// With EVENT_IDX: wants to be told of this entry of the used ring.
    pub fn want(&mut self, queue: usize, used: u16) {
        let [_, available, _] = self.rings(queue);
        self.put(available + 4 + 2 * ENTRIES, &used.to_le_bytes());
    }

    /// With EVENT_IDX: the entry of the available ring that the device wants to be told of.
    pub fn wanted(&self, queue: usize) -> u16 {
        let [.., used] = self.rings(queue);
        self.half(used + 4 + 8 * ENTRIES)
    }

    /// Makes a chain available whose first descriptor is this one, and wants to be told of the next one that comes back.
    pub fn offer(&mut self, queue: usize, head: u16) {
        let [_, available, _] = self.rings(queue);
        self.want(queue, self.used(queue).0);
        let index = self.half(available + 2);
        self.put(available + 4 + 2 * (u64::from(index) % ENTRIES), &head.to_le_bytes());
        self.put(available + 2, &index.wrapping_add(1).to_le_bytes());
    }

    /// Makes a request available; says where its buffers are.
    pub fn submit(&mut self, queue: usize, parts: &[Part<'_>], indirect: bool) -> Vec<u64> {
        let [table, ..] = self.rings(queue);
        let head = self.descriptors[queue];
        let count = if indirect { 1 } else { parts.len() as u64 };
        self.descriptors[queue] += count;
        let at = |index: u64| (head + index) % ENTRIES;
        let place = if indirect { self.take(16 * parts.len()) } else { 0 };
        let mut addresses = Vec::new();
        for (part, index) in parts.iter().zip(0..) {
            let (length, write) = match part {
                Out(bytes) => (bytes.len(), 0),
                In(length) => (*length, WRITE),
            };
            let address = self.take(length);
            if let Out(bytes) = part {
                self.put(address, bytes);
            }
            addresses.push(address);
            let more = if index + 1 < parts.len() as u64 { NEXT } else { 0 };
            let (descriptor, next) = if indirect {
                (place + 16 * index, index + 1)
            } else {
                (table + 16 * at(index), at(index + 1))
            };
            self.describe(descriptor, address, length as u32, write | more, next as u16);
        }
        if indirect {
            self.describe(table + 16 * at(0), place, 16 * parts.len() as u32, INDIRECT, 0);
        }
        self.offer(queue, at(0) as u16);
        addresses
    }

    /// A place for so many bytes. The places are used again and again.
    fn take(&mut self, length: usize) -> u64 {
        if self.free + length as u64 > MEMORY + self.bench.memory.len() as u64 {
            self.free = BUFFERS;
        }
        let place = self.free;
        self.free += (length as u64).next_multiple_of(16);
        place
    }

    pub fn notify(&mut self, queue: usize) {
        self.store(0x50, queue as u32);
    }

    /// How many chains came back so far, and the length of the last one.
    pub fn used(&self, queue: usize) -> (u16, u32) {
        let [.., used] = self.rings(queue);
        let count = self.half(used + 2);
        let last = used + 4 + 8 * (u64::from(count.wrapping_sub(1)) % ENTRIES);
        (count, u32::from_le_bytes(self.get(last + 4, 4).try_into().expect("four bytes")))
    }

    /// Submits a request and lets the device do it; what it wrote into each buffer that it may write.
    pub fn request(&mut self, queue: usize, parts: &[Part<'_>]) -> Vec<Vec<u8>> {
        let (before, _) = self.used(queue);
        let addresses = self.submit(queue, parts, false);
        self.notify(queue);
        assert_eq!(self.used(queue).0, before.wrapping_add(1), "the request came back");
        let parts = parts.iter().zip(addresses);
        let written = parts.filter_map(|(part, address)| match part {
            Out(_) => None,
            In(length) => Some(self.get(address, *length).to_vec()),
        });
        written.collect()
    }

    pub fn needs_reset(&mut self) -> bool {
        self.load(0x70) & status::NEEDS_RESET != 0
    }

    /// What the device told the outside, less its interrupt.
    pub fn told(&mut self) -> Vec<Told> {
        self.bench.take().into_iter().filter(|told| !matches!(told, Told::Raise(..))).collect()
    }

    pub fn try_notify(&mut self, queue: usize) -> Result<(), Refusal> {
        self.device.store(0x50, Word, queue as u64, &mut self.bench)
    }
}
