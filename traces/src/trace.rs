//! Reading a trace: what it says of itself, and the way to its streams.

use std::{path::Path, sync::Arc};

use crate::{
    CoreExtent, CoreId, Event, EventStream, Footer, Header, MachineDigest, Position, Totals, TraceError,
    blocks,
    frame::{self, CHUNK_HEADER_BYTES, ChunkHeader, ChunkKind, Codec, MAGIC, PROLOGUE_BYTES, PrologueError},
    layout::{Completeness, Damage, Layout, Placed, lay_out},
    limits::{FORMAT_VERSION, HEADER_BYTES_MAX},
    source::Source,
};

/// A trace, open for reading. Clones share the file; streams of one trace may be read from several threads.
///
/// Whatever the file's bytes are, every method gives values or errors (`REP-3`).
#[derive(Clone)]
pub struct Trace(Arc<Inner>);

pub(crate) struct Inner {
    pub source: Source,
    pub header: Header,
    pub layout: Layout,
}

/// A chunk of a trace, as a listing shows it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ChunkFacts {
    /// Chunks are numbered in the order in which they lie in the file, from 0.
    pub number: u32,
    /// What it holds.
    pub kind: ChunkKind,
    /// The core whose events it holds, if it holds a core's.
    pub core: Option<CoreId>,
    /// Where in the file it begins.
    pub offset: u64,
    /// How many bytes of the file it takes.
    pub bytes: u64,
    /// How many events, digests, pages or entries it holds.
    pub count: u32,
    /// Whether it is whole.
    pub whole: bool,
}

impl Trace {
    /// Opens a trace and reads all of it once, to know what is whole.
    ///
    /// # Errors
    ///
    /// If the file cannot be read, is no trace, has another format version, or has a damaged header. A trace whose
    /// recorder was killed, or that is damaged behind the header, opens; see [`Trace::completeness`].
    pub fn open(path: &Path) -> Result<Trace, TraceError> {
        Trace::from_source(Source::open(path)?, true)
    }

    /// Opens a trace without reading all of it, if it is complete. Damage is then found by whoever reads the chunk.
    ///
    /// # Errors
    ///
    /// As [`Trace::open`].
    pub fn open_unverified(path: &Path) -> Result<Trace, TraceError> {
        Trace::from_source(Source::open(path)?, false)
    }

    /// Opens a trace that lies in memory; `path` is only for messages.
    ///
    /// # Errors
    ///
    /// As [`Trace::open`].
    pub fn from_bytes(path: &Path, bytes: Vec<u8>) -> Result<Trace, TraceError> {
        Trace::from_source(Source::memory(path, bytes), true)
    }

    fn from_source(source: Source, verify: bool) -> Result<Trace, TraceError> {
        let (header, begin) = read_header(&source)?;
        let layout = lay_out(&source, begin, usize::from(header.configuration.cores), verify)?;
        Ok(Trace(Arc::new(Inner { source, header, layout })))
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.0.source.path
    }

    /// What the trace says before its first event.
    pub fn header(&self) -> &Header {
        &self.0.header
    }

    /// How the run ended, if the recorder could write that.
    pub fn footer(&self) -> Option<&Footer> {
        self.0.layout.footer.as_ref().map(|block| &block.footer)
    }

    /// How much of the recording the trace holds.
    pub fn completeness(&self) -> &Completeness {
        &self.0.layout.completeness
    }

    /// All places where the trace's bytes are not those that were written, as far as they are known.
    pub fn damages(&self) -> &[Damage] {
        &self.0.layout.damages
    }

    /// How many cores the machine has.
    pub fn cores(&self) -> impl Iterator<Item = CoreId> + use<> {
        (0..self.0.header.configuration.cores).map(|core| CoreId(core as u8))
    }

    /// What the trace holds of a core. A core that the machine does not have gives `None`.
    pub fn extent(&self, core: CoreId) -> Option<CoreExtent> {
        self.0.layout.cores.get(core.index()).map(|core| core.extent)
    }

