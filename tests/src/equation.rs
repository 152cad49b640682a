//! `replay(record(p)) == p`, for one program at a time, whatever executes the one and the other.

use crate::generator::{Program, Size};
use crate::random::Random;
use cantus::{
    Captured, ClockPolicy, Executor, Guest, Input, Moment, Options, Outcome, Output, Policy, Recorded,
    ReplayOptions, Verdict, record, replay, verify_stretches,
};
use cantus_traces::Trace;
use std::fmt;
use std::path::{Path, PathBuf};

/// How a program is recorded and replayed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Schedule {
    /// Which core runs next in the recording.
    pub policy: Policy,
    /// Varies the policy's choices.
    pub seed: u64,
    /// How the guest's time passes.
    pub clock: ClockPolicy,
    /// Host threads of the recording.
    pub record_workers: usize,
    /// Host threads of the replay: another number.
    pub replay_workers: usize,
    /// Every how many of its steps a core's digest is taken.
    pub digest_interval: u64,
    /// Every how many steps of all cores memory's digest is taken.
    pub cut_interval: u64,
    /// Bytes that come in at the console.
    pub input: Vec<u8>,
    /// Every how many steps of all cores the trace gets a checkpoint; 0: never.
    pub checkpoint_interval: u64,
    /// What executes the recording, and what the replay.
    pub executors: [Executor; 2],
}

impl Schedule {
    /// The schedule of a seed.
    pub fn random(seed: u64) -> Self {
        let random = &mut Random::new(seed);
        // As often short slices as long ones: the shorter, the more often granules change hands.
        let slice = 1 << random.between(1, 12);
        let policy = match random.below(3) {
            0 => Policy::Fair { slice },
            1 => Policy::Random { slice_max: slice },
            _ => Policy::Pct { depth: random.between(2, 8) as u32, horizon: 40_000 },
        };
        let record_workers = *random.pick(&[1, 2, 2, 3, 3, 4, 4]);
        Self {
            policy,
            seed: random.bits(),
            clock: if random.one_in(4) { ClockPolicy::Host } else { ClockPolicy::Virtual },
            record_workers,
            replay_workers: (record_workers + random.between(0, 2) as usize) % 4 + 1,
            digest_interval: *random.pick(&[100, 1_000, 1_000, 10_000]),
            cut_interval: *random.pick(&[0, 0, 0, 300, 5_000]),
            input: (0..random.below(8)).map(|_| random.bits() as u8).collect(),
            checkpoint_interval: *random.pick(&[0, 0, 0, 2_000, 20_000]),
            executors: [(); 2]
                .map(|()| *random.pick(&[Executor::Interp, Executor::Jit, Executor::Mixed, Executor::Mixed])),
        }
    }
}

/// No program of the generator comes near so many steps of one core.
const STEPS_MAX: u64 = 20_000_000;

/// A program for which the equation does not hold.
#[derive(Clone, Debug)]
pub struct Failure {
    /// What went wrong.
    pub what: String,
    /// The trace, which is kept.
    pub trace: PathBuf,
}

/// What one check was about.
#[derive(Clone, Copy, Default, Debug)]
pub struct Checked {
    /// Steps of all cores.
    pub steps: u64,
    /// Events in the trace.
    pub events: u64,
}

/// A program as a guest, and how the schedule says that it is run.
pub fn guest(program: &Program, schedule: &Schedule) -> (Guest, Options) {
    let options = Options {
        cores: program.cores.len(),
        ram_bytes: 4 << 20,
        workers: schedule.record_workers,
        clock: schedule.clock,
        policy: schedule.policy,
        seed: schedule.seed,
        steps_max: Some(STEPS_MAX),
        digest_interval: schedule.digest_interval,
        cut_interval: schedule.cut_interval,
        checkpoint_interval: schedule.checkpoint_interval,
        executor: schedule.executors[0],
        input: if program.external { Input::Bytes(schedule.input.clone()) } else { Input::Nothing },
        ..Options::default()
    };
    (Guest::new("generated", program.elf()), options)
}

/// Records and replays a program, and removes the trace if nothing differs.
pub fn check(program: &Program, schedule: &Schedule, trace: &Path) -> Result<Checked, Failure> {
    let failure = |what: String| Failure { what, trace: trace.to_owned() };
    let (recorded_output, replayed_output) = (Captured::default(), Captured::default());
    let (guest, mut options) = guest(program, schedule);
    options.output = Output::Captured(recorded_output.clone());
    let recorded =
        record(&guest, &options, trace, true).map_err(|error| failure(format!("recording: {error}")))?;
    if recorded.outcome != Outcome::Exit(0) {
        return Err(failure(format!(
            "the recording ended with {:?}: {:?}",
            recorded.outcome, recorded.steps
        )));
    }
    let options = ReplayOptions {
        workers: schedule.replay_workers,
        executor: schedule.executors[1],
        output: Output::Captured(replayed_output.clone()),
        ..ReplayOptions::default()
    };
    let replayed = replay(trace, &options).map_err(|error| failure(format!("replaying: {error}")))?;
    if replayed.verdict != Verdict::Identical {
        return Err(failure(format!("the replay is not the recording: {:?}", replayed.verdict)));
    }
    if replayed.steps != recorded.steps {
        return Err(failure(format!("recorded steps {:?}, replayed {:?}", recorded.steps, replayed.steps)));
    }
    if recorded_output.bytes() != replayed_output.bytes() {
        return Err(failure("ORD-8: the replay prints something else".into()));
    }
    check_parts(&recorded, &recorded_output.bytes(), schedule, trace).map_err(failure)?;
    std::fs::remove_file(trace).map_err(|error| failure(format!("removing the trace: {error}")))?;
    Ok(Checked { steps: recorded.steps.iter().sum(), events: recorded.totals.events })
}

