//! A shared folder: a server of 9P2000.L that only reads.
//!
//! The guest is not trusted. Paths cannot leave the folder (`place.rs`), messages, open files and names have limits, and
//! whatever would change something is refused as on a file system that is mounted read-only. What is answered is in the
//! trace. Listings are sorted by name, so that they depend on nothing but the folder.
//! The messages are those of Linux (`include/net/9p/9p.h`) and of the protocol's description in diod.

mod again;
mod message;
mod place;
#[cfg(test)]
mod tests;

pub(crate) use again::Again;

use crate::Error;
use message::{Fields, HEADER_BYTES, Request, failed, kind};
use parking_lot::Mutex;
use place::{Place, Root, identify};
use rustix::fs::{Dir, FileType, Stat};
use rustix::io::Errno;
use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// The most bytes of a message, and the fewest that a guest may ask for.
const MESSAGE_BYTES_MAX: u32 = 64 << 10;
const MESSAGE_BYTES_MIN: u32 = 4096;
/// The most names that a guest may have for files at a time (fids), how many of them may be open, and the most entries in
/// the listings of those.
const FIDS_MAX: usize = 16_384;
const OPEN_MAX: usize = 256;
const ENTRIES_MAX: usize = 1 << 20;
/// The most names in one walk.
const WALK_MAX: u16 = 16;
const VERSION: &[u8] = b"9P2000.L";
/// The name of no file.
const NO_FID: u32 = u32::MAX;
/// Bits of the flags of `open` that ask for more than to read: to write, create, truncate.
const OPEN_TO_CHANGE: u32 = 0o3 | 0o100 | 0o1000;
/// What `getattr` gives (`P9_GETATTR_BASIC`).
const ATTRIBUTES: u64 = 0x7ff;
/// "No lock is in the way" (`F_UNLCK`), and "the lock is taken" (`P9_LOCK_SUCCESS`).
const UNLOCKED: u8 = 2;
const LOCK_TAKEN: u8 = 0;
/// `V9FS_MAGIC`.
const FILE_SYSTEM: u32 = 0x0102_1997;

/// A folder of the host that a guest may read.
pub(crate) struct Folder {
    root: Root,
    session: Mutex<Session>,
}

/// What the guest has opened. A new version message ends it.
struct Session {
    message_bytes: u32,
    fids: BTreeMap<u32, Fid>,
}

/// What a guest's name for a file stands for.
struct Fid {
    place: Place,
    opened: Opened,
}

enum Opened {
    Not,
    File(File),
    Folder(File, Vec<Entry>),
}

/// An entry of a listing.
struct Entry {
    name: Vec<u8>,
    kind: FileType,
    number: u64,
}

impl Folder {
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        let root = Root::open(path);
        let root = root.map_err(|error| Error::File { path: path.to_owned(), error: error.into() })?;
        let session = Session { message_bytes: MESSAGE_BYTES_MAX, fids: BTreeMap::new() };
        Ok(Self { root, session: Mutex::new(session) })
    }

    /// The reply to a request; none to what has not even a header.
    pub(crate) fn answer(&self, request: &[u8]) -> Vec<u8> {
        let Some(mut request) = Request::new(request) else { return Vec::new() };
        let mut fields = Fields::default();
        let session = &mut *self.session.lock();
        match session.answer(&self.root, &mut request, &mut fields) {
            Ok(()) => fields.message(request.kind.wrapping_add(1), request.tag),
            Err(error) => failed(request.tag, error),
        }
    }
}

