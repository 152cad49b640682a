//! Messages of 9P2000.L: a header of length, kind and tag, then fields in little-endian order; a text is its length in
//! two bytes and then its bytes. Requests come from a guest, so every field may be missing.

use rustix::io::Errno;

/// Bytes before a message's fields: length, kind, tag.
pub(super) const HEADER_BYTES: usize = 7;

/// Kinds of requests. The reply's is one more.
pub(super) mod kind {
    pub(in super::super) const ERROR: u8 = 6;
    pub(in super::super) const STATFS: u8 = 8;
    pub(in super::super) const LOPEN: u8 = 12;
    pub(in super::super) const LCREATE: u8 = 14;
    pub(in super::super) const SYMLINK: u8 = 16;
    pub(in super::super) const MKNOD: u8 = 18;
    pub(in super::super) const RENAME: u8 = 20;
    pub(in super::super) const READLINK: u8 = 22;
    pub(in super::super) const GETATTR: u8 = 24;
    pub(in super::super) const SETATTR: u8 = 26;
    pub(in super::super) const XATTRCREATE: u8 = 32;
    pub(in super::super) const READDIR: u8 = 40;
    pub(in super::super) const FSYNC: u8 = 50;
    pub(in super::super) const LOCK: u8 = 52;
    pub(in super::super) const GETLOCK: u8 = 54;
    pub(in super::super) const LINK: u8 = 70;
    pub(in super::super) const MKDIR: u8 = 72;
    pub(in super::super) const RENAMEAT: u8 = 74;
    pub(in super::super) const UNLINKAT: u8 = 76;
    pub(in super::super) const VERSION: u8 = 100;
    pub(in super::super) const ATTACH: u8 = 104;
    pub(in super::super) const FLUSH: u8 = 108;
    pub(in super::super) const WALK: u8 = 110;
    pub(in super::super) const READ: u8 = 116;
    pub(in super::super) const WRITE: u8 = 118;
    pub(in super::super) const CLUNK: u8 = 120;
    pub(in super::super) const REMOVE: u8 = 122;
}

/// A request, of which fields are taken one after the other.
pub(super) struct Request<'a> {
    pub(super) kind: u8,
    pub(super) tag: u16,
    fields: &'a [u8],
}

impl<'a> Request<'a> {
    /// The request in these bytes; none where there is no header, or not as many bytes as it says.
    pub(super) fn new(bytes: &'a [u8]) -> Option<Self> {
        let length = u32::from_le_bytes(*bytes.first_chunk()?);
        let message = bytes.get(..length as usize)?;
        let (&[_, _, _, _, kind, low, high], fields) = message.split_first_chunk::<HEADER_BYTES>()?;
        Some(Self { kind, tag: u16::from_le_bytes([low, high]), fields })
    }

    fn array<const BYTES: usize>(&mut self) -> Result<[u8; BYTES], Errno> {
        let (array, rest) = self.fields.split_first_chunk().ok_or(Errno::BADMSG)?;
        self.fields = rest;
        Ok(*array)
    }

    pub(super) fn u8(&mut self) -> Result<u8, Errno> {
        self.array().map(u8::from_le_bytes)
    }

    pub(super) fn u16(&mut self) -> Result<u16, Errno> {
        self.array().map(u16::from_le_bytes)
    }

    pub(super) fn u32(&mut self) -> Result<u32, Errno> {
        self.array().map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self) -> Result<u64, Errno> {
        self.array().map(u64::from_le_bytes)
    }

    pub(super) fn text(&mut self) -> Result<&'a [u8], Errno> {
        let length = usize::from(self.u16()?);
        let (text, rest) = self.fields.split_at_checked(length).ok_or(Errno::BADMSG)?;
        self.fields = rest;
        Ok(text)
    }
}

/// The fields of a reply.
#[derive(Default)]
pub(super) struct Fields(Vec<u8>);

impl Fields {
    pub(super) fn u8(&mut self, value: u8) {
        self.0.push(value);
    }

    pub(super) fn u16(&mut self, value: u16) {
        self.0.extend(value.to_le_bytes());
    }

    pub(super) fn u32(&mut self, value: u32) {
        self.0.extend(value.to_le_bytes());
    }

    pub(super) fn u64(&mut self, value: u64) {
        self.0.extend(value.to_le_bytes());
    }

    /// A text; what is longer than its length can say is cut.
    pub(super) fn text(&mut self, text: &[u8]) {
        let text = &text[..text.len().min(usize::from(u16::MAX))];
        self.u16(text.len() as u16);
        self.0.extend(text);
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.0.extend(bytes);
    }

    pub(super) fn append(&mut self, others: &Fields) {
        self.0.extend(&others.0);
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// The whole message.
    pub(super) fn message(&self, kind: u8, tag: u16) -> Vec<u8> {
        let mut message = ((HEADER_BYTES + self.0.len()) as u32).to_le_bytes().to_vec();
        message.push(kind);
        message.extend(tag.to_le_bytes());
        message.extend(&self.0);
        message
    }
}

/// The reply that a request has failed (`Rlerror`).
pub(super) fn failed(tag: u16, error: Errno) -> Vec<u8> {
    let mut fields = Fields::default();
    fields.u32(error.raw_os_error().unsigned_abs());
    fields.message(kind::ERROR + 1, tag)
}
