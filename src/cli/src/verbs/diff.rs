//! `cantus diff`: where and why two runs part.

use std::io::Write;
use std::path::{Path, PathBuf};

use cantus::Executed;
use cantus_analyses::diff::Difference;
use cantus_analyses::junit;
use clap::Args;

use crate::failure::{Failure, status};
use crate::places::Places;
use crate::source_text::SourceText;
use crate::terminal::{self, Voice};
use crate::verbs::replay::ReplayArgs;
use crate::verbs::verify::write_junit;

/// Show where and why two runs of the same guest part
///
/// Compares configuration, inputs, and what every core did, step by step. Exits with 0 if the runs are the same, 1 if
/// they differ, 2 if that cannot be found out.
#[derive(Args, Debug)]
pub struct Diff {
    /// A trace: a path, or a name as `cantus ls` shows it
    a: PathBuf,
    /// Another trace of the same guest
    b: PathBuf,
    #[command(flatten)]
    replay: ReplayArgs,
    /// Look for the guest's source files in this folder, too
    #[arg(long, value_name = "FOLDER")]
    source: Vec<PathBuf>,
    /// Write the verdict here, in the report format of CI systems
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Print the difference as JSON
    #[arg(long)]
    json: bool,
}

impl Diff {
    pub fn execute(self, voice: Voice) -> Result<u8, Failure> {
        let name = format!("{} {}", self.a.display(), self.b.display());
        let compared = self.compare(voice);
        let outcome = match &compared {
            Ok(difference) if difference.same() => junit::Outcome::Passed,
            Ok(difference) => junit::Outcome::Failed {
                message: "the executions differ".to_owned(),
                details: difference.to_string(),
            },
            Err(failure) => junit::Outcome::Trouble { message: failure.to_string() },
        };
        let check = junit::Check { name, outcome, time: None };
        let reported = write_junit(self.junit.as_deref(), "diff", check);
        // As diff(1) does: 1 says that they differ, so every trouble must have another status.
        let trouble = |failure: Failure| failure.with_status(status::TROUBLE);
        let difference = compared.map_err(trouble)?;
        reported.map_err(trouble)?;
        self.print(&difference).map_err(trouble)?;
        Ok(if difference.same() { status::OK } else { status::DIFFERENT })
    }

    fn compare(&self, voice: Voice) -> Result<Difference, Failure> {
        let places = Places::from_environment()?;
        let open = |named: &Path| -> Result<Executed, Failure> {
            let path = places.find(Some(named))?;
            let options = self.replay.options()?;
            Ok(Executed::open(path, &options.files)?.on_workers(options.workers).by(options.executor))
        };
        let (a, b) = (open(&self.a)?, open(&self.b)?);
        let text = SourceText::in_folders(&self.source);
        let progress = voice.progress("comparing");
        let difference = cantus::diff_executed(a, b, &|file, line| text.line(file, line));
        progress.finish_and_clear();
        Ok(difference?)
    }

    fn print(&self, difference: &Difference) -> Result<(), Failure> {
        let mut out = terminal::out();
        match self.json {
            true => terminal::json(&mut out, difference)?,
            false => write!(out, "{difference}")?,
        }
        out.flush()?;
        Ok(())
    }
}
