//! `cantus man`: the manual page.

use clap::{Args, CommandFactory};
use std::io::Write;

use crate::args::CommandLine;
use crate::failure::{Failure, status};
use crate::terminal;

/// Print the manual page, or that of a verb, as roff
///
/// Read it with `cantus man | man -l -`.
#[derive(Args, Debug)]
pub struct Man {
    /// The verb; without one, the page of cantus itself
    verb: Option<String>,
}

impl Man {
    pub fn execute(self) -> Result<u8, Failure> {
        let mut command = CommandLine::command();
        command.build();
        let page = match self.verb {
            None => command,
            Some(verb) => {
                let found = command.get_subcommands().find(|found| found.get_name() == verb).cloned();
                found.ok_or_else(|| {
                    Failure::usage(format!("'{verb}' is no verb")).advise("`cantus --help` lists the verbs")
                })?
            }
        };
        let mut out = terminal::out();
        clap_mangen::Man::new(page).render(&mut out)?;
        out.flush()?;
        Ok(status::OK)
    }
}
