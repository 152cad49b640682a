//! A difference in words.

use std::fmt::{self, Display, Formatter};

use cantus_traces::{CoreId, EndReason, Position};

use super::{
    Cause, CoreDifference, Difference, Edge, Execution, Input, InputAt, Lines, Pair, Parting, PartingKind,
    SettingDifference, Why, WriterAt,
};
use crate::interrupts::line_names;
use crate::site::Site;

/// A number with its digits in groups of three: `10,482`.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at != 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// The number of a step, from 1: the one that a core takes from this position.
fn step(position: Position) -> String {
    grouped(position.0.saturating_add(1))
}

impl Display for Difference {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Pair { a, b } = &self.executions;
        writeln!(f, "A  {a}")?;
        writeln!(f, "B  {b}")?;
        writeln!(f)?;
        settings(f, &self.settings)?;
        for core in &self.cores {
            self.core(f, core)?;
        }
        if let Some(why) = &self.why {
            writeln!(f)?;
            why.fmt(f)?;
        }
        writeln!(f)?;
        match (self.same(), self.cores.iter().filter(|core| core.parting.is_some()).count()) {
            (true, _) => writeln!(f, "The executions are the same."),
            (false, 0) => writeln!(f, "The executions differ, though every core does the same in both."),
            (false, parted) => writeln!(
                f,
                "The executions differ: {parted} of {} {} {}.",
                self.cores.len(),
                if self.cores.len() == 1 { "core" } else { "cores" },
                if parted == 1 { "parts" } else { "part" },
            ),
        }
    }
}

impl Display for Execution {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.name)?;
        match (&self.reason, self.exit_status) {
            (Some(EndReason::Exited), Some(status)) => write!(f, "the guest ended with status {status}")?,
            (Some(EndReason::Exited), None) => f.write_str("the guest ended")?,
            (Some(EndReason::Interrupted), _) => f.write_str("interrupted")?,
            (Some(EndReason::LimitReached), _) => f.write_str("a limit was reached")?,
            (Some(EndReason::Deadlocked), _) => {
                f.write_str("deadlock: every core waits for an interrupt that never comes")?;
            }
            (Some(EndReason::Failed(why)), _) => write!(f, "the recorder failed: {why}")?,
            (Some(EndReason::Matched(line)), _) => write!(f, "stopped on the console's line {line:?}")?,
            (None, _) => f.write_str("the recorder was stopped before the end")?,
        }
        match self.complete {
            true => Ok(()),
            false => f.write_str(" (the trace is not complete)"),
        }
    }
}

fn settings(f: &mut Formatter<'_>, settings: &[SettingDifference]) -> fmt::Result {
    let (machine, run): (Vec<_>, Vec<_>) = settings.iter().partition(|setting| setting.of_machine);
    if machine.is_empty() {
        writeln!(f, "machine  the same")?;
    }
    for (title, settings) in [("machine", machine), ("run    ", run)] {
        for SettingDifference { name, value, .. } in settings {
            let [a, b] = [&value.a, &value.b].map(|value| value.as_deref().unwrap_or("not set"));
            writeln!(f, "{title}  {name}: A {a}, B {b}")?;
        }
    }
    Ok(())
}

impl Difference {
    fn core(&self, f: &mut Formatter<'_>, difference: &CoreDifference) -> fmt::Result {
        let CoreDifference { core, end, input, order, parting } = difference;
        match parting {
            None => writeln!(f, "{core}   the same for all of its {} steps", grouped(end.a.0))?,
            Some(parting) => self.parting(f, *core, end, parting)?,
        }
        if let Some(input) = input {
            let [a, b] = [&input.at.a, &input.at.b].map(|at| match at {
                Some(at) => at.to_string(),
                None => "none".to_owned(),
            });
            writeln!(f, "         input {}: A {a}; B {b}", grouped(input.number))?;
        }
        match order.first_different {
            None => Ok(()),
            Some(number) => writeln!(
                f,
                "         order edges: {} in A, {} in B; the first that differs is number {}",
                grouped(order.edges.a),
                grouped(order.edges.b),
                grouped(number),
            ),
        }
    }

