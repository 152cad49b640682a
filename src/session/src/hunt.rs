//! Hunting: records again and again until a run fails, and finds the one choice of the schedule that makes it fail.

use crate::{Error, Guest, Options, Outcome, Policy, Recorded, record};
use std::path::{Path, PathBuf};

/// Whether a run that ended so has failed.
pub fn is_failure(outcome: Outcome) -> bool {
    match outcome {
        Outcome::Exit(status) => status != 0,
        Outcome::Hung | Outcome::Limit(_) | Outcome::Matched => true,
        Outcome::Reset | Outcome::Interrupted | Outcome::Failed | Outcome::Replayed | Outcome::Stuck(_) => {
            false
        }
    }
}

/// Two recordings that have the same beginning, up to one choice of the schedule; one passes, the other fails.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Narrowed {
    /// The recording that passes.
    pub passing: Recorded,
    /// The recording that fails.
    pub failing: Recorded,
    /// How many choices the passing one makes before its cores run in turn; the failing one makes one more.
    pub choices: u64,
    /// How many runs it took to find them.
    pub runs: u64,
}

/// Finds the choice that makes a schedule fail, between none and `options.choices_max`, by halving: the choices before it
/// pass when the cores run in turn afterwards, those up to it fail. Needs one worker, the virtual clock and no input, so
/// that a run is a function of its options; `None` where the run does not fail, or fails without any choice.
///
/// # Errors
/// As [`record`]. `passing` and `failing` are overwritten.
pub fn narrow(
    guest: &Guest,
    options: &Options,
    passing: &Path,
    failing: &Path,
) -> Result<Option<Narrowed>, Error> {
    let mut runs = 0;
    let mut attempt = |choices_max: u64| -> Result<Recorded, Error> {
        runs += 1;
        let options = Options { workers: 1, choices_max, checkpoint_interval: 0, ..options.clone() };
        record(guest, &options, scratch(passing), true)
    };
    let keep = |recorded: Recorded, to: &Path| -> Result<Recorded, Error> {
        std::fs::rename(&recorded.path, to).map_err(|error| Error::File { path: to.to_owned(), error })?;
        Ok(Recorded { path: to.to_owned(), ..recorded })
    };
    let (mut low, mut high) = (0, 1);
    let first = attempt(low)?;
    if is_failure(first.outcome) {
        std::fs::remove_file(&first.path).map_err(|error| Error::File { path: first.path.clone(), error })?;
        return Ok(None);
    }
    let mut passes = keep(first, passing)?;
    // A failing number of choices is not known exactly: double until one is found.
    let mut fails = loop {
        let recorded = attempt(high)?;
        if is_failure(recorded.outcome) {
            break keep(recorded, failing)?;
        }
        passes = keep(recorded, passing)?;
        low = high;
        if high >= CHOICES_MAX.min(options.choices_max) || options.interrupt.is_raised() {
            return Ok(None);
        }
        high = high.saturating_mul(2);
    };
    while high - low > 1 && !options.interrupt.is_raised() {
        let middle = low + (high - low) / 2;
        let recorded = attempt(middle)?;
        if is_failure(recorded.outcome) {
            (high, fails) = (middle, keep(recorded, failing)?);
        } else {
            (low, passes) = (middle, keep(recorded, passing)?);
        }
    }
    Ok(Some(Narrowed { passing: passes, failing: fails, choices: low, runs }))
}

/// A run that makes more choices than this is not narrowed.
const CHOICES_MAX: u64 = 1 << 32;

fn scratch(beside: &Path) -> PathBuf {
    beside.with_extension("attempt")
}

/// The schedule of run number `run` of a hunt that begins with `seed`: random slices and random priorities in turn, with
/// slices of different magnitude and priorities with different numbers of change points.
pub fn schedule(seed: u64, run: u64, horizon: u64) -> (Policy, u64) {
    let policy = match run % 4 {
        0 => Policy::Random { slice_max: 2_000 },
        1 => Policy::Pct { depth: 3, horizon },
        2 => Policy::Random { slice_max: 200 },
        _ => Policy::Pct { depth: 5, horizon },
    };
    (policy, seed.wrapping_add(run))
}
