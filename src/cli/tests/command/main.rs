//! The command line as users meet it: statuses, messages, places, and the verbs on real guests.

mod crash;
mod files;
mod folder;
mod golden;
mod hunting;
mod moments;
mod runs;
mod signals;
mod statistics;
mod tool;
mod usage;
