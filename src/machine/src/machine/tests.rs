//! Machines: what is where before the first step.

use super::*;
use crate::testing::{Elf, Part};
use crate::{TreeError, map};
use cantus_isa::Width;

const RAM: u64 = RAM_BASE.0;
const MIB: u64 = 1 << 20;

fn machine(cores: u64, ram_bytes: u64, elf: &Elf) -> Result<Machine, MachineError> {
    let image = GuestImage::from_bytes("guest", elf.bytes()).unwrap();
    Machine::new(MachineConfig::new(cores, ram_bytes).unwrap(), &image.into())
}

#[test]
fn the_program_is_in_ram_and_the_rest_is_zero() {
    let elf = Elf::with(|elf| {
        elf.entry = RAM + 0x1000;
        elf.parts = vec![Part::at(RAM + 0x1000, &[0x11, 0x22, 0x33], 0x100), Part::at(RAM, &[0x44], 1)];
    });
    let machine = machine(3, 2 * MIB, &elf).unwrap();
    let ram = machine.ram();
    assert_eq!((ram.base(), ram.bytes()), (RAM_BASE, 2 * MIB));
    assert_eq!(ram.load(Gpa(RAM + 0x1000), Width::Word), 0x0033_2211);
    assert_eq!(ram.load(Gpa(RAM), Width::Double), 0x44);
    let written = ram.written_pages().map(|page| u64::from(page.0)).collect::<Vec<_>>();
    let tree = (machine.device_tree.0 - RAM) >> 12;
    assert_eq!(written[..3], [0, 1, tree], "only what is not zero is touched");
}

#[test]
fn every_hart_starts_at_the_entry_with_its_number_and_the_tree() {
    let elf = Elf::with(|elf| elf.entry = RAM + 4);
    let machine = machine(255, 128 * MIB, &elf).unwrap();
    for hart in [0, 1, 254] {
        let expected = ResetState { pc: RAM + 4, a0: u64::from(hart), a1: machine.device_tree.0, a2: 0 };
        assert_eq!(machine.reset_state(CoreId(hart)), expected);
    }
    assert_eq!(
        machine.ram().load(machine.device_tree, Width::Word),
        0xedfe_0dd0,
        "the magic number of a tree"
    );
}

#[test]
fn where_the_device_tree_goes() {
    // Its length, the RAM's, what is taken (from, to), where it goes; addresses of the latter two relative to RAM.
    type Row = (&'static str, u64, u64, &'static [(u64, u64)], Option<u64>);
    let table: [Row; 9] = [
        ("as on QEMU with 128 MiB", 0x1200, 128 * MIB, &[], Some(0x7e0_0000)),
        ("as on QEMU with 2 GiB: not beyond 3 GiB", 0x1200, 2048 * MIB, &[], Some(0x3fe0_0000)),
        ("exactly 2 MiB before the end", 2 * MIB, 128 * MIB, &[], Some(126 * MIB)),
        ("more than 2 MiB before the end", 2 * MIB + 1, 128 * MIB, &[], Some(124 * MIB)),
        ("too little RAM for 2 MiB", 0x1200, MIB, &[], Some(MIB - 0x2000)),
        ("below what is taken", 0x1200, 8 * MIB, &[(5 * MIB, 8 * MIB)], Some(4 * MIB)),
        ("in a gap", 0x1200, 8 * MIB, &[(0, 4 * MIB), (4 * MIB + 0x4000, 8 * MIB)], Some(4 * MIB)),
        ("below words near the end", 0x800, MIB, &[(0, 64), (MIB - 0x900, MIB - 0x8f8)], Some(MIB - 0x2000)),
        ("no room", 0x1200, MIB, &[(0, MIB - 0x1000)], None),
    ];
    for (what, length, ram, taken, expected) in table {
        let taken = taken.iter().map(|(from, to)| RAM + from..RAM + to).collect::<Vec<_>>();
        let found = device_tree::place(length, RAM..RAM + ram, &taken);
        assert_eq!(found, expected.map(|offset| RAM + offset), "{what}");
    }
}

