//! The live outside of a run: interrupt lines, timers, console, and the wish to stop.
//!
//! What is here reaches the guest only through the boundary, in the name of a core at a position.

use crate::lines::Lines;
use crate::schedule::Schedule;
use crate::scheduler::Scheduler;
use crate::{Clock, Outcome};
use cantus_traces::limits::INPUT_BYTES_MAX;
use cantus_traces::{CoreId, DeviceId, Position};
use cantus_transactions::Safepoints;
use parking_lot::Mutex;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::*};

/// Where a guest's console output goes.
pub trait Console: Send + Sync {
    /// Bytes that the guest has written, in its order.
    fn write(&self, bytes: &[u8]);
}

/// The host as devices know it: what they ask in the middle of a step, and what they tell. Called from the workers'
/// threads, with a device's lock held, so an answer should not be long in coming.
pub trait Host: Send + Sync {
    /// The answer to a device's question. The guest waits for it.
    fn answer(&self, device: DeviceId, question: &[u8]) -> Vec<u8>;

    /// A device tells the host something.
    fn told(&self, device: DeviceId, message: &[u8]);

    /// Something went wrong in a device, of which the user should know. Live and in a replay.
    fn warned(&self, device: DeviceId, what: &str) {
        let _ = (device, what);
    }

    /// In a replay: a device asked what it had asked, and was answered what the trace says.
    fn overheard(&self, device: DeviceId, question: &[u8], answer: &[u8]) {
        let _ = (device, question, answer);
    }
}

impl<H: Host + ?Sized> Host for Arc<H> {
    fn answer(&self, device: DeviceId, question: &[u8]) -> Vec<u8> {
        (**self).answer(device, question)
    }

    fn told(&self, device: DeviceId, message: &[u8]) {
        (**self).told(device, message);
    }

    fn warned(&self, device: DeviceId, what: &str) {
        (**self).warned(device, what);
    }

    fn overheard(&self, device: DeviceId, question: &[u8], answer: &[u8]) {
        (**self).overheard(device, question, answer);
    }
}

/// The host of a machine that has no device which needs one: it answers nothing to everything.
pub struct NoHost;

impl Host for NoHost {
    fn answer(&self, _: DeviceId, _: &[u8]) -> Vec<u8> {
        Vec::new()
    }

    fn told(&self, _: DeviceId, _: &[u8]) {}
}

/// Everything around the cores that changes by itself. Shared with the threads that feed it.
pub struct Outside {
    pub(crate) clock: Clock,
    pub(crate) safepoints: Arc<Safepoints>,
    pub(crate) scheduler: Scheduler,
    lines: Box<[Lines]>,
    inbox: Mutex<Inbox>,
    /// Sources that may still bring input.
    sources: AtomicUsize,
    stopped: AtomicBool,
    /// A guest that is replayed has done what ended the recorded run.
    guest_ended: AtomicBool,
    /// When the last timer was due whose interrupt came in a replay.
    last_timer: AtomicU64,
    outcome: Mutex<Option<Outcome>>,
    console: Box<dyn Console>,
    host: Box<dyn Host>,
}

/// Inputs on their way to devices.
#[derive(Default)]
struct Inbox {
    /// Those that wait.
    waiting: VecDeque<(DeviceId, Vec<u8>)>,
    /// When, in ticks, a device receives one of the clock; all ones is never.
    alarms: BTreeMap<DeviceId, u64>,
}

impl Inbox {
    /// When the next alarm is due; all ones is never.
    fn alarm(&self) -> u64 {
        self.alarms.values().copied().min().unwrap_or(u64::MAX)
    }
}

