//! The small kernel: Debian's source, configured by `tests/guests/linux/kernel-256.config` for up to 256 harts, with every
//! driver built in, and with symbols and source lines in its ELF file. Beside it lies the module with bugs for it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::apt::Fetched;
use super::kernel::is_image;
use super::module::{self, Module};
use super::piece::{self, Ingredients};
use super::{host, sources_folder};

const CONFIGURATION: &str = "kernel-256.config";

/// The kernel with what belongs to it.
pub struct SmallKernel {
    folder: PathBuf,
}

impl SmallKernel {
    /// Builds it from the package of its source into a folder, which takes minutes.
    pub fn make(work: &Path, out: &Path, package: &Fetched) -> Result<Self> {
        let sources = sources_folder();
        let folder = out.join("kernel-256");
        let mut from =
            Ingredients::of_recipe(concat!(include_str!("small_kernel.rs"), include_str!("module.rs")));
        from.add("package", package.package.to_string());
        from.add(CONFIGURATION, fs::read(sources.join(CONFIGURATION))?);
        module::add_sources(&mut from)?;
        from.add("compiler", host::output(host::command("riscv64-linux-gnu-gcc").arg("--version"))?);
        piece::make(&folder, &from, |folder| {
            eprintln!("building the small kernel: this takes minutes");
            build(work, package, folder)
        })?;
        Ok(Self { folder })
    }

    /// The one that is in a folder already, if there is one.
    pub fn find(out: &Path) -> Option<Self> {
        let folder = out.join("kernel-256");
        folder.join("Image").is_file().then_some(Self { folder })
    }

    /// The module with bugs for it, if it was built.
    pub fn module(&self) -> Result<Option<Module>> {
        let path = self.folder.join("bugs.ko");
        if !path.is_file() {
            return Ok(None);
        }
        let release = self.folder.join("release");
        let release =
            fs::read_to_string(&release).with_context(|| format!("cannot read {}", release.display()))?;
        Ok(Some(Module { release: release.trim_end().to_owned(), path }))
    }

    /// The image to boot; beside it lies `vmlinux`, for symbols and source lines.
    pub fn image(&self) -> PathBuf {
        self.folder.join("Image")
    }
}

fn build(work: &Path, package: &Fetched, folder: &Path) -> Result<()> {
    let tree = source_tree(work, package)?;
    let sources = sources_folder();
    fs::create_dir_all(folder)?;
    host::output(make(&tree).args(["-s", "tinyconfig"]))?;
    // The script takes what the first file has, and the second one's word where they differ.
    let mut merge = Command::new(tree.join("scripts/kconfig/merge_config.sh"));
    host::output(
        kernel_environment(&mut merge)
            .current_dir(&tree)
            .args(["-m", "-O", ".", ".config"])
            .arg(sources.join(CONFIGURATION)),
    )?;
    host::output(make(&tree).args(["-s", "olddefconfig"]))?;
    require_options(
        &fs::read_to_string(sources.join(CONFIGURATION))?,
        &fs::read_to_string(tree.join(".config"))?,
    )?;
    // The second one for what modules need to know of it.
    host::output(make(&tree).args(["-s", "Image", "modules"]))?;
    let image = fs::read(tree.join("arch/riscv/boot/Image"))?;
    ensure!(is_image(&image), "what was built is no RISC-V image");
    fs::write(folder.join("Image"), image)?;
    fs::copy(tree.join("vmlinux"), folder.join("vmlinux"))?;
    fs::copy(tree.join(".config"), folder.join("config"))?;
    fs::copy(tree.join("include/config/kernel.release"), folder.join("release"))?;
    module::build(&mut make(&tree), work, &folder.join("bugs.ko"))?;
    Ok(())
}

/// The source, unpacked once for a version.
fn source_tree(work: &Path, package: &Fetched) -> Result<PathBuf> {
    let mut from = Ingredients::default();
    from.add("package", package.package.to_string());
    let folder = work.join("linux-source");
    piece::make(&folder, &from, |folder| {
        let unpacked = tempfile::tempdir_in(work)?;
        host::unpack(&package.path, unpacked.path())?;
        let archive = format!("usr/src/{}.tar.xz", package.package.name);
        fs::create_dir(folder)?;
        let archive = unpacked.path().join(archive);
        host::output(
            host::command("tar").arg("-xJf").arg(archive).arg("-C").arg(folder).arg("--strip-components=1"),
        )
        .context("the kernel's source")?;
        Ok(())
    })?;
    Ok(folder)
}

fn make(tree: &Path) -> Command {
    let jobs = std::thread::available_parallelism().map_or(1, usize::from);
    let mut make = host::command("make");
    kernel_environment(&mut make).current_dir(tree).arg(format!("-j{jobs}"));
    make
}

/// What the build takes from its surroundings, always the same, because it stands in the image.
fn kernel_environment(command: &mut Command) -> &mut Command {
    command
        .env("ARCH", "riscv")
        .env("CROSS_COMPILE", "riscv64-linux-gnu-")
        .env("KBUILD_BUILD_HOST", "cantus")
        .env("KBUILD_BUILD_TIMESTAMP", "1970-01-01")
        .env("KBUILD_BUILD_USER", "cantus")
        .env("KBUILD_BUILD_VERSION", "1")
        .env_remove("LOCALVERSION")
}

/// Every option that was asked for must be as it was asked for: the kernel's configuration drops silently what depends on
/// something that is not there.
fn require_options(wanted: &str, got: &str) -> Result<()> {
    let got: Vec<&str> = got.lines().collect();
    let missing: Vec<&str> = wanted
        .lines()
        .filter(|line| line.starts_with("CONFIG_"))
        .filter(|line| match line.split_once('=') {
            Some((option, "n")) => got.iter().any(|got| got.starts_with(&format!("{option}="))),
            _ => !got.contains(line),
        })
        .collect();
    ensure!(missing.is_empty(), "the kernel's configuration did not take {}", missing.join(", "));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_that_were_dropped_are_found() {
        let wanted = "# Comment\nCONFIG_A=y\nCONFIG_B=n\nCONFIG_C=256\n";
        require_options(wanted, "CONFIG_A=y\n# CONFIG_B is not set\nCONFIG_C=256\n").unwrap();
        require_options(wanted, "CONFIG_A=y\nCONFIG_C=256\n").unwrap();
        for got in ["CONFIG_C=256\n", "CONFIG_A=y\nCONFIG_B=y\nCONFIG_C=256\n", "CONFIG_A=y\nCONFIG_C=25\n"] {
            assert!(require_options(wanted, got).is_err(), "{got}");
        }
    }
}
