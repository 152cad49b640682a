//! `cantus hunt`: records a guest again and again, each time under another schedule, and keeps what failed.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use cantus::hunt::{self, Narrowed};
use cantus::{Captured, Guest, Interrupt, Options, Outcome, Output, Policy};
use cantus_analyses::diff::grouped;
use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use indicatif::ProgressBar;
use owo_colors::OwoColorize;
use serde::Serialize;

use crate::args::{self, MachineArgs, Schedule, TraceArgs};
use crate::failure::{Failure, status};
use crate::outcome;
use crate::places::Places;
use crate::stop;
use crate::terminal::{self, Voice};
use crate::verbs::record;

/// Runs of a hunt that has no other end.
const RUNS: u64 = 100;
/// A run that takes so many steps on one core is taken for one that never ends.
const STEPS_MAX: u64 = 100_000_000;
/// The same for a kernel, which boots first.
const STEPS_MAX_KERNEL: u64 = 20_000_000_000;

/// Record a guest again and again, and keep only what failed
///
/// Each run has another schedule: random turns of different lengths, and random priorities with random change points.
/// A run fails if the guest's status is not 0, if it hangs, if a line of its console matches --stop-on, or if it reaches its
/// limit of instructions, which is 100M of one core, or 20G with a kernel, unless --max-instructions is given. A machine with an operating system ends well
/// whatever its programs did: --fail-on says what they print.
#[derive(Args, Debug)]
pub struct Hunt {
    #[command(flatten)]
    machine: MachineArgs,
    /// Stop at the first run that fails
    #[arg(long)]
    until_fail: bool,
    /// At most so many runs [default: 100; with --until-fail: no limit]
    #[arg(short = 'n', long, value_name = "N", value_parser = args::count, allow_hyphen_values = true)]
    runs: Option<u64>,
    /// So many runs at once
    #[arg(short, long, value_name = "N", default_value_t = 1, value_parser = args::number(1..=args::WORKERS_MAX), allow_hyphen_values = true)]
    jobs: u64,
    /// Find the one choice of the schedule that makes a run fail. Kept are then the run with that choice, which fails,
    /// and the run without it, which passes: `cantus diff` of the two shows where the bug begins. On one worker only
    #[arg(long)]
    narrow: bool,
    /// A run fails, too, if the guest prints this, such as "Kernel panic"
    #[arg(long, value_name = "TEXT", conflicts_with = "narrow", value_parser = NonEmptyStringValueParser::new())]
    fail_on: Option<String>,
    /// Hunt with this schedule only, under different seeds: fair, random or pct, as for record
    #[arg(long, value_name = "HOW")]
    schedule: Option<Schedule>,
    #[command(flatten)]
    trace: TraceArgs,
    /// Print the summary as JSON
    #[arg(long)]
    json: bool,
}

/// A run that failed.
#[derive(Clone, Debug, Serialize)]
pub struct Caught {
    /// The run's number, from 1.
    pub run: u64,
    /// Its trace.
    pub trace: PathBuf,
    /// With `--narrow`, the trace of a run that passed, with one choice of the schedule less.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub passing: Option<PathBuf>,
    /// Its schedule's seed.
    pub seed: u64,
    /// Its schedule, as `--schedule` takes it.
    pub schedule: String,
    /// After how many choices of the schedule the cores run in turn, as `--choices` takes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub choices: Option<u64>,
    /// How it ended.
    #[serde(flatten)]
    pub outcome: outcome::Facts,
    /// In words.
    #[serde(skip)]
    pub in_words: String,
}

#[derive(Serialize)]
struct Summary<'a> {
    guest: &'a str,
    /// Runs that came to their end.
    runs: u64,
    failed: &'a [Caught],
}

impl Hunt {
    pub fn execute(self, voice: Voice) -> Result<u8, Failure> {
        let guest = self.machine.open_guest()?;
        let places = Places::from_environment()?;
        places.create()?;
        places.sweep();
        let interrupt = stop::on_ctrl_c();
        // Most of its traces are thrown away at once.
        let options = Options {
            checkpoint_interval: 0,
            ..record::with_trace_args(self.machine.options()?, &self.trace)
        };
        let options = Options {
            // With one worker a run is a function of its seed, and a schedule means what it says.
            workers: self.machine.workers.map_or(1, |workers| workers as usize),
            steps_max: options.steps_max.or(Some(match guest.kernel {
                Some(_) => STEPS_MAX_KERNEL,
                None => STEPS_MAX,
            })),
            interrupt: interrupt.clone(),
            ..options
        };
        let runs = match (self.runs, self.until_fail) {
            (Some(runs), _) => runs,
            (None, true) => u64::MAX,
            (None, false) => RUNS,
        };
        let hunter = Hunter {
            guest: &guest,
            options,
            places: &places,
            only: self.schedule.map(|schedule| schedule.0),
            narrow: self.narrow,
            fail_on: self.fail_on.clone(),
        };
        let progress = voice.progress("hunting");
        let game = hunter.hunt(runs, self.jobs, self.until_fail, &progress);
        progress.finish_and_clear();
        let game = game?;
        self.report(voice, &hunter, &game)?;
        // What was caught is what was asked for, even if the hunt was then interrupted.
        match (game.caught.is_empty(), interrupt.is_raised() && !game.over) {
            (false, _) => Ok(status::DIFFERENT),
            (true, true) => Ok(status::INTERRUPTED),
            (true, false) => Ok(status::OK),
        }
    }

