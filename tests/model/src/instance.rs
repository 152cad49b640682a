//! One more copy of the protocol: a seeded bug, on one checker's primitives.

macro_rules! instance {
    ($name:ident, $checker:ident) => {
        /// The protocol with the bug that the name tells.
        pub mod $name {
            instance!(@sync $checker);
            instance!(@source $name, core_set);
            instance!(@source $name, granule_state);
            instance!(@source $name, safepoint);
            instance!(@source $name, ownership);
            instance!(@source $name, discipline);

            pub use discipline::play;
            use core_set::CoreSet;
            use ownership::{Edge, Ownership, Revoked};
            use safepoint::Safepoints;
        }
    };
    (@sync loom) => { use crate::on_loom::sync; };
    (@sync shuttle) => { use crate::on_shuttle::sync; };
    (@source $name:ident, $file:ident) => {
        #[allow(dead_code, unused_variables, unused_mut, unreachable_pub, missing_docs, reason = "a mutant")]
        mod $file {
            include!(concat!(env!("OUT_DIR"), "/", stringify!($name), "/", stringify!($file), ".rs"));
        }
    };
}
