//! Debian's kernel: it boots on many cores, runs programs of many threads, is recorded meanwhile, and replays exactly.
//!
//! What the guests are made of stands in `tests/guests/linux`; `cargo xtask guests --linux` makes them.

use cantus::{Captured, Guest, Moment, Options, Outcome, ReplayOptions, Verdict, replay, verify_stretches};
use cantus_tests::linux::{debian, debian_on_a_drive, opensbi};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// Every how many steps the traces here have a checkpoint.
const CHECKPOINT_INTERVAL: u64 = 500_000_000;
/// Trouble that a kernel reports of itself.
const TROUBLE: [&str; 6] =
    ["BUG:", "WARNING:", "Oops", "Kernel panic", "detected stalls", "blocked for more than"];

fn shown(console: &Captured) -> String {
    String::from_utf8_lossy(&console.bytes()).into_owned()
}

/// Records a guest that switches its machine off, and says where, and what it printed.
fn record((guest, options, console): (Guest, Options, Captured), folder: &Path) -> (PathBuf, String) {
    let path = folder.join("linux.cantus");
    let options = Options { checkpoint_interval: CHECKPOINT_INTERVAL, ..options };
    let recorded = cantus::record(&guest, &options, &path, false).unwrap();
    let console = shown(&console);
    assert_eq!(recorded.outcome, Outcome::Exit(0), "{console}");
    let troubles: Vec<&str> =
        console.lines().filter(|line| TROUBLE.iter().any(|word| line.contains(word))).collect();
    assert!(troubles.is_empty(), "{troubles:?}\n{console}");
    for word in [format!("CPUS_ONLINE {}", options.cores), "SHELL_READY".to_owned()] {
        assert!(console.contains(&word), "{word} is missing:\n{console}");
    }
    (path, console)
}

/// Verifies the whole trace, its stretches side by side.
fn verify(path: &Path) {
    let verified = verify_stretches(path, &ReplayOptions::default(), 2).unwrap();
    assert_eq!(verified.replayed.verdict, Verdict::Identical);
}

fn traces() -> TempDir {
    tempfile::tempdir().unwrap()
}

#[test]
fn debian_works_on_four_cores_and_replays_from_its_middle() {
    let folder = traces();
    let (path, console) = record(debian(4, "small"), folder.path());
    assert!(console.contains("WORK_DONE") && !console.contains("WORK_FAILED"), "{console}");
    verify(&path);
    let said = Captured::default();
    let options = ReplayOptions {
        from: Some(Moment::Percent(50)),
        output: cantus::Output::Captured(said.clone()),
        ..ReplayOptions::default()
    };
    assert_eq!(replay(&path, &options).unwrap().verdict, Verdict::Identical);
    let said = shown(&said);
    assert!(console.ends_with(&said), "the second half of the console is the recording's: {said}");
    assert!(!said.is_empty() && said.len() < console.len(), "it began at a checkpoint");
}

#[test]
fn debian_works_on_a_drive() {
    let folder = traces();
    let (path, console) = record(debian_on_a_drive(2, "pigz,sqlite work_scale=10"), folder.path());
    for word in ["WORK pigz rc=0", "WORK sqlite rc=0", "WORK_DONE"] {
        assert!(console.contains(word), "{word} is missing:\n{console}");
    }
    verify(&path);
}

#[test]
fn debian_boots_behind_opensbi() {
    let folder = traces();
    let (mut guest, options, console) = debian(2, "off");
    guest.kernel.as_mut().expect("it is a kernel").firmware = Some(opensbi());
    let (path, console) = record((guest, options, console), folder.path());
    assert!(console.contains("OpenSBI v"), "{console}");
    verify(&path);
}

#[test]
fn debian_boots_on_64_cores() {
    let folder = traces();
    let (path, _) = record(debian(64, "off"), folder.path());
    verify(&path);
}
