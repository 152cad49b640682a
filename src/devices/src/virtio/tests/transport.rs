//! The transport: registers, features, queues, interrupts.

use super::super::entropy::Entropy;
use super::super::registers::Layout::{Legacy, Modern};
use super::super::registers::feature::EVENT_IDX;
use super::super::{Empty, Virtio};
use super::driver::{Driver, ENTRIES, In, SOURCE};
use crate::testing::{Bench, OtherCore, Told, state};
use crate::{Device, Refusal, StateReader};
use cantus_isa::Width::{Byte, Double, Half, Word};

#[test]
fn registers_after_a_reset() {
    for (layout, version) in [(Legacy, 1), (Modern, 2)] {
        let mut driver = Driver::new(Entropy, layout);
        for (offset, expected) in
            [(0, 0x7472_6976), (4, version), (8, 4), (0xc, 0x554d_4551), (0x34, 64), (0x60, 0), (0x70, 0)]
        {
            assert_eq!(driver.load(offset), expected, "{offset:#x}");
        }
        driver.store(0x30, 1);
        assert_eq!(driver.load(0x34), 0, "there is no second queue");
        driver.store(0x14, 1);
        assert_eq!(driver.load(0x10), version - 1, "VERSION_1");
        for width in [Byte, Half, Double] {
            assert_eq!(driver.device.load(0, width, &mut driver.bench), Ok(0));
        }
        assert_eq!(driver.device.load(0x1000, Word, &mut driver.bench), Err(Refusal::Fault));
        assert_eq!(driver.device.store(0x1000, Word, 0, &mut driver.bench), Err(Refusal::Fault));
    }
}

#[test]
fn an_empty_slot_has_no_device() {
    let (mut slot, mut bench) = (Empty::new(Modern), Bench::new());
    for (offset, expected) in [(0, 0x7472_6976), (4, 2), (8, 0), (0xc, 0x554d_4551), (0x34, 0), (0x100, 0)] {
        assert_eq!(slot.load(offset, Word, &mut bench), Ok(expected), "{offset:#x}");
    }
    assert_eq!(slot.store(0x50, Word, 0, &mut bench), Ok(()));
    assert_eq!(slot.load(0x1000, Word, &mut bench), Err(Refusal::Fault));
}

#[test]
fn features_that_were_not_offered_are_not_accepted() {
    let mut driver = Driver::new(Entropy, Modern);
    driver.store(0x20, 1);
    driver.store(0x70, 11);
    assert_eq!(driver.load(0x70), 3);
    driver.store(0x20, 0);
    driver.store(0x70, 11);
    assert_eq!(driver.load(0x70), 11);
    driver.store(0x20, 1);
    driver.store(0x70, 15);
    assert_eq!(driver.load(0x70), 15, "features are fixed once they are accepted");
}

#[test]
fn requests_come_back_through_either_layout_and_raise_the_interrupt() {
    for layout in [Legacy, Modern] {
        let mut driver = Driver::ready(Entropy, layout);
        driver.bench.answer = Some(vec![7; 10]);
        // Longer than the ring, so that it wraps; and directly and by a table.
        for turn in 0..40 {
            driver.bench.take();
            let places = driver.submit(0, &[In(4), In(6)], turn % 2 == 1);
            driver.notify(0);
            assert_eq!(driver.used(0), (turn + 1, 10));
            assert_eq!(driver.get(places[0], 4), [7; 4]);
            assert_eq!(driver.get(places[1], 6), [7; 6]);
            let told = driver.bench.take();
            assert_eq!(told, [Told::Asked(vec![10, 0, 0, 0]), Told::Raise(SOURCE, true)]);
            assert_eq!(driver.load(0x60), 1);
            driver.store(0x64, 1);
            assert_eq!(driver.bench.take(), [Told::Raise(SOURCE, false)]);
        }
    }
}

