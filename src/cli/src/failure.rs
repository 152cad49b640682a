//! What a verb fails with: a status for scripts, and words for people.
//!
//! The words name the file, what was expected, what came, and what to do.

use std::fmt::{self, Display, Formatter};
use std::io;
use std::path::Path;

use cantus_traces::TraceError;

/// The statuses that are not a guest's own.
pub mod status {
    /// As it should be.
    pub const OK: u8 = 0;
    /// `diff`: the executions differ. `hunt`: a run failed.
    pub const DIFFERENT: u8 = 1;
    /// `diff`: it could not be found out.
    pub const TROUBLE: u8 = 2;
    /// `replay`, `verify`: the replay was not the recorded run.
    pub const DIVERGED: u8 = 3;
    /// The command line makes no sense.
    pub const USAGE: u8 = 64;
    /// A file is not what it should be: a bad trace, an incompatible one, a guest that is no program.
    pub const BAD_DATA: u8 = 65;
    /// There is no such file.
    pub const NO_SUCH_FILE: u8 = 66;
    /// Something that the host should have is not there.
    pub const UNAVAILABLE: u8 = 69;
    /// The host could not read or write.
    pub const IO: u8 = 74;
    /// A line of the console matched `--stop-on`.
    pub const MATCHED: u8 = 123;
    /// A run reached its limit of instructions, or hung.
    pub const HUNG: u8 = 124;
    /// The user stopped it.
    pub const INTERRUPTED: u8 = 130;
}

/// Why a verb ends early.
#[derive(Debug)]
pub enum Failure {
    /// Whoever reads the output has gone away. Nobody is left to be told.
    ClosedPipe,
    /// Something to be told.
    Told {
        /// The status to end with.
        status: u8,
        /// What was expected and what came, with the file.
        message: String,
        /// What to do.
        advice: Option<String>,
    },
}

impl Failure {
    /// A failure with a status and a message.
    pub fn new(status: u8, message: impl Into<String>) -> Self {
        Self::Told { status, message: message.into(), advice: None }
    }

    /// The same, with what to do about it.
    #[must_use]
    pub fn advise(self, what: impl Into<String>) -> Self {
        match self {
            Self::ClosedPipe => Self::ClosedPipe,
            Self::Told { status, message, .. } => Self::Told { status, message, advice: Some(what.into()) },
        }
    }

    /// The command line makes no sense.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(status::USAGE, message)
    }

    /// The host refused something that was tried on a file: `doing` is a verb phrase, such as `read the guest`.
    pub fn io(path: &Path, doing: &str, error: &io::Error) -> Self {
        Self::new(status_of(error), format!("{}: cannot {doing}: {error}", path.display()))
    }

    /// The status to end with.
    pub fn status(&self) -> u8 {
        match self {
            // As if everything had been read: `cantus dump | head` is no failure.
            Self::ClosedPipe => status::OK,
            Self::Told { status, .. } => *status,
        }
    }

    /// The same failure with another status.
    #[must_use]
    pub fn with_status(self, status: u8) -> Self {
        match self {
            Self::ClosedPipe => Self::ClosedPipe,
            Self::Told { message, advice, .. } => Self::Told { status, message, advice },
        }
    }
}

impl Display for Failure {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::ClosedPipe => f.write_str("the output was closed"),
            Self::Told { message, advice, .. } => {
                f.write_str(message)?;
                match advice {
                    Some(advice) => write!(f, "\n  {advice}"),
                    None => Ok(()),
                }
            }
        }
    }
}

/// Of the standard output: files are named where they are opened.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() == io::ErrorKind::BrokenPipe {
            true => Self::ClosedPipe,
            false => Self::new(status::IO, format!("cannot write to the standard output: {error}")),
        }
    }
}

impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Self {
        io::Error::from(error).into()
    }
}

impl From<TraceError> for Failure {
    fn from(error: TraceError) -> Self {
        let message = with_sources(&error);
        match &error {
            TraceError::Io { source, .. } => Self::new(status_of(source), message),
            TraceError::Exists { .. } => {
                Self::usage(message).advise("give --force to replace it, or another -o")
            }
            TraceError::Version { .. } => Self::new(status::BAD_DATA, message)
                .advise("replay it with the version of cantus that recorded it, or record it again"),
            TraceError::Unwritable { .. } | TraceError::Crowded { .. } => Self::new(status::IO, message),
            TraceError::NotATrace { .. }
            | TraceError::Header { .. }
            | TraceError::Damaged { .. }
            | TraceError::Event { .. }
            | TraceError::Missing { .. }
            | _ => Self::new(status::BAD_DATA, message),
        }
    }
}

/// The status for what the host says of a file.
fn status_of(error: &io::Error) -> u8 {
    match error.kind() == io::ErrorKind::NotFound {
        true => status::NO_SUCH_FILE,
        false => status::IO,
    }
}

impl From<cantus::Error> for Failure {
    fn from(error: cantus::Error) -> Self {
        use cantus::Error;
        let message = with_sources(&error);
        match error {
            Error::File { path, error } => Self::io(&path, "read it", &error),
            Error::Wire { error, .. } => Self::new(status_of(&error), message),
            Error::Translator(_) => {
                Self::new(status::UNAVAILABLE, message).advise("--executor interp runs anywhere")
            }
            Error::Configuration(_) | Error::Granularity(_) | Error::Peripherals(_) => Self::usage(message),
            Error::Image(_) | Error::Machine(_) | Error::Incompatible { .. } | Error::Setting { .. } => {
                Self::new(status::BAD_DATA, message)
            }
            Error::Board { .. } => Self::new(status::BAD_DATA, message)
                .advise("replay it with the build that recorded it, or record it again"),
            Error::Trace(error) => error.into(),
            Error::NoSuchMoment { .. } => Self::usage(message),
            Error::Checkpoint { .. } => Self::new(status::BAD_DATA, message).advise(
                "verify the trace without -j, and replay it without --from, to do without checkpoints",
            ),
            Error::Resume { .. } => Self::new(status::BAD_DATA, message),
            Error::ImageDiffers { .. } => Self::new(status::BAD_DATA, message).advise(
                "give the file as it was with --guest FILE; to record --from the trace, as the guest",
            ),
            Error::Diff(_) | Error::Again { .. } => Self::new(status::BAD_DATA, message),
            Error::ImageMissing { .. } => Self::new(status::NO_SUCH_FILE, message)
                .advise("give it with --guest FILE; to record --from the trace, as the guest"),
        }
    }
}

/// An error and what it comes from, in one line.
pub fn with_sources(error: &dyn std::error::Error) -> String {
    let mut message = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let text = cause.to_string();
        if !message.contains(&text) {
            message = format!("{message}: {text}");
        }
        source = cause.source();
    }
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_closed_pipe_is_no_failure() {
        let failure = Failure::from(io::Error::from(io::ErrorKind::BrokenPipe));
        assert!(matches!(failure, Failure::ClosedPipe));
        assert_eq!(failure.status(), status::OK);
    }

    #[test]
    fn a_missing_file_and_an_unreadable_one_have_their_own_statuses() {
        let of = |kind| Failure::io(Path::new("x"), "read it", &io::Error::from(kind)).status();
        assert_eq!(of(io::ErrorKind::NotFound), status::NO_SUCH_FILE);
        assert_eq!(of(io::ErrorKind::PermissionDenied), status::IO);
    }
}
