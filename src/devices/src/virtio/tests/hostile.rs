//! Drivers that make no sense: broken chains one by one, and random ones by the thousand.

use super::super::block::Block;
use super::super::console::Console;
use super::super::entropy::Entropy;
use super::super::network::Network;
use super::super::registers::Layout::{self, Legacy, Modern};
use super::super::registers::feature::EVENT_IDX;
use super::super::share::Share;
use super::super::{Kind, Virtio};
use super::devices::drive;
use super::driver::{BUFFERS, Driver, ENTRIES, INDIRECT, In, NEXT, Out, SOURCE, WRITE};
use crate::testing::{MEMORY, Random, Step, Told, WIDTHS, state};
use crate::{Blocked, Device, Refusal, StateReader};

#[test]
fn what_makes_no_sense_needs_a_reset() {
    type Breaks = fn(&mut Driver<Entropy>);
    let cases: [(&str, Breaks); 15] = [
        ("a descriptor beyond the table", |driver| driver.offer(0, ENTRIES as u16)),
        ("a next one beyond the table", |driver| chain(driver, BUFFERS, 4, WRITE | NEXT, 16)),
        ("a circle", |driver| chain(driver, BUFFERS, 4, WRITE | NEXT, 0)),
        ("a buffer outside of RAM", |driver| chain(driver, MEMORY - 1, 4, WRITE, 0)),
        ("one that leaves RAM", |driver| chain(driver, MEMORY + 0xfffe, 4, WRITE, 0)),
        ("one at the end of the world", |driver| chain(driver, u64::MAX, 4, WRITE, 0)),
        ("one to read outside of RAM", |driver| chain(driver, 0, 4, 0, 0)),
        ("one of 4 GiB", |driver| chain(driver, BUFFERS, u32::MAX, WRITE, 0)),
        ("a table outside of RAM", |driver| chain(driver, 0, 16, INDIRECT, 0)),
        ("a table of no descriptors", |driver| chain(driver, BUFFERS, 0, INDIRECT, 0)),
        ("a table of half a descriptor", |driver| chain(driver, BUFFERS, 24, INDIRECT, 0)),
        ("a table that goes on", |driver| chain(driver, BUFFERS, 16, INDIRECT | NEXT, 1)),
        ("a table in a table", |driver| {
            driver.describe(BUFFERS, BUFFERS + 64, 16, INDIRECT, 0);
            chain(driver, BUFFERS, 16, INDIRECT, 0);
        }),
        ("to be read behind to be written", |driver| {
            let [table, ..] = driver.rings(0);
            driver.describe(table + 16, BUFFERS, 4, 0, 0);
            chain(driver, BUFFERS, 4, WRITE | NEXT, 1);
        }),
        ("more chains than entries", |driver| {
            let [_, available, _] = driver.rings(0);
            driver.put(available + 2, &100_u16.to_le_bytes());
        }),
    ];
    for (name, breaks) in cases {
        let mut driver = Driver::ready(Entropy, Modern);
        breaks(&mut driver);
        let memory = driver.bench.memory.clone();
        driver.notify(0);
        assert!(driver.needs_reset(), "{name}");
        assert_eq!(driver.load(0x60), 2, "{name}: the driver is told");
        assert_warned(&mut driver, name);
        assert!(driver.bench.memory == memory, "{name}: nothing was written");
        driver.offer(0, 0);
        driver.notify(0);
        assert_eq!(driver.told(), [], "{name}: it does nothing any more");
        driver.bench.memory.fill(0);
        driver.set_up();
        driver.request(0, &[In(4)]);
    }
}

/// The user was told why, once, and nobody else anything.
fn assert_warned(driver: &mut Driver<Entropy>, case: &str) {
    let told = driver.told();
    let [Told::Warned(what)] = &told[..] else { panic!("{case}: {told:?}") };
    assert!(what.starts_with("virtio-entropy needs a reset: its driver gave it "), "{case}: {what}");
}

