//! The traces under `golden/traces/`: what was recorded once must replay for ever.
//!
//! Each has beside it what the recorded run printed. `cargo xtask bless` records what is missing or, while the format is
//! at version 0, what does not replay any more.

use std::path::{Path, PathBuf};
use std::{fs, io};

use cantus::{
    Captured, Error, Guest, Input, Options, Outcome, Output, Policy, Recorded, ReplayOptions, Replayed,
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
    /// What about a replay of it is worth keeping.
    pub because: &'static str,
}

const fn golden(guest: &'static str, variant: Variant, cores: usize, because: &'static str) -> Golden {
    Golden { guest, variant, cores, because }
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
];

/// How often a bug is given the chance to show.
const SEEDS_MAX: u64 = 1000;

impl Golden {
    /// Its name: the program's, and the number of cores.
    pub fn name(&self) -> String {
        let variant = match self.variant {
            Variant::Broken => "-broken",
            Variant::Fixed => "-fixed",
            Variant::Only => "",
        };
        format!("{}{variant}-{}", self.guest, self.cores)
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
            let (recorded, printed) = self.record_once(path, seed)?;
            if self.variant != Variant::Broken || recorded.outcome != Outcome::Exit(0) {
                return Ok((recorded, printed));
            }
        }
        panic!("{}: the bug does not show in {SEEDS_MAX} runs", self.name());
    }

    fn record_once(&self, path: &Path, seed: u64) -> Result<(Recorded, Vec<u8>), Error> {
        let catalogue = Catalogue::load();
        let guest = catalogue.guest(self.guest).expect("golden traces are of guests in the catalogue");
        let program = guest.programs().find(|program| program.variant == self.variant);
        let elf = program.expect("golden traces are of programs that exist").elf();
        let bytes = fs::read(&elf).map_err(|error| Error::File { path: elf.clone(), error })?;
        let captured = Captured::default();
        let options = Options {
            cores: self.cores,
            policy: Policy::Random { slice_max: 1000 },
            seed,
            digest_interval: 100_000,
            describe_host: false,
            input: Input::Bytes(guest.input.clone().into_bytes()),
            output: Output::Captured(captured.clone()),
            ..Options::default()
        };
        let name = elf.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let recorded = cantus::record(&Guest::new(name, bytes), &options, path, true)?;
        Ok((recorded, captured.bytes()))
    }

    /// Replays the trace on so many workers, and gives what the replay printed.
    ///
    /// # Errors
    /// Where it cannot be replayed.
    pub fn replay(&self, workers: usize) -> Result<(Replayed, Vec<u8>), Error> {
        let captured = Captured::default();
        let options =
            ReplayOptions { workers, output: Output::Captured(captured.clone()), ..ReplayOptions::default() };
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
