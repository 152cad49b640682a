//! Translation of virtual addresses: the walk of page tables (Privileged ISA, "Sv39", "Sv48", "Virtual Address
//! Translation Process").
//!
//! The hart sets accessed and dirty bits itself, in a step of its own: [`Walk::Update`] tells what is to be written, and
//! once it is, the instruction starts again. Where `menvcfg.ADUE` is clear (Svade), a bit that is to be set is a page fault.
//! Pages may be 64 KiB ("Svnapot"), and may have a memory type ("Svpbmt"), of which nothing depends. A reserved bit that is
//! set, in an entry of any level, is a page fault.

use super::csr::envcfg::{ADUE, PBMTE};
use super::csr::mstatus::{MXR, SUM};
use super::hart::{Hart, Privilege};
use super::pmp::Permissions;
use super::trap::Exception;
use crate::{
    Gpa,
    address::{PAGE_SHIFT, PAGE_SIZE},
};

/// What a program wants with memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Access {
    /// An instruction.
    Fetch,
    /// Read.
    Load,
    /// Write, or read and write.
    Store,
}

impl Access {
    /// The exception for an address that does not translate, or not for this.
    pub fn page_fault(self) -> Exception {
        match self {
            Access::Fetch => Exception::InstructionPage,
            Access::Load => Exception::LoadPage,
            Access::Store => Exception::StorePage,
        }
    }

    /// The exception for physical memory that does not permit this.
    pub fn access_fault(self) -> Exception {
        match self {
            Access::Fetch => Exception::InstructionAccess,
            Access::Load => Exception::LoadAccess,
            Access::Store => Exception::StoreAccess,
        }
    }

    /// The exception for an address that is not a multiple of the width.
    pub fn misaligned(self) -> Exception {
        match self {
            Access::Fetch => Exception::InstructionMisaligned,
            Access::Load => Exception::LoadMisaligned,
            Access::Store => Exception::StoreMisaligned,
        }
    }
}

/// How a walk ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Walk {
    /// The virtual page lies at a physical one. What the tables permit includes the access, and includes to write only
    /// if the dirty bit is set.
    Mapped {
        /// Physical address of the page.
        page: Gpa,
        /// What the tables permit.
        permissions: Permissions,
        /// log2 of the bytes that the entry maps; 0 without translation.
        shift: u32,
        /// Whether the mapping is that of every address space.
        global: bool,
    },
    /// Before the access may be made, the entry at this address, now `entry`, must become `updated`.
    Update {
        /// Physical address of the page-table entry; aligned.
        address: Gpa,
        /// What the walk read there.
        entry: u64,
        /// The same with the accessed bit, and the dirty bit for a store.
        updated: u64,
    },
    /// An exception.
    Fault(Exception),
}

const V: u64 = 1;
const R: u64 = 1 << 1;
const W: u64 = 1 << 2;
const X: u64 = 1 << 3;
const U: u64 = 1 << 4;
const G: u64 = 1 << 5;
const A: u64 = 1 << 6;
const D: u64 = 1 << 7;
/// The memory type; 3 is reserved.
const PBMT: u64 = 3 << 61;
const N: u64 = 1 << 63;
/// Bits 60 to 54.
const RESERVED: u64 = 0x7f << 54;
/// log2 of the bytes of a page whose entry has N set, the only such size.
const NAPOT_SHIFT: u32 = 16;

impl Hart {
    /// Translates `address` for an access in the name of `privilege`. `read` gives the doubleword at a physical address,
    /// or nothing where no such may be read; its error ends the walk.
    pub fn walk<E>(
        &self,
        privilege: Privilege,
        access: Access,
        address: u64,
        mut read: impl FnMut(Gpa) -> Result<Option<u64>, E>,
    ) -> Result<Walk, E> {
        let levels = match self.satp >> 60 {
            _ if privilege == Privilege::Machine => 0,
            8 => 3,
            9 => 4,
            _ => 0,
        };
        if levels == 0 {
            let page = Gpa(address & !(PAGE_SIZE - 1));
            return Ok(Walk::Mapped { page, permissions: Permissions::ALL, shift: 0, global: false });
        }
        let fault = Ok(Walk::Fault(access.page_fault()));
        let spare = 64 - (PAGE_SHIFT + 9 * levels);
        if (address << spare) as i64 >> spare != address as i64 {
            return fault;
        }
        let reserved = if self.menvcfg & PBMTE != 0 { RESERVED } else { RESERVED | PBMT };
        let mut global = false;
        let mut table = (self.satp & ((1 << 44) - 1)) << PAGE_SHIFT;
        for level in (0..levels).rev() {
            let shift = PAGE_SHIFT + 9 * level;
            let at = Gpa(table + (address >> shift & 0x1ff) * 8);
            let readable = self.pmp.permissions(Privilege::Supervisor, at.0, 8).read;
            let entry = match if readable { read(at)? } else { None } {
                Some(entry) => entry,
                None => return Ok(Walk::Fault(access.access_fault())),
            };
            if entry & V == 0 || entry & (R | W) == W || entry & reserved != 0 {
                return fault;
            }
            let frame = (entry >> 10 & ((1 << 44) - 1)) << PAGE_SHIFT;
            // "Addressing and Memory Protection": what lies below a global table is global.
            global |= entry & G != 0;
            if entry & (R | X) == 0 {
                if entry & (A | D | U | PBMT | N) != 0 {
                    return fault;
                }
                table = frame;
                continue;
            }
            let below = (1 << shift) - 1;
            let permitted = self.permitted(privilege, entry);
            if !permitted.permit(access) || frame & below != 0 || entry & PBMT == PBMT {
                return fault;
            }
            // "Svnapot": of the frame's low bits the highest one says the size; they stand for the address's.
            let napot = (1 << NAPOT_SHIFT) - 1;
            let (frame, shift) = match entry & N != 0 {
                false => (frame, shift),
                true if level == 0 && frame & napot == 1 << (NAPOT_SHIFT - 1) => {
                    (frame & !napot, NAPOT_SHIFT)
                }
                true => return fault,
            };
            let below = (1 << shift) - 1;
            let updated = entry | A | if access == Access::Store { D } else { 0 };
            if updated != entry && self.menvcfg & ADUE == 0 {
                return fault;
            }
            if updated != entry {
                let writable = self.pmp.permissions(Privilege::Supervisor, at.0, 8).write;
                return Ok(if writable {
                    Walk::Update { address: at, entry, updated }
                } else {
                    Walk::Fault(access.access_fault())
                });
            }
            let page = frame | address & below & !(PAGE_SIZE - 1);
            let write = permitted.write && entry & D != 0;
            let permissions = Permissions { write, ..permitted };
            return Ok(Walk::Mapped { page: Gpa(page), permissions, shift, global });
        }
        fault
    }

    /// What a leaf entry permits `privilege` to do.
    fn permitted(&self, privilege: Privilege, entry: u64) -> Permissions {
        let (data, execute) = match privilege {
            Privilege::User => (entry & U != 0, entry & U != 0),
            Privilege::Supervisor | Privilege::Machine => {
                (entry & U == 0 || self.mstatus & SUM != 0, entry & U == 0)
            }
        };
        let readable = entry & R != 0 || self.mstatus & MXR != 0 && entry & X != 0;
        Permissions {
            read: data && readable,
            write: data && entry & W != 0,
            execute: execute && entry & X != 0,
        }
    }
}
