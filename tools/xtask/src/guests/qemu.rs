//! Runs the guests under QEMU: an independent machine, with every hart on a host thread of its own.
//!
//! A program that never ends is stopped by coreutils' `timeout`, and counts as stuck.

use std::io::Write;
use std::process::{Command, Output, Stdio};

use anyhow::{Context, Result, ensure};
use cantus_guests::{Board, Outcome, Program, Variant};

const QEMU: &str = "qemu-system-riscv64";
const SECONDS_MAX: &str = "30";
/// What `timeout` exits with when it had to stop the command.
const TIMED_OUT: i32 = 124;
/// How many harts to try. QEMU's `spike` board has at most 8.
const HARTS: &[u16] = &[1, 2, 4, 8];
/// How often to run a broken program, which shows its bug only sometimes.
const TRIES_BROKEN: usize = 4;

/// Runs every program with several numbers of harts, prints how each run ended, and fails if one ended as it must not.
pub fn run_all(programs: &[Program<'_>]) -> Result<()> {
    let mut wrong = Vec::new();
    for program in programs {
        let name = program.file_name();
        if !program.guest.qemu {
            println!("{name:<32} QEMU cannot run it");
            continue;
        }
        let tries = if program.variant == Variant::Broken { TRIES_BROKEN } else { 1 };
        let mut ends = Vec::new();
        for &harts in HARTS.iter().filter(|&&harts| harts >= program.guest.cores_min) {
            for _ in 0..tries {
                let output = run(program, harts)?;
                let outcome = outcome(&output);
                ends.push(format!(
                    "{harts}: {}",
                    outcome.map_or("?".to_owned(), |outcome| outcome.to_string())
                ));
                if !outcome.is_some_and(|outcome| program.outcomes().contains(&outcome)) {
                    let text = String::from_utf8_lossy(&output.stdout).into_owned();
                    let error = String::from_utf8_lossy(&output.stderr).into_owned();
                    wrong.push(format!(
                        "{name} with {harts} harts ended with {}\n{text}{error}",
                        output.status
                    ));
                }
            }
        }
        println!("{name:<32} {}", ends.join("  "));
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

fn run(program: &Program<'_>, harts: u16) -> Result<Output> {
    let board = match program.guest.board {
        Board::Virt => "virt",
        Board::Htif => "spike",
    };
    let mut child = Command::new("timeout")
        .args([SECONDS_MAX, QEMU, "-machine", board, "-bios", "none", "-smp", &harts.to_string()])
        .args(["-accel", "tcg,thread=multi", "-display", "none", "-serial", "stdio", "-monitor", "none"])
        .arg("-kernel")
        .arg(program.elf())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot run {QEMU} (Debian package qemu-system-misc) under `timeout`"))?;
    let mut input = child.stdin.take().context("QEMU has no standard input")?;
    input.write_all(program.guest.input.as_bytes())?;
    // Kept open until QEMU ends: a closed console would count as a hang-up.
    let output = child.wait_with_output()?;
    drop(input);
    Ok(output)
}

/// What QEMU's exit status says, or nothing if QEMU itself failed: it complained, or a signal ended it.
fn outcome(output: &Output) -> Option<Outcome> {
    match output.status.code()? {
        TIMED_OUT => Some(Outcome::Stuck),
        _ if !output.stderr.is_empty() => None,
        0 => Some(Outcome::Pass),
        code => u8::try_from(code).ok().map(Outcome::Fail),
    }
}