impl Session {
    fn answer(&mut self, root: &Root, request: &mut Request<'_>, reply: &mut Fields) -> Result<(), Errno> {
        match request.kind {
            kind::VERSION => self.version(request, reply),
            kind::ATTACH => self.attach(root, request, reply),
            kind::WALK => self.walk(root, request, reply),
            kind::LOPEN => self.open(root, request, reply),
            kind::READ => self.read(request, reply),
            kind::READDIR => self.read_folder(root, request, reply),
            kind::GETATTR => self.attributes(root, request, reply),
            kind::STATFS => self.file_system(root, request, reply),
            kind::READLINK => {
                let link = root.read_link(&self.fid(request)?.place)?;
                reply.text(&link);
                Ok(())
            }
            kind::CLUNK => self.fids.remove(&request.u32()?).map(drop).ok_or(Errno::BADF),
            // Everything is answered before the next request is looked at, and nothing is ever unwritten.
            kind::FLUSH => Ok(()),
            kind::FSYNC => self.fid(request).map(drop),
            kind::LOCK => {
                self.fid(request)?;
                reply.u8(LOCK_TAKEN);
                Ok(())
            }
            kind::GETLOCK => self.lock_in_the_way(request, reply),
            kind::REMOVE => {
                self.fids.remove(&request.u32()?).ok_or(Errno::BADF)?;
                Err(Errno::ROFS)
            }
            kind::LCREATE
            | kind::SYMLINK
            | kind::MKNOD
            | kind::RENAME
            | kind::SETATTR
            | kind::XATTRCREATE
            | kind::LINK
            | kind::MKDIR
            | kind::RENAMEAT
            | kind::UNLINKAT
            | kind::WRITE => Err(Errno::ROFS),
            // Extended attributes, authentication, and what is no request.
            _ => Err(Errno::OPNOTSUPP),
        }
    }

    /// The file that the next field names.
    fn fid(&self, request: &mut Request<'_>) -> Result<&Fid, Errno> {
        self.fids.get(&request.u32()?).ok_or(Errno::BADF)
    }

    fn version(&mut self, request: &mut Request<'_>, reply: &mut Fields) -> Result<(), Errno> {
        let (bytes, version) = (request.u32()?, request.text()?);
        if bytes < MESSAGE_BYTES_MIN {
            return Err(Errno::MSGSIZE);
        }
        self.fids.clear();
        self.message_bytes = bytes.min(MESSAGE_BYTES_MAX);
        reply.u32(self.message_bytes);
        reply.text(if version == VERSION { VERSION } else { b"unknown" });
        Ok(())
    }

    fn attach(&mut self, root: &Root, request: &mut Request<'_>, reply: &mut Fields) -> Result<(), Errno> {
        let (fid, authenticated) = (request.u32()?, request.u32()?);
        let (_user, tree) = (request.text()?, request.text()?);
        if authenticated != NO_FID {
            return Err(Errno::OPNOTSUPP);
        }
        if !matches!(tree, b"" | b"/") {
            return Err(Errno::NOENT);
        }
        let place = Place::default();
        identify_file(root, &root.stat(&place)?, reply);
        self.insert(fid, place)
    }

    /// Gives a place a new name.
    fn insert(&mut self, fid: u32, place: Place) -> Result<(), Errno> {
        if fid == NO_FID || self.fids.contains_key(&fid) {
            return Err(Errno::BADF);
        }
        if self.fids.len() >= FIDS_MAX {
            return Err(Errno::NFILE);
        }
        self.fids.insert(fid, Fid { place, opened: Opened::Not });
        Ok(())
    }

    /// As far as there are files. The new name is only given where all names lead somewhere.
    fn walk(&mut self, root: &Root, request: &mut Request<'_>, reply: &mut Fields) -> Result<(), Errno> {
        let (fid, new) = (request.u32()?, request.u32()?);
        let count = request.u16()?;
        if count > WALK_MAX {
            return Err(Errno::INVAL);
        }
        let from = self.fids.get(&fid).ok_or(Errno::BADF)?;
        if !matches!(from.opened, Opened::Not) && fid == new {
            return Err(Errno::BUSY);
        }
        let names = (0..count).map(|_| request.text()).collect::<Result<Vec<_>, _>>()?;
        let mut place = from.place.clone();
        let mut files = Vec::new();
        for name in names {
            let next = place.walk(name).and_then(|next| Ok((root.stat(&next)?, next)));
            match next {
                Ok((stat, next)) => {
                    files.push(stat);
                    place = next;
                }
                Err(error) if files.is_empty() => return Err(error),
                Err(_) => break,
            }
        }
        if files.len() == usize::from(count) {
            if fid == new {
                self.fids.remove(&fid);
            }
            self.insert(new, place)?;
        }
        reply.u16(files.len() as u16);
        files.iter().for_each(|stat| identify_file(root, stat, reply));
        Ok(())
    }

