//! `cargo xtask guests`: builds the guest programs, proves that the committed ones are what their sources give, and runs
//! them under QEMU.
//!
//! The firmware that kernels are started with, `firmware`, is built and compared in the same way.
//!
//! `--linux` makes real Linux guests instead; everything about them stands in `linux.rs`.
//!
//! The programs' bytes do not depend on where the repository lies: the compiler runs in the repository's root, gets
//! relative paths, and writes `.` for the root into the debug information.

mod firmware;
pub mod linux;
mod qemu;

use std::ffi::OsStr;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use cantus_guests::{Catalogue, Program, Toolchain, architecture_folder};
use tempfile::TempDir;

/// What the verb does, in one line.
pub const HELP: &str = "[--check | --qemu] [NAME...|firmware] | --linux [...]  build the guests; compare with the committed ones; run them";

/// What to do with the programs.
enum Task {
    Build,
    Check,
    Qemu,
}

/// Runs the verb. Without names, all guests are meant; a name is a guest's.
pub fn run(arguments: &[String]) -> Result<()> {
    if let Some((first, rest)) = arguments.split_first()
        && first == "--linux"
    {
        return linux::run(rest);
    }
    let catalogue = Catalogue::load();
    let mut task = Task::Build;
    let mut names = Vec::new();
    for argument in arguments {
        match argument.as_str() {
            "--check" => task = Task::Check,
            "--qemu" => task = Task::Qemu,
            option if option.starts_with('-') => bail!("unknown option {option}; usage: guests {HELP}"),
            firmware::NAME => names.push(firmware::NAME),
            name => {
                ensure!(catalogue.guest(name).is_some(), "no guest is called {name}");
                names.push(name);
            }
        }
    }
    let programs: Vec<Program<'_>> =
        catalogue.programs().filter(|p| names.is_empty() || names.contains(&p.guest.name.as_str())).collect();
    let with_firmware = names.is_empty() || names.contains(&firmware::NAME);
    match task {
        Task::Build => build_all(&catalogue.toolchain, &programs, with_firmware),
        Task::Check => check_all(&catalogue.toolchain, &programs, with_firmware),
        Task::Qemu => qemu::run_all(&programs),
    }
}

/// Something that is committed as it was built.
struct Built {
    name: String,
    committed: PathBuf,
    bytes: Vec<u8>,
}

