//! Text of the guest's source files, where they can be found.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// The largest source file that is read, in bytes.
const FILE_BYTES_MAX: u64 = 16 << 20;

/// Reads source files, each once.
#[derive(Default)]
pub struct SourceText {
    /// Where to look, beside the path that the compiler recorded.
    folders: Vec<PathBuf>,
    /// Files that are known without looking, by the ends of their paths.
    known: Vec<(String, String)>,
    read: RefCell<BTreeMap<String, Option<Vec<String>>>>,
}

impl SourceText {
    /// Looks in these folders, too.
    pub fn in_folders(folders: &[PathBuf]) -> Self {
        Self { folders: folders.to_vec(), ..Self::default() }
    }

    /// Knows the text of these files, which are named by the ends of their paths.
    pub fn of(files: &[(&str, &str)]) -> Self {
        let known = files.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
        Self { known, ..Self::default() }
    }

    /// The text of a line, from 1, of a file as the compiler recorded it.
    pub fn line(&self, file: &str, line: u32) -> Option<String> {
        let mut read = self.read.borrow_mut();
        let lines = read.entry(file.to_owned()).or_insert_with(|| {
            let text = self.text(file)?;
            Some(text.lines().map(str::to_owned).collect())
        });
        lines.as_ref()?.get((line as usize).checked_sub(1)?).cloned()
    }

    fn text(&self, file: &str) -> Option<String> {
        let known = self.known.iter().find(|(end, _)| Path::new(file).ends_with(end));
        if let Some((_, text)) = known {
            return Some(text.clone());
        }
        // The whole recorded path below the folder first, then ever shorter ends of it.
        let parts: Vec<_> = Path::new(file).iter().filter(|part| *part != "/" && *part != "..").collect();
        let within = self.folders.iter().flat_map(|folder| (0..parts.len()).map(move |from| (folder, from)));
        let mut candidates = vec![PathBuf::from(file)];
        candidates
            .extend(within.map(|(folder, from)| folder.join(parts[from..].iter().collect::<PathBuf>())));
        candidates.iter().find_map(|path| {
            let facts = fs::metadata(path).ok()?;
            let readable = facts.is_file() && facts.len() <= FILE_BYTES_MAX;
            readable.then(|| fs::read(path).ok().map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))?
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_found_by_the_ends_of_their_paths() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("bugs")).unwrap();
        fs::write(folder.path().join("bugs/bank.c"), "one\ntwo\n").unwrap();
        let text = SourceText::in_folders(&[folder.path().to_owned()]);
        assert_eq!(text.line("/elsewhere/guests/bugs/bank.c", 2).as_deref(), Some("two"));
        assert_eq!(text.line("/elsewhere/guests/bugs/bank.c", 3), None);
        assert_eq!(text.line("/elsewhere/guests/bugs/bank.c", 0), None);
        assert_eq!(text.line("/elsewhere/other.c", 1), None);
    }

    #[test]
    fn what_is_no_file_is_not_read() {
        assert_eq!(SourceText::default().line("/dev/zero", 1), None);
        assert_eq!(SourceText::default().line("/", 1), None);
    }
}
