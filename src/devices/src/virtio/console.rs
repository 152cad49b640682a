//! A console of one port (Virtual I/O Device 1.2, section 5.3).
//!
//! Output goes to the host's console. Input that finds no buffer waits. A control input of four bytes, columns and rows
//! (16 bits each, little-endian), is a new size.

use super::queue::{Chain, Fail};
use super::{Kind, Queues};
use crate::state::write_queue;
use crate::{Outside, StateError, StateReader};
use std::collections::VecDeque;

const RECEIVE: usize = 0;
const TRANSMIT: usize = 1;
/// The configuration has columns and rows.
const SIZE: u64 = 1;
/// Bytes of input that the console likes to keep waiting at most.
const WAITING_MAX: usize = 4096;

/// A console.
pub struct Console {
    columns: u16,
    rows: u16,
    /// Input that no buffer was there for.
    waiting: VecDeque<u8>,
}

impl Console {
    /// A console of this size, in characters.
    pub fn new(columns: u16, rows: u16) -> Self {
        Self { columns, rows, waiting: VecDeque::new() }
    }

    /// Gives what waits, and these bytes behind it, to the buffers that are there.
    fn deliver(
        &mut self,
        bytes: &[u8],
        queues: &mut Queues<'_>,
        outside: &mut dyn Outside,
    ) -> Result<(), Fail> {
        let wanted = (self.waiting.len() + bytes.len()) as u64;
        let mut chains: Vec<Chain> = Vec::new();
        let mut room = 0;
        let available = if wanted == 0 { 0 } else { queues.available(RECEIVE, outside)? };
        for nth in 0..available {
            if room >= wanted {
                break;
            }
            let chain = queues.chain(RECEIVE, nth, outside)?;
            room += chain.writable_bytes();
            chains.push(chain);
        }
        if !chains.is_empty() {
            queues.reserve(RECEIVE, outside)?;
        }
        self.waiting.extend(bytes);
        for chain in chains {
            let count = chain.writable_bytes().min(self.waiting.len() as u64);
            let part = self.waiting.drain(..count as usize).collect::<Vec<_>>();
            chain.write(0, &part, outside);
            queues.push(RECEIVE, &chain, count, outside);
        }
        Ok(())
    }
}

impl Kind for Console {
    fn name(&self) -> &'static str {
        "virtio-console"
    }

    fn id(&self) -> u32 {
        3
    }

    fn features(&self) -> u64 {
        SIZE
    }

    fn queues(&self) -> &'static [u16] {
        &[64, 64]
    }

    /// Section 5.3.4.
    fn config(&self) -> Vec<u8> {
        let mut config = self.columns.to_le_bytes().to_vec();
        config.extend(self.rows.to_le_bytes());
        // Number of ports and emergency write: not offered.
        config.resize(12, 0);
        config
    }

    fn reset(&mut self) {}

    fn notified(
        &mut self,
        queue: usize,
        queues: &mut Queues<'_>,
        outside: &mut dyn Outside,
    ) -> Result<(), Fail> {
        if queue == RECEIVE {
            return self.deliver(&[], queues, outside);
        }
        for chain in queues.chains(TRANSMIT, outside)? {
            let text = chain.read(0, u64::MAX, outside);
            if !text.is_empty() {
                outside.output(&text);
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

    fn control(&mut self, bytes: &[u8]) -> bool {
        let &[a, b, c, d] = bytes else { return false };
        let (columns, rows) = (u16::from_le_bytes([a, b]), u16::from_le_bytes([c, d]));
        let changed = (columns, rows) != (self.columns, self.rows);
        (self.columns, self.rows) = (columns, rows);
        changed
    }

    fn input_room(&self) -> usize {
        WAITING_MAX.saturating_sub(self.waiting.len())
    }

    fn write_state(&self, into: &mut Vec<u8>) {
        into.extend(self.columns.to_le_bytes());
        into.extend(self.rows.to_le_bytes());
        write_queue(&self.waiting, into);
    }

    fn read_state(&mut self, from: &mut StateReader<'_>) -> Result<(), StateError> {
        self.columns = from.u16()?;
        self.rows = from.u16()?;
        self.waiting = from.queue(usize::MAX, "the length of the waiting input")?;
        Ok(())
    }
}
