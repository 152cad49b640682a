//! The boundary that logs: order, input, state.