    fn open(&mut self, root: &Root, request: &mut Request<'_>, reply: &mut Fields) -> Result<(), Errno> {
        let (fid, flags) = (request.u32()?, request.u32()?);
        let open = self.fids.values().filter(|fid| !matches!(fid.opened, Opened::Not)).count();
        let fid = self.fids.get_mut(&fid).ok_or(Errno::BADF)?;
        if !matches!(fid.opened, Opened::Not) {
            return Err(Errno::BUSY);
        }
        if flags & OPEN_TO_CHANGE != 0 {
            return Err(Errno::ROFS);
        }
        if open >= OPEN_MAX {
            return Err(Errno::NFILE);
        }
        let (file, stat) = root.open_read(&fid.place)?;
        let is_folder = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
        fid.opened = if is_folder { Opened::Folder(file, Vec::new()) } else { Opened::File(file) };
        identify_file(root, &stat, reply);
        // As many bytes at a time as have room in a message.
        reply.u32(0);
        Ok(())
    }

    /// How many bytes a reply may have behind its length, where the guest wants so many.
    fn count(&self, wanted: u32) -> usize {
        let room = self.message_bytes as usize - HEADER_BYTES - size_of::<u32>();
        room.min(wanted as usize)
    }

    fn read(&self, request: &mut Request<'_>, reply: &mut Fields) -> Result<(), Errno> {
        let fid = self.fid(request)?;
        let (offset, wanted) = (request.u64()?, request.u32()?);
        let file = match &fid.opened {
            Opened::File(file) => file,
            Opened::Folder(..) => return Err(Errno::ISDIR),
            Opened::Not => return Err(Errno::BADF),
        };
        let mut bytes = vec![0; self.count(wanted)];
        let mut length = 0;
        while length < bytes.len() {
            match file.read_at(&mut bytes[length..], offset.saturating_add(length as u64)) {
                Ok(0) => break,
                Ok(more) => length += more,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(_) if length != 0 => break,
                Err(error) => return Err(Errno::from_io_error(&error).unwrap_or(Errno::IO)),
            }
        }
        reply.u32(length as u32);
        reply.bytes(&bytes[..length]);
        Ok(())
    }

    /// Entries from an offset on, which is the number of entries before. At 0 the folder is listed anew.
    fn read_folder(
        &mut self,
        root: &Root,
        request: &mut Request<'_>,
        reply: &mut Fields,
    ) -> Result<(), Errno> {
        let (fid, offset, wanted) = (request.u32()?, request.u64()?, request.u32()?);
        let room = self.count(wanted);
        let others = self.fids.iter().filter(|(other, _)| **other != fid).map(|(_, fid)| match &fid.opened {
            Opened::Folder(_, entries) => entries.len(),
            Opened::File(_) | Opened::Not => 0,
        });
        let room_for_entries = ENTRIES_MAX.saturating_sub(others.sum());
        let Fid { place, opened } = self.fids.get_mut(&fid).ok_or(Errno::BADF)?;
        let (file, entries) = match opened {
            Opened::Folder(file, entries) => (file, entries),
            Opened::File(_) => return Err(Errno::NOTDIR),
            Opened::Not => return Err(Errno::BADF),
        };
        if offset == 0 {
            *entries = list(root, place, file, room_for_entries)?;
        }
        let mut records = Fields::default();
        let first = usize::try_from(offset).unwrap_or(usize::MAX);
        for (at, entry) in entries.iter().enumerate().skip(first) {
            // File's identity, offset, kind, name.
            if records.len() + 13 + 8 + 1 + 2 + entry.name.len() > room {
                break;
            }
            identify(&mut records, entry.kind, 0, entry.number);
            records.u64(at as u64 + 1);
            records.u8((entry.kind.as_raw_mode() >> 12) as u8);
            records.text(&entry.name);
        }
        reply.u32(records.len() as u32);
        reply.append(&records);
        Ok(())
    }

