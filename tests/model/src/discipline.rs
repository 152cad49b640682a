//! How a core behaves towards the protocol: what engine and recorder do, less everything else.

use super::sync::{Cell, spawn, yield_now};
use super::{Edge, Ownership, Revoked, Safepoints};
use crate::judge::{Deed, Life, Order, judge};
use crate::scenario::{Access, Act, Scenario};
use cantus_memory::{Granule, LINES_IN_PAGE, PageIndex, Right};
use cantus_traces::CoreId;
use std::collections::BTreeMap;
use std::sync::Arc;
// What is for the judge only is not to be a choice for the checker.
use std::sync::atomic::{AtomicU64 as Counter, Ordering::SeqCst};

const PAGES: usize = 2;

/// What the cores share.
struct Stage {
    ownership: Ownership,
    safepoints: Arc<Safepoints>,
    memory: Vec<Cell>,
    sequence: Counter,
    /// Steps that each core has completed.
    progress: Vec<Counter>,
    hold: u64,
}

struct Actor {
    id: CoreId,
    stage: Arc<Stage>,
    position: u64,
    /// What the core believes that it may do. Learns of losses only as the recorder does.
    held: BTreeMap<Granule, Right>,
    known: Vec<u64>,
    after: Vec<Edge>,
    revoked: Vec<Revoked>,
    granted_at: u64,
    answer_at: Option<u64>,
    answers_seen: u64,
    life: Life,
}

/// Plays a scenario once, each core on a thread, and judges it.
pub fn play(scenario: &Scenario) {
    let cores = scenario.scripts.len();
    let safepoints = Arc::new(Safepoints::new(cores));
    let stage = Arc::new(Stage {
        ownership: Ownership::new(PAGES, cores, safepoints.clone()),
        safepoints,
        memory: (0..PAGES * LINES_IN_PAGE).map(|_| Cell::default()).collect(),
        sequence: Counter::new(0),
        progress: (0..cores).map(|_| Counter::new(0)).collect(),
        hold: scenario.hold,
    });
    // Who has taken the page last, and runs until another one has had to wait for it; and where it stands.
    let mut holder: Option<(CoreId, u64)> = None;
    for &(core, line) in &scenario.before {
        let core = CoreId(core);
        let position = stage.progress[core.index()].fetch_add(1, SeqCst);
        stage.ownership.unpark(core, &mut Vec::new());
        let acquire =
            || stage.ownership.acquire(core, position, PageIndex(0), line, Right::Write, &mut Vec::new());
        let mut got = acquire();
        if let Some((holder, position)) = holder.replace((core, position + 1)) {
            stage.ownership.park(holder, position);
            got = acquire();
        }
        got.expect("everybody else is parked");
    }
    if let Some((holder, position)) = holder {
        // Somebody waits for it now, too.
        let other = CoreId(1 - holder.0);
        let stands = stage.progress[other.index()].load(SeqCst);
        stage.ownership.unpark(other, &mut Vec::new());
        let got = stage.ownership.acquire(other, stands, PageIndex(0), 0, Right::Write, &mut Vec::new());
        stage.ownership.park(other, stands);
        stage.ownership.park(holder, position);
        if let Err(waiting) = got {
            assert_eq!(waiting.holder, holder);
        }
    }
    let threads: Vec<_> = scenario
        .scripts
        .iter()
        .enumerate()
        .map(|(core, script)| {
            let (stage, script) = (stage.clone(), script.clone());
            spawn(move || Actor::new(CoreId(core as u8), stage).perform(&script))
        })
        .collect();
    let lives: Vec<Life> =
        threads.into_iter().map(|thread| thread.join().expect("a core that failed")).collect();
    judge(&lives);
}

impl Actor {
    fn new(id: CoreId, stage: Arc<Stage>) -> Self {
        Self {
            id,
            position: stage.progress[id.index()].load(SeqCst),
            held: BTreeMap::new(),
            known: vec![0; stage.progress.len()],
            after: Vec::new(),
            revoked: Vec::new(),
            granted_at: 0,
            answer_at: None,
            answers_seen: 0,
            life: Life::default(),
            stage,
        }
    }

