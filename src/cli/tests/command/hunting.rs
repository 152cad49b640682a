//! Hunts, and what `diff` says about their game.

use std::fs;

use crate::tool::{Tool, elf};

#[test]
fn a_hunt_keeps_what_failed_and_nothing_else() {
    let tool = Tool::new();
    let hunt =
        tool.run(&["hunt", "--until-fail", "-j", "2", "--smp", "2", "-n", "500", &elf("lost_update-broken")]);
    assert_eq!(hunt.status, 1, "{}{}", hunt.out, hunt.err);
    assert!(hunt.out.contains("the guest ended with status 1"), "{}", hunt.out);
    assert!(hunt.err.contains("cantus replay lost_update-broken-"), "{}", hunt.err);
    let list = tool.json(&["ls", "--json"]);
    let list = list.as_array().unwrap();
    assert!(!list.is_empty() && list.iter().all(|trace| trace["exit_status"] == 1), "{list:?}");
    assert_eq!(fs::read_dir(tool.folder()).unwrap().count(), list.len() + 1, "the traces and the link");
    for _ in 0..2 {
        tool.ok(&["verify"]);
    }
}

#[test]
fn a_hunt_catches_what_the_guest_says() {
    let tool = Tool::new();
    let hello = elf("hello");
    let hunt =
        tool.run(&["hunt", "--until-fail", "-n", "3", "--fail-on", "from hart 1", "--smp", "2", &hello]);
    assert_eq!(hunt.status, 1, "{}{}", hunt.out, hunt.err);
    assert!(hunt.out.contains("failed run 1: the guest printed \"from hart 1\""), "{}", hunt.out);
    tool.ok(&["verify"]);
    let hunt = tool.run(&["hunt", "-n", "3", "--fail-on", "from hart 2", "--smp", "2", &hello]);
    assert_eq!((hunt.status, hunt.out.as_str()), (0, "no run failed in 3 runs\n"), "{}", hunt.err);
    for refused in [["--fail-on", ""].as_slice(), &["--fail-on", "from hart 1", "--narrow"]] {
        let hunt = tool.run(&[&["hunt", "--smp", "2", &hello], refused].concat());
        assert_eq!(hunt.status, 64, "{refused:?}: {}", hunt.err);
    }
}

#[test]
fn a_hunt_is_repeatable() {
    let tool = Tool::new();
    let caught = |tool: &Tool| {
        let summary = tool.json(&[
            "hunt",
            "--json",
            "-n",
            "30",
            "--smp",
            "2",
            "--seed",
            "5",
            &elf("bank_transfer-broken"),
        ]);
        assert_eq!(summary["runs"], 30);
        let failed = summary["failed"].as_array().unwrap().clone();
        let facts = |run: &serde_json::Value| (run["run"].clone(), run["seed"].clone(), run["steps"].clone());
        failed.iter().map(facts).collect::<Vec<_>>()
    };
    let first = caught(&tool);
    assert!(!first.is_empty());
    assert_eq!(first, caught(&Tool::new()));
}

#[test]
fn a_failed_run_can_be_recorded_again_by_its_flags() {
    let tool = Tool::new();
    let guest = elf("bank_transfer-broken");
    let summary = tool.json(&["hunt", "--json", "--until-fail", "--smp", "2", &guest]);
    let failed = &summary["failed"][0];
    let (seed, schedule) = (failed["seed"].to_string(), failed["schedule"].as_str().unwrap());
    let flags = ["--smp", "2", "--workers", "1", "--seed", &seed, "--schedule", schedule];
    assert_eq!(tool.record("bank_transfer-broken", &flags), 1);
    let trace = failed["trace"].as_str().unwrap();
    assert_eq!(tool.run(&["diff", trace, "latest-trace"]).status, 0, "it is the same run");
}

