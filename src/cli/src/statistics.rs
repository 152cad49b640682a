//! What was done to run, record or replay a guest: in words, and as JSON.

use std::fmt::{self, Display, Formatter};

use cantus::{CodeExits, Counts, Executor, Exits, Orders, PerfMap, Statistics, Work};
use cantus_analyses::diff::grouped;
use clap::Args;
use owo_colors::OwoColorize;
use serde::Serialize;

use crate::failure::Failure;
use crate::terminal;

/// Flags of the verbs that tell what they have done.
#[derive(Args, Clone, Copy, Debug)]
pub struct StatisticsArgs {
    /// At the end, tell on the standard error what was done: instructions, blocks, translated code and how it was left, misses
    /// of the TLB, grants and hand-overs; with --json as a part of the result
    #[arg(long)]
    stats: bool,
    /// Write a map of translated code to perf-PID.map in the folder /tmp, where `perf report` looks for the names of the guest's functions
    #[arg(long)]
    perf_map: bool,
}

impl StatisticsArgs {
    /// The map of code, if one is wanted.
    pub fn perf_map(self, executor: Executor) -> Result<Option<PerfMap>, Failure> {
        match (self.perf_map, executor) {
            (false, _) => Ok(None),
            (true, Executor::Jit | Executor::Mixed) => Ok(Some(PerfMap::create()?)),
            (true, Executor::Interp) => {
                Err(Failure::usage("--perf-map is for translated code, and the interpreter has none")
                    .advise("leave --executor interp out"))
            }
        }
    }

    /// What is to be told, for a result as JSON.
    pub fn facts(self, statistics: &Statistics) -> Option<Facts> {
        self.stats.then(|| Facts::new(statistics))
    }

    /// Tells it, unless it is in a result as JSON.
    pub fn tell(self, statistics: &Statistics, json: bool) {
        if self.stats && !json {
            terminal::report(Facts::new(statistics));
        }
    }
}

/// An error if the map of code is not whole.
pub fn mapped(map: Option<&PerfMap>) -> Result<(), Failure> {
    match map.and_then(PerfMap::take_error) {
        None => Ok(()),
        Some(cantus::Error::File { path, error }) => {
            Err(Failure::io(&path, "write the map of translated code", &error))
        }
        Some(error) => Err(error.into()),
    }
}

/// What was done, for all cores together.
#[derive(Clone, Debug, Serialize)]
pub struct Facts {
    instructions: Instructions,
    blocks: Blocks,
    /// None where nothing was translated.
    code: Option<Code>,
    tlb: Tlb,
    /// Why cores stopped to look at the outside.
    stops: Stops,
    /// None in a free run.
    order: Option<Order>,
}

#[derive(Clone, Debug, Serialize)]
struct Instructions {
    all: u64,
    /// By translated code itself.
    translated: u64,
    /// By the interpreter, in the middle of translated code.
    left_by_code: u64,
    /// By the interpreter, a block or an instruction at a time.
    interpreted: u64,
}

#[derive(Clone, Debug, Serialize)]
struct Blocks {
    decoded: u64,
    /// Compared with memory, because others might have changed them.
    compared: u64,
    translated: u64,
}

#[derive(Clone, Debug, Serialize)]
struct Code {
    /// Pieces of code, each of one block, or of several between which it goes on without being left.
    units: u64,
    bytes: u64,
    flushes: u64,
    entries: u64,
    blocks_run: u64,
    /// Of a million blocks, so many were come to from other code.
    chained_per_million: u64,
    jumps_linked: u64,
    exits: Ways,
}

#[derive(Clone, Debug, Serialize)]
struct Ways {
    spent: u64,
    unlinked: u64,
    elsewhere: u64,
    stale: u64,
    step: u64,
}

#[derive(Clone, Debug, Serialize)]
struct Tlb {
    /// Loads, stores and atomics that no fast entry allowed.
    misses: u64,
    misses_per_million: u64,
    /// Translations that were not there.
    fills: u64,
    fills_per_million: u64,
}

#[derive(Clone, Debug, Serialize)]
struct Stops {
    until: u64,
    safepoint: u64,
    blocked: u64,
    wait: u64,
    device: u64,
    spin: u64,
}

#[derive(Clone, Debug, Serialize)]
struct Order {
    grants: u64,
    hand_overs: u64,
    waits: u64,
}

/// How many of a million; 0 of none.
fn per_million(part: u64, whole: u64) -> u64 {
    (u128::from(part) * 1_000_000).checked_div(whole.into()).map_or(0, |share| share as u64)
}

