//! Operating-system kernels: Linux's `Image`, plain or compressed with gzip, and ELF files such as `vmlinux`.
//!
//! Source: Documentation/arch/riscv/boot-image-header.rst of Linux.

use super::{GuestImage, ImageError, ImageProblem, Parsed, Segment, parse_elf};
use crate::map::RAM_BASE;
use cantus_isa::Gpa;
use flate2::read::GzDecoder;
use object::elf;
use std::io::Read;

/// Where a kernel goes whose file does not say: the first place behind the firmware that a large page can map.
const TEXT_OFFSET: u64 = 2 << 20;
/// The largest kernel after unpacking, in bytes.
const UNPACKED_MAX: u64 = 1 << 30;

const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
/// Offset and bytes of the second magic number of a RISC-V `Image`.
const IMAGE_MAGIC: (usize, &[u8]) = (0x38, b"RSC\x05");
/// Offset and bytes that tell an EFI application with a compressed kernel in it.
const ZBOOT_MAGIC: (usize, &[u8]) = (4, b"zimg");
const HEADER_BYTES: usize = 64;

impl GuestImage {
    /// Takes an operating-system kernel from a file's bytes. It is entered in supervisor mode, at its first byte or
    /// where its ELF header says. What is neither ELF nor `Image` is loaded as it is. `name` is for messages.
    pub fn kernel_from_bytes(name: impl Into<String>, bytes: Vec<u8>) -> Result<Self, ImageError> {
        let name = name.into();
        let parsed = unpack(bytes).and_then(|bytes| Ok((parse(&bytes)?, bytes)));
        match parsed {
            Ok((Parsed { segments, entry, .. }, bytes)) => {
                Ok(Self { name, bytes, segments, entry, htif: None, signature: None })
            }
            Err(problem) => Err(ImageError { name, problem }),
        }
    }
}

/// Undoes gzip.
fn unpack(bytes: Vec<u8>) -> Result<Vec<u8>, ImageProblem> {
    if !bytes.starts_with(&GZIP_MAGIC) {
        return Ok(bytes);
    }
    let mut unpacked = Vec::new();
    let mut decoder = GzDecoder::new(&*bytes).take(UNPACKED_MAX + 1);
    decoder.read_to_end(&mut unpacked).map_err(|error| ImageProblem::Gzip(error.to_string()))?;
    if unpacked.len() as u64 > UNPACKED_MAX {
        return Err(ImageProblem::Gzip(format!("it has more than {UNPACKED_MAX:#x} bytes")));
    }
    Ok(unpacked)
}

fn has(bytes: &[u8], (offset, magic): (usize, &[u8])) -> bool {
    bytes.get(offset..offset + magic.len()) == Some(magic)
}

fn parse(bytes: &[u8]) -> Result<Parsed, ImageProblem> {
    if bytes.is_empty() {
        return Err(ImageProblem::Empty);
    }
    if bytes.starts_with(&elf::ELFMAG) {
        return parse_elf(bytes);
    }
    if has(bytes, ZBOOT_MAGIC) {
        return Err(ImageProblem::Unsupported("an EFI application with a compressed kernel (zboot)"));
    }
    let file = bytes.len() as u64;
    let (offset, length) = if bytes.len() >= HEADER_BYTES && has(bytes, IMAGE_MAGIC) {
        let field = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"));
        let (text_offset, image_size, flags) = (field(8), field(16), field(24));
        if flags & 1 != 0 {
            return Err(ImageProblem::Unsupported("a big-endian kernel"));
        }
        let header = |what, expected, came| Err(ImageProblem::KernelHeader { what, expected, came });
        if !text_offset.is_multiple_of(4096) || text_offset > UNPACKED_MAX {
            return header("text_offset", "a multiple of 4096 up to 1 GiB", text_offset);
        }
        if image_size > 4 * UNPACKED_MAX {
            return header("image_size", "at most 4 GiB", image_size);
        }
        (text_offset, image_size.max(file))
    } else {
        (TEXT_OFFSET, file)
    };
    let address = Gpa(RAM_BASE.0 + offset);
    let whole = Segment { address, file: 0..bytes.len(), length };
    Ok(Parsed { segments: vec![whole], entry: address, htif: None, signature: None })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn image(text_offset: u64, image_size: u64, flags: u64) -> Vec<u8> {
        let mut bytes = vec![0x13; 0x100];
        bytes[8..16].copy_from_slice(&text_offset.to_le_bytes());
        bytes[16..24].copy_from_slice(&image_size.to_le_bytes());
        bytes[24..32].copy_from_slice(&flags.to_le_bytes());
        bytes[0x38..0x3c].copy_from_slice(b"RSC\x05");
        bytes
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn an_image_goes_where_its_header_says_and_has_the_room_that_it_wants() {
        let bytes = image(0x40_0000, 0x2345, 0);
        for file in [bytes.clone(), gzip(&bytes)] {
            let kernel = GuestImage::kernel_from_bytes("Image", file).unwrap();
            let expected = Segment { address: Gpa(0x8040_0000), file: 0..0x100, length: 0x2345 };
            assert_eq!(kernel.segments(), [expected]);
            assert_eq!(kernel.entry(), Gpa(0x8040_0000));
            assert_eq!(kernel.contents(&kernel.segments()[0]), bytes);
        }
        let short = GuestImage::kernel_from_bytes("Image", image(0x20_0000, 7, 0)).unwrap();
        assert_eq!(short.segments()[0].length, 0x100, "all of the file is loaded");
    }

    #[test]
    fn what_has_no_header_is_loaded_behind_the_firmware() {
        let kernel = GuestImage::kernel_from_bytes("kernel.bin", vec![1, 2, 3]).unwrap();
        assert_eq!(kernel.entry(), Gpa(0x8020_0000));
        assert_eq!(kernel.segments()[0].length, 3);
    }

    #[test]
    fn what_is_no_kernel_is_refused() {
        let mut zboot = vec![0; 64];
        zboot[4..8].copy_from_slice(b"zimg");
        let mut cut_off = gzip(&image(0, 0, 0));
        cut_off.truncate(cut_off.len() / 2);
        let mut elf = b"\x7fELF".to_vec();
        elf.extend([9; 20]);
        let table = [
            ("nothing", vec![], "an empty file"),
            ("zboot", zboot, "zboot"),
            ("gzip cut off", cut_off, "cannot be unpacked"),
            ("ELF cut off", elf, "ELF header"),
            ("odd offset", image(0x20_0001, 0, 0), "text_offset 0x200001"),
            ("far offset", image(1 << 40, 0, 0), "text_offset"),
            ("huge", image(0x20_0000, u64::MAX, 0), "image_size"),
            ("big-endian", image(0x20_0000, 0, 1), "big-endian"),
        ];
        for (what, bytes, expected) in table {
            let error = GuestImage::kernel_from_bytes("k", bytes).unwrap_err().to_string();
            assert!(error.starts_with("k: ") && error.contains(expected), "{what}: {error}");
        }
    }
}
