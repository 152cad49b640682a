//! What a replay showed: as a status, in words, and as JSON.

use std::fmt::{self, Display, Formatter};
use std::path::{Path, PathBuf};

use cantus::{Divergence, Narrowed, Replayed, Stand, Verdict};
use cantus_analyses::diff::grouped;
use cantus_analyses::dump::Dumped;
use cantus_analyses::junit;
use cantus_analyses::site::{Site, Sites};
use cantus_analyses::symbols::Symbols;
use cantus_traces::{CoreId, Event, ImageRole, Trace};
use owo_colors::OwoColorize;
use serde::Serialize;

use crate::failure::{Failure, status};
use crate::source_text::SourceText;
use crate::statistics;
use crate::summary::{self, Condition};
use crate::terminal;

/// A verdict in one word.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Word {
    /// The replay was the recorded run, to its end.
    Identical,
    /// It was, as far as the trace goes.
    IdenticalSoFar,
    /// It was not.
    Diverged,
    /// It was stopped before that could be said.
    Interrupted,
}

/// Where a replay diverged (CHK-2).
#[derive(Clone, Debug, Serialize)]
pub struct Diverged {
    core: u8,
    /// Where the difference was noticed.
    position: u64,
    /// The last position at which everything agreed.
    agreed: u64,
    /// Where in the code.
    site: Option<Site>,
    /// What was expected, and what came.
    what: String,
}

/// What executing the stretch before a divergence again, twice, showed.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Narrowing {
    /// The two executions differ from each other: an order is missing from the trace.
    Differs {
        /// The position before the first instruction that differs.
        position: u64,
        /// Where it is in each.
        sites: [Box<Site>; 2],
    },
    /// They are the same: something that the replay was made of has changed.
    Same {
        /// The first events of the stretch.
        suspects: Vec<String>,
        /// How many there are.
        count: usize,
    },
}

/// A place in a run where a replay began or ended.
#[derive(Clone, Debug, Serialize)]
pub struct Place {
    /// The cut, if it is one.
    cut: Option<u32>,
    /// Steps of all cores together.
    steps: u64,
    /// Steps of each.
    positions: Vec<u64>,
}

impl Place {
    fn of(stand: &Stand) -> Self {
        let positions = stand.positions.iter().map(|position| position.0).collect();
        Self { cut: stand.cut, steps: stand.steps(), positions }
    }
}

impl Display for Place {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.cut {
            Some(cut) => write!(f, "cut {cut}, {} instructions into the run", grouped(self.steps)),
            None => write!(f, "{} instructions into the run", grouped(self.steps)),
        }
    }
}

fn is_one(count: &usize) -> bool {
    *count == 1
}

/// A verdict about a trace.
#[derive(Clone, Debug, Serialize)]
pub struct Judged {
    trace: PathBuf,
    verdict: Word,
    /// What is missing or damaged of the trace.
    note: Option<String>,
    condition: Condition,
    divergence: Option<Diverged>,
    #[serde(skip_serializing_if = "Option::is_none")]
    narrowing: Option<Narrowing>,
    /// Steps that each core had completed at the end.
    steps: Vec<u64>,
    /// The checkpoint that the replay began at, if not at the beginning.
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<Place>,
    /// Where it was to end, if not at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<Place>,
    /// How many stretches were replayed on their own.
    #[serde(skip_serializing_if = "is_one")]
    stretches: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    console: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    statistics: Option<statistics::Facts>,
}

impl Judged {
    /// Judges a replay of the trace at `path`.
    pub fn new(path: &Path, replayed: &Replayed) -> Result<Self, Failure> {
        let trace = Trace::open_unverified(path)?;
        let (verdict, note, divergence) = match &replayed.verdict {
            Verdict::Identical => (Word::Identical, None, None),
            Verdict::IdenticalSoFar(note) => (
                Word::IdenticalSoFar,
                Some(summary::incompleteness(&trace).unwrap_or_else(|| note.clone())),
                None,
            ),
            Verdict::Diverged(divergence) => {
                (Word::Diverged, summary::incompleteness(&trace), Some(diverged(&trace, divergence)))
            }
            Verdict::Interrupted => (Word::Interrupted, None, None),
        };
        // A chunk may turn out to be damaged only when it is read.
        let condition = match (verdict, summary::condition(&trace)) {
            (Word::IdenticalSoFar, Condition::Complete) => Condition::Damaged,
            (_, condition) => condition,
        };
        let steps = replayed.steps.clone();
        Ok(Self {
            trace: path.to_owned(),
            verdict,
            note,
            condition,
            divergence,
            narrowing: None,
            steps,
            from: replayed.span.from.as_ref().map(Place::of),
            to: replayed.span.to.as_ref().map(Place::of),
            stretches: 1,
            console: None,
            statistics: None,
        })
    }

    /// With what is known more exactly about the divergence.
    pub fn narrowed(self, path: &Path, narrowed: Option<&Narrowed>) -> Result<Self, Failure> {
        let Some(narrowed) = narrowed else { return Ok(self) };
        let trace = Trace::open_unverified(path)?;
        let (text, symbols) = (SourceText::default(), symbols(&trace, None));
        let read = |file: &str, line| text.line(file, line);
        let sites = Sites::new(&symbols, &read);
        let narrowing = match narrowed {
            Narrowed::Differs { position, pcs } => Narrowing::Differs {
                position: position.0,
                sites: [pcs.0, pcs.1].map(|pc| Box::new(sites.at(cantus_analyses::Gva(pc)))),
            },
            Narrowed::Same { suspects, count } => {
                let core = CoreId(self.divergence.as_ref().map_or(0, |divergence| divergence.core));
                let suspect =
                    |(position, event): &(_, Event)| Dumped::new(core, *position, event.clone()).to_string();
                Narrowing::Same { suspects: suspects.iter().map(suspect).collect(), count: *count }
            }
        };
        Ok(Self { narrowing: Some(narrowing), ..self })
    }