#[test]
fn what_does_not_fit_is_refused_with_its_name() {
    let outside = |elf: Elf| match machine(1, MIB, &elf) {
        Err(error @ MachineError::Outside { .. }) => error.to_string(),
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("it was loaded"),
    };
    let table = [
        (
            Elf::with(|elf| {
                elf.entry = 0x10000;
                elf.parts = vec![Part::at(0x10000, &[1; 8], 8)];
            }),
            "guest: a segment lies at 0x10000..0x10008, expected in RAM at 0x80000000..0x80100000; is it a program for \
             an operating system? A bare-metal program is linked to run in RAM",
        ),
        (
            Elf::with(|elf| elf.parts[0].length = MIB + 1),
            "guest: a segment lies at 0x80000000..0x80100001, expected in RAM at 0x80000000..0x80100000; give the \
             machine more RAM",
        ),
        (
            Elf::with(|elf| elf.symbols = vec![("tohost", 0x1000, true, true)]),
            "guest: `tohost` lies at 0x1000..0x1008, expected in RAM",
        ),
        (
            Elf::with(|elf| {
                elf.symbols = vec![("tohost", RAM, true, true), ("fromhost", u64::MAX - 7, true, true)];
            }),
            "guest: `fromhost` lies at 0xfffffffffffffff8..",
        ),
        (
            Elf::with(|elf| {
                elf.symbols =
                    vec![("begin_signature", RAM, true, true), ("end_signature", RAM + 2 * MIB, true, true)];
            }),
            "guest: its signature lies at 0x80000000..0x80200000, expected in RAM",
        ),
    ];
    for (elf, expected) in table {
        let message = outside(elf);
        assert!(message.starts_with(expected), "{message}");
    }
    let full = Elf::with(|elf| elf.parts[0].length = MIB - 64);
    match machine(1, MIB, &full) {
        Err(MachineError::Tree { problem: TreeError::NoRoom { ram: MIB, .. }, .. }) => {}
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("there was room"),
    }
}

#[test]
fn htif_lies_over_ram_and_the_signature_is_read_from_it() {
    let elf = Elf::with(|elf| {
        elf.parts.push(Part::at(RAM + 0x1000, &[0xef, 0xbe, 0xad, 0xde, 1, 0, 0, 0], 0x100));
        elf.symbols = vec![
            ("tohost", RAM + 0x1080, true, true),
            ("begin_signature", RAM + 0x1000, true, true),
            ("end_signature", RAM + 0x100c, true, true),
        ];
    });
    let machine = machine(1, MIB, &elf).unwrap();
    assert!(machine.ram().is_plain(Gpa(RAM + 0x1078), 8));
    assert!(!machine.ram().is_plain(Gpa(RAM + 0x1080), 1));
    assert_eq!(machine.signature(Granularity::default()).unwrap(), "deadbeef\n00000001\n00000000\n");
    let without = self::machine(1, MIB, &Elf::default()).unwrap();
    assert_eq!(without.signature(Granularity::default()), None);
    assert_eq!(without.config().cores(), 1);
}

