//! The reference executor: pre-decoded blocks, one `match` for each instruction.
//!
//! Guarantees: positions are exact wherever it stops, in the middle of a block too; a step that is blocked leaves no trace
//! (ORD-4); when a translation or code changes, and by whose access, depends on the steps alone, never on how they are
//! cut into blocks or runs (REP-2).
//!
//! An interrupt that is due is taken together with the step that comes after it: a core that stands at a position, even
//! one that came back blocked, has not yet taken those that are due there.

use crate::block::{Block, Blocks};
use crate::reach::{CodeExtent, Mode, Reach, Stop};
use crate::step::Step;
use crate::translator::{Ran, Running, Translator, Untranslated};
use crate::{Core, Counts, Executor, Exit, Port};
use cantus_isa::riscv::meaning::{Flow, execute};
use cantus_isa::riscv::op::{Op, Opcode};
use cantus_isa::riscv::trap::{Before, Exception, Trap};
use cantus_isa::riscv::{Hart, decode, length};
use cantus_isa::{Gva, Width, address::PAGE_SIZE};
use cantus_memory::MODES;
use std::ptr::NonNull;

/// The interpreter of one core. Its blocks belong to that core's RAM and TLB: another core needs another interpreter; after
/// either was changed from outside, the core's code epoch must be counted up. A translator may run blocks in its stead.
pub struct Interp<T = Untranslated> {
    context: Context,
    translator: T,
}

/// What instructions tell the loop that runs them.
pub(crate) struct Context {
    /// The block ends before this operation.
    pub limit: usize,
    /// What trap [`Stop::Trap`] means.
    pub trap: Trap,
    /// Why to return after this block.
    pub exit: Option<Exit>,
    /// The mode of fetches.
    pub code: Mode,
    /// The mode of loads and stores.
    pub data: Mode,
    /// All decoded code.
    pub blocks: Blocks,
    /// An instruction that is in no block, with where it starts and ends.
    single: (Op, [u8; 2]),
    /// What has been done; what the translator has done stands there.
    pub counts: Counts,
}

/// Operations to execute.
#[derive(Clone, Copy)]
struct Code {
    ops: *const Op,
    starts: *const u8,
    length: usize,
    /// The block that they are, if what comes after it may be noted there.
    block: Option<NonNull<Block>>,
}

impl Code {
    /// A block as code.
    ///
    /// # Safety
    /// The block is alive.
    #[inline(always)]
    unsafe fn of(block: NonNull<Block>) -> Self {
        // SAFETY: the caller's.
        let text = unsafe { block.as_ref() };
        let (ops, starts) = (text.text(), text.starts());
        Self { ops: ops.as_ptr(), starts: starts.as_ptr(), length: ops.len(), block: Some(block) }
    }
}

/// The starts of no operations.
static NOTHING: [u8; 1] = [0];

impl Default for Interp {
    fn default() -> Self {
        Self::new()
    }
}

impl Interp {
    /// An interpreter that has decoded nothing yet.
    pub fn new() -> Self {
        Self::with(Untranslated)
    }
}

impl<T: Translator> Interp<T> {
    /// One that lets `translator` run blocks.
    pub fn with(translator: T) -> Self {
        let hart = Hart::new(0);
        Self {
            context: Context {
                limit: 0,
                trap: Trap::new(Exception::IllegalInstruction, 0),
                exit: None,
                code: Mode::code(&hart),
                data: Mode::data(&hart),
                blocks: Blocks::new(),
                single: (Op::of(Opcode::Addi), [0; 2]),
                counts: Counts::default(),
            },
            translator,
        }
    }

    /// The translator.
    pub fn translator(&self) -> &T {
        &self.translator
    }
}

impl Context {
    /// While this is the same, a virtual address has its code in the same place: no right to fetch has been lost, and fetches
    /// are in the same mode; and no block was let go of. Never 0, which is the stamp of no link.
    #[inline(always)]
    pub(crate) fn stamp(&self, core: &Core) -> u64 {
        // Each of these only grows, so their sum is the same only while each of them is.
        let changes = core.tlb.fetches_lost() + self.blocks.gone;
        1 + self.code.index as u64 + changes * MODES as u64
    }

