//! The recorder dies, or its disk is full: what is on disk is a trace up to there.

mod samples;

use std::{
    env, fs,
    io::{self, Write},
    path::Path,
    process::{Command, Stdio},
    sync::{Arc, Mutex},
};

use cantus_traces::{Completeness, Trace, TraceError, TraceSink, TraceWriter, WriterOptions};
use samples::{PROGRAM, Streams, append_all, footer, header, machine_digest, plausible};

/// Says to a process of this test that it is the recorder, and where its trace goes.
const RECORDER: &str = "CANTUS_TEST_RECORDER_TRACE";

fn recorder_streams() -> Streams {
    plausible(3, 200_000, 31)
}

fn recorder_options() -> WriterOptions {
    WriterOptions { buffer_bytes: 2000, queue_chunks: 4, ..WriterOptions::default() }
}

/// Runs this test again in a process of its own, started through a shell that first does `prelude`.
fn recorder(test: &str, path: &Path, prelude: &str) -> Command {
    let mut command = Command::new("sh");
    command
        .args(["-c", &format!("{prelude} exec \"$0\" \"$@\"")])
        .arg(env::current_exe().unwrap())
        .args([test, "--exact", "--nocapture"])
        .env(RECORDER, path)
        .stdout(Stdio::null());
    command
}

/// Checks that an unfinished trace holds a beginning of what was written, and gives how many events.
fn check_prefix(trace: &Trace, truth: &Streams) -> usize {
    let came = trace.read_all().unwrap();
    assert!(trace.footer().is_none());
    for ((core, came), written) in trace.cores().zip(&came).zip(truth) {
        assert!(written.starts_with(came), "REP-3: {core} reads a prefix");
    }
    came.iter().map(Vec::len).sum()
}

#[test]
fn a_recorder_that_is_killed_leaves_a_trace() {
    const NAME: &str = "a_recorder_that_is_killed_leaves_a_trace";
    let truth = recorder_streams();
    if let Some(path) = env::var_os(RECORDER) {
        let (_writer, writers) =
            TraceWriter::create(Path::new(&path), &header(3), &[PROGRAM], recorder_options()).unwrap();
        append_all(&truth, writers, 300);
        loop {
            std::thread::park();
        }
    }
    let folder = tempfile::tempdir().unwrap();
    for enough in [1, 700, 5_000, 20_011, 100_003, 300_000] {
        let path = folder.path().join(format!("{enough}.cantus"));
        let mut child = recorder(NAME, &path, "").spawn().unwrap();
        while fs::metadata(&path).map_or(0, |file| file.len()) < enough {
            assert_eq!(child.try_wait().unwrap(), None, "the recorder goes on until it is killed");
            std::thread::yield_now();
        }
        child.kill().unwrap();
        child.wait().unwrap();
        match Trace::open(&path) {
            Ok(trace) => {
                assert!(matches!(trace.completeness(), Completeness::Killed { .. }), "{trace:?}");
                let events = check_prefix(&trace, &truth);
                // A chunk has 300 events at most, and two bytes are more than one of these takes on average.
                assert!(events as u64 + 900 >= enough / 12, "{events} events in {enough} bytes");
            }
            Err(error) => assert!(matches!(error, TraceError::Header { .. }) && enough < 700, "{error}"),
        }
    }
}

