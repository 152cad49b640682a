//! The firmware that `src/machine` starts kernels with: machine-mode code that is committed as an ELF file, too.

use std::path::PathBuf;

use anyhow::Result;

use super::Builder;
use crate::tidy::repository_root;

/// What it is called on the command line.
pub const NAME: &str = "firmware";

/// Where its sources are, relative to the root.
const FOLDER: &str = "src/machine/firmware";
/// Without floating point and compressed instructions, so that it needs as little of a hart as it can.
const FLAGS: &[&str] = &[
    "-march=rv64ima_zicsr_zifencei",
    "-mabi=lp64",
    "-mcmodel=medany",
    "-std=gnu11",
    "-ffreestanding",
    "-nostdlib",
    "-static",
    "-O2",
    // Its memcpy must not be compiled into a call of memcpy.
    "-fno-tree-loop-distribute-patterns",
    "-Wall",
    "-Wextra",
    "-Werror",
    "-Wl,--nmagic",
    "-Wl,--build-id=none",
    "-Wl,--fatal-warnings",
    // No symbols: the names of temporary files are among them.
    "-s",
];

/// Where the committed file is.
pub fn elf() -> PathBuf {
    repository_root().join(FOLDER).join("cantus-sbi.elf")
}

/// Compiles and links it, and gives the ELF file's bytes.
pub fn build(builder: &Builder<'_>) -> Result<Vec<u8>> {
    let folder = PathBuf::from(FOLDER);
    builder.link(FLAGS, |gcc| {
        gcc.arg("-T").arg(folder.join("link.ld")).args(["start.S", "sbi.c"].map(|name| folder.join(name)))
    })
}
