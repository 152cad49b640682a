//! A unit of blocks as host code.
//!
//! The meaning of each operation is asked once, on trees of operands (`tree.rs`), and makes its code as it goes. What the
//! meaning would rather leave to the interpreter is a step: a call that executes this one operation. Loads and stores
//! look for a fast TLB entry; without one, or not aligned, they are a step, too, out of line.
//!
//! ```text
//! chained:  the epoch at which the unit was compared is the core's, or leave    (MMU-2)
//! entered:  registers that the unit has elsewhere
//!           for each block:
//!               take what most have to pay who come here off the budget, or leave; for the first one, all (`tolls.rs`)
//!               floating point is ready, if the block has some, or the block is interpreted
//!               operations
//!               jumps within the unit; into others of the page, linked once they are known; others by landings
//!           cold parts: steps, stubs of exits
//! ```

use crate::access::{Alone, Apart, Detour, Missed};
use crate::float;
use crate::fold::{Part, fold};
use crate::frame::{
    Assembler, EPOCH, EPOCHS, FLOATING, NOT_FLOATING, RAX, RCX, RDX, READ, Stubs, WRITE, vector, x,
};
use crate::hammock::Branching;
use crate::idioms::{Idiom, idioms};
use crate::known::{Floats, Pending, Preparation, Repair};
use crate::landing::land;
use crate::select::{Features, Free, Selector, Source};
use crate::short::near;
use crate::steps::Step;
use crate::tree::{Node, Tree, Value};
use crate::unit::{Unit, start};
use crate::ways::{Entrance, Exit};
use cantus_interp::{Block, OPS_MAX};
use cantus_isa::Width;
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

/// Links of a block at most: a branch has two, and nothing follows it; and which of them is the unit's way out when it is
/// stale, in its first block.
pub(crate) const LINKS_OF_BLOCK: u32 = STALE_LINK + 1;
pub(crate) const STALE_LINK: u32 = 2;

/// A jump that may be led to the block that it goes to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Link {
    /// Where its distance lies: the last four bytes of the instruction, a multiple of 4. In the code's memory.
    pub at: usize,
    /// Host address of the block that it goes to.
    pub host: u64,
    /// The distance by which it leaves code.
    pub out: i32,
}

impl Link {
    /// One that is not there: it goes nowhere.
    pub const NONE: Self = Self { at: 0, host: 0, out: 0 };
}

/// A unit's code.
pub(crate) struct Translated {
    pub code: Vec<u8>,
    /// Where it is entered by others' jumps, and by the translator; from its start.
    pub chained: usize,
    pub entered: usize,
    /// Its links, with their numbers; where they lie, from its start.
    pub links: Vec<(u32, Link)>,
}

/// What all translations have in common.
#[derive(Clone, Copy)]
pub(crate) struct Target {
    pub stubs: Stubs,
    pub features: Features,
    pub regime: Regime,
}

/// What code takes for granted of where it runs.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Regime {
    /// Other cores access memory at the same time without anything in between.
    pub atomics: bool,
    /// Addresses are physical: so far behind them lie the host's, of all RAM.
    pub distance: Option<i32>,
}

/// The operation is left to the interpreter.
pub(crate) struct Interpreted;

/// Where the code of a block is. Whoever comes has paid for it, and for what is ahead.
#[derive(Clone, Copy)]
pub(crate) struct Labels {
    /// Where it is paid for, if that is done right before it.
    pub front: DynamicLabel,
    pub start: DynamicLabel,
    /// Where it is entered if the floating point that it needs is known to be ready.
    pub ready: DynamicLabel,
    /// Where it is if that is not so.
    pub unready: DynamicLabel,
    /// Where one goes who has paid for it, but with a budget that does not allow it.
    pub out: DynamicLabel,
    /// The state of the frame that its floating point needs.
    pub needed: i32,
}

/// How an operation ends the block.
#[derive(Clone, Copy)]
pub(crate) enum Way {
    Branch(Value, i32),
    Jump(Value),
}

