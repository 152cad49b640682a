//! A toy multicore machine, executed one step at a time in a given order, that leaves a real trace and can be asked
//! everything that a replay can be asked: the other side of the boundary that analyses see.

use std::collections::BTreeMap;
use std::path::Path;

use cantus_analyses::replays::{Access, AccessKind, Print, Replays, Step, Stretch, Trouble, Writer};
use cantus_isa::{Gpa, Gva};
use cantus_traces::{
    ClockPolicy, Configuration, ContentDigest, CoreEnd, CoreId, Digest, EndReason, Event, Footer, Header,
    HostFacts, Image, ImageRole, Position, Schedule, Trace, TraceSink, TraceWriter, WriterOptions,
};

/// An instruction of the toy.
#[derive(Clone, Copy, Debug)]
pub enum Toy {
    /// Adds a number to a register.
    Add(usize, u64),
    /// Loads a word into a register.
    Load(usize, u64),
    /// Stores a register.
    Store(usize, u64),
    /// Adds a register to a word, in one step, and shows nothing of it.
    AddTo(usize, u64),
    /// Goes on at this instruction while the register is not this number.
    Unless(usize, u64, usize),
    /// Reads the clock.
    Clock(usize),
    /// Ends the core.
    End,
}

/// A program: where it stands, and its instructions, each four bytes long unless given places of their own.
#[derive(Clone, Debug)]
pub struct Program {
    pub places: Vec<Gva>,
    pub code: Vec<Toy>,
}

impl Program {
    pub fn at(start: u64, code: Vec<Toy>) -> Self {
        Self { places: (0..code.len() as u64).map(|at| Gva(start + 4 * at)).collect(), code }
    }
}

/// One execution, as a log of all that happened.
pub struct Execution {
    pub steps: Vec<Vec<Step>>,
    /// Accesses in the order of the execution.
    accesses: Vec<(CoreId, Access)>,
    pub trace: Trace,
    /// How many questions were asked that cost an execution.
    pub asked: u32,
}

/// Where the last access of a word came from: needed for order edges.
#[derive(Default)]
struct Word {
    value: u64,
    last: Option<(CoreId, Position)>,
}

/// Executes the programs, one a core, in the order of `schedule`, which names cores again and again; cores that have
/// ended are passed over. `ticks` is what the clock says.
pub fn execute(programs: &[Program], schedule: impl IntoIterator<Item = usize>, ticks: &[u64]) -> Execution {
    const DIGEST_INTERVAL: u64 = 16;
    let mut registers = vec![[0u64; 8]; programs.len()];
    let mut at = vec![0usize; programs.len()];
    let mut steps: Vec<Vec<Step>> = vec![Vec::new(); programs.len()];
    let mut events: Vec<Vec<(Position, Event)>> = vec![Vec::new(); programs.len()];
    let mut memory: BTreeMap<u64, Word> = BTreeMap::new();
    let mut accesses = Vec::new();
    let mut clock = ticks.iter().copied();
    for core in schedule {
        let (registers, steps, events) = (&mut registers[core], &mut steps[core], &mut events[core]);
        let program = &programs[core];
        let id = CoreId(core as u8);
        let position = Position(steps.len() as u64);
        let pc = program.places[at[core]];
        let mut next = at[core] + 1;
        let before = match program.code[at[core]] {
            Toy::AddTo(_, address) => memory.get(&address).map_or(0, |word| word.value),
            Toy::Add(..) | Toy::Load(..) | Toy::Store(..) | Toy::Unless(..) | Toy::Clock(_) | Toy::End => 0,
        };
        let mut access = |address: u64, stored: Option<u64>, events: &mut Vec<(Position, Event)>| {
            let word = memory.entry(address).or_default();
            if let Some((last, last_position)) = word.last
                && last != id
            {
                let after = Position(last_position.0 + 1);
                events.push((position, Event::Order { after: last, position: after }));
            }
            word.last = Some((id, position));
            word.value = stored.unwrap_or(word.value);
            let kind = if stored.is_some() { AccessKind::Store } else { AccessKind::Load };
            let (virtual_address, address, value) = (Gva(address), Gpa(address), word.value);
            accesses.push((id, Access { position, pc, virtual_address, address, bytes: 8, value, kind }));
            value
        };
        match program.code[at[core]] {
            Toy::Add(register, number) => registers[register] = registers[register].wrapping_add(number),
            Toy::Load(register, address) => registers[register] = access(address, None, events),
            Toy::Store(register, address) => {
                access(address, Some(registers[register]), events);
            }
            Toy::AddTo(register, address) => {
                access(address, Some(before.wrapping_add(registers[register])), events);
            }
            Toy::Unless(register, number, target) if registers[register] != number => next = target,
            Toy::Unless(..) => {}
            Toy::Clock(register) => {
                registers[register] = clock.next().unwrap_or(0);
                events.push((position, Event::Clock(registers[register])));
            }
            Toy::End => continue,
        }
        at[core] = next;
        steps.push(Step { position, pc, state: Print::of(registers.iter().copied()) });
        let done = steps.len() as u64;
        if done.is_multiple_of(DIGEST_INTERVAL) {
            events.push((Position(done), digest(registers)));
        }
    }
    let ends: Vec<Position> = steps.iter().map(|steps| Position(steps.len() as u64)).collect();
    let trace = trace(b"toy", &events, &ends, DIGEST_INTERVAL);
    Execution { steps, accesses, trace, asked: 0 }
}

