//! The platform-level interrupt controller: sources in, external interrupts of harts out.
//!
//! Follows the RISC-V PLIC specification 1.0.0 with level-triggered gateways. Hart h has context 2h for machine mode
//! and 2h + 1 for supervisor mode, as on QEMU's `virt` board. Where the specification leaves a choice: a completion of
//! a source that is not being served does nothing, whichever context sends it.

pub mod registers;
#[cfg(test)]
mod tests;

use crate::{Device, Outside, Refusal, StateError, StateReader, lines};
use cantus_isa::Width;
use registers::{PRIORITY_MAX, Register, SOURCE_MAX, SOURCE_WORDS};

/// One bit for each source.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
struct Sources([u32; SOURCE_WORDS]);

impl Sources {
    fn has(&self, source: usize) -> bool {
        self.0[source / 32] >> (source % 32) & 1 != 0
    }

    fn set(&mut self, source: usize, to: bool) {
        let bit = 1 << (source % 32);
        if to {
            self.0[source / 32] |= bit;
        } else {
            self.0[source / 32] &= !bit;
        }
    }
}

/// The bits of a word of a bit array that stand for sources that exist.
fn mask(word: usize) -> u32 {
    let first = 32 * word as u32;
    let exist = if SOURCE_MAX >= first + 31 { u32::MAX } else { (2 << (SOURCE_MAX - first)) - 1 };
    if word == 0 { exist & !1 } else { exist }
}

/// The number of a source, where there is one of this number.
fn source(number: u64) -> Option<usize> {
    (1..=u64::from(SOURCE_MAX)).contains(&number).then_some(number as usize)
}

/// What one interrupt target asks for, and what it is told.
#[derive(Clone, Default)]
struct Context {
    enabled: Sources,
    threshold: u8,
    /// The level of its external interrupt.
    notified: bool,
}

/// The controller.
pub struct Plic {
    priorities: [u8; SOURCE_MAX as usize + 1],
    /// The levels of the sources.
    asserted: Sources,
    /// The IP bits: requests that the gateways forwarded and nobody has claimed.
    pending: Sources,
    /// Claimed and not completed: the gateway forwards nothing.
    served: Sources,
    contexts: Vec<Context>,
}

impl Plic {
    /// The controller of a board with this many harts, after a reset: no priority, nothing enabled.
    pub fn new(harts: usize) -> Self {
        Self {
            priorities: [0; SOURCE_MAX as usize + 1],
            asserted: Sources::default(),
            pending: Sources::default(),
            served: Sources::default(),
            contexts: vec![Context::default(); 2 * harts],
        }
    }

    /// A source changes its level. A source that does not exist is ignored.
    pub fn set_source(&mut self, number: u32, level: bool, outside: &mut dyn Outside) {
        let Some(source) = source(number.into()) else { return };
        self.asserted.set(source, level);
        self.forward(source);
        self.notify(outside);
    }

    /// "Interrupt Gateways": an asserted level becomes one request; the next one only after the completion. A request
    /// once forwarded is not taken back.
    fn forward(&mut self, source: usize) {
        if self.asserted.has(source) && !self.served.has(source) {
            self.pending.set(source, true);
        }
    }

    /// The pending and enabled source of the highest priority, among equals the one of the lowest number; none of
    /// priority 0 ("Interrupt Priorities").
    fn best(&self, context: &Context) -> Option<usize> {
        let mut best = None;
        for word in 0..SOURCE_WORDS {
            let mut bits = self.pending.0[word] & context.enabled.0[word];
            while bits != 0 {
                let source = 32 * word + bits.trailing_zeros() as usize;
                bits &= bits - 1;
                let highest = best.map_or(0, |best: usize| self.priorities[best]);
                if self.priorities[source] > highest {
                    best = Some(source);
                }
            }
        }
        best
    }

    /// "Interrupt Notifications": tells the harts whose external interrupt changes. It is raised exactly while the best
    /// source's priority is over the threshold ("Priority Thresholds").
    fn notify(&mut self, outside: &mut dyn Outside) {
        for at in 0..self.contexts.len() {
            let context = &self.contexts[at];
            let level = self.best(context).is_some_and(|best| self.priorities[best] > context.threshold);
            if level != context.notified {
                self.contexts[at].notified = level;
                let line = if at.is_multiple_of(2) { lines::MEIP } else { lines::SEIP };
                outside.set_line(at / 2, line, level);
            }
        }
    }