pub(crate) struct Translator<'a> {
    pub target: &'a Target,
    pub asm: Assembler,
    pub tree: Tree,
    pub unit: &'a Unit<'a>,
    /// For each block where its code is.
    pub labels: Vec<Labels>,
    /// The block being translated.
    pub place: usize,
    /// The number of the unit, which is that of the first of its blocks.
    pub number: u32,
    pub links: Vec<(u32, Link)>,
    /// For each operation of the block what it is in a group of accesses; how many groups there are.
    pub parts: Vec<Option<Part>>,
    pub groups: usize,
    pub alone: Vec<Alone>,
    pub missed: Vec<Missed>,
    pub apart: Vec<Apart>,
    /// Up to which operation accesses are covered, and what is behind it.
    pub cover_until: Option<(usize, DynamicLabel)>,
    pub unaligned: Vec<Detour>,
    /// The window of the operation's access, if it has one.
    pub window: Option<usize>,
    /// Steps out of line.
    pub steps: Vec<Step>,
    /// What brings registers to where they usually are, and back, if a step has asked for that.
    swaps: Option<[DynamicLabel; 2]>,
    /// What is known of floating-point registers before the operation being translated.
    pub floats: Floats,
    /// What floating point needs out of line.
    pub preparations: Vec<Preparation>,
    pub repairs: Vec<Repair>,
    /// Where the rest of a block, from the operation of this number on, is left to the interpreter.
    pub unboxed: Vec<(DynamicLabel, u32, Pending)>,
    /// Exits, and ways within the unit, out of line.
    pub exits: Vec<Exit>,
    pub entrances: Vec<Entrance>,
    /// The blocks that are left where the budget does not allow them, as bits.
    pub outs: u32,
    /// The operation being translated: its place, its distance from the page's start.
    pub index: usize,
    pub offset: i32,
    /// Its slow path, and where that goes on.
    pub slow: Option<(DynamicLabel, DynamicLabel)>,
    /// The operation cannot be translated.
    gives_up: bool,
    /// Registers that hold sign-extended words before it, as bits.
    pub words: u32,
    /// The register that it writes.
    pub written: Option<(u8, Value)>,
    /// The register that operations before it that are computed in any case would have written.
    pub computed: Option<(u8, Value)>,
    /// Branches out of line.
    pub branching: Vec<Branching>,
    pub way: Option<Way>,
}

/// Translates a unit to code that will lie at `base`. None if the assembler does not take it.
pub(crate) fn translate(target: &Target, unit: &Unit, number: u32, base: usize) -> Option<Translated> {
    let mut asm = Assembler::new(base);
    let labels = unit.blocks.iter().map(|block| Labels {
        front: asm.new_dynamic_label(),
        start: asm.new_dynamic_label(),
        ready: asm.new_dynamic_label(),
        unready: asm.new_dynamic_label(),
        out: asm.new_dynamic_label(),
        needed: float::needed(block, target.features.fusion),
    });
    let labels = labels.collect();
    let translator = Translator {
        target,
        asm,
        tree: Tree::default(),
        unit,
        labels,
        place: 0,
        number,
        links: Vec::new(),
        parts: Vec::new(),
        groups: 0,
        alone: Vec::new(),
        missed: Vec::new(),
        apart: Vec::new(),
        cover_until: None,
        unaligned: Vec::new(),
        window: None,
        steps: Vec::new(),
        swaps: None,
        floats: Floats::default(),
        preparations: Vec::new(),
        repairs: Vec::new(),
        unboxed: Vec::new(),
        exits: Vec::new(),
        entrances: Vec::new(),
        outs: 0,
        index: 0,
        offset: 0,
        slow: None,
        gives_up: false,
        words: 0,
        written: None,
        computed: None,
        branching: Vec::new(),
        way: None,
    };
    translator.run()
}

