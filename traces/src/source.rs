//! Where a trace is read from: a file, by offset, so that streams do not disturb each other; or memory.

use std::{
    fs::File,
    io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use crate::TraceError;

/// The bytes of a trace.
pub(crate) struct Source {
    pub path: PathBuf,
    /// How many bytes there were when the trace was opened.
    pub bytes: u64,
    place: Place,
}

enum Place {
    File(File),
    Memory(Vec<u8>),
}

impl Source {
    pub(crate) fn open(path: &Path) -> Result<Source, TraceError> {
        let file = File::open(path).map_err(|error| TraceError::io(path, "open the trace", error))?;
        let bytes = file.metadata().map_err(|error| TraceError::io(path, "open the trace", error))?.len();
        Ok(Source { path: path.to_owned(), bytes, place: Place::File(file) })
    }

    pub(crate) fn memory(path: &Path, bytes: Vec<u8>) -> Source {
        Source { path: path.to_owned(), bytes: bytes.len() as u64, place: Place::Memory(bytes) }
    }

    /// Reads all of `bytes` from `offset` on.
    pub(crate) fn read(&self, offset: u64, bytes: &mut [u8]) -> Result<(), TraceError> {
        match &self.place {
            Place::File(file) => file.read_exact_at(bytes, offset),
            Place::Memory(all) => usize::try_from(offset)
                .ok()
                .and_then(|from| all.get(from..)?.get(..bytes.len()))
                .map(|from| bytes.copy_from_slice(from))
                .ok_or_else(|| io::ErrorKind::UnexpectedEof.into()),
        }
        .map_err(|error| TraceError::io(&self.path, "read the trace", error))
    }
}
