//! Arithmetic on the host's floating-point unit: plain, and measured under an MXCSR of the guest's.
//!
//! Rust (as the ABI) takes for granted that MXCSR holds its default everywhere: nearest even, all exceptions masked.
//! So a measured operation is one block of assembly that loads the guest's mode, computes, stores the flags, and
//! restores the default before it ends. Nothing of it is left behind but sticky flags, which Rust never reads.
//! Reading MXCSR is slow after an instruction that has changed it (20 ns and more on an Intel host of 2023, else 2), so
//! flags that the guest has accrued are set before the instruction runs, and only a new one costs that.
//!
//! Hosts other than x86-64 have no [`Control`]; they compute in software whatever is not plain.

use super::format::{Double, Format, Single};
use super::{Flags, Rounding};

/// A format that the host computes with. The operations' operands and results are bit patterns, and which NaN a
/// NaN result is depends on the host.
pub(super) trait Native: Format {
    /// Whether it is a number other than infinity.
    #[inline(always)]
    fn is_finite(value: u64) -> bool {
        value & !Self::SIGN < Self::INFINITY
    }

    /// Whether it is finite and greater in magnitude than the smallest normal number: as the result of an operation, it
    /// tells that there was neither overflow nor underflow, division by zero or invalid. (The smallest normal number
    /// itself may be what a tiny one was rounded to.)
    #[inline(always)]
    fn is_settled(value: u64) -> bool {
        let above = Self::FRACTION + 2;
        (value & !Self::SIGN).wrapping_sub(above) < Self::INFINITY - above
    }

    /// a + b, rounded to nearest even, as everything plain.
    fn add(a: u64, b: u64) -> u64;
    /// a × b.
    fn multiply(a: u64, b: u64) -> u64;
    /// a ÷ b.
    fn divide(a: u64, b: u64) -> u64;
    /// √a.
    fn square_root(a: u64) -> u64;
    /// a × b + c, rounded once.
    fn multiply_add(fusion: Fusion, a: u64, b: u64, c: u64) -> u64;

    /// The nearest number to an integer.
    fn nearest(integer: u64) -> u64;
    /// Whole part and fraction, the latter with the number's sign, of a number below 2^63 in magnitude. `None` for
    /// others.
    fn parts(value: u64) -> Option<(i64, f64)>;

    /// a + b, with the flags that it raises or that were accrued.
    fn add_measured(control: Control, a: u64, b: u64) -> (u64, Flags);
    /// a × b, with flags.
    fn multiply_measured(control: Control, a: u64, b: u64) -> (u64, Flags);
    /// a ÷ b, with flags.
    fn divide_measured(control: Control, a: u64, b: u64) -> (u64, Flags);
    /// √a, with flags.
    fn square_root_measured(control: Control, a: u64) -> (u64, Flags);
    /// a × b + c, rounded once, with flags. They are right for results that are numbers.
    fn multiply_add_measured(fusion: Fusion, control: Control, a: u64, b: u64, c: u64) -> (u64, Flags);
}

macro_rules! native {
    ($format:ident, $float:ident, $bits:ident, $machine:ident) => {
        impl Native for $format {
            #[inline(always)]
            fn add(a: u64, b: u64) -> u64 {
                u64::from(($float::from_bits(a as $bits) + $float::from_bits(b as $bits)).to_bits())
            }

            #[inline(always)]
            fn multiply(a: u64, b: u64) -> u64 {
                u64::from(($float::from_bits(a as $bits) * $float::from_bits(b as $bits)).to_bits())
            }

            #[inline(always)]
            fn divide(a: u64, b: u64) -> u64 {
                u64::from(($float::from_bits(a as $bits) / $float::from_bits(b as $bits)).to_bits())
            }

            #[inline(always)]
            fn square_root(a: u64) -> u64 {
                u64::from($float::from_bits(a as $bits).sqrt().to_bits())
            }

            #[inline(always)]
            fn multiply_add(fusion: Fusion, a: u64, b: u64, c: u64) -> u64 {
                let [a, b, c] = [a, b, c].map(|value| $float::from_bits(value as $bits));
                u64::from(machine::$machine::multiply_add(fusion, a, b, c).to_bits())
            }

            #[inline(always)]
            fn nearest(integer: u64) -> u64 {
                u64::from((integer as $float).to_bits())
            }

            #[inline(always)]
            fn parts(value: u64) -> Option<(i64, f64)> {
                let value = f64::from($float::from_bits(value as $bits));
                let whole = value as i64;
                // Both steps are exact: a number with a fraction has few enough bits before and after the point.
                (value.abs() < 9223372036854775808.0).then(|| (whole, value - whole as f64))
            }

            #[inline(always)]
            fn add_measured(control: Control, a: u64, b: u64) -> (u64, Flags) {
                let [a, b] = [a, b].map(|value| $float::from_bits(value as $bits));
                let (value, flags) = machine::$machine::add(control, a, b);
                (u64::from(value.to_bits()), flags)
            }

            #[inline(always)]
            fn multiply_measured(control: Control, a: u64, b: u64) -> (u64, Flags) {
                let [a, b] = [a, b].map(|value| $float::from_bits(value as $bits));
                let (value, flags) = machine::$machine::multiply(control, a, b);
                (u64::from(value.to_bits()), flags)
            }

            #[inline(always)]
            fn divide_measured(control: Control, a: u64, b: u64) -> (u64, Flags) {
                let [a, b] = [a, b].map(|value| $float::from_bits(value as $bits));
                let (value, flags) = machine::$machine::divide(control, a, b);
                (u64::from(value.to_bits()), flags)
            }

            #[inline(always)]
            fn square_root_measured(control: Control, a: u64) -> (u64, Flags) {
                let (value, flags) = machine::$machine::square_root(control, $float::from_bits(a as $bits));
                (u64::from(value.to_bits()), flags)
            }

            #[inline(always)]
            fn multiply_add_measured(
                fusion: Fusion,
                control: Control,
                a: u64,
                b: u64,
                c: u64,
            ) -> (u64, Flags) {
                let [a, b, c] = [a, b, c].map(|value| $float::from_bits(value as $bits));
                let (value, flags) = machine::$machine::multiply_add_measured(fusion, control, a, b, c);
                (u64::from(value.to_bits()), flags)
            }
        }
    };
}