impl Translator<'_> {
    fn run(mut self) -> Option<Translated> {
        let [stale, entered] = [(); 2].map(|()| self.asm.new_dynamic_label());
        near!(self.asm; EPOCHS; mov rax, [rsp]);
        near!(self.asm; EPOCH; mov rcx, [rsp]);
        dynasm!(self.asm
            ; .arch x64
            ; cmp [rax + 8 * self.number as i32], rcx
            ; jne =>stale
            ;=>entered
        );
        self.swap_in();
        for place in 0..self.unit.blocks.len() {
            self.place = place;
            self.block();
        }
        self.cold();
        self.stale(stale);
        let entered = self.asm.labels().resolve_dynamic(entered).ok()?.0;
        let code = self.asm.finalize().ok()?;
        for (_, link) in &mut self.links {
            let out = code[link.at..].first_chunk().expect("a jump has its distance behind it");
            link.out = i32::from_le_bytes(*out);
        }
        Some(Translated { code, chained: 0, entered, links: self.links })
    }

    fn block(&mut self) {
        let (block, labels) = (self.unit.blocks[self.place], self.labels[self.place]);
        let Labels { front, start: here, ready, unready, needed, .. } = labels;
        dynasm!(self.asm; .arch x64; =>front);
        self.pay(self.unit.tolls.front(self.place), self.place, None);
        dynasm!(self.asm; .arch x64; =>here);
        if needed != NOT_FLOATING {
            near!(self.asm; FLOATING; cmp DWORD [rsp], needed);
            dynasm!(self.asm; .arch x64; jb =>unready);
        }
        dynasm!(self.asm; .arch x64; =>ready);
        // One may come here from anywhere in the unit.
        self.floats = Floats::of_state(needed);
        self.words = 0;
        let ops: Vec<&Op> = block.ops().map(|(_, op)| op).collect();
        (self.parts, self.groups) = fold(&ops);
        let mut flow = Flow::Next;
        for (index, idiom) in idioms(&ops).into_iter().enumerate() {
            self.index = index;
            flow = self.made(block, idiom);
            if let Some((_, behind)) = self.cover_until.take_if(|(last, _)| *last == index) {
                dynasm!(self.asm; .arch x64; =>behind);
            }
        }
        if flow == Flow::Next {
            self.check_results();
            self.go(start(block) + block.bytes() as i32);
        }
    }

    /// Translates what is made of the operation at [`Self::index`]. Says what comes after it.
    pub(crate) fn made(&mut self, block: &Block, idiom: Idiom) -> Flow {
        let (distance, op) = block.ops().nth(self.index).expect("an operation of the block");
        self.offset = start(block) + distance as i32;
        match idiom {
            Idiom::Plain => self.operation(op),
            Idiom::Dead => Flow::Next,
            Idiom::All(made) => self.operation(&made),
        }
    }

    /// What is out of line.
    fn cold(&mut self) {
        self.unready();
        self.repairs();
        self.preparations();
        self.apart();
        self.alone();
        self.missed();
        self.unaligned();
        self.steps();
        self.branching();
        for (unboxed, number, pending) in std::mem::take(&mut self.unboxed) {
            dynasm!(self.asm; .arch x64; =>unboxed);
            self.repair(pending);
            self.rest(number);
        }
        self.exits();
        self.entrances();
        (0..self.unit.blocks.len()).for_each(|place| self.out(place));
        if let Some([out, back]) = self.swaps {
            dynasm!(self.asm; .arch x64; =>out);
            self.swap_out();
            dynasm!(self.asm; .arch x64; ret; =>back);
            self.swap_in();
            dynasm!(self.asm; .arch x64; ret);
        }
    }

    /// Makes the code of blocks whose floating point is not ready: it is made so, or the block is interpreted. A state
    /// that becomes dirty does so in the middle of a block.
    fn unready(&mut self) {
        for place in 0..self.labels.len() {
            let Labels { ready, unready, needed, .. } = self.labels[place];
            if needed == NOT_FLOATING {
                continue;
            }
            let filled = self.asm.new_dynamic_label();
            dynasm!(self.asm
                ; .arch x64
                ;=>unready
                ; cmp DWORD [rsp + FLOATING], NOT_FLOATING
                ; jne =>filled
                ; call extern self.target.stubs.floating
                ; cmp DWORD [rsp + FLOATING], needed
                ; jae =>ready
                ;=>filled
            );
            self.rest(self.number_of(place, 0));
        }
    }

    /// Translates one operation. Says what comes after it.
    fn operation(&mut self, op: &Op) -> Flow {
        self.tree.clear();
        self.slow = None;
        self.gives_up = false;
        self.written = None;
        self.way = None;
        self.window = self.unit.window(op);
        let is_last = self.index + 1 == self.unit.blocks[self.place].len();
        if is_last && !op.code.is_floating() {
            self.check_results();
        }
        let before = self.asm.offset();
        let flow = match execute(op, self) {
            // What is translated of those after which there may be news has none.
            Ok(Flow::Sync) if !self.gives_up => Flow::Next,
            Ok(flow) if !self.gives_up => flow,
            Ok(_) | Err(Interpreted) => {
                assert!(self.asm.offset() == before, "what is left to the interpreter has made no code");
                self.check_results();
                self.step(self.step_number());
                self.forget(self.groups);
                self.floats.forget();
                self.words = 0;
                return Flow::Next;
            }
        };
        // A target is computed before the register is written that it may be made of.
        let mut free = if self.cover_until.is_some() { Free::ALL.without(RCX) } else { Free::ALL };
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
            let is_word = self.tree.is_word(value, self.words);
            self.words = self.words & !(1 << register) | u32::from(is_word) << register;
        }
        if let Some((_, resume)) = self.slow {
            if is_last {
                // There is no rest to interpret, so the next block sees to its floating point itself.
                self.floats.known = NOT_FLOATING;
            }
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
            (_, _, None) => {
                self.give_back();
                self.swap_out();
                land(&mut self.asm, self.target.stubs.lookup);
            }
        }
        flow
    }

    pub(crate) fn selector(&mut self) -> Selector<'_> {
        Selector {
            asm: &mut self.asm,
            tree: &self.tree,
            homes: &self.unit.homes,
            features: self.target.features,
        }
    }

    /// As [`Self::swap_out`], in less code.
    pub(crate) fn call_swap_out(&mut self) {
        if !self.unit.swaps.is_empty() {
            let [out, _] = self.swaps();
            dynasm!(self.asm; .arch x64; call =>out);
        }
    }

    /// What brings registers to where they usually are, and back.
    pub(crate) fn swaps(&mut self) -> [DynamicLabel; 2] {
        let asm = &mut self.asm;
        *self.swaps.get_or_insert_with(|| [(); 2].map(|()| asm.new_dynamic_label()))
    }

    /// Writes a guest register.
    fn write(&mut self, register: u8, value: Value, free: Free) {
        if let Some(host) = self.unit.homes.of(register) {
            self.selector().compute(value, host, free);
            return;
        }
        let home = x(register);
        match self.selector().source(value) {
            Some(Source::Immediate(value)) => {
                return near!(self.asm; home; mov QWORD [rbx], DWORD value);
            }
            Some(Source::Register(from)) => return near!(self.asm; home; mov [rbx], Rq(from)),
            Some(Source::Memory(at)) if at == home => return,
            Some(Source::Memory(_)) | None => {}
        }
        if let Node::Binary(operation, a, b) = self.tree.node(value)
            && self.tree.node(a) == Node::Register(register)
            && let Some(source @ (Source::Immediate(_) | Source::Register(_))) = self.selector().source(b)
            && self.selector().change(operation, home, source)
        {
            return;
        }
        let (host, free) = free.take();
        let mut selector = self.selector();
        selector.compute(value, host, free);
        near!(self.asm; x(register); mov [rbx], Rq(host));
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
        if let Some((_, value)) = self.computed.filter(|&(computed, _)| computed == register) {
            return value;
        }
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
        self.tree.binary(operation, a, b)
    }

    fn unary(&mut self, operation: Unary, a: Value) -> Value {
        self.gives_up |= match operation {
            Unary::LeadingZeros | Unary::TrailingZeros | Unary::CountOnes => !self.target.features.counts,
            Unary::OrBytes | Unary::SwapBytes => false,
        };
        self.tree.unary(operation, a)
    }

    fn sign_extend(&mut self, width: Width, a: Value) -> Value {
        if width == Width::Word && self.tree.is_word(a, self.words) {
            return a;
        }
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
        let place = self.reach(width, address, READ);
        Ok(self.tree.add(Node::Loaded(width, place)))
    }

    fn store(&mut self, width: Width, address: Value, value: Value) -> Result<(), Interpreted> {
        let (base, index, at) = self.reach(width, address, WRITE).operand();
        if let Node::Float(register) = self.tree.node(value)
            && let Some(from) = vector(register)
        {
            if width == Width::Word {
                near!(self.asm; at; movss [Rq(base) + Rq(index)], Rx(from));
            } else {
                near!(self.asm; at; movsd [Rq(base) + Rq(index)], Rx(from));
            }
            return Ok(());
        }
        let from = match self.selector().source(value) {
            Some(Source::Register(register)) => register,
            Some(Source::Immediate(_) | Source::Memory(_)) | None => {
                self.selector().compute(value, RDX, Free::ALL.without(RAX).without(RCX));
                RDX
            }
        };
        match width {
            Width::Byte => near!(self.asm; at; mov [Rq(base) + Rq(index)], Rb(from)),
            Width::Half => near!(self.asm; at; mov [Rq(base) + Rq(index)], Rw(from)),
            Width::Word => near!(self.asm; at; mov [Rq(base) + Rq(index)], Rd(from)),
            Width::Double => near!(self.asm; at; mov [Rq(base) + Rq(index)], Rq(from)),
        }
        Ok(())
    }

    fn load_reserved(&mut self, width: Width, address: Value) -> Result<Value, Interpreted> {
        Ok(self.reserve(width, address))
    }

    fn store_conditional(
        &mut self,
        width: Width,
        address: Value,
        value: Value,
    ) -> Result<Value, Interpreted> {
        Ok(self.store_reserved(width, address, value))
    }

    fn amo(&mut self, amo: Amo, width: Width, address: Value, value: Value) -> Result<Value, Interpreted> {
        Ok(self.exchange(amo, width, address, value))
    }

    fn block(&mut self, _: &Op, block: MemoryBlock, address: Value) -> Result<(), Interpreted> {
        if block != MemoryBlock::Zero {
            return Err(Interpreted);
        }
        self.zero_block(address);
        Ok(())
    }

    fn fence(&mut self) {
        // Under grants, accesses are sequentially consistent without.
        if self.target.regime.atomics {
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

    fn csr(&mut self, op: &Op, change: Option<(Change, Value)>) -> Result<Value, Interpreted> {
        self.change_csr(op, change)
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
