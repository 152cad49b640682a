//! `cargo xtask guests`: builds the guest programs, proves that the committed ones are what their sources give, and runs
//! them under QEMU.
//!
//! `--linux` makes real Linux guests instead; everything about them stands in `linux.rs`.
//!
//! The programs' bytes do not depend on where the repository lies: the compiler runs in the repository's root, gets
//! relative paths, and writes `.` for the root into the debug information.

pub mod linux;
mod qemu;

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use cantus_guests::{Catalogue, Program, Toolchain, architecture_folder};
use tempfile::TempDir;

/// What the verb does, in one line.
pub const HELP: &str = "[--check | --qemu] [NAME...] | --linux [...]  build the guests; compare with the committed ones; run them";

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
            name => {
                ensure!(catalogue.guest(name).is_some(), "no guest is called {name}");
                names.push(name);
            }
        }
    }
    let programs: Vec<Program<'_>> =
        catalogue.programs().filter(|p| names.is_empty() || names.contains(&p.guest.name.as_str())).collect();
    match task {
        Task::Build => build_all(&catalogue.toolchain, &programs),
        Task::Check => check_all(&catalogue.toolchain, &programs),
        Task::Qemu => qemu::run_all(&programs),
    }
}

/// Builds every program into its committed place.
fn build_all(toolchain: &Toolchain, programs: &[Program<'_>]) -> Result<()> {
    let builder = Builder::new(toolchain)?;
    for program in programs {
        let bytes = builder.build(program)?;
        println!("{:>6} bytes  {}", bytes.len(), program.file_name());
        let elf = program.elf();
        fs::write(&elf, bytes).with_context(|| format!("cannot write {}", elf.display()))?;
    }
    Ok(())
}

/// Builds every program and compares it with the committed one, byte for byte.
fn check_all(toolchain: &Toolchain, programs: &[Program<'_>]) -> Result<()> {
    let builder = Builder::new(toolchain)?;
    let mut differing = Vec::new();
    for program in programs {
        let name = program.file_name();
        let built = builder.build(program)?;
        let elf = program.elf();
        let committed = fs::read(&elf).with_context(|| format!("cannot read {}", elf.display()))?;
        match committed.iter().zip(&built).position(|(a, b)| a != b) {
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
    println!("{} programs are what their sources give", programs.len());
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
        builder
            .compile(|gcc| gcc.arg("-c").arg(start).arg("-o").arg(builder.output.path().join("start.o")))?;
        Ok(builder)
    }

    /// Compiles and links a program, and gives the ELF file's bytes.
    fn build(&self, program: &Program<'_>) -> Result<Vec<u8>> {
        let elf = self.output.path().join("program.elf");
        let runtime = self.guests.join("runtime");
        let source = self.guests.join(program.guest.source());
        self.compile(|gcc| {
            gcc.args(program.defines().map(|define| format!("-D{define}")))
                .arg("-I")
                .arg(&runtime)
                .arg("-T")
                .arg(runtime.join("link.ld"))
                .arg(self.output.path().join("start.o"))
                .args([runtime.join("runtime.c"), source])
                .arg("-o")
                .arg(&elf)
        })
        .with_context(|| program.file_name())?;
        fs::read(&elf).with_context(|| format!("cannot read {}", elf.display()))
    }

    /// Runs the compiler with the flags that all programs share and those that `arguments` adds.
    fn compile(&self, arguments: impl FnOnce(&mut Command) -> &mut Command) -> Result<()> {
        let mut gcc = Command::new(format!("{}gcc", self.toolchain.prefix));
        gcc.current_dir(&self.root)
            .args(&self.toolchain.flags)
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
