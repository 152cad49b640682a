//! `cantus record`: runs a guest, and records all that its run depends on.

use std::io::Write;
use std::path::{Path, PathBuf};

use cantus::{Captured, Guest, Options, Recorded};
use cantus_analyses::diff::grouped;
use cantus_traces::TraceError;
use clap::Args;
use owo_colors::OwoColorize;
use serde::Serialize;

use crate::args::{self, RunArgs, TraceArgs};
use crate::failure::Failure;
use crate::outcome;
use crate::places::Places;
use crate::terminal::{self, Voice};
use crate::verbs::run;

/// Run a guest and record it
#[derive(Args, Debug)]
pub struct Record {
    #[command(flatten)]
    run: RunArgs,
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
}

#[derive(Serialize)]
struct Facts {
    trace: PathBuf,
    bytes: u64,
    events: u64,
    #[serde(flatten)]
    outcome: outcome::Facts,
}

impl Record {
    pub fn execute(self, voice: Voice) -> Result<u8, Failure> {
        let guest = self.run.machine.open_guest()?;
        let captured = Captured::default();
        let raw = run::console(&self.run);
        let options = Options {
            checkpoint_interval: self.checkpoint_every,
            ..with_trace_args(run::options(&self.run, &captured, raw.as_ref())?, &self.trace)
        };
        let recorded = match &self.output {
            Some(path) => self.record_to(&guest, &options, path, voice),
            None => record_to_folder(&guest, &options, voice),
        };
        drop(raw);
        let recorded = recorded?;
        run::finish(&self.run, &guest, recorded.signature.as_deref())?;
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
        guest: &Guest,
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
        let recorded = cantus::record(guest, options, path, self.force);
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
fn record_to_folder(guest: &Guest, options: &Options, voice: Voice) -> Result<Recorded, Failure> {
    let places = Places::from_environment()?;
    places.create()?;
    for path in places.names(&guest.name) {
        tracing::info!("recording {} to {}", guest.name, path.display());
        // Before the recording, so that it is the latest even if the recorder is killed.
        latest(&places, &path);
        let progress = voice.progress_of_file("recording", &path, &options.interrupt);
        let recorded = cantus::record(guest, options, &path, false);
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
