//! From statements to machine code.
//!
//! Registers of the body: `a0` to `a7` accumulate; `t0` to `t6` are scratch; `gp` points to shared data, `s0` to the
//! core's own page, `s5` to the window, `s6` to the leaves of the page tables, `tp` is the core's number; `s1`, `s2`
//! and `s3` count loops. `s9`, `s10` and `s11` belong to the trap handler; `s11` accumulates what traps bring.

use super::layout::{self, FUNCTION_OFFSETS};
use super::runtime::service;
use super::{Counter, Paging, Place, Pte, Read, Statement};
use crate::assembler::register::{A, GP, RA, S, T, ZERO};
use crate::assembler::{Assembler, bits, csr, i, r, s};
use cantus_isa::Width;
use cantus_isa::riscv::Op;
use cantus_isa::riscv::Opcode::{self, *};

/// Registers that count loops, from the outermost in.
const COUNTERS: [u8; 3] = [S[1], S[2], S[3]];
/// How deep loops may lie in each other.
pub(super) const DEPTH_MAX: usize = COUNTERS.len();

/// Writes one core's body.
pub(super) struct Emitter<'a> {
    pub(super) code: &'a mut Assembler,
    pub(super) paging: Paging,
    pub(super) depth: usize,
}

impl Emitter<'_> {
    pub(super) fn body(&mut self, statements: &[Statement]) {
        statements.iter().for_each(|statement| self.statement(statement));
    }

    /// Mixes a value into an accumulator, in which nothing is ever lost.
    fn fold(&mut self, acc: u8, value: u8) {
        let acc = A[usize::from(acc)];
        self.code.op(i(Rori, acc, acc, 11));
        self.code.op(r(Add, acc, acc, value));
    }

    /// A base register and an immediate for a place. Uses `t6` and `t5`.
    fn place(&mut self, place: Place) -> (u8, i32) {
        let near = |offset: u16| offset < 2048;
        match place {
            Place::Shared { offset, stride: 0 } if near(offset) => (GP, i32::from(offset)),
            Place::Private(offset) if near(offset) => (S[0], i32::from(offset)),
            Place::Shared { offset, stride } => {
                self.code.number(T[6], u64::from(offset));
                if stride != 0 && self.depth != 0 {
                    self.code.op(i(Addi, T[5], ZERO, i32::from(stride)));
                    self.code.op(r(Mul, T[5], T[5], COUNTERS[self.depth - 1]));
                    self.code.op(r(Add, T[6], T[6], T[5]));
                    // At most the last byte but fifteen of the shared pages.
                    self.code.number(T[5], layout::SHARED_PAGES * 4096 - 16);
                    self.code.op(r(Minu, T[6], T[6], T[5]));
                }
                self.code.op(r(Add, T[6], T[6], GP));
                (T[6], 0)
            }
            Place::Private(offset) => {
                self.code.number(T[6], u64::from(offset));
                self.code.op(r(Add, T[6], T[6], S[0]));
                (T[6], 0)
            }
            Place::Window { page, offset } => {
                let (base, offset) = match self.paging {
                    Paging::Bare => (GP, u64::from(page) % layout::SHARED_PAGES * 4096 + u64::from(offset)),
                    Paging::Sv39 | Paging::Sv48 => (S[5], u64::from(page) * 4096 + u64::from(offset)),
                };
                self.code.number(T[6], offset);
                self.code.op(r(Add, T[6], T[6], base));
                (T[6], 0)
            }
        }
    }

    /// The address of a place, in a register.
    fn pointer(&mut self, place: Place) -> u8 {
        match self.place(place) {
            (base, 0) => base,
            (base, offset) => {
                self.code.op(i(Addi, T[6], base, offset));
                T[6]
            }
        }
    }

    fn statement(&mut self, statement: &Statement) {
        match statement {
            Statement::Load { code, place, acc } => {
                let (base, offset) = self.place(*place);
                self.code.op(i(*code, T[0], base, offset));
                self.fold(*acc, T[0]);
            }
            Statement::Store { width, place, acc } => {
                let (base, offset) = self.place(*place);
                self.code.op(s(store(*width), A[usize::from(*acc)], base, offset));
            }
            Statement::Amo { code, place, acc } => {
                let pointer = self.pointer(*place);
                self.code.op(r(*code, T[0], pointer, A[usize::from(*acc)]));
                self.fold(*acc, T[0]);
            }
            Statement::Reserve { double, place, acc, tries, between } => {
                self.reserve(*double, *place, *acc, *tries, between.as_deref());
            }
            Statement::Locked { lock, looks, body } => self.locked(*lock, *looks, body),
            Statement::Fence => self.code.op(Op { imm: 0xff, ..Op::of(Fence) }),
            Statement::FenceI => self.code.op(Op::of(FenceI)),
            Statement::Interrupt { core } => {
                self.code.number(T[0], layout::MSIP + 4 * u64::from(*core));
                self.code.op(i(Addi, T[1], ZERO, 1));
                self.code.op(s(Sw, T[1], T[0], 0));
            }
            Statement::Timer { core, ticks } => {
                self.code.op(csr(Csrrs, T[0], 0xc01, ZERO));
                self.code.number(T[1], u64::from(*ticks));
                self.code.op(r(Add, T[0], T[0], T[1]));
                self.code.number(T[1], layout::MTIMECMP + 8 * u64::from(*core));
                self.code.op(s(Sd, T[0], T[1], 0));
            }
            Statement::Sleep { ticks } => {
                self.code.op(i(Addi, T[0], ZERO, service::SLEEP));
                self.code.number(T[1], u64::from(*ticks));
                self.code.wide(Op::of(Ecall));
            }
            Statement::Count { counter, acc } => {
                match counter {
                    Counter::Time => self.code.op(csr(Csrrs, T[0], 0xc01, ZERO)),
                    Counter::Cycle => self.code.op(csr(Csrrs, T[0], 0xc00, ZERO)),
                    Counter::Retired => self.code.op(csr(Csrrs, T[0], 0xc02, ZERO)),
                    Counter::Clint => {
                        self.code.number(T[0], layout::MTIME);
                        self.code.op(i(Ld, T[0], T[0], 0));
                    }
                }
                self.fold(*acc, T[0]);
            }
            Statement::Patch { function, whole, acc, fence } => self.patch(*function, *whole, *acc, *fence),
            Statement::Call { function, window, acc } => {
                let target = match (window, self.paging) {
                    (Some(window), Paging::Sv39 | Paging::Sv48) => {
                        let page = layout::WINDOW_DATA + u64::from(*window);
                        let function = function % layout::FUNCTIONS_IN_WINDOW;
                        layout::WINDOW + page * 4096 + FUNCTION_OFFSETS[usize::from(function)]
                    }
                    (Some(_) | None, _) => layout::FUNCTIONS + FUNCTION_OFFSETS[usize::from(*function)],
                };
                self.code.number(T[1], target);
                self.code.op(i(Jalr, RA, T[1], 0));
                self.fold(*acc, T[0]);
            }
            Statement::PatchSelf { acc, gap } => {
                let patched = self.code.label();
                self.load_addi(*acc);
                self.code.address(T[3], patched);
                self.code.op(s(Sw, T[1], T[3], 0));
                (0..*gap).for_each(|_| self.code.op(i(Addi, T[4], T[4], 1)));
                self.code.place(patched);
                self.code.wide(ADDI);
                self.fold(*acc, T[0]);
            }
            Statement::Map { window, pte, swap } => {
                self.code.number(T[0], entry(*window, *pte));
                self.code.op(i(Addi, T[1], S[6], 8 * i32::from(*window)));
                match swap {
                    true => self.code.op(r(AmoswapD, T[0], T[1], T[0])),
                    false => self.code.op(s(Sd, T[0], T[1], 0)),
                }
            }
            Statement::FenceVma { window, parts } => {
                if let Some(window) = window {
                    self.code.number(T[0], layout::WINDOW + 4096 * u64::from(*window));
                }
                let rs1 = if window.is_some() { T[0] } else { ZERO };
                let fence = |code| Op { rs1, ..Op::of(code) };
                if *parts {
                    self.code.op(Op::of(SfenceWInval));
                    self.code.op(fence(SinvalVma));
                    self.code.op(Op::of(SfenceInvalIr));
                } else {
                    self.code.op(fence(SfenceVma));
                }
            }
            Statement::Space { asid } => {
                if let Some(satp) = layout::satp(self.paging) {
                    self.code.number(T[0], satp | u64::from(*asid) << 44);
                    self.code.op(csr(Csrrw, ZERO, 0x180, T[0]));
                }
            }
            Statement::Zero { place } => {
                let pointer = self.pointer(*place);
                self.code.op(i(CboZero, ZERO, pointer, 0));
            }
            Statement::ReadPte { window, acc } => {
                self.code.op(i(Ld, T[0], S[6], 8 * i32::from(*window)));
                self.fold(*acc, T[0]);
            }
            Statement::Print { acc } => {
                self.code.number(T[0], layout::UART);
                self.code.op(s(Sb, A[usize::from(*acc)], T[0], 0));
            }
            Statement::Device { read, acc } => {
                let (code, address) = match read {
                    Read::LineStatus => (Lbu, layout::UART + 5),
                    Read::Received => (Lbu, layout::UART),
                    Read::Scratch => (Lbu, layout::UART + 7),
                    Read::SoftwareInterrupt(core) => (Lw, layout::MSIP + 4 * u64::from(*core)),
                    Read::Priority => (Lw, layout::PLIC + 4 * 11),
                    Read::Pending => (Lw, layout::PLIC + 0x1000),
                };
                self.code.number(T[0], address);
                self.code.op(i(code, T[0], T[0], 0));
                self.fold(*acc, T[0]);
            }
            Statement::SetDevice { plic, acc } => {
                let (code, address) =
                    if *plic { (Sw, layout::PLIC + 4 * 11) } else { (Sb, layout::UART + 7) };
                self.code.number(T[0], address);
                self.code.op(s(code, A[usize::from(*acc)], T[0], 0));
            }
            Statement::Alu { code, rd, rs1, rs2 } => {
                let [rd, rs1, rs2] = [rd, rs1, rs2].map(|acc| A[usize::from(*acc)]);
                self.code.op(r(*code, rd, rs1, rs2));
            }
            Statement::Float { code, acc } => self.float(*code, *acc),
            Statement::Trap { kind } => match kind {
                0 => self.code.word(0xffff_ffff),
                1 => self.code.wide(Op::of(Ebreak)),
                2 => self.code.op(csr(Csrrw, ZERO, 0xc00, T[0])),
                _ => self.code.op(i(Ld, T[0], ZERO, 8)),
            },
            Statement::Repeat { times, body } => {
                let counter = COUNTERS[self.depth];
                self.code.number(counter, u64::from(*times));
                let top = self.code.mark();
                self.depth += 1;
                self.body(body);
                self.depth -= 1;
                self.code.op(i(Addi, counter, counter, -1));
                let end = self.code.label();
                // The body may be longer than a branch reaches.
                self.code.branch(Beq, counter, ZERO, end);
                self.code.jump(Op::of(Jal), top);
                self.code.place(end);
            }
        }
    }

    fn reserve(&mut self, double: bool, place: Place, acc: u8, tries: u8, between: Option<&Statement>) {
        let (load, store) = if double { (LrD, ScD) } else { (LrW, ScW) };
        let pointer = self.pointer(place);
        // What stands between may use any scratch register.
        self.code.op(i(Addi, S[7], pointer, 0));
        self.code.op(i(Addi, S[8], ZERO, i32::from(tries)));
        let (top, end) = (self.code.mark(), self.code.label());
        self.code.op(Op { rd: S[4], rs1: S[7], ..Op::of(load) });
        if let Some(between) = between {
            self.statement(between);
        }
        self.code.op(r(Add, T[1], S[4], A[usize::from(acc)]));
        self.code.op(r(store, T[2], S[7], T[1]));
        self.fold(acc, S[4]);
        self.fold(acc, T[2]);
        self.code.branch(Beq, T[2], ZERO, end);
        self.code.op(i(Addi, S[8], S[8], -1));
        self.code.branch(Bne, S[8], ZERO, top);
        self.code.place(end);
    }

    fn locked(&mut self, lock: Place, looks: u8, body: &[Statement]) {
        let (top, taken, end) = (self.code.label(), self.code.label(), self.code.label());
        self.code.op(i(Addi, T[4], ZERO, i32::from(looks)));
        self.code.place(top);
        let pointer = self.pointer(lock);
        self.code.op(i(Addi, T[0], ZERO, 1));
        self.code.op(r(AmoswapW, T[0], pointer, T[0]));
        self.code.branch(Beq, T[0], ZERO, taken);
        self.code.op(Op::of(Pause));
        self.code.op(i(Addi, T[4], T[4], -1));
        self.code.branch(Bne, T[4], ZERO, top);
        self.code.jump(Op::of(Jal), end);
        self.code.place(taken);
        self.body(body);
        let pointer = self.pointer(lock);
        self.code.op(r(AmoswapW, ZERO, pointer, ZERO));
        self.code.place(end);
    }

    /// `addi t0, zero, x` with x of an accumulator, in `t1`. Uses `t2`.
    fn load_addi(&mut self, acc: u8) {
        self.code.op(i(Slli, T[1], A[usize::from(acc)], 52));
        self.code.op(i(Srli, T[1], T[1], 32));
        self.code.number(T[2], u64::from(bits(ADDI)));
        self.code.op(r(Or, T[1], T[1], T[2]));
    }

    fn patch(&mut self, function: u8, whole: bool, acc: u8, fence: bool) {
        let address = layout::FUNCTIONS + FUNCTION_OFFSETS[usize::from(function)];
        self.load_addi(acc);
        self.code.number(T[3], address);
        if whole {
            self.code.op(s(Sw, T[1], T[3], 0));
        } else {
            // The immediate is in the upper half.
            self.code.op(i(Srli, T[1], T[1], 16));
            self.code.op(s(Sh, T[1], T[3], 2));
        }
        if fence {
            self.code.op(Op::of(FenceI));
        }
    }

    fn float(&mut self, code: Opcode, acc: u8) {
        let other = A[(usize::from(acc) + 3) % A.len()];
        self.code.op(i(FmvDX, 1, A[usize::from(acc)], 0));
        self.code.op(i(FmvDX, 2, other, 0));
        let three = matches!(code, FmaddD | FmsubD | FnmaddD | FnmsubD | FmaddS);
        let to_integer = matches!(code, FcvtLD | FcvtWD | FeqD | FltD | FleD);
        let from_integer = code == FcvtDL;
        let unary = matches!(code, FsqrtD | FcvtSD | FcvtDS | FcvtDL | FcvtLD | FcvtWD);
        let exact = matches!(code, FminD | FmaxD | FsgnjD | FcvtDS | FeqD | FltD | FleD);
        self.code.op(Op {
            rd: if to_integer { T[0] } else { 3 },
            rs1: if from_integer { other } else { 1 },
            rs2: if unary { 0 } else { 2 },
            rs3: if three { 4 } else { 0 },
            rm: if exact { 0 } else { 7 },
            ..Op::of(code)
        });
        if to_integer {
            self.fold(acc, T[0]);
            return;
        }
        // The next fused one has something to add.
        self.code.op(r(FsgnjD, 4, 3, 3));
        self.code.op(i(FmvXD, T[0], 3, 0));
        self.fold(acc, T[0]);
        self.code.op(csr(Csrrs, T[0], 1, ZERO));
        self.fold(acc, T[0]);
    }
}

/// `addi t0, zero, 0`, whose immediate is what is patched.
pub(super) const ADDI: Op = Op { rd: T[0], ..Op::of(Addi) };

fn store(width: Width) -> Opcode {
    match width {
        Width::Byte => Sb,
        Width::Half => Sh,
        Width::Word => Sw,
        Width::Double => Sd,
    }
}

/// The bits of an entry of the window.
pub(super) fn entry(window: u8, pte: Pte) -> u64 {
    let page = if u64::from(window) < layout::WINDOW_DATA {
        layout::SHARED + u64::from(pte.target) % layout::SHARED_PAGES * 4096
    } else {
        layout::FUNCTIONS + u64::from(pte.target) % 2 * 4096
    };
    page >> 2 | u64::from(pte.flags) | u64::from(pte.memory_type) << 61
}
