//! The device tree: what tells a program which board it is on.
//!
//! Names and compatible strings are those of QEMU's `virt` board, so that programs find what they know. The tree
//! depends on the configuration alone: no random seed, no time.

use crate::MachineConfig;
use crate::map::{CLINT, FINISHER, PLIC, RAM_BASE, UART, UART_SOURCE};
use crate::peripherals;
use cantus_devices::plic;
use cantus_engine::TICKS_PER_SECOND;
use cantus_isa::address::CACHE_BLOCK_SIZE;
use std::ops::Range;
use thiserror::Error;
use vm_fdt::FdtWriter;

/// What every hart implements, as device trees and `-march` spell it.
///
/// Zawrs is there and not named: a guest that knows of it waits for locks with it, and not with `pause`, by which the
/// scheduler sees that a core spins.
pub const ISA: &str = "rv64imafdc_zicbom_zicboz_zicntr_zicond_zicsr_zifencei_zihintpause_zihpm_zba_zbb_zbs_sstc_svadu_\
                       svinval_svnapot_svpbmt";
/// The base of it, as the newer properties of device trees spell it.
const ISA_BASE: &str = "rv64i";

/// The extensions, of one letter and of several, each on its own.
fn extensions() -> Vec<String> {
    let (letters, names) = ISA.trim_start_matches("rv64").split_once('_').unwrap_or((ISA, ""));
    letters.chars().map(String::from).chain(names.split('_').map(String::from)).collect()
}

/// The tree cannot be had.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum TreeError {
    /// The writer refuses.
    #[error("the device tree cannot be written: {0}")]
    Write(String),
    /// There is no room for it.
    #[error(
        "the program leaves no room for the device tree of {tree:#x} bytes in the {ram:#x} bytes of RAM; expected \
         a smaller program or more RAM"
    )]
    NoRoom {
        /// Its size.
        tree: u64,
        /// Size of the RAM.
        ram: u64,
    },
}

impl From<vm_fdt::Error> for TreeError {
    fn from(error: vm_fdt::Error) -> Self {
        TreeError::Write(error.to_string())
    }
}

/// Interrupts of a hart's local controller (Privileged Architecture 1.12, table of `mcause` values).
const SOFTWARE: u32 = 3;
const TIMER: u32 = 7;
const SUPERVISOR_EXTERNAL: u32 = 9;
const MACHINE_EXTERNAL: u32 = 11;

/// Frequency of the UART's clock, of which nothing depends here.
const UART_HERTZ: u32 = 3_686_400;

/// What a kernel is told beside the machine itself.
pub(crate) struct Chosen<'a> {
    /// Its command line.
    pub command_line: &'a str,
    /// Where its initial RAM disk lies.
    pub initrd: Option<Range<u64>>,
    /// What seeds its random numbers.
    pub seed: [u8; 32],
    /// RAM that it must leave alone.
    pub reserved: Range<u64>,
}

/// Bytes at the end of the tree for what comes to it later: boot loaders write into it where it lies.
const ROOM_BYTES: usize = 1024;

/// The tree with room at its end: its total size, the second word of the header, says so (Devicetree Specification 0.4,
/// section 5.2).
fn with_room(mut tree: Vec<u8>) -> Vec<u8> {
    let size = (tree.len() + ROOM_BYTES).next_multiple_of(8);
    tree.resize(size, 0);
    tree[4..8].copy_from_slice(&(size as u32).to_be_bytes());
    tree
}