    /// The same, of a replay in so many stretches.
    pub fn in_stretches(self, stretches: usize) -> Self {
        Self { stretches, ..self }
    }

    /// With what was done, if that is to be told.
    pub fn with_statistics(self, statistics: Option<statistics::Facts>) -> Self {
        Self { statistics, ..self }
    }

    /// With what the guest wrote to its console.
    pub fn with_console(&self, console: &[u8]) -> Self {
        Self { console: Some(String::from_utf8_lossy(console).into_owned()), ..self.clone() }
    }

    /// The status to end with.
    pub fn status(&self) -> u8 {
        match (self.verdict, self.condition) {
            (Word::Identical, _) => status::OK,
            // What a killed recorder left is as good as it can be; damage is not.
            (Word::IdenticalSoFar, Condition::Complete | Condition::Incomplete) => status::OK,
            (Word::IdenticalSoFar, Condition::Damaged | Condition::Unreadable) => status::BAD_DATA,
            (Word::Diverged, _) => status::DIVERGED,
            (Word::Interrupted, _) => status::INTERRUPTED,
        }
    }

    /// As a check of a CI system.
    pub fn check(&self) -> junit::Check {
        let message = self.to_string();
        let first_line = || message.lines().next().unwrap_or_default().to_owned();
        let outcome = match self.status() {
            status::OK => junit::Outcome::Passed,
            status::DIVERGED => junit::Outcome::Failed { message: first_line(), details: message.clone() },
            _ => junit::Outcome::Trouble { message: message.clone() },
        };
        junit::Check { name: self.trace.display().to_string(), outcome, time: None }
    }
}

impl Display for Judged {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let trace = self.trace.display();
        let before = self.from.as_ref().map_or(0, |place| place.steps);
        let steps = grouped(self.steps.iter().sum::<u64>().saturating_sub(before));
        let cores = match self.steps.len() {
            1 => "1 core".to_owned(),
            cores => format!("{cores} cores"),
        };
        match self.verdict {
            Word::Identical => {
                write!(
                    f,
                    "{}: {trace}, {steps} instructions on {cores}",
                    "identical".style(terminal::good())
                )?;
            }
            Word::IdenticalSoFar => write!(
                f,
                "{} as far as the trace goes: {trace}, {steps} instructions on {cores}",
                "identical".style(terminal::good())
            )?,
            Word::Diverged => write!(f, "{}: {trace}", "diverged".style(terminal::bad()))?,
            Word::Interrupted => write!(f, "interrupted: {trace}")?,
        }
        if let Some(place) = &self.from {
            write!(f, "\n  from the checkpoint of {place}")?;
        }
        if let Some(place) = &self.to {
            write!(f, "\n  up to {place}")?;
        }
        if self.stretches > 1 {
            write!(f, "\n  in {} stretches, each from a checkpoint to the next", self.stretches)?;
        }
        if let Some(Diverged { core, position, agreed, site, what }) = &self.divergence {
            write!(f, "\n  core {core} at position {}", grouped(*position))?;
            if let Some(site) = site {
                write!(f, ", {site}, pc {}", site.pc)?;
                if let Some(text) = &site.text {
                    write!(f, "\n    {text}")?;
                }
            }
            write!(f, "\n  {what}\n  everything agreed up to position {}", grouped(*agreed))?;
        }
        match &self.narrowing {
            None => {}
            Some(Narrowing::Differs { position, sites: [one, other] }) => {
                let step = grouped(position.saturating_add(1));
                write!(
                    f,
                    "\n  two replays of the stretch differ from each other: an order is missing from the trace"
                )?;
                write!(f, "\n  the first instruction that differs is step {step}: {one}")?;
                if one != other {
                    write!(f, " or {other}")?;
                }
            }
            Some(Narrowing::Same { suspects, count }) => {
                write!(
                    f,
                    "\n  two replays of the stretch are the same: an input or an order in it has changed"
                )?;
                for suspect in suspects {
                    write!(f, "\n    {}", suspect.trim_end())?;
                }
                if *count > suspects.len() {
                    write!(f, "\n    and {} more", grouped((count - suspects.len()) as u64))?;
                }
            }
        }
        match &self.note {
            Some(note) => write!(f, "\n  note: {note}"),
            None => Ok(()),
        }
    }
}

fn diverged(trace: &Trace, divergence: &Divergence) -> Diverged {
    let text = SourceText::default();
    let symbols = symbols(trace, None);
    let read = |file: &str, line| text.line(file, line);
    let sites = Sites::new(&symbols, &read);
    Diverged {
        core: divergence.core.0,
        position: divergence.position.0,
        agreed: divergence.agreed.0,
        site: divergence.pc.map(|pc| sites.at(cantus_analyses::Gva(pc))),
        what: divergence.cause.to_string(),
    }
}

/// The symbols of a trace's guest; none if the guest was left out and is not given, or is no ELF file.
pub fn symbols(trace: &Trace, given: Option<&[u8]>) -> Symbols {
    let program = trace.header().images.iter().position(|image| match image.role {
        ImageRole::Program | ImageRole::Kernel => true,
        ImageRole::Firmware | ImageRole::Initrd | ImageRole::DeviceTree | ImageRole::Drive => false,
    });
    let held = program.and_then(|index| trace.image(index).ok());
    let bytes = held.or_else(|| given.map(<[u8]>::to_vec));
    bytes.and_then(|bytes| Symbols::read(&bytes).ok()).unwrap_or_else(Symbols::none)
}
