//! The first file system: busybox, the kernel's modules, small works, programs and a module with bugs, and our `init`.
//!
//! The same one serves Debian's kernel and the small one. Its bytes follow from its ingredients.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::apt::Fetched;
use super::cpio::Archive;
use super::kernel::Kernel;
use super::module::Module;
use super::piece::{self, Ingredients};
use super::programs::Programs;
use super::{host, libraries, sources_folder};

/// The packages that it is made of.
pub const PACKAGES: &[&str] = &["busybox-static", "libc6", "liblzma5", "pigz", "xz-utils", "zlib1g"];

/// Debian's programs in it, by their place in their packages; they go to `usr/bin`.
const DEBIANS: &[&str] = &["usr/bin/pigz", "usr/bin/xz"];

/// Files of ours, by their place in the guest, and whether they are programs.
const OURS: &[(&str, bool)] = &[("init", true), ("works.sh", false), ("devices.sh", true)];

/// What the module knows.
const BUGS_OF_MODULE: &[&str] = &["list", "update", "refcount", "deadlock"];

/// Makes the archive, and says whether it had to be made.
pub fn make(
    path: &Path,
    packages: &[Fetched],
    kernel: &Kernel,
    modules: &[Module],
    programs: &Programs,
) -> Result<bool> {
    let mut from = Ingredients::of_recipe(concat!(include_str!("initramfs.rs"), include_str!("cpio.rs")));
    for package in packages {
        from.add("package", package.package.to_string());
    }
    let (release, programs) = (kernel.release()?, programs.stripped()?);
    from.add("kernel", fs::read(kernel.made_from())?);
    for (name, bytes) in &programs {
        from.add(name, bytes);
    }
    let bugs = modules.iter().map(|module| Ok((format!("{}/bugs.ko", module.release), module.stripped()?)));
    let bugs = bugs.collect::<Result<Vec<_>>>()?;
    for (name, bytes) in &bugs {
        from.add(name, bytes);
    }
    for (name, path) in scripts()? {
        from.add(name, fs::read(path)?);
    }
    piece::make(path, &from, |path| {
        let mut archive = Archive::default();
        for folder in ["applets", "dev", "etc", "mnt", "proc", "root", "run", "sys", "tmp", "var"] {
            archive.folder(folder);
        }
        // Before anything is mounted, the kernel opens the one for the first process, and programs want the other.
        archive.device("dev/console", 5, 1);
        archive.device("dev/null", 1, 3);
        archive.file("etc/passwd", b"root:x:0:0:root:/root:/bin/sh\n".to_vec(), false);
        archive.file("etc/hosts", b"127.0.0.1 localhost\n".to_vec(), false);
        add_packages(&mut archive, path, packages)?;
        for (name, path) in piece::files_below(&kernel.modules())? {
            archive.file(&format!("usr/lib/modules/{release}/{name}"), fs::read(path)?, false);
        }
        for (name, bytes) in bugs {
            archive.file(&format!("usr/lib/modules/{name}"), bytes, false);
        }
        for (name, bytes) in programs {
            let place = if name.starts_with("bugs/") { name } else { format!("usr/bin/{name}") };
            archive.file(&place, bytes, true);
        }
        for (place, path) in scripts()? {
            let is_program = OURS.iter().all(|(name, is_program)| *name != place || *is_program);
            archive.file(&place, fs::read(path)?, is_program);
        }
        fs::write(path, archive.bytes()?).with_context(|| format!("cannot write {}", path.display()))
    })
}

/// Our scripts, by their place in the guest. One of a bug serves the broken program and the fixed one, and one serves all bugs
/// of the module.
fn scripts() -> Result<Vec<(String, PathBuf)>> {
    let sources = sources_folder();
    let mut scripts: Vec<_> = OURS.iter().map(|(name, _)| ((*name).to_owned(), sources.join(name))).collect();
    let mut both = |name: &str, path: PathBuf| {
        scripts.push((format!("bugs/{name}"), path.clone()));
        scripts.push((format!("bugs/{name}-fixed"), path));
    };
    for (name, path) in piece::files_below(&sources.join("bugs"))? {
        if let Some(name) = name.strip_suffix(".sh") {
            both(name, path);
        }
    }
    for bug in BUGS_OF_MODULE {
        both(&format!("module_{bug}"), sources.join("module/module.sh"));
    }
    Ok(scripts)
}

/// Debian's part: busybox, a few programs and their libraries.
fn add_packages(archive: &mut Archive, path: &Path, packages: &[Fetched]) -> Result<()> {
    let tree = tempfile::tempdir_in(path.parent().context("a file has a folder")?)?;
    for package in packages {
        host::unpack(&package.path, tree.path())?;
    }
    let read = |name: &str| {
        fs::read(tree.path().join(name)).with_context(|| format!("{name} is in none of its packages"))
    };
    archive.link("bin", "usr/bin");
    archive.link("lib", "usr/lib");
    archive.file("usr/bin/busybox", read("usr/bin/busybox")?, true);
    archive.link("usr/bin/sh", "busybox");
    for program in DEBIANS {
        archive.file(program, read(program)?, true);
    }
    let programs: Vec<PathBuf> = DEBIANS.iter().map(|program| tree.path().join(program)).collect();
    for library in libraries::needed(tree.path(), &programs)? {
        archive.file(&format!("usr/lib/{library}"), read(&format!("{}/{library}", libraries::FOLDER))?, true);
    }
    Ok(())
}
