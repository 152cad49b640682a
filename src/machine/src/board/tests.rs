//! The board: which device answers where, and in which order cores reach it (ORD-8).

use super::*;
use crate::map::RAM_BASE;
use crate::testing::{Context, Random, Told};
use crate::{Peripheral, TooManyPeripherals};
use Width::{Byte, Double, Half, Word};
use cantus_devices::lines::{MEIP, MSIP, SEIP};
use cantus_devices::virtio::block::Drive;
use cantus_devices::virtio::registers::Layout;
use std::sync::Mutex;

const RAM: u64 = RAM_BASE.0;
const TOHOST: u64 = RAM + 0x800;
const FROMHOST: u64 = RAM + 0x840;
const FINISHER: u64 = map::FINISHER.start;
const CLINT: u64 = map::CLINT.start;
const PLIC: u64 = map::PLIC.start;
const UART: u64 = map::UART.start;
const RTC: u64 = map::RTC.start;
const VIRTIO: u64 = 0x1000_1000;

/// A drive, a console, a network card, random bytes and a share; the other slots are empty.
fn peripherals() -> Peripherals {
    let image = std::sync::Arc::new(vec![7; 4096]);
    let drive = Drive { image, read_only: false, write_through: true, id: [b'x'; 20] };
    let slots = vec![
        Peripheral::Drive(drive),
        Peripheral::Console(80, 25),
        Peripheral::Network([2, 0, 0, 0, 0, 1]),
        Peripheral::Entropy,
        Peripheral::Share("home".to_owned()),
    ];
    Peripherals::new(Layout::Modern, slots).unwrap()
}

/// A board of so many cores, with HTIF.
fn board(cores: usize) -> Board {
    let htif = HtifWords { tohost: Gpa(TOHOST), fromhost: Some(Gpa(FROMHOST)) };
    Board::new(cores, Some(htif), &peripherals())
}

/// One access to the board.
#[derive(Clone, Copy, Debug)]
enum Does {
    Load(u64, Width, Result<u64, Refusal>),
    Store(u64, Width, u64, Result<(), Refusal>),
    Input(Device, u8),
}
use Does::{Input, Load, Store};

fn store(address: u64, width: Width, value: u64) -> Does {
    Store(address, width, value, Ok(()))
}

/// Tells a story to a new board of four cores: each step is done by a core at a position, and tells the engine this.
fn story(name: &str, steps: &[(u8, u64, Does, &[Told])]) {
    let board = board(4);
    for (at, &(core, position, does, told)) in steps.iter().enumerate() {
        let mut context = Context::new(core, position);
        match does {
            Load(address, width, expected) => {
                assert_eq!(board.load(Gpa(address), width, &mut context), expected, "{name}, step {at}");
            }
            Store(address, width, value, expected) => {
                let answer = board.store(Gpa(address), width, value, &mut context);
                assert_eq!(answer, expected, "{name}, step {at}");
            }
            Input(device, byte) => {
                assert_eq!(board.input(device.id(), &[byte], &mut context), Ok(()), "{name}, step {at}");
            }
        }
        assert_eq!(context.told, told, "{name}, step {at}");
    }
}

fn output(byte: u8) -> Told {
    Told::Output(vec![byte])
}

