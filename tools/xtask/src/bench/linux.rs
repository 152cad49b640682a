//! `cargo xtask bench linux`: how long Linux takes to its shell and for real works, on QEMU, and on Cantus running free,
//! recording and replaying.
//!
//! The programs are driven as users drive them, and follow each other within one run of the benchmark: of the ratios of
//! neighbours the median counts. What is timed is the console: from the start of the process to the line `SHELL_READY`, and
//! from there to `WORK_DONE`.

mod boot;
mod report;
mod works;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use tempfile::TempDir;

use super::arguments::Arguments;
use super::binary::release_build;
use crate::guests::linux::default_folder;
use crate::guests::linux::qemu::{self, Machine};
use boot::Boot;
use report::Report;

/// The arguments, in one line.
pub const HELP: &str = "linux [-n RUNS] [--cores LIST] [--kernel FILE] [--initrd FILE] [--works LIST] [--scale N] \
                        [--executor NAME] [--cantus FILE] [--no-cantus] [--no-qemu] [--json FILE]";

/// What to measure.
#[derive(Debug)]
struct Plan {
    runs: usize,
    cores: Vec<usize>,
    kernel: PathBuf,
    initramfs: PathBuf,
    /// The works to run behind the boot, as `autorun=` wants them.
    works: Option<String>,
    /// Divides the works' sizes.
    scale: u8,
    /// What executes instructions under Cantus, if it is not to be the default.
    executor: Option<String>,
    /// A binary that is there already.
    cantus: Option<PathBuf>,
    with_cantus: bool,
    with_qemu: bool,
    json: Option<PathBuf>,
}

/// What one round on a number of cores gave. What was not measured is missing.
pub struct Turn {
    /// QEMU.
    pub qemu: Option<Boot>,
    /// Cantus, running free.
    pub free: Option<Boot>,
    /// Cantus, recording.
    pub record: Option<Boot>,
    /// Cantus, replaying what was just recorded.
    pub replay: Option<Boot>,
    /// What was recorded.
    pub trace: Option<TraceSize>,
}

/// How much a recording holds.
#[derive(Clone, Copy)]
pub struct TraceSize {
    /// Steps of all cores.
    pub steps: f64,
    /// Bytes of events in the file.
    pub event_bytes: f64,
}

/// Runs the verb.
pub fn run(arguments: &[String]) -> Result<()> {
    let plan = Plan::parse(arguments)?;
    for file in [&plan.kernel, &plan.initramfs] {
        ensure!(file.is_file(), "{} is missing; `cargo xtask guests --linux` makes it", file.display());
    }
    let cantus = if plan.with_cantus { Some(plan.cantus()?) } else { None };
    let version = if plan.with_qemu { Some(qemu::version()?) } else { None };
    let mut report = Report::new(version, plan.measured_executor(), &plan.kernel, plan.works.as_deref());
    let mut failures = 0;
    for &cores in &plan.cores {
        let mut turns = Vec::new();
        for number in 1..=plan.runs {
            match plan.turn(cores, cantus.as_deref()) {
                Ok(turn) => {
                    eprintln!("{cores} cores, {number} of {}: {}", plan.runs, report::line(&turn));
                    turns.push(turn);
                }
                Err(error) => {
                    eprintln!("{cores} cores, {number} of {}: {error:#}", plan.runs);
                    failures += 1;
                }
            }
        }
        report.add(cores, turns);
    }
    println!("{report}");
    if let Some(path) = &plan.json {
        std::fs::write(path, report.json()).with_context(|| format!("cannot write {}", path.display()))?;
    }
    ensure!(failures == 0, "{failures} of the rounds failed");
    Ok(())
}