    /// How much the trace holds, damaged chunks included.
    pub fn totals(&self) -> Totals {
        let chunks = &self.0.layout.chunks;
        let mut totals =
            Totals { chunks: chunks.len() as u32, file_bytes: self.0.source.bytes, ..Totals::default() };
        for Placed { header, .. } in chunks.iter().filter(|chunk| chunk.header.kind == ChunkKind::Events) {
            totals.events += u64::from(header.count);
            totals.event_bytes += u64::from(header.raw_bytes);
            totals.event_bytes_stored += header.bytes();
        }
        totals
    }

    /// The chunks before the footer, in the file's order.
    pub fn chunks(&self) -> impl Iterator<Item = ChunkFacts> + '_ {
        self.0.layout.chunks.iter().map(|Placed { header, offset, whole }| ChunkFacts {
            number: header.number,
            kind: header.kind,
            core: (header.kind == ChunkKind::Events).then_some(CoreId(header.core)),
            offset: *offset,
            bytes: header.bytes(),
            count: header.count,
            whole: *whole,
        })
    }

    /// The events of a core, from its first on. A core that the machine does not have has none.
    pub fn stream(&self, core: CoreId) -> EventStream {
        self.stream_from(core, Position(0))
    }

    /// The events of a core from a position on, without reading the chunks before.
    pub fn stream_from(&self, core: CoreId, position: Position) -> EventStream {
        EventStream::new(Arc::clone(&self.0), core, position)
    }

    /// The event of a core with this number, from 0, with its position; none where it has not so many.
    ///
    /// # Errors
    ///
    /// If the chunk that has it is damaged.
    pub fn event(&self, core: CoreId, number: u64) -> Result<Option<(Position, Event)>, TraceError> {
        let layout = &self.0.layout;
        let Some(chunks) = layout.cores.get(core.index()).map(|core| &core.chunks) else { return Ok(None) };
        let mut before = 0;
        for chunk in chunks.iter().map(|chunk| &layout.chunks[*chunk as usize].header) {
            let within = number - before;
            if within < u64::from(chunk.count) {
                return self.stream_from(core, Position(chunk.first)).nth(within as usize).transpose();
            }
            before += u64::from(chunk.count);
        }
        Ok(None)
    }

    /// All events of all cores, by core: what tests and tools change and write again.
    ///
    /// # Errors
    ///
    /// The first error of any stream.
    pub fn read_all(&self) -> Result<Vec<Vec<(Position, Event)>>, TraceError> {
        self.cores().map(|core| self.stream(core).collect()).collect()
    }

    /// The digests of the machine, in the order of cuts. Those in chunks that are known to be damaged are left out.
    ///
    /// # Errors
    ///
    /// If a chunk cannot be read, or holds no digest of this machine.
    pub fn machine_digests(&self) -> Result<Vec<MachineDigest>, TraceError> {
        let cores = usize::from(self.0.header.configuration.cores);
        let chunks = self.0.whole_chunks(ChunkKind::MachineDigest);
        chunks
            .map(|chunk| {
                let digest: MachineDigest = self.0.block(chunk)?;
                if digest.positions.len() == cores && u64::from(digest.cut) == chunk.header.first {
                    Ok(digest)
                } else {
                    let what = format!(
                        "cut {} of {} cores is not this machine's",
                        digest.cut,
                        digest.positions.len()
                    );
                    Err(self.0.damaged(chunk, what))
                }
            })
            .collect()
    }

    /// The bytes of the image with this index in the header.
    ///
    /// # Errors
    ///
    /// If there is no such image, it was left out, or it is damaged.
    pub fn image(&self, index: usize) -> Result<Vec<u8>, TraceError> {
        let inner = &*self.0;
        let Some(image) = inner.header.images.get(index) else {
            return Err(inner.missing(format!("an image number {index}")));
        };
        if !image.stored {
            let what =
                format!("the bytes of image {}: they were left out, give it the file itself", image.name);
            return Err(inner.missing(what));
        }
        let mut contents = Vec::new();
        let mut decompressor = Decompressor::new();
        let mut piece = Vec::new();
        let chunks = inner.layout.chunks.iter();
        for chunk in chunks
            .filter(|chunk| chunk.header.kind == ChunkKind::Image && usize::from(chunk.header.core) == index)
        {
            inner.payload(chunk, &mut decompressor, &mut piece)?;
            if chunk.header.first != contents.len() as u64
                || piece.len() as u64 > image.bytes - chunk.header.first
            {
                let what = format!("expected {} from byte {} on", image.name, contents.len());
                return Err(inner.damaged(chunk, what));
            }
            contents.extend_from_slice(&piece);
        }
        if image.is(&contents) {
            Ok(contents)
        } else {
            Err(inner.missing(format!("all of image {} with digest {}", image.name, image.digest)))
        }
    }

    /// How far each core can be replayed, by number: as far as all events are known, and no order edge waits for what
    /// another core did beyond that. Of a complete trace, where the cores ended. Else a core whose events are known up to a
    /// position may have ended there without another step: it makes one only if another core comes after that.
    ///
    /// # Errors
    ///
    /// If a stream that should be whole is not.
    pub fn horizon(&self) -> Result<Vec<Position>, TraceError> {
        let ends = self.footer().map(|footer| footer.cores.as_slice()).unwrap_or_default();
        let cores = &self.0.layout.cores;
        let mut horizon: Vec<Position> = cores
            .iter()
            .zip(0..)
            .map(|(core, number): (_, usize)| match ends.get(number) {
                Some(end) if core.stop.is_none() => end.position,
                Some(_) | None => core.extent.reached,
            })
            .collect();
        if cores.iter().all(|core| core.stop.is_none()) && !ends.is_empty() {
            return Ok(horizon);
        }
        let known = horizon.clone();
        // A core that must stop early may make those wait that come after it, and so on. Each round moves at least one
        // core back, and a real recording needs no more rounds than there are cores.
        let awaited = loop {
            let mut moved = false;
            let mut awaited_most = vec![Position(0); known.len()];
            for core in self.cores() {
                for event in self.stream(core).until_damage() {
                    let (position, event) = event?;
                    if position >= horizon[core.index()] {
                        break;
                    }
                    let Event::Order { after, position: awaited } = event else { continue };
                    if awaited > horizon[after.index()] {
                        horizon[core.index()] = position;
                        moved = true;
                        break;
                    }
                    let most = &mut awaited_most[after.index()];
                    *most = awaited.max(*most);
                }
            }
            if !moved {
                break awaited_most;
            }
        };
        for (number, end) in horizon.iter_mut().enumerate() {
            if *end == known[number] && ends.get(number).is_none_or(|footer| footer.position != *end) {
                *end = Position(end.0.saturating_sub(1)).max(awaited[number]);
            }
        }
        Ok(horizon)
    }

    pub(crate) fn inner(&self) -> &Inner {
        &self.0
    }
}

