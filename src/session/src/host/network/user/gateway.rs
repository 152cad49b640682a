//! The gateway: a network stack that is everybody whom the guest speaks to, and the host's sockets behind it.
//!
//! A guest's wish to connect waits until the host is connected; then the guest is, too. Where the host is refused, the stack
//! knows no such port, and refuses the guest. Connections and questions have a limit, and buffers of a fixed size.

use super::datagrams::Datagrams;
use super::dhcp::{self, CLIENT_PORT, SERVER_PORT};
use super::{DATAGRAM_BYTES, DNS_PORT, FRAMES_MAX, GATEWAY, GUEST, NETWORK_BITS, RESOLVER};
use rustix::event::{PollFd, PollFlags};
use rustix::net::{AddressFamily, SocketFlags, SocketType, connect, socket_with};
use smoltcp::iface::{Config, Interface, SocketHandle, SocketSet};
use smoltcp::phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::socket::tcp::{self, State};
use smoltcp::socket::udp;
use smoltcp::time::{Duration, Instant};
use smoltcp::wire::{
    ArpPacket, ArpRepr, EthernetAddress, EthernetFrame, EthernetProtocol, IpCidr, IpEndpoint, IpProtocol,
    Ipv4Address, Ipv4Packet, TcpPacket, UdpPacket,
};
use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, SocketAddrV4, TcpStream, UdpSocket};

/// The gateway's address on the wire, which is QEMU's.
pub(super) const ADDRESS: EthernetAddress = EthernetAddress([0x52, 0x55, 0x0a, 0x00, 0x02, 0x02]);
/// The most bytes of a frame, with its header.
const FRAME_BYTES: usize = 1514;
/// The most connections, and the bytes that each holds in either direction.
const CONNECTIONS_MAX: usize = 128;
const BUFFER_BYTES: usize = 64 << 10;
/// For how long what was sent to the guest may remain unanswered.
const SILENCE_MAX: Duration = Duration::from_secs(120);
/// The most questions that the host's resolver is asked at a time.
const QUERIES_MAX: usize = 64;
/// The gateway's own ports, for connections to the guest.
const OWN_PORTS: std::ops::RangeInclusive<u16> = 49_152..=65_535;

/// Frames on their way into the stack and out of it.
#[derive(Default)]
struct Frames {
    inward: VecDeque<Vec<u8>>,
    outward: VecDeque<Vec<u8>>,
}

/// A frame that comes in.
struct Inward(Vec<u8>);

/// Where the next frame goes out.
struct Outward<'a>(&'a mut VecDeque<Vec<u8>>);

impl RxToken for Inward {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, read: F) -> R {
        read(&self.0)
    }
}

impl TxToken for Outward<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, write: F) -> R {
        let mut frame = vec![0; length];
        let result = write(&mut frame);
        self.0.push_back(frame);
        result
    }
}

impl Device for Frames {
    type RxToken<'a> = Inward;
    type TxToken<'a> = Outward<'a>;

    fn receive(&mut self, _: Instant) -> Option<(Inward, Outward<'_>)> {
        let frame = self.inward.pop_front()?;
        Some((Inward(frame), Outward(&mut self.outward)))
    }

    fn transmit(&mut self, _: Instant) -> Option<Outward<'_>> {
        (self.outward.len() < FRAMES_MAX).then_some(Outward(&mut self.outward))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = FRAME_BYTES;
        capabilities
    }
}

/// What a guest's wish to connect names: where from, and where to.
type Ends = (SocketAddrV4, SocketAddrV4);

/// A connection that the host has been asked for.
struct Wish {
    ends: Ends,
    /// The frame with which the guest has asked.
    frame: Vec<u8>,
    host: TcpStream,
}

/// A connection of the guest, and the host's that it is one with.
struct Connection {
    guest: SocketHandle,
    host: TcpStream,
    /// Whether the host has no more to say.
    host_ended: bool,
    /// Whether the guest has no more to say.
    guest_ended: bool,
}

/// A question that the host's resolver was asked.
struct Query {
    host: UdpSocket,
    guest: IpEndpoint,
}

/// The gateway, all whose sockets do not block.
pub(super) struct Gateway {
    interface: Interface,
    frames: Frames,
    sockets: SocketSet<'static>,
    dhcp: SocketHandle,
    dns: SocketHandle,
    resolver: Option<SocketAddr>,
    wishes: Vec<Wish>,
    connections: Vec<Connection>,
    queries: VecDeque<Query>,
    datagrams: Datagrams,
    own_port: u16,
}

