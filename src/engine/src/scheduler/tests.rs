//! Cores that go and come back, and workers that wait for them.

use super::*;
use crate::Policy;
use crate::clock::TICKS_PER_SECOND;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::mpsc;
use std::time::Duration;

/// A core is done, having come from nothing to `position`.
fn done(core: u8, position: u64) -> Done {
    Done { core: CoreId(core), steps: position, position, account: None }
}

/// Longer than any test.
const DAY: u64 = 86_400 * TICKS_PER_SECOND;

/// A machine of one core, which sleeps until `alarm`, and its clock.
fn asleep(alarm: u64) -> (Scheduler, Clock) {
    let scheduler = Scheduler::new(1, Schedule::new(Policy::Fair { slice: 1000 }, 0, 0, 1));
    let clock = Clock::new(ClockPolicy::Virtual, 1);
    assert!(matches!(scheduler.pick(&clock, || false, || false), Picked::Core { core: CoreId(0), .. }));
    scheduler.put_back(done(0, 0), Back::Asleep, &clock, || Some(alarm));
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
fn rep_1_who_waits_is_told_and_not_looked_at_before() {
    let scheduler = Scheduler::new(3, Schedule::new(Policy::Fair { slice: 1000 }, 0, 0, 3));
    let clock = Clock::new(ClockPolicy::Virtual, 3);
    let back = |core, position, back| scheduler.put_back(done(core, position), back, &clock, || None);
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
fn rep_1_a_core_that_runs_tells_those_that_wait_for_it() {
    let scheduler = Scheduler::new(4, Schedule::new(Policy::Fair { slice: 1000 }, 0, 0, 4));
    let clock = Clock::new(ClockPolicy::Virtual, 4);
    let is = |expected| matches!(picked(&scheduler, &clock), Picked::Core { core: CoreId(core), .. } if core == expected);
    assert!(is(0) && is(1) && is(2) && is(3));
    for (core, position) in [(0, 20), (1, 30)] {
        let back = Back::Awaiting(CoreId(3), position);
        scheduler.put_back(done(core, 0), back, &clock, || None);
    }
    assert_eq!((scheduler.awaited_at(CoreId(3)), scheduler.awaited_at(CoreId(2))), (20, u64::MAX));
    scheduler.came_by(CoreId(3), 29);
    assert_eq!(scheduler.awaited_at(CoreId(3)), 30);
    assert!(is(0));
    // It has passed what core 2 waits for, and that is known already.
    scheduler.put_back(done(2, 0), Back::Awaiting(CoreId(3), 29), &clock, || None);
    assert!(is(2));
    scheduler.put_back(done(3, 40), Back::Over, &clock, || None);
    assert_eq!(scheduler.awaited_at(CoreId(3)), u64::MAX);
    assert!(is(1));
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
#[expect(clippy::disallowed_methods, reason = "workers that wait for each other's cores")]
fn rep_1_no_worker_sleeps_once_all_is_over() {
    const RUNS: u32 = 2_000;
    const CORES: usize = 3;
    const WORKERS: usize = 6;
    const STEPS: u64 = 4;
    for run in 0..RUNS {
        let scheduler = Scheduler::new(CORES, Schedule::new(Policy::Fair { slice: 1000 }, 0, 0, CORES));
        let clock = Clock::new(ClockPolicy::Virtual, CORES);
        let positions: [AtomicU64; CORES] = Default::default();
        // After each of its steps a core waits for the next core to have as many. The last step takes about as long as a
        // worker looks whether something happens, so that it often ends when others are about to sleep; whoever then is
        // not told sleeps for ever.
        let work = || {
            while let Picked::Core { core, .. } = picked(&scheduler, &clock) {
                let position = positions[core.index()].fetch_add(1, SeqCst) + 1;
                if position == STEPS {
                    (0..run % (2 * IDLE_LOOKS)).for_each(|_| std::hint::spin_loop());
                }
                let next = CoreId((core.index() + 1) as u8 % CORES as u8);
                let back = if position == STEPS { Back::Over } else { Back::Awaiting(next, position) };
                let done = Done { core, steps: 1, position, account: None };
                scheduler.put_back(done, back, &clock, || None);
            }
        };
        std::thread::scope(|scope| {
            for _ in 0..WORKERS {
                scope.spawn(work);
            }
        });
        assert_eq!(positions.map(AtomicU64::into_inner), [STEPS; CORES]);
    }
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
