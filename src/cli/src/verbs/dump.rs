//! `cantus dump`: the events of a trace, readable.

use std::io::Write;
use std::path::PathBuf;

use cantus::Executed;
use cantus_analyses::dump::{DumpError, Places, Selection, dump};
use cantus_analyses::site::{Sites, no_text};
use cantus_analyses::symbols::Symbols;
use cantus_traces::{CoreId, Trace};
use clap::Args;

use crate::args::{self, PositionRange};
use crate::failure::{Failure, status, with_sources};
use crate::places;
use crate::summary;
use crate::terminal::{self, Voice};
use crate::verbs::replay::ReplayArgs;

/// Print the events of a trace
///
/// Events of all cores come in an order in which they may have happened. Behind the core stands the number of the event
/// among the core's (#7 of core 2 is the moment event:2:7 of a replay), and its position, the number of steps that the core
/// has completed.
#[derive(Args, Debug)]
pub struct Dump {
    /// The trace: a path, or a name as `cantus ls` shows it [default: the latest]; or the range
    trace: Option<PathBuf>,
    /// Only events from a position up to, not including, another one: FROM..TO, FROM.. or ..TO
    range: Option<PositionRange>,
    /// Only events of this core
    #[arg(long, value_name = "N", value_parser = args::core, allow_hyphen_values = true)]
    core: Option<u8>,
    /// Say with each event where in the code it is, which executes the trace again
    #[arg(long)]
    places: bool,
    /// Leave out what may differ between executions that are equal: times, digests, how far other cores had got. Places
    /// in the code are named by symbol, as with --places
    #[arg(long)]
    normalised: bool,
    #[command(flatten)]
    replay: ReplayArgs,
    /// Print each event as a line of JSON
    #[arg(long)]
    json: bool,
}

impl Dump {
    pub fn execute(self, voice: Voice) -> Result<u8, Failure> {
        let (named, range) = self.named()?;
        let path = places::Places::from_environment()?.find(named.as_deref())?;
        let trace = Trace::open(&path)?;
        if let Some(core) = self.core
            && u16::from(core) >= trace.header().configuration.cores
        {
            let cores = trace.header().configuration.cores;
            return Err(Failure::usage(format!(
                "{}: has no core {core}: its {cores} cores are numbered from 0",
                path.display()
            )));
        }
        let selection = Selection {
            core: self.core.map(CoreId),
            from: range.map_or_else(Default::default, |range| range.from),
            to: range.and_then(|range| range.to),
            normalised: self.normalised,
        };
        let mut executed = match self.places || self.normalised {
            true => {
                let options = self.replay.options()?;
                Some(Executed::open(&path, &options.files)?.on_workers(options.workers).by(options.executor))
            }
            false => None,
        };
        let symbols = executed.as_ref().map(|executed| Symbols::read(&executed.guest().bytes));
        let symbols = symbols.and_then(Result::ok).unwrap_or_else(Symbols::none);
        let places = executed
            .as_mut()
            .map(|executed| Places { replays: executed, sites: Sites::new(&symbols, &no_text) });
        let mut out = terminal::out();
        let dumped = dump(&trace, selection, places, &mut |event| {
            match self.json {
                true => serde_json::to_writer(&mut out, event)?,
                false => write!(out, "{event}")?,
            }
            writeln!(out)
        });
        out.flush()?;
        match dumped {
            Ok(()) => {}
            Err(DumpError::Taker(error)) => return Err(error.into()),
            Err(DumpError::Trace(error)) => return Err(error.into()),
            Err(DumpError::Replay(error)) => {
                return Err(Failure::new(
                    status::BAD_DATA,
                    format!("{}: {}", path.display(), with_sources(&*error)),
                ));
            }
        }
        if let Some(what) = summary::incompleteness(&trace) {
            voice.say(format!("note: {}: {what}", path.display()));
        }
        Ok(status::OK)
    }

    /// `cantus dump 10..20` means a range of the latest trace, unless there is a file of that name.
    fn named(&self) -> Result<(Option<PathBuf>, Option<PositionRange>), Failure> {
        let range = self.trace.as_deref().and_then(|trace| trace.to_str()?.parse().ok());
        match (&self.trace, self.range, range) {
            (Some(trace), None, Some(range)) if !trace.exists() => Ok((None, Some(range))),
            (trace, range, _) => Ok((trace.clone(), range)),
        }
    }
}
