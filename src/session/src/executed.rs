//! A trace, executed again to answer questions about it.

use crate::replay::{Opened, ReplayOptions};
use crate::watch::{Observer, Shown, Touch, Watch};
use crate::{Executor, Guest, GuestFile, Interrupt};
use cantus_analyses::replays::{Access, AccessKind, Print, Replays, Step, Stretch, Trouble, Writer};
use cantus_isa::address::{CACHE_BLOCK_SIZE, PAGE_SIZE};
use cantus_isa::riscv::{Class, Hart, decode, length};
use cantus_isa::{Gpa, Gva, Width};
use cantus_memory::{PageIndex, Ram, Right};
use cantus_traces::{CoreId, Position, Trace};
use parking_lot::Mutex;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst};

/// A trace that can be executed again and watched while it is.
pub struct Executed {
    opened: Opened,
    workers: usize,
    executor: Executor,
}

impl Executed {
    /// Opens the trace at `path`; `files` are the files of the guest that it does not hold.
    ///
    /// # Errors
    /// Where the trace cannot be read, or is of a machine that this version does not have.
    pub fn open(path: impl AsRef<Path>, files: &[GuestFile]) -> Result<Self, crate::Error> {
        let opened = Opened::new(path.as_ref(), files)?;
        let ReplayOptions { workers, executor, .. } = ReplayOptions::default();
        Ok(Self { opened, workers, executor })
    }

    /// Executes it on so many workers.
    #[must_use]
    pub fn on_workers(self, workers: usize) -> Self {
        Self { workers, ..self }
    }

    /// Executes it with this executor.
    #[must_use]
    pub fn by(self, executor: Executor) -> Self {
        Self { executor, ..self }
    }

    /// The trace.
    pub fn trace(&self) -> &Trace {
        &self.opened.trace
    }

    /// The guest that it is of.
    pub fn guest(&self) -> &Guest {
        &self.opened.guest
    }

    /// Executes it under an observer, until that has seen enough.
    fn watch<O: Observer + 'static>(&self, observer: &Arc<O>, enough: Interrupt) -> Result<(), Trouble> {
        let options = ReplayOptions {
            workers: self.workers,
            executor: self.executor,
            interrupt: enough,
            ..ReplayOptions::default()
        };
        let observed = |core, inner| Watch { core, inner, observer: observer.clone() };
        let span = self.opened.span(&options).map_err(|error| error.to_string())?;
        self.opened.start(&options, span, observed)?;
        Ok(())
    }

    fn cores(&self) -> usize {
        usize::from(self.opened.trace.header().configuration.cores)
    }

    /// Shows the steps of stretches to `look`, which gets the number of the stretch.
    fn look<T: Default + Send + 'static>(
        &self,
        stretches: &[Stretch],
        look: impl Fn(&mut T, &Shown<'_>) + Send + Sync + 'static,
    ) -> Result<Vec<T>, Trouble> {
        let tracks: Vec<Track> = (0..self.cores()).map(|core| Track::new(core, stretches)).collect();
        let enough = Interrupt::default();
        let observer = Arc::new(Looker {
            left: AtomicUsize::new(tracks.iter().filter(|track| !track.ranges.is_empty()).count()),
            tracks,
            seen: stretches.iter().map(|_| Mutex::new(T::default())).collect(),
            enough: enough.clone(),
            look,
        });
        self.watch(&observer, enough)?;
        let looker = Arc::into_inner(observer).ok_or("the observer is still in use")?;
        Ok(looker.seen.into_iter().map(Mutex::into_inner).collect())
    }
}

/// The stretches of one core, by where they begin.
struct Track {
    ranges: Vec<(Range<u64>, usize)>,
    /// Where the last of the first so many ranges ends.
    ends: Vec<u64>,
}

