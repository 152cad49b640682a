//! `cargo xtask bench jit`: how fast guests run on QEMU, and on Cantus running free, recording and replaying.
//!
//! Whole processes are timed, from their start to their end, and what the guest says of its own time. They follow each
//! other within one run of the benchmark, on the same ELF file; of the ratios of neighbours the median counts.

mod report;
mod round;

use std::path::PathBuf;

use anyhow::{Context, Result, bail, ensure};

use super::arguments::Arguments;
use super::binary::release_build;
use super::workloads::Workload;
use crate::guests::linux::qemu;
use report::Report;
use round::Runners;

/// The arguments, in one line.
pub const HELP: &str =
    "jit [-n RUNS] [--seconds S] [--executor NAME] [--cantus FILE] [--no-qemu] [--json FILE] [NAME...]";

/// What a guest's work is like; targets are for all of a kind together.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Integers.
    Integer,
    /// Doubles.
    Float,
    /// Loads that wait for loads, and indirect jumps.
    Latency,
    /// Several cores.
    Multicore,
    /// A short program: mostly a process's beginning and end.
    Start,
}

/// A guest on a number of cores.
pub struct Contest {
    /// The guest's name.
    pub name: &'static str,
    /// Its kind.
    pub kind: Kind,
    /// On how many cores.
    pub cores: usize,
    /// How many rounds it does, if that is not to be found out.
    rounds: Option<u64>,
}

const fn contest(name: &'static str, kind: Kind, cores: usize) -> Contest {
    Contest { name, kind, cores, rounds: None }
}

/// All that is measured.
const CONTESTS: &[Contest] = &[
    contest("integer_mix", Kind::Integer, 1),
    contest("sort", Kind::Integer, 1),
    contest("memory_hash", Kind::Integer, 1),
    contest("strings", Kind::Integer, 1),
    contest("matrix", Kind::Float, 1),
    contest("n_body", Kind::Float, 1),
    contest("pointer_chase", Kind::Latency, 1),
    contest("bytecode", Kind::Latency, 1),
    contest("work_queue", Kind::Multicore, 2),
    contest("work_queue", Kind::Multicore, 4),
    contest("phases", Kind::Multicore, 2),
    contest("phases", Kind::Multicore, 4),
    contest("integer_mix", Kind::Multicore, 2),
    contest("integer_mix", Kind::Multicore, 4),
    // A million instructions.
    Contest { name: "integer_loop", kind: Kind::Start, cores: 1, rounds: Some(100_000) },
];

/// What to measure.
struct Plan {
    runs: usize,
    /// How long a guest takes on the first runner, about.
    seconds: f64,
    executor: Option<String>,
    cantus: Option<PathBuf>,
    with_qemu: bool,
    json: Option<PathBuf>,
    names: Vec<String>,
}

/// Runs the verb.
pub fn run(arguments: &[String]) -> Result<()> {
    let plan = Plan::parse(arguments)?;
    let cantus = match &plan.cantus {
        Some(path) => {
            std::fs::canonicalize(path).with_context(|| format!("{} is missing", path.display()))?
        }
        None => release_build()?,
    };
    let version = if plan.with_qemu { Some(qemu::version()?) } else { None };
    let runners = Runners::new(cantus, plan.executor.clone(), plan.with_qemu)?;
    let mut report = Report::new(version, plan.executor.clone());
    let mut failures = 0;
    for contest in CONTESTS.iter().filter(|contest| plan.wants(contest.name)) {
        let told = format!("{} on {} cores", contest.name, contest.cores);
        let workload = Workload::open(contest.name)?;
        let mut rounds = Vec::new();
        let measured = contest
            .rounds
            .map_or_else(|| runners.rounds_that_take(plan.seconds, &workload, contest.cores), Ok);
        let measured = measured.and_then(|amount| {
            for number in 1..=plan.runs {
                let round = runners.round(&workload, amount, contest.cores)?;
                eprintln!("{told}, {number} of {}: {}", plan.runs, report::line(&round));
                rounds.push(round);
            }
            Ok(())
        });
        if let Err(error) = measured {
            eprintln!("{told}: {error:#}");
            failures += 1;
        }
        report.add(contest, rounds);
    }
    println!("{report}");
    if let Some(path) = &plan.json {
        std::fs::write(path, report.json()).with_context(|| format!("cannot write {}", path.display()))?;
    }
    ensure!(failures == 0, "{failures} of the measurements failed");
    Ok(())
}

impl Plan {
    fn parse(arguments: &[String]) -> Result<Self> {
        let mut plan = Self {
            runs: 5,
            seconds: 1.0,
            executor: None,
            cantus: None,
            with_qemu: true,
            json: None,
            names: Vec::new(),
        };
        let mut arguments = Arguments::new(arguments, HELP);
        while let Some(argument) = arguments.next() {
            match argument {
                "-n" => plan.runs = arguments.runs(argument)?,
                "--seconds" => plan.seconds = arguments.number(argument)?,
                "--executor" => plan.executor = Some(arguments.executor(argument)?),
                "--cantus" => plan.cantus = Some(arguments.value(argument)?.into()),
                "--no-qemu" => plan.with_qemu = false,
                "--json" => plan.json = Some(arguments.value(argument)?.into()),
                option if option.starts_with('-') => bail!("`{option}` is no argument; usage: bench {HELP}"),
                name => {
                    let known = CONTESTS.iter().any(|contest| contest.name == name);
                    ensure!(known, "{name} is not measured");
                    plan.names.push(name.to_owned());
                }
            }
        }
        ensure!((0.01..=60.0).contains(&plan.seconds), "--seconds wants 0.01 to 60");
        Ok(plan)
    }

    fn wants(&self, name: &str) -> bool {
        self.names.is_empty() || self.names.iter().any(|wanted| wanted == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Plan> {
        Plan::parse(&text.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn arguments_choose_what_is_measured() {
        let plan = parse("-n 7 --seconds 0.5 --executor interp --no-qemu sort").unwrap();
        assert_eq!((plan.runs, plan.seconds, plan.executor.as_deref()), (7, 0.5, Some("interp")));
        assert!(plan.wants("sort") && !plan.wants("matrix") && !plan.with_qemu);
        for wrong in ["-n 0", "--seconds 0", "--seconds x", "-x", "nothing", "--executor", "--executor fast"]
        {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn every_guest_has_rounds_that_can_be_changed() {
        for contest in CONTESTS {
            assert!(Workload::open(contest.name).unwrap().rounds() > 0, "{}", contest.name);
        }
    }
}
