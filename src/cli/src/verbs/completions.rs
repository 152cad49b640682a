//! `cantus completions`: what a shell needs to complete the command line.

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use crate::args::CommandLine;
use crate::failure::{Failure, status};
use crate::terminal;
use std::io::Write;

/// Print completions for a shell
///
/// Load them with, for instance:
///   bash  source <(cantus completions bash)
///   fish  cantus completions fish | source
///   zsh   cantus completions zsh > "${fpath[1]}/_cantus"
#[derive(Args, Debug)]
#[command(verbatim_doc_comment)]
pub struct Completions {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

impl Completions {
    pub fn execute(self) -> Result<u8, Failure> {
        // The generator panics where it cannot write: it writes into memory.
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut CommandLine::command(), "cantus", &mut script);
        let mut out = terminal::out();
        out.write_all(&script)?;
        out.flush()?;
        Ok(status::OK)
    }
}
