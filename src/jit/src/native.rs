//! The translator behind the interpreter: which blocks are translated, where their code lies, and how it is run.
//!
//! Guarantees (MMU-2): code runs only for blocks whose bytes are current at the core's code epoch. Each unit has a number,
//! and each number the epoch at which the bytes of all of its blocks were last compared; code that is jumped to from other
//! code compares it with the core's. A unit of which a block is no longer code has an epoch that is never reached.
//!
//! A link from one unit to another of the same page holds for ever: the distance between them does not depend on where
//! the page is mapped, and what is fetched from a page at all may be fetched from anywhere in it. Whatever is elsewhere is
//! looked up by the fast TLB entry of its page.
//!
//! Code memory is bounded. When it is full, all of it is given up.

use crate::frame::{
    BETWEEN, BUDGET_MAX, ENDED, Env, JUMP_SLOTS, Jump, NO_JUMP, REST, SPENT, STALE, Stubs, jump_slot,
};
use crate::listener::Block as Made;
use crate::memory::CodeMemory;
use crate::select::Features;
use crate::translate::{BLOCKS_MAX, INDEX_BITS, Link, Numbers, Target, translate};
use crate::unit::{self, UNIT_BLOCKS_MAX};
use crate::{Limits, Listening};
use cantus_interp::{Block, CodeCounts, Core, Ended, Interp, Port, Ran, Running, Translator};
use cantus_isa::{Gva, address::PAGE_SIZE};
use std::any::Any;
use std::collections::BTreeMap;
use std::ffi::c_void;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::ptr::{self, NonNull};

/// An executor that translates what is executed often, and interprets the rest.
pub type Jit = Interp<Native>;

/// An epoch that no core reaches.
const NEVER: u64 = u64::MAX;
/// More than a unit's code takes: some hundred operations, each with some hundred bytes.
const UNIT_CODE_MAX: usize = 1 << 17;

/// What is known of a unit that was translated.
#[derive(Clone, Copy)]
struct Known {
    /// The first of its blocks among all, and how many there are; 0 if one of them is no longer code.
    first_member: u32,
    members: u32,
    /// Where its code lies.
    chained: usize,
    entered: usize,
}

/// A translator to the code of the host, for one core.
pub struct Native {
    memory: CodeMemory,
    limits: Limits,
    target: Target,
    /// Where the stubs end and code begins, and where it ends.
    first: usize,
    used: usize,
    /// Counted up whenever all code is given up; never 0.
    generation: u32,
    known: Vec<Known>,
    /// The blocks of all units, in the order of their numbers.
    members: Vec<NonNull<Block>>,
    /// The units that a block is in without being the first one, by the address of the block.
    users: BTreeMap<*const Block, Vec<u32>>,
    epochs: Vec<u64>,
    jumps: Box<[Jump]>,
    links: Vec<Link>,
    /// The link by which code was left last.
    left_by: Option<usize>,
    /// What the choices of a mixed execution are made of.
    choices: u64,
    counts: CodeCounts,
    listening: Listening,
}

// SAFETY: the pointers are to the core's blocks, which go wherever the executor goes, and into its own code.
unsafe impl Send for Native {}

/// What a step needs to know of the run that it is made in.
struct Context<'a, 'r, P> {
    running: &'a mut Running<'r, P>,
    members: &'a [NonNull<Block>],
    /// The position at which the budget would be used up, and the one up to which there may be another.
    end: u64,
    until: u64,
    /// Steps of a stretch at most.
    stretch: u64,
    steps: u64,
    /// Blocks begun in the stretches before.
    begun: u64,
    ended: Option<Ended>,
    panic: Option<Box<dyn Any + Send>>,
}

/// An executor with a translator. Whoever listens is told of all code.
///
/// # Errors
/// Where the host gives no memory for code.
pub fn jit(limits: Limits, listening: Listening) -> io::Result<Jit> {
    Ok(Interp::with(Native::new(limits, listening)?))
}

