//! The translator behind the interpreter: which blocks are translated, where their code lies, and how it is run.
//!
//! Guarantees (MMU-2): code runs only for a block whose bytes are current at the core's code epoch. Each block has a number,
//! and each number the epoch at which its bytes were last compared; code that is jumped to from other code compares it
//! with the core's. A block that is no longer code has an epoch that is never reached.
//!
//! A link from one block to another of the same page holds for ever: the distance between them does not depend on where
//! the page is mapped, and what is fetched from a page at all may be fetched from anywhere in it. Whatever is elsewhere is
//! looked up by the fast TLB entry of its page.
//!
//! Code is all cores' (`cache.rs`); which of it a core may run is its own.

use crate::cache::{Cache, Known, OUTSIDE, REGIONS};
use crate::frame::{BETWEEN, BUDGET_MAX, ENDED, Env, JUMP_SLOTS, Jump, NO_JUMP, SPENT, STALE, jump_slot};
use crate::translate::{INDEX_BITS, LINKS_OF_BLOCK};
use crate::{Limits, Listening};
use cantus_interp::{Block, CodeCounts, Core, Ended, Interp, Port, Ran, Running, Translator};
use std::any::Any;
use std::ffi::c_void;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::ptr::{self, NonNull};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::SeqCst;

/// An executor that translates what is executed often, and interprets the rest.
pub type Jit = Interp<Native>;

/// An epoch that no core reaches: those of code are greater by one than the core's.
const NEVER: u64 = 0;

/// Code that the cores of a machine share.
#[derive(Clone)]
pub struct Shared(Arc<Cache>);

/// A translator to the code of the host, for one core.
pub struct Native {
    cache: Arc<Cache>,
    /// What this core knows of the shared code, and where it stands for others to see.
    known: Known,
    stands: Arc<AtomicU64>,
    /// For each number the epoch at which this core's block was last known to be current, and that block. Memory that is
    /// never touched costs nothing.
    epochs: Box<[u64]>,
    blocks: Box<[*mut Block]>,
    /// How many numbers of each region may have been touched.
    touched: [u32; REGIONS],
    jumps: Box<[Jump]>,
    /// The link by which code was left last.
    left_by: Option<u32>,
    /// Whether atomics are the host's; not known before the first run.
    atomics: Option<bool>,
    /// What the choices of a mixed execution are made of.
    choices: u64,
    counts: CodeCounts,
}

// SAFETY: the pointers are to the core's blocks, which go wherever the executor goes, and into its own code.
unsafe impl Send for Native {}

/// What a step needs to know of the run that it is made in.
struct Context<'a, 'r, P> {
    running: &'a mut Running<'r, P>,
    blocks: &'a [*mut Block],
    /// The position at which the budget would be used up.
    end: u64,
    steps: u64,
    ended: Option<Ended>,
    panic: Option<Box<dyn Any + Send>>,
}

/// An executor with a translator, for one core alone. Whoever listens is told of all code.
///
/// # Errors
/// Where the host gives no memory for code.
pub fn jit(limits: Limits, listening: Listening) -> io::Result<Jit> {
    Ok(Shared::new(limits, listening)?.jit())
}

impl Shared {
    /// No code yet. Whoever listens is told of all that is made.
    ///
    /// # Errors
    /// Where the host gives no memory for code.
    pub fn new(limits: Limits, listening: Listening) -> io::Result<Self> {
        Ok(Self(Arc::new(Cache::new(limits, listening)?)))
    }

    /// An executor of one of the cores.
    pub fn jit(&self) -> Jit {
        Interp::with(Native::new(self.0.clone()))
    }
}

impl Native {
    fn new(cache: Arc<Cache>) -> Self {
        let (known, stands) = cache.register();
        Self {
            known,
            stands,
            epochs: vec![NEVER; cache.numbers()].into(),
            blocks: vec![ptr::null_mut(); cache.numbers()].into(),
            touched: [0; REGIONS],
            jumps: vec![NO_JUMP; JUMP_SLOTS].into(),
            left_by: None,
            atomics: None,
            choices: 0,
            counts: CodeCounts::default(),
            cache,
        }
    }

    /// The number of a block that is translated.
    fn number(&self, block: &Block) -> Option<u32> {
        let (generation, number) = block.mark.get();
        (generation != 0 && generation == self.known.generations[self.cache.region(number)]).then_some(number)
    }

    /// Chooses, where execution is mixed, whether a block is interpreted although its code could run.
    fn declines(&mut self) -> bool {
        self.choices += 1;
        let choice = self.choices.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        if choice >> 52 == 0 {
            self.give_up();
        }
        choice >> 40 & 1 != 0
    }

    /// Gives up all code.
    fn give_up(&mut self) {
        self.cache.retire_all(&mut self.counts);
    }

    /// Forgets what it knows of code that was given up. The core is outside of code.
    #[cold]
    fn catch_up(&mut self) {
        let known = self.cache.look();
        for region in (0..REGIONS).filter(|&at| known.generations[at] != self.known.generations[at]) {
            let first = region * self.cache.numbers as usize;
            let touched = first..first + self.touched[region] as usize;
            self.epochs[touched.clone()].fill(NEVER);
            self.blocks[touched].fill(ptr::null_mut());
            self.touched[region] = 0;
        }
        self.jumps.fill(NO_JUMP);
        self.left_by = None;
        self.known = known;
        // Other code may lie where this core has executed code before: nothing of that may still be in its pipeline
        // (Intel SDM, volume 3, "Handling Self- and Cross-Modifying Code": a serializing instruction).
        std::arch::x86_64::__cpuid(0);
    }

