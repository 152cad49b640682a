//! Guest time. Always an input: whoever shows it to the guest logs what it showed (STATE-3).

use parking_lot::Mutex;
use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// The time base that the device tree names.
pub const TICKS_PER_SECOND: u64 = 10_000_000;
const NANOSECONDS_PER_TICK: u64 = 1_000_000_000 / TICKS_PER_SECOND;

/// How guest time passes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ClockPolicy {
    /// As the host's does.
    Host,
    /// A nanosecond for each instruction that every core which is not asleep retires on average, and 40 for each time that one
    /// says that it spins, which pauses for about as long on hardware. When all sleep, it jumps to the next timer, or goes
    /// there as the host's does while there may be input.
    Virtual,
}

/// The host's time while a guest runs, for what no guest sees.
pub struct Stopwatch {
    started: Instant,
    pauses: Mutex<Pauses>,
}

/// When it stood still.
#[derive(Default)]
struct Pauses {
    /// For so long, so far.
    total: Duration,
    /// And since then, if it does now.
    since: Option<Duration>,
}

impl Stopwatch {
    /// One that runs from now on.
    #[expect(clippy::disallowed_methods, reason = "the owner of host time")]
    pub fn start() -> Self {
        Self { started: Instant::now(), pauses: Mutex::default() }
    }

    /// How long it has run.
    pub fn shows(&self) -> Duration {
        let pauses = self.pauses.lock();
        pauses.since.unwrap_or_else(|| self.started.elapsed()).saturating_sub(pauses.total)
    }

    /// Stands still while this is done.
    pub fn pause<R>(&self, during: impl FnOnce() -> R) -> R {
        let since = self.started.elapsed();
        self.pauses.lock().since = Some(since);
        let done = during();
        let mut pauses = self.pauses.lock();
        pauses.since = None;
        pauses.total += self.started.elapsed().saturating_sub(since);
        done
    }
}

/// How many instructions of virtual time pass when a core says that it spins.
const SPIN: u64 = 40;
/// Fractions of a nanosecond that virtual time counts in.
const FRACTIONS: u64 = 256;

/// The machine's clock.
pub struct Clock {
    policy: ClockPolicy,
    started: Instant,
    /// Virtual nanoseconds, in [`FRACTIONS`].
    elapsed: AtomicU64,
    /// Cores that are not asleep.
    awake: AtomicUsize,
    /// What the guest has added by setting the clock, and the jumps, in ticks; it wraps as they do.
    offset: AtomicI64,
}

impl Clock {
    /// A clock that starts at 0 now.
    #[expect(clippy::disallowed_methods, reason = "the owner of host time: what it shows is logged")]
    pub fn new(policy: ClockPolicy, cores: usize) -> Self {
        Self {
            policy,
            started: Instant::now(),
            elapsed: AtomicU64::new(0),
            awake: AtomicUsize::new(cores),
            offset: AtomicI64::new(0),
        }
    }

    /// How it passes.
    pub fn policy(&self) -> ClockPolicy {
        self.policy
    }

    fn unset_ticks(&self) -> u64 {
        let nanoseconds = match self.policy {
            ClockPolicy::Host => self.started.elapsed().as_nanos() as u64,
            ClockPolicy::Virtual => self.elapsed.load(Relaxed) / FRACTIONS,
        };
        nanoseconds / NANOSECONDS_PER_TICK
    }

    /// Ticks of the time base, as the guest sees them.
    pub fn now(&self) -> u64 {
        self.unset_ticks().wrapping_add_signed(self.offset.load(Relaxed))
    }

    /// The guest sets the clock.
    pub fn set(&self, ticks: u64) {
        self.offset.store(ticks.wrapping_sub(self.unset_ticks()) as i64, Relaxed);
    }

    /// A core has completed `steps` more.
    pub fn advance(&self, steps: u64) {
        if self.policy == ClockPolicy::Virtual && steps != 0 {
            let awake = self.awake.load(Relaxed).max(1) as u64;
            self.elapsed.fetch_add(steps.saturating_mul(FRACTIONS) / awake, Relaxed);
        }
    }

    /// A core has said that it spins.
    pub(crate) fn spun(&self) {
        self.advance(SPIN);
    }

