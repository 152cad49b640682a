//! Which core is on which worker: ready, asleep, or away.
//!
//! Guarantees that a core is at most in one place, that a sleeping core is woken by every change of its lines and by its
//! alarm, and that a machine in which nothing can happen any more is noticed (hung, or stuck in a replay).
//!
//! No wake-up is lost. Of cores that could run, being ready and of a group of which none is away, each has a worker on its
//! way that does not wait: what makes a core such a one happens under the queue's lock, at a call of a worker, or of whoever
//! wakes a core. A worker that puts a core back picks again itself, so that one of the groups that are free now is
//! for it; if there are several, it tells all workers that wait. Groups change at no other time. Whoever wakes
//! a core tells one worker, and a core that runs on where others wait for it tells as many as it lets go on. A worker that
//! looks for a while before it waits counts among those that wait, and looks again once it has the lock. Where every core
//! is alone, as in a replay, that is all there is to it: no core that is ready is passed over.

use crate::awaited::Awaited;
use crate::groups::{Groups, Spent};
use crate::schedule::Schedule;
use crate::{Clock, ClockPolicy};
use cantus_traces::CoreId;
use crossbeam::utils::CachePadded;
use parking_lot::{Condvar, Mutex, MutexGuard};
use std::collections::VecDeque;
use std::sync::atomic::{
    AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};
use std::time::Instant;

/// What a worker is to do next.
pub(crate) enum Picked {
    /// Run a core.
    Core {
        core: CoreId,
        /// For so many steps at most.
        slice: u64,
        /// Other cores are ready, too.
        others: bool,
        /// So often it may say that it spins before it gives way.
        spins: u32,
        /// The worker had to wait.
        waited: bool,
    },
    /// Nothing any more.
    Over,
    /// Every core sleeps, without an alarm.
    AllAsleep,
    /// Every core is blocked; this is one.
    AllBlocked(CoreId),
    /// These cores, all whose part is not over, have come to a cut. Until [`Scheduler::cut_over`], nothing else is picked.
    Cut(Vec<CoreId>),
}

/// Where a core goes when its worker is done with it.
pub(crate) enum Back {
    /// It can go on.
    Ready,
    /// It can, but spins.
    Spinning,
    /// It cannot go on yet, and has tried in vain.
    Blocked,
    /// It cannot go on before this core has completed so many steps.
    Awaiting(CoreId, u64),
    /// It waits for an interrupt.
    Asleep,
    /// It has come to a cut.
    AtCut,
    /// Its part is over.
    Over,
}

/// What a worker has done with a core.
pub(crate) struct Done {
    pub(crate) core: CoreId,
    /// How many steps it has completed meanwhile.
    pub(crate) steps: u64,
    /// Where it stands now.
    pub(crate) position: u64,
    pub(crate) account: Option<Account>,
}

/// What a worker tells of its time with a core, where cores may lose time to each other.
pub(crate) struct Account {
    pub(crate) spent: Spent,
    /// The running core that this one was last kept waiting by.
    pub(crate) holder: Option<CoreId>,
    pub(crate) now: Instant,
}

/// The longest slice while some core is blocked, in steps: it gets its next try soon.
const SLICE_BESIDE_BLOCKED: u64 = 4_000;
/// The same while some core waits for another one, which tells it.
const SLICE_BESIDE_WAITING: u64 = 20_000;
/// How often a core says that it spins before it gives way to others that spin, too, or to none.
const SPINS_BESIDE_SPINNING: u32 = 16;
/// How often a worker looks whether a core has been told, before it sleeps: for some ten microseconds.
const IDLE_LOOKS: u32 = 500;

struct Queue {
    schedule: Schedule,
    groups: Groups,
    ready: VecDeque<CoreId>,
    /// Alarms of the cores that sleep, in ticks.
    asleep: Vec<Option<u64>>,
    sleepers: usize,
    at_cut: Vec<CoreId>,
    awaited: Awaited,
    /// Workers that have a core.
    busy: usize,
    /// Cores whose part is not over.
    left: usize,
    /// Which of the cores spun when they ran last.
    spins: Vec<bool>,
    /// Which of the ready cores are blocked, and how many.
    is_blocked: Vec<bool>,
    blocked: usize,
    /// Counts what may let a blocked core go on: a turn that was not in vain.
    round: u64,
    /// For each core the round in which it was picked last.
    picked_in: Vec<u64>,
    /// For each core the round of which all of its last turn was part, in which it was blocked and did nothing.
    vain_in: Vec<u64>,
    idle_workers: usize,
    /// Since when all cores wait while virtual time passes as the host's.
    paced_since: Option<Instant>,
}