impl Native {
    fn new(limits: Limits, listening: Listening) -> io::Result<Self> {
        let code_bytes = limits.code_bytes.max(4 * UNIT_CODE_MAX).next_multiple_of(1 << 16);
        let mut memory = CodeMemory::new(code_bytes)?;
        let (stubs, first) = Stubs::write(&mut memory);
        if let Some(listener) = &listening {
            listener.made(memory.address(0) as u64, first as u64, Made::All);
        }
        Ok(Self {
            memory,
            limits,
            target: Target { stubs, features: Features::of_host(), atomics: false },
            first,
            used: first,
            generation: 1,
            known: Vec::new(),
            members: Vec::new(),
            users: BTreeMap::new(),
            epochs: Vec::new(),
            jumps: vec![NO_JUMP; JUMP_SLOTS].into(),
            links: Vec::new(),
            left_by: None,
            choices: 0,
            counts: CodeCounts::default(),
            listening,
        })
    }

    /// The number of the unit that begins with a block.
    fn number(&self, block: &Block) -> Option<u32> {
        let (generation, number) = block.mark.get();
        (generation == self.generation).then_some(number)
    }

    /// Chooses, where execution is mixed, whether a block is interpreted although its code could run.
    fn declines(&mut self) -> bool {
        self.choices += 1;
        let choice = self.choices.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        if choice >> 52 == 0 {
            self.flush();
        }
        choice >> 40 & 1 != 0
    }

    /// Gives up all code.
    fn flush(&mut self) {
        self.generation = self.generation.checked_add(1).expect("code is not given up so often");
        let has_code = !self.known.is_empty();
        self.used = self.first;
        self.known.clear();
        self.members.clear();
        self.users.clear();
        self.epochs.clear();
        self.jumps.fill(NO_JUMP);
        self.links.clear();
        self.left_by = None;
        self.counts.flushes += u64::from(has_code);
    }

    /// Counts that a block was executed without code, and translates it, with those that it loops through, if that was
    /// often enough.
    fn warm<P: Port>(&mut self, running: &Running<'_, P>, block: &Block) -> Option<u32> {
        let (generation, count) = block.mark.get();
        let count = if generation == 0 { count } else { 0 };
        if count < self.limits.threshold {
            block.mark.set((0, count + 1));
            return None;
        }
        let has_room = self.used + UNIT_CODE_MAX <= self.memory.bytes();
        if !has_room || self.members.len() + UNIT_BLOCKS_MAX > BLOCKS_MAX as usize {
            self.flush();
        }
        let page = block.host() & !(PAGE_SIZE - 1);
        // SAFETY: the interpreter has just found them, and drops none while it waits for this.
        let unit =
            unit::choose(block, |to| running.block(page + to as u64).map(|block| unsafe { block.as_ref() }));
        let numbers = Numbers {
            unit: self.known.len() as u32,
            first_member: self.members.len() as u32,
            first_link: self.links.len() as u32,
        };
        let at = self.used;
        let base = self.memory.address(at) as usize;
        let translated = translate(&self.target, &unit, numbers, base)?;
        assert!(translated.code.len() <= UNIT_CODE_MAX, "a unit's code takes no more than it may");
        self.memory.write(at, &translated.code);
        self.used = (at + translated.code.len()).next_multiple_of(16);
        self.known.push(Known {
            first_member: numbers.first_member,
            members: unit.blocks.len() as u32,
            chained: at + translated.chained,
            entered: at + translated.entered,
        });
        for &member in &unit.blocks[1..] {
            self.users.entry(member).or_default().push(numbers.unit);
        }
        self.members.extend(unit.blocks.iter().map(|&member| NonNull::from(member)));
        // All of them have just been found to be current.
        self.epochs.push(running.core.code_epoch);
        self.links.extend(translated.links.iter().map(|link| Link { at: at + link.at, ..*link }));
        block.mark.set((self.generation, numbers.unit));
        self.counts.units += 1;
        self.counts.blocks += unit.blocks.len() as u64;
        self.counts.bytes += translated.code.len() as u64;
        if let Some(listener) = &self.listening {
            let pc = Gva(running.core.hart.pc);
            listener.made(base as u64, translated.code.len() as u64, Made::At(pc));
        }
        Some(numbers.unit)
    }

