//! State: digests at fixed positions (CHK-1), and chunks that do not wait for ever.

use crate::{Lane as CoreLane, MemoryDigest, Recorder};
use cantus_engine::{Stopwatch, digest_state};
use cantus_interp::Core;
use cantus_traces::{CoreEnd, Event, MachineDigest, Position, TraceWriter};
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// After so many steps a core's chunk is written even if it is not full, so that a recorder that is killed has lost
/// little.
const CHUNK_STEPS: u64 = 20_000_000;

/// What the recorder keeps of one core's state.
pub(crate) struct Lane {
    /// Where the next digest is due.
    digest_at: u64,
    /// Where the chunk is written at the latest.
    flush_at: u64,
    /// Steps that count towards the next cut already.
    counted: u64,
    /// Cuts that the core has come to.
    cuts: u32,
    scratch: Vec<u8>,
}

/// Every so many steps of all cores it is looked what time it is, where that matters.
const LOOK_STEPS: u64 = 100_000;

/// A pace of the host's time.
pub(crate) struct Pace {
    every: Duration,
    watch: Arc<Stopwatch>,
    /// When it is time next.
    next: Mutex<Duration>,
}

impl Pace {
    pub(crate) fn new(every: Duration, watch: Arc<Stopwatch>) -> Self {
        let next = Mutex::new(watch.shows().saturating_add(every));
        Self { every, watch, next }
    }

    /// Whether it is time; who is told so is the only one.
    fn is_time(&self) -> bool {
        let Some(mut next) = self.next.try_lock() else { return false };
        let now = self.watch.shows();
        let is_time = now >= *next;
        if is_time {
            *next = now.saturating_add(self.every);
        }
        is_time
    }
}

/// When to cut, and what to write then.
pub(crate) struct Cuts {
    interval: u64,
    pace: Option<Pace>,
    /// How many cuts were asked for because it was time.
    timed: AtomicU32,
    /// It was time for one that has not been made yet.
    is_time: AtomicBool,
    /// Steps of all cores.
    steps: AtomicU64,
    /// Cuts asked for so far.
    asked: AtomicU32,
    pub(crate) writer: Arc<TraceWriter>,
    memory: MemoryDigest,
}

impl Cuts {
    /// Cuts come as often as either of the two intervals says.
    pub(crate) fn new(
        interval: u64,
        checkpoint_interval: u64,
        pace: Option<Pace>,
        writer: Arc<TraceWriter>,
        memory: MemoryDigest,
    ) -> Self {
        let often = |interval: u64| if interval == 0 { u64::MAX } else { interval };
        let interval = often(interval).min(often(checkpoint_interval));
        Self {
            interval,
            pace,
            timed: AtomicU32::new(0),
            is_time: AtomicBool::new(false),
            steps: AtomicU64::new(0),
            asked: AtomicU32::new(0),
            writer,
            memory,
        }
    }

    /// Asks for a cut if one is due, now that all cores have completed `total` steps, `steps` of them just now.
    fn ask_when_due(&self, total: u64, steps: u64) {
        let timed = self.timed.load(Relaxed);
        let asked = self.asked.load(Relaxed);
        // Whoever is first asks; the others learn of it at their next safepoint.
        let ask = || self.asked.compare_exchange(asked, asked + 1, Relaxed, Relaxed).is_ok();
        if total / self.interval > u64::from(asked.saturating_sub(timed)) {
            ask();
        } else if let Some(pace) = &self.pace
            && total / LOOK_STEPS != (total - steps) / LOOK_STEPS
            && pace.is_time()
        {
            self.is_time.store(true, Relaxed);
            self.timed.fetch_add(u32::from(ask()), Relaxed);
        }
    }

    /// Whether it was time for a checkpoint, which is made now.
    pub(crate) fn take_time(&self) -> bool {
        self.is_time.swap(false, Relaxed)
    }
}

