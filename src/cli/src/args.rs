//! The command line: verbs, flags that several verbs share, and how their values are read.
//!
//! Help, completions and manual page come from these definitions.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::str::FromStr;

use cantus::{ClockPolicy, Executor, Guest, GuestFile, KernelStart, Options, Policy, StopOn};
use cantus_traces::{CORES_MAX, Position};
use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};

use crate::devices::DeviceArgs;
use crate::failure::Failure;
use crate::statistics::StatisticsArgs;
use crate::verbs;

/// The exit statuses, as the help shows them.
const STATUSES: &str = "\
Exit status:
  run, record     the guest's own; 123 if a line matched --stop-on, 124 if it hung or
                  reached its limit, 130 if it was interrupted
  replay, verify  0 identical, 3 diverged
  diff            0 the same, 1 different, 2 trouble
  hunt            0 no run failed, 1 a run failed
  all             64 usage, 65 bad or incompatible file, 66 no such file, 69 unavailable, 74 I/O error

Traces are in $CANTUS_TRACE_DIR, else $XDG_DATA_HOME/cantus, else ~/.local/share/cantus.
CANTUS_LOG=debug tells more; NO_COLOR=1 takes the colours away.";

/// Record a multicore RISC-V guest as it runs in parallel, replay it exactly, and see where two runs part.
#[derive(Parser, Debug)]
#[command(name = "cantus", version, after_help = STATUSES, max_term_width = 100)]
pub struct CommandLine {
    #[command(flatten)]
    pub general: General,
    #[command(subcommand)]
    pub verb: Verb,
}

/// Flags of every verb.
#[derive(Args, Clone, Copy, Debug)]
pub struct General {
    /// Say nothing but results and errors
    #[arg(short, long, global = true, conflicts_with = "verbose", display_order = 900)]
    pub quiet: bool,
    /// Say more; twice for even more
    #[arg(short, long, global = true, action = ArgAction::Count, display_order = 901)]
    pub verbose: u8,
}

/// What to do.
#[derive(Subcommand, Debug)]
pub enum Verb {
    Run(verbs::run::Run),
    Record(verbs::record::Record),
    Replay(verbs::replay::Replay),
    Verify(verbs::verify::Verify),
    Diff(verbs::diff::Diff),
    Dump(verbs::dump::Dump),
    Info(verbs::info::Info),
    Ls(verbs::ls::Ls),
    Rm(verbs::rm::Rm),
    Hunt(verbs::hunt::Hunt),
    Demo(verbs::demo::Demo),
    Completions(verbs::completions::Completions),
    Man(verbs::man::Man),
}

/// The guest and its machine.
#[derive(Args, Clone, Debug)]
pub struct MachineArgs {
    /// The guest: a program for machine mode, as an ELF file or a raw image
    #[arg(required_unless_present = "kernel", conflicts_with = "kernel")]
    pub guest: Option<PathBuf>,
    #[command(flatten)]
    pub kernel: KernelArgs,
    #[command(flatten)]
    pub devices: DeviceArgs,
    /// Emulated cores, 1 to 255
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = number(1..=CORES_MAX as u64), allow_hyphen_values = true)]
    pub smp: u64,
    /// RAM, in MiB or with a suffix K, M or G
    #[arg(short, long, value_name = "SIZE", default_value = "128M", value_parser = size, allow_hyphen_values = true)]
    pub memory: u64,
    /// Host threads that run the cores [default: one a host CPU; hunt: 1]
    #[arg(long, value_name = "N", value_parser = number(1..=WORKERS_MAX), allow_hyphen_values = true)]
    pub workers: Option<u64>,
    #[command(flatten)]
    pub executor: ExecutorArgs,
    /// How guest time passes: with the host's, or with the instructions that cores execute
    #[arg(long, value_enum, default_value = "virtual")]
    pub clock: Clock,
    /// Varies the schedule. With one worker, the virtual clock and no input, the same seed gives the same run
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = number(0..=u64::MAX), allow_hyphen_values = true)]
    pub seed: u64,
    /// End the run with status 124 when a core has executed so many instructions
    #[arg(long, value_name = "N", value_parser = count, allow_hyphen_values = true)]
    pub max_instructions: Option<u64>,
    /// End the run with status 123 when a line of the guest's console matches. An unfinished line matches once something
    /// stands behind the match
    #[arg(long, value_name = "REGEX")]
    pub stop_on: Option<StopOn>,
}

