//! How a guest is run: what the machine is made of, how it is scheduled, and what surrounds it.

use crate::{Attachment, Executor, PerfMap, Peripherals, StopOn, Warnings};
use cantus_engine::{ClockPolicy, Console, Outcome, Outside, Policy};
use parking_lot::Mutex;
use std::io::{self, Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

/// How to run a guest. What is not set is as [`Options::default`] says.
#[derive(Clone)]
pub struct Options {
    /// Emulated cores, 1 to 255. 1 by default.
    pub cores: usize,
    /// RAM in bytes, a multiple of 4096. 128 MiB by default.
    pub ram_bytes: u64,
    /// Devices that not every guest has. None by default.
    pub peripherals: Peripherals,
    /// What of the host the devices get in a recording that goes on from another one. Nothing by default.
    pub attachments: Vec<Attachment>,
    /// Host threads that run cores. By default as many as the host has CPUs.
    pub workers: usize,
    /// What executes the guest's instructions. The translator to host code by default.
    pub executor: Executor,
    /// A map of translated code for `perf`. None by default.
    pub perf_map: Option<PerfMap>,
    /// How guest time passes. Virtual by default.
    pub clock: ClockPolicy,
    /// Which core runs next, and for how long. In turn by default.
    pub policy: Policy,
    /// Varies the schedule. With one worker, the virtual clock and no input, the same seed gives the same run.
    pub seed: u64,
    /// After so many choices of the policy, cores run in turn. No limit by default. Two recordings of one seed that
    /// differ by one in this have the same beginning, up to that choice.
    pub choices_max: u64,
    /// Ends the run when a core has completed so many steps. No limit by default.
    pub steps_max: Option<u64>,
    /// Every how many of its steps a core's digest is recorded. One million by default; 0 means at the end only.
    pub digest_interval: u64,
    /// Every how many steps of all cores together they are stopped, and memory's digest is recorded. 200 million by
    /// default; 0 means at the end only.
    pub cut_interval: u64,
    /// Every how many steps of all cores together the trace gets a checkpoint, which a replay can begin at. One
    /// billion by default; 0 means never.
    pub checkpoint_interval: u64,
    /// A trace holds at least so much of the end of the run, and at most about twice as much: it then begins at a
    /// checkpoint. Checkpoints come at least four times as often. It holds all by default.
    pub keep_last: Option<Keep>,
    /// Whether the trace holds the guest's bytes. It does by default.
    pub embed_images: bool,
    /// The trace leaves out what it would hold of the guest's files and drives, but for those that are written through to, of
    /// at least so many bytes. It says where they are, and a replay checks their digests. Nothing is left out by default.
    pub external_bytes_min: Option<usize>,
    /// Bytes of a word of the signature, if one is wanted.
    pub signature_granularity: Option<usize>,
    /// Where the guest's console output goes. Nowhere by default.
    pub output: Output,
    /// Who is told of what goes wrong in the guest's devices. Nobody by default.
    pub warnings: Warnings,
    /// Where the guest's console input comes from. From nowhere by default.
    pub input: Input,
    /// Ends the run when a line of the guest's console matches. Never by default.
    pub stop_on: Option<StopOn>,
    /// Ends the run from outside.
    pub interrupt: Interrupt,
    /// Whether the trace says what host recorded it, and when, for people who read it. It does by default.
    pub describe_host: bool,
    /// The command that records, for people who read the trace.
    pub command_line: Vec<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            cores: 1,
            ram_bytes: 128 << 20,
            peripherals: Peripherals::default(),
            attachments: Vec::new(),
            workers: std::thread::available_parallelism().map_or(1, usize::from),
            executor: Executor::default(),
            perf_map: None,
            clock: ClockPolicy::Virtual,
            policy: Policy::Fair { slice: Policy::SLICE },
            seed: 0,
            choices_max: u64::MAX,
            steps_max: None,
            digest_interval: 1_000_000,
            cut_interval: 200_000_000,
            checkpoint_interval: 1_000_000_000,
            keep_last: None,
            embed_images: true,
            external_bytes_min: None,
            signature_granularity: None,
            output: Output::Nowhere,
            warnings: Warnings::default(),
            input: Input::Nothing,
            stop_on: None,
            interrupt: Interrupt::default(),
            describe_host: true,
            command_line: Vec::new(),
        }
    }
}

/// How much of the end of a run a trace holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Keep {
    /// So many steps of all cores together.
    Steps(u64),
    /// What ran in so much of the host's time. When cores stop for a checkpoint depends on that time then, so that a run does
    /// not follow from its options.
    Time(Duration),
}

/// Where console output goes.
#[derive(Clone, Default)]
pub enum Output {
    /// It is dropped.
    #[default]
    Nowhere,
    /// To the standard output, as it comes.
    Stdout(Printed),
    /// Into memory.
    Captured(Captured),
}

