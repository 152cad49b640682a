//! Sample traces, and the strategies that make them.

#![allow(dead_code, reason = "each suite uses some of them")]

pub mod forgery;

use std::path::Path;

use cantus_traces::{
    ClockPolicy, Configuration, ContentDigest, CoreEnd, CoreId, DeviceId, Digest, EndReason, Event, Footer,
    Header, HostFacts, Image, ImageRole, MachineDigest, Position, Schedule, Setting, TraceWriter,
    WriterOptions,
};
use proptest::{collection::vec, prelude::*};

/// The events of every core.
pub type Streams = Vec<Vec<(Position, Event)>>;

/// The image of every sample.
pub const PROGRAM: &[u8] = b"\x7fELF, and what follows: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
/// An image that every sample leaves out.
pub const FIRMWARE: &[u8] = b"firmware";

/// A header of a machine with so many cores.
pub fn header(cores: u16) -> Header {
    Header {
        recorder: "cantus 0.1.0".to_owned(),
        configuration: Configuration {
            isa: "rv64gc_zba_zbb_zbs".to_owned(),
            board: "virt".to_owned(),
            cores,
            ram_bytes: 16 << 20,
            clock: ClockPolicy::Virtual,
            timebase_hz: 10_000_000,
            digest_interval: 1_000_000,
            settings: vec![Setting { name: "rate".to_owned(), value: "10".to_owned() }],
        },
        images: vec![
            Image::left_out("fw.bin", ImageRole::Firmware, FIRMWARE).at(0x8000_0000),
            Image::stored("lost-update.elf", ImageRole::Program, PROGRAM),
        ],
        schedule: Schedule { seed: 7, workers: 2, settings: Vec::new() },
        host: HostFacts {
            cpu: "some".to_owned(),
            cpus: 2,
            os: "Linux".to_owned(),
            started_unix: 1_790_000_000,
        },
        command_line: vec!["cantus".to_owned(), "record".to_owned(), "lost-update.elf".to_owned()],
    }
}

/// Where cores with these events end: each 100 steps after its last event.
pub fn footer(streams: &Streams) -> Footer {
    let end = |events: &Vec<(Position, Event)>| CoreEnd {
        position: Position(events.last().map_or(0, |(position, _)| position.0) + 100),
        state: Digest::of(b"state"),
    };
    Footer {
        reason: EndReason::Exited,
        exit_status: Some(-3),
        cores: streams.iter().map(end).collect(),
        memory: ContentDigest::of(b"memory"),
    }
}

/// The digest of a cut where core n stands at n * 1000.
pub fn machine_digest(cut: u32, cores: usize) -> MachineDigest {
    let positions = (0..cores as u64).map(|core| Position(core * 1000)).collect();
    MachineDigest { cut, positions, memory: ContentDigest::of(&cut.to_le_bytes()) }
}

/// Appends events to a writer in rounds of so many of each core, flushing after each round, and closes the streams.
pub fn append_all(streams: &Streams, writers: Vec<cantus_traces::CoreStream>, round: usize) {
    let mut rest: Vec<&[(Position, Event)]> = streams.iter().map(Vec::as_slice).collect();
    let mut writers = writers;
    while rest.iter().any(|events| !events.is_empty()) {
        for (writer, events) in writers.iter_mut().zip(&mut rest) {
            let (now, later) = events.split_at(round.min(events.len()));
            for (position, event) in now {
                writer.append(*position, event);
            }
            if let Some((position, _)) = now.last() {
                writer.flush(*position);
            }
            *events = later;
        }
    }
    for (writer, end) in writers.into_iter().zip(footer(streams).cores) {
        writer.close(end.position);
    }
}

/// Writes a complete trace with one chunk a core and round, and a machine digest at its end.
pub fn write(path: &Path, streams: &Streams, round: usize, options: WriterOptions) {
    let (writer, writers) =
        TraceWriter::create(path, &header(streams.len() as u16), &[PROGRAM], options).unwrap();
    append_all(streams, writers, round);
    writer.machine_digest(&machine_digest(0, streams.len()));
    writer.finish(footer(streams)).unwrap();
}

