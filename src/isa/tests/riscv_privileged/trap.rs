//! Exceptions, interrupts and returns: from every level, to every level.

use super::{hart_in, read};
use cantus_isa::riscv::Privilege::{self, Machine as M, Supervisor as S, User as U};
use cantus_isa::riscv::csr::number::*;
use cantus_isa::riscv::hart::Hart;
use cantus_isa::riscv::trap::{Exception, Interrupt, Trap};

const MTVEC_BASE: u64 = 0x8000_1000;
const STVEC_BASE: u64 = 0x8000_2000;
const PC: u64 = 0x8000_4442;

fn hart(privilege: Privilege) -> Hart {
    let mut hart = hart_in(privilege);
    (hart.pc, hart.mtvec, hart.stvec) = (PC, MTVEC_BASE, STVEC_BASE);
    hart
}

const EXCEPTIONS: [(Exception, u64); 14] = [
    (Exception::InstructionMisaligned, 0),
    (Exception::InstructionAccess, 1),
    (Exception::IllegalInstruction, 2),
    (Exception::Breakpoint, 3),
    (Exception::LoadMisaligned, 4),
    (Exception::LoadAccess, 5),
    (Exception::StoreMisaligned, 6),
    (Exception::StoreAccess, 7),
    (Exception::EcallFromUser, 8),
    (Exception::EcallFromSupervisor, 9),
    (Exception::EcallFromMachine, 11),
    (Exception::InstructionPage, 12),
    (Exception::LoadPage, 13),
    (Exception::StorePage, 15),
];

/// "Machine Trap Delegation": a trap never goes to a level below, and M-mode's are never delegated.
#[test]
fn exceptions_go_where_they_are_delegated() {
    for (exception, code) in EXCEPTIONS {
        for level in [U, S, M] {
            for delegated in [false, true] {
                let mut hart = hart(level);
                hart.medeleg = u64::from(delegated) << code;
                hart.take_exception(Trap::new(exception, 0x1234));
                let to_s = delegated && level != M;
                let name = format!("{exception:?} in {level:?}, delegated: {delegated}");
                assert_eq!(hart.privilege, if to_s { S } else { M }, "{name}");
                assert_eq!(hart.pc, if to_s { STVEC_BASE } else { MTVEC_BASE }, "{name}");
                let (s, m) = ((PC, code, 0x1234), (0, 0, 0));
                let (s, m) = if to_s { (s, m) } else { (m, s) };
                assert_eq!((hart.sepc, hart.scause, hart.stval), s, "{name}");
                assert_eq!((hart.mepc, hart.mcause, hart.mtval), m, "{name}");
            }
        }
    }
}

/// "Privilege and Global Interrupt-Enable Stack in mstatus Register".
#[test]
fn traps_push_level_and_interrupt_enable() {
    #[rustfmt::skip]
    let table: &[(Privilege, bool, u64, u64)] = &[
        // From, to S, mstatus before, after.
        (U, false, 1 << 3, 1 << 7),
        (U, false, 0, 0),
        (S, false, 1 << 3, 1 << 7 | 1 << 11),
        (M, false, 1 << 3, 1 << 7 | 3 << 11),
        (M, false, 1 << 7, 3 << 11),
        (S, false, 1 << 1 | 1 << 5, 1 << 1 | 1 << 5 | 1 << 11),
        (U, true, 1 << 1, 1 << 5),
        (S, true, 1 << 1, 1 << 5 | 1 << 8),
        (S, true, 1 << 5 | 1 << 3, 1 << 8 | 1 << 3),
        (U, true, 1 << 8, 0),
    ];
    for &(level, delegated, before, after) in table {
        let mut hart = hart(level);
        hart.mstatus = before;
        hart.medeleg = if delegated { 1 << 2 } else { 0 };
        hart.take_exception(Trap::illegal(0));
        assert_eq!(hart.mstatus, after, "from {level:?}, delegated: {delegated}, {before:#x}");
    }
}