#[test]
fn a_file_that_may_not_grow_ends_the_recording_with_an_error() {
    const NAME: &str = "a_file_that_may_not_grow_ends_the_recording_with_an_error";
    let truth = recorder_streams();
    if let Some(path) = env::var_os(RECORDER) {
        let (writer, writers) =
            TraceWriter::create(Path::new(&path), &header(3), &[PROGRAM], recorder_options()).unwrap();
        append_all(&truth, writers, 300);
        let error = writer.finish(footer(&truth)).unwrap_err();
        assert!(
            matches!(&error, TraceError::Io { source, .. } if source.kind() == io::ErrorKind::FileTooLarge)
        );
        assert!(error.to_string().contains("cannot write the trace"), "{error}");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.cantus");
    // 100 or 200 KiB, by the shell's idea of a block; the signal would kill the process before the error is seen.
    let status = recorder(NAME, &path, "trap '' XFSZ; ulimit -f 200;").status().unwrap();
    assert!(status.success(), "the recorder saw the error");
    let trace = Trace::open(&path).unwrap();
    assert!(matches!(trace.completeness(), Completeness::Killed { torn_bytes: 0, .. }), "{trace:?}");
    assert!(check_prefix(&trace, &truth) > 10_000);
}

/// A disk with room for so many bytes.
#[derive(Clone)]
struct Disk {
    bytes: Arc<Mutex<Vec<u8>>>,
    room: usize,
    can_truncate: bool,
}

impl Write for Disk {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut disk = self.bytes.lock().unwrap();
        let fit = bytes.len().min(self.room - disk.len());
        disk.extend_from_slice(&bytes[..fit]);
        if fit == 0 && !bytes.is_empty() { Err(io::ErrorKind::StorageFull.into()) } else { Ok(fit) }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl TraceSink for Disk {
    fn truncate(&mut self, bytes: u64) -> io::Result<()> {
        if !self.can_truncate {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.bytes.lock().unwrap().truncate(bytes as usize);
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Records onto a disk with so much room; gives the outcome and what is on the disk.
fn record(truth: &Streams, room: usize, can_truncate: bool) -> (Result<(), TraceError>, Vec<u8>) {
    let disk = Disk { bytes: Arc::default(), room, can_truncate };
    let outcome = TraceWriter::to_sink(
        Box::new(disk.clone()),
        Path::new("t.cantus"),
        &header(truth.len() as u16),
        &[PROGRAM],
        WriterOptions::default(),
    )
    .and_then(|(writer, writers)| {
        append_all(truth, writers, 20);
        writer.machine_digest(&machine_digest(0, truth.len()));
        let finished = writer.finish(footer(truth));
        finished.map(|_| ())
    });
    let bytes = disk.bytes.lock().unwrap().clone();
    (outcome, bytes)
}

#[test]
fn a_disk_with_any_room_holds_a_usable_trace() {
    let truth = plausible(2, 60, 32);
    let (outcome, whole) = record(&truth, usize::MAX, true);
    outcome.unwrap();
    assert_eq!(Trace::from_bytes(Path::new("t"), whole.clone()).unwrap().read_all().unwrap(), truth);
    let header_bytes = samples::forgery::first_chunk(&whole);
    for room in 0..whole.len() {
        for can_truncate in [true, false] {
            let (outcome, bytes) = record(&truth, room, can_truncate);
            let error = outcome.unwrap_err();
            assert!(
                matches!(&error, TraceError::Io { source, .. } if source.kind() == io::ErrorKind::StorageFull)
            );
            assert!(bytes.len() <= room);
            if room < header_bytes {
                continue;
            }
            let trace = Trace::from_bytes(Path::new("t"), bytes).unwrap();
            if can_truncate {
                assert!(
                    matches!(trace.completeness(), Completeness::Killed { torn_bytes: 0, .. }),
                    "{trace:?}"
                );
            } else {
                assert_ne!(trace.completeness(), &Completeness::Complete, "{room}");
            }
            if trace.footer().is_none() {
                check_prefix(&trace, &truth);
            }
        }
    }
}

#[test]
fn a_failure_is_seen_by_everybody_and_nothing_is_written_after_it() {
    let truth = plausible(2, 60, 33);
    let (_, whole) = record(&truth, usize::MAX, true);
    let room = whole.len() / 2;
    let disk = Disk { bytes: Arc::default(), room, can_truncate: true };
    let path = Path::new("t.cantus");
    let (writer, mut writers) =
        TraceWriter::to_sink(Box::new(disk.clone()), path, &header(2), &[PROGRAM], WriterOptions::default())
            .unwrap();
    assert!(writer.failed().is_none());
    let mut written = 0;
    // The thread writes when it likes, so go on until the disk is full.
    for step in 0.. {
        if writers[0].has_failed() {
            break;
        }
        writers[1].flush(cantus_traces::Position(step));
        written = written.max(disk.bytes.lock().unwrap().len());
        std::thread::yield_now();
    }
    assert!(writers[1].has_failed());
    let kept = disk.bytes.lock().unwrap().clone();
    assert!(kept.len() <= room && kept.len() >= written.min(room) - 48);
    assert!(matches!(writer.failed(), Some(TraceError::Io { .. })));
    append_all(&vec![truth[0].clone()], writers.drain(..1).collect(), 5);
    assert!(matches!(writer.finish(footer(&truth)), Err(TraceError::Io { .. })));
    assert_eq!(*disk.bytes.lock().unwrap(), kept);
}