/// Events of `cores` cores that look like a recording's: edges to where the others are, clocks, lines, digests.
pub fn plausible(cores: usize, events: usize, seed: u64) -> Streams {
    let mut state = seed | 1;
    let mut random = move |below: u64| {
        // xorshift64*
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        state.wrapping_mul(0x2545_f491_4f6c_dd1d) % below
    };
    let mut streams: Streams = vec![Vec::new(); cores];
    let mut positions = vec![0_u64; cores];
    for _ in 0..events * cores {
        let core = random(cores as u64) as usize;
        positions[core] += random(3000);
        let after = (core + 1 + random(cores.max(2) as u64 - 1) as usize) % cores;
        let event = match random(40) {
            0 => Event::Clock((positions.iter().sum::<u64>() + random(9)) / 10),
            1 => Event::Lines(0x80),
            2 => Event::Lines(0),
            3 => Event::ConditionalFailed,
            4 if random(20) == 0 => Event::Input { device: DeviceId(3), bytes: b"hello\n".to_vec() },
            4 if random(20) == 0 => {
                Event::Answer { device: DeviceId(8), bytes: vec![random(256) as u8; random(40) as usize] }
            }
            5 if random(5) == 0 => Event::Digest {
                state: Digest::of(&positions[core].to_le_bytes()),
                history: Digest::of(&state_bytes(core, positions[core])),
            },
            _ if cores > 1 => {
                Event::Order { after: CoreId(after as u8), position: Position(positions[after]) }
            }
            _ => Event::ConditionalFailed,
        };
        streams[core].push((Position(positions[core]), event));
    }
    streams
}

fn state_bytes(core: usize, position: u64) -> [u8; 9] {
    let mut bytes = [core as u8; 9];
    bytes[1..].copy_from_slice(&position.to_le_bytes());
    bytes
}

/// Any integer below 2^bits, small ones as likely as large ones.
fn any_size(bits: u32) -> impl Strategy<Value = u64> {
    (any::<u64>(), 0..=bits).prop_map(|(value, bits)| value.checked_shr(64 - bits).unwrap_or(0))
}

/// Any event of a machine with so many cores.
pub fn event(cores: usize) -> impl Strategy<Value = Event> {
    prop_oneof![
        6 => (0..cores, any_size(62)).prop_map(|(after, position)| {
            Event::Order { after: CoreId(after as u8), position: Position(position) }
        }),
        1 => any::<u32>().prop_map(Event::Lines),
        2 => any_size(64).prop_map(Event::Clock),
        1 => Just(Event::ConditionalFailed),
        1 => (any::<u8>(), vec(any::<u8>(), 1..300))
            .prop_map(|(device, bytes)| Event::Input { device: DeviceId(device), bytes }),
        1 => (any::<u8>(), vec(any::<u8>(), 0..300))
            .prop_map(|(device, bytes)| Event::Answer { device: DeviceId(device), bytes }),
        1 => (any::<[u8; 16]>(), any::<[u8; 16]>())
            .prop_map(|(state, history)| Event::Digest { state: Digest(state), history: Digest(history) }),
        1 => any::<u32>().prop_map(|number| Event::Cut { number }),
    ]
}

/// The events of any recording, of 1 to 5 cores.
pub fn streams() -> impl Strategy<Value = Streams> {
    (1_usize..=5).prop_flat_map(|cores| {
        let distance = prop_oneof![2 => Just(0), 3 => 1_u64..40, 3 => 0_u64..100_000, 1 => any_size(55)];
        let stream = vec((distance, event(cores)), 0..60).prop_map(|events| {
            let mut at = 0;
            let place = |(distance, event)| {
                at += distance;
                (Position(at), event)
            };
            events.into_iter().map(place).collect()
        });
        vec(stream, cores)
    })
}
