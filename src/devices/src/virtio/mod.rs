//! Virtio over MMIO (Virtual I/O Device 1.2): one transport, and behind it the kinds of devices, a file each.
//!
//! Guarantees:
//! - A notification of a queue, or an input, is one step: everything that waits in the queue is looked at first, which
//!   may be blocked; then it is all done (ORD-4).
//! - Nothing that a driver writes into registers, rings or buffers is trusted. What makes no sense to the transport sets
//!   DEVICE_NEEDS_RESET (section 2.1), and the user is told why; what makes no sense to the kind of device is answered as
//!   its section says. What a step costs is bounded by the queue's entries and [`queue::CHAIN_BYTES_MAX`].
//! - Only guest RAM is touched, and only what the rings name.
//!
//! Taken where the specification leaves a choice: features are accepted without VERSION_1, too, as on QEMU; a driver that
//! wants no interrupts gets none; registers other than configuration answer to 32 bits only.

pub mod block;
pub mod console;
pub mod entropy;
pub mod network;
pub mod queue;
pub mod registers;
pub mod share;
#[cfg(test)]
mod tests;

use crate::{Blocked, Device, Outside, PAGE_BYTES, Refusal, StateError, StateReader};
use cantus_isa::Width;
use queue::{Chain, Fail, Queue};
use registers::{Layout, Register, feature, interrupt, status};

/// How often a device looks for more in one step: more often than any driver that waits for what it has made available.
const LOOKS_MAX: u32 = 1 << 16;

/// What a virtio device is, behind the transport.
pub trait Kind: Send {
    /// What it is called, in messages and in the machine's state.
    fn name(&self) -> &'static str;

    /// Its device ID (section 5).
    fn id(&self) -> u32;

    /// The features that it offers, less those of the transport.
    fn features(&self) -> u64;

    /// The most entries of each of its queues: powers of two.
    fn queues(&self) -> &'static [u16];

    /// Its configuration as the driver reads it.
    fn config(&self) -> Vec<u8>;

    /// The driver resets the device.
    fn reset(&mut self);

    /// The driver says that there is something in a queue.
    fn notified(
        &mut self,
        queue: usize,
        queues: &mut Queues<'_>,
        outside: &mut dyn Outside,
    ) -> Result<(), Fail>;

    /// Bytes arrive from outside.
    fn input(
        &mut self,
        bytes: &[u8],
        queues: &mut Queues<'_>,
        outside: &mut dyn Outside,
    ) -> Result<(), Fail> {
        let _ = (bytes, queues, outside);
        Ok(())
    }

    /// See [`Device::control`]. Says whether the configuration has changed.
    fn control(&mut self, bytes: &[u8]) -> bool {
        let _ = bytes;
        false
    }

    /// See [`Device::input_room`].
    fn input_room(&self) -> usize {
        0
    }

    /// See [`Device::changes`].
    fn changes(&self, each: &mut dyn FnMut(u64, &[u8])) {
        let _ = each;
    }

    /// See [`Device::write_state`].
    fn write_state(&self, into: &mut Vec<u8>);

    /// See [`Device::read_state`].
    fn read_state(&mut self, from: &mut StateReader<'_>) -> Result<(), StateError>;

    /// See [`Device::take_written_pages`].
    fn take_written_pages(&mut self) -> Vec<u64> {
        Vec::new()
    }

    /// See [`Device::load_page`].
    fn load_page(&self, number: u64, into: &mut [u8; PAGE_BYTES]) {
        let _ = number;
        into.fill(0);
    }

    /// See [`Device::store_page`].
    fn store_page(&mut self, number: u64, from: &[u8; PAGE_BYTES]) -> Result<(), StateError> {
        let _ = from;
        Err(StateError::Page { device: self.name(), number })
    }
}

/// The queues of a device, as its kind works on them.
pub struct Queues<'a> {
    queues: &'a mut [Queue],
    is_live: bool,
    features: u64,
}

