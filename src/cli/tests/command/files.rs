//! Files that are missing, damaged, or not what they should be.

use std::fs;

use crate::tool::{Tool, elf};

#[test]
fn a_missing_trace_ends_with_66() {
    let tool = Tool::new();
    for arguments in [
        &["replay", "nowhere"][..],
        &["verify", "nowhere"],
        &["dump", "nowhere"],
        &["info", "nowhere"],
        &["rm", "nowhere"],
        &["replay"],
    ] {
        let done = tool.run(arguments);
        assert_eq!(done.status, 66, "{arguments:?}: {}", done.err);
        assert!(done.err.starts_with("cantus: "), "{}", done.err);
    }
    let told = tool.run(&["replay", "nowhere"]).err;
    assert!(told.contains("nowhere") && told.contains("cantus ls"), "{told}");
}

#[test]
fn a_missing_guest_ends_with_66_and_a_folder_with_74() {
    let tool = Tool::new();
    for verb in ["run", "record", "hunt"] {
        assert_eq!(tool.run(&[verb, "/no/such/guest.elf"]).status, 66);
        assert_eq!(tool.run(&[verb, "/"]).status, 74);
    }
    assert_eq!(fs::read_dir(tool.folder()).unwrap().count(), 0, "nothing is left behind");
}

#[test]
fn what_a_kernel_and_devices_need_must_be_there() {
    let tool = Tool::new();
    let kernel = tool.path("kernel");
    fs::write(&kernel, [0x73; 8]).unwrap();
    let kernel = kernel.to_str().unwrap();
    let missing = "/no/such/file";
    let start = ["record", "--kernel", kernel, "-m", "16M"];
    let table: [&[&str]; 7] = [
        &["record", "--kernel", missing],
        &[&start[..], &["--initrd", missing]].concat(),
        &[&start[..], &["--firmware", missing]].concat(),
        &[&start[..], &["--drive", missing]].concat(),
        &[&start[..], &["--share", "data=/no/such/file"]].concat(),
        &[&start[..], &["--drive", "/no/such/file,write-through"]].concat(),
        &["run", "--kernel", missing],
    ];
    for arguments in table {
        let done = tool.run(arguments);
        assert_eq!(done.status, 66, "{arguments:?}: {}", done.err);
        assert!(done.err.contains(missing), "{arguments:?}: {}", done.err);
    }
    let large = tool.path("large");
    fs::write(&large, vec![1; 20 << 20]).unwrap();
    let done = tool.run(&[&start[..], &["--initrd", large.to_str().unwrap()]].concat());
    assert_eq!(done.status, 65, "{}", done.err);
    assert!(done.err.contains("give the machine more RAM"), "{}", done.err);
    assert_eq!(tool.ok(&["ls"]).lines().count(), 1, "no trace is left behind");
}

#[test]
fn a_guest_that_is_no_program_ends_with_65() {
    let tool = Tool::new();
    let bytes = fs::read(elf("hello")).unwrap();
    let torn = tool.path("torn.elf");
    fs::write(&torn, &bytes[..200]).unwrap();
    for verb in ["run", "record", "hunt"] {
        let done = tool.run(&[verb, torn.to_str().unwrap()]);
        assert_eq!(done.status, 65, "{}", done.err);
        assert!(done.err.contains("torn.elf"), "{}", done.err);
    }
    assert_eq!(tool.ok(&["ls"]).lines().count(), 1, "no trace is left behind");
    assert!(!tool.path("latest-trace").is_symlink(), "nor a link to one");
}

#[test]
fn what_is_no_trace_ends_with_65() {
    let tool = Tool::new();
    let text = tool.path("text.cantus");
    for contents in [&b""[..], b"hello", &[0; 5000]] {
        fs::write(&text, contents).unwrap();
        for verb in ["replay", "verify", "dump", "info"] {
            let done = tool.run(&[verb, "text"]);
            assert_eq!(done.status, 65, "{verb}: {}", done.err);
            assert!(done.err.contains("text.cantus"), "{verb}: {}", done.err);
        }
    }
}

#[test]
fn diff_ends_with_2_for_every_trouble() {
    let tool = Tool::new();
    tool.record("hello", &[]);
    tool.record("timer", &[]);
    fs::write(tool.path("text.cantus"), "text").unwrap();
    for other in ["nowhere", "text", "timer-1"] {
        let done = tool.run(&["diff", "hello-1", other]);
        assert_eq!(done.status, 2, "{other}: {}", done.err);
        assert_eq!(done.out, "", "{other}");
    }
}