impl Outside {
    pub(crate) fn new(
        cores: usize,
        clock: Clock,
        schedule: Schedule,
        safepoints: Arc<Safepoints>,
        console: Box<dyn Console>,
        host: Box<dyn Host>,
    ) -> Self {
        Self {
            clock,
            safepoints,
            scheduler: Scheduler::new(cores, schedule),
            lines: (0..cores).map(|_| Lines::new()).collect(),
            inbox: Mutex::default(),
            sources: AtomicUsize::new(0),
            stopped: AtomicBool::new(false),
            guest_ended: AtomicBool::new(false),
            last_timer: AtomicU64::new(0),
            outcome: Mutex::default(),
            console,
            host,
        }
    }

    /// Before the run: the guest's clock stands here.
    pub fn begin_clock(&self, ticks: u64) {
        self.clock.set(ticks);
    }

    /// Before the run: these lines of a core are raised, and its machine timer is set so.
    pub fn begin_lines(&self, core: CoreId, lines: u32, deadline: u64) {
        self.lines[core.index()].begin(lines, deadline);
    }

    /// The device receives an input of the clock as soon as that is at or past `ticks`.
    pub fn set_alarm(&self, device: DeviceId, ticks: u64) {
        self.inbox.lock().alarms.insert(device, ticks);
        self.call(CoreId(0));
    }

    /// Ends the run with `outcome`, unless it has ended already. May be called from any thread.
    pub fn stop(&self, outcome: Outcome) {
        self.outcome.lock().get_or_insert(outcome);
        self.stopped.store(true, SeqCst);
        self.safepoints.raise_all();
        self.scheduler.wake_workers();
    }

    /// The guest ends its run, in a replay: nothing is left to be stopped.
    pub(crate) fn note_guest_end(&self) {
        self.guest_ended.store(true, SeqCst);
    }

    pub(crate) fn has_guest_ended(&self) -> bool {
        self.guest_ended.load(SeqCst)
    }

    /// A core sees these lines rise, in a replay: where they are timers', it was time for them.
    pub(crate) fn note_timers(&self, core: CoreId, risen: u32) {
        for (line, due) in self.lines[core.index()].timers() {
            if risen & line != 0 && due != u64::MAX {
                self.last_timer.fetch_max(due, SeqCst);
            }
        }
    }

    pub(crate) fn last_timer(&self) -> u64 {
        self.last_timer.load(SeqCst)
    }

    /// Whether the run is to end.
    pub fn is_stopped(&self) -> bool {
        self.stopped.load(Relaxed)
    }

    /// Steps that all cores have completed, as of their last slices, and the clock in ticks. For people who wait.
    pub fn progress(&self) -> (u64, u64) {
        (self.scheduler.steps(), self.clock.now())
    }

    pub(crate) fn outcome(&self) -> Option<Outcome> {
        *self.outcome.lock()
    }

    /// One more source may bring input from now on, such as a terminal or a network. As long as there is one, a machine
    /// whose cores all wait is not hung, and its virtual time passes no faster than the host's: whoever types does so in
    /// the guest's time.
    pub fn open_input(&self) {
        self.sources.fetch_add(1, SeqCst);
    }

    /// One of the sources of [`Outside::open_input`] brings nothing any more.
    pub fn close_input(&self) {
        self.sources.fetch_sub(1, SeqCst);
        self.scheduler.wake_workers();
    }

    pub(crate) fn is_input_open(&self) -> bool {
        self.sources.load(SeqCst) != 0
    }

    /// How many inputs have been brought and not been received yet.
    pub fn waiting(&self) -> usize {
        self.inbox.lock().waiting.len()
    }

    /// Brings input for a device. Core 0 receives it at its next safepoint. May be called from any thread.
    pub fn feed(&self, device: DeviceId, bytes: Vec<u8>) {
        if !bytes.is_empty() {
            self.inbox.lock().waiting.push_back((device, bytes));
            self.call(CoreId(0));
        }
    }

