//! Boots the Linux guests under QEMU: whether they work can be seen on an independent machine.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

pub const PROGRAM: &str = "qemu-system-riscv64";
/// A boot and its works take so long at most, in seconds.
const SECONDS_MAX: &str = "1200";
const CORES: usize = 4;

/// A machine to boot.
pub struct Machine {
    /// The kernel's image.
    pub kernel: PathBuf,
    /// The initramfs.
    pub initramfs: PathBuf,
    /// The root image, if it has a disk. Nothing is written to it.
    pub root: Option<PathBuf>,
    /// How many cores.
    pub cores: usize,
    /// What `/init` is asked for, in words of the kernel's command line.
    pub words: String,
}

impl Machine {
    /// The kernel's command line.
    pub fn append(&self) -> String {
        format!("console=ttyS0 {}", self.words)
    }

    /// The arguments for QEMU's `virt` board with every core on a thread of its own, and the console on standard output.
    pub fn arguments(&self) -> Vec<OsString> {
        let mut arguments: Vec<OsString> = ["-machine", "virt", "-m", "1G", "-accel", "tcg,thread=multi"]
            .into_iter()
            .chain(["-display", "none", "-monitor", "none", "-serial", "stdio", "-no-reboot"])
            .map(Into::into)
            .collect();
        arguments.extend(["-smp".into(), self.cores.to_string().into()]);
        arguments.extend(["-kernel".into(), self.kernel.clone().into()]);
        arguments.extend(["-initrd".into(), self.initramfs.clone().into()]);
        arguments.extend(["-append".into(), self.append().into()]);
        if let Some(root) = &self.root {
            let mut drive = OsString::from("if=none,id=root,format=raw,snapshot=on,file=");
            // QEMU ends a value at a comma that stands alone.
            drive.push(root.to_string_lossy().replace(',', ",,"));
            arguments.extend([
                "-drive".into(),
                drive,
                "-device".into(),
                "virtio-blk-device,drive=root".into(),
            ]);
        }
        arguments
    }
}

/// QEMU's version, as it prints it.
pub fn version() -> Result<String> {
    let output = Command::new(PROGRAM)
        .arg("--version")
        .output()
        .with_context(|| format!("cannot run {PROGRAM} (Debian package qemu-system-misc)"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(text.lines().next().unwrap_or_default().to_owned())
}

/// Boots a kernel with every number of works asked for, prints what they say, and fails if one of them did.
pub fn try_out(kernel: &Path, initramfs: &Path, root: Option<PathBuf>, autorun: &str) -> Result<()> {
    let machine = Machine {
        kernel: kernel.to_owned(),
        initramfs: initramfs.to_owned(),
        root,
        cores: CORES,
        words: format!("autorun={autorun}"),
    };
    println!("{} on {CORES} cores of QEMU, autorun={autorun}", kernel.display());
    let output = Command::new("timeout")
        .args([SECONDS_MAX, PROGRAM])
        .args(machine.arguments())
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("cannot run {PROGRAM} under `timeout`"))?;
    let console = String::from_utf8_lossy(&output.stdout);
    let begin = console.find("CPUS_ONLINE").unwrap_or_else(|| tail(&console, 4000));
    println!("{}", console[begin..].trim_end());
    succeeded(&console).with_context(|| format!("{PROGRAM} ended with {}", output.status))
}

/// Where the last so many bytes begin, or a little later.
fn tail(text: &str, bytes: usize) -> usize {
    (text.len().saturating_sub(bytes)..=text.len()).find(|&at| text.is_char_boundary(at)).unwrap_or_default()
}

/// Whether a console says that all went well: all cores came up, and every work ended without a failure; or the one bug did.
fn succeeded(console: &str) -> Result<()> {
    let says = |text: &str| console.lines().any(|line| line.trim_start().starts_with(text));
    ensure!(says(&format!("CPUS_ONLINE {CORES}")), "not all of the {CORES} cores came up");
    ensure!(says("SHELL_READY"), "it did not come as far as its shell");
    ensure!(!says("WORK_FAILED"), "a work failed");
    ensure!(says("WORK_DONE") || says("BUG_EXIT"), "it ended in the middle of its works");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_console_tells_how_it_went() {
        let good = "[ 0.1] x\r\nCPUS_ONLINE 4\r\nSHELL_READY\r\nWORK xz rc=0 guest_s=1.00\r\nWORK_DONE ok=1 failed=0\r\n";
        succeeded(good).unwrap();
        for (from, to) in
            [("ONLINE 4", "ONLINE 3"), ("WORK_DONE", "Oops"), ("WORK xz rc=0", "WORK_FAILED xz")]
        {
            assert!(succeeded(&good.replace(from, to)).is_err(), "{to}");
        }
    }

    #[test]
    fn a_comma_in_a_path_is_no_end() {
        let machine = Machine {
            kernel: "k".into(),
            initramfs: "i".into(),
            root: Some("a,b".into()),
            cores: 2,
            words: "autorun=off".to_owned(),
        };
        let arguments = machine.arguments();
        assert!(
            arguments.iter().any(|argument| argument.to_string_lossy().ends_with("file=a,,b")),
            "{arguments:?}"
        );
        assert!(arguments.contains(&"console=ttyS0 autorun=off".into()));
    }
}