fn udp_socket() -> udp::Socket<'static> {
    let buffer =
        || udp::PacketBuffer::new(vec![udp::PacketMetadata::EMPTY; 16], vec![0; 16 * DATAGRAM_BYTES]);
    udp::Socket::new(buffer(), buffer())
}

fn tcp_socket() -> tcp::Socket<'static> {
    let buffer = || tcp::SocketBuffer::new(vec![0; BUFFER_BYTES]);
    let mut socket = tcp::Socket::new(buffer(), buffer());
    socket.set_timeout(Some(SILENCE_MAX));
    socket.set_nagle_enabled(false);
    socket
}

impl Gateway {
    pub(super) fn new(resolver: Option<SocketAddr>) -> Self {
        let mut frames = Frames::default();
        let mut interface = Interface::new(Config::new(ADDRESS.into()), &mut frames, Instant::now());
        interface.update_ip_addrs(|addresses| {
            for address in [GATEWAY, RESOLVER] {
                addresses.push(IpCidr::new(address.into(), NETWORK_BITS)).expect("there is room for two");
            }
        });
        interface.set_any_ip(true);
        let mut sockets = SocketSet::new(Vec::new());
        let [mut dhcp, mut dns] = [udp_socket(), udp_socket()];
        dhcp.bind(SERVER_PORT).expect("a new socket is bound to a port");
        dns.bind((RESOLVER, DNS_PORT)).expect("a new socket is bound to a port");
        let [dhcp, dns] = [sockets.add(dhcp), sockets.add(dns)];
        Self {
            interface,
            frames,
            sockets,
            dhcp,
            dns,
            resolver,
            wishes: Vec::new(),
            connections: Vec::new(),
            queries: VecDeque::new(),
            datagrams: Datagrams::default(),
            own_port: *OWN_PORTS.start(),
        }
    }

    /// A frame of the guest. It goes on into the stack, unless it is a wish to connect, a datagram for somebody else, or not
    /// for the gateway.
    pub(super) fn receive(&mut self, frame: Vec<u8>) {
        match purpose(&frame) {
            Some(Purpose::Connect(ends)) => self.wish(ends, frame),
            Some(Purpose::Datagram) => self.datagrams.send(&frame, Instant::now()),
            Some(Purpose::Other) => self.frames.inward.push_back(frame),
            None => {}
        }
    }

    fn wish(&mut self, ends: Ends, frame: Vec<u8>) {
        let is_known = self.connections.iter().any(|connection| {
            let socket = self.sockets.get::<tcp::Socket<'_>>(connection.guest);
            socket.remote_endpoint() == Some(ends.0.into()) && socket.local_endpoint() == Some(ends.1.into())
        });
        if is_known {
            self.frames.inward.push_back(frame);
        } else if !self.wishes.iter().any(|wish| wish.ends == ends) && self.has_room() {
            match host_connection(*ends.1.ip(), ends.1.port()) {
                Ok(host) => self.wishes.push(Wish { ends, frame, host }),
                // The stack refuses it: nobody listens.
                Err(_) => self.frames.inward.push_back(frame),
            }
        }
    }

    /// Without room a wish is not heard. The guest says it again.
    fn has_room(&self) -> bool {
        self.wishes.len() + self.connections.len() < CONNECTIONS_MAX
    }

    /// A connection of the host to a port of the guest.
    pub(super) fn forward(&mut self, host: TcpStream, port: u16) {
        if !self.has_room() || host.set_nonblocking(true).is_err() {
            return;
        }
        let own = self.own_port;
        self.own_port = if own == *OWN_PORTS.end() { *OWN_PORTS.start() } else { own + 1 };
        let mut socket = tcp_socket();
        if socket.connect(self.interface.context(), (GUEST, port), (GATEWAY, own)).is_ok() {
            self.add(socket, host);
        }
    }

    fn add(&mut self, socket: tcp::Socket<'static>, host: TcpStream) -> SocketHandle {
        let guest = self.sockets.add(socket);
        self.connections.push(Connection { guest, host, host_ended: false, guest_ended: false });
        guest
    }

    /// Does whatever can be done now, and gives the frames for the guest.
    pub(super) fn work(&mut self, mut give: impl FnMut(&[u8])) {
        self.connect();
        self.interface.poll(Instant::now(), &mut self.frames, &mut self.sockets);
        self.lease();
        self.resolve();
        let sockets = &mut self.sockets;
        self.connections.retain_mut(|connection| {
            let is_open = connection.pump(sockets.get_mut(connection.guest));
            if !is_open {
                sockets.remove(connection.guest);
            }
            is_open
        });
        self.interface.poll(Instant::now(), &mut self.frames, &mut self.sockets);
        self.frames.outward.drain(..).for_each(|frame| give(&frame));
        self.datagrams.work(Instant::now(), give);
    }