    /// The lines of a hart that it holds raised.
    pub fn live(&self, hart: usize) -> u32 {
        let of = |at: usize, line: u32| {
            if self.contexts.get(at).is_some_and(|context| context.notified) { line } else { 0 }
        };
        of(2 * hart, lines::MEIP) | of(2 * hart + 1, lines::SEIP)
    }

    /// "Interrupt Claim Process": the best source, whatever the threshold, is no longer pending. 0 where there is none.
    fn claim(&mut self, context: usize) -> u64 {
        let Some(best) = self.contexts.get(context).and_then(|context| self.best(context)) else { return 0 };
        self.pending.set(best, false);
        self.served.set(best, true);
        best as u64
    }

    /// "Interrupt Completion": ignored where the source is not enabled for this context.
    fn complete(&mut self, context: usize, number: u64) {
        let Some(source) = source(number) else { return };
        let enabled = self.contexts.get(context).is_some_and(|context| context.enabled.has(source));
        if enabled && self.served.has(source) {
            self.served.set(source, false);
            self.forward(source);
        }
    }
}

impl Device for Plic {
    fn name(&self) -> &'static str {
        "plic"
    }

    fn load(&mut self, offset: u64, width: Width, outside: &mut dyn Outside) -> Result<u64, Refusal> {
        Ok(match Register::at(offset, width).ok_or(Refusal::Fault)? {
            Register::Priority { source } => self.priorities.get(source).copied().unwrap_or(0).into(),
            Register::Pending { word } => self.pending.0.get(word).copied().unwrap_or(0).into(),
            Register::Enable { context, word } => {
                let enabled = self.contexts.get(context).map(|context| context.enabled.0);
                enabled.and_then(|words| words.get(word).copied()).unwrap_or(0).into()
            }
            Register::Threshold { context } => {
                self.contexts.get(context).map_or(0, |context| context.threshold.into())
            }
            Register::Claim { context } => {
                let claimed = self.claim(context);
                self.notify(outside);
                claimed
            }
            Register::Reserved => 0,
        })
    }

    fn store(
        &mut self,
        offset: u64,
        width: Width,
        value: u64,
        outside: &mut dyn Outside,
    ) -> Result<(), Refusal> {
        let level = value as u8 & PRIORITY_MAX;
        match Register::at(offset, width).ok_or(Refusal::Fault)? {
            Register::Priority { source: 0 } => {}
            Register::Priority { source } => {
                if let Some(priority) = self.priorities.get_mut(source) {
                    *priority = level;
                }
            }
            Register::Enable { context, word } => {
                let context = self.contexts.get_mut(context);
                if let Some(enabled) = context.and_then(|context| context.enabled.0.get_mut(word)) {
                    *enabled = value as u32 & mask(word);
                }
            }
            Register::Threshold { context } => {
                if let Some(context) = self.contexts.get_mut(context) {
                    context.threshold = level;
                }
            }
            Register::Claim { context } => self.complete(context, value & 0xffff_ffff),
            Register::Pending { .. } | Register::Reserved => {}
        }
        self.notify(outside);
        Ok(())
    }

    fn write_state(&self, into: &mut Vec<u8>) {
        into.extend(&self.priorities[1..]);
        for sources in [&self.asserted, &self.pending, &self.served] {
            write_sources(sources, into);
        }
        for context in &self.contexts {
            write_sources(&context.enabled, into);
            into.push(context.threshold);
            into.push(context.notified.into());
        }
    }

    fn read_state(&mut self, from: &mut StateReader<'_>) -> Result<(), StateError> {
        for priority in &mut self.priorities[1..] {
            *priority = from.u8_up_to(PRIORITY_MAX, "a priority, 0 to 7")?;
        }
        for sources in [&mut self.asserted, &mut self.pending, &mut self.served] {
            read_sources(sources, from)?;
        }
        for context in &mut self.contexts {
            read_sources(&mut context.enabled, from)?;
            context.threshold = from.u8_up_to(PRIORITY_MAX, "a threshold, 0 to 7")?;
            context.notified = from.flag()?;
        }
        Ok(())
    }
}

fn write_sources(sources: &Sources, into: &mut Vec<u8>) {
    sources.0.iter().for_each(|word| into.extend(word.to_le_bytes()));
}

fn read_sources(sources: &mut Sources, from: &mut StateReader<'_>) -> Result<(), StateError> {
    for (word, bits) in sources.0.iter_mut().enumerate() {
        *bits = from.u32_of(mask(word), "bits of interrupt sources that exist")?;
    }
    Ok(())
}
