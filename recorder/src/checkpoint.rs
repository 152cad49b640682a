//! Checkpoints: at some cuts, all that a replay needs to begin there.
//!
//! The cores' events up to the cut are handed over first: in the file, a checkpoint stands behind all that comes before it
//! in the run, and the next chunk of every core begins at the cut. Of memory, only the pages that were written since the
//! last checkpoint are looked at: every core loses its fast rights to write, and who asks again is noted (`Ram::note_write`).

use crate::state::Pace;
use crate::{Lane, Recorder};
use cantus_engine::{Stopwatch, share, write_core};
use cantus_interp::Core;
use cantus_memory::{PageIndex, Ram};
use cantus_traces::{Checkpoint, ContentDigest, Position, limits::PAGE_BYTES};
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

/// The machine's devices as a checkpoint has them, while no core runs.
pub trait Devices: Send + Sync {
    /// Their state, less their pages.
    fn state(&self) -> Vec<u8>;

    /// The numbers of their pages that were written since this was asked last, ascending; or of all of them.
    fn take_changed_pages(&self, all: bool) -> Vec<u64>;

    /// What such a page holds.
    fn page(&self, number: u64) -> [u8; PAGE_BYTES];
}

/// How much of the end of a run a trace is to hold.
#[derive(Clone)]
pub enum Keep {
    /// So many steps of all cores together.
    Steps(u64),
    /// What ran in so much of the host's time.
    Time {
        /// So much.
        keep: Duration,
        /// Tells the time; it is stopped while the guest is.
        watch: Arc<Stopwatch>,
    },
}

impl Keep {
    /// At what pace of the host's time checkpoints are to come.
    pub(crate) fn pace(&self) -> Option<Pace> {
        match self {
            Self::Steps(_) => None,
            Self::Time { keep, watch } => Some(Pace::new(*keep / 4, watch.clone())),
        }
    }

    fn now(&self) -> Duration {
        match self {
            Self::Steps(_) => Duration::ZERO,
            Self::Time { watch, .. } => watch.shows(),
        }
    }

    /// Whether the run from the first of two checkpoints to the second is so many times as long as that.
    fn is_reached(&self, first: &Held, last: &Held, times: u32) -> bool {
        match self {
            Self::Steps(steps) => {
                last.steps.saturating_sub(first.steps) >= steps.saturating_mul(times.into())
            }
            Self::Time { keep, .. } => last.at.saturating_sub(first.at) >= keep.saturating_mul(times),
        }
    }
}

/// Pages whose digests one thread takes at once.
const PAGES_TOGETHER: usize = 256;

/// Which cuts have checkpoints, and which of them the trace holds.
pub(crate) struct Checkpoints {
    /// Every how many steps of all cores; 0: never.
    interval: u64,
    devices: Box<dyn Devices>,
    /// How much the trace holds at least, and not much more; none: it holds all.
    keep: Option<Keep>,
    written: Mutex<Written>,
}

/// The checkpoints that the trace holds.
struct Written {
    /// In their order; the first is where the trace begins.
    held: VecDeque<Held>,
}

/// A checkpoint.
#[derive(Clone, Copy, Default)]
struct Held {
    /// Its cut; none is the run's beginning.
    cut: Option<u32>,
    /// Steps of all cores there.
    steps: u64,
    /// When that was, where it matters.
    at: Duration,
}

impl Written {
    fn last(&self) -> Held {
        self.held.back().copied().unwrap_or_default()
    }

    /// The cut that the trace is to begin at, if it holds twice as much as it has to: what is kept is written again, so
    /// that it is not done more often.
    fn outlived(&mut self, keep: &Keep) -> Option<u32> {
        let last = self.last();
        if !self.held.front().is_some_and(|first| keep.is_reached(first, &last, 2)) {
            return None;
        }
        let mut outlived = None;
        while let Some(next) = self.held.get(1)
            && keep.is_reached(next, &last, 1)
        {
            outlived = next.cut;
            self.held.pop_front();
        }
        outlived
    }
}

impl Checkpoints {
    pub(crate) fn new(interval: u64, devices: Box<dyn Devices>, keep: Option<Keep>) -> Self {
        let begun = Held { at: keep.as_ref().map_or(Duration::ZERO, Keep::now), ..Held::default() };
        Self { interval, devices, keep, written: Mutex::new(Written { held: [begun].into() }) }
    }

