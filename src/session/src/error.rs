//! What can go wrong that is neither the guest's doing nor a divergence.

use crate::Moment;
use cantus_analyses::replays::Trouble;
use cantus_machine::{ConfigError, GranularityError, ImageError, MachineError, TooManyPeripherals};
use cantus_traces::{ContentDigest, TraceError};
use std::io;
use std::path::PathBuf;

/// Why a guest was not run, recorded or replayed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file cannot be read.
    #[error("{path}: {error}", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the host says.
        error: io::Error,
    },
    /// What a network card is to be connected to is not there.
    #[error("a network card cannot be connected to {wire}: {error}")]
    Wire {
        /// The wire, as in `tap=NAME`.
        wire: String,
        /// What the host says.
        error: io::Error,
    },
    /// There is no translator: no memory for its code, or another host than it makes code for.
    #[error("instructions cannot be translated to host code: {0}")]
    Translator(io::Error),
    /// The machine that was asked for cannot be.
    #[error(transparent)]
    Configuration(#[from] ConfigError),
    /// The signature that was asked for cannot be.
    #[error(transparent)]
    Granularity(#[from] GranularityError),
    /// The guest's file is not a program for this machine.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// The machine cannot be built.
    #[error(transparent)]
    Machine(#[from] MachineError),
    /// There are more devices than there is place for.
    #[error(transparent)]
    Peripherals(#[from] TooManyPeripherals),
    /// A trace says something of its machine that this version does not understand.
    #[error("{path}: the trace's machine has the setting {name} '{value}', which this version does not know", path = path.display())]
    Setting {
        /// The trace.
        path: PathBuf,
        /// Its name.
        name: String,
        /// Its value.
        value: String,
    },
    /// The trace cannot be written, or read.
    #[error(transparent)]
    Trace(#[from] TraceError),
    /// The trace is of a machine that this version does not have.
    #[error("{path}: the trace is of a machine with {what} '{came}'; this version replays '{expected}'", path = path.display())]
    Incompatible {
        /// The trace.
        path: PathBuf,
        /// What does not fit.
        what: &'static str,
        /// What this version has.
        expected: String,
        /// What the trace has.
        came: String,
    },
    /// The trace was recorded by a build that makes another board.
    #[error(
        "{path}: the trace was recorded on a board that this build does not make: it differs in {parts}; it was recorded by {recorder}, \
         this is {}", crate::board::BUILD, path = path.display()
    )]
    Board {
        /// The trace.
        path: PathBuf,
        /// What of it differs, with commas between.
        parts: String,
        /// The program that recorded, and its version.
        recorder: String,
    },
    /// The trace does not hold the guest's image, and it was not given.
    #[error(
        "{path}: the image '{image}' was left out of the trace{place}; give the same file again to replay it",
        path = path.display(),
        place = place.as_ref().map(|place| format!(", and {} cannot be read", place.display())).unwrap_or_default()
    )]
    ImageMissing {
        /// The trace.
        path: PathBuf,
        /// The image's name.
        image: String,
        /// Where it was.
        place: Option<PathBuf>,
    },
    /// The trace does not hold an image, and the file that was to be it is another one.
    #[error(
        "{path}: the image {file} was left out of the trace and has changed: expected digest {expected}, came {came}",
        path = path.display(),
        file = file.display()
    )]
    ImageDiffers {
        /// The trace.
        path: PathBuf,
        /// The file.
        file: PathBuf,
        /// The digest of the image.
        expected: ContentDigest,
        /// The digest of the file.
        came: ContentDigest,
    },
    /// The trace does not hold this moment.
    #[error("{path}: there is no moment '{moment}': {why}", path = path.display())]
    NoSuchMoment {
        /// The trace.
        path: PathBuf,
        /// The moment.
        moment: Moment,
        /// How far the trace goes.
        why: String,
    },
    /// A recording cannot go on from this moment of a trace.
    #[error("{path}: cannot record on from the moment '{moment}': {what}", path = path.display())]
    Resume {
        /// The trace.
        path: PathBuf,
        /// The moment.
        moment: Moment,
        /// Why not.
        what: String,
    },
    /// A checkpoint is not what the recorder wrote.
    #[error("{path}: the checkpoint of cut {cut} cannot be used: {what}", path = path.display())]
    Checkpoint {
        /// The trace.
        path: PathBuf,
        /// The checkpoint's cut.
        cut: u32,
        /// What was expected and what came.
        what: String,
    },
    /// Two traces cannot be compared.
    #[error("{0}")]
    Diff(String),
    /// A trace cannot be executed again to answer a question about it.
    #[error("{path}: it cannot be executed again: {error}", path = path.display())]
    Again {
        /// The trace.
        path: PathBuf,
        /// Why.
        error: Trouble,
    },
}
