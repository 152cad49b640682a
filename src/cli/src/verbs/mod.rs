//! The verbs, one file each.

pub mod completions;
pub mod demo;
pub mod diff;
pub mod dump;
pub mod hunt;
pub mod info;
pub mod ls;
pub mod man;
pub mod record;
pub mod replay;
pub mod rm;
pub mod run;
pub mod verify;
