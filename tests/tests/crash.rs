//! A recorder that is killed, a disk that is full, a file that was cut off or damaged: what is left of the trace opens,
//! is replayed to its last whole chunk without a difference, and says what is missing (REP-3).

use cantus::{Error, Guest, Moment, Options, Policy, ReplayOptions, Verdict, record, replay};
use cantus_isa::Width;
use cantus_isa::riscv::Opcode::{AmoaddD, Lw};
use cantus_tests::generator::{Counter, Paging, Place, Program, Statement};
use cantus_tests::random::Random;
use cantus_traces::{Completeness, Trace, WriterOptions, rewrite};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{env, fs};

/// Says to a process of this test that it is to record, and where its trace goes.
const RECORDER: &str = "CANTUS_TEST_RECORDER_TRACE";

/// A program of three cores that hand the same lines round and look at the clock, so many times so many times.
fn program(times: u16) -> Guest {
    let place = Place::Shared { offset: 64, stride: 0 };
    let body = vec![
        Statement::Amo { code: AmoaddD, place, acc: 0 },
        Statement::Load { code: Lw, place: Place::Shared { offset: 4096 + 126, stride: 0 }, acc: 1 },
        Statement::Store { width: Width::Double, place: Place::Shared { offset: 4094, stride: 0 }, acc: 2 },
        Statement::Count { counter: Counter::Time, acc: 3 },
    ];
    let inner = Statement::Repeat { times, body };
    let core = vec![Statement::Repeat { times, body: vec![inner] }];
    let cores = vec![core; 3];
    let program = Program {
        cores,
        paging: Paging::Bare,
        compressed: true,
        external: false,
        contents: 1,
        prints: false,
    };
    Guest::new("crash", program.elf())
}

fn options() -> Options {
    Options {
        cores: 3,
        ram_bytes: 4 << 20,
        workers: 2,
        policy: Policy::Random { slice_max: 60 },
        digest_interval: 1_000,
        checkpoint_interval: 60_000,
        ..Options::default()
    }
}

/// Runs a test of this file again in a process of its own, started through a shell that first does `prelude`.
fn recorder(test: &str, trace: &Path, prelude: &str) -> Command {
    let mut command = Command::new("sh");
    command
        .args(["-c", &format!("{prelude} exec \"$0\" \"$@\"")])
        .arg(env::current_exe().expect("this test has a file"))
        .args([test, "--exact", "--nocapture"])
        .env(RECORDER, trace)
        .stdout(Stdio::null());
    command
}

/// Replays what is left of a trace, of which the verdict says one of these; says how many steps that were.
fn replayed_so_far(trace: &Path, says: &[&str]) -> u64 {
    let replayed =
        replay(trace, &ReplayOptions { workers: 2, ..ReplayOptions::default() }).expect("REP-3: it opens");
    match &replayed.verdict {
        Verdict::IdenticalSoFar(missing) => {
            assert!(says.iter().any(|said| missing.contains(said)), "REP-3: {missing}");
        }
        other @ (Verdict::Identical | Verdict::Diverged(_) | Verdict::Interrupted) => {
            panic!("REP-3: what is left of {} is {other:?}", trace.display())
        }
    }
    replayed.steps.iter().sum()
}

/// Replays the end of what is left of a trace. Counts 1 if there was a checkpoint to begin at.
fn replayed_from_last_checkpoint(trace: &Path) -> usize {
    let options = ReplayOptions { from: Some(Moment::Percent(100)), ..ReplayOptions::default() };
    let replayed = replay(trace, &options).expect("REP-3: it opens");
    assert!(matches!(replayed.verdict, Verdict::IdenticalSoFar(_)), "REP-3: {:?}", replayed.verdict);
    usize::from(replayed.span.from.is_some())
}

#[test]
fn rep_3_a_recorder_that_is_killed_leaves_a_trace() {
    const NAME: &str = "rep_3_a_recorder_that_is_killed_leaves_a_trace";
    if let Some(path) = env::var_os(RECORDER) {
        // Longer than anybody waits.
        record(&program(u16::MAX), &options(), path, false)
            .expect("the recorder is killed, and does not fail");
        unreachable!("the recorder is killed");
    }
    let folder = tempfile::tempdir().expect("a folder");
    let mut random = Random::new(3);
    let (mut most, mut begun) = (0, 0);
    for turn in 0..8 {
        let path = folder.path().join(format!("{turn}.cantus"));
        let mut child = recorder(NAME, &path, "").spawn().expect("the recorder starts");
        let enough = random.between(1, 40_000 << turn.min(4));
        while fs::metadata(&path).map_or(0, |file| file.len()) < enough {
            assert_eq!(
                child.try_wait().expect("the recorder is ours"),
                None,
                "it goes on until it is killed"
            );
            std::thread::yield_now();
        }
        child.kill().expect("the recorder is ours");
        child.wait().expect("the recorder is ours");
        match Trace::open(&path) {
            Ok(trace) => {
                assert!(matches!(trace.completeness(), Completeness::Killed { .. }), "{trace:?}");
                most = most.max(replayed_so_far(&path, &["the recorder ended before"]));
                begun += replayed_from_last_checkpoint(&path);
            }
            Err(error) => assert!(enough < 10_000, "REP-3: {error} after {enough} bytes"),
        }
    }
    assert!(most > 100_000, "REP-3: {most} steps of the longest trace are left");
    assert!(begun > 2, "REP-3: {begun} of the traces have a checkpoint that a replay can begin at");
}

