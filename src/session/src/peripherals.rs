//! The devices of a guest that not every guest has: what is in its virtio slots, and what of the host is behind them.

use crate::{Error, GuestFile};
use cantus_devices::virtio::block::{self, ID_BYTES};
use cantus_devices::virtio::registers::Layout;
use cantus_machine::{Peripheral as Slot, Peripherals as Slots};
use cantus_traces::{Image, ImageRole, Setting, Trace};
use std::path::PathBuf;
use std::sync::Arc;

/// A device in a virtio slot.
#[derive(Clone)]
pub enum Peripheral {
    /// A drive.
    Drive(Drive),
    /// A console beside the UART. Input goes to it.
    Console {
        /// Its width in characters.
        columns: u16,
        /// Its height in lines.
        rows: u16,
    },
    /// A network card.
    Network {
        /// Its hardware address.
        address: [u8; 6],
        /// What it is connected to.
        wire: Wire,
    },
    /// A source of random bytes: the host's, or under the virtual clock ones that follow from the seed.
    Entropy,
    /// A folder of the host, which the guest can mount (9P2000.L) and read.
    Share {
        /// The name to mount it by.
        tag: String,
        /// The folder.
        folder: PathBuf,
    },
}

/// A drive and its image.
#[derive(Clone)]
pub struct Drive {
    /// What it holds at first: a raw image, which is never changed by itself.
    pub image: GuestFile,
    /// Whether the guest may only read it.
    pub read_only: bool,
    /// The file that what the guest writes is also written to.
    pub write_through: Option<PathBuf>,
}

/// What a network card is connected to.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Wire {
    /// Nothing: what the guest sends is lost.
    #[default]
    Nothing,
    /// All guests whose hub is this folder.
    Hub(PathBuf),
    /// A tap device of the host.
    Tap(String),
    /// A network of the guest's own: 10.0.2.15 by DHCP, from which it gets out by TCP and UDP and asks the host's resolver.
    /// The host gets in where it forwards.
    User(Vec<Forward>),
}

/// A port of the host's 127.0.0.1 that stands for a port of the guest.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Forward {
    /// The host's.
    pub host_port: u16,
    /// The guest's.
    pub guest_port: u16,
}

/// Names of the settings of a trace's machine, and words in their values.
const SETTING: &str = "virtio";
const LAYOUT: &str = "virtio-layout";
const LEGACY: &str = "legacy";

impl Peripheral {
    /// As a trace says it. Drives' images are images of the trace, in the same order.
    fn to_words(&self) -> String {
        match self {
            Peripheral::Drive(drive) if drive.read_only => "drive,readonly".into(),
            Peripheral::Drive(_) => "drive".into(),
            Peripheral::Console { columns, rows } => format!("console,{columns},{rows}"),
            Peripheral::Network { address, .. } => {
                format!("network,{}", address.map(|byte| format!("{byte:02x}")).join(":"))
            }
            Peripheral::Entropy => "entropy".into(),
            Peripheral::Share { tag, .. } => format!("share,{tag}"),
        }
    }

    /// What a trace says. Nothing of the host is behind it.
    fn of_words(
        words: &str,
        mut image: impl FnMut() -> Result<GuestFile, Error>,
    ) -> Result<Option<Self>, Error> {
        let (kind, rest) = words.split_once(',').unwrap_or((words, ""));
        Ok(match kind {
            "drive" => {
                let read_only = rest == "readonly";
                Some(Peripheral::Drive(Drive { image: image()?, read_only, write_through: None }))
            }
            "console" => rest.split_once(',').and_then(|(columns, rows)| {
                Some(Peripheral::Console { columns: columns.parse().ok()?, rows: rows.parse().ok()? })
            }),
            "network" => {
                network_address(rest).map(|address| Peripheral::Network { address, wire: Wire::Nothing })
            }
            "entropy" => Some(Peripheral::Entropy),
            "share" => Some(Peripheral::Share { tag: rest.to_owned(), folder: PathBuf::new() }),
            _ => None,
        })
    }

