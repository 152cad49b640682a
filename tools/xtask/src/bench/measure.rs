//! Measurements: free run, recording and replay of the same work, one after the other.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use cantus::{Executor, Guest, GuestFile, Options, Outcome, ReplayOptions, Verdict};
use tempfile::TempDir;

use super::figures::Spread;
use super::workloads::{INTEGER_LOOP, Pattern, Workload};

/// A free run takes at least so long: long enough that starting and ending do not count.
const FREE_MIN: Duration = Duration::from_millis(300);

/// What was measured of a pattern on a number of cores.
pub struct Measured {
    /// The pattern.
    pub pattern: &'static Pattern,
    /// On how many cores.
    pub cores: usize,
    /// How many rounds every core did.
    pub rounds: u64,
    /// Millions of steps that all cores completed in a recording.
    pub million_steps: Spread,
    /// What a free run took, in seconds.
    pub free_seconds: Spread,
    /// Recording against the free run before it.
    pub record: Spread,
    /// The same in processor time, which another load on the host disturbs less.
    pub record_cpu: Spread,
    /// Replay against the recording before it.
    pub replay: Spread,
    /// The same in processor time.
    pub replay_cpu: Spread,
    /// Bytes of trace per thousand steps, without the guest's image.
    pub bytes: Spread,
}

impl Measured {
    /// Measures a pattern.
    pub fn measure(pattern: &'static Pattern, cores: usize, runs: usize) -> Result<Self> {
        let workload = Workload::open(pattern.name)?;
        let options = Options { cores, embed_images: false, ..Options::default() };
        let rounds = rounds_that_take(FREE_MIN, &workload, &options)?;
        let guest = workload.guest(rounds);
        let folder = tempfile::tempdir().context("no folder for traces")?;
        let mut turns = Vec::new();
        for number in 0..runs {
            let turn = Turn::take(&guest, &options, &folder)?;
            eprintln!(
                "{} on {cores} cores, {} of {runs}: free {:.2} s, record {:.2} s, replay {:.2} s",
                pattern.name,
                number + 1,
                turn.free.wall.as_secs_f64(),
                turn.record.wall.as_secs_f64(),
                turn.replay.wall.as_secs_f64(),
            );
            turns.push(turn);
        }
        let spread = |figure: &dyn Fn(&Turn) -> f64| Spread::of(turns.iter().map(figure).collect());
        Ok(Self {
            pattern,
            cores,
            rounds,
            million_steps: spread(&|turn| turn.steps as f64 / 1e6),
            free_seconds: spread(&|turn| turn.free.wall.as_secs_f64()),
            record: spread(&|turn| ratio(turn.record.wall, turn.free.wall)),
            record_cpu: spread(&|turn| ratio(turn.record.cpu, turn.free.cpu)),
            replay: spread(&|turn| ratio(turn.replay.wall, turn.record.wall)),
            replay_cpu: spread(&|turn| ratio(turn.replay.cpu, turn.record.cpu)),
            bytes: spread(&|turn| turn.trace_bytes as f64 * 1000.0 / turn.steps as f64),
        })
    }
}

/// What something took.
#[derive(Clone, Copy)]
struct Time {
    wall: Duration,
    /// Of all threads of this process.
    cpu: Duration,
}

/// One free run, one recording and one replay.
struct Turn {
    free: Time,
    record: Time,
    replay: Time,
    steps: u64,
    trace_bytes: u64,
}

impl Turn {
    fn take(guest: &Guest, options: &Options, folder: &TempDir) -> Result<Self> {
        let path = folder.path().join("bench.cantus");
        let (free, ran) = timed(|| cantus::run(guest, options));
        passed("free run", ran?.outcome)?;
        let (record, recorded) = timed(|| cantus::record(guest, options, &path, true));
        let recorded = recorded?;
        passed("recording", recorded.outcome)?;
        let replay_options = ReplayOptions {
            workers: options.workers,
            files: vec![GuestFile::new(guest.name.clone(), guest.bytes.clone())],
            ..ReplayOptions::default()
        };
        let (replay, replayed) = timed(|| cantus::replay(&path, &replay_options));
        let verdict = replayed?.verdict;
        if verdict != Verdict::Identical {
            bail!(
                "the replay was not the recording: {verdict:?}\nsee {}",
                keep(guest, options.cores, &path)?
            );
        }
        let trace_bytes = std::fs::metadata(&path).context("the trace is gone")?.len();
        Ok(Self { free, record, replay, steps: recorded.steps.iter().sum(), trace_bytes })
    }
}

