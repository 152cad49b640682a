//! Begins a replay at a checkpoint, and ends it at a moment.

use crate::machine::Setup;
use crate::moment::{Moment, is_within, locate, skip_cut, total};
use crate::replay::Opened;
use crate::{Error, ReplayOptions};
use cantus_interp::Core;
use cantus_memory::PageIndex;
use cantus_replayer::{Part, Until, restore};
use cantus_traces::limits::{DEVICE_PAGES, PAGE_BYTES};
use cantus_traces::{Completeness, CoreId, History, Position};

/// Which part of a run a replay is of.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Span {
    /// The checkpoint that it begins at; none at the run's beginning.
    pub from: Option<Stand>,
    /// Where it ends; none at the trace's end.
    pub to: Option<Stand>,
}

/// Where the cores of a machine stand together.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Stand {
    /// The cut, if it is one.
    pub cut: Option<u32>,
    /// Positions by core.
    pub positions: Vec<Position>,
}

impl Stand {
    /// Where the cores stand at a moment: at these positions.
    pub(crate) fn at(moment: Moment, positions: Vec<u64>) -> Self {
        let cut = match moment {
            Moment::Cut(cut) => Some(cut),
            Moment::Position(..) | Moment::Steps(_) | Moment::Percent(_) | Moment::Event(..) => None,
        };
        Self { cut, positions: positions.into_iter().map(Position).collect() }
    }

    /// Steps of all cores together.
    pub fn steps(&self) -> u64 {
        total(self.positions.iter().map(|position| position.0))
    }
}

/// A machine that is about to replay a part of a run.
pub(crate) struct Begun {
    pub(crate) cores: Vec<Core>,
    pub(crate) parts: Vec<Part>,
}

impl Opened {
    /// The part of the run that the options ask for.
    pub(crate) fn span(&self, options: &ReplayOptions) -> Result<Span, Error> {
        let find = |moment: Option<Moment>| moment.map(|moment| locate(&self.trace, moment)).transpose();
        let (from, to) = (find(options.from)?, find(options.to)?);
        if let (Some(from), Some(to), Some(moment)) = (&from, &to, options.to)
            && from.iter().zip(to).any(|(from, to)| from > to)
        {
            let why = "it comes before the moment to begin at".to_owned();
            return Err(Error::NoSuchMoment { path: self.trace.path().to_owned(), moment, why });
        }
        let from = match from {
            Some(positions) => self.nearest(&positions)?,
            None => self.origin()?,
        };
        let to = options.to.zip(to).map(|(moment, positions)| Stand::at(moment, positions));
        Ok(Span { from, to })
    }

    /// The checkpoints that a replay can begin at, ascending.
    pub(crate) fn checkpoints(&self) -> Result<Vec<Stand>, Error> {
        let ends: Vec<u64> = self.trace.horizon()?.iter().map(|end| end.0).collect();
        let checkpoints = self.trace.checkpoints();
        let cuts = self.trace.machine_digests()?.into_iter();
        let usable = cuts
            .filter(|cut| checkpoints.binary_search(&cut.cut).is_ok() && is_within(&self.trace, cut, &ends));
        let mut usable: Vec<_> =
            usable.map(|cut| Stand { cut: Some(cut.cut), positions: cut.positions }).collect();
        usable.sort_by_key(|stand| stand.cut);
        Ok(usable)
    }

    /// The checkpoint that the trace begins at; none where it begins with the run.
    pub(crate) fn origin(&self) -> Result<Option<Stand>, Error> {
        let origin = self.trace.origin()?;
        Ok(origin.map(|(cut, positions)| Stand { cut: Some(cut), positions }))
    }

    /// The last checkpoint at or before these positions; none where there is only the beginning.
    pub(crate) fn nearest(&self, positions: &[u64]) -> Result<Option<Stand>, Error> {
        let is_before =
            |stand: &Stand| stand.positions.iter().zip(positions).all(|(before, at)| before.0 <= *at);
        match self.checkpoints()?.into_iter().rfind(is_before) {
            Some(stand) => Ok(Some(stand)),
            None => self.origin(),
        }
    }