#[test]
fn every_device_answers_where_the_map_says() {
    story(
        "finisher",
        &[
            (0, 0, Load(FINISHER, Word, Ok(0)), &[]),
            (0, 1, store(FINISHER, Word, 0x5555), &[Told::Stop(Stop::Exit(0))]),
            (0, 2, store(FINISHER, Word, 0x7_3333), &[Told::Stop(Stop::Exit(7))]),
            (0, 3, store(FINISHER, Word, 0x3333), &[Told::Stop(Stop::Exit(1))]),
            (0, 4, store(FINISHER, Word, 0x7777), &[Told::Stop(Stop::Reset)]),
            (0, 5, Store(FINISHER, Double, 0x5555, Err(Refusal::Fault)), &[]),
        ],
    );
    story(
        "CLINT",
        &[
            (0, 0, store(CLINT + 8, Word, 1), &[Told::Line(2, MSIP, true)]),
            (0, 1, store(CLINT + 0x4008, Double, 99), &[Told::Deadline(1, 99)]),
            (0, 2, Load(CLINT + 0x4008, Double, Ok(99)), &[]),
            (0, 3, Load(CLINT + 0xbff8, Double, Ok(77)), &[]),
            (0, 4, store(CLINT + 0xbff8, Double, 5), &[Told::SetClock(5)]),
            (0, 5, store(CLINT + 4 * 4, Word, 1), &[]),
            (0, 6, Load(CLINT + 4 * 4, Word, Ok(0)), &[]),
            (0, 7, Load(CLINT, Double, Err(Refusal::Fault)), &[]),
        ],
    );
    story(
        "PLIC",
        &[
            (0, 0, store(PLIC + 40, Word, 3), &[]),
            (0, 1, Load(PLIC + 40, Word, Ok(3)), &[]),
            (0, 2, Load(PLIC + 40, Byte, Err(Refusal::Fault)), &[]),
        ],
    );
    story(
        "UART",
        &[
            (0, 0, store(UART, Byte, b'x'.into()), &[output(b'x')]),
            (0, 1, Load(UART + 5, Byte, Ok(0x60)), &[]),
            (0, 2, Load(UART + 8, Byte, Err(Refusal::Fault)), &[]),
        ],
    );
    story(
        "HTIF",
        &[
            (0, 0, store(TOHOST, Double, 0x0101_0000_0000_0041), &[output(b'A')]),
            (0, 1, store(TOHOST, Word, 3), &[Told::Stop(Stop::Exit(1))]),
            (0, 2, store(TOHOST, Double, (1 << 40) + 1), &[Told::Stop(Stop::Exit(u32::MAX))]),
            (0, 3, store(FROMHOST, Double, 8), &[]),
            (0, 4, Load(FROMHOST + 1, Half, Ok(0)), &[]),
        ],
    );
    story(
        "nothing",
        &[
            (0, 0, Load(0, Word, Err(Refusal::Fault)), &[]),
            (0, 1, Store(RAM, Word, 0, Err(Refusal::Fault)), &[]),
            (0, 2, Load(0x1000, Word, Err(Refusal::Fault)), &[]),
            (0, 3, Load(u64::MAX, Double, Err(Refusal::Fault)), &[]),
        ],
    );
}

#[test]
fn every_virtio_slot_answers_and_so_does_the_clock() {
    for (slot, id) in [2, 3, 1, 4, 9, 0, 0, 0].into_iter().enumerate() {
        let at = VIRTIO + 0x1000 * slot as u64;
        let magic = Load(at, Word, Ok(0x7472_6976));
        story("virtio", &[(0, 0, magic, &[]), (0, 1, Load(at + 8, Word, Ok(id)), &[])]);
    }
    story(
        "real-time clock",
        &[
            (0, 0, Load(RTC, Word, Ok(0)), &[Told::Asked(5, vec![])]),
            (1, 0, Load(RTC + 4, Word, Ok(0)), &[Told::After(0, 1)]),
        ],
    );
    let many = vec![Peripheral::Entropy; 9];
    assert_eq!(Peripherals::new(Layout::Modern, many).map(|_| ()), Err(TooManyPeripherals(9)));
}

#[test]
fn a_console_hears_of_its_new_size_under_a_number_of_its_own() {
    let (board, mut context) = (board(1), Context::new(0, 0));
    let control = Device::Virtio(1).control_id().unwrap();
    assert_eq!(board.input(control, &[100, 0, 40, 0], &mut context), Ok(()));
    assert_eq!(board.load(Gpa(VIRTIO + 0x1100), Word, &mut context), Ok(40 << 16 | 100));
    assert_eq!(Device::of(control), None);
    for slot in 0..8 {
        let control = Device::Virtio(slot).control_id().unwrap();
        assert_eq!(Device::controlled(control), Some(Device::Virtio(slot)));
    }
}

