//! The wires of network cards.
//!
//! What the guest sends goes to the wire at once, from the worker's thread, or is lost where the wire has no room. What
//! comes from the wire is brought by a thread that ends with the run. It is lost where the card has no room for it, or
//! where the guest does not keep up, as on any wire: nothing here waits for a guest, and nothing piles up for one.

mod hub;
mod tap;
mod user;

use crate::run::Source;
use crate::{Error, Wire};
use cantus_devices::virtio::network::{FRAME_BYTES_MAX, WAITING_FRAMES_MAX};
use cantus_engine::Outside;
use cantus_machine::Board;
use cantus_traces::DeviceId;
use hub::Hub;
use rustix::event::{PollFd, PollFlags, poll};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::thread::JoinHandle;
use user::User;

/// The host's end of a wire. Nothing that it does blocks.
pub(crate) enum Cable {
    Hub(Hub),
    Tap(File),
    User(User),
}

impl Cable {
    /// The end of this wire; none where the wire leads nowhere.
    ///
    /// # Errors
    /// Where the host does not have or not give what is to be at the other end.
    pub(crate) fn new(wire: &Wire) -> Result<Option<Arc<Self>>, Error> {
        let (cable, wire) = match wire {
            Wire::Nothing => return Ok(None),
            Wire::Hub(folder) => (Hub::join(folder).map(Cable::Hub), format!("hub={}", folder.display())),
            Wire::Tap(name) => (tap::open(name).map(Cable::Tap), format!("tap={name}")),
            Wire::User(forwards) => (User::open(forwards).map(Cable::User), "user".into()),
        };
        let cable = cable.map_err(|error| Error::Wire { wire, error })?;
        Ok(Some(Arc::new(cable)))
    }

    /// Sends a frame of the guest.
    pub(crate) fn send(&self, frame: &[u8]) {
        match self {
            Cable::Hub(hub) => hub.send(frame),
            // A device that is down, or full, loses it.
            Cable::Tap(tap) => drop((&*tap).write(frame)),
            Cable::User(user) => user.send(frame),
        }
    }

    /// Begins to bring the frames of this wire to a card.
    ///
    /// # Errors
    /// Where the host has no more threads or descriptors.
    pub(crate) fn start(
        self: &Arc<Self>,
        card: DeviceId,
        outside: &Arc<Outside>,
        board: &Arc<Board>,
    ) -> Result<Carrier, Error> {
        let source = Source::new(outside);
        let board = board.clone();
        let carrier = Carrier::start(self.clone(), move |frame| {
            let outside = &source.0;
            if outside.waiting() < WAITING_FRAMES_MAX && board.input_room(card) >= frame.len() {
                outside.feed(card, frame.to_vec());
            }
        });
        carrier.map_err(|error| Error::Wire { wire: "their network".into(), error })
    }

    /// Gives every frame that comes to `give`, until the other end of `end` is closed, or the wire is broken.
    fn carry(&self, end: &UnixStream, mut give: impl FnMut(&[u8])) {
        type Receive<'a> = &'a dyn Fn(&mut [u8]) -> io::Result<usize>;
        let (wire, receive): (BorrowedFd<'_>, Receive<'_>) = match self {
            Cable::Hub(hub) => (hub.descriptor(), &|buffer| hub.receive(buffer)),
            Cable::Tap(tap) => (tap.as_fd(), &|buffer| (&*tap).read(buffer)),
            Cable::User(user) => return user.carry(end, give),
        };
        // One more byte, so that a frame that is too long shows.
        let mut buffer = vec![0; FRAME_BYTES_MAX + 1];
        loop {
            match receive(&mut buffer) {
                Ok(length) if length <= FRAME_BYTES_MAX => give(&buffer[..length]),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    let wire = PollFd::from_borrowed_fd(wire, PollFlags::IN);
                    let mut events = [wire, PollFd::new(end, PollFlags::IN)];
                    // An interrupted wait says nothing of the end.
                    let waited = poll(&mut events, None);
                    if waited.is_ok() && !events[1].revents().is_empty() {
                        return;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // A tap device that is down has frames again once it is up; until then, there is no telling when.
                Err(_) => return,
            }
            if is_closed(end) {
                return;
            }
        }
    }
}

/// Whether the other end is closed.
fn is_closed(end: &UnixStream) -> bool {
    let mut events = [PollFd::new(end, PollFlags::IN)];
    let now = rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 };
    poll(&mut events, Some(&now)).is_ok_and(|ready| ready != 0)
}

/// A wire in use: a thread that brings its frames. Dropped, it ends the thread.
pub(crate) struct Carrier {
    end: Option<UnixStream>,
    thread: Option<JoinHandle<()>>,
}

impl Carrier {
    /// Carries frames from a wire to `give`.
    #[expect(
        clippy::disallowed_methods,
        reason = "waiting for a frame blocks; what comes is logged as input"
    )]
    fn start(cable: Arc<Cable>, give: impl FnMut(&[u8]) + Send + 'static) -> io::Result<Self> {
        let (end, ours) = UnixStream::pair()?;
        let thread = std::thread::Builder::new().name("network".into());
        let thread = thread.spawn(move || cable.carry(&ours, give))?;
        Ok(Self { end: Some(end), thread: Some(thread) })
    }
}

impl Drop for Carrier {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(thread) = self.thread.take() {
            // It has no outcome; if it panicked, it has said so.
            drop(thread.join());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[test]
    fn frames_are_carried_until_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let [one, other] = [(); 2].map(|()| Cable::new(&Wire::Hub(folder.path().into())).unwrap().unwrap());
        let (sender, receiver) = mpsc::channel();
        one.send(b"early");
        let carrier =
            Carrier::start(other, move |frame: &[u8]| sender.send(frame.to_vec()).unwrap()).unwrap();
        one.send(b"late");
        assert_eq!(receiver.recv().unwrap(), b"early");
        assert_eq!(receiver.recv().unwrap(), b"late");
        one.send(&vec![7; FRAME_BYTES_MAX + 1]);
        one.send(&vec![8; FRAME_BYTES_MAX]);
        assert_eq!(receiver.recv().unwrap(), vec![8; FRAME_BYTES_MAX], "what is too long is lost");
        drop(carrier);
        assert!(receiver.recv().is_err(), "the thread has ended, and its sender with it");
    }

    #[test]
    fn a_wire_that_is_not_there_is_an_error_that_names_it() {
        let error = |wire| Cable::new(&wire).err().map(|error| error.to_string()).unwrap_or_default();
        assert!(error(Wire::Hub("/dev/null/hub".into())).contains("hub=/dev/null/hub"));
        assert!(error(Wire::Tap("cantus-none".into())).contains("tap=cantus-none"));
        assert!(Cable::new(&Wire::Nothing).unwrap().is_none());
    }
}
