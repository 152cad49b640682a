//! What a translator to host code adds to the interpreter.
//!
//! A translator stands in for the loop over the operations of a block, and for nothing else: which block comes next, when
//! code is no longer what it was, traps, positions and exits remain the interpreter's. So what is not translated is
//! executed as ever, an instruction at a time if need be ([`Running::step`]), and the two are the same by construction
//! (REP-2).
//!
//! What a translator must keep to:
//! - it runs whole blocks, and only such as fit before the position that it is given; a block runs only if its bytes are
//!   known to be current at the core's code epoch (MMU-2);
//! - what it does by itself is what the meanings say; loads and stores by fast TLB entries alone; all else is a step;
//! - after a step that ends the run it returns at once, with what the step said.

use crate::block::Block;
use crate::interp::Context;
use crate::reach::Stop;
use crate::step::Step;
use crate::{CodeCounts, Core, Port};
use cantus_isa::Gpa;
use cantus_isa::riscv::meaning::{Flow, execute};
use cantus_memory::is_machine;
use std::ptr::NonNull;

/// Runs blocks in its own way.
pub trait Translator: Send + Sized {
    /// Whether it ever does.
    const TRANSLATES: bool;

    /// Runs from `block`, which starts at the hart's pc and is current, no further than the position `until`, before which
    /// all of the block fits. What has been counted when it returns are whole blocks: the hart's pc and the position are
    /// those of the last block's start if that ended in a step, else exact.
    fn run<P: Port>(
        &mut self,
        running: &mut Running<'_, P>,
        block: NonNull<Block>,
        until: u64,
    ) -> Option<Ran>;

    /// The block is no longer code; it must not run again.
    fn forget(&mut self, block: &Block);

    /// What it has done so far.
    fn counts(&self) -> CodeCounts;
}

/// How translated code came back.
#[derive(Clone, Copy, Debug)]
pub enum Ran {
    /// Between two blocks; the one that ran last, if it is known.
    Between(Option<NonNull<Block>>),
    /// In a block, or at its end, by a step.
    Within(Ended),
}

/// How a step ended a run.
#[derive(Clone, Copy, Debug)]
pub struct Ended {
    /// The block, and where it starts.
    pub(crate) block: NonNull<Block>,
    pub(crate) pc: u64,
    /// How many of its operations are complete.
    pub(crate) index: usize,
    pub(crate) end: Result<Flow, Stop>,
}

impl Ended {
    /// How many of the block's operations are complete.
    pub fn completed(&self) -> u64 {
        self.index as u64
    }

    /// Whether the step came to nothing, and will be made again.
    pub fn is_blocked(&self) -> bool {
        matches!(self.end, Err(Stop::Blocked))
    }

    /// Whether the step itself is one of those that are complete.
    pub fn is_complete(&self) -> bool {
        self.end.is_ok()
    }
}

/// A core that runs, as a translator sees it.
pub struct Running<'a, P> {
    /// The core. Its position is that of the start of the running block whenever a step is made.
    pub core: &'a mut Core,
    /// Its port.
    pub port: &'a mut P,
    pub(crate) context: &'a mut Context,
}

