//! The protocol itself: taking, asking, giving, parking, splitting and merging.
//!
//! Locks: a page's lock, then a core's mailbox; nobody waits for another core while holding either (ORD-5).

use super::granule_state::GranuleState;
use super::sync::{AtomicU64, Mutex, OnceLock, Ordering, PAGES_IN_LEAF, REFUSALS_MAX};
use super::{CoreSet, Safepoints};
use cantus_memory::{Granule, LINES_IN_PAGE, PageIndex, Right};
use cantus_traces::CoreId;
use crossbeam::utils::CachePadded;
use std::cmp::Reverse;
use std::sync::Arc;

/// "After `core` has completed `position` steps."
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Edge {
    /// The giver.
    pub core: CoreId,
    /// How many steps it had completed when it gave.
    pub position: u64,
}

/// A right that a core has lost; it must empty its fast entries before it runs on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Revoked {
    /// The granule.
    pub granule: Granule,
    /// Whether the core may still read it (nobody has written, then).
    pub keep_read: bool,
}

/// A grant cannot be had yet: running cores hold the granule and have been asked for it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Waiting {
    /// One of them.
    pub holder: CoreId,
    /// Whether an answer will come ([`Ownership::answers`]). Where none will, somebody else goes first: the core lets the
    /// others run, and tries again.
    pub asked: bool,
}

#[derive(Clone, Copy)]
struct Request {
    granule: Granule,
    right: Right,
    from: CoreId,
}

struct Mailbox {
    parked: bool,
    /// Steps completed; meaningful while parked.
    position: u64,
    /// What running cores are asked for.
    requests: Vec<Request>,
    /// What was taken while the core could not see it.
    revoked: Vec<Revoked>,
}

struct CoreState {
    mailbox: Mutex<Mailbox>,
    /// How many of this core's requests have been answered, or can be served by taking.
    answered: AtomicU64,
}

/// Whom a holder has given a granule up for. Until that core has been there, others let it go first (ORD-6): the giver,
/// which runs, would otherwise always be back before the core that it gave to.
struct Claim {
    line: Option<u8>,
    by: CoreId,
    /// How often another core was turned away.
    refusals: u32,
}

/// Transfers of a page that a core had to wait for, less those that went to the line of the transfer before, which make it
/// worth while to split the page. What is taken from parked cores costs less than the accesses to a split page.
const SPLIT_AT: i16 = 8;
/// A page whose last transfer is further back than this many steps of the taker starts counting anew: an access to a line
/// of a split page costs several times as much as one by a fast entry, so that only a page that is handed over every few
/// accesses gains by a split.
const FORGET_AFTER: u64 = 2_000;

enum Shape {
    Whole(GranuleState),
    Lines(Box<[GranuleState; LINES_IN_PAGE]>),
}

struct Page {
    shape: Shape,
    /// Evidence of false sharing; see [`SPLIT_AT`].
    evidence: i16,
    last_line: u8,
    last_position: u64,
    /// Since the last transfer, a core has had to wait for the page.
    is_awaited: bool,
    claim: Option<Claim>,
}

impl Default for Page {
    fn default() -> Self {
        let shape = Shape::Whole(GranuleState::default());
        Self { shape, evidence: 0, last_line: 0, last_position: 0, is_awaited: false, claim: None }
    }
}

impl Page {
    fn state(&mut self, line: Option<u8>) -> Option<&mut GranuleState> {
        match (&mut self.shape, line) {
            (Shape::Whole(state), None) => Some(state),
            (Shape::Lines(states), Some(line)) => Some(&mut states[usize::from(line)]),
            (Shape::Whole(_), Some(_)) | (Shape::Lines(_), None) => None,
        }
    }

    /// Whether another core goes first on this granule; who.
    fn turns_away(&mut self, core: CoreId, line: Option<u8>) -> Option<CoreId> {
        let claim = self.claim.as_mut().filter(|claim| claim.by != core && claim.line == line)?;
        claim.refusals += 1;
        let by = claim.by;
        if claim.refusals > REFUSALS_MAX {
            self.claim = None;
        }
        Some(by)
    }

    /// `core` has come for what was given up for it.
    fn comes(&mut self, core: CoreId, line: Option<u8>) {
        self.claim.take_if(|claim| claim.by == core && claim.line == line);
    }

