//! Programs: ELF files for RV64, and raw images.
//!
//! An image is made of bytes alone, wherever they come from, and nothing in them is trusted: whatever does not fit is
//! an [`ImageError`] that names the file, what was expected and what came. That it fits into a machine's RAM is checked
//! when it is loaded into one.

mod kernel;
#[cfg(test)]
mod tests;

use crate::map::{HtifWords, RAM_BASE};
use cantus_isa::Gpa;
use object::elf::{EM_RISCV, ET_DYN, ET_EXEC, FileHeader64, PT_LOAD, ProgramHeader64, SHT_SYMTAB};
use object::read::elf::{FileHeader, ProgramHeader, Sym};
use object::{LittleEndian, elf};
use std::fmt;
use std::ops::Range;
use thiserror::Error;

/// A program file that cannot be run.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[error("{name}: {problem}")]
pub struct ImageError {
    /// The file's name, as it was given.
    pub name: String,
    /// What is wrong with it.
    pub problem: ImageProblem,
}

/// What is wrong with a program file.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum ImageProblem {
    /// There is nothing in it.
    #[error("expected an ELF program or a raw image, found an empty file")]
    Empty,
    /// It ends in the ELF header.
    #[error("expected an ELF header of 64 bytes, found a file of {0} bytes")]
    Header(usize),
    /// It is no 64-bit program.
    #[error("expected a 64-bit program (ELF class 2), found {}", class(*.0))]
    Class(u8),
    /// It is not little-endian.
    #[error("expected a little-endian program (ELF data encoding 1), found {}", encoding(*.0))]
    Endianness(u8),
    /// It is for another instruction set.
    #[error("expected a program for RISC-V (ELF machine 243), found {}", instruction_set(*.0))]
    InstructionSet(u16),
    /// It is not linked, or no program at all.
    #[error("expected an executable program (ELF type 2 or 3), found {}", kind(*.0))]
    Kind(u16),
    /// A table does not lie where the header says.
    #[error("its {table} cannot be read: {reason}")]
    Table {
        /// Which table.
        table: &'static str,
        /// What the reader says of it.
        reason: String,
    },
    /// It has nothing to load.
    #[error("expected at least one segment to load, found none")]
    NoSegment,
    /// A segment's bytes are not all in the file: the file was cut off, or the header lies.
    #[error(
        "segment {segment} should have {length:#x} bytes at file offset {offset:#x}, but the file ends at {end:#x}"
    )]
    Truncated {
        /// The number of the program header.
        segment: usize,
        /// Where its bytes should begin.
        offset: u64,
        /// How many there should be.
        length: u64,
        /// The file's length.
        end: u64,
    },
    /// A segment has more bytes in the file than in memory.
    #[error(
        "segment {segment} has {file:#x} bytes in the file, expected at most the {memory:#x} that it has in memory"
    )]
    Size {
        /// The number of the program header.
        segment: usize,
        /// Bytes in the file.
        file: u64,
        /// Bytes in memory.
        memory: u64,
    },
    /// A segment reaches beyond the last address that there is.
    #[error("segment {segment} has {length:#x} bytes at {address}, beyond the end of the address space")]
    Wraps {
        /// The number of the program header.
        segment: usize,
        /// Its physical address.
        address: Gpa,
        /// Its length in memory.
        length: u64,
    },
    /// Two segments want the same memory.
    #[error("segment {first} and segment {second} overlap at {at}")]
    Overlap {
        /// The number of one program header.
        first: usize,
        /// The number of the other.
        second: usize,
        /// Where they do.
        at: Gpa,
    },
    /// The entry point is not in any segment, or odd.
    #[error("the entry point is {0:#x}, expected an even address in one of the segments")]
    Entry(u64),
    /// The words of HTIF are in each other's way.
    #[error("`tohost` at {tohost} and `fromhost` at {fromhost} overlap, expected eight bytes for each")]
    HtifOverlap {
        /// Where `tohost` is.
        tohost: Gpa,
        /// Where `fromhost` is.
        fromhost: Gpa,
    },
    /// A word of HTIF is not aligned.
    #[error("`{symbol}` is at {at}, expected a multiple of 8")]
    HtifAlignment {
        /// `tohost` or `fromhost`.
        symbol: &'static str,
        /// Where it is.
        at: Gpa,
    },
    /// A compressed kernel cannot be unpacked.
    #[error("the kernel is compressed with gzip and cannot be unpacked: {0}")]
    Gzip(String),
    /// A kernel that only EFI firmware could start.
    #[error("expected a plain or gzip-compressed kernel Image or an ELF file, found {0}")]
    Unsupported(&'static str),
    /// A kernel image's header does not fit the file.
    #[error("the header of the kernel Image says {what} {came:#x}, expected {expected}")]
    KernelHeader {
        /// Which field.
        what: &'static str,
        /// What may stand there.
        expected: &'static str,
        /// What does.
        came: u64,
    },
    /// The signature ends before it begins.
    #[error("`end_signature` at {end:#x} lies before `begin_signature` at {begin:#x}")]
    Signature {
        /// Where it begins.
        begin: u64,
        /// Where it ends.
        end: u64,
    },
}

