//! The translator behind the interpreter: which blocks are translated, where their code lies, and how it is run.
//!
//! Guarantees (MMU-2): code runs only for blocks whose bytes are current at the core's code epoch. Each unit has a number,
//! and each number the epoch at which the bytes of all of its blocks were last compared; code that is jumped to from other
//! code compares it with the core's. A unit of which a block is no longer code has an epoch that is never reached. Where
//! nothing is translated (`is_physical`), code takes addresses for physical ones, and epochs are others: neither kind of
//! code goes on in the other.
//!
//! A link from one unit to another of the same page holds for ever: the distance between them does not depend on where
//! the page is mapped, and what is fetched from a page at all may be fetched from anywhere in it. Whatever is elsewhere is
//! looked up by the fast TLB entry of its page.
//!
//! Code is all cores' (`cache.rs`); which of it a core may run is its own.

use crate::cache::{Cache, Found, Known, OUTSIDE, Place, REGIONS};
use crate::frame::{BETWEEN, BUDGET_MAX, ENDED, Env, JUMP_SLOTS, Jump, NO_JUMP, REST, SPENT, jump_slot};
use crate::landing::{LANDING_COUNT, Landing, NO_LANDING, landing_slot, stamp_of};
use crate::tolls::Toll;
use crate::translate::{INDEX_BITS, LINKS_OF_BLOCK, Regime, STALE_LINK};
use crate::unit::{self, UNIT_BLOCKS_MAX};
use crate::{Limits, Listening};
use cantus_interp::{Block, CodeCounts, Core, Ended, Interp, Port, Ran, Running, Translator};
use cantus_isa::address::PAGE_SIZE;
use cantus_memory::Untouched;
use std::any::Any;
use std::collections::BTreeMap;
use std::ffi::c_void;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::ptr::{self, NonNull};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Release, SeqCst};

/// An executor that translates what is executed often, and interprets the rest.
pub type Jit = Interp<Native>;

/// An epoch that no core reaches.
const NEVER: u64 = 0;

/// How far the host's addresses of RAM lie behind the guest's, where those are physical.
fn distance<P: Port>(running: &Running<'_, P>, limits: &Limits) -> Option<i32> {
    running.core.ram.distance().filter(|_| limits.physical && running.is_physical())
}

/// The epoch of code: that of the core's, and whether addresses are physical. What is current at one is so in one regime.
fn epoch<P: Port>(running: &Running<'_, P>, limits: &Limits) -> u64 {
    (running.core.code_epoch + 1) << 1 | u64::from(distance(running, limits).is_some())
}

/// How often a block is interpreted from one look for code that another core has had made to the next.
const FIND_EVERY: u32 = 16;

/// Code that the cores of a machine share.
#[derive(Clone)]
pub struct Shared(Arc<Cache>);

/// A translator to the code of the host, for one core.
pub struct Native {
    cache: Arc<Cache>,
    /// What this core knows of the shared code, and where it stands for others to see.
    known: Known,
    stands: Arc<AtomicU64>,
    /// For each unit's number the epoch at which all of its blocks were last known to be current; for each block's the
    /// block, as this core has it, if it is alive. Memory that is never touched costs nothing.
    epochs: Untouched<u64>,
    blocks: Untouched<*mut Block>,
    /// The units that a block is in without being the first one, with its own number there, by the address of the block.
    users: BTreeMap<*const Block, Vec<User>>,
    /// How many numbers of each region may have been touched.
    touched: [u32; REGIONS],
    jumps: Box<[Jump]>,
    landings: Box<[Landing]>,
    /// The link by which code was left last.
    left_by: Option<u32>,
    /// Whether atomics are the host's; not known before the first run.
    atomics: Option<bool>,
    /// Steps of the next stretch.
    stretch: u64,
    /// What the choices of a mixed execution are made of.
    choices: u64,
    counts: CodeCounts,
}

// SAFETY: the pointers are to the core's blocks, which go wherever the executor goes, and into its own code.
unsafe impl Send for Native {}

/// A use of a block: the number of the unit, and its own.
#[derive(Clone, Copy, PartialEq, Eq)]
struct User {
    unit: u32,
    member: u32,
}

/// Steps of a stretch after which the port wanted attention.
fn shortest(limits: &Limits) -> u64 {
    (limits.stretch / 32).max(1)
}

/// Steps of a stretch after one of so many. Where the guest ends meanwhile, or another core waits, what is done too much is a
/// small part of what was done.
fn longer(stretch: u64, limits: &Limits) -> u64 {
    limits.stretch.min(stretch + stretch / 8 + 1)
}

