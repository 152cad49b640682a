//! Where the chunks of a trace lie, which of them are whole, and what is missing.
//!
//! A complete trace has an index. Without one, chunks are walked from the first on. A chunk whose payload is damaged is
//! skipped; one whose own header is damaged ends the walk, because nothing says where the next one begins.

use std::fmt;

use crate::{
    CoreId, Position, TraceError, blocks,
    footer::FooterBlock,
    frame::{self, CHUNK_HEADER_BYTES, ChunkHeader, ChunkKind, TRAILER_BYTES},
    limits::{CHUNK_BYTES_MAX, CHUNKS_MAX, POSITION_MAX},
    source::Source,
};

/// How much of a recording its trace holds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Completeness {
    /// All of it.
    Complete,
    /// The recorder ended before it could write the footer. All chunks before are whole.
    Killed {
        /// How many chunks there are.
        chunks: u32,
        /// Where in the file the last of them ends.
        offset: u64,
        /// How many bytes of a torn chunk come after it.
        torn_bytes: u64,
    },
    /// Some of its bytes are not those that were written. This is the first damage; see [`crate::Trace::damages`].
    Damaged(Damage),
}

impl fmt::Display for Completeness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Completeness::Complete => write!(f, "the trace is complete"),
            Completeness::Killed { chunks, offset, torn_bytes } => write!(
                f,
                "the recorder ended before it could write the end: {chunks} whole chunks up to offset {offset}, \
                 then {torn_bytes} bytes of a torn one"
            ),
            Completeness::Damaged(damage) => {
                write!(f, "chunk {} at offset {} is damaged: {}", damage.chunk, damage.offset, damage.what)
            }
        }
    }
}

/// A place where a trace's bytes are not those that were written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Damage {
    /// The number of the damaged chunk.
    pub chunk: u32,
    /// Where in the file it begins.
    pub offset: u64,
    /// What it holds, if that is known.
    pub kind: Option<ChunkKind>,
    /// The core whose events it holds, if it is known to hold a core's.
    pub core: Option<CoreId>,
    /// What was expected and what came.
    pub what: String,
}

/// What a trace holds of one core.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CoreExtent {
    /// Where its events begin: at 0, or at the checkpoint that the trace begins with.
    pub begun: Position,
    /// All events before this position are known, and no others. In a complete trace it is the one after the core's last.
    pub reached: Position,
    /// How many chunks of events there are.
    pub chunks: u32,
    /// How many events they hold.
    pub events: u64,
}

/// A chunk and where it lies.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Placed {
    pub header: ChunkHeader,
    pub offset: u64,
    pub whole: bool,
}

/// What a core's stream is read from.
#[derive(Clone, Debug)]
pub(crate) struct CoreLayout {
    pub extent: CoreExtent,
    /// Its chunks, as indices into the layout's, contiguous from where the first begins.
    pub chunks: Vec<u32>,
    /// Why there are no more, as an index into the layout's damages, if it is not because the recorder wrote no more.
    pub stop: Option<usize>,
}

/// Where everything in the file lies.
pub(crate) struct Layout {
    pub chunks: Vec<Placed>,
    pub cores: Vec<CoreLayout>,
    pub footer: Option<FooterBlock>,
    pub completeness: Completeness,
    pub damages: Vec<Damage>,
}

impl Damage {
    fn of(header: &ChunkHeader, offset: u64, what: String) -> Damage {
        let core = (header.kind == ChunkKind::Events).then_some(CoreId(header.core));
        Damage { chunk: header.number, offset, kind: Some(header.kind), core, what }
    }

    pub(crate) fn error(&self, source: &Source) -> TraceError {
        TraceError::Damaged {
            path: source.path.clone(),
            chunk: self.chunk,
            offset: self.offset,
            core: self.core,
            what: self.what.clone(),
        }
    }
}

/// Chunks found, and how the finding ended.
struct Found {
    chunks: Vec<Placed>,
    damages: Vec<Damage>,
    footer: Option<FooterBlock>,
    /// Whether everything that comes after the last chunk is lost to a damage, the last one.
    lost: bool,
    /// Where the last chunk ends.
    end: u64,
}

/// Lays out the chunks from `begin` on of a machine of so many cores. With `verify`, reads each to see whether it is whole;
/// without it, trusts the index, if there is one.
pub(crate) fn lay_out(source: &Source, begin: u64, cores: usize, verify: bool) -> Result<Layout, TraceError> {
    let indexed = match footer_at_end(source, begin, cores)? {
        Some((footer, header, offset)) => from_index(source, begin, footer, &header, offset, verify)?,
        None => None,
    };
    let found = match indexed {
        Some(found) => found,
        None => walk(source, begin, cores)?,
    };
    Ok(by_core(source, found, cores))
}