impl Lane {
    pub(crate) fn new(digest_interval: u64) -> Self {
        let digest_at = if digest_interval == 0 { u64::MAX } else { digest_interval };
        Self { digest_at, flush_at: CHUNK_STEPS, counted: 0, cuts: 0, scratch: Vec::new() }
    }
}

impl CoreLane {
    /// Closes the core's stream at the end of the run.
    pub fn close(mut self, core: &Core) -> CoreEnd {
        self.settle();
        let position = Position(core.position);
        let state = digest_state(core, &mut self.state.scratch);
        let history = self.history.digest();
        self.stream.append(position, &Event::Digest { state, history });
        self.stream.close(position);
        CoreEnd { position, state }
    }
}

impl Recorder {
    /// Takes a digest if one is due; returns the position of the next one.
    pub(crate) fn digest_when_due(&self, lane: &mut CoreLane, core: &Core) -> u64 {
        assert!(core.position <= lane.state.digest_at, "CHK-1: a core has run past its digest");
        let position = Position(core.position);
        if core.position == lane.state.digest_at {
            let state = digest_state(core, &mut lane.state.scratch);
            let history = lane.history.digest();
            lane.stream.append(position, &Event::Digest { state, history });
            lane.state.digest_at += self.digest_interval;
        }
        if core.position >= lane.state.flush_at {
            lane.stream.flush(position);
            lane.state.flush_at = core.position + CHUNK_STEPS;
        }
        lane.state.digest_at
    }

    /// Whether the core must come to a cut now; notes that it has.
    pub(crate) fn is_cut_due(&self, lane: &mut CoreLane, core: &Core) -> bool {
        let cuts = &self.cuts;
        let steps = core.position - lane.state.counted;
        lane.state.counted = core.position;
        let total = cuts.steps.fetch_add(steps, Relaxed) + steps;
        cuts.ask_when_due(total, steps);
        let number = lane.state.cuts;
        if number == cuts.asked.load(Relaxed) {
            return false;
        }
        lane.state.cuts += 1;
        lane.note(core.position, &Event::Cut { number });
        true
    }

    /// All cores stand where the trace begins: that is cut 0, and the next one is due an interval later.
    pub(crate) fn note_first_cut(&self, cores: &mut [(&mut Core, &mut CoreLane)]) {
        let cuts = &self.cuts;
        cuts.asked.store(1, Relaxed);
        cuts.steps.store(if cuts.interval == u64::MAX { 0 } else { cuts.interval }, Relaxed);
        for (core, lane) in cores.iter_mut() {
            lane.stream.begin(Position(core.position));
            let passed = core.position.checked_div(self.digest_interval);
            lane.state.digest_at =
                passed.map_or(u64::MAX, |passed| (passed + 1).saturating_mul(self.digest_interval));
            lane.state.flush_at = core.position + CHUNK_STEPS;
            lane.state.counted = core.position;
            lane.state.cuts = 1;
            lane.note(core.position, &Event::Cut { number: 0 });
        }
        let positions = cores.iter().map(|(core, _)| Position(core.position)).collect();
        cuts.writer.machine_digest(&MachineDigest { cut: 0, positions, memory: (cuts.memory)() });
    }

    /// All cores stand at a cut. The time that it takes is not the guest's.
    pub(crate) fn note_cut(&self, cores: &mut [(&mut Core, &mut CoreLane)]) {
        match &self.cuts.pace {
            Some(pace) => pace.watch.pause(|| self.note_standstill(cores)),
            None => self.note_standstill(cores),
        }
    }

    /// The digest of memory is taken, and a checkpoint if one is due.
    fn note_standstill(&self, cores: &mut [(&mut Core, &mut CoreLane)]) {
        let Some((_, lane)) = cores.first() else { return };
        let cut = lane.state.cuts - 1;
        let positions: Vec<_> = cores.iter().map(|(core, _)| Position(core.position)).collect();
        let steps = positions.iter().map(|position| position.0).sum();
        self.cuts.writer.machine_digest(&MachineDigest { cut, positions, memory: (self.cuts.memory)() });
        self.checkpoint_when_due(cores, cut, steps);
    }
}
