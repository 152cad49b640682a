//! Cores on workers: scheduler, slices, interrupts, clock, and the boundary.
