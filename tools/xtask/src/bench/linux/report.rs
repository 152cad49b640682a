//! What was measured of Linux guests, as tables and as JSON.

use std::fmt;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::Turn;
use super::boot::Boot;
use super::works::Works;
use crate::bench::figures::Spread;

/// All that was measured.
pub struct Report {
    /// QEMU's version, if it was measured.
    qemu: Option<String>,
    /// Cantus's executor, if Cantus was measured.
    executor: Option<String>,
    kernel: PathBuf,
    works: Option<String>,
    rows: Vec<(usize, Vec<Turn>)>,
}

/// A figure of a boot, in seconds.
type Seconds = fn(&Boot) -> Option<f64>;

/// What is timed: its name and where it stands.
const TIMED: &[(&str, Seconds)] =
    &[("shell", |boot| Some(boot.shell.as_secs_f64())), ("works", |boot| Some(boot.works?.as_secs_f64()))];

/// Where in a round the boot of a runner stands.
pub type Place = fn(&Turn) -> Option<&Boot>;

/// Who is timed.
pub const RUNNERS: &[(&str, Place)] = &[
    ("qemu", |turn| turn.qemu.as_ref()),
    ("free", |turn| turn.free.as_ref()),
    ("record", |turn| turn.record.as_ref()),
    ("replay", |turn| turn.replay.as_ref()),
];

/// The ratios of neighbours that are shown: numbers of runners.
pub const RATIOS: &[(usize, usize)] = &[(1, 0), (2, 1), (2, 0), (3, 2)];

impl Report {
    /// Of nothing yet.
    pub fn new(qemu: Option<String>, executor: Option<&str>, kernel: &Path, works: Option<&str>) -> Self {
        let [executor, works] = [executor, works].map(|text| text.map(str::to_owned));
        Self { qemu, executor, kernel: kernel.to_owned(), works, rows: Vec::new() }
    }

    /// Adds the rounds on a number of cores.
    pub fn add(&mut self, cores: usize, turns: Vec<Turn>) {
        self.rows.push((cores, turns));
    }

    /// The same as text for programs.
    pub fn json(&self) -> String {
        let rows: Vec<Value> = self.rows.iter().map(|(cores, turns)| row_json(*cores, turns)).collect();
        let Self { qemu, executor, kernel, works, .. } = self;
        format!(
            "{:#}\n",
            json!({ "qemu": qemu, "executor": executor, "kernel": kernel, "works": works, "rows": rows })
        )
    }
}

/// One round in a line, in seconds.
pub fn line(turn: &Turn) -> String {
    let mut parts = Vec::new();
    for (name, of) in RUNNERS {
        if let Some(boot) = of(turn) {
            let works = boot.works.map(|works| format!(" + {:.2}", works.as_secs_f64())).unwrap_or_default();
            parts.push(format!("{name} {:.2}{works} s", boot.shell.as_secs_f64()));
        }
    }
    parts.join(", ")
}

fn row_json(cores: usize, turns: &[Turn]) -> Value {
    let mut row = json!({ "cores": cores, "rounds": turns.len() });
    for (what, seconds) in TIMED {
        for (name, of) in RUNNERS {
            row[format!("{what}_seconds")][*name] = spread(turns, |turn| seconds(of(turn)?));
        }
        for &(one, other) in RATIOS {
            let name = format!("{}_per_{}", RUNNERS[one].0, RUNNERS[other].0);
            row[format!("{what}_ratios")][name] = spread(turns, |turn| ratio(turn, *seconds, one, other));
        }
    }
    for (name, of) in RUNNERS {
        row["memory_bytes"][*name] = spread(turns, |turn| Some(of(turn)?.memory as f64));
    }
    row["works"] = Works::of(cores, turns).json();
    row["million_steps"] = spread(turns, |turn| Some(turn.trace?.steps / 1e6));
    row["trace_bytes_per_second"] = spread(turns, bytes_per_second);
    row["trace_bytes_per_thousand_steps"] = spread(turns, bytes_per_thousand);
    row
}

fn ratio(turn: &Turn, seconds: Seconds, one: usize, other: usize) -> Option<f64> {
    Some(seconds(RUNNERS[one].1(turn)?)? / seconds(RUNNERS[other].1(turn)?)?)
}

fn bytes_per_second(turn: &Turn) -> Option<f64> {
    Some(turn.trace?.event_bytes / turn.record.as_ref()?.whole.as_secs_f64())
}

fn bytes_per_thousand(turn: &Turn) -> Option<f64> {
    let trace = turn.trace?;
    Some(trace.event_bytes * 1000.0 / trace.steps)
}

/// The spread of a figure over those rounds that have it.
pub fn spread_of(turns: &[Turn], figure: impl Fn(&Turn) -> Option<f64>) -> Option<Spread> {
    let values: Vec<f64> = turns.iter().filter_map(figure).filter(|value| value.is_finite()).collect();
    (!values.is_empty()).then(|| Spread::of(values))
}

pub fn spread(turns: &[Turn], figure: impl Fn(&Turn) -> Option<f64>) -> Value {
    spread_of(turns, figure).map_or(
        Value::Null,
        |spread| json!({ "median": spread.median, "min": spread.min, "max": spread.max }),
    )
}

