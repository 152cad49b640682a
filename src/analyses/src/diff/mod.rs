//! Where and why two executions of the same guest part.
//!
//! What counts as the same: every core took the same steps with the same architectural state after each, and the runs
//! ended alike. Order edges, digest positions, seeds and workers may differ between executions that are the same.
//!
//! For each core the first step at which it parts is exact ([`Parting::position`]). Why is looked for on one core: the
//! one that parts at the lowest position, or, where that one merely saw what another core did after it had parted, that
//! other core, and so on ([`Difference::why`]).

mod cause;
mod parting;
mod streams;
mod text;

pub use cause::{Cause, Lines, Why, WriterAt};
pub use streams::{Edge, Input, InputAt, InputDifference, OrderComparison};
pub use text::grouped;

use cantus_traces::{
    Completeness, Configuration, ContentDigest, CoreId, EndReason, Header, Position, Trace, TraceError,
};
use serde::Serialize;

use crate::replays::{Replays, Trouble};
use crate::site::{Site, Sites};
use parting::{Bounds, Found};

/// Something of each of the two executions.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Pair<T> {
    /// Of the first.
    pub a: T,
    /// Of the second.
    pub b: T,
}

impl<T> Pair<T> {
    /// Both, changed in the same way.
    pub fn map<U>(self, mut change: impl FnMut(T) -> U) -> Pair<U> {
        Pair { a: change(self.a), b: change(self.b) }
    }

    /// Both, borrowed.
    pub fn as_ref(&self) -> Pair<&T> {
        Pair { a: &self.a, b: &self.b }
    }

    fn try_map<U, E>(self, mut change: impl FnMut(T) -> Result<U, E>) -> Result<Pair<U>, E> {
        Ok(Pair { a: change(self.a)?, b: change(self.b)? })
    }
}

impl<T: PartialEq> Pair<T> {
    /// Whether both are equal.
    pub fn equal(&self) -> bool {
        self.a == self.b
    }
}

/// One of the two traces, and the means to execute it again.
pub struct Compared<'a> {
    /// What the reader calls it.
    pub name: String,
    /// The trace.
    pub trace: &'a Trace,
    /// It, executed.
    pub replays: &'a mut dyn Replays,
}

/// Why two traces could not be compared.
#[derive(Debug)]
pub enum DiffError {
    /// They are not of the same guest.
    Guests {
        /// The traces' names.
        names: Pair<String>,
        /// What each is of.
        guests: Pair<String>,
    },
    /// A trace could not be read.
    Trace(TraceError),
    /// A trace could not be executed again.
    Replay(Trouble),
}

impl std::fmt::Display for DiffError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Guests { names, guests } => write!(
                f,
                "the traces are of different guests, so they have no step in common: {} is of {}, {} of {}; \
                 compare traces of one guest",
                names.a, guests.a, names.b, guests.b,
            ),
            Self::Trace(error) => error.fmt(f),
            Self::Replay(error) => write!(f, "a trace could not be executed again: {error}"),
        }
    }
}

impl std::error::Error for DiffError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Guests { .. } => None,
            Self::Trace(error) => error.source(),
            Self::Replay(error) => Some(&**error),
        }
    }
}

impl From<TraceError> for DiffError {
    fn from(error: TraceError) -> Self {
        Self::Trace(error)
    }
}

impl From<Trouble> for DiffError {
    fn from(error: Trouble) -> Self {
        Self::Replay(error)
    }
}

/// How an execution went, as a whole.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Execution {
    /// What the reader calls it.
    pub name: String,
    /// Why it ended; `None` if its recorder did not live to see that.
    pub reason: Option<EndReason>,
    /// The guest's own status.
    pub exit_status: Option<i32>,
    /// Whether the trace holds all of the execution.
    pub complete: bool,
}

/// A setting that is not the same in both traces.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct SettingDifference {
    /// What is set.
    pub name: String,
    /// To what, in each; `None` if it is not set at all.
    pub value: Pair<Option<String>>,
    /// Whether the guest can notice.
    pub of_machine: bool,
}

/// In which way a core parts.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum PartingKind {
    /// From the same state it executes another instruction: an interrupt was taken in one execution.
    Path,
    /// The same instruction has another result.
    State,
    /// One execution ends where the other goes on.
    End,
    /// The traces' digests of the core differ, though its steps do not.
    Digest,
}

/// Where a core parts.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Parting {
    /// How many steps it takes alike; the next one is the first that differs.
    pub position: Position,
    /// In which way.
    pub kind: PartingKind,
    /// Where in the code each execution takes that step.
    pub site: Pair<Option<Site>>,
    /// The core whose own parting this one comes from, if that was looked for and found.
    pub follows: Option<CoreId>,
}

/// How a core compares.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct CoreDifference {
    /// The core.
    pub core: CoreId,
    /// How many steps it took in each execution, as far as the trace reaches.
    pub end: Pair<Position>,
    /// The first input that differs.
    pub input: Option<InputDifference>,
    /// The order edges.
    pub order: OrderComparison,
    /// Where it parts, if it does.
    pub parting: Option<Parting>,
}

/// How two executions compare.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Difference {
    /// The executions.
    pub executions: Pair<Execution>,
    /// The settings that differ, those of the machine first.
    pub settings: Vec<SettingDifference>,
    /// Each core that both machines have.
    pub cores: Vec<CoreDifference>,
    /// Why they part, as far as it was found.
    pub why: Option<Why>,
}

