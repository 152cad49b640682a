//! The files of the repository, in memory.
//!
//! What is ignored by git (build output, traces outside `golden/`, pending snapshots) is left out. Paths are relative to
//! the root, with `/` between their parts, and come in ascending order.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// What is not ours; `.git` is a file in a linked working tree.
const FOREIGN: &[&str] = &[".git", "target"];

/// Endings of files that come and go while people work.
const PASSING: &[&str] = &[".snap.new", ".pending-snap"];

/// The files of a repository.
#[derive(Default)]
pub struct Tree {
    files: BTreeMap<String, Vec<u8>>,
}

impl Tree {
    /// The repository that this program was compiled in.
    pub fn of_repository() -> Result<Self> {
        Self::below(&repository_root())
    }

    /// All files below a folder.
    pub fn below(root: &Path) -> Result<Self> {
        let mut tree = Self::default();
        tree.add_folder(root, "")?;
        Ok(tree)
    }

    fn add_folder(&mut self, folder: &Path, prefix: &str) -> Result<()> {
        let entries = fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))?;
        for entry in entries {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let path = format!("{prefix}{name}");
            let kind = entry.file_type()?;
            if FOREIGN.contains(&name.as_str()) {
                continue;
            }
            if kind.is_dir() {
                self.add_folder(&entry.path(), &format!("{path}/"))?;
            } else if kind.is_file() && !is_passing(&path) {
                // A file may vanish between the listing and the reading: then it was not ours.
                if let Ok(bytes) = fs::read(entry.path()) {
                    self.files.insert(path, bytes);
                }
            }
        }
        Ok(())
    }

    /// A tree of these files, for tests.
    #[cfg(test)]
    pub fn of(files: &[(&str, &str)]) -> Self {
        let files = files.iter().map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec())).collect();
        Self { files }
    }

    /// All paths.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.files.keys().map(String::as_str)
    }

    /// All files as they are on disk.
    pub fn bytes(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.files.iter().map(|(path, bytes)| (path.as_str(), bytes.as_slice()))
    }

    /// The text of a file that exists and is text.
    pub fn text(&self, path: &str) -> Option<&str> {
        self.files.get(path).and_then(|bytes| std::str::from_utf8(bytes).ok())
    }

    /// Path and text of all files that are text and whose names end so.
    pub fn texts<'a>(&'a self, endings: &'a [&str]) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.paths()
            .filter(|path| endings.iter().any(|ending| path.ends_with(ending)))
            .filter_map(|path| Some((path, self.text(path)?)))
    }

    /// Whether there is such a file, or a folder with files below it.
    pub fn has(&self, path: &str) -> bool {
        let path = path.trim_end_matches('/');
        self.files.contains_key(path) || self.has_folder(path)
    }

    /// Whether there are files below this folder.
    pub fn has_folder(&self, path: &str) -> bool {
        let prefix = format!("{}/", path.trim_end_matches('/'));
        self.files.range(prefix.clone()..).next().is_some_and(|(first, _)| first.starts_with(&prefix))
    }

    /// The names of the files and folders directly in a folder.
    pub fn children(&self, folder: &str) -> Vec<&str> {
        let prefix = if folder.is_empty() { String::new() } else { format!("{folder}/") };
        let mut names: Vec<&str> = self
            .paths()
            .filter_map(|path| path.strip_prefix(&prefix))
            .filter_map(|rest| rest.split('/').next())
            .collect();
        names.dedup();
        names
    }
}

/// The root of the repository that this program was compiled in.
pub fn repository_root() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.ancestors().nth(2).unwrap_or(own).to_owned()
}

fn is_passing(path: &str) -> bool {
    PASSING.iter().any(|ending| path.ends_with(ending))
        || path.ends_with(".cantus") && !path.starts_with("golden/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_what_has_files_below() {
        let tree = Tree::of(&[("a/b/c.rs", ""), ("a/d.rs", ""), ("ab/e.rs", "")]);
        assert!(tree.has("a") && tree.has("a/b/") && tree.has("a/d.rs"));
        assert!(!tree.has("a/c.rs") && !tree.has("a/b/c") && !tree.has_folder("a/d.rs"));
        assert_eq!(tree.children("a"), ["b", "d.rs"]);
        assert_eq!(tree.children(""), ["a", "ab"]);
    }

    #[test]
    fn what_comes_and_goes_is_left_out() {
        let folder = tempfile::tempdir().unwrap();
        for path in ["target/x", ".git/x", "a.cantus", "golden/b.cantus", "c.snap.new", ".ci/run"] {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        let tree = Tree::below(folder.path()).unwrap();
        assert_eq!(tree.paths().collect::<Vec<_>>(), [".ci/run", "golden/b.cantus"]);
    }
}
