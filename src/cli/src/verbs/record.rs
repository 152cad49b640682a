//! `cantus record`: runs a guest, and records all that its run depends on.

use std::io::Write;
use std::path::{Path, PathBuf};

use cantus::{Captured, Guest, GuestFile, Moment, Options, Recorded};
use cantus_analyses::diff::grouped;
use cantus_traces::{Trace, TraceError};
use clap::Args;
use owo_colors::OwoColorize;
use serde::Serialize;

use crate::args::{self, RunArgs, TraceArgs};
use crate::failure::Failure;
use crate::moments::{self, OfTrace};
use crate::outcome;
use crate::places::Places;
use crate::terminal::{self, Voice};
use crate::verbs::run;

/// Run a guest and record it
#[derive(Args, Debug)]
#[command(
    after_help = moments::NAMES,
    mut_arg("guest", |guest| guest.required_unless_present("from")),
)]
pub struct Record {
    #[command(flatten)]
    run: RunArgs,
    /// Go on live from a moment of a recorded run. Guest, machine and devices are the trace's; the guest is given only if
    /// the trace does not hold its bytes. The new trace needs the old one no more
    #[arg(
        long,
        value_name = "TRACE@MOMENT",
        conflicts_with_all = [
            "smp", "memory", "kernel", "initrd", "append", "firmware", "drive", "net", "share", "virtio_console", "rng",
            "virtio_legacy"
        ]
    )]
    from: Option<OfTrace>,
    /// Where to write the trace [default: <guest>-N.cantus in the trace folder]
    #[arg(short, long, value_name = "TRACE")]
    output: Option<PathBuf>,
    /// Replace the trace if it is there already
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    trace: TraceArgs,
    /// Write a checkpoint, which a replay can begin at, every so many instructions of all cores; 0: none
    #[arg(long, value_name = "N", default_value = "1G", value_parser = args::count)]
    checkpoint_every: u64,
    /// Keep only the end of the run: so many instructions of all cores at least, about twice as many at most. The trace is
    /// cut short while it is written; killed at any moment, the recorder leaves one that replays
    #[arg(long, value_name = "N", value_parser = kept)]
    keep_last: Option<u64>,
}

/// How much of a run is kept: enough for some checkpoints.
fn kept(text: &str) -> Result<u64, String> {
    match args::count(text)? {
        0..KEPT_MIN => Err(format!("must be at least {KEPT_MIN}")),
        steps => Ok(steps),
    }
}

/// Less than this is not worth a checkpoint.
const KEPT_MIN: u64 = 1_000;

#[derive(Serialize)]
struct Facts {
    trace: PathBuf,
    bytes: u64,
    events: u64,
    #[serde(flatten)]
    outcome: outcome::Facts,
}

/// What is recorded.
enum Subject {
    /// A guest, from its start.
    Guest(Guest),
    /// A recorded run, from a moment on.
    Moment { trace: PathBuf, moment: Moment, name: String, files: Vec<GuestFile> },
}

impl Subject {
    /// What to call it.
    fn name(&self) -> &str {
        match self {
            Self::Guest(guest) => &guest.name,
            Self::Moment { name, .. } => name,
        }
    }

    fn record(&self, options: &Options, path: &Path, force: bool) -> Result<Recorded, cantus::Error> {
        match self {
            Self::Guest(guest) => cantus::record(guest, options, path, force),
            Self::Moment { trace, moment, files, .. } => {
                cantus::record_from(trace, *moment, files, options, path, force)
            }
        }
    }
}

impl Record {
    fn subject(&self) -> Result<Subject, Failure> {
        let Some(OfTrace { trace, moment }) = &self.from else {
            return Ok(Subject::Guest(self.run.machine.open_guest()?));
        };
        let trace = Places::from_environment()?.find(trace.as_deref())?;
        let header = Trace::open_unverified(&trace)?;
        let name = header.header().images.first().map_or("guest", |image| &image.name).to_owned();
        let given = self.run.machine.guest.as_deref();
        let files = given.map(|path| args::open_file(path, "read the guest")).transpose()?;
        Ok(Subject::Moment { trace, moment: *moment, name, files: files.into_iter().collect() })
    }