pub(crate) struct Scheduler {
    queue: Mutex<Queue>,
    /// Steps of all cores, as of their last slices.
    steps: AtomicU64,
    /// The first position of each core that another one waits for; all ones is none.
    awaited_at: Box<[CachePadded<AtomicU64>]>,
    /// Counts what may give an idle worker something to do, while cores wait for each other.
    stirs: CachePadded<AtomicU64>,
    changed: Condvar,
}

impl Scheduler {
    pub(crate) fn new(cores: usize, schedule: Schedule) -> Self {
        let queue = Queue {
            schedule,
            groups: Groups::new(cores),
            ready: (0..cores).map(|core| CoreId(core as u8)).collect(),
            asleep: vec![None; cores],
            sleepers: 0,
            at_cut: Vec::new(),
            awaited: Awaited::new(cores),
            busy: 0,
            left: cores,
            spins: vec![false; cores],
            is_blocked: vec![false; cores],
            blocked: 0,
            round: 1,
            picked_in: vec![0; cores],
            vain_in: vec![0; cores],
            idle_workers: 0,
            paced_since: None,
        };
        Self {
            queue: Mutex::new(queue),
            steps: AtomicU64::new(0),
            awaited_at: (0..cores).map(|_| CachePadded::new(AtomicU64::new(u64::MAX))).collect(),
            stirs: CachePadded::default(),
            changed: Condvar::new(),
        }
    }

    /// Before the run: so many steps each core has before it, by a trace.
    pub(crate) fn begin(&self, steps: &[u64]) {
        self.queue.lock().awaited.begin(steps);
    }

    /// Waits for something to do. `stopped` and `input_open` are asked while nothing is. While every core sleeps, virtual
    /// time jumps to the next alarm, unless input is open: then it passes as the host's does, until an alarm or input.
    pub(crate) fn pick(
        &self,
        clock: &Clock,
        stopped: impl Fn() -> bool,
        input_open: impl Fn() -> bool,
    ) -> Picked {
        let mut queue = self.queue.lock();
        let mut waited = false;
        loop {
            let alarm = queue.asleep.iter().flatten().min().copied().filter(|&ticks| ticks != u64::MAX);
            if let Some(since) = queue.paced_since.take() {
                clock.idled(since, alarm.unwrap_or(u64::MAX));
                queue.wake_due(clock);
            }
            if stopped() || queue.left == 0 {
                return Picked::Over;
            }
            if queue.busy == 0 && queue.at_cut.len() == queue.left {
                queue.busy = 1;
                return Picked::Cut(std::mem::take(&mut queue.at_cut));
            }
            if queue.busy == 0
                && queue.ready.is_empty()
                && let Some(stuck) = queue.awaited.any()
            {
                return Picked::AllBlocked(stuck);
            }
            let Queue {
                schedule,
                groups,
                ready,
                busy,
                spins,
                is_blocked,
                blocked,
                awaited,
                round,
                picked_in,
                vain_in,
                ..
            } = &mut *queue;
            // A worker may have found its core blocked long ago, and have come back from there only now: what counts is
            // that each has been tried since something happened.
            if *busy == 0
                && ready.iter().all(|core| vain_in[core.index()] == *round)
                && let Some(&core) = ready.front()
            {
                return Picked::AllBlocked(core);
            }
            if let Some(core) = awaited.first(ready).and_then(|at| ready.remove(at)) {
                ready.push_front(core);
            }
            if let Some((core, slice)) = schedule.choose(ready, |core| groups.may_run(core)) {
                groups.goes(core);
                *busy += 1;
                if std::mem::take(&mut is_blocked[core.index()]) {
                    *blocked -= 1;
                }
                let slice = match (*blocked > 0, !awaited.is_empty()) {
                    (true, _) => slice.min(SLICE_BESIDE_BLOCKED),
                    (false, true) => slice.min(SLICE_BESIDE_WAITING),
                    (false, false) => slice,
                };
                picked_in[core.index()] = *round;
                let may_spin = schedule.is_fair() && ready.iter().all(|other| spins[other.index()]);
                let spins = if may_spin { SPINS_BESIDE_SPINNING } else { 1 };
                return Picked::Core { core, slice, others: !ready.is_empty(), spins, waited };
            }
            let idle = queue.busy == 0;
            let is_virtual = clock.policy() == ClockPolicy::Virtual;
            let pause = match alarm {
                _ if idle && is_virtual && input_open() => {
                    let (left, now) = clock.pace(alarm.unwrap_or(u64::MAX));
                    queue.paced_since = Some(now);
                    alarm.map(|_| left)
                }
                // While others run, virtual time is theirs to advance.
                Some(ticks) if idle || !is_virtual => clock.jump(ticks),
                Some(_) => None,
                None if idle && !input_open() => return Picked::AllAsleep,
                None => None,
            };
            if queue.wake_due(clock) {
                // One of them is for this worker.
                if queue.ready.len() > 1 && queue.idle_workers != 0 {
                    self.changed.notify_all();
                }
                continue;
            }
            waited = true;
            queue.idle_workers += 1;
            if !queue.awaited.is_empty() && self.is_stirred(&mut queue) {
                queue.idle_workers -= 1;
                continue;
            }
            match pause {
                Some(pause) => drop(self.changed.wait_for(&mut queue, pause)),
                None => self.changed.wait(&mut queue),
            }
            queue.idle_workers -= 1;
        }
    }

