//! Record, replay, verify and diff as functions.
