//! `cargo xtask guests --linux`: real Linux guests, made of Debian's packages and of `tests/guests/linux`.
//!
//! What is made: `kernel` (Debian's, a plain image), `initramfs.cpio` (busybox, modules, our `init`, small works, programs
//! with bugs, a kernel module with some), `root.ext4` (real programs for `/dev/vda`), `programs/` and `modules/` (ours, with
//! symbols), and with `--kernel-256` the small kernel, `kernel-256/Image` and `kernel-256/vmlinux`, with its own build of
//! the module. Kernel and initramfs are the same bytes each time. Nothing needs root, and nothing outside of the output
//! folder changes. Whatever is up to date is left as it is.

mod apt;
mod cpio;
mod host;
mod initramfs;
mod kernel;
mod libraries;
mod lock;
mod module;
mod piece;
mod programs;
pub mod qemu;
mod root;
mod small_kernel;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

use crate::tidy::repository_root;
use apt::{Apt, Fetched};
use kernel::Kernel;
use lock::{Lock, Package};
use module::Module;
use programs::Programs;
use small_kernel::SmallKernel;

/// The arguments, in one line.
pub const HELP: &str = "--linux [--kernel-256] [--no-root] [--refresh] [--qemu] [--autorun WORKS] [OUT]";

/// Where the guests are, unless arguments say otherwise.
const FOLDER_VARIABLE: &str = "CANTUS_GUESTS";
/// pbzip2's source and the library that it is linked with.
const PBZIP2: &str = "pbzip2";
const LIBBZ2: &str = "libbz2-dev";
/// What every dynamic program needs, also on this host.
const LIBC: &str = "libc6";

/// What to make.
#[derive(Debug, PartialEq)]
struct Plan {
    kernel_256: bool,
    root: bool,
    refresh: bool,
    qemu: bool,
    /// What to run under QEMU.
    autorun: String,
    out: PathBuf,
}

/// Where the guests are made, and looked for: `$CANTUS_GUESTS`, or `target/guests/linux`.
pub fn default_folder() -> PathBuf {
    match std::env::var_os(FOLDER_VARIABLE) {
        Some(folder) if !folder.is_empty() => folder.into(),
        _ => repository_root().join("target/guests/linux"),
    }
}

/// Where the sources of the guests are.
fn sources_folder() -> PathBuf {
    repository_root().join("tests/guests/linux")
}

/// Runs the verb with its arguments but for `--linux`.
pub fn run(arguments: &[String]) -> Result<()> {
    let plan = Plan::parse(arguments)?;
    plan.require_tools()?;
    let work = plan.out.join("work");
    fs::create_dir_all(&work).with_context(|| format!("cannot make {}", work.display()))?;
    let out = fs::canonicalize(&plan.out)?;
    let work = out.join("work");
    let apt = Apt::open(&work)?;
    if plan.refresh {
        refresh(&apt)?;
    }
    let made = make(&plan, &Lock::read()?, &apt, &out, &work)?;
    if plan.qemu {
        made.try_out(&plan.autorun)?;
    }
    Ok(())
}

impl Plan {
    fn parse(arguments: &[String]) -> Result<Self> {
        let mut plan = Self {
            kernel_256: false,
            root: true,
            refresh: false,
            qemu: false,
            autorun: "small".to_owned(),
            out: default_folder(),
        };
        let mut out = None;
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--kernel-256" => plan.kernel_256 = true,
                "--no-root" => plan.root = false,
                "--refresh" => plan.refresh = true,
                "--qemu" => plan.qemu = true,
                "--autorun" => {
                    let works =
                        arguments.next().with_context(|| format!("--autorun wants works; usage: {HELP}"))?;
                    ensure!(!works.contains(char::is_whitespace), "--autorun wants one word, with commas");
                    plan.autorun.clone_from(works);
                }
                option if option.starts_with('-') => bail!("unknown option {option}; usage: guests {HELP}"),
                folder => ensure!(out.replace(PathBuf::from(folder)).is_none(), "usage: guests {HELP}"),
            }
        }
        plan.out = out.unwrap_or(plan.out);
        Ok(plan)
    }

    fn require_tools(&self) -> Result<()> {
        let mut tools = host::ALWAYS.to_vec();
        for (wanted, more) in
            [(self.root, host::ROOT), (self.kernel_256, host::KERNEL), (self.qemu, host::QEMU)]
        {
            if wanted {
                tools.extend_from_slice(more);
            }
        }
        host::require(&tools)
    }
}

