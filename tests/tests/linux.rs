//! Debian's kernel: it boots on many cores, runs programs of many threads, is recorded meanwhile, and replays exactly, what
//! the translator recorded by the interpreter, too, and the other way round.
//!
//! What the guests are made of stands in `tests/guests/linux`; `cargo xtask guests --linux` makes them.

use cantus::{Captured, Executor, Moment, Options, ReplayOptions, Verdict, replay};
use cantus_tests::linux::{debian, debian_on_a_drive, opensbi, record, shown, verify, verify_by};
use tempfile::TempDir;

fn traces() -> TempDir {
    tempfile::tempdir().unwrap()
}

#[test]
fn debian_works_on_four_cores_and_replays_from_its_middle() {
    let folder = traces();
    let (path, console) = record(debian(4, "small"), folder.path());
    assert!(console.contains("WORK_DONE") && !console.contains("WORK_FAILED"), "{console}");
    verify_by(Executor::Interp, &path);
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
    let options = Options { executor: Executor::Interp, ..options };
    let (path, console) = record((guest, options, console), folder.path());
    assert!(console.contains("OpenSBI v"), "{console}");
    verify_by(Executor::Jit, &path);
}

#[test]
fn debian_boots_on_64_cores() {
    let folder = traces();
    let (path, _) = record(debian(64, "off"), folder.path());
    verify(&path);
}
