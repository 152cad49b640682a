//! What a build puts into a machine beside the files that it is started with: by this a trace can tell the builds apart
//! that replay it from those that cannot.

use crate::Board;
use cantus_traces::{Digest, DigestHasher};
use std::ops::Range;

/// Digests of what is the build's own in a machine before its first step. Where one of them differs, so does memory or a
/// device, and no run from the beginning is the same.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Makeup {
    /// Of the firmware, if there is any, and of what it is told: bytes and where they are.
    pub firmware: Option<Digest>,
    /// Of the device tree, which has the memory map: its bytes and where it is.
    pub device_tree: Digest,
    /// Of the state of all devices after a reset.
    pub devices: Digest,
}

impl Makeup {
    /// Of a machine with these devices, and these pieces in memory: where each lies, and its first bytes.
    pub(crate) fn new<'a>(
        firmware: impl Iterator<Item = (&'a Range<u64>, &'a [u8])>,
        device_tree: (&Range<u64>, &[u8]),
        board: &Board,
    ) -> Self {
        let mut state = Vec::new();
        board.write_state(&mut state);
        let mut firmware = firmware.peekable();
        Self {
            firmware: firmware.peek().is_some().then(|| digest(firmware)),
            device_tree: digest(std::iter::once(device_tree)),
            devices: Digest::of(&state),
        }
    }
}

fn digest<'a>(pieces: impl Iterator<Item = (&'a Range<u64>, &'a [u8])>) -> Digest {
    let mut hasher = DigestHasher::new();
    for (range, bytes) in pieces {
        for number in [range.start, range.end, bytes.len() as u64] {
            hasher.update(&number.to_le_bytes());
        }
        hasher.update(bytes);
    }
    hasher.digest()
}