/// Random bytes through a ring in guest memory: the host is asked in the name of the slot, and the interrupt goes through
/// the PLIC.
#[test]
fn a_virtio_device_asks_the_host_and_raises_its_source() {
    const ENTROPY: u64 = VIRTIO + 0x3000;
    let (board, mut context) = (board(2), Context::new(1, 9));
    let writes = [
        (PLIC + 4 * 4, 1),
        (PLIC + 0x2100, 1 << 4),
        (ENTROPY + 0x70, 3),
        (ENTROPY + 0x70, 11),
        (ENTROPY + 0x38, 4),
        (ENTROPY + 0x80, RAM + 0x100),
        (ENTROPY + 0x90, RAM + 0x200),
        (ENTROPY + 0xa0, RAM + 0x300),
        (ENTROPY + 0x44, 1),
        (ENTROPY + 0x70, 15),
    ];
    for (address, value) in writes {
        assert_eq!(board.store(Gpa(address), Word, value, &mut context), Ok(()));
    }
    context.memory[0x100..0x108].copy_from_slice(&(RAM + 0x400).to_le_bytes());
    context.memory[0x108] = 4;
    context.memory[0x10c] = 2;
    context.memory[0x202] = 1;
    context.blocked = true;
    assert_eq!(board.store(Gpa(ENTROPY + 0x50), Word, 0, &mut context), Err(Refusal::Blocked));
    assert_eq!(context.take(), []);
    context.blocked = false;
    assert_eq!(board.store(Gpa(ENTROPY + 0x50), Word, 0, &mut context), Ok(()));
    let asked = Told::Asked(Device::Virtio(3).id().0, vec![4, 0, 0, 0]);
    assert_eq!(context.take(), [asked, Told::Line(1, MEIP, true)]);
    assert_eq!(context.memory[0x400..0x404], [0, 0, 0, 4]);
    assert_eq!(board.load(Gpa(PLIC + 0x20_2004), Word, &mut context), Ok(4), "the claim");
}

#[test]
fn ord_8_an_access_comes_after_the_last_one_of_another_core() {
    story(
        "one device",
        &[
            (0, 10, Load(UART + 7, Byte, Ok(0)), &[]),
            (0, 20, Load(UART + 7, Byte, Ok(0)), &[]),
            (1, 5, Load(UART + 7, Byte, Ok(0)), &[Told::After(0, 21)]),
            (1, 6, Load(UART + 7, Byte, Ok(0)), &[]),
            (2, 0, Load(UART + 7, Byte, Ok(0)), &[Told::After(1, 7)]),
            (0, 21, Load(UART + 7, Byte, Ok(0)), &[Told::After(2, 1)]),
        ],
    );
    story(
        "different devices",
        &[
            (0, 10, Load(UART + 7, Byte, Ok(0)), &[]),
            (1, 10, Load(PLIC, Word, Ok(0)), &[]),
            (2, 10, Load(FINISHER, Word, Ok(0)), &[]),
            (3, 10, Load(TOHOST, Word, Ok(0)), &[]),
        ],
    );
    story(
        "input is an access",
        &[
            (0, 10, Input(Device::Uart, b'a'), &[]),
            (1, 3, Load(UART, Byte, Ok(b'a'.into())), &[Told::After(0, 11)]),
            (0, 11, Input(Device::Uart, b'b'), &[Told::After(1, 4)]),
            (2, 0, Input(Device::Htif, b'c'), &[]),
            (3, 0, Load(FROMHOST, Word, Ok(0)), &[Told::After(2, 1)]),
        ],
    );
    story(
        "a fault of a device is an access, what no device answers is not",
        &[
            (0, 10, Load(UART + 8, Byte, Err(Refusal::Fault)), &[]),
            (1, 3, Load(UART + 7, Byte, Ok(0)), &[Told::After(0, 11)]),
            (0, 11, Load(UART + 1, Half, Err(Refusal::Fault)), &[]),
            (2, 0, Load(UART + 7, Byte, Ok(0)), &[Told::After(1, 4)]),
        ],
    );
}