impl Difference {
    /// Whether the executions are the same.
    pub fn same(&self) -> bool {
        let Pair { a, b } = &self.executions;
        let machines_alike = !self.settings.iter().any(|setting| setting.of_machine);
        let ends_alike = a.reason == b.reason && a.exit_status == b.exit_status && a.complete == b.complete;
        machines_alike && ends_alike && self.cores.iter().all(|core| core.parting.is_none())
    }
}

/// Compares two traces of the same guest.
///
/// # Errors
///
/// If they are of different guests, or one of them cannot be read or executed again.
pub fn diff(a: Compared<'_>, b: Compared<'_>, sites: Sites<'_>) -> Result<Difference, DiffError> {
    let headers = Pair { a: a.trace.header(), b: b.trace.header() };
    let guests = headers.map(guest);
    if !guests.equal() {
        return Err(DiffError::Guests {
            names: Pair { a: a.name, b: b.name },
            guests: headers.map(guest_named),
        });
    }
    let traces = Pair { a: a.trace, b: b.trace };
    let executions = Pair { a: execution(&a), b: execution(&b) };
    let horizons = traces.try_map(Trace::horizon)?;
    let cores = usize::min(horizons.a.len(), horizons.b.len());

    let mut compared = Vec::new();
    let mut bounds = Vec::new();
    let mut all_same = true;
    for (core, (&a, &b)) in horizons.a.iter().zip(&horizons.b).enumerate() {
        let core = CoreId(u8::try_from(core).unwrap_or(u8::MAX));
        let streams = streams::compare(&traces, core)?;
        all_same &= streams.same();
        let ends = Pair { a, b };
        bounds.push(Bounds { core, digests_differ: streams.digests_differ, ends });
        compared.push((core, ends, streams));
    }

    let settings = settings(headers.as_ref().map(|header| *header));
    let machines_alike = !settings.iter().any(|setting| setting.of_machine);
    let mut replays: Pair<&mut dyn Replays> = Pair { a: a.replays, b: b.replays };
    // The same inputs in the same order on the same machine: the same execution, as far as both reach. No replay needed.
    let found = match all_same && machines_alike && horizons.equal() {
        true => Vec::new(),
        false => parting::first_partings(&mut replays, &bounds)?,
    };
    let mut search = cause::Search { traces, replays, sites, found: &found };
    let (why, follows) = search.why()?;

    let parting = |core: CoreId| {
        let found: &Found = found.iter().find(|found| found.core == core)?;
        Some(Parting {
            position: found.position,
            kind: found.kind,
            site: found.steps.map(|step| step.map(|step| sites.at(step.pc))),
            follows: follows.iter().find(|(one, _)| *one == core).map(|&(_, other)| other),
        })
    };
    let cores = compared
        .into_iter()
        .take(cores)
        .map(|(core, end, streams)| CoreDifference {
            core,
            end,
            input: streams.inputs,
            order: streams.order,
            parting: parting(core),
        })
        .collect();
    Ok(Difference { executions, settings, cores, why })
}

/// What the guest is made of.
fn guest(header: &Header) -> Vec<ContentDigest> {
    header.images.iter().map(|image| image.digest).collect()
}

fn guest_named(header: &Header) -> String {
    let images: Vec<String> =
        header.images.iter().map(|image| format!("{} ({})", image.name, image.digest)).collect();
    match images.is_empty() {
        true => "no image".to_owned(),
        false => images.join(", "),
    }
}

fn execution(compared: &Compared<'_>) -> Execution {
    let footer = compared.trace.footer();
    Execution {
        name: compared.name.clone(),
        reason: footer.map(|footer| footer.reason.clone()),
        exit_status: footer.and_then(|footer| footer.exit_status),
        complete: *compared.trace.completeness() == Completeness::Complete,
    }
}

fn settings(headers: Pair<&Header>) -> Vec<SettingDifference> {
    let machine = headers.map(|header| machine_settings(&header.configuration));
    let schedule = headers.map(|header| {
        let Header { schedule, .. } = header;
        let mut listed = vec![
            ("seed".to_owned(), schedule.seed.to_string()),
            ("workers".to_owned(), schedule.workers.to_string()),
            ("digest interval".to_owned(), header.configuration.digest_interval.to_string()),
        ];
        listed.extend(schedule.settings.iter().map(|set| (set.name.clone(), set.value.clone())));
        listed
    });
    let mut different = Vec::new();
    for (of_machine, lists) in [(true, machine), (false, schedule)] {
        let names = lists.a.iter().chain(&lists.b).map(|(name, _)| name);
        for name in names {
            let value = lists
                .as_ref()
                .map(|list| list.iter().find(|(other, _)| other == name).map(|(_, value)| value.clone()));
            let listed = different.iter().any(|known: &SettingDifference| known.name == *name);
            if !value.equal() && !listed {
                different.push(SettingDifference { name: name.clone(), value, of_machine });
            }
        }
    }
    different
}

fn machine_settings(configuration: &Configuration) -> Vec<(String, String)> {
    let Configuration { isa, board, cores, ram_bytes, clock, timebase_hz, digest_interval: _, settings } =
        configuration;
    let mut listed = vec![
        ("instruction set".to_owned(), isa.clone()),
        ("board".to_owned(), board.clone()),
        ("cores".to_owned(), cores.to_string()),
        ("RAM bytes".to_owned(), ram_bytes.to_string()),
        ("clock".to_owned(), format!("{clock:?}").to_lowercase()),
        ("time base in Hz".to_owned(), timebase_hz.to_string()),
    ];
    listed.extend(settings.iter().map(|set| (set.name.clone(), set.value.clone())));
    listed
}
