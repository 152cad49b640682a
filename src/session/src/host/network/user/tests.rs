//! A guest of the network: a stack of its own that reaches servers on the loopback of the host.

use super::*;
use crate::host::network::{Cable, Carrier};
use smoltcp::iface::{Config, Interface, SocketHandle, SocketSet};
use smoltcp::phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::socket::{tcp, udp};
use smoltcp::time::Instant;
use smoltcp::wire::{DhcpMessageType, DhcpPacket, DhcpRepr, EthernetAddress, IpAddress, IpCidr, IpEndpoint};
use std::net::UdpSocket;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

/// A card at the other end of a network's wire: frames go into it at once, and come by a channel.
struct Card {
    cable: Arc<Cable>,
    frames: Receiver<Vec<u8>>,
    next: Option<Vec<u8>>,
}

struct Frame(Vec<u8>);
struct Out<'a>(&'a Cable);

impl RxToken for Frame {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, read: F) -> R {
        read(&self.0)
    }
}

impl TxToken for Out<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, write: F) -> R {
        let mut frame = vec![0; length];
        let result = write(&mut frame);
        self.0.send(&frame);
        result
    }
}

impl Device for Card {
    type RxToken<'a> = Frame;
    type TxToken<'a> = Out<'a>;

    fn receive(&mut self, _: Instant) -> Option<(Frame, Out<'_>)> {
        let frame = self.next.take().or_else(|| self.frames.try_recv().ok())?;
        Some((Frame(frame), Out(&self.cable)))
    }

    fn transmit(&mut self, _: Instant) -> Option<Out<'_>> {
        Some(Out(&self.cable))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = 1514;
        capabilities
    }
}

/// A guest: a network stack with a card.
struct Guest {
    card: Card,
    interface: Interface,
    sockets: SocketSet<'static>,
    _carrier: Carrier,
}

impl Guest {
    fn new(user: User) -> Self {
        let cable = Arc::new(Cable::User(user));
        let (sender, frames): (Sender<Vec<u8>>, _) = channel();
        // After a test's end nobody listens.
        let give = move |frame: &[u8]| drop(sender.send(frame.to_vec()));
        let carrier = Carrier::start(cable.clone(), give).unwrap();
        let mut card = Card { cable, frames, next: None };
        let address = EthernetAddress([0x52, 0x54, 0, 0x12, 0x34, 0x56]);
        let mut interface = Interface::new(Config::new(address.into()), &mut card, Instant::now());
        interface.update_ip_addrs(|all| all.push(IpCidr::new(GUEST.into(), NETWORK_BITS)).unwrap());
        interface.routes_mut().add_default_ipv4_route(GATEWAY).unwrap();
        Self { card, interface, sockets: SocketSet::new(Vec::new()), _carrier: carrier }
    }

    fn connect(&mut self, address: impl Into<IpAddress>, port: u16) -> SocketHandle {
        let mut socket = tcp_socket();
        socket.connect(self.interface.context(), (address.into(), port), 40_000).unwrap();
        self.sockets.add(socket)
    }

    /// Works, waiting for frames, until `done` gives something.
    fn until<T>(&mut self, mut done: impl FnMut(&mut SocketSet<'static>) -> Option<T>) -> T {
        loop {
            self.interface.poll(Instant::now(), &mut self.card, &mut self.sockets);
            if let Some(result) = done(&mut self.sockets) {
                self.interface.poll(Instant::now(), &mut self.card, &mut self.sockets);
                return result;
            }
            let rest = self.interface.poll_delay(Instant::now(), &self.sockets);
            let frame = match rest {
                Some(rest) => self.card.frames.recv_timeout(rest.into()).ok(),
                None => self.card.frames.recv().ok(),
            };
            self.card.next = frame;
        }
    }
}

fn tcp_socket() -> tcp::Socket<'static> {
    let buffer = || tcp::SocketBuffer::new(vec![0; 20_000]);
    tcp::Socket::new(buffer(), buffer())
}

fn udp_socket() -> udp::Socket<'static> {
    let buffer = || udp::PacketBuffer::new(vec![udp::PacketMetadata::EMPTY; 4], vec![0; 4000]);
    udp::Socket::new(buffer(), buffer())
}

