//! A client of the protocol with hand-made messages, over a folder with links that lead out of it.

use super::*;
use std::fs;
use std::os::unix::fs::symlink;

/// A client of the protocol with a server over a folder.
struct Client(Folder);

/// A request of fields in their order.
enum Field<'a> {
    U8(u8),
    U16(u16),
    U32(u32),
    U64(u64),
    Text(&'a [u8]),
}
use Field::*;

fn request(kind: u8, fields: &[Field<'_>]) -> Vec<u8> {
    let mut request = Fields::default();
    for field in fields {
        match *field {
            U8(value) => request.u8(value),
            U16(value) => request.u16(value),
            U32(value) => request.u32(value),
            U64(value) => request.u64(value),
            Text(text) => request.text(text),
        }
    }
    request.message(kind, 7)
}

impl Client {
    fn new(folder: &Path) -> Self {
        let client = Self(Folder::open(folder).unwrap());
        let reply = client.ask(kind::VERSION, &[U32(1 << 20), Text(VERSION)]).unwrap();
        assert_eq!(reply, [&MESSAGE_BYTES_MAX.to_le_bytes()[..], &[8, 0], VERSION].concat());
        client.ask(kind::ATTACH, &[U32(0), U32(NO_FID), Text(b"root"), Text(b""), U32(0)]).unwrap();
        client
    }

    /// The fields of the reply, or the number of the error.
    fn ask(&self, kind: u8, fields: &[Field<'_>]) -> Result<Vec<u8>, Errno> {
        let reply = self.0.answer(&request(kind, fields));
        let parsed = Request::new(&reply).unwrap();
        assert_eq!(parsed.tag, 7);
        let fields = reply[HEADER_BYTES..].to_vec();
        if parsed.kind == kind::ERROR + 1 {
            let number = u32::from_le_bytes(fields.try_into().unwrap());
            return Err(Errno::from_raw_os_error(number as i32));
        }
        assert_eq!(parsed.kind, kind + 1);
        Ok(fields)
    }

    fn walk(&self, fid: u32, new: u32, names: &[&[u8]]) -> Result<usize, Errno> {
        let mut fields = vec![U32(fid), U32(new), U16(names.len() as u16)];
        fields.extend(names.iter().map(|name| Text(name)));
        let reply = self.ask(kind::WALK, &fields)?;
        let count = usize::from(u16::from_le_bytes([reply[0], reply[1]]));
        assert_eq!(reply.len(), 2 + 13 * count);
        Ok(count)
    }

    fn open(&self, fid: u32, flags: u32) -> Result<Vec<u8>, Errno> {
        self.ask(kind::LOPEN, &[U32(fid), U32(flags)])
    }

    fn read(&self, fid: u32, offset: u64, count: u32) -> Result<Vec<u8>, Errno> {
        let reply = self.ask(kind::READ, &[U32(fid), U64(offset), U32(count)])?;
        assert_eq!(reply[..4], ((reply.len() - 4) as u32).to_le_bytes());
        Ok(reply[4..].to_vec())
    }

    /// Names and kinds from an offset on, as many as have room, and the offset behind them.
    fn list(&self, fid: u32, offset: u64, count: u32) -> (Vec<(String, u8)>, u64) {
        let reply = self.ask(kind::READDIR, &[U32(fid), U64(offset), U32(count)]).unwrap();
        assert!(reply.len() <= 4 + count as usize);
        let (mut rest, mut entries, mut next) = (&reply[4..], Vec::new(), offset);
        while let Some((head, tail)) = rest.split_first_chunk::<24>() {
            next = u64::from_le_bytes(head[13..21].try_into().unwrap());
            let length = usize::from(u16::from_le_bytes([head[22], head[23]]));
            entries.push((String::from_utf8(tail[..length].to_vec()).unwrap(), head[21]));
            rest = &tail[length..];
        }
        (entries, next)
    }
}

/// A folder with files, a folder, links in and out of it, and a secret beside it.
fn tree() -> tempfile::TempDir {
    let outer = tempfile::tempdir().unwrap();
    let shared = outer.path().join("shared");
    fs::create_dir_all(shared.join("inner")).unwrap();
    fs::write(outer.path().join("secret"), "secret").unwrap();
    fs::write(shared.join("text"), "0123456789").unwrap();
    fs::write(shared.join("inner/deep"), vec![5; 200_000]).unwrap();
    symlink("../secret", shared.join("relative")).unwrap();
    symlink(outer.path().join("secret"), shared.join("absolute")).unwrap();
    symlink("..", shared.join("up")).unwrap();
    symlink("inner", shared.join("beside")).unwrap();
    outer
}

fn shared() -> (tempfile::TempDir, Client) {
    let tree = tree();
    let client = Client::new(&tree.path().join("shared"));
    (tree, client)
}

#[test]
fn files_are_read() {
    let (_tree, client) = shared();
    assert_eq!(client.walk(0, 1, &[b"text"]), Ok(1));
    assert_eq!(client.read(1, 0, 10), Err(Errno::BADF), "not open yet");
    assert_eq!(client.open(1, 0).unwrap().len(), 13 + 4);
    assert_eq!(client.open(1, 0), Err(Errno::BUSY));
    assert_eq!(client.read(1, 0, 100).unwrap(), b"0123456789");
    assert_eq!(client.read(1, 8, 1).unwrap(), b"8");
    assert_eq!(client.read(1, 10, 100).unwrap(), b"");
    assert_eq!(client.read(1, u64::MAX, 100), Err(Errno::INVAL));
    assert_eq!(client.walk(0, 2, &[b"inner", b"deep"]), Ok(2));
    client.open(2, 0).unwrap();
    let piece = client.read(2, 0, u32::MAX).unwrap();
    assert_eq!(piece, vec![5; MESSAGE_BYTES_MAX as usize - 11]);
    let attributes = client.ask(kind::GETATTR, &[U32(2), U64(ATTRIBUTES)]).unwrap();
    assert_eq!(attributes.len(), 153);
    assert_eq!(attributes[49..57], 200_000_u64.to_le_bytes());
    assert_eq!(client.ask(kind::STATFS, &[U32(2)]).unwrap().len(), 60);
    assert_eq!(client.ask(kind::FSYNC, &[U32(2), U32(0)]), Ok(Vec::new()));
    assert_eq!(client.ask(kind::FLUSH, &[U16(3)]), Ok(Vec::new()));
    assert_eq!(client.ask(kind::CLUNK, &[U32(2)]), Ok(Vec::new()));
    assert_eq!(client.ask(kind::CLUNK, &[U32(2)]), Err(Errno::BADF));
}

#[test]
fn folders_are_listed_by_name_whatever_the_room() {
    let (_tree, client) = shared();
    assert_eq!(client.walk(0, 1, &[]), Ok(0));
    client.open(1, 0).unwrap();
    let (all, end) = client.list(1, 0, 4096);
    let kinds = |names: &[(String, u8)]| {
        names.iter().map(|(name, kind)| format!("{name} {kind}")).collect::<Vec<_>>().join(", ")
    };
    assert_eq!(kinds(&all), ". 4, .. 4, absolute 10, beside 10, inner 4, relative 10, text 8, up 10");
    assert_eq!(client.list(1, end, 4096).0, []);
    let (mut pieces, mut offset) = (Vec::new(), 0);
    loop {
        let (piece, next) = client.list(1, offset, 40);
        if piece.is_empty() {
            break;
        }
        pieces.extend(piece);
        offset = next;
    }
    assert_eq!(pieces, all);
    assert_eq!(client.read(1, 0, 10), Err(Errno::ISDIR));
}

#[test]
fn links_are_told_and_never_followed() {
    let (_tree, client) = shared();
    for (fid, name, target) in [(1, &b"relative"[..], "../secret"), (2, b"up", ".."), (3, b"beside", "inner")]
    {
        assert_eq!(client.walk(0, fid, &[name]), Ok(1));
        let reply = client.ask(kind::READLINK, &[U32(fid)]).unwrap();
        assert_eq!(reply[2..], *target.as_bytes());
        assert_eq!(client.open(fid, 0), Err(Errno::ACCESS));
        assert_eq!(client.walk(fid, 9, &[b"secret"]), Err(Errno::LOOP), "through a link");
    }
    assert_eq!(client.walk(0, 9, &[b"beside", b"deep"]), Ok(1), "as far as the link itself");
    assert_eq!(client.open(9, 0), Err(Errno::BADF), "a walk that ends early gives no name");
}

#[test]
fn names_do_not_lead_out_of_the_folder() {
    let (tree, client) = shared();
    let absolute = tree.path().join("secret");
    let absolute = absolute.to_str().unwrap().as_bytes();
    for name in [&b"../secret"[..], b"inner/../../secret", absolute, b"/", b"", b".", b"text\0", b"./text"] {
        assert_eq!(client.walk(0, 1, &[name]), Err(Errno::INVAL), "{name:?}");
    }
    assert_eq!(client.walk(0, 1, &[b"..", b"..", b"secret"]), Ok(2), "above the folder is the folder");
    assert_eq!(client.walk(0, 1, &[b"inner", b"..", b"..", b"text"]), Ok(4));
    let long = vec![b'x'; 60_000];
    assert_eq!(client.walk(0, 2, &[&long]), Err(Errno::NAMETOOLONG));
}

#[test]
fn a_folder_that_becomes_a_link_is_not_followed_either() {
    let (tree, client) = shared();
    assert_eq!(client.walk(0, 1, &[b"inner", b"deep"]), Ok(2));
    let inner = tree.path().join("shared/inner");
    fs::rename(&inner, tree.path().join("moved")).unwrap();
    symlink("../moved", &inner).unwrap();
    assert_eq!(client.open(1, 0), Err(Errno::LOOP));
}

#[test]
fn nothing_is_changed() {
    let (_tree, client) = shared();
    client.walk(0, 1, &[b"text"]).unwrap();
    for flags in [1, 2, 0o100, 0o1000] {
        assert_eq!(client.open(1, flags), Err(Errno::ROFS));
    }
    for kind in [14, 16, 18, 20, 26, 32, 70, 72, 74, 76, 118] {
        assert_eq!(client.ask(kind, &[U32(1), U32(2), U32(3)]), Err(Errno::ROFS), "{kind}");
    }
    let lock = [U32(1), U8(0), U32(0), U64(0), U64(9), U32(5), Text(b"guest")];
    assert_eq!(client.ask(kind::LOCK, &lock), Ok(vec![LOCK_TAKEN]));
    let asked = [U32(1), U8(1), U64(0), U64(9), U32(5), Text(b"guest")];
    assert_eq!(client.ask(kind::GETLOCK, &asked).unwrap()[0], UNLOCKED);
    assert_eq!(client.ask(30, &[U32(1), U32(2), Text(b"user.x")]), Err(Errno::OPNOTSUPP));
    assert_eq!(client.ask(kind::REMOVE, &[U32(1)]), Err(Errno::ROFS));
    assert_eq!(client.open(1, 0), Err(Errno::BADF), "a name is gone after an attempt to remove the file");
}

#[test]
fn names_open_files_and_messages_have_limits() {
    let (_tree, client) = shared();
    for fid in 1..=OPEN_MAX as u32 {
        client.walk(0, fid, &[b"text"]).unwrap();
        client.open(fid, 0).unwrap();
    }
    let last = FIDS_MAX as u32 - 1;
    for fid in OPEN_MAX as u32 + 1..=last {
        client.walk(0, fid, &[]).unwrap();
    }
    assert_eq!(client.open(last, 0), Err(Errno::NFILE));
    assert_eq!(client.walk(0, last + 1, &[]), Err(Errno::NFILE));
    assert_eq!(client.walk(0, last, &[]), Err(Errno::BADF), "a name that is taken");
    assert_eq!(client.walk(last, last, &[b"text"]), Ok(1), "a name that moves on");
    assert_eq!(client.walk(0, 1, &[&b"x"[..]; 17]), Err(Errno::INVAL));
    assert_eq!(client.ask(kind::VERSION, &[U32(100), Text(VERSION)]), Err(Errno::MSGSIZE));
    assert_eq!(client.ask(kind::VERSION, &[U32(8192), Text(b"9P2000.u")]).unwrap()[6..], *b"unknown");
    assert_eq!(client.open(last, 0), Err(Errno::BADF), "a new session has no names");
}

#[test]
fn a_pipe_does_not_stop_the_guest() {
    let (tree, client) = shared();
    let path = tree.path().join("shared/pipe");
    rustix::fs::mknodat(rustix::fs::CWD, &path, FileType::Fifo, 0o600.into(), 0).unwrap();
    assert_eq!(client.walk(0, 1, &[b"pipe"]), Ok(1));
    assert_eq!(client.open(1, 0), Err(Errno::ACCESS));
}

#[test]
fn any_bytes_have_an_answer_or_none() {
    let (tree, client) = shared();
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let kinds = [8, 12, 14, 22, 24, 30, 40, 50, 52, 54, 100, 104, 108, 110, 116, 118, 120, 122];
    for round in 0..30_000 {
        let mut bytes: Vec<u8> = (0..random() % 60).map(|_| (random() % 5) as u8).collect();
        if round % 4 != 0 && bytes.len() >= HEADER_BYTES {
            let length = bytes.len() as u32;
            bytes[..4].copy_from_slice(&length.to_le_bytes());
            bytes[4] = kinds[random() as usize % kinds.len()];
        }
        let reply = client.0.answer(&bytes);
        assert!(reply.len() <= MESSAGE_BYTES_MAX as usize, "{bytes:?}");
        if let Some(length) = reply.first_chunk() {
            assert_eq!(u32::from_le_bytes(*length) as usize, reply.len(), "{bytes:?}");
        }
    }
    assert_eq!(fs::read(tree.path().join("shared/text")).unwrap(), b"0123456789");
    let whole = request(kind::WALK, &[U32(0), U32(1), U16(1), Text(b"text")]);
    for length in 0..whole.len() {
        assert!(client.0.answer(&whole[..length]).is_empty(), "shorter than it says");
    }
}

#[test]
fn a_folder_that_is_asked_again_has_the_same_files_open() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("sub")).unwrap();
    for name in ["kept", "sub/open", "closed"] {
        fs::write(folder.path().join(name), name).unwrap();
    }
    let requests = [
        request(kind::VERSION, &[U32(1 << 20), Text(VERSION)]),
        request(kind::ATTACH, &[U32(0), U32(NO_FID), Text(b"root"), Text(b""), U32(0)]),
        request(kind::WALK, &[U32(0), U32(1), U16(2), Text(b"sub"), Text(b"open")]),
        request(kind::LOPEN, &[U32(1), U32(0)]),
        request(kind::WALK, &[U32(0), U32(2), U16(1), Text(b"closed")]),
        request(kind::WALK, &[U32(0), U32(3), U16(1), Text(b"never")]),
        request(kind::LOPEN, &[U32(2), U32(0)]),
        request(kind::CLUNK, &[U32(2)]),
    ];
    let first = Folder::open(folder.path()).unwrap();
    let replies: Vec<_> = requests.iter().map(|request| first.answer(request)).collect();
    let asked_again = || {
        let again = Again::new(Folder::open(folder.path()).unwrap());
        requests.iter().zip(&replies).for_each(|(request, reply)| again.ask(request, reply));
        again.finish()
    };
    // What the guest has closed need not be there any more.
    fs::remove_file(folder.path().join("closed")).unwrap();
    let client = Client(asked_again().map_err(|what| panic!("{what}")).unwrap());
    assert_eq!(client.read(1, 0, 100).unwrap(), b"sub/open");
    assert_eq!(client.walk(0, 2, &[b"kept"]), Ok(1));
    fs::remove_file(folder.path().join("sub/open")).unwrap();
    assert_eq!(asked_again().err().unwrap(), "'sub/open'");
    fs::remove_dir_all(folder.path().join("sub")).unwrap();
    assert_eq!(asked_again().err().unwrap(), "'sub/open'");
}
