//! The live interrupt lines of one core: what devices hold raised, what its timers say, and whose steps changed them.
//!
//! Who sees a change comes after the step that made it, in the record, too (ORD-8): else a core could be replayed up to
//! where it has taken an interrupt, and the one that sent it not yet up to where it did, and no live run could come there.

use cantus_traces::{CoreId, Position};
use parking_lot::Mutex;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::SeqCst};

/// The bits of the timer interrupts in `mip` (Privileged ISA, "Machine Interrupt Registers"; "Sstc").
const MTIP: u32 = 1 << 7;
const STIP: u32 = 1 << 5;

/// A core's lines. Anybody may change them; only the core itself looks.
pub(crate) struct Lines {
    /// What devices hold raised.
    raised: AtomicU32,
    /// When the CLINT's timer is due, in ticks; all ones is never.
    machine_timer: AtomicU64,
    /// The same of the core's own `stimecmp`.
    supervisor_timer: AtomicU64,
    /// Steps of other cores that have changed something since the core looked last: for each core, how many it has
    /// completed with the last of them.
    changes: Mutex<Vec<(CoreId, Position)>>,
}

impl Lines {
    pub(crate) fn new() -> Self {
        Self {
            raised: AtomicU32::new(0),
            machine_timer: AtomicU64::new(u64::MAX),
            supervisor_timer: AtomicU64::new(u64::MAX),
            changes: Mutex::default(),
        }
    }

    /// Before the run: these are raised, and the machine timer is set so.
    pub(crate) fn begin(&self, raised: u32, machine_timer: u64) {
        self.raised.store(raised, SeqCst);
        self.machine_timer.store(machine_timer, SeqCst);
    }

    /// A step, with which its core has completed `by`, sets a line. Whether it had the other level.
    pub(crate) fn set(&self, line: u32, level: bool, by: (CoreId, Position)) -> bool {
        let mut changes = self.changes.lock();
        let before =
            if level { self.raised.fetch_or(line, SeqCst) } else { self.raised.fetch_and(!line, SeqCst) };
        let is_changed = (before & line != 0) != level;
        if is_changed {
            note(&mut changes, by);
        }
        is_changed
    }

    /// A step, with which its core has completed `by`, sets the machine timer.
    pub(crate) fn set_machine_timer(&self, ticks: u64, by: (CoreId, Position)) {
        let mut changes = self.changes.lock();
        self.machine_timer.store(ticks, SeqCst);
        note(&mut changes, by);
    }

    pub(crate) fn set_supervisor_timer(&self, ticks: u64) {
        self.supervisor_timer.store(ticks, SeqCst);
    }

    /// The line of each timer, with when it is due.
    pub(crate) fn timers(&self) -> [(u32, u64); 2] {
        [(MTIP, self.machine_timer.load(SeqCst)), (STIP, self.supervisor_timer.load(SeqCst))]
    }

    /// The lines right now.
    pub(crate) fn now(&self, clock: impl FnOnce() -> u64) -> u32 {
        let timers = self.timers();
        let raised = self.raised.load(SeqCst);
        if timers.iter().all(|&(_, ticks)| ticks == u64::MAX) {
            return raised;
        }
        let now = clock();
        let due = |&(_, ticks): &(u32, u64)| ticks != u64::MAX && now >= ticks;
        timers.iter().filter(|timer| due(timer)).fold(raised, |lines, (line, _)| lines | line)
    }

    /// The lines right now, and the steps of other cores that made them so.
    pub(crate) fn look(&self, clock: impl FnOnce() -> u64) -> (u32, Vec<(CoreId, Position)>) {
        let mut changes = self.changes.lock();
        (self.now(clock), std::mem::take(&mut *changes))
    }
}

/// One entry for each core is enough: what it did before is before that.
fn note(changes: &mut Vec<(CoreId, Position)>, by: (CoreId, Position)) {
    match changes.iter_mut().find(|(core, _)| *core == by.0) {
        Some(change) => change.1 = change.1.max(by.1),
        None => changes.push(by),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ord_8_who_looks_is_told_of_every_step_that_changed_a_line() {
        let lines = Lines::new();
        let by = |core, position| (CoreId(core), Position(position));
        assert!(lines.set(8, true, by(1, 10)));
        assert!(!lines.set(8, true, by(2, 11)), "it is raised already");
        lines.set_machine_timer(50, by(3, 7));
        assert!(lines.set(8, false, by(1, 12)));
        assert!(lines.set(2, true, by(1, 11)));
        let (seen, changes) = lines.look(|| 49);
        assert_eq!((seen, changes), (2, vec![by(1, 12), by(3, 7)]));
        assert_eq!(lines.look(|| 50), (2 | MTIP, vec![]), "time is nobody's step");
        lines.set_supervisor_timer(20);
        assert_eq!(lines.now(|| 30), 2 | STIP);
    }
}
