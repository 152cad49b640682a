//! A set of cores, as 256 bits.

use cantus_traces::CoreId;

/// A set of cores.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct CoreSet([u64; 4]);

impl CoreSet {
    /// The set of one core.
    pub fn only(core: CoreId) -> Self {
        let mut set = Self::default();
        set.insert(core);
        set
    }

    /// Whether `core` is a member.
    pub fn contains(&self, core: CoreId) -> bool {
        self.0[core.index() / 64] >> (core.index() % 64) & 1 != 0
    }

    /// Adds a member.
    pub fn insert(&mut self, core: CoreId) {
        self.0[core.index() / 64] |= 1 << (core.index() % 64);
    }

    /// Removes a member.
    pub fn remove(&mut self, core: CoreId) {
        self.0[core.index() / 64] &= !(1 << (core.index() % 64));
    }

    /// The number of members.
    pub fn len(&self) -> usize {
        self.0.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// Whether there is no member.
    pub fn is_empty(&self) -> bool {
        self.0 == [0; 4]
    }

    /// The members, ascending.
    pub fn iter(self) -> impl Iterator<Item = CoreId> {
        self.0.into_iter().enumerate().flat_map(|(at, mut word)| {
            std::iter::from_fn(move || {
                (word != 0).then(|| {
                    let bit = word.trailing_zeros();
                    word &= word - 1;
                    CoreId((at as u32 * 64 + bit) as u8)
                })
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_come_back_in_order() {
        let mut set = CoreSet::only(CoreId(63));
        for core in [0, 64, 254, 128, 63] {
            set.insert(CoreId(core));
        }
        set.remove(CoreId(128));
        assert_eq!(set.iter().map(|core| core.0).collect::<Vec<_>>(), [0, 63, 64, 254]);
        assert_eq!((set.len(), set.contains(CoreId(64)), set.contains(CoreId(65))), (4, true, false));
    }
}
