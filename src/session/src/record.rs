//! Records a guest: runs it, and writes down what the run depended on.

use crate::guest::places;
use crate::host::{Answers, Host};
use crate::machine::{BOARD, Setup};
use crate::run::drive;
use crate::stop_on::{Watch, console};
use crate::{Error, Guest, GuestFile, Keep, Options, Statistics};
use cantus_engine::{Engine, Outcome, Stopwatch, TICKS_PER_SECOND};
use cantus_interp::Core;
use cantus_machine::ISA;
use cantus_recorder::{Plan, Recorder};
use cantus_traces::{
    Configuration, CoreId, EndReason, Footer, Header, HostFacts, Image, ImageRole, Schedule, Setting, Totals,
    TraceWriter, WriterOptions,
};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What came of a recording.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Recorded {
    /// How the run ended.
    pub outcome: Outcome,
    /// Steps that each core completed.
    pub steps: Vec<u64>,
    /// The signature, where one was wanted and the program has one.
    pub signature: Option<String>,
    /// Where the trace is.
    pub path: PathBuf,
    /// How much it holds.
    pub totals: Totals,
    /// What was done.
    pub statistics: Statistics,
}

/// Runs a guest until it ends and records it to `path`, where no file may be yet unless `force` is set.
///
/// # Errors
/// Where the machine or the guest's file is not what it should be, or the trace cannot be written. What was written
/// until then can be replayed.
pub fn record(
    guest: &Guest,
    options: &Options,
    path: impl AsRef<Path>,
    force: bool,
) -> Result<Recorded, Error> {
    let setup = Setup::new(guest, options)?;
    let begun = Begun { cores: setup.cores(), clock: None, host: Host::new(options)? };
    record_machine(guest, options, setup, begun, header(guest, options), path.as_ref(), force)
}

/// How a machine stands when its recording begins.
pub(crate) struct Begun {
    pub(crate) cores: Vec<Core>,
    /// Where its clock stands, in ticks, if it does not begin with the cores' reset.
    pub(crate) clock: Option<u64>,
    pub(crate) host: Arc<Host>,
}

/// Records a machine from where it stands.
pub(crate) fn record_machine(
    guest: &Guest,
    options: &Options,
    setup: Setup,
    begun: Begun,
    header: Header,
    path: &Path,
    force: bool,
) -> Result<Recorded, Error> {
    let files = files(guest, options);
    let stored: Vec<&[u8]> =
        files.iter().filter(|file| file.is_stored).map(|Held { file, .. }| &*file.bytes).collect();
    let (writer, streams) =
        TraceWriter::create(path, &header, &stored, WriterOptions { force, ..WriterOptions::default() })?;
    let writer = Arc::new(writer);
    let plan = Plan {
        pages: setup.machine.ram().pages(),
        safepoints: setup.safepoints.clone(),
        digest_interval: options.digest_interval,
        cut_interval: options.cut_interval,
        checkpoint_interval: options.checkpoint_interval(),
        keep_last: options.keep_last.map(|keep| match keep {
            Keep::Steps(steps) => cantus_recorder::Keep::Steps(steps),
            Keep::Time(keep) => {
                let watch = Arc::new(Stopwatch::start());
                cantus_recorder::Keep::Time { keep, watch }
            }
        }),
        writer: writer.clone(),
        memory: setup.memory_digest(),
        devices: setup.devices(),
    };
    let (recorder, mut lanes) = Recorder::new(plan, streams);
    let Begun { mut cores, clock, host } = begun;
    if clock.is_some() {
        let mut machine: Vec<_> = cores.iter_mut().zip(&mut lanes).collect();
        recorder.begin_here(&mut machine);
    }
    let listening = options.perf_map.as_ref().map(|map| map.of_guest(guest));
    let executors = options.executor.of_machine(listening)?;
    let cores = cores.into_iter().zip(lanes);
    let cores = cores.map(|(core, lane)| Ok((core, executors.of_core(), lane)));
    let cores = cores.collect::<Result<_, Error>>()?;
    let watch = Watch::new(options);
    let engine = Engine::new(
        options.engine(),
        recorder,
        cores,
        setup.bus(),
        setup.safepoints.clone(),
        console(options, watch.as_ref()),
        Box::new(Answers(host.clone())),
    );
    if let Some(ticks) = clock {
        let outside = engine.outside();
        outside.begin_clock(ticks);
        for (device, ticks) in setup.machine.board().alarms() {
            outside.set_alarm(device, ticks);
        }
        for core in (0..options.cores).map(|core| CoreId(core as u8)) {
            let (lines, deadline) = setup.machine.board().live(core);
            outside.begin_lines(core, lines, deadline);
        }
    }
    let ended = drive(engine, options, &setup, &host, watch.as_deref())?;
    let outcome = ended.outcome;
    let steps = ended.cores.iter().map(|finished| finished.core.position).collect();
    let statistics = Statistics::of(&ended.cores, |lane| lane.orders());
    let cores = ended.cores.into_iter().map(|finished| finished.lane.close(&finished.core)).collect();
    drop(ended.boundary);
    let writer = Arc::into_inner(writer).expect("the recorder is gone, and nobody else has the writer");
    let totals = writer.finish(footer(outcome, cores, &setup, watch.and_then(|watch| watch.matched())))?;
    if let Some(error) = host.failure() {
        return Err(error);
    }
    let signature = setup.signature(options)?;
    Ok(Recorded { outcome, steps, signature, path: path.to_owned(), totals, statistics })
}

