//! What traces say: symbols, dump, diff.

pub mod symbols;
