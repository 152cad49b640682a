//! Where traces are: the trace folder, the names of new traces, and `latest-trace`.
//!
//! Guarantees, also when several recorders run at once: no name is given out twice, no trace is ever overwritten, and
//! `latest-trace` is at every moment absent or a link to a trace that was recorded, or is being recorded.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::{env, fs, io};

use crate::failure::{Failure, status};

/// What a trace's file name ends with.
pub const EXTENSION: &str = "cantus";
/// The link to the trace that was begun last.
pub const LATEST: &str = "latest-trace";
/// What the names of traces begin with that `hunt` has not yet decided to keep.
const HUNTED: &str = ".hunt-";

/// The trace folder.
#[derive(Clone, Debug)]
pub struct Places {
    folder: PathBuf,
}

impl Places {
    /// The folder that the environment says: `$CANTUS_TRACE_DIR`, else `$XDG_DATA_HOME/cantus`, else
    /// `~/.local/share/cantus`. It need not exist yet.
    pub fn from_environment() -> Result<Self, Failure> {
        let set = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let data = || {
            // A relative path in XDG_DATA_HOME is invalid and to be ignored (XDG Base Directory Specification).
            let xdg = set("XDG_DATA_HOME").filter(|path| path.is_absolute());
            xdg.or_else(|| Some(set("HOME")?.join(".local/share"))).map(|path| path.join("cantus"))
        };
        match set("CANTUS_TRACE_DIR").or_else(data) {
            Some(folder) => Ok(Self { folder }),
            None => Err(Failure::new(
                status::UNAVAILABLE,
                "there is no folder for traces: neither CANTUS_TRACE_DIR nor XDG_DATA_HOME nor HOME is set",
            )
            .advise("set CANTUS_TRACE_DIR to a folder")),
        }
    }

    #[cfg(test)]
    pub fn at(folder: &Path) -> Self {
        Self { folder: folder.to_owned() }
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Makes the folder, if it is not there.
    pub fn create(&self) -> Result<(), Failure> {
        fs::create_dir_all(&self.folder).map_err(|error| {
            Failure::io(&self.folder, "create the trace folder", &error)
                .with_status(status::IO)
                .advise("set CANTUS_TRACE_DIR to a folder that you may write to, or give -o")
        })
    }

    /// The file that a reader means: a path, the name of a trace in the folder, with or without its ending, or, if
    /// nothing is named, the latest trace.
    pub fn find(&self, named: Option<&Path>) -> Result<PathBuf, Failure> {
        let Some(named) = named else { return self.find_latest() };
        let in_folder = self.folder.join(named);
        let mut with_ending = in_folder.clone().into_os_string();
        with_ending.push(format!(".{EXTENSION}"));
        let candidates = [named.to_owned(), in_folder, PathBuf::from(with_ending)];
        match candidates.iter().find(|path| path.exists()) {
            Some(path) => {
                tracing::debug!("{} is {}", named.display(), path.display());
                Ok(path.clone())
            }
            None => Err(Failure::new(
                status::NO_SUCH_FILE,
                format!(
                    "{}: no such trace, neither as a path nor in {}",
                    named.display(),
                    self.folder.display()
                ),
            )
            .advise("`cantus ls` lists the traces that there are")),
        }
    }

    fn find_latest(&self) -> Result<PathBuf, Failure> {
        let link = self.folder.join(LATEST);
        match fs::canonicalize(&link) {
            Ok(path) => Ok(path),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let message = match fs::read_link(&link) {
                    Ok(target) => {
                        format!("{}: the latest trace, {}, is gone", link.display(), target.display())
                    }
                    Err(_) => format!("{}: no trace has been recorded yet", link.display()),
                };
                Err(Failure::new(status::NO_SUCH_FILE, message)
                    .advise("name a trace, or record one: cantus record GUEST"))
            }
            Err(error) => Err(Failure::io(&link, "follow the link to the latest trace", &error)),
        }
    }

    /// Paths for a new trace of a guest: `<guest>-N.cantus`, from the first number that is free, ascending. Whoever takes
    /// one creates it only if it is not there, and else takes the next.
    pub fn names(&self, guest: &str) -> impl Iterator<Item = PathBuf> + use<> {
        let stem = stem(guest);
        let taken = self.entries().iter().filter_map(|path| number(path, &stem)).max();
        let folder = self.folder.clone();
        (taken.map_or(1, |taken| taken.saturating_add(1))..=u64::MAX)
            .map(move |number| folder.join(format!("{stem}-{number}.{EXTENSION}")))
    }

    /// A path for a trace that may not be kept. Nobody else has it.
    pub fn unkept(&self) -> PathBuf {
        self.folder.join(format!("{HUNTED}{}.{EXTENSION}", unique()))
    }