impl Queues<'_> {
    /// Whether the driver has accepted these features.
    pub fn accepted(&self, features: u64) -> bool {
        self.features & features == features
    }

    /// How many chains wait in a queue: none as long as the driver has not set up the device.
    pub fn available(&self, queue: usize, outside: &mut dyn Outside) -> Result<u16, Fail> {
        if self.is_live { self.queues[queue].available(outside) } else { Ok(0) }
    }

    /// The `nth` chain that waits; see [`Queue::chain`].
    pub fn chain(&self, queue: usize, nth: u16, outside: &mut dyn Outside) -> Result<Chain, Fail> {
        self.queues[queue].chain(nth, outside)
    }

    /// Gets the grants for giving chains back.
    pub fn reserve(&self, queue: usize, outside: &mut dyn Outside) -> Result<(), Fail> {
        self.queues[queue].reserve(self.accepted(feature::EVENT_IDX), outside)
    }

    /// All chains that wait, with the grants for giving them back.
    pub fn chains(&self, queue: usize, outside: &mut dyn Outside) -> Result<Vec<Chain>, Fail> {
        let events = self.accepted(feature::EVENT_IDX);
        if self.is_live { self.queues[queue].chains(events, outside) } else { Ok(Vec::new()) }
    }

    /// Gives the first chain that waits back, with so many bytes written to it.
    pub fn push(&mut self, queue: usize, chain: &Chain, written: u64, outside: &mut dyn Outside) {
        let events = self.accepted(feature::EVENT_IDX);
        self.queues[queue].push(chain, written, events, outside);
    }
}

/// A slot of the board with a device in it.
pub struct Virtio<K> {
    kind: K,
    /// The source of the interrupt controller that its interrupt is wired to.
    source: u32,
    layout: Layout,
    status: u32,
    device_features_select: u32,
    driver_features_select: u32,
    driver_features: u64,
    /// Bytes of a page of `QueuePFN`; legacy.
    page_bytes: u32,
    /// Bytes that the used ring is aligned to; legacy.
    align: u32,
    queue_select: u32,
    queues: Vec<Queue>,
    interrupt_status: u32,
    generation: u32,
    /// The level of the interrupt.
    raised: bool,
}

impl<K: Kind> Virtio<K> {
    /// A device after a reset, wired to this interrupt source.
    pub fn new(kind: K, source: u32, layout: Layout) -> Self {
        let queues = kind.queues().iter().map(|&size_max| Queue::new(size_max)).collect();
        Self {
            kind,
            source,
            layout,
            status: 0,
            device_features_select: 0,
            driver_features_select: 0,
            driver_features: 0,
            page_bytes: 4096,
            align: 4096,
            queue_select: 0,
            queues,
            interrupt_status: 0,
            generation: 0,
            raised: false,
        }
    }

    fn offered(&self) -> u64 {
        let version = if self.layout == Layout::Modern { feature::VERSION_1 } else { 0 };
        self.kind.features() | feature::INDIRECT | feature::EVENT_IDX | version
    }

    fn queue(&mut self) -> Option<&mut Queue> {
        self.queues.get_mut(usize::try_from(self.queue_select).ok()?)
    }

    /// The interrupt gets the level that follows from its status.
    fn settle(&mut self, outside: &mut dyn Outside) {
        let level = self.interrupt_status != 0;
        if level != self.raised {
            self.raised = level;
            outside.raise(self.source, level);
        }
    }

    fn reset(&mut self) {
        self.kind.reset();
        self.queues = self.kind.queues().iter().map(|&size_max| Queue::new(size_max)).collect();
        self.status = 0;
        self.driver_features = 0;
        (self.device_features_select, self.driver_features_select, self.queue_select) = (0, 0, 0);
        self.interrupt_status = 0;
    }

    /// Section 2.1.2: the device stops, and says so to its driver and to the user.
    fn need_reset(&mut self, why: &str, outside: &mut dyn Outside) {
        outside.warn(&format!("{} needs a reset: its driver gave it {why}", self.kind.name()));
        self.status |= status::NEEDS_RESET;
        if self.status & status::DRIVER_OK != 0 {
            self.interrupt_status |= interrupt::CONFIG;
        }
    }