impl Track {
    fn new(core: usize, stretches: &[Stretch]) -> Self {
        let own = stretches.iter().enumerate().filter(|(_, stretch)| stretch.core.index() == core);
        let mut ranges: Vec<_> =
            own.map(|(number, stretch)| (stretch.from.0..stretch.to.0, number)).collect();
        ranges.retain(|(range, _)| !range.is_empty());
        ranges.sort_by_key(|(range, _)| range.start);
        let mut end = 0;
        let furthest = ranges.iter().map(|(range, _)| {
            end = end.max(range.end);
            end
        });
        let ends = furthest.collect();
        Self { ranges, ends }
    }

    /// The numbers of the stretches that hold this position.
    fn at(&self, position: u64) -> impl Iterator<Item = usize> {
        let begun = self.ranges.partition_point(|(range, _)| range.start <= position);
        let reach = self.ranges[..begun].iter().zip(&self.ends).rev();
        reach
            .take_while(move |(_, end)| **end > position)
            .filter(move |((range, _), _)| range.contains(&position))
            .map(|((_, number), _)| *number)
    }

    /// The next positions that some stretch holds; not all of them at once.
    fn next(&self, position: u64) -> Range<u64> {
        let begun = self.ranges.partition_point(|(range, _)| range.start <= position);
        match begun.checked_sub(1).map(|last| self.ends[last]) {
            Some(end) if end > position => position..end,
            Some(_) | None => self.ranges.get(begun).map_or(0..0, |(range, _)| range.clone()),
        }
    }
}

/// Gathers what is seen of stretches.
struct Looker<T, F> {
    tracks: Vec<Track>,
    /// For each stretch what was seen of it.
    seen: Vec<Mutex<T>>,
    /// Cores that are not past their last stretch.
    left: AtomicUsize,
    enough: Interrupt,
    look: F,
}

impl<T: Send, F: Fn(&mut T, &Shown<'_>) + Send + Sync> Observer for Looker<T, F> {
    fn stretch(&self, core: usize, position: u64) -> Range<u64> {
        self.tracks[core].next(position)
    }

    fn step(&self, shown: &Shown<'_>) {
        let track = &self.tracks[shown.core];
        for number in track.at(shown.position) {
            (self.look)(&mut self.seen[number].lock(), shown);
        }
        let over = track.ends.last().is_some_and(|&end| end == shown.after.position);
        if over && self.left.fetch_sub(1, SeqCst) == 1 {
            self.enough.raise();
        }
    }
}

fn step(shown: &Shown<'_>, scratch: &mut Vec<u8>) -> Step {
    scratch.clear();
    shown.after.hart.write_state(scratch);
    let words = scratch.chunks_exact(8).map(|word| u64::from_le_bytes(word.try_into().expect("eight bytes")));
    Step { position: Position(shown.position), pc: Gva(shown.before.pc), state: Print::of(words) }
}

/// Parts of a stretch that is printed.
#[derive(Default)]
struct Prints {
    whole: Vec<Print>,
    part: Print,
    steps: u64,
    scratch: Vec<u8>,
}

impl Replays for Executed {
    fn prints(&mut self, stretches: &[Stretch], every: u64) -> Result<Vec<Vec<Print>>, Trouble> {
        let seen = self.look(stretches, move |prints: &mut Prints, shown| {
            prints.part = prints.part.then(&step(shown, &mut prints.scratch));
            prints.steps += 1;
            if prints.steps == every {
                prints.whole.push(std::mem::take(&mut prints.part));
                prints.steps = 0;
            }
        })?;
        let close = |mut prints: Prints| {
            if prints.steps != 0 {
                prints.whole.push(prints.part);
            }
            prints.whole
        };
        Ok(seen.into_iter().map(close).collect())
    }

    fn paths(&mut self, stretches: &[Stretch]) -> Result<Vec<Vec<Step>>, Trouble> {
        self.look(stretches, |steps: &mut Vec<Step>, shown| steps.push(step(shown, &mut Vec::new())))
    }

    fn accesses(&mut self, stretch: Stretch) -> Result<Vec<Access>, Trouble> {
        let seen =
            self.look(&[stretch], |accesses: &mut Vec<Access>, shown| accesses.extend(accesses_of(shown)))?;
        Ok(seen.into_iter().flatten().collect())
    }

