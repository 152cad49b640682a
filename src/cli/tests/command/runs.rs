//! Runs, records and replays of real guests.

use std::fs;
use std::io::Write;
use std::process::Stdio;

use crate::tool::{Tool, done, elf};

#[test]
fn a_run_has_its_guests_status_and_output() {
    let tool = Tool::new();
    let run = tool.run(&["run", &elf("hello"), "--smp", "2"]);
    assert_eq!((run.status, run.err.as_str()), (0, ""));
    assert!(run.out.contains("hello from hart 1 of 2"), "{}", run.out);
    assert_eq!(tool.run(&["run", &elf("htif_status"), "--smp", "2"]).status, 5);
    assert_eq!(tool.record("htif_status", &["--smp", "2"]), 5);
    assert_eq!(fs::read_dir(tool.folder()).unwrap().count(), 2, "a run leaves nothing");
}

#[test]
fn a_limit_ends_with_124_and_says_so() {
    let tool = Tool::new();
    let limited = tool.run(&["record", &elf("integer_loop"), "--max-instructions", "10k"]);
    assert_eq!(limited.status, 124);
    assert!(limited.err.contains("core 0 reached the limit"), "{}", limited.err);
    tool.ok(&["verify"]);
    assert!(tool.ok(&["ls"]).contains("limit reached"));
}

#[test]
fn a_line_of_the_console_ends_with_123_and_says_so() {
    let tool = Tool::new();
    let flags = ["--smp", "2", "--stop-on", r"^hello from hart \d of 2"];
    let recorded = tool.run(&[&["record", &elf("hello")], &flags[..]].concat());
    assert_eq!(recorded.status, 123, "{}", recorded.err);
    assert!(recorded.err.contains("a line of the console matched"), "{}", recorded.err);
    assert!(tool.ok(&["verify"]).starts_with("identical: "));
    assert_eq!(tool.run(&["replay"]).out, recorded.out);
    let reason = &tool.json(&["info", "--json"])["reason"]["matched"];
    assert!(reason.as_str().is_some_and(|line| line.starts_with("hello from hart ")), "{reason}");
    assert!(tool.ok(&["ls"]).contains("stopped on"));
    let run = tool.run(&[&["run", "--json", &elf("hello")], &flags[..]].concat());
    assert_eq!(run.status, 123, "{}", run.err);
    assert!(run.out.contains("\"matched\""), "{}", run.out);
    assert_eq!(tool.run(&["run", &elf("hello"), "--stop-on", "^from"]).status, 0, "no line matches");
}

#[test]
fn a_replay_is_the_recording_console_and_all() {
    let tool = Tool::new();
    let recorded = tool.run(&["record", &elf("amo_mix"), "--smp", "4"]);
    assert_eq!(recorded.status, 0, "{}", recorded.err);
    assert!(recorded.err.contains("amo_mix-1.cantus"), "{}", recorded.err);
    for _ in 0..3 {
        let replayed = tool.run(&["replay"]);
        assert_eq!((replayed.status, &replayed.out), (0, &recorded.out));
        assert!(replayed.err.starts_with("identical: "), "{}", replayed.err);
    }
    let verdict = tool.ok(&["verify", "amo_mix-1"]);
    assert!(verdict.starts_with("identical: ") && verdict.contains("on 4 cores"), "{verdict}");
}

#[test]
fn results_are_plain_data() {
    let tool = Tool::new();
    let recorded = tool.json(&["record", "--json", &elf("hello"), "--smp", "2"]);
    assert_eq!(recorded["outcome"], "exit");
    assert_eq!(recorded["status"], 0);
    assert!(recorded["console"].as_str().unwrap().contains("hello from hart 1"));
    let replayed = tool.json(&["replay", "--json"]);
    assert_eq!(replayed["verdict"], "identical");
    assert_eq!(replayed["console"], recorded["console"]);
    assert_eq!(replayed["steps"], recorded["steps"]);
    assert_eq!(tool.json(&["verify", "--json"])["verdict"], "identical");
    let info = tool.json(&["info", "--json"]);
    assert_eq!(info["header"]["configuration"]["cores"], 2);
    assert_eq!(info["condition"], "complete");
    let events = tool.ok(&["dump", "--json"]);
    assert!(events.lines().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()), "{events}");
}

