//! The boundary that notes: order, input, state.
//!
//! A recorder lets the live outside through and writes down what the run depended on. It is the only boundary under
//! which cores need grants. Its mirror image is the replayer, file by file.

mod checkpoint;
mod input;
mod order;
mod state;

pub use checkpoint::{Devices, Keep};

use cantus_engine::{Boundary, Next, Orders};
use cantus_interp::{Blocked, Core, Extent};
use cantus_memory::{PageIndex, Right};
use cantus_traces::{ContentDigest, CoreId, CoreStream, DeviceId, Event, History, Position, TraceWriter};
use cantus_transactions::{Ownership, Safepoints};
use std::sync::Arc;

/// Notes a run. One for all cores.
pub struct Recorder {
    ownership: Ownership,
    digest_interval: u64,
    cuts: state::Cuts,
    checkpoints: checkpoint::Checkpoints,
}

/// What a recorder is to note, and where.
pub struct Plan {
    /// Pages of RAM.
    pub pages: usize,
    /// The cores' safepoint requests.
    pub safepoints: Arc<Safepoints>,
    /// Every how many of its steps a core's digest is taken; 0 means at the end only.
    pub digest_interval: u64,
    /// Every how many steps of all cores together a cut is made, with the digest of memory; 0 means at the end only.
    pub cut_interval: u64,
    /// Every how many steps of all cores together a cut has a checkpoint; 0 means never.
    pub checkpoint_interval: u64,
    /// How much of the end of the run the trace is to hold; none: all.
    pub keep_last: Option<Keep>,
    /// The trace.
    pub writer: Arc<TraceWriter>,
    /// The digest of the machine's memory, while no core runs.
    pub memory: MemoryDigest,
    /// The state of the machine's devices, while no core runs.
    pub devices: Box<dyn Devices>,
}

/// Takes the digest of the machine's memory.
pub type MemoryDigest = Box<dyn Fn() -> ContentDigest + Send + Sync>;

/// What the recorder keeps for one core.
pub struct Lane {
    id: CoreId,
    stream: CoreStream,
    history: History,
    order: order::Lane,
    state: state::Lane,
    /// What the step at a position was told while it executed, not yet written down: a device may come to others, such as
    /// the interrupt controller, after it has asked, and a replay must find the edges of a step before what the step asks.
    told: Vec<Event>,
    told_at: u64,
}

impl Lane {
    /// What became of the core's order.
    pub fn orders(&self) -> Orders {
        self.order.orders
    }

    /// Writes an event down; the edges of a step before what it was told.
    fn note(&mut self, position: u64, event: &Event) {
        if position != self.told_at || !matches!(event, Event::Order { .. }) {
            self.settle();
        }
        self.write(position, event);
    }

    /// Keeps what the step at `position` is told until the step's edges are known.
    fn note_told(&mut self, position: u64, event: Event) {
        if position != self.told_at {
            self.settle();
            self.told_at = position;
        }
        self.told.push(event);
    }

    /// Writes down what a step was told, which is over.
    fn settle(&mut self) {
        let mut told = std::mem::take(&mut self.told);
        told.drain(..).for_each(|event| self.write(self.told_at, &event));
        self.told = told;
    }

    /// Writes an event down, and makes it part of the core's history.
    fn write(&mut self, position: u64, event: &Event) {
        let position = Position(position);
        self.history.consume(position, event);
        self.stream.append(position, event);
    }
}

impl Recorder {
    /// A recorder, and a lane for each of the cores that write to `streams`.
    pub fn new(plan: Plan, streams: Vec<CoreStream>) -> (Self, Vec<Lane>) {
        let cores = streams.len();
        let Plan {
            pages,
            safepoints,
            digest_interval,
            cut_interval,
            checkpoint_interval,
            keep_last,
            writer,
            memory,
            devices,
        } = plan;
        let lanes = streams
            .into_iter()
            .map(|stream| Lane {
                id: stream.core(),
                stream,
                history: History::new(),
                order: order::Lane::new(cores),
                state: state::Lane::new(digest_interval),
                told: Vec::new(),
                told_at: u64::MAX,
            })
            .collect();
        let ownership = Ownership::new(pages, cores, safepoints);
        let pace = keep_last.as_ref().and_then(Keep::pace);
        let cuts = state::Cuts::new(cut_interval, checkpoint_interval, pace, writer, memory);
        let checkpoints = checkpoint::Checkpoints::new(checkpoint_interval, devices, keep_last);
        (Self { ownership, digest_interval, cuts, checkpoints }, lanes)
    }
}

impl Boundary for Recorder {
    type Lane = Lane;
    const LIVE: bool = true;
    const HOST_ATOMICS: bool = false;
    const HAS_GRANTS: bool = true;

    fn next(&self, lane: &mut Lane, core: &mut Core) -> Next {
        lane.settle();
        if self.is_cut_due(lane, core) {
            return Next::Cut;
        }
        let answer_at = self.answer_when_due(lane, core);
        let digest_at = self.digest_when_due(lane, core);
        Next::Run { until: answer_at.min(digest_at) }
    }

    fn grant(
        &self,
        lane: &mut Lane,
        position: u64,
        page: PageIndex,
        line: u8,
        right: Right,
    ) -> Result<Extent, Blocked> {
        self.acquire(lane, position, page, line, right)
    }

    fn safepoint(&self, lane: &mut Lane, core: &mut Core) {
        self.asked(lane, core);
    }

    fn park(&self, lane: &mut Lane, core: &Core) {
        lane.order.rest();
        self.ownership.park(lane.id, core.position);
    }

    fn unpark(&self, lane: &mut Lane, core: &mut Core) {
        self.ownership.unpark(lane.id, &mut lane.order.revoked);
        lane.order.apply_revoked(core);
    }

    fn ready(&self, lane: &Lane) -> bool {
        lane.order.is_answered(&self.ownership, lane.id)
    }

    fn kept_waiting_by(&self, lane: &mut Lane) -> Option<CoreId> {
        lane.order.kept_waiting_by.take()
    }

    fn completed(&self, _: &Lane, _: u64) {}

    fn ordered(&self, lane: &mut Lane, position: u64, after: CoreId, completed: Position) {
        lane.note_order(position, after, completed.0);
    }

    fn lines(&self, lane: &mut Lane, position: u64, seen: u32, live: u32) -> u32 {
        lane.note_lines(position, seen, live)
    }

    fn clock(&self, lane: &mut Lane, position: u64, live: &mut dyn FnMut() -> u64) -> u64 {
        lane.note_clock(position, live())
    }

    fn conditional(&self, lane: &mut Lane, position: u64, intact: bool) -> bool {
        lane.note_conditional(position, intact)
    }

    fn conditionals_hold(&self, _: &Lane) -> bool {
        true
    }

    fn input(&self, lane: &mut Lane, position: u64, device: DeviceId, bytes: &[u8]) {
        lane.note_input(position, device, bytes);
    }

    fn answer(
        &self,
        lane: &mut Lane,
        position: u64,
        device: DeviceId,
        live: &mut dyn FnMut() -> Vec<u8>,
    ) -> Vec<u8> {
        lane.note_answer(position, device, live())
    }

    fn cut(&self, cores: &mut [(&mut Core, &mut Lane)]) {
        self.note_cut(cores);
    }

    fn failed(&self, lane: &Lane) -> bool {
        lane.stream.has_failed()
    }
}
