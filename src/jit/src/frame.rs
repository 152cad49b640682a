//! What all translated code shares: host registers, the frame, and the stubs through which code is entered and left.
//!
//! ```text
//! rbx  the core, see CORE             rax rcx rdx  free
//! r13  fast entries for data          the others   guest registers, see FIXED
//! r15  the budget, see below          rsp          the frame
//! xmm0 xmm1  free                     the others   guest registers, see FIXED_FLOATS, while FLOATING says so
//! ```
//!
//! The budget has the steps that may still be made from [`BUDGET_SHIFT`] up, and below it the blocks begun so far: one
//! subtraction takes a block's steps off the one and counts the other. Blocks may be paid for before they begin (`tolls.rs`).
//!
//! Code that computes no floating point pays nothing for it: those registers are filled, and MXCSR is loaded, when an
//! instruction first wants them, and both go back to the core whenever code is left, for a step, too.
//!
//! Code never looks at a virtual address that it was translated for, so it runs at any at which its page is mapped.

use crate::fold::GROUPS_MAX;
use crate::landing::{Landing, note_and_land};
use crate::memory::CodeMemory;
use crate::short::near;
use crate::tolls::Toll;
use crate::unaligned::Unaligned;
use crate::windows::WINDOWS;
use cantus_interp::{Core, OPS_MAX};
use cantus_isa::riscv::Hart;
use cantus_isa::riscv::csr::mstatus;
use cantus_memory::{FAST_SLOTS, Fast, fast_slot};
use dynasmrt::{DynasmApi, DynasmLabelApi, VecAssembler, dynasm, x64::X64Relocation};
use std::ffi::c_void;
use std::mem::offset_of;

pub(crate) type Assembler = VecAssembler<X64Relocation>;

/// Where the steps of a budget begin.
pub(crate) const BUDGET_SHIFT: u32 = 20;

/// Steps, and blocks, that are paid for at once at most.
pub(crate) const PAID_MAX: i32 = OPS_MAX as i32 + 64;

/// Steps of a budget at most. A block has a step at least, so that blocks do not count up into the steps.
pub(crate) const BUDGET_MAX: u64 = (1 << BUDGET_SHIFT) - 1 - PAID_MAX as u64;

const _: () = assert!((PAID_MAX as i64) < i32::MAX as i64 >> BUDGET_SHIFT);

/// Numbers of host registers.
pub(crate) const RAX: u8 = 0;
pub(crate) const RCX: u8 = 1;
pub(crate) const RDX: u8 = 2;

/// Guest registers that live in host registers while translated code runs: the stack pointer, and those that compressed
/// instructions can name, which compilers use most.
pub(crate) const FIXED: [(u8, u8); 9] =
    [(2, 5), (8, 12), (9, 14), (10, 7), (11, 6), (12, 8), (13, 9), (14, 10), (15, 11)];

/// Floating-point registers of the guest that live in host vector registers while [`FLOATING`] says so: in compiled programs
/// nine of ten operands are among them.
pub(crate) const FIXED_FLOATS: [(u8, u8); 14] = [
    (10, 2),
    (11, 3),
    (12, 4),
    (13, 5),
    (14, 6),
    (15, 7),
    (8, 8),
    (9, 9),
    (18, 10),
    (19, 11),
    (0, 12),
    (1, 13),
    (2, 14),
    (3, 15),
];

/// The host's vector register of a floating-point register.
pub(crate) fn vector(register: u8) -> Option<u8> {
    FIXED_FLOATS.iter().find(|(guest, _)| *guest == register).map(|&(_, host)| host)
}

/// Where rbx points in the core: the distances of all integer registers from there are bytes.
pub(crate) const CORE: i32 = (offset_of!(Core, hart) + offset_of!(Hart, x)) as i32 + 128;

/// Where the guest's registers lie, from [`CORE`], as all that follows.
pub(crate) const HART: i32 = offset_of!(Core, hart) as i32 - CORE;

