//! The boundary that answers from a trace, and checks.
//!
//! A replay needs no grants (REP-1): a core runs freely to its next event, waits there until the awaited core has come
//! far enough, takes the inputs of that position, and goes on. It is the mirror image of the recorder, file by file, with
//! the check beside it. A difference between run and trace is a [`Divergence`], a value.

mod check;
mod checkpoint;
mod divergence;
mod input;
mod order;
mod state;

pub use check::first_divergence;
pub use checkpoint::{Checkpoints, restore};
pub use divergence::{Cause, Divergence};

use cantus_engine::{Boundary, Next, Orders};
use cantus_interp::{Blocked, Core, Extent};
use cantus_memory::{PageIndex, Right};
use cantus_traces::{
    ContentDigest, CoreId, DeviceId, Event, EventStream, History, MachineDigest, Position, TraceError,
};
use crossbeam::utils::CachePadded;
use parking_lot::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64};

/// Answers from a trace. One for all cores.
pub struct Replayer {
    /// How many steps each core has completed.
    published: Box<[CachePadded<AtomicU64>]>,
    /// Which cores' parts are over.
    over: Box<[AtomicBool]>,
    /// Whether some core has diverged. The others go on, so that it can be told which one was first.
    diverged: AtomicBool,
    /// What the trace says of memory at its cuts.
    recorded_cuts: Vec<MachineDigest>,
    memory: MemoryDigest,
    checkpoints: Checkpoints,
    /// Cuts at which memory was not what it was.
    differing_cuts: Mutex<Vec<u32>>,
}

/// Takes the digest of the machine's memory.
pub type MemoryDigest = Box<dyn Fn() -> ContentDigest + Send + Sync>;

/// The part of a trace that one core replays.
pub struct Part {
    /// The position where the core begins.
    pub begin: Position,
    /// What it had consumed before.
    pub history: History,
    /// The core's events from there on.
    pub events: EventStream,
    /// The position up to which they are known, or up to which the core is to be replayed.
    pub end: Position,
    /// Where the part ends.
    pub until: Until,
    /// Whether the recorded core stopped at the end, rather than the trace.
    pub is_whole: bool,
}

/// Where a core's part ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Until {
    /// Where its events do; those at the end are consumed, too.
    TraceEnds,
    /// At the end's position, before the events there.
    Position,
    /// Behind the cut with this number.
    Cut(u32),
}

/// What a trace says of the whole machine.
pub struct Recorded {
    /// Digests of memory and devices at cuts.
    pub cuts: Vec<MachineDigest>,
    /// The checkpoints.
    pub checkpoints: Checkpoints,
}

/// What the replayer keeps for one core.
pub struct Lane {
    id: CoreId,
    events: EventStream,
    /// The next event, taken out of the stream.
    next: Option<(Position, Event)>,
    end: u64,
    until: Until,
    is_whole: bool,
    history: History,
    /// The last position at which everything agreed.
    agreed: u64,
    waits_for: Option<(CoreId, u64)>,
    orders: Orders,
    /// The cut that the core has come to last.
    cut: Option<u32>,
    divergence: Option<Divergence>,
    /// A digest has shown that the events are not those that were recorded.
    is_altered: bool,
    error: Option<TraceError>,
    scratch: Vec<u8>,
}

/// How a core's replay went.
#[derive(Debug)]
pub struct Report {
    /// Where it left the trace, if it did.
    pub divergence: Option<Divergence>,
    /// What was wrong with the trace's bytes.
    pub error: Option<TraceError>,
    /// The last position at which a digest agreed.
    pub agreed: Position,
    /// Whether the whole part was replayed.
    pub is_complete: bool,
    /// Whether the core's events are not those that were recorded. Looked for only where the replay was not the run.
    pub is_altered: bool,
}

impl Replayer {
    /// A replayer of these parts, one for each core.
    pub fn new(parts: Vec<Part>, recorded: Recorded, memory: MemoryDigest) -> (Self, Vec<Lane>) {
        let begun = |part: &Part| CachePadded::new(AtomicU64::new(part.begin.0));
        let replayer = Self {
            published: parts.iter().map(begun).collect(),
            over: parts.iter().map(|_| AtomicBool::new(false)).collect(),
            diverged: AtomicBool::new(false),
            recorded_cuts: recorded.cuts,
            memory,
            checkpoints: recorded.checkpoints,
            differing_cuts: Mutex::default(),
        };
        let lanes = parts
            .into_iter()
            .enumerate()
            .map(|(id, Part { begin, history, events, end, until, is_whole })| Lane {
                id: CoreId(id as u8),
                events,
                next: None,
                end: end.0,
                until,
                is_whole,
                history,
                agreed: begin.0,
                waits_for: None,
                orders: Orders::default(),
                cut: None,
                divergence: None,
                is_altered: false,
                error: None,
                scratch: Vec::new(),
            })
            .map(|mut lane| {
                lane.advance();
                lane
            })
            .collect();
        (replayer, lanes)
    }
}

impl Lane {
    /// What became of the core's order.
    pub fn orders(&self) -> Orders {
        self.orders
    }

    /// Takes the next event out of the stream.
    fn advance(&mut self) {
        self.next = match self.events.next() {
            None => None,
            Some(Ok(event)) => Some(event),
            Some(Err(error)) => {
                self.error.get_or_insert(error);
                None
            }
        };
    }

