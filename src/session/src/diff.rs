//! Compares two traces of the same guest: where they part, and why.

use crate::{Error, Executed};
use cantus_analyses::diff::{Compared, DiffError, Difference};
use cantus_analyses::site::{Sites, SourceText, no_text};
use cantus_analyses::symbols::Symbols;
use std::path::Path;

/// Compares the traces at `a` and `b`, in the words of their guest's symbols and source lines.
///
/// # Errors
/// Where a trace cannot be read, executed again, or is not of the same guest as the other.
pub fn diff(a: impl AsRef<Path>, b: impl AsRef<Path>) -> Result<Difference, Error> {
    let (a, b) = (Executed::open(a, &[])?, Executed::open(b, &[])?);
    diff_executed(a, b, &no_text)
}

/// Compares two traces that are open already; `text` finds the text of source lines.
///
/// # Errors
/// As [`diff`].
pub fn diff_executed(mut a: Executed, mut b: Executed, text: &SourceText<'_>) -> Result<Difference, Error> {
    let symbols = Symbols::read(&a.guest().bytes).unwrap_or_else(|_| Symbols::none());
    let sites = Sites::new(&symbols, text);
    let name = |executed: &Executed| executed.trace().path().display().to_string();
    let (names, traces) = ((name(&a), name(&b)), (a.trace().clone(), b.trace().clone()));
    let compared_a = Compared { name: names.0, trace: &traces.0, replays: &mut a };
    let compared_b = Compared { name: names.1, trace: &traces.1, replays: &mut b };
    cantus_analyses::diff::diff(compared_a, compared_b, sites).map_err(|error| match error {
        DiffError::Trace(error) => Error::Trace(error),
        other @ (DiffError::Guests { .. } | DiffError::Replay(_)) => Error::Diff(other.to_string()),
    })
}