    /// The next input, if it is `core` that receives it.
    pub(crate) fn take_input(&self, core: CoreId) -> Option<(DeviceId, Vec<u8>)> {
        if core != CoreId(0) {
            return None;
        }
        let mut inbox = self.inbox.lock();
        if inbox.alarm() != u64::MAX {
            let now = self.clock.now();
            if let Some((&device, ticks)) = inbox.alarms.iter_mut().find(|(_, ticks)| **ticks <= now) {
                *ticks = u64::MAX;
                return Some((device, now.to_le_bytes().to_vec()));
            }
        }
        inbox.waiting.pop_front()
    }

    /// Puts an input back that could not be received yet: it is the next one again.
    pub(crate) fn return_input(&self, device: DeviceId, bytes: Vec<u8>) {
        self.inbox.lock().waiting.push_front((device, bytes));
    }

    /// Asks a core to look at what is live, and wakes it up where it sleeps.
    fn call(&self, core: CoreId) {
        self.safepoints.raise(core);
        self.scheduler.wake(core, &self.clock);
    }

    /// A step, with which its core has completed `by`, sets a line of a core.
    pub(crate) fn set_line(&self, core: CoreId, line: u32, level: bool, by: (CoreId, Position)) {
        if self.lines[core.index()].set(line, level, by) {
            self.call(core);
        }
    }

    /// The same for its machine timer, which is due at these ticks. In a replay, its interrupt comes when it came.
    pub(crate) fn set_deadline(&self, core: CoreId, ticks: u64, by: (CoreId, Position), is_live: bool) {
        self.lines[core.index()].set_machine_timer(ticks, by);
        if is_live {
            self.call(core);
        }
    }

    /// The guest sets the clock. What was before says nothing of it any more.
    pub(crate) fn set_clock(&self, ticks: u64) {
        self.clock.set(ticks);
        self.last_timer.store(0, SeqCst);
    }

    /// Only the core itself does this, which looks at its lines before its next step.
    pub(crate) fn set_supervisor_deadline(&self, core: CoreId, ticks: u64) {
        self.lines[core.index()].set_supervisor_timer(ticks);
    }

    /// The interrupt lines of a core right now.
    pub(crate) fn lines(&self, core: CoreId) -> u32 {
        self.lines[core.index()].now(|| self.clock.now())
    }

    /// A core looks at its lines: what they are, and which steps of other cores it comes after by that.
    pub(crate) fn look_at_lines(&self, core: CoreId) -> (u32, Vec<(CoreId, Position)>) {
        self.lines[core.index()].look(|| self.clock.now())
    }

    /// When a timer will change the lines of a core that sees `seen`, or an alarm bring it an input; none where there is news
    /// for it already.
    pub(crate) fn sleeps_until(&self, core: CoreId, seen: u32) -> Option<u64> {
        let (input, alarm) = match core {
            CoreId(0) => {
                let inbox = self.inbox.lock();
                let alarm = inbox.alarm();
                (!inbox.waiting.is_empty() || alarm != u64::MAX && alarm <= self.clock.now(), alarm)
            }
            CoreId(_) => (false, u64::MAX),
        };
        let news = self.is_stopped() || input || self.lines(core) != seen;
        let timers = self.lines[core.index()].timers();
        let to_come = timers.iter().filter(|(line, _)| seen & line == 0).map(|&(_, ticks)| ticks);
        (!news).then(|| to_come.chain([alarm]).min().unwrap_or(u64::MAX))
    }

    pub(crate) fn ask_host(&self, device: DeviceId, question: &[u8]) -> Vec<u8> {
        let mut answer = self.host.answer(device, question);
        answer.truncate(INPUT_BYTES_MAX);
        answer
    }

    pub(crate) fn overheard(&self, device: DeviceId, question: &[u8], answer: &[u8]) {
        self.host.overheard(device, question, answer);
    }

    pub(crate) fn tell_host(&self, device: DeviceId, message: &[u8]) {
        self.host.told(device, message);
    }

    pub(crate) fn warn(&self, device: DeviceId, what: &str) {
        self.host.warned(device, what);
    }

    pub(crate) fn output(&self, bytes: &[u8]) {
        self.console.write(bytes);
    }
}
