//! What two traces say of a core without executing anything: inputs, order edges, and where their digests differ.

use cantus_traces::{CoreId, Digest, Event, Position, Trace, TraceError};
use serde::Serialize;

use super::Pair;

/// An input of a core, as a difference shows it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Input {
    /// The interrupt lines changed to this.
    Lines(u32),
    /// The clock was read.
    Clock(u64),
    /// A store-conditional failed.
    ConditionalFailed,
    /// Bytes reached the device with this number.
    Bytes(u8, Vec<u8>),
    /// The host answered this to the device with this number.
    Answer(u8, Vec<u8>),
}

/// An input and its position.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct InputAt {
    /// The core's position.
    pub position: Position,
    /// What came.
    pub input: Input,
}

/// The first input of a core that is not the same in both traces.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct InputDifference {
    /// Its number among the core's inputs, from 1.
    pub number: u64,
    /// What came in each trace, if anything did.
    pub at: Pair<Option<InputAt>>,
}

/// An order edge of a core: its next step comes after another core's `giver_position`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct Edge {
    /// The position of the core that waits.
    pub position: Position,
    /// The core that it waits for.
    pub giver: CoreId,
    /// The position that the other core must have reached.
    pub giver_position: Position,
}

/// How the order edges of a core compare.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct OrderComparison {
    /// How many there are in each trace.
    pub edges: Pair<u64>,
    /// The number, from 1, of the first that differs, if one does.
    pub first_different: Option<u64>,
    /// It, in each trace.
    pub at: Pair<Option<Edge>>,
}

/// What comparing the streams of a core gave.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct StreamComparison {
    pub inputs: Option<InputDifference>,
    pub order: OrderComparison,
    /// The first position at which both traces have a digest of the core and the digests differ.
    pub digests_differ: Option<Position>,
}

impl StreamComparison {
    /// Whether the core's streams are the same, order edges included.
    pub fn same(&self) -> bool {
        self.inputs.is_none() && self.order.first_different.is_none() && self.digests_differ.is_none()
    }
}

/// Compares the streams of a core, one kind of event at a time.
pub(super) fn compare(traces: &Pair<&Trace>, core: CoreId) -> Result<StreamComparison, TraceError> {
    let (inputs_number, inputs) = first_different(traces.as_ref().map(|trace| lane(trace, core, input)))?;
    let (edges_number, edges) = first_different(traces.as_ref().map(|trace| lane(trace, core, edge)))?;
    let mut counts = Pair { a: 0, b: 0 };
    for (trace, count) in [(traces.a, &mut counts.a), (traces.b, &mut counts.b)] {
        for found in lane(trace, core, edge) {
            found?;
            *count += 1;
        }
    }
    Ok(StreamComparison {
        inputs: inputs_number.map(|number| InputDifference { number, at: inputs }),
        order: OrderComparison { edges: counts, first_different: edges_number, at: edges },
        digests_differ: digests_differ(traces, core)?,
    })
}

/// The latest edge of a core from each giver, at or before a position, by giver.
pub(super) fn latest_edges(trace: &Trace, core: CoreId, position: Position) -> Result<Vec<Edge>, TraceError> {
    let mut latest: Vec<Edge> = Vec::new();
    for found in lane(trace, core, edge) {
        let found = found?;
        if found.position > position {
            break;
        }
        match latest.iter_mut().find(|edge| edge.giver == found.giver) {
            Some(edge) => *edge = found,
            None => latest.push(found),
        }
    }
    latest.sort_by_key(|edge| edge.giver);
    Ok(latest)
}

/// The inputs of a core at a position.
pub(super) fn inputs_at(trace: &Trace, core: CoreId, position: Position) -> Result<Vec<Input>, TraceError> {
    let mut found = Vec::new();
    for event in trace.stream_from(core, position) {
        let (at, event) = event?;
        if at > position {
            break;
        }
        found.extend(input(at, event).map(|here| here.input));
    }
    Ok(found)
}

/// The last change of a core's interrupt lines at or before a position.
pub(super) fn lines_before(
    trace: &Trace,
    core: CoreId,
    position: Position,
) -> Result<Option<(Position, u32)>, TraceError> {
    let mut last = None;
    for event in trace.stream(core) {
        let (at, event) = event?;
        if at > position {
            break;
        }
        if let Event::Lines(bits) = event {
            last = Some((at, bits));
        }
    }
    Ok(last)
}

fn digests_differ(traces: &Pair<&Trace>, core: CoreId) -> Result<Option<Position>, TraceError> {
    let mut digests = traces.as_ref().map(|trace| lane(trace, core, digest));
    let (mut a, mut b) = (digests.a.next().transpose()?, digests.b.next().transpose()?);
    while let (Some((a_at, a_state)), Some((b_at, b_state))) = (a, b) {
        if a_at == b_at && a_state != b_state {
            return Ok(Some(a_at));
        }
        if a_at <= b_at {
            a = digests.a.next().transpose()?;
        }
        if b_at <= a_at {
            b = digests.b.next().transpose()?;
        }
    }
    Ok(None)
}

/// The number, from 1, of the first items that differ, and the items.
fn first_different<T: PartialEq, I>(lanes: Pair<I>) -> Result<(Option<u64>, Pair<Option<T>>), TraceError>
where
    I: Iterator<Item = Result<T, TraceError>>,
{
    let Pair { mut a, mut b } = lanes;
    for number in 1.. {
        let at = Pair { a: a.next().transpose()?, b: b.next().transpose()? };
        match (&at.a, &at.b) {
            (None, None) => break,
            (one, other) if one != other => return Ok((Some(number), at)),
            (_, _) => {}
        }
    }
    Ok((None, Pair { a: None, b: None }))
}

/// One kind of event of a core.
fn lane<T>(
    trace: &Trace,
    core: CoreId,
    pick: fn(Position, Event) -> Option<T>,
) -> impl Iterator<Item = Result<T, TraceError>> + use<T> {
    trace.stream(core).filter_map(move |event| match event {
        Ok((position, event)) => pick(position, event).map(Ok),
        Err(error) => Some(Err(error)),
    })
}

fn input(position: Position, event: Event) -> Option<InputAt> {
    let input = match event {
        Event::Lines(bits) => Input::Lines(bits),
        Event::Clock(ticks) => Input::Clock(ticks),
        Event::ConditionalFailed => Input::ConditionalFailed,
        Event::Input { device, bytes } => Input::Bytes(device.0, bytes),
        Event::Answer { device, bytes } => Input::Answer(device.0, bytes),
        Event::Order { .. } | Event::Digest { .. } | Event::Cut { .. } => return None,
    };
    Some(InputAt { position, input })
}

fn edge(position: Position, event: Event) -> Option<Edge> {
    match event {
        Event::Order { after, position: giver_position } => {
            Some(Edge { position, giver: after, giver_position })
        }
        Event::Lines(_)
        | Event::Clock(_)
        | Event::ConditionalFailed
        | Event::Input { .. }
        | Event::Answer { .. }
        | Event::Digest { .. }
        | Event::Cut { .. } => None,
    }
}

fn digest(position: Position, event: Event) -> Option<(Position, Digest)> {
    match event {
        Event::Digest { state, .. } => Some((position, state)),
        Event::Order { .. }
        | Event::Lines(_)
        | Event::Clock(_)
        | Event::ConditionalFailed
        | Event::Input { .. }
        | Event::Answer { .. }
        | Event::Cut { .. } => None,
    }
}