    fn perform(mut self, script: &[Act]) -> Life {
        self.unpark();
        for act in script {
            self.safepoint();
            match act {
                Act::Touch(accesses) => self.step(accesses),
                Act::Ask(access) => {
                    if !self.get(*access) {
                        self.wait();
                    }
                }
                Act::Merge(page) => {
                    if self.stage.ownership.merge(self.id, self.position, PageIndex(*page), &mut self.after) {
                        self.held.insert(Granule { page: PageIndex(*page), line: None }, Right::Write);
                    }
                    self.note_edges();
                }
                Act::Rest => {
                    self.park();
                    self.unpark();
                }
            }
        }
        self.park();
        self.life.steps = self.position;
        self.life
    }

    /// One step, begun over and over until it has all that it needs.
    fn step(&mut self, accesses: &[Access]) {
        while !accesses.iter().all(|access| self.get(*access)) {
            self.wait();
            self.safepoint();
        }
        let sequence = self.touch(accesses);
        self.life.deeds.push(Deed { sequence, position: self.position, accesses: accesses.to_vec() });
        self.position += 1;
        self.stage.progress[self.id.index()].store(self.position, SeqCst);
    }

    /// Lets others go on until there is an answer.
    fn wait(&mut self) {
        self.park();
        while self.stage.ownership.answers(self.id) == self.answers_seen {
            yield_now();
        }
        self.unpark();
    }

    /// All of them at the same time.
    fn touch(&self, accesses: &[Access]) -> u64 {
        let Some((Access { page, line, right }, others)) = accesses.split_first() else {
            return self.stage.sequence.fetch_add(1, SeqCst);
        };
        let cell = &self.stage.memory[*page as usize * LINES_IN_PAGE + usize::from(*line)];
        let mut sequence = 0;
        let during = || sequence = self.touch(others);
        match right {
            Right::Read => cell.read(during),
            Right::Write => cell.write(during),
        }
        sequence
    }

    /// Whether the core has the right now.
    fn get(&mut self, Access { page, line, right }: Access) -> bool {
        let page = PageIndex(page);
        let believes = |granule| self.held.get(&granule).is_some_and(|held| *held >= right);
        if believes(Granule { page, line: None }) || believes(Granule { page, line: Some(line) }) {
            return true;
        }
        let answers = self.stage.ownership.answers(self.id);
        let got = self.stage.ownership.acquire(self.id, self.position, page, line, right, &mut self.after);
        match got {
            Ok(granule) => {
                let held = self.held.entry(granule).or_insert(right);
                *held = right.max(*held);
                if right == Right::Write {
                    self.granted_at = self.position;
                }
            }
            Err(waiting) if waiting.asked => self.answers_seen = answers,
            Err(_) => {
                self.answers_seen = answers.wrapping_sub(1);
                yield_now();
            }
        }
        self.note_edges();
        got.is_ok()
    }

    fn note_edges(&mut self) {
        for Edge { core, position: completed } in self.after.drain(..) {
            let reached = self.stage.progress[core.index()].load(SeqCst);
            assert!(completed <= reached, "ORD-2: {core} has not completed {completed} steps");
            let known = &mut self.known[core.index()];
            if core != self.id && completed > *known {
                *known = completed;
                let order = Order { position: self.position, after: core.index(), completed };
                self.life.orders.push(order);
            }
        }
    }

    fn safepoint(&mut self) {
        if self.stage.safepoints.is_raised(self.id) {
            self.stage.safepoints.lower(self.id);
            let held_until = self.granted_at + self.stage.hold;
            self.answer_at.get_or_insert(held_until.max(self.position));
        }
        if self.answer_at.is_some_and(|position| position <= self.position) {
            self.answer_at = None;
            self.stage.ownership.answer(self.id, self.position, &mut self.revoked);
            self.apply_revoked();
        }
    }

    fn park(&mut self) {
        self.answer_at = None;
        self.stage.ownership.park(self.id, self.position);
    }

    fn unpark(&mut self) {
        self.stage.ownership.unpark(self.id, &mut self.revoked);
        self.apply_revoked();
    }

    fn apply_revoked(&mut self) {
        for Revoked { granule, keep_read } in self.revoked.drain(..) {
            match keep_read {
                true => drop(self.held.entry(granule).and_modify(|right| *right = Right::Read)),
                false => drop(self.held.remove(&granule)),
            }
        }
    }
}
