//! Replays a trace, and checks that nothing differs.

use crate::board::differing;
use crate::executor::Chosen;
use crate::guest::file_of_trace;
use crate::machine::{BOARD, Setup};
use crate::warnings::Warned;
use crate::{
    Error, Executor, Guest, GuestFile, Moment, Options, Output, PerfMap, Peripherals, Span, Statistics,
    Warnings,
};
use cantus_engine::{Ended, Engine, Host, Outcome, Policy};
use cantus_interp::Core;
use cantus_machine::{ISA, Makeup};
use cantus_replayer::{Cause, Divergence, Recorded, Replayer, Report, first_divergence};
use cantus_traces::{CoreId, Footer, Position, Trace};
use std::path::Path;

/// How to replay. What the guest is and how its machine is made stands in the trace.
#[derive(Clone)]
pub struct ReplayOptions {
    /// Host threads that run cores. By default as many as the host has CPUs.
    pub workers: usize,
    /// What executes the guest's instructions. The translator to host code by default, whatever it was in the recording.
    pub executor: Executor,
    /// A map of translated code for `perf`. None by default.
    pub perf_map: Option<PerfMap>,
    /// Where the guest's console output goes. Nowhere by default.
    pub output: Output,
    /// Who is told of what went wrong in the guest's devices. Nobody by default.
    pub warnings: Warnings,
    /// The guest's files that the trace does not hold.
    pub files: Vec<GuestFile>,
    /// Ends the replay from outside.
    pub interrupt: crate::Interrupt,
    /// Begins at the last checkpoint before this moment. At the beginning by default.
    pub from: Option<Moment>,
    /// Ends at this moment. At the end by default.
    pub to: Option<Moment>,
}

impl Default for ReplayOptions {
    fn default() -> Self {
        let Options { workers, executor, perf_map, output, warnings, interrupt, .. } = Options::default();
        let files = Vec::new();
        Self { workers, executor, perf_map, output, warnings, files, interrupt, from: None, to: None }
    }
}

/// Whether a replay was the recorded run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// It was, to the end.
    Identical,
    /// It was, as far as the trace goes; the text says what is missing.
    IdenticalSoFar(String),
    /// It was not.
    Diverged(Divergence),
    /// The replay was ended from outside before it could be said.
    Interrupted,
}

/// What came of a replay.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Replayed {
    /// Whether it was the recorded run.
    pub verdict: Verdict,
    /// How the recorded run ended, if the trace says so.
    pub footer: Option<Footer>,
    /// Steps that each core completed.
    pub steps: Vec<u64>,
    /// Digests compared.
    pub agreed: Vec<Position>,
    /// Which part of the run was replayed.
    pub span: Span,
    /// What was done.
    pub statistics: Statistics,
}

/// Replays the trace at `path`, and compares every digest.
///
/// # Errors
/// Where the trace cannot be read, or is of a machine that this version does not have. That the replay differs is no
/// error, but a [`Verdict`].
pub fn replay(path: impl AsRef<Path>, options: &ReplayOptions) -> Result<Replayed, Error> {
    let opened = Opened::new(path.as_ref(), &options.files)?;
    let span = opened.span(options)?;
    let replay = opened.start(options, span, |_, executor| executor)?;
    Ok(replay.finish(&opened))
}

/// A trace that is about to be replayed.
pub(crate) struct Opened {
    pub(crate) trace: Trace,
    pub(crate) guest: Guest,
    pub(crate) machine: Options,
}

/// What is left of a replay, beside what came of it.
pub(crate) struct Left {
    /// The machine as it was left.
    pub(crate) setup: Setup,
    /// Its cores, by number.
    pub(crate) cores: Vec<Core>,
    /// Whether the guest has ended its run.
    pub(crate) guest_ended: bool,
    /// When the last timer was due whose interrupt came, in ticks.
    pub(crate) last_timer: u64,
}

/// A replay that has ended.
pub(crate) struct Done {
    setup: Setup,
    ended: Ended<Replayer>,
    span: Span,
}

impl Opened {
    pub(crate) fn new(path: &Path, given: &[GuestFile]) -> Result<Self, Error> {
        let trace = Trace::open(path)?;
        let configuration = &trace.header().configuration;
        for (what, expected, came) in
            [("instruction set", ISA, &configuration.isa), ("board", BOARD, &configuration.board)]
        {
            if expected != came {
                let (expected, came) = (expected.to_owned(), came.clone());
                return Err(Error::Incompatible { path: path.to_owned(), what, expected, came });
            }
        }
        let machine = Options {
            cores: usize::from(configuration.cores),
            ram_bytes: configuration.ram_bytes,
            seed: Guest::seed_of_trace(&trace),
            peripherals: Peripherals::of_trace(&trace, |at, image| {
                file_of_trace(&trace, path, given, at, image)
            })?,
            ..Options::default()
        };
        let guest = Guest::of_trace(&trace, path, given)?;
        Ok(Self { trace, guest, machine })
    }

    /// Replays a part of it with the executors that `wrap` makes of those chosen.
    pub(crate) fn start<E: cantus_interp::Executor>(
        &self,
        options: &ReplayOptions,
        span: Span,
        wrap: impl Fn(usize, Chosen) -> E,
    ) -> Result<Done, Error> {
        self.start_before(Box::new(Warned(options.warnings.clone())), options, span, wrap)
    }

