//! The catalogue of guest programs, as `riscv64/guests.toml` lists them.
//!
//! A *guest* is one C source file. A *program* is one ELF file built from it: a guest with a bug gives two, broken and
//! fixed; any other guest gives one. `cargo xtask guests` builds them, and they are committed under `riscv64/elf/`.
//! The catalogue knows names and expectations only; it neither builds nor runs anything.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::Deserialize;

/// Everything that the manifest says.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Catalogue {
    /// What the committed programs were built with.
    pub toolchain: Toolchain,
    /// The guests, in the manifest's order.
    #[serde(rename = "guest")]
    pub guests: Vec<Guest>,
}

/// The compiler that gives the committed bytes. Another version gives other bytes.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Toolchain {
    /// The command's prefix, as in `<prefix>gcc`.
    pub prefix: String,
    /// GCC's version, as `gcc -dumpfullversion` prints it.
    pub gcc: String,
    /// The version of assembler and linker, the last word of `ld --version`'s first line.
    pub binutils: String,
    /// Where to find these versions, for whoever lacks them.
    pub source: String,
    /// The compiler's flags, the same for all programs.
    pub flags: Vec<String>,
}

/// One guest: one source file and what to expect of it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Guest {
    /// Its name, which is also its source file's without `.c` unless `source` says otherwise.
    pub name: String,
    /// What it is for.
    pub role: Role,
    /// What it does, in one line.
    pub story: String,
    /// How many cores it is meant to be run with, when nothing else is asked for.
    pub cores: u16,
    /// With fewer cores than this it does nothing worth seeing.
    #[serde(default = "one")]
    pub cores_min: u16,
    /// How the broken program ends when its bug shows (otherwise it passes), and how any other program ends always.
    /// The fixed program always passes.
    #[serde(default)]
    pub outcome: Outcome,
    /// The board that it was written for.
    #[serde(default)]
    pub board: Board,
    /// The source file in its folder, if its name is not the guest's.
    pub source: Option<String>,
    /// Preprocessor definitions, `NAME` or `NAME=VALUE`.
    #[serde(default)]
    pub defines: Vec<String>,
    /// Whether QEMU can run it.
    #[serde(default = "yes")]
    pub qemu: bool,
    /// What to type on the console.
    #[serde(default)]
    pub input: String,
}

fn one() -> u16 {
    1
}

fn yes() -> bool {
    true
}

/// What a guest is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Shows a concurrency bug: comes broken and fixed.
    Bug,
    /// Correct, and used in tests and benchmarks.
    Workload,
    /// Correct, and written to be timed; says how long it took by its own clock.
    Speed,
}

/// The board that a guest runs on. Both are in the address space of one machine; they differ in how a guest prints and
/// ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Board {
    /// Prints on the UART and ends through the test finisher.
    #[default]
    Virt,
    /// Prints and ends through the words `tohost` and `fromhost`.
    Htif,
}

/// How a run ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum Outcome {
    /// With status 0.
    #[default]
    Pass,
    /// With this status, which is not 0.
    Fail(u8),
    /// Never: every core waits for an interrupt, and none will come.
    Stuck,
}

impl TryFrom<String> for Outcome {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        match text.as_str() {
            "pass" => Ok(Self::Pass),
            "stuck" => Ok(Self::Stuck),
            other => match other.strip_prefix("fail ").and_then(|code| code.parse().ok()) {
                Some(code) if code != 0 => Ok(Self::Fail(code)),
                Some(_) | None => {
                    Err(format!("an outcome is `pass`, `stuck` or `fail 1` to `fail 255`, not `{other}`"))
                }
            },
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pass => f.write_str("pass"),
            Self::Fail(code) => write!(f, "fail {code}"),
            Self::Stuck => f.write_str("stuck"),
        }
    }
}

/// Which of its programs a guest is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variant {
    /// With its bug.
    Broken,
    /// The same without the bug (compiled with `-DFIXED`).
    Fixed,
    /// A guest that has no bug to begin with.
    Only,
}

/// One ELF file.
#[derive(Clone, Copy, Debug)]
pub struct Program<'a> {
    /// The guest that it is built from.
    pub guest: &'a Guest,
    /// Which of the guest's programs.
    pub variant: Variant,
}

impl Catalogue {
    /// The catalogue as it was when this crate was compiled.
    ///
    /// # Panics
    /// If the manifest is malformed, which this crate's tests rule out.
    #[must_use]
    pub fn load() -> Self {
        let text = include_str!("../riscv64/guests.toml");
        toml::from_str(text).unwrap_or_else(|error| panic!("tests/guests/riscv64/guests.toml: {error}"))
    }

    /// The guest with this name.
    #[must_use]
    pub fn guest(&self, name: &str) -> Option<&Guest> {
        self.guests.iter().find(|guest| guest.name == name)
    }

    /// All programs of all guests.
    pub fn programs(&self) -> impl Iterator<Item = Program<'_>> {
        self.guests.iter().flat_map(Guest::programs)
    }
}

