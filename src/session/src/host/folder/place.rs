//! Files below a folder, by paths that cannot leave it: the host resolves no symbolic link of them, and nothing above the
//! folder (`openat2` with `RESOLVE_BENEATH` and `RESOLVE_NO_SYMLINKS`).

use super::message::Fields;
use rustix::fs::{self, FileType, Mode, OFlags, ResolveFlags, Stat};
use rustix::io::Errno;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// The most bytes of a path below the folder.
const PATH_BYTES_MAX: usize = 4096;

/// The folder that is shared.
pub(super) struct Root {
    folder: OwnedFd,
    /// The file system that the folder itself is on.
    device: u64,
}

/// A place below the folder: names that were walked. Empty is the folder itself.
#[derive(Clone, Default)]
pub(super) struct Place(PathBuf);

impl Place {
    /// The place that one name leads to from here. `..` leads no further than to the folder.
    pub(super) fn walk(&self, name: &[u8]) -> Result<Self, Errno> {
        let mut path = self.0.clone();
        match name {
            b"" | b"." => return Err(Errno::INVAL),
            b".." => {
                path.pop();
            }
            _ if name.contains(&b'/') || name.contains(&0) => return Err(Errno::INVAL),
            _ => path.push(std::ffi::OsStr::from_bytes(name)),
        }
        if path.as_os_str().len() > PATH_BYTES_MAX {
            return Err(Errno::NAMETOOLONG);
        }
        Ok(Self(path))
    }

    fn path(&self) -> &Path {
        if self.0.as_os_str().is_empty() { Path::new(".") } else { &self.0 }
    }
}

impl Root {
    /// # Errors
    /// Where there is no such folder, or the host cannot hold paths in it (before Linux 5.6).
    pub(super) fn open(path: &Path) -> Result<Self, Errno> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let folder = fs::openat(fs::CWD, path, flags, Mode::empty())?;
        let device = fs::fstat(&folder)?.st_dev;
        let root = Self { folder, device };
        root.stat(&Place::default())?;
        Ok(root)
    }

    fn resolve(&self, place: &Place, flags: OFlags) -> Result<OwnedFd, Errno> {
        let how = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
        let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        fs::openat2(&self.folder, place.path(), flags, Mode::empty(), how)
    }

    /// The file itself, where it is a symbolic link, too.
    pub(super) fn stat(&self, place: &Place) -> Result<Stat, Errno> {
        fs::fstat(self.resolve(place, OFlags::PATH)?)
    }

    /// Opens a regular file or a folder. Of others (pipes, devices) the guest has its own.
    pub(super) fn open_read(&self, place: &Place) -> Result<(File, Stat), Errno> {
        let plain = |stat: &Stat| {
            matches!(FileType::from_raw_mode(stat.st_mode), FileType::RegularFile | FileType::Directory)
        };
        if !plain(&self.stat(place)?) {
            return Err(Errno::ACCESS);
        }
        let file = self.resolve(place, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY)?;
        let stat = fs::fstat(&file)?;
        // It may have been replaced in between.
        if plain(&stat) { Ok((file.into(), stat)) } else { Err(Errno::ACCESS) }
    }

    /// What a symbolic link says. The guest follows it in its own tree.
    pub(super) fn read_link(&self, place: &Place) -> Result<Vec<u8>, Errno> {
        let link = self.resolve(place, OFlags::PATH)?;
        if FileType::from_raw_mode(fs::fstat(&link)?.st_mode) != FileType::Symlink {
            return Err(Errno::INVAL);
        }
        Ok(fs::readlinkat(&link, "", Vec::new())?.into_bytes())
    }

    /// How full the file system is.
    pub(super) fn statvfs(&self, place: &Place) -> Result<fs::StatVfs, Errno> {
        fs::fstatvfs(self.resolve(place, OFlags::PATH)?)
    }

    /// What names a file for the guest, whatever its path: inode number, and the file system where that is another one.
    pub(super) fn number(&self, device: u64, inode: u64) -> u64 {
        inode ^ (device ^ self.device).rotate_right(24)
    }
}

/// Bits of the kind in what identifies a file (`qid.type`).
const QT_FOLDER: u8 = 0x80;
const QT_LINK: u8 = 0x02;

/// Appends what identifies a file (`qid`): its kind, a version that changes with its content, and its number.
pub(super) fn identify(fields: &mut Fields, kind: FileType, version: u32, number: u64) {
    fields.u8(match kind {
        FileType::Directory => QT_FOLDER,
        FileType::Symlink => QT_LINK,
        FileType::RegularFile
        | FileType::Fifo
        | FileType::Socket
        | FileType::CharacterDevice
        | FileType::BlockDevice
        | FileType::Unknown => 0,
    });
    fields.u32(version);
    fields.u64(number);
}
