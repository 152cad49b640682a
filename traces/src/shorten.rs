//! Dropping what a trace holds from before a checkpoint, while it is written.
//!
//! What is kept is written to a file beside it, which then takes the trace's name. So whoever opens the trace, at whatever
//! moment its recorder is killed, finds the longer one or the shorter one, and both replay.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, OpenOptions},
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{
    Checkpoint, ContentDigest, Position, Trace, TraceError,
    core_stream::{Record, Shared},
    frame::ChunkKind,
    layout::Placed,
    page_store::{PageStore, checkpoint_records},
    trace::Decompressor,
    writer::Output,
};

/// The name of the file that takes the trace's place.
fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".part");
    name.into()
}

/// Makes the trace at `path`, all of whose chunks have been written, begin at the checkpoint of `cut`. Gives the writer's
/// end of the new file, and the pages that it holds.
pub(crate) fn shorten(path: &Path, cut: u32, level: i32) -> Result<(Output, PageStore), TraceError> {
    let part = beside(path);
    shorten_into(path, &part, cut, level).inspect_err(|_| {
        // The trace itself is as it was.
        let _ = fs::remove_file(&part);
    })
}

fn shorten_into(path: &Path, part: &Path, cut: u32, level: i32) -> Result<(Output, PageStore), TraceError> {
    let trace = Trace::open(path)?;
    let header = trace.header();
    // A recorder that was killed here has left it.
    match fs::remove_file(part) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(TraceError::io(part, "remove what another recorder left", error));
        }
        Ok(()) | Err(_) => {}
    }
    let file = OpenOptions::new().write(true).create_new(true).open(part);
    let file = file.map_err(|error| TraceError::io(part, "create a shorter trace", error))?;
    let shared = Arc::new(Shared::new(part.to_owned()));
    let mut output = Output::new(Box::new(file), shared, usize::from(header.configuration.cores), level)?;
    let stored = header.images.iter().enumerate().filter(|(_, image)| image.stored);
    let images: Vec<Vec<u8>> = stored.map(|(index, _)| trace.image(index)).collect::<Result<_, _>>()?;
    output.begin(header, &images.iter().map(Vec::as_slice).collect::<Vec<_>>())?;

    let first = first_checkpoint(&trace, cut)?;
    for (position, core) in first.positions.iter().zip(0..) {
        output.record(&nothing_yet(core, *position))?;
    }
    let pages = store_pages(&trace, &first, &mut output)?;
    let positions = first.positions.clone();
    for record in checkpoint_records(&first) {
        output.record(&record)?;
    }
    let is_kept = |chunk: &Placed| match chunk.header.kind {
        ChunkKind::Events => positions
            .get(usize::from(chunk.header.core))
            .is_some_and(|position| chunk.header.first >= position.0 && chunk.header.last > position.0),
        ChunkKind::MachineDigest => chunk.header.first >= u64::from(cut),
        ChunkKind::PageList | ChunkKind::Checkpoint => chunk.header.first > u64::from(cut),
        ChunkKind::Pages | ChunkKind::Image | ChunkKind::Footer => false,
    };
    let (mut decompressor, mut raw) = (Decompressor::new(), Vec::new());
    for chunk in trace.inner().layout.chunks.iter().filter(|chunk| is_kept(chunk)) {
        trace.inner().payload(chunk, &mut decompressor, &mut raw)?;
        let header = &chunk.header;
        output.record(&Record {
            kind: header.kind,
            core: header.core,
            first: header.first,
            last: header.last,
            count: header.count,
            bytes: raw.clone(),
        })?;
    }
    output.replace(path)?;
    Ok((output, pages))
}

/// That a core begins here, and nothing is known of it yet.
fn nothing_yet(core: u8, position: Position) -> Record {
    let Position(first) = position;
    Record { kind: ChunkKind::Events, core, first, last: first, count: 0, bytes: Vec::new() }
}

/// The checkpoint of a cut, with all pages that are not zero: it needs no other.
fn first_checkpoint(trace: &Trace, cut: u32) -> Result<Checkpoint, TraceError> {
    let last = trace.checkpoint(cut)?;
    let mut pages: BTreeMap<_, _> = last.pages.iter().copied().collect();
    let mut next = last.base;
    while let Some(cut) = next {
        let checkpoint = trace.checkpoint(cut)?;
        for (page, digest) in checkpoint.pages {
            pages.entry(page).or_insert(digest);
        }
        next = checkpoint.base;
    }
    Ok(Checkpoint { base: None, pages: pages.into_iter().collect(), ..last })
}

/// Stores the pages of a checkpoint and of all later ones.
fn store_pages(trace: &Trace, first: &Checkpoint, output: &mut Output) -> Result<PageStore, TraceError> {
    let mut wanted: BTreeSet<_> = first.pages.iter().map(|(_, digest)| *digest).collect();
    for cut in trace.checkpoints().into_iter().filter(|cut| *cut > first.cut) {
        wanted.extend(trace.checkpoint(cut)?.pages.iter().map(|(_, digest)| *digest));
    }
    let mut pages = PageStore::default();
    let mut failure = None;
    trace.each_stored_page(|page| {
        if failure.is_none()
            && wanted.contains(&ContentDigest::of(page))
            && let (_, Some(full)) = pages.put(page)
        {
            failure = output.record(&full).err();
        }
    })?;
    if let Some(record) = pages.take() {
        output.record(&record)?;
    }
    match failure {
        Some(error) => Err(error),
        None => Ok(pages),
    }
}
