//! `cargo xtask bless`: accepts what tests now see as what they shall see, and says what changed.
//!
//! Golden traces that are missing are recorded, and so are those that do not replay any more while the format is at
//! version 0; from version 1 on, a trace that does not replay is a bug of the replay, never of the trace. Snapshots are
//! written by the tests that compare with them. What came of it is to be read as a diff before it is committed.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use cantus::{Executor, Verdict};
use cantus_tests::golden::{Golden, TRACES};
use cantus_traces::limits::FORMAT_VERSION;

use crate::tidy::{Manifest, Section, Tree};

/// What the verb does, in one line.
pub const HELP: &str = "[--all]                 record golden traces and write snapshots anew";

/// Runs the verb. With `--all`, golden traces are recorded anew even if they replay.
pub fn run(arguments: &[String]) -> Result<()> {
    let all = match arguments {
        [] => false,
        [option] if option == "--all" => true,
        _ => bail!("usage: bless {HELP}"),
    };
    let before = blessed(&Tree::of_repository()?);
    for golden in TRACES {
        bless_trace(golden, all).with_context(|| golden.name())?;
    }
    let tests = bless_snapshots(&Tree::of_repository()?);
    let changes = changes(&before, &blessed(&Tree::of_repository()?));
    changes.iter().for_each(|change| println!("{change}"));
    println!("{} files changed", changes.len());
    tests
}

/// Records a golden trace, if there is a reason to.
fn bless_trace(golden: &Golden, all: bool) -> Result<()> {
    let reason = match golden.trace().exists().then(|| replays(golden)) {
        None => "it is missing".to_owned(),
        Some(Ok(())) if !all => return Ok(()),
        Some(Ok(())) => "all were to be recorded anew".to_owned(),
        Some(Err(error)) => format!("{error:#}"),
    };
    if golden.trace().exists() {
        ensure!(
            FORMAT_VERSION == 0,
            "from version 1 of the format on, old traces replay for ever, and are not recorded anew: {reason}"
        );
    }
    eprintln!("recording {}: {reason}", golden.name());
    std::fs::create_dir_all(cantus_tests::golden::folder())?;
    let (_, printed) = golden.record(&golden.trace())?;
    std::fs::write(golden.console(), printed)?;
    replays(golden)
}

/// Whether a golden trace replays and prints what it should.
fn replays(golden: &Golden) -> Result<()> {
    let (replayed, printed) = golden.replay(2, Executor::default())?;
    ensure!(replayed.verdict == Verdict::Identical, "it replays differently: {:?}", replayed.verdict);
    ensure!(golden.printed()? == printed, "its replay prints something else");
    Ok(())
}

/// Lets the tests that compare with snapshots write them.
fn bless_snapshots(tree: &Tree) -> Result<()> {
    for manifest in Manifest::all(tree) {
        if !manifest.section(Section::Dev).any(|dependency| dependency.name == "insta") {
            continue;
        }
        let targets = snapshot_targets(tree, manifest.path.trim_end_matches("Cargo.toml"));
        if targets.is_empty() {
            continue;
        }
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.args(["test", "--quiet", "--no-fail-fast", "--package", &manifest.package]).args(targets);
        cargo.env("INSTA_UPDATE", "always").env("INSTA_FORCE_PASS", "1");
        let status = cargo.current_dir(crate::tidy::repository_root()).status()?;
        ensure!(status.success(), "a test fails for another reason than a snapshot");
    }
    Ok(())
}

/// The targets of the crate in a folder whose tests compare with snapshots, as cargo takes them. Others may take long, and
/// have nothing to write.
fn snapshot_targets(tree: &Tree, folder: &str) -> BTreeSet<String> {
    let sources = tree.texts(&[".rs"]).filter(|(_, text)| text.contains("insta::"));
    let inside = sources.filter_map(|(path, _)| path.strip_prefix(folder));
    inside
        .filter_map(|path| match path.split_once('/')? {
            ("src", _) => Some("--lib".to_owned()),
            ("tests", path) => {
                let target = path.split_once('/').map_or(path, |(target, _)| target);
                Some(format!("--test={}", target.trim_end_matches(".rs")))
            }
            _ => None,
        })
        .collect()
}

/// What this verb writes, by path.
fn blessed(tree: &Tree) -> BTreeMap<String, Vec<u8>> {
    tree.bytes()
        .filter(|(path, _)| path.starts_with("golden/") || path.ends_with(".snap"))
        .map(|(path, bytes)| (path.to_owned(), bytes.to_vec()))
        .collect()
}

/// One line for every file that differs.
fn changes(before: &BTreeMap<String, Vec<u8>>, after: &BTreeMap<String, Vec<u8>>) -> Vec<String> {
    let paths: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    paths
        .into_iter()
        .filter_map(|path| match (before.get(path), after.get(path)) {
            (None, Some(new)) => Some(format!("new      {path} ({} bytes)", new.len())),
            (Some(_), None) => Some(format!("gone     {path}")),
            (Some(old), Some(new)) if old != new => {
                Some(format!("changed  {path} ({} bytes, were {})", new.len(), old.len()))
            }
            (Some(_), Some(_)) | (None, None) => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_tests_that_have_snapshots_write_them() {
        let tree = Tree::of(&[
            ("src/cli/src/main.rs", ""),
            ("src/cli/tests/command/golden.rs", "insta::assert_snapshot!(said)"),
            ("src/cli/tests/readme.rs", ""),
            ("src/analyses/src/junit.rs", "insta::assert_snapshot!(text)"),
            ("tests/tests/library.rs", "insta::assert_snapshot!(events)"),
            ("tests/tests/linux.rs", "boots"),
        ]);
        let targets = |folder| snapshot_targets(&tree, folder).into_iter().collect::<Vec<_>>();
        assert_eq!(targets("src/cli/"), ["--test=command"]);
        assert_eq!(targets("src/analyses/"), ["--lib"]);
        assert_eq!(targets("tests/"), ["--test=library"]);
        assert!(targets("traces/").is_empty());
    }

    #[test]
    fn what_changed_is_said() {
        let before = blessed(&Tree::of(&[
            ("golden/traces/a.cantus", "1"),
            ("golden/traces/b.cantus", "1"),
            ("src/x.rs", "1"),
            ("src/c.snap", "1"),
        ]));
        let after = blessed(&Tree::of(&[
            ("golden/traces/a.cantus", "12"),
            ("golden/traces/b.cantus", "1"),
            ("src/x.rs", "2"),
            ("src/d.snap", "123"),
        ]));
        assert_eq!(
            changes(&before, &after),
            [
                "changed  golden/traces/a.cantus (2 bytes, were 1)",
                "gone     src/c.snap",
                "new      src/d.snap (3 bytes)"
            ]
        );
    }
}
