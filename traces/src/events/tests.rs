//! The bytes of events, and what the decoder says of bytes that are none.

use proptest::{collection::vec, prelude::*};

use super::*;
use crate::DeviceId;

fn decode(events: &EncodedEvents) -> Result<Vec<(Position, Event)>, String> {
    let mut decoder = EventDecoder::new(events.first, events.last, events.count, 255);
    let decoded = (0..events.count).map(|_| decoder.take(&events.bytes)).collect::<Result<_, _>>()?;
    decoder.finish(&events.bytes)?;
    Ok(decoded)
}

fn encode(first: u64, events: &[(Position, Event)], last: u64) -> EncodedEvents {
    let mut encoder = EventEncoder::at(Position(first));
    events.iter().for_each(|(position, event)| encoder.put(*position, event));
    encoder.cut(Position(last))
}

fn order(position: u64, after: u8, awaited: u64) -> (Position, Event) {
    (Position(position), Event::Order { after: CoreId(after), position: Position(awaited) })
}

/// The bytes of each event, so that a change of the encoding is seen here.
#[test]
fn events_take_few_bytes() {
    let state = Digest([1; 16]);
    let history = Digest([2; 16]);
    let input = Event::Input { device: DeviceId(3), bytes: vec![b'x', b'y'] };
    let answer = Event::Answer { device: DeviceId(9), bytes: vec![b'z'] };
    let silence = Event::Answer { device: DeviceId(9), bytes: vec![] };
    let events = [
        (order(1005, 0, 100), vec![0x28, 100]),
        (order(1005, 2, 300), vec![0x01, 2, 0xac, 2]),
        (order(1205, 2, 310), vec![0xc0, 12, 10]),
        (order(1206, 2, 309), vec![0x0e, 3, 2, 0xb5, 2]),
        ((Position(1207), Event::Lines(0x80)), vec![0x0a, 0x80, 1]),
        ((Position(1307), Event::Clock(500)), vec![0xa3, 6, 0xf4, 3]),
        ((Position(1407), Event::Clock(650)), vec![0xa3, 6, 0x96, 1]),
        ((Position(1507), Event::Clock(799)), vec![0xa4, 6, 1]),
        ((Position(1508), Event::ConditionalFailed), vec![0x0d]),
        ((Position(1509), input), vec![0x0e, 1, 3, 2, b'x', b'y']),
        ((Position(1509), answer), vec![0x06, 4, 9, 1, b'z']),
        ((Position(1509), silence), vec![0x06, 4, 9, 0]),
        ((Position(1510), Event::Cut { number: 7 }), vec![0x0e, 2, 7]),
        ((Position(1511), Event::Digest { state, history }), [&[0x0e, 0][..], &state.0, &history.0].concat()),
    ];
    let (events, bytes): (Vec<_>, Vec<_>) = events.into_iter().unzip();
    let encoded = encode(1000, &events, 2000);
    assert_eq!(encoded.bytes, bytes.concat());
    assert_eq!(decode(&encoded).unwrap(), events);
}

#[test]
fn a_clock_that_keeps_its_rate_costs_three_bytes_a_reading() {
    // Readings 400 to 1,600 steps apart.
    let positions = (1..100_u64).map(|n| n * 1000 + n * n % 7 * 100);
    let events: Vec<_> = positions.map(|at| (Position(at), Event::Clock(at / 3))).collect();
    let encoded = encode(0, &events, 1 << 20);
    assert!(encoded.bytes.len() <= 3 * events.len() + 8, "{} bytes", encoded.bytes.len());
    assert_eq!(decode(&encoded).unwrap(), events);
}

#[test]
fn a_clock_that_runs_backwards_or_wraps_comes_back() {
    let readings = [5, u64::MAX, 0, 7, 7, u64::MAX / 2, 1];
    let events: Vec<_> =
        readings.into_iter().zip(0..).map(|(value, at)| (Position(at * 3), Event::Clock(value))).collect();
    assert_eq!(decode(&encode(0, &events, 99)).unwrap(), events);
}

#[test]
fn events_of_one_position_stay_in_one_stretch() {
    let events = [order(5, 1, 7), order(9, 1, 8), order(9, 2, 3), order(9, 1, 9)];
    let mut encoder = EventEncoder::at(Position(0));
    events.iter().for_each(|(position, event)| encoder.put(*position, event));
    // A cut before the last event changes nothing: what it asks for is known anyhow.
    let first = encoder.cut(Position(2));
    assert_eq!((first.first, first.last, first.count), (Position(0), Position(9), 1));
    assert_eq!(decode(&first).unwrap(), events[..1]);
    let none = encoder.cut(Position(9));
    assert_eq!((none.first, none.last, none.count), (Position(9), Position(9), 0));
    let (position, event) = order(9, 3, 1);
    encoder.put(position, &event);
    let second = encoder.cut(Position(10));
    assert_eq!((second.first, second.last, second.count), (Position(9), Position(10), 4));
    assert_eq!(decode(&second).unwrap(), [&events[1..], &[(position, event)]].concat());
}

#[test]
#[should_panic(expected = "REP-3: positions ascend: 8 came after 9")]
fn rep_3_positions_that_descend_are_not_encoded() {
    encode(0, &[order(9, 0, 0), order(8, 0, 0)], 10);
}

#[test]
fn rep_3_bytes_that_are_no_events_are_refused_with_a_reason() {
    let stretch = |bytes: &[u8]| EncodedEvents {
        first: Position(10),
        last: Position(20),
        count: 1,
        bytes: bytes.to_vec(),
    };
    let cases: [(&[u8], &str); 18] = [
        (&[], "came the payload's end at 0"),
        (&[0x07], "came 7"),
        (&[0x56], "came 20"),
        (&[0x85], "varint"),
        (&[0x85, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f], "too many bits"),
        (&[0x00], "varint"),
        (&[0x01, 255, 0], "came core 255"),
        (&[0x01, 1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1], "came 18446744073709551615"),
        (&[0x02, 0xff, 0xff, 0xff, 0xff, 0x1f], "expected 32 bits of lines"),
        (&[0x06, 5], "came 5"),
        (&[0x06, 0, 1, 2, 3], "came the payload's end at 5"),
        (&[0x06, 1, 0, 0], "came 0"),
        (&[0x06, 1, 0, 0x81, 0x80, 0x80, 2], "came 4194305"),
        (&[0x06, 1, 0, 5, 1], "came the payload's end at 5"),
        (&[0x06, 2, 0xff, 0xff, 0xff, 0xff, 0x1f], "expected a cut of 32 bits"),
        (&[0x06, 4, 0, 0x81, 0x80, 0x80, 2], "came 4194305"),
        (&[0x06, 4, 0, 5, 1], "came the payload's end at 5"),
        (&[0x05, 0x05], "1 more bytes"),
    ];
    for (bytes, reason) in cases {
        let error = decode(&stretch(bytes)).unwrap_err();
        assert!(error.contains(reason), "{bytes:02x?}: {error}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(5000))]

    #[test]
    fn any_bytes_give_events_or_a_reason(
        bytes in vec(prop_oneof![any::<u8>(), 0_u8..16], 0..100),
        first in 0_u64..100,
        length in 0_u64..10_000,
        count in 0_u32..40,
    ) {
        let (first, last) = (Position(first), Position(first + length));
        if let Ok(events) = decode(&EncodedEvents { first, last, count, bytes }) {
            let again = encode(first.0, &events, last.0);
            prop_assert_eq!(decode(&again).unwrap(), events, "what is read can be written");
        }
    }
}