    /// A worker is done with a core, which goes `back`. Before the core falls asleep, `sleeps_until` is asked when its timer
    /// brings it an interrupt, or whether there is one already; whatever changes that afterwards wakes it up.
    pub(crate) fn put_back(
        &self,
        Done { core, steps, position, account }: Done,
        back: Back,
        clock: &Clock,
        sleeps_until: impl Fn() -> Option<u64>,
    ) {
        self.steps.fetch_add(steps, Relaxed);
        let mut queue = self.change();
        queue.busy -= 1;
        queue.groups.comes_back(core);
        if let Some(Account { spent, holder, now }) = account {
            queue.groups.account(core, spent, holder, now);
        }
        let vain = matches!(back, Back::Blocked | Back::Awaiting(..)) && steps == 0;
        if vain {
            queue.vain_in[core.index()] = queue.picked_in[core.index()];
        } else {
            queue.round += 1;
        }
        queue.schedule.ran(core, steps, !matches!(back, Back::Ready | Back::Spinning));
        queue.spins[core.index()] = matches!(back, Back::Spinning);
        self.take_up(&mut queue, core, (!matches!(back, Back::Over)).then_some(position));
        match back {
            Back::Ready | Back::Spinning => queue.ready.push_back(core),
            Back::Blocked => queue.keep_blocked(core),
            Back::Awaiting(awaited, position) => {
                if queue.awaited.lay_aside(core, awaited, position) {
                    self.awaited_at[awaited.index()].fetch_min(position, Release);
                } else {
                    queue.ready.push_back(core);
                }
            }
            Back::Asleep => match sleeps_until().filter(|_| queue.at_cut.is_empty()) {
                None => queue.ready.push_back(core),
                alarm => {
                    queue.asleep[core.index()] = alarm;
                    queue.sleepers += 1;
                    clock.asleep();
                }
            },
            Back::AtCut => {
                queue.at_cut.push(core);
                (0..queue.asleep.len()).for_each(|sleeper| {
                    queue.wake(CoreId(sleeper as u8), clock);
                });
            }
            Back::Over => queue.left -= 1,
        }
        queue.wake_due(clock);
        if queue.idle_workers != 0 {
            // With the last core over, or the last one asleep, the idle ones must look, too.
            let Queue { groups, ready, busy, .. } = &*queue;
            if groups.are_single() {
                if ready.len() > 1 || *busy == 0 {
                    self.changed.notify_all();
                } else {
                    self.changed.notify_one();
                }
            } else if *busy == 0 && ready.is_empty() || groups.have_several(ready.iter().copied()) {
                // One of them is for this worker.
                self.changed.notify_all();
            }
        }
    }