#[test]
fn a_guest_reaches_the_hosts_servers_and_all_its_bytes_arrive_in_both_directions() {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut guest = Guest::new(User::open(&[]).unwrap());
    let handle = guest.connect(GATEWAY, server.local_addr().unwrap().port());
    guest.until(|sockets| sockets.get::<tcp::Socket<'_>>(handle).may_send().then_some(()));
    let (mut host, _) = server.accept().unwrap();
    host.set_nonblocking(true).unwrap();
    let wanted: Vec<u8> = (0..300_000_u32).map(|at| (at / 7) as u8).collect();
    let (mut sent, mut back) = (0, 0);
    let [mut at_host, mut returned] = [Vec::new(), Vec::<u8>::new()];
    guest.until(|sockets| {
        let socket = sockets.get_mut::<tcp::Socket<'_>>(handle);
        sent += socket.send_slice(&wanted[sent..]).unwrap();
        let mut buffer = [0; 10_000];
        while let Ok(length @ 1..) = host.read(&mut buffer) {
            at_host.extend(&buffer[..length]);
        }
        // The host says it all back as it comes.
        back += host.write(&at_host[back..]).unwrap_or(0);
        while let Ok(length @ 1..) = socket.recv_slice(&mut buffer) {
            returned.extend(&buffer[..length]);
        }
        (returned.len() == wanted.len()).then_some(())
    });
    assert!(returned == wanted);
    guest.sockets.get_mut::<tcp::Socket<'_>>(handle).close();
    guest.until(|_| matches!(host.read(&mut [0; 10]), Ok(0)).then_some(()));
    drop(host);
    guest.until(|sockets| {
        let state = sockets.get::<tcp::Socket<'_>>(handle).state();
        matches!(state, tcp::State::TimeWait | tcp::State::Closed).then_some(())
    });
}

#[test]
fn whom_the_host_refuses_the_gateway_refuses() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut guest = Guest::new(User::open(&[]).unwrap());
    for (address, port) in [(GATEWAY, closed), (RESOLVER, 1)] {
        let handle = guest.connect(address, port);
        guest.until(|sockets| {
            let state = sockets.get::<tcp::Socket<'_>>(handle).state();
            (state == tcp::State::Closed).then_some(())
        });
        guest.sockets.remove(handle);
    }
}

#[test]
fn the_host_gets_in_where_it_forwards() {
    // A port that is free now, and of which a second one listening is an error.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let forwards = [Forward { host_port: port, guest_port: 22 }];
    let user = User::open(&forwards).unwrap();
    assert!(User::open(&forwards).is_err_and(|error| error.to_string().contains(&port.to_string())));
    let mut guest = Guest::new(user);
    let mut socket = tcp_socket();
    socket.listen(22).unwrap();
    let handle = guest.sockets.add(socket);
    let mut client = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
    client.write_all(b"hello guest").unwrap();
    let heard = guest.until(|sockets| {
        let socket = sockets.get_mut::<tcp::Socket<'_>>(handle);
        if socket.recv_queue() < 11 {
            return None;
        }
        socket.send_slice(b"hello host").unwrap();
        socket.close();
        Some(socket.recv(|bytes| (bytes.len(), bytes.to_vec())).unwrap())
    });
    assert_eq!(heard, b"hello guest");
    client.set_nonblocking(true).unwrap();
    let mut said = Vec::new();
    guest.until(|_| client.read_to_end(&mut said).ok());
    assert_eq!(said, b"hello host");
}

