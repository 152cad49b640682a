//! The cold parts of a trace as bytes: the one place that knows bincode.
//!
//! bincode 2.0.1, `standard()` configuration: little-endian, integers of variable length. `FORMAT.md` documents the
//! bytes. Callers bound the length and check the checksum before they decode.

use serde::{Serialize, de::DeserializeOwned};

use crate::limits::CHUNK_BYTES_MAX;

fn configuration() -> impl bincode::config::Config {
    bincode::config::standard().with_limit::<{ CHUNK_BYTES_MAX as usize }>()
}

/// The bytes of a value.
pub(crate) fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    bincode::serde::encode_to_vec(value, configuration())
        .expect("a struct of integers, strings and lists always has an encoding")
}

/// The value of some bytes: of all of them.
pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    match bincode::serde::decode_from_slice(bytes, configuration()) {
        Ok((value, used)) if used == bytes.len() => Ok(value),
        Ok((_, used)) => Err(format!("{} bytes too many", bytes.len() - used)),
        Err(error) => Err(error.to_string()),
    }
}
