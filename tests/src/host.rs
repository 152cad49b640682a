//! What is at the host's end of a guest's devices in tests: servers on the loopback, and sums of files.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::process::{Command, Stdio};
use std::time::Duration;

/// What a request for this gets the server to end.
const END: &str = "end";

/// A server of files by HTTP, at a port of its own.
pub struct Server {
    listener: TcpListener,
}

impl Server {
    /// A server at this address.
    ///
    /// # Panics
    /// Where the host has no such address.
    pub fn new(address: Ipv4Addr) -> Self {
        let listener = TcpListener::bind((address, 0));
        Self { listener: listener.unwrap_or_else(|error| panic!("{address}: {error}")) }
    }

    /// Its port.
    ///
    /// # Panics
    /// Never: it is bound.
    pub fn port(&self) -> u16 {
        self.listener.local_addr().expect("it is bound").port()
    }

    /// Answers one request after the other with what `content` gives for a name, until [`Server::end`]. Connections that
    /// break off are given up.
    pub fn serve(&self, mut content: impl FnMut(&str) -> Vec<u8>) {
        for stream in self.listener.incoming() {
            let answered = stream.and_then(|stream| answer(&stream, &mut content));
            if matches!(answered, Ok(false)) {
                return;
            }
        }
    }

    /// Ends it.
    ///
    /// # Panics
    /// Where it cannot be reached.
    pub fn end(&self) {
        let address = self.listener.local_addr().expect("it is bound");
        let mut stream = TcpStream::connect(address).expect("it listens");
        // It need not read all of this to end.
        drop(stream.write_all(format!("GET /{END} HTTP/1.0\r\n\r\n").as_bytes()));
    }
}

/// Answers a request, and says whether to go on.
fn answer(mut stream: &TcpStream, content: &mut impl FnMut(&str) -> Vec<u8>) -> io::Result<bool> {
    let mut lines = BufReader::new(stream).lines();
    let first = lines.next().transpose()?.unwrap_or_default();
    let name = first.split(' ').nth(1).unwrap_or_default().trim_start_matches('/').to_owned();
    if name == END {
        return Ok(false);
    }
    for line in lines {
        if line?.is_empty() {
            break;
        }
    }
    let bytes = content(&name);
    write!(stream, "HTTP/1.0 200 OK\r\nContent-Length: {}\r\n\r\n", bytes.len())?;
    stream.write_all(&bytes)?;
    Ok(true)
}

/// A server of a file by TFTP (RFC 1350), at a port of its own.
pub struct DatagramServer {
    socket: UdpSocket,
}

/// Kinds of TFTP's datagrams, and the bytes of a block.
const READ_REQUEST: [u8; 2] = [0, 1];
const DATA: [u8; 2] = [0, 3];
const ACKNOWLEDGEMENT: [u8; 2] = [0, 4];
const BLOCK_BYTES: usize = 512;
/// For how long it waits for a client that has begun.
const SILENCE_MAX: Duration = Duration::from_secs(120);

impl DatagramServer {
    /// A server on the loopback.
    ///
    /// # Errors
    /// Where the host has no more ports.
    pub fn new() -> io::Result<Self> {
        Ok(Self { socket: UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))? })
    }

    /// Where it is.
    ///
    /// # Errors
    /// Never: it is bound.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Gives this to whoever asks for something, until [`DatagramServer::end`].
    ///
    /// # Errors
    /// Where a client has not said for long that something has arrived.
    pub fn serve(&self, content: &[u8]) -> io::Result<()> {
        let mut request = [0; 1024];
        loop {
            let (length, client) = self.socket.recv_from(&mut request)?;
            if request[..length] == *END.as_bytes() {
                return Ok(());
            }
            if request[..length].starts_with(&READ_REQUEST) {
                transfer(client, content)?;
            }
        }
    }

    /// Ends it.
    ///
    /// # Errors
    /// Where it cannot be reached.
    pub fn end(&self) -> io::Result<()> {
        self.socket.send_to(END.as_bytes(), self.address()?).map(drop)
    }
}

/// Sends all to a client, from another port, as the protocol wants it.
fn transfer(client: SocketAddr, content: &[u8]) -> io::Result<()> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    socket.set_read_timeout(Some(SILENCE_MAX))?;
    // A block that is not full is the last one.
    for number in 0..=content.len() / BLOCK_BYTES {
        let block = &content[number * BLOCK_BYTES..content.len().min((number + 1) * BLOCK_BYTES)];
        let label = (number as u16).wrapping_add(1).to_be_bytes();
        let datagram = [&DATA[..], &label, block].concat();
        let mut answer = [0; 4];
        while answer != [ACKNOWLEDGEMENT, label].concat()[..] {
            socket.send_to(&datagram, client)?;
            socket.recv_from(&mut answer)?;
        }
    }
    Ok(())
}

/// Gets a file by HTTP from a port of the loopback.
///
/// # Errors
/// Where nobody listens, or the answer is none.
pub fn fetch(port: u16, name: &str) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    write!(stream, "GET /{name} HTTP/1.0\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let head = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n");
    head.map(|head| answer.split_off(head + 4)).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// What `md5sum` says of these bytes.
///
/// # Panics
/// Where the host has no such program.
pub fn checksum(bytes: &[u8]) -> String {
    let mut program = Command::new("md5sum");
    let child = program.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let mut child = child.expect("md5sum of GNU coreutils");
    // It says nothing before it has read all, and is told so when this end is dropped.
    child.stdin.take().expect("it is a pipe").write_all(bytes).expect("it reads to the end");
    let said = child.wait_with_output().expect("it ends").stdout;
    String::from_utf8_lossy(&said).split(' ').next().unwrap_or_default().to_owned()
}
