//! CSRs: the fields that take what is written, and the levels that may write it.

use super::{hart_in, read};
use cantus_isa::riscv::csr::{Reading, number::*};
use cantus_isa::riscv::meaning::Block;
use cantus_isa::riscv::{Hart, Privilege};

const ONES: u64 = u64::MAX;

/// What is read after ones, then after zeros were written to a hart just reset, for every CSR.
#[test]
fn legal_values_are_all_that_stays() {
    #[rustfmt::skip]
    let table: &[(u16, u64, u64, &str)] = &[
        // Unprivileged ISA, "Floating-Point Control and Status Register".
        (FFLAGS, 0x1f, 0, "fflags"),
        (FRM, 7, 0, "frm"),
        (FCSR, 0xff, 0, "fcsr"),
        // Privileged ISA, "Machine Status". MPP is 3; UXL and SXL are 2; SD follows FS.
        (MSTATUS, 0x8000_000a_007e_79aa, 0x0000_000a_0000_0000, "mstatus"),
        (SSTATUS, 0x8000_0002_000c_6122, 0x0000_0002_0000_0000, "sstatus"),
        (MISA, 0x8000_0000_0014_112d, 0x8000_0000_0014_112d, "misa"),
        // "Machine Trap Delegation": not the environment call from M-mode, nor what is reserved.
        (MEDELEG, 0xb3ff, 0, "medeleg"),
        (MIDELEG, 0x222, 0, "mideleg"),
        // "Machine Interrupt Registers".
        (MIE, 0xaaa, 0, "mie"),
        (MIP, 0x222, 0, "mip"),
        // Nothing is delegated, so nothing shows.
        (SIE, 0, 0, "sie"),
        (SIP, 0, 0, "sip"),
        // "Machine Trap-Vector": all ones asks for a reserved mode.
        (MTVEC, 0, 0, "mtvec"),
        (STVEC, 0, 0, "stvec"),
        (MSCRATCH, ONES, 0, "mscratch"),
        (SSCRATCH, ONES, 0, "sscratch"),
        // IALIGN is 16.
        (MEPC, ONES - 1, 0, "mepc"),
        (SEPC, ONES - 1, 0, "sepc"),
        (MCAUSE, ONES, 0, "mcause"),
        (SCAUSE, ONES, 0, "scause"),
        (MTVAL, ONES, 0, "mtval"),
        (STVAL, ONES, 0, "stval"),
        (MCOUNTEREN, 0xffff_ffff, 0, "mcounteren"),
        (SCOUNTEREN, 0xffff_ffff, 0, "scounteren"),
        // "Machine Counter-Inhibit": cycle and instret.
        (MCOUNTINHIBIT, 5, 0, "mcountinhibit"),
        (MENVCFG, 0xe000_0000_0000_00f1, 0, "menvcfg"),
        (STIMECMP, ONES, 0, "stimecmp"),
        (SENVCFG, 0xf1, 0, "senvcfg"),
        // "Supervisor Address Translation and Protection": all ones asks for a reserved mode.
        (SATP, 0, 0, "satp"),
        (MHPMEVENT3, 0, 0, "mhpmevent3"),
        (MHPMEVENT31, 0, 0, "mhpmevent31"),
        (MHPMCOUNTER3, 0, 0, "mhpmcounter3"),
        (MHPMCOUNTER31, 0, 0, "mhpmcounter31"),
        (TSELECT, 0, 0, "tselect"),
        (TDATA1, 0, 0, "tdata1"),
        (TDATA2, 0, 0, "tdata2"),
        (TDATA3, 0, 0, "tdata3"),
        // "Physical Memory Protection CSRs"; the ones of pmpcfg lock every entry.
        (PMPADDR0, 0x003f_ffff_ffff_ffff, 0, "pmpaddr0"),
        (PMPADDR15, 0x003f_ffff_ffff_ffff, 0, "pmpaddr15"),
        (PMPCFG0, 0x9f9f_9f9f_9f9f_9f9f, 0x9f9f_9f9f_9f9f_9f9f, "pmpcfg0"),
        (PMPCFG2, 0x9f9f_9f9f_9f9f_9f9f, 0x9f9f_9f9f_9f9f_9f9f, "pmpcfg2"),
    ];
    for &(csr, ones, zeros, name) in table {
        let mut hart = Hart::new(0);
        hart.csr_write(csr, ONES, 0);
        assert_eq!(read(&hart, csr), ones, "{name} after ones");
        if csr == FFLAGS || csr == FRM || csr == FCSR {
            assert_eq!(read(&hart, MSTATUS) >> 63, 1, "writing {name} makes FS dirty");
        }
        hart.csr_write(csr, 0, 0);
        assert_eq!(read(&hart, csr), zeros, "{name} after zeros");
    }
}

