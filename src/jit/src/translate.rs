//! A block as host code.
//!
//! The meaning of each operation is asked once, on trees of operands (`tree.rs`), and makes its code as it goes. What the
//! meaning would rather leave to the interpreter is a step: a call that executes this one operation. Loads and stores
//! look for a fast TLB entry; without one, or not aligned, they are a step, too, out of line.
//!
//! ```text
//! chained:  the epoch at which the block was compared is the core's, or leave    (MMU-2)
//! entered:  take the block's steps off the budget, or leave
//!           operations
//!           exits: jumps into blocks of the same page, linked once they are known; others by lookup
//!           cold parts: steps, stubs of exits
//! ```

use crate::float;
use crate::frame::{
    ADDEND, Assembler, EPOCH, EPOCHS, FAST_DATA, FLOATING, MIX_SHIFT, PC, RAX, RCX, RDX, READ, SLOT_MASK,
    SLOT_SHIFT, SPENT, STALE, Stubs, WRITE, fixed, toll, x,
};
use crate::select::{Condition, Features, Free, Selector, Source};
use crate::tree::{Node, Tree, Value};
use cantus_interp::{Block, OPS_MAX};
use cantus_isa::Width;
use cantus_isa::address::PAGE_SIZE;
use cantus_isa::riscv::meaning::{
    Amo, Binary, Block as MemoryBlock, Change, Flow, Ops, Return, Unary, execute,
};
use cantus_isa::riscv::op::Op;
use dynasmrt::{DynamicLabel, DynasmApi, DynasmLabelApi, dynasm};

/// Bits of a step's number that say which operation of the block it is.
pub(crate) const INDEX_BITS: u32 = 6;
/// Blocks that can be numbered.
pub(crate) const BLOCKS_MAX: u32 = 1 << (32 - INDEX_BITS - 1);

const _: () = assert!(OPS_MAX <= 1 << INDEX_BITS);

/// Links of a block at most: a branch has two, and nothing follows it.
pub(crate) const LINKS_OF_BLOCK: u32 = 2;

/// A jump that may be led to the block that it goes to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Link {
    /// Where its distance lies: the last four bytes of the instruction. In the code's memory.
    pub at: usize,
    /// Host address of the block that it goes to.
    pub host: u64,
    /// The distance by which it leaves code.
    pub out: i32,
}

/// A block's code.
pub(crate) struct Translated {
    pub code: Vec<u8>,
    /// Where it is entered by others' jumps, and by the translator; from its start.
    pub chained: usize,
    pub entered: usize,
    /// Its links; where they lie, from its start.
    pub links: Vec<Link>,
}

/// What all translations have in common.
#[derive(Clone, Copy)]
pub(crate) struct Target {
    pub stubs: Stubs,
    pub features: Features,
    /// Whether other cores access memory at the same time without anything in between.
    pub atomics: bool,
}

/// The operation is left to the interpreter.
pub(crate) struct Interpreted;

/// How an operation ends the block.
#[derive(Clone, Copy)]
enum Way {
    Branch(Value, i32),
    Jump(Value),
}

pub(crate) struct Translator<'a> {
    target: &'a Target,
    pub asm: Assembler,
    pub tree: Tree,
    block: &'a Block,
    number: u32,
    /// The number that the first of its links will have.
    first_link: u32,
    links: Vec<Link>,
    /// Steps out of line: where they are called for, of which operation, and where they go on.
    steps: Vec<(DynamicLabel, usize, DynamicLabel)>,
    /// Floating-point preparation out of line: where it is, where it goes on, and where if it cannot be.
    pub floats: Vec<(DynamicLabel, DynamicLabel, DynamicLabel)>,
    /// An operation before this one has found out that floating point is on; has made it dirty.
    pub knows_floating: bool,
    pub is_dirty: bool,
    /// Exits out of line: where they are, and the distance of where they go to from the page's start.
    exits: Vec<(DynamicLabel, i32)>,
    entered: DynamicLabel,
    /// The operation being translated: its place, its distance from the page's start.
    index: usize,
    offset: i32,
    /// Its slow path, and where that goes on.
    slow: Option<(DynamicLabel, DynamicLabel)>,
    /// The operation cannot be translated.
    gives_up: bool,
    /// The register that it writes.
    written: Option<(u8, Value)>,
    way: Option<Way>,
}

