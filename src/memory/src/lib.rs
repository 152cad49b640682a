//! Guest memory, granules, the two-level TLB.
