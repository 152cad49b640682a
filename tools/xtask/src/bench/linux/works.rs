//! The works of one number of cores, each by itself, and the geometric means of their ratios.

use std::fmt;

use serde_json::{Value, json};

use super::Turn;
use super::report::{RATIOS, RUNNERS, median, spread, spread_of};
use crate::bench::figures::geometric_mean;

/// The works that some rounds ran.
pub struct Works<'a> {
    cores: usize,
    turns: &'a [Turn],
    names: Vec<&'a str>,
}

impl<'a> Works<'a> {
    /// Those of these rounds.
    pub fn of(cores: usize, turns: &'a [Turn]) -> Self {
        let mut names = Vec::new();
        for (name, _) in turns
            .iter()
            .flat_map(|turn| RUNNERS.iter().filter_map(|(_, of)| of(turn)))
            .flat_map(|boot| &boot.each)
        {
            if !names.contains(&name.as_str()) {
                names.push(name.as_str());
            }
        }
        Self { cores, turns, names }
    }

    /// How long a runner took for a work in a round, in seconds.
    fn seconds(turn: &Turn, name: &str, runner: usize) -> Option<f64> {
        let boot = RUNNERS[runner].1(turn)?;
        let (_, took) = boot.each.iter().find(|(each, _)| each == name)?;
        Some(took.as_secs_f64())
    }

    fn ratio(turn: &Turn, name: &str, one: usize, other: usize) -> Option<f64> {
        Some(Self::seconds(turn, name, one)? / Self::seconds(turn, name, other)?)
    }

    /// The geometric mean of the works' median ratios; none unless all of them were measured.
    fn mean(&self, one: usize, other: usize) -> Option<f64> {
        let ratios =
            self.names.iter().map(|name| spread_of(self.turns, |turn| Self::ratio(turn, name, one, other)));
        let medians: Vec<f64> = ratios.map(|spread| Some(spread?.median)).collect::<Option<_>>()?;
        geometric_mean(medians)
    }

    /// The same for programs.
    pub fn json(&self) -> Value {
        let mut works = json!({});
        for name in &self.names {
            for (number, (runner, _)) in RUNNERS.iter().enumerate() {
                works[*name]["seconds"][*runner] =
                    spread(self.turns, |turn| Self::seconds(turn, name, number));
            }
        }
        for &(one, other) in RATIOS {
            let title = format!("{}_per_{}", RUNNERS[one].0, RUNNERS[other].0);
            for name in &self.names {
                works[*name]["ratios"][&title] =
                    spread(self.turns, |turn| Self::ratio(turn, name, one, other));
            }
            works["geometric_mean"][&title] = json!(self.mean(one, other));
        }
        works
    }
}

impl fmt::Display for Works<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.names.is_empty() {
            return Ok(());
        }
        write!(f, "\n{:<16}", format!("on {} cores", self.cores))?;
        RUNNERS.iter().try_for_each(|(name, _)| write!(f, " {name:>8}"))?;
        RATIOS.iter().try_for_each(|&(one, other)| {
            write!(f, " {:>14}", format!("{}/{}", RUNNERS[one].0, RUNNERS[other].0))
        })?;
        writeln!(f)?;
        for name in &self.names {
            write!(f, "{name:<16}")?;
            for number in 0..RUNNERS.len() {
                write!(f, " {:>8}", median(self.turns, 2, |turn| Self::seconds(turn, name, number)))?;
            }
            for &(one, other) in RATIOS {
                write!(f, " {:>14}", median(self.turns, 3, |turn| Self::ratio(turn, name, one, other)))?;
            }
            writeln!(f)?;
        }
        write!(f, "{:<16}{:width$}", "geometric mean", "", width = 9 * RUNNERS.len())?;
        for &(one, other) in RATIOS {
            write!(f, " {:>14}", self.mean(one, other).map_or("-".to_owned(), |mean| format!("{mean:.3}")))?;
        }
        writeln!(f)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::boot::Boot;
    use super::*;

    fn boot(seconds: [u64; 2]) -> Option<Boot> {
        let each = ["a", "b"]
            .iter()
            .zip(seconds)
            .map(|(name, took)| ((*name).to_owned(), Duration::from_secs(took)));
        let whole = Duration::from_secs(99);
        Some(Boot { shell: whole, works: Some(whole), each: each.collect(), whole, memory: 0 })
    }

    #[test]
    fn the_mean_is_of_all_works_or_there_is_none() {
        let turn = |free, record, replay| Turn {
            qemu: None,
            free: boot(free),
            record: boot(record),
            replay,
            trace: None,
        };
        let mut partial = boot([1, 1]);
        partial.as_mut().unwrap().each.pop();
        let turns = [turn([1, 2], [2, 16], partial)];
        let works = Works::of(4, &turns);
        assert_eq!(works.mean(2, 1), Some(4.0), "of 2 and 8");
        assert_eq!(works.mean(3, 2), None, "a work is missing");
        let text = works.to_string();
        assert!(
            text.contains("on 4 cores")
                && text.lines().any(|line| line.starts_with("b ") && line.contains("8.000")),
            "{text}"
        );
        assert_eq!(works.json()["b"]["seconds"]["record"]["median"], 16.0);
        assert_eq!(works.json()["geometric_mean"]["record_per_free"], 4.0);
    }
}