#[test]
fn ord_8_of_the_clint_only_what_concerns_one_hart_is_ordered() {
    story(
        "CLINT",
        &[
            (0, 10, store(CLINT + 4, Word, 1), &[Told::Line(1, MSIP, true)]),
            (2, 10, store(CLINT + 12, Word, 1), &[Told::Line(3, MSIP, true)]),
            (1, 7, store(CLINT + 4, Word, 0), &[Told::After(0, 11), Told::Line(1, MSIP, false)]),
            (0, 12, Load(CLINT + 0xbff8, Double, Ok(77)), &[]),
            (1, 8, Load(CLINT + 0xbff8, Double, Ok(77)), &[]),
            (2, 11, store(CLINT + 0xbff8, Double, 1), &[Told::SetClock(1)]),
            (3, 0, Load(CLINT + 0x4000 + 24, Double, Ok(u64::MAX)), &[Told::After(2, 11)]),
        ],
    );
}

#[test]
fn ord_8_a_nested_device_is_ordered_by_itself() {
    story(
        "UART to PLIC, and to the host's side",
        &[
            (0, 1, store(PLIC + 40, Word, 1), &[]),
            (1, 1, store(PLIC + 0x2080, Word, 1 << 10), &[Told::After(0, 2)]),
            (2, 1, store(UART + 1, Byte, 1), &[]),
            (
                3,
                1,
                Input(Device::Uart, b'a'),
                &[Told::After(2, 2), Told::After(1, 2), Told::Line(0, SEIP, true)],
            ),
            (0, 2, Load(PLIC + 0x20_1004, Word, Ok(10)), &[Told::After(3, 2), Told::Line(0, SEIP, false)]),
            (2, 2, store(UART, Byte, b'x'.into()), &[Told::After(3, 2), output(b'x')]),
            (1, 2, store(TOHOST, Double, 0x0101_0000_0000_0079), &[Told::After(2, 3), output(b'y')]),
            (3, 2, store(FINISHER, Word, 0x5555), &[Told::After(1, 3), Told::Stop(Stop::Exit(0))]),
        ],
    );
}

#[test]
fn ord_4_a_blocked_access_has_not_happened() {
    let board = board(2);
    let mut context = Context::new(0, 5);
    context.memory[..8].copy_from_slice(&64_u64.to_le_bytes());
    context.memory[8] = 1;
    context.memory[16..24].copy_from_slice(&(RAM + 0x100).to_le_bytes());
    context.memory[24] = 2;
    context.memory[0x100..0x102].copy_from_slice(b"ok");
    context.blocked = true;
    let mut before = vec![];
    board.write_state(&mut before);
    assert_eq!(board.store(Gpa(TOHOST), Double, RAM, &mut context), Err(Refusal::Blocked));
    let mut after = vec![];
    board.write_state(&mut after);
    assert_eq!((context.take(), before), (vec![], after));
    let mut other = Context::new(1, 8);
    assert_eq!(board.load(Gpa(TOHOST), Double, &mut other), Ok(0));
    assert_eq!(other.take(), [], "nobody has been here before");
    context.blocked = false;
    assert_eq!(board.store(Gpa(TOHOST), Double, RAM, &mut context), Ok(()));
    assert_eq!(context.take(), [Told::After(1, 9), Told::Output(b"ok".to_vec())]);
    assert_eq!(context.memory[..8], 2_u64.to_le_bytes(), "the result of the system call");
}

#[test]
fn an_interrupt_from_the_console_to_the_handler_and_back() {
    story(
        "UART, PLIC, hart 1 in machine mode",
        &[
            (1, 0, store(PLIC + 40, Word, 1), &[]),
            (1, 1, store(PLIC + 0x2100, Word, 1 << 10), &[]),
            (1, 2, store(UART + 1, Byte, 1), &[]),
            (1, 3, Input(Device::Uart, b'k'), &[Told::Line(1, MEIP, true)]),
            (1, 4, Load(PLIC + 0x20_2004, Word, Ok(10)), &[Told::Line(1, MEIP, false)]),
            (1, 5, Load(UART, Byte, Ok(b'k'.into())), &[]),
            (1, 6, store(PLIC + 0x20_2004, Word, 10), &[]),
            (1, 7, Load(PLIC + 0x1000, Word, Ok(0)), &[]),
        ],
    );
}

