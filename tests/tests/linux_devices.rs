//! Debian's kernel with devices that have another end on the host: networks, folders, drives, a second console, a clock. What
//! comes from there is recorded, and a replay has none of it: networks are gone by then, files are changed, and folders empty.

use cantus::{Captured, ClockPolicy, Drive, Forward, Guest, GuestFile, Input, Keyboard, Options, Peripheral};
use cantus::{Peripherals, Typed, Typist, Wire};
use cantus_tests::host::{DatagramServer, Server, checksum, fetch};
use cantus_tests::linux::{debian, record, verify};
use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc::{Receiver, Sender, channel};

/// Bytes of a file that a server of the host has.
const FILE_BYTES: u32 = 300_000;
/// Bytes of it that another one gives by datagrams.
const DATAGRAMS_BYTES: usize = 20_000;
/// How many bits of the address of a tap device are the network's.
const TAP_BITS: u8 = 30;
/// Bytes of the drive, and where the guest writes and discards: so many bytes from there.
const DRIVE_BYTES: usize = 8 << 20;
const WRITTEN_FROM: usize = 1 << 20;
const DISCARDED_FROM: usize = 4 << 20;
const PART_BYTES: usize = 1 << 20;

/// Runs two things at once.
#[expect(
    clippy::disallowed_methods,
    reason = "two ends of a wire; what a guest gets from the other one is recorded"
)]
fn both<T: Send, U>(one: impl FnOnce() -> T + Send, other: impl FnOnce() -> U) -> (T, U) {
    std::thread::scope(|scope| {
        let one = scope.spawn(one);
        let other = other();
        (one.join().expect("it has said why"), other)
    })
}

/// A guest on two cores that does these things with these devices.
fn guest(works: &str, slots: Vec<Peripheral>, is_legacy: bool) -> (Guest, Options, Captured) {
    let (guest, options, console) = debian(2, &format!("devices:{works}"));
    let peripherals = Peripherals { slots, is_legacy };
    (guest, Options { ram_bytes: 512 << 20, peripherals, ..options }, console)
}

fn card(number: u8, wire: Wire) -> Peripheral {
    Peripheral::Network { address: [0x52, 0x54, 0, 0x12, 0x34, number], wire }
}

/// Somebody who types a line as soon as the guest says that it reads.
struct Hand(Receiver<()>);

impl Keyboard for Hand {
    fn next(&mut self) -> Option<Typed> {
        self.0.recv().ok()?;
        Some(Typed::Bytes(b"typed\n".to_vec()))
    }
}

/// Console input, and what makes it come.
fn hand() -> (Input, Sender<()>) {
    let (sender, receiver) = channel();
    (Input::Typed(Typist::new(Hand(receiver))), sender)
}

/// What the server answers where that is the same for all guests.
fn content(name: &str, reads: &Sender<()>) -> Vec<u8> {
    match name {
        "file" => contents(),
        // A guest that has ended hears nothing any more.
        "typing" => {
            let _ = reads.send(());
            b"now".to_vec()
        }
        _ => Vec::new(),
    }
}

fn contents() -> Vec<u8> {
    (0..FILE_BYTES).map(|at| (at.wrapping_mul(at) >> 7) as u8).collect()
}

/// The value of the line that begins with this word.
fn line<'a>(console: &'a str, word: &str) -> &'a str {
    let line = console.lines().find_map(|line| line.strip_prefix(word));
    line.unwrap_or_else(|| panic!("no line {word:?}:\n{console}")).trim()
}

fn assert_done(console: &str, works: &str) {
    for work in works.split(',') {
        assert_eq!(line(console, &format!("DEVICE {work} ")), "rc=0", "{work}:\n{console}");
    }
}

/// A drive full of the letter a, in this file.
fn drive(file: &Path, write_through: bool) -> Peripheral {
    fs::write(file, vec![b'a'; DRIVE_BYTES]).unwrap();
    let write_through = write_through.then(|| file.to_owned());
    Peripheral::Drive(Drive { image: GuestFile::open(file).unwrap(), read_only: false, write_through })
}

/// A folder with files of all kinds.
fn shared(at: &Path) -> PathBuf {
    let folder = at.join("shared");
    fs::create_dir_all(folder.join("a folder/deep")).unwrap();
    fs::write(folder.join("small"), "hello\n").unwrap();
    fs::write(folder.join("a folder/deep/large"), contents().repeat(7)).unwrap();
    fs::write(folder.join("a folder/none"), "").unwrap();
    std::os::unix::fs::symlink("small", folder.join("link")).unwrap();
    folder
}

