//! How a run ended: as a status, in words, and as JSON.

use cantus::Outcome;
use serde::Serialize;

use crate::failure::status;
use crate::statistics;

/// The status that `run` and `record` end with: the guest's own, or one that says why it has none.
pub fn status(outcome: Outcome) -> u8 {
    match outcome {
        // The host has eight bits for it; a failure must not look like a success.
        Outcome::Exit(status) => u8::try_from(status).unwrap_or(u8::MAX),
        Outcome::Reset => status::OK,
        Outcome::Hung | Outcome::Limit(_) => status::HUNG,
        Outcome::Interrupted => status::INTERRUPTED,
        Outcome::Matched => status::MATCHED,
        Outcome::Failed | Outcome::Replayed | Outcome::Stuck(_) => status::IO,
    }
}

/// In words.
pub fn in_words(outcome: Outcome) -> String {
    match outcome {
        Outcome::Exit(status) => format!("the guest ended with status {status}"),
        Outcome::Reset => "the guest asked for a reset".to_owned(),
        Outcome::Hung => "the guest hangs: every core waits for an interrupt that never comes".to_owned(),
        Outcome::Limit(core) => format!("{core} reached the limit of instructions"),
        Outcome::Interrupted => "interrupted".to_owned(),
        Outcome::Matched => "stopped: a line of the console matched".to_owned(),
        Outcome::Failed => "the trace could not be written".to_owned(),
        Outcome::Replayed => "the replay reached the end of the trace".to_owned(),
        Outcome::Stuck(core) => format!("the replay is stuck: {core} and others wait for each other"),
    }
}

/// How a run ended, for JSON.
#[derive(Clone, Debug, Serialize)]
pub struct Facts {
    /// One word: `exit`, `reset`, `hung`, `limit`, `interrupted`, `matched`, `failed`.
    outcome: &'static str,
    /// The guest's own status, whole.
    exit_status: Option<u32>,
    /// The status that the command ends with.
    status: u8,
    /// Steps that each core completed.
    steps: Vec<u64>,
    /// What the guest wrote to its console.
    console: String,
    /// What was done, if that is to be told.
    #[serde(skip_serializing_if = "Option::is_none")]
    statistics: Option<statistics::Facts>,
}

impl Facts {
    /// Of a run.
    pub fn new(outcome: Outcome, steps: &[u64], console: &[u8]) -> Self {
        let (word, exit_status) = match outcome {
            Outcome::Exit(status) => ("exit", Some(status)),
            Outcome::Reset => ("reset", None),
            Outcome::Hung => ("hung", None),
            Outcome::Limit(_) => ("limit", None),
            Outcome::Interrupted => ("interrupted", None),
            Outcome::Matched => ("matched", None),
            Outcome::Failed | Outcome::Replayed | Outcome::Stuck(_) => ("failed", None),
        };
        Self {
            outcome: word,
            exit_status,
            status: status(outcome),
            steps: steps.to_vec(),
            console: String::from_utf8_lossy(console).into_owned(),
            statistics: None,
        }
    }

    /// With what was done, if that is to be told.
    pub fn with_statistics(self, statistics: Option<statistics::Facts>) -> Self {
        Self { statistics, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_never_looks_like_a_success() {
        for guest in [1, 255, 256, 512, u32::MAX] {
            assert_ne!(status(Outcome::Exit(guest)), 0);
        }
        assert_eq!(status(Outcome::Exit(7)), 7);
        assert_eq!(status(Outcome::Hung), 124);
    }
}
