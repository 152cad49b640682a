//! What each kind of device does with sound requests.

use super::super::Kind;
use super::super::block::{Block, Drive};
use super::super::console::Console;
use super::super::entropy::Entropy;
use super::super::network::{Network, WAITING_FRAMES_MAX};
use super::super::registers::Layout::{Legacy, Modern};
use super::super::share::Share;
use super::driver::{Driver, In, Out};
use crate::Device;
use crate::testing::{Told, state};
use crate::{PAGE_BYTES, StateReader, virtio::Virtio};
use cantus_isa::Width;
use std::sync::Arc;

/// A drive of 20 sectors and a half, each full of its number.
pub fn drive(read_only: bool, write_through: bool) -> Drive {
    let mut image: Vec<u8> = (0..21).flat_map(|sector| [sector; 512]).collect();
    image.truncate(20 * 512 + 256);
    Drive { image: Arc::new(image), read_only, write_through, id: *b"a drive of the tests" }
}

fn header(kind: u32, sector: u64) -> Vec<u8> {
    [&kind.to_le_bytes()[..], &[0; 4], &sector.to_le_bytes()].concat()
}

fn read(driver: &mut Driver<Block>, sector: u64, bytes: usize) -> (Vec<u8>, u8) {
    let mut parts = driver.request(0, &[Out(&header(0, sector)), In(bytes), In(1)]);
    let status = parts.pop().expect("the status")[0];
    (parts.pop().expect("the data"), status)
}

fn write(driver: &mut Driver<Block>, sector: u64, bytes: &[u8]) -> u8 {
    driver.request(0, &[Out(&header(1, sector)), Out(bytes), In(1)])[0][0]
}

fn zero(driver: &mut Driver<Block>, kind: u32, sector: u64, sectors: u32, flags: u32) -> u8 {
    let segment = [&sector.to_le_bytes()[..], &sectors.to_le_bytes(), &flags.to_le_bytes()].concat();
    driver.request(0, &[Out(&header(kind, 0)), Out(&segment), In(1)])[0][0]
}

#[test]
fn a_drive_reads_what_was_written_over_its_image() {
    for layout in [Legacy, Modern] {
        let drive = drive(false, false);
        let image = drive.image.clone();
        let before = (*image).as_ref().to_vec();
        let mut driver = Driver::ready(Block::new(drive), layout);
        assert_eq!(driver.load(0x100), 21, "the capacity in sectors");
        assert_eq!(read(&mut driver, 5, 1024), ([[5; 512], [6; 512]].concat(), 0));
        assert_eq!(driver.used(0).1, 1025);
        assert_eq!(read(&mut driver, 20, 512), ([[20; 256], [0; 256]].concat(), 0), "beyond the image");
        assert_eq!(write(&mut driver, 7, &[0xaa; 1024]), 0);
        assert_eq!(driver.used(0).1, 1);
        let expected = [[6; 512], [0xaa; 512], [0xaa; 512], [9; 512]].concat();
        assert_eq!(read(&mut driver, 6, 2048), (expected, 0));
        assert_eq!(driver.told(), [], "the host hears nothing");
        assert_eq!((*image).as_ref(), before, "the image is never changed");
    }
}

#[test]
fn a_drive_refuses_what_is_not_on_it() {
    let mut driver = Driver::ready(Block::new(drive(false, false)), Modern);
    for (sector, bytes) in [(21, 512), (20, 1024), (0, 100), (u64::MAX, 512), (u64::MAX / 512, 512)] {
        assert_eq!(read(&mut driver, sector, bytes).1, 1, "{bytes} bytes at {sector}");
        assert_eq!(write(&mut driver, sector, &vec![1; bytes]), 1, "{bytes} bytes at {sector}");
    }
    assert_eq!(driver.request(0, &[Out(&header(77, 0)), In(1)]), [[2]], "an unknown request");
    assert!(!driver.needs_reset());
    let mut driver = Driver::ready(Block::new(drive(true, false)), Modern);
    assert_ne!(driver.device.kind.features() & 1 << 5, 0);
    assert_eq!(write(&mut driver, 1, &[1; 512]), 1);
    assert_eq!(zero(&mut driver, 13, 1, 1, 0), 1);
    assert_eq!(read(&mut driver, 1, 512), (vec![1; 512], 0));
}