impl Facts {
    fn new(Statistics { work, orders }: &Statistics) -> Self {
        let Work { steps, counts, exits } = *work;
        let Counts { decoded, compared, misses, fills, code } = counts;
        let Exits { until, attention, blocked, wait, device, spin } = exits;
        let CodeExits { spent, unlinked, elsewhere, stale, step } = code.exits;
        let (translated, left_by_code) = (code.instructions, code.steps);
        let interpreted = steps.saturating_sub(translated + left_by_code);
        Self {
            instructions: Instructions { all: steps, translated, left_by_code, interpreted },
            blocks: Blocks { decoded, compared, translated: code.blocks },
            code: (code.blocks != 0).then(|| Code {
                units: code.units,
                bytes: code.bytes,
                flushes: code.flushes,
                entries: code.entries,
                blocks_run: code.runs,
                chained_per_million: per_million(code.runs.saturating_sub(code.entries), code.runs),
                jumps_linked: code.links,
                exits: Ways { spent, unlinked, elsewhere, stale, step },
            }),
            tlb: Tlb {
                misses,
                misses_per_million: per_million(misses, steps),
                fills,
                fills_per_million: per_million(fills, steps),
            },
            stops: Stops { until, safepoint: attention, blocked, wait, device, spin },
            order: orders.map(|Orders { grants, hand_overs, waits }| Order { grants, hand_overs, waits }),
        }
    }
}

/// A share in percent.
fn percent(part: u64, whole: u64) -> String {
    let tenths = per_million(part, whole) / 1_000;
    format!("{}.{} %", tenths / 10, tenths % 10)
}

/// How many of a thousand, of how many of a million.
fn per_thousand(per_million: u64) -> String {
    format!("{}.{:03}", per_million / 1_000, per_million % 1_000)
}

impl Display for Facts {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let name = |name: &'static str| format!("{name:<16}").style(terminal::strong()).to_string();
        let Instructions { all, translated, left_by_code, interpreted } = self.instructions;
        write!(f, "{} {}", name("instructions"), grouped(all))?;
        if self.code.is_some() {
            let [translated, left, interpreted] =
                [translated, left_by_code, interpreted].map(|part| percent(part, all));
            write!(
                f,
                ": {translated} translated, {left} left by code to the interpreter, {interpreted} interpreted"
            )?;
        }
        let Blocks { decoded, compared, translated } = self.blocks;
        let [decoded, compared, translated] = [decoded, compared, translated].map(grouped);
        write!(
            f,
            "\n{} {decoded} decoded, {compared} compared again, {translated} translated",
            name("blocks")
        )?;
        if let Some(code) = &self.code {
            let Code {
                units,
                bytes,
                flushes,
                entries,
                blocks_run,
                chained_per_million: _,
                jumps_linked,
                ref exits,
            } = *code;
            let size = terminal::bytes(bytes);
            write!(
                f,
                "\n{} {size} in {} units of blocks, {} flushes, {} jumps linked",
                name("code"),
                grouped(units),
                grouped(flushes),
                grouped(jumps_linked)
            )?;
            let stayed = percent(blocks_run.saturating_sub(entries), blocks_run);
            write!(
                f,
                "\n{} {stayed} of {} blocks come to from other code, the others by {} entries",
                name("chained"),
                grouped(blocks_run),
                grouped(entries)
            )?;
            let Ways { spent, unlinked, elsewhere, stale, step } = *exits;
            let [spent, unlinked, elsewhere, stale, step] =
                [spent, unlinked, elsewhere, stale, step].map(grouped);
            write!(
                f,
                "\n{} {spent} to look outside, {unlinked} by jumps not linked yet, {elsewhere} to where no code was \
                 found, {stale} before units to compare, {step} by steps of the interpreter",
                name("code left")
            )?;
        }
        let Tlb { misses, misses_per_million, fills, fills_per_million } = self.tlb;
        write!(
            f,
            "\n{} {} accesses without a fast entry and {} without a translation: {} and {} for a thousand instructions",
            name("TLB misses"),
            grouped(misses),
            grouped(fills),
            per_thousand(misses_per_million),
            per_thousand(fills_per_million)
        )?;
        let Stops { until, safepoint, blocked, wait, device, spin } = self.stops;
        let [until, safepoint, blocked, wait, device, spin] =
            [until, safepoint, blocked, wait, device, spin].map(grouped);
        write!(
            f,
            "\n{} {until} at positions, {safepoint} at safepoints, {blocked} for grants, {wait} to sleep, {device} at \
             devices, {spin} spinning",
            name("stops")
        )?;
        if let Some(Order { grants, hand_overs, waits }) = self.order {
            let [grants, hand_overs, waits] = [grants, hand_overs, waits].map(grouped);
            write!(f, "\n{} {grants} grants taken, {hand_overs} hand-overs, {waits} waits", name("order"))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{per_million, per_thousand, percent};

    #[test]
    fn shares_of_anything_can_be_told() {
        assert_eq!(percent(1, 3), "33.3 %");
        assert_eq!(percent(0, 0), "0.0 %");
        assert_eq!(percent(7, 7), "100.0 %");
        assert_eq!(per_million(u64::MAX, u64::MAX), 1_000_000);
        assert_eq!(per_thousand(1_234_056), "1234.056");
    }
}
