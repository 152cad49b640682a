//! The file of a drive whose writes go through.

use crate::Error;
use parking_lot::Mutex;
use std::fs;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// A file that is written to as the guest writes to its drive.
pub(crate) struct File {
    path: PathBuf,
    file: fs::File,
    /// The first write that failed. No more are made then, so that the file is at least of one time.
    failed: Mutex<Option<io::Error>>,
}

impl File {
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        let file = fs::File::options().write(true).open(path);
        let file = file.map_err(|error| Error::File { path: path.to_owned(), error })?;
        Ok(Self { path: path.to_owned(), file, failed: Mutex::default() })
    }

    /// The drive says what was written, or by an empty message that what was written must last.
    pub(crate) fn told(&self, message: &[u8]) {
        let mut failed = self.failed.lock();
        if failed.is_some() {
            return;
        }
        let done = match message.split_first_chunk::<8>() {
            Some((offset, bytes)) => self.file.write_all_at(bytes, u64::from_le_bytes(*offset)),
            None => self.file.sync_data(),
        };
        *failed = done.err();
    }

    /// What went wrong first.
    pub(crate) fn failure(&self) -> Option<Error> {
        let error = self.failed.lock().take()?;
        Some(Error::File { path: self.path.clone(), error })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_is_in_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("image");
        fs::write(&path, [1; 16]).unwrap();
        let file = File::open(&path).unwrap();
        file.told(&[&4_u64.to_le_bytes()[..], &[2, 3]].concat());
        file.told(&[]);
        assert!(file.failure().is_none());
        assert_eq!(fs::read(&path).unwrap(), [1, 1, 1, 1, 2, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1]);
    }

    #[test]
    fn what_cannot_be_written_is_an_error_with_the_files_name() {
        let folder = tempfile::tempdir().unwrap();
        assert!(File::open(&folder.path().join("missing")).is_err());
        let full = File::open(Path::new("/dev/full")).unwrap();
        full.told(&[&0_u64.to_le_bytes()[..], &[1]].concat());
        assert!(full.failure().unwrap().to_string().starts_with("/dev/full: "));
    }
}
