//! A machine with a guest in it, ready to be run under any boundary.

use crate::{Error, Guest, Keep, Options};
use cantus_engine::{Bus, Configuration};
use cantus_interp::Core;
use cantus_machine::{Granularity, Machine, MachineConfig};
use cantus_memory::Tlb;
use cantus_recorder::Devices;
use cantus_traces::limits::PAGE_BYTES;
use cantus_traces::{ContentDigest, CoreId};
use cantus_transactions::Safepoints;
use std::sync::Arc;

/// The board that this version has.
pub(crate) const BOARD: &str = "virt";

/// A machine whose cores have not run yet.
pub(crate) struct Setup {
    pub(crate) machine: Arc<Machine>,
    pub(crate) safepoints: Arc<Safepoints>,
}

impl Setup {
    pub(crate) fn new(guest: &Guest, options: &Options) -> Result<Self, Error> {
        let config = MachineConfig::new(options.cores as u64, options.ram_bytes)?;
        let machine = guest.boot(options.seed)?;
        let machine = Arc::new(Machine::with_peripherals(config, &machine, &options.peripherals.machine()?)?);
        Ok(Self { machine, safepoints: Arc::new(Safepoints::new(options.cores)) })
    }

    /// The cores at reset.
    pub(crate) fn cores(&self) -> Vec<Core> {
        let ram = self.machine.ram();
        let core = |id: usize| {
            let mut hart = cantus_isa::riscv::Hart::new(id as u64);
            let reset = self.machine.reset_state(CoreId(id as u8));
            (hart.pc, hart.x[10], hart.x[11], hart.x[12]) = (reset.pc, reset.a0, reset.a1, reset.a2);
            Core {
                id: id as u8,
                hart,
                tlb: Tlb::new(ram),
                position: 0,
                code_epoch: 0,
                reservation_lost: false,
                ram: ram.clone(),
            }
        };
        (0..self.machine.config().cores()).map(core).collect()
    }

    pub(crate) fn bus(&self) -> Arc<dyn Bus> {
        self.machine.board().clone()
    }

    /// Takes the digest of memory and devices while no core runs.
    pub(crate) fn memory_digest(&self) -> Box<dyn Fn() -> ContentDigest + Send + Sync> {
        let machine = self.machine.clone();
        Box::new(move || machine.digest(&[]))
    }

    /// The devices, for checkpoints.
    pub(crate) fn devices(&self) -> Box<dyn Devices> {
        Box::new(Checkpointed(self.machine.clone()))
    }

    pub(crate) fn signature(&self, options: &Options) -> Result<Option<String>, Error> {
        let Some(granularity) = options.signature_granularity else { return Ok(None) };
        let granularity = Granularity::new(granularity as u64)?;
        Ok(self.machine.signature(granularity))
    }
}

/// A machine's devices as a checkpoint has them.
struct Checkpointed(Arc<Machine>);

impl Devices for Checkpointed {
    fn state(&self) -> Vec<u8> {
        let mut state = Vec::new();
        self.0.board().write_state(&mut state);
        state
    }

    fn take_changed_pages(&self, all: bool) -> Vec<u64> {
        self.0.board().take_changed_pages(all)
    }

    fn page(&self, number: u64) -> [u8; PAGE_BYTES] {
        self.0.board().load_page(number)
    }
}

impl Options {
    /// Every how many steps of all cores together the trace gets a checkpoint; 0: never.
    pub(crate) fn checkpoint_interval(&self) -> u64 {
        match (self.keep_last, self.checkpoint_interval) {
            (None | Some(Keep::Time(_)), interval) => interval,
            (Some(Keep::Steps(keep)), 0) => (keep / 4).max(1),
            (Some(Keep::Steps(keep)), interval) => interval.min(keep / 4).max(1),
        }
    }

    pub(crate) fn engine(&self) -> Configuration {
        Configuration {
            workers: self.workers.max(1),
            clock: self.clock,
            policy: self.policy,
            seed: self.seed,
            choices_max: self.choices_max,
            steps_max: self.steps_max,
        }
    }
}
