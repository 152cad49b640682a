//! Addresses of a guest in the words of its source: symbols, functions, files and lines.
//!
//! Reads any ELF file, with or without symbols and DWARF; what is missing or damaged gives fewer answers, never a
//! panic: a guest's bytes are input. Answers depend on the bytes alone, so they are the same on every host.
//!
//! Callers may not rely on data symbols for guests that run behind page tables: symbols are known by the addresses
//! that the linker gave them.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::fmt::{self, Write as _};
use std::sync::Arc;

use addr2line::LookupResult;
use cantus_isa::Gva;
use gimli::{EndianArcSlice, RunTimeEndian};
use object::read::elf::{ElfFile32, ElfFile64, FileHeader};
use object::{Endianness, Object, ObjectSection, ObjectSegment, ObjectSymbol, SymbolKind};
use serde::Serialize;

/// The most bytes that a compressed section may grow to for each byte it has; what claims more is left out.
const EXPANSION_MAX: u64 = 2_000;
/// The most bytes that a compressed section may have when it is unpacked.
const SECTION_BYTES_MAX: u64 = 1 << 30;
/// The deepest nesting of DWARF entries that is read; real compilers stay far below.
const DWARF_DEPTH_MAX: isize = 400;
/// The longest name shown, in bytes: mangled names can unfold to any length.
const NAME_BYTES_MAX: usize = 1_000;

/// Why a guest's bytes have no symbols at all.
#[derive(Debug)]
pub struct NotElf(object::Error);

impl fmt::Display for NotElf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not an ELF file that can be read: {}", self.0)
    }
}

impl std::error::Error for NotElf {}

/// A symbol and the distance from its start.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Place {
    /// The symbol's name, demangled.
    pub symbol: String,
    /// Bytes from the symbol's address to the address that was asked for.
    pub offset: u64,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.offset {
            0 => f.write_str(&self.symbol),
            offset => write!(f, "{}+{offset:#x}", self.symbol),
        }
    }
}

/// One level of a source position: a function, and a line in it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Frame {
    /// The function's name, demangled.
    pub function: Option<String>,
    /// The file's path as the compiler recorded it.
    pub file: Option<String>,
    /// The line, from 1.
    pub line: Option<u32>,
}

impl Frame {
    /// The file's name without the folders that it was compiled in.
    pub fn file_name(&self) -> Option<&str> {
        self.file.as_deref().map(|path| path.rsplit(['/', '\\']).next().unwrap_or(path))
    }
}

impl fmt::Display for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.file_name(), self.line) {
            (Some(file), Some(line)) => write!(f, "{file}:{line}")?,
            (Some(file), None) => f.write_str(file)?,
            (None, _) => f.write_str("?")?,
        }
        match &self.function {
            Some(function) => write!(f, " in {function}()"),
            None => Ok(()),
        }
    }
}

struct Symbol {
    start: u64,
    /// One past the last byte; of a label, the end of its section.
    end: u64,
    name: String,
}

struct Segment {
    start: u64,
    bytes: Vec<u8>,
}

type Reader = EndianArcSlice<RunTimeEndian>;

/// What a guest's ELF file says about addresses.
pub struct Symbols {
    /// Functions and data that say how long they are, ascending by address.
    sized: Vec<Symbol>,
    /// Labels, ascending by address.
    labels: Vec<Symbol>,
    /// What the file loads.
    segments: Vec<Segment>,
    sections: Vec<(gimli::SectionId, Arc<[u8]>)>,
    endian: RunTimeEndian,
    /// Built when first asked for: reading all units of a kernel takes a while.
    lines: OnceCell<Option<addr2line::Context<Reader>>>,
}

impl fmt::Debug for Symbols {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Symbols({} sized, {} labels)", self.sized.len(), self.labels.len())
    }
}

impl Symbols {
    /// No symbols: every question has the answer "not known".
    pub fn none() -> Self {
        Self {
            sized: Vec::new(),
            labels: Vec::new(),
            segments: Vec::new(),
            sections: Vec::new(),
            endian: RunTimeEndian::Little,
            lines: OnceCell::new(),
        }
    }