    pub fn execute(self, voice: Voice) -> Result<u8, Failure> {
        let subject = self.subject()?;
        let captured = Captured::default();
        let raw = run::console(&self.run);
        let options = Options {
            checkpoint_interval: self.checkpoint_every,
            keep_last: self.keep_last,
            ..with_trace_args(run::options(&self.run, &captured, raw.as_ref())?, &self.trace)
        };
        let recorded = match &self.output {
            Some(path) => self.record_to(&subject, &options, path, voice),
            None => record_to_folder(&subject, &options, voice),
        };
        drop(raw);
        let recorded = recorded?;
        run::finish(&self.run, subject.name(), recorded.signature.as_deref())?;
        match self.run.json {
            true => {
                let mut out = terminal::out();
                let facts = Facts {
                    trace: recorded.path.clone(),
                    bytes: recorded.totals.file_bytes,
                    events: recorded.totals.events,
                    outcome: outcome::Facts::new(recorded.outcome, &recorded.steps, &captured.bytes()),
                };
                terminal::json(&mut out, &facts)?;
                out.flush()?;
            }
            false => {
                run::tell_outcome(voice, recorded.outcome);
                voice.say(in_words(&recorded));
            }
        }
        Ok(outcome::status(recorded.outcome))
    }

    fn record_to(
        &self,
        subject: &Subject,
        options: &Options,
        path: &Path,
        voice: Voice,
    ) -> Result<Recorded, Failure> {
        args::refuse_existing(path, self.force)?;
        // A trace elsewhere is the latest all the same, where there is a folder to say so.
        let places = Places::from_environment().ok().filter(|places| places.create().is_ok());
        if let Some(places) = &places {
            latest(places, path);
        }
        let progress = voice.progress_of_file("recording", path, &options.interrupt);
        let recorded = subject.record(options, path, self.force);
        progress.finish_and_clear();
        if let (Err(_), Some(places)) = (&recorded, &places) {
            mend(places);
        }
        Ok(recorded?)
    }
}

/// Options with what the trace is to hold.
pub fn with_trace_args(options: Options, trace: &TraceArgs) -> Options {
    Options { digest_interval: trace.digest_interval, embed_images: !trace.without_images, ..options }
}

/// Records to a new name in the trace folder.
fn record_to_folder(subject: &Subject, options: &Options, voice: Voice) -> Result<Recorded, Failure> {
    let places = Places::from_environment()?;
    places.create()?;
    for path in places.names(subject.name()) {
        tracing::info!("recording {} to {}", subject.name(), path.display());
        // Before the recording, so that it is the latest even if the recorder is killed.
        latest(&places, &path);
        let progress = voice.progress_of_file("recording", &path, &options.interrupt);
        let recorded = subject.record(options, &path, false);
        progress.finish_and_clear();
        match recorded {
            // Another recorder was faster.
            Err(cantus::Error::Trace(TraceError::Exists { .. })) => {}
            Err(error) => {
                mend(&places);
                return Err(error.into());
            }
            Ok(recorded) => return Ok(recorded),
        }
    }
    Err(Failure::usage(format!("{}: all names are taken", places.folder().display())))
}

/// Makes a trace the latest. A recording does not fail for want of that.
pub fn latest(places: &Places, path: &Path) {
    if let Err(error) = places.point_latest(path) {
        tracing::warn!("{}: cannot set latest-trace: {error}", places.folder().display());
    }
}

fn mend(places: &Places) {
    if let Err(error) = places.repair_latest() {
        tracing::warn!("{}: cannot mend latest-trace: {error}", places.folder().display());
    }
}

fn in_words(recorded: &Recorded) -> String {
    let steps: u64 = recorded.steps.iter().sum();
    let cores = recorded.steps.len();
    format!(
        "recorded {} instructions on {cores} {} to {} ({})",
        grouped(steps),
        if cores == 1 { "core" } else { "cores" },
        recorded.path.display().style(terminal::strong()),
        terminal::bytes(recorded.totals.file_bytes),
    )
}