/// The footer that the trailer points to, with its chunk's header and offset, if all three are whole.
fn footer_at_end(
    source: &Source,
    begin: u64,
    cores: usize,
) -> Result<Option<(FooterBlock, ChunkHeader, u64)>, TraceError> {
    let Some(end) = source.bytes.checked_sub(TRAILER_BYTES as u64).filter(|end| *end >= begin) else {
        return Ok(None);
    };
    let mut trailer = [0; TRAILER_BYTES];
    source.read(end, &mut trailer)?;
    let Some(offset) = frame::parse_trailer(&trailer).filter(|offset| *offset >= begin) else {
        return Ok(None);
    };
    let mut bytes = Vec::new();
    match read_chunk(source, offset, end, &mut bytes)? {
        Read::Whole(header) if header.kind == ChunkKind::Footer && offset + header.bytes() == end => {
            Ok(parse_footer(&header, &bytes, cores).ok().map(|footer| (footer, header, offset)))
        }
        Read::Whole(_) | Read::Short | Read::Damaged(..) => Ok(None),
    }
}

fn parse_footer(header: &ChunkHeader, chunk: &[u8], cores: usize) -> Result<FooterBlock, String> {
    let mut raw = Vec::new();
    let mut decompressor = crate::trace::Decompressor::new();
    decompressor.decompress(header, &chunk[CHUNK_HEADER_BYTES..], &mut raw)?;
    let block: FooterBlock = blocks::decode(&raw)?;
    if block.footer.cores.len() != cores {
        return Err(format!("expected a footer of {cores} cores, came {}", block.footer.cores.len()));
    }
    if block.footer.cores.iter().any(|end| end.position.0 > POSITION_MAX) {
        return Err(format!("expected positions up to {POSITION_MAX} in the footer"));
    }
    Ok(block)
}

/// The chunks as the footer's index has them; `None` if there is none or it does not fit the file.
fn from_index(
    source: &Source,
    begin: u64,
    footer: FooterBlock,
    header: &ChunkHeader,
    footer_offset: u64,
    verify: bool,
) -> Result<Option<Found>, TraceError> {
    let Some(index) = &footer.index else { return Ok(None) };
    let mut chunks = Vec::with_capacity(index.len());
    let mut offset = begin;
    for (entry, number) in index.iter().zip(0..) {
        let Ok(header) = ChunkHeader::from_entry(entry, number) else { return Ok(None) };
        if header.kind == ChunkKind::Footer {
            return Ok(None);
        }
        chunks.push(Placed { header, offset, whole: true });
        offset += header.bytes();
        if offset > footer_offset {
            return Ok(None);
        }
    }
    if offset != footer_offset || header.number as usize != index.len() {
        return Ok(None);
    }
    let mut damages = Vec::new();
    if verify {
        let mut bytes = Vec::new();
        for chunk in &mut chunks {
            let end = chunk.offset + chunk.header.bytes();
            let what = match read_chunk(source, chunk.offset, end, &mut bytes)? {
                Read::Whole(header) if header == chunk.header => continue,
                Read::Whole(_) => "its header is not as the index has it".to_owned(),
                Read::Short => "it is longer than the index has it".to_owned(),
                Read::Damaged(_, what) => what,
            };
            chunk.whole = false;
            damages.push(Damage::of(&chunk.header, chunk.offset, what));
        }
    }
    Ok(Some(Found { chunks, damages, footer: Some(footer), lost: false, end: source.bytes }))
}

/// What lies at an offset.
enum Read {
    Whole(ChunkHeader),
    /// The file ends before the chunk does.
    Short,
    /// The header if it is whole, and what is wrong.
    Damaged(Option<ChunkHeader>, String),
}

/// Reads the chunk at `offset`, header and payload, into `bytes`.
fn read_chunk(source: &Source, offset: u64, end: u64, bytes: &mut Vec<u8>) -> Result<Read, TraceError> {
    let mut header_bytes = [0; CHUNK_HEADER_BYTES];
    if end.saturating_sub(offset) < CHUNK_HEADER_BYTES as u64 {
        return Ok(Read::Short);
    }
    source.read(offset, &mut header_bytes)?;
    let header = match ChunkHeader::parse(&header_bytes) {
        Ok(header) => header,
        Err(what) => return Ok(Read::Damaged(None, what)),
    };
    if end - offset < header.bytes() {
        return Ok(Read::Short);
    }
    const _: () = assert!(CHUNK_BYTES_MAX as usize <= usize::MAX - CHUNK_HEADER_BYTES);
    bytes.resize(header.bytes() as usize, 0);
    source.read(offset, bytes)?;
    Ok(
        if bytes[..CHUNK_HEADER_BYTES] == header_bytes
            && ChunkHeader::agrees(&header_bytes, &bytes[CHUNK_HEADER_BYTES..])
        {
            Read::Whole(header)
        } else {
            Read::Damaged(Some(header), "its bytes do not give the checksum in its header".to_owned())
        },
    )
}