#[test]
fn the_memory_map() {
    use map::Device::*;
    let words = map::HtifWords { tohost: Gpa(RAM + 0x1000), fromhost: Some(Gpa(RAM + 0x1040)) };
    let table = [
        (0x10_0000, Width::Word, Some((Finisher, 0))),
        (0x10_0ffc, Width::Word, Some((Finisher, 0xffc))),
        (0x10_1000, Width::Word, Some((Rtc, 0))),
        (0x10_2000, Width::Word, None),
        (0x0f_fffc, Width::Double, None),
        (0x200_0000, Width::Word, Some((Clint, 0))),
        (0x200_bff8, Width::Double, Some((Clint, 0xbff8))),
        (0x200_bffc, Width::Double, None),
        (0xc00_0004, Width::Word, Some((Plic, 4))),
        (0xc5f_fffc, Width::Word, Some((Plic, 0x5f_fffc))),
        (0xc60_0000, Width::Word, None),
        (0x1000_0005, Width::Byte, Some((Uart, 5))),
        (0x1000_0005, Width::Half, None),
        (0x1000_0100, Width::Byte, None),
        (0x1000_1000, Width::Word, Some((Virtio(0), 0))),
        (0x1000_1ffc, Width::Double, None),
        (0x1000_8100, Width::Byte, Some((Virtio(7), 0x100))),
        (0x1000_8ff8, Width::Double, Some((Virtio(7), 0xff8))),
        (0x1000_9000, Width::Byte, None),
        (RAM + 0x1000, Width::Double, Some((Htif, 0))),
        (RAM + 0x1004, Width::Word, Some((Htif, 4))),
        (RAM + 0x1003, Width::Half, Some((Htif, 3))),
        (RAM + 0x1004, Width::Double, None),
        (RAM + 0x0fff, Width::Half, None),
        (RAM + 0x1040, Width::Double, Some((Htif, 8))),
        (RAM, Width::Word, None),
        (0, Width::Byte, None),
        (u64::MAX, Width::Byte, None),
        (u64::MAX - 3, Width::Double, None),
    ];
    for (address, width, expected) in table {
        assert_eq!(map::find(Gpa(address), width, Some(&words)), expected, "{width:?} at {address:#x}");
        let without = expected.filter(|(device, _)| *device != Htif);
        assert_eq!(map::find(Gpa(address), width, None), without, "{width:?} at {address:#x}, no HTIF");
    }
    for device in map::Device::all() {
        assert_eq!(map::Device::of(device.id()), Some(device), "{}", device.name());
    }
    assert_eq!(map::Device::of(cantus_traces::DeviceId(6)), None);
}

/// A tree as text: names indented, properties as strings where they are text, else as words.
fn text(tree: &[u8]) -> String {
    let word = |at: usize| u32::from_be_bytes(tree[at..at + 4].try_into().unwrap());
    let string = |at: usize| {
        let end = at + tree[at..].iter().position(|&byte| byte == 0).unwrap();
        std::str::from_utf8(&tree[at..end]).unwrap()
    };
    let (mut at, strings) = (word(8) as usize, word(12) as usize);
    let (mut text, mut depth) = (String::new(), 0);
    loop {
        let indent = "  ".repeat(depth);
        at += 4;
        match word(at - 4) {
            1 => {
                text += &format!("{indent}{}/\n", string(at));
                at = (at + string(at).len() + 4) & !3;
                depth += 1;
            }
            2 => depth -= 1,
            3 => {
                let (length, name) = (word(at) as usize, string(strings + word(at + 4) as usize));
                let value = &tree[at + 8..at + 8 + length];
                let is_text = value.len() > 1
                    && value.ends_with(&[0])
                    && value[0] != 0
                    && value.iter().all(|&byte| byte == 0 || byte.is_ascii_graphic());
                let shown = if is_text {
                    String::from_utf8_lossy(&value[..length - 1]).replace('\0', ", ")
                } else {
                    let words = value.chunks(4).map(|word| u32::from_be_bytes(word.try_into().unwrap()));
                    words.map(|word| format!("{word:x}")).collect::<Vec<_>>().join(" ")
                };
                text += format!("{indent}{name} = {shown}").trim_end();
                text += "\n";
                at = (at + 8 + length + 3) & !3;
            }
            9 => return text,
            other => panic!("token {other} at {at:#x}"),
        }
    }
}

