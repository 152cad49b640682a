//! Devices behind virtio, from end to end: a guest's drive, random bytes and the time, recorded and replayed.

use cantus::{
    Captured, Drive, Guest, GuestFile, Options, Outcome, Output, Peripheral, Peripherals, Policy,
    ReplayOptions, Verdict, Warnings,
};
use cantus_guests::Catalogue;
use cantus_isa::riscv::Opcode::{Sw, Wfi};
use cantus_tests::assembler::register::{T, ZERO};
use cantus_tests::assembler::{Assembler, i, s};
use cantus_traces::{DeviceId, Event, Position, Trace};
use std::path::Path;
use std::sync::{Arc, Mutex};

/// Every byte of sector n is n.
fn image() -> Vec<u8> {
    (0..64).flat_map(|sector| [sector; 512]).collect()
}

/// A drive that writes through to the file, and random bytes, in the slots behind a console.
fn peripherals(is_legacy: bool, file: &Path) -> Peripherals {
    std::fs::write(file, image()).unwrap();
    let image = GuestFile::new("image", image());
    let drive = Drive { image, read_only: false, write_through: Some(file.to_owned()) };
    let console = Peripheral::Console { columns: 80, rows: 25 };
    Peripherals { slots: vec![console, Peripheral::Drive(drive), Peripheral::Entropy], is_legacy }
}

fn guest() -> Guest {
    Guest::open(Catalogue::load().guest("virtio_block").expect("in the catalogue").correct().elf()).unwrap()
}

fn options(cores: usize, peripherals: Peripherals, said: &Captured) -> Options {
    Options {
        cores,
        workers: 2,
        policy: Policy::Random { slice_max: 2_000 },
        digest_interval: 10_000,
        cut_interval: 100_000,
        peripherals,
        output: Output::Captured(said.clone()),
        ..Options::default()
    }
}

fn replayed(path: &Path) -> (Verdict, Vec<u8>) {
    let said = Captured::default();
    let options =
        ReplayOptions { workers: 2, output: Output::Captured(said.clone()), ..ReplayOptions::default() };
    (cantus::replay(path, &options).unwrap().verdict, said.bytes())
}

/// Every how many steps a trace here has a checkpoint.
const CHECKPOINT_INTERVAL: u64 = 5_000;

#[test]
fn checkpoints_have_what_was_written_to_a_drive() {
    let folder = tempfile::tempdir().unwrap();
    let (path, file) = (folder.path().join("drive.cantus"), folder.path().join("image"));
    for cores in [1, 3] {
        let said = Captured::default();
        let options = options(cores, peripherals(false, &file), &said);
        let options = Options { checkpoint_interval: CHECKPOINT_INTERVAL, ..options };
        assert_eq!(cantus::record(&guest(), &options, &path, true).unwrap().outcome, Outcome::Exit(0));
        let trace = Trace::open(&path).unwrap();
        let of_devices = |cut: &u32| {
            let pages = trace.checkpoint(*cut).unwrap().pages;
            pages.iter().filter(|(number, _)| *number >= cantus_traces::limits::DEVICE_PAGES).count()
        };
        let checkpoints = trace.checkpoints();
        assert!(checkpoints.len() > 2, "{checkpoints:?}");
        assert!(checkpoints.iter().any(|cut| of_devices(cut) != 0), "{checkpoints:?}");
        let verified = cantus::verify_stretches(&path, &ReplayOptions::default(), 2).unwrap();
        assert_eq!(verified.replayed.verdict, Verdict::Identical);
    }
}

