//! The module with bugs of kernels, `tests/guests/linux/module`, for each kernel that guests boot: built by the build system of
//! the kernel itself, as modules of users are.
//!
//! For Debian's kernel that is the one in the packages of its headers. Its tools are programs for riscv64, which
//! `qemu-riscv64` runs. For the small kernel it is the tree that the kernel was built in.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::apt::{Apt, Fetched};
use super::kernel::Kernel;
use super::lock::Package;
use super::piece::{self, Ingredients};
use super::{host, sources_folder};

/// The folder of its sources, and the file that they give.
const SOURCES: &str = "module";
const FILE: &str = "bugs.ko";
const GCC: &str = "riscv64-linux-gnu-gcc";
/// The tools that a build runs: the name that it calls, and the program that does it, below `scripts`.
const TOOLS: &[(&str, &str)] =
    &[("basic/fixdep", "basic/fixdep"), ("mod/modpost", "mod/modpost.real-lsb-64")];
/// A tool's own name ends so, once a script has taken its place.
const RISCV64: &str = "riscv64";

/// The module for one kernel.
pub struct Module {
    /// What `uname -r` says on that kernel.
    pub release: String,
    /// The file, with symbols and source lines.
    pub path: PathBuf,
}

impl Module {
    /// Builds it for Debian's kernel into `modules/RELEASE` of a folder. The C library is for the tools.
    pub fn make(
        work: &Path,
        out: &Path,
        kernel: &Kernel,
        headers: &[Fetched],
        libc: &Fetched,
    ) -> Result<Self> {
        let release = kernel.release()?;
        let mut from = Ingredients::of_recipe(include_str!("module.rs"));
        for package in headers.iter().chain([libc]) {
            from.add("package", package.package.to_string());
        }
        let tree = work.join("headers");
        piece::make(&tree, &from, |tree| unpack(&release, headers, libc, tree))?;

        from.add("compiler", host::output(host::command(GCC).arg("--version"))?);
        add_sources(&mut from)?;
        fs::create_dir_all(out.join("modules"))?;
        let folder = out.join("modules").join(&release);
        piece::make(&folder, &from, |folder| {
            let mut make = host::command("make");
            make.arg("-C").arg(headers_folder(&tree, &release));
            fs::create_dir(folder)?;
            build(&mut make, work, &folder.join(FILE))
        })?;
        Ok(Self { path: folder.join(FILE), release })
    }

    /// Its bytes without debugging information.
    pub fn stripped(&self) -> Result<Vec<u8>> {
        let folder = tempfile::tempdir()?;
        let stripped = folder.path().join(FILE);
        host::output(
            host::command("riscv64-linux-gnu-strip")
                .args(["--strip-debug", "-o"])
                .arg(&stripped)
                .arg(&self.path),
        )?;
        Ok(fs::read(stripped)?)
    }
}

/// Adds what the module is made from.
pub fn add_sources(from: &mut Ingredients) -> Result<()> {
    from.add_folder(&sources_folder().join(SOURCES))
}

/// Builds it with a `make` that knows where the kernel's build system is.
pub fn build(make: &mut Command, work: &Path, module: &Path) -> Result<()> {
    let folder = tempfile::tempdir_in(work)?;
    for (name, path) in piece::files_below(&sources_folder().join(SOURCES))? {
        fs::copy(path, folder.path().join(name))?;
    }
    let here = folder.path().display();
    // Neither the place of the sources nor that of the headers is in what is built; of two maps the last one is tried first.
    let maps = format!("-ffile-prefix-map={}=. -ffile-prefix-map={here}=.", work.display());
    make.arg("-s")
        .arg(format!("M={here}"))
        .arg(format!("CC={GCC}"))
        .arg(format!("KCFLAGS={maps}"))
        .arg("modules");
    host::output(make).context("the module with bugs")?;
    fs::copy(folder.path().join(FILE), module)?;
    Ok(())
}

/// The packages that a module for a kernel is built with: of the kernel's own version, whichever that is.
pub fn headers_of(kernel: &Package) -> Result<Vec<Package>> {
    let release =
        kernel.name.strip_prefix("linux-image-").context("a kernel's package has its release in its name")?;
    let (version, _) = release.rsplit_once('-').context("a release ends in its flavour")?;
    let names = [
        format!("linux-headers-{release}"),
        format!("linux-headers-{version}-common"),
        format!("linux-kbuild-{version}"),
    ];
    Ok(names.into_iter().map(|name| Package::binary(name, kernel.version.clone())).collect())
}

/// Gets them.
pub fn fetch_headers(apt: &Apt, kernel: &Package) -> Result<Vec<Fetched>> {
    apt.fetch(&headers_of(kernel)?)
}

fn headers_folder(tree: &Path, release: &str) -> PathBuf {
    tree.join(format!("usr/src/linux-headers-{release}"))
}

/// Unpacks the headers so that they work at any place, on this host.
fn unpack(release: &str, headers: &[Fetched], libc: &Fetched, tree: &Path) -> Result<()> {
    for package in headers.iter().chain([libc]) {
        host::unpack(&package.path, tree)?;
    }
    if fs::symlink_metadata(tree.join("lib")).is_err() {
        symlink("usr/lib", tree.join("lib"))?;
    }
    let folder = headers_folder(tree, release);
    // As the package has it, with the place at which it is installed.
    let makefile = folder.join("Makefile");
    let text = fs::read_to_string(&makefile).context("the headers have no Makefile")?;
    ensure!(text.contains("include /usr/src/"), "the headers' Makefile is not what is expected:\n{text}");
    fs::write(&makefile, text.replace("include /usr/src/", "include ../"))?;
    // Its types would be copied into the module, with a program that few hosts have.
    piece::remove(&folder.join("vmlinux"))?;
    let scripts = folder.join("scripts");
    for (name, program) in TOOLS {
        let (tool, moved) = (scripts.join(name), format!("{program}.{RISCV64}"));
        fs::rename(scripts.join(program), scripts.join(&moved))
            .with_context(|| format!("the headers have no {program}"))?;
        // The link `scripts` leads to a folder three below the root of the tree.
        let text = format!(
            "#!/bin/sh\nscripts=${{0%/{name}}}\nexec qemu-{RISCV64} -L \"$scripts/../../../..\" \"$scripts/{moved}\" \"$@\"\n"
        );
        fs::write(&tool, text)?;
        fs::set_permissions(&tool, fs::Permissions::from_mode(0o755))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_those_of_the_kernel() {
        let kernel = Package::binary("linux-image-6.12.1+deb13-riscv64", "6.12.1-2");
        let headers: Vec<String> = headers_of(&kernel).unwrap().iter().map(ToString::to_string).collect();
        assert_eq!(
            headers,
            [
                "linux-headers-6.12.1+deb13-riscv64=6.12.1-2",
                "linux-headers-6.12.1+deb13-common=6.12.1-2",
                "linux-kbuild-6.12.1+deb13=6.12.1-2"
            ]
        );
        for name in ["linux-source-6.12", "linux-image-6"] {
            assert!(headers_of(&Package::binary(name, "1")).is_err(), "{name}");
        }
    }
}
