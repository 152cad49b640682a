//! Hosts that code is not made for.

use crate::{Limits, Listening};
use cantus_interp::Interp;
use std::io;

/// An executor that translates; here there is none.
pub type Jit = Interp;

/// An executor with a translator.
///
/// # Errors
/// Always.
pub fn jit(_: Limits, _: Listening) -> io::Result<Jit> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "code is made for x86-64 hosts only"))
}
