//! Program files: good ones, truncated ones, damaged ones.

use super::*;
use crate::testing::{Elf, PROGRAM_HEADERS, Part, Random};
use crate::{Machine, MachineConfig};

const RAM: u64 = RAM_BASE.0;

fn parsed(elf: &Elf) -> Result<GuestImage, ImageProblem> {
    GuestImage::from_bytes("guest.elf", elf.bytes()).map_err(|error| error.problem)
}

#[test]
fn an_elf_program() {
    let elf = Elf::with(|elf| {
        elf.entry = RAM + 0x1004;
        elf.parts = vec![
            Part::at(RAM + 0x1000, &[1, 2, 3, 4, 5, 6], 0x20),
            Part { kind: 4, ..Part::at(0, &[9; 16], 16) },
            Part::at(RAM, &[7], 1),
            Part::at(RAM + 0x5000, &[], 0),
        ];
    });
    let image = parsed(&elf).unwrap();
    assert_eq!(image.name(), "guest.elf");
    assert_eq!(image.bytes(), elf.bytes());
    assert_eq!(image.entry(), Gpa(RAM + 0x1004));
    let segments = image.segments().iter().map(|segment| (segment.range(), image.contents(segment).to_vec()));
    assert_eq!(
        segments.collect::<Vec<_>>(),
        [(RAM..RAM + 1, vec![7]), (RAM + 0x1000..RAM + 0x1020, vec![1, 2, 3, 4, 5, 6])],
        "ascending; notes and empty segments are not loaded"
    );
    assert_eq!((image.htif(), image.signature()), (None, None));
}

#[test]
fn a_raw_image_is_loaded_and_entered_at_the_start_of_ram() {
    let image = GuestImage::from_bytes("guest.bin", vec![0x13, 0, 0, 0, 0x7f]).unwrap();
    assert_eq!(image.entry(), RAM_BASE);
    assert_eq!(image.segments(), [Segment { address: RAM_BASE, file: 0..5, length: 5 }]);
    assert_eq!(image.contents(&image.segments()[0]), [0x13, 0, 0, 0, 0x7f]);
}

#[test]
fn addresses_are_physical_and_symbols_are_translated() {
    let elf = Elf::with(|elf| {
        elf.entry = 0xffff_ffff_8000_0002;
        elf.parts =
            vec![Part { virtual_address: 0xffff_ffff_8000_0000, ..Part::at(RAM + 0x2000, &[1; 64], 64) }];
        elf.symbols = vec![
            ("tohost", 0xffff_ffff_8000_0010, true, true),
            ("fromhost", 0xffff_ffff_8000_0018, true, true),
            ("begin_signature", 0xffff_ffff_8000_0020, true, true),
            ("end_signature", 0xffff_ffff_8000_0040, true, true),
        ];
    });
    let image = parsed(&elf).unwrap();
    assert_eq!(image.segments()[0].address, Gpa(RAM + 0x2000));
    assert_eq!(image.entry(), Gpa(RAM + 0x2002));
    let words = HtifWords { tohost: Gpa(RAM + 0x2010), fromhost: Some(Gpa(RAM + 0x2018)) };
    assert_eq!(image.htif(), Some(&words));
    assert_eq!(image.signature(), Some(RAM + 0x2020..RAM + 0x2040));
}