#[test]
fn datagrams_go_to_the_host_and_only_who_was_asked_answers_from_whatever_port() {
    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut guest = Guest::new(User::open(&[]).unwrap());
    let mut socket = udp_socket();
    socket.bind(5000).unwrap();
    let port = server.local_addr().unwrap().port();
    socket.send_slice(&[7; 1000], IpEndpoint::from((GATEWAY, port))).unwrap();
    let handle = guest.sockets.add(socket);
    guest.until(|sockets| (sockets.get::<udp::Socket<'_>>(handle).send_queue() == 0).then_some(()));
    let mut heard = [0; 2000];
    let (length, from) = server.recv_from(&mut heard).unwrap();
    assert_eq!(heard[..length], [7; 1000]);
    let [stranger, other] = ["127.0.0.2:0", "127.0.0.1:0"].map(|at| UdpSocket::bind(at).unwrap());
    for (socket, said) in [(&stranger, &b"I am"[..]), (&other, &[1; 2000]), (&other, b""), (&server, b"here")]
    {
        socket.send_to(said, from).unwrap();
    }
    let mut answers = Vec::new();
    let mut socket = |sockets: &mut SocketSet<'static>| {
        let socket = sockets.get_mut::<udp::Socket<'_>>(handle);
        while let Ok((answer, from)) = socket.recv() {
            answers.push((answer.to_vec(), from.endpoint));
        }
        (answers.len() == 2).then(|| answers.clone())
    };
    let answers = guest.until(&mut socket);
    let from = |socket: &UdpSocket| IpEndpoint::from((GATEWAY, socket.local_addr().unwrap().port()));
    assert_eq!(answers, [(vec![], from(&other)), (b"here".to_vec(), from(&server))]);
}

/// A frame with a datagram of nothing, from this port of the guest.
fn datagram(port: u16, to: Ipv4Address) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0];
    frame.extend([0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0]);
    frame.extend(GUEST.octets());
    frame.extend(to.octets());
    let sum: u32 = frame[14..].chunks(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]]))).sum();
    frame[24..26].copy_from_slice(&(!((sum & 0xffff) + (sum >> 16)) as u16).to_be_bytes());
    frame.extend(port.to_be_bytes());
    // Without a checksum.
    frame.extend([0, 9, 0, 8, 0, 0]);
    frame
}

#[test]
fn ports_that_send_are_limited_and_forgotten_when_they_are_silent() {
    use datagrams::{Datagrams, FLOWS_MAX, SILENCE_MAX};
    let (mut flows, begin) = (Datagrams::default(), Instant::from_secs(1_000));
    assert_eq!(flows.rest(begin), None);
    for number in 0..2 * FLOWS_MAX as u16 {
        flows.send(&datagram(1 + number, GATEWAY), begin + smoltcp::time::Duration::from_secs(number.into()));
    }
    assert_eq!(flows.len(), FLOWS_MAX);
    let oldest = begin + smoltcp::time::Duration::from_secs(FLOWS_MAX as u64);
    assert_eq!(flows.rest(oldest), Some(SILENCE_MAX));
    flows.work(oldest + SILENCE_MAX, |_| panic!("nobody answers"));
    assert_eq!(flows.len(), FLOWS_MAX - 1, "the one that has been silent the longest");
    flows.work(oldest + SILENCE_MAX * 2, |_| panic!("nobody answers"));
    assert_eq!(flows.len(), 0);
    for to in
        [RESOLVER, Ipv4Address::new(127, 0, 0, 1), Ipv4Address::BROADCAST, Ipv4Address::new(224, 0, 0, 1)]
    {
        flows.send(&datagram(1, to), begin);
    }
    let mut fragment = datagram(1, GATEWAY);
    fragment[20] = 0x20;
    flows.send(&fragment, begin);
    assert_eq!(flows.len(), 0, "nobody there is to be reached");
}