    /// Whether all blocks of a unit are current, of which the first one is; compares those of which it is not known.
    fn is_current<P: Port>(&mut self, running: &mut Running<'_, P>, number: u32) -> bool {
        let epoch = running.core.code_epoch;
        if self.epochs[number as usize] == epoch {
            return true;
        }
        let Known { first_member, members, .. } = self.known[number as usize];
        let all = &self.members[first_member as usize..][..members as usize];
        // SAFETY: a unit of which a block was dropped has no members any more.
        let is_current =
            !all.is_empty() && all[1..].iter().all(|block| running.is_current(unsafe { block.as_ref() }));
        self.epochs[number as usize] = if is_current { epoch } else { NEVER };
        is_current
    }

    /// The number of the unit that begins with a block, of which all is current; translated anew if need be.
    fn current<P: Port>(&mut self, running: &mut Running<'_, P>, block: &Block) -> Option<u32> {
        let Some(old) = self.number(block) else { return self.warm(running, block) };
        if self.is_current(running, old) {
            return Some(old);
        }
        self.retire(old);
        block.mark.set((0, self.limits.threshold));
        let (chained, flushes) = (self.known[old as usize].chained, self.counts.flushes);
        let number = self.warm(running, block)?;
        if flushes == self.counts.flushes {
            // Jumps that were linked to the old code go on to the new one.
            const JUMP: u8 = 0xe9;
            let distance = self.known[number as usize].chained as i64 - (chained as i64 + 5);
            let distance = i32::try_from(distance).expect("code memory is small").to_le_bytes();
            let [a, b, c, d] = distance;
            self.memory.write(chained, &[JUMP, a, b, c, d]);
        }
        Some(number)
    }

    /// A unit must not run again.
    fn retire(&mut self, number: u32) {
        self.epochs[number as usize] = NEVER;
        self.known[number as usize].members = 0;
    }

    /// Leads the jump by which code was left to the code of `block`, if that is where it goes.
    fn link(&mut self, block: &Block, known: Known) {
        let Some(link) = self.left_by.take().map(|link| self.links[link]) else { return };
        if link.host == block.host() {
            let distance = known.chained as i64 - (link.at as i64 + 4);
            let distance = i32::try_from(distance).expect("code memory is small");
            self.memory.write(link.at, &distance.to_le_bytes());
            self.counts.links += 1;
        }
    }
}

impl Translator for Native {
    const TRANSLATES: bool = true;

    fn run<P: Port>(
        &mut self,
        running: &mut Running<'_, P>,
        pointer: NonNull<Block>,
        until: u64,
    ) -> Option<Ran> {
        // SAFETY: the interpreter's: it is alive.
        let block = unsafe { pointer.as_ref() };
        if self.target.atomics != P::HOST_ATOMICS {
            self.target.atomics = P::HOST_ATOMICS;
            self.flush();
        }
        if self.limits.mixed && self.declines() {
            return None;
        }
        let number = self.current(running, block)?;
        let known = self.known[number as usize];
        self.link(block, known);
        let epoch = running.core.code_epoch;
        let code = self.memory.address(known.chained);
        self.jumps[jump_slot(block.host())] = Jump { host: block.host(), code };

        let start = running.core.position;
        let budget = if running.port.attention() {
            block.len() as u64
        } else {
            self.limits.stretch.min(until - start).min(BUDGET_MAX)
        };
        let budget = budget.max(block.len() as u64);
        let core: *mut Core = &mut *running.core;
        let mut env = Env {
            core,
            budget: Env::budget_of(budget),
            page: running.core.hart.pc & !(PAGE_SIZE - 1),
            fast_data: running.core.tlb.fast_entries(running.data_mode()),
            fast_code: running.core.tlb.fast_entries(running.code_mode()),
            epoch,
            epochs: self.epochs.as_ptr(),
            jumps: self.jumps.as_ptr(),
            step: step::<P>,
            stretch: stretch::<P>,
            context: ptr::null_mut(),
        };
        let mut context = Context {
            running,
            members: &self.members,
            end: start + budget,
            until,
            stretch: self.limits.stretch,
            steps: 0,
            begun: 0,
            ended: None,
            panic: None,
        };
        env.context = (&raw mut context).cast::<c_void>();
        // SAFETY: the unit is current, and so is the code made of it. Everything in `env` lives and stays where it is
        // until this returns, and is accessed by `step` alone.
        let left = unsafe { self.target.stubs.enter(&mut env, self.memory.address(known.entered)) };
        let Context { running, ended, panic, steps, end, begun, .. } = context;
        self.counts.entries += 1;
        self.counts.runs += begun + env.begun();
        if let Some(panic) = panic {
            resume_unwind(panic);
        }
        if left == ENDED {
            let ended = ended.expect("the step said how the run ended");
            let made = running.core.position - start + ended.completed();
            self.counts.steps += steps - u64::from(ended.is_blocked());
            self.counts.instructions += made - (steps - u64::from(!ended.is_complete()));
            self.counts.exits.step += 1;
            return Some(Ran::Within(ended));
        }
        running.core.position = end - env.left();
        let made = running.core.position - start;
        self.counts.steps += steps;
        self.counts.instructions += made - steps;
        let exits = &mut self.counts.exits;
        let (exit, link) = match left {
            BETWEEN => (&mut exits.elsewhere, None),
            SPENT => (&mut exits.spent, None),
            STALE => (&mut exits.stale, None),
            link => (&mut exits.unlinked, Some(link as usize - 1)),
        };
        *exit += 1;
        self.left_by = link;
        let last = self.left_by.map(|link| self.members[self.links[link].from as usize]);
        Some(Ran::Between(last))
    }

