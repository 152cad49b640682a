//! Where guest registers are while translated code runs: in registers of the host, or in the core.

use crate::frame::FIXED;

/// For each integer register of the guest the host's register that it lives in; 0, which is free, for none.
#[derive(Clone, Copy)]
pub(crate) struct Homes([u8; 32]);

impl Homes {
    /// Those that all code shares.
    pub fn fixed() -> Self {
        let mut homes = [0; 32];
        FIXED.iter().for_each(|&(guest, host)| homes[usize::from(guest)] = host);
        Self(homes)
    }

    /// The host's register that a guest register lives in.
    pub fn of(&self, register: u8) -> Option<u8> {
        let host = self.0[usize::from(register)];
        (host != 0).then_some(host)
    }
}
