//! The cores' end of a writer: one buffer of encoded events for each core, handed over when it is full.

use std::{
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc::SyncSender,
    },
};

use crate::{
    CoreId, Event, Position, TraceError,
    events::{EVENT_BYTES_MAX, EncodedEvents, EventEncoder},
    footer::Footer,
    frame::ChunkKind,
    limits::{CHUNK_BYTES_MAX, POSITION_MAX},
    page_store::PageStore,
};

/// What the writer's thread is asked to do.
pub(crate) enum Job {
    /// Write the events of a core.
    Events(CoreId, EncodedEvents),
    /// Write another chunk.
    Record(Record),
    /// Make the trace begin at the checkpoint of this cut, and say which pages it holds then.
    DropBefore(u32, SyncSender<PageStore>),
    /// Give up for this reason.
    Fail(TraceError),
    /// Write the footer and end.
    Finish(Box<Footer>),
    /// End without a footer.
    Stop,
}

/// A chunk before compression that holds no events.
pub(crate) struct Record {
    pub kind: ChunkKind,
    pub core: u8,
    pub first: u64,
    pub last: u64,
    pub count: u32,
    pub bytes: Vec<u8>,
}

/// What the writer, its thread and the streams have in common.
pub(crate) struct Shared {
    pub path: PathBuf,
    failed: AtomicBool,
    failure: Mutex<Option<TraceError>>,
    /// Bytes of the file so far.
    pub bytes: AtomicU64,
}

impl Shared {
    pub(crate) fn new(path: PathBuf) -> Shared {
        Shared { path, failed: AtomicBool::new(false), failure: Mutex::new(None), bytes: AtomicU64::new(0) }
    }

    /// Keeps the first failure.
    pub(crate) fn fail(&self, error: TraceError) {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
        self.failed.store(true, Ordering::Release);
    }

    pub(crate) fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Acquire)
    }

    pub(crate) fn failure(&self) -> Option<TraceError> {
        if !self.has_failed() {
            return None;
        }
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Takes the events of one core. It belongs to whoever runs the core.
///
/// Appending costs some nanoseconds and waits only if the writer's queue is full. After a failure of the writer, what is
/// appended is dropped.
pub struct CoreStream {
    core: CoreId,
    encoder: EventEncoder,
    buffer_bytes: usize,
    queue: SyncSender<Job>,
    shared: Arc<Shared>,
    closed: bool,
}

impl CoreStream {
    pub(crate) fn new(
        core: CoreId,
        buffer_bytes: usize,
        queue: SyncSender<Job>,
        shared: Arc<Shared>,
    ) -> CoreStream {
        let encoder = EventEncoder::at(Position(0));
        CoreStream { core, encoder, buffer_bytes, queue, shared, closed: false }
    }

    /// The stream begins at this position rather than at 0. To be called before anything is appended, of every core, and
    /// before the checkpoint there is written.
    ///
    /// # Panics
    ///
    /// If the stream has begun, or no core can be at this position.
    pub fn begin(&mut self, position: Position) {
        assert!(position.0 <= POSITION_MAX, "REP-3: a position has at most 62 bits");
        assert!(
            self.encoder.first() == Position(0) && self.encoder.bytes() == 0,
            "REP-3: a stream begins before its first event"
        );
        self.encoder = EventEncoder::at(position);
        self.hand_over(position);
    }

    /// The core whose events these are.
    pub fn core(&self) -> CoreId {
        self.core
    }

    /// Appends an event. Positions never descend, nor come before one that was flushed.
    #[inline]
    pub fn append(&mut self, position: Position, event: &Event) {
        if self.encoder.bytes() >= self.buffer_bytes {
            self.make_room(position);
        }
        self.encoder.put(position, event);
    }

    #[cold]
    fn make_room(&mut self, position: Position) {
        if position > self.encoder.position() {
            self.hand_over(position);
        } else if self.encoder.bytes() > CHUNK_BYTES_MAX as usize - EVENT_BYTES_MAX {
            self.hand_over(position);
            let (path, core) = (self.shared.path.clone(), self.core);
            self.send(Job::Fail(TraceError::Crowded { path, core, position }));
            self.encoder = EventEncoder::at(position);
        }
    }

    /// Hands over what is known: the core has reached `position`, and no more events before it will come. Whoever
    /// replays what a killed recorder left can run the core up to the last position that was flushed. Costs a chunk, so
    /// flush some times a second, not more.
    pub fn flush(&mut self, position: Position) {
        if position > self.encoder.first() || self.encoder.position() > self.encoder.first() {
            self.hand_over(position);
        }
    }

    /// Ends the stream: the core has stopped for ever at `position`, and its events there are all known.
    pub fn close(mut self, position: Position) {
        assert!(position.0 <= POSITION_MAX, "REP-3: a position has at most 62 bits");
        self.closed = true;
        self.hand_over(Position(position.0 + 1));
    }

    /// Whether the writer has failed; see [`crate::TraceWriter::failed`].
    pub fn has_failed(&self) -> bool {
        self.shared.has_failed()
    }

    fn hand_over(&mut self, last: Position) {
        let events = self.encoder.cut(last);
        self.send(Job::Events(self.core, events));
    }

    fn send(&self, job: Job) {
        if !self.shared.has_failed() {
            // The queue is closed only after the writer's end, when nobody expects these events in the file any more.
            let _ = self.queue.send(job);
        }
    }
}

impl Drop for CoreStream {
    /// Hands over what is certain without knowing how far the core came.
    fn drop(&mut self) {
        if !self.closed {
            self.flush(self.encoder.first());
        }
    }
}

impl std::fmt::Debug for CoreStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (first, position) = (self.encoder.first(), self.encoder.position());
        write!(f, "CoreStream({}, {first} to {position}, {} bytes)", self.core, self.encoder.bytes())
    }
}
