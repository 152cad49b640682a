//! The boundary that answers from a trace, and checks.
