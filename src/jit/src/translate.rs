//! A block as host code.
//!
//! The meaning of each operation is asked once, on trees of operands (`tree.rs`), and makes its code as it goes. What the
//! meaning would rather leave to the interpreter is a step: a call that executes this one operation. Loads and stores
//! look for a fast TLB entry; without one, or not aligned, they are a step, too, out of line.
//!
//! ```text
//! chained:  the epoch at which the block was compared is the core's, or leave    (MMU-2)
//! entered:  floating point is ready, if the block has some, or the block is interpreted
//! looped:   take the block's steps off the budget, or leave
//!           operations
//!           exits: jumps into blocks of the same page, linked once they are known; others by lookup
//!           cold parts: steps, stubs of exits
//! ```

use crate::float;
use crate::frame::{
    ADDEND, Assembler, BETWEEN, EPOCH, EPOCHS, FAST_DATA, FLOATING, MIX_SHIFT, NOT_FLOATING, PC, RAX, RCX,
    RDX, READ, SLOT_MASK, SLOT_SHIFT, Stubs, WRITE, fixed, vector, x,
};
use crate::known::{Floats, Pending, Preparation, Repair};
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

/// A jump that may be led to the block that it goes to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Link {
    /// Where its distance lies: the last four bytes of the instruction. In the code's memory.
    pub at: usize,
    /// Host address of the block that it goes to.
    pub host: u64,
    /// The number of the block that it stands in.
    pub from: u32,
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

/// A step out of line.
struct Step {
    /// Where it is called for.
    at: DynamicLabel,
    /// Which operation it is.
    index: usize,
    /// What of the registers the host has computed, which a step must see as the guest would have.
    pending: Pending,
    /// Where code goes on.
    resume: DynamicLabel,
    /// What code there takes for granted of [`FLOATING`].
    known: i32,
}

/// How an operation ends the block.
#[derive(Clone, Copy)]
enum Way {
    Branch(Value, i32),
    Jump(Value),
}

