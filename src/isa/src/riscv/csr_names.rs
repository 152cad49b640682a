//! The assembly-language names of control and status registers (Privileged ISA, "CSR Listing").
//!
//! The names of the unprivileged, supervisor and machine levels, of the triggers, and of physical memory protection.
//! That a number has a name does not mean that this hart has the register.

use std::borrow::Cow;

/// The name of a CSR, none if its number is not in the listing.
pub fn name(number: u16) -> Option<Cow<'static, str>> {
    if let Ok(index) = NAMES.binary_search_by_key(&number, |&(number, _)| number) {
        return Some(Cow::Borrowed(NAMES[index].1));
    }
    let family =
        FAMILIES.iter().find(|family| (family.first..family.first + family.count).contains(&number))?;
    Some(Cow::Owned(format!("{}{}", family.stem, number - family.first + family.from)))
}

/// The number of the CSR of this name: the inverse of [`name`].
pub fn number(name: &str) -> Option<u16> {
    if let Some(&(number, _)) = NAMES.iter().find(|&&(_, known)| known == name) {
        return Some(number);
    }
    FAMILIES.iter().find_map(|family| {
        let index = name.strip_prefix(family.stem)?;
        // A parser of numbers takes `+3` and `03` too; a name has one spelling.
        let index = index.parse::<u16>().ok().filter(|value| value.to_string() == index)?;
        let index = index.checked_sub(family.from).filter(|&index| index < family.count)?;
        Some(family.first + index)
    })
}

/// CSRs with consecutive numbers whose names differ in a decimal number at the end.
struct Family {
    /// The number of the first CSR.
    first: u16,
    count: u16,
    stem: &'static str,
    /// The decimal number in the first one's name.
    from: u16,
}

#[rustfmt::skip]
const FAMILIES: [Family; 5] = [
    Family { first: 0x323, count: 29, stem: "mhpmevent",   from: 3 },
    Family { first: 0x3a0, count: 16, stem: "pmpcfg",      from: 0 },
    Family { first: 0x3b0, count: 64, stem: "pmpaddr",     from: 0 },
    Family { first: 0xb03, count: 29, stem: "mhpmcounter", from: 3 },
    Family { first: 0xc03, count: 29, stem: "hpmcounter",  from: 3 },
];

/// In the order of the numbers.
#[rustfmt::skip]
const NAMES: &[(u16, &str)] = &[
    // Unprivileged: floating point.
    (0x001, "fflags"), (0x002, "frm"), (0x003, "fcsr"),
    // Supervisor: trap setup, configuration, trap handling, timer (Sstc), translation.
    (0x100, "sstatus"), (0x104, "sie"), (0x105, "stvec"), (0x106, "scounteren"), (0x10a, "senvcfg"),
    (0x140, "sscratch"), (0x141, "sepc"), (0x142, "scause"), (0x143, "stval"), (0x144, "sip"),
    (0x14d, "stimecmp"), (0x180, "satp"),
    // Machine: trap setup, configuration, counter setup, trap handling.
    (0x300, "mstatus"), (0x301, "misa"), (0x302, "medeleg"), (0x303, "mideleg"), (0x304, "mie"),
    (0x305, "mtvec"), (0x306, "mcounteren"), (0x30a, "menvcfg"), (0x320, "mcountinhibit"),
    (0x340, "mscratch"), (0x341, "mepc"), (0x342, "mcause"), (0x343, "mtval"), (0x344, "mip"),
    (0x34a, "mtinst"), (0x34b, "mtval2"),
    // Supervisor: debug context. Machine: security configuration.
    (0x5a8, "scontext"), (0x747, "mseccfg"),
    // Triggers and debug mode.
    (0x7a0, "tselect"), (0x7a1, "tdata1"), (0x7a2, "tdata2"), (0x7a3, "tdata3"), (0x7a4, "tinfo"),
    (0x7a5, "tcontrol"), (0x7a8, "mcontext"),
    (0x7b0, "dcsr"), (0x7b1, "dpc"), (0x7b2, "dscratch0"), (0x7b3, "dscratch1"),
    // Counters: the machine's, and their unprivileged shadows (Zicntr).
    (0xb00, "mcycle"), (0xb02, "minstret"), (0xc00, "cycle"), (0xc01, "time"), (0xc02, "instret"),
    // Machine: information.
    (0xf11, "mvendorid"), (0xf12, "marchid"), (0xf13, "mimpid"), (0xf14, "mhartid"), (0xf15, "mconfigptr"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_in_the_order_that_the_search_needs() {
        assert!(NAMES.is_sorted_by(|(a, _), (b, _)| a < b));
    }

    #[test]
    fn number_inverts_name() {
        let mut named = 0;
        for csr in 0..0x1000 {
            if let Some(name) = name(csr) {
                assert_eq!(number(&name), Some(csr), "{name}");
                named += 1;
            }
        }
        assert_eq!(named, NAMES.len() + 29 + 16 + 64 + 29 + 29);
    }

    #[test]
    fn numbered_csrs_have_the_listings_numbers() {
        let expected = [
            (0x323, "mhpmevent3"),
            (0x33f, "mhpmevent31"),
            (0x3a0, "pmpcfg0"),
            (0x3af, "pmpcfg15"),
            (0x3b0, "pmpaddr0"),
            (0x3ef, "pmpaddr63"),
            (0xb03, "mhpmcounter3"),
            (0xb1f, "mhpmcounter31"),
            (0xc03, "hpmcounter3"),
            (0xc1f, "hpmcounter31"),
        ];
        for (csr, text) in expected {
            assert_eq!(name(csr).as_deref(), Some(text));
        }
    }

    #[test]
    fn what_is_no_name_has_no_number() {
        for text in
            ["", "pmpaddr", "pmpaddr64", "pmpaddr+1", "pmpaddr01", "hpmcounter2", "hpmcounter32", "MSTATUS"]
        {
            assert_eq!(number(text), None, "{text}");
        }
        for csr in [0x000, 0x310, 0x322, 0x3f0, 0xb01, 0xb20, 0xc20, 0xfff] {
            assert_eq!(name(csr), None, "{csr:#x}");
        }
    }
}
