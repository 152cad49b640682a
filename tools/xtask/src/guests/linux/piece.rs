//! Pieces: files and folders that are made once, and made again only when what they were made from has changed.
//!
//! Beside each lies `NAME.made-from`, which holds that in full: versions of packages, sources, and the text of the recipe. A
//! piece appears under its name only when it is complete.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// What a piece is made from.
#[derive(Default)]
pub struct Ingredients {
    text: Vec<u8>,
}

impl Ingredients {
    /// The recipe's own text comes first.
    pub fn of_recipe(text: &str) -> Self {
        let mut ingredients = Self::default();
        ingredients.add("recipe", text);
        ingredients
    }

    /// Adds one.
    pub fn add(&mut self, name: impl AsRef<str>, content: impl AsRef<[u8]>) {
        let (name, content) = (name.as_ref(), content.as_ref());
        self.text.extend_from_slice(format!("== {name} ({} bytes)\n", content.len()).as_bytes());
        self.text.extend_from_slice(content);
        self.text.push(b'\n');
    }

    /// Adds all files of a folder, with those below it, by their names.
    pub fn add_folder(&mut self, folder: &Path) -> Result<()> {
        for (name, path) in files_below(folder)? {
            self.add(name, fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?);
        }
        Ok(())
    }
}

/// Makes a piece if it has to be made, and says whether it had to. `make` gets the path to make it at, which is not there.
pub fn make(path: &Path, from: &Ingredients, make: impl FnOnce(&Path) -> Result<()>) -> Result<bool> {
    let made_from = made_from(path);
    if path.exists() && fs::read(&made_from).is_ok_and(|text| text == from.text) {
        return Ok(false);
    }
    let unfinished = beside(path, "unfinished");
    for old in [&made_from, &unfinished, path] {
        remove(old)?;
    }
    make(&unfinished).with_context(|| format!("cannot make {}", path.display()))?;
    fs::rename(&unfinished, path).with_context(|| format!("{} was not made", path.display()))?;
    fs::write(&made_from, &from.text).with_context(|| format!("cannot write {}", made_from.display()))?;
    Ok(true)
}

/// The file that holds what a piece was made from.
pub fn made_from(path: &Path) -> PathBuf {
    beside(path, "made-from")
}

/// All files below a folder with their paths relative to it, in ascending order.
pub fn files_below(folder: &Path) -> Result<Vec<(String, PathBuf)>> {
    let mut files = Vec::new();
    let mut folders = vec![(String::new(), folder.to_owned())];
    while let Some((prefix, folder)) = folders.pop() {
        let entries = fs::read_dir(&folder).with_context(|| format!("cannot list {}", folder.display()))?;
        for entry in entries {
            let entry = entry?;
            let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
            if entry.file_type()?.is_dir() {
                folders.push((format!("{name}/"), entry.path()));
            } else {
                files.push((name, entry.path()));
            }
        }
    }
    files.sort();
    Ok(files)
}

/// Removes a file or a folder, if it is there.
pub fn remove(path: &Path) -> Result<()> {
    let removed = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
        Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
    };
    removed.with_context(|| format!("cannot remove {}", path.display()))
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".");
    name.push(ending);
    path.with_file_name(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::bail;

    #[test]
    fn a_piece_is_made_again_only_when_its_ingredients_change() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("piece");
        let from = |text: &str| {
            let mut from = Ingredients::of_recipe("r");
            from.add("a", text);
            from
        };
        let write = |text: &'static str| move |path: &Path| Ok(fs::write(path, text)?);
        assert!(make(&path, &from("1"), write("one")).unwrap());
        assert!(!make(&path, &from("1"), write("other")).unwrap());
        assert_eq!(fs::read_to_string(&path).unwrap(), "one");
        assert!(make(&path, &from("2"), write("two")).unwrap());
        assert_eq!(fs::read_to_string(&path).unwrap(), "two");
    }

    #[test]
    fn a_piece_that_failed_is_not_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("piece");
        let from = Ingredients::of_recipe("r");
        let half = |path: &Path| {
            fs::write(path, "half")?;
            bail!("power cut")
        };
        assert!(make(&path, &from, half).is_err());
        assert!(!path.exists());
        assert!(make(&path, &from, |path| Ok(fs::create_dir(path)?)).unwrap());
        assert!(path.is_dir());
    }

    #[test]
    fn ingredients_do_not_run_into_each_other() {
        let mut one = Ingredients::default();
        one.add("a", "b");
        one.add("c", "");
        let mut other = Ingredients::default();
        other.add("a", "b\n== c (0 bytes)\n");
        assert_ne!(one.text, other.text);
    }
}
