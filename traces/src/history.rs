//! A running hash over what a core consumed: the second half of its digests (CHK-1).
//!
//! State alone does not show an order edge that was dropped where nothing happened to go wrong without it. The history
//! does: record and replay must have consumed the same events at the same positions.
//!
//! At a cut, the digest of the history so far takes the place of what was hashed: so a checkpoint can carry a history on.

use crate::{ContentDigest, Digest, DigestHasher, Event, Position};

/// The history of one core up to some position.
#[derive(Clone, Default)]
pub struct History {
    hasher: DigestHasher,
    /// What took the place of the events up to the last cut.
    link: ContentDigest,
}

impl History {
    /// The history of a core that has consumed nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// The history of a core that stands at a cut, behind its event, where [`History::link`] was this.
    pub fn resume(link: ContentDigest) -> Self {
        let mut hasher = DigestHasher::new();
        hasher.update(&link.0);
        Self { hasher, link }
    }

    /// The digest of the history up to the last cut; zeros before the first.
    pub fn link(&self) -> ContentDigest {
        self.link
    }

    /// The core consumes an event. Digests are not part of the history.
    pub fn consume(&mut self, position: Position, event: &Event) {
        let (tag, first, second): (u8, u64, u64) = match event {
            Event::Order { after, position } => (1, u64::from(after.0), position.0),
            Event::Lines(lines) => (2, u64::from(*lines), 0),
            Event::Clock(ticks) => (3, *ticks, 0),
            Event::ConditionalFailed => (4, 0, 0),
            Event::Input { device, bytes } => (5, u64::from(device.0), bytes.len() as u64),
            Event::Answer { device, bytes } => (7, u64::from(device.0), bytes.len() as u64),
            Event::Cut { number } => (6, u64::from(*number), 0),
            Event::Digest { .. } => return,
        };
        let mut words = [0; 25];
        words[0] = tag;
        for (field, value) in words[1..].chunks_exact_mut(8).zip([position.0, first, second]) {
            field.copy_from_slice(&value.to_le_bytes());
        }
        self.hasher.update(&words);
        match event {
            Event::Input { bytes, .. } | Event::Answer { bytes, .. } => self.hasher.update(bytes),
            Event::Cut { .. } => *self = Self::resume(self.hasher.content_digest()),
            Event::Order { .. }
            | Event::Lines(_)
            | Event::Clock(_)
            | Event::ConditionalFailed
            | Event::Digest { .. } => {}
        }
    }

    /// The digest of the history so far.
    pub fn digest(&self) -> Digest {
        self.hasher.digest()
    }
}