    /// Removes what hunts left that were killed.
    pub fn sweep(&self) {
        let abandoned = |path: &PathBuf| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let process =
                name.strip_prefix(HUNTED).and_then(|rest| rest.split_once('-')).map(|(process, _)| process);
            process.is_some_and(|process| {
                process.parse::<u32>().is_ok() && !Path::new("/proc").join(process).exists()
            })
        };
        for path in self.entries().iter().filter(|path| abandoned(path)) {
            // Somebody else may sweep at the same time.
            let _ = fs::remove_file(path);
        }
    }

    /// Gives a trace that is to be kept a name of its own.
    pub fn keep(&self, unkept: &Path, guest: &str) -> Result<PathBuf, Failure> {
        for name in self.names(guest) {
            // A hard link is made only where nothing is, in one step.
            match fs::hard_link(unkept, &name) {
                Ok(()) => {
                    // The trace has its name; the other one is of no use to anybody.
                    let _ = fs::remove_file(unkept);
                    return Ok(name);
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => {
                    return Err(Failure::io(unkept, "keep the trace", &error).with_status(status::IO));
                }
            }
        }
        Err(Failure::new(status::IO, format!("{}: all names are taken", self.folder.display())))
    }

    /// Makes `latest-trace` a link to this trace, in one step.
    pub fn point_latest(&self, trace: &Path) -> io::Result<()> {
        let target = match trace.parent() {
            Some(parent) if parent == self.folder => PathBuf::from(trace.file_name().unwrap_or_default()),
            Some(_) | None => std::path::absolute(trace)?,
        };
        let link = self.folder.join(format!(".{LATEST}-{}", unique()));
        std::os::unix::fs::symlink(target, &link)?;
        fs::rename(&link, self.folder.join(LATEST)).inspect_err(|_| {
            let _ = fs::remove_file(&link);
        })
    }

    /// Makes `latest-trace` the newest trace of the folder if what it names is gone; removes it if there is none.
    pub fn repair_latest(&self) -> io::Result<()> {
        let link = self.folder.join(LATEST);
        if fs::symlink_metadata(&link).is_err() || link.exists() {
            return Ok(());
        }
        let modified = |path: &PathBuf| fs::metadata(path).and_then(|facts| facts.modified()).ok();
        match self.traces().into_iter().max_by_key(modified) {
            Some(newest) => self.point_latest(&newest),
            None => fs::remove_file(&link),
        }
    }

    /// What `latest-trace` names, if it names a trace of the folder.
    pub fn latest(&self) -> Option<OsString> {
        let target = fs::canonicalize(self.folder.join(LATEST)).ok()?;
        let folder = fs::canonicalize(&self.folder).ok()?;
        (target.parent() == Some(&folder)).then(|| target.file_name().map(OsStr::to_owned))?
    }

    /// The traces of the folder, by name. None if there is no such folder.
    pub fn traces(&self) -> Vec<PathBuf> {
        let is_trace = |path: &PathBuf| {
            let hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
            !hidden && path.extension() == Some(OsStr::new(EXTENSION)) && !path.is_dir()
        };
        let mut traces: Vec<PathBuf> = self.entries().into_iter().filter(is_trace).collect();
        traces.sort_by_key(|path| by_number(path));
        traces
    }

    fn entries(&self) -> Vec<PathBuf> {
        let Ok(entries) = fs::read_dir(&self.folder) else { return Vec::new() };
        entries.filter_map(|entry| entry.ok().map(|entry| entry.path())).collect()
    }
}

/// Text that no other process and no other call gives on this host.
fn unique() -> String {
    static CALLS: AtomicU64 = AtomicU64::new(0);
    format!("{}-{}", std::process::id(), CALLS.fetch_add(1, Ordering::Relaxed))
}

/// A guest's name as traces are named after it: without its ending, and with nothing that a shell or a terminal would
/// take for something else.
fn stem(guest: &str) -> String {
    let name = Path::new(guest).file_stem().unwrap_or_default().to_string_lossy();
    let plain = |character: char| match character {
        character if character.is_alphanumeric() || "._+-".contains(character) => character,
        _ => '_',
    };
    let stem: String = name.chars().take(100).map(plain).collect();
    match stem.trim_start_matches(['.', '-']) {
        "" => "guest".to_owned(),
        stem => stem.to_owned(),
    }
}

/// The number of a trace of the guest with this stem.
fn number(path: &Path, stem: &str) -> Option<u64> {
    let (of, number) = by_number(path);
    (of == stem).then_some(number?)
}