impl std::fmt::Debug for Trace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Trace({}, {:?})", self.path().display(), self.completeness())
    }
}

fn read_header(source: &Source) -> Result<(Header, u64), TraceError> {
    let damaged = |offset, what| TraceError::Header { path: source.path.clone(), offset, what };
    let mut prologue = [0; PROLOGUE_BYTES];
    let present = source.bytes.min(PROLOGUE_BYTES as u64) as usize;
    source.read(0, &mut prologue[..present])?;
    let length = match frame::parse_prologue(&prologue) {
        Err(PrologueError::Magic) => {
            return Err(TraceError::NotATrace {
                path: source.path.clone(),
                expected: MAGIC.escape_ascii().to_string(),
                came: prologue[..present.min(8)].escape_ascii().to_string(),
            });
        }
        Ok(_) | Err(_) if present < PROLOGUE_BYTES => {
            return Err(damaged(present as u64, format!("expected {PROLOGUE_BYTES} bytes, came {present}")));
        }
        Err(PrologueError::Version(came)) => {
            return Err(TraceError::Version { path: source.path.clone(), expected: FORMAT_VERSION, came });
        }
        Err(PrologueError::Length(came)) => {
            return Err(damaged(12, format!("expected at most {HEADER_BYTES_MAX} bytes, came {came}")));
        }
        Ok(length) => length,
    };
    let begin = PROLOGUE_BYTES as u64 + u64::from(length);
    if source.bytes < begin {
        return Err(damaged(
            source.bytes,
            format!("expected {begin} bytes of header, came {}", source.bytes),
        ));
    }
    let mut block = vec![0; length as usize];
    source.read(PROLOGUE_BYTES as u64, &mut block)?;
    if !frame::prologue_agrees(&prologue, &block) {
        return Err(damaged(0, "its bytes do not give its checksum".to_owned()));
    }
    let header: Header = blocks::decode(&block).map_err(|what| damaged(PROLOGUE_BYTES as u64, what))?;
    header.check().map_err(|what| damaged(PROLOGUE_BYTES as u64, what))?;
    Ok((header, begin))
}