    /// The first position of `core`, which runs, that another one waits for; all ones is none. Once it has come there it
    /// says so: [`Scheduler::came_by`].
    #[inline]
    pub(crate) fn awaited_at(&self, core: CoreId) -> u64 {
        self.awaited_at[core.index()].load(Acquire)
    }

    /// A core that runs has completed so many steps: those that wait for that can go on.
    pub(crate) fn came_by(&self, core: CoreId, position: u64) {
        let mut queue = self.change();
        self.take_up(&mut queue, core, Some(position));
        // None of them is for this worker, whose core runs on.
        if queue.idle_workers != 0 {
            match queue.ready.len() {
                0 => (),
                1 => drop(self.changed.notify_one()),
                _ => drop(self.changed.notify_all()),
            }
        }
    }

    fn take_up(&self, queue: &mut Queue, core: CoreId, came_to: Option<u64>) {
        let Queue { awaited, ready, .. } = queue;
        let next = awaited.came_to(core, came_to, |waiter| ready.push_back(waiter));
        self.awaited_at[core.index()].store(next, Release);
    }

    /// The queue, to change it. Whoever looks without its lock whether something has happened sees that.
    fn change(&self) -> MutexGuard<'_, Queue> {
        let queue = self.queue.lock();
        self.stirs.fetch_add(1, Relaxed);
        queue
    }

    /// An idle worker looks for a short while whether something happens: that is quicker than to be woken up. If it gives
    /// false, then the queue is what it was before, up to the last moment: between its last look and the queue's lock a
    /// change may have told nobody, since nobody waited yet.
    fn is_stirred(&self, queue: &mut MutexGuard<'_, Queue>) -> bool {
        let before = self.stirs.load(Relaxed);
        let stirred = || self.stirs.load(Relaxed) != before;
        MutexGuard::unlocked(queue, || {
            let mut looks = 0;
            while looks < IDLE_LOOKS && !stirred() {
                std::hint::spin_loop();
                looks += 1;
            }
        });
        stirred()
    }

    /// Whether cores may be kept from running side by side.
    pub(crate) fn groups_cores(&self) -> bool {
        self.queue.lock().schedule.is_fair()
    }

    /// Steps that all cores have completed, as of their last slices.
    pub(crate) fn steps(&self) -> u64 {
        self.steps.load(Relaxed)
    }

    /// The cut is over, and its cores can go on.
    pub(crate) fn cut_over(&self, cores: Vec<CoreId>) {
        let mut queue = self.change();
        queue.busy -= 1;
        queue.round += 1;
        queue.ready.extend(cores);
        self.changed.notify_all();
    }

    /// Wakes a core up, if it sleeps.
    pub(crate) fn wake(&self, core: CoreId, clock: &Clock) {
        let mut queue = self.change();
        if queue.wake(core, clock) && queue.idle_workers != 0 {
            self.changed.notify_one();
        }
    }

    /// Lets the workers that wait look again.
    pub(crate) fn wake_workers(&self) {
        let _queue = self.change();
        self.changed.notify_all();
    }
}

impl Queue {
    /// A core that is blocked stays among those that are ready, to be looked at in its turn.
    fn keep_blocked(&mut self, core: CoreId) {
        self.ready.push_back(core);
        self.is_blocked[core.index()] = true;
        self.blocked += 1;
    }

    fn wake(&mut self, core: CoreId, clock: &Clock) -> bool {
        let sleeps = self.asleep[core.index()].take().is_some();
        if sleeps {
            self.sleepers -= 1;
            clock.awoken();
            // Whoever is interrupted goes first.
            self.ready.push_front(core);
        }
        sleeps
    }

    /// Wakes the cores whose alarm is due.
    fn wake_due(&mut self, clock: &Clock) -> bool {
        if self.sleepers == 0 {
            return false;
        }
        let now = clock.now();
        let due = |alarm: &Option<u64>| alarm.is_some_and(|ticks| ticks != u64::MAX && ticks <= now);
        let mut woken = false;
        for core in 0..self.asleep.len() {
            if due(&self.asleep[core]) {
                woken |= self.wake(CoreId(core as u8), clock);
            }
        }
        woken
    }
}

#[cfg(test)]
mod tests;
