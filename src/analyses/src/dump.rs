//! The events of a trace, readable.
//!
//! Events come in an order in which they may have happened: those of a core by position, an order edge after all that it
//! waits for. Normalised, they come core by core, and leave out what may differ between executions that are equal: times,
//! digests, cuts, how far another core had got beyond the order that was needed; places in the code are named by symbol.

use std::collections::VecDeque;
use std::fmt::{self, Display, Formatter};

use cantus_traces::{CoreId, Event, EventStream, Position, Trace, TraceError};
use serde::Serialize;

use crate::diff::grouped;
use crate::interrupts::line_names;
use crate::replays::{Replays, Stretch, Trouble};
use crate::site::{Site, Sites};

/// How many events are looked up in one execution of the trace.
const BATCH: usize = 1 << 12;

/// Which events.
#[derive(Clone, Copy, Debug)]
pub struct Selection {
    /// Of this core; `None`: of all.
    pub core: Option<CoreId>,
    /// From this position of each core on.
    pub from: Position,
    /// Up to, not including, this position.
    pub to: Option<Position>,
    /// Without what may differ between executions that are equal.
    pub normalised: bool,
}

impl Default for Selection {
    fn default() -> Self {
        Self { core: None, from: Position(0), to: None, normalised: false }
    }
}

/// Finds out where in the code the events are, by executing the trace again.
pub struct Places<'a> {
    /// The trace, executed.
    pub replays: &'a mut dyn Replays,
    /// The guest's symbols.
    pub sites: Sites<'a>,
}

/// Why a dump ended early.
#[derive(Debug)]
pub enum DumpError {
    /// The trace could not be read further.
    Trace(TraceError),
    /// The trace could not be executed again.
    Replay(Trouble),
    /// Whoever takes the events takes no more.
    Taker(std::io::Error),
}

impl Display for DumpError {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Trace(error) => error.fmt(f),
            Self::Replay(error) => write!(f, "the trace could not be executed again: {error}"),
            Self::Taker(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for DumpError {}

impl From<TraceError> for DumpError {
    fn from(error: TraceError) -> Self {
        Self::Trace(error)
    }
}

/// What happened.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Happening {
    /// The next step comes after another core's.
    Order {
        /// The other core.
        after: CoreId,
        /// The position that it must have reached; left out when normalised.
        #[serde(skip_serializing_if = "Option::is_none")]
        after_position: Option<Position>,
    },
    /// The interrupt lines changed.
    Lines {
        /// To this, by the names of the bits.
        lines: String,
    },
    /// The clock was read.
    Clock {
        /// What it said; left out when normalised.
        #[serde(skip_serializing_if = "Option::is_none")]
        ticks: Option<u64>,
    },
    /// A store-conditional failed.
    ConditionalFailed,
    /// Bytes came from outside.
    Input {
        /// The device that they reached.
        device: u8,
        /// The bytes, with escapes for what is not printable ASCII.
        text: String,
    },
    /// The next step asked the host, and got an answer.
    Answer {
        /// The device that asked.
        device: u8,
        /// The bytes, with escapes for what is not printable ASCII.
        text: String,
    },
    /// A digest of the core.
    Digest {
        /// Of its state.
        state: String,
        /// Of the events before.
        history: String,
    },
    /// All cores stopped at a cut.
    Cut {
        /// The cut's number.
        number: u32,
    },
}

/// An event of a trace.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Dumped {
    /// Whose event it is.
    pub core: CoreId,
    /// The number of the event among those that the trace has of the core, from 0; left out when normalised.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub index: Option<u64>,
    /// The core's position.
    pub position: Position,
    /// What happened.
    #[serde(flatten)]
    pub happening: Happening,
    /// Where in the code the core's next step is, if that was asked for and there is a next step.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
}

