//! Records from the middle of a recorded run: replays it up to a moment, and goes on live.
//!
//! At any moment the machine is as it could have been live: whatever a core has done comes after all that it depended on
//! in other cores, and a core that has seen an interrupt line change comes after the step that changed it (ORD-8). A line
//! that a core has not seen change yet, it sees before its first step, since lines follow from the state of the devices.
//!
//! The new trace begins with a checkpoint of that moment and needs the old one no more. Guest, memory and devices are the
//! old one's; schedule, clock and input are new. Memory, cores and devices are exactly what they were. The host's side is
//! not: a core that slept looks once more why, a store-conditional whose reservation stands fails once, as it may (which of
//! them were lost is not in a trace), and the clock goes on from what the guest last saw of it.

use crate::attach::{Overhearing, attach, bring_up_to_date};
use crate::guest::is_place;
use crate::host::Host;
use crate::machine::Setup;
use crate::moment::locate;
use crate::record::{Begun, header, record_machine};
use crate::replay::{Left, Opened};
use crate::{
    ClockPolicy, Drive, Error, GuestFile, Moment, Options, Peripheral, Recorded, ReplayOptions, Span, Stand,
    Verdict,
};
use cantus_engine::{read_core, write_core};
use cantus_interp::Core;
use cantus_traces::{ClockPolicy as Recording, Completeness, CoreId, Event, Position, Trace};
use std::path::Path;
use std::sync::Arc;

/// The bits of the timer interrupts in `mip` (Privileged ISA, "Machine Interrupt Registers"; "Sstc").
const MTIP: u32 = 1 << 7;
const STIP: u32 = 1 << 5;

/// Steps of a core that take one tick of the virtual clock, where no core sleeps.
const STEPS_PER_TICK: u64 = 1_000_000_000 / cantus_engine::TICKS_PER_SECOND;

/// Replays the trace at `original` up to a moment, and records from there on to `path`, where no file may be yet unless
/// `force` is set. `files` are the files of the guest that the trace does not hold. Of the options, the machine's (cores,
/// RAM, devices) are the trace's instead; of the host, devices have behind them what the options attach.
///
/// # Errors
/// As [`crate::record`]; where the trace cannot be read or has no such moment; where its replay is not the recorded
/// run up to there; and where the guest has ended its run by then.
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
    let mut opened = Opened::new(original, files)?;
    attach(&mut opened.machine.peripherals.slots, &options.attachments).map_err(refused)?;
    let overhearing = Overhearing::new(&opened.machine.peripherals.slots)?;
    let is_asked = !overhearing.is_empty();
    if is_asked && opened.origin()?.is_some() {
        return Err(refused(
            "which files of its share are open is not known: the trace does not begin with the run".into(),
        ));
    }
    let (workers, interrupt) = (options.workers, options.interrupt.clone());
    let until = ReplayOptions { workers, interrupt, ..ReplayOptions::default() };
    let mut span = opened.span_to(moment)?;
    if is_asked {
        span.from = None;
    }
    let replay = opened.start_before(Box::new(overhearing.clone()), &until, span, |_, executor| executor)?;
    let (replayed, Left { setup, cores, guest_ended, last_timer }) = replay.finish_with_machine(&opened);
    match replayed.verdict {
        Verdict::Identical => {}
        Verdict::Interrupted => return Err(refused("interrupted before it".into())),
        Verdict::IdenticalSoFar(why) => return Err(refused(why)),
        Verdict::Diverged(divergence) => return Err(refused(divergence.to_string())),
    }
    if guest_ended {
        return Err(refused("the guest has ended its run by then".into()));
    }
    let clock = clock(&opened.trace, &setup, &cores, options.clock)?.max(last_timer);
    let machine = &opened.machine;
    for (slot, peripheral) in (0_u8..).zip(&machine.peripherals.slots) {
        if let Peripheral::Drive(Drive { image, write_through: Some(path), .. }) = peripheral {
            bring_up_to_date(path, &image.bytes, setup.machine.board(), slot).map_err(refused)?;
        }
    }
    let options = Options {
        cores: machine.cores,
        ram_bytes: machine.ram_bytes,
        peripherals: machine.peripherals.clone(),
        ..options.clone()
    };
    let host = Host::with_folders(&options, overhearing.finish().map_err(refused)?)?;
    let mut header = header(&opened.guest, &options, setup.machine.makeup());
    let places: Vec<_> = header.configuration.settings.into_iter().filter(is_place).collect();
    let old = opened.trace.header().configuration.settings.iter().filter(|setting| !is_place(setting));
    header.configuration.settings = old.cloned().chain(places).collect();
    let setup = Setup {
        machine: setup.machine,
        safepoints: Arc::new(cantus_transactions::Safepoints::new(options.cores)),
    };
    // Nobody has accessed the devices yet, and no core has a right to anything in memory.
    setup.machine.board().forget_accesses();
    let bare = cores.iter().map(|core| {
        let mut state = Vec::new();
        write_core(core, &mut state);
        let mut bare =
            read_core(CoreId(core.id), &core.ram, &state).map_err(|error| refused(error.to_string()))?;
        bare.reservation_lost = bare.hart.reservation.is_some();
        Ok(bare)
    });
    let cores = bare.collect::<Result<_, Error>>()?;
    let begun = Begun { cores, clock: Some(clock), host };
    record_machine(&opened.guest, &options, setup, begun, header, path, force)
}

impl Opened {
    /// The part of the run up to this moment.
    fn span_to(&self, moment: Moment) -> Result<Span, Error> {
        let at = locate(&self.trace, moment)?;
        let from = self.nearest(&at)?;
        let ends = self.trace.horizon()?;
        if at.iter().zip(&ends).all(|(at, end)| *at == end.0)
            && matches!(self.trace.completeness(), Completeness::Complete)
        {
            return Ok(Span { from, to: None });
        }
        Ok(Span { from, to: Some(Stand::at(moment, at)) })
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
