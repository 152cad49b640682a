//! The encoding of RISC-V: equations between decoder, encoder and disassembler, and what others say of the same bits.

mod assembled;
mod capstone;
mod compressed;
mod equations;

mod reserved;

/// Numbers that look random and are the same in every run (SplitMix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut value = self.0;
        value = (value ^ value >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        value = (value ^ value >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        value ^ value >> 31
    }

    fn bits(&mut self) -> u32 {
        self.next() as u32
    }

    /// A number below `bound`.
    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// A register's number; often one of the first, which encodings single out.
    fn register(&mut self) -> u8 {
        let bound = if self.below(4) == 0 { 3 } else { 32 };
        self.below(bound) as u8
    }
}