/// Where the current level lies, a byte.
pub(crate) const PRIVILEGE: i32 = HART + offset_of!(Hart, privilege) as i32;

/// Where an integer register of the guest lies.
pub(crate) fn x(register: u8) -> i32 {
    HART + offset_of!(Hart, x) as i32 + 8 * i32::from(register)
}

/// Where a floating-point register of the guest lies.
pub(crate) fn f(register: u8) -> i32 {
    HART + offset_of!(Hart, f) as i32 + 8 * i32::from(register)
}

/// Where floating-point flags and rounding mode lie, and the status with its state.
pub(crate) const FCSR: i32 = HART + offset_of!(Hart, fcsr) as i32;
pub(crate) const MSTATUS: i32 = HART + offset_of!(Hart, mstatus) as i32;

/// Where the guest's program counter lies.
pub(crate) const PC: i32 = HART + offset_of!(Hart, pc) as i32;

/// What the frame holds, from rsp.
pub(crate) const ENV: i32 = 0;
/// Virtual address of the page that code runs in.
pub(crate) const PAGE: i32 = 8;
pub(crate) const FAST_CODE: i32 = 16;
pub(crate) const EPOCH: i32 = 24;
pub(crate) const EPOCHS: i32 = 32;
pub(crate) const JUMPS: i32 = 40;
/// Six registers and the return address lie above it; calls need 16 bytes of alignment.
const FRAME: i32 = 632;
/// A doubleword: [`NOT_FLOATING`], [`FILLED`] or [`DIRTY`].
pub(crate) const FLOATING: i32 = 48;
/// MXCSR is Rust's, and all guest registers lie in the core.
pub(crate) const NOT_FLOATING: i32 = 0;
/// Floating point is on; MXCSR holds the guest's rounding mode, and flags that are not yet in its `fcsr`; the vector registers
/// hold the guest's.
pub(crate) const FILLED: i32 = 1;
/// And the guest's status says that its registers have changed.
pub(crate) const DIRTY: i32 = 2;
/// The core's landings, and the stamp of those that hold.
pub(crate) const LANDINGS: i32 = 64;
pub(crate) const STAMP: i32 = 72;
/// What is kept of the groups of a block, and the tags and addends of windows: behind the others.
const KEPT: i32 = 80;
const TAGS: i32 = KEPT + 8 * GROUPS_MAX as i32;
const ADDENDS: i32 = TAGS + 8 * WINDOWS as i32;
/// How far the host's addresses of RAM lie behind the guest's.
pub(crate) const GUEST: i32 = ADDENDS + 8 * WINDOWS as i32;

const _: () = assert!(GUEST + 8 <= FRAME && FRAME % 16 == 8);
const _: () = assert!(WINDOWS.is_multiple_of(2), "two of them are emptied at once");

/// Where what is kept of a group lies, from rsp.
pub(crate) fn kept(group: usize) -> i32 {
    KEPT + 8 * group as i32
}

/// Where the tag and the addend of a window lie, from rsp.
pub(crate) fn window(place: usize) -> (i32, i32) {
    let at = 8 * place as i32;
    (TAGS + at, ADDENDS + at)
}

/// For MXCSR to be loaded from and stored to; and for one with another rounding mode.
pub(crate) const MXCSR: i32 = 56;
pub(crate) const MXCSR_STATIC: i32 = 60;
/// MXCSR as Rust wants it: nearest even, all exceptions masked, no flags.
const MXCSR_DEFAULT: i32 = 0x1f80;
/// MXCSR's flags.
pub(crate) const MXCSR_FLAGS: i32 = 0x3f;
/// Where its rounding mode begins.
pub(crate) const MXCSR_ROUNDING: i32 = 13;
/// For each rounding mode of the guest that the host has, the host's, two bits each: nearest even, towards zero, down, up.
pub(crate) const ROUNDINGS: u32 = 0b10_01_11_00;