    fn last_writer(
        &mut self,
        address: Gpa,
        bytes: u8,
        core: CoreId,
        position: Position,
    ) -> Result<Option<Writer>, Trouble> {
        let overlaps = |from: Gpa, length: u64| {
            from.0 < address.0 + u64::from(bytes) && address.0 < from.0.saturating_add(length)
        };
        let enough = Interrupt::default();
        let ram_base = cantus_machine::map::RAM_BASE;
        let page = PageIndex(((address.0.wrapping_sub(ram_base.0)) / PAGE_SIZE) as u32);
        let observer = Arc::new(Writes {
            page,
            until: (core.index(), position.0),
            order: AtomicU64::new(0),
            seen: Mutex::default(),
            line: address.0.saturating_sub(7)..address.0 + u64::from(bytes),
            over: AtomicU64::new(u64::MAX),
            enough: enough.clone(),
        });
        self.watch(&observer, enough)?;
        let over = observer.over.load(SeqCst);
        let mut seen = std::mem::take(&mut *observer.seen.lock());
        seen.sort_by_key(|write| std::cmp::Reverse(write.order));
        for write in seen.into_iter().filter(|write| write.order < over) {
            let core = CoreId(write.core as u8);
            let stretch = Stretch { core, from: Position(write.position), to: Position(write.position + 1) };
            let stores = self.accesses(stretch)?;
            let stored = stores.iter().find(|access| {
                access.kind == AccessKind::Store && overlaps(access.address, u64::from(access.bytes))
            });
            if let Some(access) = stored {
                return Ok(Some(Writer { core, position: access.position, pc: access.pc }));
            }
        }
        Ok(None)
    }
}

/// A step that may have written to what is asked about.
struct Write {
    order: u64,
    core: usize,
    position: u64,
}

/// Notes who may have written to some bytes, in the order of the execution.
struct Writes {
    page: PageIndex,
    /// The core and position before which it is asked.
    until: (usize, u64),
    order: AtomicU64,
    seen: Mutex<Vec<Write>>,
    /// Where a store that reaches the bytes can begin.
    line: Range<u64>,
    /// The number in the order at which the step that is asked about came.
    over: AtomicU64,
    enough: Interrupt,
}

/// How many of the latest writes are kept while looking for the last one.
const WRITES_KEPT: usize = 4096;

impl Observer for Writes {
    fn stretch(&self, core: usize, position: u64) -> Range<u64> {
        let (asked, until) = self.until;
        if core == asked && position <= until { until..until + 1 } else { 0..0 }
    }

    fn step(&self, _: &Shown<'_>) {
        self.over.store(self.order.fetch_add(1, SeqCst), SeqCst);
        self.enough.raise();
    }

    fn page(&self) -> Option<PageIndex> {
        Some(self.page)
    }

    fn touched(&self, core: usize, position: u64, address: Gpa, right: Right) {
        let is_asked = (core, position) == self.until;
        if right == Right::Write && self.line.contains(&address.0) && !is_asked {
            let mut seen = self.seen.lock();
            if seen.len() >= 2 * WRITES_KEPT {
                seen.drain(..WRITES_KEPT);
            }
            seen.push(Write { order: self.order.fetch_add(1, SeqCst), core, position });
        }
    }
}