/// A trace's name, apart from its number, and the number.
fn by_number(path: &Path) -> (String, Option<u64>) {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let name = name.strip_suffix(&format!(".{EXTENSION}")).unwrap_or(&name);
    match name.rsplit_once('-').map(|(stem, number)| (stem, number.parse())) {
        Some((stem, Ok(number))) => (stem.to_owned(), Some(number)),
        Some((_, Err(_))) | None => (name.to_owned(), None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::OpenOptions;

    fn folder() -> (tempfile::TempDir, Places) {
        let folder = tempfile::tempdir().unwrap();
        let places = Places::at(folder.path());
        (folder, places)
    }

    fn create_new(path: &Path) -> io::Result<fs::File> {
        OpenOptions::new().write(true).create_new(true).open(path)
    }

    fn take(places: &Places, guest: &str) -> PathBuf {
        places.names(guest).find(|path| create_new(path).is_ok()).unwrap()
    }

    #[test]
    fn names_count_up_for_each_guest() {
        let (_folder, places) = folder();
        let name = |guest| take(&places, guest).file_name().unwrap().to_str().unwrap().to_owned();
        assert_eq!(name("bank.elf"), "bank-1.cantus");
        assert_eq!(name("bank.elf"), "bank-2.cantus");
        assert_eq!(name("bank-2.elf"), "bank-2-1.cantus");
        assert_eq!(name("bank.elf"), "bank-3.cantus");
    }

    #[test]
    fn names_are_plain() {
        assert_eq!(stem("../a b\n\x1b[31m.elf"), "a_b__[31m".replace('[', "_"));
        assert_eq!(stem("--force"), "force");
        assert_eq!(stem(""), "guest");
        assert_eq!(stem(".."), "guest");
        assert_eq!(stem(&"x".repeat(500)).len(), 100);
    }

    #[test]
    fn a_huge_number_does_not_wrap() {
        let (_folder, places) = folder();
        create_new(&places.folder().join(format!("bank-{}.cantus", u64::MAX - 1))).unwrap();
        assert!(take(&places, "bank").ends_with(format!("bank-{}.cantus", u64::MAX)));
    }

    #[test]
    fn many_recorders_at_once_share_no_name_and_leave_a_whole_link() {
        let (_folder, places) = folder();
        let taken = std::sync::Mutex::new(Vec::new());
        #[expect(clippy::disallowed_methods, reason = "the race is what is tested")]
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..50 {
                        let name = take(&places, "bank.elf");
                        places.point_latest(&name).unwrap();
                        assert!(places.find(None).is_ok(), "the link is never absent or torn");
                        taken.lock().unwrap().push(name);
                    }
                });
            }
        });
        let mut taken = taken.into_inner().unwrap();
        taken.sort();
        taken.dedup();
        assert_eq!(taken.len(), 400);
        let left = fs::read_dir(places.folder()).unwrap().count();
        assert_eq!(left, 401, "the traces and one link, no temporary file");
    }

    #[test]
    fn keepers_share_no_name() {
        let (_folder, places) = folder();
        #[expect(clippy::disallowed_methods, reason = "the race is what is tested")]
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..20 {
                        let unkept = places.unkept();
                        create_new(&unkept).unwrap();
                        places.keep(&unkept, "bank.elf").unwrap();
                    }
                });
            }
        });
        assert_eq!(places.traces().len(), 160);
        assert_eq!(fs::read_dir(places.folder()).unwrap().count(), 160);
    }

    #[test]
    fn what_killed_hunts_left_is_swept() {
        let (_folder, places) = folder();
        let (mine, trace) = (places.unkept(), take(&places, "bank"));
        create_new(&mine).unwrap();
        // No process has this number: it is above the largest that Linux gives out.
        let abandoned = places.folder().join(format!("{HUNTED}4194305-0.cantus"));
        create_new(&abandoned).unwrap();
        places.sweep();
        assert_eq!((mine.exists(), trace.exists(), abandoned.exists()), (true, true, false));
    }

    #[test]
    fn the_latest_is_repaired_when_its_trace_is_gone() {
        let (_folder, places) = folder();
        let (one, other) = (take(&places, "bank"), take(&places, "bank"));
        places.point_latest(&other).unwrap();
        fs::remove_file(&other).unwrap();
        places.repair_latest().unwrap();
        assert_eq!(places.find(None).unwrap(), fs::canonicalize(&one).unwrap());
        fs::remove_file(&one).unwrap();
        places.repair_latest().unwrap();
        assert!(fs::symlink_metadata(places.folder().join(LATEST)).is_err());
    }

    #[test]
    fn traces_are_found_by_path_by_name_and_as_the_latest() {
        let (_folder, places) = folder();
        let trace = take(&places, "bank");
        assert_eq!(places.find(Some(&trace)).unwrap(), trace);
        assert_eq!(places.find(Some(Path::new("bank-1"))).unwrap(), trace);
        assert_eq!(places.find(Some(Path::new("bank-1.cantus"))).unwrap(), trace);
        let missing = places.find(Some(Path::new("bank-7"))).unwrap_err();
        assert_eq!(missing.status(), status::NO_SUCH_FILE);
        assert_eq!(places.find(None).unwrap_err().status(), status::NO_SUCH_FILE);
    }

    #[test]
    fn traces_are_listed_in_the_order_of_their_numbers() {
        let (_folder, places) = folder();
        for _ in 0..11 {
            take(&places, "bank");
        }
        let unkept = places.unkept();
        create_new(&unkept).unwrap();
        let names: Vec<_> = places.traces().iter().map(|path| by_number(path).1).collect();
        assert_eq!(names, (1..=11).map(Some).collect::<Vec<_>>());
    }
}
