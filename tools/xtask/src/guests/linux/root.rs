//! The root image: an ext4 file system with real multi-threaded programs of Debian, for `/dev/vda`.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use super::apt::{Apt, Fetched};
use super::lock::Package;
use super::piece::{self, Ingredients};
use super::{host, libraries};

/// The programs that the works run.
pub const WANTED: &[&str] = &[
    "busybox-static",
    "dash",
    "lbzip2",
    "memcached",
    "openssl",
    "pbzip2",
    "pigz",
    "redis-server",
    "redis-tools",
    "rt-tests",
    "sqlite3",
    "stress-ng",
    "sysbench",
    "xz-utils",
    "zstd",
];

/// The programs themselves: all their libraries must be there. (What they load only when it is asked for need not be.)
const PROGRAMS: &[&str] = &[
    "hackbench",
    "lbzip2",
    "memcached",
    "openssl",
    "pbzip2",
    "pigz",
    "redis-benchmark",
    "redis-cli",
    "redis-server",
    "sqlite3",
    "stress-ng",
    "sysbench",
    "xz",
    "zstd",
];

/// What they depend on but do not run with: what installs and configures packages, languages that only scripts beside
/// the programs are in, data of desktops. A name that ends in `*` stands for all that begin so.
const NOT_NEEDED: &[&str] = &[
    // What installs packages.
    "adduser",
    "base-passwd",
    "debconf",
    "debianutils",
    "dpkg",
    "init-system-helpers",
    "libaudit-common",
    "libaudit1",
    "libcap-ng0",
    "libdb5.3*",
    "libdebconfclient0",
    "libpam*",
    "libsemanage*",
    "libsepol*",
    "login.defs",
    "lsb-base",
    "passwd",
    "sysvinit-utils",
    "tar",
    // Languages.
    "libgdbm*",
    "libperl*",
    "libpython*",
    "perl*",
    "python3*",
    // Graphics: stress-ng's test of it looks for its drivers when it runs.
    "libdrm-amdgpu1",
    "libegl-mesa0",
    "libelf1*",
    "libllvm*",
    "libsensors*",
    "libx11-data",
    "libxml2",
    "libz3*",
    "mesa-*",
    // Data.
    "gcc-*-base",
    "libdrm-common",
    "libluajit-5.1-common",
    "mariadb-common",
    "media-types",
    "mysql-common",
    "netbase",
    "readline-common",
    "tzdata",
];

/// Folders that programs do without.
const EMPTIED: &[&str] = &[
    "usr/include",
    "usr/lib/riscv64-linux-gnu/gconv",
    "usr/lib/riscv64-linux-gnu/perl",
    "usr/lib/systemd",
    "usr/share/bug",
    "usr/share/doc",
    "usr/share/info",
    "usr/share/lintian",
    "usr/share/locale",
    "usr/share/man",
    "usr/share/zoneinfo",
];

/// The text that works compress, in bytes.
const TEXT_BYTES: usize = 4 << 20;
/// Room for what the works write, in MiB.
const FREE_MIB: u64 = 64;
/// The file system's birthday, in seconds since 1970: any will do that is always the same.
const BIRTHDAY: &str = "1700000000";

/// The packages of the root image in the versions of today.
pub fn closure(apt: &Apt) -> Result<Vec<Package>> {
    let mut packages = apt.closure(WANTED)?;
    packages.retain(|package| !NOT_NEEDED.iter().any(|pattern| matches(pattern, &package.name)));
    Ok(packages)
}

/// Whether a name is meant by a pattern, in which one `*` stands for anything.
fn matches(pattern: &str, name: &str) -> bool {
    pattern.split_once('*').map_or(pattern == name, |(begin, end)| {
        name.len() >= begin.len() + end.len() && name.starts_with(begin) && name.ends_with(end)
    })
}

/// Makes the image, and says whether it had to be made.
pub fn make(path: &Path, packages: &[Fetched]) -> Result<bool> {
    let mut from = Ingredients::of_recipe(include_str!("root.rs"));
    for package in packages {
        from.add("package", package.package.to_string());
    }
    piece::make(path, &from, |path| {
        let tree = tempfile::tempdir_in(path.parent().context("a file has a folder")?)?;
        for package in packages {
            host::unpack(&package.path, tree.path())?;
        }
        arrange(tree.path())?;
        let programs: Vec<PathBuf> =
            PROGRAMS.iter().map(|name| tree.path().join("usr/bin").join(name)).collect();
        for program in &programs {
            ensure!(program.is_file(), "no package has the program {}", program.display());
        }
        libraries::needed(tree.path(), &programs)?;
        format(tree.path(), path)
    })
}