/// Puts guest and trace where they stay, and says how to replay them.
fn keep(guest: &Guest, cores: usize, path: &Path) -> Result<String> {
    let name = format!("cantus-bench-{}-{cores}", guest.name);
    let (elf, trace) = (
        std::env::temp_dir().join(format!("{name}.elf")),
        std::env::temp_dir().join(format!("{name}.cantus")),
    );
    std::fs::write(&elf, &guest.bytes).with_context(|| format!("cannot write {}", elf.display()))?;
    std::fs::copy(path, &trace).with_context(|| format!("cannot write {}", trace.display()))?;
    Ok(format!("{} (a recording of {})", trace.display(), elf.display()))
}

/// How fast one core is, interpreted.
pub struct Interpreter {
    /// Million instructions a second.
    pub mips: Spread,
}

impl Interpreter {
    /// Measures it.
    pub fn measure(runs: usize) -> Result<Self> {
        let workload = Workload::open(INTEGER_LOOP)?;
        let options = Options { executor: Executor::Interp, ..Options::default() };
        let guest = workload.guest(rounds_that_take(FREE_MIN, &workload, &options)?);
        let mut mips = Vec::new();
        for _ in 0..runs {
            let (time, ran) = timed(|| cantus::run(&guest, &options));
            let ran = ran?;
            passed("free run", ran.outcome)?;
            mips.push(ran.steps.iter().sum::<u64>() as f64 / 1e6 / time.wall.as_secs_f64());
        }
        Ok(Self { mips: Spread::of(mips) })
    }
}

/// How many rounds make a free run last at least so long.
fn rounds_that_take(wanted: Duration, workload: &Workload, options: &Options) -> Result<u64> {
    let mut rounds = workload.rounds();
    loop {
        let guest = workload.guest(rounds);
        let mut time = Duration::MAX;
        // The shorter of two: a busy host makes a run long now and then.
        for _ in 0..2 {
            let (one, ran) = timed(|| cantus::run(&guest, options));
            passed("free run", ran?.outcome)?;
            time = time.min(one.wall);
        }
        if time >= wanted {
            return Ok(rounds);
        }
        // A short run says little of a long one: not too far at once, and a little beyond.
        let factor = 1.3 * wanted.as_secs_f64() / time.as_secs_f64();
        rounds = (rounds as f64 * factor.clamp(1.3, 20.0)) as u64;
    }
}

fn passed(what: &str, outcome: Outcome) -> Result<()> {
    ensure!(outcome == Outcome::Exit(0), "the {what} ended with {outcome:?}");
    Ok(())
}

fn ratio(one: Duration, other: Duration) -> f64 {
    one.as_secs_f64() / other.as_secs_f64()
}

#[expect(clippy::disallowed_methods, reason = "a benchmark measures the host's time; no guest sees it")]
fn timed<T>(work: impl FnOnce() -> T) -> (Time, T) {
    let (start, cpu) = (Instant::now(), cpu_time());
    let result = work();
    (Time { wall: start.elapsed(), cpu: cpu_time().saturating_sub(cpu) }, result)
}

/// Processor time of this process so far, its threads that have ended included.
fn cpu_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a valid place for the one structure that the call writes.
    let status = unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &raw mut time) };
    assert_eq!(status, 0, "the host has no clock of processor time");
    Duration::new(time.tv_sec.cast_unsigned(), time.tv_nsec as u32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::workloads::PATTERNS;

    #[test]
    fn every_pattern_runs_is_recorded_and_replayed() {
        let folder = tempfile::tempdir().unwrap();
        for pattern in PATTERNS {
            let workload = Workload::open(pattern.name).unwrap();
            let options = Options { cores: 2, embed_images: false, ..Options::default() };
            let guest = workload.guest(workload.rounds() / 10);
            let turn = Turn::take(&guest, &options, &folder).unwrap();
            assert!(turn.steps > 1000 && turn.trace_bytes > 100, "{}", pattern.name);
        }
    }
}