/// What executes a guest's instructions.
#[derive(Args, Clone, Copy, Debug)]
pub struct ExecutorArgs {
    /// What executes instructions. All give the same, and a trace of one replays with any other
    #[arg(long, value_enum, value_name = "WHICH", default_value_t = Which::default())]
    pub executor: Which,
}

/// The executors by name.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Which {
    /// The interpreter
    Interp,
    /// A translator to host code
    Jit,
    /// Both in turn, as it happens: for tests
    Mixed,
}

impl Default for Which {
    fn default() -> Self {
        match Executor::default() {
            Executor::Interp => Self::Interp,
            Executor::Jit => Self::Jit,
            Executor::Mixed => Self::Mixed,
        }
    }
}

impl ExecutorArgs {
    pub fn chosen(self) -> Executor {
        match self.executor {
            Which::Interp => Executor::Interp,
            Which::Jit => Executor::Jit,
            Which::Mixed => Executor::Mixed,
        }
    }
}

/// A kernel instead of a program, and what it is started with.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Kernel")]
pub struct KernelArgs {
    /// A kernel instead of a guest: a Linux Image, plain or gzip-compressed, or an ELF file
    #[arg(long, value_name = "FILE")]
    pub kernel: Option<PathBuf>,
    /// The kernel's initial RAM disk
    #[arg(long, value_name = "FILE", requires = "kernel")]
    pub initrd: Option<PathBuf>,
    /// The kernel's command line, such as "console=ttyS0"
    #[arg(long, value_name = "WORDS", requires = "kernel")]
    pub append: Option<String>,
    /// Firmware with SBI that starts the kernel, such as OpenSBI's fw_dynamic, instead of Cantus's own
    #[arg(long, value_name = "FILE", requires = "kernel")]
    pub firmware: Option<PathBuf>,
}

impl MachineArgs {
    /// Reads the guest's files.
    pub fn open_guest(&self) -> Result<Guest, Failure> {
        let KernelArgs { kernel, initrd, append, firmware } = &self.kernel;
        let Some(kernel) = kernel else {
            // Where the guest is given, clap lets these pass.
            let of_kernel = [
                ("--initrd", initrd.is_some()),
                ("--append", append.is_some()),
                ("--firmware", firmware.is_some()),
            ];
            if let Some((flag, _)) = of_kernel.iter().find(|(_, is_given)| *is_given) {
                return Err(
                    Failure::usage(format!("{flag} is for a kernel")).advise("give the kernel with --kernel")
                );
            }
            let guest = self.guest.as_deref().ok_or_else(|| Failure::usage("there is no guest"))?;
            return Ok(Guest::of_file(open_file(guest, "read the guest")?, None));
        };
        let initrd = initrd.as_deref().map(|path| open_file(path, "read the initrd")).transpose()?;
        let firmware = firmware.as_deref().map(|path| open_file(path, "read the firmware")).transpose()?;
        let command_line = append.clone().unwrap_or_default();
        let start = KernelStart { initrd, command_line, firmware };
        Ok(Guest::of_file(open_file(kernel, "read the kernel")?, Some(start)))
    }