/// "Machine Trap-Vector Base-Address": only interrupts are vectored.
#[test]
fn vectored_mode_is_for_interrupts() {
    let mut exception = hart(M);
    exception.mtvec |= 1;
    exception.take_exception(Trap::illegal(0));
    assert_eq!(exception.pc, MTVEC_BASE);
    for (interrupt, code) in INTERRUPTS {
        for (vectored, delegated) in [(false, false), (true, false), (false, true), (true, true)] {
            let mut hart = hart(U);
            hart.mtvec |= u64::from(vectored);
            hart.stvec |= u64::from(vectored);
            hart.mideleg = u64::from(delegated) << code;
            hart.take_interrupt(interrupt);
            let base = if delegated { STVEC_BASE } else { MTVEC_BASE };
            assert_eq!(hart.pc, base + if vectored { 4 * code } else { 0 }, "{interrupt:?}");
            let cause = if delegated { hart.scause } else { hart.mcause };
            assert_eq!(cause, 1 << 63 | code, "{interrupt:?}");
            assert_eq!(if delegated { hart.sepc } else { hart.mepc }, PC, "{interrupt:?}");
        }
    }
}

const INTERRUPTS: [(Interrupt, u64); 6] = [
    (Interrupt::MachineExternal, 11),
    (Interrupt::MachineSoftware, 3),
    (Interrupt::MachineTimer, 7),
    (Interrupt::SupervisorExternal, 9),
    (Interrupt::SupervisorSoftware, 1),
    (Interrupt::SupervisorTimer, 5),
];

fn raise(hart: &mut Hart, code: u64) {
    match code {
        1 | 5 => hart.mip |= 1 << code,
        _ => hart.lines |= 1 << code,
    }
    hart.mie |= 1 << code;
}

/// "Machine Interrupt Registers": an interrupt traps to M-mode if the level is below M or MIE is set, to S-mode if it is
/// delegated and the level is below S, or is S and SIE is set.
#[test]
fn interrupts_are_taken_where_they_are_enabled() {
    for (interrupt, code) in INTERRUPTS {
        for level in [U, S, M] {
            for bits in 0..8 {
                let (mie, sie, delegated) = (bits & 1, bits >> 1 & 1, bits >> 2 & 1);
                if delegated == 1 && matches!(code, 3 | 7 | 11) {
                    continue;
                }
                let mut hart = hart(level);
                hart.mstatus = mie << 3 | sie << 1;
                hart.mideleg = delegated << code;
                assert_eq!(hart.pending_interrupt(), None);
                raise(&mut hart, code);
                let due = if delegated == 1 {
                    level == U || level == S && sie == 1
                } else {
                    level != M || mie == 1
                };
                assert_eq!(
                    hart.pending_interrupt(),
                    due.then_some(interrupt),
                    "{interrupt:?} in {level:?}, {bits:#b}"
                );
                assert!(hart.wfi_wakes());
                hart.mie = 0;
                assert_eq!(hart.pending_interrupt(), None);
                assert!(!hart.wfi_wakes());
            }
        }
    }
}

/// Precedence: MEI, MSI, MTI, SEI, SSI, STI; but those that trap to M-mode before those that trap to S-mode.
#[test]
fn precedence_of_interrupts() {
    for (at, &(first, code)) in INTERRUPTS.iter().enumerate() {
        for &(_, second) in &INTERRUPTS[at + 1..] {
            let mut hart = hart(U);
            raise(&mut hart, second);
            raise(&mut hart, code);
            assert_eq!(hart.pending_interrupt(), Some(first));
        }
    }
    let mut hart = hart(U);
    raise(&mut hart, 9);
    raise(&mut hart, 5);
    hart.mideleg = 1 << 9;
    assert_eq!(hart.pending_interrupt(), Some(Interrupt::SupervisorTimer));
}

#[test]
fn ord_4_an_interrupt_can_be_taken_back() {
    for (interrupt, code) in INTERRUPTS {
        for delegated in [false, true] {
            let mut hart = hart(S);
            hart.mstatus = 0x1aa;
            (hart.mepc, hart.mcause, hart.mtval, hart.sepc, hart.scause, hart.stval) = (2, 3, 4, 6, 7, 8);
            hart.mideleg = u64::from(delegated) << code;
            let before = hart.clone();
            let taken = hart.take_interrupt(interrupt);
            assert_ne!(hart, before);
            hart.untake_interrupt(taken);
            assert_eq!(hart, before);
        }
    }
}