#[test]
fn damaged_traces_are_reported_and_never_panic() {
    let tool = Tool::new();
    tool.record("bank_transfer-broken", &["--smp", "2", "--digest-interval", "1000"]);
    let good = fs::read(tool.path("bank_transfer-broken-1.cantus")).unwrap();
    let bad = tool.path("bad.cantus");
    for at in (0..good.len()).step_by(good.len() / 40) {
        let mut bytes = good.clone();
        bytes[at] ^= 0x40;
        fs::write(&bad, &bytes).unwrap();
        for verb in ["verify", "dump", "info"] {
            let done = tool.run(&[verb, "bad"]);
            assert!([0, 3, 65].contains(&done.status), "{verb}, byte {at}: {} {}", done.status, done.err);
        }
        assert_ne!(tool.run(&["verify", "bad"]).status, 0, "byte {at} is noticed");
    }
}

#[test]
fn a_torn_trace_replays_as_far_as_it_goes() {
    let tool = Tool::new();
    tool.record("bank_transfer-broken", &["--smp", "2", "--digest-interval", "1000"]);
    let good = fs::read(tool.path("bank_transfer-broken-1.cantus")).unwrap();
    fs::write(tool.path("torn.cantus"), &good[..good.len() * 95 / 100]).unwrap();
    let done = tool.run(&["verify", "torn"]);
    assert_eq!(done.status, 0, "{}{}", done.out, done.err);
    assert!(done.out.contains("as far as the trace goes"), "{}", done.out);
    assert!(done.out.contains("note: the recorder was stopped before the end"), "{}", done.out);
    assert!(tool.ok(&["ls"]).contains("incomplete"));
}

#[test]
fn a_trace_is_not_overwritten_unless_forced() {
    let tool = Tool::new();
    let (hello, trace) = (elf("hello"), tool.path("mine.cantus"));
    let trace = trace.to_str().unwrap();
    assert_eq!(tool.run(&["record", "-o", trace, &hello]).status, 0);
    let before = fs::read(trace).unwrap();
    let done = tool.run(&["record", "-o", trace, &elf("timer")]);
    assert_eq!(done.status, 64);
    assert!(done.err.contains("mine.cantus") && done.err.contains("--force"), "{}", done.err);
    assert_eq!(fs::read(trace).unwrap(), before);
    assert_eq!(tool.run(&["record", "--force", "-o", trace, &elf("timer")]).status, 0);
    assert_eq!(
        tool.json(&["info", "--json"])["header"]["images"][0]["name"],
        "timer.elf",
        "it is the latest, too"
    );
}

#[test]
fn devices_and_folders_are_not_replaced() {
    let tool = Tool::new();
    let folder = tool.folder().to_str().unwrap();
    for target in ["/dev/full", folder] {
        assert_eq!(tool.run(&["record", "--force", "-o", target, &elf("hello")]).status, 64, "{target}");
        assert!(fs::metadata(target).is_ok());
    }
}

#[test]
fn a_folder_that_cannot_be_is_an_io_error() {
    let tool = Tool::new();
    let hello = elf("hello");
    let mut command = tool.command(&["record", &hello]);
    let done = crate::tool::done(&command.env("CANTUS_TRACE_DIR", "/dev/null/traces").output().unwrap());
    assert_eq!(done.status, 74, "{}", done.err);
    assert!(done.err.contains("CANTUS_TRACE_DIR"), "{}", done.err);
}

#[test]
fn without_a_home_there_is_no_folder() {
    let tool = Tool::new();
    let mut command = tool.command(&["ls"]);
    let done =
        crate::tool::done(&command.env_remove("CANTUS_TRACE_DIR").env_remove("HOME").output().unwrap());
    assert_eq!(done.status, 69, "{}", done.err);
}

#[test]
fn a_full_disk_under_the_results_is_an_io_error() {
    let tool = Tool::new();
    tool.record("hello", &[]);
    let hello = elf("hello");
    for arguments in [&["info"][..], &["replay"], &["run", &hello], &["record", &hello]] {
        let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let output = tool.command(arguments).stdout(full).output().unwrap();
        assert_eq!(output.status.code(), Some(74), "{arguments:?}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("standard output"), "{arguments:?}");
    }
    // What the guest printed while it was recorded is not lost.
    assert_eq!(tool.run(&["replay"]).out, "hello from hart 0 of 1\nhello: every hart was here\n");
}
