//! Datagrams of UDP between the guest and everybody else: each port of the guest that sends has a socket of the host.
//!
//! Whom a port has sent something to may answer, from any port of his (as TFTP does), and nobody else. A port that has
//! neither sent nor received for [`SILENCE_MAX`] of the host's time is forgotten, and so is the one that has been silent
//! the longest where there would be more than [`FLOWS_MAX`]. Datagrams have at most [`DATAGRAM_BYTES`]; what is longer,
//! or comes in fragments, is lost.

use super::gateway::{ADDRESS, host_address};
use super::{DATAGRAM_BYTES, GATEWAY};
use rustix::event::{PollFd, PollFlags};
use smoltcp::phy::ChecksumCapabilities;
use smoltcp::time::{Duration, Instant};
use smoltcp::wire::{
    EthernetAddress, EthernetFrame, EthernetProtocol, EthernetRepr, IpProtocol, Ipv4Packet, Ipv4Repr,
    UdpPacket, UdpRepr,
};
use std::collections::VecDeque;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};

/// The most ports of the guest that have a socket at a time.
pub(super) const FLOWS_MAX: usize = 128;
/// For how long a port may be silent.
pub(super) const SILENCE_MAX: Duration = Duration::from_secs(240);
/// To how many a port may have spoken last who may answer.
const PEERS_MAX: usize = 64;
/// The most answers to one port that are passed on at a time.
const ANSWERS_MAX: usize = 64;

/// A port of the guest that has sent something.
struct Flow {
    host: UdpSocket,
    guest: SocketAddrV4,
    /// The address on the wire that it has sent from.
    card: EthernetAddress,
    /// Who may answer, as the host knows them.
    peers: VecDeque<Ipv4Addr>,
    /// When something has come or gone last.
    used: Instant,
}

/// All of them.
#[derive(Default)]
pub(super) struct Datagrams {
    flows: Vec<Flow>,
}

impl Datagrams {
    /// Sends the datagram in a frame of the guest on. What is none, or cannot go where it wants, is lost.
    pub(super) fn send(&mut self, frame: &[u8], now: Instant) {
        if let Some((card, ends, payload)) = datagram(frame) {
            // A datagram may be lost on any network.
            drop(self.pass(card, ends, payload, now));
        }
    }

    fn pass(
        &mut self,
        card: EthernetAddress,
        (from, to): (SocketAddrV4, SocketAddrV4),
        payload: &[u8],
        now: Instant,
    ) -> io::Result<()> {
        let address = host_address(*to.ip()).filter(|to| !to.is_multicast() && !to.is_broadcast());
        let address = address.ok_or(io::ErrorKind::HostUnreachable)?;
        let known = self.flows.iter().position(|flow| flow.guest == from);
        let at = match known {
            Some(at) => at,
            None => {
                let host = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
                host.set_nonblocking(true)?;
                self.make_room();
                self.flows.push(Flow { host, guest: from, card, peers: VecDeque::new(), used: now });
                self.flows.len() - 1
            }
        };
        let flow = &mut self.flows[at];
        (flow.card, flow.used) = (card, now);
        if !flow.peers.contains(&address) {
            if flow.peers.len() == PEERS_MAX {
                flow.peers.pop_front();
            }
            flow.peers.push_back(address);
        }
        flow.host.send_to(payload, SocketAddrV4::new(address, to.port()))?;
        Ok(())
    }

    /// Makes room for one more.
    fn make_room(&mut self) {
        if self.flows.len() < FLOWS_MAX {
            return;
        }
        let quietest = self.flows.iter().enumerate().min_by_key(|(_, flow)| flow.used);
        if let Some((at, _)) = quietest {
            self.flows.swap_remove(at);
        }
    }

