//! Which executor runs the cores. All give the same (REP-2), so no trace says which it was.

use crate::Error;
use cantus_interp::{Core, Counts, Exit, Interp, Port};
use cantus_jit::{Jit, Limits, Listening, jit};

/// What executes the instructions of a guest.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Executor {
    /// The interpreter.
    #[default]
    Interp,
    /// The translator to host code, which leaves to the interpreter what is executed rarely.
    Jit,
    /// Both, in an order that looks random.
    Mixed,
}

/// The executor of one core.
pub(crate) enum Chosen {
    Interp(Box<Interp>),
    Jit(Box<Jit>),
}

impl Executor {
    /// One for a core. Whoever listens is told of its code.
    pub(crate) fn of_core(self, listening: &Listening) -> Result<Chosen, Error> {
        let limits = match self {
            Executor::Interp => return Ok(Chosen::Interp(Box::default())),
            Executor::Jit => Limits::default(),
            Executor::Mixed => Limits::mixed(),
        };
        jit(limits, listening.clone()).map(|jit| Chosen::Jit(Box::new(jit))).map_err(Error::Translator)
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
