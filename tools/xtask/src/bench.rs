//! `cargo xtask bench`: what recording and replaying cost, and how fast a core runs.
//!
//! Every figure is a ratio taken within one run of the benchmark: free run, recording and replay follow each other again
//! and again, and of the ratios of neighbours the median, the smallest and the largest are shown. A busy host slows all
//! of them alike; absolute times of different runs are not comparable, and are shown for orientation only.

mod arguments;
mod binary;
mod figures;
mod jit;
mod linux;
mod measure;
mod report;
mod workloads;

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use arguments::Arguments;
use measure::{Interpreter, Measured};
use report::Report;
use workloads::{CORES, PATTERNS};

/// What the verb does, in one line.
pub const HELP: &str = "[-n RUNS] [--cores LIST] [--json FILE] [NAME... | linux ... | jit ...]  what recording costs; how fast a core is";

/// The name of the measurement that is not a sharing pattern.
const INTERPRETER: &str = "interp";

/// What to measure.
struct Plan {
    runs: usize,
    cores: Vec<usize>,
    json: Option<PathBuf>,
    names: Vec<String>,
}

/// Runs the verb, in a release build whatever build this is.
pub fn run(arguments: &[String]) -> Result<()> {
    match arguments.split_first() {
        Some((first, rest)) if first == "linux" => return linux::run(rest),
        Some((first, rest)) if first == "jit" => return jit::run(rest),
        _ => {}
    }
    let plan = Plan::parse(arguments)?;
    if cfg!(debug_assertions) {
        return run_in_release_build(arguments);
    }
    let mut report = Report::new(plan.runs);
    let mut failures = 0;
    if plan.wants(INTERPRETER) {
        report.add_interpreter(Interpreter::measure(plan.runs)?);
    }
    for pattern in PATTERNS.iter().filter(|pattern| plan.wants(pattern.name)) {
        for &cores in plan.cores.iter().filter(|&&cores| cores >= pattern.cores_min) {
            match Measured::measure(pattern, cores, plan.runs) {
                Ok(measured) => report.add(measured),
                Err(error) => {
                    eprintln!("{} on {cores} cores: {error:#}", pattern.name);
                    failures += 1;
                }
            }
        }
    }
    println!("{report}");
    if let Some(path) = &plan.json {
        std::fs::write(path, report.json()).with_context(|| format!("cannot write {}", path.display()))?;
    }
    ensure!(failures == 0, "{failures} of the measurements failed");
    Ok(())
}

/// Figures of a debug build mean nothing: the same verb again, in a release build.
fn run_in_release_build(arguments: &[String]) -> Result<()> {
    const MARK: &str = "CANTUS_BENCH_RELEASE";
    ensure!(std::env::var_os(MARK).is_none(), "this release build has debug assertions: nothing is measured");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .args(["run", "--quiet", "--release", "--package", "xtask", "--", "bench"])
        .args(arguments)
        .env(MARK, "1")
        .status()?;
    ensure!(status.success(), "the release build ended with {status}");
    Ok(())
}

impl Plan {
    fn parse(arguments: &[String]) -> Result<Self> {
        let mut plan = Self { runs: 5, cores: CORES.to_vec(), json: None, names: Vec::new() };
        let mut arguments = Arguments::new(arguments, HELP);
        while let Some(argument) = arguments.next() {
            match argument {
                "-n" => plan.runs = arguments.runs(argument)?,
                "--cores" => plan.cores = arguments.cores(argument)?,
                "--json" => plan.json = Some(arguments.value(argument)?.into()),
                option if option.starts_with('-') => bail!("unknown option {option}; usage: bench {HELP}"),
                name => {
                    let known = name == INTERPRETER || PATTERNS.iter().any(|pattern| pattern.name == name);
                    let names: Vec<&str> = PATTERNS.iter().map(|pattern| pattern.name).collect();
                    ensure!(known, "{name} is not measured; {INTERPRETER}, {} are", names.join(", "));
                    plan.names.push(name.to_owned());
                }
            }
        }
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
        let plan = parse("-n 3 --cores 1,16 --json out.json read_shared").unwrap();
        assert_eq!((plan.runs, plan.cores.as_slice()), (3, [1, 16].as_slice()));
        assert!(plan.wants("read_shared") && !plan.wants(INTERPRETER));
        assert!(parse("").unwrap().wants(INTERPRETER));
        for wrong in ["-n 0", "-n", "--cores 0", "--cores a", "-x", "nothing"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