    /// The modes may have changed.
    pub(crate) fn refresh(&mut self, core: &Core) {
        self.code = Mode::code(&core.hart);
        self.data = Mode::data(&core.hart);
    }

    /// The code at `pc`, after `last`.
    #[inline(never)]
    fn look_up<P: Port>(
        &mut self,
        core: &mut Core,
        port: &mut P,
        translator: &mut impl Translator,
        last: Option<NonNull<Block>>,
    ) -> Result<Code, Stop> {
        let pc = core.hart.pc;
        let fast = core.tlb.fast(self.code.index, Gva(pc));
        let known = if fast.execute == pc & !(PAGE_SIZE - 1) {
            self.blocks.get(pc.wrapping_add(fast.addend), core.code_epoch)
        } else {
            None
        };
        let code = match known {
            // SAFETY: found just now.
            Some(block) => unsafe { Code::of(block) },
            None => self.fetch(core, port)?,
        };
        if let (Some(last), Some(block)) = (last, code.block) {
            // SAFETY: the caller's `last` is alive until `bury`.
            unsafe { last.as_ref() }.link(pc, self.stamp(core), block);
        }
        self.blocks.bury(|block| translator.forget(block));
        Ok(code)
    }

    /// The code at `pc`, where no block is known to be current.
    #[cold]
    #[inline(never)]
    fn fetch<P: Port>(&mut self, core: &mut Core, port: &mut P) -> Result<Code, Stop> {
        let pc = core.hart.pc;
        let mut reach = Reach { core, port, context: self, index: 0 };
        let code = reach.code(pc)?;
        let line = match code.extent {
            CodeExtent::Page => Some(false),
            CodeExtent::Line => Some(true),
            CodeExtent::Halfword => None,
        };
        if let Some(line) = line {
            let Core { ram, tlb, code_epoch, .. } = &mut *reach.core;
            if let Some(block) = reach.context.blocks.find(ram, tlb, code.address, *code_epoch, line) {
                // SAFETY: found just now.
                let code = unsafe { Code::of(block) };
                return Ok(if line { Code { block: None, ..code } } else { code });
            }
        }
        // An instruction on its own: it is illegal, or straddles pages or lines, or protection changes in its page.
        let low = reach.core.ram.load(code.address, Width::Half) as u16;
        let bytes = length(low);
        let mut bits = u32::from(low);
        if bytes == 4 {
            let high = reach.code(pc.wrapping_add(2))?;
            bits |= (reach.core.ram.load(high.address, Width::Half) as u32) << 16;
        }
        match decode(bits) {
            Ok(op) => {
                self.single = (op, [0, bytes / 2]);
                Ok(Code { ops: &self.single.0, starts: self.single.1.as_ptr(), length: 1, block: None })
            }
            Err(illegal) => {
                self.trap = Trap::illegal(illegal.bits);
                Err(Stop::Trap)
            }
        }
    }
}

