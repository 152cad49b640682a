//! What is said to people: styles, progress, units.
//!
//! Results go to the standard output, everything else to the standard error. Colours and progress are shown on terminals
//! only; colours not where `NO_COLOR` is set.

use cantus::{Interrupt, Warnings};
use cantus_analyses::diff::grouped;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::Path;
use std::time::Duration;
use std::{fmt, fs};

use anstream::AutoStream;
use indicatif::style::TemplateError;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use owo_colors::{OwoColorize, Style};
use serde::Serialize;

use crate::args::General;
use crate::failure::Failure;

/// How results are written.
pub type Out = BufWriter<AutoStream<io::Stdout>>;

/// The standard output, for results.
pub fn out() -> Out {
    BufWriter::new(anstream::stdout())
}

/// How much is said beside results.
#[derive(Clone, Copy, Debug)]
pub struct Voice {
    quiet: bool,
}

impl Voice {
    /// As the flags say.
    pub fn new(general: General) -> Self {
        Self { quiet: general.quiet }
    }

    /// Says something that is no result.
    pub fn say(self, text: impl std::fmt::Display) {
        if !self.quiet {
            // Nobody may be there to be told; that is no reason to end.
            let _ = writeln!(anstream::stderr(), "{text}");
        }
    }

    /// Says what goes wrong in a guest's devices.
    pub fn warnings(self) -> Warnings {
        Warnings::new(move |what| self.say(format_args!("{} {what}", "warning:".style(strong()))))
    }

    /// Shows that something is going on, and for how long, if somebody watches.
    pub fn progress(self, doing: &str) -> ProgressBar {
        self.bar(doing, ProgressStyle::with_template("{spinner} {prefix}  {elapsed}  {msg}"))
    }

    /// The same, with how far the runs are that an interrupt would end.
    pub fn progress_of_runs(self, doing: &str, runs: &Interrupt) -> ProgressBar {
        let style = ProgressStyle::with_template("{spinner} {prefix}  {elapsed}  {far}");
        let runs = runs.clone();
        self.bar(
            doing,
            style.map(|style| {
                style.with_key("far", move |state: &ProgressState, out: &mut dyn fmt::Write| {
                    far(&runs, state, out)
                })
            }),
        )
    }

    /// The same, with the size of a file that grows. Not where the guest's console is on the terminal, too.
    pub fn progress_of_file(self, doing: &str, file: &Path, runs: &Interrupt) -> ProgressBar {
        let file = file.to_owned();
        let runs = runs.clone();
        let size = move |state: &ProgressState, out: &mut dyn fmt::Write| {
            far(&runs, state, out);
            let written = fs::metadata(&file).map_or(0, |facts| facts.len());
            // Nobody is told if a line of progress is cut off.
            let _ = write!(out, ", {} of trace", bytes(written));
        };
        let style = ProgressStyle::with_template("{spinner} {prefix}  {elapsed}  {size}");
        match io::stdout().is_terminal() {
            true => ProgressBar::hidden(),
            false => self.bar(doing, style.map(|style| style.with_key("size", size))),
        }
    }

    fn bar(self, doing: &str, style: Result<ProgressStyle, TemplateError>) -> ProgressBar {
        let watched = !self.quiet && io::stderr().is_terminal();
        let target = if watched { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(None, target);
        if let Ok(style) = style {
            bar.set_style(style);
        }
        bar.set_prefix(doing.to_owned());
        if watched {
            bar.enable_steady_tick(Duration::from_millis(100));
        }
        bar
    }
}

/// Writes how many instructions there were, at which rate, and the guest's time.
fn far(runs: &Interrupt, state: &ProgressState, out: &mut dyn fmt::Write) {
    let (steps, seconds) = runs.progress();
    let rate = steps as f64 / 1e6 / state.elapsed().as_secs_f64().max(1e-3);
    // Nobody is told if a line of progress is cut off.
    let _ = write!(out, "{} instructions, {rate:.0} M/s, {seconds:.1} s of guest time", grouped(steps));
}

/// Says what was asked for, and is no result.
pub fn report(text: impl fmt::Display) {
    // Nobody may be there to be told; that is no reason to end.
    let _ = writeln!(anstream::stderr(), "{text}");
}

/// Tells why a verb ended early.
pub fn tell(failure: &Failure) {
    if let Failure::Told { .. } = failure {
        let _ = writeln!(anstream::stderr(), "{} {failure}", "cantus:".style(bad()));
    }
}

/// Writes a value as JSON, for people who read it too.
pub fn json(out: &mut impl Write, value: &impl Serialize) -> Result<(), Failure> {
    serde_json::to_writer_pretty(&mut *out, value)?;
    writeln!(out)?;
    Ok(())
}

/// What is as it should be.
pub fn good() -> Style {
    Style::new().green().bold()
}

/// What is not.
pub fn bad() -> Style {
    Style::new().red().bold()
}

/// What to look at.
pub fn strong() -> Style {
    Style::new().bold()
}

/// A number of bytes in a unit that suits it.
pub fn bytes(number: u64) -> String {
    const UNITS: [(&str, u32); 4] = [("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)];
    match UNITS.iter().find(|(_, shift)| number >> shift != 0) {
        None => format!("{number} bytes"),
        Some((unit, shift)) => {
            // In tenths, rounded down, without floating point.
            let tenths = ((u128::from(number) * 10) >> shift) as u64;
            match (tenths / 10, tenths % 10) {
                (whole, 0) => format!("{whole} {unit}"),
                (whole, _) if whole >= 100 => format!("{whole} {unit}"),
                (whole, tenth) => format!("{whole}.{tenth} {unit}"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::bytes;

    #[test]
    fn sizes_have_a_unit_that_suits_them() {
        assert_eq!(bytes(0), "0 bytes");
        assert_eq!(bytes(1023), "1023 bytes");
        assert_eq!(bytes(1536), "1.5 KiB");
        assert_eq!(bytes(128 << 20), "128 MiB");
        assert_eq!(bytes(u64::MAX), "16777215 TiB");
    }
}
