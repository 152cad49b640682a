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

/// Gives the state of the machine's devices, while no core runs.
pub type DeviceState = Box<dyn Fn() -> Vec<u8> + Send + Sync>;

/// Which cuts have checkpoints, and what the last one was.
pub(crate) struct Checkpoints {
    /// Every how many steps of all cores; 0: never.
    interval: u64,
    devices: DeviceState,
    last: Mutex<Last>,
}

#[derive(Default)]
struct Last {
    /// The cut of the last checkpoint.
    cut: Option<u32>,
    /// Steps of all cores there.
    steps: u64,
}

impl Checkpoints {
    pub(crate) fn new(interval: u64, devices: DeviceState) -> Self {
        Self { interval, devices, last: Mutex::default() }
    }
}

impl Recorder {
    /// All cores stand at this cut, and so many steps were completed by all of them: writes a checkpoint if one is due.
    pub(crate) fn checkpoint_when_due(&self, cores: &mut [(&mut Core, &mut Lane)], cut: u32, steps: u64) {
        let mut last = self.checkpoints.last.lock();
        // Cuts come somewhat after the steps that they are due at.
        let passed = |steps: u64| steps.checked_div(self.checkpoints.interval);
        if passed(steps) <= passed(last.steps) {
            return;
        }
        let base = last.cut.replace(cut);
        last.steps = steps;
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
    }

    /// The run does not begin with the cores' reset but as they stand: the trace begins here, with a checkpoint of all
    /// memory at cut 0. To be called before any core runs, once.
    pub fn begin_here(&self, cores: &mut [(&mut Core, &mut Lane)]) {
        let Some((first, _)) = cores.first() else { return };
        let ram = first.ram.clone();
        self.note_first_cut(cores);
        let positions: Vec<_> = cores.iter().map(|(core, _)| Position(core.position)).collect();
        *self.checkpoints.last.lock() =
            Last { cut: Some(0), steps: positions.iter().map(|position| position.0).sum() };
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
