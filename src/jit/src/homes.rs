//! Where guest registers are while translated code runs: in registers of the host, or in the core.
//!
//! All code agrees on [`FIXED`]. A unit with a loop may do otherwise within itself: a guest register that it uses much
//! takes the place of one that it hardly uses, from where the unit is entered to where it is left.

use crate::frame::FIXED;

/// For each integer register of the guest the host's register that it lives in; 0, which is free, for none.
#[derive(Clone, Copy)]
pub(crate) struct Homes([u8; 32]);

/// A guest register that lives in a host register instead of another one, which is in the core meanwhile.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Swap {
    pub host: u8,
    pub usual: u8,
    pub instead: u8,
}

impl Homes {
    /// Those that all code shares.
    pub fn fixed() -> Self {
        let mut homes = [0; 32];
        FIXED.iter().for_each(|&(guest, host)| homes[usize::from(guest)] = host);
        Self(homes)
    }

    /// Those of a loop that gains so much by each guest register, and what is swapped for that.
    pub fn of_loop(uses: &[u64; 32]) -> (Self, Vec<Swap>) {
        let mut homes = Self::fixed();
        let (mut usual, mut instead): (Vec<u8>, Vec<u8>) =
            (1..32).partition(|&register| homes.of(register).is_some());
        let times = |register: u8| uses[usize::from(register)];
        usual.sort_by_key(|&register| times(register));
        instead.sort_by_key(|&register| u64::MAX - times(register));
        let mut swaps = Vec::new();
        for (usual, instead) in usual.into_iter().zip(instead) {
            if times(instead) < times(usual) + SWAP_USES_MIN {
                break;
            }
            let host = std::mem::take(&mut homes.0[usize::from(usual)]);
            homes.0[usize::from(instead)] = host;
            swaps.push(Swap { host, usual, instead });
        }
        (homes, swaps)
    }

    /// The host's register that a guest register lives in.
    pub fn of(&self, register: u8) -> Option<u8> {
        let host = self.0[usize::from(register)];
        (host != 0).then_some(host)
    }
}

/// By how many uses a swap must gain to be worth the four moves to and from the core.
const SWAP_USES_MIN: u64 = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_loop_uses_takes_the_place_of_what_it_does_not() {
        let mut uses = [0; 32];
        (uses[10], uses[17], uses[5], uses[28]) = (100, 50, 20, SWAP_USES_MIN - 1);
        let (homes, swaps) = Homes::of_loop(&uses);
        assert_eq!(swaps.len(), 2, "{swaps:?}");
        assert_eq!(homes.of(10), Homes::fixed().of(10));
        for Swap { host, usual, instead } in swaps {
            assert!([5, 17].contains(&instead) && uses[usize::from(usual)] == 0);
            assert_eq!((homes.of(instead), homes.of(usual)), (Some(host), None));
            assert_eq!(Homes::fixed().of(usual), Some(host));
        }
        assert_eq!(homes.of(28), None);
    }

    #[test]
    fn no_two_registers_live_in_the_same_place() {
        let uses = std::array::from_fn(|register| 1000 * (register as u64 * 7 % 32));
        let (homes, _) = Homes::of_loop(&uses);
        let mut hosts: Vec<_> = (0..32).filter_map(|register| homes.of(register)).collect();
        hosts.sort_unstable();
        hosts.dedup();
        assert_eq!(hosts.len(), FIXED.len());
        assert_eq!(homes.of(0), None);
    }
}
