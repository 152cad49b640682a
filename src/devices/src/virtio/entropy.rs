//! A source of random bytes (Virtual I/O Device 1.2, section 5.4). They come from the host.
//!
//! The question is how many bytes are wanted (four bytes, little-endian). A host that has fewer gives fewer.

use super::queue::Fail;
use super::{Kind, Queues};
use crate::{Outside, StateError, StateReader};

/// The most bytes that a request gets.
pub const REQUEST_BYTES_MAX: u64 = 64 << 10;

/// A source of random bytes.
pub struct Entropy;

impl Kind for Entropy {
    fn name(&self) -> &'static str {
        "virtio-entropy"
    }

    fn id(&self) -> u32 {
        4
    }

    fn features(&self) -> u64 {
        0
    }

    fn queues(&self) -> &'static [u16] {
        &[64]
    }

    fn config(&self) -> Vec<u8> {
        Vec::new()
    }

    fn reset(&mut self) {}

    fn notified(
        &mut self,
        queue: usize,
        queues: &mut Queues<'_>,
        outside: &mut dyn Outside,
    ) -> Result<(), Fail> {
        for chain in queues.chains(queue, outside)? {
            let wanted = chain.writable_bytes().min(REQUEST_BYTES_MAX);
            let mut bytes = outside.ask_host(&(wanted as u32).to_le_bytes());
            bytes.truncate(wanted as usize);
            chain.write(0, &bytes, outside);
            queues.push(queue, &chain, bytes.len() as u64, outside);
        }
        Ok(())
    }

    fn write_state(&self, _into: &mut Vec<u8>) {}

    fn read_state(&mut self, _from: &mut StateReader<'_>) -> Result<(), StateError> {
        Ok(())
    }
}