    fn report(&self, voice: Voice, hunter: &Hunter<'_>, game: &Game) -> Result<(), Failure> {
        let Game { runs, caught, .. } = game;
        let mut out = terminal::out();
        if self.json {
            terminal::json(&mut out, &Summary { guest: &hunter.guest.name, runs: *runs, failed: caught })?;
            out.flush()?;
            return Ok(());
        }
        for caught in caught {
            writeln!(
                out,
                "{} run {}: {} (seed {}, schedule {})",
                "failed".style(terminal::bad()),
                grouped(caught.run),
                caught.in_words,
                caught.seed,
                caught.schedule
            )?;
            writeln!(out, "  {}", caught.trace.display().style(terminal::strong()))?;
        }
        let plural = if *runs == 1 { "run" } else { "runs" };
        match caught.as_slice() {
            [] => writeln!(out, "no run failed in {} {plural}", grouped(*runs))?,
            [first, ..] => {
                writeln!(out, "{} of {} {plural} failed", grouped(caught.len() as u64), grouped(*runs))?;
                let name =
                    |trace: &PathBuf| trace.file_stem().unwrap_or_default().to_string_lossy().into_owned();
                let failed = name(&first.trace);
                voice.say(format!("replay it, exactly, as often as you like: cantus replay {failed}"));
                if let Some(passing) = caught.iter().find(|caught| caught.passing.is_some()) {
                    let (failed, passing) = (name(&passing.trace), passing.passing.as_ref().map(name));
                    voice.say(format!(
                        "see where the bug begins: cantus diff {} {failed}",
                        passing.unwrap_or_default()
                    ));
                }
            }
        }
        out.flush()?;
        Ok(())
    }
}

/// Records one guest under many schedules.
pub struct Hunter<'a> {
    /// What is run.
    pub guest: &'a Guest,
    /// How, apart from the schedule. The seed is the first run's.
    pub options: Options,
    /// Where traces are kept.
    pub places: &'a Places,
    /// The only schedule, if not all are wanted.
    pub only: Option<Policy>,
    /// Whether failed runs are narrowed down to one choice.
    pub narrow: bool,
    /// What a run fails by that prints it.
    pub fail_on: Option<String>,
}

/// What a hunt brought home.
#[derive(Debug, Default)]
pub struct Game {
    /// Runs that came to their end.
    pub runs: u64,
    /// Those that failed, by their numbers.
    pub caught: Vec<Caught>,
    /// Whether the hunt ended by itself.
    pub over: bool,
}

/// A run that came to its end.
pub struct Attempt {
    /// How.
    pub outcome: Outcome,
    /// Where its trace is, under a name that it does not keep.
    pub trace: PathBuf,
    /// Its schedule.
    pub policy: Policy,
    /// Its seed.
    pub seed: u64,
    /// Steps that each core completed.
    pub steps: Vec<u64>,
    /// What the guest wrote to its console.
    pub console: Vec<u8>,
}

