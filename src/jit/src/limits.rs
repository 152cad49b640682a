//! How much a translator may use, and when it translates.

/// Bytes of code that a machine keeps, whatever its cores. A boot of Debian's kernel makes 18 MiB, and half of the works of the
/// root image as much again.
pub const CODE_BYTES: usize = 64 << 20;

/// What a translator may use, and when it translates.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Bytes of code memory, for all cores that share it.
    pub code_bytes: usize,
    /// How often a block is interpreted before it is translated.
    pub threshold: u32,
    /// Steps at most before the port is asked whether it wants attention, and told how far the core has come. After it has
    /// wanted some they are a 32nd of that, and then each time an eighth more.
    pub stretch: u64,
    /// Whether code that could run is interpreted now and then all the same, and all of it given up.
    pub mixed: bool,
    /// Whether code for M-mode, where nothing is translated, takes addresses for physical ones, where RAM lies near
    /// ([`cantus_memory::Ram::distance`]).
    pub physical: bool,
}

impl Limits {
    /// What tries everything: blocks are translated at once, but interpreted half of the time.
    pub fn mixed() -> Self {
        Self { code_bytes: 1 << 20, threshold: 0, stretch: 512, mixed: true, physical: true }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self { code_bytes: CODE_BYTES, threshold: 16, stretch: 1 << 16, mixed: false, physical: true }
    }
}
