//! Which shared libraries programs need, as their dynamic sections say.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use super::host;

/// Where Debian's libraries lie, relative to a tree of unpacked packages.
pub const FOLDER: &str = "usr/lib/riscv64-linux-gnu";
/// Where the kernel looks for the loader of every dynamic program.
pub const LOADER: &str = "ld-linux-riscv64-lp64d.so.1";

/// The libraries that programs need, with those that these need, and the loader; by their file names, which are all in
/// the tree's folder.
pub fn needed(tree: &Path, programs: &[PathBuf]) -> Result<Vec<String>> {
    let folder = tree.join(FOLDER);
    let mut found = BTreeSet::from([LOADER.to_owned()]);
    let mut open: Vec<PathBuf> = programs.to_vec();
    while !open.is_empty() {
        let mut next = Vec::new();
        for name in needed_by(&open)? {
            let path = folder.join(&name);
            if !path.is_file() {
                bail!("a program needs {name}, which is in none of its packages");
            }
            if found.insert(name) {
                next.push(path);
            }
        }
        open = next;
    }
    Ok(found.into_iter().collect())
}

/// The libraries that files need themselves. Files that are not dynamic, and scripts, need none.
fn needed_by(files: &[PathBuf]) -> Result<BTreeSet<String>> {
    let mut readelf = host::command("riscv64-linux-gnu-readelf");
    readelf.arg("--dynamic").args(files);
    // It complains of scripts by its status; what it found it has printed.
    let output = readelf.output()?;
    Ok(names(&String::from_utf8_lossy(&output.stdout)))
}

/// The names in lines like `0x1 (NEEDED)  Shared library: [libc.so.6]`.
fn names(text: &str) -> BTreeSet<String> {
    text.lines()
        .filter(|line| line.contains("(NEEDED)"))
        .filter_map(|line| Some(line.split_once('[')?.1.split_once(']')?.0.to_owned()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn needed_libraries_are_read() {
        let text = " 0x0000000000000001 (NEEDED)   Shared library: [libz.so.1]\n 0xe (SONAME)  Library soname: [x]\n";
        assert_eq!(names(text).into_iter().collect::<Vec<_>>(), ["libz.so.1"]);
    }
}
