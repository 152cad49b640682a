//! The executors against QEMU: random instruction streams end with the same registers, flags, traps and memory; random
//! programs, in S-mode under page tables that they change, with the same memory and the same page tables.

use cantus::{Captured, Executor, Guest, Options, Outcome, Output, run};
use cantus_tests::generator::{Program, layout};
use cantus_tests::streams::{Chooser, Stream, image, words};
use std::path::Path;
use std::process::Command;

const QEMU: &str = "qemu-system-riscv64";
/// RV64GC with what streams and programs ask for beyond it. QEMU 7.2 has neither Zicond nor Zicbom, Zicboz and Zawrs.
const CPU: &str = "rv64,zba=on,zbb=on,zbs=on,sstc=on,svinval=on,svnapot=on,svpbmt=on";
/// With one hart alone, QEMU makes loads and stores of atomics, whose faults then are a load's. The second one sleeps.
const HARTS: &str = "2";
/// Streams of an image.
const STREAMS: usize = 250;
/// Instructions of a stream.
const LENGTH: usize = 40;

/// What ours print: the interpreter, and a mixture with code that is translated when it is executed first.
fn ours(elf: &[u8]) -> Vec<u8> {
    let [interpreted, mixed] = [Executor::Interp, Executor::Mixed].map(|executor| {
        let captured = Captured::default();
        let output = Output::Captured(captured.clone());
        let options = Options { ram_bytes: 16 << 20, executor, output, ..Options::default() };
        let ran = run(&Guest::new("streams", elf), &options).expect("the image is a program");
        assert_eq!(ran.outcome, Outcome::Exit(0), "{executor:?}");
        captured.bytes()
    });
    assert!(interpreted == mixed, "REP-2: what is translated prints something else");
    interpreted
}

/// What QEMU prints.
fn theirs(elf: &[u8], name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let (program, printed) = (folder.join(format!("{name}.elf")), folder.join(format!("{name}.out")));
    std::fs::write(&program, elf).expect("the test's folder can be written");
    let status = Command::new("timeout")
        .args(["120", QEMU, "-M", "virt", "-cpu", CPU, "-m", "16", "-smp", HARTS, "-bios", "none", "-kernel"])
        .arg(&program)
        .args(["-display", "none", "-monitor", "none", "-serial"])
        .arg(format!("file:{}", printed.display()))
        .status()
        .expect("coreutils' timeout starts");
    assert!(
        status.success(),
        "{QEMU} ended with {status}. This test compares with it: install Debian's qemu-system-misc"
    );
    std::fs::read(&printed).expect("QEMU has written what the guest printed")
}

fn compare(seed: u64) {
    let mut chooser = Chooser::new(seed);
    let streams: Vec<Stream> = (0..STREAMS).map(|_| chooser.stream(LENGTH)).collect();
    let elf = image(&streams, seed);
    let (ours, theirs) = (ours(&elf), theirs(&elf, &format!("streams-{seed}")));
    assert_eq!(ours.len(), theirs.len(), "seed {seed}");
    let words = words();
    let mut differences = String::new();
    for ((at, ours), theirs) in ours.chunks(8).enumerate().zip(theirs.chunks(8)) {
        if ours == theirs {
            continue;
        }
        let number = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().expect("words of eight bytes"));
        let (ours, theirs) = (number(ours), number(theirs));
        let Some(stream) = streams.get(at / words.len()) else {
            differences += &format!("memory: ours {ours:#018x}, QEMU's {theirs:#018x}\n");
            continue;
        };
        let word = words[at % words.len()];
        let first = !differences.contains(&format!("stream {}:", at / words.len()));
        differences +=
            &format!("stream {}: {word:?}: ours {ours:#018x}, QEMU's {theirs:#018x}\n", at / words.len());
        if first {
            for word in &words {
                differences += &format!("    {word:?} was {:#x}\n", stream.begins_with(*word));
            }
            differences += &stream.text();
        }
    }
    assert!(differences.is_empty(), "seed {seed}:\n{differences}");
}

#[test]
fn rep_2_streams_of_seeds_0_to_7() {
    (0..8).for_each(compare);
}

#[test]
fn rep_2_streams_of_seeds_8_to_15() {
    (8..16).for_each(compare);
}

/// Programs of a test.
const PROGRAMS: u64 = 30;

fn compare_program(seed: u64) {
    let program = Program::portable(seed, 60);
    let elf = program.elf();
    let (ours, theirs) = (ours(&elf), theirs(&elf, &format!("program-{seed}")));
    assert_eq!(ours.len(), theirs.len(), "seed {seed}");
    let number = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().expect("words of eight bytes"));
    let differences: Vec<String> = ours
        .chunks(8)
        .zip(theirs.chunks(8))
        .zip(layout::PRINTED.step_by(8))
        .filter(|((ours, theirs), _)| ours != theirs)
        .map(|((ours, theirs), at)| {
            format!("{at:#x}: ours {:#018x}, QEMU's {:#018x}", number(ours), number(theirs))
        })
        .collect();
    assert!(differences.is_empty(), "seed {seed}: {differences:#?}\n{program:#?}");
}

#[test]
fn mmu_1_programs_of_seeds_0_to_29() {
    (0..PROGRAMS).for_each(compare_program);
}

#[test]
fn mmu_1_programs_of_seeds_30_to_59() {
    (PROGRAMS..2 * PROGRAMS).for_each(compare_program);
}