    /// Reads an ELF file of 32 or 64 bits.
    pub fn read(elf: &[u8]) -> Result<Self, NotElf> {
        let narrow = object::FileKind::parse(elf).map_err(NotElf)? == object::FileKind::Elf32;
        match narrow {
            true => Ok(Self::from_object(&ElfFile32::<Endianness>::parse(elf).map_err(NotElf)?)),
            false => Ok(Self::from_object(&ElfFile64::<Endianness>::parse(elf).map_err(NotElf)?)),
        }
    }

    fn from_object<'a, H: FileHeader>(file: &object::read::elf::ElfFile<'a, H, &'a [u8]>) -> Self {
        let endian = match file.is_little_endian() {
            true => RunTimeEndian::Little,
            false => RunTimeEndian::Big,
        };
        let (sized, labels) = symbols_of(file);
        let segments = file
            .segments()
            .filter_map(|segment| {
                let bytes = segment.data().ok().filter(|bytes| !bytes.is_empty())?;
                Some(Segment { start: segment.address(), bytes: bytes.to_vec() })
            })
            .collect();
        let sections = SECTIONS
            .iter()
            .filter_map(|&id| Some((id, Arc::from(section_bytes(file.section_by_name(id.name())?)?))))
            .collect();
        Self { sized, labels, segments, sections, endian, lines: OnceCell::new() }
    }

    /// The symbol that holds an address, of code or of data.
    pub fn place(&self, address: Gva) -> Option<Place> {
        let symbol = holder(&self.sized, address.0).or_else(|| {
            let label = holder(&self.labels, address.0)?;
            // A label does not reach over what follows it and has a length of its own.
            let next = self.sized.partition_point(|symbol| symbol.start <= address.0);
            match next.checked_sub(1).and_then(|last| self.sized.get(last)) {
                Some(sized) if sized.start >= label.start => None,
                Some(_) | None => Some(label),
            }
        })?;
        Some(Place { symbol: symbol.name.clone(), offset: address.0 - symbol.start })
    }

    /// The address as readers know it: `symbol+0x8`, or the number where no symbol holds it.
    pub fn name(&self, address: Gva) -> String {
        match self.place(address) {
            Some(place) => place.to_string(),
            None => address.to_string(),
        }
    }

    /// The source position of an address of code: the innermost inlined call first, the function that really stands
    /// there last; empty where the file does not say.
    pub fn frames(&self, address: Gva) -> Vec<Frame> {
        let Some(lines) = self.lines.get_or_init(|| self.open_lines()) else { return Vec::new() };
        // Debug information in other files is not looked for: a trace holds the guest's file alone.
        let mut lookup = lines.find_frames(address.0);
        let found = loop {
            match lookup {
                LookupResult::Output(found) => break found,
                LookupResult::Load { continuation, .. } => {
                    lookup = addr2line::LookupContinuation::resume(continuation, None);
                }
            }
        };
        let Ok(mut found) = found else { return Vec::new() };
        let mut frames = Vec::new();
        while let Ok(Some(frame)) = found.next() {
            let location = frame.location.as_ref();
            frames.push(Frame {
                function: frame.function.and_then(|name| Some(demangled(&name.raw_name().ok()?))),
                file: location.and_then(|location| location.file).map(shortened),
                line: location.and_then(|location| location.line).filter(|&line| line != 0),
            });
            if frames.len() as isize > DWARF_DEPTH_MAX {
                break;
            }
        }
        frames
    }

    /// The innermost source position of an address of code.
    pub fn frame(&self, address: Gva) -> Option<Frame> {
        self.frames(address).into_iter().next()
    }

    /// Every source file that the line tables name, as the compiler recorded it; sorted, each once.
    pub fn sources(&self) -> Vec<String> {
        let mut paths = Vec::new();
        let Ok(dwarf) = self.dwarf() else { return paths };
        let mut units = dwarf.units();
        while let Ok(Some(header)) = units.next() {
            let Ok(unit) = dwarf.unit(header) else { continue };
            let Some(program) = unit.line_program.clone() else { continue };
            let directory = unit.comp_dir.as_ref().map(text_of).unwrap_or_default();
            for file in program.header().file_names() {
                let part = |value| dwarf.attr_string(&unit, value).ok().map(|text| text_of(&text));
                let Some(name) = part(file.path_name()) else { continue };
                let folder = file.directory(program.header()).and_then(part).unwrap_or_default();
                paths.push(shortened(&joined(&joined(&directory, &folder), &name)));
            }
        }
        paths.sort();
        paths.dedup();
        paths
    }

    /// What the file loads at an address, to the end of its segment; `None` where it loads nothing. The guest may
    /// have written other bytes there since.
    pub fn bytes(&self, address: Gva) -> Option<&[u8]> {
        self.segments.iter().find_map(|segment| {
            let offset = usize::try_from(address.0.checked_sub(segment.start)?).ok()?;
            segment.bytes.get(offset..).filter(|rest| !rest.is_empty())
        })
    }

    fn dwarf(&self) -> Result<gimli::Dwarf<Reader>, gimli::Error> {
        gimli::Dwarf::load(|id| {
            let bytes = self.sections.iter().find(|(held, _)| *held == id).map(|(_, bytes)| bytes.clone());
            Ok(Reader::new(bytes.unwrap_or_else(|| Arc::from([])), self.endian))
        })
    }

    fn open_lines(&self) -> Option<addr2line::Context<Reader>> {
        let dwarf = self.dwarf().ok()?;
        shallow(&dwarf).then(|| addr2line::Context::from_dwarf(dwarf).ok()).flatten()
    }
}

