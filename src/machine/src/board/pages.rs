//! Pages of devices' state: which there are, their digests, and which have changed. What has not changed is not looked at.

use super::Board;
use cantus_devices::{PAGE_BYTES, StateError};
use cantus_traces::ContentDigest;
use cantus_traces::limits::DEVICE_PAGES;
use std::collections::{BTreeMap, BTreeSet};

/// A device's pages are so far from the next one's.
const PAGES_OF_A_DEVICE: u64 = 1 << 40;

/// All pages that were ever written, by their numbers in checkpoints: those of the slots, one behind the other.
#[derive(Default)]
pub(super) struct Pages {
    digests: BTreeMap<u64, ContentDigest>,
    /// Those that were written since the last checkpoint.
    changed: BTreeSet<u64>,
}

/// The number of a page in checkpoints.
fn number(slot: usize, page: u64) -> u64 {
    DEVICE_PAGES + slot as u64 * PAGES_OF_A_DEVICE + page
}

/// The slot of a page, and its number there.
fn place(number: u64) -> Option<(usize, u64)> {
    let behind = number.checked_sub(DEVICE_PAGES)?;
    Some(((behind / PAGES_OF_A_DEVICE) as usize, behind % PAGES_OF_A_DEVICE))
}

impl Board {
    /// Brings the digests up to date.
    fn look_at_pages(&self) {
        let mut pages = self.pages.lock();
        let mut bytes = [0; PAGE_BYTES];
        for (slot, device) in self.virtio.iter().enumerate() {
            for page in device.tidy(|device| device.take_written_pages()) {
                device.look(|device| device.load_page(page, &mut bytes));
                let number = number(slot, page);
                pages.digests.insert(number, ContentDigest::of(&bytes));
                pages.changed.insert(number);
            }
        }
    }

    /// Gives the digests of all pages of devices, ascending by their numbers in checkpoints. To be asked for when no core
    /// runs.
    pub fn page_digests(&self, mut give: impl FnMut(u64, ContentDigest)) {
        self.look_at_pages();
        self.pages.lock().digests.iter().for_each(|(&number, &digest)| give(number, digest));
    }

    /// The numbers of the pages that were written since this was asked last; or of all. To be asked for when no core runs.
    pub fn take_changed_pages(&self, all: bool) -> Vec<u64> {
        self.look_at_pages();
        let mut pages = self.pages.lock();
        let changed = std::mem::take(&mut pages.changed);
        if all { pages.digests.keys().copied().collect() } else { changed.into_iter().collect() }
    }

    /// What a page holds; zeroes where there is none of this number.
    pub fn load_page(&self, number: u64) -> [u8; PAGE_BYTES] {
        let mut bytes = [0; PAGE_BYTES];
        if let Some((slot, page)) = place(number)
            && let Some(device) = self.virtio.get(slot)
        {
            device.look(|device| device.load_page(page, &mut bytes));
        }
        bytes
    }

    /// Takes over a page of a checkpoint, after its other state.
    ///
    /// # Errors
    /// Where the board has no such page.
    pub fn store_page(&self, number: u64, bytes: &[u8; PAGE_BYTES]) -> Result<(), StateError> {
        let unknown = StateError::Page { device: "the board", number };
        let (slot, page) = place(number).ok_or(unknown.clone())?;
        let device = self.virtio.get(slot).ok_or(unknown)?;
        device.restore(|device| device.store_page(page, bytes))?;
        self.pages.lock().digests.insert(number, ContentDigest::of(bytes));
        Ok(())
    }
}
