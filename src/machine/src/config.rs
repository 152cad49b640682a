//! What a machine is made of, apart from the program.

use cantus_isa::address::PAGE_SIZE;
use cantus_traces::CORES_MAX;
use thiserror::Error;

/// The configuration of a machine; always a valid one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MachineConfig {
    cores: usize,
    ram_bytes: u64,
}

/// A machine that cannot be.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum ConfigError {
    /// Too many cores, or none.
    #[error("a machine of {0} cores: expected 1 to {CORES_MAX}")]
    Cores(u64),
    /// A size of RAM that is too small, too large, or not made of pages.
    #[error(
        "a RAM of {0} bytes: expected a multiple of {PAGE_SIZE} from {min} (1 MiB) to {max} (64 GiB)",
        min = MachineConfig::RAM_BYTES_MIN,
        max = MachineConfig::RAM_BYTES_MAX
    )]
    Ram(u64),
}

impl MachineConfig {
    /// The smallest RAM.
    pub const RAM_BYTES_MIN: u64 = 1 << 20;
    /// The largest RAM.
    pub const RAM_BYTES_MAX: u64 = 64 << 30;

    /// A machine of so many cores and so many bytes of RAM.
    pub fn new(cores: u64, ram_bytes: u64) -> Result<Self, ConfigError> {
        if cores == 0 || cores > CORES_MAX as u64 {
            return Err(ConfigError::Cores(cores));
        }
        let sizes = Self::RAM_BYTES_MIN..=Self::RAM_BYTES_MAX;
        if !sizes.contains(&ram_bytes) || !ram_bytes.is_multiple_of(PAGE_SIZE) {
            return Err(ConfigError::Ram(ram_bytes));
        }
        Ok(Self { cores: cores as usize, ram_bytes })
    }

    /// How many cores, 1 to [`CORES_MAX`].
    pub fn cores(&self) -> usize {
        self.cores
    }

    /// How much RAM, in bytes; a multiple of the page size.
    pub fn ram_bytes(&self) -> u64 {
        self.ram_bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits() {
        let mib = 1 << 20;
        let table = [
            (1, mib, Ok(())),
            (255, 64 << 30, Ok(())),
            (4, mib + 4096, Ok(())),
            (0, mib, Err(ConfigError::Cores(0))),
            (256, mib, Err(ConfigError::Cores(256))),
            (u64::MAX, mib, Err(ConfigError::Cores(u64::MAX))),
            (1, 0, Err(ConfigError::Ram(0))),
            (1, mib - 4096, Err(ConfigError::Ram(mib - 4096))),
            (1, mib + 1, Err(ConfigError::Ram(mib + 1))),
            (1, (64 << 30) + 4096, Err(ConfigError::Ram((64 << 30) + 4096))),
            (1, u64::MAX, Err(ConfigError::Ram(u64::MAX))),
        ];
        for (cores, ram_bytes, expected) in table {
            assert_eq!(MachineConfig::new(cores, ram_bytes).map(|_| ()), expected, "{cores}, {ram_bytes}");
        }
    }

    #[test]
    fn errors_say_what_was_expected_and_what_came() {
        assert_eq!(ConfigError::Cores(300).to_string(), "a machine of 300 cores: expected 1 to 255");
        let text = ConfigError::Ram(5).to_string();
        assert!(text.contains("5 bytes") && text.contains("1048576 (1 MiB)"), "{text}");
    }
}