/// The sections that answers are made from.
const SECTIONS: [gimli::SectionId; 11] = [
    gimli::SectionId::DebugAbbrev,
    gimli::SectionId::DebugAddr,
    gimli::SectionId::DebugAranges,
    gimli::SectionId::DebugInfo,
    gimli::SectionId::DebugLine,
    gimli::SectionId::DebugLineStr,
    gimli::SectionId::DebugRanges,
    gimli::SectionId::DebugRngLists,
    gimli::SectionId::DebugStr,
    gimli::SectionId::DebugStrOffsets,
    gimli::SectionId::DebugTypes,
];

fn section_bytes<'a>(section: impl ObjectSection<'a>) -> Option<Vec<u8>> {
    let packed = section.compressed_data().ok()?;
    let limit = (packed.data.len() as u64).saturating_mul(EXPANSION_MAX).min(SECTION_BYTES_MAX);
    if packed.uncompressed_size > limit {
        return None;
    }
    packed.decompress().ok().map(Cow::into_owned)
}

/// Whether no unit nests its entries deeper than the reader of inlined calls, which recurses, can follow.
fn shallow(dwarf: &gimli::Dwarf<Reader>) -> bool {
    let mut headers = dwarf.units();
    while let Ok(Some(header)) = headers.next() {
        let Ok(abbreviations) = dwarf.abbreviations(&header) else { continue };
        let Ok(mut entries) = header.entries_raw(&abbreviations, None) else { continue };
        while !entries.is_empty() {
            if entries.next_depth() > DWARF_DEPTH_MAX {
                return false;
            }
            match entries.read_abbreviation() {
                Ok(Some(abbreviation)) => {
                    if entries.skip_attributes(abbreviation.attributes()).is_err() {
                        break;
                    }
                }
                Ok(None) => {}
                Err(_) => break,
            }
        }
    }
    true
}

