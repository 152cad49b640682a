//! Where things are in a generated program's memory.
//!
//! ```text
//! page 0       boot, trap handler
//! 1, 2         functions that are patched while others call them
//! 3 to 6       page tables: level 3 (Sv48), level 2, level 1, level 0
//! 7 to 10      shared data
//! 11, 12       results: 256 bytes a core
//! 13           the count of cores that are at their end
//! 14 to 29     a page for each core
//! from 32 on   the cores' code, one behind the other
//! ```
//! With paging, everything is mapped to itself by gigapages, and the window maps eight pages more, which change.

use super::Paging;

/// Where RAM begins, and the program.
pub const BASE: u64 = 0x8000_0000;

const fn page(number: u64) -> u64 {
    BASE + number * 4096
}

/// The pages of functions.
pub const FUNCTIONS: u64 = page(1);
/// The page table of level 3; those of levels 2, 1 and 0 follow.
pub const TABLES: u64 = page(3);
/// The page table of level 0, with the window's entries.
pub const LEAVES: u64 = page(6);
/// Shared data.
pub const SHARED: u64 = page(7);
/// How many pages of it.
pub const SHARED_PAGES: u64 = 4;
/// The results of core 0.
pub const RESULTS: u64 = page(11);
/// Bytes of a core's results.
pub const RESULTS_SIZE: u64 = 256;
/// The count of cores that are at their end.
pub const ARRIVED: u64 = page(13);
/// The page of core 0.
pub const PRIVATE: u64 = page(14);
/// The cores' code.
pub const CODE: u64 = page(32);

/// What a program prints: page tables, shared data, results, the page of core 0.
pub const PRINTED: std::ops::Range<u64> = page(3)..page(15);

/// The window's virtual address.
pub const WINDOW: u64 = 0x4000_0000;
/// Pages of the window that map data. The two behind them map the pages of functions.
pub const WINDOW_DATA: u64 = 6;

/// Where functions begin. One straddles lines, one straddles pages.
pub const FUNCTION_OFFSETS: [u64; 6] = [0x10, 0x20, 0x3e, 0x80, 0x1010, 0xffe];
/// How many of the functions lie in one page, at the same offset in the other page, too, or in no other's way there.
pub const FUNCTIONS_IN_WINDOW: u8 = 4;

/// The test finisher.
pub const FINISHER: u64 = 0x10_0000;
/// The CLINT's words for software interrupts.
pub const MSIP: u64 = 0x200_0000;
/// The CLINT's timers.
pub const MTIMECMP: u64 = 0x200_4000;
/// The clock.
pub const MTIME: u64 = 0x200_bff8;
/// The PLIC.
pub const PLIC: u64 = 0xc00_0000;
/// The UART.
pub const UART: u64 = 0x1000_0000;

/// What `satp` is under this paging, with address space 0; none without.
pub(super) fn satp(paging: Paging) -> Option<u64> {
    let level = |mode: u64, table: u64| mode << 60 | ((TABLES >> 12) + table);
    match paging {
        Paging::Bare => None,
        Paging::Sv39 => Some(level(8, 1)),
        Paging::Sv48 => Some(level(9, 0)),
    }
}
