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

use crate::Board;
use cantus_isa::address::PAGE_SIZE;
use cantus_memory::Ram;
use cantus_traces::{ContentDigest, Digest, DigestHasher};

/// What ends the pages: the number of no page.
const END: u64 = u64::MAX;

/// Bytes that are hashed at once.
const BATCH_BYTES: usize = 256 << 10;

/// The digest of a machine none of whose cores runs.
pub(crate) fn digest(ram: &Ram, board: &Board, cores: &[Digest]) -> ContentDigest {
    let mut hasher = DigestHasher::new();
    let mut page = [0; PAGE_SIZE as usize];
    // Hashing many bytes at a time is several times faster.
    let mut batch = Vec::with_capacity(BATCH_BYTES + 2 * page.len());
    for index in ram.written_pages() {
        ram.read(ram.address(index), &mut page);
        if page != [0; PAGE_SIZE as usize] {
            batch.extend_from_slice(&u64::from(index.0).to_le_bytes());
            batch.extend_from_slice(&page);
        }
        if batch.len() >= BATCH_BYTES {
            hasher.update(&batch);
            batch.clear();
        }
    }
    hasher.update(&batch);
    hasher.update(&END.to_le_bytes());
    let mut devices = Vec::new();
    board.write_state(&mut devices);
    hasher.update(&(devices.len() as u64).to_le_bytes());
    hasher.update(&devices);
    board.page_digests(|number, digest| {
        hasher.update(&number.to_le_bytes());
        hasher.update(&digest.0);
    });
    cores.iter().for_each(|core| hasher.update(&core.0));
    hasher.content_digest()
}

#[cfg(test)]
mod tests {
    use crate::testing::{Context, Elf};
    use crate::{GuestImage, Machine, MachineConfig, map};
    use cantus_engine::Bus;
    use cantus_isa::{Gpa, Width};
    use cantus_traces::{ContentDigest, Digest};

    const RAM: u64 = map::RAM_BASE.0;

    fn machine() -> Machine {
        let image = GuestImage::from_bytes("guest", Elf::default().bytes()).unwrap();
        Machine::new(MachineConfig::new(2, 1 << 20).unwrap(), &image.into()).unwrap()
    }

    #[test]
    fn the_bytes_are_the_documented_ones() {
        let machine = machine();
        machine.ram().store(Gpa(RAM + 0x3000), Width::Byte, 7);
        let mut expected = Vec::new();
        for page in 0..256_u64 {
            let mut bytes = [0; 4096];
            machine.ram().read(Gpa(RAM + 4096 * page), &mut bytes);
            if bytes != [0; 4096] {
                expected.extend(page.to_le_bytes());
                expected.extend(bytes);
            }
        }
        expected.extend([0xff; 8]);
        let mut devices = Vec::new();
        machine.board().write_state(&mut devices);
        expected.extend((devices.len() as u64).to_le_bytes());
        expected.extend(devices);
        assert_eq!(machine.digest(&[]), ContentDigest::of(&expected));
        expected.extend([3; 16]);
        expected.extend([4; 16]);
        assert_eq!(machine.digest(&[Digest([3; 16]), Digest([4; 16])]), ContentDigest::of(&expected));
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
