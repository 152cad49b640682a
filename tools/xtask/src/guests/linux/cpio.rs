//! The archive that a kernel unpacks into its first file system: cpio's "newc" format, as Linux's
//! Documentation/driver-api/early-userspace/buffer-format.rst describes it.
//!
//! An archive is a function of names, modes and contents alone: entries come in ascending order, belong to root and are of
//! the first second of 1970.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};

const FOLDER: u32 = 0o040_000;
const FILE: u32 = 0o100_000;
const LINK: u32 = 0o120_000;
const CHARACTER_DEVICE: u32 = 0o020_000;

struct Entry {
    /// Kind and permissions, as `stat` gives them.
    mode: u32,
    /// Major and minor number of a device.
    device: (u32, u32),
    /// A file's content, or where a link leads.
    content: Vec<u8>,
}

/// An archive in the making.
#[derive(Default)]
pub struct Archive {
    entries: BTreeMap<String, Entry>,
}

impl Archive {
    /// Adds a folder and those above it.
    pub fn folder(&mut self, path: &str) {
        let ends = path.match_indices('/').map(|(at, _)| at).chain([path.len()]);
        for end in ends {
            let entry = Entry { mode: FOLDER | 0o755, device: (0, 0), content: Vec::new() };
            self.entries.entry(path[..end].to_owned()).or_insert(entry);
        }
    }

    /// Adds a file that can be read, and run if it is a program.
    pub fn file(&mut self, path: &str, content: Vec<u8>, is_program: bool) {
        self.add(path, FILE | if is_program { 0o755 } else { 0o644 }, (0, 0), content);
    }

    /// Adds a symbolic link.
    pub fn link(&mut self, path: &str, target: &str) {
        self.add(path, LINK | 0o777, (0, 0), target.into());
    }

    /// Adds a character device.
    pub fn device(&mut self, path: &str, major: u32, minor: u32) {
        self.add(path, CHARACTER_DEVICE | 0o600, (major, minor), Vec::new());
    }

    /// The archive's bytes.
    pub fn bytes(&self) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        // Number 0 is the trailer's: hard links would be entries with the same number.
        for ((path, entry), number) in self.entries.iter().zip(1..) {
            write(&mut bytes, number, path, entry)?;
        }
        let trailer = Entry { mode: 0, device: (0, 0), content: Vec::new() };
        write(&mut bytes, 0, "TRAILER!!!", &trailer)?;
        Ok(bytes)
    }

    fn add(&mut self, path: &str, mode: u32, device: (u32, u32), content: Vec<u8>) {
        if let Some((folder, _)) = path.rsplit_once('/') {
            self.folder(folder);
        }
        self.entries.insert(path.to_owned(), Entry { mode, device, content });
    }
}

/// A header of thirteen numbers of eight hexadecimal digits, the name with a zero byte, and the content; name and content
/// are each padded to a multiple of four bytes.
fn write(bytes: &mut Vec<u8>, number: u32, path: &str, entry: &Entry) -> Result<()> {
    let Entry { mode, device: (major, minor), content } = entry;
    let size = u32::try_from(content.len());
    ensure!(size.is_ok(), "{path} is too large for an archive");
    let links = if mode & FOLDER == FOLDER { 2 } else { 1 };
    let size = size.unwrap_or_default();
    let name_size = path.len() as u32 + 1;
    bytes.extend_from_slice(b"070701");
    for field in [number, *mode, 0, 0, links, 0, size, 0, 0, *major, *minor, name_size, 0] {
        bytes.extend_from_slice(format!("{field:08X}").as_bytes());
    }
    bytes.extend_from_slice(path.as_bytes());
    bytes.push(0);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes.extend_from_slice(content);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn folders_above_come_first_and_once() {
        let mut archive = Archive::default();
        archive.file("a/b/c", vec![1, 2, 3], false);
        archive.file("a/b/d", Vec::new(), true);
        let names: Vec<&str> = archive.entries.keys().map(String::as_str).collect();
        assert_eq!(names, ["a", "a/b", "a/b/c", "a/b/d"]);
        assert_eq!(archive.bytes().unwrap().len() % 4, 0);
    }

    #[test]
    fn the_order_of_adding_does_not_matter() {
        let (mut one, mut other) = (Archive::default(), Archive::default());
        one.file("x", vec![7; 5], false);
        one.link("y", "x");
        other.link("y", "x");
        other.file("x", vec![7; 5], false);
        assert_eq!(one.bytes().unwrap(), other.bytes().unwrap());
    }

    /// An entry by the format's description: its size is where it says, and its content is aligned.
    #[test]
    fn a_header_says_where_the_content_is() {
        let mut archive = Archive::default();
        archive.file("hello", b"hello, world".to_vec(), true);
        let bytes = archive.bytes().unwrap();
        let field = |index: usize| {
            let at = 6 + index * 8;
            u32::from_str_radix(std::str::from_utf8(&bytes[at..at + 8]).unwrap(), 16).unwrap()
        };
        assert_eq!((field(1), field(6), field(11)), (0o100_755, 12, 6));
        let content = (110 + field(11) as usize).next_multiple_of(4);
        assert_eq!(&bytes[content..content + 12], b"hello, world");
    }

    /// Where the host has the program cpio, it lists what was put in.
    #[test]
    fn cpio_reads_the_archive() {
        let mut archive = Archive::default();
        archive.file("bin/tool", vec![9; 1001], true);
        archive.device("dev/console", 5, 1);
        archive.link("init", "bin/tool");
        let cpio = Command::new("cpio")
            .args(["--list", "--quiet"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        let Ok(mut child) = cpio else {
            eprintln!("this host has no cpio to ask");
            return;
        };
        child.stdin.take().unwrap().write_all(&archive.bytes().unwrap()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success());
        assert_eq!(String::from_utf8_lossy(&output.stdout), "bin\nbin/tool\ndev\ndev/console\ninit\n");
    }
}