impl Plan {
    fn parse(arguments: &[String]) -> Result<Self> {
        let folder = default_folder();
        let mut plan = Self {
            runs: 3,
            cores: vec![1, 2, 4],
            kernel: folder.join("kernel"),
            initramfs: folder.join("initramfs.cpio"),
            works: None,
            scale: 1,
            executor: None,
            cantus: None,
            with_cantus: true,
            with_qemu: true,
            json: None,
        };
        let mut arguments = Arguments::new(arguments, HELP);
        while let Some(argument) = arguments.next() {
            match argument {
                "-n" => plan.runs = arguments.runs(argument)?,
                "--cores" => plan.cores = arguments.cores(argument)?,
                "--kernel" => plan.kernel = arguments.value(argument)?.into(),
                "--initrd" => plan.initramfs = arguments.value(argument)?.into(),
                "--works" => {
                    let works = arguments.value(argument)?;
                    let plain = |c: char| c.is_ascii_alphanumeric() || "_,-".contains(c);
                    ensure!(works.chars().all(plain), "--works wants names with commas between");
                    plan.works = Some(works.clone());
                }
                "--scale" => plan.scale = arguments.number(argument)?,
                "--executor" => plan.executor = Some(arguments.executor(argument)?),
                "--cantus" => plan.cantus = Some(arguments.value(argument)?.into()),
                "--no-cantus" => plan.with_cantus = false,
                "--no-qemu" => plan.with_qemu = false,
                "--json" => plan.json = Some(arguments.value(argument)?.into()),
                other => bail!("`{other}` is no argument; usage: bench {HELP}"),
            }
        }
        ensure!((1..=10).contains(&plan.scale), "--scale wants 1 to 10");
        ensure!(plan.with_cantus || plan.with_qemu, "neither Cantus nor QEMU: nothing is measured");
        ensure!(
            plan.with_cantus || plan.executor.is_none(),
            "--executor is for Cantus, which is not measured"
        );
        Ok(plan)
    }

    /// The binary to drive: the one that was given, or a release build.
    fn cantus(&self) -> Result<PathBuf> {
        if let Some(path) = &self.cantus {
            ensure!(path.is_file(), "{} is missing", path.display());
            return Ok(std::fs::canonicalize(path)?);
        }
        release_build()
    }

    /// The executor's name for the report, if Cantus is measured.
    fn measured_executor(&self) -> Option<&str> {
        self.with_cantus.then(|| self.executor.as_deref().unwrap_or("default"))
    }

    /// A verb of Cantus that executes.
    fn verb(&self, cantus: &Path, verb: &str) -> Command {
        let mut command = boot::limited(cantus);
        command.arg(verb);
        if let Some(executor) = &self.executor {
            command.args(["--executor", executor]);
        }
        command
    }

    /// The machine that all of them are.
    fn machine(&self, cores: usize) -> Machine {
        let root = self.initramfs.with_file_name("root.ext4");
        let words = match &self.works {
            Some(works) => format!("autorun={works} work_scale={}", self.scale),
            None => "autorun=off".to_owned(),
        };
        Machine {
            kernel: self.kernel.clone(),
            initramfs: self.initramfs.clone(),
            root: (self.works.is_some() && root.is_file()).then_some(root),
            cores,
            words,
        }
    }

    /// One round: each of them once, one after the other.
    fn turn(&self, cores: usize, cantus: Option<&Path>) -> Result<Turn> {
        let machine = self.machine(cores);
        let mut turn = Turn { qemu: None, free: None, record: None, replay: None, trace: None };
        if self.with_qemu {
            let mut command = boot::limited(qemu::PROGRAM);
            command.args(machine.arguments());
            turn.qemu = Some(self.boot(&mut command).context("QEMU")?);
        }
        if let Some(cantus) = cantus {
            let folder = tempfile::tempdir().context("no folder for a trace")?;
            self.turn_of_cantus(&machine, cantus, &folder, &mut turn)?;
        }
        Ok(turn)
    }

    fn turn_of_cantus(
        &self,
        machine: &Machine,
        cantus: &Path,
        folder: &TempDir,
        turn: &mut Turn,
    ) -> Result<()> {
        let trace = folder.path().join("linux.cantus");
        let mut run = self.verb(cantus, "run");
        run.args(flags(machine));
        turn.free = Some(self.boot(&mut run).context("cantus run")?);
        let mut record = self.verb(cantus, "record");
        record.arg("-o").arg(&trace).args(flags(machine));
        turn.record = Some(self.boot(&mut record).context("cantus record")?);
        turn.trace = Some(size(cantus, &trace)?);
        let mut replay = self.verb(cantus, "replay");
        replay.arg(&trace);
        turn.replay = Some(self.boot(&mut replay).context("cantus replay")?);
        Ok(())
    }