#[test]
fn reserved_values_leave_what_was_there() {
    #[rustfmt::skip]
    let table: &[(u16, u64, u64, u64, &str)] = &[
        (MTVEC, 0x8000_0100, 0x9000_0002, 0x8000_0100, "mtvec, mode 2"),
        (MTVEC, 0x8000_0100, 0x9000_0003, 0x8000_0100, "mtvec, mode 3"),
        (MTVEC, 0x8000_0100, 0x9000_0001, 0x9000_0001, "mtvec, vectored"),
        (STVEC, 0x8000_0101, 0x9000_0002, 0x8000_0101, "stvec, mode 2"),
        (SATP, 8 << 60 | 5, 1 << 60 | 7, 8 << 60 | 5, "satp, mode 1"),
        (SATP, 8 << 60 | 5, 10 << 60 | 7, 8 << 60 | 5, "satp, Sv57"),
        (SATP, 8 << 60 | 5, 9 << 60 | 0xffff << 44 | 7, 9 << 60 | 0xffff << 44 | 7, "satp, Sv48"),
        (SATP, 8 << 60 | 5, 0, 0, "satp, bare"),
        (MSTATUS, 1 << 11, 2 << 11, 0xa_0000_0800, "mstatus.MPP = 2"),
        (MSTATUS, 1 << 11, 3 << 11, 0xa_0000_1800, "mstatus.MPP = 3"),
        // "Environment Configuration": CBIE = 2.
        (MENVCFG, 0x30, 0xe0, 0xf0, "menvcfg.CBIE = 2"),
        (SENVCFG, 0x10, 0x20, 0x10, "senvcfg.CBIE = 2"),
        (SENVCFG, 0, 0x60, 0x40, "senvcfg.CBIE = 2"),
        // Reserved combination: W without R.
        (PMPCFG0, 0, 2, 0, "pmpcfg, W"),
        (PMPCFG0, 0, 6, 4, "pmpcfg, WX"),
        (PMPCFG0, 0, 0x60, 0, "pmpcfg, bits 5 and 6"),
    ];
    for &(csr, before, written, after, name) in table {
        let mut hart = Hart::new(0);
        hart.csr_write(csr, before, 0);
        hart.csr_write(csr, written, 0);
        assert_eq!(read(&hart, csr), after, "{name}");
    }
}

/// `S` can only see and change in `sstatus`, `sie` and `sip` what is its own ("Supervisor CSRs").
#[test]
fn supervisor_views_show_a_part() {
    let mut hart = Hart::new(0);
    hart.csr_write(MSTATUS, ONES, 0);
    hart.csr_write(SSTATUS, 0, 0);
    assert_eq!(read(&hart, MSTATUS), 0x0000_000a_0072_1888);
    hart.csr_write(MIDELEG, 0x22, 0);
    hart.csr_write(SIE, ONES, 0);
    assert_eq!((read(&hart, SIE), read(&hart, MIE)), (0x22, 0x22));
    hart.csr_write(MIE, 0xaaa, 0);
    hart.csr_write(SIE, 0, 0);
    assert_eq!((read(&hart, SIE), read(&hart, MIE)), (0, 0xa88));
    hart.csr_write(MIP, 0x222, 0);
    assert_eq!((read(&hart, SIP), read(&hart, MIP)), (0x22, 0x222));
    // Only SSIP can be written through `sip`.
    hart.csr_write(SIP, 0, 0);
    assert_eq!((read(&hart, SIP), read(&hart, MIP)), (0x20, 0x220));
    hart.csr_write(MIDELEG, 0x220, 0);
    hart.csr_write(SIP, 2, 0);
    assert_eq!(read(&hart, MIP), 0x220);
}

