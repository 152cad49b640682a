//! An executor that shows what another executor does.
//!
//! It runs the other one an instruction at a time where somebody looks, and at full speed elsewhere; what the core does
//! is the same (REP-2). A step that is shown is published only after it was shown, so that whoever must come after it in
//! a replay has not touched its memory yet.

use cantus_interp::{Blocked, Core, Counts, Executor, Exit, Extent, Port, Refusal};
use cantus_isa::riscv::Hart;
use cantus_isa::{Gpa, Width};
use cantus_memory::{PageIndex, Right};
use std::ops::Range;
use std::sync::Arc;

/// What a step asked its port for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Touch {
    /// A right on memory, be it for the fetch, the walks or the data.
    Memory(Gpa, Right),
    /// A load from a device, and what it gave.
    DeviceLoad(Gpa, Width, u64),
    /// A store to a device.
    DeviceStore(Gpa, Width, u64),
}

/// One step of a core.
pub(crate) struct Shown<'a> {
    /// The core's number.
    pub(crate) core: usize,
    /// The position before the step.
    pub(crate) position: u64,
    /// The architectural state before the step.
    pub(crate) before: &'a Hart,
    /// What it asked for, in order.
    pub(crate) touches: &'a [Touch],
    /// The core after the step.
    pub(crate) after: &'a Core,
}

/// Looks at what cores do.
pub(crate) trait Observer: Send + Sync {
    /// The next positions of a core, from `position` on, whose steps are shown; empty where there are no more.
    fn stretch(&self, core: usize, position: u64) -> Range<u64>;

    /// A step.
    fn step(&self, shown: &Shown<'_>);

    /// A page of RAM every access to which is told, at any position.
    fn page(&self) -> Option<PageIndex> {
        None
    }

    /// A core is about to access the page.
    fn touched(&self, core: usize, position: u64, address: Gpa, right: Right) {
        let _ = (core, position, address, right);
    }
}

/// Runs `inner`, and shows what it does to `observer`.
pub(crate) struct Watch<E, O> {
    pub(crate) core: usize,
    pub(crate) inner: E,
    pub(crate) observer: Arc<O>,
}

/// The port of a core that is watched.
struct Gate<'p, P, O> {
    core: usize,
    port: &'p mut P,
    observer: &'p O,
    page: Option<PageIndex>,
    ram_page: &'p dyn Fn(Gpa) -> Option<PageIndex>,
    /// While steps are shown: what they ask for.
    touches: Option<Vec<Touch>>,
}

impl<P: Port, O: Observer> Port for Gate<'_, P, O> {
    const HOST_ATOMICS: bool = P::HOST_ATOMICS;

    fn grant(&mut self, position: u64, address: Gpa, right: Right) -> Result<Extent, Blocked> {
        let extent = self.port.grant(position, address, right)?;
        if let Some(touches) = &mut self.touches {
            touches.push(Touch::Memory(address, right));
        }
        if self.page.is_some() && (self.ram_page)(address) == self.page {
            self.observer.touched(self.core, position, address, right);
            return Ok(Extent::Line);
        }
        Ok(extent)
    }

    fn device_load(&mut self, position: u64, address: Gpa, width: Width) -> Result<u64, Refusal> {
        let value = self.port.device_load(position, address, width)?;
        if let Some(touches) = &mut self.touches {
            touches.push(Touch::DeviceLoad(address, width, value));
        }
        Ok(value)
    }

    fn device_store(&mut self, position: u64, address: Gpa, width: Width, value: u64) -> Result<(), Refusal> {
        self.port.device_store(position, address, width, value)?;
        if let Some(touches) = &mut self.touches {
            touches.push(Touch::DeviceStore(address, width, value));
        }
        Ok(())
    }

    fn clock(&mut self, position: u64) -> u64 {
        self.port.clock(position)
    }

    fn set_timer(&mut self, position: u64, ticks: u64) {
        self.port.set_timer(position, ticks);
    }

    fn conditional(&mut self, position: u64, intact: bool) -> bool {
        self.port.conditional(position, intact)
    }

    fn conditionals_hold(&self) -> bool {
        self.port.conditionals_hold()
    }

    fn attention(&self) -> bool {
        self.port.attention()
    }

    fn completed(&self, position: u64) {
        if self.touches.is_none() {
            self.port.completed(position);
        }
    }
}

impl<E: Executor, O: Observer> Executor for Watch<E, O> {
    fn run<P: Port>(&mut self, core: &mut Core, port: &mut P, until: u64) -> Exit {
        let ram = core.ram.clone();
        let mut gate = Gate {
            core: self.core,
            port,
            observer: &*self.observer,
            page: self.observer.page(),
            ram_page: &|address| ram.page(address),
            touches: None,
        };
        loop {
            let stretch = self.observer.stretch(self.core, core.position);
            if stretch.is_empty() || core.position >= until {
                return self.inner.run(core, &mut gate, until);
            }
            if core.position < stretch.start {
                let exit = self.inner.run(core, &mut gate, until.min(stretch.start));
                if exit != Exit::Until || core.position >= until {
                    return exit;
                }
            }
            let (position, before) = (core.position, core.hart.clone());
            // Without fast entries, every access asks.
            core.tlb.revoke_all();
            gate.touches = Some(Vec::new());
            let exit = self.inner.run(core, &mut gate, position + 1);
            let touches = gate.touches.take().unwrap_or_default();
            if core.position > position {
                let shown =
                    Shown { core: self.core, position, before: &before, touches: &touches, after: core };
                self.observer.step(&shown);
                gate.completed(core.position);
            }
            if exit != Exit::Until || gate.attention() {
                return if exit == Exit::Until { Exit::Attention } else { exit };
            }
        }
    }

    fn counts(&self) -> Counts {
        self.inner.counts()
    }
}
