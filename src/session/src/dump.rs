//! The events of a trace, as text.

use crate::{Error, Executed};
use cantus_analyses::dump::{DumpError, Places, Selection};
use cantus_analyses::site::{Sites, no_text};
use cantus_analyses::symbols::Symbols;
use std::io;
use std::path::Path;

/// The selected events of the trace at `path`, one a line, each with its place in the guest's code: what `cantus dump
/// --places` prints. With [`Selection::normalised`] equal executions give equal text, which can be kept and compared.
///
/// # Errors
/// Where the trace cannot be read to its end, or not be executed again.
pub fn dump(path: impl AsRef<Path>, selection: Selection) -> Result<String, Error> {
    let path = path.as_ref();
    let mut executed = Executed::open(path, &[])?;
    let trace = executed.trace().clone();
    let symbols = Symbols::read(&executed.guest().bytes).unwrap_or_else(|_| Symbols::none());
    let places = Places { replays: &mut executed, sites: Sites::new(&symbols, &no_text) };
    let mut text = String::new();
    let dumped = cantus_analyses::dump::dump(&trace, selection, Some(places), &mut |event| {
        use std::fmt::Write;
        writeln!(text, "{event}").map_err(io::Error::other)
    });
    match dumped {
        Ok(()) => Ok(text),
        Err(DumpError::Trace(error)) => Err(Error::Trace(error)),
        Err(DumpError::Taker(error)) => Err(Error::File { path: path.to_owned(), error }),
        Err(DumpError::Replay(error)) => Err(Error::Again { path: path.to_owned(), error }),
    }
}
