//! Verifies a trace: replays it, compares every digest, and narrows down what differs.

use crate::replay::Opened;
use crate::stretch::replay_stretches;
use crate::{Divergence, Error, Executed, ReplayOptions, Replayed, Verdict, replay};
use cantus_analyses::replays::{Replays, Step, Stretch, Trouble};
use cantus_traces::{Event, Position};
use std::path::Path;

/// What came of verifying a trace.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Verified {
    /// What came of the replay.
    pub replayed: Replayed,
    /// Where the replay left the trace, more exactly than its digests say; where it did.
    pub narrowed: Option<Narrowed>,
    /// How many stretches were replayed on their own; 1 where it was the whole.
    pub stretches: usize,
}

/// The stretch between the last digest that agreed and the divergence, executed again twice with a digest after every
/// step: once on all workers, once on one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Narrowed {
    /// The two executions differ from each other: some order is missing from the trace. This is the first instruction
    /// whose result differs.
    Differs {
        /// The position before it.
        position: Position,
        /// Its address in either execution.
        pcs: (u64, u64),
    },
    /// They are the same, so it is not chance that the replay is not the recording: something that it was made of has
    /// changed. These are the inputs and orders that the trace has for the stretch, and how many there are in all.
    Same {
        /// The first of them.
        suspects: Vec<(Position, Event)>,
        /// The number of all.
        count: usize,
    },
}

/// So many events of a stretch are named.
const SUSPECTS_MAX: usize = 16;

/// Replays the trace at `path` and compares every digest; where they differ, executes the stretch in question again.
///
/// # Errors
/// As [`replay`].
pub fn verify(path: impl AsRef<Path>, options: &ReplayOptions) -> Result<Verified, Error> {
    judge(path.as_ref(), options, replay(path.as_ref(), options)?, 1)
}

/// As [`verify`], but replays the stretches between the trace's checkpoints on their own, at most `jobs` at a time: each in
/// a machine with as much RAM as the guest's, and on as many workers as the options say. The verdict is the same.
///
/// # Errors
/// As [`verify`]; and where a checkpoint is not what was recorded.
pub fn verify_stretches(
    path: impl AsRef<Path>,
    options: &ReplayOptions,
    jobs: usize,
) -> Result<Verified, Error> {
    let opened = Opened::new(path.as_ref(), &options.files)?;
    let (replayed, stretches) = replay_stretches(&opened, options, jobs)?;
    judge(path.as_ref(), options, replayed, stretches)
}

fn judge(
    path: &Path,
    options: &ReplayOptions,
    replayed: Replayed,
    stretches: usize,
) -> Result<Verified, Error> {
    let narrowed = match &replayed.verdict {
        Verdict::Diverged(divergence) => narrow(path, options, divergence)?,
        Verdict::Identical | Verdict::IdenticalSoFar(_) | Verdict::Interrupted => None,
    };
    Ok(Verified { replayed, narrowed, stretches })
}

/// `None` where the stretch is empty.
fn narrow(path: &Path, options: &ReplayOptions, divergence: &Divergence) -> Result<Option<Narrowed>, Error> {
    let stretch = Stretch { core: divergence.core, from: divergence.agreed, to: divergence.position };
    if stretch.from >= stretch.to {
        return Ok(None);
    }
    let trouble = |error: Trouble| Error::Again { path: path.to_owned(), error };
    let path_on = |workers: usize| -> Result<Vec<Step>, Error> {
        let mut executed = Executed::open(path, &options.files)?.on_workers(workers);
        let mut paths = executed.paths(&[stretch]).map_err(trouble)?;
        Ok(paths.pop().unwrap_or_default())
    };
    let (many, one) = (path_on(options.workers.max(2))?, path_on(1)?);
    if let Some((a, b)) = many.iter().zip(&one).find(|(a, b)| a != b) {
        return Ok(Some(Narrowed::Differs { position: a.position, pcs: (a.pc.0, b.pc.0) }));
    }
    let executed = Executed::open(path, &options.files)?;
    let mut events = Vec::new();
    for event in executed.trace().stream_from(divergence.core, stretch.from) {
        let (position, event) = event?;
        if position > stretch.to {
            break;
        }
        if !matches!(event, Event::Digest { .. } | Event::Cut { .. }) {
            events.push((position, event));
        }
    }
    let count = events.len();
    events.truncate(SUSPECTS_MAX);
    Ok(Some(Narrowed::Same { suspects: events, count }))
}
