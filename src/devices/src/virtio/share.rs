//! A shared folder: the transport of 9P (Virtual I/O Device, section 5.13 of later drafts; device ID 9).
//!
//! The device does not know the protocol. A request is one message, and the host's answer to it is the reply. To a host
//! that has none, or one that the request has no room for, the reply is an I/O error of 9P2000.L (`Rlerror`).

use super::queue::Fail;
use super::{Kind, Queues};
use crate::{Outside, StateError, StateReader};

/// The most bytes of a tag.
pub const TAG_BYTES_MAX: usize = 255;

/// The configuration has the tag.
const MOUNT_TAG: u64 = 1;
/// Bytes of a message before its content: length, type, tag.
const HEADER_BYTES: usize = 7;
const RLERROR: u8 = 7;
/// Linux's number, which is the protocol's.
const EIO: u32 = 5;

/// A shared folder.
pub struct Share {
    tag: Vec<u8>,
}

impl Share {
    /// A folder that the guest mounts by this tag; what is longer than [`TAG_BYTES_MAX`] is cut.
    pub fn new(tag: &str) -> Self {
        let mut tag = tag.as_bytes().to_vec();
        tag.truncate(TAG_BYTES_MAX);
        Self { tag }
    }
}

/// The reply to a request that the host does not answer.
fn error(request: &[u8]) -> Vec<u8> {
    let mut reply = 11_u32.to_le_bytes().to_vec();
    reply.push(RLERROR);
    reply.extend(request.get(5..HEADER_BYTES).unwrap_or(&[0xff, 0xff]));
    reply.extend(EIO.to_le_bytes());
    reply
}

impl Kind for Share {
    fn name(&self) -> &'static str {
        "virtio-share"
    }

    fn id(&self) -> u32 {
        9
    }

    fn features(&self) -> u64 {
        MOUNT_TAG
    }

    fn queues(&self) -> &'static [u16] {
        &[128]
    }

    fn config(&self) -> Vec<u8> {
        let mut config = (self.tag.len() as u16).to_le_bytes().to_vec();
        config.extend(&self.tag);
        config
    }

    fn reset(&mut self) {}

    fn notified(
        &mut self,
        queue: usize,
        queues: &mut Queues<'_>,
        outside: &mut dyn Outside,
    ) -> Result<(), Fail> {
        for chain in queues.chains(queue, outside)? {
            let request = chain.read(0, u64::MAX, outside);
            let mut reply = outside.ask_host(&request);
            if reply.len() < HEADER_BYTES || reply.len() as u64 > chain.writable_bytes() {
                reply = error(&request);
            }
            chain.write(0, &reply, outside);
            queues.push(queue, &chain, reply.len() as u64, outside);
        }
        Ok(())
    }

    fn write_state(&self, _into: &mut Vec<u8>) {}

    fn read_state(&mut self, _from: &mut StateReader<'_>) -> Result<(), StateError> {
        Ok(())
    }
}
