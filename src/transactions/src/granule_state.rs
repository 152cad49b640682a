//! Who holds one granule, and who must come before its next holder.
//!
//! X invariants, asserted where the state changes:
//! - exclusive means exactly one holder (ORD-1);
//! - whoever is not a holder any more, and touched the granule after the last write, is in `departed` or is `wrote`
//!   (ORD-3), so that no edge is lost when somebody else than the one who asked takes the granule.

use super::{CoreSet, ownership::Edge};
use cantus_memory::Right;
use cantus_traces::CoreId;

/// The state of a page, or of a line.
#[derive(Default)]
pub(crate) struct GranuleState {
    holders: CoreSet,
    exclusive: bool,
    /// The last core that could write and no longer can, with the position at which it gave that up.
    wrote: Option<Edge>,
    /// Readers since the last write that gave up, with the position at which they did; a core at most once.
    departed: Vec<Edge>,
}

impl GranuleState {
    /// A granule that `core` alone holds, after everybody who held it before.
    pub(crate) fn exclusive(core: CoreId) -> Self {
        Self { holders: CoreSet::only(core), exclusive: true, wrote: None, departed: Vec::new() }
    }

    /// Whether `core` has this right already.
    pub(crate) fn permits(&self, core: CoreId, right: Right) -> bool {
        self.holders.contains(core)
            && match right {
                Right::Read => true,
                Right::Write => self.exclusive,
            }
    }

    /// The cores whose grants stand in the way of `core` getting this right.
    pub(crate) fn in_the_way(&self, core: CoreId, right: Right) -> CoreSet {
        let mut others = match right {
            Right::Read if !self.exclusive => CoreSet::default(),
            Right::Read | Right::Write => self.holders,
        };
        others.remove(core);
        others
    }

    /// `holder`, at `position`, gives up what stands in the way of `wanted`. Returns whether it may still read.
    pub(crate) fn give_up(&mut self, holder: CoreId, position: u64, wanted: Right) -> bool {
        assert!(self.holders.contains(holder), "ORD-1: {holder} gives up a granule that it does not hold");
        let edge = Edge { core: holder, position };
        let was_exclusive = std::mem::take(&mut self.exclusive);
        if was_exclusive {
            self.wrote = Some(edge);
        }
        match wanted {
            Right::Read => return true,
            Right::Write => self.holders.remove(holder),
        }
        if !was_exclusive {
            self.departed.retain(|other| other.core != holder);
            self.departed.push(edge);
        }
        false
    }

    /// `core` gets this right; nobody is in the way. Appends whom it comes after.
    pub(crate) fn enter(&mut self, core: CoreId, right: Right, after: &mut Vec<Edge>) {
        assert!(self.in_the_way(core, right).is_empty(), "ORD-1: {core} takes a granule that others hold");
        let reads_already = self.holders.contains(core);
        match right {
            Right::Read => {
                after.extend(self.wrote);
                self.holders.insert(core);
            }
            Right::Write => {
                // A reader came after the last writer, so whoever comes after the readers comes after it, too.
                if self.departed.is_empty() && !reads_already {
                    after.extend(self.wrote);
                }
                after.append(&mut self.departed);
                self.holders = CoreSet::only(core);
                self.exclusive = true;
            }
        }
        assert!(!self.exclusive || self.holders.len() == 1, "ORD-1: an exclusive granule has one holder");
    }
}
