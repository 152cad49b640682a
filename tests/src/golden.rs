//! The traces under `golden/traces/`: what was recorded once must replay for ever.
//!
//! Each has beside it what the recorded run printed. `cargo xtask bless` records what is missing or, while the format is
//! at version 0, what does not replay any more.

use std::path::{Path, PathBuf};
use std::{fs, io};

use cantus::hunt::{is_failure, narrow};
use cantus::{
    Captured, Error, Executor, Guest, Input, Options, Output, Policy, Recorded, ReplayOptions, Replayed,
};
use cantus_guests::{Catalogue, Variant};

/// A run whose trace is kept.
#[derive(Debug)]
pub struct Golden {
    /// The name of the guest.
    pub guest: &'static str,
    /// Which of its programs.
    pub variant: Variant,
    /// On how many cores.
    pub cores: usize,
    /// Which of its runs.
    pub take: Take,
    /// What about a replay of it is worth keeping.
    pub because: &'static str,
}

/// Which run of a program.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Take {
    /// Any; of a broken program one that fails.
    Any,
    /// The one that passes, of two that differ in one choice of the schedule.
    Passing,
    /// The one that fails, of the same two.
    Failing,
}

const fn golden(guest: &'static str, variant: Variant, cores: usize, because: &'static str) -> Golden {
    Golden { guest, variant, cores, take: Take::Any, because }
}

const fn one_of_two(guest: &'static str, take: Take, because: &'static str) -> Golden {
    Golden { guest, variant: Variant::Broken, cores: 2, take, because }
}

/// All traces that are kept: one for each kind of event, and for each way in which cores meet.
pub const TRACES: &[Golden] = &[
    golden("hello", Variant::Only, 4, "a console that cores take turns at"),
    golden("echo", Variant::Only, 1, "bytes from outside"),
    golden("timer", Variant::Only, 2, "clock readings and timer interrupts"),
    golden("ipi_ping_pong", Variant::Only, 2, "software interrupts and waiting for them"),
    golden("lrsc_counter", Variant::Only, 4, "store-conditionals that fail"),
    golden("amo_mix", Variant::Only, 4, "atomic operations of every kind"),
    golden("paging", Variant::Only, 4, "page tables that change under their readers"),
    golden("code_patch", Variant::Only, 4, "code that changes under its executors"),
    golden("float_loop", Variant::Only, 2, "floating point, bit by bit"),
    golden("htif_status", Variant::Only, 2, "an end through tohost, with a status"),
    golden("contended_lock", Variant::Only, 16, "many more cores than workers"),
    golden("lost_update", Variant::Broken, 2, "a bug that shows"),
    golden("lost_wakeup", Variant::Broken, 2, "a run that ends because nothing can happen any more"),
    one_of_two("bank_transfer", Take::Passing, "what the next one would have been but for one choice"),
    one_of_two("bank_transfer", Take::Failing, "a bug that `diff` explains"),
];

/// How often a bug is given the chance to show.
const SEEDS_MAX: u64 = 1000;

impl Golden {
    /// Its name: the program's, the number of cores, and which of two runs it is.
    pub fn name(&self) -> String {
        let variant = match self.variant {
            Variant::Broken => "-broken",
            Variant::Fixed => "-fixed",
            Variant::Only => "",
        };
        let take = match self.take {
            Take::Any => "",
            Take::Passing => "-passing",
            Take::Failing => "-failing",
        };
        format!("{}{variant}-{}{take}", self.guest, self.cores)
    }

    /// Where the trace lies.
    pub fn trace(&self) -> PathBuf {
        folder().join(format!("{}.cantus", self.name()))
    }

    /// Where that lies which the recorded run printed.
    pub fn console(&self) -> PathBuf {
        folder().join(format!("{}.console", self.name()))
    }

    /// Records the run anew, to `path`, and gives what it printed. A bug is recorded again until it shows.
    ///
    /// # Errors
    /// Where it cannot be recorded.
    ///
    /// # Panics
    /// If a bug does not show in many runs.
    pub fn record(&self, path: &Path) -> Result<(Recorded, Vec<u8>), Error> {
        for seed in 0..SEEDS_MAX {
            let (recorded, printed) = self.record_under(&self.options(seed), path)?;
            if self.variant == Variant::Broken && !is_failure(recorded.outcome) {
                continue;
            }
            if self.take == Take::Any {
                return Ok((recorded, printed));
            }
            let [passing, failing] = ["passing", "failing"].map(|name| path.with_extension(name));
            let narrowed = narrow(&self.program()?, &self.options(seed), &passing, &failing)?;
            for made in [&passing, &failing].into_iter().filter(|made| made.exists()) {
                fs::remove_file(made).map_err(|error| Error::File { path: made.clone(), error })?;
            }
            if let Some(narrowed) = narrowed {
                let choices_max = narrowed.choices + u64::from(self.take == Take::Failing);
                return self.record_under(&Options { choices_max, ..self.options(seed) }, path);
            }
        }
        panic!("{}: the bug does not show in {SEEDS_MAX} runs", self.name());
    }

    fn program(&self) -> Result<Guest, Error> {
        let catalogue = Catalogue::load();
        let guest = catalogue.guest(self.guest).expect("golden traces are of guests in the catalogue");
        let program = guest.programs().find(|program| program.variant == self.variant);
        let elf = program.expect("golden traces are of programs that exist").elf();
        Guest::open(&elf).map_err(|error| Error::File { path: elf, error })
    }

    fn options(&self, seed: u64) -> Options {
        let catalogue = Catalogue::load();
        let input = catalogue.guest(self.guest).map(|guest| guest.input.clone()).unwrap_or_default();
        let any = Options {
            cores: self.cores,
            policy: Policy::Random { slice_max: 1000 },
            seed,
            digest_interval: 100_000,
            describe_host: false,
            input: Input::Bytes(input.into_bytes()),
            ..Options::default()
        };
        match self.take {
            Take::Any => any,
            Take::Passing | Take::Failing => Options { workers: 1, ..any },
        }
    }

    fn record_under(&self, options: &Options, path: &Path) -> Result<(Recorded, Vec<u8>), Error> {
        let captured = Captured::default();
        let options = Options { output: Output::Captured(captured.clone()), ..options.clone() };
        let recorded = cantus::record(&self.program()?, &options, path, true)?;
        Ok((recorded, captured.bytes()))
    }

    /// Replays the trace on so many workers by an executor, and gives what the replay printed.
    ///
    /// # Errors
    /// Where it cannot be replayed.
    pub fn replay(&self, workers: usize, executor: Executor) -> Result<(Replayed, Vec<u8>), Error> {
        let captured = Captured::default();
        let output = Output::Captured(captured.clone());
        let options = ReplayOptions { workers, executor, output, ..ReplayOptions::default() };
        let replayed = cantus::replay(self.trace(), &options)?;
        Ok((replayed, captured.bytes()))
    }

    /// What the recorded run printed.
    ///
    /// # Errors
    /// Whatever the host says of the file.
    pub fn printed(&self) -> io::Result<Vec<u8>> {
        fs::read(self.console())
    }
}

/// Where golden traces lie.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../golden/traces")
}
