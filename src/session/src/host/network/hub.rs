//! A hub in a folder: every guest on it has a datagram socket there, and sends each frame to all others.
//!
//! Whoever may write to the folder is on the hub. The socket of a guest that ended without taking it away is taken away by
//! the next one that sends to it.

use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};

/// How the names of sockets end.
const SUFFIX: &str = "card";
/// The most cards of one hub.
const CARDS_MAX: usize = 1024;

/// A card's place on a hub.
pub(crate) struct Hub {
    folder: PathBuf,
    own: PathBuf,
    socket: UnixDatagram,
}

impl Hub {
    /// A new place on the hub of this folder, which is made where there is none.
    ///
    /// # Errors
    /// Where the folder cannot be used, its path is too long for a socket, or the hub is full.
    pub(crate) fn join(folder: &Path) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        for number in 0..CARDS_MAX {
            let own = folder.join(format!("{}-{number}.{SUFFIX}", std::process::id()));
            match UnixDatagram::bind(&own) {
                Ok(socket) => {
                    let hub = Self { folder: folder.to_owned(), own, socket };
                    hub.socket.set_nonblocking(true)?;
                    return Ok(hub);
                }
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
                Err(error) => return Err(error),
            }
        }
        Err(io::ErrorKind::AddrInUse.into())
    }

    /// Sends a frame to all others. One whose socket is full loses it.
    pub(crate) fn send(&self, frame: &[u8]) {
        let Ok(entries) = fs::read_dir(&self.folder) else { return };
        for entry in entries.flatten().take(CARDS_MAX) {
            let path = entry.path();
            let is_socket = entry.file_type().is_ok_and(|kind| kind.is_socket());
            if !is_socket || path == self.own || path.extension().is_none_or(|suffix| suffix != SUFFIX) {
                continue;
            }
            if let Err(error) = self.socket.send_to(frame, &path)
                && error.kind() == io::ErrorKind::ConnectionRefused
            {
                // Nobody listens there any more. If another guest has taken it away already, so much the better.
                drop(fs::remove_file(&path));
            }
        }
    }

    /// The next frame of another card.
    pub(crate) fn receive(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.socket.recv(buffer)
    }

    pub(crate) fn descriptor(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        drop(fs::remove_file(&self.own));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn received(hub: &Hub) -> Option<Vec<u8>> {
        let mut buffer = [0; 100];
        match hub.receive(&mut buffer) {
            Ok(length) => Some(buffer[..length].to_vec()),
            Err(error) => {
                assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
                None
            }
        }
    }

    #[test]
    fn a_frame_comes_to_all_others_once() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("hub");
        let cards: Vec<Hub> = (0..3).map(|_| Hub::join(&folder).unwrap()).collect();
        cards[1].send(b"one");
        cards[2].send(b"two");
        assert_eq!(received(&cards[0]), Some(b"one".to_vec()));
        assert_eq!(received(&cards[0]), Some(b"two".to_vec()));
        assert_eq!(received(&cards[0]), None);
        assert_eq!(received(&cards[1]), Some(b"two".to_vec()));
        assert_eq!(received(&cards[1]), None);
    }

    #[test]
    fn a_place_is_given_back_and_what_was_left_behind_is_taken_away() {
        let folder = tempfile::tempdir().unwrap();
        let names = || fs::read_dir(folder.path()).unwrap().count();
        let card = Hub::join(folder.path()).unwrap();
        drop(Hub::join(folder.path()).unwrap());
        assert_eq!(names(), 1);
        drop(UnixDatagram::bind(folder.path().join("gone.card")).unwrap());
        fs::write(folder.path().join("file.card"), "no socket").unwrap();
        let other = UnixDatagram::bind(folder.path().join("other")).unwrap();
        other.set_nonblocking(true).unwrap();
        card.send(b"frame");
        assert_eq!(names(), 3, "only the socket that nobody listens to is gone");
        assert!(other.recv(&mut [0; 10]).is_err(), "it is on no hub");
    }

    #[test]
    fn a_card_that_does_not_listen_holds_up_nobody() {
        let folder = tempfile::tempdir().unwrap();
        let [one, other] = [(); 2].map(|()| Hub::join(folder.path()).unwrap());
        (0..10_000).for_each(|_| one.send(&[1; 1500]));
        assert!(received(&one).is_none());
        let mut buffer = [0; 2000];
        assert_eq!(other.receive(&mut buffer).unwrap(), 1500);
    }

    #[test]
    fn a_folder_that_cannot_be_is_an_error() {
        assert!(Hub::join(Path::new("/dev/null/hub")).is_err());
        assert!(Hub::join(&std::env::temp_dir().join("x".repeat(200))).is_err(), "too long for a socket");
        drop(fs::remove_dir(std::env::temp_dir().join("x".repeat(200))));
    }
}
