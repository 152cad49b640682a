//! What of the host is behind the devices of a recording that goes on from another one.
//!
//! The devices are the trace's; each is a host's again if it is named. A network card gets a wire, and what was on its way is
//! lost, as on any wire. A share gets a folder: which files the guest has open there is not in the trace, but the replay asks
//! for them again, in the same order (`Overhearing`). A drive goes on as it stands; a file that its writes are to go through
//! to has to hold what the drive does, and is brought there if it holds what the drive did when its run began.

use crate::host::folder::{Again, Folder};
use crate::{Error, Peripheral, Wire};
use cantus_devices::virtio::block::SECTOR_BYTES;
use cantus_engine::Host;
use cantus_machine::Board;
use cantus_machine::map::Device;
use cantus_traces::{ContentDigest, DeviceId};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Something of the host for a device that a trace's machine has.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Attachment {
    /// A wire for the next network card.
    Wire {
        /// The wire.
        wire: Wire,
        /// The card's hardware address, to be checked.
        address: Option<[u8; 6]>,
    },
    /// A folder for the share with this tag.
    Share {
        /// The tag.
        tag: String,
        /// The folder.
        folder: PathBuf,
    },
    /// A file for the next drive: its image, or one that its writes go through to.
    Drive {
        /// The file. One that writes go through to is made where there is none.
        file: PathBuf,
        /// Whether the guest may only read the drive, to be checked.
        read_only: bool,
        /// Whether what the guest writes is also written to the file.
        write_through: bool,
    },
}

/// Puts what is named behind the devices of a trace's machine.
///
/// # Errors
/// In words, where there is no such device.
pub(crate) fn attach(slots: &mut [Peripheral], attachments: &[Attachment]) -> Result<(), String> {
    let (mut cards, mut drives) = (0, 0);
    for attachment in attachments {
        match attachment {
            Attachment::Wire { wire: named, address: checked } => {
                let is_card = |slot: &&mut Peripheral| matches!(slot, Peripheral::Network { .. });
                let card = slots.iter_mut().filter(is_card).nth(cards);
                let Some(Peripheral::Network { address, wire }) = card else {
                    return Err(format!(
                        "its machine has {}, and one more is given",
                        count(cards, "network card")
                    ));
                };
                if let Some(checked) = checked.filter(|checked| checked != address) {
                    let words = |address: [u8; 6]| address.map(|byte| format!("{byte:02x}")).join(":");
                    let (expected, came) = (words(*address), words(checked));
                    return Err(format!("network card {cards} has the address {expected}, not {came}"));
                }
                *wire = named.clone();
                cards += 1;
            }
            Attachment::Share { tag: named, folder: given } => {
                let mut shares = Vec::new();
                for slot in &mut *slots {
                    if let Peripheral::Share { tag, folder } = slot {
                        shares.push((tag.clone(), folder));
                    }
                }
                let tags: Vec<_> = shares.iter().map(|(tag, _)| format!("'{tag}'")).collect();
                match shares.into_iter().find(|(tag, _)| tag == named) {
                    Some((_, folder)) => *folder = given.clone(),
                    None if tags.is_empty() => return Err("its machine has no share".into()),
                    None => {
                        return Err(format!("its machine has no share '{named}', but {}", tags.join(", ")));
                    }
                }
            }
            Attachment::Drive { file, read_only, write_through } => {
                let is_drive = |slot: &&mut Peripheral| matches!(slot, Peripheral::Drive(_));
                let Some(Peripheral::Drive(drive)) = slots.iter_mut().filter(is_drive).nth(drives) else {
                    return Err(format!("its machine has {}, and one more is given", count(drives, "drive")));
                };
                if drive.read_only && *write_through {
                    return Err(format!("drive {drives} is read-only, and has no writes to go through"));
                }
                if !drive.read_only && *read_only {
                    return Err(format!("drive {drives} is not read-only"));
                }
                if *write_through {
                    drive.write_through = Some(file.clone());
                } else {
                    require_image(file, &drive.image.bytes)
                        .map_err(|why| format!("drive {drives}: {why}"))?;
                }
                drives += 1;
            }
        }
    }
    Ok(())
}

