//! A network of the guest's own, which needs no rights of the host (as QEMU's `-netdev user`).
//!
//! The guest is 10.0.2.15, by DHCP. The gateway 10.0.2.2 accepts its connections in the name of everybody and makes the same
//! ones on the host; 10.0.2.2 itself stands for the host's 127.0.0.1. What is asked of 10.0.2.3, the host's resolver is
//! asked; other datagrams of UDP go where they want, and so do answers to them. Connections to ports of the host's 127.0.0.1
//! can be forwarded to the guest. Nothing else gets in or out.

mod datagrams;
mod dhcp;
mod gateway;
#[cfg(test)]
mod tests;

use crate::Forward;
use gateway::Gateway;
use parking_lot::Mutex;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use smoltcp::wire::Ipv4Address;
use std::collections::VecDeque;
use std::fs;
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::net::UnixStream;

const GATEWAY: Ipv4Address = Ipv4Address::new(10, 0, 2, 2);
const RESOLVER: Ipv4Address = Ipv4Address::new(10, 0, 2, 3);
const GUEST: Ipv4Address = Ipv4Address::new(10, 0, 2, 15);
const NETWORK_BITS: u8 = 24;
const DNS_PORT: u16 = 53;
/// The most bytes of a datagram: what a frame has room for.
const DATAGRAM_BYTES: usize = 1472;
/// The most frames of the guest that wait for the gateway. More are lost.
const FRAMES_MAX: usize = 256;

/// The host's end of the network.
pub(crate) struct User {
    /// Where the host's connections come in, and the port of the guest that they are for.
    listeners: Vec<(TcpListener, u16)>,
    /// The host's resolver.
    resolver: Option<SocketAddr>,
    frames: Mutex<VecDeque<Vec<u8>>>,
    /// Wakes the gateway up: what is written into the first comes out of the second.
    bell: (UnixStream, UnixStream),
}

impl User {
    /// # Errors
    /// Where a port of the host is taken.
    pub(crate) fn open(forwards: &[Forward]) -> io::Result<Self> {
        let listen = |forward: &Forward| {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, forward.host_port)).map_err(|error| {
                io::Error::new(error.kind(), format!("port {}: {error}", forward.host_port))
            })?;
            listener.set_nonblocking(true)?;
            Ok((listener, forward.guest_port))
        };
        let bell = UnixStream::pair()?;
        bell.0.set_nonblocking(true)?;
        bell.1.set_nonblocking(true)?;
        Ok(Self {
            listeners: forwards.iter().map(listen).collect::<io::Result<_>>()?,
            resolver: resolver(&fs::read_to_string("/etc/resolv.conf").unwrap_or_default()),
            frames: Mutex::default(),
            bell,
        })
    }

    /// A frame of the guest.
    pub(crate) fn send(&self, frame: &[u8]) {
        let mut frames = self.frames.lock();
        if frames.len() < FRAMES_MAX {
            frames.push_back(frame.to_vec());
            // Where it is full, it rings already.
            drop((&self.bell.0).write(&[1]));
        }
    }

    /// Is the gateway until the other end of `end` is closed. Gives every frame for the guest to `give`.
    pub(crate) fn carry(&self, end: &UnixStream, mut give: impl FnMut(&[u8])) {
        let mut gateway = Gateway::new(self.resolver);
        loop {
            while (&self.bell.1).read(&mut [0; 64]).is_ok_and(|length| length != 0) {}
            let frames = std::mem::take(&mut *self.frames.lock());
            frames.into_iter().for_each(|frame| gateway.receive(frame));
            for (listener, port) in &self.listeners {
                while let Ok((stream, _)) = listener.accept() {
                    gateway.forward(stream, *port);
                }
            }
            gateway.work(&mut give);
            let timeout = gateway.rest().and_then(|rest| Timespec::try_from(rest).ok());
            let mut events = vec![PollFd::new(end, PollFlags::IN), PollFd::new(&self.bell.1, PollFlags::IN)];
            events.extend(self.listeners.iter().map(|(listener, _)| PollFd::new(listener, PollFlags::IN)));
            gateway.awaits(&mut events);
            // Interrupted, it looks once more.
            let _ = poll(&mut events, timeout.as_ref());
            if !events[0].revents().is_empty() {
                return;
            }
        }
    }
}

/// The first resolver of a `resolv.conf` that has an address of version 4.
fn resolver(configuration: &str) -> Option<SocketAddr> {
    configuration.lines().find_map(|line| {
        let mut words = line.split_whitespace();
        let address = words.next().filter(|word| *word == "nameserver").and(words.next())?;
        Some(SocketAddr::new(IpAddr::V4(address.parse().ok()?), DNS_PORT))
    })
}