/// Devices of every kind but a network card.
fn devices(folder: &Path, write_through: bool) -> Vec<Peripheral> {
    vec![
        drive(&folder.join("drive"), write_through),
        Peripheral::Share { tag: "home".into(), folder: shared(folder) },
        Peripheral::Console { columns: 100, rows: 40 },
        Peripheral::Entropy,
    ]
}
const WORKS: &str = "drive,share,rng,rtc,performance";

/// What a guest says of these devices; and that the drive's file was written to, or not at all.
fn assert_devices(console: &str, folder: &Path, write_through: bool) {
    let alarm = line(console, "ALARM ");
    assert!(["3 alarm", "4 alarm"].contains(&alarm), "three seconds later, and not at once: {alarm}");
    assert!(line(console, "RNG ").starts_with("virtio_rng.0 "), "{console}");
    let large = checksum(&contents().repeat(7));
    for expected in [
        ".".to_owned(),
        "./a folder".to_owned(),
        "./a folder/deep".to_owned(),
        format!("./a folder/deep/large {large}"),
        format!("./a folder/none {}", checksum(b"")),
        "./link -> small".to_owned(),
        format!("./small {}", checksum(b"hello\n")),
    ] {
        let expected = format!("SHARED {expected}");
        assert!(console.lines().any(|line| line.trim() == expected), "{expected} is missing:\n{console}");
    }
    let file = fs::read(folder.join("drive")).unwrap();
    let at = |from| &file[from..from + PART_BYTES];
    assert_eq!(checksum(at(WRITTEN_FROM)) == line(console, "DRIVE "), write_through, "{console}");
    assert_eq!(at(DISCARDED_FROM).iter().all(|&byte| byte == 0), write_through);
    let changed = file.iter().filter(|&&byte| byte != b'a').count();
    assert!(if write_through { changed <= 2 * PART_BYTES } else { changed == 0 }, "{changed} bytes changed");
}

/// What a guest says of its console.
fn assert_console(console: &str) {
    // That stands in one piece somewhere in what the UART, which is slower, still has to say.
    let (before, after) = console.split_once("said on hvc0").unwrap_or_else(|| panic!("{console}"));
    let uart =
        format!("{before}{}", after.strip_prefix("\r\n").or(after.strip_prefix('\n')).unwrap_or(after));
    assert_eq!(line(&uart, "CONSOLE "), "40 100");
    assert_eq!(line(&uart, "TYPED "), "typed");
}

/// Verifies a trace in whose folder nothing is any more as it was.
fn verify_alone(trace: &Path, folder: &Path) {
    fs::remove_dir_all(folder.join("shared")).unwrap();
    fs::write(folder.join("drive"), "left alone").unwrap();
    verify(trace);
    assert_eq!(fs::read(folder.join("drive")).unwrap(), b"left alone");
}

#[test]
fn two_guests_on_a_hub_send_each_other_files() {
    let folders = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let hub = Wire::Hub(folders[0].path().join("hub"));
    let run = |number: usize, work: &str| {
        let (trace, console) =
            record(guest(work, vec![card(number as u8, hub.clone())], false), folders[number].path());
        assert_done(&console, work);
        (trace, console)
    };
    let ((server, _), (client, said)) = both(|| run(0, "hub_server"), || run(1, "hub_client"));
    assert!(said.contains("3 packets transmitted, 3 packets received"), "{said}");
    fs::remove_dir_all(folders[0].path().join("hub")).unwrap();
    verify(&server);
    verify(&client);
}

