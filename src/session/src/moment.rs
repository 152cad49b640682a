//! Moments of a recorded run: how they are named, and where each core stands at one.
//!
//! A moment is a consistent state of the whole machine: for every order edge that a core is past, the other core is as far
//! as the edge says. Which one a name means follows from the trace alone. The cores are walked through their events, from
//! the last cut before, in turn and in small strides, as far as orders and cuts let them, until the name is met.

use crate::Error;
use cantus_traces::{CoreId, Event, EventStream, MachineDigest, Position, Trace};
use std::fmt;

/// A moment of a recorded run, by name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Moment {
    /// This core has completed so many steps.
    Position(CoreId, Position),
    /// All cores together have completed so many steps.
    Steps(u64),
    /// So many hundredths of all steps that the trace holds have been completed.
    Percent(u8),
    /// All cores stand at the cut with this number.
    Cut(u32),
    /// This core stands where the event with this number, of those that the trace has of it, comes next.
    Event(CoreId, u64),
}

impl fmt::Display for Moment {
    /// As the command line takes it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Position(core, position) => write!(f, "{}:{position}", core.0),
            Self::Steps(steps) => write!(f, "{steps}"),
            Self::Percent(percent) => write!(f, "{percent}%"),
            Self::Cut(cut) => write!(f, "cut {cut}"),
            Self::Event(core, number) => write!(f, "event:{}:{number}", core.0),
        }
    }
}

/// So many steps a core is walked at a time, at least.
const STRIDE_MIN: u64 = 1_000;
/// A run is walked in about so many strides of each core at most, however long the trace says that it is.
const STRIDES_MAX: u64 = 1 << 20;

/// Steps of all cores together. A trace may say anything of their positions.
pub(crate) fn total(positions: impl IntoIterator<Item = u64>) -> u64 {
    positions.into_iter().fold(0, u64::saturating_add)
}

/// Where each core stands at a moment, by number.
///
/// # Errors
/// Where the trace has no such moment, or cannot be read as far.
pub(crate) fn locate(trace: &Trace, moment: Moment) -> Result<Vec<u64>, Error> {
    let none = |why: String| Error::NoSuchMoment { path: trace.path().to_owned(), moment, why };
    let ends: Vec<u64> = trace.horizon()?.iter().map(|end| end.0).collect();
    let total = total(ends.iter().copied());
    let cuts = trace.machine_digests()?;
    let begun: Vec<u64> = match trace.origin()? {
        Some((_, positions)) => positions.iter().map(|position| position.0).collect(),
        None => vec![0; ends.len()],
    };
    let begun_total = self::total(begun.iter().copied());
    let target = match moment {
        Moment::Cut(number) => {
            let found = cuts.iter().find(|cut| cut.cut == number && is_within(trace, cut, &ends));
            let last = cuts.iter().rfind(|cut| is_within(trace, cut, &ends));
            let why = last.map_or("the trace has no cuts".to_owned(), |last| {
                format!("the last cut of the trace is cut {}", last.cut)
            });
            return found.map(stands).ok_or_else(|| none(why));
        }
        Moment::Event(core, _) if core.index() >= ends.len() => {
            return Err(none(format!("the machine has {} cores, numbered from 0", ends.len())));
        }
        Moment::Event(core, number) => match trace.event(core, number)? {
            Some((position, _)) => Target::Position(core, position.0),
            None => return Err(none(format!("the trace has not so many events of {core}"))),
        },
        Moment::Position(core, position) => match ends.get(core.index()) {
            None => return Err(none(format!("the machine has {} cores, numbered from 0", ends.len()))),
            Some(&end) if position.0 > end => return Err(none(format!("{core} ends at position {end}"))),
            Some(_) => Target::Position(core, position.0),
        },
        Moment::Steps(steps) if steps > total => {
            return Err(none(format!("the run has {total} steps of all cores together")));
        }
        Moment::Steps(steps) => Target::Steps(steps),
        Moment::Percent(percent) if percent > 100 => {
            return Err(none("a run has a hundred hundredths".into()));
        }
        Moment::Percent(percent) => {
            let held = u128::from(total.saturating_sub(begun_total));
            Target::Steps(begun_total.saturating_add((held * u128::from(percent) / 100) as u64))
        }
    };
    if target.is_before(&begun) {
        return Err(none(format!(
            "the trace begins at a checkpoint, after {begun_total} steps of all cores"
        )));
    }
    let before = cuts.iter().filter(|cut| is_within(trace, cut, &ends) && !target.is_before(&stands(cut)));
    let last = before.max_by_key(|cut| cut.cut).map(|cut| (stands(cut), cut.cut));
    let mut walk = Walk::new(trace, last, begun, ends)?;
    walk.run(target)?
        .then_some(walk.positions)
        .ok_or_else(|| none("its cores wait for each other before".into()))
}

/// Whether every core can be replayed to this cut, its event included.
pub(crate) fn is_within(trace: &Trace, cut: &MachineDigest, ends: &[u64]) -> bool {
    let reached = trace.cores().map(|core| trace.extent(core).map_or(Position(0), |extent| extent.reached));
    let cores = cut.positions.iter().zip(ends).zip(reached);
    cores.into_iter().all(|((position, end), reached)| position.0 <= *end && *position < reached)
}