impl<T: Translator> Executor for Interp<T> {
    fn run<P: Port>(&mut self, core: &mut Core, port: &mut P, until: u64) -> Exit {
        let Self { context, translator } = self;
        context.exit = None;
        // Whether an interrupt may be due, and modes may have changed.
        let mut news = true;
        let mut interrupted: Option<Before> = None;
        // The block that was executed last, to the end, and that is still alive.
        let mut last: Option<NonNull<Block>> = None;
        loop {
            if core.position >= until {
                return Exit::Until;
            }
            if news {
                news = false;
                if let Some(interrupt) = core.hart.pending_interrupt() {
                    interrupted = Some(core.hart.take_interrupt(interrupt));
                }
                context.refresh(core);
            }
            let mut pc = core.hart.pc;
            let start = core.position;
            // What the translator has not been told of must not run.
            let linked = last.filter(|_| !context.blocks.are_to_mourn()).and_then(|last| {
                // SAFETY: `last` is alive, for `bury` comes behind this.
                unsafe { last.as_ref() }.next(pc, context.stamp(core), core.code_epoch)
            });
            let code = match linked {
                // SAFETY: it is in the table.
                Some(block) => Ok(unsafe { Code::of(block) }),
                None => context.look_up(core, port, translator, last),
            };
            last = code.as_ref().ok().and_then(|code| code.block);
            let mut index = 0;
            let mut starts = NOTHING.as_ptr();
            let room = until - core.position;
            let ran = match &code {
                Ok(Code { block: Some(block), length, .. }) if T::TRANSLATES && *length as u64 <= room => {
                    let mut running = Running { core: &mut *core, port: &mut *port, context: &mut *context };
                    translator.run(&mut running, *block, until)
                }
                Ok(_) | Err(_) => None,
            };
            let end = match code {
                Err(stop) => Err(stop),
                Ok(_) if let Some(ran) = ran => match ran {
                    Ran::Between(block) => {
                        last = block;
                        Ok(Flow::Jump)
                    }
                    Ran::Within(ended) => {
                        last = Some(ended.block);
                        // SAFETY: it has just run, and `bury` comes behind this.
                        starts = unsafe { ended.block.as_ref() }.starts().as_ptr();
                        (pc, index) = (ended.pc, ended.index);
                        ended.end
                    }
                },
                Ok(code) => {
                    starts = code.starts;
                    context.limit = if room < code.length as u64 { room as usize } else { code.length };
                    let data = context.data.index;
                    loop {
                        // SAFETY: `index` is below the block's length, and a block that is dropped while it is being
                        // executed keeps its memory until `bury`.
                        let op = unsafe { &*code.ops.add(index) };
                        let mut step = Step {
                            core: &mut *core,
                            port: &mut *port,
                            context: &mut *context,
                            block: pc,
                            index,
                            starts,
                            data,
                        };
                        match execute(op, &mut step) {
                            Ok(Flow::Next) => {
                                index += 1;
                                if index >= context.limit {
                                    break Ok(Flow::Next);
                                }
                            }
                            Ok(flow) => {
                                index += 1;
                                break Ok(flow);
                            }
                            Err(stop) => break Err(stop),
                        }
                    }
                }
            };
            core.position += index as u64;
            // SAFETY: as for `ops`; there is one more start than operations. Nothing fetched: the one start is 0.
            let at = || pc.wrapping_add(2 * u64::from(unsafe { *starts.add(index) }));
            match end {
                Ok(Flow::Jump) => {}
                Ok(Flow::Next) => core.hart.pc = at(),
                Ok(Flow::SyncJump) => news = true,
                Ok(Flow::Sync) => {
                    core.hart.pc = at();
                    news = true;
                }
                Err(stop) => {
                    core.hart.pc = at();
                    match stop {
                        Stop::Trap => {
                            core.hart.take_exception(context.trap);
                            core.position += 1;
                            news = true;
                        }
                        Stop::Updated => {
                            core.tlb.undo(core.position);
                            core.hart.not_retired();
                            core.position += 1;
                        }
                        Stop::Blocked => {
                            core.tlb.undo(core.position);
                            if core.position == start
                                && let Some(before) = interrupted
                            {
                                core.hart.untake_interrupt(before);
                            }
                            port.completed(core.position);
                            return Exit::Blocked;
                        }
                    }
                }
            }
            interrupted = None;
            port.completed(core.position);
            if let Some(exit) = context.exit.take() {
                return exit;
            }
            if core.position < until && port.attention() {
                return Exit::Attention;
            }
        }
    }

    fn counts(&self) -> Counts {
        let Context { counts, blocks, .. } = &self.context;
        let (decoded, compared) = (blocks.decoded, blocks.compared);
        Counts { decoded, compared, code: self.translator.counts(), ..*counts }
    }
}