    /// Makes the next event part of the core's history, and goes on to the one behind it.
    fn consume(&mut self) -> Option<(Position, Event)> {
        let (position, event) = self.next.take()?;
        self.history.consume(position, &event);
        self.advance();
        Some((position, event))
    }

    /// Whether the part ends here, though the trace may go on.
    fn is_at_its_end(&self, core: &Core) -> bool {
        match self.until {
            Until::TraceEnds => false,
            Until::Position => core.position >= self.end,
            Until::Cut(number) => self.cut == Some(number),
        }
    }

    /// How the replay of this core went; `core` is as it ended. `left` says whether some core has left the trace: then the
    /// events that this one has not come to are looked at, too, since what led the other astray may be among them.
    pub fn report(mut self, core: &Core, left: bool) -> Report {
        let is_complete = match self.until {
            Until::TraceEnds => self.is_whole && core.position == self.end && self.next.is_none(),
            Until::Position => core.position == self.end,
            Until::Cut(number) => self.cut == Some(number),
        };
        let is_altered = left && self.find_altered(core);
        Report {
            divergence: self.divergence,
            error: self.error,
            agreed: Position(self.agreed),
            is_complete,
            is_altered,
        }
    }
}

impl Boundary for Replayer {
    type Lane = Lane;
    const LIVE: bool = false;
    const HOST_ATOMICS: bool = false;

    fn next(&self, lane: &mut Lane, core: &mut Core) -> Next {
        core.tlb.heed_watches(&core.ram);
        if let Some(divergence) = &mut lane.divergence {
            divergence.pc.get_or_insert(core.hart.pc);
        }
        if lane.is_at_its_end(core) {
            return self.end(lane, core);
        }
        loop {
            let Some((position, event)) = &lane.next else {
                return if core.position < lane.end && lane.divergence.is_none() {
                    Next::Run { until: lane.end }
                } else {
                    self.end(lane, core)
                };
            };
            let (position, here) = (position.0, core.position);
            if here >= lane.end && position != here {
                return self.end(lane, core);
            }
            if position > here {
                return Next::Run { until: position.min(lane.end) };
            }
            if position < here {
                let cause = Cause::NotAsked { event: event.clone(), recorded_at: Position(position) };
                self.diverge(lane, core, cause);
                return self.end(lane, core);
            }
            match event {
                Event::Order { after, position } => {
                    let (after, completed) = (*after, position.0);
                    if let Some(wait) = self.await_order(lane, core, after, completed) {
                        return wait;
                    }
                }
                Event::Lines(lines) => {
                    core.hart.lines = *lines;
                    lane.consume();
                }
                Event::Clock(_) | Event::ConditionalFailed | Event::Answer { .. } => {
                    // The step itself asks for it.
                    return if here < lane.end {
                        Next::Run { until: here + 1 }
                    } else {
                        self.end(lane, core)
                    };
                }
                Event::Input { .. } => {
                    if let Some((_, Event::Input { device, bytes })) = lane.consume() {
                        return Next::Input { device, bytes };
                    }
                }
                Event::Digest { state, history } => {
                    let recorded = (*state, *history);
                    lane.advance();
                    self.check_digest(lane, core, recorded);
                }
                Event::Cut { number } => {
                    lane.cut = Some(*number);
                    lane.consume();
                    return Next::Cut;
                }
            }
        }
    }

    fn grant(&self, _: &mut Lane, _: u64, _: PageIndex, _: u8, _: Right) -> Result<Extent, Blocked> {
        Ok(Extent::Page)
    }

    fn safepoint(&self, _: &mut Lane, _: &mut Core) {}

    fn park(&self, lane: &mut Lane, core: &Core) {
        self.publish(lane, core.position);
        core.ram.parked(core.id);
    }

    fn unpark(&self, _: &mut Lane, core: &mut Core) {
        core.tlb.begin_watch(&core.ram, core.id);
    }

    fn ready(&self, lane: &Lane) -> bool {
        self.is_satisfied(lane)
    }

    fn awaits(&self, lane: &Lane) -> Option<(CoreId, u64)> {
        lane.waits_for
    }

    fn steps_ahead(&self, lane: &Lane) -> Option<u64> {
        Some(lane.end.saturating_sub(lane.agreed))
    }

    #[inline(always)]
    fn completed(&self, lane: &Lane, position: u64) {
        self.publish(lane, position);
    }

    fn ordered(&self, _: &mut Lane, _: u64, _: CoreId, _: Position) {}

    fn lines(&self, _: &mut Lane, _: u64, seen: u32, _: u32) -> u32 {
        seen
    }

    fn clock(&self, lane: &mut Lane, position: u64, _: &mut dyn FnMut() -> u64) -> u64 {
        self.recorded_clock(lane, position)
    }

    fn conditional(&self, lane: &mut Lane, position: u64, _: bool) -> bool {
        lane.recorded_conditional(position)
    }

    fn conditionals_hold(&self, lane: &Lane) -> bool {
        lane.conditionals_hold()
    }

    fn input(&self, _: &mut Lane, _: u64, _: DeviceId, _: &[u8]) {}

    fn answer(
        &self,
        lane: &mut Lane,
        position: u64,
        device: DeviceId,
        _: &mut dyn FnMut() -> Vec<u8>,
    ) -> Vec<u8> {
        self.recorded_answer(lane, position, device)
    }

    fn cut(&self, cores: &mut [(&mut Core, &mut Lane)]) {
        self.check_cut(cores);
    }

    fn failed(&self, _: &Lane) -> bool {
        false
    }
}
