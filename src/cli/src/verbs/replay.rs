//! `cantus replay`: executes a trace again, exactly.

use std::io::Write;
use std::path::PathBuf;

use cantus::{Captured, Output, Printed, ReplayOptions};
use clap::Args;

use crate::args::{ExecutorArgs, TraceArg, WORKERS_MAX, number, open_file};
use crate::failure::Failure;
use crate::moments::{self, MomentArg};
use crate::places::Places;
use crate::statistics::{self, StatisticsArgs};
use crate::stop;
use crate::terminal::{self, Voice};
use crate::verbs::run;
use crate::verdict::Judged;

/// Replay a trace, with its console output
///
/// The machine's flags stand in the trace: none is repeated. The replay is checked as `verify` checks it.
#[derive(Args, Debug)]
#[command(after_help = moments::NAMES)]
pub struct Replay {
    #[command(flatten)]
    trace: TraceArg,
    #[command(flatten)]
    replay: ReplayArgs,
    /// Begin at the last checkpoint before this moment
    #[arg(long, value_name = "MOMENT", allow_hyphen_values = true)]
    from: Option<MomentArg>,
    /// End at this moment
    #[arg(long, value_name = "MOMENT", allow_hyphen_values = true)]
    to: Option<MomentArg>,
    /// Print the verdict, with the guest's console output, as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    statistics: StatisticsArgs,
}

/// Flags of the verbs that replay.
#[derive(Args, Clone, Debug)]
pub struct ReplayArgs {
    /// Host threads that run the cores [default: one a host CPU]
    #[arg(long, value_name = "N", value_parser = number(1..=WORKERS_MAX), allow_hyphen_values = true)]
    workers: Option<u64>,
    #[command(flatten)]
    executor: ExecutorArgs,
    /// A file of the guest that was left out of the trace; may be given several times
    #[arg(long, value_name = "FILE")]
    guest: Vec<PathBuf>,
}

impl ReplayArgs {
    /// The same, where so many replays run side by side: they share the host's CPUs, if nothing else was asked for.
    pub fn options_beside(&self, jobs: usize) -> Result<ReplayOptions, Failure> {
        let options = self.options()?;
        let workers = if self.workers.is_some() { options.workers } else { (options.workers / jobs).max(1) };
        Ok(ReplayOptions { workers, ..options })
    }

    /// As options of the session.
    pub fn options(&self) -> Result<ReplayOptions, Failure> {
        let defaults = ReplayOptions::default();
        Ok(ReplayOptions {
            workers: self.workers.map_or(defaults.workers, |workers| workers as usize),
            executor: self.executor.chosen(),
            files: self
                .guest
                .iter()
                .map(|path| open_file(path, "read the guest"))
                .collect::<Result<_, _>>()?,
            ..defaults
        })
    }
}

impl Replay {
    pub fn execute(self, voice: Voice) -> Result<u8, Failure> {
        let path = Places::from_environment()?.find(self.trace.trace.as_deref())?;
        let captured = Captured::default();
        let replay = self.replay.options()?;
        let options = ReplayOptions {
            perf_map: self.statistics.perf_map(replay.executor)?,
            output: match self.json {
                true => Output::Captured(captured.clone()),
                false => Output::Stdout(Printed::default()),
            },
            warnings: voice.warnings(),
            interrupt: stop::on_ctrl_c(),
            from: self.from.map(|MomentArg(moment)| moment),
            to: self.to.map(|MomentArg(moment)| moment),
            ..replay
        };
        let replayed = cantus::replay(&path, &options)?;
        let judged =
            Judged::new(&path, &replayed)?.with_statistics(self.statistics.facts(&replayed.statistics));
        match self.json {
            true => {
                let mut out = terminal::out();
                terminal::json(&mut out, &judged.with_console(&captured.bytes()))?;
                out.flush()?;
            }
            false => voice.say(&judged),
        }
        self.statistics.tell(&replayed.statistics, self.json);
        run::printed(&options.output)?;
        statistics::mapped(options.perf_map.as_ref())?;
        Ok(judged.status())
    }
}
