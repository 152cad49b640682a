//! One round: the same ELF file on each runner, one after the other.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

use crate::bench::workloads::Workload;
use crate::guests::linux::qemu;

/// Ticks of the guest's clock in a second, on QEMU's board and on ours.
const TICKS_PER_SECOND: f64 = 10_000_000.0;
/// A process takes so long at most, in seconds.
const SECONDS_MAX: &str = "600";

/// What one process took.
#[derive(Clone, Copy, Debug)]
pub struct Time {
    /// From its start to its end, in seconds.
    pub whole: f64,
    /// By the guest's own clock, in seconds, if it told.
    pub inside: Option<f64>,
}

/// What one round gave.
pub struct Round {
    /// QEMU, multi-threaded TCG.
    pub qemu: Option<Time>,
    /// Cantus, running free.
    pub free: Time,
    /// Cantus, recording.
    pub record: Time,
    /// Cantus, replaying that. What the guest says then is what it said before.
    pub replay: Time,
}

/// The programs that run guests.
pub struct Runners {
    cantus: PathBuf,
    executor: Option<String>,
    with_qemu: bool,
    folder: TempDir,
}

impl Runners {
    /// With this binary of Cantus, and this executor of it if one is named.
    pub fn new(cantus: PathBuf, executor: Option<String>, with_qemu: bool) -> Result<Self> {
        let folder = tempfile::tempdir().context("no folder for guests and traces")?;
        Ok(Self { cantus, executor, with_qemu, folder })
    }

    /// How many rounds make a guest take about so many seconds on the first runner.
    pub fn rounds_that_take(&self, seconds: f64, workload: &Workload, cores: usize) -> Result<u64> {
        let mut rounds = workload.rounds();
        loop {
            let elf = self.elf(workload, rounds)?;
            let time = if self.with_qemu { self.qemu(&elf, cores)? } else { self.free(&elf, cores)? };
            let inside = time.inside.unwrap_or(time.whole).max(1e-6);
            if inside >= seconds / 2.0 {
                return Ok(((rounds as f64 * seconds / inside) as u64).max(1));
            }
            rounds = (rounds as f64 * (seconds / inside).clamp(2.0, 50.0)) as u64;
        }
    }

    /// One round of a guest that does so much work.
    pub fn round(&self, workload: &Workload, rounds: u64, cores: usize) -> Result<Round> {
        let elf = self.elf(workload, rounds)?;
        let trace = self.folder.path().join("bench.cantus");
        let qemu = if self.with_qemu { Some(self.qemu(&elf, cores)?) } else { None };
        let free = self.free(&elf, cores)?;
        let mut record = self.cantus("record", cores);
        record.args(["--force", "-o"]).arg(&trace).arg(&elf);
        let record = time("cantus record", &mut record)?;
        let mut replay = self.command("replay");
        replay.arg(&trace);
        let replay = time("cantus replay", &mut replay)?;
        Ok(Round { qemu, free, record, replay })
    }

    fn elf(&self, workload: &Workload, rounds: u64) -> Result<PathBuf> {
        let path = self.folder.path().join("guest.elf");
        std::fs::write(&path, &*workload.guest(rounds).bytes)
            .with_context(|| format!("cannot write {}", path.display()))?;
        Ok(path)
    }

    fn qemu(&self, elf: &Path, cores: usize) -> Result<Time> {
        let mut command = limited(Path::new(qemu::PROGRAM));
        command.args(["-machine", "virt", "-bios", "none", "-accel", "tcg,thread=multi", "-display", "none"]);
        command
            .args(["-serial", "stdio", "-monitor", "none", "-smp", &cores.to_string(), "-kernel"])
            .arg(elf);
        time("QEMU", &mut command)
    }

    fn free(&self, elf: &Path, cores: usize) -> Result<Time> {
        time("cantus run", self.cantus("run", cores).arg(elf))
    }

    /// A verb that runs a guest. The guest's clock is the host's: what it says of its own time can be compared.
    fn cantus(&self, verb: &str, cores: usize) -> Command {
        let mut command = self.command(verb);
        command.args(["--clock", "host", "--smp", &cores.to_string()]);
        command
    }

    fn command(&self, verb: &str) -> Command {
        let mut command = limited(&self.cantus);
        command.arg(verb);
        if let Some(executor) = &self.executor {
            command.args(["--executor", executor]);
        }
        command
    }
}

fn limited(program: &Path) -> Command {
    let mut command = Command::new("timeout");
    command.arg(SECONDS_MAX).arg(program).stdin(Stdio::null());
    command
}

#[expect(clippy::disallowed_methods, reason = "a benchmark measures the host's time; no guest sees it")]
fn time(who: &str, command: &mut Command) -> Result<Time> {
    let start = Instant::now();
    let output =
        command.output().with_context(|| format!("cannot run {}", command.get_program().display()))?;
    let whole = start.elapsed().as_secs_f64();
    let console = String::from_utf8_lossy(&output.stdout);
    ensure!(
        output.status.success(),
        "{who} ended with {}\n{console}{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(Time { whole, inside: inside(&console) })
}

/// What a guest says that it took by its own clock, in seconds.
fn inside(console: &str) -> Option<f64> {
    let ticks = console.lines().find_map(|line| line.trim_end().strip_suffix(" ticks"))?;
    Some(ticks.rsplit(' ').next()?.parse::<f64>().ok()? / TICKS_PER_SECOND)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guest_says_what_it_took() {
        assert_eq!(inside("x\nsort: 4 rounds, result 8201, 20000 ticks\r\n"), Some(0.002));
        assert_eq!(inside("hello\n"), None);
        assert_eq!(inside("no ticks\n"), None);
    }

    #[test]
    fn a_process_that_fails_is_no_measurement() {
        let error =
            time("it", limited(Path::new("sh")).args(["-c", "echo so; echo far >&2; exit 3"])).unwrap_err();
        let text = error.to_string();
        assert!(text.contains('3') && text.contains("so") && text.contains("far"), "{text}");
    }
}
