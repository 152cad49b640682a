//! What was measured of guests, as tables with targets and as JSON.

use std::fmt;

use serde_json::{Value, json};

use super::round::{Round, Time};
use super::{Contest, Kind};
use crate::bench::figures::{Spread, geometric_mean};

/// All that was measured.
pub struct Report {
    /// QEMU's version, if it was measured.
    qemu: Option<String>,
    executor: Option<String>,
    rows: Vec<(&'static Contest, Vec<Round>)>,
}

/// A ratio of a round, if both sides were measured. For QEMU's ones: how many times as fast as QEMU.
type Ratio = fn(&Round) -> Option<f64>;

/// What is compared, by name.
const RATIOS: &[(&str, Ratio)] = &[
    ("free, against QEMU", |round| faster(&round.free, round.qemu.as_ref()?)),
    ("recording, against QEMU", |round| faster(&round.record, round.qemu.as_ref()?)),
    ("recording / free", |round| Some(round.record.whole / round.free.whole)),
    ("replay / recording", |round| Some(round.replay.whole / round.record.whole)),
];

/// How many times as fast one is as the other, whole processes.
fn faster(one: &Time, other: &Time) -> Option<f64> {
    Some(other.whole / one.whole)
}

/// The same by the guest's clock.
const INSIDE: &[(&str, Ratio)] = &[
    ("free, against QEMU", |round| Some(round.qemu.as_ref()?.inside? / round.free.inside?)),
    ("recording, against QEMU", |round| Some(round.qemu.as_ref()?.inside? / round.record.inside?)),
];

/// How many times as fast as QEMU a kind should be at least, running free and recording.
const TARGETS: &[(Kind, &str, f64, f64)] = &[
    (Kind::Integer, "integer", 2.0, 1.9),
    (Kind::Float, "floating point", 6.0, 5.5),
    (Kind::Latency, "pointer chase, indirect jumps", 1.2, 1.2),
    (Kind::Multicore, "several cores", 1.5, 1.2),
    (Kind::Start, "a short program", 2.0, 1.0 / 0.6),
];

/// One round in a line, in seconds of whole processes.
pub fn line(round: &Round) -> String {
    let qemu = round.qemu.map(|time| format!("QEMU {:.2} s, ", time.whole)).unwrap_or_default();
    let Round { free, record, replay, .. } = round;
    format!("{qemu}free {:.2} s, record {:.2} s, replay {:.2} s", free.whole, record.whole, replay.whole)
}

fn median(rounds: &[Round], ratio: Ratio) -> Option<f64> {
    let values: Vec<f64> = rounds.iter().filter_map(ratio).collect();
    (!values.is_empty()).then(|| Spread::of(values).median)
}

impl Report {
    /// Of nothing yet.
    pub fn new(qemu: Option<String>, executor: Option<String>) -> Self {
        Self { qemu, executor, rows: Vec::new() }
    }

    /// Adds the rounds of a guest.
    pub fn add(&mut self, contest: &'static Contest, rounds: Vec<Round>) {
        self.rows.push((contest, rounds));
    }

    /// The geometric mean over a kind, or over all, of a ratio's medians.
    fn mean(&self, kind: Option<Kind>, ratio: Ratio) -> Option<f64> {
        let rows = self.rows.iter().filter(|(contest, _)| kind.is_none_or(|kind| contest.kind == kind));
        geometric_mean(rows.filter_map(|(_, rounds)| median(rounds, ratio)))
    }

