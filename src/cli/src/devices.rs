//! Devices on the command line: drives, network cards, shared folders, a console, random bytes.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use cantus::{Attachment, Drive, Forward, Peripheral, Peripherals, Wire, network_address};
use clap::Args;

use crate::args::open_file;
use crate::console;
use crate::failure::Failure;

/// Devices over virtio, in slots in the order: drives, network cards, shared folders, console, random bytes.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Devices")]
pub struct DeviceArgs {
    /// A drive with a raw image, which is not changed unless write-through is added; may be given several times
    #[arg(long, value_name = "FILE[,readonly][,write-through]")]
    pub drive: Vec<DriveArg>,
    /// A network card: with a network of its own, on a hub in a folder that several guests share, or a tap device
    ///
    /// user is a network of the guest's own: 10.0.2.15 by DHCP, TCP and UDP through the host, and its resolver.
    /// hostfwd=tcp::HOSTPORT-:GUESTPORT forwards a port of the host's 127.0.0.1 to the guest; may be given several times.
    #[arg(long, value_name = "user[,hostfwd=..]|hub=FOLDER|tap=NAME|none[,mac=ADDRESS]")]
    pub net: Vec<NetArg>,
    /// A folder that the guest may read, by a tag: mount -t 9p -o trans=virtio,version=9p2000.L TAG /mnt
    #[arg(long, value_name = "TAG=FOLDER")]
    pub share: Vec<ShareArg>,
    /// A virtio console that console input goes to, beside the UART: hvc0, or hvc1 where the kernel has one of SBI
    #[arg(long)]
    pub virtio_console: bool,
    /// A source of random bytes
    #[arg(long)]
    pub rng: bool,
    /// Registers as before version 1 of virtio, for guests that know nothing newer
    #[arg(long)]
    pub virtio_legacy: bool,
}

/// `--drive`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DriveArg {
    file: PathBuf,
    read_only: bool,
    write_through: bool,
}

/// `--net`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NetArg {
    wire: Wire,
    address: Option<[u8; 6]>,
}

/// `--share`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ShareArg {
    tag: String,
    folder: PathBuf,
}

impl FromStr for DriveArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut words = text.split(',');
        let file = words.next().filter(|file| !file.is_empty()).ok_or("expected a file")?;
        let mut drive = Self { file: file.into(), read_only: false, write_through: false };
        for word in words {
            match word {
                "readonly" => drive.read_only = true,
                "write-through" => drive.write_through = true,
                "format=raw" => {}
                _ if word.starts_with("format=") => {
                    return Err(format!(
                        "'{word}': images are raw; convert others with qemu-img convert -O raw"
                    ));
                }
                _ => return Err(format!("'{word}' is not known: expected readonly or write-through")),
            }
        }
        if drive.read_only && drive.write_through {
            return Err("what is read-only has no writes to go through".to_owned());
        }
        Ok(drive)
    }
}

impl FromStr for NetArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut words = text.split(',');
        let first = words.next().unwrap_or_default();
        let mut wire = match first.split_once('=') {
            Some(("hub", folder)) if !folder.is_empty() => Wire::Hub(folder.into()),
            Some(("tap", name)) if !name.is_empty() => Wire::Tap(name.to_owned()),
            None if first == "user" => Wire::User(Vec::new()),
            None if first == "none" => Wire::Nothing,
            Some(_) | None => return Err("expected user, hub=FOLDER, tap=NAME or none".to_owned()),
        };
        let mut address = None;
        for word in words {
            if let Wire::User(forwards) = &mut wire
                && let Some(rule) = word.strip_prefix("hostfwd=")
            {
                forwards.push(forward(rule).ok_or_else(|| {
                    format!(
                        "'{rule}' forwards nothing: expected tcp::HOSTPORT-:GUESTPORT, such as tcp::2222-:22"
                    )
                })?);
                continue;
            }
            let mac = word
                .strip_prefix("mac=")
                .ok_or_else(|| format!("'{word}' is not known: expected mac=ADDRESS"))?;
            let bytes = network_address(mac).filter(|bytes| bytes[0] & 1 == 0);
            address = Some(
                bytes.ok_or_else(|| format!("'{mac}' is no address of a card, such as 52:54:00:12:34:56"))?,
            );
        }
        Ok(Self { wire, address })
    }
}

/// What a rule as QEMU's says: `tcp:[127.0.0.1]:HOSTPORT-[10.0.2.15]:GUESTPORT`.
fn forward(rule: &str) -> Option<Forward> {
    let (host, guest) = rule.strip_prefix("tcp:")?.split_once('-')?;
    let port = |end: &str, address: &str| {
        let (named, port) = end.split_once(':')?;
        let port = port.parse::<u16>().ok().filter(|&port| port != 0)?;
        (named.is_empty() || named == address).then_some(port)
    };
    Some(Forward { host_port: port(host, "127.0.0.1")?, guest_port: port(guest, "10.0.2.15")? })
}

impl FromStr for ShareArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (tag, folder) = text.split_once('=').ok_or("expected TAG=FOLDER")?;
        if tag.is_empty() || tag.len() > 255 || tag.contains(',') || folder.is_empty() {
            return Err("expected TAG=FOLDER, with a tag of 1 to 255 bytes without a comma".to_owned());
        }
        Ok(Self { tag: tag.to_owned(), folder: folder.into() })
    }
}

/// Size of the console where there is no terminal that has one.
const COLUMNS: u16 = 80;
const ROWS: u16 = 25;

