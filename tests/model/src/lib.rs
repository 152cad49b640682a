//! Model checks of the ownership protocol.
//!
//! The protocol's very sources are compiled here twice more, with [loom]'s and with [shuttle]'s primitives in place of
//! the host's, and once for each seeded bug. Cores are threads that follow the discipline of engine and recorder
//! ([`scenario`] says what they do); the [`judge`] looks at what each of them did and was told. Checked are:
//! - ORD-1: nobody touches a granule while another core, that may not do so at the same time, does;
//! - ORD-2: every edge names a position that the giver had come to;
//! - ORD-3: every two accesses that conflict are ordered by recorded edges and program order alone;
//! - ORD-5 and ORD-6: every core comes to the end of its script.

#![allow(clippy::duplicate_mod, reason = "the same sources with different primitives are the point")]
#![allow(clippy::arc_with_non_send_sync, reason = "the checkers' primitives stay on one host thread")]

#[macro_use]
mod instance;
pub mod judge;
pub mod on_loom;
pub mod on_shuttle;
pub mod scenario;

/// The protocol with one bug seeded in each.
pub mod mutants {
    instance!(a_merge_hides_others, shuttle);
    instance!(a_reader_that_did_nothing_hides_others, shuttle);
    instance!(a_writer_that_did_nothing_hides_others, shuttle);
    instance!(claims_never_end, shuttle);
    instance!(give_up_forgets_the_reader, shuttle);
    instance!(give_up_forgets_the_writer, shuttle);
    instance!(writer_forgets_the_readers, shuttle);
    instance!(park_keeps_the_old_position, shuttle);
    instance!(park_leaves_requests_unanswered, shuttle);
    instance!(unpark_hides_what_was_lost, shuttle);
    instance!(unpark_is_not_seen, shuttle);
    instance!(answer_gives_what_nobody_is_told, shuttle);
    instance!(merge_takes_from_those_who_run, shuttle);
    instance!(split_keeps_the_whole_page, shuttle);
}

/// The same bugs, for loom to find.
pub mod mutants_on_loom {
    instance!(give_up_forgets_the_reader, loom);
    instance!(unpark_hides_what_was_lost, loom);
    instance!(park_leaves_requests_unanswered, loom);
    instance!(unpark_is_not_seen, loom);
}
