//! Records from the middle of a recorded run: replays it up to a moment, and goes on live.
//!
//! Not every moment will do. The trace has no order between who raises an interrupt line and who sees it: where the cores
//! stand together between two cuts, one may have seen what another has not done yet. A replay does not mind, since lines are
//! among its inputs; a live run could not have come there. At cuts, and at the end, all cores really stood still at once.
//!
//! The new trace begins with a checkpoint of that moment and needs the old one no more. Guest, memory and devices are the
//! old one's; schedule, clock and input are new. Memory, cores and devices are exactly what they were. The host's side is
//! not: a core that slept looks once more why, and the clock goes on from what the guest last saw of it.

use crate::machine::Setup;
use crate::moment::{is_within, locate};
use crate::record::{Begun, header, record_machine};
use crate::replay::Opened;
use crate::{
    ClockPolicy, Error, GuestFile, Moment, Options, Peripheral, Recorded, ReplayOptions, Span, Stand, Verdict,
};
use cantus_engine::{read_core, write_core};
use cantus_interp::Core;
use cantus_traces::{
    ClockPolicy as Recording, Completeness, CoreId, EndReason, Event, MachineDigest, Position, Trace,
};
use std::path::Path;
use std::sync::Arc;

/// The bits of the timer interrupts in `mip` (Privileged ISA, "Machine Interrupt Registers"; "Sstc").
const MTIP: u32 = 1 << 7;
const STIP: u32 = 1 << 5;

/// Steps of a core that take one tick of the virtual clock, where no core sleeps.
const STEPS_PER_TICK: u64 = 1_000_000_000 / cantus_engine::TICKS_PER_SECOND;

/// Replays the trace at `original` up to its last cut that is not after a moment, or to the run's end, if that is the moment
/// and the guest has not ended itself there; and records from there on to `path`, where no file may be yet unless
/// `force` is set. `files` are the files of the guest that the trace does not hold. Of the options, the machine's (cores,
/// RAM, devices) are the trace's instead; devices have nothing of the host behind them.
///
/// # Errors
/// As [`crate::record`]; where the trace cannot be read or has no such moment; and where its replay is not the recorded
/// run up to there.
pub fn record_from(
    original: impl AsRef<Path>,
    moment: Moment,
    files: &[GuestFile],
    options: &Options,
    path: impl AsRef<Path>,
    force: bool,
) -> Result<Recorded, Error> {
    let (original, path) = (original.as_ref(), path.as_ref());
    let refused = |what: String| Error::Resume { path: original.to_owned(), moment, what };
    if let (Ok(from), Ok(to)) = (original.canonicalize(), path.canonicalize())
        && from == to
    {
        return Err(refused("the new trace would replace this one".into()));
    }
    let opened = Opened::new(original, files)?;
    if opened.machine.peripherals.slots.iter().any(|slot| matches!(slot, Peripheral::Share { .. })) {
        return Err(refused("its guest shares a folder with a host, which is not in the trace".into()));
    }
    let (workers, interrupt) = (options.workers, options.interrupt.clone());
    let until = ReplayOptions { workers, interrupt, ..ReplayOptions::default() };
    let span = opened.span_to_standstill(moment)?;
    let replay = opened.start(&until, span, |_, executor| executor)?;
    let (replayed, setup, cores) = replay.finish_with_machine(&opened);
    match replayed.verdict {
        Verdict::Identical => {}
        Verdict::Interrupted => return Err(refused("interrupted before it".into())),
        Verdict::IdenticalSoFar(why) => return Err(refused(why)),
        Verdict::Diverged(divergence) => return Err(refused(divergence.to_string())),
    }
    let clock = clock(&opened.trace, &setup, &cores, options.clock)?;
    let machine = &opened.machine;
    let options = Options {
        cores: machine.cores,
        ram_bytes: machine.ram_bytes,
        peripherals: machine.peripherals.clone(),
        ..options.clone()
    };
    let mut header = header(&opened.guest, &options);
    header.configuration.settings = opened.trace.header().configuration.settings.clone();
    let setup = Setup {
        machine: setup.machine,
        safepoints: Arc::new(cantus_transactions::Safepoints::new(options.cores)),
    };
    // Nobody has accessed the devices yet, and no core has a right to anything in memory.
    let devices = (setup.device_state())();
    setup.machine.board().read_state(&devices).map_err(|error| refused(error.to_string()))?;
    let bare = cores.iter().map(|core| {
        let mut state = Vec::new();
        write_core(core, &mut state);
        read_core(CoreId(core.id), &core.ram, &state).map_err(|error| refused(error.to_string()))
    });
    let cores = bare.collect::<Result<_, _>>()?;
    let begun = Begun { cores, clock: Some(clock) };
    record_machine(&opened.guest, &options, setup, begun, header, path, force)
}

impl Opened {
    /// The part of the run up to the last moment at or before this one at which all cores stood still.
    fn span_to_standstill(&self, moment: Moment) -> Result<Span, Error> {
        let at = locate(&self.trace, moment)?;
        let ends: Vec<u64> = self.trace.horizon()?.iter().map(|end| end.0).collect();
        let from = self.nearest(&at)?;
        let goes_on = self.trace.footer().is_some_and(|footer| footer.reason != EndReason::Exited);
        if at == ends && goes_on && matches!(self.trace.completeness(), Completeness::Complete) {
            return Ok(Span { from, to: None });
        }
        let is_before = |cut: &MachineDigest| cut.positions.iter().zip(&at).all(|(cut, at)| cut.0 <= *at);
        let cuts = self.trace.machine_digests()?;
        let last = cuts.into_iter().rfind(|cut| is_before(cut) && is_within(&self.trace, cut, &ends));
        let to = match (last, self.origin()?) {
            (Some(cut), _) => Stand { cut: Some(cut.cut), positions: cut.positions },
            (None, Some(origin)) => origin,
            // Nothing has happened yet.
            (None, None) => Stand { cut: None, positions: vec![Position(0); at.len()] },
        };
        Ok(Span { from, to: Some(to) })
    }
}

/// Where the clock stood at least, in ticks, when the cores stood so: at the latest that one of them read, and at what its
/// steps since then take; and not before a timer whose interrupt is raised.
fn clock(trace: &Trace, setup: &Setup, cores: &[Core], policy: ClockPolicy) -> Result<u64, Error> {
    let is_virtual =
        policy == ClockPolicy::Virtual && trace.header().configuration.clock == Recording::Virtual;
    let mut clock = 0;
    for core in cores {
        let id = CoreId(core.id);
        let (mut read_at, mut ticks) = (0, 0);
        for event in trace.stream(id) {
            let (position, event) = event?;
            if position >= Position(core.position) {
                break;
            }
            if let Event::Clock(value) = event {
                (read_at, ticks) = (position.0, value);
            }
        }
        if is_virtual {
            // As many cores as there are may have been awake, and then each step took a part of this.
            ticks = ticks.saturating_add((core.position - read_at) / STEPS_PER_TICK);
        }
        let (_, deadline) = setup.machine.board().live(id);
        for (line, deadline) in [(MTIP, deadline), (STIP, core.hart.timer_deadline())] {
            if core.hart.lines & line != 0 && deadline != u64::MAX {
                ticks = ticks.max(deadline);
            }
        }
        clock = clock.max(ticks);
    }
    Ok(clock)
}
