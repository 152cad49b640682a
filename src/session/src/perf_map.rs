//! The map of translated code that `perf` reads, so that its reports name the guest's functions.
//!
//! A line for each piece of code: where it begins and how long it is, both hexadecimal, and what to call it
//! (`tools/perf/Documentation/jit-interface.txt` of Linux). The lines of code that was given up stay.

use crate::{Error, Guest};
use cantus_analyses::{Gva, symbols::Symbols};
use cantus_jit::{Block, Listener};
use parking_lot::Mutex;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A map of the code that this process makes, which grows as code is made.
#[derive(Clone)]
pub struct PerfMap(Arc<Map>);

struct Map {
    path: PathBuf,
    file: Mutex<Open>,
}

struct Open {
    file: File,
    /// Why a line could not be written; none is written afterwards.
    error: Option<io::Error>,
}

impl PerfMap {
    /// Makes the map where `perf` looks for that of this process, in place of one that an earlier process has left.
    ///
    /// # Errors
    /// Where the host does not let it be made.
    pub fn create() -> Result<Self, Error> {
        // Not where the environment has temporary files: `perf` looks nowhere else.
        Self::create_at(&Path::new("/tmp").join(format!("perf-{}.map", std::process::id())))
    }

    /// The same at another place.
    ///
    /// # Errors
    /// As [`PerfMap::create`].
    pub fn create_at(path: &Path) -> Result<Self, Error> {
        let file = match fs::remove_file(path) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            // Anybody may put a link there, which must not be followed.
            Ok(()) | Err(_) => File::create_new(path),
        };
        let file = file.map_err(|error| Error::File { path: path.to_owned(), error })?;
        let file = Mutex::new(Open { file, error: None });
        Ok(Self(Arc::new(Map { path: path.to_owned(), file })))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// Why the map is not whole, if it is not; told once. That is no reason to end the guest.
    pub fn take_error(&self) -> Option<Error> {
        let error = self.0.file.lock().error.take()?;
        Some(Error::File { path: self.0.path.clone(), error })
    }

    /// What writes the lines of a guest's code.
    pub(crate) fn of_guest(&self, guest: &Guest) -> Arc<dyn Listener> {
        let symbols = Symbols::read(&guest.bytes).unwrap_or_else(|_| Symbols::none());
        Arc::new(OfGuest { map: self.clone(), symbols: Mutex::new(symbols) })
    }
}

struct OfGuest {
    map: PerfMap,
    symbols: Mutex<Symbols>,
}

impl Listener for OfGuest {
    fn made(&self, code: u64, bytes: u64, block: Block) {
        let name = match block {
            Block::All => "cantus: stubs".to_owned(),
            Block::At(address) => printable(&self.symbols.lock().name(Gva(address.0))),
        };
        let mut open = self.map.0.file.lock();
        if open.error.is_none() {
            // In one write, so that the map is whole at any moment.
            open.error = open.file.write_all(format!("{code:x} {bytes:x} {name}\n").as_bytes()).err();
        }
    }
}

/// A name of the guest's, without characters that would begin another line.
fn printable(name: &str) -> String {
    name.chars().map(|character| if character.is_control() { '\u{fffd}' } else { character }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_is_replaced_and_no_link_is_followed() {
        let folder = tempfile::tempdir().unwrap();
        let [map, other] = ["perf-1.map", "other"].map(|name| folder.path().join(name));
        fs::write(&other, "precious").unwrap();
        std::os::unix::fs::symlink(&other, &map).unwrap();
        let made = PerfMap::create_at(&map).unwrap();
        made.of_guest(&Guest::new("raw", vec![0x13; 4])).made(0x1000, 0x20, Block::At(Gva(0x8000_0000)));
        assert_eq!(fs::read_to_string(&map).unwrap(), "1000 20 0x80000000\n");
        assert_eq!(fs::read_to_string(&other).unwrap(), "precious");
        fs::remove_file(&map).unwrap();
        fs::create_dir(&map).unwrap();
        assert!(matches!(PerfMap::create_at(&map), Err(Error::File { path, .. }) if path == map));
    }

    #[test]
    fn a_map_that_cannot_be_written_is_told_once() {
        let full = Map {
            path: "/dev/full".into(),
            file: Mutex::new(Open {
                file: File::options().write(true).open("/dev/full").unwrap(),
                error: None,
            }),
        };
        let map = PerfMap(Arc::new(full));
        map.of_guest(&Guest::new("raw", vec![0x13; 4])).made(0x1000, 0x20, Block::All);
        assert!(map.take_error().is_some_and(|error| error.to_string().starts_with("/dev/full: ")));
        assert!(map.take_error().is_none());
    }

    #[test]
    fn a_name_is_one_line() {
        assert_eq!(printable("main+0x8"), "main+0x8");
        assert_eq!(printable("a\n0 1 b"), "a\u{fffd}0 1 b");
    }
}