    fn parting(
        &self,
        f: &mut Formatter<'_>,
        core: CoreId,
        end: &Pair<Position>,
        parting: &Parting,
    ) -> fmt::Result {
        let Parting { position, kind, site, follows } = parting;
        match kind {
            PartingKind::End => {
                let (ends, goes_on) = if end.a < end.b { ("A", "B") } else { ("B", "A") };
                writeln!(
                    f,
                    "{core}   the same for {} steps; then it ends in {ends} and goes on in {goes_on}",
                    grouped(position.0)
                )?;
            }
            PartingKind::Digest => writeln!(f, "{core}   its digests differ from position {position} on")?,
            PartingKind::State | PartingKind::Path => {
                write!(f, "{core}   parts at step {}: ", step(*position))?;
                match (&site.a, &site.b) {
                    (Some(a), Some(b)) if a.pc == b.pc => writeln!(f, "{a}")?,
                    (Some(a), Some(b)) => writeln!(f, "A is at {a}, B at {b}")?,
                    (Some(one), None) | (None, Some(one)) => writeln!(f, "{one}")?,
                    (None, None) => writeln!(f, "at an unknown place")?,
                }
            }
        }
        match follows {
            None => Ok(()),
            Some(other) => writeln!(f, "         because it sees what {other} did after {other} had parted"),
        }
    }
}

impl Display for InputAt {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.input {
            Input::Lines(bits) => write!(f, "interrupt lines {}", line_names(*bits))?,
            Input::Clock(ticks) => write!(f, "clock {ticks}")?,
            Input::ConditionalFailed => f.write_str("store-conditional failed")?,
            Input::Bytes(device, bytes) => {
                write!(f, "{} bytes for device {device}: {}", bytes.len(), bytes.escape_ascii())?;
            }
            Input::Answer(device, bytes) => {
                write!(
                    f,
                    "the host's answer to device {device}, {} bytes: {}",
                    bytes.len(),
                    bytes.escape_ascii()
                )?;
            }
        }
        write!(f, " at step {}", step(self.position))
    }
}

impl Display for Why {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { core, position, cause, site, edges } = self;
        write!(f, "Why: {core}, step {}", step(*position))?;
        match site {
            Some(site) => writeln!(f, ", {site}")?,
            None => writeln!(f)?,
        }
        source_line(f, site.as_ref())?;
        cause_in_words(f, *core, cause)?;
        for edges in edges.iter().filter(|edges| concerns(cause, edges)) {
            let [a, b] = [edges.a, edges.b].map(|edge| match edge {
                Some(edge) => {
                    format!("step {} after step {}", step(edge.position), grouped(edge.giver_position.0))
                }
                None => "no edge".to_owned(),
            });
            let giver = edges.a.or(edges.b).map_or(CoreId(0), |edge| edge.giver);
            writeln!(f, "  The last order of {core} after {giver} before that: A {a}; B {b}.")?;
        }
        Ok(())
    }
}

fn source_line(f: &mut Formatter<'_>, site: Option<&Site>) -> fmt::Result {
    let Some(site) = site else { return Ok(()) };
    if let Some(text) = &site.text {
        writeln!(f, "       {text}")?;
    }
    match &site.instruction {
        Some(instruction) => writeln!(f, "       {}: {instruction}", site.pc),
        None => Ok(()),
    }
}

/// Whether the edges come from a core that the cause speaks of; of a cause that speaks of none, all do.
fn concerns(cause: &Cause, edges: &Pair<Option<Edge>>) -> bool {
    let writers = match cause {
        Cause::Read { writer, .. } | Cause::Conditional { writer, .. } => writer,
        Cause::Clock { .. } => return false,
        Cause::Translation { .. } | Cause::Device { .. } | Cause::Interrupt { .. } | Cause::Unknown => {
            return true;
        }
    };
    let named = |giver| [&writers.a, &writers.b].into_iter().flatten().any(|writer| writer.core == giver);
    edges.a.or(edges.b).is_some_and(|edge| named(edge.giver))
}