fn class(class: u8) -> String {
    if class == 1 { "a 32-bit program (class 1)".into() } else { format!("class {class}") }
}

fn encoding(encoding: u8) -> String {
    if encoding == 2 { "a big-endian program (encoding 2)".into() } else { format!("encoding {encoding}") }
}

fn instruction_set(machine: u16) -> String {
    let name = match machine {
        3 => " (x86)",
        8 => " (MIPS)",
        20 | 21 => " (PowerPC)",
        22 => " (S/390)",
        40 => " (32-bit Arm)",
        62 => " (x86-64)",
        183 => " (AArch64)",
        258 => " (LoongArch)",
        _ => "",
    };
    format!("machine {machine}{name}")
}

fn kind(kind: u16) -> String {
    match kind {
        1 => "an object file (type 1), which must be linked first".into(),
        4 => "a core dump (type 4)".into(),
        _ => format!("type {kind}"),
    }
}

/// A piece of memory that a program wants.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Segment {
    /// Its physical address.
    pub address: Gpa,
    /// Its bytes in the file; the rest of its memory is zero.
    pub file: Range<usize>,
    /// Its length in memory.
    pub length: u64,
}

impl Segment {
    /// Its physical addresses.
    pub fn range(&self) -> Range<u64> {
        self.address.0..self.address.0 + self.length
    }
}

/// A program, checked as far as it can be without a machine.
#[derive(Clone, PartialEq, Eq)]
pub struct GuestImage {
    name: String,
    bytes: Vec<u8>,
    /// Ascending by address.
    segments: Vec<Segment>,
    entry: Gpa,
    htif: Option<HtifWords>,
    signature: Option<Range<u64>>,
}

impl GuestImage {
    /// Takes an image from a file's bytes: an ELF program, or what does not begin as one as a raw image, loaded and
    /// entered at the start of RAM. `name` is for messages.
    pub fn from_bytes(name: impl Into<String>, bytes: Vec<u8>) -> Result<Self, ImageError> {
        let name = name.into();
        match parse(&bytes) {
            Ok(Parsed { segments, entry, htif, signature }) => {
                Ok(Self { name, bytes, segments, entry, htif, signature })
            }
            Err(problem) => Err(ImageError { name, problem }),
        }
    }

    /// The file's name, as it was given.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The whole file.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// What it wants in memory, ascending by address, without overlap.
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// The bytes of a segment that are in the file.
    pub fn contents(&self, segment: &Segment) -> &[u8] {
        &self.bytes[segment.file.clone()]
    }

    /// Where harts start, a physical address. An ELF program says so; a raw image starts at its first byte.
    pub fn entry(&self) -> Gpa {
        self.entry
    }

    /// Where `tohost` and `fromhost` are, if the program has `tohost`.
    pub fn htif(&self) -> Option<&HtifWords> {
        self.htif.as_ref()
    }

    /// From `begin_signature` to `end_signature`, physical addresses, if the program has both.
    pub fn signature(&self) -> Option<Range<u64>> {
        self.signature.clone()
    }
}

impl fmt::Debug for GuestImage {
    /// Everything but the file's bytes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GuestImage")
            .field("name", &self.name)
            .field("length", &self.bytes.len())
            .field("segments", &self.segments)
            .field("entry", &self.entry)
            .field("htif", &self.htif)
            .field("signature", &self.signature)
            .finish_non_exhaustive()
    }
}

/// What an image says, apart from the bytes themselves.
struct Parsed {
    segments: Vec<Segment>,
    entry: Gpa,
    htif: Option<HtifWords>,
    signature: Option<Range<u64>>,
}

fn parse(bytes: &[u8]) -> Result<Parsed, ImageProblem> {
    if bytes.is_empty() {
        return Err(ImageProblem::Empty);
    }
    if bytes.starts_with(&elf::ELFMAG) {
        return parse_elf(bytes);
    }
    let whole = Segment { address: RAM_BASE, file: 0..bytes.len(), length: bytes.len() as u64 };
    Ok(Parsed { segments: vec![whole], entry: RAM_BASE, htif: None, signature: None })
}

type Header = FileHeader64<LittleEndian>;
const LE: LittleEndian = LittleEndian;

fn table(table: &'static str) -> impl Fn(object::Error) -> ImageProblem {
    move |error| ImageProblem::Table { table, reason: error.to_string() }
}

