//! The architectural state of a hart.

/// The architectural state of a hart.
pub struct Hart {}
