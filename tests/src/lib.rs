//! Whole-system suites, and what several of them share.

pub mod golden;
