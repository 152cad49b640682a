//! Random bytes for a guest: the host's, or under the virtual clock ones that follow from the seed, so that runs are the
//! same.

use crate::{ClockPolicy, Error, Options};
use cantus_traces::ContentDigest;
use std::fs::File;
use std::io::Read;
use std::path::Path;

const HOST: &str = "/dev/urandom";

/// A source of random bytes.
pub(crate) enum Random {
    /// The host's.
    Host(File),
    /// BLAKE3 over a seed and a number that counts up.
    Seeded {
        /// The seed.
        seed: u64,
        /// Digests given so far.
        count: u64,
    },
}

impl Random {
    pub(crate) fn new(options: &Options) -> Result<Self, Error> {
        match options.clock {
            ClockPolicy::Virtual => Ok(Random::Seeded { seed: options.seed, count: 0 }),
            ClockPolicy::Host => {
                let file = File::open(HOST);
                Ok(Random::Host(file.map_err(|error| Error::File { path: Path::new(HOST).into(), error })?))
            }
        }
    }

    /// So many bytes; fewer where the host has no more.
    pub(crate) fn bytes(&mut self, wanted: usize) -> Vec<u8> {
        let mut bytes = vec![0; wanted];
        match self {
            Random::Host(file) => {
                if file.read_exact(&mut bytes).is_err() {
                    bytes.clear();
                }
            }
            Random::Seeded { seed, count } => {
                for chunk in bytes.chunks_mut(size_of::<ContentDigest>()) {
                    let digest = ContentDigest::of(format!("entropy {seed} {count}").as_bytes());
                    chunk.copy_from_slice(&digest.0[..chunk.len()]);
                    *count += 1;
                }
            }
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_follow_from_the_seed_under_the_virtual_clock_only() {
        let bytes =
            |clock, seed| Random::new(&Options { clock, seed, ..Options::default() }).unwrap().bytes(100);
        let [virtual_clock, host_clock] = [ClockPolicy::Virtual, ClockPolicy::Host];
        assert_eq!(bytes(virtual_clock, 1), bytes(virtual_clock, 1));
        assert_ne!(bytes(virtual_clock, 1), bytes(virtual_clock, 2));
        assert_ne!(bytes(host_clock, 1), bytes(host_clock, 1));
        assert_eq!(bytes(host_clock, 1).len(), 100);
    }
}