#[test]
fn input_goes_to_htif_once_the_program_reads_there() {
    let board = board(1);
    let mut context = Context::new(0, 0);
    assert_eq!(board.console(), Device::Uart.id());
    board.store(Gpa(TOHOST), Double, 1 << 56, &mut context).unwrap();
    assert_eq!(board.console(), Device::Htif.id());
    assert_eq!(board.input(board.console(), b"q", &mut context), Ok(()));
    assert_eq!(board.load(Gpa(FROMHOST), Double, &mut context), Ok(1 << 56 | 0x100 | u64::from(b'q')));
    assert_eq!(Board::new(1, None, &Peripherals::default()).console(), Device::Uart.id());
    for (device, room) in [(Device::Uart, 4096), (Device::Htif, 4096), (Device::Plic, 0), (Device::Clint, 0)]
    {
        assert_eq!(board.input_room(device.id()), room, "{}", device.name());
    }
    let unknown = DeviceId(99);
    assert_eq!(board.input_room(unknown), 0);
    assert_eq!(board.input(unknown, b"dropped", &mut context), Ok(()));
    assert_eq!(
        Board::new(1, None, &Peripherals::default()).input(Device::Htif.id(), b"dropped", &mut context),
        Ok(())
    );
    assert_eq!(context.take(), []);
}

/// A random access: mostly where something is.
fn random_access(random: &mut Random) -> (Gpa, Width, u64) {
    let base = match random.below(10) {
        0 => FINISHER + random.below(8),
        1 => CLINT + [0, 0x4000, 0xbff0][random.below(3) as usize] + random.below(40),
        2 => {
            PLIC + [0, 0x1000, 0x2000, 0x2080, 0x20_0000, 0x20_1000][random.below(6) as usize]
                + random.below(64)
        }
        3..5 => UART + random.below(9),
        5 => TOHOST + random.below(9),
        6 => FROMHOST + random.below(9),
        7 => VIRTIO + 0x1000 * random.below(8) + random.below(0x110),
        8 => RTC + random.below(0x24),
        _ => random.next() >> random.below(64),
    };
    let width = [Byte, Half, Word, Double][random.below(4) as usize];
    let aligned = if random.below(8) == 0 { base } else { base & !(width.bytes() - 1) };
    let value = match random.below(4) {
        0 => RAM + random.below(4096),
        1 => random.below(256),
        _ => random.next() >> random.below(64),
    };
    (Gpa(aligned), width, value)
}

/// Random accesses of three cores to two boards, of which one takes over the other's state now and then: they answer
/// and tell alike, and never panic.
#[test]
fn random_accesses_have_defined_answers_and_the_state_is_all_there_is() {
    let mut random = Random::new(0xb0a2_0001);
    let (one, mut two) = (board(3), board(3));
    let mut contexts = (0..3).map(|core| (Context::new(core, 0), Context::new(core, 0))).collect::<Vec<_>>();
    for access in 0..300_000_u64 {
        let (mine, other) = &mut contexts[random.below(3) as usize];
        (mine.position, other.position) = (access, access);
        let (address, width, value) = random_access(&mut random);
        match random.below(32) {
            0..12 => {
                let answer = one.load(address, width, mine);
                assert_eq!(answer, two.load(address, width, other), "{width:?} at {address}");
            }
            12..30 => {
                let answer = one.store(address, width, value, mine);
                assert_eq!(answer, two.store(address, width, value, other), "{width:?} at {address}");
            }
            30 => {
                let device = DeviceId(random.below(26) as u8);
                let bytes = &value.to_le_bytes()[..random.below(9) as usize];
                if one.input_room(device) >= bytes.len() {
                    assert_eq!(one.input(device, bytes, mine), Ok(()));
                    assert_eq!(two.input(device, bytes, other), Ok(()));
                }
            }
            _ => {
                let mut state = vec![];
                one.write_state(&mut state);
                two = board(3);
                two.read_state(&state).unwrap();
                let cut = random.below(state.len() as u64) as usize;
                assert!(board(3).read_state(&state[..cut]).is_err(), "cut to {cut} bytes");
                state.push(0);
                assert!(board(3).read_state(&state).is_err(), "a byte too many");
            }
        }
        // Who came last is not a part of the state, and so neither is the order that follows from it.
        let without_order = |told: Vec<Told>| {
            told.into_iter().filter(|told| !matches!(told, Told::After(..))).collect::<Vec<_>>()
        };
        assert_eq!(without_order(mine.take()), without_order(other.take()), "access {access}");
        assert_eq!(mine.memory, other.memory, "access {access}");
    }
}