impl Guest {
    /// Its programs: broken then fixed, or the only one.
    pub fn programs(&self) -> impl Iterator<Item = Program<'_>> {
        let variants: &[Variant] = match self.role {
            Role::Bug => &[Variant::Broken, Variant::Fixed],
            Role::Workload | Role::Speed => &[Variant::Only],
        };
        variants.iter().map(|&variant| Program { guest: self, variant })
    }

    /// The program with the bug, of a guest that has one.
    #[must_use]
    pub fn broken(&self) -> Option<Program<'_>> {
        self.programs().find(|program| program.variant == Variant::Broken)
    }

    /// The program without the bug: the fixed one, or the only one.
    #[must_use]
    pub fn correct(&self) -> Program<'_> {
        let variant = match self.role {
            Role::Bug => Variant::Fixed,
            Role::Workload | Role::Speed => Variant::Only,
        };
        Program { guest: self, variant }
    }

    /// Its source file, below the folder of the guests' architecture.
    #[must_use]
    pub fn source(&self) -> PathBuf {
        let folder = match self.role {
            Role::Bug => "bugs",
            Role::Workload => "workloads",
            Role::Speed => "speed",
        };
        let file = self.source.clone().unwrap_or_else(|| format!("{}.c", self.name));
        Path::new(folder).join(file)
    }
}

impl Program<'_> {
    /// The ELF file's name: `lost_update-broken.elf`, `hello.elf`.
    #[must_use]
    pub fn file_name(&self) -> String {
        match self.variant {
            Variant::Broken => format!("{}-broken.elf", self.guest.name),
            Variant::Fixed => format!("{}-fixed.elf", self.guest.name),
            Variant::Only => format!("{}.elf", self.guest.name),
        }
    }

    /// The committed ELF file.
    #[must_use]
    pub fn elf(&self) -> PathBuf {
        architecture_folder().join("elf").join(self.file_name())
    }

    /// Preprocessor definitions to compile it with.
    pub fn defines(&self) -> impl Iterator<Item = &str> {
        let fixed = (self.variant == Variant::Fixed).then_some("FIXED");
        self.guest.defines.iter().map(String::as_str).chain(fixed)
    }

    /// How it may end: a broken program either way, any other in one way only.
    #[must_use]
    pub fn outcomes(&self) -> Vec<Outcome> {
        match self.variant {
            Variant::Broken => vec![Outcome::Pass, self.guest.outcome],
            Variant::Fixed => vec![Outcome::Pass],
            Variant::Only => vec![self.guest.outcome],
        }
    }
}

/// The folder with the RISC-V guests: manifest, runtime, sources and ELF files.
#[must_use]
pub fn architecture_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("riscv64")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_entry_has_its_source_and_its_programs() {
        let catalogue = Catalogue::load();
        for guest in &catalogue.guests {
            let source = architecture_folder().join(guest.source());
            assert!(source.is_file(), "{}: no source {}", guest.name, source.display());
            assert!(guest.cores_min <= guest.cores, "{}: cores_min is more than cores", guest.name);
            for program in guest.programs() {
                let elf = program.elf();
                let bytes = std::fs::read(&elf).unwrap_or_else(|error| panic!("{}: {error}", elf.display()));
                assert!(bytes.starts_with(b"\x7fELF"), "{} is not an ELF file", elf.display());
                assert!(
                    bytes.len() < 40 * 1024,
                    "{} has {} bytes: too large to commit",
                    elf.display(),
                    bytes.len()
                );
            }
        }
    }

    #[test]
    fn names_are_unique_and_bugs_have_something_to_show() {
        let catalogue = Catalogue::load();
        let mut names: Vec<_> = catalogue.guests.iter().map(|guest| &guest.name).collect();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), catalogue.guests.len(), "two guests have the same name");
        for guest in catalogue.guests.iter().filter(|guest| guest.role == Role::Bug) {
            assert_ne!(
                guest.outcome,
                Outcome::Pass,
                "{}: a bug that shows does not end with status 0",
                guest.name
            );
        }
    }

    #[test]
    fn every_file_belongs_to_an_entry() {
        let catalogue = Catalogue::load();
        let elfs: Vec<_> = catalogue.programs().map(|program| program.elf()).collect();
        let sources: Vec<_> =
            catalogue.guests.iter().map(|guest| architecture_folder().join(guest.source())).collect();
        for (folder, known) in
            [("elf", &elfs), ("bugs", &sources), ("workloads", &sources), ("speed", &sources)]
        {
            for entry in std::fs::read_dir(architecture_folder().join(folder)).unwrap() {
                let path = entry.unwrap().path();
                let is_header = path.extension().is_some_and(|extension| extension == "h");
                assert!(
                    is_header || known.contains(&path),
                    "{} belongs to no entry of guests.toml",
                    path.display()
                );
            }
        }
    }

    #[test]
    fn outcomes_read_what_they_print() {
        for outcome in [Outcome::Pass, Outcome::Stuck, Outcome::Fail(1), Outcome::Fail(255)] {
            assert_eq!(Outcome::try_from(outcome.to_string()), Ok(outcome));
        }
        for text in ["", "fail", "fail 0", "fail 256", "Pass"] {
            assert!(Outcome::try_from(text.to_owned()).is_err(), "`{text}` was accepted");
        }
    }
}
