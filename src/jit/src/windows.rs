//! Windows of a unit: the pages that its loops walk through, or stay in, a register each.
//!
//! An access whose register moves slowly, up or down an array, or not at all, finds almost always the page of the time
//! before. Such a register has a *window* in the frame: the tag and the addend of the fast entry that its last access found.
//! An access compares its page with that; only if it is another one it looks among the fast entries, and fills the window
//! with what it finds. What a window holds is a fast entry of now: those vanish only at safepoints, where code is left, and
//! in steps of the core itself. So windows are empty where a unit is entered, and after every step (ORD-1).
//!
//! A register that is loaded or computed anew before each access gets none: a comparison that fails costs a misprediction.

use cantus_interp::Block;
use cantus_isa::riscv::class::Class;
use cantus_isa::riscv::op::{Op, Opcode};

/// Windows of a unit at most: what the frame has room for.
pub(crate) const WINDOWS_MAX: usize = 6;
/// How many times as often as its register jumps a window is used at least.
const USES_MIN: u64 = 2;
/// By how many bits an index is shifted at most to become a distance.
const SCALE_MAX: i32 = 4;

/// The pages of the accesses from a register.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Window {
    base: u8,
    stores: bool,
}

impl Window {
    /// That of an operation, if it loads or stores.
    pub fn of(op: &Op) -> Option<Self> {
        match op.code.class() {
            Class::Load(_) => Some(Self { base: op.rs1, stores: false }),
            Class::Store(_) => Some(Self { base: op.rs1, stores: true }),
            Class::Compute
            | Class::LoadReserved(_)
            | Class::StoreConditional(_)
            | Class::Amo(_)
            | Class::Branch
            | Class::Jump
            | Class::Fence
            | Class::Pause
            | Class::FenceI
            | Class::Csr
            | Class::Call
            | Class::Return
            | Class::Wait
            | Class::TranslationFence
            | Class::BlockManagement
            | Class::BlockZero => None,
        }
    }
}

/// Chooses the windows of blocks, of which each is executed so many times.
pub(crate) fn choose(blocks: &[&Block], times: &[u64]) -> Vec<Window> {
    let mut ops = Vec::new();
    for (block, &times) in blocks.iter().zip(times) {
        ops.extend(block.ops().map(|(_, op)| (op, times)));
    }
    let jumps = jumps(&ops);
    let mut uses: Vec<(Window, u64)> = Vec::new();
    // What is executed once finds its window empty.
    for &(op, times) in ops.iter().filter(|&&(_, times)| times > 1) {
        let Some(window) = Window::of(op).filter(|window| window.base != 0) else { continue };
        match uses.iter_mut().find(|(other, _)| *other == window) {
            Some((_, uses)) => *uses += times,
            None => uses.push((window, times)),
        }
    }
    uses.retain(|&(Window { base, .. }, uses)| uses >= USES_MIN * jumps[usize::from(base)]);
    uses.sort_by_key(|&(_, uses)| u64::MAX - uses);
    uses.truncate(WINDOWS_MAX);
    uses.into_iter().map(|(window, _)| window).collect()
}

/// How often each register gets a value that is far from the one before, as far as can be told.
fn jumps(ops: &[(&Op, u64)]) -> [u64; 32] {
    let mut jumps = [0; 32];
    // What is made of slow registers is slow. Registers that are copied to each other in a circle move no faster for it:
    // copies are followed once.
    for copies in [false, true] {
        let before = jumps;
        for &(op, times) in ops {
            let from = |register: u8| if copies { times.min(before[usize::from(register)]) } else { 0 };
            // What floating point or a store names there does no harm.
            jumps[usize::from(op.rd)] += match op.code {
                Opcode::Lui | Opcode::Auipc => 0,
                Opcode::Addi if op.rs1 == op.rd => 0,
                Opcode::Addi => from(op.rs1),
                Opcode::Slli if op.imm <= SCALE_MAX => from(op.rs1),
                Opcode::Add | Opcode::Sub => from(op.rs1) + from(op.rs2),
                code if code.is_floating() || matches!(code.class(), Class::Store(_) | Class::Branch) => 0,
                _ if copies => 0,
                _ => times,
            };
        }
        jumps[0] = 0;
    }
    jumps
}
