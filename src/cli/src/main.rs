//! The command line.
//!
//! One file a verb, under `verbs`; what they share stands beside it. A verb gives the status to end with, or a
//! [`failure::Failure`], which is told in one place and never by a panic.

mod args;
mod console;
mod devices;
mod failure;
mod moments;
mod outcome;
mod places;
mod source_text;
mod statistics;
mod stop;
mod summary;
mod terminal;
mod verbs;
mod verdict;

use std::io::Write;
use std::process::ExitCode;

use args::{CommandLine, Verb};
use clap::error::ErrorKind;
use failure::{Failure, status};
use terminal::Voice;

fn main() -> ExitCode {
    let CommandLine { general, verb } = match args::parse() {
        Ok(command_line) => command_line,
        Err(error) => return usage(&error),
    };
    log(general.verbose);
    let voice = Voice::new(general);
    let done = match verb {
        Verb::Run(verb) => verb.execute(voice),
        Verb::Record(verb) => verb.execute(voice),
        Verb::Replay(verb) => verb.execute(voice),
        Verb::Verify(verb) => verb.execute(voice),
        Verb::Diff(verb) => verb.execute(voice),
        Verb::Dump(verb) => verb.execute(voice),
        Verb::Info(verb) => verb.execute(),
        Verb::Ls(verb) => verb.execute(),
        Verb::Rm(verb) => verb.execute(voice),
        Verb::Hunt(verb) => verb.execute(voice),
        Verb::Demo(verb) => verb.execute(voice),
        Verb::Completions(verb) => verb.execute(),
        Verb::Man(verb) => verb.execute(),
    };
    ExitCode::from(done.unwrap_or_else(|failure| {
        terminal::tell(&failure);
        failure.status()
    }))
}

/// Shows help that was asked for, or says what is wrong with the command line.
fn usage(error: &clap::Error) -> ExitCode {
    let shown = error.print().and_then(|()| std::io::stdout().flush());
    let asked_for = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
    let status = match (asked_for, shown) {
        (true, Ok(())) => status::OK,
        (true, Err(error)) => Failure::from(error).status(),
        (false, _) => status::USAGE,
    };
    ExitCode::from(status)
}

/// Starts logging to the standard error, as `CANTUS_LOG` says, else by the number of `-v`.
fn log(verbose: u8) {
    use tracing_subscriber::EnvFilter;
    let by_flags = || EnvFilter::new(["warn", "info", "debug", "trace"][usize::from(verbose.min(3))]);
    let filter = EnvFilter::try_from_env("CANTUS_LOG").unwrap_or_else(|_| by_flags());
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(anstream::stderr().current_choice() != anstream::ColorChoice::Never)
        .init();
}
