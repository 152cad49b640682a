//! The devices of the board, one folder each.
