//! The task runner: tidy, bless, fuzz, bench, guests.

fn main() {}