    /// Lets the guest in where the host is connected, or refused.
    fn connect(&mut self) {
        for wish in std::mem::take(&mut self.wishes) {
            let refused = wish.host.take_error().map_or(true, |error| error.is_some());
            if refused {
                self.frames.inward.push_back(wish.frame);
            } else if wish.host.peer_addr().is_ok() {
                let mut socket = tcp_socket();
                if socket.listen((*wish.ends.1.ip(), wish.ends.1.port())).is_err() {
                    continue;
                }
                let guest = self.add(socket, wish.host);
                self.frames.inward.push_back(wish.frame);
                self.interface.poll(Instant::now(), &mut self.frames, &mut self.sockets);
                // A socket that still listens, as the frame was damaged, would take the next wish for its port.
                if self.sockets.get::<tcp::Socket<'_>>(guest).is_listening() {
                    self.sockets.remove(guest);
                    self.connections.pop();
                }
            } else {
                self.wishes.push(wish);
            }
        }
    }

    fn lease(&mut self) {
        let socket = self.sockets.get_mut::<udp::Socket<'_>>(self.dhcp);
        while let Ok((message, _)) = socket.recv() {
            if let Some(answer) = dhcp::answer(message) {
                let mut to = udp::UdpMetadata::from(IpEndpoint::from((Ipv4Address::BROADCAST, CLIENT_PORT)));
                to.local_address = Some(GATEWAY.into());
                // Where there is no room, the client asks again.
                let _ = socket.send_slice(&answer, to);
            }
        }
    }

    fn resolve(&mut self) {
        let socket = self.sockets.get_mut::<udp::Socket<'_>>(self.dns);
        while let Ok((question, from)) = socket.recv() {
            let Some(Ok(host)) = self.resolver.map(|resolver| ask(resolver, question)) else { continue };
            if self.queries.len() == QUERIES_MAX {
                self.queries.pop_front();
            }
            self.queries.push_back(Query { host, guest: from.endpoint });
        }
        self.queries.retain(|query| {
            let mut answer = [0; DATAGRAM_BYTES];
            match query.host.recv(&mut answer) {
                Ok(length) => {
                    let mut to = udp::UdpMetadata::from(query.guest);
                    to.local_address = Some(RESOLVER.into());
                    let _ = socket.send_slice(&answer[..length], to);
                    false
                }
                Err(error) => error.kind() == io::ErrorKind::WouldBlock,
            }
        });
    }

    /// How long there is nothing to do, if nobody says anything; none is for ever.
    pub(super) fn rest(&mut self) -> Option<std::time::Duration> {
        let now = Instant::now();
        let stack = self.interface.poll_delay(now, &self.sockets);
        stack.into_iter().chain(self.datagrams.rest(now)).min().map(Into::into)
    }

    /// Adds what there may be something to do for before that.
    pub(super) fn awaits<'a>(&'a self, events: &mut Vec<PollFd<'a>>) {
        events.extend(self.wishes.iter().map(|wish| PollFd::new(&wish.host, PollFlags::OUT)));
        events.extend(self.queries.iter().map(|query| PollFd::new(&query.host, PollFlags::IN)));
        self.datagrams.awaits(events);
        for connection in &self.connections {
            let guest = self.sockets.get::<tcp::Socket<'_>>(connection.guest);
            let mut flags = PollFlags::empty();
            flags.set(PollFlags::IN, guest.can_send() && !connection.host_ended);
            flags.set(PollFlags::OUT, guest.can_recv());
            // An error shows whatever is asked for, and would again and again.
            if !flags.is_empty() {
                events.push(PollFd::new(&connection.host, flags));
            }
        }
    }
}

