//! Every command of README.md runs, and prints what README.md says it prints.
//!
//! Commands stand in blocks marked `console`. A line that begins with `$ ` is a command, and the lines below it are what
//! it prints: each must come, in this order, and others may come between; `…` stands for anything within a line. A
//! command ends with status 0, unless `$ echo $?` and another status follow. All commands run one after the other in one
//! new folder that looks like the repository's root, so what one writes the next one finds.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Commands that are not run, each with the reason.
const NOT_RUN: &[(&str, &str)] = &[
    ("cargo test --workspace", "this test is a part of it"),
    ("cargo install ", "cargo has built it here already"),
    ("git clone ", "the repository is here already"),
    ("cd cantus", "the commands run in the repository's root"),
];

/// What stands for `cargo` while README's commands run.
const CARGO: &str = "#!/bin/sh\nif [ \"$1 $2 $3\" = 'run --release --' ]; then shift 3; exec cantus \"$@\"; fi\n\
                     echo \"README.md: only 'cargo run --release --' is run\" >&2; exit 64\n";

/// A command and what README.md says of it.
#[derive(Debug, PartialEq, Eq)]
struct Step {
    /// Its line in README.md, from 1.
    line: usize,
    command: String,
    /// Lines that it prints.
    prints: Vec<String>,
    /// The status that it ends with.
    status: i32,
}

/// Reads the commands of a document.
///
/// # Errors
/// Where a command stands somewhere else than in a block marked `console`, where no test would run it.
fn steps_of(document: &str) -> Result<Vec<Step>, String> {
    let mut steps: Vec<Step> = Vec::new();
    let mut block: Option<&str> = None;
    for (number, text) in document.lines().enumerate() {
        let line = number + 1;
        if let Some(mark) = text.trim_start().strip_prefix("```") {
            block = if block.is_some() { None } else { Some(mark.trim()) };
            if matches!(block, Some("sh" | "bash" | "shell" | "")) {
                return Err(format!("README.md:{line}: mark the block `console`, `text` or as a language"));
            }
            continue;
        }
        match (block, text.trim_start().strip_prefix("$ ")) {
            (Some("console"), Some(command)) => {
                let command = command.trim().to_owned();
                steps.push(Step { line, command, prints: Vec::new(), status: 0 });
            }
            (Some("console"), None) => match steps.last_mut() {
                Some(step) => step.prints.push(text.to_owned()),
                None => return Err(format!("README.md:{line}: a block begins with `$ ` and a command")),
            },
            (Some(_) | None, Some(_)) => {
                return Err(format!("README.md:{line}: a command stands outside a block marked `console`"));
            }
            (Some(_) | None, None) => {}
        }
    }
    fold_statuses(steps)
}

/// Makes of every `echo $?` the status of the command before it.
fn fold_statuses(steps: Vec<Step>) -> Result<Vec<Step>, String> {
    let mut folded: Vec<Step> = Vec::new();
    for step in steps {
        if step.command != "echo $?" {
            folded.push(step);
            continue;
        }
        let status = step.prints.first().and_then(|text| text.trim().parse().ok());
        match (folded.last_mut(), status) {
            (Some(before), Some(status)) => before.status = status,
            (Some(_) | None, _) => {
                return Err(format!(
                    "README.md:{}: a command comes before `echo $?`, and a number after",
                    step.line
                ));
            }
        }
    }
    Ok(folded)
}

/// Whether a line is what a pattern says, where `…` stands for anything.
fn fits(line: &str, pattern: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('…') else { return line.trim_end() == pattern.trim_end() };
    let Some(mut line) = line.strip_prefix(first) else { return false };
    let mut parts: Vec<&str> = rest.split('…').collect();
    let last = parts.pop().unwrap_or_default().trim_end();
    for part in parts {
        let Some(at) = line.find(part) else { return false };
        line = &line[at + part.len()..];
    }
    line.trim_end().ends_with(last)
}

/// The first pattern that does not come, with all before it.
fn missing<'a>(printed: &str, patterns: &'a [String]) -> Option<&'a str> {
    let mut lines = printed.lines();
    patterns
        .iter()
        .filter(|pattern| !pattern.trim().is_empty())
        .find(|pattern| !lines.any(|line| fits(line, pattern)))
        .map(String::as_str)
}