    fn bad_checkpoint(&self, cut: u32, what: String) -> Error {
        Error::Checkpoint { path: self.trace.path().to_owned(), cut, what }
    }

    /// Brings the machine to where the span begins, and finds each core's part.
    pub(crate) fn begin(&self, setup: &Setup, span: &Span) -> Result<Begun, Error> {
        let (cores, histories) = match span.from.as_ref().and_then(|stand| stand.cut) {
            None => {
                let cores = setup.cores();
                let histories = vec![History::new(); cores.len()];
                (cores, histories)
            }
            Some(cut) => self.restore(setup, cut)?,
        };
        let is_whole = matches!(self.trace.completeness(), Completeness::Complete);
        let ends = match &span.to {
            None => self.trace.horizon()?,
            Some(stand) => stand.positions.clone(),
        };
        let until = match &span.to {
            None => Until::TraceEnds,
            // Where it begins behind that very cut, there is nothing to replay.
            Some(Stand { cut: Some(cut), .. })
                if span.from.as_ref().and_then(|stand| stand.cut) != Some(*cut) =>
            {
                Until::Cut(*cut)
            }
            Some(_) => Until::Position,
        };
        let mut parts = Vec::new();
        for ((core, history), end) in cores.iter().zip(histories).zip(ends) {
            let (id, begin) = (CoreId(core.id), Position(core.position));
            let mut events = self.trace.stream_from(id, begin);
            let is_known = self.trace.extent(id).is_some_and(|extent| extent.reached > begin);
            if let Some(cut) = span.from.as_ref().and_then(|stand| stand.cut)
                && !skip_cut(&mut events, begin.0, cut)?
                && is_known
            {
                return Err(self.bad_checkpoint(cut, format!("{id} has no such cut at position {begin}")));
            }
            parts.push(Part { begin, history, events, end: end.max(begin), until, is_whole });
        }
        Ok(Begun { cores, parts })
    }

    /// Puts the machine into the state of a checkpoint.
    fn restore(&self, setup: &Setup, cut: u32) -> Result<(Vec<Core>, Vec<History>), Error> {
        let bad = |what: String| self.bad_checkpoint(cut, what);
        let checkpoint = self.trace.checkpoint(cut)?;
        let digests = self.trace.machine_digests()?;
        let digest = digests.iter().find(|digest| digest.cut == cut);
        let digest = digest.ok_or_else(|| bad("the trace has no digest of it".into()))?;
        let ram = setup.machine.ram();
        let zero = [0; PAGE_BYTES];
        ram.written_pages()
            .collect::<Vec<_>>()
            .into_iter()
            .for_each(|page| ram.write(ram.address(page), &zero));
        let board = setup.machine.board();
        board.read_state(&checkpoint.devices).map_err(|error| bad(error.to_string()))?;
        let mut stored = Ok(());
        self.trace.checkpoint_memory(cut, |number, page| {
            if number < DEVICE_PAGES {
                // The reader has checked that the page is one of this machine's.
                ram.write(ram.address(PageIndex(number as u32)), page);
            } else if stored.is_ok() {
                stored = board.store_page(number, page);
            }
        })?;
        stored.map_err(|error| bad(error.to_string()))?;
        let mut cores = Vec::new();
        let mut histories = Vec::new();
        for ((state, position), id) in checkpoint.cores.iter().zip(&checkpoint.positions).zip(0..) {
            let id = CoreId(id);
            let (core, history) = restore(id, ram, state).map_err(|error| bad(error.to_string()))?;
            if core.position != position.0 || digest.positions[id.index()] != *position {
                return Err(bad(format!("{id} is at position {}, expected {position}", core.position)));
            }
            cores.push(core);
            histories.push(history);
        }
        let came = (setup.memory_digest())();
        if came != digest.memory {
            let expected = digest.memory;
            return Err(bad(format!("its memory and devices have digest {came}, expected {expected}")));
        }
        Ok((cores, histories))
    }
}
