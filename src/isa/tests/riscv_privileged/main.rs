//! The privileged architecture, table by table: what CSRs take, who may access them, where traps lead, what protection and
//! page tables permit, and that a hart's state survives being written.

mod csr;
mod pmp;
mod state;
mod trap;
mod walk;

use cantus_isa::riscv::csr::Reading;
use cantus_isa::riscv::{Hart, Privilege};

/// What a CSR shows at position 0.
fn read(hart: &Hart, number: u16) -> u64 {
    match hart.csr_read(number, 0) {
        Some(Reading::Value(value)) => value,
        other => panic!("{number:#x} reads as {other:?}"),
    }
}

fn hart_in(privilege: Privilege) -> Hart {
    let mut hart = Hart::new(0);
    hart.privilege = privilege;
    hart
}