impl Display for Dumped {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{:<8} ", self.core.to_string())?;
        if let Some(index) = self.index {
            write!(f, "{:>7} ", format!("#{index}"))?;
        }
        write!(f, "{:>15}  ", grouped(self.position.0))?;
        let text = match &self.happening {
            Happening::Order { after, after_position: Some(position) } => {
                format!("order    after {after} at {}", grouped(position.0))
            }
            Happening::Order { after, after_position: None } => format!("order    after {after}"),
            Happening::Lines { lines } => format!("lines    {lines}"),
            Happening::Clock { ticks: Some(ticks) } => format!("clock    {}", grouped(*ticks)),
            Happening::Clock { ticks: None } => "clock".to_owned(),
            Happening::ConditionalFailed => "sc       failed".to_owned(),
            Happening::Input { device, text } => format!("input    device {device}: \"{text}\""),
            Happening::Answer { device, text } => format!("answer   device {device}: \"{text}\""),
            Happening::Digest { state, history } => format!("digest   {state} history {history}"),
            Happening::Cut { number } => format!("cut      {number}"),
        };
        match &self.place {
            Some(place) => write!(f, "{text:<38} {place}"),
            None => f.write_str(&text),
        }
    }
}

/// Hands the selected events of a trace to `take`, one after the other. With `places`, each says where in the code it
/// is, which costs an execution of the trace for every 4,096 events.
///
/// # Errors
///
/// If the trace is damaged, which shows after all that comes before the damage; if it cannot be executed; and whatever
/// `take` says.
pub fn dump(
    trace: &Trace,
    selection: Selection,
    mut places: Option<Places<'_>>,
    take: &mut dyn FnMut(&Dumped) -> std::io::Result<()>,
) -> Result<(), DumpError> {
    let cores: Vec<CoreId> =
        trace.cores().filter(|core| selection.core.is_none_or(|only| only == *core)).collect();
    let groups: Vec<Vec<CoreId>> = match selection.normalised {
        true => cores.into_iter().map(|core| vec![core]).collect(),
        false => vec![cores],
    };
    for cores in groups {
        let mut merged = Merged::new(trace, &cores, &selection);
        loop {
            let mut batch = Vec::new();
            let mut damage = None;
            while batch.len() < BATCH {
                match merged.next() {
                    Some(Ok((core, index, position, event))) => {
                        let event = Dumped { index: Some(index), ..Dumped::new(core, position, event) };
                        batch.extend(if selection.normalised { event.normalised() } else { Some(event) });
                    }
                    Some(Err(error)) => {
                        damage = Some(error);
                        break;
                    }
                    None => break,
                }
            }
            let over = batch.len() < BATCH;
            if let Some(places) = &mut places {
                name_places(&mut batch, places)?;
            }
            for event in &batch {
                take(event).map_err(DumpError::Taker)?;
            }
            if let Some(error) = damage {
                return Err(error.into());
            }
            if over {
                break;
            }
        }
    }
    Ok(())
}

/// Events of several cores in an order in which they may have happened.
struct Merged {
    streams: Vec<EventStream>,
    /// The next event of each stream, with its number.
    heads: Vec<Option<(u64, Position, Event)>>,
    to: Option<Position>,
    failed: VecDeque<TraceError>,
}

impl Merged {
    fn new(trace: &Trace, cores: &[CoreId], selection: &Selection) -> Self {
        let streams: Vec<_> = cores.iter().map(|&core| trace.stream_from(core, selection.from)).collect();
        let heads = streams.iter().map(|_| None).collect();
        let mut merged = Self { streams, heads, to: selection.to, failed: VecDeque::new() };
        (0..merged.streams.len()).for_each(|at| merged.advance(at));
        merged
    }

    fn advance(&mut self, at: usize) {
        self.heads[at] = match self.streams[at].next() {
            Some(Ok((position, event))) if self.to.is_none_or(|to| position < to) => {
                Some((self.streams[at].number().unwrap_or_default(), position, event))
            }
            Some(Ok(_)) | None => None,
            Some(Err(error)) => {
                self.failed.push_back(error);
                None
            }
        };
    }

