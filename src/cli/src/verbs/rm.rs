//! `cantus rm`: removes traces.

use std::fs;
use std::path::{Path, PathBuf};

use cantus_traces::{Trace, TraceError};
use clap::Args;

use crate::failure::{Failure, status};
use crate::places::{LATEST, Places};
use crate::terminal::Voice;

/// Remove traces
#[derive(Args, Debug)]
pub struct Rm {
    /// The traces: paths, or names as `cantus ls` shows them
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    traces: Vec<PathBuf>,
    /// All traces of the trace folder
    #[arg(long)]
    all: bool,
    /// Remove a file even if it is no trace
    #[arg(long)]
    force: bool,
}

impl Rm {
    pub fn execute(self, voice: Voice) -> Result<u8, Failure> {
        let places = Places::from_environment()?;
        let paths = match self.all {
            true => places.traces(),
            // All are found before the first is removed: a wrong name removes nothing.
            false => {
                // The link stands for what it names.
                let find = |named: &PathBuf| match named.as_os_str() == LATEST {
                    true => places.find(None),
                    false => places.find(Some(named)),
                };
                self.traces.iter().map(find).collect::<Result<Vec<_>, _>>()?
            }
        };
        for path in &paths {
            if !self.all && !self.force {
                refuse_other_files(path)?;
            }
        }
        for path in &paths {
            fs::remove_file(path).map_err(|error| Failure::io(path, "remove the trace", &error))?;
            voice.say(format!("removed {}", path.display()));
        }
        places.repair_latest().map_err(|error| Failure::io(places.folder(), "mend latest-trace", &error))?;
        Ok(status::OK)
    }
}

/// A slip of the fingers must not cost a file that is no trace.
fn refuse_other_files(path: &Path) -> Result<(), Failure> {
    // A recorder that was killed at once leaves an empty file.
    if fs::metadata(path).is_ok_and(|facts| facts.is_file() && facts.len() == 0) {
        return Ok(());
    }
    match Trace::open_unverified(path) {
        Err(TraceError::NotATrace { .. } | TraceError::Io { .. }) => {
            Err(Failure::new(status::BAD_DATA, format!("{}: not a trace, and not removed", path.display()))
                .advise("give --force to remove it all the same"))
        }
        // A damaged trace is one, too.
        Ok(_) | Err(_) => Ok(()),
    }
}
