//! The digest of a whole machine: memory, devices, cores (CHK-1).
//!
//! The bytes that are hashed, numbers being eight bytes and little-endian:
//!
//! 1. of every page of RAM that is not all zeroes, ascending: its number, counted from the start of RAM, and its bytes;
//! 2. [`END`] in place of a number;
//! 3. the length of the devices' state, and that state;
//! 4. of every page of a device that was ever written, ascending: its number in checkpoints, and the digest of its bytes;
//! 5. of every core that is given: the sixteen bytes of its own digest.
//!
//! So it depends on what memory holds, not on which pages were ever written, and two machines have the same digest only
//! if all of this is the same. The content of RAM below `tohost` and `fromhost`, which no program sees, counts.
//!
//! Cores wait for it: pieces of the message are hashed side by side.

use crate::Board;
use cantus_engine::share;
use cantus_isa::{Gpa, address::PAGE_SIZE};
use cantus_memory::{PageIndex, Ram};
use cantus_traces::{ContentDigest, Digest, DigestHasher, PIECE_BYTES};
use std::ops::Range;

/// What ends the pages: the number of no page.
const END: u64 = u64::MAX;

/// Bytes that are hashed at once, which is several times faster than few; a power of two.
const BATCH_BYTES: usize = 256 << 10;
/// Pages that one thread looks through at once.
const PAGES_TOGETHER: usize = 4096;

/// Bytes of a page's number.
const NUMBER_BYTES: u64 = 8;
/// Bytes of a page with its number.
const RECORD_BYTES: u64 = NUMBER_BYTES + PAGE_SIZE;

/// What is hashed.
struct Message<'a> {
    ram: &'a Ram,
    /// The pages that are not all zeroes.
    pages: Vec<PageIndex>,
    /// All behind the pages.
    rest: Vec<u8>,
}

impl Message<'_> {
    fn bytes(&self) -> u64 {
        self.pages_bytes() + self.rest.len() as u64
    }

    fn pages_bytes(&self) -> u64 {
        self.pages.len() as u64 * RECORD_BYTES
    }

    /// Copies the bytes out that begin `at` so many, all of which the message has.
    fn copy(&self, mut at: u64, mut into: &mut [u8]) {
        while !into.is_empty() {
            let (record, within) = (at / RECORD_BYTES, at % RECORD_BYTES);
            let left = match self.pages.get(record as usize) {
                Some(_) if within < NUMBER_BYTES => NUMBER_BYTES - within,
                Some(_) => RECORD_BYTES - within,
                None => self.bytes() - at,
            };
            let (part, behind) = into.split_at_mut(into.len().min(left as usize));
            let length = part.len();
            match self.pages.get(record as usize) {
                Some(&page) if within < NUMBER_BYTES => {
                    let number = u64::from(page.0).to_le_bytes();
                    part.copy_from_slice(&number[within as usize..][..length]);
                }
                Some(&page) => {
                    let address = self.ram.address(page).0 + (within - NUMBER_BYTES);
                    self.ram.read(Gpa(address), part);
                }
                None => part.copy_from_slice(&self.rest[(at - self.pages_bytes()) as usize..][..length]),
            }
            at += length as u64;
            into = behind;
        }
    }

    fn hash(&self, part: Range<u64>, mut hasher: DigestHasher) -> DigestHasher {
        let mut batch = vec![0; BATCH_BYTES.min((part.end - part.start) as usize)];
        for at in part.clone().step_by(BATCH_BYTES) {
            let batch = &mut batch[..BATCH_BYTES.min((part.end - at) as usize)];
            self.copy(at, batch);
            hasher.update(batch);
        }
        hasher
    }

    fn digest(&self) -> ContentDigest {
        let bytes = self.bytes();
        if bytes <= PIECE_BYTES {
            return self.hash(0..bytes, DigestHasher::new()).content_digest();
        }
        let pieces = share(bytes.div_ceil(PIECE_BYTES) as usize, |number| {
            let number = number as u64;
            let part = number * PIECE_BYTES..bytes.min((number + 1) * PIECE_BYTES);
            self.hash(part, DigestHasher::of_piece(number)).piece()
        });
        ContentDigest::of_pieces(&pieces).expect("there are several pieces")
    }
}

/// The pages that are not all zeroes, ascending.
fn pages(ram: &Ram) -> Vec<PageIndex> {
    let written: Vec<_> = ram.written_pages().collect();
    let parts: Vec<_> = written.chunks(PAGES_TOGETHER).collect();
    let is_not_zero = |page: &PageIndex| !ram.is_zero(*page);
    share(parts.len(), |part| parts[part].iter().copied().filter(is_not_zero).collect::<Vec<_>>()).concat()
}

