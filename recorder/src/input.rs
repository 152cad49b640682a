//! Inputs: what the live outside says is let through, and written down.

use crate::Lane;
use cantus_traces::{DeviceId, Event};

impl Lane {
    /// The core sees its lines change.
    pub(crate) fn note_lines(&mut self, position: u64, seen: u32, live: u32) -> u32 {
        if live != seen {
            self.note(position, &Event::Lines(live));
        }
        live
    }

    /// The core reads the clock.
    pub(crate) fn note_clock(&mut self, position: u64, ticks: u64) -> u64 {
        self.note(position, &Event::Clock(ticks));
        ticks
    }

    /// A store-conditional; that it succeeds is the rule, and not written down.
    pub(crate) fn note_conditional(&mut self, position: u64, intact: bool) -> bool {
        if !intact {
            self.note(position, &Event::ConditionalFailed);
        }
        intact
    }

    /// The host answers a device.
    pub(crate) fn note_answer(&mut self, position: u64, device: DeviceId, bytes: Vec<u8>) -> Vec<u8> {
        let event = Event::Answer { device, bytes };
        self.note(position, &event);
        if let Event::Answer { bytes, .. } = event { bytes } else { Vec::new() }
    }

    /// A device receives bytes in the name of the core.
    pub(crate) fn note_input(&mut self, position: u64, device: DeviceId, bytes: &[u8]) {
        self.note(position, &Event::Input { device, bytes: bytes.to_vec() });
    }
}