    /// The checkpoint of a cut that all cores stand at now.
    fn here(&self, cut: u32, steps: u64) -> Held {
        let at = self.keep.as_ref().map_or(Duration::ZERO, Keep::now);
        Held { cut: Some(cut), steps, at }
    }
}

impl Recorder {
    /// All cores stand at this cut, and so many steps were completed by all of them: writes a checkpoint if one is due.
    pub(crate) fn checkpoint_when_due(&self, cores: &mut [(&mut Core, &mut Lane)], cut: u32, steps: u64) {
        let mut written = self.checkpoints.written.lock();
        let Held { cut: base, steps: before, .. } = written.last();
        // Cuts come somewhat after the steps that they are due at.
        let passed = |steps: u64| steps.checked_div(self.checkpoints.interval);
        let is_time = self.cuts.take_time();
        if passed(steps) <= passed(before) && !is_time {
            return;
        }
        written.held.push_back(self.checkpoints.here(cut, steps));
        let Some((first, _)) = cores.first() else { return };
        let ram = first.ram.clone();
        let writer = &self.cuts.writer;
        let mut states = Vec::with_capacity(cores.len());
        for (core, lane) in cores.iter_mut() {
            lane.stream.flush(Position(core.position));
            core.tlb.revoke_writes();
            states.push(state(core, lane));
        }
        let pages = self.store_device_pages(false);
        writer.checkpoint(&Checkpoint {
            cut,
            base,
            positions: cores.iter().map(|(core, _)| Position(core.position)).collect(),
            cores: states,
            devices: self.checkpoints.devices.state(),
            pages: self.store(&ram, &ram.take_changed()).into_iter().chain(pages).collect(),
        });
        if let Some(first) = self.checkpoints.keep.as_ref().and_then(|keep| written.outlived(keep)) {
            writer.drop_before(first);
        }
    }

    /// The run does not begin with the cores' reset but as they stand: the trace begins here, with a checkpoint of all
    /// memory at cut 0. To be called before any core runs, once.
    pub fn begin_here(&self, cores: &mut [(&mut Core, &mut Lane)]) {
        let Some((first, _)) = cores.first() else { return };
        let ram = first.ram.clone();
        self.note_first_cut(cores);
        let positions: Vec<_> = cores.iter().map(|(core, _)| Position(core.position)).collect();
        let steps = positions.iter().map(|position| position.0).sum();
        self.checkpoints.written.lock().held = [self.checkpoints.here(0, steps)].into();
        // Of what changed before, nothing needs to be known: everything is written.
        ram.take_changed();
        let pages = self.store_device_pages(true);
        self.cuts.writer.checkpoint(&Checkpoint {
            cut: 0,
            base: None,
            positions,
            cores: cores.iter().map(|(core, lane)| state(core, lane)).collect(),
            devices: self.checkpoints.devices.state(),
            pages: self
                .store(&ram, &ram.written_pages().collect::<Vec<_>>())
                .into_iter()
                .chain(pages)
                .collect(),
        });
    }

    fn store_device_pages(&self, all: bool) -> Vec<(u64, ContentDigest)> {
        let devices = &self.checkpoints.devices;
        let changed = devices.take_changed_pages(all).into_iter();
        changed.map(|number| (number, self.cuts.writer.page(&devices.page(number)))).collect()
    }

    /// Stores these pages, in their order; their digests are taken side by side.
    fn store(&self, ram: &Ram, pages: &[PageIndex]) -> Vec<(u64, ContentDigest)> {
        let contents = |page: PageIndex| {
            let mut bytes = [0; PAGE_BYTES];
            ram.read(ram.address(page), &mut bytes);
            bytes
        };
        let parts: Vec<_> = pages.chunks(PAGES_TOGETHER).collect();
        let digests = share(parts.len(), |part| {
            parts[part].iter().map(|&page| ContentDigest::of(&contents(page))).collect::<Vec<_>>()
        });
        let store = |(&page, digest): (&PageIndex, ContentDigest)| {
            self.cuts.writer.page_of(digest, &contents(page));
            (u64::from(page.0), digest)
        };
        pages.iter().zip(digests.concat()).map(store).collect()
    }
}

/// A core's state in a checkpoint: its history, and then what the engine says.
fn state(core: &Core, lane: &Lane) -> Vec<u8> {
    let mut state = lane.history.link().0.to_vec();
    write_core(core, &mut state);
    state
}
