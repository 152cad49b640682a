//! Devices behind virtio, from end to end: a guest's drive, random bytes and the time, recorded and replayed.

use cantus::{
    Captured, DeviceId, Drive, Guest, Host, Layout, Options, Outcome, Output, Peripheral, Peripherals, Policy,
    ReplayOptions, Verdict,
};
use cantus_guests::Catalogue;
use cantus_traces::{Event, Position, Trace};
use std::path::Path;
use std::sync::{Arc, Mutex};

/// A host with a clock of its own and bytes that are the same for every recording, which notes what it hears.
#[derive(Default)]
struct TestHost {
    heard: Mutex<Vec<Vec<u8>>>,
}

/// 2026, in nanoseconds.
const NOW: u64 = 1_780_000_000_000_000_000;

impl Host for TestHost {
    fn answer(&self, _: DeviceId, question: &[u8]) -> Vec<u8> {
        match question {
            [] => NOW.to_le_bytes().to_vec(),
            _ => vec![0xa5; question[0].into()],
        }
    }

    fn told(&self, _: DeviceId, message: &[u8]) {
        self.heard.lock().unwrap().push(message.to_vec());
    }
}

/// A drive on which every byte of sector n is n, and random bytes; behind an empty-handed console.
fn peripherals(layout: Layout) -> Peripherals {
    let image = (0..64).flat_map(|sector| [sector; 512]).collect::<Vec<u8>>();
    let drive = Drive { image: Arc::new(image), read_only: false, write_through: true, id: [b'd'; 20] };
    let slots = vec![Peripheral::Console(80, 25), Peripheral::Drive(drive), Peripheral::Entropy];
    Peripherals::new(layout, slots).unwrap()
}

fn guest() -> Guest {
    Guest::open(Catalogue::load().guest("virtio_block").expect("in the catalogue").correct().elf()).unwrap()
}

fn options(layout: Layout, cores: usize, host: &Arc<TestHost>, said: &Captured) -> Options {
    Options {
        cores,
        workers: 2,
        policy: Policy::Random { slice_max: 2_000 },
        digest_interval: 10_000,
        cut_interval: 100_000,
        peripherals: peripherals(layout),
        host: host.clone(),
        output: Output::Captured(said.clone()),
        ..Options::default()
    }
}

fn replayed(path: &Path, layout: Layout) -> (Verdict, Vec<u8>) {
    let said = Captured::default();
    let options = ReplayOptions {
        workers: 2,
        output: Output::Captured(said.clone()),
        peripherals: peripherals(layout),
        ..ReplayOptions::default()
    };
    (cantus::replay(path, &options).unwrap().verdict, said.bytes())
}

fn answers(path: &Path) -> Vec<(DeviceId, Vec<u8>)> {
    let events = Trace::open(path).unwrap().read_all().unwrap().concat();
    let answer = |(_, event): (Position, Event)| match event {
        Event::Answer { device, bytes } => Some((device, bytes)),
        Event::Order { .. }
        | Event::Lines(_)
        | Event::Clock(_)
        | Event::ConditionalFailed
        | Event::Input { .. }
        | Event::Digest { .. }
        | Event::Cut { .. } => None,
    };
    events.into_iter().filter_map(answer).collect()
}

#[test]
fn state_3_what_the_host_answered_is_in_the_trace() {
    let folder = tempfile::tempdir().unwrap();
    for (layout, cores) in [(Layout::Legacy, 1), (Layout::Modern, 1), (Layout::Legacy, 3), (Layout::Modern, 4)] {
        let (host, said) = (Arc::new(TestHost::default()), Captured::default());
        let path = folder.path().join("peripherals.cantus");
        let recorded = cantus::record(&guest(), &options(layout, cores, &host, &said), &path, true).unwrap();
        let text = String::from_utf8_lossy(&said.bytes()).into_owned();
        assert_eq!(recorded.outcome, Outcome::Exit(0), "{text}");
        assert!(text.contains("random a5a5, time 1780000000"), "{text}");
        assert!(text.contains("8 rounds on each"), "{text}");

        let given = answers(&path);
        assert_eq!(given.len(), 2, "random bytes, and the time: {given:?}");
        assert_eq!(given[0].1, [0xa5; 8]);
        assert_eq!(given[1].1, NOW.to_le_bytes());
        let heard = host.heard.lock().unwrap().clone();
        assert_eq!(heard.len(), 8 * cores, "every write to the drive");

        // The replay has another host, or rather none: it neither asks nor tells.
        assert_eq!(replayed(&path, layout), (Verdict::Identical, said.bytes()), "STATE-3, ORD-8");
        assert_eq!(host.heard.lock().unwrap().len(), heard.len());
    }
}

#[test]
fn free_runs_use_the_same_devices() {
    for layout in [Layout::Legacy, Layout::Modern] {
        let (host, said) = (Arc::new(TestHost::default()), Captured::default());
        let ran = cantus::run(&guest(), &options(layout, 3, &host, &said)).unwrap();
        assert_eq!(ran.outcome, Outcome::Exit(0), "{}", String::from_utf8_lossy(&said.bytes()));
        assert_eq!(host.heard.lock().unwrap().len(), 24);
    }
}

#[test]
fn an_answer_that_is_missing_or_altered_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let (host, said) = (Arc::new(TestHost::default()), Captured::default());
    let (path, changed) = (folder.path().join("whole.cantus"), folder.path().join("changed.cantus"));
    cantus::record(&guest(), &options(Layout::Modern, 2, &host, &said), &path, true).unwrap();
    let trace = Trace::open(&path).unwrap();
    let streams = trace.read_all().unwrap();
    let core = streams.iter().position(|events| is_answer(events).is_some()).unwrap();
    let at = is_answer(&streams[core]).unwrap();

    let mut altered = streams.clone();
    if let (_, Event::Answer { bytes, .. }) = &mut altered[core][at] {
        bytes[0] ^= 1;
    }
    let mut missing = streams;
    missing[core].remove(at);
    for streams in [altered, missing] {
        let options = cantus_traces::WriterOptions { force: true, ..Default::default() };
        cantus_traces::rewrite(&trace, &changed, &streams, options).unwrap();
        let (verdict, _) = replayed(&changed, Layout::Modern);
        assert!(matches!(verdict, Verdict::Diverged(_)), "{verdict:?}");
    }
}

fn is_answer(events: &[(Position, Event)]) -> Option<usize> {
    events.iter().position(|(_, event)| matches!(event, Event::Answer { .. }))
}