    /// As options of the session; opens what devices need.
    pub fn options(&self) -> Result<Options, Failure> {
        let defaults = Options::default();
        Ok(Options {
            cores: self.smp as usize,
            ram_bytes: self.memory,
            peripherals: self.devices.open()?,
            workers: self.workers.map_or(defaults.workers, |workers| workers as usize),
            clock: match self.clock {
                Clock::Host => ClockPolicy::Host,
                Clock::Virtual => ClockPolicy::Virtual,
            },
            executor: self.executor.chosen(),
            seed: self.seed,
            steps_max: self.max_instructions,
            stop_on: self.stop_on.clone(),
            command_line: std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect(),
            ..defaults
        })
    }
}

/// Flags of the verbs that run a guest once.
#[derive(Args, Clone, Debug)]
pub struct RunArgs {
    #[command(flatten)]
    pub machine: MachineArgs,
    /// How cores take turns: fair[:STEPS], random[:STEPS], or pct[:DEPTH[:STEPS]] (random priorities)
    #[arg(long, value_name = "HOW", default_value = "fair")]
    pub schedule: Schedule,
    /// After so many choices of the schedule, cores run in turn, as fair does. Runs that differ by one in this are the
    /// same up to that choice [default: no limit]
    #[arg(long, value_name = "N", value_parser = count, allow_hyphen_values = true)]
    pub choices: Option<u64>,
    /// Write the words from begin_signature to end_signature here at the end
    #[arg(long, value_name = "FILE")]
    pub signature: Option<PathBuf>,
    /// Bytes of a word of the signature
    #[arg(long, value_name = "BYTES", default_value = "4", requires = "signature", value_parser = granularity, allow_hyphen_values = true)]
    pub signature_granularity: usize,
    /// Print the outcome, with the guest's console output, as JSON
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub statistics: StatisticsArgs,
}

/// What a record keeps.
#[derive(Args, Clone, Debug)]
pub struct TraceArgs {
    /// Take the digest of a core every so many of its instructions; 0: only at the end
    #[arg(long, value_name = "N", default_value = "1000000", value_parser = count, allow_hyphen_values = true)]
    pub digest_interval: u64,
    /// Leave the guest's bytes out of the trace: to replay it, the same file must be given again
    #[arg(long)]
    pub without_images: bool,
    /// Leave the guest's files and drives' images of 1 MiB and more out of the trace, which says where they are: to replay it,
    /// they must be there unchanged, or be given with --guest
    #[arg(long, conflicts_with = "without_images")]
    pub external: bool,
}

impl TraceArgs {
    /// A file of at least so many bytes is left out of the trace, if that was asked for.
    pub fn external_bytes_min(&self) -> Option<usize> {
        self.external.then_some(1 << 20)
    }
}

/// A trace to read.
#[derive(Args, Clone, Debug)]
pub struct TraceArg {
    /// The trace: a path, or a name as `cantus ls` shows it [default: the latest]
    pub trace: Option<PathBuf>,
}

/// Where guest time comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Clock {
    /// The host's clock
    Host,
    /// Instructions; a sleeping machine wakes at once
    Virtual,
}

/// How cores take turns.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Schedule(pub Policy);

/// Steps of the longest slice under the random schedule.
const SLICE_MAX: u64 = 4096;
/// Ordering constraints that a bug is thought to need, under PCT.
const DEPTH: u32 = 3;
/// How long a run is thought to be under PCT, in steps.
const HORIZON: u64 = 1_000_000;

impl FromStr for Schedule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut parts = text.split(':');
        let name = parts.next().unwrap_or_default();
        let mut number = |default: u64| match parts.next() {
            None => Ok(default),
            Some(part) => count(part).and_then(|number| match number {
                0 => Err("must be at least 1".to_owned()),
                number => Ok(number),
            }),
        };
        let policy = match name {
            "fair" => Policy::Fair { slice: number(Policy::SLICE)? },
            "random" => Policy::Random { slice_max: number(SLICE_MAX)? },
            "pct" => {
                let depth = number(DEPTH.into())?;
                let depth = u32::try_from(depth).ok().filter(|depth| *depth <= 1000);
                Policy::Pct { depth: depth.ok_or("DEPTH must be 1 to 1000")?, horizon: number(HORIZON)? }
            }
            _ => return Err("expected fair, random or pct".to_owned()),
        };
        match parts.next() {
            None => Ok(Self(policy)),
            Some(part) => Err(format!("'{part}' is one number too many")),
        }
    }
}