fn stands(cut: &MachineDigest) -> Vec<u64> {
    cut.positions.iter().map(|position| position.0).collect()
}

#[derive(Clone, Copy)]
enum Target {
    Position(CoreId, u64),
    Steps(u64),
}

impl Target {
    /// How many steps this core may go on without passing it.
    fn room(self, positions: &[u64], core: usize) -> u64 {
        match self {
            Self::Position(target, position) if target.index() == core => position - positions[core],
            Self::Position(..) => u64::MAX,
            Self::Steps(steps) => steps.saturating_sub(total(positions.iter().copied())),
        }
    }

    fn is_met(self, positions: &[u64]) -> bool {
        match self {
            Self::Position(core, position) => positions[core.index()] == position,
            Self::Steps(steps) => total(positions.iter().copied()) == steps,
        }
    }

    /// Whether cores at these positions are past it.
    fn is_before(self, positions: &[u64]) -> bool {
        match self {
            Self::Position(core, position) => positions[core.index()] > position,
            Self::Steps(steps) => total(positions.iter().copied()) > steps,
        }
    }
}

/// Cores on their way through the trace; nothing is executed.
struct Walk {
    positions: Vec<u64>,
    ends: Vec<u64>,
    stride: u64,
    tracks: Vec<Track>,
}

/// The events of one core.
struct Track {
    events: EventStream,
    next: Option<(Position, Event)>,
    at_cut: bool,
}

impl Track {
    fn advance(&mut self) -> Result<(), Error> {
        self.next = self.events.next().transpose()?;
        Ok(())
    }
}

impl Walk {
    /// Begins at a cut, or where the trace does.
    fn new(
        trace: &Trace,
        cut: Option<(Vec<u64>, u32)>,
        begun: Vec<u64>,
        ends: Vec<u64>,
    ) -> Result<Self, Error> {
        // A core of which nothing is known ends where it begins.
        let ends: Vec<u64> = ends.iter().zip(&begun).map(|(end, begun)| *end.max(begun)).collect();
        let begin = || (begun, None);
        let (positions, number) = cut.map_or_else(begin, |(positions, cut)| (positions, Some(cut)));
        let mut tracks = Vec::new();
        for (core, position) in trace.cores().zip(&positions) {
            let mut events = trace.stream_from(core, Position(*position));
            if let Some(cut) = number {
                skip_cut(&mut events, *position, cut)?;
            }
            let mut track = Track { events, next: None, at_cut: false };
            track.advance()?;
            tracks.push(track);
        }
        let stride = STRIDE_MIN.max(ends.iter().max().copied().unwrap_or(0) / STRIDES_MAX);
        Ok(Self { positions, ends, stride, tracks })
    }

    /// Walks until the target is met; false where it cannot be.
    fn run(&mut self, target: Target) -> Result<bool, Error> {
        while !target.is_met(&self.positions) {
            let mut moved = false;
            for core in 0..self.positions.len() {
                moved |= self.stride(core, target)?;
            }
            if !moved && !self.pass_cut()? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// One core's turn. Whether it came further.
    fn stride(&mut self, core: usize, target: Target) -> Result<bool, Error> {
        let room =
            target.room(&self.positions, core).min(self.stride).min(self.ends[core] - self.positions[core]);
        let (begun, end) = (self.positions[core], self.positions[core] + room);
        let track = &mut self.tracks[core];
        let mut consumed = false;
        while self.positions[core] < end && !track.at_cut {
            let here = self.positions[core];
            let Some((at, event)) = &track.next else {
                self.positions[core] = end;
                break;
            };
            if at.0 > here {
                self.positions[core] = at.0.min(end);
                continue;
            }
            match event {
                Event::Order { after, position } => {
                    if self.positions.get(after.index()).is_none_or(|completed| *completed < position.0) {
                        break;
                    }
                }
                Event::Cut { .. } => {
                    track.at_cut = true;
                    continue;
                }
                Event::Input { .. } => self.positions[core] += 1,
                Event::Lines(_)
                | Event::Clock(_)
                | Event::ConditionalFailed
                | Event::Answer { .. }
                | Event::Digest { .. } => {}
            }
            consumed = true;
            track.advance()?;
        }
        Ok(consumed || self.positions[core] != begun)
    }

    /// Lets all cores pass the cut that they stand at; false where one does not.
    fn pass_cut(&mut self) -> Result<bool, Error> {
        let cores = self.tracks.iter_mut().zip(self.positions.iter().zip(&self.ends));
        let mut left: Vec<_> =
            cores.filter(|(_, (position, end))| position < end).map(|(track, _)| track).collect();
        if left.is_empty() || left.iter().any(|track| !track.at_cut) {
            return Ok(false);
        }
        for track in &mut left {
            track.at_cut = false;
            track.advance()?;
        }
        Ok(true)
    }
}

/// Skips a core's events up to the cut with this number, at which it stood at `position`. Whether it was found.
pub(crate) fn skip_cut(events: &mut EventStream, position: u64, cut: u32) -> Result<bool, Error> {
    for next in events.by_ref() {
        let (at, event) = next?;
        if at.0 > position {
            return Ok(false);
        }
        if event == (Event::Cut { number: cut }) {
            return Ok(true);
        }
    }
    Ok(false)
}