/// Offers a chain that begins with this descriptor.
fn chain(driver: &mut Driver<Entropy>, address: u64, length: u32, flags: u16, next: u16) {
    let [table, ..] = driver.rings(0);
    driver.describe(table, address, length, flags, next);
    driver.offer(0, 0);
}

#[test]
fn rings_outside_of_ram_and_sizes_that_cannot_be_need_a_reset() {
    for (offset, value) in
        [(0x80, 0x10), (0x94, 0x10), (0xa0, 0x10), (0xa4, u32::MAX), (0x38, 3), (0x38, 128)]
    {
        let mut driver = Driver::ready(Entropy, Modern);
        driver.submit(0, &[In(4)], false);
        driver.store(0x30, 0);
        driver.store(offset, value);
        driver.notify(0);
        assert!(driver.needs_reset(), "{value:#x} at {offset:#x}");
        assert_warned(&mut driver, &format!("{value:#x} at {offset:#x}"));
    }
    let mut driver = Driver::ready(Entropy, Legacy);
    driver.store(0x30, 0);
    driver.store(0x28, u32::MAX);
    driver.store(0x3c, 3);
    driver.store(0x40, u32::MAX);
    driver.notify(0);
    assert!(driver.needs_reset());
}

#[test]
fn a_request_to_a_drive_has_a_header_and_a_status() {
    for parts in [&[Out(&[0; 15]), In(1)][..], &[Out(&[0; 16])], &[In(512)]] {
        let mut driver = Driver::ready(Block::new(drive(false, false)), Modern);
        driver.submit(0, parts, false);
        driver.notify(0);
        assert!(driver.needs_reset());
    }
}

/// However few grants a step gets, it has either happened or left no trace.
#[test]
fn ord_4_a_blocked_step_has_not_happened() {
    let header = [&0_u32.to_le_bytes()[..], &[0; 4], &5_u64.to_le_bytes()].concat();
    let mut driver = Driver::ready(Block::new(drive(false, true)), Modern);
    for _ in 0..3 {
        driver.submit(0, &[Out(&header), In(1024), In(1)], false);
    }
    let blocked = until_done(&mut driver, |driver| driver.try_notify(0));
    assert!(blocked > 48, "three reads of 16 lines need more than {blocked} grants");
    assert_eq!(driver.used(0).0, 3);

    let mut driver = Driver::ready(Network::new([2; 6]), Modern);
    driver.submit(0, &[In(1500)], false);
    let receive = |driver: &mut Driver<Network>| {
        driver.device.input(&[9; 1000], &mut driver.bench).map_err(|Blocked| Refusal::Blocked)
    };
    let blocked = until_done(&mut driver, receive);
    assert!(blocked > 16, "a frame of 1,000 bytes needs more than {blocked} grants");
    assert_eq!(driver.used(0), (1, 1012));
}

/// Tries with one more grant each time; how often it was blocked.
fn until_done<K: Kind>(driver: &mut Driver<K>, step: impl Fn(&mut Driver<K>) -> Result<(), Refusal>) -> u64 {
    driver.bench.take();
    let before = (state(&driver.device), driver.bench.memory.clone());
    for lines in 0.. {
        driver.bench.step = Some(Step::of_lines(lines));
        let answer = step(driver);
        if answer == Ok(()) {
            driver.bench.step = None;
            return lines;
        }
        assert_eq!(answer, Err(Refusal::Blocked));
        assert_eq!(driver.bench.take(), [], "{lines} lines");
        assert!((state(&driver.device), driver.bench.memory.clone()) == before, "{lines} lines");
    }
    unreachable!("some number of lines is enough")
}

/// A random driver: mostly a sound one whose descriptors, rings and registers have been altered here and there.
struct Hail {
    random: Random,
    /// The most bytes of memory that a step has touched.
    touched_max: u64,
    resets: u64,
    pushed: u64,
}

impl Hail {
    fn address(&mut self) -> u64 {
        match self.random.below(8) {
            0 => self.random.value(),
            1 => MEMORY + self.random.below(0x1_0100),
            _ => BUFFERS + self.random.below(0x7000),
        }
    }

