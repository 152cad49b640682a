//! `cantus info`: what a trace is of, how it was recorded, how much it holds.

use std::io::Write;
use std::path::{Path, PathBuf};

use cantus_analyses::diff::grouped;
use cantus_traces::{ContentDigest, EndReason, Header, Position, Totals, Trace};
use clap::Args;
use owo_colors::OwoColorize;
use serde::Serialize;

use crate::args::TraceArg;
use crate::failure::{Failure, status};
use crate::places::Places;
use crate::summary::{self, Condition};
use crate::terminal::{self, Out};

/// Show a trace's configuration, sizes and totals
#[derive(Args, Debug)]
pub struct Info {
    #[command(flatten)]
    trace: TraceArg,
    /// Print them as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Facts<'a> {
    path: PathBuf,
    header: &'a Header,
    condition: Condition,
    /// What is missing or damaged.
    troubles: Vec<String>,
    reason: Option<&'a EndReason>,
    exit_status: Option<i32>,
    memory: Option<&'a ContentDigest>,
    /// How far each core can be replayed.
    cores: Vec<CoreFacts>,
    steps: u64,
    /// Steps of all cores together before what the trace holds of the run; none if it holds its beginning.
    #[serde(skip_serializing_if = "Option::is_none")]
    begins_after: Option<u64>,
    totals: Totals,
    /// Bytes of events in the file for a thousand steps, in thousandths.
    event_bytes_per_million_steps: Option<u64>,
}

#[derive(Serialize)]
struct CoreFacts {
    core: u8,
    position: Position,
    events: u64,
}

impl Info {
    pub fn execute(self) -> Result<u8, Failure> {
        let path = Places::from_environment()?.find(self.trace.trace.as_deref())?;
        let trace = Trace::open(&path)?;
        let facts = Facts::of(&path, &trace)?;
        let mut out = terminal::out();
        match self.json {
            true => terminal::json(&mut out, &facts)?,
            false => facts.write(&mut out)?,
        }
        out.flush()?;
        Ok(status::OK)
    }
}

impl<'a> Facts<'a> {
    fn of(path: &Path, trace: &'a Trace) -> Result<Self, Failure> {
        let footer = trace.footer();
        let positions = match footer {
            Some(footer) => footer.cores.iter().map(|core| core.position).collect(),
            None => trace.horizon()?,
        };
        let cores: Vec<CoreFacts> = trace
            .cores()
            .zip(positions)
            .map(|(core, position)| CoreFacts {
                core: core.0,
                position,
                events: trace.extent(core).map_or(0, |extent| extent.events),
            })
            .collect();
        // One that is damaged there can still be looked at.
        let origin = trace.origin().ok().flatten();
        let begins_after =
            origin.map(|(_, at)| at.iter().fold(0, |steps: u64, position| steps.saturating_add(position.0)));
        let steps: u64 = cores.iter().map(|core| core.position.0).fold(0, u64::saturating_add);
        let totals = trace.totals();
        let mut troubles: Vec<String> = summary::incompleteness(trace).into_iter().collect();
        troubles.extend(trace.damages().iter().skip(1).map(|damage| {
            format!("chunk {} at offset {} is damaged: {}", damage.chunk, damage.offset, damage.what)
        }));
        let stored = u128::from(totals.event_bytes_stored) * 1_000_000;
        Ok(Self {
            path: path.to_owned(),
            header: trace.header(),
            condition: summary::condition(trace),
            troubles,
            reason: footer.map(|footer| &footer.reason),
            exit_status: footer.and_then(|footer| footer.exit_status),
            memory: footer.map(|footer| &footer.memory),
            cores,
            steps,
            begins_after,
            totals,
            event_bytes_per_million_steps: stored.checked_div(steps.into()).map(|bytes| bytes as u64),
        })
    }

