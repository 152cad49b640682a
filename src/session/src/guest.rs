//! What is run: a program's bytes under a name.

use std::path::Path;
use std::sync::Arc;
use std::{fs, io};

/// A guest program: an ELF file, or a raw image.
#[derive(Clone)]
pub struct Guest {
    /// What to call it: the file's name without its folder.
    pub name: String,
    /// The file's bytes.
    pub bytes: Arc<[u8]>,
}

impl Guest {
    /// Reads a guest from a file.
    ///
    /// # Errors
    /// Whatever the host says of the file.
    pub fn open(path: impl AsRef<Path>) -> io::Result<Self> {
        let path = path.as_ref();
        let name =
            path.file_name().map_or_else(|| "guest".into(), |name| name.to_string_lossy().into_owned());
        Ok(Self { name, bytes: fs::read(path)?.into() })
    }

    /// A guest that is in memory already.
    pub fn new(name: impl Into<String>, bytes: impl Into<Arc<[u8]>>) -> Self {
        Self { name: name.into(), bytes: bytes.into() }
    }
}