    /// Every core waits until `ticks`: virtual time jumps there, however far that is. Under the host's policy, returns
    /// how long that is.
    pub fn jump(&self, ticks: u64) -> Option<Duration> {
        let left = ticks.saturating_sub(self.now());
        match self.policy {
            ClockPolicy::Virtual => {
                // Not `elapsed`, in whose fractions of a nanosecond not every number of ticks has room.
                self.offset.fetch_add(left as i64, Relaxed);
                None
            }
            ClockPolicy::Host => {
                let nanoseconds = left.saturating_mul(NANOSECONDS_PER_TICK);
                (nanoseconds != 0).then(|| Duration::from_nanos(nanoseconds))
            }
        }
    }

    /// How long the host's clock takes to get to `ticks`, and what it shows now, for [`Clock::idled`]: virtual time that
    /// is not to jump.
    #[expect(clippy::disallowed_methods, reason = "the owner of host time: what it shows is logged")]
    pub(crate) fn pace(&self, ticks: u64) -> (Duration, Instant) {
        let left = ticks.saturating_sub(self.now()).saturating_mul(NANOSECONDS_PER_TICK);
        (Duration::from_nanos(left), Instant::now())
    }

    /// Every core has waited since `since`: virtual time goes on by as much, but not beyond `ticks`.
    pub(crate) fn idled(&self, since: Instant, ticks: u64) {
        let passed = since.elapsed().as_nanos() / u128::from(NANOSECONDS_PER_TICK);
        let left = ticks.saturating_sub(self.now());
        self.offset.fetch_add(u128::from(left).min(passed) as i64, Relaxed);
    }

    /// A core falls asleep.
    pub fn asleep(&self) {
        self.awake.fetch_sub(1, Relaxed);
    }

    /// A core wakes up.
    pub fn awoken(&self) {
        self.awake.fetch_add(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn virtual_time_is_the_average_of_the_cores_that_are_awake() {
        let clock = Clock::new(ClockPolicy::Virtual, 4);
        (0..4).for_each(|_| clock.advance(1_000));
        assert_eq!(clock.now(), 10);
        (0..3).for_each(|_| clock.asleep());
        clock.advance(1_000);
        assert_eq!(clock.now(), 20);
        assert_eq!(clock.jump(777), None);
        assert_eq!(clock.now(), 777);
        clock.set(5);
        clock.advance(100);
        assert_eq!(clock.now(), 6);
        (0..10).for_each(|_| clock.spun());
        assert_eq!(clock.now(), 6 + 10 * SPIN / NANOSECONDS_PER_TICK);
    }

    #[test]
    fn a_stopwatch_stands_still_in_a_pause() {
        let watch = Stopwatch::start();
        let (before, after) = watch.pause(|| {
            let before = watch.shows();
            let begun = watch.started.elapsed();
            while watch.started.elapsed() - begun < Duration::from_millis(2) {}
            (before, watch.shows())
        });
        assert_eq!(before, after);
        assert!(watch.started.elapsed() - watch.shows() >= Duration::from_millis(2));
        assert!(watch.shows() >= before);
    }

    #[test]
    fn time_jumps_to_any_tick() {
        let clock = Clock::new(ClockPolicy::Virtual, 1);
        for ticks in [1 << 40, 1 << 62, 1 << 63, u64::MAX - 1] {
            assert_eq!(clock.jump(ticks), None);
            assert_eq!(clock.now(), ticks);
            assert_eq!(clock.jump(7), None, "there is no way back");
            assert_eq!(clock.now(), ticks);
        }
        assert!(Clock::new(ClockPolicy::Host, 1).jump(u64::MAX - 1).is_some());
    }

    #[test]
    fn time_that_was_waited_for_passes_as_far_as_the_timer() {
        let clock = Clock::new(ClockPolicy::Virtual, 1);
        let (left, now) = clock.pace(50);
        assert_eq!(left, Duration::from_micros(5));
        let an_hour_ago = now.checked_sub(Duration::from_secs(3600)).expect("the host counts from long ago");
        clock.idled(an_hour_ago, 50);
        assert_eq!(clock.now(), 50);
        clock.idled(an_hour_ago, 7);
        assert_eq!(clock.now(), 50, "there is no way back");
        clock.idled(an_hour_ago, u64::MAX);
        assert!(clock.now() >= 3600 * TICKS_PER_SECOND);
        assert_eq!(clock.pace(0).0, Duration::ZERO);
        assert!(clock.pace(u64::MAX).0 > Duration::from_secs(1 << 30));
    }
}
