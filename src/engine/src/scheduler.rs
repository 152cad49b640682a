//! Which core is on which worker: ready, asleep, or away.
//!
//! Guarantees that a core is at most in one place, that a sleeping core is woken by every change of its lines and by its
//! alarm, and that a machine in which nothing can happen any more is noticed (hung, or stuck in a replay).
//!
//! No wake-up is lost. Of cores that could run, being ready and of a group of which none is away, each has a worker on its
//! way that does not wait: what makes a core such a one happens under the queue's lock, at a call of a worker, or of whoever
//! wakes a core. A worker that puts a core back picks again itself, so that one of the groups that are free now is
//! for it; if there are several, it tells all workers that wait. Groups change at no other time. Whoever wakes
//! a core tells one worker. Where every core is alone, as in a replay, that is all there is to it: no core that is ready is
//! passed over.

use crate::groups::{Groups, Spent};
use crate::schedule::Schedule;
use crate::{Clock, ClockPolicy};
use cantus_traces::CoreId;
use parking_lot::{Condvar, Mutex};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
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

struct Queue {
    schedule: Schedule,
    groups: Groups,
    ready: VecDeque<CoreId>,
    /// Alarms of the cores that sleep, in ticks.
    asleep: Vec<Option<u64>>,
    sleepers: usize,
    at_cut: Vec<CoreId>,
    /// For each core those that wait for it, with the position that they wait for; and how many that are in all.
    awaiting: Vec<Vec<(CoreId, u64)>>,
    laid_aside: usize,
    /// How far each core was when it came back last; none once its part is over.
    came_to: Vec<Option<u64>>,
    /// Workers that have a core.
    busy: usize,
    /// Cores whose part is not over.
    left: usize,
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
            awaiting: vec![Vec::new(); cores],
            laid_aside: 0,
            came_to: vec![Some(0); cores],
            busy: 0,
            left: cores,
            is_blocked: vec![false; cores],
            blocked: 0,
            round: 1,
            picked_in: vec![0; cores],
            vain_in: vec![0; cores],
            idle_workers: 0,
            paced_since: None,
        };
        Self { queue: Mutex::new(queue), steps: AtomicU64::new(0), changed: Condvar::new() }
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
            if queue.ready.is_empty() && queue.laid_aside != 0 {
                if queue.busy == 0 {
                    let stuck = queue.awaiting.iter().flatten().next().expect("one is laid aside");
                    return Picked::AllBlocked(stuck.0);
                }
                // There is nothing better to do than to look at them.
                queue.take_up_all();
            }
            let Queue {
                schedule,
                groups,
                ready,
                busy,
                is_blocked,
                blocked,
                laid_aside,
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
            if let Some((core, slice)) = schedule.choose(ready, |core| groups.may_run(core)) {
                groups.goes(core);
                *busy += 1;
                if std::mem::take(&mut is_blocked[core.index()]) {
                    *blocked -= 1;
                }
                let slice = if *blocked + *laid_aside > 0 { slice.min(SLICE_BESIDE_BLOCKED) } else { slice };
                picked_in[core.index()] = *round;
                return Picked::Core { core, slice, others: !ready.is_empty(), waited };
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
            match pause {
                Some(pause) => drop(self.changed.wait_for(&mut queue, pause)),
                None => self.changed.wait(&mut queue),
            }
            queue.idle_workers -= 1;
        }
    }

    /// A worker is done with a core, which goes `back`. Before the core falls asleep, `sleeps_until` is
    /// asked when its timer brings it an interrupt, or whether there is one already; whatever changes that afterwards
    /// wakes it up.
    pub(crate) fn put_back(
        &self,
        Done { core, steps, position, account }: Done,
        back: Back,
        clock: &Clock,
        sleeps_until: impl Fn() -> Option<u64>,
    ) {
        self.steps.fetch_add(steps, Relaxed);
        let mut queue = self.queue.lock();
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
        queue.schedule.ran(core, steps, !matches!(back, Back::Ready));
        queue.came_to[core.index()] = (!matches!(back, Back::Over)).then_some(position);
        queue.take_up_waiters(core);
        match back {
            Back::Ready => queue.ready.push_back(core),
            Back::Blocked => queue.keep_blocked(core),
            // As long as there is nothing else to do, whoever waits is looked at again and again: that is quicker than to
            // be told. Otherwise the core that it waits for tells, at the end of its turn.
            Back::Awaiting(..) if queue.ready.is_empty() => queue.keep_blocked(core),
            Back::Awaiting(awaited, position) => queue.lay_aside(core, awaited, position),
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
        let mut queue = self.queue.lock();
        queue.busy -= 1;
        queue.round += 1;
        queue.ready.extend(cores);
        self.changed.notify_all();
    }

    /// Wakes a core up, if it sleeps.
    pub(crate) fn wake(&self, core: CoreId, clock: &Clock) {
        let mut queue = self.queue.lock();
        if queue.wake(core, clock) && queue.idle_workers != 0 {
            self.changed.notify_one();
        }
    }

    /// Lets the workers that wait look again.
    pub(crate) fn wake_workers(&self) {
        let _queue = self.queue.lock();
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

    /// A core waits for another one to come to a position, unless that has happened since it looked.
    fn lay_aside(&mut self, core: CoreId, awaited: CoreId, position: u64) {
        let has_come = |came_to: &Option<u64>| came_to.is_none_or(|came_to| came_to >= position);
        match self.awaiting.get_mut(awaited.index()) {
            Some(waiters) if !has_come(&self.came_to[awaited.index()]) => {
                waiters.push((core, position));
                self.laid_aside += 1;
            }
            Some(_) | None => self.ready.push_back(core),
        }
    }

    /// A core has come back: those that it has come far enough for are ready.
    fn take_up_waiters(&mut self, core: CoreId) {
        let came_to = self.came_to[core.index()];
        let Self { awaiting, ready, laid_aside, .. } = self;
        awaiting[core.index()].retain(|&(waiter, position)| {
            let waits_on = came_to.is_some_and(|came_to| came_to < position);
            if !waits_on {
                ready.push_back(waiter);
                *laid_aside -= 1;
            }
            waits_on
        });
    }

    /// All that wait are among those that are ready again, to be looked at.
    fn take_up_all(&mut self) {
        for core in 0..self.awaiting.len() {
            for (waiter, _) in std::mem::take(&mut self.awaiting[core]) {
                self.keep_blocked(waiter);
            }
        }
        self.laid_aside = 0;
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
mod tests {
    use super::*;
    use crate::Policy;
    use crate::clock::TICKS_PER_SECOND;
    use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
    use std::sync::mpsc;
    use std::time::Duration;

    /// Longer than any test.
    const DAY: u64 = 86_400 * TICKS_PER_SECOND;

    /// A machine of one core, which sleeps until `alarm`, and its clock.
    fn asleep(alarm: u64) -> (Scheduler, Clock) {
        let scheduler = Scheduler::new(1, Schedule::new(Policy::Fair { slice: 1000 }, 0, 0, 1));
        let clock = Clock::new(ClockPolicy::Virtual, 1);
        assert!(matches!(scheduler.pick(&clock, || false, || false), Picked::Core { core: CoreId(0), .. }));
        let done = Done { core: CoreId(0), steps: 0, position: 0, account: None };
        scheduler.put_back(done, Back::Asleep, &clock, || Some(alarm));
        (scheduler, clock)
    }

    /// Picks the core while input is open, and does `then` once the worker waits.
    #[expect(clippy::disallowed_methods, reason = "a worker that waits, and what ends its wait")]
    fn picks_when(scheduler: &Scheduler, clock: &Clock, then: impl FnOnce(&AtomicBool)) {
        let open = AtomicBool::new(true);
        let (asked, is_asked) = mpsc::channel();
        std::thread::scope(|scope| {
            let worker = scope.spawn(|| {
                let input_open = || {
                    asked.send(()).expect("the test listens");
                    open.load(SeqCst)
                };
                scheduler.pick(clock, || false, input_open)
            });
            is_asked.recv().expect("the worker asks");
            // The worker has the queue's lock until it waits.
            then(&open);
            let picked = worker.join().expect("the worker picks");
            assert!(matches!(picked, Picked::Core { core: CoreId(0), .. }));
        });
    }

    /// Which core is picked, of machines that neither stop nor have input.
    fn picked(scheduler: &Scheduler, clock: &Clock) -> Picked {
        scheduler.pick(clock, || false, || false)
    }

    #[test]
    fn rep_1_who_waits_is_told_when_there_is_something_better_to_do_than_to_look() {
        let scheduler = Scheduler::new(3, Schedule::new(Policy::Fair { slice: 1000 }, 0, 0, 3));
        let clock = Clock::new(ClockPolicy::Virtual, 3);
        let back = |core, position, back| {
            let done = Done { core: CoreId(core), steps: position, position, account: None };
            scheduler.put_back(done, back, &clock, || None)
        };
        let is = |expected| matches!(picked(&scheduler, &clock), Picked::Core { core: CoreId(core), .. } if core == expected);
        // Core 0 waits for core 2 to come to 20. It is not looked at before that.
        assert!(is(0));
        back(0, 0, Back::Awaiting(CoreId(2), 20));
        assert!(is(1));
        back(1, 7, Back::Ready);
        assert!(is(2));
        back(2, 19, Back::Ready);
        assert!(is(1));
        back(1, 7, Back::Ready);
        assert!(is(2));
        back(2, 20, Back::Ready);
        assert!(is(1));
        back(1, 7, Back::Over);
        assert!(is(0), "it has been told");
        // It waits for what has happened already, and for a core whose part is over: it goes on at once.
        back(0, 1, Back::Awaiting(CoreId(2), 20));
        assert!(is(2));
        back(2, 21, Back::Ready);
        assert!(is(0));
        back(0, 1, Back::Awaiting(CoreId(1), 1000));
        assert!(is(2));
        back(2, 30, Back::Over);
        assert!(is(0));
        // For itself: that never comes.
        back(0, 0, Back::Awaiting(CoreId(0), 1000));
        assert!(matches!(picked(&scheduler, &clock), Picked::AllBlocked(CoreId(0))));
    }

    #[test]
    fn cores_of_a_group_are_picked_one_at_a_time_and_others_beside_them() {
        let scheduler = Scheduler::new(3, Schedule::new(Policy::Fair { slice: 1000 }, 0, 0, 3));
        let clock = Clock::new(ClockPolicy::Virtual, 3);
        let back = |core, holder| {
            let lost = Duration::from_millis(1);
            let account = Account { spent: Spent { lost, ..Spent::default() }, holder, now: clock.pace(0).1 };
            let done = Done { core: CoreId(core), steps: 9, position: 9, account: Some(account) };
            scheduler.put_back(done, Back::Ready, &clock, || None);
        };
        let is = |expected| matches!(picked(&scheduler, &clock), Picked::Core { core: CoreId(core), .. } if core == expected);
        assert!(is(0) && is(1) && is(2));
        back(0, Some(CoreId(1)));
        back(1, Some(CoreId(0)));
        assert!(is(0));
        back(2, None);
        assert!(is(2), "core 1 is in the group of core 0, which is away");
        back(0, None);
        assert!(is(1));
    }

    #[test]
    fn virtual_time_jumps_while_no_input_can_come() {
        let (scheduler, clock) = asleep(DAY);
        assert!(matches!(scheduler.pick(&clock, || false, || false), Picked::Core { core: CoreId(0), .. }));
        assert_eq!(clock.now(), DAY);
    }

    #[test]
    fn virtual_time_passes_as_the_hosts_while_input_may_come() {
        let (scheduler, clock) = asleep(DAY);
        picks_when(&scheduler, &clock, |_| scheduler.wake(CoreId(0), &clock));
        assert!(clock.now() < DAY, "the timer is still to come");
    }

    #[test]
    fn virtual_time_jumps_once_no_input_can_come_any_more() {
        let (scheduler, clock) = asleep(DAY);
        picks_when(&scheduler, &clock, |open| {
            open.store(false, SeqCst);
            scheduler.wake_workers();
        });
        assert_eq!(clock.now(), DAY);
    }

    #[test]
    fn a_timer_comes_by_itself_while_input_may_come() {
        let (scheduler, clock) = asleep(1);
        assert!(matches!(scheduler.pick(&clock, || false, || true), Picked::Core { core: CoreId(0), .. }));
        assert_eq!(clock.now(), 1);
    }

    #[test]
    fn time_passes_without_a_timer_too() {
        let (scheduler, clock) = asleep(u64::MAX);
        picks_when(&scheduler, &clock, |_| scheduler.wake(CoreId(0), &clock));
        assert!(clock.now() < DAY);
    }
}
