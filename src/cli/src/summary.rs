//! What a trace is, in short: for `ls` and `info`.

use std::path::Path;

use cantus_traces::{Completeness, EndReason, Trace, TraceError};
use serde::Serialize;

/// Whether a trace can be used.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Condition {
    /// All of it is there.
    Complete,
    /// Its recorder is still at work, or was stopped: it can be replayed as far as it goes.
    Incomplete,
    /// Some of its bytes are not those that were written.
    Damaged,
    /// It is no trace, or one that this version does not read.
    Unreadable,
}

/// A trace in short.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    /// The file's name.
    pub name: String,
    /// Whether it can be used.
    pub condition: Condition,
    /// What is wrong with it, if something is.
    pub trouble: Option<String>,
    /// The guest's name.
    pub guest: Option<String>,
    /// How many cores it has.
    pub cores: Option<u16>,
    /// Steps of all cores, as far as the trace knows.
    pub steps: Option<u64>,
    /// How the run ended.
    pub reason: Option<EndReason>,
    /// The guest's own status.
    pub exit_status: Option<i32>,
    /// Bytes of the file.
    pub bytes: u64,
    /// When the recording began, in seconds since 1970.
    pub started_unix: Option<u64>,
    /// Whether `latest-trace` names it.
    pub latest: bool,
}

impl Summary {
    /// Looks at a trace without reading all of it.
    pub fn of(path: &Path, latest: bool) -> Self {
        let empty = Self {
            name: path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            condition: Condition::Unreadable,
            trouble: None,
            guest: None,
            cores: None,
            steps: None,
            reason: None,
            exit_status: None,
            bytes: std::fs::metadata(path).map_or(0, |facts| facts.len()),
            started_unix: None,
            latest,
        };
        match Trace::open_unverified(path) {
            Ok(trace) => Self {
                condition: condition(&trace),
                trouble: incompleteness(&trace),
                guest: trace.header().images.first().map(|image| image.name.clone()),
                cores: Some(trace.header().configuration.cores),
                steps: steps(&trace),
                reason: trace.footer().map(|footer| footer.reason.clone()),
                exit_status: trace.footer().and_then(|footer| footer.exit_status),
                started_unix: Some(trace.header().host.started_unix).filter(|&seconds| seconds != 0),
                ..empty
            },
            Err(error) => Self { trouble: Some(without_path(path, &error)), ..empty },
        }
    }

    /// How the run ended, or what is wrong with the trace, in a few words.
    pub fn ended(&self) -> String {
        match (self.condition, &self.reason) {
            (Condition::Complete, Some(reason)) => ended(reason, self.exit_status),
            (Condition::Complete, None) | (Condition::Incomplete, _) => "incomplete".to_owned(),
            (Condition::Damaged, _) => "damaged".to_owned(),
            (Condition::Unreadable, _) => "unreadable".to_owned(),
        }
    }
}

/// How a run ended, in a few words.
pub fn ended(reason: &EndReason, exit_status: Option<i32>) -> String {
    match (reason, exit_status) {
        (EndReason::Exited, Some(status)) => format!("status {status}"),
        (EndReason::Exited, None) => "reset".to_owned(),
        (EndReason::Interrupted, _) => "interrupted".to_owned(),
        (EndReason::LimitReached, _) => "limit reached".to_owned(),
        (EndReason::Deadlocked, _) => "hung".to_owned(),
        (EndReason::Failed(why), _) => format!("failed: {why}"),
        (EndReason::Matched(line), _) => format!("stopped on {line:?}"),
    }
}

/// Whether a trace can be used.
pub fn condition(trace: &Trace) -> Condition {
    match trace.completeness() {
        Completeness::Complete => Condition::Complete,
        Completeness::Killed { .. } => Condition::Incomplete,
        Completeness::Damaged(_) => Condition::Damaged,
    }
}

/// What is missing of a trace, if something is.
pub fn incompleteness(trace: &Trace) -> Option<String> {
    match trace.completeness() {
        Completeness::Complete => None,
        Completeness::Killed { chunks, offset, torn_bytes } => Some(format!(
            "the recorder was stopped before the end: {chunks} whole chunks up to offset {offset}, and {torn_bytes} \
             bytes of a torn one"
        )),
        Completeness::Damaged(damage) => {
            let of = damage.core.map_or(String::new(), |core| format!(" of {core}"));
            Some(format!(
                "chunk {}{of} at offset {} is damaged: {}",
                damage.chunk, damage.offset, damage.what
            ))
        }
    }
}

/// Steps of all cores, as far as the trace goes.
pub fn steps(trace: &Trace) -> Option<u64> {
    match trace.footer() {
        Some(footer) => Some(footer.cores.iter().map(|core| core.position.0).sum()),
        None => Some(trace.horizon().ok()?.iter().map(|position| position.0).sum()),
    }
}

fn without_path(path: &Path, error: &TraceError) -> String {
    let text = crate::failure::with_sources(error);
    text.strip_prefix(&format!("{}: ", path.display())).map_or(text.clone(), str::to_owned)
}