/// What one core does in the test below, with what it is told.
struct Recorder<'a> {
    inner: Context,
    /// Everybody's output in the order in which it came out: who, at which position.
    console: &'a Mutex<Vec<(u8, u64)>>,
    /// What this core's steps come after: (position, other core, its steps).
    edges: Vec<(u64, u8, u64)>,
}

impl BusContext for Recorder<'_> {
    fn here(&self) -> (CoreId, cantus_traces::Position) {
        self.inner.here()
    }
    fn order_after(&mut self, core: CoreId, position: cantus_traces::Position) {
        self.edges.push((self.inner.position, core.0, position.0));
    }
    fn clock(&mut self) -> u64 {
        self.inner.clock()
    }
    fn set_clock(&mut self, _: u64) {}
    fn set_line(&mut self, _: CoreId, _: u32, _: bool) {}
    fn set_deadline(&mut self, _: CoreId, _: u64) {}
    fn set_alarm(&mut self, _: DeviceId, _: u64) {}
    fn is_memory_shared(&self) -> bool {
        self.inner.is_memory_shared()
    }
    fn output(&mut self, _: &[u8]) {
        self.console.lock().unwrap().push((self.inner.core, self.inner.position));
    }
    fn stop(&mut self, _: Stop) {}
    fn read_memory(&mut self, address: Gpa, into: &mut [u8]) -> Result<(), Refusal> {
        self.inner.read_memory(address, into)
    }
    fn write_memory(&mut self, address: Gpa, from: &[u8]) -> Result<(), Refusal> {
        self.inner.write_memory(address, from)
    }
    fn reserve_memory(&mut self, address: Gpa, length: u64) -> Result<(), Refusal> {
        self.inner.reserve_memory(address, length)
    }
    fn reserve_memory_read(&mut self, address: Gpa, length: u64) -> Result<(), Refusal> {
        self.inner.reserve_memory_read(address, length)
    }
    fn ask_host(&mut self, device: DeviceId, question: &[u8]) -> Vec<u8> {
        self.inner.ask_host(device, question)
    }
    fn tell_host(&mut self, _: DeviceId, _: &[u8]) {}
    fn warn(&mut self, _: DeviceId, _: &str) {}
}