#[test]
fn symbols() {
    let word = |tohost, fromhost: Option<u64>| {
        Ok((Some(HtifWords { tohost: Gpa(tohost), fromhost: fromhost.map(Gpa) }), None))
    };
    let problem = |problem: ImageProblem| Err(problem);
    let (tohost, fromhost) = (RAM + 0x1000, RAM + 0x1040);
    type Symbol = (&'static str, u64, bool, bool);
    let table: [(&[Symbol], _); 12] = [
        (&[], Ok((None, None))),
        (&[("tohost", tohost, true, true)], word(tohost, None)),
        (
            &[("tohost", tohost, false, true), ("fromhost", fromhost, true, true)],
            word(tohost, Some(fromhost)),
        ),
        (&[("fromhost", fromhost, true, true)], Ok((None, None))),
        (&[("tohost", 0, true, false)], Ok((None, None))),
        (
            &[("tohost", 8, false, true), ("tohost", tohost, true, true), ("tohost", 16, true, true)],
            word(tohost, None),
        ),
        (
            &[("tohost", tohost + 4, true, true)],
            problem(ImageProblem::HtifAlignment { symbol: "tohost", at: Gpa(tohost + 4) }),
        ),
        (
            &[("tohost", tohost, true, true), ("fromhost", fromhost + 1, true, true)],
            problem(ImageProblem::HtifAlignment { symbol: "fromhost", at: Gpa(fromhost + 1) }),
        ),
        (
            &[("tohost", tohost, true, true), ("fromhost", tohost, true, true)],
            problem(ImageProblem::HtifOverlap { tohost: Gpa(tohost), fromhost: Gpa(tohost) }),
        ),
        (&[("begin_signature", RAM, true, true)], Ok((None, None))),
        (
            &[("begin_signature", RAM, true, true), ("end_signature", RAM + 8, true, true)],
            Ok((None, Some(RAM..RAM + 8))),
        ),
        (
            &[("begin_signature", RAM + 8, true, true), ("end_signature", RAM, true, true)],
            problem(ImageProblem::Signature { begin: RAM + 8, end: RAM }),
        ),
    ];
    for (symbols, expected) in table {
        let elf = Elf::with(|elf| elf.symbols = symbols.to_vec());
        let found = parsed(&elf).map(|image| (image.htif().copied(), image.signature()));
        assert_eq!(found, expected, "{symbols:x?}");
    }
}

#[test]
fn what_is_no_program_for_this_machine_is_refused() {
    let table = [
        (Elf::with(|elf| elf.class = 1), ImageProblem::Class(1)),
        (Elf::with(|elf| elf.class = 0), ImageProblem::Class(0)),
        (Elf::with(|elf| elf.encoding = 2), ImageProblem::Endianness(2)),
        (Elf::with(|elf| elf.machine = 62), ImageProblem::InstructionSet(62)),
        (Elf::with(|elf| elf.kind = 1), ImageProblem::Kind(1)),
        (Elf::with(|elf| elf.kind = 4), ImageProblem::Kind(4)),
        (Elf::with(|elf| elf.parts.clear()), ImageProblem::NoSegment),
        (Elf::with(|elf| elf.entry = RAM + 8), ImageProblem::Entry(RAM + 8)),
        (Elf::with(|elf| elf.entry = RAM + 1), ImageProblem::Entry(RAM + 1)),
        (Elf::with(|elf| elf.entry = 0), ImageProblem::Entry(0)),
        (Elf::with(|elf| elf.parts[0].length = 7), ImageProblem::Size { segment: 0, file: 8, memory: 7 }),
        (
            Elf::with(|elf| elf.parts.push(Part::at(u64::MAX - 3, &[1, 2, 3, 4], 8))),
            ImageProblem::Wraps { segment: 1, address: Gpa(u64::MAX - 3), length: 8 },
        ),
        (
            Elf::with(|elf| elf.parts.push(Part::at(RAM + 0x1000, &[1], u64::MAX))),
            ImageProblem::Wraps { segment: 1, address: Gpa(RAM + 0x1000), length: u64::MAX },
        ),
        (
            Elf::with(|elf| elf.parts.insert(0, Part::at(RAM + 7, &[], 1))),
            ImageProblem::Overlap { first: 1, second: 0, at: Gpa(RAM + 7) },
        ),
    ];
    for (elf, expected) in table {
        assert_eq!(parsed(&elf), Err(expected.clone()), "{expected}");
    }
    assert_eq!(GuestImage::from_bytes("x", vec![]).unwrap_err().problem, ImageProblem::Empty);
}

#[test]
fn every_truncation_is_refused() {
    let whole = Elf::with(|elf| elf.symbols = vec![("tohost", RAM + 0x1000, true, true)]).bytes();
    assert!(GuestImage::from_bytes("whole", whole.clone()).is_ok());
    for length in 4..whole.len() {
        let error = GuestImage::from_bytes("cut", whole[..length].to_vec()).unwrap_err();
        let (offset, end) = ((PROGRAM_HEADERS + 56) as u64, length as u64);
        let in_data = ImageProblem::Truncated { segment: 0, offset, length: 8, end };
        let expected = match length {
            ..PROGRAM_HEADERS => error.problem == ImageProblem::Header(length),
            _ if error.problem == in_data => end < offset + 8,
            _ => matches!(error.problem, ImageProblem::Table { .. }),
        };
        assert!(expected, "cut to {length} bytes: {error}");
    }
}

#[test]
fn tables_that_lie_elsewhere_are_refused() {
    // The header's offsets of the program headers and the section headers, and its counts.
    let table = [(32, 8), (40, 8), (54, 2), (56, 2), (58, 2), (60, 2)];
    for (at, length) in table {
        let mut bytes = Elf::default().bytes();
        // Not 0xffff, which as a count says to look in the first section header.
        bytes[at..at + length].fill(0x7f);
        let answer = GuestImage::from_bytes("lies", bytes).map_err(|error| error.problem);
        assert!(matches!(answer, Err(ImageProblem::Table { .. })), "offset {at}: {answer:?}");
    }
}

#[test]
fn an_unaligned_file_in_memory_is_read_as_well() {
    // The parser sees a slice of the vector's bytes wherever they lie; shift the same file by one to four bytes.
    let file = Elf::with(|elf| elf.symbols = vec![("tohost", RAM + 0x1000, true, true)]).bytes();
    for shift in 0..4 {
        let shifted = [vec![0; shift], file.clone()].concat();
        let parsed = parse(&shifted[shift..]).unwrap();
        assert_eq!(parsed.htif.unwrap().tohost, Gpa(RAM + 0x1000), "shifted by {shift}");
    }
}

#[test]
fn messages_name_the_file_what_was_expected_and_what_came() {
    let message = |elf: Elf| GuestImage::from_bytes("a.elf", elf.bytes()).unwrap_err().to_string();
    let table = [
        (
            Elf::with(|elf| elf.class = 1),
            "a.elf: expected a 64-bit program (ELF class 2), found a 32-bit program (class 1)",
        ),
        (
            Elf::with(|elf| elf.machine = 183),
            "a.elf: expected a program for RISC-V (ELF machine 243), found machine 183 (AArch64)",
        ),
        (
            Elf::with(|elf| elf.kind = 1),
            "a.elf: expected an executable program (ELF type 2 or 3), found an object file (type 1), which must be \
             linked first",
        ),
    ];
    for (elf, expected) in table {
        assert_eq!(message(elf), expected);
    }
}

/// Random bit flips, cuts and overwritten words: an answer, never a panic; and whatever is taken as an image can be
/// loaded or is refused, too.
#[test]
fn damaged_files_have_defined_answers() {
    let mut random = Random::new(0x0e1f_0001);
    let whole = Elf::with(|elf| {
        elf.parts.push(Part::at(RAM + 0x1000, &[1; 40], 0x200));
        elf.symbols = vec![
            ("tohost", RAM + 0x1000, true, true),
            ("fromhost", RAM + 0x1040, true, true),
            ("begin_signature", RAM + 0x1080, true, true),
            ("end_signature", RAM + 0x10c0, true, true),
        ];
    })
    .bytes();
    let config = MachineConfig::new(2, MachineConfig::RAM_BYTES_MIN).unwrap();
    let (mut taken, mut refused) = (0, 0);
    for _ in 0..60_000 {
        let mut bytes = whole.clone();
        for _ in 0..=random.below(4) {
            let at = random.below(bytes.len() as u64) as usize;
            match random.below(4) {
                0..2 => bytes[at] ^= 1 << random.below(8),
                2 => bytes[at] = [0, 1, 0x7f, 0x80, 0xff][random.below(5) as usize],
                _ => {
                    let at = at & !7;
                    let value = [0, u64::MAX, 1 << 63, RAM, RAM - 1, random.next()][random.below(6) as usize];
                    if let Some(word) = bytes.get_mut(at..at + 8) {
                        word.copy_from_slice(&value.to_le_bytes());
                    }
                }
            }
        }
        if random.below(8) == 0 {
            bytes.truncate(random.below(bytes.len() as u64) as usize);
        }
        match GuestImage::from_bytes("damaged", bytes) {
            Err(error) => {
                assert!(error.to_string().starts_with("damaged: "));
                refused += 1;
            }
            Ok(image) if random.below(16) == 0 => {
                taken += 1;
                let _ = Machine::new(config, &image.into());
            }
            Ok(_) => taken += 1,
        }
    }
    assert!(taken > 1_000 && refused > 1_000, "both happen: {taken} taken, {refused} refused");
}