impl DeviceArgs {
    /// As the session knows them; opens the images.
    pub fn open(&self) -> Result<Peripherals, Failure> {
        let mut slots = Vec::new();
        for drive in &self.drive {
            let image = open_file(&drive.file, "read the drive's image")?;
            let write_through = drive.write_through.then(|| drive.file.clone());
            slots.push(Peripheral::Drive(Drive { image, read_only: drive.read_only, write_through }));
        }
        for (number, net) in (0_u8..).zip(&self.net) {
            // As QEMU numbers its cards.
            let address = net.address.unwrap_or([0x52, 0x54, 0x00, 0x12, 0x34, 0x56_u8.wrapping_add(number)]);
            slots.push(Peripheral::Network { address, wire: net.wire.clone() });
        }
        for share in &self.share {
            require_folder(&share.folder)?;
            slots.push(Peripheral::Share { tag: share.tag.clone(), folder: share.folder.clone() });
        }
        if self.virtio_console {
            let (columns, rows) = console::size().unwrap_or((COLUMNS, ROWS));
            slots.push(Peripheral::Console { columns, rows });
        }
        if self.rng {
            slots.push(Peripheral::Entropy);
        }
        Ok(Peripherals { slots, is_legacy: self.virtio_legacy })
    }
}

impl DeviceArgs {
    /// What is named again for the devices of a recorded machine, and no more.
    pub fn attachments(&self) -> Result<Vec<Attachment>, Failure> {
        let drives = self.drive.iter().map(|drive| Attachment::Drive {
            file: drive.file.clone(),
            read_only: drive.read_only,
            write_through: drive.write_through,
        });
        let cards =
            self.net.iter().map(|net| Attachment::Wire { wire: net.wire.clone(), address: net.address });
        self.share.iter().try_for_each(|share| require_folder(&share.folder))?;
        let shares = self
            .share
            .iter()
            .map(|share| Attachment::Share { tag: share.tag.clone(), folder: share.folder.clone() });
        Ok(drives.chain(cards).chain(shares).collect())
    }

    /// The files of the drives that are named.
    pub fn drive_files(&self) -> impl Iterator<Item = &Path> {
        self.drive.iter().map(|drive| drive.file.as_path())
    }

    /// The same devices without those that need something of the host.
    #[must_use]
    pub fn detached(self) -> Self {
        Self { drive: Vec::new(), net: Vec::new(), share: Vec::new(), ..self }
    }
}

fn require_folder(path: &Path) -> Result<(), Failure> {
    std::fs::read_dir(path).map(|_| ()).map_err(|error| Failure::io(path, "read the shared folder", &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_read() {
        let drive = |text: &str| text.parse::<DriveArg>();
        let plain = DriveArg { file: "disk".into(), read_only: false, write_through: false };
        assert_eq!(drive("disk"), Ok(plain.clone()));
        assert_eq!(drive("disk,readonly"), Ok(DriveArg { read_only: true, ..plain.clone() }));
        assert_eq!(drive("disk,format=raw,write-through"), Ok(DriveArg { write_through: true, ..plain }));
        let net = |text: &str| text.parse::<NetArg>();
        assert_eq!(net("none"), Ok(NetArg { wire: Wire::Nothing, address: None }));
        let address = Some([0x52, 0x54, 0, 0, 0, 0xff]);
        assert_eq!(net("hub=/x,mac=52:54:00:00:00:ff"), Ok(NetArg { wire: Wire::Hub("/x".into()), address }));
        assert_eq!(net("tap=tap0"), Ok(NetArg { wire: Wire::Tap("tap0".into()), address: None }));
        assert_eq!(net("user"), Ok(NetArg { wire: Wire::User(Vec::new()), address: None }));
        let wire = Wire::User(vec![
            Forward { host_port: 2222, guest_port: 22 },
            Forward { host_port: 8080, guest_port: 80 },
        ]);
        let forwarding =
            "user,hostfwd=tcp::2222-:22,mac=52:54:00:00:00:ff,hostfwd=tcp:127.0.0.1:8080-10.0.2.15:80";
        assert_eq!(net(forwarding), Ok(NetArg { wire, address }));
        let share = ShareArg { tag: "a".into(), folder: "b=c".into() };
        assert_eq!("a=b=c".parse::<ShareArg>(), Ok(share));
    }

    #[test]
    fn what_is_no_device_is_refused() {
        for bad in ["", ",readonly", "disk,format=qcow2", "disk,fast", "disk,readonly,write-through"] {
            assert!(bad.parse::<DriveArg>().is_err(), "{bad}");
        }
        for bad in ["", "user=1", "hub", "hub=", "tap=", "none,mac=1", "none,mac=01:00:00:00:00:00", "none,x"]
        {
            assert!(bad.parse::<NetArg>().is_err(), "{bad}");
        }
        for rule in [
            "",
            "tcp::1",
            "tcp::1-:",
            "tcp::0-:1",
            "tcp::1-:65536",
            "udp::1-:1",
            "tcp:0.0.0.0:1-:1",
            "tcp:1-1",
        ] {
            assert!(format!("user,hostfwd={rule}").parse::<NetArg>().is_err(), "{rule}");
        }
        assert!("none,hostfwd=tcp::1-:1".parse::<NetArg>().is_err());
        for bad in ["", "x", "=x", "x=", "a,b=c"] {
            assert!(bad.parse::<ShareArg>().is_err(), "{bad}");
        }
    }
}
