//! `cantus ls`: the traces of the trace folder.

use std::io::Write;

use cantus_analyses::diff::grouped;
use clap::Args;
use comfy_table::{CellAlignment, Table, presets};
use owo_colors::OwoColorize;

use crate::failure::{Failure, status};
use crate::places::Places;
use crate::summary::{Condition, Summary};
use crate::terminal::{self, Out};

/// List the traces of the trace folder
#[derive(Args, Debug)]
pub struct Ls {
    /// Print the list as JSON
    #[arg(long)]
    json: bool,
}

impl Ls {
    pub fn execute(self) -> Result<u8, Failure> {
        let places = Places::from_environment()?;
        let latest = places.latest();
        let is_latest =
            |path: &std::path::Path| latest.as_deref().is_some_and(|name| path.file_name() == Some(name));
        let traces = places.traces();
        let summaries: Vec<Summary> = traces.iter().map(|path| Summary::of(path, is_latest(path))).collect();
        let mut out = terminal::out();
        match (self.json, summaries.is_empty()) {
            (true, _) => terminal::json(&mut out, &summaries)?,
            (false, true) => writeln!(out, "no traces in {}", places.folder().display())?,
            (false, false) => table(&mut out, &summaries)?,
        }
        out.flush()?;
        Ok(status::OK)
    }
}

fn table(out: &mut Out, summaries: &[Summary]) -> Result<(), Failure> {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(["", "trace", "guest", "cores", "instructions", "size", "ended"]);
    for summary in summaries {
        let unknown = || "?".to_owned();
        table.add_row([
            if summary.latest { "*" } else { "" }.to_owned(),
            summary.name.clone(),
            summary.guest.clone().unwrap_or_else(unknown),
            summary.cores.map_or_else(unknown, |cores| cores.to_string()),
            summary.steps.map_or_else(unknown, grouped),
            terminal::bytes(summary.bytes),
            summary.ended(),
        ]);
    }
    for column in [3, 4, 5] {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    for (at, line) in table.lines().enumerate() {
        let line = line.trim_end().to_owned();
        match at.checked_sub(1).and_then(|at| summaries.get(at)).map(|summary| summary.condition) {
            None => writeln!(out, "{}", line.style(terminal::strong()))?,
            Some(Condition::Complete) => writeln!(out, "{line}")?,
            Some(Condition::Incomplete | Condition::Damaged | Condition::Unreadable) => {
                writeln!(out, "{}", line.style(terminal::bad()))?;
            }
        }
    }
    if summaries.iter().any(|summary| summary.latest) {
        writeln!(out, "* latest-trace")?;
    }
    Ok(())
}
