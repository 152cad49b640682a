//! Writing a trace: the writer, and the thread that compresses and writes what the cores hand over.
//!
//! It guarantees that whatever is in the file when the process dies, or when the disk is full, is the beginning of a
//! trace in whole chunks, but for the last. The order of chunks of different cores means nothing.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::Ordering,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread::{self, JoinHandle},
};

use crate::{
    Checkpoint, ContentDigest, CoreId, CoreStream, Footer, Header, MachineDigest, Totals, TraceError, blocks,
    core_stream::{Job, Record, Shared},
    footer::{FooterBlock, IndexEntry},
    frame::{self, CHUNK_HEADER_BYTES, ChunkHeader, ChunkKind, Codec},
    limits::{
        CHUNK_BYTES_MAX, CHUNKS_MAX, HEADER_BYTES_MAX, IMAGE_PIECE_BYTES, INDEX_ENTRIES_MAX, PAGE_BYTES,
    },
    page_store::{PageStore, checkpoint_records},
    shorten::shorten,
};

/// How a trace is written. What is read back does not depend on it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct WriterOptions {
    /// Replace a trace that is there already.
    pub force: bool,
    /// The level of zstd, 1 (fast) to 19 (small).
    pub level: i32,
    /// How many bytes of events a core gathers before it hands them over.
    pub buffer_bytes: usize,
    /// How many chunks may wait to be written before cores wait too.
    pub queue_chunks: usize,
}

impl Default for WriterOptions {
    /// What suits recording: never overwrite, level 1, 64 KiB, 64 chunks.
    fn default() -> WriterOptions {
        WriterOptions { force: false, level: 1, buffer_bytes: 64 << 10, queue_chunks: 64 }
    }
}

/// Where a trace is written to: a file, or what a test puts in its place.
pub trait TraceSink: Write + Send {
    /// Shortens what was written to this many bytes. Nothing is written after that.
    fn truncate(&mut self, bytes: u64) -> io::Result<()>;
    /// Makes what was written survive the host's end.
    fn sync(&mut self) -> io::Result<()>;
}

