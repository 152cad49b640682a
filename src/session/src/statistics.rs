//! What was done to run, record or replay a guest. No guest sees it, and no trace holds it.

use cantus_engine::{Finished, Orders, Work};
use std::ops::AddAssign;

/// What was done, for all cores together.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Statistics {
    /// By executors and engine.
    pub work: Work,
    /// For the order between cores; a free run does nothing for it.
    pub orders: Option<Orders>,
}

impl Statistics {
    /// Of a free run.
    pub(crate) fn of_free<L>(cores: &[Finished<L>]) -> Self {
        let mut work = Work::default();
        cores.iter().for_each(|finished| work += finished.work);
        Self { work, orders: None }
    }

    /// Of a run whose lanes know of its order.
    pub(crate) fn of<L>(cores: &[Finished<L>], of_lane: impl Fn(&L) -> Orders) -> Self {
        let mut orders = Orders::default();
        cores.iter().for_each(|finished| orders += of_lane(&finished.lane));
        Self { orders: Some(orders), ..Self::of_free(cores) }
    }
}

impl AddAssign for Statistics {
    fn add_assign(&mut self, other: Self) {
        self.work += other.work;
        if let Some(orders) = other.orders {
            *self.orders.get_or_insert_default() += orders;
        }
    }
}