    /// Counts that a block was executed, at `pc`, without code, and has code made if that was often enough. What another
    /// core has had made is taken at once.
    fn warm(&mut self, block: &Block, pc: u64) -> Option<u32> {
        let (generation, count) = block.mark.get();
        let count = if generation == 0 { count } else { 0 };
        let is_warm = count >= self.cache.limits.threshold;
        let atomics = self.atomics == Some(true);
        let found = if is_warm || count == 0 {
            self.cache.find(block, atomics, pc, is_warm, &mut self.counts)
        } else {
            None
        };
        let Some(found) = found else {
            block.mark.set((0, count.saturating_add(1)));
            return None;
        };
        block.mark.set((found.generation, found.number));
        Some(found.number)
    }

    /// The number of a block's code, which stays where it is until the core says that it is outside again.
    fn come_in(&mut self, block: &Block, pc: u64) -> Option<u32> {
        loop {
            if self.cache.stamp() != self.known.stamp {
                self.catch_up();
            }
            let number = self.number(block).or_else(|| self.warm(block, pc))?;
            self.stands.store(self.known.stamp, SeqCst);
            if self.cache.stamp() == self.known.stamp {
                return Some(number);
            }
            self.stands.store(OUTSIDE, SeqCst);
        }
    }
}

impl Drop for Native {
    fn drop(&mut self) {
        self.cache.forget(&self.stands);
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
        if self.atomics != Some(P::HOST_ATOMICS) && self.atomics.replace(P::HOST_ATOMICS).is_some() {
            self.give_up();
        }
        if self.cache.limits.mixed && self.declines() {
            return None;
        }
        let number = self.come_in(block, running.core.hart.pc)?;
        if let Some(link) = self.left_by.take() {
            self.counts.links += u64::from(self.cache.link(link, block.host(), number, self.known.stamp));
        }
        let region = self.cache.region(number);
        self.touched[region] = self.touched[region].max(number % self.cache.numbers + 1);
        let epoch = running.core.code_epoch + 1;
        self.epochs[number as usize] = epoch;
        self.blocks[number as usize] = pointer.as_ptr();
        let (chained, entered) = self.cache.entered(number);
        self.jumps[jump_slot(block.host())] = Jump { host: block.host(), code: chained };

        let start = running.core.position;
        let budget = if running.port.attention() {
            block.len() as u64
        } else {
            self.cache.limits.stretch.min(until - start).min(BUDGET_MAX)
        };
        let budget = budget.max(block.len() as u64);
        let core: *mut Core = &mut *running.core;
        let mut env = Env {
            core,
            budget: Env::budget_of(budget),
            page: running.core.hart.pc & !(cantus_isa::address::PAGE_SIZE - 1),
            fast_data: running.core.tlb.fast_entries(running.data_mode()),
            fast_code: running.core.tlb.fast_entries(running.code_mode()),
            epoch,
            epochs: self.epochs.as_ptr(),
            jumps: self.jumps.as_ptr(),
            step: step::<P>,
            context: ptr::null_mut(),
        };
        let mut context = Context {
            running,
            blocks: &self.blocks,
            end: start + budget,
            steps: 0,
            ended: None,
            panic: None,
        };
        env.context = (&raw mut context).cast::<c_void>();
        // SAFETY: the block is current, and so is the code made of it. Everything in `env` lives and stays where it is
        // until this returns, and is accessed by `step` alone.
        let left = unsafe { self.cache.stubs.enter(&mut env, entered) };
        self.stands.store(OUTSIDE, SeqCst);
        let Context { running, ended, panic, steps, .. } = context;
        self.counts.entries += 1;
        self.counts.runs += env.begun();
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
        let made = budget - env.left();
        running.core.position = start + made;
        self.counts.steps += steps;
        self.counts.instructions += made - steps;
        let exits = &mut self.counts.exits;
        let (exit, link) = match left {
            BETWEEN => (&mut exits.elsewhere, None),
            SPENT => (&mut exits.spent, None),
            STALE => (&mut exits.stale, None),
            link => (&mut exits.unlinked, Some(link - 1)),
        };
        *exit += 1;
        self.left_by = link;
        let last = link.and_then(|link| NonNull::new(self.blocks[(link / LINKS_OF_BLOCK) as usize]));
        Some(Ran::Between(last))
    }

    fn forget(&mut self, block: &Block) {
        if let Some(number) = self.number(block) {
            self.epochs[number as usize] = NEVER;
            self.blocks[number as usize] = ptr::null_mut();
        }
    }

    fn counts(&self) -> CodeCounts {
        self.counts
    }
}

/// Makes a step in translated code: `which` is the block's number and the operation's place. 0 if code goes on.
extern "sysv64" fn step<P: Port>(env: &mut Env, which: u32) -> u32 {
    // SAFETY: `run` has set it, and waits.
    let context = unsafe { &mut *env.context.cast::<Context<'_, '_, P>>() };
    let (number, index) = (which >> INDEX_BITS, which & ((1 << INDEX_BITS) - 1));
    let block =
        NonNull::new(context.blocks[number as usize]).expect("its code runs, so the core has the block");
    // A panic must not get into translated code, which nothing is known of for unwinding.
    let made = catch_unwind(AssertUnwindSafe(|| {
        // SAFETY: its code runs, so it is alive.
        let (length, offset) = unsafe { (block.as_ref().len(), block.as_ref().address().offset()) };
        // The budget is already that of the block's end.
        context.running.core.position = context.end - (env.left() + length as u64);
        context.steps += 1;
        // SAFETY: as above.
        unsafe { context.running.step(block, env.page | offset, index as usize) }
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