#[test]
fn a_drive_knows_its_name_and_forgets_what_is_discarded() {
    let mut driver = Driver::ready(Block::new(drive(false, true)), Modern);
    assert_eq!(driver.request(0, &[Out(&header(8, 0)), In(20), In(1)])[0], b"a drive of the tests");
    assert_eq!(write(&mut driver, 9, &[3; 512]), 0);
    assert_eq!(driver.told(), [Told::Host([&(9_u64 * 512).to_le_bytes()[..], &[3; 512]].concat())]);
    assert_eq!(driver.request(0, &[Out(&header(4, 0)), In(1)]), [[0]]);
    assert_eq!(driver.told(), [Told::Host(vec![])], "a flush");
    assert_eq!(zero(&mut driver, 13, 7, 10, 1), 0);
    assert_eq!(driver.told(), [Told::Host([&(7_u64 * 512).to_le_bytes()[..], &[0; 5120]].concat())]);
    assert_eq!(read(&mut driver, 6, 512 * 12), ([&[6; 512][..], &[0; 5120], &[17; 512]].concat(), 0));
    for (sector, sectors, flags, expected) in
        [(20, 2, 0, 1), (0, u32::MAX, 0, 1), (u64::MAX, 1, 0, 1), (0, 1, 2, 2), (0, 0, 0, 0)]
    {
        assert_eq!(zero(&mut driver, 11, sector, sectors, flags), expected, "{sectors} at {sector}");
    }
}

#[test]
fn what_was_written_to_a_drive_is_in_its_state() {
    let mut driver = Driver::ready(Block::new(drive(false, false)), Modern);
    write(&mut driver, 9, &[3; 512]);
    zero(&mut driver, 11, 0, 8, 0);
    let bytes = state(&driver.device);
    let mut other = Virtio::new(Block::new(drive(false, false)), 3, Modern);
    let mut reader = StateReader::new("block", &bytes);
    assert_eq!(other.read_state(&mut reader).and_then(|()| reader.finish()), Ok(()));
    assert_eq!(driver.device.take_written_pages(), [0, 1]);
    assert_eq!(driver.device.take_written_pages(), []);
    let mut page = [7; PAGE_BYTES];
    for number in [0, 1] {
        driver.device.load_page(number, &mut page);
        assert_eq!(other.store_page(number, &page), Ok(()));
    }
    assert_eq!(other.take_written_pages(), [], "what is taken over was not written");
    assert!(other.store_page(3, &page).is_err(), "a block that the drive does not have");
    driver.device = other;
    assert_eq!(read(&mut driver, 7, 1536), ([[0; 512], [8; 512], [3; 512]].concat(), 0));
    // A state begins without pages.
    let mut reader = StateReader::new("block", &bytes);
    assert_eq!(driver.device.read_state(&mut reader).and_then(|()| reader.finish()), Ok(()));
    assert_eq!(read(&mut driver, 7, 1536), ([[7; 512], [8; 512], [9; 512]].concat(), 0));
}

#[test]
fn zeroes_are_the_same_page_however_they_came() {
    let mut pages = Vec::new();
    for way in [0, 1] {
        let mut driver = Driver::ready(Block::new(drive(false, false)), Modern);
        match way {
            0 => assert_eq!(write(&mut driver, 8, &[0; 4096]), 0),
            _ => assert_eq!(zero(&mut driver, 11, 8, 8, 0), 0),
        }
        assert_eq!(driver.device.take_written_pages(), [1]);
        pages.push(driver.device.kind.overlay().clone());
    }
    assert_eq!(pages[0], pages[1]);
}

#[test]
fn a_console_writes_and_reads_and_changes_its_size() {
    let mut driver = Driver::ready(Console::new(80, 25), Modern);
    assert_eq!(driver.load(0x100), 25 << 16 | 80);
    driver.request(1, &[Out(b"hello "), Out(b"world")]);
    assert_eq!(driver.told(), [Told::Output(b"hello world".to_vec())]);

    assert_eq!(driver.device.input(b"abcdef", &mut driver.bench), Ok(()));
    assert_eq!(driver.used(0).0, 0, "there is no buffer yet");
    let first = driver.submit(0, &[In(4)], false)[0];
    driver.notify(0);
    assert_eq!((driver.used(0), driver.get(first, 4)), ((1, 4), &b"abcd"[..]));
    let second = driver.submit(0, &[In(8)], false)[0];
    assert_eq!(driver.device.input(b"gh", &mut driver.bench), Ok(()));
    assert_eq!((driver.used(0), driver.get(second, 4)), ((2, 4), &b"efgh"[..]));

    driver.store(0x64, 3);
    let before = driver.load(0xfc);
    driver.device.control(&[100, 0, 40, 0], &mut driver.bench);
    assert_eq!((driver.load(0x100), driver.load(0x60)), (40 << 16 | 100, 2));
    assert_ne!(driver.load(0xfc), before);
    driver.device.control(&[1], &mut driver.bench);
    assert_eq!(driver.device.load(0x102, Width::Half, &mut driver.bench), Ok(40));
}

