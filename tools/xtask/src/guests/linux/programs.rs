//! Our own programs for Linux: the small works and those with a bug, each broken and fixed, linked statically.
//!
//! They are kept with their symbols and source lines, for whoever looks into a run; the initramfs gets them stripped.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::apt::Fetched;
use super::host;
use super::piece::{self, Ingredients};
use super::sources_folder;

const GCC: &str = "riscv64-linux-gnu-gcc";
const GXX: &str = "riscv64-linux-gnu-g++";
/// Where programs with a bug lie in the guest; what is a script there runs the program of the same name in the second.
const BUGS: &str = "bugs";
const BUGS_BEHIND_SCRIPTS: &str = "bugs/programs";
/// Programs without bugs, each of one file.
const OURS: [&str; 3] = ["alarm", "counters", "workload"];
/// A library to link with, in its package.
const LIBBZ2: &str = "usr/lib/riscv64-linux-gnu/libbz2.a";

/// Our programs, compiled.
pub struct Programs {
    folder: PathBuf,
}

impl Programs {
    /// Compiles them into a folder; `pbzip2` is the source package, `libbz2` the development package.
    pub fn make(out: &Path, pbzip2: &Fetched, libbz2: &Fetched) -> Result<Self> {
        let sources = sources_folder();
        let mut from = Ingredients::of_recipe(include_str!("programs.rs"));
        for compiler in [GCC, GXX] {
            from.add(compiler, host::output(host::command(compiler).arg("--version"))?);
        }
        from.add("packages", format!("{} {}", pbzip2.package, libbz2.package));
        for program in OURS {
            from.add(program, fs::read(sources.join(format!("{program}.c")))?);
        }
        from.add_folder(&sources.join(BUGS))?;
        let folder = out.join("programs");
        piece::make(&folder, &from, |folder| {
            fs::create_dir_all(folder.join(BUGS_BEHIND_SCRIPTS))?;
            for program in OURS {
                compile(&sources.join(format!("{program}.c")), false, &folder.join(program))?;
            }
            for source in bugs(&sources)? {
                let name = source.file_stem().unwrap_or_default().to_string_lossy().into_owned();
                compile(&source, false, &folder.join(BUGS).join(&name))?;
                compile(&source, true, &folder.join(BUGS).join(format!("{name}-fixed")))?;
            }
            compile_pbzip2(folder, pbzip2, libbz2)
        })?;
        Ok(Self { folder })
    }

    /// All of them, by their place in the guest: name, bytes without symbols.
    pub fn stripped(&self) -> Result<Vec<(String, Vec<u8>)>> {
        let folder = tempfile::tempdir()?;
        let stripped = folder.path().join("stripped");
        let mut programs = Vec::new();
        for (name, path) in piece::files_below(&self.folder)? {
            host::output(host::command("riscv64-linux-gnu-strip").arg("-o").arg(&stripped).arg(&path))?;
            programs.push((name, fs::read(&stripped)?));
        }
        Ok(programs)
    }
}

/// The sources of programs that are one file.
fn bugs(sources: &Path) -> Result<Vec<PathBuf>> {
    let files = piece::files_below(&sources.join(BUGS))?;
    let sources: Vec<PathBuf> =
        files.into_iter().filter(|(name, _)| name.ends_with(".c")).map(|(_, path)| path).collect();
    ensure!(!sources.is_empty(), "there are no programs with bugs");
    Ok(sources)
}

fn compile(source: &Path, fixed: bool, program: &Path) -> Result<()> {
    let folder = source.parent().context("a source has a folder")?;
    let name = source.file_name().context("a source has a name")?;
    let mut gcc = compiler(GCC, folder, fixed);
    gcc.args(["-std=gnu11", "-Wall", "-Wextra", "-Werror"]).arg(name).arg("-o").arg(program);
    host::output(&mut gcc).with_context(|| source.display().to_string())?;
    Ok(())
}

/// A compiler that works in a folder whose place is not in what it gives.
fn compiler(program: &str, folder: &Path, fixed: bool) -> Command {
    let mut compiler = host::command(program);
    compiler
        .current_dir(folder)
        .args(["-O2", "-g", "-static", "-pthread", "-Wl,--build-id=none"])
        .arg(format!("-ffile-prefix-map={}=.", folder.display()))
        .args(fixed.then_some("-DFIXED"));
    compiler
}

/// pbzip2 with a bug that it once had, and without.
fn compile_pbzip2(folder: &Path, source: &Fetched, libbz2: &Fetched) -> Result<()> {
    let work = tempfile::tempdir_in(folder.parent().context("a folder has one above it")?)?;
    let (tree, library) = (work.path().join("pbzip2"), work.path().join("libbz2"));
    fs::create_dir(&tree)?;
    host::output(
        host::command("tar").arg("-xf").arg(&source.path).arg("-C").arg(&tree).arg("--strip-components=1"),
    )?;
    let patch = sources_folder().join(BUGS).join("pbzip2.patch");
    host::output(host::command("patch").current_dir(&tree).args(["-s", "-p1", "-i"]).arg(&patch))?;
    host::unpack(&libbz2.path, &library)?;
    for (fixed, name) in [(false, "pbzip2"), (true, "pbzip2-fixed")] {
        let mut gxx = compiler(GXX, &tree, fixed);
        // Written before C++11 took the blanks between strings and macros for its own.
        gxx.args(["-std=gnu++98", "-w", "-D_LARGEFILE64_SOURCE", "-D_FILE_OFFSET_BITS=64"])
            .args(["-DUSE_STACKSIZE_CUSTOMIZATION", "-D_POSIX_PTHREAD_SEMANTICS"])
            .arg("-I")
            .arg(library.join("usr/include"))
            .args(["pbzip2.cpp", "BZ2StreamScanner.cpp", "ErrorContext.cpp"])
            .arg(library.join(LIBBZ2))
            .arg("-o")
            .arg(folder.join(BUGS_BEHIND_SCRIPTS).join(name));
        host::output(&mut gxx).context("pbzip2")?;
    }
    Ok(())
}