    /// Whether the stream's next event waits for an event of another stream that has not come yet.
    fn waits(&self, event: &Event) -> bool {
        let Event::Order { after, position } = event else { return false };
        self.streams.iter().zip(&self.heads).any(|(stream, head)| {
            stream.core() == *after && head.as_ref().is_some_and(|(_, theirs, _)| theirs < position)
        })
    }

    fn next(&mut self) -> Option<Result<(CoreId, u64, Position, Event), TraceError>> {
        let heads = || self.heads.iter().enumerate().filter_map(|(at, head)| Some((at, head.as_ref()?)));
        let ready = heads().filter(|(_, (_, _, event))| !self.waits(event));
        let lowest = ready.min_by_key(|(at, (_, position, _))| (*position, *at)).map(|(at, _)| at);
        // In a trace that contradicts itself, all may wait: then the lowest position comes next.
        let lowest = lowest
            .or_else(|| heads().min_by_key(|(at, (_, position, _))| (*position, *at)).map(|(at, _)| at));
        match lowest {
            Some(at) => {
                let (index, position, event) = self.heads[at].take()?;
                self.advance(at);
                Some(Ok((self.streams[at].core(), index, position, event)))
            }
            None => self.failed.pop_front().map(Err),
        }
    }
}

impl Dumped {
    /// An event, whole.
    pub fn new(core: CoreId, position: Position, event: Event) -> Self {
        let happening = match event {
            Event::Order { after, position } => Happening::Order { after, after_position: Some(position) },
            Event::Lines(bits) => Happening::Lines { lines: line_names(bits) },
            Event::Clock(ticks) => Happening::Clock { ticks: Some(ticks) },
            Event::ConditionalFailed => Happening::ConditionalFailed,
            Event::Input { device, bytes } => {
                Happening::Input { device: device.0, text: bytes.escape_ascii().to_string() }
            }
            Event::Answer { device, bytes } => {
                Happening::Answer { device: device.0, text: bytes.escape_ascii().to_string() }
            }
            Event::Digest { state, history } => {
                Happening::Digest { state: state.to_string(), history: history.to_string() }
            }
            Event::Cut { number } => Happening::Cut { number },
        };
        Self { core, index: None, position, happening, place: None }
    }

    /// The event without what may differ between executions that are equal; `None` if that is all of it.
    fn normalised(self) -> Option<Self> {
        let happening = match self.happening {
            Happening::Order { after, .. } => Happening::Order { after, after_position: None },
            Happening::Clock { .. } => Happening::Clock { ticks: None },
            kept @ (Happening::Lines { .. }
            | Happening::ConditionalFailed
            | Happening::Input { .. }
            | Happening::Answer { .. }) => kept,
            Happening::Digest { .. } | Happening::Cut { .. } => return None,
        };
        Some(Self { happening, index: None, ..self })
    }
}

fn name_places(batch: &mut [Dumped], places: &mut Places<'_>) -> Result<(), DumpError> {
    let mut wanted: Vec<(CoreId, Position)> =
        batch.iter().map(|event| (event.core, event.position)).collect();
    wanted.sort();
    wanted.dedup();
    let stretches: Vec<Stretch> = wanted
        .iter()
        .map(|&(core, from)| Stretch { core, from, to: Position(from.0.saturating_add(1)) })
        .collect();
    let paths = places.replays.paths(&stretches).map_err(DumpError::Replay)?;
    let sites: Vec<Option<Site>> =
        paths.iter().map(|path| path.first().map(|step| places.sites.at(step.pc))).collect();
    for event in batch {
        let at = wanted.binary_search(&(event.core, event.position)).ok();
        event.place = at.and_then(|at| sites.get(at)?.as_ref()).map(Site::to_string);
    }
    Ok(())
}