    /// Lets the kind work on the queues.
    fn work(
        &mut self,
        outside: &mut dyn Outside,
        work: impl FnOnce(&mut K, &mut Queues<'_>, &mut dyn Outside) -> Result<(), Fail>,
    ) -> Result<(), Blocked> {
        let before = self.queues.iter().map(Queue::used).collect::<Vec<_>>();
        self.attempt(outside, work)?;
        let events = self.driver_features & self.offered() & feature::EVENT_IDX != 0;
        if events && outside.is_memory_shared() {
            self.work_on_news(before.clone(), outside)?;
        }
        let pushed = self.queues.iter().zip(before).filter(|(queue, before)| queue.used() != *before);
        let wants =
            |wants, (queue, before): (&Queue, u16)| wants | queue.wants_interrupt(before, events, outside);
        if pushed.fold(false, wants) {
            self.interrupt_status |= interrupt::USED;
        }
        self.settle(outside);
        Ok(())
    }

    /// Does some work, and says only whether it was blocked.
    fn attempt(
        &mut self,
        outside: &mut dyn Outside,
        work: impl FnOnce(&mut K, &mut Queues<'_>, &mut dyn Outside) -> Result<(), Fail>,
    ) -> Result<(), Blocked> {
        let is_live = self.status & (status::DRIVER_OK | status::NEEDS_RESET) == status::DRIVER_OK;
        let features = self.driver_features & self.offered();
        let mut queues = Queues { queues: &mut self.queues, is_live, features };
        match work(&mut self.kind, &mut queues, outside) {
            Ok(()) => Ok(()),
            Err(Fail::Blocked) => Err(Blocked),
            Err(Fail::Broken(why)) => {
                self.need_reset(why, outside);
                Ok(())
            }
        }
    }

    /// A driver on another core does not notify of what it makes available before it can see how far the device has got.
    /// So the device looks once more after it has said so (section 2.7.10).
    fn work_on_news(&mut self, mut before: Vec<u16>, outside: &mut dyn Outside) -> Result<(), Blocked> {
        for _ in 0..LOOKS_MAX {
            let now = self.queues.iter().map(Queue::used).collect::<Vec<_>>();
            let pushed = (0..now.len()).filter(|&queue| now[queue] != before[queue]).collect::<Vec<_>>();
            let mut has_news = false;
            for queue in pushed {
                if self.queues[queue].has_news(outside) {
                    has_news = true;
                    self.attempt(outside, |kind, queues, outside| kind.notified(queue, queues, outside))?;
                }
            }
            if !has_news {
                break;
            }
            before = now;
        }
        Ok(())
    }

    fn load_register(&mut self, register: Register) -> u32 {
        match register {
            Register::Magic => registers::MAGIC,
            Register::Version => self.layout.version(),
            Register::Device => self.kind.id(),
            Register::Vendor => registers::VENDOR,
            Register::DeviceFeatures => half(self.offered(), self.device_features_select),
            Register::QueueSizeMax => self.queue().map_or(0, |queue| queue.size_max.into()),
            Register::QueuePage => {
                let page_bytes = u64::from(self.page_bytes.max(1));
                self.queue()
                    .filter(|queue| queue.ready)
                    .map_or(0, |queue| (queue.addresses[0] / page_bytes) as u32)
            }
            Register::QueueReady => self.queue().map_or(0, |queue| queue.ready.into()),
            Register::InterruptStatus => self.interrupt_status,
            Register::Status => self.status,
            Register::SharedMemory => u32::MAX,
            Register::ConfigGeneration => self.generation,
            Register::DeviceFeaturesSelect
            | Register::DriverFeatures
            | Register::DriverFeaturesSelect
            | Register::PageSize
            | Register::QueueSelect
            | Register::QueueSize
            | Register::QueueAlign
            | Register::QueueNotify
            | Register::InterruptAcknowledge
            | Register::QueueAddress(..) => 0,
        }
    }

    fn store_register(
        &mut self,
        register: Register,
        value: u32,
        outside: &mut dyn Outside,
    ) -> Result<(), Blocked> {
        match register {
            Register::DeviceFeaturesSelect => self.device_features_select = value,
            Register::DriverFeaturesSelect => self.driver_features_select = value,
            Register::DriverFeatures => {
                // Fixed once they are agreed on (section 3.1.1).
                if self.status & status::FEATURES_OK == 0 && self.driver_features_select < 2 {
                    let shift = 32 * self.driver_features_select;
                    let other = self.driver_features & !(0xffff_ffff << shift);
                    self.driver_features = other | u64::from(value) << shift;
                }
            }
            Register::PageSize => self.page_bytes = value,
            Register::QueueSelect => self.queue_select = value,
            Register::QueueSize => {
                if let Some(queue) = self.queue() {
                    queue.resize(value);
                }
            }
            Register::QueueAlign => self.align = value,
            Register::QueuePage => self.place_legacy(value),
            Register::QueueReady => {
                if let Some(queue) = self.queue() {
                    // A queue that is taken back begins anew.
                    let Queue { size_max, size, addresses, .. } = *queue;
                    if value & 1 == 0 {
                        *queue = Queue::new(size_max);
                        (queue.size, queue.addresses) = (size, addresses);
                    }
                    queue.ready = value & 1 != 0;
                }
            }
            Register::QueueNotify => {
                let queue = value as usize;
                if queue < self.queues.len() {
                    return self.work(outside, |kind, queues, outside| kind.notified(queue, queues, outside));
                }
            }
            Register::InterruptAcknowledge => self.interrupt_status &= !value,
            Register::Status if value & status::ALL == 0 => self.reset(),
            Register::Status => {
                let kept = self.status & status::NEEDS_RESET;
                self.status = kept | value & status::ALL & !status::NEEDS_RESET;
                if self.driver_features & !self.offered() != 0 {
                    self.status &= !status::FEATURES_OK;
                }
            }
            Register::QueueAddress(part, half) => {
                if let Some(queue) = self.queue() {
                    let other = queue.addresses[part] & !(0xffff_ffff << (32 * half));
                    queue.addresses[part] = other | u64::from(value) << (32 * half);
                }
            }
            Register::Magic
            | Register::Version
            | Register::Device
            | Register::Vendor
            | Register::DeviceFeatures
            | Register::QueueSizeMax
            | Register::InterruptStatus
            | Register::SharedMemory
            | Register::ConfigGeneration => {}
        }
        self.settle(outside);
        Ok(())
    }

    /// The three parts of a legacy queue lie one behind the other, from a page on (section 2.7.2).
    fn place_legacy(&mut self, page: u32) {
        let (page_bytes, align) = (u64::from(self.page_bytes), u64::from(self.align));
        let Some(queue) = self.queue() else { return };
        let size = u64::from(queue.size);
        let available = 16 * size;
        let end = available + 6 + 2 * size;
        let used = if align.is_power_of_two() { (end + align - 1) & !(align - 1) } else { end };
        let start = u64::from(page) * page_bytes;
        let (size_max, size) = (queue.size_max, queue.size);
        *queue = Queue::new(size_max);
        queue.ready = page != 0;
        if queue.ready {
            queue.size = size;
            queue.addresses = [start, start.wrapping_add(available), start.wrapping_add(used)];
        }
    }
}

/// The low (0) or high (1) half of 64 bits; of the halves beyond them nothing.
fn half(value: u64, which: u32) -> u32 {
    if which < 2 { (value >> (32 * which)) as u32 } else { 0 }
}

impl<K: Kind> Device for Virtio<K> {
    fn name(&self) -> &'static str {
        self.kind.name()
    }

    fn load(&mut self, offset: u64, width: Width, _outside: &mut dyn Outside) -> Result<u64, Refusal> {
        if offset >= registers::END {
            return Err(Refusal::Fault);
        }
        if let Some(at) = offset.checked_sub(registers::CONFIG) {
            let config = self.kind.config();
            let byte = |at: u64| u64::from(config.get(at as usize).copied().unwrap_or(0));
            return Ok((0..width.bytes()).rev().fold(0, |value, index| value << 8 | byte(at + index)));
        }
        let register = Register::at(offset, self.layout).filter(|_| width == Width::Word);
        Ok(register.map_or(0, |register| self.load_register(register)).into())
    }

    fn store(
        &mut self,
        offset: u64,
        width: Width,
        value: u64,
        outside: &mut dyn Outside,
    ) -> Result<(), Refusal> {
        if offset >= registers::END {
            return Err(Refusal::Fault);
        }
        // No device here has configuration that a driver may write.
        match Register::at(offset, self.layout).filter(|_| width == Width::Word) {
            Some(register) => {
                self.store_register(register, value as u32, outside).map_err(|Blocked| Refusal::Blocked)
            }
            None => Ok(()),
        }
    }

    fn input(&mut self, bytes: &[u8], outside: &mut dyn Outside) -> Result<(), Blocked> {
        self.work(outside, |kind, queues, outside| kind.input(bytes, queues, outside))
    }

    fn control(&mut self, bytes: &[u8], outside: &mut dyn Outside) {
        if self.kind.control(bytes) {
            self.generation = self.generation.wrapping_add(1);
            if self.status & status::DRIVER_OK != 0 {
                self.interrupt_status |= interrupt::CONFIG;
            }
            self.settle(outside);
        }
    }

    fn input_room(&self) -> usize {
        self.kind.input_room()
    }

    fn changes(&self, each: &mut dyn FnMut(u64, &[u8])) {
        self.kind.changes(each);
    }

    fn write_state(&self, into: &mut Vec<u8>) {
        let words = [
            self.status,
            self.device_features_select,
            self.driver_features_select,
            self.page_bytes,
            self.align,
            self.queue_select,
            self.interrupt_status,
            self.generation,
        ];
        words.iter().for_each(|word| into.extend(word.to_le_bytes()));
        into.extend(self.driver_features.to_le_bytes());
        into.push(self.raised.into());
        self.queues.iter().for_each(|queue| queue.write_state(into));
        self.kind.write_state(into);
    }

    fn read_state(&mut self, from: &mut StateReader<'_>) -> Result<(), StateError> {
        self.status = from.u32_of(status::ALL, "the device's status")?;
        self.device_features_select = from.u32()?;
        self.driver_features_select = from.u32()?;
        self.page_bytes = from.u32()?;
        self.align = from.u32()?;
        self.queue_select = from.u32()?;
        self.interrupt_status = from.u32_of(interrupt::USED | interrupt::CONFIG, "the interrupt's status")?;
        self.generation = from.u32()?;
        self.driver_features = from.u64()?;
        self.raised = from.flag()?;
        self.queues.iter_mut().try_for_each(|queue| queue.read_state(from))?;
        self.kind.read_state(from)
    }

    fn take_written_pages(&mut self) -> Vec<u64> {
        self.kind.take_written_pages()
    }

    fn load_page(&self, number: u64, into: &mut [u8; PAGE_BYTES]) {
        self.kind.load_page(number, into);
    }

    fn store_page(&mut self, number: u64, from: &[u8; PAGE_BYTES]) -> Result<(), StateError> {
        self.kind.store_page(number, from)
    }
}

/// A slot with nothing in it (section 4.2.3.1.1: device ID 0).
pub struct Empty {
    layout: Layout,
}

impl Empty {
    /// An empty slot.
    pub fn new(layout: Layout) -> Self {
        Self { layout }
    }
}

impl Device for Empty {
    fn name(&self) -> &'static str {
        "virtio-empty"
    }

    fn load(&mut self, offset: u64, width: Width, _outside: &mut dyn Outside) -> Result<u64, Refusal> {
        if offset >= registers::END {
            return Err(Refusal::Fault);
        }
        let value = match Register::at(offset, self.layout).filter(|_| width == Width::Word) {
            Some(Register::Magic) => registers::MAGIC,
            Some(Register::Version) => self.layout.version(),
            Some(Register::Vendor) => registers::VENDOR,
            Some(_) | None => 0,
        };
        Ok(value.into())
    }

    fn store(
        &mut self,
        offset: u64,
        _width: Width,
        _value: u64,
        _outside: &mut dyn Outside,
    ) -> Result<(), Refusal> {
        if offset >= registers::END { Err(Refusal::Fault) } else { Ok(()) }
    }

    fn write_state(&self, _into: &mut Vec<u8>) {}

    fn read_state(&mut self, _from: &mut StateReader<'_>) -> Result<(), StateError> {
        Ok(())
    }
}
