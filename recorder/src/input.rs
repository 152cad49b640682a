//! Inputs: what the live outside says is let through, and written down.

use crate::Lane;
use cantus_traces::{DeviceId, Event};

impl Lane {
    /// The core sees its lines change.
    pub(crate) fn note_lines(&mut self, position: u64, seen: u32, live: u32) -> u32 {
        if live != seen {
            self.note(position, &Event::Lines(live));
        }
        live
    }

    /// The core reads the clock.
    pub(crate) fn note_clock(&mut self, position: u64, ticks: u64) -> u64 {
        self.note_told(position, Event::Clock(ticks));
        ticks
    }

    /// A store-conditional; that it succeeds is the rule, and not written down.
    pub(crate) fn note_conditional(&mut self, position: u64, intact: bool) -> bool {
        if !intact {
            self.note_told(position, Event::ConditionalFailed);
        }
        intact
    }

    /// The host answers a device.
    pub(crate) fn note_answer(&mut self, position: u64, device: DeviceId, bytes: Vec<u8>) -> Vec<u8> {
        self.note_told(position, Event::Answer { device, bytes: bytes.clone() });
        bytes
    }

    /// A device receives bytes in the name of the core.
    pub(crate) fn note_input(&mut self, position: u64, device: DeviceId, bytes: &[u8]) {
        self.note(position, &Event::Input { device, bytes: bytes.to_vec() });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{order, state};
    use cantus_traces::{
        ClockPolicy, Configuration, CoreId, Header, History, HostFacts, Position, Schedule, Trace,
        TraceWriter, WriterOptions,
    };

    fn header() -> Header {
        Header {
            recorder: String::new(),
            configuration: Configuration {
                isa: String::new(),
                board: String::new(),
                cores: 3,
                ram_bytes: 4096,
                clock: ClockPolicy::Virtual,
                timebase_hz: 1,
                digest_interval: 0,
                settings: Vec::new(),
            },
            images: Vec::new(),
            schedule: Schedule { seed: 0, workers: 1, settings: Vec::new() },
            host: HostFacts { cpu: String::new(), cpus: 1, os: String::new(), started_unix: 0 },
            command_line: Vec::new(),
        }
    }

    #[test]
    fn ord_3_the_edges_of_a_step_stand_before_what_it_was_told() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("t.cantus");
        let (writer, streams) =
            TraceWriter::create(&path, &header(), &[], WriterOptions::default()).expect("a trace");
        let stream = streams.into_iter().next().expect("a core");
        let mut lane = Lane {
            id: CoreId(0),
            stream,
            history: History::new(),
            order: order::Lane::new(3),
            state: state::Lane::new(0),
            told: Vec::new(),
            told_at: u64::MAX,
        };
        // A device asks, and comes to the interrupt controller then, which others have used: an access to one device that
        // ends in another one.
        lane.note_order(5, CoreId(1), 8);
        lane.note_answer(5, DeviceId(9), vec![7]);
        lane.note_clock(5, 77);
        lane.note_order(5, CoreId(2), 9);
        lane.note_clock(6, 78);
        lane.note_lines(7, 0, 2);
        lane.note_conditional(7, false);
        lane.settle();
        let written = lane.history.digest();
        lane.stream.close(Position(8));
        writer.abandon().expect("it is closed");

        let order = |core, position| Event::Order { after: CoreId(core), position: Position(position) };
        let expected = [
            (5, order(1, 8)),
            (5, order(2, 9)),
            (5, Event::Answer { device: DeviceId(9), bytes: vec![7] }),
            (5, Event::Clock(77)),
            (6, Event::Clock(78)),
            (7, Event::Lines(2)),
            (7, Event::ConditionalFailed),
        ];
        let trace = Trace::open(&path).expect("a trace");
        let events: Vec<_> = trace.stream(CoreId(0)).map(|event| event.expect("an event")).collect();
        assert_eq!(events, expected.clone().map(|(position, event)| (Position(position), event)));
        // And so its history is what a replay makes of it.
        let mut history = History::new();
        expected.iter().for_each(|(position, event)| history.consume(Position(*position), event));
        assert_eq!(history.digest(), written);
    }
}
