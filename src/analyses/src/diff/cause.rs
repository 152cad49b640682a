//! Why a core parts: the earliest difference in inputs or in the order of accesses that explains it.

use cantus_isa::{Gpa, Gva};
use cantus_traces::{CoreId, Position, Trace};
use serde::Serialize;

use super::parting::Found;
use super::streams::{self, Edge, Input};
use super::{DiffError, Pair, PartingKind};
use crate::replays::{Access, AccessKind, Replays, Stretch, Writer};
use crate::site::{Site, Sites};

/// A step that wrote what another one read.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct WriterAt {
    /// The core that wrote.
    pub core: CoreId,
    /// The position before the step that wrote.
    pub position: Position,
    /// Where it stands.
    pub site: Site,
}

/// The interrupt lines of a core, and since when they have been so.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct Lines {
    /// The position at which they changed.
    pub since: Position,
    /// The lines, with bits as in the RISC-V `mip` register.
    pub bits: u32,
}

/// What made the step differ.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Cause {
    /// It read another value from memory.
    Read {
        /// What for: a load, an instruction fetch, or a page-table walk.
        access: AccessKind,
        /// What is there: `symbol+offset`, or the address.
        what: String,
        /// Where in memory.
        #[serde(serialize_with = "crate::hex")]
        address: Gpa,
        /// How many bytes.
        bytes: u8,
        /// What came.
        value: Pair<u64>,
        /// Steps that both executions have and that changed what they found there without its showing in a register (an
        /// atomic addition, for instance), the latest first.
        updates: Vec<WriterAt>,
        /// Who had written it before the read, or before the first of the updates; `None`: it was as loaded.
        writer: Pair<Option<WriterAt>>,
    },
    /// The same virtual address led to another place in memory.
    Translation {
        /// The address that the instruction named.
        #[serde(serialize_with = "crate::hex")]
        virtual_address: Gva,
        /// Where it led to.
        address: Pair<String>,
    },
    /// A device answered something else.
    Device {
        /// The device's address.
        #[serde(serialize_with = "crate::hex")]
        address: Gpa,
        /// What came.
        value: Pair<u64>,
    },
    /// The clock said something else.
    Clock {
        /// What it said, if it was read.
        ticks: Pair<Option<u64>>,
    },
    /// A store-conditional failed in one execution only: another core had written in between.
    Conditional {
        /// Whether it failed.
        failed: Pair<bool>,
        /// What it would have written to.
        what: Option<String>,
        /// Who had last written there.
        writer: Pair<Option<WriterAt>>,
    },
    /// An interrupt was pending in one execution only, or another one was.
    Interrupt {
        /// The interrupt lines.
        lines: Pair<Option<Lines>>,
    },
    /// Nothing that the step used was seen to differ.
    Unknown,
}

/// Why the executions part.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Why {
    /// The core on which it shows first.
    pub core: CoreId,
    /// How many steps it takes alike.
    pub position: Position,
    /// What made its next step differ.
    pub cause: Cause,
    /// Where the step stands; where the executions are at different instructions, the first one's.
    pub site: Option<Site>,
    /// Of each giver whose latest order edge to the core is not the same in both traces: that edge.
    pub edges: Vec<Pair<Option<Edge>>>,
}

/// Which core's parting comes from which other core's.
pub(super) type Follows = Vec<(CoreId, CoreId)>;

/// How many updates are followed back: each costs an execution of either trace.
const UPDATES_MAX: usize = 32;

/// What is known while the cause is looked for.
pub(super) struct Search<'a> {
    pub traces: Pair<&'a Trace>,
    pub replays: Pair<&'a mut dyn Replays>,
    pub sites: Sites<'a>,
    pub found: &'a [Found],
}

/// A cause, and the cores that it comes from, if they had parted themselves by then.
struct Explained {
    cause: Cause,
    follows: Option<CoreId>,
}