/// The tree of a machine, with what its kernel is told.
pub(crate) fn write(config: &MachineConfig, chosen: Option<&Chosen<'_>>) -> Result<Vec<u8>, TreeError> {
    let harts = config.cores() as u32;
    // A hart's interrupt controller is the one of its number plus one; then come the board's own nodes.
    let controller = |hart: u32| hart + 1;
    let (plic_node, finisher_node) = (harts + 1, harts + 2);

    let mut tree = FdtWriter::new()?;
    let root = tree.begin_node("")?;
    tree.property_u32("#address-cells", 2)?;
    tree.property_u32("#size-cells", 2)?;
    tree.property_string("compatible", "riscv-virtio")?;
    tree.property_string("model", "riscv-virtio,cantus")?;

    let node = tree.begin_node("chosen")?;
    tree.property_string("stdout-path", &format!("/soc/serial@{:x}", UART.start))?;
    if let Some(chosen) = chosen {
        write_chosen(&mut tree, chosen)?;
    }
    tree.end_node(node)?;

    if let Some(chosen) = chosen {
        let parent = tree.begin_node("reserved-memory")?;
        tree.property_u32("#address-cells", 2)?;
        tree.property_u32("#size-cells", 2)?;
        tree.property_null("ranges")?;
        let Range { start, end } = chosen.reserved;
        let firmware = tree.begin_node(&format!("firmware@{start:x}"))?;
        tree.property_array_u64("reg", &[start, end - start])?;
        tree.property_null("no-map")?;
        tree.end_node(firmware)?;
        tree.end_node(parent)?;
    }

    let memory = tree.begin_node(&format!("memory@{:x}", RAM_BASE.0))?;
    tree.property_string("device_type", "memory")?;
    tree.property_array_u64("reg", &[RAM_BASE.0, config.ram_bytes()])?;
    tree.end_node(memory)?;

    let cpus = tree.begin_node("cpus")?;
    tree.property_u32("#address-cells", 1)?;
    tree.property_u32("#size-cells", 0)?;
    tree.property_u32("timebase-frequency", TICKS_PER_SECOND as u32)?;
    for hart in 0..harts {
        let cpu = tree.begin_node(&format!("cpu@{hart:x}"))?;
        tree.property_string("device_type", "cpu")?;
        tree.property_u32("reg", hart)?;
        tree.property_string("status", "okay")?;
        tree.property_string("compatible", "riscv")?;
        tree.property_string("riscv,isa", ISA)?;
        tree.property_string("riscv,isa-base", ISA_BASE)?;
        tree.property_string_list("riscv,isa-extensions", extensions())?;
        tree.property_u32("riscv,cbom-block-size", CACHE_BLOCK_SIZE as u32)?;
        tree.property_u32("riscv,cboz-block-size", CACHE_BLOCK_SIZE as u32)?;
        tree.property_string("mmu-type", "riscv,sv48")?;
        let local = tree.begin_node("interrupt-controller")?;
        tree.property_u32("#interrupt-cells", 1)?;
        tree.property_null("interrupt-controller")?;
        tree.property_string("compatible", "riscv,cpu-intc")?;
        tree.property_phandle(controller(hart))?;
        tree.end_node(local)?;
        tree.end_node(cpu)?;
    }
    tree.end_node(cpus)?;

    for (name, value) in [("poweroff", 0x5555), ("reboot", 0x7777)] {
        let node = tree.begin_node(name)?;
        tree.property_string("compatible", &format!("syscon-{name}"))?;
        tree.property_u32("regmap", finisher_node)?;
        tree.property_u32("offset", 0)?;
        tree.property_u32("value", value)?;
        tree.end_node(node)?;
    }

    let soc = tree.begin_node("soc")?;
    tree.property_u32("#address-cells", 2)?;
    tree.property_u32("#size-cells", 2)?;
    tree.property_string("compatible", "simple-bus")?;
    tree.property_null("ranges")?;

    let node = begin_device(&mut tree, "test", &FINISHER, &["sifive,test1", "sifive,test0", "syscon"])?;
    tree.property_phandle(finisher_node)?;
    tree.end_node(node)?;

    let node = begin_device(&mut tree, "clint", &CLINT, &["sifive,clint0", "riscv,clint0"])?;
    let wires = (0..harts).flat_map(|hart| [controller(hart), SOFTWARE, controller(hart), TIMER]);
    tree.property_array_u32("interrupts-extended", &wires.collect::<Vec<_>>())?;
    tree.end_node(node)?;

    let node = begin_device(&mut tree, "plic", &PLIC, &["sifive,plic-1.0.0", "riscv,plic0"])?;
    tree.property_u32("#address-cells", 0)?;
    tree.property_u32("#interrupt-cells", 1)?;
    tree.property_null("interrupt-controller")?;
    let wires = (0..harts)
        .flat_map(|hart| [controller(hart), MACHINE_EXTERNAL, controller(hart), SUPERVISOR_EXTERNAL]);
    tree.property_array_u32("interrupts-extended", &wires.collect::<Vec<_>>())?;
    tree.property_u32("riscv,ndev", plic::registers::SOURCE_MAX)?;
    tree.property_phandle(plic_node)?;
    tree.end_node(node)?;

    let node = begin_device(&mut tree, "serial", &UART, &["ns16550a"])?;
    tree.property_u32("interrupts", UART_SOURCE)?;
    tree.property_u32("interrupt-parent", plic_node)?;
    tree.property_u32("clock-frequency", UART_HERTZ)?;
    tree.end_node(node)?;

    peripherals::write_nodes(&mut tree, plic_node)?;

    tree.end_node(soc)?;
    tree.end_node(root)?;
    Ok(with_room(tree.finish()?))
}