/// What became of console output on the standard output: the first error, if some could not be written.
#[derive(Clone, Default)]
pub struct Printed(Arc<Mutex<Option<io::Error>>>);

/// Console output in memory.
#[derive(Clone, Default)]
pub struct Captured(Arc<Mutex<Vec<u8>>>);

impl Captured {
    /// What has come so far.
    pub fn bytes(&self) -> Vec<u8> {
        self.0.lock().clone()
    }
}

/// Where console input comes from.
#[derive(Clone, Default)]
pub enum Input {
    /// There is none.
    #[default]
    Nothing,
    /// The standard input.
    Stdin,
    /// These bytes, and then no more.
    Bytes(Vec<u8>),
    /// What somebody types.
    Typed(Typist),
}

/// What comes from somebody who types.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Typed {
    /// Bytes for the console.
    Bytes(Vec<u8>),
    /// The terminal has another size now: the virtio console, where there is one, is told.
    Size {
        /// Its width in characters.
        columns: u16,
        /// Its height in lines.
        rows: u16,
    },
}

/// A keyboard.
pub trait Keyboard: Send {
    /// What is typed next; waits for it. `None` when no more will come.
    fn next(&mut self) -> Option<Typed>;
}

/// A keyboard that one run reads from; shared by copies of the options.
#[derive(Clone)]
pub struct Typist(pub(crate) Arc<Mutex<dyn Keyboard>>);

impl Typist {
    /// Types on this keyboard.
    pub fn new(keyboard: impl Keyboard + 'static) -> Self {
        Self(Arc::new(Mutex::new(keyboard)))
    }
}

/// The standard input, as it comes.
pub(crate) struct Stdin;

impl Keyboard for Stdin {
    fn next(&mut self) -> Option<Typed> {
        let mut buffer = [0; 4096];
        match io::stdin().read(&mut buffer) {
            Ok(length @ 1..) => Some(Typed::Bytes(buffer[..length].to_vec())),
            Ok(0) | Err(_) => None,
        }
    }
}

struct Sink(Output);

impl Console for Sink {
    fn write(&self, bytes: &[u8]) {
        match &self.0 {
            Output::Nowhere => {}
            Output::Stdout(Printed(lost)) => {
                let mut stdout = io::stdout().lock();
                if let Err(error) = stdout.write_all(bytes).and_then(|()| stdout.flush())
                    // A reader that has gone away misses nothing.
                    && error.kind() != io::ErrorKind::BrokenPipe
                {
                    lost.lock().get_or_insert(error);
                }
            }
            Output::Captured(Captured(captured)) => captured.lock().extend_from_slice(bytes),
        }
    }
}

impl Output {
    /// Why console output was lost, if it was; told once. That is no reason to end the guest.
    pub fn take_error(&self) -> Option<io::Error> {
        match self {
            Self::Stdout(Printed(lost)) => lost.lock().take(),
            Self::Nowhere | Self::Captured(_) => None,
        }
    }

    pub(crate) fn console(&self) -> Box<dyn Console> {
        Box::new(Sink(self.clone()))
    }
}

/// Ends a run from another thread, or from a signal's handler thread.
#[derive(Clone, Default)]
pub struct Interrupt(Arc<State>);

#[derive(Default)]
struct State {
    raised: AtomicBool,
    running: Mutex<Vec<Arc<Outside>>>,
}

impl Interrupt {
    /// Ends the runs that have this interrupt, now and later. A recording is closed properly.
    pub fn raise(&self) {
        self.0.raised.store(true, SeqCst);
        self.0.running.lock().iter().for_each(|outside| outside.stop(Outcome::Interrupted));
    }

    /// Whether it has been raised.
    pub fn is_raised(&self) -> bool {
        self.0.raised.load(SeqCst)
    }

    /// How far the runs are that this interrupt would end: the steps of all their cores, and the guest's time in seconds
    /// of the latest. For people who wait.
    pub fn progress(&self) -> (u64, f64) {
        let running = self.0.running.lock();
        let steps = running.iter().map(|outside| outside.progress().0).sum();
        let ticks = running.last().map_or(0, |outside| outside.progress().1);
        (steps, ticks as f64 / cantus_engine::TICKS_PER_SECOND as f64)
    }

    /// A run begins that this interrupt ends.
    pub(crate) fn watch(&self, outside: Arc<Outside>) {
        let mut running = self.0.running.lock();
        // Runs that are over have no other owner.
        running.retain(|outside| Arc::strong_count(outside) > 1);
        if self.is_raised() {
            outside.stop(Outcome::Interrupted);
        }
        running.push(outside);
    }
}