    fn write(&self, out: &mut Out) -> Result<(), Failure> {
        let Header { recorder, configuration, images, schedule, host, command_line } = self.header;
        let mut line = |name: &str, value: &dyn std::fmt::Display| {
            writeln!(out, "{:<16} {value}", name.style(terminal::strong()))
        };
        line("trace", &self.path.display())?;
        line("recorded by", recorder)?;
        if !command_line.is_empty() {
            line("command", &printable(&command_line.join(" ")))?;
        }
        if host.started_unix != 0 {
            line("begun", &utc(host.started_unix))?;
        }
        if host.cpus != 0 {
            line("host", &printable(&format!("{}, {} CPUs, {}", host.cpu, host.cpus, host.os)))?;
        }
        for image in images {
            let kept = if image.stored { "in the trace" } else { "left out of the trace" };
            let size = terminal::bytes(image.bytes);
            line("guest", &printable(&format!("{} ({size}, {kept}, BLAKE3 {})", image.name, image.digest)))?;
        }
        let ram = terminal::bytes(configuration.ram_bytes);
        line("machine", &printable(&format!("{} {}, {ram} of RAM", configuration.board, configuration.isa)))?;
        line("cores", &configuration.cores)?;
        let clock = format!("{:?}, {} Hz", configuration.clock, grouped(configuration.timebase_hz));
        line("clock", &clock.to_lowercase().replace("hz", "Hz"))?;
        for setting in &configuration.settings {
            line(&printable(&setting.name), &printable(&setting.value))?;
        }
        line("seed", &schedule.seed)?;
        line("workers", &schedule.workers)?;
        for setting in &schedule.settings {
            line(&printable(&setting.name), &printable(&setting.value))?;
        }
        line(
            "digests",
            &match configuration.digest_interval {
                0 => "at the end".to_owned(),
                interval => format!("every {} instructions of a core", grouped(interval)),
            },
        )?;
        match self.reason {
            Some(reason) => line("ended", &printable(&summary::ended(reason, self.exit_status)))?,
            None => line("ended", &"unknown: the recorder was stopped before")?,
        }
        line("instructions", &grouped(self.steps))?;
        if let Some(steps) = self.begins_after {
            line("  held from", &format!("{} on, where its first checkpoint is", grouped(steps)))?;
        }
        for core in &self.cores {
            let text = format!("{} instructions, {} events", grouped(core.position.0), grouped(core.events));
            line(&format!("  core {}", core.core), &text)?;
        }
        let Totals { chunks, events, event_bytes, event_bytes_stored, file_bytes } = self.totals;
        let [encoded, stored] = [event_bytes, event_bytes_stored].map(terminal::bytes);
        line("events", &format!("{}, {encoded}, compressed to {stored}", grouped(events)))?;
        if let Some(bytes) = self.event_bytes_per_million_steps {
            let text = format!("{}.{:03} bytes for a thousand instructions", bytes / 1000, bytes % 1000);
            line("density", &text)?;
        }
        line("file", &format!("{} in {} chunks", terminal::bytes(file_bytes), grouped(chunks.into())))?;
        for trouble in &self.troubles {
            writeln!(out, "{} {}", "note:".style(terminal::bad()), printable(trouble))?;
        }
        Ok(())
    }
}

/// Text of a trace, without characters that would move a terminal's cursor.
fn printable(text: &str) -> String {
    text.chars().map(|character| if character.is_control() { '\u{fffd}' } else { character }).collect()
}

/// Seconds since 1970 as a date and time of day.
fn utc(seconds: u64) -> String {
    // Days to a date of the Gregorian calendar, counted from 1 March of the year 0: 400 years have 146,097 days.
    let (days, second) = (seconds / 86_400 + 719_468, seconds % 86_400);
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC")
}

#[cfg(test)]
mod tests {
    use super::utc;

    #[test]
    fn seconds_become_dates() {
        assert_eq!(utc(0), "1970-01-01 00:00:00 UTC");
        assert_eq!(utc(951_782_400), "2000-02-29 00:00:00 UTC");
        assert_eq!(utc(1_795_370_399), "2026-11-22 17:59:59 UTC");
        assert!(!utc(u64::MAX / 2).is_empty());
    }
}
