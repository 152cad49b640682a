//! The ownership protocol: grants and order edges.