    /// As the machine knows it.
    fn slot(&self, number: usize) -> Slot {
        match self {
            Peripheral::Drive(drive) => {
                let mut id = [0; ID_BYTES];
                let text = format!("cantus-drive-{number}");
                id[..text.len()].copy_from_slice(text.as_bytes());
                Slot::Drive(block::Drive {
                    image: Arc::new(drive.image.bytes.clone()),
                    read_only: drive.read_only,
                    write_through: drive.write_through.is_some(),
                    id,
                })
            }
            Peripheral::Console { columns, rows } => Slot::Console(*columns, *rows),
            Peripheral::Network { address, .. } => Slot::Network(*address),
            Peripheral::Entropy => Slot::Entropy,
            Peripheral::Share { tag, .. } => Slot::Share(tag.clone()),
        }
    }
}

/// A hardware address from its six hexadecimal bytes.
pub fn network_address(text: &str) -> Option<[u8; 6]> {
    let bytes: Vec<u8> = text
        .split(':')
        .map(|byte| u8::from_str_radix(byte, 16).ok().filter(|_| byte.len() == 2))
        .collect::<Option<_>>()?;
    bytes.try_into().ok()
}

/// All devices of a guest.
#[derive(Clone, Default)]
pub struct Peripherals {
    /// By slot, at most eight.
    pub slots: Vec<Peripheral>,
    /// Whether their registers have the layout from before version 1 of virtio, for guests that know nothing newer.
    pub is_legacy: bool,
}

impl Peripherals {
    /// The drives, in the order of the slots.
    pub(crate) fn drives(&self) -> impl Iterator<Item = &Drive> {
        self.slots.iter().filter_map(|slot| match slot {
            Peripheral::Drive(drive) => Some(drive),
            Peripheral::Console { .. }
            | Peripheral::Network { .. }
            | Peripheral::Entropy
            | Peripheral::Share { .. } => None,
        })
    }

    /// What a replay must know of them.
    pub(crate) fn settings(&self) -> impl Iterator<Item = Setting> {
        let setting = |name: &str, value: String| Setting { name: name.into(), value };
        let layout = self.is_legacy.then(|| setting(LAYOUT, LEGACY.into()));
        let slots = self.slots.iter().map(move |slot| setting(SETTING, slot.to_words()));
        layout.into_iter().chain(slots)
    }

    /// Those of a trace's machine; `file` reads an image of the trace.
    pub(crate) fn of_trace(
        trace: &Trace,
        mut file: impl FnMut(usize, &Image) -> Result<GuestFile, Error>,
    ) -> Result<Self, Error> {
        let header = trace.header();
        let mut drives = header.images.iter().enumerate().filter(|(_, image)| image.role == ImageRole::Drive);
        let mut peripherals = Self::default();
        for Setting { name, value } in &header.configuration.settings {
            let unknown =
                || Error::Setting { path: trace.path().to_owned(), name: name.clone(), value: value.clone() };
            match name.as_str() {
                LAYOUT if value == LEGACY => peripherals.is_legacy = true,
                SETTING => {
                    let image =
                        || drives.next().map_or_else(|| Err(unknown()), |(at, image)| file(at, image));
                    peripherals.slots.push(Peripheral::of_words(value, image)?.ok_or_else(unknown)?);
                }
                _ => {}
            }
        }
        Ok(peripherals)
    }

    /// As the machine knows them.
    pub(crate) fn machine(&self) -> Result<Slots, Error> {
        let layout = if self.is_legacy { Layout::Legacy } else { Layout::Modern };
        let slots = self.slots.iter().enumerate().map(|(number, slot)| slot.slot(number)).collect();
        Ok(Slots::new(layout, slots)?)
    }

    /// The slot that console input goes to, where there is a console.
    pub(crate) fn console(&self) -> Option<u8> {
        let at = self.slots.iter().position(|slot| matches!(slot, Peripheral::Console { .. }))?;
        u8::try_from(at).ok()
    }
}
