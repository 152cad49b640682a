//! Who wants to know of code that was made: a profiler that is to name it.

use cantus_isa::Gva;
use std::sync::Arc;

/// Is told of code that was made.
pub trait Listener: Send + Sync {
    /// At the host address `code` lie `bytes` bytes of code now, for the unit that begins with this block. Whatever else
    /// was there is there no more.
    fn made(&self, code: u64, bytes: u64, block: Block);
}

/// What code was made for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Block {
    /// The guest's code at this address, where it was first executed.
    At(Gva),
    /// Every block: the stubs by which code is entered and left.
    All,
}

/// Somebody who listens, or nobody.
pub type Listening = Option<Arc<dyn Listener>>;