impl TraceSink for File {
    fn truncate(&mut self, bytes: u64) -> io::Result<()> {
        self.set_len(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_all()
    }
}

/// Writes a trace. All methods may be called from any thread.
///
/// Dropping it without [`TraceWriter::finish`] leaves a trace as a killed recorder does: readable, without a footer.
pub struct TraceWriter {
    queue: SyncSender<Job>,
    thread: Option<JoinHandle<Result<Totals, TraceError>>>,
    shared: Arc<Shared>,
    cores: usize,
    pages: Mutex<PageStore>,
}

impl TraceWriter {
    /// Creates the file, writes header and images, and starts the writer's thread. `images` holds the bytes of each image
    /// that the header calls stored, in the header's order. Gives a stream for each core, by number.
    ///
    /// # Errors
    ///
    /// If the file is there already (unless forced), or cannot be written, or if the header is outside the limits or does
    /// not describe the images.
    pub fn create(
        path: &Path,
        header: &Header,
        images: &[&[u8]],
        options: WriterOptions,
    ) -> Result<(TraceWriter, Vec<CoreStream>), TraceError> {
        check_header(path, header, images)?;
        if options.force {
            // Whoever reads the old trace keeps it: it is unlinked, not overwritten.
            match fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(TraceError::io(path, "remove the old trace", error));
                }
                Ok(()) | Err(_) => {}
            }
        }
        let file = OpenOptions::new().write(true).create_new(true).open(path).map_err(|error| {
            if error.kind() == io::ErrorKind::AlreadyExists {
                TraceError::Exists { path: path.to_owned() }
            } else {
                TraceError::io(path, "create the trace", error)
            }
        })?;
        TraceWriter::start(Box::new(file), path, header, images, options).inspect_err(|_| {
            // Nothing was recorded yet, so nobody misses it.
            let _ = fs::remove_file(path);
        })
    }

    /// As [`TraceWriter::create`], but writes to a sink; `path` is only for messages.
    ///
    /// # Errors
    ///
    /// As [`TraceWriter::create`].
    pub fn to_sink(
        sink: Box<dyn TraceSink>,
        path: &Path,
        header: &Header,
        images: &[&[u8]],
        options: WriterOptions,
    ) -> Result<(TraceWriter, Vec<CoreStream>), TraceError> {
        check_header(path, header, images)?;
        TraceWriter::start(sink, path, header, images, options)
    }

    fn start(
        sink: Box<dyn TraceSink>,
        path: &Path,
        header: &Header,
        images: &[&[u8]],
        options: WriterOptions,
    ) -> Result<(TraceWriter, Vec<CoreStream>), TraceError> {
        let shared = Arc::new(Shared::new(path.to_owned()));
        let cores = usize::from(header.configuration.cores);
        let mut output = Output::new(sink, Arc::clone(&shared), cores, options.level)?;
        output.begin(header, images)?;

        let (queue, jobs) = sync_channel(options.queue_chunks.max(1));
        #[allow(
            clippy::disallowed_methods,
            reason = "the one thread of the recorder, so that cores never wait for a disk"
        )]
        let thread = thread::Builder::new()
            .name("trace-writer".to_owned())
            .spawn(move || output.run(&jobs))
            .map_err(|error| TraceError::io(path, "start the thread that writes the trace", error))?;
        let streams = (0..cores)
            .map(|core| {
                let core = CoreId(core as u8);
                CoreStream::new(core, options.buffer_bytes.max(1), queue.clone(), Arc::clone(&shared))
            })
            .collect();
        Ok((TraceWriter { queue, thread: Some(thread), shared, cores, pages: Mutex::default() }, streams))
    }

    /// Why writing has stopped, if it has: a full disk, mostly. What was written before is a usable trace.
    pub fn failed(&self) -> Option<TraceError> {
        self.shared.failure()
    }

    /// Bytes of the file so far.
    pub fn bytes_written(&self) -> u64 {
        self.shared.bytes.load(Ordering::Relaxed)
    }

    /// Writes the machine's digest at a cut.
    pub fn machine_digest(&self, digest: &MachineDigest) {
        assert_eq!(digest.positions.len(), self.cores, "CHK-1: a cut has a position of every core");
        let (first, last) = (u64::from(digest.cut), u64::from(digest.cut) + 1);
        let bytes = blocks::encode(digest);
        self.send(Record { kind: ChunkKind::MachineDigest, core: 0, first, last, count: 1, bytes });
    }

    /// Stores a page's contents, if the trace does not hold them yet, and gives their digest.
    pub fn page(&self, page: &[u8; PAGE_BYTES]) -> ContentDigest {
        let digest = ContentDigest::of(page);
        self.page_of(digest, page);
        digest
    }

    /// The same for a page whose digest has been taken already. A reader refuses a page with another one.
    pub fn page_of(&self, digest: ContentDigest, page: &[u8; PAGE_BYTES]) {
        // The chunk is sent under the lock: a checkpoint that another thread writes comes after the pages that it names.
        let mut pages = self.pages.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(chunk) = pages.put(digest, page) {
            self.send(chunk);
        }
    }

    /// Writes a checkpoint, all of whose pages were given to [`TraceWriter::page`].
    pub fn checkpoint(&self, checkpoint: &Checkpoint) {
        assert_eq!(checkpoint.positions.len(), self.cores, "CHK-1: a cut has a position of every core");
        assert_eq!(checkpoint.cores.len(), self.cores, "CHK-1: a checkpoint has a state of every core");
        assert!(
            checkpoint.pages.is_sorted_by(|(one, _), (next, _)| one < next),
            "CHK-1: the pages of a checkpoint ascend"
        );
        let mut pages = self.pages.lock().unwrap_or_else(PoisonError::into_inner);
        assert!(
            checkpoint.pages.iter().all(|(_, digest)| pages.holds(digest)),
            "CHK-1: a checkpoint names stored pages only"
        );
        for record in pages.take().into_iter().chain(checkpoint_records(checkpoint)) {
            self.send(record);
        }
    }

    /// Drops all that the trace holds from before the checkpoint of a cut, which has been written: it begins there then. To
    /// be called while no core runs and all streams are flushed to a checkpoint. Waits until it is done. Needs a writer that
    /// was made by [`TraceWriter::create`]. A failure ends the writing, and leaves the trace as it was.
    pub fn drop_before(&self, cut: u32) {
        let mut pages = self.pages.lock().unwrap_or_else(PoisonError::into_inner);
        let (reply, answer) = sync_channel(1);
        if !self.shared.has_failed() && self.queue.send(Job::DropBefore(cut, reply)).is_ok() {
            // Without an answer, writing has failed.
            if let Ok(held) = answer.recv() {
                *pages = held;
            }
        }
    }

    fn send(&self, record: Record) {
        if !self.shared.has_failed() {
            // The thread ends before this writer does only if it panicked; `finish` then passes the panic on.
            let _ = self.queue.send(Job::Record(record));
        }
    }

    /// Writes the footer, waits until the host has stored everything, and ends. Every stream must have been closed where
    /// the footer says that its core ended.
    ///
    /// # Errors
    ///
    /// If anything could not be written, now or before. The trace is usable up to there.
    pub fn finish(self, footer: Footer) -> Result<Totals, TraceError> {
        self.end(Job::Finish(Box::new(footer)))
    }

    /// Ends without a footer: the trace is as a killed recorder leaves it, up to what was handed over.
    ///
    /// # Errors
    ///
    /// If anything could not be written before.
    pub fn abandon(self) -> Result<Totals, TraceError> {
        self.end(Job::Stop)
    }

    fn end(mut self, job: Job) -> Result<Totals, TraceError> {
        // The thread has ended already only if it panicked.
        let _ = self.queue.send(job);
        let thread = self.thread.take().expect("a writer ends once");
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

impl Drop for TraceWriter {
    fn drop(&mut self) {
        if let Some(thread) = self.thread.take() {
            let _ = self.queue.send(Job::Stop);
            // The outcome is of interest to `finish` only.
            let _ = thread.join();
        }
    }
}

impl std::fmt::Debug for TraceWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "TraceWriter({}, {} bytes)", self.shared.path.display(), self.bytes_written())
    }
}

