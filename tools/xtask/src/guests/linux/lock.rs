//! Which version of which package the guests are made of: `tests/guests/linux/packages.lock`.
//!
//! A line is `NAME=VERSION`, for a source package `src:NAME=VERSION`; lines that begin with `#` are for people.

use std::fmt;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};

use super::sources_folder;

const HEAD: &str = "\
# The packages of Debian trixie (riscv64) that the Linux guests are made of, one `name=version` a line.
# `cargo xtask guests --linux --refresh` writes this file anew, with what the mirror has today.
";

/// A package in one version.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Package {
    /// Whether it is a source package.
    pub source: bool,
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
}

impl Package {
    /// A binary package.
    pub fn binary(name: impl Into<String>, version: impl Into<String>) -> Self {
        Self { source: false, name: name.into(), version: version.into() }
    }

    /// Whether it is Debian's kernel.
    pub fn is_kernel(&self) -> bool {
        self.name.starts_with("linux-image-")
    }

    /// Whether it is the kernel's source.
    pub fn is_kernel_source(&self) -> bool {
        self.name.starts_with("linux-source-")
    }

    fn parse(line: &str) -> Result<Self> {
        let (name, version) =
            line.split_once('=').with_context(|| format!("`{line}` is not name=version"))?;
        let (source, name) = name.strip_prefix("src:").map_or((false, name), |name| (true, name));
        // They become arguments and file names.
        let plain = |text: &str, extra: &str| {
            text.starts_with(|c: char| c.is_ascii_alphanumeric())
                && text.chars().all(|c| c.is_ascii_alphanumeric() || extra.contains(c))
        };
        ensure!(plain(name, "+-."), "`{name}` is no name of a package");
        ensure!(plain(version, "+-.~:"), "`{version}` is no version of a package");
        Ok(Self { source, name: name.to_owned(), version: version.to_owned() })
    }
}

impl fmt::Display for Package {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}={}", if self.source { "src:" } else { "" }, self.name, self.version)
    }
}

/// The packages that are pinned.
pub struct Lock {
    packages: Vec<Package>,
}

impl Lock {
    /// The file.
    pub fn path() -> PathBuf {
        sources_folder().join("packages.lock")
    }

    /// The committed one.
    pub fn read() -> Result<Self> {
        let path = Self::path();
        let text = std::fs::read_to_string(&path)
            .with_context(|| format!("cannot read {}; --refresh writes it", path.display()))?;
        Self::parse(&text).with_context(|| path.display().to_string())
    }

    /// Of these packages.
    pub fn of(mut packages: Vec<Package>) -> Self {
        packages.sort();
        packages.dedup();
        Self { packages }
    }

    /// Puts it into its place.
    pub fn write(&self) -> Result<()> {
        let path = Self::path();
        std::fs::write(&path, self.to_string()).with_context(|| format!("cannot write {}", path.display()))
    }

    /// The packages that are meant by a question, at least one.
    pub fn select(&self, what: &str, wanted: impl Fn(&Package) -> bool) -> Result<Vec<Package>> {
        let selected: Vec<Package> =
            self.packages.iter().filter(|package| wanted(package)).cloned().collect();
        ensure!(!selected.is_empty(), "{} does not pin {what}; --refresh writes it", Self::path().display());
        Ok(selected)
    }

    /// The packages with these names, all of which must be there.
    pub fn named(&self, names: &[&str]) -> Result<Vec<Package>> {
        let mut found = Vec::new();
        for name in names {
            found.extend(self.select(name, |package| package.name == *name)?);
        }
        Ok(found)
    }

    fn parse(text: &str) -> Result<Self> {
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        Ok(Self::of(lines.map(Package::parse).collect::<Result<_>>()?))
    }
}

impl fmt::Display for Lock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HEAD)?;
        self.packages.iter().try_for_each(|package| writeln!(f, "{package}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_that_is_written_reads_as_it_was() {
        let text =
            format!("{HEAD}libc6=2.41-12+deb13u5\nzlib1g=1:1.3.dfsg+really1.3.1-1\nsrc:pbzip2=1.1.13-1\n");
        let lock = Lock::parse(&text).unwrap();
        assert_eq!(lock.to_string(), text);
        assert_eq!(lock.named(&["zlib1g"]).unwrap()[0].version, "1:1.3.dfsg+really1.3.1-1");
        assert!(lock.named(&["libc6", "nothing"]).is_err());
    }

    #[test]
    fn lines_that_could_be_something_else_are_refused() {
        for line in ["libc6", "../x=1", "-o=1", "a=", "a=1 -t", "a b=1", "src:=1"] {
            assert!(Lock::parse(line).is_err(), "{line}");
        }
    }

    #[test]
    fn the_committed_lock_pins_what_guests_are_made_of() {
        let lock = Lock::read().unwrap();
        for what in [Package::is_kernel, Package::is_kernel_source] {
            assert_eq!(lock.select("a kernel", what).unwrap().len(), 1);
        }
        assert_eq!(lock.select("sources", |package| package.source).unwrap().len(), 1);
    }
}
