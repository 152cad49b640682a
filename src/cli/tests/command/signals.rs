//! Ctrl-C, and readers that go away.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};

use crate::tool::{Tool, elf};

fn interrupt(child: &Child) {
    let sent = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(sent.success());
}

/// A recorder whose guest waits for a line that never comes, and its standard input, which keeps it waiting.
fn waiting_recorder(tool: &Tool) -> Child {
    let echo = elf("echo");
    let mut recorder =
        tool.command(&["record", &echo]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(recorder.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    assert!(line.contains("type a line"), "{line}");
    recorder
}

#[test]
fn ctrl_c_closes_the_trace() {
    let tool = Tool::new();
    let mut recorder = waiting_recorder(&tool);
    // Waiting for a child closes its input, which would end the guest's hope for a line.
    let input = recorder.stdin.take();
    interrupt(&recorder);
    assert_eq!(recorder.wait().unwrap().code(), Some(130));
    drop(input);
    let list = tool.json(&["ls", "--json"]);
    assert_eq!(
        (&list[0]["condition"], &list[0]["reason"]),
        (&"complete".into(), &"interrupted".into()),
        "{list}"
    );
    tool.ok(&["verify"]);
}

#[test]
fn a_killed_recorder_leaves_the_latest_trace() {
    let tool = Tool::new();
    let mut recorder = waiting_recorder(&tool);
    recorder.kill().unwrap();
    recorder.wait().unwrap();
    assert_eq!(tool.json(&["ls", "--json"])[0]["latest"], true);
    let replayed = tool.run(&["replay"]);
    assert_eq!(replayed.status, 0, "{}", replayed.err);
    assert!(replayed.err.contains("as far as the trace goes"), "{}", replayed.err);
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let tool = Tool::new();
    tool.record("barrier", &["--smp", "4", "--workers", "1", "--schedule", "random:20"]);
    let mut dump = tool.command(&["dump"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut first = String::new();
    // More is written than a pipe holds, so the rest meets a closed one.
    BufReader::new(dump.stdout.take().unwrap()).read_line(&mut first).unwrap();
    assert!(first.starts_with("core "), "{first}");
    let mut err = String::new();
    dump.stderr.take().unwrap().read_to_string(&mut err).unwrap();
    assert_eq!((dump.wait().unwrap().code(), err.as_str()), (Some(0), ""));
}