/// So many checkpoints of a trace are begun at, about.
const PARTS_MAX: usize = 3;

/// Replays the trace from checkpoints to the end, and the beginning to some moment.
fn check_parts(recorded: &Recorded, output: &[u8], schedule: &Schedule, trace: &Path) -> Result<(), String> {
    let checkpoints = Trace::open(trace).map_err(|error| error.to_string())?.checkpoints();
    // Replays from many of them would say little more.
    let stride = checkpoints.len() / PARTS_MAX + 1;
    for cut in checkpoints.into_iter().step_by(stride) {
        let told = Captured::default();
        let options = ReplayOptions {
            workers: schedule.replay_workers,
            executor: schedule.executors[1],
            output: Output::Captured(told.clone()),
            from: Some(Moment::Cut(cut)),
            ..ReplayOptions::default()
        };
        let replayed =
            replay(trace, &options).map_err(|error| format!("replaying from cut {cut}: {error}"))?;
        let begun = replayed.span.from.as_ref().and_then(|stand| stand.cut);
        if (&replayed.verdict, begun) != (&Verdict::Identical, Some(cut)) {
            return Err(format!("from cut {cut}, it began at {begun:?} and was {:?}", replayed.verdict));
        }
        if replayed.steps != recorded.steps || !output.ends_with(&told.bytes()) {
            return Err(format!("from cut {cut}, it ends at {:?} or prints otherwise", replayed.steps));
        }
    }
    if schedule.checkpoint_interval != 0 {
        let options =
            ReplayOptions { workers: 1, executor: schedule.executors[1], ..ReplayOptions::default() };
        let verified =
            verify_stretches(trace, &options, 2).map_err(|error| format!("in stretches: {error}"))?;
        if verified.replayed.verdict != Verdict::Identical || verified.replayed.steps != recorded.steps {
            return Err(format!(
                "in {} stretches, it was {:?}",
                verified.stretches, verified.replayed.verdict
            ));
        }
    }
    let moment = Moment::Percent((schedule.seed % 101) as u8);
    let options = ReplayOptions {
        workers: schedule.replay_workers,
        executor: schedule.executors[1],
        to: Some(moment),
        ..ReplayOptions::default()
    };
    let replayed = replay(trace, &options).map_err(|error| format!("replaying to {moment}: {error}"))?;
    let to =
        replayed.span.to.as_ref().map(|stand| stand.positions.iter().map(|position| position.0).collect());
    if (&replayed.verdict, Some(replayed.steps)) != (&Verdict::Identical, to) {
        return Err(format!("to {moment}, it was {:?}", replayed.verdict));
    }
    Ok(())
}

/// Checks the program and the schedule of one seed; the trace of a failure stays in `folder`. If so asked, a failing
/// program is made smaller, and comes with the report.
pub fn check_seed(seed: u64, size: Size, folder: &Path, shrink: bool) -> Result<Checked, Box<Report>> {
    let program = Program::random(seed, size);
    let schedule = Schedule::random(seed);
    let trace = folder.join(format!("seed-{seed}.cantus"));
    check(&program, &schedule, &trace).map_err(|failure| {
        let smaller = folder.join(format!("seed-{seed}-small.cantus"));
        // Workers race: one run that does not fail proves nothing.
        let fails = |program: &Program| (0..TRIES).any(|_| check(program, &schedule, &smaller).is_err());
        let small = shrink.then(|| program.shrunk(fails));
        Box::new(Report { seed, failure, schedule, small })
    })
}

const TRIES: usize = 5;

/// A failure, told so that one can begin to work on it.
#[derive(Clone, Debug)]
pub struct Report {
    seed: u64,
    failure: Failure,
    schedule: Schedule,
    small: Option<Program>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Report { seed, failure, schedule, small } = self;
        writeln!(f, "seed {seed}: {}", failure.what)?;
        writeln!(f, "kept: {}", failure.trace.display())?;
        writeln!(f, "again: cargo xtask fuzz --seed {seed} -n 1")?;
        write!(f, "schedule: {schedule:?}")?;
        if let Some(small) = small {
            write!(f, "\nsmallest program that failed: {small:#?}")?;
        }
        Ok(())
    }
}
