//! Workers that run cores.

use crate::bus::Bus;
use crate::groups::Spent;
use crate::port::Window;
use crate::schedule::Schedule;
use crate::scheduler::{Account, Back, Done, Picked};
use crate::{Boundary, Clock, ClockPolicy, Console, Exits, Host, Next, Outcome, Outside, Policy, Work};
use cantus_interp::{Core, Executor, Exit};
use cantus_traces::CoreId;
use cantus_transactions::Safepoints;
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How to run, apart from what.
#[derive(Clone, Copy, Debug)]
pub struct Configuration {
    /// Host threads that run cores; at least 1.
    pub workers: usize,
    /// How guest time passes.
    pub clock: ClockPolicy,
    /// Which core runs next, and for how long.
    pub policy: Policy,
    /// Varies the policy's random choices.
    pub seed: u64,
    /// After so many choices of the policy, cores run in turn. Between two numbers of choices next to each other, one of
    /// which shows a bug, lies the choice that matters.
    pub choices_max: u64,
    /// The run ends when a core has completed so many steps.
    pub steps_max: Option<u64>,
}

/// A core at the end of a run.
pub struct Finished<L> {
    /// Its state.
    pub core: Core,
    /// What the boundary kept for it.
    pub lane: L,
    /// What was done in its name.
    pub work: Work,
}

/// What is left of a run.
pub struct Ended<B: Boundary> {
    /// How it ended.
    pub outcome: Outcome,
    /// Whether a guest that was replayed came to where it ended its recorded run.
    pub guest_ended: bool,
    /// Of the timers whose interrupts came in a replay, when the last one was due, in ticks: the clock was not before that.
    pub last_timer: u64,
    /// The boundary.
    pub boundary: B,
    /// The cores, by number.
    pub cores: Vec<Finished<B::Lane>>,
}

struct Running<L, E> {
    core: Core,
    executor: E,
    lane: L,
    /// The position that it began at.
    begun: u64,
    /// Steps that the clock has counted.
    counted: u64,
    /// Why its executor came back.
    exits: Exits,
    blocked: bool,
    /// The core has executed a WFI that nothing has ended yet.
    asleep: bool,
}

/// Where a core stays while no worker runs it.
type Place<L, E> = Mutex<Option<Box<Running<L, E>>>>;

/// Why a core's turn is over.
enum Turn {
    /// Its slice is.
    Ready,
    /// It spins, and gives way.
    Spinning,
    Blocked,
    Asleep,
    AtCut,
    Over,
}

/// What the scheduler has chosen for a core: for so many steps, beside others, and when it gives way if it spins.
struct Chosen {
    slice: u64,
    others: bool,
    spins: u32,
}

/// Divides a worker's time with a core into what was useful and what was lost.
struct Watch {
    spent: Spent,
    since: Instant,
}

/// A turn of fewer steps was of no use: the core spins, or is blocked again and again.
const USEFUL_STEPS_MIN: u64 = 64;
/// What a hand-over between running cores costs besides the wait: fast entries to be made again, on both sides.
const HAND_OVER: Duration = Duration::from_micros(3);

impl Watch {
    /// From `since` on, or from now.
    fn start(since: Option<Instant>) -> Self {
        Self { spent: Spent::default(), since: since.unwrap_or_else(Self::now) }
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "the owner of host time: what it shows decides who runs, as the host does"
    )]
    fn now() -> Instant {
        Instant::now()
    }

    fn lap(&mut self) -> Duration {
        let now = Self::now();
        now.duration_since(std::mem::replace(&mut self.since, now))
    }

    /// The core has waited since the last lap.
    fn waited(&mut self) {
        let wait = self.lap();
        self.spent.lost += wait;
    }

    /// The core has had a turn since the last lap.
    fn ran(&mut self, steps: u64, blocked: bool) {
        let turn = self.lap();
        let lost = match blocked {
            _ if steps < USEFUL_STEPS_MIN => turn,
            true => turn.min(HAND_OVER),
            false => Duration::ZERO,
        };
        self.spent.lost += lost;
        self.spent.useful += turn - lost;
        if steps >= USEFUL_STEPS_MIN {
            self.spent.steps += steps;
        }
    }
}

