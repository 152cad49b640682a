//! The frames of the file: its first bytes, the header of a chunk, its last bytes. All integers are little-endian.
//!
//! Writing and reading of each stand side by side. `FORMAT.md` has the same tables.

use crate::{
    digest::checksum,
    footer::IndexEntry,
    limits::{CHUNK_BYTES_MAX, FORMAT_VERSION, HEADER_BYTES_MAX, POSITION_MAX},
};

/// The first bytes of a trace.
pub(crate) const MAGIC: [u8; 8] = *b"CANTUSTR";
/// The first of the last bytes of a complete trace.
pub(crate) const MAGIC_END: [u8; 8] = *b"CANTUSND";

/// Bytes before the header's block.
pub(crate) const PROLOGUE_BYTES: usize = 24;
/// Bytes of a chunk before its payload.
pub(crate) const CHUNK_HEADER_BYTES: usize = 48;
/// Bytes after the footer's chunk.
pub(crate) const TRAILER_BYTES: usize = 24;

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

/// The prologue of a header's block: magic, version, length, checksum.
pub(crate) fn prologue(block: &[u8]) -> [u8; PROLOGUE_BYTES] {
    let mut bytes = [0; PROLOGUE_BYTES];
    bytes[..8].copy_from_slice(&MAGIC);
    bytes[8..12].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
    bytes[12..16].copy_from_slice(&(block.len() as u32).to_le_bytes());
    let sum = checksum(&[&bytes[..16], block]);
    bytes[16..].copy_from_slice(&sum);
    bytes
}

/// What is wrong with a prologue.
pub(crate) enum PrologueError {
    Magic,
    Version(u32),
    Length(u32),
}

/// The length of the header's block that follows a prologue.
pub(crate) fn parse_prologue(bytes: &[u8; PROLOGUE_BYTES]) -> Result<u32, PrologueError> {
    let (version, length) = (u32_at(bytes, 8), u32_at(bytes, 12));
    if bytes[..8] != MAGIC {
        Err(PrologueError::Magic)
    } else if version != FORMAT_VERSION {
        Err(PrologueError::Version(version))
    } else if length > HEADER_BYTES_MAX {
        Err(PrologueError::Length(length))
    } else {
        Ok(length)
    }
}

/// Whether the header's block is what its prologue says.
pub(crate) fn prologue_agrees(bytes: &[u8; PROLOGUE_BYTES], block: &[u8]) -> bool {
    bytes[16..] == checksum(&[&bytes[..16], block])
}

/// What a chunk holds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[repr(u8)]
pub enum ChunkKind {
    /// Events of a core.
    Events = 1,
    /// The machine's digest at a cut.
    MachineDigest = 2,
    /// Contents of pages.
    Pages = 3,
    /// Which pages a checkpoint is made of.
    PageList = 4,
    /// A checkpoint.
    Checkpoint = 5,
    /// A piece of a guest image.
    Image = 6,
    /// The footer.
    Footer = 7,
}

impl ChunkKind {
    fn from_byte(byte: u8) -> Option<ChunkKind> {
        use ChunkKind::*;
        [Events, MachineDigest, Pages, PageList, Checkpoint, Image, Footer]
            .into_iter()
            .find(|kind| *kind as u8 == byte)
    }
}

/// How a payload is stored.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(crate) enum Codec {
    Plain = 0,
    Zstd = 1,
}

/// What a chunk says of itself before its payload. `core` is the core of events, the number of an image, or 0; `first`
/// and `last` are positions of events, the cut and the one after it, bytes of an image, or 0.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct ChunkHeader {
    pub kind: ChunkKind,
    pub core: u8,
    pub codec: Codec,
    pub number: u32,
    pub first: u64,
    pub last: u64,
    pub count: u32,
    pub raw_bytes: u32,
    pub stored_bytes: u32,
}

impl ChunkHeader {
    /// The header's bytes, with the checksums of the header and of header and payload.
    pub(crate) fn seal(&self, payload: &[u8]) -> [u8; CHUNK_HEADER_BYTES] {
        let mut bytes = [0; CHUNK_HEADER_BYTES];
        bytes[0] = self.kind as u8;
        bytes[1] = self.core;
        bytes[2] = self.codec as u8;
        bytes[4..8].copy_from_slice(&self.number.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.first.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.last.to_le_bytes());
        bytes[24..28].copy_from_slice(&self.count.to_le_bytes());
        bytes[28..32].copy_from_slice(&self.raw_bytes.to_le_bytes());
        bytes[32..36].copy_from_slice(&self.stored_bytes.to_le_bytes());
        let sum = checksum(&[&bytes[..36]]);
        bytes[36..40].copy_from_slice(&sum[..4]);
        let sum = checksum(&[&bytes[..40], payload]);
        bytes[40..].copy_from_slice(&sum);
        bytes
    }

