//! The interrupt lines of a core, as bits of the `mip` register (Privileged Architecture 1.12, section 3.1.9).

/// Machine software interrupt, from the CLINT.
pub const MSIP: u32 = 1 << 3;
/// Machine timer interrupt, from the CLINT's deadline.
pub const MTIP: u32 = 1 << 7;
/// Supervisor external interrupt, from the PLIC.
pub const SEIP: u32 = 1 << 9;
/// Machine external interrupt, from the PLIC.
pub const MEIP: u32 = 1 << 11;
