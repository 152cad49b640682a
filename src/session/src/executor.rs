//! Which executor runs the cores. All give the same (REP-2), so no trace says which it was.

use crate::Error;
use cantus_interp::{Core, Counts, Exit, Interp, Port};
use cantus_jit::{Jit, Limits, Listening, Shared};

/// What executes the instructions of a guest.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Executor {
    /// The interpreter.
    Interp,
    /// The translator to host code, which leaves to the interpreter what is executed rarely.
    Jit,
    /// Both, in an order that looks random.
    Mixed,
}

impl Default for Executor {
    /// The translator where there is one for the host, else the interpreter.
    fn default() -> Self {
        if cfg!(target_arch = "x86_64") { Self::Jit } else { Self::Interp }
    }
}

/// The executor of one core.
pub(crate) enum Chosen {
    Interp(Box<Interp>),
    Jit(Box<Jit>),
}

/// The executors of a machine's cores.
pub(crate) enum Executors {
    Interp,
    Jit(Shared),
}

impl Executor {
    /// Those of a machine. Whoever listens is told of their code.
    pub(crate) fn of_machine(self, listening: Listening) -> Result<Executors, Error> {
        let limits = match self {
            Executor::Interp => return Ok(Executors::Interp),
            Executor::Jit => Limits::default(),
            Executor::Mixed => Limits::mixed(),
        };
        Shared::new(limits, listening).map(Executors::Jit).map_err(Error::Translator)
    }
}

impl Executors {
    /// One for a core.
    pub(crate) fn of_core(&self) -> Chosen {
        match self {
            Executors::Interp => Chosen::Interp(Box::default()),
            Executors::Jit(shared) => Chosen::Jit(Box::new(shared.jit())),
        }
    }
}

impl cantus_interp::Executor for Chosen {
    fn run<P: Port>(&mut self, core: &mut Core, port: &mut P, until: u64) -> Exit {
        match self {
            Chosen::Interp(interp) => interp.run(core, port, until),
            Chosen::Jit(jit) => jit.run(core, port, until),
        }
    }

    fn counts(&self) -> Counts {
        match self {
            Chosen::Interp(interp) => interp.counts(),
            Chosen::Jit(jit) => jit.counts(),
        }
    }
}
