//! Recorders that do not come to their end: killed at any moment, or with no room left on the disk. What was written until
//! then replays.

use std::fs;
use std::process::{Command, Stdio};

use crate::tool::{Tool, done, elf};

/// A recording that writes a lot: a digest every eight steps, which nothing compresses.
const MUCH: [&str; 6] = ["--smp", "4", "--digest-interval", "8", "--workers", "2"];

/// A trace of so many bytes holds header and guest.
const WITH_IMAGE: u64 = 40_000;

/// The trace replays as far as it goes, and what is missing is said.
fn assert_usable(tool: &Tool, trace: &str, when: &str) {
    let verified = tool.run(&["verify", trace]);
    assert_eq!(verified.status, 0, "{when}: {}{}", verified.out, verified.err);
    let said = format!("{}{}", verified.out, verified.err);
    assert!(said.contains("identical"), "{when}: {said}");
    assert!(said.contains("as far as the trace goes"), "{when}: {said}");
    assert_eq!(tool.json(&["ls", "--json"])[0]["condition"], "incomplete", "{when}");
}

#[test]
fn rep_3_a_recorder_killed_at_any_moment_leaves_a_usable_trace() {
    let guest = elf("contended_lock");
    let mut torn = 0;
    for bytes in [1, 5_000, 40_000, 60_000, 80_000, 100_000, 130_000, 160_000, 200_000, 400_000] {
        let tool = Tool::new();
        let path = tool.path("killed.cantus");
        let trace = path.to_str().unwrap();
        let arguments = [&["record", "-q", "-o", trace, &guest], &MUCH[..]].concat();
        let mut recorder =
            tool.command(&arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let reached = loop {
            if fs::metadata(&path).is_ok_and(|facts| facts.len() >= bytes) {
                break true;
            }
            if recorder.try_wait().unwrap().is_some() {
                break false;
            }
            std::thread::yield_now();
        };
        // Dead at once, wherever its writer is.
        recorder.kill().unwrap();
        recorder.wait().unwrap();
        assert!(reached, "the trace never had {bytes} bytes: the guest writes too little for this test");
        let when = format!("killed at {bytes} bytes");
        let verified = tool.run(&["verify", trace]);
        if bytes < WITH_IMAGE && verified.status == 65 {
            // Before the guest is in the trace, there is nothing to replay, and that is said.
            assert!(verified.err.contains("killed.cantus"), "{when}: {}", verified.err);
        } else if tool.json(&["ls", "--json"])[0]["condition"] == "complete" {
            // It came to its end before the signal did.
            assert_eq!(verified.status, 0, "{when}: {}{}", verified.out, verified.err);
        } else {
            assert_usable(&tool, trace, &when);
            torn += 1;
        }
    }
    assert!(torn >= 3, "only {torn} recorders were killed before their end");
}

#[test]
fn a_full_disk_ends_the_recording_with_an_error_and_a_usable_trace() {
    for blocks in [40, 150, 300] {
        let tool = Tool::new();
        let path = tool.path("full.cantus");
        let trace = path.to_str().unwrap();
        let guest = elf("contended_lock");
        let arguments = [&["record", "-o", trace, &guest], &MUCH[..]].concat();
        let cantus = tool.command(&arguments);
        // A file may have so many blocks; the signal that would end the process is ignored, as no disk sends it.
        let limited = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\"");
        let mut command = Command::new("bash");
        command.args(["-c", &limited]).arg(cantus.get_program()).args(cantus.get_args());
        command.env("CANTUS_TRACE_DIR", tool.folder()).stdin(Stdio::null());
        let recorded = done(&command.output().unwrap());
        assert_eq!(recorded.status, 74, "{}{}", recorded.out, recorded.err);
        assert!(recorded.err.contains("full.cantus"), "{}", recorded.err);
        assert_usable(&tool, trace, &format!("a disk of {blocks} KiB"));
    }
}
