//! The first place where a replay differs from its trace: a value with a report (CHK-2).

use cantus_traces::{CoreId, Digest, Event, Position};
use std::fmt;

/// What differs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Cause {
    /// The core's state.
    State {
        /// Its digest in the trace.
        expected: Digest,
        /// Its digest in the replay.
        came: Digest,
    },
    /// The events that the core has consumed: the trace has been changed since it was recorded.
    History {
        /// The digest in the trace.
        expected: Digest,
        /// The digest of what was consumed.
        came: Digest,
    },
    /// A step asked for something of which the trace has nothing.
    NotRecorded {
        /// What it asked for.
        question: &'static str,
    },
    /// The trace has an event that the step which it belongs to did not ask for.
    NotAsked {
        /// The event.
        event: Event,
        /// The position of that step.
        recorded_at: Position,
    },
    /// The core was to wait for another one, whose part was over before it came so far.
    NeverCame {
        /// The other core.
        core: CoreId,
        /// How many steps it should have completed.
        steps: u64,
    },
    /// The cores wait for each other.
    Stuck,
    /// Memory or devices, though no core has noticed.
    Memory {
        /// The number of the cut, or none at the end.
        cut: Option<u32>,
    },
    /// The core is not in the state that the trace's checkpoint has.
    Checkpoint {
        /// The checkpoint's cut.
        cut: u32,
        /// The digest of the core's state in the trace.
        expected: Digest,
        /// The same in the replay.
        came: Digest,
    },
    /// The core ended in another state than the trace's footer says.
    End {
        /// Position and digest in the footer.
        expected: (Position, Digest),
        /// Position and digest in the replay.
        came: (Position, Digest),
    },
}

/// Where a replay differs from its trace.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Divergence {
    /// The core.
    pub core: CoreId,
    /// Where the difference was noticed.
    pub position: Position,
    /// The core's program counter there, or where it was run on.
    pub pc: Option<u64>,
    /// The last position at which everything agreed.
    pub agreed: Position,
    /// What differs.
    pub cause: Cause,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cause::State { expected, came } => {
                write!(f, "the core's state: expected digest {expected}, came {came}")
            }
            Cause::History { expected, came } => write!(
                f,
                "the events that the core consumed are not those that were recorded: expected digest {expected}, came {came}"
            ),
            Cause::NotRecorded { question } => {
                write!(f, "the step asked for {question}, and the trace has no answer there")
            }
            Cause::NotAsked { event, recorded_at } => {
                write!(
                    f,
                    "the trace has {event:?} at position {recorded_at}, and the step there did not ask for it"
                )
            }
            Cause::NeverCame { core, steps } => {
                write!(f, "the core had to wait for {core} to complete {steps} steps, and it ended before")
            }
            Cause::Stuck => write!(f, "the cores wait for each other, and none can go on"),
            Cause::Memory { cut: Some(cut) } => {
                write!(f, "the digest of memory and devices at cut {cut}, which no core's digest explains")
            }
            Cause::Memory { cut: None } => {
                write!(f, "the digest of memory and devices at the end, which no core's digest explains")
            }
            Cause::Checkpoint { cut, expected, came } => {
                write!(
                    f,
                    "the core's state in the checkpoint of cut {cut}: expected digest {expected}, came {came}"
                )
            }
            Cause::End { expected, came } => write!(
                f,
                "the core's end: expected position {} with digest {}, came position {} with digest {}",
                expected.0, expected.1, came.0, came.1
            ),
        }
    }
}

impl fmt::Display for Divergence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { core, position, pc, agreed, cause } = self;
        write!(f, "{core} diverged at position {position} (")?;
        if let Some(pc) = pc {
            write!(f, "pc {pc:#x}; ")?;
        }
        write!(f, "everything agreed up to position {agreed}): {cause}")
    }
}