    /// Counts a transfer of the whole page to `line`; says whether to split.
    fn transferred(&mut self, line: u8, position: u64) -> bool {
        if !std::mem::take(&mut self.is_awaited) {
            return false;
        }
        if position.abs_diff(self.last_position) > FORGET_AFTER {
            self.evidence = 0;
        }
        self.evidence += if line == self.last_line { -1 } else { 1 };
        self.evidence = self.evidence.max(0);
        (self.last_line, self.last_position) = (line, position);
        self.evidence >= SPLIT_AT
    }
}

type Leaf = Box<[Mutex<Page>]>;

/// The grants of all cores on all granules.
pub struct Ownership {
    leaves: Box<[OnceLock<Leaf>]>,
    cores: Box<[CachePadded<CoreState>]>,
    safepoints: Arc<Safepoints>,
}

impl Ownership {
    /// Nobody holds anything; every core is parked at position 0.
    pub fn new(pages: usize, cores: usize, safepoints: Arc<Safepoints>) -> Self {
        let core = || CoreState {
            mailbox: Mutex::new(Mailbox {
                parked: true,
                position: 0,
                requests: Vec::new(),
                revoked: Vec::new(),
            }),
            answered: AtomicU64::new(0),
        };
        Self {
            leaves: (0..pages.div_ceil(PAGES_IN_LEAF)).map(|_| OnceLock::new()).collect(),
            cores: (0..cores).map(|_| CachePadded::new(core())).collect(),
            safepoints,
        }
    }

    fn page(&self, page: PageIndex) -> &Mutex<Page> {
        let leaf = self.leaves[page.index() / PAGES_IN_LEAF]
            .get_or_init(|| (0..PAGES_IN_LEAF).map(|_| Mutex::new(Page::default())).collect());
        &leaf[page.index() % PAGES_IN_LEAF]
    }

    /// `core`, running at `position`, wants `right` on the page, for the line of it that `line` names. Appends to `after`
    /// whom the step at `position` must then come after, and says whether the grant is for that line only. `after` is
    /// to be kept even when the core must wait.
    pub fn acquire(
        &self,
        core: CoreId,
        position: u64,
        page: PageIndex,
        line: u8,
        right: Right,
        after: &mut Vec<Edge>,
    ) -> Result<Granule, Waiting> {
        let mut entry = self.page(page).lock();
        let split = matches!(entry.shape, Shape::Lines(_));
        let granule = Granule { page, line: split.then_some(line) };
        let state = entry.state(granule.line).expect("the granule is of the page's shape");
        if state.permits(core, right) {
            return Ok(granule);
        }
        if let Some(holder) = entry.turns_away(core, granule.line) {
            return Err(Waiting { holder, asked: false });
        }
        let state = entry.state(granule.line).expect("the granule is of the page's shape");
        let others = state.in_the_way(core, right);
        if let Err(waiting) = self.displace(state, others, granule, right, Some(core)) {
            entry.is_awaited = true;
            return Err(waiting);
        }
        let entered = after.len();
        state.enter(core, position, right, after);
        entry.comes(core, granule.line);
        let handed_over = after[entered..].iter().any(|edge| edge.core != core);
        if !split && handed_over && entry.transferred(line, position) && right == Right::Write {
            return Ok(self.split(&mut entry, core, page, line));
        }
        Ok(granule)
    }

    /// Takes from `others` what stands in the way of `right`, where they are parked; asks those that run, if there is
    /// somebody to ask for.
    fn displace(
        &self,
        state: &mut GranuleState,
        others: CoreSet,
        granule: Granule,
        right: Right,
        asker: Option<CoreId>,
    ) -> Result<(), Waiting> {
        let mut waiting = Ok(());
        for holder in others.iter() {
            let mut mailbox = self.cores[holder.index()].mailbox.lock();
            if mailbox.parked {
                let keep_read = state.give_up(holder, mailbox.position, right);
                mailbox.revoked.push(Revoked { granule, keep_read });
                continue;
            }
            waiting = Err(Waiting { holder, asked: true });
            if let Some(from) = asker
                && !mailbox.requests.iter().any(|request| request.from == from && request.granule == granule)
            {
                mailbox.requests.push(Request { granule, right, from });
                self.safepoints.raise(holder);
            }
        }
        waiting
    }

