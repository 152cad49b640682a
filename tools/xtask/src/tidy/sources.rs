//! What every source file keeps to.

use super::{Complaint, Tree};

/// Files of programs, scripts and prose that people write.
const WRITTEN: &[&str] = &[".rs", ".c", ".h", ".S", ".ld", ".toml", ".md", ".ci/run"];

/// The most lines of a source file.
const LINES_MAX: usize = 700;

/// Longer files, each with what makes it so. Should be empty.
const LONGER: &[(&str, &str)] = &[];

/// This folder names what it forbids.
const EXEMPT: &str = "tools/xtask/src/tidy/";

/// What stands for work that is not done, and what to do instead.
const UNDONE: &[(&str, &str)] = &[
    ("todo!", "write it now, or make the case an error that says so"),
    ("unimplemented!", "write it now, or make the case an error that says so"),
    ("dbg!(", "remove it"),
    ("FIXME", "mend it now, or open an issue"),
    ("TODO", "do it now, or open an issue"),
    ("XXX", "mend it now, or open an issue"),
    ("#[ignore", "let the test run, or remove it: a test that is switched off proves nothing"),
    ("fn handle_", "name what it does, not that it deals with something"),
];

/// A file opens by saying what it is.
pub fn files_say_what_they_are(tree: &Tree) -> Vec<Complaint> {
    tree.texts(&[".rs"])
        .filter(|(_, text)| !text.starts_with("//! ") || text.starts_with("//! #"))
        .map(|(path, _)| {
            Complaint::new(
                path,
                1,
                "does not open with `//! `",
                "a reader wants to know what a file is, and what it guarantees, before reading it",
                "write one sentence that says what it is, then what callers may and may not rely on",
            )
        })
        .collect()
}

/// No file is too long to be read at one sitting.
pub fn files_are_short(tree: &Tree) -> Vec<Complaint> {
    let lines = |text: &str| text.lines().count();
    let long = tree
        .texts(&[".rs", ".c", ".h", ".S"])
        .filter(|(path, text)| {
            lines(text) > LINES_MAX
                && !LONGER.iter().any(|(longer, because)| longer == path && !because.is_empty())
        })
        .map(|(path, text)| {
            Complaint::new(
                path,
                LINES_MAX + 1,
                format!("has {} lines, more than {LINES_MAX}", lines(text)),
                "a file is one idea, and long files collect more of them",
                "split it by idea",
            )
        });
    let stale = LONGER
        .iter()
        .filter(|(path, _)| tree.text(path).is_none_or(|text| lines(text) <= LINES_MAX))
        .map(|(path, _)| {
            let what = format!("is an exception of {EXEMPT}sources.rs without need");
            Complaint::new(path, 1, what, "an exception outlives its reason", "remove it from the list")
        });
    long.chain(stale).collect()
}

/// Nothing is a stub, switched off, or left for later.
pub fn nothing_is_left_undone(tree: &Tree) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    for (path, text) in tree.texts(WRITTEN).filter(|(path, _)| !path.starts_with(EXEMPT)) {
        for (number, line) in text.lines().enumerate() {
            for (phrase, remedy) in UNDONE.iter().filter(|(phrase, _)| stands_alone(line, phrase)) {
                complaints.push(Complaint::new(
                    path,
                    number + 1,
                    format!("`{phrase}`"),
                    "what is here works; what does not is an issue, not a mark in the code",
                    *remedy,
                ));
            }
        }
    }
    complaints
}

/// Every snapshot lies in a file of its own, so that one command can bless them all.
pub fn snapshots_are_files(tree: &Tree) -> Vec<Complaint> {
    let begins_snapshot = |code: &str| ["@\"", "@r\"", "@r#"].iter().any(|start| code.starts_with(start));
    let mut complaints = Vec::new();
    for (path, text) in tree.texts(&[".rs"]).filter(|(path, _)| !path.starts_with(EXEMPT)) {
        for (number, line) in text.lines().enumerate() {
            let code = line.trim_start();
            if begins_snapshot(code) || code.split(", ").skip(1).any(begins_snapshot) {
                complaints.push(Complaint::new(
                    path,
                    number + 1,
                    "a snapshot stands in the source",
                    "`cargo xtask bless` can write snapshots only into files of their own",
                    "leave out the `@\"…\"`, and bless",
                ));
            }
        }
    }
    complaints
}