/// Cores on host threads write through the UART and through HTIF at the same time. Then everything is done once more in
/// another order, that of the edges alone, as a replay would: it must not get stuck, and must give the same console.
#[test]
#[expect(clippy::disallowed_methods, reason = "the board is called from the engine's threads")]
fn ord_8_the_console_is_ordered_across_devices_and_threads() {
    const CORES: usize = 4;
    const STEPS: u64 = 3_000;
    let (board, console) = (board(CORES), Mutex::new(Vec::new()));
    let run = |core: usize| {
        let mut recorder = Recorder { inner: Context::new(core as u8, 0), console: &console, edges: vec![] };
        let mut random = Random::new(0xc0_0001 + core as u64);
        for position in 0..STEPS {
            recorder.inner.position = position;
            let done = match random.below(4) {
                0 => board.store(Gpa(UART), Byte, 1, &mut recorder),
                1 => board.store(Gpa(TOHOST), Double, 0x0101_0000_0000_0001, &mut recorder),
                2 => board.store(Gpa(UART + 1), Byte, random.below(4), &mut recorder),
                _ => board.load(Gpa(PLIC + 0x20_0004), Word, &mut recorder).map(|_| ()),
            };
            done.unwrap();
        }
        recorder.edges
    };
    let edges = std::thread::scope(|scope| {
        let run = &run;
        let cores = (0..CORES).map(|core| scope.spawn(move || run(core))).collect::<Vec<_>>();
        cores.into_iter().map(|core| core.join().unwrap()).collect::<Vec<_>>()
    });
    let console = console.into_inner().unwrap();
    assert!(console.len() as u64 > STEPS);

    let outputs = console.iter().copied().collect::<std::collections::BTreeSet<_>>();
    let (mut done, mut again) = ([0; CORES], Vec::new());
    let mut random = Random::new(0xc0_1001);
    while done.iter().any(|&steps| steps < STEPS) {
        let may_go = |core: &usize| {
            let first = edges[*core].partition_point(|edge| edge.0 < done[*core]);
            let now = edges[*core][first..].iter().take_while(|edge| edge.0 == done[*core]);
            done[*core] < STEPS && now.clone().all(|&(_, other, steps)| done[usize::from(other)] >= steps)
        };
        let ready = (0..CORES).filter(may_go).collect::<Vec<_>>();
        assert!(!ready.is_empty(), "stuck at {done:?}");
        let core = ready[random.below(ready.len() as u64) as usize];
        let step = (core as u8, done[core]);
        if outputs.contains(&step) {
            again.push(step);
        }
        done[core] += 1;
    }
    assert!(again == console, "another order of output satisfies the edges");
}

/// What a driver would have written to the drive of slot 0, as a checkpoint has it.
#[test]
fn chk_1_pages_of_devices_are_in_the_digest_and_in_checkpoints() {
    use cantus_traces::{ContentDigest, limits::DEVICE_PAGES};
    let image = std::sync::Arc::new(vec![1; 20_000]);
    let drive = Drive { image, read_only: false, write_through: false, id: [0; 20] };
    let slots = vec![Peripheral::Console(80, 25), Peripheral::Drive(drive)];
    let peripherals = Peripherals::new(Layout::Modern, slots).unwrap();
    let board = || Board::new(1, None, &peripherals);
    let digests = |board: &Board| {
        let mut all = Vec::new();
        board.page_digests(|number, digest| all.push((number, digest)));
        all
    };
    let first = board();
    assert_eq!((digests(&first), first.take_changed_pages(false)), (vec![], vec![]));
    let page = |block: u64| DEVICE_PAGES + (1 << 40) + block;
    for (number, byte) in [(page(4), 0), (page(0), 7)] {
        first.store_page(number, &[byte; 4096]).unwrap();
    }
    assert_eq!(first.take_changed_pages(false), [], "they were in a checkpoint");
    assert_eq!(first.take_changed_pages(true), [page(0), page(4)]);
    assert_eq!(first.load_page(page(0)), [7; 4096]);
    let expected = [(page(0), ContentDigest::of(&[7; 4096])), (page(4), ContentDigest::of(&[0; 4096]))];
    assert_eq!(digests(&first), expected, "zeroes over an image that has none are a page, too");
    for unknown in [0, DEVICE_PAGES, page(5), DEVICE_PAGES + (9 << 40), u64::MAX] {
        assert!(first.store_page(unknown, &[1; 4096]).is_err(), "{unknown:#x}");
        assert_eq!(first.load_page(unknown), [0; 4096], "{unknown:#x}");
    }
    let mut state = Vec::new();
    first.write_state(&mut state);
    first.read_state(&state).unwrap();
    assert_eq!(digests(&first), [], "a state begins without pages");
}
