//! The host's programs that make guests: which must be there, from which Debian package, and how they are run.

use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// A program and the Debian package that has it.
pub type Tool = (&'static str, &'static str);

/// What every guest needs.
pub const ALWAYS: &[Tool] = &[
    ("apt-get", "apt"),
    ("dpkg-deb", "dpkg"),
    ("riscv64-linux-gnu-gcc", "gcc-riscv64-linux-gnu"),
    ("riscv64-linux-gnu-g++", "g++-riscv64-linux-gnu"),
    ("riscv64-linux-gnu-strip", "binutils-riscv64-linux-gnu"),
    ("riscv64-linux-gnu-readelf", "binutils-riscv64-linux-gnu"),
    ("depmod", "kmod"),
    ("make", "make"),
    ("qemu-riscv64", "qemu-user"),
    ("xz", "xz-utils"),
    ("tar", "tar"),
    ("patch", "patch"),
];
/// What the root image needs.
pub const ROOT: &[Tool] = &[("mke2fs", "e2fsprogs")];
/// What building a kernel needs.
pub const KERNEL: &[Tool] = &[("flex", "flex"), ("bison", "bison"), ("bc", "bc"), ("perl", "perl")];
/// What trying the guests needs.
pub const QEMU: &[Tool] = &[("qemu-system-riscv64", "qemu-system-misc"), ("timeout", "coreutils")];

/// Complains of all tools that are missing at once, with what to install.
pub fn require(tools: &[Tool]) -> Result<()> {
    let mut missing: Vec<Tool> = tools.iter().copied().filter(|(program, _)| !is_there(program)).collect();
    let programs: Vec<&str> = missing.iter().map(|(program, _)| *program).collect();
    let programs = programs.join(", ");
    missing.sort_by_key(|(_, package)| *package);
    missing.dedup_by_key(|(_, package)| *package);
    let packages: Vec<&str> = missing.iter().map(|(_, package)| *package).collect();
    ensure!(
        missing.is_empty(),
        "missing on this host: {programs}; on Debian: apt-get install {}",
        packages.join(" ")
    );
    Ok(())
}

/// Whether a program is in one of the folders of `PATH`, or where programs of the administrator are.
fn is_there(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(ADMINISTRATOR.iter().map(Into::into))
        .any(|folder| folder.join(program).is_file())
}

const ADMINISTRATOR: &[&str] = &["/usr/sbin", "/sbin"];

/// A command that finds the administrator's programs, too, and speaks English.
pub fn command(program: impl AsRef<OsStr>) -> Command {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(ADMINISTRATOR.iter().map(Into::into));
    let mut command = Command::new(program);
    // A folder whose name cannot stand in PATH was not in it.
    if let Ok(path) = std::env::join_paths(folders) {
        command.env("PATH", path);
    }
    command.env("LC_ALL", "C");
    command
}

/// Runs a command to its end, and gives what it printed; what it complained of is part of the error.
pub fn output(command: &mut Command) -> Result<Vec<u8>> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.output().with_context(|| format!("cannot run {name}"))?;
    ensure!(
        output.status.success(),
        "{name} ended with {}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr).trim_end()
    );
    Ok(output.stdout)
}

/// The same, for text.
pub fn text(command: &mut Command) -> Result<String> {
    Ok(String::from_utf8_lossy(&output(command)?).into_owned())
}

/// Unpacks a binary package into a folder.
pub fn unpack(package: &Path, folder: &Path) -> Result<()> {
    output(command("dpkg-deb").arg("-x").arg(package).arg(folder))
        .with_context(|| format!("cannot unpack {}", package.display()))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_tools_are_named_once_with_their_packages() {
        require(&[("sh", "dash")]).unwrap();
        let tools =
            [("sh", "dash"), ("no-such-b", "pack-b"), ("no-such-a", "pack-a"), ("no-such-c", "pack-b")];
        let error = require(&tools).unwrap_err().to_string();
        assert_eq!(
            error,
            "missing on this host: no-such-b, no-such-a, no-such-c; on Debian: apt-get install pack-a pack-b"
        );
    }

    #[test]
    fn what_a_program_complains_of_is_in_the_error() {
        let error = output(command("sh").args(["-c", "echo so it is >&2; exit 3"])).unwrap_err().to_string();
        assert!(error.contains("so it is") && error.contains('3'), "{error}");
    }
}
