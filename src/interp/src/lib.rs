//! The seam between engine and executors, and the reference executor.