/// Names and compatible strings are what QEMU 7.2's `virt` board shows (`-machine virt,dumpdtb=`), of what is here.
#[test]
fn the_device_tree_of_two_harts() {
    let tree = device_tree::write(&MachineConfig::new(2, 128 * MIB).unwrap(), None).unwrap();
    let expected = "\
/
  #address-cells = 2
  #size-cells = 2
  compatible = riscv-virtio
  model = riscv-virtio,cantus
  chosen/
    stdout-path = /soc/serial@10000000
  memory@80000000/
    device_type = memory
    reg = 0 80000000 0 8000000
  cpus/
    #address-cells = 1
    #size-cells = 0
    timebase-frequency = 989680
    cpu@0/
      device_type = cpu
      reg = 0
      status = okay
      compatible = riscv
      riscv,isa = rv64imafdc_zicbom_zicboz_zicntr_zicond_zicsr_zifencei_zihintpause_zihpm_zba_zbb_zbs_sstc_svadu_svinval_svnapot_svpbmt
      riscv,isa-base = rv64i
      riscv,isa-extensions = i, m, a, f, d, c, zicbom, zicboz, zicntr, zicond, zicsr, zifencei, zihintpause, zihpm, zba, zbb, zbs, sstc, svadu, svinval, svnapot, svpbmt
      riscv,cbom-block-size = 40
      riscv,cboz-block-size = 40
      mmu-type = riscv,sv48
      interrupt-controller/
        #interrupt-cells = 1
        interrupt-controller =
        compatible = riscv,cpu-intc
        phandle = 1
    cpu@1/
      device_type = cpu
      reg = 1
      status = okay
      compatible = riscv
      riscv,isa = rv64imafdc_zicbom_zicboz_zicntr_zicond_zicsr_zifencei_zihintpause_zihpm_zba_zbb_zbs_sstc_svadu_svinval_svnapot_svpbmt
      riscv,isa-base = rv64i
      riscv,isa-extensions = i, m, a, f, d, c, zicbom, zicboz, zicntr, zicond, zicsr, zifencei, zihintpause, zihpm, zba, zbb, zbs, sstc, svadu, svinval, svnapot, svpbmt
      riscv,cbom-block-size = 40
      riscv,cboz-block-size = 40
      mmu-type = riscv,sv48
      interrupt-controller/
        #interrupt-cells = 1
        interrupt-controller =
        compatible = riscv,cpu-intc
        phandle = 2
  poweroff/
    compatible = syscon-poweroff
    regmap = 4
    offset = 0
    value = 5555
  reboot/
    compatible = syscon-reboot
    regmap = 4
    offset = 0
    value = 7777
  soc/
    #address-cells = 2
    #size-cells = 2
    compatible = simple-bus
    ranges =
    test@100000/
      compatible = sifive,test1, sifive,test0, syscon
      reg = 0 100000 0 1000
      phandle = 4
    clint@2000000/
      compatible = sifive,clint0, riscv,clint0
      reg = 0 2000000 0 10000
      interrupts-extended = 1 3 1 7 2 3 2 7
    plic@c000000/
      compatible = sifive,plic-1.0.0, riscv,plic0
      reg = 0 c000000 0 600000
      #address-cells = 0
      #interrupt-cells = 1
      interrupt-controller =
      interrupts-extended = 1 b 1 9 2 b 2 9
      riscv,ndev = 60
      phandle = 3
    serial@10000000/
      compatible = ns16550a
      reg = 0 10000000 0 100
      interrupts = a
      interrupt-parent = 3
      clock-frequency = 384000
    virtio_mmio@10001000/
      compatible = virtio,mmio
      reg = 0 10001000 0 1000
      interrupts = 1
      interrupt-parent = 3
    virtio_mmio@10002000/
      compatible = virtio,mmio
      reg = 0 10002000 0 1000
      interrupts = 2
      interrupt-parent = 3
    virtio_mmio@10003000/
      compatible = virtio,mmio
      reg = 0 10003000 0 1000
      interrupts = 3
      interrupt-parent = 3
    virtio_mmio@10004000/
      compatible = virtio,mmio
      reg = 0 10004000 0 1000
      interrupts = 4
      interrupt-parent = 3
    virtio_mmio@10005000/
      compatible = virtio,mmio
      reg = 0 10005000 0 1000
      interrupts = 5
      interrupt-parent = 3
    virtio_mmio@10006000/
      compatible = virtio,mmio
      reg = 0 10006000 0 1000
      interrupts = 6
      interrupt-parent = 3
    virtio_mmio@10007000/
      compatible = virtio,mmio
      reg = 0 10007000 0 1000
      interrupts = 7
      interrupt-parent = 3
    virtio_mmio@10008000/
      compatible = virtio,mmio
      reg = 0 10008000 0 1000
      interrupts = 8
      interrupt-parent = 3
    rtc@101000/
      compatible = google,goldfish-rtc
      reg = 0 101000 0 1000
      interrupts = b
      interrupt-parent = 3
";
    assert_eq!(text(&tree), expected);
    let most = device_tree::write(&MachineConfig::new(255, MIB).unwrap(), None).unwrap();
    assert_eq!(text(&most).matches("riscv,cpu-intc").count(), 255);
    assert!((most.len() as u64) < MIB / 4, "the largest tree leaves room in the smallest RAM");
}