fn check_header(path: &Path, header: &Header, images: &[&[u8]]) -> Result<(), TraceError> {
    let unwritable = |what| TraceError::Unwritable { path: path.to_owned(), what };
    header.check().map_err(unwritable)?;
    let stored: Vec<_> = header.images.iter().filter(|image| image.stored).collect();
    if stored.len() != images.len() {
        return Err(unwritable(format!(
            "{} images are to be stored, but {} came",
            stored.len(),
            images.len()
        )));
    }
    match stored.iter().zip(images).find(|(image, contents)| !image.is(contents)) {
        None => Ok(()),
        Some((image, _)) => {
            Err(unwritable(format!("the bytes of image {} are not those of its digest", image.name)))
        }
    }
}

/// The writer's thread: all that touches the file.
pub(crate) struct Output {
    sink: Box<dyn TraceSink>,
    shared: Arc<Shared>,
    level: i32,
    compressor: zstd::bulk::Compressor<'static>,
    /// One chunk as it goes to the sink, kept for its memory.
    chunk: Vec<u8>,
    totals: Totals,
    number: u32,
    index: Option<Vec<IndexEntry>>,
    /// Of each core, the position that its chunks reach, exclusively.
    reached: Vec<u64>,
}

impl Output {
    pub(crate) fn new(
        sink: Box<dyn TraceSink>,
        shared: Arc<Shared>,
        cores: usize,
        level: i32,
    ) -> Result<Output, TraceError> {
        let compressor = zstd::bulk::Compressor::new(level)
            .map_err(|error| TraceError::io(&shared.path, "prepare compression", error))?;
        Ok(Output {
            sink,
            shared,
            level,
            compressor,
            chunk: Vec::new(),
            totals: Totals::default(),
            number: 0,
            index: Some(Vec::new()),
            reached: vec![0; cores],
        })
    }