/// How often a worker looks whether the core that it has just run can go on, where no other core is ready.
const LOOKS: u32 = 64;
/// The same where others are. At a core that was blocked before, it looks once.
const LOOKS_BESIDE_OTHERS: u32 = 8;
/// How many picks in vain make a worker give way to other threads of the host.
const VAIN_PICKS_MAX: u32 = 8;

/// A machine at work.
pub struct Engine<B: Boundary, E: Executor> {
    configuration: Configuration,
    boundary: B,
    bus: Arc<dyn Bus>,
    outside: Arc<Outside>,
    cores: Box<[Place<B::Lane, E>]>,
}

impl<B: Boundary, E: Executor> Engine<B, E> {
    /// A machine of these cores (each with its executor and its lane), none of which runs yet. `safepoints` are the
    /// cores' flags, where the boundary shares them.
    ///
    /// # Panics
    /// Without a core or a worker.
    pub fn new(
        configuration: Configuration,
        boundary: B,
        cores: Vec<(Core, E, B::Lane)>,
        bus: Arc<dyn Bus>,
        safepoints: Arc<Safepoints>,
        console: Box<dyn Console>,
        host: Box<dyn Host>,
    ) -> Self {
        assert!(!cores.is_empty() && configuration.workers > 0, "a machine has a core and a worker");
        let clock = Clock::new(configuration.clock, cores.len());
        let Configuration { policy, seed, choices_max, .. } = configuration;
        let schedule = Schedule::new(policy, seed, choices_max, cores.len());
        let outside = Outside::new(cores.len(), clock, schedule, safepoints, console, host);
        for (id, (core, _, _)) in cores.iter().enumerate() {
            outside.set_supervisor_deadline(CoreId(id as u8), core.hart.timer_deadline());
        }
        let ahead: Option<Vec<u64>> = cores.iter().map(|(_, _, lane)| boundary.steps_ahead(lane)).collect();
        if let Some(steps) = ahead {
            outside.scheduler.begin(&steps);
        }
        let cores = cores
            .into_iter()
            .map(|(core, executor, lane)| {
                let begun = core.position;
                Mutex::new(Some(Box::new(Running {
                    core,
                    executor,
                    lane,
                    begun,
                    counted: begun,
                    exits: Exits::default(),
                    blocked: false,
                    asleep: false,
                })))
            })
            .collect();
        Self { configuration, boundary, bus, outside: Arc::new(outside), cores }
    }

    /// The live outside, to feed and to stop the run from other threads.
    pub fn outside(&self) -> Arc<Outside> {
        self.outside.clone()
    }

    /// Runs to the end.
    #[expect(clippy::disallowed_methods, reason = "the owner of host threads")]
    pub fn run(self) -> Ended<B> {
        let workers = self.configuration.workers.min(self.cores.len());
        std::thread::scope(|scope| {
            for _ in 1..workers {
                scope.spawn(|| self.work());
            }
            self.work();
        });
        let finished = |slot: Place<B::Lane, E>| {
            let Running { core, executor, lane, begun, exits, .. } =
                *slot.into_inner().expect("every core is back in its place");
            let work = Work::of(&core, begun, &executor, exits);
            Finished { core, lane, work }
        };
        Ended {
            outcome: self.outside.outcome().unwrap_or(Outcome::Replayed),
            guest_ended: self.outside.has_guest_ended(),
            last_timer: self.outside.last_timer(),
            boundary: self.boundary,
            cores: self.cores.into_iter().map(finished).collect(),
        }
    }