    /// Gives the frames of all answers, and forgets who has been silent for too long.
    pub(super) fn work(&mut self, now: Instant, mut give: impl FnMut(&[u8])) {
        // One byte more, so that what is too long shows.
        let mut buffer = [0; DATAGRAM_BYTES + 1];
        for flow in &mut self.flows {
            for _ in 0..ANSWERS_MAX {
                let (length, from) = match flow.host.recv_from(&mut buffer) {
                    Ok((length, SocketAddr::V4(from))) => (length, from),
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    // What the host says of an earlier datagram.
                    Ok(_) | Err(_) => continue,
                };
                if length <= DATAGRAM_BYTES && flow.peers.contains(from.ip()) {
                    flow.used = now;
                    give(&frame(guest_view(from), flow.guest, flow.card, &buffer[..length]));
                }
            }
        }
        self.flows.retain(|flow| now < flow.used + SILENCE_MAX);
    }

    /// How long until somebody has been silent for too long.
    pub(super) fn rest(&self, now: Instant) -> Option<Duration> {
        let next = self.flows.iter().map(|flow| flow.used + SILENCE_MAX).min()?;
        Some(if next > now { next - now } else { Duration::ZERO })
    }

    /// Adds where answers may come from before that.
    pub(super) fn awaits<'a>(&'a self, events: &mut Vec<PollFd<'a>>) {
        events.extend(self.flows.iter().map(|flow| PollFd::new(&flow.host, PollFlags::IN)));
    }

    /// How many ports have a socket.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.flows.len()
    }
}

/// Who the guest takes a host for.
fn guest_view(from: SocketAddrV4) -> SocketAddrV4 {
    if *from.ip() == Ipv4Addr::LOCALHOST { SocketAddrV4::new(GATEWAY, from.port()) } else { from }
}

/// The sender's card, both ends and the content of a frame that is a whole datagram.
type Datagram<'a> = (EthernetAddress, (SocketAddrV4, SocketAddrV4), &'a [u8]);

fn datagram(frame: &[u8]) -> Option<Datagram<'_>> {
    let frame = EthernetFrame::new_checked(frame).ok()?;
    let card = frame.src_addr();
    let packet = Ipv4Packet::new_checked(frame.payload()).ok()?;
    if packet.more_frags() || packet.frag_offset() != 0 {
        return None;
    }
    let checksums = ChecksumCapabilities::default();
    let (from, to) = (packet.src_addr(), packet.dst_addr());
    Ipv4Repr::parse(&packet, &checksums).ok()?;
    let datagram = UdpPacket::new_checked(packet.payload()).ok()?;
    let ports = UdpRepr::parse(&datagram, &from.into(), &to.into(), &checksums).ok()?;
    let ends = (SocketAddrV4::new(from, ports.src_port), SocketAddrV4::new(to, ports.dst_port));
    (card.is_unicast() && ports.src_port != 0).then_some((card, ends, datagram.payload()))
}

/// The frame of a datagram to the guest.
fn frame(from: SocketAddrV4, to: SocketAddrV4, card: EthernetAddress, payload: &[u8]) -> Vec<u8> {
    let checksums = ChecksumCapabilities::default();
    let udp = UdpRepr { src_port: from.port(), dst_port: to.port() };
    let ip = Ipv4Repr {
        src_addr: *from.ip(),
        dst_addr: *to.ip(),
        next_header: IpProtocol::Udp,
        payload_len: udp.header_len() + payload.len(),
        hop_limit: 64,
    };
    let ethernet = EthernetRepr { src_addr: ADDRESS, dst_addr: card, ethertype: EthernetProtocol::Ipv4 };
    let mut bytes = vec![0; ethernet.buffer_len() + ip.buffer_len() + ip.payload_len];
    let mut frame = EthernetFrame::new_unchecked(&mut bytes[..]);
    ethernet.emit(&mut frame);
    let mut packet = Ipv4Packet::new_unchecked(frame.payload_mut());
    ip.emit(&mut packet, &checksums);
    let mut datagram = UdpPacket::new_unchecked(packet.payload_mut());
    let write = |into: &mut [u8]| into.copy_from_slice(payload);
    udp.emit(&mut datagram, &ip.src_addr.into(), &ip.dst_addr.into(), payload.len(), write, &checksums);
    bytes
}