/// Builds programs, and the firmware.
fn build(toolchain: &Toolchain, programs: &[Program<'_>], with_firmware: bool) -> Result<Vec<Built>> {
    let builder = Builder::new(toolchain)?;
    let mut all = Vec::new();
    for program in programs {
        let bytes = builder.build(program)?;
        all.push(Built { name: program.file_name(), committed: program.elf(), bytes });
    }
    if with_firmware {
        let bytes = firmware::build(&builder).context(firmware::NAME)?;
        all.push(Built { name: firmware::NAME.to_owned(), committed: firmware::elf(), bytes });
    }
    Ok(all)
}

/// Builds every program into its committed place.
fn build_all(toolchain: &Toolchain, programs: &[Program<'_>], with_firmware: bool) -> Result<()> {
    for Built { name, committed, bytes } in build(toolchain, programs, with_firmware)? {
        println!("{:>6} bytes  {name}", bytes.len());
        fs::write(&committed, bytes).with_context(|| format!("cannot write {}", committed.display()))?;
    }
    Ok(())
}

/// Builds every program and compares it with the committed one, byte for byte.
fn check_all(toolchain: &Toolchain, programs: &[Program<'_>], with_firmware: bool) -> Result<()> {
    let all = build(toolchain, programs, with_firmware)?;
    let mut differing = Vec::new();
    for Built { name, committed, bytes: built } in &all {
        let committed =
            fs::read(committed).with_context(|| format!("cannot read {}", committed.display()))?;
        match committed.iter().zip(built).position(|(a, b)| a != b) {
            Some(offset) => differing.push(format!("{name}: first difference at offset {offset:#x}")),
            None if committed.len() != built.len() => {
                differing.push(format!("{name}: committed {} bytes, built {}", committed.len(), built.len()));
            }
            None => {}
        }
    }
    ensure!(
        differing.is_empty(),
        "committed programs that are not what their sources give (run `cargo xtask guests` and commit the result):\n  {}",
        differing.join("\n  ")
    );
    println!("{} programs are what their sources give", all.len());
    Ok(())
}

/// A compiler that was found to be the right one, and the folder in which it works.
struct Builder<'a> {
    toolchain: &'a Toolchain,
    /// The repository's root, in which the compiler runs.
    root: PathBuf,
    /// The guests' folder, relative to the root.
    guests: PathBuf,
    /// Where the compiler writes; goes away with the builder.
    output: TempDir,
}

impl<'a> Builder<'a> {
    /// Checks the compiler's version, and assembles what all programs share.
    fn new(toolchain: &'a Toolchain) -> Result<Self> {
        require_toolchain(toolchain)?;
        let guests = architecture_folder();
        let root = guests.ancestors().nth(3).context("the guests' folder has no root above it")?.to_owned();
        let guests = guests.strip_prefix(&root)?.to_owned();
        let output = tempfile::tempdir().context("no folder for the compiler to write to")?;
        let builder = Self { toolchain, root, guests, output };
        // By itself, because the symbol table names the object file, which must not be one with a random name.
        let start = builder.guests.join("runtime/start.S");
        builder.compile(&toolchain.flags, |gcc| {
            gcc.arg("-c").arg(start).arg("-o").arg(builder.output.path().join("start.o"))
        })?;
        Ok(builder)
    }

    /// Compiles and links a program, and gives the ELF file's bytes.
    fn build(&self, program: &Program<'_>) -> Result<Vec<u8>> {
        let runtime = self.guests.join("runtime");
        let source = self.guests.join(program.guest.source());
        self.link(&self.toolchain.flags, |gcc| {
            gcc.args(program.defines().map(|define| format!("-D{define}")))
                .arg("-I")
                .arg(&runtime)
                .arg("-T")
                .arg(runtime.join("link.ld"))
                .arg(self.output.path().join("start.o"))
                .args([runtime.join("runtime.c"), source])
        })
        .with_context(|| program.file_name())
    }

    /// Runs the compiler with these flags and what `arguments` adds, and gives the bytes of the ELF file.
    fn link<S: AsRef<OsStr>>(
        &self,
        flags: &[S],
        arguments: impl FnOnce(&mut Command) -> &mut Command,
    ) -> Result<Vec<u8>> {
        let elf = self.output.path().join("program.elf");
        self.compile(flags, |gcc| arguments(gcc).arg("-o").arg(&elf))?;
        fs::read(&elf).with_context(|| format!("cannot read {}", elf.display()))
    }

    /// Runs the compiler with these flags and what `arguments` adds.
    fn compile<S: AsRef<OsStr>>(
        &self,
        flags: &[S],
        arguments: impl FnOnce(&mut Command) -> &mut Command,
    ) -> Result<()> {
        let mut gcc = Command::new(format!("{}gcc", self.toolchain.prefix));
        gcc.current_dir(&self.root)
            .args(flags)
            .arg(format!("-ffile-prefix-map={}=.", self.root.display()))
            .arg(format!("-Wa,--debug-prefix-map={}=.", self.root.display()));
        let output = arguments(&mut gcc).output()?;
        ensure!(output.status.success(), "the compiler says\n{}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    }
}

/// The compiler must be there, and be the one that the committed programs were built with.
fn require_toolchain(toolchain: &Toolchain) -> Result<()> {
    let gcc = format!("{}gcc", toolchain.prefix);
    let ld = format!("{}ld", toolchain.prefix);
    let gcc_version = first_line(&gcc, "-dumpfullversion", toolchain)?;
    let ld_version = first_line(&ld, "--version", toolchain)?;
    println!("{gcc} {gcc_version}, {ld_version}");
    ensure!(
        gcc_version == toolchain.gcc && ld_version.split(' ').next_back() == Some(&toolchain.binutils),
        "the committed programs were built with GCC {} and binutils {} ({}); other versions give other bytes",
        toolchain.gcc,
        toolchain.binutils,
        toolchain.source
    );
    Ok(())
}

fn first_line(command: &str, argument: &str, toolchain: &Toolchain) -> Result<String> {
    let output = Command::new(command)
        .arg(argument)
        .output()
        .with_context(|| format!("cannot run {command}: install it from {}", toolchain.source))?;
    ensure!(output.status.success(), "{command} {argument} ended with {}", output.status);
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(text.lines().next().unwrap_or_default().trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_options_and_guests_are_refused() {
        for (argument, expected) in
            [("--chekc", "unknown option --chekc"), ("nobody", "no guest is called nobody")]
        {
            let error = run(&[argument.to_owned()]).unwrap_err().to_string();
            assert!(error.contains(expected), "`{argument}` gave: {error}");
        }
    }

    #[test]
    fn a_missing_compiler_is_named_with_its_source() {
        let mut toolchain = Catalogue::load().toolchain;
        toolchain.prefix = "no-such-machine-".to_owned();
        let error = format!("{:#}", require_toolchain(&toolchain).unwrap_err());
        assert!(error.contains("no-such-machine-gcc") && error.contains(&toolchain.source), "{error}");
    }
}