/// A median with its place behind the comma, or a dash.
pub fn median(turns: &[Turn], places: usize, figure: impl Fn(&Turn) -> Option<f64>) -> String {
    spread_of(turns, figure).map_or("-".to_owned(), |spread| format!("{:.places$}", spread.median))
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cpus = std::thread::available_parallelism().map_or(1, usize::from);
        writeln!(
            f,
            "{} on {cpus} host CPUs; medians, of times in seconds and of ratios within rounds",
            self.kernel.display()
        )?;
        writeln!(f, "{}", self.qemu.as_deref().unwrap_or("QEMU was not measured"))?;
        match &self.executor {
            Some(executor) => writeln!(f, "Cantus with executor {executor}")?,
            None => writeln!(f, "Cantus was not measured")?,
        }
        for (what, seconds) in TIMED {
            if *what == "works" && self.works.is_none() {
                continue;
            }
            let title = self.works.as_deref().filter(|_| *what == "works");
            writeln!(
                f,
                "\n{}",
                title.map_or("time to the shell".to_owned(), |works| format!("works: {works}"))
            )?;
            write!(f, "{:>5} {:>6}", "cores", "rounds")?;
            for (name, _) in RUNNERS {
                write!(f, " {name:>8}")?;
            }
            for &(one, other) in RATIOS {
                write!(f, " {:>14}", format!("{}/{}", RUNNERS[one].0, RUNNERS[other].0))?;
            }
            writeln!(f)?;
            for (cores, turns) in &self.rows {
                write!(f, "{cores:>5} {:>6}", turns.len())?;
                for (_, of) in RUNNERS {
                    write!(f, " {:>8}", median(turns, 2, |turn| seconds(of(turn)?)))?;
                }
                for &(one, other) in RATIOS {
                    write!(f, " {:>14}", median(turns, 3, |turn| ratio(turn, *seconds, one, other)))?;
                }
                writeln!(f)?;
            }
        }
        for (cores, turns) in &self.rows {
            write!(f, "{}", Works::of(*cores, turns))?;
        }
        writeln!(f, "\npeak memory in MiB, and the trace's events")?;
        write!(f, "{:>5} {:>6}", "cores", "")?;
        for (name, _) in RUNNERS {
            write!(f, " {name:>8}")?;
        }
        writeln!(f, " {:>14} {:>14} {:>14}", "M steps", "KiB/s", "B/1k steps")?;
        for (cores, turns) in &self.rows {
            write!(f, "{cores:>5} {:>6}", "")?;
            for (_, of) in RUNNERS {
                write!(
                    f,
                    " {:>8}",
                    median(turns, 0, |turn| Some(of(turn)?.memory as f64 / f64::from(1 << 20)))
                )?;
            }
            writeln!(
                f,
                " {:>14} {:>14} {:>14}",
                median(turns, 1, |turn| Some(turn.trace?.steps / 1e6)),
                median(turns, 1, |turn| Some(bytes_per_second(turn)? / 1024.0)),
                median(turns, 3, bytes_per_thousand)
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::TraceSize;
    use super::*;

    fn boot(seconds: u64) -> Option<Boot> {
        let shell = Duration::from_secs(seconds);
        Some(Boot { shell, works: None, each: Vec::new(), whole: 2 * shell, memory: seconds << 20 })
    }

    fn turn(qemu: u64, free: u64, record: u64) -> Turn {
        let trace = Some(TraceSize { steps: 2e6, event_bytes: 6000.0 });
        Turn { qemu: boot(qemu), free: boot(free), record: boot(record), replay: None, trace }
    }

    #[test]
    fn ratios_are_taken_within_a_round() {
        let mut report = Report::new(Some("QEMU 1".to_owned()), Some("jit"), Path::new("k"), None);
        report.add(4, vec![turn(2, 4, 6), turn(20, 40, 60), turn(1, 2, 3)]);
        let json: Value = serde_json::from_str(&report.json()).unwrap();
        assert_eq!(json["executor"], "jit");
        let row = &json["rows"][0];
        assert_eq!(row["shell_seconds"]["qemu"]["median"], 2.0);
        assert_eq!(row["shell_ratios"]["free_per_qemu"]["median"], 2.0);
        assert_eq!(row["shell_ratios"]["record_per_free"]["max"], 1.5);
        assert_eq!(row["shell_ratios"]["replay_per_record"], Value::Null);
        assert_eq!(row["trace_bytes_per_thousand_steps"]["median"], 3.0);
        assert_eq!(row["trace_bytes_per_second"]["max"], 1000.0);
    }

    #[test]
    fn what_was_not_measured_is_a_dash() {
        let mut report = Report::new(None, None, Path::new("k"), None);
        report.add(1, vec![Turn { qemu: boot(3), free: None, record: None, replay: None, trace: None }]);
        report.add(2, Vec::new());
        let text = report.to_string();
        assert!(text.contains("QEMU was not measured\nCantus was not measured\n"), "{text}");
        let row = text.lines().find(|line| line.starts_with("    1      1")).unwrap();
        assert_eq!(
            row.split_whitespace().collect::<Vec<_>>(),
            ["1", "1", "3.00", "-", "-", "-", "-", "-", "-", "-"]
        );
    }
}
