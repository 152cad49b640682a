//! The binary whose whole processes are timed.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Result, ensure};

use crate::tidy::repository_root;

/// Builds `cantus` for release, and says where it is.
pub fn release_build() -> Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .current_dir(repository_root())
        .args(["build", "--quiet", "--release", "--package", "cantus-cli"])
        .status()?;
    ensure!(status.success(), "the release build ended with {status}");
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| "target".into(), PathBuf::from);
    Ok(repository_root().join(target).join("release/cantus"))
}