    fn alter<K: Kind>(&mut self, driver: &mut Driver<K>, queue: usize) {
        let [table, available, used] = driver.rings(queue);
        match self.random.below(8) {
            0 => {
                let (at, byte) = (self.random.below(0x1_0000), self.random.next() as u8);
                driver.put(MEMORY + at, &[byte]);
            }
            1 => {
                let (ring, at) = ([available, used][self.random.below(2) as usize], self.random.below(40));
                let byte = self.random.next() as u8;
                driver.put(ring + at, &[byte]);
            }
            _ => {
                let at = table + 16 * self.random.below(ENTRIES);
                let address = self.address();
                let length = match self.random.below(4) {
                    0 => self.random.value() as u32,
                    1 => 16 * self.random.below(8) as u32,
                    _ => self.random.below(700) as u32,
                };
                let flags = [0, WRITE, NEXT, NEXT | WRITE, INDIRECT, 7][self.random.below(6) as usize];
                let next = self.random.below(ENTRIES + 1) as u16;
                driver.describe(at, address, length, flags, next);
            }
        }
    }

    fn submit<K: Kind>(&mut self, driver: &mut Driver<K>, queue: usize) {
        let mut out = vec![0; self.random.below(600) as usize];
        out.iter_mut().for_each(|byte| *byte = self.random.next() as u8);
        // The head of a request to a drive.
        if out.len() >= 16 && self.random.below(4) != 0 {
            out[..16].fill(0);
            out[0] = self.random.below(15) as u8;
            out[8] = self.random.below(24) as u8;
        }
        let split = self.random.below(out.len() as u64 + 1) as usize;
        let (first, second) = out.split_at(split);
        let length = [512, 1024, self.random.below(2000)][self.random.below(3) as usize] as usize;
        let indirect = self.random.below(2) == 0;
        match self.random.below(5) {
            0 => driver.submit(queue, &[In(length)], indirect),
            1 => driver.submit(queue, &[Out(&out)], indirect),
            2 => driver.submit(queue, &[Out(first), Out(second), In(length), In(1)], indirect),
            _ => driver.submit(queue, &[Out(&out), In(length), In(1)], indirect),
        };
    }

    /// One access or input, blocked now and then; what was blocked has left no trace.
    fn step<K: Kind>(
        &mut self,
        driver: &mut Driver<K>,
        mut step: impl FnMut(&mut Driver<K>) -> Result<(), Refusal>,
    ) {
        if self.random.below(4) == 0 {
            let before = (state(&driver.device), driver.bench.memory.clone());
            driver.bench.step = Some(Step::of_lines(self.random.below(60)));
            let answer = step(driver);
            driver.bench.step = None;
            if answer != Err(Refusal::Blocked) {
                return;
            }
            assert_eq!(driver.bench.take(), [], "a blocked step told something");
            assert!((state(&driver.device), driver.bench.memory.clone()) == before, "it changed something");
        }
        driver.bench.touched = 0;
        assert_eq!(step(driver), Ok(()), "nothing else is refused");
        self.touched_max = self.touched_max.max(driver.bench.touched);
    }

    /// A driver that knows EVENT_IDX, or none.
    fn driver<K: Kind>(&mut self, new: &dyn Fn() -> K, layout: Layout) -> Driver<K> {
        let declined = if self.random.below(2) == 0 { EVENT_IDX } else { 0 };
        Driver::declining(new(), layout, declined)
    }