/// What a step needs to know of the run that it is made in.
struct Context<'a, 'r, P> {
    running: &'a mut Running<'r, P>,
    cache: &'a Cache,
    /// The cache's stamp as the core saw it.
    cache_stamp: u64,
    blocks: &'a [*mut Block],
    /// The stamp of landings.
    stamp: u64,
    /// The position at which the budget would be used up, and the one up to which there may be another.
    end: u64,
    until: u64,
    /// Steps of the next stretch.
    stretch: u64,
    steps: u64,
    /// Blocks begun in the stretches before.
    begun: u64,
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
            epochs: Untouched::new(cache.numbers()),
            blocks: Untouched::new(cache.numbers()),
            users: BTreeMap::new(),
            touched: [0; REGIONS],
            jumps: vec![NO_JUMP; JUMP_SLOTS].into(),
            landings: vec![NO_LANDING; LANDING_COUNT].into(),
            left_by: None,
            atomics: None,
            stretch: shortest(&cache.limits),
            choices: 0,
            counts: CodeCounts::default(),
            cache,
        }
    }

    /// The number of the unit that begins with a block.
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
        self.users.retain(|_, users| {
            users.retain(|user| {
                let region = self.cache.region(user.unit);
                known.generations[region] == self.known.generations[region]
            });
            !users.is_empty()
        });
        self.jumps.fill(NO_JUMP);
        self.landings.fill(NO_LANDING);
        self.left_by = None;
        self.known = known;
        // Other code may lie where this core has executed code before: nothing of that may still be in its pipeline
        // (Intel SDM, volume 3, "Handling Self- and Cross-Modifying Code": a serializing instruction).
        std::arch::x86_64::__cpuid(0);
    }

    /// Counts that a block was executed without code, and has code made, for those that it loops through, too, if that was
    /// often enough. What another core has had made is taken without much waiting.
    fn warm<P: Port>(&mut self, running: &mut Running<'_, P>, block: &Block) -> Option<u32> {
        let (generation, count) = block.mark.get();
        let count = if generation == 0 { count } else { 0 };
        let is_warm = count >= self.cache.limits.threshold;
        let regime =
            Regime { atomics: self.atomics == Some(true), distance: distance(running, &self.cache.limits) };
        if is_warm || count.is_multiple_of(FIND_EVERY) {
            let found = self.cache.find(block.host(), regime);
            if let Some(number) = found.and_then(|found| self.take(running, block, &found)) {
                return Some(number);
            }
        }
        if is_warm {
            let page = block.host() & !(PAGE_SIZE - 1);
            let find = |to: i32| {
                let found = running.block(page + to as u64);
                // SAFETY: the interpreter has just found it, and drops none while it waits for this.
                found.map(|block| unsafe { block.as_ref() })
            };
            let unit = unit::choose(block, find);
            let made = self.cache.make(&unit, regime, running.core.hart.pc, &mut self.counts);
            if let Some(number) = made.and_then(|made| self.take(running, block, &made)) {
                return Some(number);
            }
        }
        block.mark.set((0, count.saturating_add(1)));
        None
    }

    /// Takes a unit for the block that it begins with, if all of its blocks are now what they were when it was made.
    fn take<P: Port>(&mut self, running: &mut Running<'_, P>, head: &Block, found: &Found) -> Option<u32> {
        let &Found { number, generation, ref members } = found;
        let mut blocks = [NonNull::from(head); UNIT_BLOCKS_MAX];
        let blocks = &mut blocks[..members.len()];
        for (block, member) in blocks.iter_mut().zip(&**members).skip(1) {
            *block = running.find(head, member.offset)?;
        }
        // SAFETY: they have just been found, and whatever was dropped for that is alive until this run is over.
        let is_same = blocks
            .iter()
            .zip(&**members)
            .all(|(block, member)| unsafe { block.as_ref() }.source() == &*member.source);
        if !is_same {
            return None;
        }
        let region = self.cache.region(number);
        let end = number % self.cache.numbers + blocks.len() as u32;
        self.touched[region] = self.touched[region].max(end);
        for (member, &block) in (number..).zip(&*blocks) {
            self.blocks[member as usize] = block.as_ptr();
            if member != number {
                let users = self.users.entry(block.as_ptr()).or_default();
                let user = User { unit: number, member };
                if !users.contains(&user) {
                    users.push(user);
                }
            }
        }
        self.epochs[number as usize] = epoch(running, &self.cache.limits);
        head.mark.set((generation, number));
        Some(number)
    }

    /// Whether all blocks of a unit that begins with `block` are current; compares those of which it is not known.
    fn is_current<P: Port>(&mut self, running: &mut Running<'_, P>, block: &Block, number: u32) -> bool {
        let (epoch, first) = (epoch(running, &self.cache.limits), number as usize);
        if self.epochs[first] == epoch {
            return true;
        }
        let Place { members, is_physical, .. } = self.cache.place(number);
        let is_made_for_this = is_physical == (epoch & 1 != 0);
        let blocks = &self.blocks[first..first + members];
        let mut is_known_current = |&block: &*mut Block| {
            // SAFETY: it is alive, for those that were dropped were forgotten.
            unsafe { block.as_ref() }.is_some_and(|block| running.is_current(block))
        };
        let is_current = is_made_for_this
            && blocks[0].cast_const() == ptr::from_ref(block)
            && blocks[1..].iter().all(&mut is_known_current);
        self.epochs[first] = if is_current { epoch } else { NEVER };
        is_current
    }

    /// The number of a unit that begins with a block, all of which is current.
    fn current<P: Port>(&mut self, running: &mut Running<'_, P>, block: &Block) -> Option<u32> {
        if let Some(number) = self.number(block) {
            if self.is_current(running, block, number) {
                return Some(number);
            }
            self.blocks[number as usize] = ptr::null_mut();
            block.mark.set((0, self.cache.limits.threshold));
        }
        self.warm(running, block)
    }

    /// The number of a block's unit, whose code stays where it is until the core says that it is outside again.
    fn come_in<P: Port>(&mut self, running: &mut Running<'_, P>, block: &Block) -> Option<u32> {
        loop {
            if self.cache.stamp() != self.known.stamp {
                self.catch_up();
            }
            let number = self.current(running, block)?;
            self.stands.store(self.known.stamp, SeqCst);
            if self.cache.stamp() == self.known.stamp {
                return Some(number);
            }
            self.stands.store(OUTSIDE, SeqCst);
        }
    }

    /// What a use of a block that is no more knows of it.
    fn leave_out(&mut self, block: &Block, User { unit, member }: User) {
        let known = &mut self.blocks[member as usize];
        if known.cast_const() == ptr::from_ref(block) {
            *known = ptr::null_mut();
            self.epochs[unit as usize] = NEVER;
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
        let number = self.come_in(running, block)?;
        if let Some(link) = self.left_by.take() {
            self.counts.links += u64::from(self.cache.link(link, block.host(), number, self.known.stamp));
        }
        let (start, paid) =
            (running.core.position, (Toll::of(block.len()) + self.cache.ahead(number)).steps as u64);
        if until - start < paid {
            self.stands.store(OUTSIDE, Release);
            return None;
        }
        let Place { chained, entered, .. } = self.cache.place(number);
        let epoch = epoch(running, &self.cache.limits);
        self.jumps[jump_slot(block.host())] = Jump { host: block.host(), code: chained };
        let pc = running.core.hart.pc;
        let stamp = stamp_of(running.fetches_lost(), running.code_mode());
        self.landings[landing_slot(pc)] = Landing { pc, stamp, code: chained };

        let budget = if running.port.attention() {
            self.stretch = shortest(&self.cache.limits);
            paid
        } else {
            self.stretch.min(until - start).min(BUDGET_MAX)
        };
        let budget = budget.max(paid);
        let ram = running.core.ram.base();
        let core: *mut Core = &mut *running.core;
        let mut env = Env {
            core,
            budget: Env::budget_of(budget),
            page: pc & !(PAGE_SIZE - 1),
            fast_data: running.core.tlb.fast_entries(running.data_mode()),
            fast_code: running.core.tlb.fast_entries(running.code_mode()),
            epoch,
            epochs: self.epochs.as_ptr(),
            jumps: self.jumps.as_ptr(),
            landings: self.landings.as_mut_ptr(),
            stamp,
            guest: (running.core.ram.host(ram) as u64).wrapping_sub(ram.0),
            holds: u64::from(running.port.conditionals_hold()),
            step: step::<P>,
            stretch: stretch::<P>,
            context: ptr::null_mut(),
        };
        let mut context = Context {
            running,
            cache: &self.cache,
            cache_stamp: self.known.stamp,
            blocks: &self.blocks,
            stamp,
            end: start + budget,
            until,
            stretch: self.stretch,
            steps: 0,
            begun: 0,
            ended: None,
            panic: None,
        };
        env.context = (&raw mut context).cast::<c_void>();
        // SAFETY: the unit is current, and so is the code made of it. Everything in `env` lives and stays where it is
        // until this returns, and is accessed by `step` alone.
        let left = unsafe { self.cache.stubs.enter(&mut env, entered) };
        self.stands.store(OUTSIDE, Release);
        let Context { running, ended, panic, steps, end, begun, stretch, .. } = context;
        self.stretch = stretch;
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
            link if (link - 1) % LINKS_OF_BLOCK == STALE_LINK => (&mut exits.stale, Some(link - 1)),
            link => (&mut exits.unlinked, Some(link - 1)),
        };
        *exit += 1;
        self.left_by = link;
        let last = link.filter(|link| link % LINKS_OF_BLOCK != STALE_LINK);
        let last = last.and_then(|link| NonNull::new(self.blocks[(link / LINKS_OF_BLOCK) as usize]));
        Some(Ran::Between(last))
    }

    fn forget(&mut self, block: &Block) {
        if let Some(number) = self.number(block) {
            self.leave_out(block, User { unit: number, member: number });
        }
        for user in self.users.remove(&ptr::from_ref(block)).into_iter().flatten() {
            self.leave_out(block, user);
        }
    }

    fn counts(&self) -> CodeCounts {
        self.counts
    }
}

