//! What the tests of this crate share: hand-made ELF files, and an engine's side of an access that notes what it is told.

use crate::map::RAM_BASE;
use cantus_engine::{BusContext, Stop};
use cantus_interp::Refusal;
use cantus_isa::Gpa;
use cantus_traces::{CoreId, DeviceId, Position};

/// A small generator of random numbers (xorshift64*): the same numbers from the same seed.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        println!("seed {seed:#x}");
        Self(seed | 1)
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

/// A program header to make: a segment of these bytes, and of `length` in memory.
#[derive(Clone)]
pub struct Part {
    pub kind: u32,
    pub virtual_address: u64,
    pub address: u64,
    pub bytes: Vec<u8>,
    pub length: u64,
}

impl Part {
    /// A segment at a physical address that is its virtual one, too.
    pub fn at(address: u64, bytes: &[u8], length: u64) -> Self {
        Self { kind: 1, virtual_address: address, address, bytes: bytes.to_vec(), length }
    }
}

/// An ELF file to make.
#[derive(Clone)]
pub struct Elf {
    pub class: u8,
    pub encoding: u8,
    pub kind: u16,
    pub machine: u16,
    pub entry: u64,
    pub parts: Vec<Part>,
    /// Name, value, whether it is global, whether it is defined.
    pub symbols: Vec<(&'static str, u64, bool, bool)>,
}

impl Default for Elf {
    /// Eight bytes at the start of RAM.
    fn default() -> Self {
        Self {
            class: 2,
            encoding: 1,
            kind: 2,
            machine: 243,
            entry: RAM_BASE.0,
            parts: vec![Part::at(RAM_BASE.0, &[1, 2, 3, 4, 5, 6, 7, 8], 8)],
            symbols: vec![],
        }
    }
}

/// Where the program headers begin.
pub const PROGRAM_HEADERS: usize = 64;

impl Elf {
    pub fn with(change: impl FnOnce(&mut Self)) -> Self {
        let mut elf = Self::default();
        change(&mut elf);
        elf
    }

    /// The file: header, program headers, the segments' bytes, symbols and their names, section headers.
    pub fn bytes(&self) -> Vec<u8> {
        let (mut symbols, mut names) = (vec![0; 24], vec![0]);
        for &(name, value, is_global, is_defined) in &self.symbols {
            symbols.extend((names.len() as u32).to_le_bytes());
            symbols.extend([u8::from(is_global) << 4, 0]);
            symbols.extend(if is_defined { 0xfff1_u16 } else { 0 }.to_le_bytes());
            symbols.extend(value.to_le_bytes());
            symbols.extend(0_u64.to_le_bytes());
            names.extend(name.bytes().chain([0]));
        }
        let mut data: Vec<u8> = Vec::new();
        let data_at = PROGRAM_HEADERS + 56 * self.parts.len();
        let mut headers = Vec::new();
        for part in &self.parts {
            headers.extend(part.kind.to_le_bytes());
            headers.extend(7_u32.to_le_bytes());
            let offset = (data_at + data.len()) as u64;
            let size = part.bytes.len() as u64;
            for word in [offset, part.virtual_address, part.address, size, part.length, 4096] {
                headers.extend(word.to_le_bytes());
            }
            data.extend(&part.bytes);
        }
        let symbols_at = data_at + data.len();
        let names_at = symbols_at + symbols.len();
        let sections_at = names_at + names.len();

        let mut file = vec![0x7f, b'E', b'L', b'F', self.class, self.encoding, 1];
        file.resize(16, 0);
        file.extend(self.kind.to_le_bytes());
        file.extend(self.machine.to_le_bytes());
        file.extend(1_u32.to_le_bytes());
        file.extend(self.entry.to_le_bytes());
        file.extend((PROGRAM_HEADERS as u64).to_le_bytes());
        file.extend((sections_at as u64).to_le_bytes());
        file.extend(5_u32.to_le_bytes());
        for half in [64, 56, self.parts.len() as u16, 64, 3, 2] {
            file.extend(half.to_le_bytes());
        }
        assert_eq!(file.len(), PROGRAM_HEADERS);
        file.extend(headers);
        file.extend(data);
        file.extend(&symbols);
        file.extend(&names);
        // No section; the symbol table (type 2, its names in section 2); the names (type 3).
        let sections =
            [(0_u32, 0, 0, 0, 0), (2, symbols_at, symbols.len(), 2, 24), (3, names_at, names.len(), 0, 0)];
        for (kind, at, size, link, entry) in sections {
            file.extend(0_u32.to_le_bytes());
            file.extend(kind.to_le_bytes());
            for word in [0, 0, at as u64, size as u64] {
                file.extend(word.to_le_bytes());
            }
            file.extend((link as u32).to_le_bytes());
            file.extend(1_u32.to_le_bytes());
            file.extend(1_u64.to_le_bytes());
            file.extend((entry as u64).to_le_bytes());
        }
        file
    }
}

/// What the board told the engine, in order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Told {
    After(u8, u64),
    SetClock(u64),
    Line(u8, u32, bool),
    Deadline(u8, u64),
    Alarm(u8, u64),
    Output(Vec<u8>),
    Stop(Stop),
    Asked(u8, Vec<u8>),
    Host(u8, Vec<u8>),
    Warned(u8, String),
}

