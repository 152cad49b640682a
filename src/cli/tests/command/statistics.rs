//! What verbs tell of what they have done, and the map of translated code.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Stdio;

use serde_json::Value;

use crate::tool::{Tool, done, elf};

fn number(value: &Value, path: &str) -> u64 {
    value.pointer(path).and_then(Value::as_u64).unwrap_or_else(|| panic!("{path} in {value}"))
}

/// What has to hold of any statistics of a run of so many instructions.
fn check(statistics: &Value, steps: u64) {
    let of = |path: &str| number(statistics, path);
    let all = of("/instructions/all");
    assert_eq!(all, steps, "{statistics}");
    let [translated, left, interpreted] =
        ["translated", "left_by_code", "interpreted"].map(|part| of(&format!("/instructions/{part}")));
    assert_eq!(translated + left + interpreted, all, "{statistics}");
    assert!(of("/blocks/decoded") > 0 && of("/tlb/misses") > 0 && of("/tlb/fills") > 0, "{statistics}");
    if statistics["code"].is_null() {
        assert_eq!((of("/blocks/translated"), interpreted), (0, all), "{statistics}");
        return;
    }
    let units = of("/code/units");
    assert!(0 < units && units <= of("/blocks/translated"), "{statistics}");
    let exits = ["spent", "unlinked", "elsewhere", "stale", "step"];
    let left: u64 = exits.iter().map(|way| of(&format!("/code/exits/{way}"))).sum();
    let (entries, run) = (of("/code/entries"), of("/code/blocks_run"));
    assert_eq!(entries, left, "every way out is counted once: {statistics}");
    assert!(run >= entries && run <= translated + of("/instructions/left_by_code"), "{statistics}");
    assert_eq!(of("/code/chained_per_million"), (run - entries) * 1_000_000 / run, "{statistics}");
}

fn steps(result: &Value) -> u64 {
    result["steps"].as_array().unwrap().iter().map(|steps| steps.as_u64().unwrap()).sum()
}

#[test]
fn every_instruction_is_accounted_for() {
    let tool = Tool::new();
    let guest = elf("contended_lock");
    for executor in ["interp", "jit", "mixed"] {
        let flags = ["--json", "--stats", "--executor", executor];
        let run = tool.json(&[&["run", "--smp", "2", &guest], &flags[..]].concat());
        check(&run["statistics"], steps(&run));
        assert!(run["statistics"]["order"].is_null(), "a free run has no order: {run}");
        let recorded = tool.json(&[&["record", "--smp", "4", &guest], &flags[..]].concat());
        check(&recorded["statistics"], steps(&recorded));
        let order = |of: &Value, what: &str| number(of, &format!("/statistics/order/{what}"));
        let hand_overs = order(&recorded, "hand_overs");
        assert!(hand_overs > 4 && order(&recorded, "grants") >= hand_overs, "{recorded}");
        for verb in ["replay", "verify"] {
            let replayed = tool.json(&[&[verb], &flags[..]].concat());
            check(&replayed["statistics"], steps(&recorded));
            assert_eq!(order(&replayed, "grants"), 0, "REP-1: {replayed}");
            assert!(order(&replayed, "hand_overs") > 0, "{replayed}");
        }
    }
    let quiet = tool.json(&["verify", "--json"]);
    assert!(quiet.get("statistics").is_none(), "who does not ask is not told: {quiet}");
}

#[test]
fn a_part_of_a_run_counts_its_own_instructions() {
    let tool = Tool::new();
    let trace = tool.path("parts.cantus");
    let trace = trace.to_str().unwrap();
    tool.json(&["record", "--json", "-o", trace, "--checkpoint-every", "50k", &elf("integer_loop")]);
    let whole = tool.json(&["verify", "--json", "--stats", trace]);
    let stretches = tool.json(&["verify", "-j", "2", "--json", "--stats", trace]);
    assert!(number(&stretches, "/stretches") > 1, "{stretches}");
    check(&stretches["statistics"], steps(&whole));
    let part = tool.json(&["replay", "--from", "50%", "--json", "--stats", trace]);
    let begun = number(&part, "/from/steps");
    assert!(begun > 0, "{part}");
    check(&part["statistics"], steps(&whole) - begun);
}

#[test]
fn statistics_are_no_result() {
    let tool = Tool::new();
    let plain = tool.run(&["run", &elf("hello")]);
    let told = tool.run(&["run", "--stats", "-q", &elf("hello")]);
    assert_eq!((told.status, told.out), (plain.status, plain.out));
    for line in ["instructions", "blocks", "TLB misses", "stops"] {
        assert!(told.err.lines().any(|found| found.starts_with(line)), "{line}: {}", told.err);
    }
    assert_eq!(plain.err, "");
}

#[test]
fn the_map_of_code_names_functions() {
    let tool = Tool::new();
    let mut command = tool.command(&["run", "--perf-map", "--json", "--stats", &elf("contended_lock")]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let process = child.id();
    let done = done(&child.wait_with_output().unwrap());
    assert_eq!(done.status, 0, "{}", done.err);
    let path = Path::new("/tmp").join(format!("perf-{process}.map"));
    let map = fs::read_to_string(&path).unwrap();
    fs::remove_file(&path).unwrap();
    let lines: Vec<(u64, u64, &str)> = map
        .lines()
        .map(|line| {
            let mut parts = line.splitn(3, ' ');
            let mut hex = || u64::from_str_radix(parts.next().unwrap(), 16).unwrap();
            (hex(), hex(), parts.next().unwrap())
        })
        .collect();
    let statistics = &serde_json::from_str::<Value>(&done.out).unwrap()["statistics"];
    let code: Vec<_> = lines.iter().filter(|(_, _, name)| *name != "cantus: stubs").collect();
    assert_eq!(code.len() as u64, number(statistics, "/code/units"), "{map}");
    assert_eq!(
        code.iter().map(|(_, bytes, _)| bytes).sum::<u64>(),
        number(statistics, "/code/bytes"),
        "{map}"
    );
    let mut sorted = lines.clone();
    sorted.sort_unstable();
    for pair in sorted.windows(2) {
        assert!(pair[0].0 + pair[0].1 <= pair[1].0, "code lies apart: {pair:x?}");
    }
    let functions: BTreeSet<_> = code.iter().filter_map(|(_, _, name)| name.split('+').next()).collect();
    assert!(functions.contains("main"), "{functions:?}");
}