impl Connection {
    /// Passes on what either side has said, and says whether the connection goes on.
    fn pump(&mut self, guest: &mut tcp::Socket<'static>) -> bool {
        let mut broken = false;
        while guest.can_recv() && !broken {
            let passed = guest.recv(|bytes| match self.host.write(bytes) {
                Ok(length) => (length, Ok(length)),
                Err(error) => (0, Err(error)),
            });
            match passed {
                Ok(Ok(1..)) => {}
                Ok(Err(error)) if error.kind() == io::ErrorKind::WouldBlock => break,
                Ok(Ok(0) | Err(_)) | Err(_) => broken = true,
            }
        }
        let ended =
            matches!(guest.state(), State::CloseWait | State::LastAck | State::Closing | State::TimeWait);
        if ended && !self.guest_ended && guest.recv_queue() == 0 {
            self.guest_ended = true;
            drop(self.host.shutdown(Shutdown::Write));
        }
        while guest.can_send() && !self.host_ended && !broken {
            let passed = guest.send(|room| match self.host.read(room) {
                Ok(length) => (length, Ok(length)),
                Err(error) => (0, Err(error)),
            });
            match passed {
                Ok(Ok(0)) => {
                    self.host_ended = true;
                    guest.close();
                }
                Ok(Ok(1..)) => {}
                Ok(Err(error)) if error.kind() == io::ErrorKind::WouldBlock => break,
                Ok(Err(_)) | Err(_) => broken = true,
            }
        }
        if broken {
            // The guest hears of it with the next frames; then the connection is closed.
            guest.abort();
            self.host_ended = true;
        }
        // After an abort, what tells the guest is still to be sent.
        guest.is_open() && guest.state() != State::TimeWait || broken
    }
}

fn ask(resolver: SocketAddr, question: &[u8]) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    socket.set_nonblocking(true)?;
    socket.connect(resolver)?;
    socket.send(question)?;
    Ok(socket)
}

/// Whom the host knows by the address that the guest means; none whom it must not reach: those next to it, and the host
/// itself by any other name than the gateway's.
pub(super) fn host_address(address: Ipv4Addr) -> Option<Ipv4Addr> {
    let is_near = address.octets()[..3] == GATEWAY.octets()[..3];
    match address {
        GATEWAY => Some(Ipv4Addr::LOCALHOST),
        address => (!is_near && !address.is_loopback() && !address.is_unspecified()).then_some(address),
    }
}

/// Begins a connection of the host to whom the guest means.
fn host_connection(address: Ipv4Addr, port: u16) -> io::Result<TcpStream> {
    let address = host_address(address).ok_or(io::ErrorKind::HostUnreachable)?;
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = socket_with(AddressFamily::INET, SocketType::STREAM, flags, None)?;
    match connect(&socket, &SocketAddrV4::new(address, port)) {
        Ok(()) | Err(rustix::io::Errno::INPROGRESS) => Ok(socket.into()),
        Err(error) => Err(error.into()),
    }
}

/// What a frame is for.
enum Purpose {
    /// A wish to connect.
    Connect(Ends),
    /// A datagram that is neither for DHCP nor for the resolver.
    Datagram,
    /// Anything else that the stack understands.
    Other,
}

/// What a frame is for; none where it is not the gateway's business: the stack would answer for everybody.
fn purpose(frame: &[u8]) -> Option<Purpose> {
    let frame = EthernetFrame::new_checked(frame).ok()?;
    let is_ours = |address: Ipv4Address| matches!(address, GATEWAY | RESOLVER);
    match frame.ethertype() {
        EthernetProtocol::Arp => {
            let ArpRepr::EthernetIpv4 { target_protocol_addr, .. } =
                ArpRepr::parse(&ArpPacket::new_checked(frame.payload()).ok()?).ok()?
            else {
                return None;
            };
            is_ours(target_protocol_addr).then_some(Purpose::Other)
        }
        EthernetProtocol::Ipv4 => {
            let packet = Ipv4Packet::new_checked(frame.payload()).ok()?;
            let protocol = packet.next_header();
            if protocol == IpProtocol::Tcp {
                let segment = TcpPacket::new_checked(packet.payload()).ok()?;
                let from = SocketAddrV4::new(packet.src_addr(), segment.src_port());
                let to = SocketAddrV4::new(packet.dst_addr(), segment.dst_port());
                let is_wish = segment.syn() && !segment.ack() && from.port() != 0 && to.port() != 0;
                return Some(if is_wish { Purpose::Connect((from, to)) } else { Purpose::Other });
            }
            if protocol == IpProtocol::Udp {
                let to = UdpPacket::new_checked(packet.payload()).ok()?.dst_port();
                let is_known = to == SERVER_PORT || (packet.dst_addr(), to) == (RESOLVER, DNS_PORT);
                return Some(if is_known { Purpose::Other } else { Purpose::Datagram });
            }
            is_ours(packet.dst_addr()).then_some(Purpose::Other)
        }
        EthernetProtocol::Ipv6 | EthernetProtocol::Unknown(_) => None,
    }
}