impl Search<'_> {
    /// The cause, and who followed whom on the way to it.
    pub fn why(&mut self) -> Result<(Option<Why>, Follows), DiffError> {
        let mut follows = Follows::new();
        let parted = self.found.iter().filter(|found| found.kind != PartingKind::End);
        let Some(mut found) = parted.min_by_key(|found| (found.position, found.core)).copied() else {
            return Ok((None, follows));
        };
        loop {
            let explained = self.explain(&found)?;
            let known = |core| follows.iter().any(|&(one, _)| one == core);
            let next = explained.follows.filter(|&core| core != found.core && !known(core));
            if let Some(next) = next.and_then(|core| self.parting_of(core)) {
                follows.push((found.core, next.core));
                found = next;
                continue;
            }
            let site = found.steps.a.or(found.steps.b).map(|step| self.sites.at(step.pc));
            let edges = self.edges(found.core, found.position)?;
            let Found { core, position, .. } = found;
            return Ok((Some(Why { core, position, cause: explained.cause, site, edges }), follows));
        }
    }

    fn parting_of(&self, core: CoreId) -> Option<Found> {
        self.found.iter().find(|found| found.core == core && found.kind != PartingKind::End).copied()
    }

    fn explain(&mut self, found: &Found) -> Result<Explained, DiffError> {
        let Found { core, position, kind, .. } = *found;
        let by_reads = match kind {
            PartingKind::State => self.by_accesses(core, position)?,
            // An interrupt comes between two steps: neither of them is to blame.
            PartingKind::Path | PartingKind::End | PartingKind::Digest => None,
        };
        if let Some(explained) = by_reads {
            return Ok(explained);
        }
        if let Some(explained) = self.by_inputs(core, position)? {
            return Ok(explained);
        }
        let lines = self.traces.try_map(|trace| streams::lines_before(trace, core, position))?;
        if !lines.equal() {
            // A core that sends an interrupt gives an order edge where it arrives.
            let mut since = Vec::new();
            for (trace, lines) in [(self.traces.a, lines.a), (self.traces.b, lines.b)] {
                if let Some((since_position, _)) = lines {
                    let edges = streams::latest_edges(trace, core, since_position)?;
                    since.extend(edges.into_iter().filter(|edge| edge.position == since_position));
                }
            }
            let lines = lines.map(|lines| lines.map(|(since, bits)| Lines { since, bits }));
            return Ok(Explained {
                cause: Cause::Interrupt { lines },
                follows: self.giver_that_parted(&since),
            });
        }
        Ok(Explained { cause: Cause::Unknown, follows: None })
    }

    fn by_accesses(&mut self, core: CoreId, position: Position) -> Result<Option<Explained>, DiffError> {
        let stretch = Stretch { core, from: position, to: Position(position.0.saturating_add(1)) };
        let a = self.replays.a.accesses(stretch)?;
        let b = self.replays.b.accesses(stretch)?;
        let Some((a, b)) = a.into_iter().zip(b).find(|(a, b)| a != b) else { return Ok(None) };
        let same_place = a.virtual_address == b.virtual_address && a.kind == b.kind;
        if same_place && a.address != b.address {
            let name = |address: Gpa| self.sites.symbols().name(Gva(address.0));
            let address = Pair { a: name(a.address), b: name(b.address) };
            let cause = Cause::Translation { virtual_address: a.virtual_address, address };
            return Ok(Some(Explained { cause, follows: None }));
        }
        if !same_place {
            return Ok(None);
        }
        let value = Pair { a: a.value, b: b.value };
        match a.kind {
            AccessKind::Fetch | AccessKind::Walk | AccessKind::Load => {
                let (updates, writer) = self.writers_behind_updates(&a, core, position)?;
                let follows = self.writer_that_parted(&writer);
                let cause = Cause::Read {
                    access: a.kind,
                    what: self.what(&a),
                    address: a.address,
                    bytes: a.bytes,
                    value,
                    updates: updates.into_iter().map(|update| self.writer_at(update)).collect(),
                    writer: writer.map(|writer| writer.map(|writer| self.writer_at(writer))),
                };
                Ok(Some(Explained { cause, follows }))
            }
            AccessKind::DeviceLoad => {
                let mut here = Vec::new();
                for trace in [self.traces.a, self.traces.b] {
                    let edges = streams::latest_edges(trace, core, position)?;
                    here.extend(edges.into_iter().filter(|edge| edge.position == position));
                }
                let follows = self.giver_that_parted(&here);
                Ok(Some(Explained { cause: Cause::Device { address: a.address, value }, follows }))
            }
            // What is written comes from the state, which was the same: something else differs.
            AccessKind::Store | AccessKind::DeviceStore => Ok(None),
        }
    }

    fn by_inputs(&mut self, core: CoreId, position: Position) -> Result<Option<Explained>, DiffError> {
        let inputs = self.traces.try_map(|trace| streams::inputs_at(trace, core, position))?;
        let clock = |inputs: &Vec<Input>| {
            inputs.iter().find_map(|input| match input {
                Input::Clock(ticks) => Some(*ticks),
                Input::Lines(_) | Input::ConditionalFailed | Input::Bytes(..) | Input::Answer(..) => None,
            })
        };
        let ticks = inputs.as_ref().map(clock);
        if !ticks.equal() {
            return Ok(Some(Explained { cause: Cause::Clock { ticks }, follows: None }));
        }
        let failed = inputs.as_ref().map(|inputs| inputs.contains(&Input::ConditionalFailed));
        if failed.equal() {
            return Ok(None);
        }
        // The execution in which it succeeded shows where it writes.
        let stretch = Stretch { core, from: position, to: Position(position.0.saturating_add(1)) };
        let accesses = match failed.a {
            true => self.replays.b.accesses(stretch)?,
            false => self.replays.a.accesses(stretch)?,
        };
        let store = accesses.into_iter().find(|access| access.kind == AccessKind::Store);
        let writer = match &store {
            Some(store) => self.writers(store, core, position)?,
            None => Pair { a: None, b: None },
        };
        // Only the one that made it fail can be the cause.
        let blamed = Pair { a: writer.a.filter(|_| failed.a), b: writer.b.filter(|_| failed.b) };
        let follows = self.writer_that_parted(&blamed);
        let cause = Cause::Conditional {
            failed,
            what: store.map(|store| self.what(&store)),
            writer: writer.map(|writer| writer.map(|writer| self.writer_at(writer))),
        };
        Ok(Some(Explained { cause, follows }))
    }

    fn writers(
        &mut self,
        access: &Access,
        core: CoreId,
        position: Position,
    ) -> Result<Pair<Option<Writer>>, DiffError> {
        let (address, bytes) = (access.address, access.bytes);
        Ok(Pair {
            a: self.replays.a.last_writer(address, bytes, core, position)?,
            b: self.replays.b.last_writer(address, bytes, core, position)?,
        })
    }

    /// Who wrote last before a read. Where that is the same step in both executions, it only handed on what it had found:
    /// then who wrote before that, and so on.
    fn writers_behind_updates(
        &mut self,
        access: &Access,
        core: CoreId,
        position: Position,
    ) -> Result<(Vec<Writer>, Pair<Option<Writer>>), DiffError> {
        let mut updates = Vec::new();
        let mut writer = self.writers(access, core, position)?;
        while let (Some(a), Some(b)) = (writer.a, writer.b) {
            let handed_on = a == b && self.writer_that_parted(&writer).is_none();
            if !handed_on || updates.len() == UPDATES_MAX {
                break;
            }
            updates.push(a);
            writer = self.writers(access, a.core, a.position)?;
        }
        Ok((updates, writer))
    }

    /// The core that wrote in one of the executions after it had parted itself. What it wrote then may never have been
    /// written in the other execution, so its own parting comes first.
    fn writer_that_parted(&self, writer: &Pair<Option<Writer>>) -> Option<CoreId> {
        [writer.a, writer.b].into_iter().flatten().find_map(|writer| {
            let parting = self.parting_of(writer.core)?;
            (writer.position >= parting.position).then_some(writer.core)
        })
    }

    /// The core that one of these edges comes from after it had parted.
    fn giver_that_parted(&self, edges: &[Edge]) -> Option<CoreId> {
        edges.iter().find_map(|edge| {
            let parting = self.parting_of(edge.giver)?;
            (edge.giver_position > parting.position).then_some(edge.giver)
        })
    }

    fn what(&self, access: &Access) -> String {
        let symbols = self.sites.symbols();
        let place = symbols.place(access.virtual_address).or_else(|| symbols.place(Gva(access.address.0)));
        place.map_or_else(|| access.address.to_string(), |place| place.to_string())
    }

    fn writer_at(&self, writer: Writer) -> WriterAt {
        WriterAt { core: writer.core, position: writer.position, site: self.sites.at(writer.pc) }
    }

    fn edges(&self, core: CoreId, position: Position) -> Result<Vec<Pair<Option<Edge>>>, DiffError> {
        let latest = self.traces.try_map(|trace| streams::latest_edges(trace, core, position))?;
        let mut givers: Vec<CoreId> = latest.a.iter().chain(&latest.b).map(|edge| edge.giver).collect();
        givers.sort();
        givers.dedup();
        let of = |giver| latest.as_ref().map(|edges| edges.iter().find(|edge| edge.giver == giver).copied());
        Ok(givers.into_iter().map(of).filter(|edges| !edges.equal()).collect())
    }
}