fn symbols_of<'a, H: FileHeader>(
    file: &object::read::elf::ElfFile<'a, H, &'a [u8]>,
) -> (Vec<Symbol>, Vec<Symbol>) {
    let mut found = Vec::new();
    for symbol in file.symbols() {
        let kind = symbol.kind();
        let named =
            matches!(kind, SymbolKind::Text | SymbolKind::Data | SymbolKind::Unknown | SymbolKind::Label);
        let Ok(name) = symbol.name() else { continue };
        // Mapping symbols and the assembler's own labels say nothing to readers.
        if !named
            || name.is_empty()
            || name.starts_with('$')
            || name.starts_with(".L")
            || symbol.is_undefined()
        {
            continue;
        }
        let start = symbol.address();
        let section = symbol.section_index().and_then(|index| file.section_by_index(index).ok());
        let section_end = section.map(|section| section.address().saturating_add(section.size()));
        let typed = matches!(kind, SymbolKind::Text | SymbolKind::Data);
        let sized = typed && symbol.size() != 0;
        let end = match (sized, section_end) {
            (true, _) => start.saturating_add(symbol.size()),
            (false, Some(end)) => end,
            (false, None) => continue,
        };
        // Of several names for one address: the one with a type, the global one, the first by the alphabet.
        found.push((sized, start, (!typed, symbol.is_local(), name), end));
    }
    found.sort();
    found.dedup_by_key(|&mut (sized, start, ..)| (sized, start));
    let mut sized_symbols = Vec::new();
    let mut labels = Vec::new();
    for (sized, start, (_, _, name), end) in found {
        let symbol = Symbol { start, end, name: demangled(name) };
        match sized {
            true => sized_symbols.push(symbol),
            false => labels.push(symbol),
        }
    }
    (sized_symbols, labels)
}

fn holder(symbols: &[Symbol], address: u64) -> Option<&Symbol> {
    let last = symbols.partition_point(|symbol| symbol.start <= address).checked_sub(1)?;
    symbols.get(last).filter(|symbol| address < symbol.end)
}

/// Takes text until it is long enough.
struct Bounded(String);

impl fmt::Write for Bounded {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if self.0.len() + text.len() > NAME_BYTES_MAX {
            return Err(fmt::Error);
        }
        self.0.push_str(text);
        Ok(())
    }
}

/// A name as its language writes it, of Rust or C++; others as they are.
fn demangled(name: &str) -> String {
    let mut out = Bounded(String::new());
    if let Ok(rust) = rustc_demangle::try_demangle(name) {
        if write!(out, "{rust:#}").is_ok() {
            return out.0;
        }
    } else if name.starts_with("_Z")
        && let Ok(symbol) = cpp_demangle::BorrowedSymbol::new(name.as_bytes())
        && symbol.structured_demangle(&mut out, &Default::default()).is_ok()
    {
        return out.0;
    }
    shortened(name)
}

/// The text, cut where it gets too long to show, and without characters that would move a terminal's cursor.
fn shortened(text: &str) -> String {
    let mut out = String::new();
    for character in text.chars() {
        if out.len() >= NAME_BYTES_MAX {
            out.push('…');
            break;
        }
        match character.is_control() {
            true => out.extend(character.escape_default()),
            false => out.push(character),
        }
    }
    out
}

