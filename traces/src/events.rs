//! Events as bytes: encoder and decoder over one table of tags.
//!
//! Every chunk is coded for itself: it begins with nothing known but its first position. An event begins with its
//! *head*: the tag in bits 0 to 2, the low four bits of the position's distance from the event before in bits 3 to 6,
//! and in bit 7 whether more of the distance follows as a varint. Then come the tag's fields:
//!
//! | tag | event | fields |
//! | --- | --- | --- |
//! | 0 | order edge to the core of the edge before | distance of its position from the last known of that core |
//! | 1 | order edge | core (1 byte), then as tag 0 |
//! | 2 | lines | the lines |
//! | 3 | clock | distance from the reading before |
//! | 4 | clock | zigzag distance from the guess (see [`ClockGuess`]) |
//! | 5 | store-conditional failed | none |
//! | 6 | rare event | sub-tag (1 byte), then its fields |
//!
//! | sub-tag | event | fields |
//! | --- | --- | --- |
//! | 0 | digest | state (16 bytes), history (16 bytes) |
//! | 1 | input | device (1 byte), length, bytes |
//! | 2 | cut | its number |
//! | 3 | order edge to a position before the last known | core (1 byte), position |
//! | 4 | answer of the host | device (1 byte), length, bytes |
//!
//! The decoder is total: any bytes give events or a reason why not (`REP-3`).

use crate::{
    CoreId, Digest, Event, Position,
    limits::{CHUNK_BYTES_MAX, INPUT_BYTES_MAX, POSITION_MAX},
    varint,
};

const TAG_ORDER_SAME: u8 = 0;
const TAG_ORDER: u8 = 1;
const TAG_LINES: u8 = 2;
const TAG_CLOCK_DISTANCE: u8 = 3;
const TAG_CLOCK_GUESS: u8 = 4;
const TAG_CONDITIONAL_FAILED: u8 = 5;
const TAG_RARE: u8 = 6;

const RARE_DIGEST: u8 = 0;
const RARE_INPUT: u8 = 1;
const RARE_CUT: u8 = 2;
const RARE_ORDER_BACK: u8 = 3;
const RARE_ANSWER: u8 = 4;

/// What encoder and decoder know alike after each event of a chunk.
struct Known {
    /// The position of the event before.
    position: u64,
    /// The core of the order edge before.
    after: u8,
    /// The last position named of each core.
    positions: Box<[u64; 256]>,
    clock: ClockGuess,
}

impl Known {
    fn at(first: Position) -> Known {
        Known { position: first.0, after: 0, positions: Box::new([0; 256]), clock: ClockGuess::at(first.0) }
    }

    fn order(&mut self, after: u8, position: u64) {
        self.after = after;
        self.positions[usize::from(after)] = position;
    }
}

/// Guesses the next reading of a clock that advances with the core's steps as it did between the last two readings.
struct ClockGuess {
    position: u64,
    value: u64,
    seen: bool,
    /// Steps and ticks between the last two readings at different positions; no steps: no rate yet.
    steps: u64,
    ticks: u64,
}

impl ClockGuess {
    fn at(position: u64) -> ClockGuess {
        ClockGuess { position, value: 0, seen: false, steps: 0, ticks: 0 }
    }

    fn guess(&self, position: u64) -> u64 {
        match (position - self.position).checked_mul(self.ticks) {
            Some(product) if self.steps != 0 => self.value.wrapping_add(product / self.steps),
            Some(_) | None => self.value,
        }
    }

    fn read(&mut self, position: u64, value: u64) {
        if self.seen && position > self.position {
            self.steps = position - self.position;
            self.ticks = value.wrapping_sub(self.value);
        }
        (self.position, self.value, self.seen) = (position, value, true);
    }
}

/// The encoded events of a stretch of one core: of all positions from `first` up to, not including, `last`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct EncodedEvents {
    pub first: Position,
    pub last: Position,
    pub count: u32,
    pub bytes: Vec<u8>,
}

/// Encodes events of one core, stretch by stretch.
pub(crate) struct EventEncoder {
    known: Known,
    first: Position,
    bytes: Vec<u8>,
    count: u32,
    /// Where the events of the last position begin, and how many came before them: they stay together.
    group: (usize, u32),
}

