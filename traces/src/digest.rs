//! Digests: BLAKE3, whole or its first sixteen bytes.
//!
//! This crate is the only one that knows BLAKE3, so whoever takes a digest takes it here. A [`ContentDigest`] is what
//! `b3sum` prints for the same bytes; a [`Digest`] is its first half.

use std::fmt;

use blake3::hazmat::{ChainingValue, HasherExt, Mode, merge_subtrees_non_root, merge_subtrees_root};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::Digest;

/// The thirty-two bytes of a BLAKE3 hash: of an image, of a page, of a machine's memory.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[cfg_attr(test, derive(wincode::SchemaWrite, wincode::SchemaRead))]
pub struct ContentDigest(pub [u8; 32]);

impl ContentDigest {
    /// The digest of some bytes.
    pub fn of(bytes: &[u8]) -> ContentDigest {
        ContentDigest(*blake3::hash(bytes).as_bytes())
    }
}

impl Digest {
    /// The digest of some bytes.
    pub fn of(bytes: &[u8]) -> Digest {
        Digest::from(ContentDigest::of(bytes))
    }
}

impl From<ContentDigest> for Digest {
    fn from(whole: ContentDigest) -> Digest {
        let mut half = [0; 16];
        half.copy_from_slice(&whole.0[..16]);
        Digest(half)
    }
}

/// Takes the digest of bytes that come in pieces. How they were cut into pieces makes no difference.
#[derive(Clone, Default, Debug)]
pub struct DigestHasher(blake3::Hasher);

impl DigestHasher {
    /// A hasher that has seen nothing yet.
    pub fn new() -> DigestHasher {
        DigestHasher::default()
    }

    /// Adds the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The digest of all bytes so far; the hasher may go on afterwards.
    pub fn content_digest(&self) -> ContentDigest {
        ContentDigest(*self.0.finalize().as_bytes())
    }

    /// The first half of [`DigestHasher::content_digest`].
    pub fn digest(&self) -> Digest {
        Digest::from(self.content_digest())
    }
}

/// Bytes of a piece of a long message, but for the last, which has at least one and at most as many. Pieces can be hashed
/// side by side. A power of two, so that each is a subtree of BLAKE3's (section 2.1 of its paper).
pub const PIECE_BYTES: u64 = 1 << 22;

/// What is left of a piece of a long message: its chaining value.
#[derive(Clone, Copy)]
pub struct HashedPiece(ChainingValue);

impl DigestHasher {
    /// A hasher of the piece with this number, counted from 0, of a message that has more than one.
    pub fn of_piece(number: u64) -> DigestHasher {
        let mut hasher = DigestHasher::new();
        hasher.0.set_input_offset(number * PIECE_BYTES);
        hasher
    }

    /// What is left of the piece, all of whose bytes have been added.
    pub fn piece(&self) -> HashedPiece {
        HashedPiece(self.0.finalize_non_root())
    }
}

impl ContentDigest {
    /// The digest of the message that these are all pieces of, in their order; none if it has one piece or none.
    pub fn of_pieces(pieces: &[HashedPiece]) -> Option<ContentDigest> {
        let (left, right) = halves(pieces)?;
        let root = merge_subtrees_root(&merged(left), &merged(right), Mode::Hash);
        Some(ContentDigest(*root.as_bytes()))
    }
}

/// The pieces of a node's left subtree, which are as many as a power of two, and more than half; and those of its right one.
fn halves(pieces: &[HashedPiece]) -> Option<(&[HashedPiece], &[HashedPiece])> {
    (pieces.len() > 1).then(|| pieces.split_at(pieces.len().div_ceil(2).next_power_of_two()))
}

fn merged(pieces: &[HashedPiece]) -> ChainingValue {
    match halves(pieces) {
        Some((left, right)) => merge_subtrees_non_root(&merged(left), &merged(right), Mode::Hash),
        None => pieces[0].0,
    }
}

/// The first eight bytes of the BLAKE3 hash of the parts, one after the other: the checksum of the format.
pub(crate) fn checksum(parts: &[&[u8]]) -> [u8; 8] {
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        hasher.update(part);
    }
    let mut first = [0; 8];
    first.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
    first
}

fn hexadecimal(bytes: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}

fn from_hexadecimal<const N: usize>(text: &str) -> Option<[u8; N]> {
    if text.len() != 2 * N || !text.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, digits) in bytes.iter_mut().zip(0..) {
        *byte = u8::from_str_radix(&text[2 * digits..2 * digits + 2], 16).ok()?;
    }
    Some(bytes)
}

/// Text for people and JSON, plain bytes for the trace.
macro_rules! digest_traits {
    ($name:ident, $bytes:literal) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                hexadecimal(&self.0, f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                hexadecimal(&self.0, f)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                if serializer.is_human_readable() {
                    serializer.collect_str(self)
                } else {
                    self.0.serialize(serializer)
                }
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                if deserializer.is_human_readable() {
                    let text = String::deserialize(deserializer)?;
                    from_hexadecimal(&text).map($name).ok_or_else(|| {
                        de::Error::invalid_value(
                            de::Unexpected::Str(&text),
                            &concat!($bytes, " bytes in hexadecimal"),
                        )
                    })
                } else {
                    <[u8; $bytes]>::deserialize(deserializer).map($name)
                }
            }
        }
    };
}

digest_traits!(Digest, 16);
digest_traits!(ContentDigest, 32);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digest_of_nothing_is_the_published_test_vector() {
        let text = "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262";
        assert_eq!(ContentDigest::of(b"").to_string(), text);
        assert_eq!(Digest::of(b"").to_string(), text[..32]);
    }

    #[test]
    fn pieces_make_no_difference() {
        let mut hasher = DigestHasher::new();
        hasher.update(b"can");
        hasher.update(b"tus");
        assert_eq!(hasher.content_digest(), ContentDigest::of(b"cantus"));
        assert_eq!(hasher.digest(), Digest::of(b"cantus"));
    }

    #[test]
    fn pieces_that_are_hashed_apart_make_no_difference() {
        let piece = PIECE_BYTES as usize;
        let message: Vec<u8> = (0..7 * piece as u32 + 3).map(|at| (at ^ at >> 9) as u8).collect();
        for length in
            [piece + 1, 2 * piece, 3 * piece - 1024, 4 * piece, 4 * piece + 5, 6 * piece, message.len()]
        {
            let message = &message[..length];
            let mut pieces = Vec::new();
            for (bytes, number) in message.chunks(piece).zip(0..) {
                let mut hasher = DigestHasher::of_piece(number);
                bytes.chunks(piece / 4 + 1).for_each(|bytes| hasher.update(bytes));
                pieces.push(hasher.piece());
            }
            assert_eq!(ContentDigest::of_pieces(&pieces), Some(ContentDigest::of(message)), "{length} bytes");
            pieces.swap(0, 1);
            assert_ne!(ContentDigest::of_pieces(&pieces), Some(ContentDigest::of(message)), "{length} bytes");
        }
        assert_eq!(ContentDigest::of_pieces(&[]), None);
    }

    #[test]
    fn digests_are_hexadecimal_in_json() {
        let digest = Digest::of(b"cantus");
        let json = serde_json::to_string(&digest).unwrap();
        assert_eq!(json, format!("\"{digest}\""));
        assert_eq!(serde_json::from_str::<Digest>(&json).unwrap(), digest);
        for bad in ["\"\"", "\"+f\"", "\"zz1349b9f5f9a1a6a0404dea36dcc949\"", "7"] {
            assert!(serde_json::from_str::<Digest>(bad).is_err(), "{bad}");
        }
    }
}
