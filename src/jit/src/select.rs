//! Host instructions for trees of values.
//!
//! Every function computes into a register that it is given, and may use the free ones that it is given, no others. A
//! destination may be a guest register that the tree still reads: then the value is computed elsewhere first.

use crate::frame::{Assembler, PAGE, RAX, RCX, RDX, f, vector, x};
use crate::homes::Homes;
use crate::short::{near, small};
use crate::tree::{Node, Tree, Value};
use cantus_isa::Width;
use cantus_isa::riscv::meaning::{Binary, Unary};
use dynasmrt::{DynasmApi, DynasmLabelApi, dynasm};

/// A set of host registers that may be overwritten.
#[derive(Clone, Copy)]
pub(crate) struct Free(u16);

impl Free {
    pub const ALL: Self = Self(1 << RAX | 1 << RCX | 1 << RDX);

    pub fn without(self, register: u8) -> Self {
        Self(self.0 & !(1 << register))
    }

    pub fn has(self, register: u8) -> bool {
        self.0 >> register & 1 != 0
    }

    /// One of them, and the rest. `rcx` last, which shifts need.
    pub fn take(self) -> (u8, Self) {
        let register = [RAX, RDX, RCX].into_iter().find(|&register| self.has(register));
        let register = register.expect("no meaning needs more registers than are free");
        (register, self.without(register))
    }
}

/// What an instruction of the host takes without further ado.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    Immediate(i32),
    Register(u8),
    /// A guest register in memory.
    Memory(i32),
}

/// When a host condition holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Condition {
    Equal,
    NotEqual,
    Less,
    NotLess,
    Below,
    NotBelow,
}

impl Condition {
    pub fn inverted(self) -> Self {
        match self {
            Condition::Equal => Condition::NotEqual,
            Condition::NotEqual => Condition::Equal,
            Condition::Less => Condition::NotLess,
            Condition::NotLess => Condition::Less,
            Condition::Below => Condition::NotBelow,
            Condition::NotBelow => Condition::Below,
        }
    }
}

/// What the host has beyond the first x86-64.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Features {
    /// `lzcnt`, `tzcnt`, `popcnt`.
    pub counts: bool,
    /// `shlx` and its like.
    pub shifts: bool,
    /// Fused multiply-add.
    pub fusion: bool,
}

impl Features {
    pub fn of_host() -> Self {
        Self {
            counts: is_x86_feature_detected!("lzcnt")
                && is_x86_feature_detected!("bmi1")
                && is_x86_feature_detected!("popcnt"),
            shifts: is_x86_feature_detected!("bmi2"),
            fusion: is_x86_feature_detected!("fma"),
        }
    }
}

/// Makes code of the values in `tree`.
pub(crate) struct Selector<'a> {
    pub asm: &'a mut Assembler,
    pub tree: &'a Tree,
    pub homes: &'a Homes,
    pub features: Features,
}

