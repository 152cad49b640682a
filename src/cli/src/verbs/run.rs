//! `cantus run`: runs a guest free; nothing is recorded.

use std::fs;
use std::io::Write;

use cantus::{Captured, Input, Options, Output, Printed, Typist};
use clap::Args;

use crate::args::RunArgs;
use crate::console::{Keys, Raw};
use crate::failure::{Failure, status};
use crate::outcome;
use crate::statistics;
use crate::stop;
use crate::terminal::{self, Voice};

/// Run a guest, and record nothing
#[derive(Args, Debug)]
pub struct Run {
    #[command(flatten)]
    run: RunArgs,
}

impl Run {
    pub fn execute(self, voice: Voice) -> Result<u8, Failure> {
        let guest = self.run.machine.open_guest()?;
        let captured = Captured::default();
        let raw = console(&self.run);
        let options = options(&self.run, &captured, raw.as_ref(), voice)?;
        let ran = cantus::run(&guest, &options);
        drop(raw);
        let ran = ran?;
        finish(&self.run, &guest.name, ran.signature.as_deref())?;
        match self.run.json {
            true => {
                let mut out = terminal::out();
                let facts = outcome::Facts::new(ran.outcome, &ran.steps, &captured.bytes());
                let statistics = self.run.statistics.facts(&ran.statistics);
                terminal::json(&mut out, &facts.with_statistics(statistics))?;
                out.flush()?;
            }
            false => tell_outcome(voice, ran.outcome),
        }
        self.run.statistics.tell(&ran.statistics, self.run.json);
        printed(&options.output)?;
        statistics::mapped(options.perf_map.as_ref())?;
        Ok(outcome::status(ran.outcome))
    }
}

/// An error if some of the guest's console output was lost.
pub fn printed(output: &Output) -> Result<(), Failure> {
    output.take_error().map_or(Ok(()), |error| Err(error.into()))
}

/// The terminal for the guest alone, where its console is on one.
pub fn console(run: &RunArgs) -> Option<Raw> {
    if run.json { None } else { Raw::enter() }
}

/// Options as the flags say, with console and Ctrl-C. As JSON the console's output is part of the result.
pub fn options(
    run: &RunArgs,
    captured: &Captured,
    raw: Option<&Raw>,
    voice: Voice,
) -> Result<Options, Failure> {
    let interrupt = stop::on_ctrl_c();
    let machine = run.machine.options()?;
    Ok(Options {
        perf_map: run.statistics.perf_map(machine.executor)?,
        policy: run.schedule.0,
        choices_max: run.choices.unwrap_or(u64::MAX),
        signature_granularity: run.signature.as_ref().map(|_| run.signature_granularity),
        output: match run.json {
            true => Output::Captured(captured.clone()),
            false => Output::Stdout(Printed::default()),
        },
        warnings: voice.warnings(),
        input: match raw {
            Some(_) => Input::Typed(Typist::new(Keys::new(interrupt.clone()))),
            None => Input::Stdin,
        },
        interrupt,
        ..machine
    })
}

/// Writes the signature, if one is wanted.
pub fn finish(run: &RunArgs, guest: &str, signature: Option<&str>) -> Result<(), Failure> {
    match (&run.signature, signature) {
        (None, _) => Ok(()),
        (Some(path), Some(signature)) => fs::write(path, signature)
            .map_err(|error| Failure::io(path, "write the signature", &error).with_status(status::IO)),
        (Some(_), None) => Err(Failure::new(
            status::BAD_DATA,
            format!(
                "{guest}: has no signature: expected an ELF file with the symbols begin_signature and end_signature"
            ),
        )),
    }
}

/// Says how the run ended where the status alone does not.
pub fn tell_outcome(voice: Voice, outcome: cantus::Outcome) {
    match outcome {
        cantus::Outcome::Exit(_) | cantus::Outcome::Reset => {}
        cantus::Outcome::Hung
        | cantus::Outcome::Limit(_)
        | cantus::Outcome::Interrupted
        | cantus::Outcome::Matched
        | cantus::Outcome::Failed
        | cantus::Outcome::Replayed
        | cantus::Outcome::Stuck(_) => voice.say(format!("cantus: {}", outcome::in_words(outcome))),
    }
}
