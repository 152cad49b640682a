//! The executor that is tested.

/// Its type.
pub type Tested = cantus_interp::Interp;

/// One that has executed nothing yet.
pub fn tested() -> Tested {
    Tested::new()
}