/// Adds what no package has, and removes what nobody reads.
fn arrange(tree: &Path) -> Result<()> {
    for folder in EMPTIED {
        piece::remove(&tree.join(folder))?;
    }
    for folder in ["applets", "data", "dev", "etc", "mnt", "proc", "root", "run", "sys", "tmp", "var"] {
        fs::create_dir_all(tree.join(folder))?;
    }
    // As an installed system has them, whichever of the packages brought them as folders.
    for (link, target) in
        [("bin", "usr/bin"), ("lib", "usr/lib"), ("sbin", "usr/sbin"), ("usr/bin/sh", "dash")]
    {
        if fs::symlink_metadata(tree.join(link)).is_err() {
            std::os::unix::fs::symlink(target, tree.join(link))?;
        }
    }
    fs::write(tree.join("etc/passwd"), "root:x:0:0:root:/root:/bin/sh\n")?;
    fs::write(tree.join("etc/group"), "root:x:0:\n")?;
    fs::write(tree.join("etc/hosts"), "127.0.0.1 localhost\n")?;
    fs::write(tree.join("data/text"), text(TEXT_BYTES))?;
    Ok(())
}

/// Writes a folder as a file system into a file.
fn format(tree: &Path, path: &Path) -> Result<()> {
    let mut bytes = 0;
    for (_, file) in piece::files_below(tree)? {
        bytes += fs::symlink_metadata(file)?.len().next_multiple_of(4096);
    }
    // A tenth for the file system's own tables and journal.
    let size = format!("{}M", (bytes + bytes / 10) / (1 << 20) + FREE_MIB);
    host::output(
        host::command("mke2fs")
            .env("E2FSPROGS_FAKE_TIME", BIRTHDAY)
            .args(["-q", "-F", "-t", "ext4", "-L", "root"])
            .args(["-U", "c0a17005-0000-4000-8000-000000000001"])
            .args(["-E", "hash_seed=c0a17005-0000-4000-8000-000000000002,root_owner=0:0"])
            .arg("-d")
            .arg(tree)
            .arg(path)
            .arg(size),
    )?;
    Ok(())
}

/// Text of so many bytes that compresses about as well as prose does: words of an invented language, the frequent ones
/// short and few.
fn text(bytes: usize) -> Vec<u8> {
    // G. Marsaglia, "Xorshift RNGs", Journal of Statistical Software 8 (14), 2003.
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = |below: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) % below
    };
    let mut words: Vec<Vec<u8>> = Vec::new();
    for rank in 0..4096_u64 {
        let length = 2 + rank.checked_ilog2().map_or(0, u64::from) / 2 + next(4);
        words.push((0..length).map(|_| b'a' + next(26) as u8).collect());
    }
    let mut text = Vec::with_capacity(bytes + 16);
    while text.len() < bytes {
        let among = 1 << (1 + next(12));
        text.extend_from_slice(&words[next(among).min(4095) as usize]);
        text.push(if next(12) == 0 { b'\n' } else { b' ' });
    }
    text.truncate(bytes);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_stand_for_names() {
        assert!(
            matches("perl*", "perl-base") && matches("gcc-*-base", "gcc-14-base") && matches("tar", "tar")
        );
        assert!(!matches("tar", "target") && !matches("gcc-*-base", "gcc-base"));
    }

    #[test]
    fn the_text_is_always_the_same_and_neither_noise_nor_a_pattern() {
        let one = text(200_000);
        assert_eq!((one.len(), &one), (200_000, &text(200_000)));
        let mut counts = [0_u32; 256];
        one.iter().for_each(|&byte| counts[usize::from(byte)] += 1);
        let entropy: f64 = counts
            .iter()
            .filter(|&&count| count > 0)
            .map(|&count| f64::from(count) / one.len() as f64)
            .map(|share| -share * share.log2())
            .sum();
        assert!((3.0..5.0).contains(&entropy), "{entropy} bits a byte");
    }
}
