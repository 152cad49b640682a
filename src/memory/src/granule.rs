//! The unit of ownership: a page of guest RAM, or a 64-byte line of a page that was split.

use std::fmt;

/// Bytes of a line.
pub const LINE_SIZE: u64 = 64;
/// Lines of a page.
pub const LINES_IN_PAGE: usize = 64;

/// A page of guest RAM, counted from the start of RAM.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct PageIndex(pub u32);

impl PageIndex {
    /// The page's number as an index.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// A page, or one line of it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Granule {
    /// The page.
    pub page: PageIndex,
    /// The line in the page, 0 to 63, where the page is split.
    pub line: Option<u8>,
}

impl fmt::Display for Granule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            None => write!(f, "page {}", self.page.0),
            Some(line) => write!(f, "page {} line {line}", self.page.0),
        }
    }
}

/// What a core wants to do with a granule. To write is to read, too; to fetch is to read.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Right {
    /// Load or fetch.
    Read,
    /// Store, or an atomic operation.
    Write,
}
