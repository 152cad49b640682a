//! Checkpoints and moments, as users meet them.

use crate::tool::{Tool, elf};

const FLAGS: [&str; 8] =
    ["--smp", "2", "--workers", "1", "--checkpoint-every", "2k", "--schedule", "random:300"];

#[test]
fn a_replay_begins_at_a_checkpoint_and_says_so() {
    let tool = Tool::new();
    assert_eq!(tool.record("bank_transfer-fixed", &FLAGS), 0);
    let whole = tool.json(&["verify", "--json"]);
    let steps = |verdict: &serde_json::Value| -> u64 {
        verdict["steps"].as_array().unwrap().iter().map(|steps| steps.as_u64().unwrap()).sum()
    };
    let total = steps(&whole);
    assert!(total > 6_000, "{whole}");
    assert_eq!((whole.get("from"), whole.get("to"), whole.get("stretches")), (None, None, None));
    let late = tool.json(&["replay", "--json", "--from", "100%"]);
    assert_eq!(late["verdict"], "identical", "{late}");
    let begun = late["from"]["steps"].as_u64().unwrap();
    assert!(begun > total / 2 && steps(&late) == total, "{late}");
    let part = tool.json(&["replay", "--json", "--from", "5000", "--to", "6k"]);
    assert_eq!((steps(&part), &part["verdict"]), (6_000, &"identical".into()), "{part}");
    let said = tool.run(&["replay", "--from", "1:2000", "--to", "1:2_500"]);
    assert_eq!(said.status, 0, "{}", said.err);
    assert!(said.err.contains("from the checkpoint of cut") && said.err.contains("up to"), "{}", said.err);
}

#[test]
fn stretches_verify_side_by_side() {
    let tool = Tool::new();
    tool.record("bank_transfer-fixed", &FLAGS);
    let verified = tool.json(&["verify", "-j", "2", "--json"]);
    assert_eq!(verified["verdict"], "identical", "{verified}");
    assert!(verified["stretches"].as_u64().unwrap() > 3, "{verified}");
    assert_eq!(verified["steps"], tool.json(&["verify", "--json"])["steps"]);
    // Without a checkpoint, the whole is the one stretch.
    tool.record("bank_transfer-fixed", &["--checkpoint-every", "0"]);
    assert_eq!(tool.run(&["verify", "-j", "3"]).status, 0);
}

#[test]
fn moments_that_are_not_there_are_usage_errors() {
    let tool = Tool::new();
    tool.record("bank_transfer-fixed", &FLAGS);
    for (moment, says) in [
        ("99G", "steps of all cores"),
        ("5:10", "2 cores"),
        ("0:99G", "ends at position"),
        ("cut:9999", "the last cut"),
        ("101%", "0% to 100%"),
        ("noon", "expected a moment"),
    ] {
        for flag in ["--from", "--to"] {
            let refused = tool.run(&["replay", flag, moment]);
            assert_eq!(refused.status, 64, "{flag} {moment}: {}", refused.err);
            assert!(refused.err.contains(says), "{flag} {moment}: {}", refused.err);
        }
    }
    let backwards = tool.run(&["replay", "--from", "90%", "--to", "10%"]);
    assert_eq!(backwards.status, 64, "{}", backwards.err);
    let bad = tool.run(&["record", &elf("hello"), "--checkpoint-every", "often"]);
    assert_eq!(bad.status, 64, "{}", bad.err);
}

#[test]
fn a_recording_goes_on_from_a_moment_of_another() {
    let tool = Tool::new();
    assert_eq!(tool.record("bank_transfer-fixed", &FLAGS), 0);
    let other = ["record", "--from", "bank_transfer-fixed-1@40%", "--schedule", "random:50", "--seed", "9"];
    let went_on = tool.run(&other);
    assert_eq!(went_on.status, 0, "{}", went_on.err);
    assert!(went_on.err.contains("bank_transfer-fixed-2.cantus"), "{}", went_on.err);
    tool.ok(&["rm", "bank_transfer-fixed-1"]);
    let verified = tool.json(&["verify", "--json"]);
    assert_eq!(verified["verdict"], "identical", "{verified}");
    let begun = verified["from"]["steps"].as_u64().unwrap();
    assert!(begun > 1_000, "{verified}");
    assert_eq!(tool.json(&["verify", "-j", "2", "--json"])["verdict"], "identical");
    assert_eq!(tool.json(&["info", "--json"])["header"]["configuration"]["cores"], 2);
    assert!(tool.ok(&["dump"]).contains("cut"), "events of the new run");
    assert_eq!(tool.run(&["replay", "--to", "1"]).status, 64, "before the trace");
    // Two runs from one moment differ where they differ, and the latest is the default.
    tool.ok(&["record", "--from", "@50%", "-o", tool.path("third.cantus").to_str().unwrap()]);
    tool.ok(&["verify", tool.path("third.cantus").to_str().unwrap()]);
    tool.ok(&[
        "record",
        "--from",
        "bank_transfer-fixed-2@50%",
        "-o",
        tool.path("same.cantus").to_str().unwrap(),
    ]);
    let [one, two] = ["third.cantus", "same.cantus"].map(|name| tool.path(name));
    let diff = tool.run(&["diff", one.to_str().unwrap(), two.to_str().unwrap()]);
    assert!(diff.status < 2, "{}{}", diff.out, diff.err);
}

