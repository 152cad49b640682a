//! Dropping what a trace holds from before a checkpoint, while it is written.
//!
//! What is kept is written to a file beside it, which then takes the trace's name. So whoever opens the trace, at whatever
//! moment its recorder is killed, finds the longer one or the shorter one, and both replay.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File, OpenOptions},
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{
    Checkpoint, ContentDigest, Position, Trace, TraceError, TraceSink,
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
    shorten_into(path, Box::new(create(&part)?), &part, cut, level).inspect_err(|_| {
        // The trace itself is as it was.
        let _ = fs::remove_file(&part);
    })
}

fn create(part: &Path) -> Result<File, TraceError> {
    // A recorder that was killed here has left it.
    match fs::remove_file(part) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(TraceError::io(part, "remove what another recorder left", error));
        }
        Ok(()) | Err(_) => {}
    }
    let file = OpenOptions::new().write(true).create_new(true).open(part);
    file.map_err(|error| TraceError::io(part, "create a shorter trace", error))
}

/// The same through `sink`, which writes to the file `part`.
fn shorten_into(
    path: &Path,
    sink: Box<dyn TraceSink>,
    part: &Path,
    cut: u32,
    level: i32,
) -> Result<(Output, PageStore), TraceError> {
    let trace = Trace::open(path)?;
    let header = trace.header();
    let shared = Arc::new(Shared::new(part.to_owned()));
    let mut output = Output::new(sink, shared, usize::from(header.configuration.cores), level)?;
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
        let digest = ContentDigest::of(page);
        if failure.is_none()
            && wanted.contains(&digest)
            && let Some(full) = pages.put(digest, page)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        ClockPolicy, Configuration, Header, HostFacts, Image, ImageRole, MachineDigest, Schedule,
        TraceWriter, WriterOptions, limits::PAGE_BYTES,
    };
    use std::io::Write;

    /// A disk with room for so many bytes more.
    struct Disk {
        file: File,
        room: usize,
    }

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let written = self.file.write(&bytes[..bytes.len().min(self.room)])?;
            self.room -= written;
            if written == 0 && !bytes.is_empty() {
                Err(io::ErrorKind::StorageFull.into())
            } else {
                Ok(written)
            }
        }

        fn flush(&mut self) -> io::Result<()> {
            self.file.flush()
        }
    }

    impl TraceSink for Disk {
        fn truncate(&mut self, bytes: u64) -> io::Result<()> {
            self.file.set_len(bytes)
        }

        /// Some hosts say only here that there was no room.
        fn sync(&mut self) -> io::Result<()> {
            if self.room == 0 { Err(io::ErrorKind::StorageFull.into()) } else { self.file.sync_all() }
        }
    }

    /// A trace of one core that is still being written, with checkpoints at the cuts 3, 4 and 5.
    fn unfinished(path: &Path) {
        let program = b"a program";
        let header = Header {
            recorder: "cantus".into(),
            configuration: Configuration {
                isa: "rv64gc".into(),
                board: "virt".into(),
                cores: 1,
                ram_bytes: 1 << 20,
                clock: ClockPolicy::Virtual,
                timebase_hz: 10_000_000,
                digest_interval: 0,
                settings: Vec::new(),
            },
            images: vec![Image::stored("program", ImageRole::Program, program)],
            schedule: Schedule::default(),
            host: HostFacts::default(),
            command_line: Vec::new(),
        };
        let options = WriterOptions { force: true, ..WriterOptions::default() };
        let (writer, mut streams) = TraceWriter::create(path, &header, &[program], options).expect("a file");
        for cut in 3..6 {
            let position = Position(u64::from(cut) * 100);
            streams[0].append(position, &crate::Event::Cut { number: cut });
            streams[0].flush(position);
            let memory = ContentDigest::of(b"memory");
            writer.machine_digest(&MachineDigest { cut, positions: vec![position], memory });
            let pages = vec![(u64::from(cut), writer.page(&[cut as u8; PAGE_BYTES]))];
            let base = cut.checked_sub(1).filter(|base| *base >= 3);
            let (positions, cores) = (vec![position], vec![vec![0; 40]]);
            writer.checkpoint(&Checkpoint { cut, base, positions, cores, devices: Vec::new(), pages });
        }
        writer.abandon().expect("written");
    }

    #[test]
    fn rep_3_a_disk_that_is_full_while_a_trace_is_shortened_loses_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        let (path, part) = (folder.path().join("t.cantus"), folder.path().join("t.cantus.part"));
        unfinished(&path);
        let before = fs::read(&path).expect("the trace");
        let mut failed = 0;
        for room in 0.. {
            let disk = Disk { file: create(&part).expect("a file"), room };
            match shorten_into(&path, Box::new(disk), &part, 4, 1) {
                Err(error) => {
                    failed += 1;
                    assert!(error.to_string().contains("t.cantus"), "{room} bytes: {error}");
                    assert!(fs::read(&path).expect("the trace") == before, "REP-3: {room} bytes");
                }
                Ok(_) => break,
            }
        }
        assert!(failed > 300, "{failed} disks were too small");
        assert!(!part.exists(), "it is the trace now");
        let trace = Trace::open(&path).expect("a trace");
        assert_eq!(trace.checkpoints(), [4, 5]);
        assert_eq!(trace.origin().expect("whole"), Some((4, vec![Position(400)])));
        let mut pages = Vec::new();
        trace.checkpoint_memory(5, |number, _| pages.push(number)).expect("whole");
        assert_eq!(pages, [3, 4, 5]);
    }

    #[test]
    fn what_another_recorder_left_is_no_hindrance_but_for_a_folder() {
        let folder = tempfile::tempdir().expect("a folder");
        let (path, part) = (folder.path().join("t.cantus"), folder.path().join("t.cantus.part"));
        unfinished(&path);
        fs::write(&part, "left").expect("written");
        drop(shorten(&path, 3, 1).expect("shortened"));
        let before = fs::read(&path).expect("the trace");
        fs::create_dir(&part).expect("a folder");
        assert!(shorten(&path, 4, 1).is_err());
        assert!(fs::read(&path).expect("the trace") == before && part.is_dir(), "REP-3: nothing is lost");
    }
}