    fn forget(&mut self, block: &Block) {
        if let Some(number) = self.number(block) {
            self.retire(number);
        }
        for number in self.users.remove(&ptr::from_ref(block)).into_iter().flatten() {
            self.retire(number);
        }
    }

    fn counts(&self) -> CodeCounts {
        self.counts
    }
}

/// Begins another stretch before a block of so many steps, if it fits and the port wants no attention, as the interpreter
/// would between two runs. Gives its budget, or 0.
extern "sysv64" fn stretch<P: Port>(env: &mut Env, length: u32) -> u64 {
    // SAFETY: `run` has set it, and waits.
    let context = unsafe { &mut *env.context.cast::<Context<'_, '_, P>>() };
    let position = context.end - env.left();
    let room = context.until - position;
    // A panic must not get into translated code, which nothing is known of for unwinding.
    let goes_on = catch_unwind(AssertUnwindSafe(|| {
        context.running.core.position = position;
        context.running.port.completed(position);
        room >= u64::from(length) && !context.running.port.attention()
    }));
    match goes_on {
        Ok(false) => 0,
        Ok(true) => {
            let budget = context.stretch.min(room).min(BUDGET_MAX).max(u64::from(length));
            context.begun += env.begun();
            context.end = position + budget;
            Env::budget_of(budget)
        }
        Err(panic) => {
            context.panic = Some(panic);
            0
        }
    }
}

/// Makes a step in translated code: `which` is the block's number and the operation's place. 0 if code goes on, which it
/// never does after the rest of a block.
extern "sysv64" fn step<P: Port>(env: &mut Env, which: u32) -> u32 {
    // SAFETY: `run` has set it, and waits.
    let context = unsafe { &mut *env.context.cast::<Context<'_, '_, P>>() };
    let (is_rest, which) = (which & REST != 0, which & !REST);
    let (number, index) = (which >> INDEX_BITS, which & ((1 << INDEX_BITS) - 1));
    let block = context.members[number as usize];
    // A panic must not get into translated code, which nothing is known of for unwinding.
    let made = catch_unwind(AssertUnwindSafe(|| {
        // SAFETY: its code runs, so it is alive.
        let (length, offset) = unsafe { (block.as_ref().len(), block.as_ref().address().offset()) };
        // The budget is already that of the block's end.
        context.running.core.position = context.end - (env.left() + length as u64);
        let pc = env.page | offset;
        if is_rest {
            // SAFETY: as above.
            let ended = unsafe { context.running.rest(block, pc, index as usize) };
            context.steps += ended.completed() - u64::from(index) + u64::from(!ended.is_complete());
            Some(ended)
        } else {
            context.steps += 1;
            // SAFETY: as above.
            unsafe { context.running.step(block, pc, index as usize) }
        }
    }));
    match made {
        Ok(None) => 0,
        Ok(Some(ended)) => {
            context.ended = Some(ended);
            1
        }
        Err(panic) => {
            context.panic = Some(panic);
            1
        }
    }
}
