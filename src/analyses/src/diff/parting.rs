//! Finds, for each core, the first step at which two executions part.
//!
//! Guarantees the first one: that two executions come to the same state later, as they do when what differed is
//! overwritten, hides nothing. Costs three executions of each trace for a thousand million steps, whatever the number of
//! cores: the prints of long parts first, then of short ones, then the steps of one short part.

use cantus_traces::{CoreId, Position};

use super::{Pair, PartingKind};
use crate::replays::{Replays, Step, Stretch, Trouble};

/// How many parts a stretch is cut into in one round; as many steps are compared one by one in the last.
const PARTS: u64 = 4096;

/// Where to look on one core.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub core: CoreId,
    /// The first position at which the traces' own digests differ, if one does.
    pub digests_differ: Option<Position>,
    /// How far the core got in each execution.
    pub ends: Pair<Position>,
}

/// Where a core parted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Found {
    pub core: CoreId,
    pub position: Position,
    pub kind: PartingKind,
    pub steps: Pair<Option<Step>>,
}

/// The first partings of these cores; those that do the same in both executions are left out.
pub(super) fn first_partings(
    replays: &mut Pair<&mut dyn Replays>,
    bounds: &[Bounds],
) -> Result<Vec<Found>, Trouble> {
    let mut found = Vec::new();
    let mut open: Vec<(Bounds, Stretch)> = Vec::new();
    for &bound in bounds {
        let end = bound.ends.a.min(bound.ends.b);
        let to = bound.digests_differ.map_or(end, |position| position.min(end));
        open.push((bound, Stretch { core: bound.core, from: Position(0), to }));
    }
    while !open.is_empty() {
        let longest =
            open.iter().map(|(_, stretch)| stretch.to.0.saturating_sub(stretch.from.0)).max().unwrap_or(0);
        open = match longest <= PARTS {
            true => step_by_step(replays, &open, &mut found)?,
            false => part_by_part(replays, &open, longest.div_ceil(PARTS), &mut found)?,
        };
    }
    found.sort_by_key(|parting| parting.core);
    Ok(found)
}

/// One round of prints: the same cores with shorter stretches, or, where nothing differs, with the next one.
fn part_by_part(
    replays: &mut Pair<&mut dyn Replays>,
    open: &[(Bounds, Stretch)],
    every: u64,
    found: &mut Vec<Found>,
) -> Result<Vec<(Bounds, Stretch)>, Trouble> {
    let stretches: Vec<Stretch> = open.iter().map(|&(_, stretch)| stretch).collect();
    let a = replays.a.prints(&stretches, every)?;
    let b = replays.b.prints(&stretches, every)?;
    let mut still_open = Vec::new();
    for (at, &(bound, stretch)) in open.iter().enumerate() {
        let (a, b) = (answered(&a, at)?, answered(&b, at)?);
        let same = a.iter().zip(b).take_while(|(a, b)| a == b).count();
        if same < a.len().max(b.len()) {
            let from = stretch.from.0.saturating_add((same as u64).saturating_mul(every));
            let to = Position(from.saturating_add(every).min(stretch.to.0));
            still_open.push((bound, Stretch { from: Position(from), to, ..stretch }));
        } else {
            still_open.extend(beyond(bound, stretch, found));
        }
    }
    Ok(still_open)
}

/// One round of steps, which ends the search on every core that parts within its stretch.
fn step_by_step(
    replays: &mut Pair<&mut dyn Replays>,
    open: &[(Bounds, Stretch)],
    found: &mut Vec<Found>,
) -> Result<Vec<(Bounds, Stretch)>, Trouble> {
    let stretches: Vec<Stretch> = open.iter().map(|&(_, stretch)| stretch).collect();
    let a = replays.a.paths(&stretches)?;
    let b = replays.b.paths(&stretches)?;
    let mut still_open = Vec::new();
    for (at, &(bound, stretch)) in open.iter().enumerate() {
        let (a, b) = (answered(&a, at)?, answered(&b, at)?);
        let same = a.iter().zip(b).take_while(|(a, b)| a == b).count();
        let steps = Pair { a: a.get(same).copied(), b: b.get(same).copied() };
        let kind = match (steps.a, steps.b) {
            (None, None) => {
                still_open.extend(beyond(bound, stretch, found));
                continue;
            }
            (Some(a), Some(b)) if a.pc == b.pc => PartingKind::State,
            (Some(_), Some(_)) => PartingKind::Path,
            (Some(_), None) | (None, Some(_)) => PartingKind::End,
        };
        let position = Position(stretch.from.0.saturating_add(same as u64));
        found.push(Found { core: bound.core, position, kind, steps });
    }
    Ok(still_open)
}

/// Where to look next on a core whose executions are the same over a whole stretch.
fn beyond(bound: Bounds, stretch: Stretch, found: &mut Vec<Found>) -> Option<(Bounds, Stretch)> {
    let end = bound.ends.a.min(bound.ends.b);
    if stretch.to < end {
        return Some((bound, Stretch { from: stretch.to, to: end, ..stretch }));
    }
    let nothing = Pair { a: None, b: None };
    if let Some(position) = bound.digests_differ {
        found.push(Found { core: bound.core, position, kind: PartingKind::Digest, steps: nothing });
    } else if bound.ends.a != bound.ends.b {
        found.push(Found { core: bound.core, position: end, kind: PartingKind::End, steps: nothing });
    }
    None
}

fn answered<T>(answers: &[Vec<T>], at: usize) -> Result<&Vec<T>, Trouble> {
    answers.get(at).ok_or_else(|| Trouble::from("a replay left a question without an answer"))
}