/// The guest has written to the sectors of its harts, and to no others.
fn assert_written(file: &Path, cores: usize) {
    let (written, image) = (std::fs::read(file).unwrap(), image());
    assert_eq!(written.len(), image.len());
    for (sector, (now, before)) in written.chunks(512).zip(image.chunks(512)).enumerate() {
        assert_eq!(now != before, (1..=cores).contains(&sector), "sector {sector}");
    }
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
    let (path, file) = (folder.path().join("peripherals.cantus"), folder.path().join("image"));
    for (is_legacy, cores) in [(true, 1), (false, 1), (true, 3), (false, 4)] {
        let said = Captured::default();
        let options = options(cores, peripherals(is_legacy, &file), &said);
        let recorded = cantus::record(&guest(), &options, &path, true).unwrap();
        let text = String::from_utf8_lossy(&said.bytes()).into_owned();
        assert_eq!(recorded.outcome, Outcome::Exit(0), "{text}");
        assert!(text.contains("8 rounds on each"), "{text}");
        assert_written(&file, cores);

        let given = answers(&path);
        assert_eq!(given.len(), 2, "random bytes, and the time: {given:?}");
        assert_eq!((given[0].1.len(), given[1].1.len()), (8, 8));
        assert!(
            text.contains(&format!("random {:x}", u16::from_be_bytes([given[0].1[0], given[0].1[7]]))),
            "{text}"
        );
        let time = u64::from_le_bytes(given[1].1[..].try_into().unwrap());
        assert!(text.contains(&format!("time {time}")), "{text}");

        // A replay neither asks nor tells: the file is left alone.
        std::fs::write(&file, b"left alone").unwrap();
        assert_eq!(replayed(&path), (Verdict::Identical, said.bytes()), "STATE-3, ORD-8");
        assert_eq!(std::fs::read(&file).unwrap(), b"left alone");
    }
}

#[test]
fn free_runs_use_the_same_devices() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("image");
    for is_legacy in [true, false] {
        let said = Captured::default();
        let ran = cantus::run(&guest(), &options(3, peripherals(is_legacy, &file), &said)).unwrap();
        assert_eq!(ran.outcome, Outcome::Exit(0), "{}", String::from_utf8_lossy(&said.bytes()));
        assert_written(&file, 3);
    }
}

#[test]
fn an_answer_that_is_missing_or_altered_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let peripherals = peripherals(false, &folder.path().join("image"));
    let (path, changed) = (folder.path().join("whole.cantus"), folder.path().join("changed.cantus"));
    cantus::record(&guest(), &options(2, peripherals, &Captured::default()), &path, true).unwrap();
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
        let (verdict, _) = replayed(&changed);
        assert!(matches!(verdict, Verdict::Diverged(_)), "{verdict:?}");
    }
}

fn is_answer(events: &[(Position, Event)]) -> Option<usize> {
    events.iter().position(|(_, event)| matches!(event, Event::Answer { .. }))
}

/// A driver whose queue has rings outside of RAM: two notifications before a reset, and one after it.
fn careless_driver() -> Guest {
    let mut code = Assembler::new(0x8000_0000, false);
    let mut store = |base: u64, writes: &[(i32, u64)]| {
        code.number(T[0], base);
        for &(offset, value) in writes {
            code.number(T[1], value);
            code.op(s(Sw, T[1], T[0], offset));
        }
    };
    let (ready, notify, status) = (0x44, 0x50, 0x70);
    let set_up = [(ready, 1), (status, 4), (notify, 0)];
    store(0x1000_2000, &set_up);
    store(0x1000_2000, &[(notify, 0), (status, 0)]);
    store(0x1000_2000, &set_up);
    store(0x10_0000, &[(0, 0x5555)]);
    code.op(i(Wfi, ZERO, ZERO, 0));
    Guest::new("careless", code.finish())
}

#[test]
fn the_user_is_told_once_why_a_device_needs_a_reset() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("careless.cantus");
    let slots = vec![Peripheral::Console { columns: 80, rows: 25 }, Peripheral::Entropy];
    let peripherals = Peripherals { slots, is_legacy: false };
    let said = Arc::new(Mutex::new(Vec::new()));
    let warnings = Warnings::new({
        let said = said.clone();
        move |what| said.lock().unwrap().push(what.to_owned())
    });
    let options = Options { peripherals, warnings: warnings.clone(), ..Options::default() };
    let expected =
        "virtio slot 1: virtio-entropy needs a reset: its driver gave it an address outside of RAM";
    let expected = vec![expected.to_owned(); 2];

    assert_eq!(cantus::run(&careless_driver(), &options).unwrap().outcome, Outcome::Exit(0));
    assert_eq!(std::mem::take(&mut *said.lock().unwrap()), expected, "a free run");
    cantus::record(&careless_driver(), &options, &path, false).unwrap();
    assert_eq!(std::mem::take(&mut *said.lock().unwrap()), expected, "a recording");
    let options = ReplayOptions { warnings, ..ReplayOptions::default() };
    assert_eq!(cantus::replay(&path, &options).unwrap().verdict, Verdict::Identical);
    assert_eq!(std::mem::take(&mut *said.lock().unwrap()), expected, "a replay");
}
