//! What traces say: symbols, dump, diff.