/// Translates a block to code that will lie at `base`. None if the assembler does not take it.
pub(crate) fn translate(
    target: &Target,
    block: &Block,
    number: u32,
    first_link: u32,
    base: usize,
) -> Option<Translated> {
    let mut asm = Assembler::new(base);
    let entered = asm.new_dynamic_label();
    let translator = Translator {
        target,
        asm,
        tree: Tree::default(),
        block,
        number,
        first_link,
        links: Vec::new(),
        steps: Vec::new(),
        floats: Vec::new(),
        knows_floating: false,
        is_dirty: false,
        exits: Vec::new(),
        entered,
        index: 0,
        offset: 0,
        slow: None,
        gives_up: false,
        written: None,
        way: None,
    };
    translator.run()
}

impl Translator<'_> {
    fn run(mut self) -> Option<Translated> {
        let start = self.block.address().offset() as i32;
        let (stale, out) = (self.asm.new_dynamic_label(), self.asm.new_dynamic_label());
        let entered = self.entered;
        let toll = toll(self.block.len());
        dynasm!(self.asm
            ; .arch x64
            ; mov rax, [rsp + EPOCHS]
            ; mov rcx, [rsp + EPOCH]
            ; cmp [rax + 8 * self.number as i32], rcx
            ; jne =>stale
            ;=>entered
            ; sub r15, DWORD toll
            ; jl =>out
        );
        let mut flow = Flow::Next;
        for (index, (distance, op)) in self.block.ops().enumerate() {
            self.index = index;
            self.offset = start + distance as i32;
            flow = self.operation(op);
        }
        if flow == Flow::Next {
            self.go(start + self.block.bytes() as i32);
        }
        // Out of line.
        for (load, loaded, slow) in std::mem::take(&mut self.floats) {
            dynasm!(self.asm
                ; .arch x64
                ;=>load
                ; call extern self.target.stubs.floating
                ; cmp DWORD [rsp + FLOATING], 0
                ; jne =>loaded
                ; jmp =>slow
            );
        }
        for (slow, index, resume) in std::mem::take(&mut self.steps) {
            dynasm!(self.asm; .arch x64; =>slow);
            self.step(index);
            dynasm!(self.asm; .arch x64; jmp =>resume);
        }
        for (number, (exit, to)) in std::mem::take(&mut self.exits).into_iter().enumerate() {
            let link = self.first_link + number as u32 + 1;
            dynasm!(self.asm
                ; .arch x64
                ;=>exit
                ; lea rax, [r13 + to]
                ; mov [rbx + PC], rax
                ; mov eax, DWORD link as i32
                ; jmp extern self.target.stubs.leave
            );
        }
        dynasm!(self.asm
            ; .arch x64
            ;=>out
            ; add r15, DWORD toll
            ; mov eax, DWORD SPENT as i32
            ; jmp >between
            ;=>stale
            ; mov eax, DWORD STALE as i32
            ;between:
            ; lea rcx, [r13 + start]
            ; mov [rbx + PC], rcx
            ; jmp extern self.target.stubs.leave
        );
        let entered = self.asm.labels().resolve_dynamic(entered).ok()?.0;
        let code = self.asm.finalize().ok()?;
        for link in &mut self.links {
            let out = code[link.at..].first_chunk().expect("a jump has its distance behind it");
            link.out = i32::from_le_bytes(*out);
        }
        assert!(self.links.len() <= LINKS_OF_BLOCK as usize, "a block has so many links at most");
        Some(Translated { code, chained: 0, entered, links: self.links })
    }

    /// Translates one operation. Says what comes after it.
    fn operation(&mut self, op: &Op) -> Flow {
        self.tree.clear();
        self.slow = None;
        self.gives_up = false;
        self.written = None;
        self.way = None;
        let before = self.asm.offset();
        let flow = match execute(op, self) {
            Ok(flow) if !self.gives_up => flow,
            Ok(_) | Err(Interpreted) => {
                assert!(self.asm.offset() == before, "what is left to the interpreter has made no code");
                self.step(self.index);
                return Flow::Next;
            }
        };
        // A target is computed before the register is written that it may be made of.
        let mut free = Free::ALL;
        let mut way = self.way.take();
        if let Some(Way::Jump(target)) = way
            && !matches!(self.tree.node(target), Node::Address(_))
        {
            self.selector().compute(target, RAX, free);
            free = free.without(RAX);
            way = None;
        }
        let to = way.and_then(|way| match way {
            Way::Jump(target) => Some(target),
            Way::Branch(..) => None,
        });
        if let Some((register, value)) = self.written.take() {
            self.write(register, value, free);
        }
        if let Some((_, resume)) = self.slow {
            dynasm!(self.asm; .arch x64; =>resume);
        }
        match (flow, way, to) {
            (Flow::Next, _, _) => {}
            (_, Some(Way::Branch(condition, offset)), _) => self.go_if(op, condition, offset),
            (_, _, Some(target)) => {
                if let Node::Address(to) = self.tree.node(target) {
                    self.go(to);
                }
            }
            (_, _, None) => dynasm!(self.asm; .arch x64; jmp extern self.target.stubs.lookup),
        }
        flow
    }

    pub(crate) fn selector(&mut self) -> Selector<'_> {
        Selector { asm: &mut self.asm, tree: &self.tree, features: self.target.features }
    }

    /// Where the operation being translated is a step, out of line.
    pub(crate) fn slow(&mut self) -> DynamicLabel {
        let (slow, _) = *self.slow.get_or_insert_with(|| {
            let [slow, resume] = [(); 2].map(|()| self.asm.new_dynamic_label());
            self.steps.push((slow, self.index, resume));
            (slow, resume)
        });
        slow
    }

    /// Calls for a step: the operation at `index` is interpreted.
    fn step(&mut self, index: usize) {
        let number = self.number << INDEX_BITS | index as u32;
        dynasm!(self.asm; .arch x64; mov eax, DWORD number as i32; call extern self.target.stubs.step);
    }

    /// Writes a guest register.
    fn write(&mut self, register: u8, value: Value, free: Free) {
        if let Some(host) = fixed(register) {
            self.selector().compute(value, host, free);
            return;
        }
        if let Some(Source::Immediate(value)) = self.selector().source(value) {
            dynasm!(self.asm; .arch x64; mov QWORD [rbx + x(register)], DWORD value);
            return;
        }
        if self.tree.node(value) == Node::Register(register) {
            return;
        }
        let (host, free) = free.take();
        let mut selector = self.selector();
        selector.compute(value, host, free);
        dynasm!(self.asm; .arch x64; mov [rbx + x(register)], Rq(host));
    }

    /// Goes on at a distance from the page's start.
    fn go(&mut self, to: i32) {
        if self.is_loop(to) {
            let entered = self.entered;
            dynasm!(self.asm; .arch x64; jmp =>entered);
        } else if let Some(exit) = self.exit(to) {
            self.pad(1);
            dynasm!(self.asm; .arch x64; jmp =>exit);
            self.link();
        } else {
            dynasm!(self.asm; .arch x64; lea rax, [r13 + to]; jmp extern self.target.stubs.lookup);
        }
    }

    /// Goes on at a distance from this operation if a condition holds, else behind it.
    fn go_if(&mut self, op: &Op, condition: Value, offset: i32) {
        let (next, to) = (self.offset + i32::from(op.length), self.offset + offset);
        if let Some(known) = self.tree.constant(condition) {
            return self.go(if known == 0 { next } else { to });
        }
        let condition = self.selector().condition(condition, Free::ALL);
        if self.is_loop(to) {
            self.jump_if(condition, self.entered);
        } else if let Some(exit) = self.exit(to) {
            self.pad(2);
            self.jump_if(condition, exit);
            self.link();
        } else {
            let away = self.asm.new_dynamic_label();
            self.jump_if(condition.inverted(), away);
            dynasm!(self.asm; .arch x64; lea rax, [r13 + to]; jmp extern self.target.stubs.lookup; =>away);
        }
        self.go(next);
    }

    /// Whether the block itself is there: what is known of it while it runs is still known.
    fn is_loop(&self, to: i32) -> bool {
        to == self.block.address().offset() as i32
    }

    /// An exit to a place in the page.
    fn exit(&mut self, to: i32) -> Option<DynamicLabel> {
        (0..PAGE_SIZE as i32).contains(&to).then(|| {
            let label = self.asm.new_dynamic_label();
            self.exits.push((label, to));
            label
        })
    }

    /// Lets a jump begin where its distance, which follows `bytes` bytes, can be written at once.
    fn pad(&mut self, bytes: usize) {
        match (self.asm.offset().0 + bytes) % 4 {
            0 => {}
            1 => dynasm!(self.asm; .arch x64; nop DWORD [rax]),
            2 => dynasm!(self.asm; .arch x64; .bytes [0x66u8, 0x90]),
            _ => dynasm!(self.asm; .arch x64; nop),
        }
    }

    /// Notes the jump that has just been written as one to the last exit.
    fn link(&mut self) {
        let (_, to) = *self.exits.last().expect("an exit was made");
        let page = self.block.host() & !(PAGE_SIZE - 1);
        self.links.push(Link { at: self.asm.offset().0 - 4, host: page + to as u64, out: 0 });
    }

    fn jump_if(&mut self, condition: Condition, to: DynamicLabel) {
        match condition {
            Condition::Equal => dynasm!(self.asm; .arch x64; je =>to),
            Condition::NotEqual => dynasm!(self.asm; .arch x64; jne =>to),
            Condition::Less => dynasm!(self.asm; .arch x64; jl =>to),
            Condition::NotLess => dynasm!(self.asm; .arch x64; jge =>to),
            Condition::Below => dynasm!(self.asm; .arch x64; jb =>to),
            Condition::NotBelow => dynasm!(self.asm; .arch x64; jae =>to),
        }
    }

    /// Gives the host address of an access in rax; where no fast entry allows it, the operation is a step.
    fn reach(&mut self, width: Width, address: Value, right: i32) {
        let slow = self.slow();
        self.selector().compute(address, RAX, Free::ALL);
        // The bits that would make the access unaligned stay in what is compared with the tag.
        let tag = -(PAGE_SIZE as i32) | (width.bytes() as i32 - 1);
        dynasm!(self.asm
            ; .arch x64
            ; mov rcx, rax
            ; shr rcx, SLOT_SHIFT
            ; mov edx, ecx
            ; shr edx, MIX_SHIFT
            ; xor ecx, edx
            ; and ecx, SLOT_MASK
            ; add rcx, [rsp + FAST_DATA]
            ; mov rdx, rax
            ; and rdx, DWORD tag
            ; cmp rdx, [rcx + right]
            ; jne =>slow
            ; add rax, [rcx + ADDEND]
        );
    }
}

