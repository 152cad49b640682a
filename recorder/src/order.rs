//! Order: grants by the ownership protocol. A hand-over that the core could not have known of is written down.

use crate::Recorder;
use cantus_engine::Orders;
use cantus_interp::{Blocked, Core, Extent};
use cantus_memory::{Granule, LINE_SIZE, PageIndex, Right};
use cantus_traces::{CoreId, Event, Position};
use cantus_transactions::{Edge, Ownership, Revoked, SplitPages, Waiting};

/// For so many steps after it has got a grant to write, a core lets others wait for what it holds (ORD-6): long enough
/// for a critical section, and then no longer.
const HOLD_STEPS: u64 = 400;

/// What the recorder keeps of one core's order.
pub(crate) struct Lane {
    /// For each other core, the last position of it that an edge of this core has named.
    known: Box<[u64]>,
    /// Lines that this core holds on split pages.
    split: SplitPages,
    /// Position of the last grant to write.
    granted_at: u64,
    /// The core has been asked for something, and answers at this position.
    answer_at: Option<u64>,
    /// How many answers the core had got when it asked last.
    answers_seen: u64,
    /// A running core that had what this one then had to wait for.
    pub(crate) kept_waiting_by: Option<CoreId>,
    after: Vec<Edge>,
    pub(crate) orders: Orders,
    pub(crate) revoked: Vec<Revoked>,
}

impl Lane {
    pub(crate) fn new(cores: usize) -> Self {
        Self {
            known: vec![0; cores].into(),
            split: SplitPages::default(),
            granted_at: 0,
            answer_at: None,
            answers_seen: 0,
            kept_waiting_by: None,
            after: Vec::new(),
            orders: Orders::default(),
            revoked: Vec::new(),
        }
    }

    /// The core parks: whatever it was asked for can now be taken.
    pub(crate) fn rest(&mut self) {
        self.answer_at = None;
    }

    /// Whether a request of the core has been answered since it asked.
    pub(crate) fn is_answered(&self, ownership: &Ownership, id: CoreId) -> bool {
        ownership.answers(id) != self.answers_seen
    }

    /// Empties the fast entries of what the core has lost, before it runs on.
    pub(crate) fn apply_revoked(&mut self, core: &mut Core) {
        for Revoked { granule, keep_read } in self.revoked.drain(..) {
            let Granule { page, line } = granule;
            self.split.revoked(granule, keep_read);
            if line.is_none() {
                core.tlb.revoke(page, keep_read);
            }
            if keep_read {
                continue;
            }
            if core.tlb.is_code(page) {
                core.code_epoch += 1;
            }
            let reserved = core.hart.reservation.is_some_and(|reservation| {
                core.ram.page(reservation.address) == Some(page)
                    && line.is_none_or(|line| reservation.address.offset() / LINE_SIZE == u64::from(line))
            });
            core.reservation_lost |= reserved;
        }
    }
}

impl crate::Lane {
    /// Notes that the step at `position` comes after `after` has completed `completed` steps, unless an earlier edge
    /// implies it (ORD-3).
    pub(crate) fn note_order(&mut self, position: u64, after: CoreId, completed: u64) {
        let known = &mut self.order.known[after.index()];
        if after != self.id && completed > *known {
            *known = completed;
            self.note(position, &Event::Order { after, position: Position(completed) });
        }
    }

    fn note_edges(&mut self, position: u64) {
        let mut after = std::mem::take(&mut self.order.after);
        for Edge { core, position: completed } in after.drain(..) {
            self.note_order(position, core, completed);
        }
        self.order.after = after;
    }
}

impl Recorder {
    /// A grant, for the step at `position`.
    pub(crate) fn acquire(
        &self,
        lane: &mut crate::Lane,
        position: u64,
        page: PageIndex,
        line: u8,
        right: Right,
    ) -> Result<Extent, Blocked> {
        let order = &mut lane.order;
        if order.split.permits(page, line, right) {
            if order.split.is_calm(page) && self.ownership.merge(lane.id, position, page, &mut order.after) {
                lane.note_edges(position);
                return Ok(Extent::Page);
            }
            return Ok(Extent::Line);
        }
        let answers = self.ownership.answers(lane.id);
        let acquired = self.ownership.acquire(lane.id, position, page, line, right, &mut order.after);
        match acquired {
            Ok(granule) => {
                order.orders.grants += 1;
                order.orders.hand_overs += u64::from(order.after.iter().any(|edge| edge.core != lane.id));
                if right == Right::Write {
                    order.granted_at = position;
                }
                if granule.line.is_some() {
                    order.split.granted(page, line, right);
                }
                lane.note_edges(position);
                Ok(if granule.line.is_some() { Extent::Line } else { Extent::Page })
            }
            Err(Waiting { asked, holder }) => {
                order.orders.waits += 1;
                order.kept_waiting_by = Some(holder);
                order.split.awaited(page);
                // Without an answer to wait for, the core may try again at once.
                order.answers_seen = if asked { answers } else { answers.wrapping_sub(1) };
                lane.note_edges(position);
                Err(Blocked)
            }
        }
    }

    /// The core has been asked for something: it answers at once, or after what is left of its hold.
    pub(crate) fn asked(&self, lane: &mut crate::Lane, core: &mut Core) {
        let held_until = lane.order.granted_at + HOLD_STEPS;
        lane.order.answer_at.get_or_insert(held_until.max(core.position));
    }

    /// Answers if it is time to; returns the position at which to ask again.
    pub(crate) fn answer_when_due(&self, lane: &mut crate::Lane, core: &mut Core) -> u64 {
        match lane.order.answer_at {
            None => u64::MAX,
            Some(position) if position > core.position => position,
            Some(_) => {
                lane.order.answer_at = None;
                self.ownership.answer(lane.id, core.position, &mut lane.order.revoked);
                let Lane { revoked, split, .. } = &mut lane.order;
                revoked.iter().for_each(|revoked| split.awaited(revoked.granule.page));
                lane.order.apply_revoked(core);
                u64::MAX
            }
        }
    }
}