    /// The same as text for programs.
    pub fn json(&self) -> String {
        let ratios = |ratios: &[(&str, Ratio)], rounds: &[Round]| -> Value {
            ratios
                .iter()
                .map(|&(name, ratio)| (name.to_owned(), json!(median(rounds, ratio))))
                .collect::<serde_json::Map<_, _>>()
                .into()
        };
        let rows = self.rows.iter().map(|(contest, rounds)| {
            let seconds = rounds.iter().map(|round| {
                json!({
                    "qemu": round.qemu.map(|time| time.whole),
                    "free": round.free.whole,
                    "record": round.record.whole,
                    "replay": round.replay.whole,
                })
            });
            json!({
                "guest": contest.name,
                "cores": contest.cores,
                "seconds": seconds.collect::<Vec<_>>(),
                "whole": ratios(RATIOS, rounds),
                "inside": ratios(INSIDE, rounds),
            })
        });
        let rows: Vec<Value> = rows.collect();
        format!("{:#}\n", json!({ "qemu": self.qemu, "executor": self.executor, "rows": rows }))
    }
}

fn shown(value: Option<f64>) -> String {
    value.map_or("-".to_owned(), |value| format!("{value:.2}"))
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cpus = std::thread::available_parallelism().map_or(1, usize::from);
        writeln!(f, "{} on {cpus} host CPUs", self.qemu.as_deref().unwrap_or("QEMU was not measured"))?;
        writeln!(f, "Cantus with executor {}", self.executor.as_deref().unwrap_or("default"))?;
        writeln!(
            f,
            "medians of ratios within rounds: whole processes, and in brackets by the guest's own clock"
        )?;
        write!(f, "\n{:<16} {:>5} {:>6}", "guest", "cores", "rounds")?;
        RATIOS.iter().try_for_each(|(name, _)| write!(f, "  {name:>24}"))?;
        writeln!(f)?;
        for (contest, rounds) in &self.rows {
            write!(f, "{:<16} {:>5} {:>6}", contest.name, contest.cores, rounds.len())?;
            for (number, &(_, ratio)) in RATIOS.iter().enumerate() {
                let inside = INSIDE.get(number).and_then(|&(_, inside)| median(rounds, inside));
                let inside = inside.map(|inside| format!(" ({inside:.2})")).unwrap_or_default();
                write!(f, "  {:>24}", format!("{}{inside}", shown(median(rounds, ratio))))?;
            }
            writeln!(f)?;
        }
        writeln!(f, "\ngeometric means")?;
        for &(kind, name, free_min, record_min) in TARGETS {
            let [free, record] = [RATIOS[0].1, RATIOS[1].1].map(|ratio| self.mean(Some(kind), ratio));
            writeln!(
                f,
                "{name:<32} free {} (at least {free_min:.2}), recording {} (at least {record_min:.2}) times as fast as QEMU",
                shown(free),
                shown(record)
            )?;
        }
        let [record, replay] = [RATIOS[2].1, RATIOS[3].1].map(|ratio| self.mean(None, ratio));
        writeln!(f, "{:<32} {} (at most 1.35)", "recording / free", shown(record))?;
        writeln!(f, "{:<32} {} (at most 1.00)", "replay / recording", shown(replay))
    }
}

#[cfg(test)]
mod tests {
    use super::super::CONTESTS;
    use super::*;

    fn round(qemu: Option<f64>, free: f64, record: f64) -> Round {
        let time = |whole| Time { whole, inside: Some(whole / 2.0) };
        Round { qemu: qemu.map(time), free: time(free), record: time(record), replay: time(record) }
    }

    #[test]
    fn targets_are_for_means_of_medians_within_rounds() {
        let of = |name| CONTESTS.iter().find(|contest| contest.name == name).unwrap();
        let mut report = Report::new(Some("QEMU 1".to_owned()), Some("jit".to_owned()));
        report.add(of("sort"), vec![round(Some(4.0), 2.0, 4.0), round(Some(40.0), 20.0, 40.0)]);
        report.add(of("strings"), vec![round(Some(8.0), 1.0, 8.0)]);
        report.add(of("matrix"), vec![round(Some(1.0), 1.0, 1.0)]);
        assert_eq!(report.mean(Some(Kind::Integer), RATIOS[0].1), Some(4.0), "of 2 and 8");
        assert_eq!(report.mean(Some(Kind::Latency), RATIOS[0].1), None);
        let text = report.to_string();
        assert!(text.contains("free 4.00 (at least 2.00), recording 1.00 (at least 1.90)"), "{text}");
        assert!(text.contains("2.00 (2.00)") && text.contains("executor jit\n"), "{text}");
        let json: Value = serde_json::from_str(&report.json()).unwrap();
        assert_eq!(json["rows"][0]["whole"]["recording / free"], 2.0);
        assert_eq!(json["rows"][1]["inside"]["free, against QEMU"], 8.0);
    }

    #[test]
    fn without_qemu_there_is_nothing_against_it() {
        let mut report = Report::new(None, None);
        report.add(&CONTESTS[0], vec![round(None, 1.0, 2.0)]);
        assert_eq!(report.mean(None, RATIOS[0].1), None);
        assert_eq!(report.mean(None, RATIOS[2].1), Some(2.0));
    }
}