pub(crate) struct Translator<'a> {
    pub target: &'a Target,
    pub asm: Assembler,
    pub tree: Tree,
    block: &'a Block,
    number: u32,
    /// The number that the first of its links will have.
    first_link: u32,
    links: Vec<Link>,
    /// Steps out of line.
    steps: Vec<Step>,
    /// What is known of floating-point registers before the operation being translated.
    pub floats: Floats,
    /// What floating point needs out of line.
    pub preparations: Vec<Preparation>,
    pub repairs: Vec<Repair>,
    /// Where the rest of the block from an operation on is left to the interpreter.
    pub unboxed: Vec<(DynamicLabel, usize, Pending)>,
    /// Exits out of line: where they are, and the distance of where they go to from the page's start.
    exits: Vec<(DynamicLabel, i32)>,
    entered: DynamicLabel,
    /// Where it is entered by itself, if what its floating point wants is still known.
    looped: DynamicLabel,
    needed: i32,
    /// The operation being translated: its place, its distance from the page's start.
    pub index: usize,
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
    let [entered, looped] = [(); 2].map(|()| asm.new_dynamic_label());
    let needed = float::needed(block, target.features.fusion);
    let translator = Translator {
        target,
        asm,
        tree: Tree::default(),
        block,
        number,
        first_link,
        links: Vec::new(),
        steps: Vec::new(),
        floats: Floats::default(),
        preparations: Vec::new(),
        repairs: Vec::new(),
        unboxed: Vec::new(),
        exits: Vec::new(),
        entered,
        looped,
        needed,
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
        let length = self.block.len() as i32;
        dynasm!(self.asm
            ; .arch x64
            ; mov rax, [rsp + EPOCHS]
            ; mov rcx, [rsp + EPOCH]
            ; cmp [rax + 8 * self.number as i32], rcx
            ; jne =>stale
            ;=>entered
        );
        let unready = self.asm.new_dynamic_label();
        if self.needed != NOT_FLOATING {
            dynasm!(self.asm; .arch x64; cmp DWORD [rsp + FLOATING], self.needed; jb =>unready);
            self.floats.known = self.needed;
        }
        let looped = self.looped;
        dynasm!(self.asm
            ; .arch x64
            ;=>looped
            ; sub r15, DWORD length
            ; jl =>out
        );
        let mut flow = Flow::Next;
        for (index, (distance, op)) in self.block.ops().enumerate() {
            self.index = index;
            self.offset = start + distance as i32;
            flow = self.operation(op);
        }
        if flow == Flow::Next {
            self.check_results();
            self.go(start + self.block.bytes() as i32);
        }
        // Out of line.
        if self.needed != NOT_FLOATING {
            // A state that becomes dirty does so in the middle of the block.
            let filled = self.asm.new_dynamic_label();
            dynasm!(self.asm
                ; .arch x64
                ;=>unready
                ; cmp DWORD [rsp + FLOATING], NOT_FLOATING
                ; jne =>filled
                ; call extern self.target.stubs.floating
                ; cmp DWORD [rsp + FLOATING], self.needed
                ; jae =>looped
                ;=>filled
                ; sub r15, DWORD length
                ; jl =>out
            );
            self.rest(0);
        }
        self.repairs();
        self.preparations();
        for Step { at, index, pending, resume, known } in std::mem::take(&mut self.steps) {
            dynasm!(self.asm; .arch x64; =>at);
            self.repair(pending);
            self.step(index);
            // It has settled what floating point there was.
            if known != NOT_FLOATING && index + 1 < self.block.len() {
                dynasm!(self.asm
                    ; .arch x64
                    ; call extern self.target.stubs.floating
                    ; cmp DWORD [rsp + FLOATING], known
                    ; jae =>resume
                );
                self.rest(index + 1);
            } else {
                dynasm!(self.asm; .arch x64; jmp =>resume);
            }
        }
        for (unboxed, index, pending) in std::mem::take(&mut self.unboxed) {
            dynasm!(self.asm; .arch x64; =>unboxed);
            self.repair(pending);
            self.rest(index);
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
            ; add r15, DWORD length
            ;=>stale
            ; lea rax, [r13 + start]
            ; mov [rbx + PC], rax
            ; mov eax, DWORD BETWEEN as i32
            ; jmp extern self.target.stubs.leave
        );
        let entered = self.asm.labels().resolve_dynamic(entered).ok()?.0;
        let code = self.asm.finalize().ok()?;
        Some(Translated { code, chained: 0, entered, links: self.links })
    }

    /// Translates one operation. Says what comes after it.
    fn operation(&mut self, op: &Op) -> Flow {
        self.tree.clear();
        self.slow = None;
        self.gives_up = false;
        self.written = None;
        self.way = None;
        let is_last = self.index + 1 == self.block.len();
        if is_last && !op.code.is_floating() {
            self.check_results();
        }
        let before = self.asm.offset();
        let flow = match execute(op, self) {
            Ok(flow) if !self.gives_up => flow,
            Ok(_) | Err(Interpreted) => {
                assert!(self.asm.offset() == before, "what is left to the interpreter has made no code");
                self.check_results();
                self.step(self.index);
                self.floats.forget();
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
            let step = self.steps.last_mut().expect("the slow path is a step");
            step.known = self.floats.known;
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
            let pending = self.floats.pending;
            self.steps.push(Step { at: slow, index: self.index, pending, resume, known: NOT_FLOATING });
            (slow, resume)
        });
        slow
    }

    /// Calls for a step: the operation at `index` is interpreted.
    fn step(&mut self, index: usize) {
        let number = self.number << INDEX_BITS | index as u32;
        dynasm!(self.asm; .arch x64; mov eax, DWORD number as i32; call extern self.target.stubs.step);
    }

    /// Leaves the rest of the block, from the operation at `index` on, to the interpreter.
    pub(crate) fn rest(&mut self, index: usize) {
        let number = self.number << INDEX_BITS | index as u32;
        dynasm!(self.asm; .arch x64; mov eax, DWORD number as i32; jmp extern self.target.stubs.rest);
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
            let head = self.head();
            dynasm!(self.asm; .arch x64; jmp =>head);
        } else if let Some(exit) = self.exit(to) {
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
            self.jump_if(condition, self.head());
        } else if let Some(exit) = self.exit(to) {
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

    /// Where the block is entered by itself.
    fn head(&self) -> DynamicLabel {
        if self.floats.known >= self.needed { self.looped } else { self.entered }
    }

    /// An exit to a place in the page.
    fn exit(&mut self, to: i32) -> Option<DynamicLabel> {
        (0..PAGE_SIZE as i32).contains(&to).then(|| {
            let label = self.asm.new_dynamic_label();
            self.exits.push((label, to));
            label
        })
    }

    /// Notes the jump that has just been written as one to the last exit.
    fn link(&mut self) {
        let (_, to) = *self.exits.last().expect("an exit was made");
        let page = self.block.host() & !(PAGE_SIZE - 1);
        self.links.push(Link { at: self.asm.offset().0 - 4, host: page + to as u64, from: self.number });
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
        if let Node::Float(register) = self.tree.node(value)
            && let Some(from) = vector(register)
        {
            if width == Width::Word {
                dynasm!(self.asm; .arch x64; movss [rax], Rx(from));
            } else {
                dynasm!(self.asm; .arch x64; movsd [rax], Rx(from));
            }
            return Ok(());
        }
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
        self.prepare(op);
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
