//! The task runner: `cargo xtask <verb> [ARGUMENTS]`, one file a verb.

mod bench;
mod bless;
mod fuzz;
mod guests;
mod tidy;

use std::process::ExitCode;

/// A verb: its name, what it does in one line, and its function, which gets the arguments after the verb.
struct Verb {
    name: &'static str,
    help: &'static str,
    run: fn(&[String]) -> anyhow::Result<()>,
}

const VERBS: &[Verb] = &[
    Verb { name: "tidy", help: tidy::HELP, run: tidy::run },
    Verb { name: "bless", help: bless::HELP, run: bless::run },
    Verb { name: "bench", help: bench::HELP, run: bench::run },
    Verb { name: "fuzz", help: fuzz::HELP, run: fuzz::run },
    Verb { name: "guests", help: guests::HELP, run: guests::run },
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some((name, rest)) = arguments.split_first() else {
        return usage();
    };
    let Some(verb) = VERBS.iter().find(|verb| verb.name == name) else {
        return usage();
    };
    match (verb.run)(rest) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask {name}: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn usage() -> ExitCode {
    eprintln!("usage: cargo xtask <verb> [ARGUMENTS]\n");
    for verb in VERBS {
        eprintln!("  {:<8} {}", verb.name, verb.help);
    }
    ExitCode::from(64)
}
