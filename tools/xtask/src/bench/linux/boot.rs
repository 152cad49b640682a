//! One boot: a process whose console is watched for the lines that say how far it is.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

/// A boot and its works take so long at most, in seconds.
const SECONDS_MAX: &str = "3600";
/// So much of a console and of complaints is shown when something goes wrong, in bytes.
const SHOWN: u64 = 1500;

/// What a boot took.
#[derive(Clone, Debug)]
pub struct Boot {
    /// From the start of the process to the shell.
    pub shell: Duration,
    /// From the shell to the end of the works.
    pub works: Option<Duration>,
    /// Each work's name, and from the end of the one before to its own.
    pub each: Vec<(String, Duration)>,
    /// From start to end.
    pub whole: Duration,
    /// The most memory that it used at once, in bytes.
    pub memory: u64,
}

/// A command that is stopped when it takes far too long.
pub fn limited(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("timeout");
    command.arg(SECONDS_MAX).arg(program);
    command
}

/// Runs a command, whose console is its standard output, to its end.
#[expect(clippy::disallowed_methods, reason = "a benchmark measures the host's time; no guest sees it")]
pub fn boot(command: &mut Command, with_works: bool) -> Result<Boot> {
    let mut complaints = tempfile::tempfile()?;
    let start = Instant::now();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(complaints.try_clone()?)
        .spawn()
        .with_context(|| format!("cannot run {}", command.get_program().display()))?;
    let console = child.stdout.take().context("a process without a console")?;
    let marks = Marks::read(BufReader::new(console), || start.elapsed());
    let (status, memory) = wait(child.id())?;
    let whole = start.elapsed();
    let marks = marks?;
    let told = marks.verdict(with_works).and_then(|(shell, works)| {
        ensure!(status.success(), "it ended with {status}");
        let each = marks.each(shell);
        Ok(Boot { shell, works, each, whole, memory })
    });
    told.with_context(|| format!("{}\n{}", marks.tail, last_of(&mut complaints).unwrap_or_default()))
}

/// The last bytes of a file.
fn last_of(file: &mut std::fs::File) -> Result<String> {
    let size = file.seek(SeekFrom::End(0))?;
    file.seek(SeekFrom::Start(size.saturating_sub(SHOWN)))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// When the lines came that say something.
#[derive(Default)]
struct Marks {
    shell: Option<Duration>,
    done: Option<Duration>,
    /// When each work was over.
    over: Vec<(String, Duration)>,
    failed: Vec<String>,
    /// The last lines.
    tail: String,
}

impl Marks {
    fn read(mut console: impl BufRead, now: impl Fn() -> Duration) -> Result<Self> {
        let mut marks = Self::default();
        let mut line = Vec::new();
        while console.read_until(b'\n', &mut line)? > 0 {
            let text = String::from_utf8_lossy(&line).trim().to_owned();
            line.clear();
            // A console may put a message of the kernel before a line of a program.
            if text.ends_with("SHELL_READY") {
                marks.shell.get_or_insert_with(&now);
            } else if text.contains("WORK_FAILED") {
                marks.failed.push(text.clone());
            } else if let Some(name) = over(&text) {
                marks.over.push((name.to_owned(), now()));
            } else if text.contains("WORK_DONE") {
                marks.done.get_or_insert_with(&now);
            }
            marks.tail.push_str(&text);
            marks.tail.push('\n');
            let surplus = marks.tail.len().saturating_sub(SHOWN as usize);
            let cut = (surplus..=marks.tail.len()).find(|&at| marks.tail.is_char_boundary(at));
            marks.tail.drain(..cut.unwrap_or_default());
        }
        Ok(marks)
    }

    /// How long each work took, where the first began at the shell.
    fn each(&self, shell: Duration) -> Vec<(String, Duration)> {
        let begins = std::iter::once(shell).chain(self.over.iter().map(|&(_, end)| end));
        self.over
            .iter()
            .zip(begins)
            .map(|((name, end), begin)| (name.clone(), end.saturating_sub(begin)))
            .collect()
    }

    /// The times to the shell and of the works, if all went well.
    fn verdict(&self, with_works: bool) -> Result<(Duration, Option<Duration>)> {
        let shell = self.shell.context("it did not come as far as its shell")?;
        ensure!(self.failed.is_empty(), "{}", self.failed.join("; "));
        let works = match (with_works, self.done) {
            (true, done) => Some(done.context("it ended in the middle of its works")?.saturating_sub(shell)),
            (false, _) => None,
        };
        Ok((shell, works))
    }
}

/// The name of the work that this line of a console says is over.
fn over(text: &str) -> Option<&str> {
    let (_, said) = text.split_once("WORK ")?;
    let (name, result) = said.split_once(' ')?;
    result.starts_with("rc=").then_some(name)
}

/// Waits for a child, and gives its status and the most memory that it, or a process that it waited for, used, in bytes.
fn wait(pid: u32) -> Result<(ExitStatus, u64)> {
    let mut status = 0;
    // SAFETY: `rusage` is a structure of numbers only, for which zeros are valid.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    loop {
        // SAFETY: both places are valid for the one value that the call writes to each.
        let waited = unsafe { libc::wait4(pid.cast_signed(), &raw mut status, 0, &raw mut usage) };
        if waited == pid.cast_signed() {
            break;
        }
        let error = std::io::Error::last_os_error();
        ensure!(error.kind() == std::io::ErrorKind::Interrupted, "cannot wait for a process: {error}");
    }
    // Linux counts in KiB.
    Ok((ExitStatus::from_raw(status), usage.ru_maxrss.cast_unsigned() * 1024))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, with_works: bool) -> Result<Boot> {
        let mut command = limited("sh");
        command.args(["-c", script]);
        boot(&mut command, with_works)
    }

    #[test]
    fn a_boot_is_timed_by_its_console() {
        let boot =
            shell("echo hello; echo SHELL_READY; echo WORK a rc=0; echo '[1.0] x WORK b rc=0 guest_s=1'; echo WORK_DONE", true)
                .unwrap();
        assert!(boot.shell <= boot.whole && boot.works.is_some());
        let names: Vec<&str> = boot.each.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["a", "b"]);
        assert!(boot.each.iter().map(|&(_, took)| took).sum::<Duration>() <= boot.works.unwrap());
        assert!(boot.memory > 100_000, "a shell in {} bytes", boot.memory);
        assert!(shell("echo '[  1.0] x SHELL_READY'", false).unwrap().works.is_none());
    }

    #[test]
    fn what_goes_wrong_is_said() {
        for (script, with_works, expected) in [
            ("echo so far; echo because >&2; exit 3", false, "shell"),
            ("echo SHELL_READY; exit 3", false, "3"),
            ("echo SHELL_READY", true, "in the middle"),
            ("echo SHELL_READY; echo WORK_FAILED xz: status 1; echo WORK_DONE", true, "WORK_FAILED xz"),
        ] {
            let error = format!("{:#}", shell(script, with_works).unwrap_err());
            assert!(error.contains(expected), "{script}: {error}");
        }
        let error = format!("{:#}", shell("echo so far; echo because >&2; exit 3", false).unwrap_err());
        assert!(error.contains("so far") && error.contains("because"), "{error}");
    }
}
