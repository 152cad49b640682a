//! Limits of the format. A reader refuses what lies outside them, a writer never writes it.

/// The format that this crate reads and writes. Version 0 may change; from 1 on, old traces replay for ever.
pub const FORMAT_VERSION: u32 = 0;

/// The most bytes of the header's bincode block.
pub const HEADER_BYTES_MAX: u32 = 1 << 20;
/// The least RAM of a machine, and what its size is a multiple of: one page.
pub const RAM_BYTES_MIN: u64 = PAGE_BYTES as u64;
/// The most RAM of a machine: 1 TiB.
pub const RAM_BYTES_MAX: u64 = 1 << 40;
/// The first number of a checkpoint's page that is not RAM's but a device's.
pub const DEVICE_PAGES: u64 = 1 << 40;
/// The most bytes of a guest image: 4 GiB.
pub const IMAGE_BYTES_MAX: u64 = 1 << 32;
/// The most guest images of one machine.
pub const IMAGES_MAX: usize = 64;
/// The fastest time base: 10 GHz.
pub const TIMEBASE_HZ_MAX: u64 = 10_000_000_000;
/// The most settings of a machine, of a schedule, or words of a command line.
pub const WORDS_MAX: usize = 4096;

/// The last position that a core can reach.
pub const POSITION_MAX: u64 = (1 << 62) - 1;
/// The most bytes of one input to a device, and of one answer of the host.
pub const INPUT_BYTES_MAX: usize = 4 << 20;
/// The bytes of one page of guest memory.
pub const PAGE_BYTES: usize = 4096;

/// The most bytes of a chunk's payload, before compression.
pub const CHUNK_BYTES_MAX: u32 = 64 << 20;
/// The most bytes of an image that one chunk holds.
pub const IMAGE_PIECE_BYTES: usize = 4 << 20;
/// The most pages that one chunk holds.
pub const PAGES_IN_CHUNK_MAX: usize = 256;
/// The most entries of one list of pages.
pub const PAGE_LIST_ENTRIES_MAX: usize = 1 << 20;
/// The most chunks of a trace: their numbers have 32 bits.
pub const CHUNKS_MAX: u32 = u32::MAX;
/// The most chunks that a footer's index lists; a longer trace has no index, and its chunks are found by walking.
pub const INDEX_ENTRIES_MAX: usize = 1 << 20;