#[test]
fn console_input_is_recorded() {
    let tool = Tool::new();
    let echo = elf("echo");
    let mut recorder =
        tool.command(&["record", &echo]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    recorder.stdin.take().unwrap().write_all(b"a line\n").unwrap();
    let recorded = done(&recorder.wait_with_output().unwrap());
    assert!(recorded.out.contains("A LINE"), "{}", recorded.out);
    let replayed = tool.run(&["replay"]);
    assert_eq!((replayed.status, replayed.out), (0, recorded.out));
    assert!(tool.ok(&["dump"]).contains("a line\\n"));
}

#[test]
fn a_signature_is_written_at_the_end() {
    let tool = Tool::new();
    let file = tool.path("signature");
    let file = file.to_str().unwrap();
    tool.ok(&["run", &elf("signature"), "--signature", file]);
    let words = fs::read_to_string(file).unwrap();
    let is_word =
        |line: &str| line.len() == 8 && line.bytes().all(|byte| b"0123456789abcdef".contains(&byte));
    assert!(!words.is_empty() && words.lines().all(is_word), "{words}");
    tool.ok(&["run", &elf("signature"), "--signature", file, "--signature-granularity", "8"]);
    assert!(fs::read_to_string(file).unwrap().lines().all(|line| line.len() == 16));
    let none = tool.run(&["run", &elf("hello"), "--signature", file]);
    assert_eq!(none.status, 65, "{}", none.err);
}

#[test]
fn a_guest_that_was_left_out_must_be_given() {
    let tool = Tool::new();
    let hello = elf("hello");
    assert_eq!(tool.record("hello", &["--without-images"]), 0);
    let missing = tool.run(&["replay"]);
    assert_eq!(missing.status, 66, "{}", missing.err);
    assert!(missing.err.contains("--guest"), "{}", missing.err);
    assert_eq!(tool.run(&["replay", "--guest", &elf("timer")]).status, 66, "another file is not it");
    tool.ok(&["replay", "--guest", &hello]);
    tool.ok(&["verify", "--guest", &hello]);
    tool.ok(&["dump", "--places", "--guest", &hello]);
}

#[test]
fn large_images_may_stay_outside_of_the_trace_and_are_checked() {
    let tool = Tool::new();
    let (large, small) = (tool.path("large.img"), tool.path("small.img"));
    fs::write(&large, vec![7; 2 << 20]).unwrap();
    fs::write(&small, vec![8; 4096]).unwrap();
    let [large_name, small_name] = [&large, &small].map(|path| path.to_str().unwrap());
    let flags = ["--external", "--drive", large_name, "--drive", small_name];
    assert_eq!(tool.record("hello", &flags), 0);
    let images = tool.json(&["info", "--json"])["header"]["images"].clone();
    let stored: Vec<_> = images.as_array().unwrap().iter().map(|image| &image["stored"]).collect();
    assert_eq!(stored, [true, false, true], "{images}");
    fs::remove_file(&small).unwrap();
    tool.ok(&["verify"]);
    tool.ok(&["record", "--from", "@50%", "-o", tool.path("on.cantus").to_str().unwrap()]);
    fs::remove_file(tool.path("latest-trace")).ok();
    let moved = tool.path("moved.img");
    fs::rename(&large, &moved).unwrap();
    let missing = tool.run(&["verify", "hello-1"]);
    assert_eq!(missing.status, 66, "{}", missing.err);
    assert!(missing.err.contains(large_name) && missing.err.contains("--guest"), "{}", missing.err);
    tool.ok(&["verify", "hello-1", "--guest", moved.to_str().unwrap()]);
    tool.ok(&["record", "--from", "hello-1@50%", "--drive", moved.to_str().unwrap()]);
    // Its digest is checked, and both are said.
    fs::write(&large, vec![9; 2 << 20]).unwrap();
    let changed = tool.run(&["verify", "hello-1"]);
    assert_eq!(changed.status, 65, "{}", changed.err);
    let digests = changed.err.split(|character: char| !character.is_ascii_hexdigit());
    assert_eq!(digests.filter(|word| word.len() == 64).count(), 2, "{}", changed.err);
    assert!(changed.err.contains(large_name), "{}", changed.err);
    // What is written through changes, and is in the trace.
    fs::write(&large, vec![7; 2 << 20]).unwrap();
    let through = format!("{large_name},write-through");
    assert_eq!(tool.record("hello", &["--external", "--drive", &through]), 0);
    fs::write(&large, vec![1; 2 << 20]).unwrap();
    tool.ok(&["verify"]);
}

#[test]
fn info_shows_the_configuration() {
    let tool = Tool::new();
    tool.record("hello", &["--smp", "3", "-m", "64M", "--seed", "9", "--workers", "1"]);
    let info = tool.ok(&["info"]);
    for (name, value) in [("cores", "3"), ("seed", "9"), ("workers", "1"), ("ended", "status 0")] {
        let line = info.lines().find(|line| line.starts_with(name)).unwrap();
        assert!(line.ends_with(&format!(" {value}")), "{line}");
    }
    assert!(info.contains("64 MiB of RAM") && info.contains("hello.elf"), "{info}");
}

#[test]
fn dump_selects_by_core_and_range() {
    let tool = Tool::new();
    tool.record(
        "barrier",
        &["--smp", "2", "--workers", "1", "--schedule", "random:100", "--digest-interval", "500"],
    );
    let positions = |arguments: &[&str]| -> Vec<(u64, u64)> {
        let lines = tool.ok(&[&["dump", "--json"], arguments].concat());
        let event = |line: &str| {
            let event: serde_json::Value = serde_json::from_str(line).unwrap();
            (event["core"].as_u64().unwrap(), event["position"].as_u64().unwrap())
        };
        lines.lines().map(event).collect()
    };
    let all = positions(&[]);
    assert!(all.len() > 20, "{}", all.len());
    let expected: Vec<_> =
        all.iter().filter(|(_, position)| (1000..2000).contains(position)).copied().collect();
    assert_eq!(positions(&["1000..2000"]), expected, "a range of the latest trace");
    assert_eq!(positions(&["barrier-1", "1k..2k"]), expected);
    assert!(positions(&["--core", "1"]).iter().all(|(core, _)| *core == 1));
    assert_eq!(tool.run(&["dump", "--core", "2"]).status, 64, "there is no such core");
}

#[test]
fn normalised_dumps_of_equal_runs_are_equal() {
    let tool = Tool::new();
    let flags = ["--smp", "2", "--workers", "1", "--schedule", "random:100", "--seed", "4"];
    for interval in ["500", "700"] {
        tool.record("bank_transfer-fixed", &[&flags[..], &["--digest-interval", interval]].concat());
    }
    let dump = |name| tool.ok(&["dump", "--normalised", name]);
    let normalised = dump("bank_transfer-fixed-1");
    assert_eq!(normalised, dump("bank_transfer-fixed-2"));
    assert!(normalised.contains("in withdraw()"), "{normalised}");
    assert!(!normalised.contains("0x8000"), "no address: {normalised}");
    let same = tool.run(&["diff", "bank_transfer-fixed-1", "bank_transfer-fixed-2"]);
    assert_eq!(same.status, 0, "{}{}", same.out, same.err);
    assert!(same.out.ends_with("The executions are the same.\n"), "{}", same.out);
}

/// Sets up the queue of the first virtio device with rings at address 0, notifies of it, and ends the run.
const CARELESS_DRIVER: [u32; 10] = [
    0x1000_12b7, // lui t0, 0x10001
    0x0010_0313, // li t1, 1
    0x0462_a223, // sw t1, 0x44(t0)
    0x0040_0313, // li t1, 4
    0x0662_a823, // sw t1, 0x70(t0)
    0x0402_a823, // sw zero, 0x50(t0)
    0x0010_02b7, // lui t0, 0x100
    0x0000_5337, // lui t1, 5
    0x5553_0313, // addi t1, t1, 0x555
    0x0062_a023, // sw t1, 0(t0)
];

#[test]
fn a_device_that_needs_a_reset_is_told_of_on_the_standard_error() {
    let tool = Tool::new();
    let guest = tool.path("careless");
    fs::write(&guest, CARELESS_DRIVER.map(u32::to_le_bytes).concat()).unwrap();
    let guest = guest.to_str().unwrap();
    let warning = "warning: virtio slot 0: virtio-entropy needs a reset: its driver gave it an address outside of RAM\n";
    let run = tool.run(&["run", "--rng", guest]);
    assert_eq!((run.status, run.out.as_str(), run.err.as_str()), (0, "", warning));
    assert_eq!(tool.run(&["run", "--rng", "-q", guest]).err, "", "who wants results alone gets no warnings");
    for verb in [&["record", "--rng", guest][..], &["replay"]] {
        let done = tool.run(verb);
        assert_eq!((done.status, done.err.matches(warning).count()), (0, 1), "{verb:?}: {}", done.err);
    }
}