    /// Splits a page that `core` holds exclusively. Its whole-page fast entries go at its next safepoint, before which
    /// nobody can take a line from it.
    fn split(&self, page: &mut Page, core: CoreId, index: PageIndex, line: u8) -> Granule {
        page.evidence = 0;
        page.claim = None;
        if let Shape::Whole(state) = &page.shape {
            page.shape = Shape::Lines(Box::new(std::array::from_fn(|_| state.clone())));
        }
        let whole = Granule { page: index, line: None };
        self.cores[core.index()].mailbox.lock().revoked.push(Revoked { granule: whole, keep_read: false });
        self.safepoints.raise(core);
        Granule { page: index, line: Some(line) }
    }

    /// Tries to make a split page whole again, in the hands of `core`, at `position`: it can be where every other holder
    /// of any of its lines is parked. Appends whom `core` then comes after.
    pub fn merge(&self, core: CoreId, position: u64, page: PageIndex, after: &mut Vec<Edge>) -> bool {
        let mut entry = self.page(page).lock();
        let Shape::Lines(states) = &mut entry.shape else { return false };
        for (line, state) in states.iter_mut().enumerate() {
            let granule = Granule { page, line: Some(line as u8) };
            let others = state.in_the_way(core, Right::Write);
            if self.displace(state, others, granule, Right::Write, None).is_err() {
                return false;
            }
        }
        let entered = after.len();
        states.iter_mut().for_each(|state| state.enter(core, position, Right::Write, after));
        after[entered..].sort_unstable_by_key(|edge| (edge.core, Reverse(edge.position)));
        let mut before = after.split_off(entered);
        before.dedup_by_key(|edge| edge.core);
        after.extend(&before);
        // What the core has done with the lines counts as well.
        before.retain(|edge| edge.core != core);
        before.push(Edge { core, position });
        entry.shape = Shape::Whole(GranuleState::exclusive(core, position, before));
        (entry.evidence, entry.is_awaited, entry.claim) = (0, false, None);
        true
    }

    /// `core` leaves its worker, or waits: from now on its grants can be taken at once, at this position.
    pub fn park(&self, core: CoreId, position: u64) {
        let mut mailbox = self.cores[core.index()].mailbox.lock();
        assert!(!mailbox.parked, "ORD-2: {core} is parked already");
        (mailbox.parked, mailbox.position) = (true, position);
        for request in mailbox.requests.drain(..) {
            self.cores[request.from.index()].answered.fetch_add(1, Ordering::Release);
        }
    }

    /// `core` is about to run. Appends what it has lost.
    pub fn unpark(&self, core: CoreId, revoked: &mut Vec<Revoked>) {
        let mut mailbox = self.cores[core.index()].mailbox.lock();
        assert!(mailbox.parked, "ORD-2: {core} runs already");
        mailbox.parked = false;
        revoked.append(&mut mailbox.revoked);
    }

    /// `core`, at a safepoint at `position`, gives up everything that it was asked for. Appends what it has lost.
    pub fn answer(&self, core: CoreId, position: u64, revoked: &mut Vec<Revoked>) {
        let requests = {
            let mut mailbox = self.cores[core.index()].mailbox.lock();
            assert!(!mailbox.parked, "ORD-2: {core} answers at a safepoint of its own");
            revoked.append(&mut mailbox.revoked);
            std::mem::take(&mut mailbox.requests)
        };
        for Request { granule, right, from } in requests {
            let mut entry = self.page(granule.page).lock();
            // The page may have been split, merged or taken since it was asked for: the asker then asks again.
            if let Some(state) = entry.state(granule.line)
                && state.in_the_way(from, right).contains(core)
            {
                let keep_read = state.give_up(core, position, right);
                revoked.push(Revoked { granule, keep_read });
                let Granule { line, .. } = granule;
                entry.claim.get_or_insert(Claim { line, by: from, refusals: 0 });
            }
            drop(entry);
            self.cores[from.index()].answered.fetch_add(1, Ordering::Release);
        }
    }

    /// Whether anybody has asked `core` for something.
    pub fn is_asked(&self, core: CoreId) -> bool {
        !self.cores[core.index()].mailbox.lock().requests.is_empty()
    }

    /// A number that grows when a request of `core` was answered, or can be served by taking.
    pub fn answers(&self, core: CoreId) -> u64 {
        self.cores[core.index()].answered.load(Ordering::Acquire)
    }
}