    /// The same before a host that overhears what the devices ask.
    pub(crate) fn start_before<E: cantus_interp::Executor>(
        &self,
        host: Box<dyn Host>,
        options: &ReplayOptions,
        span: Span,
        wrap: impl Fn(usize, Chosen) -> E,
    ) -> Result<Done, Error> {
        let setup = Setup::new(&self.guest, &self.machine)?;
        self.check_board(setup.machine.makeup(), &span)?;
        let begun = self.begin(&setup, &span)?;
        let recorded =
            Recorded { cuts: self.trace.machine_digests()?, checkpoints: self.checkpoint_states() };
        let (replayer, lanes) = Replayer::new(begun.parts, recorded, setup.memory_digest());
        let listening = options.perf_map.as_ref().map(|map| map.of_guest(&self.guest));
        let executors = options.executor.of_machine(listening)?;
        let cores = begun.cores.into_iter().zip(lanes).enumerate();
        let cores = cores.map(|(id, (core, lane))| Ok((core, wrap(id, executors.of_core()), lane)));
        let cores = cores.collect::<Result<_, Error>>()?;
        let configuration = cantus_engine::Configuration {
            workers: options.workers.max(1),
            policy: Policy::Fair { slice: 1_000_000 },
            ..self.machine.engine()
        };
        let engine = Engine::new(
            configuration,
            replayer,
            cores,
            setup.bus(),
            setup.safepoints.clone(),
            options.output.console(),
            host,
        );
        for core in self.trace.cores() {
            let (lines, deadline) = setup.machine.board().live(core);
            engine.outside().begin_lines(core, lines, deadline);
        }
        options.interrupt.watch(engine.outside());
        Ok(Done { setup, ended: engine.run(), span })
    }

    /// Makes sure that this build makes the board that the trace was recorded on.
    fn check_board(&self, makeup: &Makeup, span: &Span) -> Result<(), Error> {
        let header = self.trace.header();
        let parts = differing(makeup, &header.configuration.settings, span.from.is_some());
        if parts.is_empty() {
            return Ok(());
        }
        let (path, recorder) = (self.trace.path().to_owned(), header.recorder.clone());
        Err(Error::Board { path, parts: parts.join(", "), recorder })
    }

    /// The cores' states at the cuts that have checkpoints.
    fn checkpoint_states(&self) -> cantus_replayer::Checkpoints {
        let trace = self.trace.clone();
        let cuts = trace.checkpoints();
        // A damaged one is no checkpoint, and the trace's completeness says so.
        Box::new(move |cut| {
            cuts.binary_search(&cut).ok().and_then(|_| Some(trace.checkpoint(cut).ok()?.cores))
        })
    }
}

impl Done {
    /// What came of it.
    pub(crate) fn finish(self, opened: &Opened) -> Replayed {
        self.finish_with_machine(opened).0
    }

    /// What came of it, and what is left of it.
    pub(crate) fn finish_with_machine(self, opened: &Opened) -> (Replayed, Left) {
        let Ended { outcome, guest_ended, last_timer, boundary, cores } = self.ended;
        let steps: Vec<u64> = cores.iter().map(|finished| finished.core.position).collect();
        let statistics = Statistics::of(&cores, |lane| lane.orders());
        let stuck = if let Outcome::Stuck(core) = outcome {
            let at = &cores[core.index()].core;
            let (position, pc) = (Position(at.position), Some(at.hart.pc));
            Some(Divergence { core, position, pc, agreed: Position(0), cause: Cause::Stuck })
        } else {
            None
        };
        let differing = boundary.differing_cuts();
        let left = boundary.has_diverged() || stuck.is_some();
        let (reports, cores): (Vec<Report>, Vec<Core>) = cores
            .into_iter()
            .map(|finished| (finished.lane.report(&finished.core, left), finished.core))
            .unzip();
        let agreed = reports.iter().map(|report| report.agreed).collect();
        let footer = opened.trace.footer().cloned();
        let verdict = if let Some(divergence) = first_divergence(&reports) {
            Verdict::Diverged(divergence.clone())
        } else if let Some(divergence) = stuck {
            Verdict::Diverged(divergence)
        } else if outcome == Outcome::Interrupted {
            Verdict::Interrupted
        } else if let Some(&cut) = differing.first() {
            Verdict::Diverged(memory_divergence(&reports, &opened.trace, Some(cut)))
        } else if let Some(error) = reports.iter().find_map(|report| report.error.as_ref()) {
            Verdict::IdenticalSoFar(error.to_string())
        } else if reports.iter().all(|report| report.is_complete) {
            match &footer {
                Some(footer) if self.span.to.is_none() && footer.memory != (self.setup.memory_digest())() => {
                    Verdict::Diverged(memory_divergence(&reports, &opened.trace, None))
                }
                _ => Verdict::Identical,
            }
        } else {
            Verdict::IdenticalSoFar(opened.trace.completeness().to_string())
        };
        let left = Left { setup: self.setup, cores, guest_ended, last_timer };
        (Replayed { verdict, footer, steps, agreed, span: self.span, statistics }, left)
    }
}

/// Memory differs at a cut, or at the end, and no core has noticed; at the cut before it did not.
fn memory_divergence(reports: &[Report], trace: &Trace, cut: Option<u32>) -> Divergence {
    let (core, report) = reports.iter().enumerate().min_by_key(|(_, report)| report.agreed).expect("a core");
    let cuts = trace.machine_digests().unwrap_or_default();
    let at = |number: u32| cuts.iter().find(|cut| cut.cut == number).map(|cut| cut.positions[core]);
    let (position, before) = match cut {
        Some(cut) => (at(cut), cut.checked_sub(1)),
        None => (None, cuts.last().map(|cut| cut.cut)),
    };
    Divergence {
        core: CoreId(core as u8),
        position: position.unwrap_or(report.agreed),
        pc: None,
        agreed: before.and_then(at).unwrap_or_default(),
        cause: Cause::Memory { cut },
    }
}
