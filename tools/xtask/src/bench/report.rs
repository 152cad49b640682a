//! What was measured, as one table with its targets and as JSON.

use std::fmt;

use serde_json::{Value, json};

use super::figures::{Spread, geometric_mean};
use super::measure::{Interpreter, Measured};

/// The geometric mean of recording against free runs, over all patterns and numbers of cores.
const RECORD_MAX: f64 = 1.35;

/// The geometric mean of replays against recordings.
const REPLAY_MAX: f64 = 1.0;

/// The geometric mean of bytes per thousand instructions, over what is not pure contention.
const BYTES_MAX: f64 = 1.0;

/// Million instructions a second on one core.
const MIPS_MIN: f64 = 150.0;

/// All that was measured.
pub struct Report {
    runs: usize,
    measured: Vec<Measured>,
    interpreter: Option<Interpreter>,
}

/// A figure beside what it should be.
struct Target {
    name: &'static str,
    value: Option<f64>,
    limit: f64,
    /// Whether more is better.
    is_floor: bool,
}

impl Target {
    fn is_met(&self) -> Option<bool> {
        self.value.map(|value| if self.is_floor { value >= self.limit } else { value <= self.limit })
    }
}

impl Report {
    /// Nothing yet, of measurements made so many times each.
    pub fn new(runs: usize) -> Self {
        Self { runs, measured: Vec::new(), interpreter: None }
    }

    /// Adds a pattern.
    pub fn add(&mut self, measured: Measured) {
        self.measured.push(measured);
    }

    /// Adds the speed of a core.
    pub fn add_interpreter(&mut self, interpreter: Interpreter) {
        self.interpreter = Some(interpreter);
    }

    fn targets(&self) -> Vec<Target> {
        let limited = |measured: &&Measured| measured.pattern.record_max.is_some();
        let sharing = self.measured.iter().filter(|measured| !measured.pattern.is_pure_contention);
        vec![
            Target {
                name: "record / free, private and read-shared, worst",
                value: self.measured.iter().filter(limited).map(|m| m.record.median).reduce(f64::max),
                limit: self
                    .measured
                    .iter()
                    .filter_map(|m| m.pattern.record_max)
                    .fold(f64::INFINITY, f64::min),
                is_floor: false,
            },
            Target {
                name: "record / free, geometric mean of all",
                value: geometric_mean(self.measured.iter().map(|m| m.record.median)),
                limit: RECORD_MAX,
                is_floor: false,
            },
            Target {
                name: "replay / record, geometric mean of all",
                value: geometric_mean(self.measured.iter().map(|m| m.replay.median)),
                limit: REPLAY_MAX,
                is_floor: false,
            },
            Target {
                name: "bytes / 1000 instructions, not pure contention",
                value: geometric_mean(sharing.map(|m| m.bytes.median)),
                limit: BYTES_MAX,
                is_floor: false,
            },
            Target {
                name: "million instructions a second, one core, interpreted",
                value: self.interpreter.as_ref().map(|interpreter| interpreter.mips.median),
                limit: MIPS_MIN,
                is_floor: true,
            },
        ]
        .into_iter()
        .filter(|target| target.value.is_some())
        .collect()
    }

    /// All of it as JSON.
    pub fn json(&self) -> String {
        let measured: Vec<Value> = self
            .measured
            .iter()
            .map(|m| {
                json!({
                    "pattern": m.pattern.name,
                    "cores": m.cores,
                    "rounds": m.rounds,
                    "million_steps": spread(m.million_steps),
                    "free_seconds": spread(m.free_seconds),
                    "record_per_free": spread(m.record),
                    "record_per_free_cpu": spread(m.record_cpu),
                    "replay_per_record": spread(m.replay),
                    "replay_per_record_cpu": spread(m.replay_cpu),
                    "bytes_per_thousand_instructions": spread(m.bytes),
                })
            })
            .collect();
        let targets: Vec<Value> = self
            .targets()
            .iter()
            .map(|target| {
                let bound = if target.is_floor { "at_least" } else { "at_most" };
                json!({ "name": target.name, "value": target.value, bound: target.limit, "met": target.is_met() })
            })
            .collect();
        let report = json!({
            "runs": self.runs,
            "host_cpus": host_cpus(),
            "measured": measured,
            "interpreter_mips": self.interpreter.as_ref().map(|interpreter| spread(interpreter.mips)),
            "targets": targets,
        });
        format!("{report:#}\n")
    }
}

fn spread(spread: Spread) -> Value {
    json!({ "median": spread.median, "min": spread.min, "max": spread.max })
}

fn host_cpus() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} host CPUs; medians of {} runs, in brackets the smallest and the largest; CPU is the same ratio in processor \
             time\n",
            host_cpus(),
            self.runs
        )?;
        if !self.measured.is_empty() {
            writeln!(
                f,
                "{:<18} {:>5} {:>8} {:>7}   {:<22} {:<7} {:<22} {:<7} {:>8}",
                "pattern",
                "cores",
                "M instr",
                "free s",
                "record / free",
                "CPU",
                "replay / record",
                "CPU",
                "B / 1k"
            )?;
        }
        for m in &self.measured {
            writeln!(
                f,
                "{:<18} {:>5} {:>8.1} {:>7.2}   {:<22} {:<7.3} {:<22} {:<7.3} {:>8.3}",
                m.pattern.name,
                m.cores,
                m.million_steps.median,
                m.free_seconds.median,
                ratio_text(m.record),
                m.record_cpu.median,
                ratio_text(m.replay),
                m.replay_cpu.median,
                m.bytes.median,
            )?;
        }
        writeln!(f)?;
        for target in self.targets() {
            let bound = if target.is_floor { "at least" } else { "at most" };
            let verdict = if target.is_met() == Some(true) { "met" } else { "MISSED" };
            writeln!(
                f,
                "{:<47} {:>8.3}   {bound} {:<6} {verdict}",
                target.name,
                target.value.unwrap_or(f64::NAN),
                target.limit
            )?;
        }
        Ok(())
    }
}

fn ratio_text(spread: Spread) -> String {
    format!("{:.3} ({:.2}–{:.2})", spread.median, spread.min, spread.max)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::workloads::PATTERNS;

    fn one(record: f64, pattern: usize) -> Measured {
        let spread = |value| Spread { median: value, min: value, max: value };
        Measured {
            pattern: &PATTERNS[pattern],
            cores: 2,
            rounds: 7,
            million_steps: spread(50.0),
            free_seconds: spread(0.5),
            record: spread(record),
            record_cpu: spread(record),
            replay: spread(0.9),
            replay_cpu: spread(0.9),
            bytes: spread(0.5),
        }
    }

    #[test]
    fn a_missed_target_is_named() {
        let mut report = Report::new(1);
        report.add(one(1.02, 0));
        report.add(one(1.5, 3));
        assert_eq!(report.to_string().matches("MISSED").count(), 0, "{report}");
        report.add(one(1.2, 1));
        report.add(one(4.0, 4));
        assert_eq!(report.to_string().matches("MISSED").count(), 2, "{report}");
    }

    #[test]
    fn json_says_what_the_table_says() {
        let mut report = Report::new(1);
        report.add(one(1.02, 0));
        report.add_interpreter(Interpreter { mips: Spread { median: 100.0, min: 90.0, max: 110.0 } });
        let json: Value = serde_json::from_str(&report.json()).unwrap();
        assert_eq!(json["measured"][0]["record_per_free"]["median"], 1.02);
        assert_eq!(json["targets"].as_array().unwrap().last().unwrap()["met"], false);
    }
}
