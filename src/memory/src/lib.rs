//! Guest RAM, granules, and the two-level TLB that doubles as the record's instrumentation.
//!
//! Guarantees that no access leaves guest RAM. Does not decide who may touch what: that is the ownership protocol's
//! work (`transactions`); here a right is something that the TLB holds or does not hold.

mod code_watch;
mod granule;
pub mod host;
mod ram;
mod tlb;
mod untouched;

pub use granule::{Granule, LINE_SIZE, LINES_IN_PAGE, PageIndex, Right};
pub use ram::{Ram, RamError};
pub use tlb::{BadTranslations, FAST_SLOTS, Fast, MODES, Rights, Tlb, Translation, fast_slot, is_machine};
pub use untouched::{Untouched, Zero};
