//! Virtio devices under a small driver, under a broken one, and under a random one.

mod devices;
mod driver;
mod hostile;
mod transport;