/// "Machine Interrupt Registers": SEIP as read is the line or the bit, but the line is not made a bit by `csrrs`.
#[test]
fn the_external_line_does_not_become_software_s_bit() {
    let mut hart = Hart::new(0);
    hart.lines = 0xa88;
    let read_value = read(&hart, MIP);
    assert_eq!(read_value, 0xa88);
    assert_eq!(hart.csr_kept(MIP, read_value), 0);
    let kept = hart.csr_kept(MIP, read_value);
    hart.csr_write(MIP, kept | 0x20, 0);
    hart.lines = 0;
    assert_eq!(read(&hart, MIP), 0x20);
    assert_eq!(hart.csr_kept(MSCRATCH, 7), 7);
}

/// "CSR Address Mapping Conventions": bits 9 and 8 give the lowest level, ones in bits 11 and 10 mean read-only.
#[test]
fn levels_and_read_only_registers() {
    use Privilege::{Machine as M, Supervisor as S, User as U};
    #[rustfmt::skip]
    let table: &[(u16, Privilege, bool, bool)] = &[
        // CSR, level, may read, may write.
        (MSTATUS, M, true, true), (MSTATUS, S, false, false), (MSTATUS, U, false, false),
        (SSTATUS, M, true, true), (SSTATUS, S, true, true), (SSTATUS, U, false, false),
        (MHARTID, M, true, false), (MHARTID, S, false, false),
        (MVENDORID, M, true, false), (MARCHID, M, true, false), (MIMPID, M, true, false), (MCONFIGPTR, M, true, false),
        (CYCLE, M, true, false), (TIME, M, true, false), (INSTRET, M, true, false), (HPMCOUNTER31, M, true, false),
        (MCYCLE, M, true, true), (MCYCLE, S, false, false),
        (PMPCFG0, M, true, true), (PMPCFG0, S, false, false),
        (STIMECMP, M, true, true), (STIMECMP, S, false, false), (STIMECMP, U, false, false),
        // Floating point is off after reset.
        (FCSR, M, false, false), (FFLAGS, U, false, false), (FRM, S, false, false),
        // No such register: pmpcfg1 (RV32), pmpaddr16, mseccfg, dcsr, cycleh, hstatus, 0x8ff.
        (0x3a1, M, false, false), (0x3c0, M, false, false), (0x747, M, false, false),
        (0x7b0, M, false, false), (0xc80, M, false, false), (0x600, M, false, false), (0x8ff, M, false, false),
        (TINFO, M, true, true), (TSELECT, M, true, true), (TSELECT, S, false, false),
    ];
    for &(csr, level, reads, writes) in table {
        let hart = hart_in(level);
        assert_eq!(hart.csr_check(csr, false).is_ok(), reads, "read {csr:#x} in {level:?}");
        assert_eq!(hart.csr_check(csr, true).is_ok(), writes, "write {csr:#x} in {level:?}");
    }
}

#[test]
fn floating_point_registers_need_fs() {
    for fs in 0..4 {
        let mut hart = hart_in(Privilege::User);
        hart.mstatus |= fs << 13;
        for csr in [FFLAGS, FRM, FCSR] {
            assert_eq!(hart.csr_check(csr, true).is_ok(), fs != 0, "{csr:#x} with FS = {fs}");
        }
    }
}

