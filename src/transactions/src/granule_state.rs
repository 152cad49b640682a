//! Who holds one granule, and who must come before its next holder.
//!
//! An edge "after core c has completed p steps" says nothing of what c's step at p comes after. Hence a holder that gives
//! up before it has completed a step (because that step waits for another granule, ORD-4) leaves everything as it found
//! it: whoever comes next comes after those whom this holder would have come after.
//!
//! Invariants, asserted where the state changes:
//! - exclusive means exactly one holder (ORD-1);
//! - whoever is not a holder any more, and touched the granule after the last write, is in `departed` or `before`, so
//!   that no edge is lost when somebody else than the one who asked takes the granule (ORD-3);
//! - whoever is in `departed` has completed a step that came after everybody in `before`.

use super::{CoreSet, ownership::Edge};
use cantus_memory::Right;
use cantus_traces::CoreId;

/// The state of a page, or of a line.
#[derive(Clone, Default)]
pub(crate) struct GranuleState {
    /// Who holds it, each with the position at which it got in.
    holders: Vec<Edge>,
    /// The position at which the only holder got the right to write, if it has it.
    exclusive_since: Option<u64>,
    /// Whom everybody comes after: the last core that has written and no longer can, with the position at which it gave
    /// that up. Several where a page was merged.
    before: Vec<Edge>,
    /// Readers since that gave up, with the position at which they did; a core at most once. Writers come after them.
    departed: Vec<Edge>,
}

impl GranuleState {
    /// A granule that `core` alone holds since `position`, after everybody in `before`.
    pub(crate) fn exclusive(core: CoreId, position: u64, before: Vec<Edge>) -> Self {
        let holders = vec![Edge { core, position }];
        Self { holders, exclusive_since: Some(position), before, departed: Vec::new() }
    }

    /// Whether `core` has this right already.
    pub(crate) fn permits(&self, core: CoreId, right: Right) -> bool {
        self.holds(core)
            && match right {
                Right::Read => true,
                Right::Write => self.exclusive_since.is_some(),
            }
    }

    fn holds(&self, core: CoreId) -> bool {
        self.holders.iter().any(|holder| holder.core == core)
    }

    /// The cores whose grants stand in the way of `core` getting this right.
    pub(crate) fn in_the_way(&self, core: CoreId, right: Right) -> CoreSet {
        let mut others = CoreSet::default();
        if right == Right::Write || self.exclusive_since.is_some() {
            self.holders.iter().for_each(|holder| others.insert(holder.core));
        }
        others.remove(core);
        others
    }

    /// `core`, at `position`, gives up what stands in the way of `wanted`. Returns whether it may still read.
    pub(crate) fn give_up(&mut self, core: CoreId, position: u64, wanted: Right) -> bool {
        let at = self.holders.iter().position(|holder| holder.core == core);
        let at = at.unwrap_or_else(|| panic!("ORD-1: {core} gives up a granule that it does not hold"));
        let edge = Edge { core, position };
        if self.exclusive_since.take().is_some_and(|since| since < position) {
            self.before = vec![edge];
            self.departed.clear();
            self.holders[at].position = position;
        }
        if wanted == Right::Read {
            return true;
        }
        if self.holders.swap_remove(at).position < position {
            self.departed.retain(|other| other.core != core);
            self.departed.push(edge);
        }
        false
    }

    /// `core`, at `position`, gets this right; nobody is in the way. Appends whom it comes after.
    pub(crate) fn enter(&mut self, core: CoreId, position: u64, right: Right, after: &mut Vec<Edge>) {
        assert!(self.in_the_way(core, right).is_empty(), "ORD-1: {core} takes a granule that others hold");
        let reads_already = self.holds(core);
        if !reads_already {
            self.holders.push(Edge { core, position });
        }
        match right {
            Right::Read => after.extend(&self.before),
            Right::Write => {
                // A reader came after the last writer, so whoever comes after the readers comes after it, too.
                if self.departed.is_empty() && !reads_already {
                    after.extend(&self.before);
                }
                after.extend(&self.departed);
                self.exclusive_since = Some(position);
            }
        }
        assert!(
            self.exclusive_since.is_none() || self.holders.len() == 1,
            "ORD-1: an exclusive granule has one holder"
        );
    }
}