/// Begins another stretch, of so many steps at least, if they fit and neither the port wants attention nor the cache wants
/// the core outside of code, as the interpreter would between two runs. Gives its budget, or 0.
extern "sysv64" fn stretch<P: Port>(env: &mut Env, least: u32) -> u64 {
    // SAFETY: `run` has set it, and waits.
    let context = unsafe { &mut *env.context.cast::<Context<'_, '_, P>>() };
    let position = context.end - env.left();
    let room = context.until - position;
    // A panic must not get into translated code, which nothing is known of for unwinding.
    let goes_on = catch_unwind(AssertUnwindSafe(|| {
        context.running.core.position = position;
        context.running.port.completed(position);
        let may_stay = context.cache.stamp() == context.cache_stamp;
        let wanted = context.running.port.attention();
        if wanted {
            context.stretch = shortest(&context.cache.limits);
        }
        may_stay && room >= u64::from(least) && !wanted
    }));
    match goes_on {
        Ok(false) => 0,
        Ok(true) => {
            context.stretch = longer(context.stretch, &context.cache.limits);
            let budget = context.stretch.min(room).min(BUDGET_MAX).max(u64::from(least));
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
    let block =
        NonNull::new(context.blocks[number as usize]).expect("its code runs, so the core has the block");
    let ahead = context.cache.ahead(number);
    // A panic must not get into translated code, which nothing is known of for unwinding.
    let made = catch_unwind(AssertUnwindSafe(|| {
        // SAFETY: its code runs, so it is alive.
        let (length, offset) = unsafe { (block.as_ref().len(), block.as_ref().address().offset()) };
        // The block is paid for, and so is what is ahead.
        context.running.core.position = context.end - (env.left() + (Toll::of(length) + ahead).steps as u64);
        let pc = env.page | offset;
        if is_rest {
            // SAFETY: as above.
            let ended = unsafe { context.running.rest(block, pc, index as usize) };
            context.steps += ended.completed() - u64::from(index) + u64::from(!ended.is_complete());
            Some(ended)
        } else {
            context.steps += 1;
            // SAFETY: as above.
            let ended = unsafe { context.running.step(block, pc, index as usize) };
            let stamp = stamp_of(context.running.fetches_lost(), context.running.code_mode());
            let is_physical = distance(context.running, &context.cache.limits).is_some();
            assert!(
                ended.is_some() || stamp == context.stamp && is_physical == (env.epoch & 1 != 0),
                "MMU-1: what can be fetched, and how it is accessed, stays the same while code runs"
            );
            ended
        }
    }));
    match made {
        Ok(None) => {
            env.fast_data = context.running.core.tlb.fast_entries(context.running.data_mode());
            env.holds = u64::from(context.running.port.conditionals_hold());
            0
        }
        Ok(Some(ended)) => {
            env.give_back(ahead);
            context.ended = Some(ended);
            1
        }
        Err(panic) => {
            context.panic = Some(panic);
            1
        }
    }
}
