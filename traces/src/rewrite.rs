//! Writing a trace again with other events: for tests that alter an input or drop an edge, and for tools.

use std::path::Path;

use crate::{Event, Position, Totals, Trace, TraceError, TraceWriter, WriterOptions};

/// Writes a copy of a trace, with valid checksums, whose cores have these events instead, by number
/// ([`Trace::read_all`] gives the ones that they have). Images, digests, checkpoints and footer are the original's. If
/// that has no footer, the copy has none.
///
/// # Errors
///
/// If the original cannot be read, or the copy not be written.
///
/// # Panics
///
/// If the events are not such as a [`crate::CoreStream`] takes.
pub fn rewrite(
    original: &Trace,
    path: &Path,
    events: &[Vec<(Position, Event)>],
    options: WriterOptions,
) -> Result<Totals, TraceError> {
    let header = original.header();
    if events.len() != usize::from(header.configuration.cores) {
        let what = format!("{} streams came for {} cores", events.len(), header.configuration.cores);
        return Err(TraceError::Unwritable { path: path.to_owned(), what });
    }
    let stored = header.images.iter().enumerate().filter(|(_, image)| image.stored);
    let images: Vec<Vec<u8>> = stored.map(|(index, _)| original.image(index)).collect::<Result<_, _>>()?;
    let images: Vec<&[u8]> = images.iter().map(Vec::as_slice).collect();
    let (writer, streams) = TraceWriter::create(path, header, &images, options)?;
    for (mut stream, events) in streams.into_iter().zip(events) {
        let begun = original.extent(stream.core()).map_or(Position(0), |extent| extent.begun);
        if begun != Position(0) {
            stream.begin(begun);
        }
        for (position, event) in events {
            stream.append(*position, event);
        }
        let core = stream.core();
        match original.footer() {
            Some(footer) => stream.close(footer.cores[core.index()].position),
            None => stream.flush(original.stream(core).reached()),
        }
    }
    for digest in original.machine_digests()? {
        writer.machine_digest(&digest);
    }
    original.each_stored_page(|page| {
        writer.page(page);
    })?;
    for cut in original.checkpoints() {
        // Reading the memory shows that all its pages are there, which the writer insists on.
        original.checkpoint_memory(cut, |_, _| ())?;
        writer.checkpoint(&original.checkpoint(cut)?);
    }
    match original.footer() {
        Some(footer) => writer.finish(footer.clone()),
        None => writer.abandon(),
    }
}