/// No test waits for time to pass.
pub fn tests_do_not_sleep(tree: &Tree) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    for (path, text) in tree.texts(&[".rs"]).filter(|(path, _)| !path.starts_with(EXEMPT)) {
        let of_tests = path.starts_with("tests/") || path.contains("/tests/") || path.ends_with("/tests.rs");
        let mut in_tests = of_tests;
        for (number, line) in text.lines().enumerate() {
            in_tests |= line.trim_start().starts_with("#[cfg(test)]");
            if in_tests && (line.contains("thread::sleep") || line.contains("sleep(Duration")) {
                complaints.push(Complaint::new(
                    path,
                    number + 1,
                    "a test sleeps",
                    "a test that waits for time to pass is slow when it passes and fails when the host is busy",
                    "wait for what must happen (join, channel, condition variable), or drive the clock yourself",
                ));
            }
        }
    }
    complaints
}

/// Whether a phrase occurs, not as part of a longer word.
fn stands_alone(line: &str, phrase: &str) -> bool {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(phrase).any(|(at, _)| {
        let before = line[..at].chars().next_back().is_some_and(is_word) && phrase.starts_with(is_word);
        let after = line[at + phrase.len()..].chars().next().is_some_and(is_word)
            && phrase.ends_with(|c: char| c.is_alphanumeric())
            && !phrase.starts_with('#');
        !before && !after
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(complaints: Vec<Complaint>) -> Vec<(String, usize)> {
        complaints.into_iter().map(|c| (c.path, c.line)).collect()
    }

    #[test]
    fn a_file_without_a_heading_is_found() {
        let tree =
            Tree::of(&[("a.rs", "//! Good.\n"), ("b.rs", "use x;\n"), ("c.rs", "//!\n"), ("d.c", "int x;")]);
        assert_eq!(places(files_say_what_they_are(&tree)), [("b.rs".to_owned(), 1), ("c.rs".to_owned(), 1)]);
    }

    #[test]
    fn a_long_file_is_found() {
        let (long, short) = ("x\n".repeat(LINES_MAX + 1), "x\n".repeat(LINES_MAX));
        let tree = Tree::of(&[("long.rs", &long), ("short.rs", &short)]);
        assert_eq!(places(files_are_short(&tree)), [("long.rs".to_owned(), LINES_MAX + 1)]);
    }

    #[test]
    fn every_mark_of_undone_work_is_found() {
        for (phrase, _) in UNDONE {
            let text = format!("//! X.\n  {phrase}\n");
            let tree = Tree::of(&[("a.rs", &text)]);
            assert_eq!(places(nothing_is_left_undone(&tree)), [("a.rs".to_owned(), 2)], "{phrase}");
        }
        let tree = Tree::of(&[("a.rs", "mytodo!\nTODOS\nfn shandle_()\n")]);
        assert_eq!(places(nothing_is_left_undone(&tree)), []);
    }

    #[test]
    fn a_switched_off_test_is_found_with_and_without_a_reason() {
        let tree = Tree::of(&[("a.rs", "#[ignore]\n#[ignore = \"slow\"]\n")]);
        assert_eq!(places(nothing_is_left_undone(&tree)).len(), 2);
    }

    #[test]
    fn a_snapshot_in_the_source_is_found() {
        let text =
            "assert_snapshot!(x, @\"\");\nassert_snapshot!(\n  x,\n  @r\"\n  y\");\nlet all @ \"x\" = y;\n";
        let expected = [("a.rs".to_owned(), 1), ("a.rs".to_owned(), 4)];
        assert_eq!(places(snapshots_are_files(&Tree::of(&[("a.rs", text)]))), expected);
    }

    #[test]
    fn sleeping_is_for_others_than_tests() {
        let sleep = "std::thread::sleep(x);\n";
        let tree = Tree::of(&[
            ("src/a.rs", &format!("{sleep}#[cfg(test)]\nmod tests {{\n{sleep}}}\n")),
            ("src/b/tests.rs", sleep),
            ("tests/tests/c.rs", sleep),
        ]);
        let expected = [("src/a.rs", 4), ("src/b/tests.rs", 1), ("tests/tests/c.rs", 1)];
        assert_eq!(places(tests_do_not_sleep(&tree)), expected.map(|(path, line)| (path.to_owned(), line)));
    }
}