impl Selector<'_> {
    /// A value that an instruction of the host takes as it is.
    pub fn source(&self, value: Value) -> Option<Source> {
        match self.tree.node(value) {
            Node::Constant(constant) => i32::try_from(constant as i64).ok().map(Source::Immediate),
            Node::Register(register) => {
                Some(self.homes.of(register).map_or(Source::Memory(x(register)), Source::Register))
            }
            Node::Float(register) if vector(register).is_none() => Some(Source::Memory(f(register))),
            Node::Host(register) => Some(Source::Register(register)),
            Node::Address(_)
            | Node::Float(_)
            | Node::Loaded(..)
            | Node::Vector(_)
            | Node::Binary(..)
            | Node::Unary(..)
            | Node::Sign(..)
            | Node::Zero(..)
            | Node::Select(..) => None,
        }
    }

    fn is_register(&self, value: Value, register: u8) -> bool {
        self.source(value) == Some(Source::Register(register))
    }

    /// Computes a value into `into`.
    pub fn compute(&mut self, value: Value, into: u8, free: Free) {
        let free = free.without(into);
        match self.tree.node(value) {
            Node::Constant(constant) => self.constant(constant, into),
            Node::Address(offset) => {
                near!(self.asm; PAGE; mov Rq(into), [rsp]);
                near!(self.asm; offset; lea Rq(into), [Rq(into)]);
            }
            Node::Register(register) => match self.homes.of(register) {
                Some(from) if from == into => {}
                Some(from) => dynasm!(self.asm; .arch x64; mov Rq(into), Rq(from)),
                None => near!(self.asm; x(register); mov Rq(into), [rbx]),
            },
            Node::Float(register) => match vector(register) {
                Some(from) => dynasm!(self.asm; .arch x64; movq Rq(into), Rx(from)),
                None => dynasm!(self.asm; .arch x64; mov Rq(into), [rbx + f(register)]),
            },
            Node::Host(from) if from == into => {}
            Node::Host(from) => dynasm!(self.asm; .arch x64; mov Rq(into), Rq(from)),
            Node::Vector(from) => dynasm!(self.asm; .arch x64; movq Rq(into), Rx(from)),
            Node::Loaded(width, place) => {
                let (base, index, at) = place.operand();
                match width {
                    Width::Byte => {
                        near!(self.asm; at; movzx Rd(into), BYTE [Rq(base) + Rq(index)])
                    }
                    Width::Half => {
                        near!(self.asm; at; movzx Rd(into), WORD [Rq(base) + Rq(index)])
                    }
                    Width::Word => near!(self.asm; at; mov Rd(into), [Rq(base) + Rq(index)]),
                    Width::Double => near!(self.asm; at; mov Rq(into), [Rq(base) + Rq(index)]),
                }
            }
            Node::Sign(width, of) => self.sign_extend(width, of, into, free),
            Node::Zero(width, of) => self.zero_extend(width, of, into, free),
            Node::Unary(operation, of) => self.unary(operation, of, into, free),
            Node::Binary(operation, a, b) => self.binary(operation, a, b, into, free),
            Node::Select(condition, yes, no) => self.select(condition, yes, no, into, free),
        }
    }

    fn constant(&mut self, constant: u64, into: u8) {
        if let Ok(low) = u32::try_from(constant) {
            dynasm!(self.asm; .arch x64; mov Rd(into), DWORD low as i32);
        } else if let Ok(signed) = i32::try_from(constant as i64) {
            dynasm!(self.asm; .arch x64; mov Rq(into), DWORD signed);
        } else {
            dynasm!(self.asm; .arch x64; mov Rq(into), QWORD constant as i64);
        }
    }

    fn sign_extend(&mut self, width: Width, of: Value, into: u8, free: Free) {
        if let Node::Loaded(loaded, place) = self.tree.node(of)
            && loaded == width
        {
            let (base, index, at) = place.operand();
            match width {
                Width::Byte => near!(self.asm; at; movsx Rq(into), BYTE [Rq(base) + Rq(index)]),
                Width::Half => near!(self.asm; at; movsx Rq(into), WORD [Rq(base) + Rq(index)]),
                Width::Word => {
                    near!(self.asm; at; movsxd Rq(into), DWORD [Rq(base) + Rq(index)]);
                }
                Width::Double => near!(self.asm; at; mov Rq(into), [Rq(base) + Rq(index)]),
            }
            return;
        }
        let from = self.in_register(of, into, free);
        match width {
            Width::Byte => dynasm!(self.asm; .arch x64; movsx Rq(into), Rb(from)),
            Width::Half => dynasm!(self.asm; .arch x64; movsx Rq(into), Rw(from)),
            Width::Word => dynasm!(self.asm; .arch x64; movsxd Rq(into), Rd(from)),
            Width::Double => dynasm!(self.asm; .arch x64; mov Rq(into), Rq(from)),
        }
    }

    fn zero_extend(&mut self, width: Width, of: Value, into: u8, free: Free) {
        let from = self.in_register(of, into, free);
        match width {
            Width::Byte => dynasm!(self.asm; .arch x64; movzx Rd(into), Rb(from)),
            Width::Half => dynasm!(self.asm; .arch x64; movzx Rd(into), Rw(from)),
            Width::Word => dynasm!(self.asm; .arch x64; mov Rd(into), Rd(from)),
            Width::Double => dynasm!(self.asm; .arch x64; mov Rq(into), Rq(from)),
        }
    }

    /// A register that holds the value: the one that it lives in, or else `into`.
    fn in_register(&mut self, value: Value, into: u8, free: Free) -> u8 {
        if let Some(Source::Register(register)) = self.source(value) {
            return register;
        }
        self.compute(value, into, free);
        into
    }

    fn unary(&mut self, operation: Unary, of: Value, into: u8, free: Free) {
        let from = self.in_register(of, into, free);
        match operation {
            Unary::LeadingZeros => dynasm!(self.asm; .arch x64; lzcnt Rq(into), Rq(from)),
            Unary::TrailingZeros => dynasm!(self.asm; .arch x64; tzcnt Rq(into), Rq(from)),
            Unary::CountOnes => dynasm!(self.asm; .arch x64; popcnt Rq(into), Rq(from)),
            Unary::SwapBytes => {
                if from != into {
                    dynasm!(self.asm; .arch x64; mov Rq(into), Rq(from));
                }
                dynasm!(self.asm; .arch x64; bswap Rq(into));
            }
            // Bytes that are zero become ones, and then all bits the opposite.
            Unary::OrBytes => dynasm!(self.asm
                ; .arch x64
                ; movq xmm0, Rq(from)
                ; pxor xmm1, xmm1
                ; pcmpeqb xmm0, xmm1
                ; movq Rq(into), xmm0
                ; not Rq(into)
            ),
        }
    }

    fn binary(&mut self, operation: Binary, a: Value, b: Value, into: u8, free: Free) {
        match operation {
            Binary::Add => self.add(a, b, into, free),
            Binary::Sub | Binary::And | Binary::Or | Binary::Xor | Binary::Mul => {
                self.plain(operation, a, b, into, free)
            }
            Binary::ShiftLeft
            | Binary::ShiftRight
            | Binary::ShiftRightSigned
            | Binary::RotateLeft
            | Binary::RotateRight => self.shift(operation, a, b, into, free),
            Binary::Equal | Binary::Less | Binary::LessUnsigned => {
                let condition = self.compare(operation, a, b, free_for(into, free));
                self.set(condition, into);
            }
            Binary::MulHigh | Binary::MulHighUnsigned => self.high(operation, a, b, into),
            Binary::Div | Binary::DivUnsigned | Binary::Rem | Binary::RemUnsigned => {
                self.divide(operation, a, b, into);
            }
            Binary::MulHighSignedUnsigned => self.high_of_signed_and_unsigned(a, b, into),
        }
    }

    fn add(&mut self, a: Value, b: Value, into: u8, free: Free) {
        match (self.source(a), self.source(b)) {
            (Some(Source::Register(a)), Some(Source::Immediate(b))) if a != into => {
                near!(self.asm; b; lea Rq(into), [Rq(a)]);
            }
            (Some(Source::Register(a)), Some(Source::Register(b))) if a != into && b != into => {
                dynasm!(self.asm; .arch x64; lea Rq(into), [Rq(a) + Rq(b)]);
            }
            _ if self.add_scaled(a, b, into) => {}
            _ => self.plain(Binary::Add, a, b, into, free),
        }
    }

    /// Adds a register that is shifted by 1 to 3 to another one, if that is what the operands are. Says whether they are.
    fn add_scaled(&mut self, a: Value, b: Value, into: u8) -> bool {
        let Node::Binary(Binary::ShiftLeft, index, by) = self.tree.node(a) else { return false };
        let (Some(Source::Register(index)), Some(Source::Register(b))) = (self.source(index), self.source(b))
        else {
            return false;
        };
        match self.tree.constant(by) {
            Some(1) => dynasm!(self.asm; .arch x64; lea Rq(into), [Rq(b) + Rq(index) * 2]),
            Some(2) => dynasm!(self.asm; .arch x64; lea Rq(into), [Rq(b) + Rq(index) * 4]),
            Some(3) => dynasm!(self.asm; .arch x64; lea Rq(into), [Rq(b) + Rq(index) * 8]),
            _ => return false,
        }
        true
    }

    /// Operations that the host makes in place.
    fn plain(&mut self, operation: Binary, a: Value, b: Value, into: u8, free: Free) {
        if let (Binary::And, Some(mask @ (0xff | 0xffff))) = (operation, self.tree.constant(b)) {
            return self.zero_extend(if mask == 0xff { Width::Byte } else { Width::Half }, a, into, free);
        }
        let commutes = operation != Binary::Sub;
        let swap = commutes
            && self.source(a).is_some()
            && (self.source(b).is_none() || self.is_register(b, into) || self.tree.constant(a).is_some());
        let (a, b) = if swap { (b, a) } else { (a, b) };
        match self.source(b) {
            Some(Source::Register(register)) if register == into && !self.is_register(a, into) => {
                let (other, free) = free.take();
                self.compute(a, other, free);
                self.operate(operation, other, Source::Register(into));
                dynasm!(self.asm; .arch x64; mov Rq(into), Rq(other));
            }
            Some(source) => {
                self.compute(a, into, free);
                self.operate(operation, into, source);
            }
            None => {
                let (other, free) = free.take();
                self.compute(b, other, free);
                self.compute(a, into, free);
                self.operate(operation, into, Source::Register(other));
            }
        }
    }

    fn operate(&mut self, operation: Binary, into: u8, source: Source) {
        macro_rules! operate {
            ($name:ident) => {
                match source {
                    Source::Immediate(value) => small!(self.asm; value; $name Rq(into)),
                    Source::Register(from) => dynasm!(self.asm; .arch x64; $name Rq(into), Rq(from)),
                    Source::Memory(at) => near!(self.asm; at; $name Rq(into), [rbx]),
                }
            };
        }
        match operation {
            Binary::Add => operate!(add),
            Binary::Sub => operate!(sub),
            Binary::And => operate!(and),
            Binary::Or => operate!(or),
            Binary::Xor => operate!(xor),
            Binary::Mul => match source {
                Source::Immediate(value) => {
                    small!(self.asm; value; imul Rq(into), Rq(into))
                }
                Source::Register(from) => dynasm!(self.asm; .arch x64; imul Rq(into), Rq(from)),
                Source::Memory(at) => near!(self.asm; at; imul Rq(into), [rbx]),
            },
            Binary::ShiftLeft
            | Binary::ShiftRight
            | Binary::ShiftRightSigned
            | Binary::RotateLeft
            | Binary::RotateRight
            | Binary::Equal
            | Binary::Less
            | Binary::LessUnsigned
            | Binary::MulHigh
            | Binary::MulHighSignedUnsigned
            | Binary::MulHighUnsigned
            | Binary::Div
            | Binary::DivUnsigned
            | Binary::Rem
            | Binary::RemUnsigned => unreachable!("not done in place"),
        }
    }

    /// Changes a guest register where it lies in memory, if the host has an instruction for that.
    #[allow(clippy::wildcard_enum_match_arm, reason = "those before are all that there are")]
    pub fn change(&mut self, operation: Binary, at: i32, source: Source) -> bool {
        macro_rules! change {
            ($name:ident) => {
                match source {
                    Source::Immediate(value) => {
                        near!(self.asm; at; $name QWORD [rbx], DWORD value);
                    }
                    Source::Register(from) => near!(self.asm; at; $name [rbx], Rq(from)),
                    Source::Memory(_) => return false,
                }
            };
        }
        match operation {
            Binary::Add => change!(add),
            Binary::Sub => change!(sub),
            Binary::And => change!(and),
            Binary::Or => change!(or),
            Binary::Xor => change!(xor),
            _ => return false,
        }
        true
    }

    #[allow(clippy::wildcard_enum_match_arm, reason = "it is one of five")]
    fn shift(&mut self, operation: Binary, a: Value, b: Value, into: u8, free: Free) {
        macro_rules! shift {
            ($($by:tt)*) => {
                match operation {
                    Binary::ShiftLeft => dynasm!(self.asm; .arch x64; shl Rq(into), $($by)*),
                    Binary::ShiftRight => dynasm!(self.asm; .arch x64; shr Rq(into), $($by)*),
                    Binary::ShiftRightSigned => dynasm!(self.asm; .arch x64; sar Rq(into), $($by)*),
                    Binary::RotateLeft => dynasm!(self.asm; .arch x64; rol Rq(into), $($by)*),
                    _ => dynasm!(self.asm; .arch x64; ror Rq(into), $($by)*),
                }
            };
        }
        if let Some(by) = self.tree.constant(b) {
            self.compute(a, into, free);
            shift!(BYTE(by & 63) as i8);
            return;
        }
        let in_place = matches!(operation, Binary::RotateLeft | Binary::RotateRight);
        if self.features.shifts && !in_place {
            // Any register may say how far; only its low six bits count.
            let (by, free) = match self.source(b) {
                Some(Source::Register(register)) if register != into || self.is_leaf_register(a) => {
                    (register, free)
                }
                _ => {
                    let (by, free) = free.take();
                    self.compute(b, by, free);
                    (by, free)
                }
            };
            let from = self.in_register(a, into, free);
            match operation {
                Binary::ShiftLeft => dynasm!(self.asm; .arch x64; shlx Rq(into), Rq(from), Rq(by)),
                Binary::ShiftRight => dynasm!(self.asm; .arch x64; shrx Rq(into), Rq(from), Rq(by)),
                _ => dynasm!(self.asm; .arch x64; sarx Rq(into), Rq(from), Rq(by)),
            }
            return;
        }
        assert!(free.has(RCX), "what is shifted is not computed into rcx");
        let free = free.without(RCX);
        self.compute(b, RCX, free);
        self.compute(a, into, free);
        shift!(cl);
    }

    fn is_leaf_register(&self, value: Value) -> bool {
        matches!(self.source(value), Some(Source::Register(_)))
    }

    /// The upper half of a product.
    fn high(&mut self, operation: Binary, a: Value, b: Value, into: u8) {
        let by = self.factor(b);
        self.compute(a, RAX, Free::ALL.without(RCX));
        match (operation, by) {
            (Binary::MulHigh, Source::Memory(at)) => near!(self.asm; at; imul QWORD [rbx]),
            (Binary::MulHigh, _) => dynasm!(self.asm; .arch x64; imul Rq(register_of(by))),
            (_, Source::Memory(at)) => near!(self.asm; at; mul QWORD [rbx]),
            (_, _) => dynasm!(self.asm; .arch x64; mul Rq(register_of(by))),
        }
        if into != RDX {
            dynasm!(self.asm; .arch x64; mov Rq(into), rdx);
        }
    }

    /// The upper half of the product of a signed and an unsigned number: that of two unsigned ones, less the second where
    /// the first has a sign.
    fn high_of_signed_and_unsigned(&mut self, a: Value, b: Value, into: u8) {
        self.compute(b, RCX, Free::ALL);
        self.compute(a, RAX, Free::ALL.without(RCX));
        dynasm!(self.asm
            ; .arch x64
            ; mov rdx, rax
            ; sar rdx, 63
            ; and rdx, rcx
            ; movq xmm0, rdx
            ; mul rcx
            ; movq rax, xmm0
            ; sub rdx, rax
        );
        if into != RDX {
            dynasm!(self.asm; .arch x64; mov Rq(into), rdx);
        }
    }

    /// A value where rax and rdx may be overwritten: where it is, or rcx.
    fn factor(&mut self, value: Value) -> Source {
        match self.source(value) {
            Some(source @ (Source::Register(_) | Source::Memory(_))) => source,
            Some(Source::Immediate(_)) | None => {
                self.compute(value, RCX, Free::ALL);
                Source::Register(RCX)
            }
        }
    }

    /// Division. The host traps where the guest has a result ("Division Operations").
    fn divide(&mut self, operation: Binary, a: Value, b: Value, into: u8) {
        self.compute(b, RCX, Free::ALL);
        self.compute(a, RAX, Free::ALL.without(RCX));
        let quotient = matches!(operation, Binary::Div | Binary::DivUnsigned);
        if matches!(operation, Binary::Div | Binary::Rem) {
            // By 0 and by -1 apart.
            dynasm!(self.asm
                ; .arch x64
                ; lea rdx, [rcx + 1]
                ; cmp rdx, 1
                ; jbe >special
                ; cqo
                ; idiv rcx
                ; jmp >done
                ;special:
                ; test rcx, rcx
            );
            if quotient {
                dynasm!(self.asm; .arch x64; mov rdx, -1; jz >zero; mov rdx, rax; neg rdx; zero:; mov rax, rdx);
            } else {
                dynasm!(self.asm; .arch x64; mov edx, 0; cmovz rdx, rax);
            }
        } else {
            dynasm!(self.asm
                ; .arch x64
                ; test rcx, rcx
                ; jz >special
                ; xor edx, edx
                ; div rcx
                ; jmp >done
                ;special:
            );
            if quotient {
                dynasm!(self.asm; .arch x64; mov rax, -1);
            } else {
                dynasm!(self.asm; .arch x64; mov rdx, rax);
            }
        }
        let result = if quotient { RAX } else { RDX };
        dynasm!(self.asm; .arch x64; done:);
        if into != result {
            dynasm!(self.asm; .arch x64; mov Rq(into), Rq(result));
        }
    }

    #[allow(clippy::wildcard_enum_match_arm, reason = "it is one of three")]
    /// Compares, and says which condition stands for the operation.
    fn compare(&mut self, operation: Binary, a: Value, b: Value, free: Free) -> Condition {
        let right = self.source(b);
        let (left, free) = match (self.source(a), right) {
            (Some(Source::Register(register)), _) => (Source::Register(register), free),
            (Some(Source::Memory(at)), Some(Source::Register(_) | Source::Immediate(_))) => {
                (Source::Memory(at), free)
            }
            _ => {
                let (left, free) = free.take();
                self.compute(a, left, free);
                (Source::Register(left), free)
            }
        };
        let right = right.unwrap_or_else(|| {
            let (right, free) = free.take();
            self.compute(b, right, free);
            Source::Register(right)
        });
        match (left, right) {
            (Source::Register(a), Source::Immediate(0)) => dynasm!(self.asm; .arch x64; test Rq(a), Rq(a)),
            (Source::Register(a), Source::Immediate(b)) => dynasm!(self.asm; .arch x64; cmp Rq(a), DWORD b),
            (Source::Register(a), Source::Register(b)) => dynasm!(self.asm; .arch x64; cmp Rq(a), Rq(b)),
            (Source::Register(a), Source::Memory(b)) => near!(self.asm; b; cmp Rq(a), [rbx]),
            (Source::Memory(a), Source::Immediate(b)) => {
                near!(self.asm; a; cmp QWORD [rbx], DWORD b);
            }
            (Source::Memory(a), Source::Register(b)) => near!(self.asm; a; cmp [rbx], Rq(b)),
            (Source::Memory(_) | Source::Immediate(_), _) => unreachable!("one of them is in a register"),
        }
        match operation {
            Binary::Equal => Condition::Equal,
            Binary::Less => Condition::Less,
            _ => Condition::Below,
        }
    }

    /// Tests a value that is 0 or 1, and says which condition stands for 1.
    pub fn condition(&mut self, value: Value, free: Free) -> Condition {
        match self.tree.node(value) {
            Node::Binary(operation @ (Binary::Equal | Binary::Less | Binary::LessUnsigned), a, b) => {
                self.compare(operation, a, b, free)
            }
            Node::Binary(Binary::Xor, of, one) if self.tree.constant(one) == Some(1) && self.is_bit(of) => {
                self.condition(of, free).inverted()
            }
            Node::Constant(_)
            | Node::Address(_)
            | Node::Register(_)
            | Node::Float(_)
            | Node::Loaded(..)
            | Node::Host(_)
            | Node::Vector(_)
            | Node::Binary(..)
            | Node::Unary(..)
            | Node::Sign(..)
            | Node::Zero(..)
            | Node::Select(..) => {
                if let Some(Source::Memory(at)) = self.source(value) {
                    near!(self.asm; at; cmp QWORD [rbx], 0);
                } else {
                    let (register, free) = match self.source(value) {
                        Some(Source::Register(register)) => (register, free),
                        _ => free.take(),
                    };
                    self.compute(value, register, free);
                    dynasm!(self.asm; .arch x64; test Rq(register), Rq(register));
                }
                Condition::NotEqual
            }
        }
    }

    fn is_bit(&self, value: Value) -> bool {
        matches!(self.tree.node(value), Node::Binary(Binary::Equal | Binary::Less | Binary::LessUnsigned, ..))
    }

    fn set(&mut self, condition: Condition, into: u8) {
        match condition {
            Condition::Equal => dynasm!(self.asm; .arch x64; sete Rb(into)),
            Condition::NotEqual => dynasm!(self.asm; .arch x64; setne Rb(into)),
            Condition::Less => dynasm!(self.asm; .arch x64; setl Rb(into)),
            Condition::NotLess => dynasm!(self.asm; .arch x64; setge Rb(into)),
            Condition::Below => dynasm!(self.asm; .arch x64; setb Rb(into)),
            Condition::NotBelow => dynasm!(self.asm; .arch x64; setae Rb(into)),
        }
        dynasm!(self.asm; .arch x64; movzx Rd(into), Rb(into));
    }

    /// Any value other than 0 is a condition that holds.
    fn select(&mut self, condition: Value, yes: Value, no: Value, into: u8, free: Free) {
        // Moves set no flags, but whatever has to be computed comes before the comparison.
        let (chosen, free) = free_for(into, free).take();
        self.compute(no, chosen, free);
        let (yes, free) = match self.source(yes) {
            Some(source @ (Source::Register(_) | Source::Memory(_))) => (source, free),
            Some(Source::Immediate(_)) | None => {
                let (register, free) = free.take();
                self.compute(yes, register, free);
                (Source::Register(register), free)
            }
        };
        let condition = self.condition(condition, free);
        macro_rules! choose {
            ($name:ident) => {
                match yes {
                    Source::Register(yes) => dynasm!(self.asm; .arch x64; $name Rq(chosen), Rq(yes)),
                    Source::Memory(yes) => near!(self.asm; yes; $name Rq(chosen), [rbx]),
                    Source::Immediate(_) => unreachable!("it is in a register"),
                }
            };
        }
        match condition {
            Condition::Equal => choose!(cmove),
            Condition::NotEqual => choose!(cmovne),
            Condition::Less => choose!(cmovl),
            Condition::NotLess => choose!(cmovge),
            Condition::Below => choose!(cmovb),
            Condition::NotBelow => choose!(cmovae),
        }
        if chosen != into {
            dynasm!(self.asm; .arch x64; mov Rq(into), Rq(chosen));
        }
    }
}

/// A destination that holds nothing of the guest's may be used before the value stands in it.
fn free_for(into: u8, free: Free) -> Free {
    if Free::ALL.has(into) { Free(free.0 | 1 << into) } else { free }
}

fn register_of(source: Source) -> u8 {
    match source {
        Source::Register(register) => register,
        Source::Immediate(_) | Source::Memory(_) => unreachable!("it is in a register"),
    }
}