#[test]
fn a_driver_that_wants_no_interrupt_gets_none() {
    let mut driver = Driver::declining(Entropy, Modern, EVENT_IDX);
    let [_, available, _] = driver.rings(0);
    driver.put(available, &[1, 0]);
    driver.request(0, &[In(1)]);
    assert_eq!((driver.load(0x60), driver.used(0).0), (0, 1));
}

/// Section 2.7.7 to 2.7.10.
#[test]
fn either_side_is_told_of_the_entries_that_it_wants_to_be_told_of() {
    for layout in [Legacy, Modern] {
        let mut driver = Driver::ready(Entropy, layout);
        let [_, available, _] = driver.rings(0);
        for (used, wanted, expected) in [(1, 0, 1), (2, 2, 0), (3, 2, 1), (4, 0xffff, 0), (5, 4, 1)] {
            driver.submit(0, &[In(1)], false);
            driver.want(0, wanted);
            // The flags say nothing then.
            driver.put(available, &[1, 0]);
            driver.notify(0);
            assert_eq!((driver.used(0).0, driver.load(0x60)), (used, expected), "{wanted} was wanted");
            assert_eq!(driver.wanted(0), used, "the next one");
            driver.store(0x64, 1);
        }
        // Of two that come back at once the first one is wanted.
        driver.submit(0, &[In(1)], false);
        driver.submit(0, &[In(1)], false);
        driver.want(0, 5);
        driver.notify(0);
        assert_eq!((driver.used(0).0, driver.load(0x60), driver.wanted(0)), (7, 1, 7));
    }
}

/// Another core makes a chain available when the device has looked already, and does not notify, since it has not seen yet
/// that the device wants to be told.
#[test]
fn what_becomes_available_in_the_middle_of_a_step_is_not_forgotten() {
    let mut driver = Driver::ready(Entropy, Modern);
    let [_, available, used] = driver.rings(0);
    driver.submit(0, &[In(1)], false);
    driver.submit(0, &[In(1)], false);
    // The second one's index and the first one's are told apart by who writes them.
    driver.put(available + 2, &1_u16.to_le_bytes());
    let writes = vec![(available + 2, vec![2, 0])];
    driver.bench.other_core = Some(OtherCore { at: used + 4 + 8 * ENTRIES, writes });
    driver.notify(0);
    assert_eq!((driver.used(0).0, driver.wanted(0)), (2, 2));
}

#[test]
fn nothing_is_done_before_the_driver_is_set_up_and_after_a_reset() {
    let mut driver = Driver::ready(Entropy, Modern);
    driver.store(0x70, 11);
    driver.submit(0, &[In(4)], false);
    driver.notify(0);
    assert_eq!(driver.used(0).0, 0);
    driver.store(0x70, 15);
    driver.notify(0);
    assert_eq!((driver.used(0).0, driver.load(0x60)), (1, 1));
    driver.store(0x70, 0);
    assert_eq!(driver.bench.take().last(), Some(&Told::Raise(SOURCE, false)));
    driver.submit(0, &[In(4)], false);
    driver.notify(0);
    assert_eq!((driver.used(0).0, driver.load(0x44), driver.load(0x70)), (1, 0, 0));
    assert_eq!(state(&driver.device), state(&Virtio::new(Entropy, SOURCE, Modern)));
}

#[test]
fn a_state_is_taken_over_in_the_middle_of_a_ring() {
    let mut driver = Driver::ready(Entropy, Modern);
    driver.request(0, &[In(3)]);
    let bytes = state(&driver.device);
    let mut other = Virtio::new(Entropy, SOURCE, Modern);
    let mut reader = StateReader::new("other", &bytes);
    assert_eq!(other.read_state(&mut reader), Ok(()));
    assert_eq!(reader.finish(), Ok(()));
    assert_eq!(state(&other), bytes);
    driver.device = other;
    driver.request(0, &[In(3)]);
    for end in 0..bytes.len() {
        let mut reader = StateReader::new("other", &bytes[..end]);
        assert!(Virtio::new(Entropy, SOURCE, Modern).read_state(&mut reader).is_err(), "cut to {end} bytes");
    }
}