    /// One worker's life.
    fn work(&self) {
        let scheduler = &self.outside.scheduler;
        let clock = &self.outside.clock;
        let keeps_accounts = B::HAS_GRANTS && self.configuration.workers > 1 && scheduler.groups_cores();
        let mut vain = 0;
        // When this worker was done with a core last: what it takes to get to the next one is that one's.
        let mut last = None;
        loop {
            let picked = scheduler.pick(clock, || self.outside.is_stopped(), || self.outside.is_input_open());
            let (id, chosen, waited) = match picked {
                Picked::Core { core, slice, others, spins, waited } => {
                    (core, Chosen { slice, others, spins }, waited)
                }
                Picked::Over => return,
                Picked::Cut(cores) => {
                    self.cut(&cores);
                    scheduler.cut_over(cores);
                    continue;
                }
                Picked::AllAsleep => return self.outside.stop(Outcome::Hung),
                Picked::AllBlocked(id) => return self.outside.stop(Outcome::Stuck(id)),
            };
            let place = &self.cores[id.index()];
            let mut running = place.lock().take().expect("a ready core is in its place");
            let before = running.core.position;
            let mut watch = keeps_accounts.then(|| Watch::start(last.filter(|_| !waited)));
            let turn = self.turns(id, &mut running, chosen, &mut watch);
            let steps = running.core.position - before;
            let seen = running.core.hart.lines;
            running.blocked = matches!(turn, Turn::Blocked);
            last = watch.as_ref().map(|watch| watch.since);
            let account = watch.map(|Watch { spent, since: now }| {
                let holder = self.boundary.kept_waiting_by(&mut running.lane);
                Account { spent, holder, now }
            });
            let back = match &turn {
                Turn::Ready => Back::Ready,
                Turn::Spinning => Back::Spinning,
                Turn::Blocked => match self.boundary.awaits(&running.lane) {
                    Some((core, position)) => Back::Awaiting(core, position),
                    None => Back::Blocked,
                },
                Turn::Asleep => Back::Asleep,
                Turn::AtCut => Back::AtCut,
                Turn::Over => Back::Over,
            };
            let awaited = match back {
                Back::Awaiting(core, _) => Some(core),
                Back::Ready | Back::Spinning | Back::Blocked | Back::Asleep | Back::AtCut | Back::Over => {
                    None
                }
            };
            if matches!(turn, Turn::AtCut) && B::LIVE {
                self.outside.safepoints.raise_all();
            }
            let position = running.core.position;
            *place.lock() = Some(running);
            let done = Done { core: id, steps, position, account };
            scheduler.put_back(done, back, clock, || self.outside.sleeps_until(id, seen));
            if let Some(core) = awaited.filter(|core| core.index() < self.cores.len()) {
                // It may run, and does not know yet that it is awaited.
                self.outside.safepoints.raise(core);
            }
            vain = if steps == 0 { vain + 1 } else { 0 };
            if vain > VAIN_PICKS_MAX {
                std::thread::yield_now();
            }
        }
    }

    /// All these cores stand at a cut.
    fn cut(&self, ids: &[CoreId]) {
        let mut places: Vec<_> = ids.iter().map(|id| self.cores[id.index()].lock()).collect();
        let mut cores: Vec<_> = places
            .iter_mut()
            .map(|place| {
                let running = place.as_mut().expect("a core at a cut is in its place");
                (&mut running.core, &mut running.lane)
            })
            .collect();
        cores.sort_by_key(|(core, _)| core.id);
        self.boundary.cut(&mut cores);
    }

    /// The turns of one core on one worker, with short waits in between, until it gives the worker back.
    fn turns(
        &self,
        id: CoreId,
        running: &mut Running<B::Lane, E>,
        Chosen { slice, others, spins }: Chosen,
        watch: &mut Option<Watch>,
    ) -> Turn {
        let end = running.core.position.saturating_add(slice);
        let mut blocked = running.blocked;
        let mut looks_max = 0;
        loop {
            if blocked {
                let mut looks = 0;
                while !self.boundary.ready(&running.lane) {
                    looks += 1;
                    if looks > looks_max || self.outside.is_stopped() {
                        watch.iter_mut().for_each(Watch::waited);
                        return Turn::Blocked;
                    }
                    std::hint::spin_loop();
                }
                watch.iter_mut().for_each(Watch::waited);
            }
            let before = running.core.position;
            self.boundary.unpark(&mut running.lane, &mut running.core);
            let turn = self.turn(id, running, end, spins);
            self.boundary.park(&mut running.lane, &running.core);
            let steps = running.core.position - before;
            blocked = matches!(turn, Turn::Blocked);
            watch.iter_mut().for_each(|watch| watch.ran(steps, blocked));
            if !blocked {
                return turn;
            }
            looks_max = if others { LOOKS_BESIDE_OTHERS } else { LOOKS };
        }
    }