#[test]
fn moments_that_nothing_can_go_on_from_are_refused() {
    let tool = Tool::new();
    tool.record("bank_transfer-fixed", &FLAGS);
    let hello = elf("hello");
    for (status, arguments) in [
        (64, &["--from", "bank_transfer-fixed-1"][..]),
        (64, &["--from", "bank_transfer-fixed-1@noon"]),
        (64, &["--from", "bank_transfer-fixed-1@99G"]),
        (64, &["--from", "bank_transfer-fixed-1@9:1"]),
        (64, &["--from", "bank_transfer-fixed-1@40%", "--smp", "2"]),
        (64, &["--from", "bank_transfer-fixed-1@40%", "--rng"]),
        (64, &["--from", "bank_transfer-fixed-1@40%", "--kernel", &hello]),
        (66, &["--from", "nothing@40%"]),
        (65, &["--from", &format!("{hello}@40%")]),
        (64, &[]),
    ] {
        let refused = tool.run(&[&["record"], arguments].concat());
        assert_eq!(refused.status, status, "{arguments:?}: {}", refused.err);
        assert!(
            !refused.err.is_empty() && !refused.err.contains("panicked"),
            "{arguments:?}: {}",
            refused.err
        );
    }
}

#[test]
fn a_moment_may_be_an_event_as_dump_numbers_them() {
    let tool = Tool::new();
    tool.record("bank_transfer-fixed", &FLAGS);
    let dumped = tool.ok(&["dump", "--json", "--core", "1"]);
    let events: Vec<serde_json::Value> =
        dumped.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let event = &events[events.len() / 2];
    let (number, position) = (event["index"].as_u64().unwrap(), event["position"].as_u64().unwrap());
    assert_eq!(number, events.len() as u64 / 2, "{event}");
    let line = tool.ok(&["dump", "--core", "1", &format!("{position}..")]);
    assert!(
        line.lines().any(|line| line.starts_with(&format!("core 1   {:>7} ", format!("#{number}")))),
        "{line}"
    );
    let moment = format!("event:1:{number}");
    let replayed = tool.json(&["replay", "--json", "--to", &moment]);
    assert_eq!((&replayed["steps"][1], &replayed["verdict"]), (&position.into(), &"identical".into()));
    tool.ok(&["replay", "--from", &moment]);
    tool.ok(&["record", "--from", &format!("@{moment}")]);
    let begun = tool.json(&["verify", "--json"]);
    assert_eq!(begun["verdict"], "identical", "{begun}");
    for (moment, says) in
        [("event:1:99999999", "not so many events"), ("event:2:0", "2 cores"), ("event:1", "event:2:7")]
    {
        let refused = tool.run(&["replay", "--to", moment]);
        assert_eq!(refused.status, 64, "{moment}: {}", refused.err);
        assert!(refused.err.contains(says), "{moment}: {}", refused.err);
    }
}

/// What a recording goes on with that names devices which its machine has, or has not.
#[test]
fn devices_that_are_named_again_are_connected_again() {
    let tool = Tool::new();
    let image = tool.path("image");
    std::fs::write(&image, (0..64).flat_map(|sector| [sector; 512]).collect::<Vec<u8>>()).unwrap();
    let (image, folder) = (image.to_str().unwrap(), tool.folder().to_str().unwrap());
    let share = format!("here={folder}");
    let devices = ["--drive", image, "--net", "none", "--share", &share, "--checkpoint-every", "20k"];
    assert_eq!(tool.record("virtio_block", &devices), 0);
    let through = tool.path("through");
    let through_flag = format!("{},write-through", through.to_str().unwrap());
    let from = ["record", "--from", "virtio_block-1@40%"];
    tool.ok(&[&from[..], &["--net", "user", "--share", &share, "--drive", &through_flag]].concat());
    assert_eq!(tool.json(&["verify", "--json"])["verdict"], "identical");
    let (held, before) = (std::fs::read(&through).unwrap(), std::fs::read(image).unwrap());
    assert_eq!(held.len(), before.len());
    assert!(
        held[512..1024] != before[512..1024] && held[2048..] == before[2048..],
        "hart 0 writes to sector 1"
    );
    // Nothing is behind what is not named.
    tool.ok(&from);
    for (flag, value, says) in [
        ("--drive", through_flag.as_str(), "holds neither"),
        ("--drive", &format!("{image},readonly"), "not read-only"),
        ("--drive", &elf("hello"), "digest"),
        ("--net", "none,mac=52:54:00:00:00:77", "52:54:00:12:34:56"),
        ("--share", &format!("there={folder}"), "no share 'there', but 'here'"),
    ] {
        let refused = tool.run(&[&from[..], &[flag, value]].concat());
        assert_eq!(refused.status, 65, "{flag} {value}: {}", refused.err);
        assert!(refused.err.contains(says), "{flag} {value}: {}", refused.err);
    }
    for flags in [["--net", "none", "--net", "none"], ["--drive", image, "--drive", image]] {
        let refused = tool.run(&[&from[..], &flags].concat());
        assert_eq!(refused.status, 65, "{}", refused.err);
        assert!(refused.err.contains("one more is given"), "{}", refused.err);
    }
}

#[test]
fn a_flight_recorder_keeps_the_last_stretch_before_a_line() {
    let tool = Tool::new();
    let keep = ["--keep-last", "20k", "--stop-on", "(?i)pass"];
    let flags = [&FLAGS[..], &keep[..]].concat();
    let status = tool.record("contended_lock", &flags);
    assert!(status == 123 || status == 0, "{status}");
    let verified = tool.json(&["verify", "--json"]);
    assert_eq!(verified["verdict"], "identical", "{verified}");
    assert!(verified["from"]["steps"].as_u64().is_some_and(|steps| steps > 0), "{verified}");
    for bad in ["9ms", "60x", "10"] {
        assert_eq!(tool.run(&["record", &elf("hello"), "--keep-last", bad]).status, 64, "{bad}");
    }
}