/// "Machine Counter-Enable", "Supervisor Counter-Enable".
#[test]
fn counters_are_given_down_level_by_level() {
    for (bit, csr) in [(0, CYCLE), (1, TIME), (2, INSTRET), (3, HPMCOUNTER3), (31, HPMCOUNTER31)] {
        for (m, s) in [(false, false), (false, true), (true, false), (true, true)] {
            let mut hart = hart_in(Privilege::Machine);
            hart.csr_write(MCOUNTEREN, u64::from(m) << bit, 0);
            hart.csr_write(SCOUNTEREN, u64::from(s) << bit, 0);
            assert!(hart.csr_check(csr, false).is_ok());
            hart.privilege = Privilege::Supervisor;
            assert_eq!(hart.csr_check(csr, false).is_ok(), m, "{csr:#x} in S-mode");
            hart.privilege = Privilege::User;
            assert_eq!(hart.csr_check(csr, false).is_ok(), m && s, "{csr:#x} in U-mode");
        }
    }
}

/// "Sstc", "Machine and Supervisor Level Additions": both `menvcfg.STCE` and `mcounteren.TM` give `stimecmp` down.
#[test]
fn the_supervisor_s_timer_is_given_down() {
    for (stce, tm) in [(false, false), (false, true), (true, false), (true, true)] {
        let mut hart = hart_in(Privilege::Supervisor);
        hart.csr_write(MENVCFG, u64::from(stce) << 63, 0);
        hart.csr_write(MCOUNTEREN, u64::from(tm) << 1, 0);
        for write in [false, true] {
            assert_eq!(hart.csr_check(STIMECMP, write).is_ok(), stce && tm, "STCE {stce}, TM {tm}");
        }
    }
}

/// "Sstc": while STCE is set STIP is the timer's alone, and software's bit while it is clear.
#[test]
fn stip_is_the_line_or_the_bit() {
    let mut hart = Hart::new(0);
    hart.csr_write(MIP, 0x20, 0);
    assert_eq!(read(&hart, MIP), 0x20);
    hart.csr_write(MENVCFG, 1 << 63, 0);
    assert_eq!(read(&hart, MIP), 0);
    hart.csr_write(MIP, 0x222, 0);
    assert_eq!(read(&hart, MIP), 0x202);
    hart.lines = 0x20;
    assert_eq!(read(&hart, MIP), 0x222);
    // What software set before is there again; the line is not.
    hart.csr_write(MENVCFG, 0, 0);
    hart.csr_write(MIP, 0, 0);
    assert_eq!(read(&hart, MIP), 0);
}

/// Machine-mode software that knows of neither finds what it finds on QEMU's `virt`.
#[test]
fn after_reset_walks_set_bits_and_pages_may_have_a_type() {
    assert_eq!(read(&Hart::new(0), MENVCFG), 1 << 61 | 1 << 62);
}

/// "Environment Configuration": legal in a lower level where every level above lets it.
#[test]
fn instructions_on_blocks_are_given_down_level_by_level() {
    let fields = [
        (Block::Invalidate, 1 << 4),
        (Block::Invalidate, 3 << 4),
        (Block::Clean, 1 << 6),
        (Block::Flush, 1 << 6),
        (Block::Zero, 1 << 7),
    ];
    for (block, field) in fields {
        for (machine, supervisor) in [(false, false), (false, true), (true, false), (true, true)] {
            let mut hart = hart_in(Privilege::Machine);
            hart.csr_write(MENVCFG, if machine { field } else { 0xf0 & !field & !0x30 }, 0);
            hart.csr_write(SENVCFG, if supervisor { field } else { 0xf0 & !field & !0x30 }, 0);
            let mut legal_in = |level| {
                hart.privilege = level;
                hart.block_check(block).is_ok()
            };
            let name = format!("{block:?}, {machine}, {supervisor}");
            assert!(legal_in(Privilege::Machine), "{name}");
            assert_eq!(legal_in(Privilege::Supervisor), machine, "{name}");
            assert_eq!(legal_in(Privilege::User), machine && supervisor, "{name}");
        }
    }
}