#[test]
fn questions_go_to_the_hosts_resolver() {
    let resolver = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut user = User::open(&[]).unwrap();
    user.resolver = Some(resolver.local_addr().unwrap());
    let mut guest = Guest::new(user);
    let mut socket = udp_socket();
    socket.bind(5000).unwrap();
    socket.send_slice(b"where?", IpEndpoint::from((RESOLVER, DNS_PORT))).unwrap();
    let handle = guest.sockets.add(socket);
    guest.until(|sockets| (sockets.get::<udp::Socket<'_>>(handle).send_queue() == 0).then_some(()));
    let mut question = [0; 100];
    let (length, from) = resolver.recv_from(&mut question).unwrap();
    assert_eq!(question[..length], *b"where?");
    resolver.send_to(b"there", from).unwrap();
    let answer = guest.until(|sockets| {
        let socket = sockets.get_mut::<udp::Socket<'_>>(handle);
        socket.recv().ok().map(|(answer, from)| (answer.to_vec(), from.endpoint))
    });
    assert_eq!(answer, (b"there".to_vec(), IpEndpoint::from((RESOLVER, DNS_PORT))));
}

/// A client's message, and the kind of the answer and the address in it.
fn lease(kind: DhcpMessageType, wanted: Option<Ipv4Address>) -> Option<(DhcpMessageType, Ipv4Address)> {
    let asked = DhcpRepr {
        message_type: kind,
        transaction_id: 77,
        secs: 0,
        client_hardware_address: EthernetAddress([2, 0, 0, 0, 0, 1]),
        client_ip: Ipv4Address::UNSPECIFIED,
        your_ip: Ipv4Address::UNSPECIFIED,
        server_ip: Ipv4Address::UNSPECIFIED,
        router: None,
        subnet_mask: None,
        relay_agent_ip: Ipv4Address::UNSPECIFIED,
        broadcast: false,
        requested_ip: wanted,
        client_identifier: None,
        server_identifier: None,
        parameter_request_list: None,
        dns_servers: None,
        max_size: None,
        lease_duration: None,
        renew_duration: None,
        rebind_duration: None,
        additional_options: &[],
    };
    let mut bytes = vec![0; asked.buffer_len()];
    asked.emit(&mut DhcpPacket::new_unchecked(&mut bytes)).unwrap();
    let answer = dhcp::answer(&bytes)?;
    let answer = DhcpPacket::new_checked(&answer[..]).unwrap();
    let answer = DhcpRepr::parse(&answer).unwrap();
    assert_eq!(answer.transaction_id, 77);
    assert_eq!(answer.server_identifier, Some(GATEWAY));
    Some((answer.message_type, answer.your_ip))
}

#[test]
fn there_is_one_address_to_be_had() {
    use DhcpMessageType::*;
    assert_eq!(lease(Discover, None), Some((Offer, GUEST)));
    assert_eq!(lease(Request, Some(GUEST)), Some((Ack, GUEST)));
    assert_eq!(lease(Request, Some(RESOLVER)), Some((Nak, Ipv4Address::UNSPECIFIED)));
    assert_eq!(lease(Release, None), None);
    assert!(dhcp::answer(&[0; 300]).is_none());
}

#[test]
fn a_client_without_an_address_is_answered() {
    let mut guest = Guest::new(User::open(&[]).unwrap());
    guest.interface.update_ip_addrs(|all| all.clear());
    let asked = [&[1, 1, 6, 0, 0, 0, 0, 77][..], &[0; 228], &[99, 130, 83, 99, 53, 1, 1, 255]].concat();
    let mut frame = vec![0xff; 6];
    frame.extend([2, 0, 0, 0, 0, 1, 8, 0]);
    let length = 20 + 8 + asked.len() as u16;
    let mut header = vec![0x45, 0];
    header.extend(length.to_be_bytes());
    header.extend([0, 0, 0, 0, 64, 17, 0, 0, 0, 0, 0, 0, 255, 255, 255, 255]);
    let sum = header.chunks(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]]))).sum::<u32>();
    let sum = !((sum & 0xffff) + (sum >> 16)) as u16;
    header[10..12].copy_from_slice(&sum.to_be_bytes());
    frame.extend(header);
    frame.extend([0, 68, 0, 67]);
    frame.extend((length - 20).to_be_bytes());
    frame.extend([0, 0]);
    frame.extend(&asked);
    guest.card.cable.send(&frame);
    let answer = guest.card.frames.recv().unwrap();
    assert_eq!(answer[..6], [0xff; 6], "to all, as the client has no address yet");
    let message = DhcpPacket::new_checked(&answer[14 + 28..]).unwrap();
    assert_eq!((message.transaction_id(), message.your_ip()), (77, GUEST));
}

#[test]
fn any_frame_does_no_harm() {
    let mut gateway = Gateway::new(None);
    let mut state = 0x1234_5678_9abc_def1_u64;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    for _ in 0..20_000 {
        let mut frame: Vec<u8> = (0..random() % 100).map(|_| random() as u8).collect();
        if frame.len() > 30 {
            frame[12..14].copy_from_slice(&[[8, 0], [8, 6], [8, 0]][random() as usize % 3]);
            frame[14] = 0x45;
            frame[23] = [1, 6, 17, 2][random() as usize % 4];
            // No server of the host is bothered.
            if let Some(to) = frame.get_mut(30..34) {
                to.copy_from_slice(&[10, 0, 2, random() as u8 | 1]);
            }
        }
        gateway.receive(frame);
        gateway.work(|_| {});
    }
}

#[test]
fn the_first_resolver_with_an_address_of_version_4_is_asked() {
    let text = "# nameserver 1.1.1.1\nsearch a b\nnameserver ::1\nnameserver\t9.8.7.6 \nnameserver 1.2.3.4\n";
    assert_eq!(resolver(text), Some("9.8.7.6:53".parse().unwrap()));
    assert_eq!(resolver("nameserver\noptions edns0\n"), None);
}
