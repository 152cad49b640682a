//! Recorders that do not come to their end: killed at any moment, or with no room left on the disk. What was written until
//! then replays.

use std::fs;
use std::os::unix::fs::MetadataExt;
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

/// The recorder is killed while it puts the end of the trace into another file: the trace is what it was, or that end.
#[test]
fn rep_3_a_recorder_that_is_killed_while_it_shortens_its_trace_loses_nothing() {
    let guest = elf("contended_lock");
    let mut in_between = 0;
    for turn in 0..6 {
        let tool = Tool::new();
        let (path, part) = (tool.path("killed.cantus"), tool.path("killed.cantus.part"));
        let trace = path.to_str().unwrap();
        let keep = ["--keep-last", "30k", "--checkpoint-every", "4k"];
        let arguments = [&["record", "-q", "-o", trace, &guest], &MUCH[..], &keep[..]].concat();
        let mut recorder =
            tool.command(&arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let enough = turn * 20_000;
        while recorder.try_wait().unwrap().is_none() {
            if fs::metadata(&part).is_ok_and(|facts| facts.len() >= enough) {
                break;
            }
        }
        recorder.kill().unwrap();
        recorder.wait().unwrap();
        in_between += u32::from(part.exists());
        let verified = tool.run(&["verify", trace]);
        assert_eq!(verified.status, 0, "killed at {enough} bytes: {}{}", verified.out, verified.err);
    }
    assert!(in_between >= 1, "no recorder was killed in between");
}

#[test]
fn a_trace_that_cannot_be_shortened_ends_the_recording_with_an_error_and_loses_nothing() {
    let tool = Tool::new();
    let path = tool.path("kept.cantus");
    fs::create_dir(tool.path("kept.cantus.part")).unwrap();
    let trace = path.to_str().unwrap();
    let keep = ["--keep-last", "30k", "--checkpoint-every", "4k"];
    let guest = elf("contended_lock");
    let recorded = tool.run(&[&["record", "-o", trace, &guest], &MUCH[..], &keep[..]].concat());
    assert_eq!(recorded.status, 74, "{}{}", recorded.out, recorded.err);
    assert!(recorded.err.contains("kept.cantus.part"), "{}", recorded.err);
    let verified = tool.json(&["verify", trace, "--json"]);
    let steps: u64 = verified["steps"].as_array().unwrap().iter().map(|steps| steps.as_u64().unwrap()).sum();
    assert!(steps > 30_000 && verified["from"].is_null(), "{verified}");
}

/// Where the recorder is killed, in cuts that the trace begins at: whenever it has a new beginning, and somewhat later.
#[test]
fn rep_3_a_recorder_that_keeps_the_end_leaves_a_usable_trace_when_it_is_killed() {
    let guest = elf("contended_lock");
    let mut shortened = 0;
    for replaced in [1, 2, 3, 5, 8, 13, 21] {
        let tool = Tool::new();
        let path = tool.path("killed.cantus");
        let trace = path.to_str().unwrap();
        let keep = ["--keep-last", "30k", "--checkpoint-every", "4k"];
        let arguments = [&["record", "-q", "-o", trace, &guest], &MUCH[..], &keep[..]].concat();
        let mut recorder =
            tool.command(&arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let (mut seen, mut last) = (0, None);
        while seen < replaced && recorder.try_wait().unwrap().is_none() {
            let now = fs::metadata(&path).ok().map(|facts| facts.ino());
            if now.is_some() && now != last {
                seen += u32::from(last.is_some());
                last = now;
            }
            std::thread::yield_now();
        }
        recorder.kill().unwrap();
        recorder.wait().unwrap();
        let when = format!("killed after {replaced} new beginnings");
        let verified = tool.run(&["verify", trace]);
        assert_eq!(verified.status, 0, "{when}: {}{}", verified.out, verified.err);
        let facts = tool.json(&["verify", trace, "--json"]);
        shortened += u32::from(facts["from"]["steps"].as_u64().is_some_and(|steps| steps > 0));
        // What it leaves beside the trace is no hindrance to the next one.
        assert_eq!(tool.run(&[&arguments[..], &["--force"]].concat()).status, 0, "{when}");
        tool.ok(&["verify", trace]);
    }
    assert!(shortened >= 3, "only {shortened} traces began later than the run");
}