#[test]
fn what_changes_the_timer_says_so() {
    let mut hart = Hart::new(0);
    let mut write = |number, value| (hart.csr_write(number, value, 0).timer, hart.timer_deadline());
    let never = u64::MAX;
    assert_eq!(write(STIMECMP, 1000), (false, never), "without STCE");
    assert_eq!(write(MENVCFG, 1 << 63), (true, 1000));
    assert_eq!(write(STIMECMP, 1000), (false, 1000), "the same again");
    assert_eq!(write(STIMECMP, 0), (true, 0));
    assert_eq!(write(MSCRATCH, 5), (false, 0));
    assert_eq!(write(MENVCFG, 1), (true, never));
}

/// "Virtualization Support in mstatus Register".
#[test]
fn tvm_keeps_supervisor_from_satp() {
    let mut hart = hart_in(Privilege::Supervisor);
    assert!(hart.csr_check(SATP, true).is_ok());
    hart.mstatus |= 1 << 20;
    assert!(hart.csr_check(SATP, false).is_err());
    hart.privilege = Privilege::Machine;
    assert!(hart.csr_check(SATP, true).is_ok());
}

#[test]
fn what_invalidates_translations_says_so() {
    let flush = |csr, value| Hart::new(0).csr_write(csr, value, 0).flush;
    for (csr, value) in [(PMPCFG0, 1), (PMPCFG2, 1), (PMPADDR0, 1), (PMPADDR15, 1)] {
        assert!(flush(csr, value), "{csr:#x}");
    }
    let effect = Hart::new(0).csr_write(SATP, 8 << 60, 0);
    assert!(effect.space && !effect.flush, "satp only says which ones are looked for");
    assert!(flush(MSTATUS, 1 << 19) && flush(SSTATUS, 1 << 19), "MXR");
    assert!(!flush(MSTATUS, 0) && !flush(MSTATUS, 1 << 18 | 1 << 17) && !flush(MSCRATCH, 1));
}

/// Unprivileged ISA, "Zicntr"; Privileged ISA, "Hardware Performance Monitor" and "Machine Counter-Inhibit".
#[test]
fn counters_count_what_retires() {
    let value = |hart: &Hart, csr, position| match hart.csr_read(csr, position) {
        Some(Reading::Value(value)) => value,
        other => panic!("{other:?}"),
    };
    let mut hart = Hart::new(0);
    assert_eq!((value(&hart, MINSTRET, 5), value(&hart, INSTRET, 5), value(&hart, MCYCLE, 5)), (5, 5, 5));
    // The write takes effect after the instruction at 10: the next reads what was written.
    hart.csr_write(MINSTRET, 1000, 10);
    assert_eq!(
        (value(&hart, MINSTRET, 11), value(&hart, MINSTRET, 12), value(&hart, MCYCLE, 12)),
        (1000, 1001, 12)
    );
    // A step that retires nothing.
    hart.not_retired();
    assert_eq!((value(&hart, MINSTRET, 13), value(&hart, CYCLE, 13)), (1001, 12));
    // Inhibited by the instruction at 20, which itself still counts.
    hart.csr_write(MCOUNTINHIBIT, 4, 20);
    assert_eq!(
        (value(&hart, MINSTRET, 21), value(&hart, MINSTRET, 99), value(&hart, MCYCLE, 99)),
        (1009, 1009, 98)
    );
    hart.not_retired();
    assert_eq!((value(&hart, MINSTRET, 100), value(&hart, MCYCLE, 100)), (1009, 98));
    hart.csr_write(MINSTRET, 7, 100);
    assert_eq!(value(&hart, MINSTRET, 200), 7);
    // Going on after the instruction at 299, which does not count.
    hart.csr_write(MCOUNTINHIBIT, 1, 299);
    assert_eq!((value(&hart, MINSTRET, 300), value(&hart, MINSTRET, 301)), (7, 8));
    assert_eq!((value(&hart, MCYCLE, 300), value(&hart, MCYCLE, 999)), (298, 298));
    assert_eq!(hart.csr_read(TIME, 0), Some(Reading::Clock));
}
