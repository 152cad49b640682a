//! A network card of one pair of queues, without offloads (Virtual I/O Device 1.2, section 5.1).
//!
//! A frame that the guest sends is a message to the host, an input is a frame that the guest receives. Frames that no
//! buffer is there for wait, up to a limit; beyond that, and where a buffer is too small, they are lost, as on any wire.

use super::queue::Fail;
use super::registers::feature::VERSION_1;
use super::{Kind, Queues};
use crate::{Outside, StateError, StateReader};
use std::collections::VecDeque;

/// The most bytes of a frame.
pub const FRAME_BYTES_MAX: usize = 65_535;
/// The most frames that wait, and their most bytes together.
pub const WAITING_FRAMES_MAX: usize = 256;
/// See [`WAITING_FRAMES_MAX`].
pub const WAITING_BYTES_MAX: usize = 1 << 20;

const RECEIVE: usize = 0;
const TRANSMIT: usize = 1;
/// The configuration has the card's address, and whether the link is up.
const MAC: u64 = 1 << 5;
const STATUS: u64 = 1 << 16;
const LINK_UP: u16 = 1;

/// A network card.
pub struct Network {
    address: [u8; 6],
    waiting: VecDeque<Vec<u8>>,
}

impl Network {
    /// A card with this address.
    pub fn new(address: [u8; 6]) -> Self {
        Self { address, waiting: VecDeque::new() }
    }

    /// The header of a frame: no offloads, and one buffer (section 5.1.6). Drivers from before version 1 have no count
    /// of buffers in it.
    fn header(queues: &Queues<'_>) -> Vec<u8> {
        let mut header = vec![0; 10];
        if queues.accepted(VERSION_1) {
            header.extend(1_u16.to_le_bytes());
        }
        header
    }

    /// Gives what waits, and this frame behind it, to the buffers that are there.
    fn deliver(
        &mut self,
        frame: &[u8],
        queues: &mut Queues<'_>,
        outside: &mut dyn Outside,
    ) -> Result<(), Fail> {
        let is_frame = !frame.is_empty() && frame.len() <= FRAME_BYTES_MAX;
        let header = Self::header(queues);
        // Which frame goes into which of the chains is settled first: one that is too large for its chain is lost.
        let lengths = self.waiting.iter().map(Vec::len).chain(is_frame.then_some(frame.len()));
        let lengths = lengths.collect::<Vec<_>>();
        let available = if lengths.is_empty() { 0 } else { queues.available(RECEIVE, outside)? };
        let mut chains = Vec::new();
        let mut fates = Vec::new();
        let mut next = None;
        for length in lengths {
            if next.is_none() && chains.len() < usize::from(available) {
                next = Some(queues.chain(RECEIVE, chains.len() as u16, outside)?);
            }
            let Some(chain) = next.take() else { break };
            let fits = chain.writable_bytes() >= (header.len() + length) as u64;
            if fits {
                chains.push(chain);
            } else {
                next = Some(chain);
            }
            fates.push(fits);
        }
        if !chains.is_empty() {
            queues.reserve(RECEIVE, outside)?;
        }
        if is_frame {
            self.waiting.push_back(frame.to_vec());
        }
        let mut chains = chains.into_iter();
        for fits in fates {
            let Some(frame) = self.waiting.pop_front() else { break };
            if let Some(chain) = fits.then(|| chains.next()).flatten() {
                chain.write(0, &[&header[..], &frame].concat(), outside);
                queues.push(RECEIVE, &chain, (header.len() + frame.len()) as u64, outside);
            }
        }
        let bytes = self.waiting.iter().map(Vec::len).sum::<usize>();
        if self.waiting.len() > WAITING_FRAMES_MAX || bytes > WAITING_BYTES_MAX {
            self.waiting.pop_back();
        }
        Ok(())
    }
}

impl Kind for Network {
    fn name(&self) -> &'static str {
        "virtio-network"
    }

    fn id(&self) -> u32 {
        1
    }

    fn features(&self) -> u64 {
        MAC | STATUS
    }

    fn queues(&self) -> &'static [u16] {
        &[256, 256]
    }

    /// Section 5.1.4.
    fn config(&self) -> Vec<u8> {
        let mut config = self.address.to_vec();
        config.extend(LINK_UP.to_le_bytes());
        config
    }

    fn reset(&mut self) {
        self.waiting.clear();
    }

    fn notified(
        &mut self,
        queue: usize,
        queues: &mut Queues<'_>,
        outside: &mut dyn Outside,
    ) -> Result<(), Fail> {
        if queue == RECEIVE {
            return self.deliver(&[], queues, outside);
        }
        let header = Self::header(queues).len() as u64;
        for chain in queues.chains(TRANSMIT, outside)? {
            let length = chain.readable_bytes().saturating_sub(header);
            if (1..=FRAME_BYTES_MAX as u64).contains(&length) {
                let frame = chain.read(header, length, outside);
                outside.tell_host(&frame);
            }
            queues.push(TRANSMIT, &chain, 0, outside);
        }
        Ok(())
    }

    fn input(
        &mut self,
        bytes: &[u8],
        queues: &mut Queues<'_>,
        outside: &mut dyn Outside,
    ) -> Result<(), Fail> {
        self.deliver(bytes, queues, outside)
    }

    fn input_room(&self) -> usize {
        if self.waiting.len() < WAITING_FRAMES_MAX { FRAME_BYTES_MAX } else { 0 }
    }

    fn write_state(&self, into: &mut Vec<u8>) {
        into.extend((self.waiting.len() as u32).to_le_bytes());
        for frame in &self.waiting {
            into.extend((frame.len() as u32).to_le_bytes());
            into.extend(frame);
        }
    }

    fn read_state(&mut self, from: &mut StateReader<'_>) -> Result<(), StateError> {
        self.waiting.clear();
        for _ in 0..from.u32_up_to(WAITING_FRAMES_MAX as u32, "the number of frames that wait")? {
            let length = from.u32_up_to(FRAME_BYTES_MAX as u32, "the length of a frame")?;
            self.waiting.push_back(from.bytes(length as usize)?.to_vec());
        }
        Ok(())
    }
}
