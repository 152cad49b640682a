//! Checkpoints: at some cuts, all that a replay needs to begin there.
//!
//! The cores' events up to the cut are handed over first: in the file, a checkpoint stands behind all that comes before it
//! in the run, and the next chunk of every core begins at the cut. Of memory, only the pages that were written since the
//! last checkpoint are looked at: every core loses its fast rights to write, and who asks again is noted (`Ram::note_write`).

use crate::{Lane, Recorder};
use cantus_engine::write_core;
use cantus_interp::Core;
use cantus_memory::{PageIndex, Ram};
use cantus_traces::{Checkpoint, ContentDigest, Position, limits::PAGE_BYTES};
use parking_lot::Mutex;
use std::collections::VecDeque;

/// Gives the state of the machine's devices, while no core runs.
pub type DeviceState = Box<dyn Fn() -> Vec<u8> + Send + Sync>;

/// Which cuts have checkpoints, and which of them the trace holds.
pub(crate) struct Checkpoints {
    /// Every how many steps of all cores; 0: never.
    interval: u64,
    devices: DeviceState,
    /// So many steps of all cores the trace holds at least, and not many more; none: it holds all.
    keep: Option<u64>,
    written: Mutex<Written>,
}

/// The checkpoints that the trace holds.
struct Written {
    /// By their cuts, the first for where the trace begins, with the steps of all cores there. No cut is the run's beginning.
    held: VecDeque<(Option<u32>, u64)>,
}

impl Written {
    fn last(&self) -> (Option<u32>, u64) {
        self.held.back().copied().unwrap_or_default()
    }

    /// The cut that the trace may begin at, if all before it is more than it has to hold.
    fn outlived(&mut self, keep: u64) -> Option<u32> {
        let (_, now) = self.last();
        let mut outlived = None;
        while let Some(&(cut, steps)) = self.held.get(1)
            && now.saturating_sub(steps) >= keep
        {
            self.held.pop_front();
            outlived = cut;
        }
        outlived
    }
}

impl Checkpoints {
    pub(crate) fn new(interval: u64, devices: DeviceState, keep: Option<u64>) -> Self {
        let written = Mutex::new(Written { held: [(None, 0)].into() });
        Self { interval, devices, keep, written }
    }
}

impl Recorder {
    /// All cores stand at this cut, and so many steps were completed by all of them: writes a checkpoint if one is due.
    pub(crate) fn checkpoint_when_due(&self, cores: &mut [(&mut Core, &mut Lane)], cut: u32, steps: u64) {
        let mut written = self.checkpoints.written.lock();
        let (base, before) = written.last();
        // Cuts come somewhat after the steps that they are due at.
        let passed = |steps: u64| steps.checked_div(self.checkpoints.interval);
        if passed(steps) <= passed(before) {
            return;
        }
        written.held.push_back((Some(cut), steps));
        let Some((first, _)) = cores.first() else { return };
        let ram = first.ram.clone();
        let writer = &self.cuts.writer;
        let mut states = Vec::with_capacity(cores.len());
        for (core, lane) in cores.iter_mut() {
            lane.stream.flush(Position(core.position));
            core.tlb.revoke_writes();
            states.push(state(core, lane));
        }
        writer.checkpoint(&Checkpoint {
            cut,
            base,
            positions: cores.iter().map(|(core, _)| Position(core.position)).collect(),
            cores: states,
            devices: (self.checkpoints.devices)(),
            pages: ram.take_changed().into_iter().map(|page| self.store(&ram, page)).collect(),
        });
        if let Some(first) = self.checkpoints.keep.and_then(|keep| written.outlived(keep)) {
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
        self.checkpoints.written.lock().held = [(Some(0), steps)].into();
        // Of what changed before, nothing needs to be known: everything is written.
        ram.take_changed();
        self.cuts.writer.checkpoint(&Checkpoint {
            cut: 0,
            base: None,
            positions,
            cores: cores.iter().map(|(core, lane)| state(core, lane)).collect(),
            devices: (self.checkpoints.devices)(),
            pages: ram.written_pages().map(|page| self.store(&ram, page)).collect(),
        });
    }

    fn store(&self, ram: &Ram, page: PageIndex) -> (u64, ContentDigest) {
        let mut bytes = [0; PAGE_BYTES];
        ram.read(ram.address(page), &mut bytes);
        (u64::from(page.0), self.cuts.writer.page(&bytes))
    }
}

/// A core's state in a checkpoint: its history, and then what the engine says.
fn state(core: &Core, lane: &Lane) -> Vec<u8> {
    let mut state = lane.history.link().0.to_vec();
    write_core(core, &mut state);
    state
}
