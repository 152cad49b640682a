//! Runs a guest free: nothing is recorded.

use crate::host::{Answers, Host};
use crate::machine::Setup;
use crate::options::{Stdin, Typed, Typist};
use crate::stop_on::{Watch, console};
use crate::{Error, Guest, Input, Options, Statistics};
use cantus_engine::{Boundary, Ended, Engine, Free, Outcome, Outside};
use cantus_interp::Executor;
use cantus_machine::Board;
use cantus_machine::map::Device;
use cantus_traces::DeviceId;
use std::sync::Arc;

/// What came of a run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ran {
    /// How it ended.
    pub outcome: Outcome,
    /// Steps that each core completed.
    pub steps: Vec<u64>,
    /// The signature, where one was wanted and the program has one.
    pub signature: Option<String>,
    /// What was done.
    pub statistics: Statistics,
}

/// Runs a guest until it ends.
///
/// # Errors
/// Where the machine or the guest's file is not what it should be.
pub fn run(guest: &Guest, options: &Options) -> Result<Ran, Error> {
    let setup = Setup::new(guest, options)?;
    let host = Host::new(options)?;
    let listening = options.perf_map.as_ref().map(|map| map.of_guest(guest));
    let executors = options.executor.of_machine(listening)?;
    let cores = setup.cores().into_iter().map(|core| Ok((core, executors.of_core(), ())));
    let cores = cores.collect::<Result<_, Error>>()?;
    let watch = Watch::new(options);
    let engine = Engine::new(
        options.engine(),
        Free,
        cores,
        setup.bus(),
        setup.safepoints.clone(),
        console(options, watch.as_ref()),
        Box::new(Answers(host.clone())),
    );
    let ended = drive(engine, options, &setup, &host, watch.as_deref())?;
    if let Some(error) = host.failure() {
        return Err(error);
    }
    let steps = ended.cores.iter().map(|finished| finished.core.position).collect();
    let statistics = Statistics::of_free(&ended.cores);
    Ok(Ran { outcome: ended.outcome, steps, signature: setup.signature(options)?, statistics })
}

/// Runs an engine whose outside is live to its end.
pub(crate) fn drive<B: Boundary, E: Executor>(
    engine: Engine<B, E>,
    options: &Options,
    setup: &Setup,
    host: &Arc<Host>,
    watch: Option<&Watch>,
) -> Result<Ended<B>, Error> {
    let outside = engine.outside();
    if let Some(watch) = watch {
        watch.begin(&outside);
    }
    options.interrupt.watch(outside.clone());
    match &options.input {
        Input::Nothing => {}
        Input::Bytes(bytes) => {
            outside.feed(input_device(options.peripherals.console(), setup.machine.board()), bytes.clone())
        }
        Input::Stdin => feed(Source::new(&outside), Typist::new(Stdin), options, setup),
        Input::Typed(typist) => feed(Source::new(&outside), typist.clone(), options, setup),
    }
    let carriers = host.start(&outside, setup.machine.board())?;
    let ended = engine.run();
    drop(carriers);
    Ok(ended)
}

/// A source of input that is open until it is dropped.
pub(crate) struct Source(pub(crate) Arc<Outside>);

impl Source {
    pub(crate) fn new(outside: &Arc<Outside>) -> Self {
        outside.open_input();
        Self(outside.clone())
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        self.0.close_input();
    }
}

/// The device that console input is for: the virtio console in this slot, or what the board says.
fn input_device(slot: Option<u8>, board: &Board) -> DeviceId {
    slot.map_or_else(|| board.console(), |slot| Device::Virtio(slot).id())
}

/// Feeds what is typed to the console, from a thread that lives until no more will come.
#[expect(clippy::disallowed_methods, reason = "a keyboard blocks; what is typed is logged as input")]
fn feed(source: Source, typist: Typist, options: &Options, setup: &Setup) {
    let board = setup.machine.board().clone();
    let slot = options.peripherals.console();
    std::thread::spawn(move || {
        let mut keyboard = typist.0.lock();
        while let Some(typed) = keyboard.next() {
            match typed {
                Typed::Bytes(bytes) => source.0.feed(input_device(slot, &board), bytes),
                Typed::Size { columns, rows } => {
                    if let Some(control) = slot.and_then(|slot| Device::Virtio(slot).control_id()) {
                        let size = [columns.to_le_bytes(), rows.to_le_bytes()].concat();
                        source.0.feed(control, size);
                    }
                }
            }
        }
        drop(source);
    });
}