native!(Single, f32, u32, single);
native!(Double, f64, u64, double);

pub(super) use machine::{Control, Fusion};

#[cfg(target_arch = "x86_64")]
mod machine {
    use super::{Flags, Rounding};

    /// Rust's MXCSR but for the sticky flags: nearest even, exceptions masked, denormals respected.
    const DEFAULT: u32 = 0x1f80;
    /// The rounding modes of the host in the order of `frm`, as MXCSR encodes them.
    const MODES: [u32; 4] = [0x0000, 0x6000, 0x2000, 0x4000];
    /// The guest's flags in MXCSR, in the order of `fflags`: PE, UE, OE, ZE, IE.
    const STICKY: [u32; 5] = [1 << 5, 1 << 4, 1 << 3, 1 << 2, 1 << 0];
    /// DE, a subnormal operand: not the guest's business.
    const DENORMAL: u32 = 1 << 1;

    /// MXCSR for each rounding mode and each set of the guest's flags.
    static WORDS: [[u32; 32]; 4] = {
        let mut words = [[DEFAULT | DENORMAL; 32]; 4];
        let mut entry = 0;
        while entry < 4 * 32 {
            let (mode, flags) = (entry / 32, entry % 32);
            words[mode][flags] |= MODES[mode];
            let mut bit = 0;
            while bit < 5 {
                if flags >> bit & 1 == 1 {
                    words[mode][flags] |= STICKY[bit];
                }
                bit += 1;
            }
            entry += 1;
        }
        words
    };

    /// What MXCSR holds while the guest computes, and what it holds afterwards.
    #[derive(Clone, Copy)]
    pub struct Control {
        guest: &'static u32,
        after: &'static u32,
    }

    impl Control {
        /// `None` for the mode that the host lacks. The accrued flags are set before and after, and DE always.
        #[inline(always)]
        pub fn of(rounding: Rounding, accrued: Flags) -> Option<Control> {
            let flags = usize::from(accrued.0 & 31);
            WORDS
                .get(rounding as usize)
                .map(|words| Control { guest: &words[flags], after: &WORDS[0][flags] })
        }
    }

    /// The guest's flags for the low six bits of MXCSR.
    static FLAGS: [Flags; 64] = {
        let mut table = [Flags::NONE; 64];
        let mut entry = 0;
        while entry < 64 {
            let mut bit = 0;
            while bit < 5 {
                if entry as u32 & STICKY[bit] != 0 {
                    table[entry].0 |= 1 << bit;
                }
                bit += 1;
            }
            entry += 1;
        }
        table
    };

    /// That this host has FMA.
    #[derive(Clone, Copy)]
    pub struct Fusion(());

    impl Fusion {
        /// Detected once, then a load and a bit test.
        #[inline(always)]
        pub fn of_host() -> Option<Fusion> {
            std::is_x86_feature_detected!("fma").then_some(Fusion(()))
        }
    }