#[test]
fn a_network_of_its_own_a_folder_a_drive_and_a_console_are_recorded() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::new(Ipv4Addr::LOCALHOST);
    // A port that is free now.
    let host_port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut slots = devices(folder.path(), false);
    slots.push(card(0, Wire::User(vec![Forward { host_port, guest_port: 80 }])));
    let datagrams = DatagramServer::new().unwrap();
    let works = format!("user,datagrams,console,{WORKS}");
    let (mut guest, options, said) = guest(&works, slots, false);
    let words = &mut guest.kernel.as_mut().expect("it is a kernel").command_line;
    let udp_port = datagrams.address().unwrap().port();
    words.push_str(&format!(" http_port={} udp_port={udp_port}", server.port()));
    let (input, reads) = hand();
    let options = Options { input, ..options };

    let mut served = None;
    let content = |name: &str| {
        if name == "listening" {
            served = Some(fetch(host_port, "file"));
        }
        content(name, &reads)
    };
    let file = &contents()[..DATAGRAMS_BYTES];
    let guest = || {
        let ending = End(&server, Some(&datagrams));
        let recorded = record((guest, options, said), folder.path());
        drop(ending);
        recorded
    };
    let (given, ((), (trace, console))) =
        both(|| datagrams.serve(file), || both(|| server.serve(content), guest));
    given.unwrap();
    assert_done(&console, &works);
    assert_eq!(line(&console, "FETCHED file "), checksum(&contents()));
    assert_eq!(line(&console, "DATAGRAMS "), checksum(file));
    let served = served.expect("the guest has said that it listens").expect("the guest answers");
    assert_eq!(line(&console, "SERVED "), checksum(&served));
    assert_console(&console);
    assert_devices(&console, folder.path(), false);
    drop(server);
    verify_alone(&trace, folder.path());
}

/// Ends servers, whatever happens before.
struct End<'a>(&'a Server, Option<&'a DatagramServer>);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.end();
        if let Some(server) = self.1 {
            // What cannot be reached has ended.
            drop(server.end());
        }
    }
}

/// A tap device, which is gone in the end.
struct Tap {
    name: String,
    /// The host's end of the network; the guest is the next one.
    address: Ipv4Addr,
}

impl Tap {
    /// Where the host lets us make one; if not, why.
    fn new() -> Result<Self, String> {
        // Networks of other runs of this test are others.
        let [.., high, low] = std::process::id().to_be_bytes();
        let address = Ipv4Addr::new(10, 77, high & 0x7f | 0x80, low & 0xfc | 1);
        let tap = Self { name: format!("cantus{}", std::process::id()), address };
        ip(&["tuntap", "add", &tap.name, "mode", "tap"])?;
        ip(&["addr", "add", &format!("{address}/{TAP_BITS}"), "dev", &tap.name])?;
        ip(&["link", "set", &tap.name, "up"])?;
        Ok(tap)
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        // Where it was not made, it need not be taken away.
        drop(ip(&["tuntap", "del", &self.name, "mode", "tap"]));
    }
}

fn ip(arguments: &[&str]) -> Result<(), String> {
    let output = Command::new("ip").args(arguments).output().map_err(|error| format!("ip: {error}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    if output.status.success() { Ok(()) } else { Err(format!("ip {}: {}", arguments.join(" "), said.trim())) }
}

#[test]
fn a_tap_device_and_a_drive_written_through_are_recorded_behind_registers_of_either_layout() {
    let folder = tempfile::tempdir().unwrap();
    let mut slots = devices(folder.path(), true);
    let tap = Tap::new();
    let works = match &tap {
        Ok(tap) => {
            slots.push(card(0, Wire::Tap(tap.name.clone())));
            format!("tap,console,{WORKS}")
        }
        Err(error) => {
            use std::io::Write;
            let note = format!("note: no tap device can be made here, and none is tested: {error}\n");
            // Past the harness, which would keep it to itself.
            drop(std::io::stderr().write_all(note.as_bytes()));
            WORKS.to_owned()
        }
    };
    let host = tap.as_ref().map_or(Ipv4Addr::LOCALHOST, |tap| tap.address);
    let end = Ipv4Addr::from_bits(host.to_bits() + 1);
    let server = Server::new(host);
    let (mut guest, options, said) = guest(&works, slots, true);
    let words = &mut guest.kernel.as_mut().expect("it is a kernel").command_line;
    words.push_str(&format!(" tap_host={host} tap_guest={end}/{TAP_BITS} http_port={}", server.port()));
    // Its alarm is of the host's time, too.
    let clock = ClockPolicy::Host;
    let (input, reads) = hand();
    let options = Options { input, clock, ..options };
    let ((), (trace, console)) = both(
        || server.serve(|name| content(name, &reads)),
        || {
            let ending = End(&server, None);
            let recorded = record((guest, options, said), folder.path());
            drop(ending);
            recorded
        },
    );
    assert_done(&console, &works);
    if tap.is_ok() {
        assert_eq!(line(&console, "FETCHED file "), checksum(&contents()));
        assert_console(&console);
    }
    assert_devices(&console, folder.path(), true);
    drop((server, tap));
    verify_alone(&trace, folder.path());
}