impl EventEncoder {
    pub(crate) fn at(first: Position) -> EventEncoder {
        EventEncoder { known: Known::at(first), first, bytes: Vec::new(), count: 0, group: (0, 0) }
    }

    /// The first position that the stretch in hand covers.
    pub(crate) fn first(&self) -> Position {
        self.first
    }

    /// The position of the last event, or the first position if there is none.
    pub(crate) fn position(&self) -> Position {
        Position(self.known.position)
    }

    /// Bytes of the stretch in hand.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Appends an event. Positions ascend and have their limit, inputs are neither empty nor too long, answers not too long; this is the
    /// caller's to keep, because the decoder refuses the rest.
    #[inline]
    pub(crate) fn put(&mut self, position: Position, event: &Event) {
        let Position(position) = position;
        assert!(
            position >= self.known.position && position <= POSITION_MAX,
            "REP-3: positions ascend: {position} came after {}",
            self.known.position
        );
        let distance = position - self.known.position;
        if distance != 0 {
            self.group = (self.bytes.len(), self.count);
        }
        self.known.position = position;
        self.count += 1;
        match *event {
            Event::Order { after: CoreId(after), position } => self.put_order(distance, after, position.0),
            Event::Lines(lines) => {
                self.put_head(TAG_LINES, distance);
                varint::put(&mut self.bytes, u64::from(lines));
            }
            Event::Clock(value) => self.put_clock(distance, position, value),
            Event::ConditionalFailed => self.put_head(TAG_CONDITIONAL_FAILED, distance),
            Event::Input { device, ref bytes } => {
                assert!(
                    !bytes.is_empty() && bytes.len() <= INPUT_BYTES_MAX,
                    "REP-3: an input has a bounded length"
                );
                self.put_rare(RARE_INPUT, distance);
                self.bytes.push(device.0);
                varint::put(&mut self.bytes, bytes.len() as u64);
                self.bytes.extend_from_slice(bytes);
            }
            Event::Answer { device, ref bytes } => {
                assert!(bytes.len() <= INPUT_BYTES_MAX, "REP-3: an answer has a bounded length");
                self.put_rare(RARE_ANSWER, distance);
                self.bytes.push(device.0);
                varint::put(&mut self.bytes, bytes.len() as u64);
                self.bytes.extend_from_slice(bytes);
            }
            Event::Digest { state, history } => {
                self.put_rare(RARE_DIGEST, distance);
                self.bytes.extend_from_slice(&state.0);
                self.bytes.extend_from_slice(&history.0);
            }
            Event::Cut { number } => {
                self.put_rare(RARE_CUT, distance);
                varint::put(&mut self.bytes, u64::from(number));
            }
        }
    }

    #[inline]
    fn put_head(&mut self, tag: u8, distance: u64) {
        let low = tag | (distance as u8 & 0xf) << 3;
        if distance < 0x10 {
            self.bytes.push(low);
        } else {
            self.bytes.push(low | 0x80);
            varint::put(&mut self.bytes, distance >> 4);
        }
    }

    fn put_rare(&mut self, sub_tag: u8, distance: u64) {
        self.put_head(TAG_RARE, distance);
        self.bytes.push(sub_tag);
    }

    #[inline]
    fn put_order(&mut self, distance: u64, after: u8, position: u64) {
        assert!(position <= POSITION_MAX, "REP-3: a position has at most 62 bits");
        let known = self.known.positions[usize::from(after)];
        match position.checked_sub(known) {
            Some(ahead) => {
                if after == self.known.after {
                    self.put_head(TAG_ORDER_SAME, distance);
                } else {
                    self.put_head(TAG_ORDER, distance);
                    self.bytes.push(after);
                }
                varint::put(&mut self.bytes, ahead);
            }
            None => {
                self.put_rare(RARE_ORDER_BACK, distance);
                self.bytes.push(after);
                varint::put(&mut self.bytes, position);
            }
        }
        self.known.order(after, position);
    }