#[test]
fn a_correct_guest_survives_a_hunt() {
    let tool = Tool::new();
    let hunt = tool.run(&["hunt", "-n", "20", "-j", "2", "--smp", "2", &elf("lost_update-fixed")]);
    assert_eq!((hunt.status, hunt.out.as_str()), (0, "no run failed in 20 runs\n"), "{}", hunt.err);
    assert_eq!(fs::read_dir(tool.folder()).unwrap().count(), 0, "no trace is kept");
}

#[test]
fn a_hang_is_a_failure() {
    let tool = Tool::new();
    let hunt = tool.run(&["hunt", "--until-fail", "-n", "500", "--smp", "2", &elf("lost_wakeup-broken")]);
    assert_eq!(hunt.status, 1, "{}{}", hunt.out, hunt.err);
    assert!(hunt.out.contains("hangs"), "{}", hunt.out);
    assert!(tool.ok(&["ls"]).contains("hung"));
    tool.ok(&["verify"]);
}

#[test]
fn a_line_of_the_console_is_a_failure_where_it_is_hunted_for() {
    let tool = Tool::new();
    let hunt = tool.run(&["hunt", "--until-fail", "-n", "2", "--stop-on", "^hello", &elf("hello")]);
    assert_eq!(hunt.status, 1, "{}{}", hunt.out, hunt.err);
    assert!(hunt.out.contains("a line of the console matched"), "{}", hunt.out);
    tool.ok(&["verify"]);
}

#[test]
fn diff_shows_where_the_bug_begins() {
    let tool = Tool::new();
    let sources = format!("{}/../../tests/guests", env!("CARGO_MANIFEST_DIR"));
    let guest = elf("bank_transfer-broken");
    let hunt = ["hunt", "--json", "--until-fail", "--narrow", "--smp", "2", &guest];
    let summary = tool.json(&hunt);
    let of = |name: &str| summary["failed"][0][name].as_str().unwrap().to_owned();
    let (passing, failing) = (of("passing"), of("trace"));
    let report = tool.path("report.xml");
    let flags = ["--source", &sources, "--junit", report.to_str().unwrap()];
    let diff = tool.run(&[&["diff", &passing, &failing][..], &flags].concat());
    assert_eq!(diff.status, 1, "{}{}", diff.out, diff.err);
    for words in
        ["bank_transfer.c:", "in withdraw()", "if (balances[account] < amount)", "The order differs:"]
    {
        assert!(diff.out.contains(words), "{words}: {}", diff.out);
    }
    let report = fs::read_to_string(report).unwrap();
    assert!(report.contains("failures=\"1\"") && report.contains("cantus.diff"), "{report}");
    let json = tool.json(&["diff", "--json", &passing, &failing]);
    assert_eq!(json["why"]["cause"]["kind"], "read");
    assert_eq!(json["why"]["cause"]["what"].as_str().unwrap().split('+').next(), Some("balances"));
}

#[test]
fn verify_leaves_a_report_for_ci() {
    let tool = Tool::new();
    tool.record("hello", &[]);
    let report = tool.path("report.xml");
    tool.ok(&["verify", "--junit", report.to_str().unwrap()]);
    let report = fs::read_to_string(report).unwrap();
    assert!(report.contains("tests=\"1\"") && report.contains("failures=\"0\""), "{report}");
}

#[test]
fn the_demo_tells_the_whole_story() {
    let tool = Tool::new();
    let story = tool.ok(&["demo"]);
    assert_eq!(story.matches("identical: ").count(), 3, "{story}");
    for words in
        ["fails: the guest ended with status 1", "bank_transfer.c:", "if (balances[account] < amount)"]
    {
        assert!(story.contains(words), "{words}: {story}");
    }
    let next = story.lines().find(|line| line.contains("cantus diff ")).unwrap();
    let names: Vec<&str> = next.split_whitespace().skip(2).collect();
    assert_eq!(tool.run(&["diff", names[0], names[1]]).status, 1, "what it proposes works");
}