    /// Writes what stands before the first event.
    pub(crate) fn begin(&mut self, header: &Header, images: &[&[u8]]) -> Result<(), TraceError> {
        let block = blocks::encode(header);
        if block.len() > HEADER_BYTES_MAX as usize {
            let what = format!("the header may have {HEADER_BYTES_MAX} bytes, but has {}", block.len());
            return Err(self.unwritable(what));
        }
        let bytes = [&frame::prologue(&block)[..], &block].concat();
        self.write(&bytes)?;
        let stored = header.images.iter().zip(0_u8..).filter(|(image, _)| image.stored);
        for ((_, number), contents) in stored.zip(images) {
            for (piece, first) in contents.chunks(IMAGE_PIECE_BYTES).zip((0..).step_by(IMAGE_PIECE_BYTES)) {
                let last = first + piece.len() as u64;
                let piece = Record {
                    kind: ChunkKind::Image,
                    core: number,
                    first,
                    last,
                    count: 1,
                    bytes: piece.to_vec(),
                };
                self.record(&piece)?;
            }
        }
        Ok(())
    }

    fn run(mut self, jobs: &Receiver<Job>) -> Result<Totals, TraceError> {
        for job in jobs {
            let outcome = match job {
                Job::Finish(footer) => return self.finish(*footer),
                Job::Stop => break,
                // After a failure, jobs are only taken from the queue, so that no core waits for room in it.
                Job::Events(..) | Job::Record(_) | Job::DropBefore(..) | Job::Fail(_)
                    if self.shared.has_failed() =>
                {
                    Ok(())
                }
                Job::Fail(error) => Err(error),
                Job::Events(core, events) => {
                    self.reached[core.index()] = events.last.0;
                    self.record(&Record {
                        kind: ChunkKind::Events,
                        core: core.0,
                        first: events.first.0,
                        last: events.last.0,
                        count: events.count,
                        bytes: events.bytes,
                    })
                }
                Job::Record(record) => self.record(&record),
                Job::DropBefore(cut, reply) => self.drop_before(cut).map(|pages| {
                    // Whoever asked waits for it.
                    let _ = reply.send(pages);
                }),
            };
            if let Err(error) = outcome {
                self.shared.fail(error);
            }
        }
        match self.shared.failure() {
            Some(error) => Err(error),
            None => Ok(self.totals),
        }
    }

    /// The trace begins at a checkpoint from now on. What was written so far is in another file then.
    fn drop_before(&mut self, cut: u32) -> Result<PageStore, TraceError> {
        let (shorter, pages) = shorten(&self.shared.path, cut, self.level)?;
        let Output { sink, totals, number, index, .. } = shorter;
        (self.sink, self.totals, self.number, self.index) = (sink, totals, number, index);
        self.shared.bytes.store(self.totals.file_bytes, Ordering::Relaxed);
        Ok(pages)
    }

    /// What was written takes the place of the trace at `path`.
    pub(crate) fn replace(&mut self, path: &Path) -> Result<(), TraceError> {
        let stored = self.sink.sync().and_then(|()| fs::rename(&self.shared.path, path));
        stored.map_err(|error| TraceError::io(path, "put the shorter trace in its place", error))
    }

    pub(crate) fn record(&mut self, record: &Record) -> Result<(), TraceError> {
        let header = self.chunk(record)?;
        self.write_chunk()?;
        self.totals.chunks = self.number;
        if record.kind == ChunkKind::Events {
            self.totals.events += u64::from(record.count);
            self.totals.event_bytes += record.bytes.len() as u64;
            self.totals.event_bytes_stored += header.bytes();
        }
        if let Some(index) = &mut self.index {
            index.push(header.entry());
            if index.len() > INDEX_ENTRIES_MAX {
                self.index = None;
            }
        }
        Ok(())
    }