    fn put_clock(&mut self, distance: u64, position: u64, value: u64) {
        let clock = &self.known.clock;
        let ahead = value.wrapping_sub(clock.value);
        let off = varint::zigzag(value.wrapping_sub(clock.guess(position)) as i64);
        let (tag, field) = if off < ahead { (TAG_CLOCK_GUESS, off) } else { (TAG_CLOCK_DISTANCE, ahead) };
        self.put_head(tag, distance);
        varint::put(&mut self.bytes, field);
        self.known.clock.read(position, value);
    }

    /// Ends the stretch in hand at `last`, or at the last event's position if that is further, and begins the next one
    /// there. The events at the very position of the cut go with the next one, so that those of one position are never
    /// in two chunks.
    pub(crate) fn cut(&mut self, last: Position) -> EncodedEvents {
        let last = last.max(self.position());
        let mut next = EventEncoder::at(last);
        next.bytes.reserve(self.bytes.len());
        if self.count != 0 && self.position() == last {
            self.put_group_into(&mut next);
            self.bytes.truncate(self.group.0);
            self.count = self.group.1;
        }
        let ended = std::mem::replace(self, next);
        EncodedEvents { first: ended.first, last, count: ended.count, bytes: ended.bytes }
    }

    /// Appends the events of the last position to `next`. Their bytes depend on those before them, so the stretch is
    /// decoded from its beginning; this happens at flushes only.
    fn put_group_into(&self, next: &mut EventEncoder) {
        let end = Position(self.known.position + 1);
        let mut decoder = EventDecoder::new(self.first, end, self.count, usize::MAX);
        for number in 0..self.count {
            let (position, event) =
                decoder.take(&self.bytes).expect("the decoder reads what the encoder wrote");
            if number >= self.group.1 {
                next.put(position, &event);
            }
        }
    }
}

/// Decodes the events of one stretch.
pub(crate) struct EventDecoder {
    known: Known,
    last: u64,
    left: u32,
    cores: usize,
    at: usize,
}

impl EventDecoder {
    /// A decoder of `count` events of the positions from `first` up to, not including, `last`, on a machine of so many
    /// cores.
    pub(crate) fn new(first: Position, last: Position, count: u32, cores: usize) -> EventDecoder {
        EventDecoder { known: Known::at(first), last: last.0, left: count, cores, at: 0 }
    }

    /// Where in the bytes the next event begins.
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    /// How many events are still to come.
    pub(crate) fn left(&self) -> u32 {
        self.left
    }

    /// Says what is wrong once no events are left: nothing, if all bytes were used.
    pub(crate) fn finish(&self, bytes: &[u8]) -> Result<(), String> {
        if self.at == bytes.len() {
            Ok(())
        } else {
            Err(format!(
                "expected the payload to end after its events, came {} more bytes",
                bytes.len() - self.at
            ))
        }
    }

    /// Takes the next event from the stretch's bytes (always the same ones). After an error, or when no events are left,
    /// the decoder is of no more use.
    #[inline]
    pub(crate) fn take(&mut self, bytes: &[u8]) -> Result<(Position, Event), String> {
        let mut from = Bytes { bytes, at: self.at };
        let head = from.byte()?;
        let mut distance = u64::from(head >> 3 & 0xf);
        if head & 0x80 != 0 {
            let high = from.varint()?;
            if high > POSITION_MAX >> 4 {
                return Err(format!(
                    "the distance of its position has too many bits: {high:#x} above the lowest four"
                ));
            }
            distance |= high << 4;
        }
        let position = self.known.position + distance;
        if position >= self.last {
            return Err(format!("expected a position before {}, came {position}", self.last));
        }
        let event = match head & 7 {
            TAG_ORDER_SAME => self.order_ahead(self.known.after, &mut from)?,
            TAG_ORDER => {
                let after = from.byte()?;
                self.order_ahead(after, &mut from)?
            }
            TAG_LINES => {
                let lines = from.varint()?;
                Event::Lines(
                    u32::try_from(lines)
                        .map_err(|_| format!("expected 32 bits of lines, came {lines:#x}"))?,
                )
            }
            TAG_CLOCK_DISTANCE => {
                let value = self.known.clock.value.wrapping_add(from.varint()?);
                self.known.clock.read(position, value);
                Event::Clock(value)
            }
            TAG_CLOCK_GUESS => {
                let off = varint::unzigzag(from.varint()?);
                let value = self.known.clock.guess(position).wrapping_add_signed(off);
                self.known.clock.read(position, value);
                Event::Clock(value)
            }
            TAG_CONDITIONAL_FAILED => Event::ConditionalFailed,
            TAG_RARE => self.rare(&mut from)?,
            tag => return Err(format!("expected a tag of 0 to 6, came {tag}")),
        };
        self.known.position = position;
        self.left -= 1;
        self.at = from.at;
        Ok((Position(position), event))
    }