fn count(number: usize, what: &str) -> String {
    match number {
        0 => format!("no {what}"),
        1 => format!("one {what}"),
        _ => format!("{number} {what}s"),
    }
}

/// A file that is named as a drive's image has to be that.
fn require_image(file: &Path, image: &[u8]) -> Result<(), String> {
    let bytes = fs::read(file).map_err(|error| format!("{}: {error}", file.display()))?;
    if bytes == image {
        return Ok(());
    }
    let (expected, came) = (ContentDigest::of(image), ContentDigest::of(&bytes));
    Err(format!("{} has the digest {came}; its run began with an image of digest {expected}", file.display()))
}

/// The folders of a machine's shares, while its run is replayed: whatever the guest asks for, it asks them, so that it has
/// the same files open in them afterwards.
pub(crate) struct Overhearing(Mutex<BTreeMap<u8, Again>>);

impl Overhearing {
    /// Those of the shares that have one.
    ///
    /// # Errors
    /// Where a folder cannot be opened.
    pub(crate) fn new(slots: &[Peripheral]) -> Result<Arc<Self>, Error> {
        let mut folders = BTreeMap::new();
        for (number, slot) in (0_u8..).zip(slots) {
            if let Peripheral::Share { folder, .. } = slot
                && !folder.as_os_str().is_empty()
            {
                folders.insert(number, Again::new(Folder::open(folder)?));
            }
        }
        Ok(Arc::new(Self(Mutex::new(folders))))
    }

    /// Whether no share has a folder.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.lock().is_empty()
    }

    /// The folders, as the guest has opened files in them, by slot.
    ///
    /// # Errors
    /// In words, where something that the guest has open in one is not there any more.
    pub(crate) fn finish(&self) -> Result<BTreeMap<u8, Folder>, String> {
        let folders =
            std::mem::take(&mut *self.0.lock()).into_iter().map(|(slot, again)| Ok((slot, again.finish()?)));
        folders
            .collect::<Result<_, String>>()
            .map_err(|what| format!("its share has to have {what} again, and has not"))
    }
}

impl Host for Overhearing {
    fn answer(&self, _: DeviceId, _: &[u8]) -> Vec<u8> {
        Vec::new()
    }

    fn told(&self, _: DeviceId, _: &[u8]) {}

    fn overheard(&self, device: DeviceId, question: &[u8], answer: &[u8]) {
        if let Some(Device::Virtio(slot)) = Device::of(device)
            && let Some(again) = self.0.lock().get(&slot)
        {
            again.ask(question, answer);
        }
    }
}

/// Brings the file that a drive's writes go through to where the drive is.
///
/// # Errors
/// In words, where the file holds something that is not the drive's, or cannot be written.
pub(crate) fn bring_up_to_date(path: &Path, image: &[u8], board: &Board, slot: u8) -> Result<(), String> {
    let told = |error: io::Error| format!("{}: {error}", path.display());
    let mut changes = BTreeMap::new();
    board.drive_changes(slot, &mut |offset, bytes| {
        changes.insert(offset, bytes.to_vec());
    });
    let file = match File::options().read(true).write(true).open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let file = File::options().read(true).write(true).create_new(true).open(path).map_err(told)?;
            file.write_all_at(image, 0).map_err(told)?;
            file
        }
        Err(error) => return Err(told(error)),
        Ok(file) => {
            let mut held = vec![0; image.len()];
            let is_as_long = file.metadata().map_err(told)?.len()
                <= image.len().next_multiple_of(SECTOR_BYTES as usize) as u64
                && file.read_exact_at(&mut held, 0).is_ok();
            let mut now = image.to_vec();
            for (offset, bytes) in &changes {
                // The last sector may be longer than what the image has of it.
                let offset = (*offset as usize).min(now.len());
                let room = bytes.len().min(now.len() - offset);
                now[offset..offset + room].copy_from_slice(&bytes[..room]);
            }
            if !is_as_long || (held != image && held != now) {
                return Err(format!(
                    "{} holds neither what the drive did when its run began nor what it does at the moment; \
                     give a copy of the image, or a file that is not there yet",
                    path.display()
                ));
            }
            file
        }
    };
    for (offset, bytes) in &changes {
        file.write_all_at(bytes, *offset).map_err(told)?;
    }
    file.sync_data().map_err(told)
}
