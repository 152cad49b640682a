//! Ends a run when a line of the guest's console matches.
//!
//! A line is looked at as it grows, so that a prompt is found that no newline follows. What a match ends with may depend on
//! the character behind it (`$`, `\b`, a longer match), so a match counts once something stands behind it, or its line ends.

use crate::Options;
use cantus_engine::{Console, Outcome, Outside};
use parking_lot::Mutex;
use regex::bytes::Regex;
use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, OnceLock, Weak};

/// A longer line is looked at in pieces of so many bytes.
const LINE_BYTES_MAX: usize = 4096;

/// What a line of the console must match to end a run: a regular expression of the crate `regex`.
#[derive(Clone, Debug)]
pub struct StopOn(Regex);

impl FromStr for StopOn {
    type Err = String;

    fn from_str(pattern: &str) -> Result<Self, String> {
        Regex::new(pattern).map(Self).map_err(|error| error.to_string())
    }
}

impl fmt::Display for StopOn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str())
    }
}

/// The line of the console that is being written.
struct Lines {
    pattern: Regex,
    line: Vec<u8>,
    /// The first line that matched.
    matched: Option<String>,
}

impl Lines {
    fn new(StopOn(pattern): &StopOn) -> Self {
        Self { pattern: pattern.clone(), line: Vec::new(), matched: None }
    }

    /// More bytes come, in pieces of any size. Whether a line has matched, now or before.
    fn take(&mut self, bytes: &[u8]) -> bool {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let mut rest = piece;
            while !rest.is_empty() && self.matched.is_none() {
                let room = LINE_BYTES_MAX - self.line.len();
                let (now, later) = rest.split_at(room.min(rest.len()));
                self.line.extend_from_slice(now);
                rest = later;
                self.look();
            }
        }
        self.matched.is_some()
    }

    fn look(&mut self) {
        let ends = self.line.last() == Some(&b'\n') || self.line.len() == LINE_BYTES_MAX;
        let text = self.line.strip_suffix(b"\n").unwrap_or(&self.line);
        let text = if ends { text.strip_suffix(b"\r").unwrap_or(text) } else { text };
        if self.pattern.find(text).is_some_and(|found| ends || found.end() < text.len()) {
            self.matched = Some(String::from_utf8_lossy(text).into_owned());
        }
        if ends {
            self.line.clear();
        }
    }
}

/// Looks at what one run writes to its console.
pub(crate) struct Watch {
    lines: Mutex<Lines>,
    /// The run; it owns the console.
    outside: OnceLock<Weak<Outside>>,
}

impl Watch {
    /// If the options ask for it.
    pub(crate) fn new(options: &Options) -> Option<Arc<Self>> {
        let pattern = options.stop_on.as_ref()?;
        Some(Arc::new(Self { lines: Mutex::new(Lines::new(pattern)), outside: OnceLock::new() }))
    }

    /// The run begins that is to end.
    pub(crate) fn begin(&self, outside: &Arc<Outside>) {
        self.outside.get_or_init(|| Arc::downgrade(outside));
    }

    /// The line that matched.
    pub(crate) fn matched(&self) -> Option<String> {
        self.lines.lock().matched.clone()
    }
}

/// A console that is looked at.
struct Watched {
    console: Box<dyn Console>,
    watch: Arc<Watch>,
}

impl Console for Watched {
    fn write(&self, bytes: &[u8]) {
        self.console.write(bytes);
        if self.watch.lines.lock().take(bytes)
            && let Some(outside) = self.watch.outside.get().and_then(Weak::upgrade)
        {
            outside.stop(Outcome::Matched);
        }
    }
}

/// The console of a run, looked at where there is something to look for.
pub(crate) fn console(options: &Options, watch: Option<&Arc<Watch>>) -> Box<dyn Console> {
    let console = options.output.console();
    match watch {
        Some(watch) => Box::new(Watched { console, watch: watch.clone() }),
        None => console,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matched(pattern: &str, pieces: &[&[u8]]) -> Option<String> {
        let mut lines = Lines::new(&pattern.parse().expect("a pattern"));
        for piece in pieces {
            lines.take(piece);
        }
        lines.matched
    }

    fn assert_matches(pattern: &str, text: &[u8], line: Option<&str>) {
        let bytes: Vec<&[u8]> = text.chunks(1).collect();
        assert_eq!(matched(pattern, &[text]).as_deref(), line, "{pattern} in one piece");
        assert_eq!(matched(pattern, &bytes).as_deref(), line, "{pattern} byte by byte");
    }

    #[test]
    fn lines_match_however_they_are_written() {
        assert_matches("^panic: .*", b"booting\r\npanic: no init\r\nbye\n", Some("panic: no init"));
        assert_matches("^init$", b"initrd\ninit\r\n", Some("init"));
        assert_matches("^init$", b"initrd\n init\n", None);
        assert_matches("a.*b", b"a\nb\n", None);
        assert_matches("one$", b"one", None);
        assert_matches("^$", b"one\n\ntwo", Some(""));
        assert_matches(r"\xff", "\u{ff}\n".as_bytes(), Some("\u{ff}"));
    }

    #[test]
    fn a_prompt_matches_before_its_line_ends() {
        assert_eq!(matched("login:", &[b"login: "]).as_deref(), Some("login: "));
        assert_eq!(matched("login:", &[b"login:"]), None);
        assert_eq!(matched("^log$", &[b"login: "]), None);
    }

    #[test]
    fn a_line_is_bounded() {
        let mut lines = Lines::new(&"needle".parse().expect("a pattern"));
        for _ in 0..4 {
            lines.take(&[b'x'; LINE_BYTES_MAX - 1]);
            assert!(lines.line.len() < LINE_BYTES_MAX);
        }
        assert!(lines.take(b"\nneedle\n"));
    }
}