/// Pins what the mirror has today.
fn refresh(apt: &Apt) -> Result<()> {
    let kernel = apt.kernel()?;
    // The source package is called after the first two numbers of the version.
    let series: Vec<&str> = kernel.version.split('.').take(2).collect();
    let mut packages = root::closure(apt)?;
    packages.push(apt.newest(&Package::binary(format!("linux-source-{}", series.join(".")), ""))?);
    packages.push(apt.newest(&Package::binary(LIBBZ2, ""))?);
    packages.push(apt.newest(&Package { source: true, ..Package::binary(PBZIP2, "") })?);
    packages.push(kernel);
    Lock::of(packages).write()?;
    println!("wrote {}", Lock::path().display());
    Ok(())
}

/// What is there in the end.
struct Made {
    kernel: PathBuf,
    small: Option<PathBuf>,
    initramfs: PathBuf,
    root: Option<PathBuf>,
}

fn make(plan: &Plan, lock: &Lock, apt: &Apt, out: &Path, work: &Path) -> Result<Made> {
    let say = |path: &Path, made: bool| {
        let size = fs::metadata(path).map_or(0, |metadata| metadata.len());
        let what = if made { "made" } else { "up to date" };
        println!("{} ({} KiB): {what}", path.display(), size.div_ceil(1024));
    };
    let kernel_package = one(apt.fetch(&lock.select("a kernel", Package::is_kernel)?)?)?;
    let kernel = Kernel::make(work, &kernel_package)?;
    let mut from = piece::Ingredients::default();
    from.add("package", kernel_package.package.to_string());
    let image = out.join("kernel");
    let made = piece::make(&image, &from, |path| {
        fs::copy(kernel.image(), path)?;
        Ok(())
    })?;
    println!("{}", kernel_package.package);
    say(&image, made);

    let small = if plan.kernel_256 {
        let source = one(apt.fetch(&lock.select("a kernel's source", Package::is_kernel_source)?)?)?;
        println!("{}", source.package);
        Some(SmallKernel::make(work, out, &source)?)
    } else {
        SmallKernel::find(out)
    };
    if let Some(small) = &small {
        say(&small.image(), plan.kernel_256);
    }

    let packages = apt.fetch(&lock.named(initramfs::PACKAGES)?)?;
    let libc =
        packages.iter().find(|package| package.package.name == LIBC).context("there is no C library")?;
    let headers = module::fetch_headers(apt, &kernel_package.package)?;
    let mut modules = vec![Module::make(work, out, &kernel, &headers, libc)?];
    modules.extend(small.as_ref().map(SmallKernel::module).transpose()?.flatten());

    let pbzip2 = one(apt.fetch(&lock.select("pbzip2's source", |p| p.source && p.name == PBZIP2)?)?)?;
    let libbz2 = one(apt.fetch(&lock.named(&[LIBBZ2])?)?)?;
    let programs = Programs::make(out, &pbzip2, &libbz2)?;
    let initramfs = out.join("initramfs.cpio");
    let made = initramfs::make(&initramfs, &packages, &kernel, &modules, &programs)?;
    for package in packages.iter().chain(&headers).chain([&pbzip2, &libbz2]) {
        println!("  {}", package.package);
    }
    say(&initramfs, made);

    let root = out.join("root.ext4");
    if plan.root {
        let in_root = |package: &Package| {
            !package.source && !package.is_kernel() && !package.is_kernel_source() && package.name != LIBBZ2
        };
        let packages = apt.fetch(&lock.select("a root image", in_root)?)?;
        let made = root::make(&root, &packages)?;
        for package in &packages {
            println!("  {}", package.package);
        }
        say(&root, made);
    }
    Ok(Made {
        kernel: image,
        small: small.map(|small| small.image()),
        initramfs,
        root: root.is_file().then_some(root),
    })
}

fn one(mut fetched: Vec<Fetched>) -> Result<Fetched> {
    ensure!(fetched.len() == 1, "the lock pins more than one version of {}", fetched[0].package.name);
    fetched.pop().context("nothing was fetched")
}

impl Made {
    /// Boots every kernel.
    fn try_out(&self, autorun: &str) -> Result<()> {
        println!("{}", qemu::version()?);
        for kernel in [Some(&self.kernel), self.small.as_ref()].into_iter().flatten() {
            qemu::try_out(kernel, &self.initramfs, self.root.clone(), autorun)?;
        }
        println!("all succeeded");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Plan> {
        Plan::parse(&text.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn arguments_choose_what_is_made() {
        let plan = parse("--kernel-256 --no-root --qemu --autorun pigz,sqlite there").unwrap();
        assert!(plan.kernel_256 && !plan.root && plan.qemu && !plan.refresh);
        assert_eq!((plan.autorun.as_str(), plan.out.as_path()), ("pigz,sqlite", Path::new("there")));
        for wrong in ["--kernel", "a b", "--autorun"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
