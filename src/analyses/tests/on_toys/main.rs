//! What analyses say of a toy machine's traces.

mod diff;
mod dump;
mod toy;