impl<P: Port> Running<'_, P> {
    /// The TLB's mode for loads and stores.
    pub fn data_mode(&self) -> usize {
        self.context.data.index
    }

    /// The TLB's mode for fetches.
    pub fn code_mode(&self) -> usize {
        self.context.code.index
    }

    /// Whether nothing is translated, neither for fetches nor for loads and stores: virtual addresses are physical.
    pub fn is_physical(&self) -> bool {
        is_machine(self.data_mode()) && is_machine(self.code_mode())
    }

    /// How often a fast right to fetch has been lost.
    pub fn fetches_lost(&self) -> u64 {
        self.core.tlb.fetches_lost()
    }

    /// The block that starts at a host address in the page of a block that was given, if it is known to be current.
    pub fn block(&self, host: u64) -> Option<NonNull<Block>> {
        self.context.blocks.get(host, self.core.code_epoch)
    }

    /// The block that starts at a distance from the start of the page of `given`, a block that was given and is current;
    /// decoded if need be.
    pub fn find(&mut self, given: &Block, offset: u64) -> Option<NonNull<Block>> {
        let (page, address) = (given.host() - given.address().offset(), given.address());
        self.block(page + offset).or_else(|| {
            let Core { ram, tlb, code_epoch, .. } = &mut *self.core;
            let address = Gpa(address.0 - address.offset() + offset);
            self.context.blocks.find(ram, tlb, address, *code_epoch, false)
        })
    }

    /// Whether a block's bytes are current; it lies in the page of one that was given and is.
    pub fn is_current(&mut self, block: &Block) -> bool {
        self.context.blocks.is_current(block, &self.core.ram, self.core.code_epoch)
    }

    /// Executes one operation of a block that starts at `pc` and runs. Says how the run has ended, if it has.
    ///
    /// # Safety
    /// The block is alive: it was given to [`Translator::run`], and not forgotten before this run began.
    #[inline(never)]
    pub unsafe fn step(&mut self, block: NonNull<Block>, pc: u64, index: usize) -> Option<Ended> {
        // SAFETY: the caller's. It lives until `bury`, which only the interpreter's loop calls, even if it is dropped here.
        let text = unsafe { block.as_ref() };
        let (ops, starts) = (text.text(), text.starts());
        let data = self.data_mode();
        let before = self.seen();
        // No more than a mark that whoever ends the block sets lower.
        self.context.limit = usize::MAX;
        let mut step = Step {
            core: &mut *self.core,
            port: &mut *self.port,
            context: &mut *self.context,
            block: pc,
            index,
            starts: starts.as_ptr(),
            data,
        };
        let (index, end) = match execute(&ops[index], &mut step) {
            Ok(Flow::Next) if self.context.limit == usize::MAX && self.context.exit.is_none() => return None,
            Ok(Flow::Sync) if self.context.exit.is_none() && self.is_no_news(before) => return None,
            Ok(flow) => (index + 1, Ok(flow)),
            Err(stop) => (index, Err(stop)),
        };
        Some(Ended { block, pc, index, end })
    }

    /// Whether a step after which code must be fetched anew, and an interrupt may be due, has come to neither: there is none,
    /// and what was seen before still is. The mode of loads and stores is that from there on.
    fn is_no_news(&mut self, before: (u64, u64, bool)) -> bool {
        self.context.refresh(self.core);
        self.seen() == before && self.core.hart.pending_interrupt().is_none()
    }

    /// What a run takes for granted: the stamp and the epoch of what can be fetched, and whether addresses are physical.
    fn seen(&self) -> (u64, u64, bool) {
        (self.context.stamp(self.core), self.core.code_epoch, self.is_physical())
    }

    /// Executes the operations of a block that starts at `pc` from the one at `index` to its end, or to where one of them
    /// ends the run.
    ///
    /// # Safety
    /// As for [`Self::step`].
    pub unsafe fn rest(&mut self, block: NonNull<Block>, pc: u64, index: usize) -> Ended {
        // SAFETY: the caller's.
        let length = unsafe { block.as_ref() }.len();
        // SAFETY: the caller's.
        let ended = (index..length).find_map(|index| unsafe { self.step(block, pc, index) });
        ended.unwrap_or(Ended { block, pc, index: length, end: Ok(Flow::Next) })
    }
}

/// No translator: every operation is interpreted.
#[derive(Clone, Copy, Debug, Default)]
pub struct Untranslated;

impl Translator for Untranslated {
    const TRANSLATES: bool = false;

    #[inline(always)]
    fn run<P: Port>(&mut self, _: &mut Running<'_, P>, _: NonNull<Block>, _: u64) -> Option<Ran> {
        None
    }

    #[inline(always)]
    fn forget(&mut self, _: &Block) {}

    fn counts(&self) -> CodeCounts {
        CodeCounts::default()
    }
}