/// Properties of /chosen (Documentation/devicetree/bindings/chosen.txt of Linux).
fn write_chosen(tree: &mut FdtWriter, chosen: &Chosen<'_>) -> Result<(), TreeError> {
    if chosen.command_line.contains('\0') {
        return Err(TreeError::Write("the kernel's command line has a zero byte in it".into()));
    }
    tree.property_string("bootargs", chosen.command_line)?;
    tree.property("rng-seed", &chosen.seed)?;
    if let Some(initrd) = &chosen.initrd {
        tree.property_u64("linux,initrd-start", initrd.start)?;
        tree.property_u64("linux,initrd-end", initrd.end)?;
    }
    Ok(())
}

pub(crate) fn begin_device(
    tree: &mut FdtWriter,
    name: &str,
    range: &Range<u64>,
    compatible: &[&str],
) -> Result<vm_fdt::FdtWriterNode, TreeError> {
    let node = tree.begin_node(&format!("{name}@{:x}", range.start))?;
    let compatible = compatible.iter().map(|&name| name.to_owned()).collect();
    tree.property_string_list("compatible", compatible)?;
    tree.property_array_u64("reg", &[range.start, range.end - range.start])?;
    Ok(node)
}

/// Where QEMU puts the tree of a 64-bit machine whose RAM begins below 3 GiB: not beyond that.
pub(crate) const END_MAX: u64 = 3 << 30;
const ALIGNMENT: u64 = 2 << 20;
/// Where 2 MiB are too coarse.
const ALIGNMENT_SMALL: u64 = 4096;

/// Where a tree of so many bytes goes: as on QEMU at the last multiple of 2 MiB from which it fits before the end of
/// RAM or 3 GiB, whichever comes first; but never over a range in `taken`, which it avoids downwards, in steps of a
/// page where RAM is too small for 2 MiB. `None` where there is no room.
pub(crate) fn place(length: u64, ram: Range<u64>, taken: &[Range<u64>]) -> Option<u64> {
    let mut end = ram.end.min(END_MAX);
    loop {
        let last = end.checked_sub(length)?;
        let coarse = last & !(ALIGNMENT - 1);
        let start = if coarse > ram.start { coarse } else { last & !(ALIGNMENT_SMALL - 1) };
        if start < ram.start {
            return None;
        }
        let overlaps = |range: &&Range<u64>| range.start < start + length && start < range.end;
        match taken.iter().filter(overlaps).map(|range| range.start).min() {
            None => return Some(start),
            Some(below) => end = below,
        }
    }
}
