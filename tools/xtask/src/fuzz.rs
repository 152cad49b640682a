//! `cargo xtask fuzz`: random programs, recorded and replayed.

use anyhow::{Context, Result, ensure};
use std::process::Command;

/// What the verb does, in one line.
pub const HELP: &str = "[-n N] [--seed S] [-j J] ...   check replay(record(p)) == p for N random programs";

/// Runs the verb: builds the fuzzer optimised, and hands the arguments on.
pub fn run(arguments: &[String]) -> Result<()> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .args(["run", "--quiet", "--release", "--package", "cantus-tests", "--bin", "fuzz", "--"])
        .args(arguments)
        .status()
        .context("cannot start cargo")?;
    ensure!(status.success(), "{status}");
    Ok(())
}
