//! `cantus verify`: replays a trace and gives one verdict.

use std::fs;
use std::io::Write;
use std::path::PathBuf;

use cantus::ReplayOptions;
use cantus_analyses::junit;
use clap::Args;

use crate::args::{self, TraceArg};
use crate::failure::{Failure, status};
use crate::places::Places;
use crate::statistics::{self, StatisticsArgs};
use crate::stop;
use crate::terminal::{self, Voice};
use crate::verbs::replay::ReplayArgs;
use crate::verdict::Judged;

/// Replay a trace, compare every digest, and give one verdict
#[derive(Args, Debug)]
pub struct Verify {
    #[command(flatten)]
    trace: TraceArg,
    #[command(flatten)]
    replay: ReplayArgs,
    /// Verify the stretches between the trace's checkpoints on their own, so many at a time
    #[arg(short, long, value_name = "N", value_parser = args::number(1..=args::WORKERS_MAX), allow_hyphen_values = true)]
    jobs: Option<u64>,
    /// Write the verdict here, in the report format of CI systems
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Print the verdict as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    statistics: StatisticsArgs,
}

impl Verify {
    pub fn execute(self, voice: Voice) -> Result<u8, Failure> {
        let path = Places::from_environment()?.find(self.trace.trace.as_deref())?;
        let jobs = self.jobs.map(|jobs| jobs as usize);
        let replay = self.replay.options_beside(jobs.unwrap_or(1))?;
        let perf_map = self.statistics.perf_map(replay.executor)?;
        let options = ReplayOptions { interrupt: stop::on_ctrl_c(), perf_map, ..replay };
        let progress = voice.progress_of_runs("verifying", &options.interrupt);
        let verified = match jobs {
            None => cantus::verify(&path, &options),
            Some(jobs) => cantus::verify_stretches(&path, &options, jobs),
        };
        progress.finish_and_clear();
        let (judged, done) = match verified {
            Ok(verified) => {
                let judged = Judged::new(&path, &verified.replayed)?.in_stretches(verified.stretches);
                let done = verified.replayed.statistics;
                let judged = judged.with_statistics(self.statistics.facts(&done));
                (judged.narrowed(&path, verified.narrowed.as_ref())?, done)
            }
            Err(error) => {
                let failure = Failure::from(error);
                let outcome = junit::Outcome::Trouble { message: failure.to_string() };
                let check = junit::Check { name: path.display().to_string(), outcome, time: None };
                write_junit(self.junit.as_deref(), "verify", check)?;
                return Err(failure);
            }
        };
        write_junit(self.junit.as_deref(), "verify", judged.check())?;
        let mut out = terminal::out();
        match self.json {
            true => terminal::json(&mut out, &judged)?,
            false => writeln!(out, "{judged}")?,
        }
        out.flush()?;
        self.statistics.tell(&done, self.json);
        statistics::mapped(options.perf_map.as_ref())?;
        Ok(judged.status())
    }
}

/// Writes a report with one check, if one is wanted.
pub fn write_junit(file: Option<&std::path::Path>, suite: &str, check: junit::Check) -> Result<(), Failure> {
    let Some(path) = file else { return Ok(()) };
    fs::write(path, junit::report(suite, &[check]))
        .map_err(|error| Failure::io(path, "write the report", &error).with_status(status::IO))
}