    /// Runs one instruction under a control word. The instruction's template names the operands `a`, `b` and `c`, and
    /// `a` becomes its result.
    macro_rules! measured {
        ($instruction:literal, $control:expr, $a:expr $(, $name:ident = $operand:expr)*) => {{
            let mut result = $a;
            let mut status = 0u32;
            // SAFETY: The two loads read words that live for ever, the store writes the local `status`, nothing else
            // is read or written. Loading MXCSR cannot fault, for the reserved bits of the words are clear, and all
            // exceptions are masked, so the instruction cannot either. When the block ends, the rounding mode, the
            // masks and the treatment of denormals are Rust's again; the sticky flags may change, as they may where
            // an `asm!` does not promise `preserves_flags`. Who runs an instruction of FMA holds a `Fusion`.
            unsafe {
                std::arch::asm!(
                    "ldmxcsr dword ptr [{guest}]",
                    $instruction,
                    "stmxcsr dword ptr [{status}]",
                    "ldmxcsr dword ptr [{after}]",
                    guest = in(reg) $control.guest,
                    status = in(reg) &mut status,
                    after = in(reg) $control.after,
                    a = inout(xmm_reg) result,
                    $($name = in(xmm_reg) $operand,)*
                    options(nostack),
                );
            }
            (result, FLAGS[(status & 63) as usize])
        }};
    }

    macro_rules! operations {
        ($module:ident, $float:ident, $add:literal, $multiply:literal, $divide:literal, $root:literal, $fused:literal) => {
            pub mod $module {
                use super::{Control, FLAGS, Flags, Fusion};

                #[inline(always)]
                pub fn add(control: Control, a: $float, b: $float) -> ($float, Flags) {
                    measured!($add, control, a, b = b)
                }

                #[inline(always)]
                pub fn multiply(control: Control, a: $float, b: $float) -> ($float, Flags) {
                    measured!($multiply, control, a, b = b)
                }

                #[inline(always)]
                pub fn divide(control: Control, a: $float, b: $float) -> ($float, Flags) {
                    measured!($divide, control, a, b = b)
                }

                #[inline(always)]
                pub fn square_root(control: Control, a: $float) -> ($float, Flags) {
                    measured!($root, control, a)
                }

                #[inline(always)]
                pub fn multiply_add_measured(
                    _: Fusion,
                    control: Control,
                    a: $float,
                    b: $float,
                    c: $float,
                ) -> ($float, Flags) {
                    measured!($fused, control, a, b = b, c = c)
                }

                /// Without a word on flags. The intrinsic would be called, not inlined, in code that is compiled for
                /// hosts with and without FMA.
                #[inline(always)]
                pub fn multiply_add(_: Fusion, a: $float, b: $float, c: $float) -> $float {
                    let mut result = a;
                    // SAFETY: Touches registers and MXCSR's sticky flags only, and a `Fusion` says that the
                    // instruction exists.
                    unsafe {
                        std::arch::asm!(
                            $fused,
                            a = inout(xmm_reg) result,
                            b = in(xmm_reg) b,
                            c = in(xmm_reg) c,
                            options(pure, nomem, nostack),
                        );
                    }
                    result
                }
            }
        };
    }

    operations!(
        single,
        f32,
        "addss {a}, {b}",
        "mulss {a}, {b}",
        "divss {a}, {b}",
        "sqrtss {a}, {a}",
        "vfmadd213ss {a}, {b}, {c}"
    );
    operations!(
        double,
        f64,
        "addsd {a}, {b}",
        "mulsd {a}, {b}",
        "divsd {a}, {b}",
        "sqrtsd {a}, {a}",
        "vfmadd213sd {a}, {b}, {c}"
    );
}

#[cfg(not(target_arch = "x86_64"))]
mod machine {
    use super::{Flags, Rounding};

    /// No value: nothing can be measured.
    #[derive(Clone, Copy)]
    pub enum Control {}

    impl Control {
        #[inline(always)]
        pub fn of(_: Rounding, _: Flags) -> Option<Control> {
            None
        }
    }

    /// That the standard library's fused multiply-add is exact.
    #[derive(Clone, Copy)]
    pub struct Fusion(());

    impl Fusion {
        #[inline(always)]
        pub fn of_host() -> Option<Fusion> {
            Some(Fusion(()))
        }
    }

    macro_rules! operations {
        ($module:ident, $float:ident) => {
            pub mod $module {
                use super::{Control, Flags, Fusion};

                #[inline(always)]
                pub fn multiply_add(_: Fusion, a: $float, b: $float, c: $float) -> $float {
                    a.mul_add(b, c)
                }

                pub fn add(control: Control, _: $float, _: $float) -> ($float, Flags) {
                    match control {}
                }

                pub fn multiply(control: Control, _: $float, _: $float) -> ($float, Flags) {
                    match control {}
                }

                pub fn divide(control: Control, _: $float, _: $float) -> ($float, Flags) {
                    match control {}
                }

                pub fn square_root(control: Control, _: $float) -> ($float, Flags) {
                    match control {}
                }

                pub fn multiply_add_measured(
                    _: Fusion,
                    control: Control,
                    _: $float,
                    _: $float,
                    _: $float,
                ) -> ($float, Flags) {
                    match control {}
                }
            }
        };
    }

    operations!(single, f32);
    operations!(double, f64);
}