/// "Trap Return".
#[test]
fn returns_pop_level_and_interrupt_enable() {
    #[rustfmt::skip]
    let mret: &[(u64, u64, Privilege)] = &[
        // mstatus before, after, level after.
        (3 << 11 | 1 << 7, 1 << 7 | 1 << 3, M),
        (3 << 11, 1 << 7, M),
        (1 << 11 | 1 << 3, 1 << 7, S),
        (1 << 7, 1 << 7 | 1 << 3, U),
        // MPRV is cleared on the way to a lower level, and only then.
        (1 << 17 | 1 << 11, 1 << 7, S),
        (1 << 17, 1 << 7, U),
        (1 << 17 | 3 << 11, 1 << 17 | 1 << 7, M),
    ];
    for &(before, after, level) in mret {
        let mut hart = hart(M);
        (hart.mstatus, hart.mepc) = (before, 0x8888_8888);
        assert_eq!(hart.mret(), Ok(0x8888_8888));
        assert_eq!((hart.mstatus, hart.privilege), (after, level), "mret with {before:#x}");
    }
    #[rustfmt::skip]
    let sret: &[(u64, u64, Privilege)] = &[
        (1 << 8 | 1 << 5, 1 << 5 | 1 << 1, S),
        (1 << 8, 1 << 5, S),
        (1 << 1, 1 << 5, U),
        (1 << 5 | 1 << 17, 1 << 5 | 1 << 1, U),
        (1 << 8 | 1 << 17, 1 << 5, S),
    ];
    for &(before, after, level) in sret {
        for from in [M, S] {
            let mut hart = hart(from);
            (hart.mstatus, hart.sepc) = (before, 0x8888_8888);
            assert_eq!(hart.sret(), Ok(0x8888_8888));
            assert_eq!((hart.mstatus, hart.privilege), (after, level), "sret with {before:#x}");
        }
    }
}

/// TSR, TW, TVM ("Virtualization Support in mstatus Register"), and what a level never may.
#[test]
fn what_is_illegal_where() {
    let (tvm, tw, tsr) = (1 << 20, 1 << 21, 1 << 22);
    #[rustfmt::skip]
    let table: &[(Privilege, u64, [bool; 4])] = &[
        // mret, sret, wfi, sfence.vma are legal.
        (M, 0, [true, true, true, true]),
        (M, tvm | tw | tsr, [true, true, true, true]),
        (S, 0, [false, true, true, true]),
        (S, tsr, [false, false, true, true]),
        (S, tw, [false, true, false, true]),
        (S, tvm, [false, true, true, false]),
        (U, 0, [false, false, false, false]),
    ];
    for &(level, status, legal) in table {
        let mut hart = hart(level);
        hart.mstatus = status;
        let mut returning = (hart.clone(), hart.clone());
        let found = [
            returning.0.mret().is_ok(),
            returning.1.sret().is_ok(),
            hart.wfi_check().is_ok(),
            hart.sfence_check().is_ok(),
        ];
        assert_eq!(found, legal, "in {level:?} with {status:#x}");
    }
}

/// "Memory Privilege in mstatus Register".
#[test]
fn mprv_lends_the_previous_level() {
    for (level, mprv, mpp, data) in [
        (M, false, U, M),
        (M, true, U, U),
        (M, true, S, S),
        (M, true, M, M),
        (S, true, M, S),
        (U, true, M, U),
    ] {
        let mut hart = hart(level);
        hart.csr_write(MSTATUS, u64::from(mprv) << 17 | mpp.bits() << 11, 0);
        assert_eq!(hart.data_privilege(), data, "{level:?}, MPRV {mprv}, MPP {mpp:?}");
    }
}

#[test]
fn exceptions_do_not_retire() {
    let mut hart = hart(M);
    hart.take_exception(Trap::illegal(0xffff));
    // The exception was the step at position 0.
    assert_eq!(hart.instret.read(1), 0);
    assert_eq!(hart.cycle.read(1), 0);
    assert_eq!(read(&hart, MTVAL), 0xffff);
}
