//! How a moment of a recorded run is named on the command line.

use std::path::PathBuf;
use std::str::FromStr;

use cantus::Moment;
use cantus_traces::{CoreId, Position};

use crate::args::{core, count};

/// How moments are named, for the help.
pub const NAMES: &str = "\
Moments:
  40%        so much of the run
  20M        so many instructions of all cores together (also 20000000 or 20_000_000)
  2:70_000   core 2 has executed so many
  cut:3      all cores stand at cut 3, where memory was digested
  event:2:7  core 2 stands before its event #7, as `cantus dump` numbers them";

/// A moment, as it was named.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MomentArg(pub Moment);

impl FromStr for MomentArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let moment = if let Some(percent) = text.strip_suffix('%') {
            let percent = percent.parse::<u8>().ok().filter(|percent| *percent <= 100);
            Moment::Percent(percent.ok_or("expected 0% to 100%")?)
        } else if let Some(cut) = text.strip_prefix("cut") {
            let cut = cut.trim_start_matches([' ', ':']).parse::<u32>();
            Moment::Cut(cut.map_err(|_| "expected the number of a cut, such as cut:3")?)
        } else if let Some(event) = text.strip_prefix("event:") {
            let (number, event) =
                event.split_once(':').ok_or("expected event:CORE:NUMBER, such as event:2:7")?;
            Moment::Event(CoreId(core(number)?), count(event)?)
        } else if let Some((number, position)) = text.split_once(':') {
            Moment::Position(CoreId(core(number)?), Position(count(position)?))
        } else {
            let steps = count(text);
            Moment::Steps(
                steps.map_err(|_| "expected a moment, such as 40%, 1000000, 2:70000, cut:3 or event:2:7")?,
            )
        };
        Ok(Self(moment))
    }
}

/// A moment of a trace: `TRACE@MOMENT`. Without the trace, of the latest.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OfTrace {
    pub trace: Option<PathBuf>,
    pub moment: Moment,
}

impl FromStr for OfTrace {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (trace, moment) = text.rsplit_once('@').ok_or("expected TRACE@MOMENT, such as boot-1@40%")?;
        let MomentArg(moment) = moment.parse()?;
        Ok(Self { trace: (!trace.is_empty()).then(|| trace.into()), moment })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_may_have_any_name() {
        let of = |trace: &str| OfTrace { trace: Some(trace.into()), moment: Moment::Percent(40) };
        assert_eq!("boot-1@40%".parse(), Ok(of("boot-1")));
        assert_eq!("./a@b.cantus@40%".parse(), Ok(of("./a@b.cantus")));
        assert_eq!("@7".parse(), Ok(OfTrace { trace: None, moment: Moment::Steps(7) }));
        for bad in ["", "boot-1", "boot-1@", "boot-1@noon", "@"] {
            assert!(bad.parse::<OfTrace>().is_err(), "{bad}");
        }
    }

    #[test]
    fn moments_are_read() {
        let at = |core, position| Moment::Position(CoreId(core), Position(position));
        for (text, moment) in [
            ("0%", Moment::Percent(0)),
            ("100%", Moment::Percent(100)),
            ("20k", Moment::Steps(20_000)),
            ("1_000", Moment::Steps(1000)),
            ("0:5", at(0, 5)),
            ("254:1M", at(254, 1_000_000)),
            ("cut:3", Moment::Cut(3)),
            ("cut 3", Moment::Cut(3)),
            ("event:2:7", Moment::Event(CoreId(2), 7)),
        ] {
            assert_eq!(text.parse(), Ok(MomentArg(moment)), "{text}");
        }
        for bad in [
            "",
            "%",
            "101%",
            "-1%",
            "5.5%",
            "cut",
            "cut:",
            "cut:x",
            "255:0",
            "1:",
            ":1",
            "1:2:3",
            "x",
            "event:",
            "event:1",
            "event:255:1",
            "event:1:x",
        ] {
            assert!(bad.parse::<MomentArg>().is_err(), "{bad}");
        }
    }
}