/// The guest's floating-point flags (NX, UF, OF, DZ, NV from bit 0) for MXCSR's (IE, DE, ZE, OE, UE, PE).
fn flags_of(mxcsr: u8) -> u8 {
    let bit = |from: u8, to: u8| (mxcsr >> from & 1) << to;
    bit(5, 0) | bit(4, 1) | bit(3, 2) | bit(2, 3) | bit(0, 4)
}

/// The field of the status that says whether there is floating point, and whether it is dirty.
pub(crate) const FS: i32 = mstatus::FS as i32;

/// Parts of a fast entry.
pub(crate) const READ: i32 = offset_of!(Fast, read) as i32;
pub(crate) const WRITE: i32 = offset_of!(Fast, write) as i32;
pub(crate) const EXECUTE: i32 = offset_of!(Fast, execute) as i32;
pub(crate) const ADDEND: i32 = offset_of!(Fast, addend) as i32;

/// Bits of the place of a fast entry in its mode's table, in bytes.
pub(crate) const SLOT_MASK: i32 = ((FAST_SLOTS - 1) * size_of::<Fast>()) as i32;
/// How far an address is shifted to give that place.
pub(crate) const SLOT_SHIFT: i8 = 7;

// The shifts say what `fast_slot` says.
const _: () = {
    assert!(size_of::<Fast>() == 32);
    let address = 0x0000_003f_d5a7_6123u64;
    assert!((address >> SLOT_SHIFT) & SLOT_MASK as u64 == 32 * fast_slot(address) as u64);
};

/// Where the code of a block that starts at a host address is entered.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct Jump {
    pub host: u64,
    pub code: *const u8,
}

/// How many of these there are: a table by the host address without its lowest bit, mixed with its page.
pub(crate) const JUMP_SLOTS: usize = 4096;

/// How far the address is shifted to be mixed with itself: functions begin at round numbers in every page.
const JUMP_MIX: i8 = 10;

/// What stands in a place without one: no host address.
pub(crate) const NO_JUMP: Jump = Jump { host: 0, code: std::ptr::null() };

// A jump's place is made of host addresses by shifts.
const _: () = assert!(size_of::<Jump>() == 16 && JUMP_SLOTS.is_power_of_two());

/// The place of the code at a host address.
pub(crate) fn jump_slot(host: u64) -> usize {
    ((host ^ host >> JUMP_MIX) >> 1) as usize % JUMP_SLOTS
}

/// What translated code and the translator tell each other.
#[repr(C)]
pub(crate) struct Env {
    pub core: *mut Core,
    /// The budget.
    pub budget: u64,
    /// Virtual address of the page that code runs in.
    pub page: u64,
    pub fast_data: *const Fast,
    pub fast_code: *const Fast,
    /// The core's code epoch.
    pub epoch: u64,
    /// For the number of each unit the epoch at which its bytes were last known to be current.
    pub epochs: *const u64,
    pub jumps: *const Jump,
    pub landings: *mut Landing,
    pub stamp: u64,
    pub guest: u64,
    /// Not 0 while store-conditionals whose reservation is intact hold without being asked for.
    pub holds: u64,
    /// Makes a step: an operation of a block, both given by number; with [`REST`] all operations from there on. Not 0 if
    /// that ends the run; else `fast_data` and `holds` are those from there on.
    pub step: extern "sysv64" fn(&mut Env, u32) -> u32,
    /// Begins another stretch, of so many steps at least: the budget of it, or 0 if code has to be left.
    pub stretch: extern "sysv64" fn(&mut Env, u32) -> u64,
    /// For these two alone.
    pub context: *mut c_void,
}

/// The bit of a step's number that stands for the rest of its block, too.
pub(crate) const REST: u32 = 1 << 31;

impl Env {
    /// A budget of so many steps.
    pub fn budget_of(steps: u64) -> u64 {
        assert!(steps <= BUDGET_MAX, "a budget of {steps} steps is too large");
        steps << BUDGET_SHIFT
    }