    fn boot(&self, command: &mut Command) -> Result<Boot> {
        boot::boot(command, self.works.is_some())
    }
}

/// The flags of `cantus` for a machine.
fn flags(machine: &Machine) -> Vec<std::ffi::OsString> {
    let mut flags: Vec<std::ffi::OsString> = vec!["--kernel".into(), machine.kernel.clone().into()];
    flags.extend(["--initrd".into(), machine.initramfs.clone().into()]);
    flags.extend(["--append".into(), machine.append().into()]);
    flags.extend(["--smp".into(), machine.cores.to_string().into(), "-m".into(), "1G".into()]);
    if let Some(root) = &machine.root {
        flags.extend(["--drive".into(), root.clone().into()]);
    }
    flags
}

/// What `cantus info` says of a trace.
fn size(cantus: &Path, trace: &Path) -> Result<TraceSize> {
    let output = Command::new(cantus).args(["info", "--json"]).arg(trace).output()?;
    ensure!(output.status.success(), "cantus info: {}", String::from_utf8_lossy(&output.stderr).trim_end());
    let facts: Value = serde_json::from_slice(&output.stdout).context("cantus info printed no JSON")?;
    let number =
        |name: &str| facts[name].as_f64().with_context(|| format!("cantus info says nothing of {name}"));
    let steps = number("steps")?;
    Ok(TraceSize { steps, event_bytes: number("event_bytes_per_million_steps")? * steps / 1e6 })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Plan> {
        Plan::parse(&text.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn arguments_choose_what_is_measured() {
        let plan = parse("-n 5 --cores 1,16 --kernel k --works pigz,sqlite --scale 4 --no-qemu").unwrap();
        assert_eq!(
            (plan.runs, plan.cores.as_slice(), plan.kernel.as_path()),
            (5, [1, 16].as_slice(), Path::new("k"))
        );
        assert_eq!(plan.machine(2).append(), "console=ttyS0 autorun=pigz,sqlite work_scale=4");
        assert_eq!(parse("").unwrap().machine(2).append(), "console=ttyS0 autorun=off");
        for wrong in [
            "-n 0",
            "--cores 0",
            "--cores 1,x",
            "--works a;b",
            "--scale 11",
            "pigz",
            "--no-qemu --no-cantus",
            "--executor",
            "--executor fast",
            "--executor jit --no-cantus",
        ] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_executor_is_that_of_each_verb() {
        let words = |plan: &Plan, verb| {
            let command = plan.verb(Path::new("cantus"), verb);
            command.get_args().map(|word| word.to_string_lossy().into_owned()).skip(1).collect::<Vec<_>>()
        };
        let plan = parse("--executor jit").unwrap();
        assert_eq!(words(&plan, "replay"), ["cantus", "replay", "--executor", "jit"]);
        assert_eq!(plan.measured_executor(), Some("jit"));
        assert_eq!(words(&parse("").unwrap(), "run"), ["cantus", "run"]);
        assert_eq!(parse("").unwrap().measured_executor(), Some("default"));
        assert_eq!(parse("--no-cantus").unwrap().measured_executor(), None);
    }

    #[test]
    fn cantus_gets_the_machine_that_qemu_gets() {
        let machine = parse("--kernel k --initrd i").unwrap().machine(3);
        let flags = flags(&machine);
        let flags: Vec<&str> = flags.iter().filter_map(|flag| flag.to_str()).collect();
        assert_eq!(
            flags,
            [
                "--kernel",
                "k",
                "--initrd",
                "i",
                "--append",
                "console=ttyS0 autorun=off",
                "--smp",
                "3",
                "-m",
                "1G"
            ]
        );
    }
}