impl Inner {
    /// The chunks of a kind that are not known to be damaged.
    pub(crate) fn whole_chunks(&self, kind: ChunkKind) -> impl DoubleEndedIterator<Item = &Placed> {
        self.layout.chunks.iter().filter(move |chunk| chunk.header.kind == kind && chunk.whole)
    }

    /// Reads a chunk's payload and decompresses it. The checksum is checked again: the file may have changed.
    pub(crate) fn payload(
        &self,
        chunk: &Placed,
        decompressor: &mut Decompressor,
        raw: &mut Vec<u8>,
    ) -> Result<(), TraceError> {
        let mut header = [0; CHUNK_HEADER_BYTES];
        self.source.read(chunk.offset, &mut header)?;
        let mut stored = std::mem::take(&mut decompressor.stored);
        stored.resize(chunk.header.stored_bytes as usize, 0);
        self.source.read(chunk.offset + CHUNK_HEADER_BYTES as u64, &mut stored)?;
        let outcome = match ChunkHeader::parse(&header) {
            Err(what) => Err(what),
            Ok(header) if header != chunk.header => Err("its header is not as the index has it".to_owned()),
            Ok(_) if !ChunkHeader::agrees(&header, &stored) => {
                Err("its bytes do not give the checksum in its header".to_owned())
            }
            Ok(header) => decompressor.decompress(&header, &stored, raw),
        };
        decompressor.stored = stored;
        outcome.map_err(|what| self.damaged(chunk, what))
    }

    /// The bincode block that is a chunk's payload.
    pub(crate) fn block<T: serde::de::DeserializeOwned>(&self, chunk: &Placed) -> Result<T, TraceError> {
        let mut raw = Vec::new();
        self.payload(chunk, &mut Decompressor::new(), &mut raw)?;
        blocks::decode(&raw).map_err(|what| self.damaged(chunk, what))
    }

    pub(crate) fn damaged(&self, chunk: &Placed, what: String) -> TraceError {
        let core = (chunk.header.kind == ChunkKind::Events).then_some(CoreId(chunk.header.core));
        let (path, chunk, offset) = (self.source.path.clone(), chunk.header.number, chunk.offset);
        TraceError::Damaged { path, chunk, offset, core, what }
    }

    pub(crate) fn missing(&self, what: String) -> TraceError {
        TraceError::Missing { path: self.source.path.clone(), what }
    }
}

/// Decompresses payloads, one after the other.
pub(crate) struct Decompressor {
    zstd: zstd::bulk::Decompressor<'static>,
    stored: Vec<u8>,
}

impl Decompressor {
    pub(crate) fn new() -> Decompressor {
        let zstd = zstd::bulk::Decompressor::new().expect("zstd needs only memory to begin");
        Decompressor { zstd, stored: Vec::new() }
    }

    /// Makes a stored payload into exactly as many bytes as its header says.
    pub(crate) fn decompress(
        &mut self,
        header: &ChunkHeader,
        stored: &[u8],
        raw: &mut Vec<u8>,
    ) -> Result<(), String> {
        raw.clear();
        match header.codec {
            Codec::Plain => raw.extend_from_slice(stored),
            Codec::Zstd => {
                raw.reserve(header.raw_bytes as usize);
                self.zstd.decompress_to_buffer(stored, raw).map_err(|error| error.to_string())?;
            }
        }
        if raw.len() == header.raw_bytes as usize {
            Ok(())
        } else {
            Err(format!("expected {} bytes of payload, came {}", header.raw_bytes, raw.len()))
        }
    }
}