    /// Has something back that was paid.
    pub fn give_back(&mut self, toll: Toll) {
        self.budget = self.budget.wrapping_add_signed(toll.bits().into());
    }

    /// Steps that may still be made.
    pub fn left(&self) -> u64 {
        self.budget >> BUDGET_SHIFT
    }

    /// Blocks begun so far.
    pub fn begun(&self) -> u64 {
        self.budget & ((1 << BUDGET_SHIFT) - 1)
    }
}

/// What code returns, if it is not the number of a link and one: between two blocks there is no code to go on with, the
/// next block does not fit into the budget; or a step has ended the run.
pub(crate) const BETWEEN: u32 = 0;
pub(crate) const SPENT: u32 = u32::MAX - 1;
pub(crate) const ENDED: u32 = u32::MAX;

/// Addresses of the stubs.
#[derive(Clone, Copy)]
pub(crate) struct Stubs {
    /// `extern "sysv64" fn(&mut Env, code) -> u32`: enters code.
    pub enter: usize,
    /// Leaves, with eax to return.
    pub leave: usize,
    /// Called with a step's number in eax: makes it and returns, or leaves.
    pub step: usize,
    /// Goes on at the virtual address in rax, and notes the landing there.
    pub lookup: usize,
    /// Called before a block, with the steps in eax that are paid for there, when the budget is spent: gives the budget of another stretch in rax, or
    /// 0. Guest registers stay where they are, but floating point goes to the core. Overwrites rcx and rdx.
    pub stretch: usize,
    /// Jumped to with a step's number in eax: makes it, and all that follow in its block, and leaves.
    pub rest: usize,
    /// Called before floating-point instructions: fills vector registers and loads MXCSR for the guest, if floating point
    /// is on and the host has the rounding mode, and sets [`FLOATING`]. Overwrites rcx and rdx.
    pub floating: usize,
    pub unaligned: Unaligned,
}

/// Where it says whether store-conditionals hold, from [`ENV`].
pub(crate) const HOLDS: i32 = offset_of!(Env, holds) as i32;

macro_rules! env {
    ($field:ident) => {
        offset_of!(Env, $field) as i32
    };
}

