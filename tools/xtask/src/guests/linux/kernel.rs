//! Debian's kernel: the image as its package has it, and the modules that the initramfs loads.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

use super::apt::Fetched;
use super::host;
use super::piece::{self, Ingredients};

/// The modules that a guest needs, as the kernel calls their files; what they depend on comes with them. A driver that is
/// part of the image needs no module.
const MODULES: &[&str] = &[
    "virtio_mmio",
    "virtio_blk",
    "virtio-rng",
    "virtio_net",
    "virtio_console",
    "crc32c_generic",
    "ext4",
    "9pnet_virtio",
    "9p",
];

/// A kernel and the modules of it.
pub struct Kernel {
    /// Holds `Image`, `config`, `release`, and in `modules` the modules with their `order`.
    folder: PathBuf,
}

impl Kernel {
    /// Unpacks a kernel's package into a folder below `work`.
    pub fn make(work: &Path, package: &Fetched) -> Result<Self> {
        let mut from = Ingredients::of_recipe(include_str!("kernel.rs"));
        from.add("package", package.package.to_string());
        let folder = work.join("kernel");
        piece::make(&folder, &from, |folder| unpack(&package.path, folder))?;
        Ok(Self { folder })
    }

    /// The image, a flat file with the header of Linux's Documentation/arch/riscv/boot-image-header.rst.
    pub fn image(&self) -> PathBuf {
        self.folder.join("Image")
    }

    /// What `uname -r` says on it.
    pub fn release(&self) -> Result<String> {
        Ok(fs::read_to_string(self.folder.join("release"))?)
    }

    /// What it was made from, from which all of it follows.
    pub fn made_from(&self) -> PathBuf {
        piece::made_from(&self.folder)
    }

    /// The folder of its modules.
    pub fn modules(&self) -> PathBuf {
        self.folder.join("modules")
    }
}

fn unpack(package: &Path, folder: &Path) -> Result<()> {
    let tree = tempfile::tempdir_in(folder.parent().context("a folder has one above it")?)?;
    host::unpack(package, tree.path())?;
    fs::create_dir_all(folder.join("modules"))?;
    let release = only_entry(&tree.path().join("usr/lib/modules"))?;
    let image = fs::read(tree.path().join(format!("boot/vmlinux-{release}")))
        .with_context(|| format!("the package of {release} has no image"))?;
    ensure!(is_image(&image), "the kernel {release} is not a plain RISC-V image");
    fs::write(folder.join("Image"), image)?;
    fs::copy(tree.path().join(format!("boot/config-{release}")), folder.join("config"))?;
    fs::write(folder.join("release"), &release)?;
    let mut order = String::new();
    for module in modules_in_order(tree.path(), &release)? {
        let (name, bytes) = stripped(&tree.path().join("usr/lib/modules").join(&release).join(&module))?;
        fs::write(folder.join("modules").join(&name), bytes)?;
        order.push_str(&name);
        order.push('\n');
    }
    fs::write(folder.join("modules/order"), order)?;
    Ok(())
}

/// Whether a file begins as the boot protocol wants it: "RISCV" and, behind it, "RSC\x05".
pub fn is_image(bytes: &[u8]) -> bool {
    bytes.get(0x30..0x38) == Some(b"RISCV\0\0\0") && bytes.get(0x38..0x3c) == Some(b"RSC\x05")
}

/// The files of the modules that are wanted and of those that they depend on, each after all that it needs.
fn modules_in_order(tree: &Path, release: &str) -> Result<Vec<String>> {
    let folder = tree.join("usr/lib/modules").join(release);
    // depmod looks below /lib, which is a link to /usr/lib on an installed system.
    if fs::symlink_metadata(tree.join("lib")).is_err() {
        std::os::unix::fs::symlink("usr/lib", tree.join("lib"))?;
    }
    host::output(host::command("depmod").arg("-b").arg(tree).arg(release))?;
    let dependencies = fs::read_to_string(folder.join("modules.dep"))?;
    let built_in = fs::read_to_string(folder.join("modules.builtin"))?;
    in_order(MODULES, &dependencies, &built_in)
}

/// The same, from the texts of `modules.dep` (a module, a colon, what it needs, the last first) and `modules.builtin`.
fn in_order(wanted: &[&str], dependencies: &str, built_in: &str) -> Result<Vec<String>> {
    let stem = |path: &str| {
        let file = path.rsplit('/').next().unwrap_or_default();
        file.split(".ko").next().unwrap_or_default().replace('-', "_")
    };
    let (mut seen, mut order) = (BTreeSet::new(), Vec::new());
    for name in wanted {
        let name = name.replace('-', "_");
        let line =
            dependencies.lines().filter_map(|line| line.split_once(':')).find(|(path, _)| stem(path) == name);
        let Some((path, needs)) = line else {
            if built_in.lines().any(|path| stem(path) == name) {
                continue;
            }
            bail!("the kernel has no module {name}");
        };
        for path in needs.split_whitespace().rev().chain([path]) {
            if seen.insert(path) {
                order.push(path.to_owned());
            }
        }
    }
    Ok(order)
}

/// A module's name and its bytes without debugging information and signature, which would have to be checked at each boot.
fn stripped(module: &Path) -> Result<(String, Vec<u8>)> {
    let file = module.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let folder = tempfile::tempdir()?;
    let name = file.strip_suffix(".xz").unwrap_or(&file).to_owned();
    let path = folder.path().join(&name);
    if file.ends_with(".xz") {
        fs::write(&path, host::output(host::command("xz").args(["-d", "-c"]).arg(module))?)?;
    } else {
        fs::copy(module, &path)?;
    }
    host::output(host::command("riscv64-linux-gnu-strip").arg("--strip-debug").arg(&path))?;
    Ok((name, fs::read(path)?))
}

fn only_entry(folder: &Path) -> Result<String> {
    let mut entries = fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))?;
    let first = entries.next().with_context(|| format!("{} is empty", folder.display()))??;
    ensure!(entries.next().is_none(), "{} holds more than one kernel", folder.display());
    Ok(first.file_name().to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_come_after_what_they_need_and_once() {
        let dependencies = "kernel/fs/ext4.ko.xz: kernel/lib/crc16.ko.xz kernel/fs/mbcache.ko.xz\n\
                            kernel/lib/crc16.ko.xz:\nkernel/fs/mbcache.ko.xz:\nkernel/hw/virtio-rng.ko.xz:\n";
        let order = in_order(
            &["crc16", "ext4", "virtio_rng", "virtio_console"],
            dependencies,
            "k/virtio_console.ko\n",
        );
        assert_eq!(
            order.unwrap(),
            [
                "kernel/lib/crc16.ko.xz",
                "kernel/fs/mbcache.ko.xz",
                "kernel/fs/ext4.ko.xz",
                "kernel/hw/virtio-rng.ko.xz"
            ]
        );
        let error = in_order(&["btrfs"], dependencies, "").unwrap_err().to_string();
        assert!(error.contains("btrfs"), "{error}");
    }

    #[test]
    fn an_image_is_known_by_its_header() {
        let mut image = vec![0; 64];
        assert!(!is_image(&image));
        image[0x30..0x35].copy_from_slice(b"RISCV");
        image[0x38..0x3c].copy_from_slice(b"RSC\x05");
        assert!(is_image(&image));
        assert!(!is_image(&image[..0x3a]));
    }
}