fn digest(registers: &[u64; 8]) -> Event {
    let mut state = [0u8; 16];
    for (at, byte) in registers.iter().flat_map(|register| register.to_le_bytes()).enumerate() {
        state[at % 16] = u8::wrapping_add(state[at % 16].rotate_left(3), byte);
    }
    Event::Digest { state: Digest(state), history: Digest::default() }
}

fn header(guest: &[u8], cores: usize, digest_interval: u64) -> Header {
    Header {
        recorder: "a toy".to_owned(),
        configuration: Configuration {
            isa: "toy".to_owned(),
            board: "toy".to_owned(),
            cores: cores as u16,
            ram_bytes: 1 << 20,
            clock: ClockPolicy::Virtual,
            timebase_hz: 10_000_000,
            digest_interval,
            settings: Vec::new(),
        },
        images: vec![Image::stored("toy.elf", ImageRole::Program, guest)],
        schedule: Schedule { seed: 7, workers: 1, settings: Vec::new() },
        host: HostFacts::default(),
        command_line: Vec::new(),
    }
}

/// Writes a trace and reads it again.
pub fn trace(
    guest: &[u8],
    events: &[Vec<(Position, Event)>],
    ends: &[Position],
    digest_interval: u64,
) -> Trace {
    let path = Path::new("toy.cantus");
    let sink = Memory::default();
    let header = header(guest, events.len(), digest_interval);
    let (writer, streams) =
        TraceWriter::to_sink(Box::new(sink.clone()), path, &header, &[guest], WriterOptions::default())
            .expect("the header is within the limits");
    for ((mut stream, events), &end) in streams.into_iter().zip(events).zip(ends) {
        for (position, event) in events {
            stream.append(*position, event);
        }
        stream.close(end);
    }
    writer
        .finish(Footer {
            reason: EndReason::Exited,
            exit_status: Some(0),
            cores: ends.iter().map(|&position| CoreEnd { position, state: Digest::default() }).collect(),
            memory: ContentDigest::of(b""),
        })
        .expect("memory takes everything");
    let bytes = sink.0.lock().unwrap().clone();
    Trace::from_bytes(path, bytes).expect("what was written can be read")
}

#[derive(Clone, Default)]
struct Memory(std::sync::Arc<std::sync::Mutex<Vec<u8>>>);

impl std::io::Write for Memory {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl TraceSink for Memory {
    fn truncate(&mut self, bytes: u64) -> std::io::Result<()> {
        self.0.lock().unwrap().truncate(bytes as usize);
        Ok(())
    }

    fn sync(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Execution {
    fn steps_of(&self, stretch: &Stretch) -> &[Step] {
        let steps = &self.steps[stretch.core.index()];
        let end = steps.len().min(stretch.to.0 as usize);
        &steps[(stretch.from.0 as usize).min(end)..end]
    }
}

impl Replays for Execution {
    fn prints(&mut self, stretches: &[Stretch], every: u64) -> Result<Vec<Vec<Print>>, Trouble> {
        self.asked += 1;
        let print = |steps: &[Step]| steps.iter().fold(Print::default(), Print::then);
        Ok(stretches
            .iter()
            .map(|stretch| self.steps_of(stretch).chunks(every as usize).map(print).collect())
            .collect())
    }

    fn paths(&mut self, stretches: &[Stretch]) -> Result<Vec<Vec<Step>>, Trouble> {
        self.asked += 1;
        Ok(stretches.iter().map(|stretch| self.steps_of(stretch).to_vec()).collect())
    }

    fn accesses(&mut self, stretch: Stretch) -> Result<Vec<Access>, Trouble> {
        self.asked += 1;
        let within = |access: &Access| (stretch.from..stretch.to).contains(&access.position);
        let of_core = self.accesses.iter().filter(|(core, _)| *core == stretch.core);
        Ok(of_core.map(|(_, access)| *access).filter(within).collect())
    }

    fn last_writer(
        &mut self,
        address: Gpa,
        bytes: u8,
        core: CoreId,
        position: Position,
    ) -> Result<Option<Writer>, Trouble> {
        self.asked += 1;
        let before = self
            .accesses
            .iter()
            .position(|(other, access)| *other == core && access.position == position)
            .unwrap_or(self.accesses.len());
        let touches = |access: &Access| {
            access.address.0 < address.0 + u64::from(bytes)
                && address.0 < access.address.0 + u64::from(access.bytes)
        };
        Ok(self.accesses[..before]
            .iter()
            .rev()
            .find(|(_, access)| access.kind == AccessKind::Store && touches(access))
            .map(|&(core, Access { position, pc, .. })| Writer { core, position, pc }))
    }
}