    fn rare(&mut self, from: &mut Bytes<'_>) -> Result<Event, String> {
        match from.byte()? {
            RARE_DIGEST => Ok(Event::Digest { state: Digest(from.array()?), history: Digest(from.array()?) }),
            RARE_INPUT => {
                let device = crate::DeviceId(from.byte()?);
                let length = from.varint()?;
                if length == 0 || length > INPUT_BYTES_MAX as u64 {
                    return Err(format!("expected an input of 1 to {INPUT_BYTES_MAX} bytes, came {length}"));
                }
                Ok(Event::Input { device, bytes: from.slice(length as usize)?.to_vec() })
            }
            RARE_ANSWER => {
                let device = crate::DeviceId(from.byte()?);
                let length = from.varint()?;
                if length > INPUT_BYTES_MAX as u64 {
                    return Err(format!(
                        "expected an answer of up to {INPUT_BYTES_MAX} bytes, came {length}"
                    ));
                }
                Ok(Event::Answer { device, bytes: from.slice(length as usize)?.to_vec() })
            }
            RARE_CUT => {
                let number = from.varint()?;
                let number =
                    u32::try_from(number).map_err(|_| format!("expected a cut of 32 bits, came {number}"))?;
                Ok(Event::Cut { number })
            }
            RARE_ORDER_BACK => {
                let after = from.byte()?;
                let position = from.varint()?;
                self.order(after, position)
            }
            sub_tag => Err(format!("expected a sub-tag of 0 to 4, came {sub_tag}")),
        }
    }

    #[inline]
    fn order_ahead(&mut self, after: u8, from: &mut Bytes<'_>) -> Result<Event, String> {
        let known = self.known.positions[usize::from(after)];
        let ahead = from.varint()?;
        self.order(after, known.saturating_add(ahead))
    }

    #[inline]
    fn order(&mut self, after: u8, position: u64) -> Result<Event, String> {
        if usize::from(after) >= self.cores {
            return Err(format!("expected an order edge to one of {} cores, came core {after}", self.cores));
        }
        if position > POSITION_MAX {
            return Err(format!(
                "expected an order edge to a position up to {POSITION_MAX}, came {position}"
            ));
        }
        self.known.order(after, position);
        Ok(Event::Order { after: CoreId(after), position: Position(position) })
    }
}

/// The largest event: an input of full length with its head and fields. Several of them fit into a chunk.
pub(crate) const EVENT_BYTES_MAX: usize = INPUT_BYTES_MAX + 64;
const _: () = assert!(EVENT_BYTES_MAX * 8 <= CHUNK_BYTES_MAX as usize);

/// A place in some bytes, from which fields are taken.
struct Bytes<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Bytes<'a> {
    #[inline]
    fn byte(&mut self) -> Result<u8, String> {
        let byte = *self.bytes.get(self.at).ok_or_else(|| self.short())?;
        self.at += 1;
        Ok(byte)
    }

    #[inline]
    fn varint(&mut self) -> Result<u64, String> {
        varint::take(self.bytes, &mut self.at).ok_or_else(|| {
            "expected a varint of at most 64 bits, came more bits, or the payload's end".to_owned()
        })
    }

    fn slice(&mut self, length: usize) -> Result<&'a [u8], String> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let slice = rest.get(..length).ok_or_else(|| self.short())?;
        self.at += length;
        Ok(slice)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], String> {
        let mut array = [0; N];
        array.copy_from_slice(self.slice(N)?);
        Ok(array)
    }

    #[cold]
    fn short(&self) -> String {
        format!("expected more bytes, came the payload's end at {}", self.bytes.len())
    }
}

#[cfg(test)]
mod tests;
