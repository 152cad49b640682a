//! An instruction's values, before they are computed: the operations of meanings on operands of the host.
//!
//! A meaning builds a tree, and only what it does with it, a write to a register, an access to memory, a jump, makes code
//! (`select.rs`). So constants are folded, conditions meet their branches, and extensions their loads.

use crate::frame::RCX;
use cantus_interp::number;
use cantus_isa::Width;
use cantus_isa::riscv::meaning::{Binary, Unary};

/// A value: its place among the nodes of its instruction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Value(u8);

/// Where a guest's access goes: a register, and so many bytes more. In the host's memory it is by `distance` further, or else
/// by rcx.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Place {
    pub index: u8,
    pub offset: i32,
    pub distance: Option<i32>,
}

/// In the place of an index, none (Intel SDM, volume 2, table 2-3).
const NO_INDEX: u8 = 4;

impl Place {
    /// Base, index, and displacement of the host's operand.
    pub fn operand(self) -> (u8, u8, i32) {
        match self.distance {
            Some(distance) => (self.index, NO_INDEX, self.offset + distance),
            None => (self.index, RCX, self.offset),
        }
    }
}

/// How a value comes about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Node {
    Constant(u64),
    /// The virtual address of the page, plus so much.
    Address(i32),
    /// An integer register, not 0, before the instruction.
    Register(u8),
    /// A floating-point register's bits, before the instruction.
    Float(u8),
    /// What lies at a place in the host's memory, zero-extended.
    Loaded(Width, Place),
    /// What a register of the host holds.
    Host(u8),
    /// What a vector register of the host holds, all 64 bits, to be written to a floating-point register.
    Vector(u8),
    Binary(Binary, Value, Value),
    Unary(Unary, Value),
    Sign(Width, Value),
    Zero(Width, Value),
    Select(Value, Value, Value),
}

/// The nodes of an instruction.
#[derive(Default)]
pub(crate) struct Tree {
    nodes: Vec<Node>,
}

impl Tree {
    pub fn clear(&mut self) {
        self.nodes.clear();
    }

    pub fn node(&self, value: Value) -> Node {
        self.nodes[usize::from(value.0)]
    }

    pub fn add(&mut self, node: Node) -> Value {
        // A meaning has some dozen operations at most.
        self.nodes.push(node);
        Value(u8::try_from(self.nodes.len() - 1).expect("few nodes"))
    }

    pub fn constant(&self, value: Value) -> Option<u64> {
        let Node::Constant(constant) = self.node(value) else { return None };
        Some(constant)
    }

    pub fn binary(&mut self, operation: Binary, a: Value, b: Value) -> Value {
        if let (Some(a), Some(b)) = (self.constant(a), self.constant(b)) {
            return self.add(Node::Constant(number::binary(operation, a, b)));
        }
        if let (Binary::Add, Node::Address(offset), Some(more)) = (operation, self.node(a), self.constant(b))
            && let Some(sum) = i32::try_from(more as i64).ok().and_then(|more| offset.checked_add(more))
        {
            return self.add(Node::Address(sum));
        }
        if self.constant(b) == Some(0) && is_neutral(operation) {
            return a;
        }
        if self.constant(a) == Some(0) && matches!(operation, Binary::Add | Binary::Or | Binary::Xor) {
            return b;
        }
        // Code addresses are even, whatever their page.
        if let (Binary::And, Node::Address(offset), Some(mask)) = (operation, self.node(a), self.constant(b))
            && mask == !1
            && offset % 2 == 0
        {
            return a;
        }
        self.add(Node::Binary(operation, a, b))
    }

    pub fn unary(&mut self, operation: Unary, a: Value) -> Value {
        match self.constant(a) {
            Some(a) => self.add(Node::Constant(number::unary(operation, a))),
            None => self.add(Node::Unary(operation, a)),
        }
    }

    pub fn sign_extend(&mut self, width: Width, a: Value) -> Value {
        match self.constant(a) {
            Some(a) => self.add(Node::Constant(number::sign_extend(width, a))),
            None if width == Width::Double || self.is_signed(width, a) => a,
            None => self.add(Node::Sign(width, a)),
        }
    }

    /// Whether a value is known to be the sign extension of its lower part.
    fn is_signed(&self, width: Width, a: Value) -> bool {
        let bits = 8 * width.bytes();
        let Node::Binary(operation, of, by) = self.node(a) else { return false };
        match (operation, self.node(of), self.constant(by)) {
            (Binary::ShiftRightSigned, Node::Sign(inner, _), _) => inner == width,
            (Binary::ShiftRight, Node::Zero(inner, _), Some(by)) => inner == width && by & 63 != 0,
            (Binary::And, _, Some(mask)) => mask >> (bits - 1) == 0,
            _ => false,
        }
    }

    /// Whether a value is known to be the sign extension of its lower word, given the registers, as bits, of which that is known.
    pub fn is_word(&self, value: Value, words: u32) -> bool {
        let is_small = |width| matches!(width, Width::Byte | Width::Half);
        match self.node(value) {
            Node::Constant(constant) => i32::try_from(constant as i64).is_ok(),
            Node::Register(register) => words >> register & 1 != 0,
            Node::Sign(width, _) => width != Width::Double,
            Node::Loaded(width, _) | Node::Zero(width, _) => is_small(width),
            Node::Binary(Binary::Equal | Binary::Less | Binary::LessUnsigned, ..) => true,
            Node::Binary(Binary::ShiftRightSigned, of, _) if self.is_word(of, words) => true,
            Node::Binary(Binary::And | Binary::Or | Binary::Xor, a, b)
                if self.is_word(a, words) && self.is_word(b, words) =>
            {
                true
            }
            Node::Binary(..) => self.is_signed(Width::Word, value),
            Node::Select(_, yes, no) => self.is_word(yes, words) && self.is_word(no, words),
            Node::Address(_) | Node::Float(_) | Node::Host(_) | Node::Vector(_) | Node::Unary(..) => false,
        }
    }

    pub fn zero_extend(&mut self, width: Width, a: Value) -> Value {
        match self.constant(a) {
            Some(a) => self.add(Node::Constant(number::zero_extend(width, a))),
            None if width == Width::Double => a,
            None => self.add(Node::Zero(width, a)),
        }
    }

    pub fn select(&mut self, condition: Value, yes: Value, no: Value) -> Value {
        match self.constant(condition) {
            Some(0) => no,
            Some(_) => yes,
            None => self.add(Node::Select(condition, yes, no)),
        }
    }
}

/// Whether 0 as the second operand gives the first one.
fn is_neutral(operation: Binary) -> bool {
    match operation {
        Binary::Add
        | Binary::Sub
        | Binary::Or
        | Binary::Xor
        | Binary::ShiftLeft
        | Binary::ShiftRight
        | Binary::ShiftRightSigned
        | Binary::RotateLeft
        | Binary::RotateRight => true,
        Binary::And
        | Binary::Equal
        | Binary::Less
        | Binary::LessUnsigned
        | Binary::Mul
        | Binary::MulHigh
        | Binary::MulHighSignedUnsigned
        | Binary::MulHighUnsigned
        | Binary::Div
        | Binary::DivUnsigned
        | Binary::Rem
        | Binary::RemUnsigned => false,
    }
}
