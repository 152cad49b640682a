//! The events of one core, chunk by chunk.

use std::sync::Arc;

use crate::{
    CoreId, Event, Position, TraceError,
    events::EventDecoder,
    trace::{Decompressor, Inner},
};

/// The events of one core in their order, each with its position. It reads one chunk at a time, by offset, so streams do
/// not disturb each other.
///
/// After an error there is no more. A stream that a killed recorder left ends without an error where the last whole
/// chunk ends ([`EventStream::reached`]); one that is damaged ends with an error there.
pub struct EventStream {
    trace: Arc<Inner>,
    core: CoreId,
    /// How many of the core's chunks have been taken.
    taken: usize,
    /// The decoder of the chunk in hand.
    decoder: Option<EventDecoder>,
    raw: Vec<u8>,
    decompressor: Decompressor,
    /// Events before it are skipped.
    from: Position,
    /// How many events of the core have been decoded, those of skipped chunks included.
    decoded: u64,
    until_damage: bool,
    ended: bool,
}

impl EventStream {
    pub(crate) fn new(trace: Arc<Inner>, core: CoreId, from: Position) -> EventStream {
        let layout = &trace.layout;
        let taken = layout.cores.get(core.index()).map_or(0, |core| {
            core.chunks.partition_point(|chunk| layout.chunks[*chunk as usize].header.last <= from.0)
        });
        let counted = layout.cores.get(core.index()).map_or(0, |core| {
            let chunks = core.chunks[..taken].iter().map(|chunk| layout.chunks[*chunk as usize].header.count);
            chunks.map(u64::from).sum()
        });
        EventStream {
            ended: core.index() >= layout.cores.len(),
            trace,
            core,
            taken,
            decoder: None,
            raw: Vec::new(),
            decompressor: Decompressor::new(),
            from,
            decoded: counted,
            until_damage: false,
        }
    }

    /// The core whose events these are.
    pub fn core(&self) -> CoreId {
        self.core
    }

    /// The number of the last event that the stream has given, among all that the trace holds of the core, from 0.
    pub fn number(&self) -> Option<u64> {
        self.decoded.checked_sub(1)
    }

    /// All events before this position are in the stream, and no others.
    pub fn reached(&self) -> Position {
        self.trace.layout.cores.get(self.core.index()).map_or(Position(0), |core| core.extent.reached)
    }

    /// The same stream, but it ends without an error where a damaged one does.
    pub(crate) fn until_damage(self) -> EventStream {
        EventStream { until_damage: true, ..self }
    }

    /// Decodes the next event, from the chunk in hand or the ones after it.
    fn take(&mut self) -> Result<Option<(Position, Event)>, TraceError> {
        loop {
            if let Some(decoder) = &mut self.decoder {
                let outcome = if decoder.left() != 0 {
                    decoder.take(&self.raw).map(Some)
                } else {
                    decoder.finish(&self.raw).map(|()| None)
                };
                self.decoded += u64::from(matches!(outcome, Ok(Some(_))));
                match outcome {
                    Ok(Some((position, _))) if position < self.from => continue,
                    Ok(Some(next)) => return Ok(Some(next)),
                    Ok(None) => self.decoder = None,
                    Err(what) => {
                        let at = decoder.at() as u64;
                        return Err(self.event_error(at, what));
                    }
                }
            }
            let layout = &self.trace.layout;
            let core = &layout.cores[self.core.index()];
            let Some(chunk) = core.chunks.get(self.taken) else {
                return match core.stop {
                    Some(damage) if !self.until_damage => {
                        Err(layout.damages[damage].error(&self.trace.source))
                    }
                    Some(_) | None => Ok(None),
                };
            };
            let chunk = &layout.chunks[*chunk as usize];
            self.taken += 1;
            self.trace.payload(chunk, &mut self.decompressor, &mut self.raw)?;
            let (first, last) = (Position(chunk.header.first), Position(chunk.header.last));
            self.decoder = Some(EventDecoder::new(first, last, chunk.header.count, layout.cores.len()));
        }
    }

    fn event_error(&self, at: u64, what: String) -> TraceError {
        let layout = &self.trace.layout;
        let chunk = layout.cores[self.core.index()].chunks[self.taken - 1];
        let chunk = &layout.chunks[chunk as usize];
        TraceError::Event {
            path: self.trace.source.path.clone(),
            chunk: chunk.header.number,
            offset: chunk.offset,
            core: self.core,
            at,
            what,
        }
    }
}

impl Iterator for EventStream {
    type Item = Result<(Position, Event), TraceError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        match self.take() {
            Ok(Some(next)) => Some(Ok(next)),
            Ok(None) => {
                self.ended = true;
                None
            }
            Err(error) => {
                self.ended = true;
                Some(Err(error))
            }
        }
    }
}

impl std::fmt::Debug for EventStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "EventStream({}, {} chunks taken)", self.core, self.taken)
    }
}