/// The engine's side of the accesses of one core, with a page of memory at the start of RAM.
pub struct Context {
    pub core: u8,
    pub position: u64,
    pub clock: u64,
    pub told: Vec<Told>,
    pub memory: Vec<u8>,
    /// Whether guest memory is refused.
    pub blocked: bool,
}

impl Context {
    pub fn new(core: u8, position: u64) -> Self {
        Self { core, position, clock: 77, told: vec![], memory: vec![0; 4096], blocked: false }
    }

    pub fn take(&mut self) -> Vec<Told> {
        std::mem::take(&mut self.told)
    }

    fn range(&self, address: Gpa, length: usize) -> Result<std::ops::Range<usize>, Refusal> {
        let start = address.0.wrapping_sub(RAM_BASE.0).min(1 << 32) as usize;
        if start + length > self.memory.len() {
            return Err(Refusal::Fault);
        }
        if self.blocked { Err(Refusal::Blocked) } else { Ok(start..start + length) }
    }
}

impl BusContext for Context {
    fn here(&self) -> (CoreId, Position) {
        (CoreId(self.core), Position(self.position))
    }

    fn order_after(&mut self, core: CoreId, position: Position) {
        self.told.push(Told::After(core.0, position.0));
    }

    fn clock(&mut self) -> u64 {
        self.clock
    }

    fn set_clock(&mut self, ticks: u64) {
        self.told.push(Told::SetClock(ticks));
    }

    fn set_line(&mut self, core: CoreId, line: u32, level: bool) {
        self.told.push(Told::Line(core.0, line, level));
    }

    fn set_deadline(&mut self, core: CoreId, ticks: u64) {
        self.told.push(Told::Deadline(core.0, ticks));
    }

    fn set_alarm(&mut self, device: DeviceId, ticks: u64) {
        self.told.push(Told::Alarm(device.0, ticks));
    }

    fn is_memory_shared(&self) -> bool {
        false
    }

    fn output(&mut self, bytes: &[u8]) {
        self.told.push(Told::Output(bytes.to_vec()));
    }

    fn stop(&mut self, stop: Stop) {
        self.told.push(Told::Stop(stop));
    }

    fn read_memory(&mut self, address: Gpa, into: &mut [u8]) -> Result<(), Refusal> {
        let range = self.range(address, into.len())?;
        into.copy_from_slice(&self.memory[range]);
        Ok(())
    }

    fn write_memory(&mut self, address: Gpa, from: &[u8]) -> Result<(), Refusal> {
        let range = self.range(address, from.len())?;
        self.memory[range].copy_from_slice(from);
        Ok(())
    }

    fn reserve_memory(&mut self, address: Gpa, length: u64) -> Result<(), Refusal> {
        self.range(address, length.min(1 << 32) as usize).map(|_| ())
    }

    fn reserve_memory_read(&mut self, address: Gpa, length: u64) -> Result<(), Refusal> {
        self.reserve_memory(address, length)
    }

    /// The question backwards.
    fn ask_host(&mut self, device: DeviceId, question: &[u8]) -> Vec<u8> {
        self.told.push(Told::Asked(device.0, question.to_vec()));
        question.iter().rev().copied().collect()
    }

    fn tell_host(&mut self, device: DeviceId, message: &[u8]) {
        self.told.push(Told::Host(device.0, message.to_vec()));
    }

    fn warn(&mut self, device: DeviceId, what: &str) {
        self.told.push(Told::Warned(device.0, what.to_owned()));
    }
}