fn footer(
    outcome: Outcome,
    cores: Vec<cantus_traces::CoreEnd>,
    setup: &Setup,
    matched: Option<String>,
) -> Footer {
    let (reason, exit_status) = match outcome {
        Outcome::Exit(status) => (EndReason::Exited, Some(status as i32)),
        Outcome::Reset => (EndReason::Exited, None),
        Outcome::Hung => (EndReason::Deadlocked, None),
        Outcome::Limit(_) => (EndReason::LimitReached, None),
        Outcome::Interrupted => (EndReason::Interrupted, None),
        Outcome::Matched => (EndReason::Matched(matched.unwrap_or_default()), None),
        Outcome::Failed => (EndReason::Failed("the trace could not be written".into()), None),
        Outcome::Replayed | Outcome::Stuck(_) => {
            (EndReason::Failed("the cores waited for each other".into()), None)
        }
    };
    Footer { reason, exit_status, cores, memory: (setup.memory_digest())() }
}

/// A file that the run begins with.
struct Held {
    role: ImageRole,
    file: GuestFile,
    /// Whether the trace holds its bytes.
    is_stored: bool,
}

/// All files that the run begins with.
fn files(guest: &Guest, options: &Options) -> Vec<Held> {
    let drives = options.peripherals.drives().map(|drive| {
        let changes = drive.write_through.is_some();
        (ImageRole::Drive, drive.image.clone(), changes)
    });
    let files = guest.files().into_iter().map(|(role, file)| (role, file, false));
    let held = files.chain(drives).map(|(role, file, changes)| {
        let is_large = options.external_bytes_min.is_some_and(|min| file.bytes.len() >= min);
        let is_external = is_large && !changes && file.path.is_some();
        Held { role, file, is_stored: options.embed_images && !is_external }
    });
    held.collect()
}

pub(crate) fn header(guest: &Guest, options: &Options) -> Header {
    let files = files(guest, options);
    let places = match options.external_bytes_min {
        Some(_) => places(files.iter().map(|held| (held.is_stored, &held.file))),
        None => Vec::new(),
    };
    Header {
        recorder: concat!("cantus ", env!("CARGO_PKG_VERSION")).into(),
        configuration: Configuration {
            isa: ISA.into(),
            board: BOARD.into(),
            cores: options.cores as u16,
            ram_bytes: options.ram_bytes,
            clock: match options.clock {
                cantus_engine::ClockPolicy::Host => cantus_traces::ClockPolicy::Host,
                cantus_engine::ClockPolicy::Virtual => cantus_traces::ClockPolicy::Virtual,
            },
            timebase_hz: TICKS_PER_SECOND,
            digest_interval: options.digest_interval,
            settings: guest
                .settings(options)
                .into_iter()
                .chain(options.peripherals.settings())
                .chain(places)
                .collect(),
        },
        images: files
            .iter()
            .map(|Held { role, file, is_stored }| Image {
                stored: *is_stored,
                ..Image::stored(&file.name, *role, &file.bytes)
            })
            .collect(),
        schedule: schedule(options),
        host: if options.describe_host { host_facts() } else { HostFacts::default() },
        command_line: options.command_line.clone(),
    }
}

/// How the cores are scheduled, under the names and in the words of the command line.
fn schedule(options: &Options) -> Schedule {
    let setting = |name: &str, value: String| Setting { name: name.into(), value };
    let mut settings = vec![setting("schedule", options.policy.to_string())];
    if options.choices_max != u64::MAX {
        settings.push(setting("choices", options.choices_max.to_string()));
    }
    Schedule { seed: options.seed, workers: options.workers as u16, settings }
}

/// The host, for people who read the trace.
#[expect(clippy::disallowed_methods, reason = "when the recording began is for people; no guest sees it")]
fn host_facts() -> HostFacts {
    let line = |path: &str, key: &str| {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        let found = text
            .lines()
            .find(|line| line.starts_with(key))
            .map(|line| line.split_once(':').map_or(line, |(_, value)| value).trim().to_owned());
        found.unwrap_or_default()
    };
    HostFacts {
        cpu: line("/proc/cpuinfo", "model name"),
        cpus: std::thread::available_parallelism().map_or(0, |cpus| cpus.get() as u16),
        // Its name and version, without who built it, when, and with what.
        os: line("/proc/version", "Linux").split(' ').take(3).collect::<Vec<_>>().join(" "),
        started_unix: std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .map_or(0, |since| since.as_secs()),
    }
}