fn text_of(bytes: &Reader) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn joined(folder: &str, path: &str) -> String {
    match folder.is_empty() || path.starts_with('/') {
        true => path.to_owned(),
        false => format!("{}/{path}", folder.trim_end_matches('/')),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn guest() -> Vec<u8> {
        let path =
            concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/guests/riscv64/elf/lost_update-broken.elf");
        std::fs::read(path).expect("the guests are part of the repository")
    }

    fn address_of(symbols: &Symbols, name: &str) -> Gva {
        let all = symbols.sized.iter().chain(&symbols.labels);
        Gva(all.into_iter().find(|symbol| symbol.name == name).expect("a symbol of the guest").start)
    }

    #[test]
    fn code_and_data_have_names() {
        let symbols = Symbols::read(&guest()).unwrap();
        let main = address_of(&symbols, "main");
        assert_eq!(symbols.name(main), "main");
        assert_eq!(symbols.name(main.plus(4)), "main+0x4");
        assert_eq!(symbols.name(address_of(&symbols, "counter").plus(7)), "counter+0x7");
        assert_eq!(symbols.name(Gva(0x1000_0000)), "0x10000000", "a device has no symbol");
        assert_eq!(symbols.name(Gva(0x8000_0000)), "_start", "a label of assembly without a size");
    }

    #[test]
    fn an_inlined_call_names_the_call_and_who_holds_it() {
        let symbols = Symbols::read(&guest()).unwrap();
        let main = address_of(&symbols, "main");
        let end = symbols.sized.iter().find(|symbol| symbol.name == "main").unwrap().end;
        let frames: Vec<_> = (main.0..end).step_by(2).map(|address| symbols.frames(Gva(address))).collect();
        let inlined = frames
            .iter()
            .find(|frames| frames[0].function.as_deref() == Some("add_one"))
            .expect("add_one() is inlined into main()");
        assert_eq!(inlined[0].file_name(), Some("lost_update.c"));
        assert_eq!(inlined.last().unwrap().function.as_deref(), Some("main"));
        let text = std::fs::read_to_string(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../tests/guests/riscv64/bugs/lost_update.c"
        ))
        .unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert!(
            inlined[0].line.is_some_and(|line| lines[line as usize - 1].contains("counter + 1")),
            "the addition's line is among those of main()"
        );
    }

    #[test]
    fn line_tables_name_their_sources() {
        let sources = Symbols::read(&guest()).unwrap().sources();
        assert!(sources.iter().any(|path| path.ends_with("lost_update.c")), "{sources:?}");
        assert!(sources.iter().any(|path| path.ends_with("start.S")), "{sources:?}");
    }

    #[test]
    fn loaded_bytes_are_found_by_address() {
        let symbols = Symbols::read(&guest()).unwrap();
        let start = symbols.bytes(Gva(0x8000_0000)).expect("the entry is loaded");
        assert!(start.len() > 0x600);
        assert_eq!(symbols.bytes(Gva(0x10)), None);
    }

    #[test]
    fn what_is_no_elf_file_is_an_error() {
        assert!(Symbols::read(b"").is_err());
        assert!(Symbols::read(b"\x7fELF").is_err());
        assert!(Symbols::none().frames(Gva(0)).is_empty());
    }

    #[test]
    fn names_are_shown_as_their_language_writes_them() {
        assert_eq!(demangled("_ZN3foo3barEv"), "foo::bar()");
        assert_eq!(demangled("_RNvC6_123foo3bar"), "123foo::bar");
        assert_eq!(demangled("plain\x1b[31m"), "plain\\u{1b}[31m");
        let long = "x".repeat(NAME_BYTES_MAX * 2);
        assert!(demangled(&long).len() <= NAME_BYTES_MAX + '…'.len_utf8());
    }

    /// A unit whose entries nest without end, as no compiler makes them.
    #[test]
    fn endless_nesting_is_refused() {
        let mut info = Vec::new();
        let depth = 200_000_usize;
        let mut body = vec![5, 0, 1, 8, 0, 0, 0, 0];
        body.extend(std::iter::repeat_n(1, depth));
        info.extend((body.len() as u32).to_le_bytes());
        info.extend(body);
        // Abbreviation 1: an inlined subroutine with children and no attributes.
        let abbreviations = vec![1, 0x1d, 1, 0, 0, 0];
        let symbols = Symbols {
            sections: vec![
                (gimli::SectionId::DebugInfo, Arc::from(info)),
                (gimli::SectionId::DebugAbbrev, Arc::from(abbreviations)),
            ],
            ..Symbols::none()
        };
        assert!(!shallow(&symbols.dwarf().unwrap()));
        assert!(symbols.frames(Gva(0)).is_empty());
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

        #[test]
        fn damaged_files_never_panic(
            damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..40),
            length in any::<prop::sample::Index>(),
            cut in any::<bool>(),
        ) {
            let mut bytes = guest();
            for (index, byte) in damage {
                let at = index.index(bytes.len());
                bytes[at] = byte;
            }
            if cut {
                bytes.truncate(length.index(bytes.len()));
            }
            if let Ok(symbols) = Symbols::read(&bytes) {
                for address in (0x8000_0000_u64..0x8000_0800).step_by(16) {
                    symbols.name(Gva(address));
                    symbols.frames(Gva(address));
                }
                symbols.sources();
            }
        }
    }
}