impl Stubs {
    /// Writes them to the start of `memory`. Returns them and where they end.
    pub fn write(memory: &mut CodeMemory) -> (Self, usize) {
        let base = memory.address(0) as usize;
        let mut asm = Assembler::new(base);
        let spill = |asm: &mut Assembler| {
            for (guest, host) in FIXED {
                near!(asm; x(guest); mov [rbx], Rq(host));
            }
        };
        let fill = |asm: &mut Assembler| {
            for (guest, host) in FIXED {
                near!(asm; x(guest); mov Rq(host), [rbx]);
            }
        };
        // No tag that is compared with has all bits set: those between a page and its alignment are clear.
        let empty_windows = |asm: &mut Assembler, depth: i32| {
            dynasm!(asm; .arch x64; pcmpeqd xmm0, xmm0);
            for two in 0..WINDOWS as i32 / 2 {
                dynasm!(asm; .arch x64; movups [rsp + TAGS + depth + 16 * two], xmm0);
            }
        };
        let [enter, leave, step, stretch, rest, lookup, floating, settle, settle_deeper, flags] =
            std::array::from_fn(|_| asm.new_dynamic_label());
        let without_spill = asm.new_dynamic_label();
        dynasm!(asm
            ; .arch x64
            ;=>enter
            ; push rbx; push rbp; push r12; push r13; push r14; push r15
            ; sub rsp, FRAME
            ; mov [rsp + ENV], rdi
            ; mov rax, rsi
            ; mov QWORD [rsp + FLOATING], 0
        );
        for (from, to) in [
            (env!(page), PAGE),
            (env!(fast_code), FAST_CODE),
            (env!(epoch), EPOCH),
            (env!(epochs), EPOCHS),
            (env!(jumps), JUMPS),
            (env!(landings), LANDINGS),
            (env!(stamp), STAMP),
            (env!(guest), GUEST),
        ] {
            dynasm!(asm; .arch x64; mov rcx, [rdi + from]; mov [rsp + to], rcx);
        }
        dynasm!(asm
            ; .arch x64
            ; mov rbx, [rdi + env!(core)]
            ; add rbx, CORE
            ; mov r15, [rdi + env!(budget)]
            ; mov r13, [rdi + env!(fast_data)]
        );
        empty_windows(&mut asm, 0);
        fill(&mut asm);
        dynasm!(asm
            ; .arch x64
            ; jmp rax
            ; .align 16
            ;=>leave
            ; cmp DWORD [rsp + FLOATING], 0
            ; je >settled
            ; call =>settle
            ;settled:
        );
        spill(&mut asm);
        dynasm!(asm
            ; .arch x64
            ; mov rcx, [rsp + ENV]
            ; mov [rcx + env!(budget)], r15
            ;=>without_spill
            ; add rsp, FRAME
            ; pop r15; pop r14; pop r13; pop r12; pop rbp; pop rbx
            ; ret
            ; .align 16
            ;=>step
            ; cmp DWORD [rsp + FLOATING + 8], 0
            ; je >settled
            ; call =>settle_deeper
            ;settled:
        );
        spill(&mut asm);
        // The return address lies on the frame.
        dynasm!(asm
            ; .arch x64
            ; mov rdi, [rsp + ENV + 8]
            ; mov esi, eax
            ; mov [rdi + env!(budget)], r15
            ; mov rcx, [rsp + PAGE + 8]
            ; mov [rdi + env!(page)], rcx
            ; sub rsp, 8
            ; call QWORD [rdi + env!(step)]
            ; add rsp, 8
            ; test eax, eax
            ; jnz >ended
            ; mov rcx, [rsp + ENV + 8]
            ; mov r13, [rcx + env!(fast_data)]
        );
        empty_windows(&mut asm, 8);
        fill(&mut asm);
        dynasm!(asm
            ; .arch x64
            ; ret
            ;ended:
            ; add rsp, 8
            ; mov eax, DWORD ENDED as i32
            ; jmp =>without_spill
            ; .align 16
            ;=>stretch
            ; cmp DWORD [rsp + FLOATING + 8], 0
            ; je >settled
            ; call =>settle_deeper
            ;settled:
            ; mov rcx, [rsp + ENV + 8]
            ; mov [rcx + env!(budget)], r15
            ; push rsi; push rdi; push r8; push r9; push r10; push r11
            ; mov rdi, rcx
            ; mov esi, eax
            ; sub rsp, 8
            ; call QWORD [rcx + env!(stretch)]
            ; add rsp, 8
            ; pop r11; pop r10; pop r9; pop r8; pop rdi; pop rsi
            ; ret
            ; .align 16
            ;=>rest
            ; or eax, DWORD REST as i32
            ; call =>step
            ; .align 16
            ;=>lookup
            ; mov ecx, eax
            ; shr ecx, SLOT_SHIFT
            ; and ecx, SLOT_MASK
            ; add rcx, [rsp + FAST_CODE]
            ; mov rdx, rax
            ; and rdx, -4096
            ; cmp rdx, [rcx + EXECUTE]
            ; jne >nowhere
            ; mov rcx, [rcx + ADDEND]
            ; add rcx, rax
            ; mov [rsp + PAGE], rdx
            ; mov rdx, rcx
            ; shr rdx, JUMP_MIX
            ; xor rdx, rcx
            ; shr rdx, 1
            ; and edx, JUMP_SLOTS as i32 - 1
            ; shl edx, 4
            ; add rdx, [rsp + JUMPS]
            ; cmp rcx, [rdx]
            ; jne >nowhere
            ; mov rdx, [rdx + 8]
        );
        note_and_land(&mut asm);
        dynasm!(asm
            ; .arch x64
            ;nowhere:
            ; mov [rbx + PC], rax
            ; mov eax, BETWEEN as i32
            ; jmp =>leave
            ; .align 16
            ;=>floating
            ; test DWORD [rbx + MSTATUS], FS
            ; jz >none
            ; mov rcx, [rbx + FCSR]
            ; shr ecx, 5
            ; cmp ecx, 3
            ; ja >none
            ; add ecx, ecx
            ; mov edx, DWORD ROUNDINGS as i32
            ; shr edx, cl
            ; and edx, 3
            ; shl edx, MXCSR_ROUNDING as i8
            ; or edx, MXCSR_DEFAULT
            ; mov [rsp + MXCSR + 8], edx
            ; ldmxcsr [rsp + MXCSR + 8]
        );
        for (guest, host) in FIXED_FLOATS {
            dynasm!(asm; .arch x64; movsd Rx(host), [rbx + f(guest)]);
        }
        dynasm!(asm
            ; .arch x64
            ; mov ecx, [rbx + MSTATUS]
            ; and ecx, FS
            ; xor edx, edx
            ; cmp ecx, FS
            ; sete dl
            ; inc edx
            ; mov [rsp + FLOATING + 8], edx
            ;none:
            ; ret
        );
        // Brings vector registers into the core, MXCSR's flags into `fcsr`, which makes the state dirty if they are new
        // there, and gives Rust its own. Leaves eax as it is.
        let settling = |asm: &mut Assembler, label, depth: i32| {
            dynasm!(asm
                ; .arch x64
                ; .align 16
                ;=>label
                ; stmxcsr [rsp + MXCSR + depth]
                ; mov ecx, [rsp + MXCSR + depth]
                ; mov DWORD [rsp + MXCSR + depth], MXCSR_DEFAULT
                ; ldmxcsr [rsp + MXCSR + depth]
                ; mov DWORD [rsp + FLOATING + depth], 0
                ; and ecx, MXCSR_FLAGS
                ; lea rdx, [=>flags]
                ; movzx ecx, BYTE [rdx + rcx]
                ; mov rdx, [rbx + FCSR]
                ; or rcx, rdx
                ; cmp rcx, rdx
                ; je >same
                ; mov [rbx + FCSR], rcx
                ; or QWORD [rbx + MSTATUS], DWORD FS
                ;same:
            );
            for (guest, host) in FIXED_FLOATS {
                dynasm!(asm; .arch x64; movsd [rbx + f(guest)], Rx(host));
            }
            dynasm!(asm; .arch x64; ret);
        };
        settling(&mut asm, settle, 8);
        settling(&mut asm, settle_deeper, 16);
        let unaligned = Unaligned::write(&mut asm, base);
        dynasm!(asm; .arch x64; =>flags);
        for mxcsr in 0..=MXCSR_FLAGS as u8 {
            asm.push(flags_of(mxcsr));
        }
        let at = |label| base + asm.labels().resolve_dynamic(label).expect("defined above").0;
        let stubs = Self {
            enter: at(enter),
            leave: at(leave),
            step: at(step),
            stretch: at(stretch),
            rest: at(rest),
            lookup: at(lookup),
            floating: at(floating),
            unaligned,
        };
        let code = asm.finalize().expect("every label is defined");
        memory.write(0, &code);
        (stubs, code.len())
    }

    /// Enters translated code.
    ///
    /// # Safety
    /// The stubs' memory and the code at `code` are mapped; all of `env` is right, and nothing that it points to is
    /// accessed meanwhile but by `step`.
    pub unsafe fn enter(&self, env: &mut Env, code: *const u8) -> u32 {
        // SAFETY: the stub was written for this type.
        let enter: extern "sysv64" fn(&mut Env, *const u8) -> u32 =
            unsafe { std::mem::transmute(self.enter) };
        enter(env, code)
    }
}
