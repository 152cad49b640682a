//! Digests: BLAKE3, whole or its first sixteen bytes.
//!
//! This crate is the only one that knows BLAKE3, so whoever takes a digest takes it here. A [`ContentDigest`] is what
//! `b3sum` prints for the same bytes; a [`Digest`] is its first half.

use std::fmt;

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