impl std::fmt::Display for Schedule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// A range of positions: `FROM..TO`, where either may be missing. `TO` is not part of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PositionRange {
    pub from: Position,
    pub to: Option<Position>,
}

impl FromStr for PositionRange {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (from, to) = text.split_once("..").ok_or("expected FROM..TO, such as 1000..2000 or 1000..")?;
        let position = |text: &str| match text {
            "" => Ok(None),
            text => count(text).map(|number| Some(Position(number))),
        };
        let (from, to) = (position(from)?.unwrap_or_default(), position(to)?);
        match to {
            Some(to) if to < from => Err(format!("the range ends at {to}, before it begins")),
            to => Ok(Self { from, to }),
        }
    }
}

/// The most host threads that run cores, and the most jobs that run at once.
pub const WORKERS_MAX: u64 = 1024;

/// Reads a number of this range. A flag of it takes values that begin with a hyphen, too, so that its name stands in the
/// complaint about them.
pub fn number(range: RangeInclusive<u64>) -> impl Fn(&str) -> Result<u64, String> + Clone {
    move |text| {
        let number = text.parse().ok().filter(|number| range.contains(number));
        number.ok_or_else(|| format!("expected a number from {} to {}", range.start(), range.end()))
    }
}

/// A number, which may have `_` or `,` between its digits, or a suffix k, M or G for thousands.
pub fn count(text: &str) -> Result<u64, String> {
    let digits: String = text.chars().filter(|character| !matches!(character, '_' | ',')).collect();
    let (digits, factor) = match digits.as_bytes().last() {
        Some(b'k' | b'K') => (&digits[..digits.len() - 1], 1_000),
        Some(b'm' | b'M') => (&digits[..digits.len() - 1], 1_000_000),
        Some(b'g' | b'G') => (&digits[..digits.len() - 1], 1_000_000_000),
        _ => (digits.as_str(), 1),
    };
    match digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        true => Err("expected a number".to_owned()),
        false => digits
            .parse::<u64>()
            .ok()
            .and_then(|number| number.checked_mul(factor))
            .ok_or_else(|| "the number is too large".to_owned()),
    }
}

/// A size of memory: a number of MiB, or one with a suffix K, M, G or T, as QEMU reads it.
fn size(text: &str) -> Result<u64, String> {
    const UNITS: [(&str, u32); 8] =
        [("k", 10), ("m", 20), ("g", 30), ("t", 40), ("kib", 10), ("mib", 20), ("gib", 30), ("tib", 40)];
    let split = text.find(|character: char| !character.is_ascii_digit()).unwrap_or(text.len());
    let (digits, suffix) = text.split_at(split);
    if digits.is_empty() {
        return Err("expected a size, such as 256M or 2G".to_owned());
    }
    let shift = match suffix.to_ascii_lowercase().as_str() {
        "" => 20,
        suffix => UNITS
            .iter()
            .find(|(name, _)| *name == suffix)
            .map(|(_, shift)| *shift)
            .ok_or_else(|| format!("'{suffix}' is no unit: expected K, M, G or T, such as 256M"))?,
    };
    let number: u64 = digits.parse().map_err(|_| "expected a size, such as 256M or 2G".to_owned())?;
    let bytes = number.checked_mul(1 << shift).filter(|bytes| *bytes <= 1 << 40);
    match bytes {
        Some(0) => Err("a machine needs RAM".to_owned()),
        Some(bytes) if !bytes.is_multiple_of(4096) => Err("RAM must be a multiple of 4K".to_owned()),
        Some(bytes) => Ok(bytes),
        None => Err("RAM may have at most 1T".to_owned()),
    }
}