    /// The header that these bytes are, if they are one.
    pub(crate) fn parse(bytes: &[u8; CHUNK_HEADER_BYTES]) -> Result<ChunkHeader, String> {
        let expected = &checksum(&[&bytes[..36]])[..4];
        if bytes[36..40] != *expected {
            return Err(format!(
                "its header has the checksum {:02x?}, but its bytes give {expected:02x?}",
                &bytes[36..40]
            ));
        }
        if bytes[3] != 0 {
            return Err(format!("expected 0 in the header's byte 3, came {}", bytes[3]));
        }
        let entry = IndexEntry {
            kind: bytes[0],
            core: bytes[1],
            codec: bytes[2],
            first: u64_at(bytes, 8),
            last: u64_at(bytes, 16),
            count: u32_at(bytes, 24),
            raw_bytes: u32_at(bytes, 28),
            stored_bytes: u32_at(bytes, 32),
        };
        ChunkHeader::from_entry(&entry, u32_at(bytes, 4))
    }

    /// Whether header and payload are those that were sealed.
    pub(crate) fn agrees(bytes: &[u8; CHUNK_HEADER_BYTES], payload: &[u8]) -> bool {
        bytes[40..] == checksum(&[&bytes[..40], payload])
    }

    /// What the index says about the chunk.
    pub(crate) fn entry(&self) -> IndexEntry {
        IndexEntry {
            kind: self.kind as u8,
            core: self.core,
            codec: self.codec as u8,
            first: self.first,
            last: self.last,
            count: self.count,
            raw_bytes: self.raw_bytes,
            stored_bytes: self.stored_bytes,
        }
    }

    /// The header of the chunk with this number that the index describes, if its fields are within their limits.
    pub(crate) fn from_entry(entry: &IndexEntry, number: u32) -> Result<ChunkHeader, String> {
        let IndexEntry { kind, core, codec, first, last, count, raw_bytes, stored_bytes } = *entry;
        let kind =
            ChunkKind::from_byte(kind).ok_or_else(|| format!("expected a kind of 1 to 7, came {kind}"))?;
        let codec = match codec {
            0 => Codec::Plain,
            1 => Codec::Zstd,
            _ => return Err(format!("expected codec 0 or 1, came {codec}")),
        };
        if first > last || last > POSITION_MAX + 1 {
            return Err(format!("expected an ascending range, came {first} to {last}"));
        }
        if raw_bytes > CHUNK_BYTES_MAX || count > raw_bytes {
            return Err(format!(
                "expected at most {CHUNK_BYTES_MAX} bytes, came {raw_bytes} for {count} items"
            ));
        }
        if stored_bytes > raw_bytes || (codec == Codec::Plain && stored_bytes != raw_bytes) {
            return Err(format!("expected at most {raw_bytes} stored bytes, came {stored_bytes}"));
        }
        Ok(ChunkHeader { kind, core, codec, number, first, last, count, raw_bytes, stored_bytes })
    }

    /// Bytes of the whole chunk in the file.
    pub(crate) fn bytes(&self) -> u64 {
        CHUNK_HEADER_BYTES as u64 + u64::from(self.stored_bytes)
    }
}

/// The last bytes of a complete trace: where the footer's chunk begins.
pub(crate) fn trailer(footer_offset: u64) -> [u8; TRAILER_BYTES] {
    let mut bytes = [0; TRAILER_BYTES];
    bytes[..8].copy_from_slice(&MAGIC_END);
    bytes[8..16].copy_from_slice(&footer_offset.to_le_bytes());
    let sum = checksum(&[&bytes[..16]]);
    bytes[16..].copy_from_slice(&sum);
    bytes
}

/// Where the footer's chunk begins, if these are the last bytes of a complete trace.
pub(crate) fn parse_trailer(bytes: &[u8; TRAILER_BYTES]) -> Option<u64> {
    let offset = u64_at(bytes, 8);
    (*bytes == trailer(offset)).then_some(offset)
}
