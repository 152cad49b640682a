//! The host behind a live guest's devices: random bytes, time, files, the wires of network cards.
//!
//! What devices are told here is in the trace where the guest can see it; a replay asks nobody.

pub(crate) mod drive;
pub(crate) mod folder;
pub(crate) mod network;
pub(crate) mod random;

use crate::{ClockPolicy, Error, Options, Peripheral, Warnings};
use cantus_engine::{self as engine, Outside};
use cantus_machine::Board;
use cantus_machine::map::Device;
use cantus_traces::DeviceId;
use drive::File;
use folder::Folder;
use network::{Cable, Carrier};
use parking_lot::Mutex;
use random::Random;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What is behind the device of one slot.
enum Behind {
    Nothing,
    File(File),
    Folder(Folder),
    Wire(Arc<Cable>),
    Random(Mutex<Random>),
}

/// The host of one live guest.
pub(crate) struct Host {
    slots: Vec<Behind>,
    /// Nanoseconds since 1970 at which the guest's real-time clock begins.
    time: u64,
    warnings: Warnings,
}

/// When a guest's real-time clock begins under the virtual clock: 2026-01-01, 00:00 UTC, so that runs are the same.
const VIRTUAL_TIME: u64 = 1_767_225_600 * 1_000_000_000;

impl Host {
    /// The host that the options ask for.
    ///
    /// # Errors
    /// Where something of the host is not there.
    pub(crate) fn new(options: &Options) -> Result<Arc<Self>, Error> {
        Self::with_folders(options, BTreeMap::new())
    }

    /// The same, with folders in some slots in which the guest has files open already.
    pub(crate) fn with_folders(
        options: &Options,
        mut folders: BTreeMap<u8, Folder>,
    ) -> Result<Arc<Self>, Error> {
        let slots =
            (0_u8..).zip(&options.peripherals.slots).map(|(number, slot)| match folders.remove(&number) {
                Some(folder) => Ok(Behind::Folder(folder)),
                None => Behind::new(slot, options),
            });
        let time = match options.clock {
            ClockPolicy::Host => unix_time(),
            ClockPolicy::Virtual => VIRTUAL_TIME,
        };
        let (slots, warnings) = (slots.collect::<Result<_, _>>()?, options.warnings.clone());
        Ok(Arc::new(Self { slots, time, warnings }))
    }

    /// Begins to bring what comes from outside, until what is returned is dropped.
    ///
    /// # Errors
    /// Where the host has not what it takes.
    pub(crate) fn start(&self, outside: &Arc<Outside>, board: &Arc<Board>) -> Result<Vec<Carrier>, Error> {
        let mut carriers = Vec::new();
        for (slot, behind) in (0_u8..).zip(&self.slots) {
            if let Behind::Wire(cable) = behind {
                let card = Device::Virtio(slot).id();
                carriers.push(cable.start(card, outside, board)?);
            }
        }
        Ok(carriers)
    }

    /// The first thing that has gone wrong while the guest ran, if something has.
    pub(crate) fn failure(&self) -> Option<Error> {
        self.slots.iter().find_map(|slot| match slot {
            Behind::File(file) => file.failure(),
            Behind::Nothing | Behind::Folder(_) | Behind::Wire(_) | Behind::Random(_) => None,
        })
    }

    fn behind(&self, device: DeviceId) -> &Behind {
        match Device::of(device) {
            Some(Device::Virtio(slot)) => self.slots.get(usize::from(slot)).unwrap_or(&Behind::Nothing),
            _ => &Behind::Nothing,
        }
    }
}

/// Nanoseconds since 1970.
#[expect(clippy::disallowed_methods, reason = "what the host's clock says is logged as the device's answer")]
fn unix_time() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| since.as_nanos() as u64)
}

impl Behind {
    fn new(slot: &Peripheral, options: &Options) -> Result<Self, Error> {
        Ok(match slot {
            Peripheral::Drive(drive) => match &drive.write_through {
                Some(path) => Behind::File(File::open(path)?),
                None => Behind::Nothing,
            },
            Peripheral::Entropy => Behind::Random(Mutex::new(Random::new(options)?)),
            // One of a trace's machine has no folder.
            Peripheral::Share { folder, .. } if folder.as_os_str().is_empty() => Behind::Nothing,
            Peripheral::Share { folder, .. } => Behind::Folder(Folder::open(folder)?),
            Peripheral::Network { wire, .. } => Cable::new(wire)?.map_or(Behind::Nothing, Behind::Wire),
            Peripheral::Console { .. } => Behind::Nothing,
        })
    }
}

/// The engine's view of it.
pub(crate) struct Answers(pub(crate) Arc<Host>);

impl engine::Host for Answers {
    fn answer(&self, device: DeviceId, question: &[u8]) -> Vec<u8> {
        if device == Device::Rtc.id() {
            return self.0.time.to_le_bytes().to_vec();
        }
        match self.0.behind(device) {
            Behind::Random(random) => {
                let wanted = question.try_into().map_or(0, u32::from_le_bytes);
                random.lock().bytes(wanted as usize)
            }
            Behind::Folder(folder) => folder.answer(question),
            Behind::File(_) | Behind::Wire(_) | Behind::Nothing => Vec::new(),
        }
    }

    fn warned(&self, device: DeviceId, what: &str) {
        self.0.warnings.warn(device, what);
    }

    fn told(&self, device: DeviceId, message: &[u8]) {
        match self.0.behind(device) {
            Behind::File(file) => file.told(message),
            Behind::Wire(cable) => cable.send(message),
            Behind::Folder(_) | Behind::Random(_) | Behind::Nothing => {}
        }
    }
}
