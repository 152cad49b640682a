//! What files and folders are called, and where they lie.

use std::collections::BTreeSet;
use std::path::Path;

use super::{Complaint, Tree};

/// What may lie in the root.
const TOP: &[&str] = &[
    "ARCHITECTURE.md",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "README.md",
    "clippy.toml",
    "golden",
    "recorder",
    "replayer",
    "rustfmt.toml",
    "src",
    "tests",
    "tools",
    "traces",
];

/// Words that name nothing, alone or as a part of a name.
const EMPTY_WORDS: &[&str] = &[
    "util",
    "utils",
    "utility",
    "utilities",
    "common",
    "helper",
    "helpers",
    "manager",
    "managers",
    "misc",
    "stuff",
];

/// Words of documents that go stale the day after.
const STATUS_WORDS: &[&str] = &["plan", "todo", "status", "progress", "notes", "changelog"];

/// Folders that are mirror images: the second has every file of the first, and beyond them only the files named.
const MIRRORS: &[(&str, &str, &[&str])] = &[("recorder/src", "replayer/src", &["divergence.rs", "check.rs"])];

/// Folders whose sub-folders all have the same files, but for those named, which have them and more.
const ROWS: &[(&str, &[&str])] = &[("src/devices/src", &["virtio"])];

/// The root holds what it always held.
pub fn top_level_is_fixed(tree: &Tree) -> Vec<Complaint> {
    tree.children("")
        .into_iter()
        .filter(|name| !name.starts_with('.') && !TOP.contains(name))
        .map(|name| {
            Complaint::new(
                name,
                1,
                "does not belong in the root",
                "the root is the table of contents, and is meant to stay as short as it is",
                "put it into the folder that it belongs to",
            )
        })
        .collect()
}

/// Names of files and folders say what is in them.
pub fn names_say_something(tree: &Tree) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    let mut seen = BTreeSet::new();
    for path in tree.paths() {
        let mut end = 0;
        for part in path.split('/') {
            end += part.len();
            let here = &path[..end];
            end += 1;
            if !seen.insert(here) {
                continue;
            }
            let stem = part.split('.').next().unwrap_or_default().to_lowercase();
            let words: Vec<&str> = stem.split(['_', '-']).collect();
            let mut complain = |what: String, why, remedy| {
                complaints.push(Complaint::new(here, 1, what, why, remedy));
            };
            if let Some(word) = words.iter().find(|word| EMPTY_WORDS.contains(word)) {
                complain(
                    format!("`{word}` names nothing"),
                    "a name that fits everything attracts everything",
                    "name the idea that the file is about; split it if there are several",
                );
            }
            let dated = words.iter().any(|word| word.len() == 4 && word.starts_with("20") && is_number(word));
            let is_status = part.ends_with(".md") && words.iter().any(|word| STATUS_WORDS.contains(word));
            if dated || is_status {
                complain(
                    "is about a moment".to_owned(),
                    "status lives in git, not in the tree",
                    "put it into a commit message or an issue",
                );
            }
        }
    }
    complaints
}

/// Mirror images have the same files, and so have the folders of a row.
pub fn twins_have_the_same_files(tree: &Tree) -> Vec<Complaint> {
    let why = "parallel folders with the same file names show at a glance what is missing";
    let mut complaints = Vec::new();
    for (first, second, beyond) in MIRRORS {
        let (left, right) = (tree.children(first), tree.children(second));
        for name in left.iter().filter(|name| !right.contains(name)) {
            let (path, what) = (format!("{second}/{name}"), format!("is missing: {first} has it"));
            complaints.push(Complaint::new(path, 1, what, why, "add it, or give both the same name"));
        }
        for name in right.iter().filter(|name| !left.contains(name) && !beyond.contains(name)) {
            let (path, what) = (format!("{first}/{name}"), format!("is missing: {second} has it"));
            complaints.push(Complaint::new(path, 1, what, why, "add it, or give both the same name"));
        }
    }
    for (row, beyond) in ROWS {
        let folders: Vec<String> = tree
            .children(row)
            .into_iter()
            .map(|name| format!("{row}/{name}"))
            .filter(|path| tree.has_folder(path))
            .collect();
        let plain = || folders.iter().filter(|folder| !beyond.iter().any(|name| folder.ends_with(name)));
        let names: BTreeSet<&str> = plain().flat_map(|folder| tree.children(folder)).collect();
        for folder in &folders {
            let own = tree.children(folder);
            for name in names.iter().filter(|name| !own.contains(name)) {
                let has = folders.iter().find(|other| tree.children(other).contains(name));
                let what = format!("is missing: {} has it", has.map_or("another", String::as_str));
                let path = format!("{folder}/{name}");
                complaints.push(Complaint::new(path, 1, what, why, "add it, or give all the same names"));
            }
        }
    }
    complaints
}

/// `golden/<suite>/…` belongs to the suite `tests/tests/<suite>.rs`.
pub fn golden_files_have_tests(tree: &Tree) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    for path in tree.paths().filter(|path| path.starts_with("golden/")) {
        let suite = path.split('/').nth(1).filter(|_| path.matches('/').count() > 1);
        let test = suite.map(|suite| format!("tests/tests/{suite}.rs"));
        if !test.as_ref().is_some_and(|test| tree.has(test)) {
            complaints.push(Complaint::new(
                path,
                1,
                format!("belongs to no test: there is no {}", test.as_deref().unwrap_or("folder of a suite")),
                "golden files mirror the paths of the tests that read them, and what no test reads goes stale",
                "move it to golden/<suite>/ of the test that reads it, or remove it",
            ));
        }
    }
    complaints
}