#[test]
fn random_bytes_come_from_the_host_and_only_as_many_as_fit() {
    let mut driver = Driver::ready(Entropy, Modern);
    driver.bench.answer = Some((0..100).collect());
    assert_eq!(driver.request(0, &[In(8)]), [[0, 1, 2, 3, 4, 5, 6, 7]]);
    driver.bench.answer = Some(vec![]);
    driver.request(0, &[In(8)]);
    assert_eq!(driver.used(0).1, 0);
}

#[test]
fn frames_go_out_and_come_in() {
    for (layout, header) in [(Legacy, 10), (Modern, 12)] {
        let mut driver = Driver::ready(Network::new([2, 0, 0, 0, 0, 1]), layout);
        assert_eq!(driver.load(0x100).to_le_bytes(), [2, 0, 0, 0]);
        driver.request(1, &[Out(&vec![0; header]), Out(b"a frame")]);
        assert_eq!(driver.told(), [Told::Host(b"a frame".to_vec())]);
        driver.request(1, &[Out(&vec![0; header])]);
        assert_eq!(driver.told(), [], "an empty frame is none");

        for frame in [&b"one"[..], b"", b"two", b"three that is too long for its buffer", b"four"] {
            assert_eq!(driver.device.input(frame, &mut driver.bench), Ok(()));
        }
        assert_eq!(driver.used(0).0, 0);
        let places = [0; 3].map(|_| driver.submit(0, &[In(header), In(8)], false));
        driver.notify(0);
        assert_eq!(driver.used(0), (3, header as u32 + 4));
        for (place, frame) in places.iter().zip([&b"one"[..], b"two", b"four"]) {
            assert_eq!(driver.get(place[1], frame.len()), frame);
            let mut expected = vec![0; header];
            if header == 12 {
                expected[10] = 1;
            }
            assert_eq!(driver.get(place[0], header), expected);
        }
        let place = driver.submit(0, &[In(100)], false)[0] + header as u64;
        assert_eq!(driver.device.input(b"five", &mut driver.bench), Ok(()));
        assert_eq!((driver.used(0).0, driver.get(place, 4)), (4, &b"five"[..]));
    }
}

#[test]
fn frames_that_nobody_takes_are_bounded() {
    let mut driver = Driver::ready(Network::new([2; 6]), Modern);
    for number in 0..2 * WAITING_FRAMES_MAX {
        let frame = (number as u32).to_le_bytes();
        assert_eq!(driver.device.input(&frame, &mut driver.bench), Ok(()));
    }
    assert_eq!(driver.device.input_room(), 0);
    let frames = state(&driver.device).len();
    for _ in 0..100 {
        assert_eq!(driver.device.input(&[1; 65_535], &mut driver.bench), Ok(()));
        assert_eq!(driver.device.input(&[1; 65_536], &mut driver.bench), Ok(()));
    }
    assert_eq!(state(&driver.device).len(), frames);
    let place = driver.submit(0, &[In(100)], false)[0] + 12;
    driver.notify(0);
    assert_eq!(driver.get(place, 4), [0; 4], "the oldest comes first");
}

#[test]
fn a_share_forwards_whole_messages() {
    let mut driver = Driver::ready(Share::new("home"), Modern);
    assert_eq!(driver.load(0x100) & 0xffff, 4);
    assert_eq!(driver.device.load(0x102, Width::Half, &mut driver.bench), Ok(0x6f68));
    let request = [11, 0, 0, 0, 100, 0x34, 0x12, 1, 2, 3, 4];
    driver.bench.answer = Some(b"\x09\0\0\0\x65\x34\x12ok".to_vec());
    let replies = driver.request(0, &[Out(&request[..6]), Out(&request[6..]), In(4), In(20)]);
    assert_eq!(driver.told(), [Told::Asked(request.to_vec())]);
    assert_eq!((&replies[0][..], &replies[1][..5]), (&b"\x09\0\0\0"[..], &b"\x65\x34\x12ok"[..]));
    assert_eq!(driver.used(0).1, 9);
    let error = [11, 0, 0, 0, 7, 0x34, 0x12, 5, 0, 0, 0];
    for answer in [vec![], vec![1; 6], vec![1; 100]] {
        driver.bench.answer = Some(answer);
        assert_eq!(driver.request(0, &[Out(&request), In(11)]), [error], "no reply that fits is an error");
    }
}