fn cause_in_words(f: &mut Formatter<'_>, core: CoreId, cause: &Cause) -> fmt::Result {
    match cause {
        Cause::Read { access: _, what, value, bytes, updates, writer, address: _ } => {
            if let Some(first) = updates.last() {
                let [a, b] = [value.a, value.b].map(|value| in_both_bases(value, *bytes));
                writeln!(f, "  {what} = {a} in A, {b} in B.")?;
                for update in updates {
                    writeln!(
                        f,
                        "  Both: updated by {} at step {}: {}",
                        update.core,
                        step(update.position),
                        update.site
                    )?;
                    source_line(f, Some(&update.site))?;
                }
                for (name, writer) in [("A", &writer.a), ("B", &writer.b)] {
                    writeln!(f, "  {name}: before that, {}", written_by(first.core, writer))?;
                    source_line(f, writer.as_ref().map(|writer| &writer.site))?;
                }
                return order_in_words(f, first.core, "update", writer);
            }
            for (name, value, writer) in [("A", value.a, &writer.a), ("B", value.b, &writer.b)] {
                writeln!(
                    f,
                    "  {name} reads {what} = {} ({})",
                    in_both_bases(value, *bytes),
                    written_by(core, writer)
                )?;
                source_line(f, writer.as_ref().map(|writer| &writer.site))?;
            }
            order_in_words(f, core, "read", writer)
        }
        Cause::Translation { virtual_address, address } => writeln!(
            f,
            "  The address {virtual_address} leads to {} in A and to {} in B: the page tables differ.",
            address.a, address.b
        ),
        Cause::Device { address, value } => {
            writeln!(f, "  The device at {address} answers {:#x} in A and {:#x} in B.", value.a, value.b)
        }
        Cause::Clock { ticks } => {
            let [a, b] = [ticks.a, ticks.b].map(|ticks| ticks.map_or("nothing".to_owned(), grouped));
            writeln!(f, "  The clock says {a} in A and {b} in B.")
        }
        Cause::Conditional { failed, what, writer } => {
            let (fails, succeeds) = if failed.a { ("A", "B") } else { ("B", "A") };
            let what = what.as_ref().map_or(String::new(), |what| format!(" on {what}"));
            writeln!(f, "  The store-conditional{what} fails in {fails} and succeeds in {succeeds}.")?;
            for (name, writer) in [("A", &writer.a), ("B", &writer.b)] {
                if writer.is_some() {
                    writeln!(f, "  {name}: {}", written_by(core, writer))?;
                    source_line(f, writer.as_ref().map(|writer| &writer.site))?;
                }
            }
            order_in_words(f, core, "store-conditional", writer)
        }
        Cause::Interrupt { lines } => {
            for (name, lines) in [("A", lines.a), ("B", lines.b)] {
                match lines {
                    Some(Lines { since, bits }) => writeln!(
                        f,
                        "  {name}: interrupt lines {} since step {}",
                        line_names(bits),
                        step(since)
                    )?,
                    None => writeln!(f, "  {name}: no interrupt line had changed")?,
                }
            }
            Ok(())
        }
        Cause::Unknown => writeln!(f, "  Nothing that this step used was seen to differ."),
    }
}

/// Which order explains it, where the writers tell.
fn order_in_words(
    f: &mut Formatter<'_>,
    core: CoreId,
    what: &str,
    writer: &Pair<Option<WriterAt>>,
) -> fmt::Result {
    let (late, early, by) = match (&writer.a, &writer.b) {
        (Some(a), Some(b)) if a.core == b.core && a.position > b.position => ("A", "B", a),
        (Some(a), Some(b)) if a.core == b.core && a.position < b.position => ("B", "A", b),
        (Some(a), None) => ("A", "B", a),
        (None, Some(b)) => ("B", "A", b),
        (Some(a), Some(b)) if a.core != b.core => {
            return writeln!(
                f,
                "  The order differs: the last to write before this {what} is {} in A, {} in B.",
                a.core, b.core
            );
        }
        (Some(_), Some(_)) | (None, None) => return Ok(()),
    };
    if by.core == core {
        return Ok(());
    }
    writeln!(
        f,
        "  The order differs: {core}'s {what} comes after {}'s step {} ({}) in {late}, before it in {early}.",
        by.core,
        step(by.position),
        by.site,
    )
}

fn written_by(core: CoreId, writer: &Option<WriterAt>) -> String {
    match writer {
        Some(writer) if writer.core == core => {
            format!("last written by itself at step {}: {}", step(writer.position), writer.site)
        }
        Some(writer) => {
            format!("last written by {} at step {}: {}", writer.core, step(writer.position), writer.site)
        }
        None => "as it was loaded".to_owned(),
    }
}

/// The value in decimal, and in hexadecimal too where that says more.
fn in_both_bases(value: u64, bytes: u8) -> String {
    let width = u32::from(bytes.clamp(1, 8)) * 8;
    let negative = bytes >= 4 && value >> (width - 1) & 1 == 1;
    let signed = (value << (64 - width)) as i64 >> (64 - width);
    match (negative && signed > -1_000_000, value) {
        (true, _) => format!("{signed} ({value:#x})"),
        (false, 0..=9) => format!("{value}"),
        (false, 10..=0xfff_ffff) => format!("{value} ({value:#x})"),
        (false, _) => format!("{value:#x}"),
    }
}