    fn attributes(&self, root: &Root, request: &mut Request<'_>, reply: &mut Fields) -> Result<(), Errno> {
        let stat = root.stat(&self.fid(request)?.place)?;
        reply.u64(ATTRIBUTES);
        identify_file(root, &stat, reply);
        reply.u32(stat.st_mode);
        reply.u32(stat.st_uid);
        reply.u32(stat.st_gid);
        for value in [
            stat.st_nlink as i64,
            stat.st_rdev as i64,
            stat.st_size,
            stat.st_blksize,
            stat.st_blocks,
            stat.st_atime,
            stat.st_atime_nsec as i64,
            stat.st_mtime,
            stat.st_mtime_nsec as i64,
            stat.st_ctime,
            stat.st_ctime_nsec as i64,
            // Time of birth, generation and version of the data, which are not given.
            0,
            0,
            0,
            0,
        ] {
            reply.u64(value as u64);
        }
        Ok(())
    }

    fn file_system(&self, root: &Root, request: &mut Request<'_>, reply: &mut Fields) -> Result<(), Errno> {
        let of = root.statvfs(&self.fid(request)?.place)?;
        reply.u32(FILE_SYSTEM);
        reply.u32(of.f_bsize as u32);
        for value in [of.f_blocks, of.f_bfree, of.f_bavail, of.f_files, of.f_ffree, of.f_fsid] {
            reply.u64(value);
        }
        reply.u32(of.f_namemax as u32);
        Ok(())
    }

    /// Nobody but the guest has locks, and it looks at its own itself.
    fn lock_in_the_way(&self, request: &mut Request<'_>, reply: &mut Fields) -> Result<(), Errno> {
        self.fid(request)?;
        let _kind = request.u8()?;
        let (start, length, process, client) =
            (request.u64()?, request.u64()?, request.u32()?, request.text()?);
        reply.u8(UNLOCKED);
        reply.u64(start);
        reply.u64(length);
        reply.u32(process);
        reply.text(client);
        Ok(())
    }
}

/// What identifies a file. Its version changes with its content, as far as that shows from outside.
fn identify_file(root: &Root, stat: &Stat, reply: &mut Fields) {
    let version = (stat.st_mtime as u32) ^ (stat.st_mtime_nsec as u32) ^ ((stat.st_size as u32) << 8);
    let kind = FileType::from_raw_mode(stat.st_mode);
    identify(reply, kind, version, root.number(stat.st_dev, stat.st_ino));
}

/// All entries of a folder: itself, the one above it (of the shared folder: itself), then the others by name.
fn list(root: &Root, place: &Place, file: &File, entries_max: usize) -> Result<Vec<Entry>, Errno> {
    let own = rustix::fs::fstat(file)?;
    let above = root.stat(&place.walk(b"..")?)?;
    let folder = |name: &[u8], stat: &Stat| Entry {
        name: name.to_vec(),
        kind: FileType::Directory,
        number: root.number(stat.st_dev, stat.st_ino),
    };
    let mut entries = Vec::new();
    for entry in Dir::read_from(file)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if matches!(name, b"." | b"..") {
            continue;
        }
        if entries.len() + 2 >= entries_max {
            return Err(Errno::OVERFLOW);
        }
        let number = root.number(own.st_dev, entry.ino());
        entries.push(Entry { name: name.to_vec(), kind: entry.file_type(), number });
    }
    entries.sort_by(|one, other| one.name.cmp(&other.name));
    entries.splice(0..0, [folder(b".", &own), folder(b"..", &above)]);
    Ok(entries)
}