/// What a step read and wrote.
fn accesses_of(shown: &Shown<'_>) -> Vec<Access> {
    let Shown { position, before, touches, after, .. } = shown;
    let completed = after.hart.instret.read(after.position) != before.instret.read(*position)
        || after.hart.instret.inhibited;
    let access = |virtual_address, address, width: Width, value, kind| Access {
        position: Position(*position),
        pc: Gva(before.pc),
        virtual_address,
        address,
        bytes: width.bytes() as u8,
        value: value & (u64::MAX >> (64 - 8 * width.bytes())),
        kind,
    };
    let Some((op, class)) = fetched(before, touches, &after.ram) else { return Vec::new() };
    let (operands, results) = (&before.x, &after.hart.x);
    let base = operands[usize::from(op.rs1)];
    let displaced = matches!(class, Class::Load(_) | Class::Store(_));
    let offset = if displaced { op.imm as i64 as u64 } else { 0 };
    let virtual_address = match class == Class::BlockZero {
        true => Gva(base & !(CACHE_BLOCK_SIZE - 1)),
        false => Gva(base.wrapping_add(offset)),
    };
    let device = touches.iter().find_map(|touch| match *touch {
        Touch::DeviceLoad(address, width, value) => Some((address, width, value, AccessKind::DeviceLoad)),
        Touch::DeviceStore(address, width, value) => Some((address, width, value, AccessKind::DeviceStore)),
        Touch::Memory(..) => None,
    });
    if let Some((address, width, value, kind)) = device {
        return vec![access(virtual_address, address, width, value, kind)];
    }
    let place = touches.iter().rev().find_map(|touch| match *touch {
        Touch::Memory(address, _) if address.offset() == virtual_address.offset() => Some(address),
        Touch::Memory(..) | Touch::DeviceLoad(..) | Touch::DeviceStore(..) => None,
    });
    let Some(address) = place.filter(|_| completed) else { return Vec::new() };
    let register = |registers: &[u64; 32], floats: &[u64; 32], number: u8| {
        if op.code.is_floating() { floats[usize::from(number)] } else { registers[usize::from(number)] }
    };
    let loaded = register(results, &after.hart.f, op.rd);
    let stored = register(operands, &before.f, op.rs2);
    let held = |width: Width| after.ram.load(address, width);
    match class {
        Class::Load(width) | Class::LoadReserved(width) => {
            let value = if op.rd == 0 && !op.code.is_floating() && after.ram.is_plain(address, width.bytes())
            {
                held(width)
            } else {
                loaded
            };
            vec![access(virtual_address, address, width, value, AccessKind::Load)]
        }
        Class::Store(width) => vec![access(virtual_address, address, width, stored, AccessKind::Store)],
        Class::StoreConditional(width) if loaded == 0 || op.rd == 0 && held(width) == stored => {
            vec![access(virtual_address, address, width, stored, AccessKind::Store)]
        }
        Class::Amo(width) => {
            let store = access(virtual_address, address, width, held(width), AccessKind::Store);
            if op.rd == 0 {
                vec![store]
            } else {
                vec![access(virtual_address, address, width, loaded, AccessKind::Load), store]
            }
        }
        Class::BlockZero => (0..CACHE_BLOCK_SIZE)
            .step_by(8)
            .map(|at| {
                let virtual_address = Gva(virtual_address.0 + at);
                access(virtual_address, address.plus(at), Width::Double, 0, AccessKind::Store)
            })
            .collect(),
        Class::StoreConditional(_)
        | Class::Compute
        | Class::Branch
        | Class::Jump
        | Class::Fence
        | Class::Pause
        | Class::FenceI
        | Class::Csr
        | Class::Call
        | Class::Return
        | Class::Wait
        | Class::TranslationFence
        | Class::BlockManagement => Vec::new(),
    }
}

/// The instruction that a step fetched.
fn fetched(before: &Hart, touches: &[Touch], ram: &Ram) -> Option<(cantus_isa::riscv::Op, Class)> {
    let pc = Gva(before.pc);
    let mut reads = touches.iter().filter_map(|touch| match *touch {
        Touch::Memory(address, Right::Read) => Some(address),
        Touch::Memory(_, Right::Write) | Touch::DeviceLoad(..) | Touch::DeviceStore(..) => None,
    });
    let first = reads.find(|address| address.offset() == pc.offset())?;
    let low = ram.load(first, Width::Half) as u16;
    let bits = if length(low) == 2 {
        u32::from(low)
    } else {
        let second = if pc.offset() == PAGE_SIZE - 2 {
            reads.find(|address| address.offset() < 4)?
        } else {
            first.plus(2)
        };
        u32::from(low) | (ram.load(second, Width::Half) as u32) << 16
    };
    let op = decode(bits).ok()?;
    Some((op, op.code.class()))
}
