//! The executor that is tested.

use cantus_jit::{Jit, Limits, jit};

/// Its type.
pub type Tested = Jit;

/// One that has executed nothing yet.
pub fn tested() -> Tested {
    with(Limits { threshold: 0, code_bytes: 1 << 18, ..Limits::default() })
}

/// One with these limits.
pub fn with(limits: Limits) -> Tested {
    jit(limits, None).expect("memory for code")
}
