//! Help, usage errors, and what is generated from the same definitions.

use crate::tool::{Tool, elf};

const VERBS: [&str; 13] = [
    "run",
    "record",
    "replay",
    "verify",
    "diff",
    "dump",
    "info",
    "ls",
    "rm",
    "hunt",
    "demo",
    "completions",
    "man",
];

#[test]
fn help_is_a_result() {
    insta::assert_snapshot!("help", Tool::new().ok(&["--help"]));
}

#[test]
fn every_verb_has_help() {
    for verb in VERBS {
        insta::assert_snapshot!(format!("help_{verb}"), Tool::new().ok(&[verb, "--help"]));
    }
}

#[test]
fn the_version_is_a_result() {
    assert_eq!(Tool::new().ok(&["--version"]), format!("cantus {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn usage_errors_end_with_64() {
    let tool = Tool::new();
    let hello = elf("hello");
    let too_many = [vec!["run", &hello, "--rng", "--virtio-console"], ["--net", "none"].repeat(7)].concat();
    let wrong: [&[&str]; 38] = [
        &[],
        &["fly"],
        &["--fly"],
        &["run"],
        &["run", &hello, "--smp", "0"],
        &["run", &hello, "--smp", "256"],
        &["run", &hello, "--smp", "two"],
        &["run", &hello, "-m", "0"],
        &["run", &hello, "-m", "5X"],
        &["run", &hello, "-m", "1K"],
        &["run", &hello, "-m", "100G"],
        &["run", &hello, "--workers", "0"],
        &["run", &hello, "--clock", "sun"],
        &["run", &hello, "--schedule", "fast"],
        &["run", &hello, "--signature-granularity", "4"],
        &["run", &hello, "--signature", "x", "--signature-granularity", "5"],
        &["run", &hello, "-q", "-v"],
        &["run", &hello, "--executor", "interp", "--perf-map"],
        &["run", &hello, &hello],
        &["run", &hello, "--stop-on", "(unfinished"],
        &["hunt", &hello, "--stop-on", r"\w{1000}{1000}"],
        &["record", &hello, "--keep-last", "0"],
        &["record", &hello, "--keep-last", "long"],
        &["run", &hello, "--kernel", &hello],
        &["run", &hello, "--initrd", &hello],
        &["run", &hello, "--append", "quiet"],
        &["run", &hello, "--firmware", &hello],
        &["run", "--initrd", &hello],
        &["run", &hello, "--drive", "disk,format=qcow2"],
        &["run", &hello, "--net", "bridge=br0"],
        &["run", &hello, "--share", "nowhere"],
        &too_many,
        &["diff", "one"],
        &["dump", "x", "20..10"],
        &["rm"],
        &["completions", "csh9"],
        &["man", "fly"],
        &["hunt", &hello, "-j", "0"],
    ];
    for arguments in wrong {
        let done = tool.run(arguments);
        assert_eq!(done.status, 64, "{arguments:?}: {}", done.err);
        assert_eq!(done.out, "", "{arguments:?}: errors are no results");
        assert!(!done.err.is_empty(), "{arguments:?}");
    }
}

#[test]
fn a_number_that_cannot_be_is_told_with_its_flag_and_what_is_expected() {
    let tool = Tool::new();
    let hello = elf("hello");
    let cases: [(&[&str], &str); 15] = [
        (&["run", &hello, "--smp", "-1"], "'-1' for '--smp <N>': expected a number from 1 to 255"),
        (&["run", &hello, "--smp=256"], "'256' for '--smp <N>': expected a number from 1 to 255"),
        (&["record", &hello, "--smp", "--rng"], "'--rng' for '--smp <N>': expected a number from 1 to 255"),
        (&["run", &hello, "-m", "-1G"], "'-1G' for '--memory <SIZE>': expected a size, such as 256M"),
        (&["run", &hello, "--workers", "-2"], "'-2' for '--workers <N>': expected a number from 1 to 1024"),
        (&["run", &hello, "--seed", "-1"], "'-1' for '--seed <N>': expected a number from 0 to "),
        (&["run", &hello, "--max-instructions", "-1M"], "for '--max-instructions <N>': expected a number"),
        (&["run", &hello, "--choices", "-1"], "for '--choices <N>': expected a number"),
        (&["record", &hello, "--digest-interval", "-1"], "for '--digest-interval <N>': expected a number"),
        (&["record", &hello, "--checkpoint-every", "-1"], "for '--checkpoint-every <N>': expected a number"),
        (
            &["record", &hello, "--keep-last", "-5s"],
            "for '--keep-last <TIME|N>': expected a time such as 60s",
        ),
        (&["hunt", &hello, "-n", "-1"], "for '--runs <N>': expected a number"),
        (&["hunt", &hello, "-j", "-1"], "for '--jobs <N>': expected a number from 1 to 1024"),
        (&["dump", "--core", "-1"], "for '--core <N>': cores are numbered from 0 to 254"),
        (&["replay", "--from", "-40%"], "for '--from <MOMENT>': expected 0% to 100%"),
    ];
    for (arguments, told) in cases {
        let done = tool.run(arguments);
        assert_eq!((done.status, done.out.as_str()), (64, ""), "{arguments:?}");
        assert!(done.err.contains(told), "{arguments:?}: {}", done.err);
    }
}

#[test]
fn completions_know_the_verbs() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = Tool::new().ok(&["completions", shell]);
        for word in ["hunt", "until-fail", "max-instructions"] {
            assert!(script.contains(word), "{shell}: {word}");
        }
    }
}

#[test]
fn the_manual_page_is_roff() {
    let page = Tool::new().ok(&["man"]);
    assert!(page.contains(".TH cantus 1"), "{page}");
    assert!(page.contains("cantus\\-record(1)"), "{page}");
    let page = Tool::new().ok(&["man", "hunt"]);
    assert!(page.contains(".TH cantus-hunt 1"), "{page}");
    assert!(page.contains("until\\-fail"), "{page}");
}

#[test]
fn no_colour_where_there_is_no_terminal() {
    let tool = Tool::new();
    tool.record("hello", &["--smp", "2"]);
    for arguments in [&["ls"][..], &["info"], &["verify"], &["--help"], &["replay", "nothing"], &["--wrong"]]
    {
        let done = tool.run(arguments);
        assert!(
            !done.out.contains('\x1b') && !done.err.contains('\x1b'),
            "{arguments:?}: {}{}",
            done.out,
            done.err
        );
    }
}