impl Translator<'_> {
    #[allow(clippy::wildcard_enum_match_arm, reason = "those before are the others")]
    /// Does what `amo` says to the word or doubleword at the host address in rax, with rdx. Leaves what was there in rcx.
    fn exchange(&mut self, amo: Amo, width: Width) {
        let double = width == Width::Double;
        if self.target.atomics {
            dynasm!(self.asm; .arch x64; mov rcx, rdx);
            match (amo, double) {
                (Amo::Swap, true) => dynasm!(self.asm; .arch x64; xchg [rax], rcx),
                (Amo::Swap, false) => dynasm!(self.asm; .arch x64; xchg [rax], ecx),
                (_, true) => dynasm!(self.asm; .arch x64; lock xadd [rax], rcx),
                (_, false) => dynasm!(self.asm; .arch x64; lock xadd [rax], ecx),
            }
            return;
        }
        if double {
            dynasm!(self.asm; .arch x64; mov rcx, [rax]);
        } else {
            dynasm!(self.asm; .arch x64; mov ecx, [rax]);
        }
        match amo {
            Amo::Swap => {}
            Amo::Add => dynasm!(self.asm; .arch x64; add rdx, rcx),
            Amo::Xor => dynasm!(self.asm; .arch x64; xor rdx, rcx),
            Amo::And => dynasm!(self.asm; .arch x64; and rdx, rcx),
            Amo::Or => dynasm!(self.asm; .arch x64; or rdx, rcx),
            Amo::Min | Amo::Max | Amo::MinUnsigned | Amo::MaxUnsigned => {
                if double {
                    dynasm!(self.asm; .arch x64; cmp rcx, rdx);
                } else {
                    dynasm!(self.asm; .arch x64; cmp ecx, edx);
                }
                match amo {
                    Amo::Min => dynasm!(self.asm; .arch x64; cmovl rdx, rcx),
                    Amo::Max => dynasm!(self.asm; .arch x64; cmovg rdx, rcx),
                    Amo::MinUnsigned => dynasm!(self.asm; .arch x64; cmovb rdx, rcx),
                    _ => dynasm!(self.asm; .arch x64; cmova rdx, rcx),
                }
            }
        }
        if double {
            dynasm!(self.asm; .arch x64; mov [rax], rdx);
        } else {
            dynasm!(self.asm; .arch x64; mov [rax], edx);
        }
    }
}