/// Reads one of the guest's files.
pub fn open_file(path: &std::path::Path, doing: &str) -> Result<GuestFile, Failure> {
    GuestFile::open(path).map_err(|error| Failure::io(path, doing, &error))
}

/// Reads the command line.
///
/// # Errors
///
/// What clap says, which may also be that help was asked for.
pub fn parse() -> Result<CommandLine, clap::Error> {
    CommandLine::try_parse()
}

/// Bytes of a word of the signature, as Spike takes them.
fn granularity(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(bytes @ (1 | 2 | 4 | 8 | 16)) => Ok(bytes),
        Ok(_) | Err(_) => Err("expected 1, 2, 4, 8 or 16".to_owned()),
    }
}

/// A core's number.
pub fn core(text: &str) -> Result<u8, String> {
    text.parse::<u8>()
        .ok()
        .filter(|core| usize::from(*core) < CORES_MAX)
        .ok_or_else(|| format!("cores are numbered from 0 to {}", CORES_MAX - 1))
}

/// Refuses a file that is there, unless it may be replaced; and what is no file, such as a device or a folder, always.
pub fn refuse_existing(path: &std::path::Path, force: bool) -> Result<(), Failure> {
    let Ok(facts) = path.symlink_metadata() else { return Ok(()) };
    let shown = path.display();
    if !facts.is_file() && !facts.is_symlink() {
        return Err(Failure::usage(format!("{shown}: is no file, and is not replaced by a trace")));
    }
    match force {
        true => Ok(()),
        false => Err(Failure::usage(format!("{shown}: is there already, and traces are not overwritten"))
            .advise("give --force to replace it, or another -o")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_definitions_are_consistent() {
        CommandLine::command().debug_assert();
    }

    #[test]
    fn sizes_are_read_as_qemu_reads_them() {
        assert_eq!(size("128"), Ok(128 << 20));
        assert_eq!(size("64K"), Ok(64 << 10));
        assert_eq!(size("2g"), Ok(2 << 30));
        assert_eq!(size("1GiB"), Ok(1 << 30));
        for bad in ["", "M", "0", "-1", "1.5G", "5X", "2T", "1K", "99999999999999999999", "128 M"] {
            assert!(size(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn ranges_may_be_open() {
        let range = |from, to: Option<u64>| Ok(PositionRange { from: Position(from), to: to.map(Position) });
        assert_eq!("10..20".parse::<PositionRange>(), range(10, Some(20)));
        assert_eq!("10..".parse::<PositionRange>(), range(10, None));
        assert_eq!("..1_000".parse::<PositionRange>(), range(0, Some(1000)));
        assert_eq!("1k..10,000".parse::<PositionRange>(), range(1000, Some(10_000)));
        for bad in ["", "5", "20..10", "a..b", "1..2..3", "-1..5"] {
            assert!(bad.parse::<PositionRange>().is_err(), "{bad}");
        }
    }

    #[test]
    fn schedules_are_read_as_they_are_shown() {
        for text in ["fair:50000", "random:12", "pct:3:1000"] {
            assert_eq!(text.parse::<Schedule>().unwrap().to_string(), text);
        }
        assert_eq!("pct".parse::<Schedule>().unwrap().to_string(), "pct:3:1000000");
        for bad in ["", "fast", "fair:0", "fair:1:2", "pct:0", "pct:5000", "pct:1:2:3", "random:x"] {
            assert!(bad.parse::<Schedule>().is_err(), "{bad}");
        }
    }

    #[test]
    fn counts_may_be_grouped() {
        assert_eq!(count("1_000"), Ok(1000));
        assert_eq!(count("10M"), Ok(10_000_000));
        for bad in ["", "k", "1.5M", "x", "99999999999G"] {
            assert!(count(bad).is_err(), "{bad}");
        }
    }
}