    /// One turn: from safepoint to safepoint, until the core has to stop.
    fn turn(&self, id: CoreId, running: &mut Running<B::Lane, E>, end: u64, spins: u32) -> Turn {
        let Running { core, executor, lane, counted, exits, asleep, .. } = running;
        let mut spins_left = spins;
        let ram = core.ram.clone();
        let limit = self.configuration.steps_max.unwrap_or(u64::MAX);
        loop {
            if self.outside.safepoints.is_raised(id) {
                self.outside.safepoints.lower(id);
                self.boundary.safepoint(lane, core);
            }
            if self.boundary.failed(lane) {
                self.outside.stop(Outcome::Failed);
            }
            if self.outside.is_stopped() {
                return Turn::Ready;
            }
            let mut window = Window {
                id,
                boundary: &self.boundary,
                lane: &mut *lane,
                bus: &*self.bus,
                outside: &self.outside,
                ram: &ram,
                counted: &mut *counted,
                memory_written: false,
            };
            if B::LIVE {
                let mut live = self.outside.lines(id);
                if live != core.hart.lines {
                    let (lines, changed_by) = self.outside.look_at_lines(id);
                    for (other, completed) in changed_by {
                        self.boundary.ordered(window.lane, core.position, other, completed);
                    }
                    live = lines;
                }
                core.hart.lines = self.boundary.lines(window.lane, core.position, core.hart.lines, live);
                if core.position >= limit {
                    self.outside.stop(Outcome::Limit(id));
                    return Turn::Ready;
                }
            }
            if !B::LIVE && core.position >= self.outside.scheduler.awaited_at(id) {
                self.outside.scheduler.came_by(id, core.position);
            }
            if core.position >= end {
                return Turn::Ready;
            }
            let seen = core.hart.lines;
            let next = self.boundary.next(window.lane, core);
            if !B::LIVE && core.hart.lines & !seen != 0 {
                self.outside.note_timers(id, core.hart.lines & !seen);
            }
            let until = match next {
                Next::Run { until } if B::LIVE => until.min(end).min(limit),
                Next::Run { until } => until.min(end).min(limit).min(self.outside.scheduler.awaited_at(id)),
                Next::Wait => return Turn::Blocked,
                Next::Cut => return Turn::AtCut,
                Next::Input { device, bytes } => {
                    let received = window.input(core, device, &bytes);
                    assert_eq!(received, Ok(()), "REP-1: nothing blocks where nothing is live");
                    continue;
                }
                Next::End => return Turn::Over,
            };
            if B::LIVE
                && let Some((device, bytes)) = self.outside.take_input(id)
            {
                let position = core.position;
                if window.input(core, device, &bytes).is_err() {
                    self.outside.return_input(device, bytes);
                    return Turn::Blocked;
                }
                // Behind the order edges of the devices that it reached.
                self.boundary.input(window.lane, position, device, &bytes);
                continue;
            }
            if std::mem::take(asleep) && !core.hart.wfi_wakes() {
                *asleep = true;
                return Turn::Asleep;
            }
            let exit = executor.run(core, &mut window, until);
            exits.count(exit);
            window.count(core.position);
            if window.memory_written && core.tlb.may_code_differ(&ram) {
                core.code_epoch += 1;
            }
            match exit {
                Exit::Until | Exit::Attention | Exit::Device => {}
                Exit::Blocked => return Turn::Blocked,
                Exit::Wait if B::LIVE => *asleep = true,
                Exit::Yield if B::LIVE => {
                    self.outside.clock.spun();
                    spins_left -= 1;
                    if spins_left == 0 {
                        return Turn::Spinning;
                    }
                }
                Exit::Wait | Exit::Yield => {}
            }
        }
    }
}
