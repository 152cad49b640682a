//! `cargo xtask tidy`: the habits of this repository, checked mechanically.
//!
//! Every check is a function from the tree to complaints, and knows nothing of where the tree came from, so that its
//! tests give it small trees that are wrong in one way each. A complaint says where, what is wrong, why it matters and
//! what to do. What the compiler and clippy see already is not checked here.

mod crates;
mod documents;
mod folders;
mod invariants;
mod manifest;
mod sources;
mod tree;

use std::fmt;
use std::path::Path;

use anyhow::{Result, ensure};

pub use manifest::{Manifest, Section};
pub use tree::{Tree, repository_root};

/// What the verb does, in one line.
pub const HELP: &str = "                        check the habits that no compiler checks";

/// All checks, in the order in which their complaints are printed.
const CHECKS: &[fn(&Tree) -> Vec<Complaint>] = &[
    crates::members_stand_in_the_table,
    crates::dependencies_point_one_way,
    crates::outside_dependencies_have_owners,
    crates::outside_dependencies_have_reasons,
    crates::dependencies_are_used,
    folders::top_level_is_fixed,
    folders::names_say_something,
    folders::twins_have_the_same_files,
    folders::golden_files_have_tests,
    folders::snapshots_have_tests,
    folders::no_file_names_a_machine,
    sources::files_say_what_they_are,
    sources::files_are_short,
    sources::nothing_is_left_undone,
    sources::tests_do_not_sleep,
    sources::snapshots_are_files,
    documents::map_is_short_and_complete,
    documents::named_paths_exist,
    documents::format_names_every_tag,
    documents::readme_is_tested,
    invariants::ids_are_guarded,
    invariants::ids_are_known,
];

/// Runs the verb.
pub fn run(arguments: &[String]) -> Result<()> {
    ensure!(arguments.is_empty(), "usage: tidy, without arguments");
    let tree = Tree::of_repository()?;
    let complaints = complaints(&tree);
    for complaint in &complaints {
        println!("{complaint}\n");
    }
    ensure!(complaints.is_empty(), "{} complaints", complaints.len());
    println!("{} files are tidy", tree.paths().count());
    Ok(())
}

fn complaints(tree: &Tree) -> Vec<Complaint> {
    CHECKS.iter().flat_map(|check| check(tree)).collect()
}

/// Something that is not as it should be.
#[derive(Debug, PartialEq, Eq)]
pub struct Complaint {
    /// The file, relative to the repository's root.
    pub path: String,
    /// The line, from 1; 1 also for what concerns the whole file.
    pub line: usize,
    /// What is wrong.
    pub what: String,
    /// Why that matters.
    pub why: &'static str,
    /// How to mend it.
    pub remedy: String,
}

impl Complaint {
    fn new(
        path: impl AsRef<Path>,
        line: usize,
        what: impl Into<String>,
        why: &'static str,
        remedy: impl Into<String>,
    ) -> Self {
        let path = path.as_ref().display().to_string();
        Self { path, line, what: what.into(), why, remedy: remedy.into() }
    }
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, line, what, why, remedy } = self;
        write!(f, "{path}:{line}: {what}\n    why: {why}\n    do:  {remedy}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_repository_is_tidy() {
        let complaints = complaints(&Tree::of_repository().unwrap());
        let text: Vec<String> = complaints.iter().map(Complaint::to_string).collect();
        assert!(
            complaints.is_empty(),
            "{} complaints (see them again with `cargo xtask tidy`):\n{}",
            complaints.len(),
            text.join("\n")
        );
    }

    #[test]
    fn a_complaint_says_where_what_why_and_what_to_do() {
        let complaint = Complaint::new("a/b.rs", 3, "it leaks", "water is wet", "mend it");
        assert_eq!(complaint.to_string(), "a/b.rs:3: it leaks\n    why: water is wet\n    do:  mend it");
    }
}
