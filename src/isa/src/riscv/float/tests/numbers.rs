//! Operands that find mistakes: random, but crowded around everything where the rules change.

use crate::riscv::float::format::Format;

/// A generator of operands. The same seed gives the same operands.
pub struct Numbers {
    state: u64,
}

impl Numbers {
    pub fn new(seed: u64) -> Numbers {
        println!("seed {seed:#x}");
        Numbers { state: seed }
    }

    /// Sixty-four random bits (SplitMix64).
    pub fn bits(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    /// A number below `limit`.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.bits() % limit
    }

    /// A fraction: random, nearly all zeros or ones, or a few random bits at the top.
    fn fraction<F: Format>(&mut self) -> u64 {
        let random = self.bits();
        let fraction = match self.below(6) {
            0 => random % 4,
            1 => !(random % 4),
            2 => random << (F::PRECISION - 2 - random as u32 % 6),
            3 => 1 << (random % 64),
            _ => random,
        };
        fraction & F::FRACTION
    }

    /// A value of the format, NaNs and infinities among them.
    pub fn value<F: Format>(&mut self) -> u64 {
        let exponents = F::INFINITY >> (F::PRECISION - 1);
        let middle = exponents / 2;
        let near = self.below(7);
        let exponent = match self.below(16) {
            0 => 0,
            1 => near,
            2 => exponents - 1 - near,
            3 => return self.special::<F>(),
            // Where products and quotients of two reach the limits of the exponent's range.
            4 => middle / 2 + near,
            5 => middle + middle / 2 + near - 3,
            // Where the smallest values are multiplied back, and fractions end.
            6 => middle + u64::from(F::PRECISION) + near - 3,
            7 => middle - u64::from(F::PRECISION) + near - 3,
            8 => self.below(exponents),
            9..=11 => middle + self.below(70) - 4,
            _ => middle + near - 3,
        };
        self.sign::<F>() | exponent << (F::PRECISION - 1) | self.fraction::<F>()
    }

    fn sign<F: Format>(&mut self) -> u64 {
        if self.bits() & 1 == 0 { F::SIGN } else { 0 }
    }

    fn special<F: Format>(&mut self) -> u64 {
        let values = [
            0,
            1,
            F::FRACTION,
            F::FRACTION + 1,
            F::ONE,
            F::ONE + 1,
            F::INFINITY - 1,
            F::INFINITY,
            F::INFINITY,
            F::INFINITY | 1,
            F::NAN,
            F::NAN | 1,
            F::INFINITY | F::FRACTION,
            F::INFINITY | F::QUIET >> 1,
        ];
        self.sign::<F>() | values[self.below(values.len() as u64) as usize]
    }

    /// A value a few units from one that is given, or the like of it with another exponent or sign.
    pub fn near<F: Format>(&mut self, value: u64) -> u64 {
        let all = F::SIGN | (F::SIGN - 1);
        let moved = match self.below(4) {
            0 => value,
            1 => value.wrapping_add(self.below(5)).wrapping_sub(2),
            2 => value ^ self.below(16),
            // Far enough to shift the one's bits just below the other's.
            _ => {
                let distance = u64::from(F::PRECISION) + self.below(5) - 2;
                value.wrapping_sub(distance << (F::PRECISION - 1))
            }
        };
        (moved ^ self.sign::<F>()) & all
    }

    /// Three operands; half of the time the third nearly cancels `product` of the first two, or the second is close
    /// to the first.
    pub fn triple<F: Format>(&mut self, product: impl FnOnce(u64, u64) -> u64) -> [u64; 3] {
        let a = self.value::<F>();
        let b = if self.below(4) == 0 { self.near::<F>(a) } else { self.value::<F>() };
        let c = if self.below(2) == 0 { self.near::<F>(product(a, b)) } else { self.value::<F>() };
        [a, b, c]
    }

    /// An integer of any length, often close to a power of two, of either sign.
    pub fn integer(&mut self) -> u64 {
        let length = self.below(65) as u32;
        let random = self.bits();
        let magnitude = match self.below(4) {
            0 => 1u64.checked_shl(length).unwrap_or(0).wrapping_add(random % 5).wrapping_sub(2),
            // A few bits at the top and one further below: ties, and just not ties.
            1 => (random >> 44 | 1 << 20 | 1) << (length % 43) ^ (random & 1),
            _ => random.checked_shr(length).unwrap_or(0),
        };
        if random >> 63 == 0 { magnitude } else { magnitude.wrapping_neg() }
    }
}
