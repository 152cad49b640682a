//! What is said of the golden traces, in a folder that holds nothing else. It must be the same on every machine.

use std::fs;
use std::path::{Path, PathBuf};

use crate::tool::{Done, Tool, done};

/// The two runs that differ in one choice of the schedule.
const PAIR: [&str; 2] = ["bank_transfer-broken-2-passing.cantus", "bank_transfer-broken-2-failing.cantus"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// A trace folder with copies of all golden traces, and their names.
fn golden() -> (Tool, Vec<String>) {
    let tool = Tool::new();
    let mut names: Vec<String> = fs::read_dir(root().join("golden/traces"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".cantus"))
        .collect();
    names.sort();
    for name in &names {
        fs::copy(root().join("golden/traces").join(name), tool.path(name)).unwrap();
    }
    (tool, names)
}

/// Runs a command in the folder of the traces, so that it says their names and no paths.
fn run(tool: &Tool, arguments: &[&str]) -> Done {
    done(&tool.command(arguments).current_dir(tool.folder()).output().unwrap())
}

fn said(tool: &Tool, arguments: &[&str], status: i32) -> String {
    let Done { status: came, out, err } = run(tool, arguments);
    assert_eq!((came, err.as_str()), (status, ""), "{arguments:?}: {out}");
    out
}

#[test]
fn every_golden_trace_is_verified_elsewhere() {
    let (tool, names) = golden();
    for name in &names {
        let verdict = said(&tool, &["verify", name], 0);
        assert!(verdict.starts_with(&format!("identical: {name}, ")), "{verdict}");
    }
}

#[test]
fn ls_lists_golden_traces() {
    let (tool, _) = golden();
    insta::assert_snapshot!("ls", said(&tool, &["ls"], 0));
}

#[test]
fn info_of_golden_traces() {
    let (tool, _) = golden();
    for name in ["echo-1", "contended_lock-16", "lost_wakeup-broken-2"] {
        let info = said(&tool, &["info", &format!("{name}.cantus")], 0);
        insta::assert_snapshot!(format!("info_{name}"), info);
    }
    insta::assert_snapshot!("info_json", said(&tool, &["info", "--json", "echo-1.cantus"], 0));
}

#[test]
fn dumps_of_golden_traces() {
    let (tool, _) = golden();
    for name in ["echo-1", "timer-2", "lost_update-broken-2", "lost_wakeup-broken-2"] {
        let dump = said(&tool, &["dump", "--normalised", &format!("{name}.cantus")], 0);
        insta::assert_snapshot!(format!("dump_normalised_{name}"), dump);
    }
    insta::assert_snapshot!("dump", said(&tool, &["dump", "timer-2.cantus", "..8000"], 0));
    insta::assert_snapshot!("dump_places", said(&tool, &["dump", "--places", "echo-1.cantus"], 0));
    insta::assert_snapshot!("dump_json", said(&tool, &["dump", "--json", "echo-1.cantus"], 0));
}

#[test]
fn diff_of_golden_traces() {
    let (tool, _) = golden();
    let source = root().display().to_string();
    let [passing, failing] = PAIR;
    insta::assert_snapshot!("diff", said(&tool, &["diff", "--source", &source, passing, failing], 1));
    insta::assert_snapshot!("diff_json", said(&tool, &["diff", "--json", passing, failing], 1));
    insta::assert_snapshot!("diff_same", said(&tool, &["diff", failing, failing], 0));
}