#[test]
fn rep_3_a_full_disk_ends_the_recording_with_an_error_and_a_trace() {
    const NAME: &str = "rep_3_a_full_disk_ends_the_recording_with_an_error_and_a_trace";
    if let Some(path) = env::var_os(RECORDER) {
        let error = record(&program(u16::MAX), &options(), path, false).expect_err("the disk is full");
        let text = error.to_string();
        assert!(matches!(error, Error::Trace(_)) && text.contains("full.cantus"), "{text}");
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("full.cantus");
    // 512-byte blocks. What is beyond them is an error like that of a full disk.
    let status = recorder(NAME, &path, "trap '' XFSZ; ulimit -f 600;").status().expect("the recorder starts");
    assert!(status.success(), "the recorder ended with {status}");
    assert!(replayed_so_far(&path, &["the recorder ended before"]) > 10_000);
}

/// A finished recording in small chunks, as the recorder wrote it but for their size.
fn finished(folder: &Path) -> PathBuf {
    let (written, path) = (folder.join("written.cantus"), folder.join("finished.cantus"));
    record(&program(40), &options(), &written, false).expect("recorded");
    let trace = Trace::open(&written).expect("a trace");
    let streams = trace.read_all().expect("whole");
    let small = WriterOptions { buffer_bytes: 600, ..WriterOptions::default() };
    rewrite(&trace, &path, &streams, small).expect("written again");
    path
}

#[test]
fn rep_3_a_trace_that_was_cut_off_is_replayed_as_far_as_it_goes() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = finished(folder.path());
    let bytes = fs::read(&path).expect("the trace");
    let trace = Trace::open(&path).expect("a trace");
    let edges: Vec<u64> = trace.chunks().map(|chunk| chunk.offset + chunk.bytes).collect();
    assert!(edges.len() > 30, "{} chunks", edges.len());
    let random = &mut Random::new(4);
    let anywhere = (0..60).map(|_| random.below(bytes.len() as u64));
    let mut lengths: Vec<u64> = edges.iter().copied().chain(anywhere).collect();
    lengths.sort_unstable();
    let cut = folder.path().join("cut.cantus");
    let (mut before, mut opened) = (0, 0);
    for length in lengths {
        fs::write(&cut, &bytes[..length as usize]).expect("written");
        match replay(&cut, &ReplayOptions::default()) {
            Ok(_) => {
                // Where only the last few bytes are missing, those behind the footer, nothing of the run is.
                let says = ["the recorder ended before", "nothing else is lost"];
                let steps = replayed_so_far(&cut, &says);
                assert!(steps >= before, "REP-3: {length} bytes are worth less than fewer");
                (before, opened) = (steps, opened + 1);
            }
            Err(error) => assert!(opened == 0 && error.to_string().contains("cut.cantus"), "REP-3: {error}"),
        }
    }
    assert!(opened > 60 && before > 10_000, "{opened} of them opened; {before} steps");
    assert_eq!(replay(&path, &ReplayOptions::default()).expect("whole").verdict, Verdict::Identical);
}

#[test]
fn rep_3_a_flipped_bit_is_an_error_or_reported_damage() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = finished(folder.path());
    let bytes = fs::read(&path).expect("the trace");
    let random = &mut Random::new(5);
    let damaged = folder.path().join("damaged.cantus");
    let (mut refused, mut replayed) = (0, 0);
    for _ in 0..150 {
        let (at, bit) = (random.below(bytes.len() as u64) as usize, random.below(8));
        let mut flipped = bytes.clone();
        flipped[at] ^= 1 << bit;
        fs::write(&damaged, &flipped).expect("written");
        match replay(&damaged, &ReplayOptions::default()) {
            Ok(came) => {
                let Verdict::IdenticalSoFar(missing) = &came.verdict else {
                    panic!("REP-3: bit {bit} of byte {at} flipped: {:?}", came.verdict);
                };
                assert!(missing.contains("chunk") && missing.contains("offset"), "REP-3: {missing}");
                replayed += 1;
            }
            Err(error) => {
                assert!(error.to_string().contains("damaged.cantus"), "REP-3: {error}");
                refused += 1;
            }
        }
    }
    assert!(replayed > 50, "{replayed} replayed, {refused} refused");
}

#[test]
fn a_trace_is_replayed_from_another_folder_under_another_name() {
    const NAME: &str = "a_trace_is_replayed_from_another_folder_under_another_name";
    if let Some(name) = env::var_os(RECORDER) {
        let replayed = replay(Path::new(&name), &ReplayOptions::default()).expect("it opens");
        assert_eq!(replayed.verdict, Verdict::Identical);
        return;
    }
    let (here, there) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let (path, moved) = (here.path().join("one.cantus"), there.path().join("other.cantus"));
    record(&program(20), &options(), &path, false).expect("recorded");
    fs::rename(&path, &moved).expect("moved");
    let status = recorder(NAME, Path::new("other.cantus"), "").current_dir(&there).status().expect("started");
    assert!(status.success(), "the replay ended with {status}");
}
