//! `cantus demo`: the whole story on a built-in guest.
//!
//! Everything that it shows is done with the functions that the other verbs use, on a guest that nobody told where its
//! bug is.

use std::fs;
use std::io::Write;

use cantus::hunt::{self, Narrowed};
use cantus::{Captured, Executed, Guest, Options, Output, ReplayOptions};
use clap::Args;
use owo_colors::OwoColorize;

use crate::failure::{Failure, status};
use crate::outcome;
use crate::places::Places;
use crate::source_text::SourceText;
use crate::stop;
use crate::terminal::{self, Out, Voice};
use crate::verbs::hunt::{Attempt, Hunter, discard};
use crate::verbs::record;
use crate::verdict::Judged;

/// Hunt a bug in a built-in guest, replay it, and show why it happens
#[derive(Args, Debug)]
pub struct Demo {}

/// A bank in which withdrawals check the balance and then act.
const GUEST: &[u8] = include_bytes!("../../../../tests/guests/riscv64/elf/bank_transfer-broken.elf");
const NAME: &str = "bank_transfer-broken.elf";
/// What it was compiled from: where the demo runs, there need not be any source files.
const SOURCES: [(&str, &str); 3] = [
    ("bank_transfer.c", include_str!("../../../../tests/guests/riscv64/bugs/bank_transfer.c")),
    ("cantus.h", include_str!("../../../../tests/guests/riscv64/runtime/cantus.h")),
    ("runtime.c", include_str!("../../../../tests/guests/riscv64/runtime/runtime.c")),
];
const CORES: usize = 2;
/// The bug shows in a few runs; a hunt that finds nothing in so many is over.
const RUNS: u64 = 10_000;
const STEPS_MAX: u64 = 10_000_000;

impl Demo {
    pub fn execute(self, voice: Voice) -> Result<u8, Failure> {
        let guest = Guest::new(NAME, GUEST);
        let places = Places::from_environment()?;
        places.create()?;
        let interrupt = stop::on_ctrl_c();
        let options = Options {
            cores: CORES,
            workers: 1,
            steps_max: Some(STEPS_MAX),
            digest_interval: 10_000,
            interrupt: interrupt.clone(),
            command_line: vec!["cantus".to_owned(), "demo".to_owned()],
            ..Options::default()
        };
        let hunter =
            Hunter { guest: &guest, options, places: &places, only: None, narrow: true, fail_on: None };
        let mut out = terminal::out();

        chapter(&mut out, 1, "Hunt")?;
        writeln!(
            out,
            "The guest is a small bank: {CORES} cores move money between two accounts. Each withdrawal looks whether there\n\
             is enough before it takes it, and every access is atomic. It is run again and again, each time under another\n\
             schedule, and every run is recorded."
        )?;
        out.flush()?;
        let progress = voice.progress("hunting");
        let found = search(&hunter)?;
        progress.finish_and_clear();
        let Some(Found { runs, failed, narrowed }) = found else {
            return Err(match interrupt.is_raised() {
                true => Failure::new(status::INTERRUPTED, "interrupted"),
                false => Failure::new(status::UNAVAILABLE, format!("the bug did not show in {RUNS} runs")),
            });
        };
        let Narrowed { passing, failing, choices, runs: narrowing } = narrowed;
        writeln!(out, "\nRun {runs} fails: {}. It said:", outcome::in_words(failed.outcome))?;
        quote(&mut out, &failed.console)?;
        writeln!(
            out,
            "\n{narrowing} more runs find the choice of the schedule that makes it fail: with choice {} it does, without\n\
             it does not. Both runs are kept.",
            choices + 1
        )?;
        discard(&failed.trace);
        let good = places.keep(&passing.path, NAME)?;
        let bad = places.keep(&failing.path, NAME)?;
        record::latest(&places, &bad);
        let size = fs::metadata(&bad).map_or(0, |facts| facts.len());
        writeln!(out, "The failing one's trace, with the guest in it, has {}:", terminal::bytes(size))?;
        writeln!(out, "{}", bad.display().style(terminal::strong()))?;

        chapter(&mut out, 2, "Replay")?;
        writeln!(out, "Three replays, from the trace alone:\n")?;
        let mut consoles = Vec::new();
        for _ in 0..3 {
            out.flush()?;
            let captured = Captured::default();
            let replay = ReplayOptions {
                output: Output::Captured(captured.clone()),
                interrupt: interrupt.clone(),
                ..ReplayOptions::default()
            };
            let judged = Judged::new(&bad, &cantus::replay(&bad, &replay)?)?;
            writeln!(out, "{judged}")?;
            quote(&mut out, &captured.bytes())?;
            consoles.push(captured.bytes());
            if judged.status() != status::OK {
                out.flush()?;
                return Ok(judged.status());
            }
        }
        if consoles.iter().any(|console| *console != consoles[0]) {
            return Err(Failure::new(status::DIVERGED, "the replays wrote different things to the console"));
        }

        chapter(&mut out, 3, "Why")?;
        writeln!(out, "A is a run that passed, B the one that failed:\n")?;
        out.flush()?;
        let text = SourceText::of(&SOURCES);
        let (a, b) = (Executed::open(&good, &[])?, Executed::open(&bad, &[])?);
        let progress = voice.progress("comparing");
        let difference = cantus::diff_executed(a, b, &|file, line| text.line(file, line));
        progress.finish_and_clear();
        write!(out, "{}", difference?)?;

        chapter(&mut out, 4, "Go on")?;
        let [good, bad] = [good, bad].map(|path| {
            path.file_stem()
                .map_or_else(|| path.display().to_string(), |stem| stem.to_string_lossy().into_owned())
        });
        writeln!(out, "  cantus replay {bad}\n  cantus verify {bad}\n  cantus diff {good} {bad}")?;
        writeln!(out, "  cantus dump {bad} --normalised\n  cantus info {bad}\n  cantus rm {good} {bad}")?;
        out.flush()?;
        Ok(status::OK)
    }
}

struct Found {
    /// Runs until it failed.
    runs: u64,
    failed: Attempt,
    narrowed: Narrowed,
}

/// Runs until one fails that one choice of its schedule can be blamed for.
fn search(hunter: &Hunter<'_>) -> Result<Option<Found>, Failure> {
    let Some(first) = hunter.attempt(0, 0)? else { return Ok(None) };
    discard(&first.trace);
    let horizon = first.steps.iter().sum::<u64>().max(1);
    for number in 1..RUNS {
        let Some(failed) = hunter.attempt(number, horizon)? else { break };
        if hunt::is_failure(failed.outcome)
            && let Some(narrowed) = hunter.narrowed(&failed)?
        {
            return Ok(Some(Found { runs: number + 1, failed, narrowed }));
        }
        discard(&failed.trace);
    }
    Ok(None)
}

fn chapter(out: &mut Out, number: u32, title: &str) -> Result<(), Failure> {
    let title = format!("{number}. {title}");
    writeln!(out, "\n{}\n", title.style(terminal::strong()))?;
    Ok(())
}

fn quote(out: &mut Out, console: &[u8]) -> Result<(), Failure> {
    for line in String::from_utf8_lossy(console).lines() {
        writeln!(out, "  | {line}")?;
    }
    Ok(())
}
