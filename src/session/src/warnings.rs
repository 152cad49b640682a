//! What the user is told while a guest runs: what went wrong in a device, and otherwise only the guest would know.

use cantus_engine::Host;
use cantus_machine::map::Device;
use cantus_traces::DeviceId;
use std::sync::Arc;

/// Who is told of what goes wrong in a guest's devices. By default nobody.
#[derive(Clone, Default)]
pub struct Warnings(Option<Arc<Tell>>);

/// Takes one warning.
type Tell = dyn Fn(&str) + Send + Sync;

impl Warnings {
    /// Has each warning told, a line without its end. It comes from a thread that runs cores, and the guest waits for it.
    pub fn new(tell: impl Fn(&str) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(tell)))
    }

    /// A device says what went wrong in it.
    pub(crate) fn warn(&self, device: DeviceId, what: &str) {
        let Some(tell) = &self.0 else { return };
        match Device::of(device) {
            Some(Device::Virtio(slot)) => tell(&format!("virtio slot {slot}: {what}")),
            Some(device) => tell(&format!("{}: {what}", device.name())),
            None => tell(what),
        }
    }
}

/// The host of a replay: it answers nothing, but passes warnings on.
pub(crate) struct Warned(pub(crate) Warnings);

impl Host for Warned {
    fn answer(&self, _: DeviceId, _: &[u8]) -> Vec<u8> {
        Vec::new()
    }

    fn told(&self, _: DeviceId, _: &[u8]) {}

    fn warned(&self, device: DeviceId, what: &str) {
        self.0.warn(device, what);
    }
}
