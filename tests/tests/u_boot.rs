//! Software for QEMU's board that knows nothing of Cantus: Debian's U-Boot, in machine mode on its own, and in supervisor
//! mode behind firmware. It finds the board in the device tree, waits by the clock, reads a drive, and switches off, or
//! starts a kernel that it has read.

use cantus::{
    Captured, Drive, Executor, Guest, GuestFile, Input, KernelStart, Options, Outcome, Output, Peripheral,
    Peripherals,
};
use cantus_tests::linux::{boot_drive, debian, opensbi, record, shown, verify, verify_by};

/// Line ends that are typed first. Setting the serial port up loses what that holds, and looking for a key that stops it
/// from booting takes one: these are more than can be lost.
const LINE_ENDS: usize = 48;
/// The commands after them: one that reads a drive.
const READS: [&str; 4] = [
    "virtio scan\n",
    "virtio read 0x81000000 0 10000\n",
    "itest.b *0x81000000 == 0 && itest.b *0x82ffffff == ff && echo sectors are right\n",
    "poweroff\n",
];
/// And one that starts a kernel from a file system, and writes into the device tree where that lies.
const STARTS: [&str; 5] = [
    "virtio scan\n",
    "load virtio 0 ${kernel_addr_r} Image\n",
    "load virtio 0 ${ramdisk_addr_r} initramfs.cpio\n",
    "setenv bootargs console=ttyS0 autorun=off modules=no\n",
    "booti ${kernel_addr_r} ${ramdisk_addr_r}:${filesize} ${fdtcontroladdr}\n",
];

/// Steps after which a guest that waits for more is given up.
const STEPS_MAX: u64 = 1_000_000_000;

/// A file of Debian's package `u-boot-qemu`.
fn u_boot(file: &str) -> GuestFile {
    let path = format!("/usr/lib/u-boot/{file}");
    GuestFile::open(&path)
        .unwrap_or_else(|error| panic!("{path}: {error}: install Debian's package u-boot-qemu"))
}

/// In machine mode, where every hart starts.
fn machine_mode() -> Guest {
    Guest::of_file(u_boot("qemu-riscv64/uboot.elf"), None)
}

/// In supervisor mode, behind this firmware, or behind Cantus's own.
fn supervisor_mode(firmware: Option<GuestFile>) -> Guest {
    let start = KernelStart { initrd: None, command_line: String::new(), firmware };
    Guest::of_file(u_boot("qemu-riscv64_smode/u-boot.bin"), Some(start))
}

fn typed(commands: &[&str]) -> Input {
    Input::Bytes(("\n".repeat(LINE_ENDS) + &commands.concat()).into_bytes())
}

/// Sectors of the drive, which it reads by one request.
const SECTORS: usize = 0x10000;

/// Records it with a drive every byte of whose sector n is n, cut to eight bits, and verifies that.
fn works(guest: &Guest, cores: usize, is_legacy: bool) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("u-boot.cantus");
    let image =
        GuestFile::new("image", (0..SECTORS).flat_map(|sector| [sector as u8; 512]).collect::<Vec<u8>>());
    let drive = Peripheral::Drive(Drive { image, read_only: false, write_through: None });
    let console = Captured::default();
    let options = Options {
        cores,
        peripherals: Peripherals { slots: vec![drive], is_legacy },
        input: typed(&READS),
        steps_max: Some(STEPS_MAX),
        output: Output::Captured(console.clone()),
        ..Options::default()
    };
    let recorded = cantus::record(guest, &options, &path, false).expect("it can be recorded");
    let console = shown(&console);
    assert_eq!(recorded.outcome, Outcome::Exit(0), "{console}");
    for word in ["U-Boot 20", "65536 blocks read: OK", "\nsectors are right", "poweroff ..."] {
        assert!(console.contains(word), "{word} is missing:\n{console}");
    }
    verify_by(Executor::Interp, &path);
}

#[test]
fn in_machine_mode_on_one_core_and_on_four() {
    works(&machine_mode(), 1, true);
    works(&machine_mode(), 4, false);
}

#[test]
fn in_supervisor_mode_behind_either_firmware() {
    works(&supervisor_mode(None), 2, false);
    works(&supervisor_mode(Some(opensbi())), 2, true);
}

#[test]
fn it_starts_linux_from_a_file_system() {
    let folder = tempfile::tempdir().unwrap();
    let (_, options, console) = debian(2, "");
    let peripherals =
        Peripherals { slots: vec![Peripheral::Drive(boot_drive(folder.path()))], is_legacy: false };
    let options = Options { peripherals, input: typed(&STARTS), steps_max: Some(4 * STEPS_MAX), ..options };
    let (path, _) = record((supervisor_mode(None), options, console), folder.path());
    verify(&path);
}