/// A snapshot names the test that wrote it, which is still there.
pub fn snapshots_have_tests(tree: &Tree) -> Vec<Complaint> {
    tree.texts(&[".snap"])
        .filter_map(|(path, text)| {
            let source = text.lines().find_map(|line| line.strip_prefix("source: "));
            let source = source.map(|source| source.trim_matches('"'));
            if source.is_some_and(|source| tree.has(source)) {
                return None;
            }
            Some(Complaint::new(
                path,
                1,
                format!("was written by {}, which is not there", source.unwrap_or("nobody")),
                "a snapshot that no test compares with proves nothing",
                "remove it, or run `cargo xtask bless` if its test has moved",
            ))
        })
        .collect()
}

/// No file names a place on somebody's machine.
pub fn no_file_names_a_machine(tree: &Tree) -> Vec<Complaint> {
    let places: Vec<String> =
        ["work", "home", "root", "Users", "tmp"].iter().map(|name| format!("/{name}/")).collect();
    let mut complaints = Vec::new();
    for (path, bytes) in tree.bytes() {
        for place in &places {
            let found = bytes.windows(place.len()).enumerate().filter(|(_, part)| *part == place.as_bytes());
            // After a letter it is a part of a longer, relative path.
            let absolute = found.map(|(at, _)| at).find(|&at| at == 0 || !is_within_path(bytes[at - 1]));
            if let Some(at) = absolute {
                let line = bytes[..at].iter().filter(|&&byte| byte == b'\n').count() + 1;
                complaints.push(Complaint::new(
                    Path::new(path),
                    line,
                    format!("names the place `{place}` of some machine"),
                    "what is committed means the same on every machine",
                    "make the path relative, take it from the environment, or use a temporary folder",
                ));
            }
        }
    }
    complaints
}

fn is_within_path(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-' | b'}' | b'~')
}

fn is_number(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(complaints: Vec<Complaint>) -> Vec<String> {
        complaints.into_iter().map(|c| c.path).collect()
    }

    #[test]
    fn a_stray_file_in_the_root_is_found() {
        let tree = Tree::of(&[("README.md", ""), (".ci/run", ""), ("docs/a.md", ""), ("x.txt", "")]);
        assert_eq!(paths(top_level_is_fixed(&tree)), ["docs", "x.txt"]);
    }

    #[test]
    fn empty_names_are_found_once() {
        let tree = Tree::of(&[
            ("src/util/a.rs", ""),
            ("src/util/b.rs", ""),
            ("src/page_helper.rs", ""),
            ("src/commonality.rs", ""),
            ("src/2026-11-22.md", ""),
            ("PLAN.md", ""),
            ("src/plan.rs", ""),
        ]);
        assert_eq!(
            paths(names_say_something(&tree)),
            ["PLAN.md", "src/2026-11-22.md", "src/page_helper.rs", "src/util"]
        );
    }

    #[test]
    fn what_a_twin_lacks_is_found_on_both_sides() {
        let tree = Tree::of(&[
            ("recorder/src/order.rs", ""),
            ("recorder/src/input.rs", ""),
            ("replayer/src/order.rs", ""),
            ("replayer/src/check.rs", ""),
            ("replayer/src/state.rs", ""),
        ]);
        assert_eq!(
            paths(twins_have_the_same_files(&tree)),
            ["replayer/src/input.rs", "recorder/src/state.rs"]
        );
    }

    #[test]
    fn what_a_device_lacks_is_found() {
        let tree = Tree::of(&[
            ("src/devices/src/lib.rs", ""),
            ("src/devices/src/a/mod.rs", ""),
            ("src/devices/src/a/tests.rs", ""),
            ("src/devices/src/b/mod.rs", ""),
        ]);
        assert_eq!(paths(twins_have_the_same_files(&tree)), ["src/devices/src/b/tests.rs"]);
    }

    #[test]
    fn golden_files_without_a_suite_are_found() {
        let tree = Tree::of(&[
            ("golden/traces/a.cantus", ""),
            ("golden/gone/b.cantus", ""),
            ("golden/c.cantus", ""),
            ("tests/tests/traces.rs", ""),
        ]);
        assert_eq!(paths(golden_files_have_tests(&tree)), ["golden/c.cantus", "golden/gone/b.cantus"]);
    }

    #[test]
    fn snapshots_without_a_test_are_found() {
        let tree = Tree::of(&[
            ("a/snapshots/x.snap", "---\nsource: a/x.rs\n---\n"),
            ("a/snapshots/y.snap", "---\nsource: a/y.rs\n---\n"),
            ("a/x.rs", ""),
        ]);
        assert_eq!(paths(snapshots_have_tests(&tree)), ["a/snapshots/y.snap"]);
    }

    #[test]
    fn places_on_machines_are_found_in_text_and_in_programs() {
        let (place, within) = (format!("\n\"/{}/me/x\"", "home"), format!("src/{}/x", "work"));
        let binary = format!("\0\0/{}/x\0", "tmp");
        let tree = Tree::of(&[("a.rs", &place), ("b.rs", &within), ("c.elf", &binary)]);
        let complaints = no_file_names_a_machine(&tree);
        assert_eq!(complaints[0].line, 2);
        assert_eq!(paths(complaints), ["a.rs", "c.elf"]);
    }
}
