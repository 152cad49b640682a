//! The board: memory map, loader, digest of the machine.