/// The chunks as they lie one behind the other.
fn walk(source: &Source, begin: u64, cores: usize) -> Result<Found, TraceError> {
    let mut found = Found { chunks: Vec::new(), damages: Vec::new(), footer: None, lost: false, end: begin };
    let mut bytes = Vec::new();
    for number in 0..CHUNKS_MAX {
        let offset = found.end;
        let unknown = |what| Damage { chunk: number, offset, kind: None, core: None, what };
        let (header, damage) = match read_chunk(source, offset, source.bytes, &mut bytes)? {
            Read::Short => break,
            Read::Damaged(None, what) => {
                found.damages.push(unknown(what));
                found.lost = true;
                break;
            }
            Read::Whole(header) => (header, None),
            Read::Damaged(Some(header), what) => (header, Some(what)),
        };
        if header.number != number {
            found.damages.push(unknown(format!("expected chunk {number}, came chunk {}", header.number)));
            found.lost = true;
            break;
        }
        if header.kind == ChunkKind::Footer {
            end_walk(source, &header, damage, &bytes, cores, &mut found);
            break;
        }
        found.end += header.bytes();
        found.chunks.push(Placed { header, offset, whole: damage.is_none() });
        found.damages.extend(damage.map(|what| Damage::of(&header, offset, what)));
    }
    Ok(found)
}

/// The walk came to a footer's chunk, and either that or what stands behind it was not found from the file's end.
fn end_walk(
    source: &Source,
    header: &ChunkHeader,
    damage: Option<String>,
    bytes: &[u8],
    cores: usize,
    found: &mut Found,
) {
    let offset = found.end;
    let parsed = damage.map_or_else(|| parse_footer(header, bytes, cores), Err);
    match parsed {
        Err(what) => found.damages.push(Damage::of(header, offset, what)),
        Ok(footer) => {
            let indexed = footer.index.is_some();
            found.footer = Some(footer);
            let mut trailer = [0; TRAILER_BYTES];
            let end = offset + header.bytes();
            let ends_well = source.bytes - end == TRAILER_BYTES as u64
                && source.read(end, &mut trailer).is_ok()
                && trailer == frame::trailer(offset);
            if !ends_well {
                let what = "the trailer after it is damaged or missing; nothing else is lost".to_owned();
                found.damages.push(Damage::of(header, offset, what));
            } else if indexed {
                let what = "its index does not fit the file's chunks".to_owned();
                found.damages.push(Damage::of(header, offset, what));
            }
            found.end = source.bytes;
        }
    }
}

/// Sorts the chunks by core, each core's up to the first that is damaged or does not continue the one before.
fn by_core(source: &Source, found: Found, count: usize) -> Layout {
    let Found { chunks, mut damages, footer, lost, end } = found;
    let extent = CoreExtent { begun: Position(0), reached: Position(0), chunks: 0, events: 0 };
    let mut cores = vec![CoreLayout { extent, chunks: Vec::new(), stop: None }; count];
    for (chunk, number) in chunks.iter().zip(0..).filter(|(chunk, _)| chunk.header.kind == ChunkKind::Events)
    {
        let header = &chunk.header;
        let Some(core) = cores.get_mut(usize::from(header.core)) else {
            let what = format!("expected events of one of {count} cores, came core {}", header.core);
            damages.push(Damage::of(header, chunk.offset, what));
            continue;
        };
        if core.stop.is_some() {
            continue;
        }
        if !chunk.whole {
            core.stop = damages.iter().position(|damage| damage.chunk == header.number);
        } else if core.extent.chunks != 0 && header.first != core.extent.reached.0 {
            let what =
                format!("expected events from position {} on, came {}", core.extent.reached, header.first);
            core.stop = Some(damages.len());
            damages.push(Damage::of(header, chunk.offset, what));
        } else {
            if core.extent.chunks == 0 {
                core.extent.begun = Position(header.first);
            }
            core.chunks.push(number);
            core.extent.reached = Position(header.last);
            core.extent.chunks += 1;
            core.extent.events += u64::from(header.count);
        }
    }
    if lost {
        let last = damages.len() - 1;
        for core in &mut cores {
            core.stop.get_or_insert(last);
        }
    }
    if let Some(block) = &footer {
        for ((end, core), number) in block.footer.cores.iter().zip(&mut cores).zip(0..) {
            if core.stop.is_none() && core.extent.reached.0 != end.position.0 + 1 {
                let what = format!(
                    "expected events of {} up to position {}, came events before {}",
                    CoreId(number),
                    end.position,
                    core.extent.reached
                );
                core.stop = Some(damages.len());
                let chunk = chunks.len() as u32;
                damages.push(Damage {
                    chunk,
                    offset: end_of(&chunks),
                    kind: None,
                    core: Some(CoreId(number)),
                    what,
                });
            }
        }
    }
    let completeness = match damages.iter().min_by_key(|damage| damage.chunk) {
        Some(damage) => Completeness::Damaged(damage.clone()),
        None if footer.is_some() => Completeness::Complete,
        None => {
            Completeness::Killed { chunks: chunks.len() as u32, offset: end, torn_bytes: source.bytes - end }
        }
    };
    Layout { chunks, cores, footer, completeness, damages }
}

fn end_of(chunks: &[Placed]) -> u64 {
    chunks.last().map_or(0, |chunk| chunk.offset + chunk.header.bytes())
}