fn kernel_boot(kernel: &[u8], initrd: Option<Vec<u8>>) -> Boot {
    Boot::Kernel(Box::new(KernelBoot {
        firmware: KernelBoot::own_firmware().unwrap(),
        kernel: GuestImage::kernel_from_bytes("kernel", kernel.to_vec()).unwrap(),
        initrd,
        command_line: "console=ttyS0".to_owned(),
        seed: [7; 32],
    }))
}

#[test]
fn a_kernel_lies_behind_the_firmware_with_its_initrd_below_the_tree() {
    let config = MachineConfig::new(3, 64 * MIB).unwrap();
    let machine = Machine::new(config, &kernel_boot(&[0x6f, 0, 0, 0], Some(vec![0xab; 5000]))).unwrap();
    let ram = machine.ram();
    let info = RAM + 0x17_f000;
    let expected = ResetState { pc: RAM, a0: 2, a1: machine.device_tree.0, a2: info };
    assert_eq!(machine.reset_state(CoreId(2)), expected);
    let words: Vec<u64> = (0..8).map(|word| ram.load(Gpa(info + 8 * word), Width::Double)).collect();
    assert_eq!(words, [0x4942_534f, 2, RAM + 2 * MIB, 1, 0, 0, 3, RAM + 64 * MIB]);
    assert_eq!(ram.load(Gpa(RAM + 2 * MIB), Width::Word), 0x6f);
    // The last 2 MiB are the tree's; the initrd ends there, and begins at a page.
    let initrd = RAM + 60 * MIB;
    let initrd = initrd + 2 * MIB - 0x2000;
    assert_eq!(ram.load(Gpa(initrd), Width::Byte), 0xab);
    assert_eq!(ram.load(Gpa(initrd + 4999), Width::Byte), 0xab);
    assert_eq!(machine.device_tree.0, RAM + 62 * MIB);
    let mut tree = vec![0; 0x2000];
    ram.read(machine.device_tree, &mut tree);
    let has = |bytes: &[u8]| tree.windows(bytes.len()).any(|window| window == bytes);
    for bytes in [
        &b"console=ttyS0\0"[..],
        &initrd.to_be_bytes(),
        &(initrd + 5000).to_be_bytes(),
        &[7; 32],
        b"no-map\0",
    ] {
        assert!(has(bytes), "{bytes:x?}");
    }
}

#[test]
fn what_a_kernel_needs_must_fit() {
    let machine = |ram, boot: &Boot| match Machine::new(MachineConfig::new(1, ram).unwrap(), boot) {
        Ok(_) => "fits".to_owned(),
        Err(error) => error.to_string(),
    };
    let small = kernel_boot(&[1], Some(vec![1; 5 << 20]));
    assert!(machine(8 * MIB, &small).contains("the initrd of 0x500000 bytes does not fit"));
    assert_eq!(machine(16 * MIB, &small), "fits");
    assert!(machine(MIB, &kernel_boot(&[1], None)).contains("give the machine more RAM"));
    let below = Elf::with(|elf| {
        elf.entry = RAM + 0x1000;
        elf.parts = vec![Part::at(RAM + 0x1000, &[1], 1)];
    });
    assert!(machine(8 * MIB, &kernel_boot(&below.bytes(), None)).contains("overlaps the firmware"));
    let zero = kernel_boot(&[1], None);
    let Boot::Kernel(mut boot) = zero else { unreachable!("it is a kernel") };
    boot.command_line = "a\0b".to_owned();
    assert!(machine(8 * MIB, &Boot::Kernel(boot)).contains("zero byte"));
}