impl Ops for Translator<'_> {
    type Value = Value;
    type Stop = Interpreted;

    fn constant(&mut self, value: u64) -> Value {
        self.tree.add(Node::Constant(value))
    }

    fn pc(&mut self) -> Value {
        self.tree.add(Node::Address(self.offset))
    }

    fn x(&mut self, register: u8) -> Value {
        self.tree.add(if register == 0 { Node::Constant(0) } else { Node::Register(register) })
    }

    fn set_x(&mut self, register: u8, value: Value) {
        if register != 0 {
            self.written = Some((register, value));
        }
    }

    fn f(&mut self, register: u8) -> Value {
        self.tree.add(Node::Float(register))
    }

    fn set_f(&mut self, register: u8, value: Value) {
        self.write_floating(register, value);
    }

    fn binary(&mut self, operation: Binary, a: Value, b: Value) -> Value {
        self.gives_up |= operation == Binary::MulHighSignedUnsigned;
        self.tree.binary(operation, a, b)
    }

    fn unary(&mut self, operation: Unary, a: Value) -> Value {
        self.gives_up |= match operation {
            Unary::LeadingZeros | Unary::TrailingZeros | Unary::CountOnes => !self.target.features.counts,
            Unary::OrBytes => true,
            Unary::SwapBytes => false,
        };
        self.tree.unary(operation, a)
    }

    fn sign_extend(&mut self, width: Width, a: Value) -> Value {
        self.tree.sign_extend(width, a)
    }

    fn zero_extend(&mut self, width: Width, a: Value) -> Value {
        self.tree.zero_extend(width, a)
    }

    fn select(&mut self, condition: Value, yes: Value, no: Value) -> Value {
        self.tree.select(condition, yes, no)
    }

    fn branch(&mut self, _: &Op, condition: Value, offset: i32) {
        self.way = Some(Way::Branch(condition, offset));
    }

    fn jump(&mut self, target: Value) {
        self.way = Some(Way::Jump(target));
    }

    fn load(&mut self, width: Width, address: Value) -> Result<Value, Interpreted> {
        self.reach(width, address, READ);
        Ok(self.tree.add(Node::Loaded(width)))
    }

    fn store(&mut self, width: Width, address: Value, value: Value) -> Result<(), Interpreted> {
        self.reach(width, address, WRITE);
        let from = match self.selector().source(value) {
            Some(Source::Register(register)) => register,
            Some(Source::Immediate(_) | Source::Memory(_)) | None => {
                self.selector().compute(value, RCX, Free::ALL.without(RAX));
                RCX
            }
        };
        match width {
            Width::Byte => dynasm!(self.asm; .arch x64; mov [rax], Rb(from)),
            Width::Half => dynasm!(self.asm; .arch x64; mov [rax], Rw(from)),
            Width::Word => dynasm!(self.asm; .arch x64; mov [rax], Rd(from)),
            Width::Double => dynasm!(self.asm; .arch x64; mov [rax], Rq(from)),
        }
        Ok(())
    }

    fn load_reserved(&mut self, _: Width, _: Value) -> Result<Value, Interpreted> {
        Err(Interpreted)
    }

    fn store_conditional(&mut self, _: Width, _: Value, _: Value) -> Result<Value, Interpreted> {
        Err(Interpreted)
    }

    fn amo(&mut self, amo: Amo, width: Width, address: Value, value: Value) -> Result<Value, Interpreted> {
        // Where others may come in between, only what is one instruction of the host.
        if self.target.atomics && !matches!(amo, Amo::Swap | Amo::Add) {
            return Err(Interpreted);
        }
        self.reach(width, address, WRITE);
        self.selector().compute(value, RDX, Free::ALL.without(RAX));
        self.exchange(amo, width);
        Ok(self.tree.add(Node::Host(RCX)))
    }

    fn block(&mut self, _: &Op, _: MemoryBlock, _: Value) -> Result<(), Interpreted> {
        Err(Interpreted)
    }

    fn fence(&mut self) {
        // Under grants, accesses are sequentially consistent without.
        if self.target.atomics {
            dynasm!(self.asm; .arch x64; mfence);
        }
    }

    fn floating(&mut self, op: &Op) -> Result<(), Interpreted> {
        if !float::is_translated(op, self.target.features.fusion) {
            return Err(Interpreted);
        }
        self.floating_is_on();
        Ok(())
    }

    fn evaluate(&mut self, op: &Op, a: Value, _: Value, _: Value) -> Result<Value, Interpreted> {
        self.compute_floating(op, a)
    }

    fn csr(&mut self, _: &Op, _: Option<(Change, Value)>) -> Result<Value, Interpreted> {
        Err(Interpreted)
    }

    fn fence_i(&mut self) -> Result<Flow, Interpreted> {
        Err(Interpreted)
    }

    fn sfence_vma(&mut self, _: &Op, _: Option<Value>, _: Option<Value>) -> Result<Flow, Interpreted> {
        Err(Interpreted)
    }

    fn invalidation_fence(&mut self, _: &Op) -> Result<Flow, Interpreted> {
        Err(Interpreted)
    }

    fn trap_return(&mut self, _: &Op, _: Return) -> Result<Flow, Interpreted> {
        Err(Interpreted)
    }

    fn wait(&mut self, _: &Op) -> Result<Flow, Interpreted> {
        Err(Interpreted)
    }

    fn pause(&mut self) {
        self.gives_up = true;
    }

    fn ecall(&mut self) -> Interpreted {
        Interpreted
    }

    fn ebreak(&mut self) -> Interpreted {
        Interpreted
    }
}