fn parse_elf(bytes: &[u8]) -> Result<Parsed, ImageProblem> {
    if bytes.len() < size_of::<Header>() {
        return Err(ImageProblem::Header(bytes.len()));
    }
    match (bytes[4], bytes[5]) {
        (2, 1) => {}
        (2, encoding) => return Err(ImageProblem::Endianness(encoding)),
        (class, _) => return Err(ImageProblem::Class(class)),
    }
    let header = Header::parse(bytes).map_err(table("header"))?;
    if header.e_machine(LE) != EM_RISCV {
        return Err(ImageProblem::InstructionSet(header.e_machine(LE).0));
    }
    if ![ET_EXEC, ET_DYN].contains(&header.e_type(LE)) {
        return Err(ImageProblem::Kind(header.e_type(LE).0));
    }
    let headers = header.program_headers(LE, bytes).map_err(table("program header table"))?;
    let mut loaded = Vec::new();
    for (number, header) in headers.iter().enumerate() {
        if header.p_type(LE) == PT_LOAD && header.p_memsz(LE) != 0 {
            loaded.push(Loaded::new(number, header, bytes)?);
        }
    }
    if loaded.is_empty() {
        return Err(ImageProblem::NoSegment);
    }
    loaded.sort_by_key(|loaded| loaded.segment.address);
    for pair in loaded.windows(2) {
        if pair[0].segment.range().end > pair[1].segment.address.0 {
            let (first, second) = (pair[0].number, pair[1].number);
            return Err(ImageProblem::Overlap { first, second, at: pair[1].segment.address });
        }
    }
    let physical = |address: u64| loaded.iter().find_map(|loaded| loaded.physical(address));
    let entry = header.e_entry(LE);
    let entry = physical(entry).filter(|entry| entry % 2 == 0).ok_or(ImageProblem::Entry(entry))?;

    let [tohost, fromhost, begin, end] =
        symbols(header, bytes, ["tohost", "fromhost", "begin_signature", "end_signature"])?;
    // A symbol outside of all segments is what it says: a program that is not relocated puts nothing there.
    let place = |address: u64| Gpa(physical(address).unwrap_or(address));
    let htif = tohost.map(|word| HtifWords { tohost: place(word), fromhost: fromhost.map(place) });
    if let Some(words) = &htif {
        check_htif(words)?;
    }
    let signature = match (begin, end) {
        (Some(begin), Some(end)) if end < begin => return Err(ImageProblem::Signature { begin, end }),
        (Some(begin), Some(end)) => {
            let start = place(begin).0;
            Some(start..start.saturating_add(end - begin))
        }
        (Some(_), None) | (None, Some(_)) | (None, None) => None,
    };
    let segments = loaded.into_iter().map(|loaded| loaded.segment).collect();
    Ok(Parsed { segments, entry: Gpa(entry), htif, signature })
}

/// A segment, with what only the file's own addresses need.
struct Loaded {
    number: usize,
    virtual_address: u64,
    segment: Segment,
}

impl Loaded {
    fn new(
        number: usize,
        header: &ProgramHeader64<LittleEndian>,
        bytes: &[u8],
    ) -> Result<Self, ImageProblem> {
        let (offset, file, length) = (header.p_offset(LE), header.p_filesz(LE), header.p_memsz(LE));
        if file > length {
            return Err(ImageProblem::Size { segment: number, file, memory: length });
        }
        let end = bytes.len() as u64;
        if offset > end || file > end - offset {
            return Err(ImageProblem::Truncated { segment: number, offset, length: file, end });
        }
        let address = Gpa(header.p_paddr(LE));
        if address.0.checked_add(length).is_none() {
            return Err(ImageProblem::Wraps { segment: number, address, length });
        }
        let file = offset as usize..(offset + file) as usize;
        let segment = Segment { address, file, length };
        Ok(Self { number, virtual_address: header.p_vaddr(LE), segment })
    }

    /// The physical address of what is at a virtual one, if that is in this segment.
    fn physical(&self, address: u64) -> Option<u64> {
        let offset = address.wrapping_sub(self.virtual_address);
        (offset < self.segment.length).then(|| self.segment.address.0 + offset)
    }
}

fn check_htif(words: &HtifWords) -> Result<(), ImageProblem> {
    for (symbol, at) in [("tohost", Some(words.tohost)), ("fromhost", words.fromhost)] {
        if let Some(at) = at
            && !at.0.is_multiple_of(8)
        {
            return Err(ImageProblem::HtifAlignment { symbol, at });
        }
    }
    match words.fromhost {
        Some(fromhost) if fromhost == words.tohost => {
            Err(ImageProblem::HtifOverlap { tohost: words.tohost, fromhost })
        }
        Some(_) | None => Ok(()),
    }
}

/// The values of the defined symbols with these names; of several, a global one, else the first. A stripped program has
/// none.
fn symbols<const N: usize>(
    header: &Header,
    bytes: &[u8],
    names: [&'static str; N],
) -> Result<[Option<u64>; N], ImageProblem> {
    let sections = header.sections(LE, bytes).map_err(table("section header table"))?;
    let symbols = sections.symbols(LE, bytes, SHT_SYMTAB).map_err(table("symbol table"))?;
    let mut found: [Option<(u64, bool)>; N] = [None; N];
    for symbol in symbols.iter() {
        if symbol.is_undefined(LE) {
            continue;
        }
        let name = symbols.symbol_name(LE, symbol).map_err(table("symbol table"))?;
        let Some(at) = names.iter().position(|wanted| wanted.as_bytes() == name) else { continue };
        let is_global = !symbol.is_local();
        if found[at].is_none_or(|(_, was_global)| is_global && !was_global) {
            found[at] = Some((symbol.st_value(LE), is_global));
        }
    }
    Ok(found.map(|symbol| symbol.map(|(value, _)| value)))
}