/// The digest of a machine none of whose cores runs.
pub(crate) fn digest(ram: &Ram, board: &Board, cores: &[Digest]) -> ContentDigest {
    let mut rest = END.to_le_bytes().to_vec();
    let mut devices = Vec::new();
    board.write_state(&mut devices);
    rest.extend_from_slice(&(devices.len() as u64).to_le_bytes());
    rest.append(&mut devices);
    board.page_digests(|number, digest| {
        rest.extend_from_slice(&number.to_le_bytes());
        rest.extend_from_slice(&digest.0);
    });
    cores.iter().for_each(|core| rest.extend_from_slice(&core.0));
    Message { ram, pages: pages(ram), rest }.digest()
}

#[cfg(test)]
mod tests {
    use crate::testing::{Context, Elf};
    use crate::{GuestImage, Machine, MachineConfig, map};
    use cantus_engine::Bus;
    use cantus_isa::{Gpa, Width};
    use cantus_traces::{ContentDigest, Digest};

    const RAM: u64 = map::RAM_BASE.0;

    /// A machine with so many cores, and pages of RAM.
    fn machine_of(cores: u64, pages: u64) -> Machine {
        let image = GuestImage::from_bytes("guest", Elf::default().bytes()).unwrap();
        Machine::new(MachineConfig::new(cores, 4096 * pages).unwrap(), &image.into()).unwrap()
    }

    fn machine() -> Machine {
        machine_of(2, 256)
    }

    /// What is hashed, by the format's description, up to the cores, of a machine with so many pages of RAM.
    fn documented(machine: &Machine, pages: u64) -> Vec<u8> {
        let mut message = Vec::new();
        for page in 0..pages {
            let mut bytes = [0; 4096];
            machine.ram().read(Gpa(RAM + 4096 * page), &mut bytes);
            if bytes != [0; 4096] {
                message.extend(page.to_le_bytes());
                message.extend(bytes);
            }
        }
        message.extend([0xff; 8]);
        let mut devices = Vec::new();
        machine.board().write_state(&mut devices);
        message.extend((devices.len() as u64).to_le_bytes());
        message.extend(devices);
        message
    }

    #[test]
    fn the_bytes_are_the_documented_ones() {
        let machine = machine();
        machine.ram().store(Gpa(RAM + 0x3000), Width::Byte, 7);
        let mut expected = documented(&machine, 256);
        assert_eq!(machine.digest(&[]), ContentDigest::of(&expected));
        expected.extend([3; 16]);
        expected.extend([4; 16]);
        assert_eq!(machine.digest(&[Digest([3; 16]), Digest([4; 16])]), ContentDigest::of(&expected));
    }

    #[test]
    fn the_bytes_are_the_documented_ones_in_many_pieces() {
        let machine = machine_of(1, 4096);
        for page in (0x100..0xc00_u64).filter(|page| page % 7 != 0) {
            let bytes: Vec<u8> = (0..4096).map(|at| (page * 31 + at / 5) as u8).collect();
            machine.ram().write(Gpa(RAM + 4096 * page), &bytes);
        }
        machine.ram().write(Gpa(RAM + 4096 * 0x200), &[0; 4096]);
        let expected = documented(&machine, 4096);
        assert!(expected.len() > 8 << 20, "more than two pieces");
        assert_eq!(machine.digest(&[]), ContentDigest::of(&expected));
    }

    #[test]
    fn chk_1_whatever_differs_shows() {
        let reference = machine().digest(&[]);
        assert_eq!(reference, machine().digest(&[]), "the same machine, the same digest");

        let touched = machine();
        touched.ram().store(Gpa(RAM + 0x5000), Width::Byte, 1);
        assert_ne!(touched.digest(&[]), reference, "a byte of memory");
        touched.ram().store(Gpa(RAM + 0x5000), Width::Byte, 0);
        assert_eq!(touched.digest(&[]), reference, "a page that is zero again");

        let moved = machine();
        moved.ram().store(Gpa(RAM + 0x6000), Width::Byte, 1);
        touched.ram().store(Gpa(RAM + 0x5000), Width::Byte, 1);
        assert_ne!(moved.digest(&[]), touched.digest(&[]), "the same page elsewhere");

        for (address, width, what) in [
            (map::UART.start + 7, Width::Byte, "a register of the UART"),
            (map::UART.start, Width::Byte, "output"),
            (map::CLINT.start + 4, Width::Word, "a software interrupt"),
            (map::PLIC.start + 4, Width::Word, "a priority"),
        ] {
            let machine = machine();
            machine.board().store(Gpa(address), width, 1, &mut Context::new(0, 0)).unwrap();
            assert_ne!(machine.digest(&[]), reference, "{what}");
        }
        assert_ne!(machine().digest(&[Digest([0; 16])]), reference, "a core");
    }
}