    /// Makes a record into the bytes of the next chunk.
    fn chunk(&mut self, record: &Record) -> Result<ChunkHeader, TraceError> {
        let raw = &record.bytes;
        let number = self.number;
        if raw.len() > CHUNK_BYTES_MAX as usize {
            let what = format!("a chunk may have {CHUNK_BYTES_MAX} bytes, but one of {} came", raw.len());
            return Err(self.unwritable(what));
        }
        if number == CHUNKS_MAX {
            return Err(self.unwritable(format!("a trace may have {CHUNKS_MAX} chunks")));
        }
        self.number += 1;
        let compressed = self
            .compressor
            .compress(raw)
            .map_err(|error| TraceError::io(&self.shared.path, "compress a chunk", error))?;
        let (codec, stored) =
            if compressed.len() < raw.len() { (Codec::Zstd, &compressed) } else { (Codec::Plain, raw) };
        let header = ChunkHeader {
            kind: record.kind,
            core: record.core,
            codec,
            number,
            first: record.first,
            last: record.last,
            count: record.count,
            raw_bytes: raw.len() as u32,
            stored_bytes: stored.len() as u32,
        };
        self.chunk.clear();
        self.chunk.reserve(CHUNK_HEADER_BYTES + stored.len());
        self.chunk.extend_from_slice(&header.seal(stored));
        self.chunk.extend_from_slice(stored);
        Ok(header)
    }

    fn write_chunk(&mut self) -> Result<(), TraceError> {
        let chunk = std::mem::take(&mut self.chunk);
        let outcome = self.write(&chunk);
        self.chunk = chunk;
        outcome
    }

    /// Writes all of the bytes, or takes back what it wrote of them.
    fn write(&mut self, bytes: &[u8]) -> Result<(), TraceError> {
        match self.sink.write_all(bytes).and_then(|()| self.sink.flush()) {
            Ok(()) => {
                self.totals.file_bytes += bytes.len() as u64;
                self.shared.bytes.store(self.totals.file_bytes, Ordering::Relaxed);
                Ok(())
            }
            Err(error) => {
                // If even that fails, the reader finds the torn chunk and stops before it.
                let _ = self.sink.truncate(self.totals.file_bytes);
                Err(TraceError::io(&self.shared.path, "write the trace", error))
            }
        }
    }

    fn finish(mut self, footer: Footer) -> Result<Totals, TraceError> {
        if let Some(error) = self.shared.failure() {
            return Err(error);
        }
        if footer.cores.len() != self.reached.len() {
            let what =
                format!("the footer has {} cores, the machine {}", footer.cores.len(), self.reached.len());
            return Err(self.unwritable(what));
        }
        for ((end, reached), core) in footer.cores.iter().zip(&self.reached).zip(0..) {
            if end.position.0.checked_add(1) != Some(*reached) {
                let core = CoreId(core);
                let what = format!("{core} ended at {}, but its stream was not closed there", end.position);
                return Err(self.unwritable(what));
            }
        }
        let totals = self.totals;
        let block = FooterBlock { footer, totals, index: self.index.take() };
        let bytes = blocks::encode(&block);
        self.chunk(&Record { kind: ChunkKind::Footer, core: 0, first: 0, last: 0, count: 1, bytes })?;
        self.chunk.extend_from_slice(&frame::trailer(totals.file_bytes));
        let outcome = self.write_chunk().and_then(|()| {
            self.sink.sync().map_err(|error| TraceError::io(&self.shared.path, "store the trace", error))
        });
        if let Err(error) = &outcome {
            self.shared.fail(error.clone());
        }
        outcome.map(|()| Totals { file_bytes: self.totals.file_bytes, ..totals })
    }

    fn unwritable(&self, what: String) -> TraceError {
        TraceError::Unwritable { path: self.shared.path.clone(), what }
    }
}
