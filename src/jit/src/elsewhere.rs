//! Hosts that code is not made for.

use crate::{Limits, Listening};
use cantus_interp::Interp;
use std::convert::Infallible;
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

/// Code that cores share; here there is none.
#[derive(Clone)]
pub struct Shared(Infallible);

impl Shared {
    /// No code yet.
    ///
    /// # Errors
    /// Always.
    pub fn new(limits: Limits, listening: Listening) -> io::Result<Self> {
        jit(limits, listening).map(|_| unreachable!("there is no translator"))
    }

    /// An executor of one of the cores.
    pub fn jit(&self) -> Jit {
        match self.0 {}
    }
}