impl Hunter<'_> {
    /// Runs up to `runs` times, `jobs` at once.
    pub fn hunt(
        &self,
        runs: u64,
        jobs: u64,
        until_fail: bool,
        progress: &ProgressBar,
    ) -> Result<Game, Failure> {
        let mut game = Game::default();
        if runs == 0 {
            return Ok(Game { over: true, ..game });
        }
        // The first run is in turn; how long it is says where change points may lie.
        let Some(first) = self.attempt(0, 0)? else { return Ok(game) };
        let horizon = first.steps.iter().sum::<u64>().max(1);
        game.runs = 1;
        if let Some(caught) = self.keep_or_not(0, first)? {
            game.caught.push(caught);
            if until_fail {
                game.over = true;
                return Ok(game);
            }
        }
        let next = AtomicU64::new(1);
        let shared = Mutex::new((game, None::<Failure>, BTreeMap::new()));
        let over = Interrupt::default();
        #[expect(
            clippy::disallowed_methods,
            reason = "runs are independent of each other; each is its own engine"
        )]
        std::thread::scope(|scope| {
            for _ in 0..jobs.min(runs) {
                scope.spawn(|| {
                    while !over.is_raised() && !self.options.interrupt.is_raised() {
                        let number = next.fetch_add(1, Ordering::Relaxed);
                        if number >= runs {
                            break;
                        }
                        let done = self.attempt(number, horizon).and_then(|attempt| match attempt {
                            Some(attempt) => Ok((1, self.keep_or_not(number, attempt)?)),
                            None => Ok((0, None)),
                        });
                        let mut shared = shared.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                        let (game, failure, caught) = &mut *shared;
                        match done {
                            Ok((run, found)) => {
                                game.runs += run;
                                if found.is_some() && until_fail {
                                    over.raise();
                                }
                                caught.extend(found.map(|found| (number, found)));
                            }
                            Err(error) => {
                                failure.get_or_insert(error);
                                over.raise();
                            }
                        }
                        progress.set_message(format!("{} runs, {} failed", game.runs, caught.len()));
                    }
                });
            }
        });
        let (mut game, failure, caught) =
            shared.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(failure) = failure {
            return Err(failure);
        }
        game.caught.extend(caught.into_values());
        if let Some(last) = game.caught.last() {
            record::latest(self.places, &last.trace);
        }
        game.over = !self.options.interrupt.is_raised();
        Ok(game)
    }

    /// The run with this number, from 0. `None` if it was interrupted.
    pub fn attempt(&self, number: u64, horizon: u64) -> Result<Option<Attempt>, Failure> {
        self.attempt_under(self.policy(number, horizon), self.options.seed.wrapping_add(number))
    }

    /// Finds the one choice of a failed run's schedule that makes it fail. `None` if it fails without any.
    pub fn narrowed(&self, failed: &Attempt) -> Result<Option<Narrowed>, Failure> {
        let options = Options { policy: failed.policy, seed: failed.seed, ..self.options.clone() };
        let [passing, failing] = [self.places.unkept(), self.places.unkept()];
        let narrowed = hunt::narrow(self.guest, &options, &passing, &failing);
        if !matches!(narrowed, Ok(Some(_))) {
            discard(&passing);
            discard(&failing);
        }
        Ok(narrowed?)
    }

    fn attempt_under(&self, policy: Policy, seed: u64) -> Result<Option<Attempt>, Failure> {
        let captured = Captured::default();
        let options =
            Options { policy, seed, output: Output::Captured(captured.clone()), ..self.options.clone() };
        let trace = self.places.unkept();
        tracing::debug!("recording under {} with seed {seed}", Schedule(policy));
        let recorded = cantus::record(self.guest, &options, &trace, true);
        match recorded {
            Ok(recorded) if recorded.outcome == Outcome::Interrupted => {
                discard(&trace);
                Ok(None)
            }
            Ok(recorded) => Ok(Some(Attempt {
                outcome: recorded.outcome,
                trace,
                policy,
                seed,
                steps: recorded.steps,
                console: captured.bytes(),
            })),
            Err(error) => {
                discard(&trace);
                Err(error.into())
            }
        }
    }

    /// The first run is in turn, as in real life; then schedules that are rarely met there.
    fn policy(&self, number: u64, horizon: u64) -> Policy {
        match (self.only, number) {
            (Some(Policy::Pct { depth, .. }), 1..) => Policy::Pct { depth, horizon },
            (Some(policy), _) => policy,
            (None, 0) => Options::default().policy,
            (None, number) => hunt::schedule(self.options.seed, number, horizon).0,
        }
    }

    fn keep_or_not(&self, number: u64, attempt: Attempt) -> Result<Option<Caught>, Failure> {
        let said = self.fail_on.as_deref().filter(|text| {
            attempt.console.windows(text.len().max(1)).any(|window| window == text.as_bytes())
        });
        if !hunt::is_failure(attempt.outcome) && said.is_none() {
            discard(&attempt.trace);
            return Ok(None);
        }
        let narrowed = match self.narrow {
            true => self.narrowed(&attempt)?,
            false => None,
        };
        let keep = |trace: &PathBuf| self.places.keep(trace, &self.guest.name);
        let passing = narrowed.as_ref().map(|narrowed| keep(&narrowed.passing.path)).transpose()?;
        let (outcome, steps, trace) = match &narrowed {
            Some(Narrowed { failing, .. }) => {
                discard(&attempt.trace);
                (failing.outcome, &failing.steps, keep(&failing.path)?)
            }
            None => (attempt.outcome, &attempt.steps, keep(&attempt.trace)?),
        };
        record::latest(self.places, &trace);
        Ok(Some(Caught {
            run: number + 1,
            trace,
            passing,
            seed: attempt.seed,
            schedule: Schedule(attempt.policy).to_string(),
            choices: narrowed.as_ref().map(|narrowed| narrowed.choices + 1),
            outcome: outcome::Facts::new(outcome, steps, &attempt.console),
            in_words: match said {
                Some(text) if !hunt::is_failure(outcome) => format!("the guest printed \"{text}\""),
                Some(_) | None => outcome::in_words(outcome),
            },
        }))
    }
}

/// Removes a trace that is not kept.
pub fn discard(trace: &std::path::Path) {
    if let Err(error) = fs::remove_file(trace)
        && error.kind() != std::io::ErrorKind::NotFound
    {
        tracing::warn!("{}: cannot remove it: {error}", trace.display());
    }
}
