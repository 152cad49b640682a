//! `cantus record`: runs a guest, and records all that its run depends on.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use cantus::{Captured, Guest, GuestFile, Keep, Moment, Options, Recorded};
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
use crate::statistics;
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
    ///
    /// Devices are connected to the host if they are named again: --net in the order of the cards, --share by its tag, and
    /// --drive FILE,write-through in the order of the drives. That file must hold what the drive did at first or does now,
    /// or not be there yet.
    #[arg(
        long,
        value_name = "TRACE@MOMENT",
        conflicts_with_all = [
            "smp", "memory", "kernel", "initrd", "append", "firmware", "virtio_console", "rng", "virtio_legacy"
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
    #[arg(long, value_name = "N", default_value = "1G", value_parser = args::count, allow_hyphen_values = true)]
    checkpoint_every: u64,
    /// Keep only the end of the run: what ran in so much of the host's time (60s, 5min, 1h), or so many instructions of all
    /// cores (20M); at least that, about twice as much at most. The trace is cut short while it is written; killed at any
    /// moment, the recorder leaves one that replays
    #[arg(long, value_name = "TIME|N", value_parser = kept, allow_hyphen_values = true)]
    keep_last: Option<Keep>,
}

/// How much of a run is kept: enough for some checkpoints.
fn kept(text: &str) -> Result<Keep, String> {
    const UNITS: [(&str, Duration); 4] = [
        ("ms", Duration::from_millis(1)),
        ("min", Duration::from_secs(60)),
        ("s", Duration::from_secs(1)),
        ("h", Duration::from_secs(3600)),
    ];
    for (unit, duration) in UNITS {
        let Some(number) = text.strip_suffix(unit) else { continue };
        let number = args::count(number).ok().and_then(|number| u32::try_from(number).ok());
        let kept = number.and_then(|number| duration.checked_mul(number));
        return match kept.ok_or("expected a time such as 60s, 500ms, 5min or 1h")? {
            kept if kept < KEPT_TIME_MIN => Err(format!("must be at least {KEPT_TIME_MIN:?}")),
            kept => Ok(Keep::Time(kept)),
        };
    }
    match args::count(text)
        .map_err(|_| "expected a time such as 60s, or a number of instructions such as 20M")?
    {
        0..KEPT_STEPS_MIN => Err(format!("must be at least {KEPT_STEPS_MIN}")),
        steps => Ok(Keep::Steps(steps)),
    }
}

/// Less than this is not worth a checkpoint.
const KEPT_STEPS_MIN: u64 = 1_000;
const KEPT_TIME_MIN: Duration = Duration::from_millis(10);

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
        let given = self.run.machine.guest.as_deref().into_iter();
        let drives = self.run.machine.devices.drive_files().filter(|file| file.exists());
        let is_whole = header.header().images.iter().all(|image| image.stored);
        let files = given.chain(drives.filter(|_| !is_whole));
        let files = files.map(|path| args::open_file(path, "read the guest")).collect::<Result<_, _>>()?;
        Ok(Subject::Moment { trace, moment: *moment, name, files })
    }

    pub fn execute(self, voice: Voice) -> Result<u8, Failure> {
        let subject = self.subject()?;
        let captured = Captured::default();
        let raw = run::console(&self.run);
        let mut run = self.run.clone();
        let mut attachments = Vec::new();
        if self.from.is_some() {
            attachments = run.machine.devices.attachments()?;
            run.machine.devices = run.machine.devices.detached();
        }
        let options = Options {
            attachments,
            checkpoint_interval: self.checkpoint_every,
            keep_last: self.keep_last,
            ..with_trace_args(run::options(&run, &captured, raw.as_ref(), voice)?, &self.trace)
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
                let statistics = self.run.statistics.facts(&recorded.statistics);
                let facts = Facts {
                    trace: recorded.path.clone(),
                    bytes: recorded.totals.file_bytes,
                    events: recorded.totals.events,
                    outcome: outcome::Facts::new(recorded.outcome, &recorded.steps, &captured.bytes())
                        .with_statistics(statistics),
                };
                terminal::json(&mut out, &facts)?;
                out.flush()?;
            }
            false => {
                run::tell_outcome(voice, recorded.outcome);
                voice.say(in_words(&recorded));
            }
        }
        self.run.statistics.tell(&recorded.statistics, self.run.json);
        run::printed(&options.output)?;
        statistics::mapped(options.perf_map.as_ref())?;
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
    Options {
        digest_interval: trace.digest_interval,
        embed_images: !trace.without_images,
        external_bytes_min: trace.external_bytes_min(),
        ..options
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_read() {
        for (text, keep) in [
            ("60s", Keep::Time(Duration::from_secs(60))),
            ("500ms", Keep::Time(Duration::from_millis(500))),
            ("5min", Keep::Time(Duration::from_secs(300))),
            ("2h", Keep::Time(Duration::from_secs(7200))),
            ("20M", Keep::Steps(20_000_000)),
            ("5m", Keep::Steps(5_000_000)),
            ("1_000", Keep::Steps(1_000)),
        ] {
            assert_eq!(kept(text), Ok(keep), "{text}");
        }
        for bad in ["", "s", "0s", "9ms", "999", "1.5s", "60 s", "-1s", "99999999999h", "60x"] {
            assert!(kept(bad).is_err(), "{bad}");
        }
    }
}
