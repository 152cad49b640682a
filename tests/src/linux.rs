//! Real Linux guests, as `cargo xtask guests --linux` makes them.

use cantus::{
    Captured, Drive, Executor, Guest, GuestFile, KernelStart, Options, Outcome, Output, Peripheral,
    Peripherals,
};
use cantus::{ReplayOptions, Verdict, verify_stretches};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Once;

/// Every how many steps their traces have a checkpoint.
const CHECKPOINT_INTERVAL: u64 = 500_000_000;
/// Trouble that a kernel reports of itself.
const TROUBLE: [&str; 6] =
    ["BUG:", "WARNING:", "Oops", "Kernel panic", "detected stalls", "blocked for more than"];

/// Where the guests are: `$CANTUS_GUESTS`, or below the target folder.
fn folder() -> PathBuf {
    let given = std::env::var_os("CANTUS_GUESTS").filter(|folder| !folder.is_empty());
    let root = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    given.map_or_else(|| root.join("target/guests/linux"), PathBuf::from)
}

/// Makes the guests where they are not there yet.
///
/// # Panics
/// Where they cannot be made, with what is missing.
fn make() {
    static MADE: Once = Once::new();
    MADE.call_once(|| {
        let files = ["kernel", "initramfs.cpio", "root.ext4"];
        if files.iter().all(|file| folder().join(file).is_file()) {
            return;
        }
        let status = Command::new(env!("CARGO"))
            .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
            .args(["xtask", "guests", "--linux"])
            .status()
            .expect("cargo starts");
        assert!(status.success(), "no Linux guests: `cargo xtask guests --linux` says above what is missing");
    });
}

/// One of the files that were made.
fn made(name: &str) -> GuestFile {
    make();
    let path = folder().join(name);
    GuestFile::open(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Debian's kernel with the small user space, which does what `autorun` says and switches the machine off. The second
/// part is a machine of so many cores for it, whose console is captured.
pub fn debian(cores: usize, autorun: &str) -> (Guest, Options, Captured) {
    let start = KernelStart {
        initrd: Some(made("initramfs.cpio")),
        command_line: format!("console=ttyS0 autorun={autorun}"),
        firmware: None,
    };
    let console = Captured::default();
    let options = Options {
        cores,
        ram_bytes: 1 << 30,
        output: Output::Captured(console.clone()),
        ..Options::default()
    };
    (Guest::of_file(made("kernel"), Some(start)), options, console)
}

/// The same with the real programs on a drive, and random bytes.
pub fn debian_on_a_drive(cores: usize, autorun: &str) -> (Guest, Options, Captured) {
    let (guest, options, console) = debian(cores, autorun);
    let drive = Drive { image: made("root.ext4"), read_only: false, write_through: None };
    let slots = vec![Peripheral::Drive(drive), Peripheral::Entropy];
    (guest, Options { peripherals: Peripherals { slots, is_legacy: false }, ..options }, console)
}

/// A drive with Debian's kernel and the small user space, as the files `Image` and `initramfs.cpio`.
///
/// # Panics
/// Where it cannot be made.
pub fn boot_drive(scratch: &Path) -> Drive {
    let root = scratch.join("boot");
    std::fs::create_dir(&root).expect("a new folder");
    for (name, as_name) in [("kernel", "Image"), ("initramfs.cpio", "initramfs.cpio")] {
        make();
        std::fs::copy(folder().join(name), root.join(as_name)).expect("it can be copied");
    }
    let image = scratch.join("boot.ext4");
    let made = Command::new("mke2fs")
        .env("PATH", "/usr/sbin:/sbin:/usr/bin:/bin")
        .args(["-q", "-t", "ext4", "-d"])
        .args([&root, &image])
        .arg("128M")
        .status();
    assert!(made.is_ok_and(|status| status.success()), "no mke2fs: install Debian's package e2fsprogs");
    let image = GuestFile::open(&image).expect("it was made just now");
    Drive { image, read_only: false, write_through: None }
}

/// OpenSBI, from Debian's package `opensbi`.
pub fn opensbi() -> GuestFile {
    let path = "/usr/lib/riscv64-linux-gnu/opensbi/generic/fw_dynamic.elf";
    GuestFile::open(path).unwrap_or_else(|error| panic!("{path}: {error}: install Debian's package opensbi"))
}

/// What a console shows.
pub fn shown(console: &Captured) -> String {
    String::from_utf8_lossy(&console.bytes()).into_owned()
}

/// Records a guest that switches its machine off, and says where, and what it printed.
///
/// # Panics
/// Where it does not end well, or its kernel reports trouble.
pub fn record((guest, options, console): (Guest, Options, Captured), folder: &Path) -> (PathBuf, String) {
    let path = folder.join("linux.cantus");
    let options = Options { checkpoint_interval: CHECKPOINT_INTERVAL, ..options };
    let recorded = cantus::record(&guest, &options, &path, false).expect("it can be recorded");
    let console = shown(&console);
    assert_eq!(recorded.outcome, Outcome::Exit(0), "{console}");
    let troubles: Vec<&str> =
        console.lines().filter(|line| TROUBLE.iter().any(|word| line.contains(word))).collect();
    assert!(troubles.is_empty(), "{troubles:?}\n{console}");
    for word in [format!("CPUS_ONLINE {}", options.cores), "SHELL_READY".to_owned()] {
        assert!(console.contains(&word), "{word} is missing:\n{console}");
    }
    (path, console)
}

/// Verifies the whole trace, its stretches side by side, as users do.
///
/// # Panics
/// Where it is not the run.
pub fn verify(path: &Path) {
    verify_by(Executor::default(), path);
}

/// The same by an executor.
///
/// # Panics
/// Where it is not the run.
pub fn verify_by(executor: Executor, path: &Path) {
    let options = ReplayOptions { executor, ..ReplayOptions::default() };
    let verified = verify_stretches(path, &options, 2).expect("it can be verified");
    assert_eq!(verified.replayed.verdict, Verdict::Identical);
}
