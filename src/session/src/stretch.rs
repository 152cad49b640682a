//! Verifies the stretches between a trace's checkpoints side by side.
//!
//! A stretch begins at a checkpoint, in a machine of its own, and must end in the state of the next one: the cores' states,
//! and the digest of memory and devices, which the next stretch is held to where it begins. So what is true of every stretch
//! is true of the whole. Where one diverges, it does so as the whole replay would: all before it agrees.

use crate::replay::Opened;
use crate::{Error, ReplayOptions, Replayed, Span, Statistics, Verdict};
use parking_lot::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// The parts of the run from one usable checkpoint to the next, the first from the trace's beginning, the last to its end.
fn stretches(opened: &Opened) -> Result<Vec<Span>, Error> {
    let mut from = opened.origin()?;
    let mut stretches = Vec::new();
    let origin = from.as_ref().and_then(|stand| stand.cut);
    for to in opened.checkpoints()?.into_iter().filter(|stand| origin.is_none() || stand.cut != origin) {
        stretches.push(Span { from: from.replace(to.clone()), to: Some(to) });
    }
    stretches.push(Span { from, to: None });
    Ok(stretches)
}

/// Replays all stretches, at most so many at a time, and says how many there are.
#[expect(
    clippy::disallowed_methods,
    reason = "each thread drives a machine of its own, and no guest sees another"
)]
pub(crate) fn replay_stretches(
    opened: &Opened,
    options: &ReplayOptions,
    jobs: usize,
) -> Result<(Replayed, usize), Error> {
    let stretches = stretches(opened)?;
    let done: Vec<Mutex<Option<Result<Replayed, Error>>>> =
        stretches.iter().map(|_| Mutex::default()).collect();
    // Behind the first stretch that is not as it was, none matters.
    let (next, matters) = (AtomicUsize::new(0), AtomicUsize::new(usize::MAX));
    let work = || {
        loop {
            let number = next.fetch_add(1, Relaxed);
            let Some(span) = stretches.get(number) else { return };
            if number > matters.load(Relaxed) {
                return;
            }
            let replayed = opened.start(options, span.clone(), |_, executor| executor);
            let replayed = replayed.map(|replay| replay.finish(opened));
            if !matches!(&replayed, Ok(Replayed { verdict: Verdict::Identical, .. })) {
                matters.fetch_min(number, Relaxed);
            }
            *done[number].lock() = Some(replayed);
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..jobs.min(stretches.len()) {
            scope.spawn(work);
        }
        work();
    });
    let count = stretches.len();
    let mut last = None;
    let mut statistics = Statistics::default();
    for stretch in done.into_iter().filter_map(Mutex::into_inner) {
        let replayed = stretch?;
        statistics += replayed.statistics;
        let agrees = replayed.verdict == Verdict::Identical;
        last = Some(replayed);
        if !agrees {
            break;
        }
    }
    let replayed = last.expect("the first stretch always matters");
    Ok((Replayed { span: Span::default(), statistics, ..replayed }, count))
}