    fn run<K: Kind>(&mut self, new: &dyn Fn() -> K, layout: Layout, steps: u64) {
        let mut driver = self.driver(new, layout);
        let queues = new().queues().len() as u64;
        for _ in 0..steps {
            let queue = self.random.below(queues) as usize;
            match self.random.below(64) {
                0..24 => self.submit(&mut driver, queue),
                24..28 => self.alter(&mut driver, queue),
                28..50 => {
                    let before = driver.used(queue).0;
                    self.step(&mut driver, |driver| driver.try_notify(queue));
                    self.pushed += u64::from(driver.used(queue).0 != before);
                }
                50..56 => {
                    let bytes = vec![5; self.random.below(1200) as usize];
                    self.step(&mut driver, |driver| {
                        driver.device.input(&bytes, &mut driver.bench).map_err(|Blocked| Refusal::Blocked)
                    });
                }
                56 => {
                    let bytes = self.random.next().to_le_bytes();
                    let count = self.random.below(6) as usize;
                    driver.device.control(&bytes[..count], &mut driver.bench);
                }
                57..60 => {
                    let at =
                        [self.random.below(0x110), self.random.value()][self.random.below(8) as usize / 7];
                    let width = WIDTHS[self.random.below(4) as usize];
                    let loaded = driver.device.load(at, width, &mut driver.bench);
                    assert!(loaded.is_ok() || at >= 0x1000);
                    if self.random.below(4) == 0 && at < 0x1000 {
                        let value = self.random.value();
                        self.step(&mut driver, |driver| {
                            driver.device.store(at, width, value, &mut driver.bench)
                        });
                    }
                }
                60 => {
                    let bytes = state(&driver.device);
                    let mut other = Virtio::new(new(), SOURCE, layout);
                    let mut reader = StateReader::new("other", &bytes);
                    assert_eq!(other.read_state(&mut reader).and_then(|()| reader.finish()), Ok(()));
                    assert_eq!(state(&other), bytes);
                    // And a damaged one, which is refused, or taken and safe.
                    let mut damaged = bytes;
                    let at = self.random.below(damaged.len() as u64) as usize;
                    damaged[at] ^= 1 << self.random.below(8);
                    let mut odd = Virtio::new(new(), SOURCE, layout);
                    if odd.read_state(&mut StateReader::new("odd", &damaged)).is_ok() {
                        driver.device = odd;
                        self.step(&mut driver, |driver| driver.try_notify(queue));
                    }
                    driver.device = other;
                }
                _ => driver.store(0x64, 3),
            }
            let told = driver.bench.take();
            assert!(!told.iter().any(|told| matches!(told, Told::Stop(_) | Told::Line(..))));
            if driver.needs_reset() || self.random.below(200) == 0 {
                self.resets += 1;
                driver = self.driver(new, layout);
            }
        }
    }
}

/// How many steps of each device in each layout, which a longer run may raise.
fn steps() -> u64 {
    std::env::var("CANTUS_FUZZ_STEPS").ok().and_then(|steps| steps.parse().ok()).unwrap_or(20_000)
}

fn hail<K: Kind>(seed: u64, new: impl Fn() -> K) {
    println!("seed {seed:#x}");
    let mut hail = Hail { random: Random::new(seed), touched_max: 0, resets: 0, pushed: 0 };
    for layout in [Legacy, Modern] {
        hail.run(&new, layout, steps());
    }
    assert!(hail.resets > steps() / 1000 && hail.pushed > steps() / 50, "the hail reaches both ends");
    // All chains of a queue, each of as many bytes as memory has for every descriptor, read and reserved.
    let bound = ENTRIES * (2 + ENTRIES) * 3 * 0x1_0000;
    assert!(hail.touched_max < bound, "a step touched {} bytes", hail.touched_max);
}

#[test]
fn random_drivers_of_a_drive() {
    hail(0x5eed_b10c, || Block::new(drive(false, true)));
}

#[test]
fn random_drivers_of_a_console() {
    hail(0x5eed_c025, || Console::new(80, 25));
}

#[test]
fn random_drivers_of_a_source_of_entropy() {
    hail(0x5eed_e274, || Entropy);
}

#[test]
fn random_drivers_of_a_network_card() {
    hail(0x5eed_2e70, || Network::new([2; 6]));
}

#[test]
fn random_drivers_of_a_share() {
    hail(0x5eed_0009, || Share::new("home"));
}