/// A new folder that looks like the repository's root and in which commands run.
struct Sandbox {
    folder: PathBuf,
}

impl Sandbox {
    fn new(root: &Path) -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("readme");
        let _ = fs::remove_dir_all(&folder);
        let programs = folder.join(".programs");
        fs::create_dir_all(&programs).unwrap();
        symlink(env!("CARGO_BIN_EXE_cantus"), programs.join("cantus")).unwrap();
        fs::write(programs.join("cargo"), CARGO).unwrap();
        fs::set_permissions(programs.join("cargo"), fs::Permissions::from_mode(0o755)).unwrap();
        for name in ["src", "tests", "golden", "traces"] {
            if root.join(name).exists() {
                symlink(root.join(name), folder.join(name)).unwrap();
            }
        }
        Self { folder }
    }

    fn run(&self, command: &str) -> Output {
        let path = std::env::var("PATH").unwrap_or_default();
        Command::new("sh")
            .args(["-c", command])
            .current_dir(&self.folder)
            .env("PATH", format!("{}:{path}", self.folder.join(".programs").display()))
            .env("HOME", &self.folder)
            .env_remove("XDG_DATA_HOME")
            .env_remove("CANTUS_TRACE_DIR")
            .env_remove("CANTUS_LOG")
            .stdin(std::process::Stdio::null())
            .output()
            .unwrap()
    }
}

#[test]
fn every_command_of_readme_runs() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap();
    let readme = fs::read_to_string(root.join("README.md")).expect("README.md is in the repository's root");
    let steps = steps_of(&readme).unwrap();
    assert!(!steps.is_empty(), "README.md has no commands");
    let sandbox = Sandbox::new(root);
    for step in &steps {
        if NOT_RUN.iter().any(|(start, _)| step.command.starts_with(start)) {
            continue;
        }
        let output = sandbox.run(&step.command);
        let printed = [output.stdout, output.stderr].concat();
        let printed = String::from_utf8_lossy(&printed);
        let Step { line, command, prints, status } = step;
        assert_eq!(
            output.status.code(),
            Some(*status),
            "README.md:{line}: status of `{command}`:\n{printed}"
        );
        if let Some(pattern) = missing(&printed, prints) {
            panic!("README.md:{line}: `{command}` does not print\n{pattern}\nbut\n{printed}");
        }
    }
}

#[test]
fn commands_are_read_with_what_they_print() {
    let document =
        "# X\n```console\n$ cantus run a\nhello\n$ cantus verify b\n$ echo $?\n3\n```\n```text\nno\n```\n";
    let step = |line, command: &str, prints: &[&str], status| Step {
        line,
        command: command.to_owned(),
        prints: prints.iter().map(|&text| text.to_owned()).collect(),
        status,
    };
    assert_eq!(
        steps_of(document).unwrap(),
        [step(3, "cantus run a", &["hello"], 0), step(5, "cantus verify b", &[], 3)]
    );
}

#[test]
fn commands_that_would_not_be_run_are_refused() {
    for document in ["```sh\ncantus run\n```", "```text\n$ cantus run\n```", "  $ cantus run", "```\nx\n```"]
    {
        assert!(steps_of(document).is_err(), "{document}");
    }
}

#[test]
fn an_ellipsis_stands_for_anything() {
    for (line, pattern) in
        [("a b c", "a … c"), ("a", "…"), ("ab", "a…"), ("a 1 b 2", "a … b …"), ("x", "x  ")]
    {
        assert!(fits(line, pattern), "{line} is {pattern}");
    }
    for (line, pattern) in [("a b d", "a … c"), ("b", "a…"), ("xx", "x"), ("a c b", "a … b … c")] {
        assert!(!fits(line, pattern), "{line} is not {pattern}");
    }
    let patterns = ["one".to_owned(), "th…".to_owned(), "two".to_owned()];
    assert_eq!(missing("one\ntwo\nthree\n", &patterns), Some("two"));
    assert_eq!(missing("one\nthree\nx\ntwo\n", &patterns), None);
}
