//! Runs the built binary with a trace folder of its own.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use assert_cmd::cargo::CommandCargoExt;
use tempfile::TempDir;

/// A trace folder, and the tool that uses it.
pub struct Tool {
    folder: TempDir,
}

/// What a command left.
pub struct Done {
    pub status: i32,
    pub out: String,
    pub err: String,
}

impl Tool {
    pub fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    /// The trace folder.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A path in the trace folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder().join(name)
    }

    /// A command with nothing of this process's environment that the tool looks at.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::cargo_bin("cantus").unwrap();
        for name in ["COLUMNS", "LINES", "NO_COLOR", "CLICOLOR_FORCE", "CANTUS_LOG", "XDG_DATA_HOME"] {
            command.env_remove(name);
        }
        command.env("CANTUS_TRACE_DIR", self.folder()).stdin(Stdio::null()).args(arguments);
        command
    }

    /// Runs it to its end.
    pub fn run(&self, arguments: &[&str]) -> Done {
        done(&self.command(arguments).output().unwrap())
    }

    /// Runs it and gives what it wrote; it must succeed.
    pub fn ok(&self, arguments: &[&str]) -> String {
        let done = self.run(arguments);
        assert_eq!(done.status, 0, "{arguments:?}: {}{}", done.out, done.err);
        done.out
    }

    /// Runs it and gives what it wrote, as JSON.
    pub fn json(&self, arguments: &[&str]) -> serde_json::Value {
        serde_json::from_str(&self.run(arguments).out).unwrap()
    }

    /// Records a guest and gives its status.
    pub fn record(&self, guest: &str, arguments: &[&str]) -> i32 {
        let elf = elf(guest);
        self.run(&[&["record", "-q", &elf], arguments].concat()).status
    }
}

pub fn done(output: &Output) -> Done {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    Done {
        status: output.status.code().expect("it ends by itself"),
        out: text(&output.stdout),
        err: text(&output.stderr),
    }
}

/// The committed guest with this name.
pub fn elf(guest: &str) -> String {
    format!("{}/../../tests/guests/riscv64/elf/{guest}.elf", env!("CARGO_MANIFEST_DIR"))
}
