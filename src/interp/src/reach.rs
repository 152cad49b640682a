//! The slow path of memory: whatever no fast TLB entry answers at once.
//!
//! Every function either completes its access or leaves no trace (ORD-4): translations and grants come first, for both
//! halves of an access that straddles pages or lines, then the access itself.
//!
//! Choices that the manual leaves:
//! - a misaligned load or store of RAM is made in hardware, across pages too; it may tear;
//! - of what is not plain RAM, only aligned accesses reach a device; others, and those of a straddling access, are access
//!   faults, and so are AMO, LR and SC;
//! - code is fetched from plain RAM only, in halfwords;
//! - a misaligned AMO, LR or SC is a misaligned-address exception, which comes before those of translation;
//! - an instruction on a block of memory that faults blames its address as it stands in the register, and `cbo.zero` of
//!   what is not plain RAM is an access fault;
//! - an SC that will fail faults as one that will not, and may set the dirty bit.

use crate::interp::Context;
use crate::{Blocked, Core, Exit, Extent, Port, Refusal};
use cantus_isa::riscv::csr::{Denied, mstatus::SUM};
use cantus_isa::riscv::hart::{Hart, Privilege, Reservation};
use cantus_isa::riscv::meaning::Block;
use cantus_isa::riscv::pmp::Permissions;
use cantus_isa::riscv::trap::{Exception, Trap};
use cantus_isa::riscv::walk::{Access, Walk};
use cantus_isa::{
    Gpa, Gva, Width,
    address::{CACHE_BLOCK_SIZE, PAGE_SHIFT, PAGE_SIZE},
};
use cantus_memory::{LINE_SIZE, Right, Rights, Translation, host};
use std::sync::atomic::Ordering::SeqCst;

/// Why an instruction did not complete. What trap it was stands in [`Context::trap`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Stop {
    /// By an exception. This is a step.
    Trap,
    /// A grant is lacking. This is no step, and nothing of it is to be seen.
    Blocked,
    /// Its walk has set an accessed or dirty bit. This is a step, and the instruction starts again.
    Updated,
}

impl From<Blocked> for Stop {
    fn from(Blocked: Blocked) -> Self {
        Stop::Blocked
    }
}

/// Under which rules an access is made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Mode {
    /// Which translations the TLB is asked for. Loads and stores: 0 for M-mode, 1 and 2 for S-mode without and with SUM, 3
    /// for U-mode. Fetches: 4, 5 and 6 for M-, S- and U-mode; they have translations of their own, so that no load or
    /// store ever takes away the one that the running block was fetched by. Without translation levels are kept apart,
    /// too, because protection is not the same.
    pub index: usize,
    /// The level.
    pub privilege: Privilege,
}

impl Mode {
    /// That of fetches.
    pub fn code(hart: &Hart) -> Self {
        let privilege = hart.privilege;
        let index = match privilege {
            Privilege::Machine => 4,
            Privilege::Supervisor => 5,
            Privilege::User => 6,
        };
        Self { index, privilege }
    }

    /// That of loads and stores.
    pub fn data(hart: &Hart) -> Self {
        let privilege = hart.data_privilege();
        let index = match privilege {
            Privilege::Machine => 0,
            Privilege::Supervisor => 1 + usize::from(hart.mstatus & SUM != 0),
            Privilege::User => 3,
        };
        Self { index, privilege }
    }
}

/// An access, or the part of it that lies in one page, whose translation and protection permit it.
#[derive(Clone, Copy)]
struct Part {
    virtual_address: Gva,
    mode: usize,
    address: Gpa,
    bytes: u64,
    /// Not uniform where protection is not the same for all of the page.
    translation: Translation,
}

/// One step's reach into memory.
pub(crate) struct Reach<'a, P> {
    pub core: &'a mut Core,
    pub port: &'a mut P,
    pub context: &'a mut Context,
    /// The instruction's place in the block.
    pub index: usize,
}

impl<P: Port> Reach<'_, P> {
    pub fn position(&self) -> u64 {
        self.core.position + self.index as u64
    }

    pub fn trap(&mut self, cause: Exception, value: u64) -> Stop {
        self.context.trap = Trap::new(cause, value);
        Stop::Trap
    }

    /// Lets the block end after this instruction.
    fn end_block(&mut self) {
        self.context.limit = self.index + 1;
    }

    /// Lets the executor return after this instruction.
    pub fn exit(&mut self, exit: Exit) {
        self.context.exit = Some(exit);
        self.end_block();
    }

    /// Translates what of the access lies in the page of `address`.
    fn translate(&mut self, mode: Mode, address: u64, bytes: u64, access: Access) -> Result<Part, Stop> {
        let virtual_address = Gva(address);
        let translation = match self.core.tlb.translation(mode.index, virtual_address) {
            Some(translation) if translation.rights.has(right(access)) => translation,
            Some(_) | None => self.fill(mode, address, access)?,
        };
        let physical = Gpa(translation.page.0 | virtual_address.offset());
        let translation = if translation.uniform {
            translation
        } else {
            self.protected(mode, translation, physical, bytes, access)
                .ok_or_else(|| self.trap(access.access_fault(), address))?
        };
        Ok(Part { virtual_address, mode: mode.index, address: physical, bytes, translation })
    }

    /// The translation as far as protection permits it: of the page, if that is the same for all of it, or of the access.
    #[cold]
    fn protected(
        &self,
        mode: Mode,
        translation: Translation,
        physical: Gpa,
        bytes: u64,
        access: Access,
    ) -> Option<Translation> {
        let pmp = &self.core.hart.pmp;
        match pmp.of_page(mode.privilege, translation.page.0) {
            Some(of_page) => {
                let rights = Rights(translation.rights.0 & rights(of_page, of_page).0);
                of_page.permit(access).then_some(Translation { rights, uniform: true, ..translation })
            }
            None => pmp.permissions(mode.privilege, physical.0, bytes).permit(access).then_some(translation),
        }
    }

    fn fill(&mut self, mode: Mode, address: u64, access: Access) -> Result<Translation, Stop> {
        let position = self.position();
        self.context.counts.fills += 1;
        loop {
            let Core { hart, ram, .. } = &mut *self.core;
            let port = &mut *self.port;
            let walk = hart.walk(mode.privilege, access, address, |at| {
                if !ram.is_plain(at, 8) {
                    return Ok(None);
                }
                port.grant(position, at, Right::Read)?;
                Ok::<_, Blocked>(Some(ram.load(at, Width::Double)))
            })?;
            match walk {
                Walk::Fault(cause) => return Err(self.trap(cause, address)),
                Walk::Update { address, entry, updated } => {
                    self.port.grant(position, address, Right::Write)?;
                    self.note_write(address);
                    // Another core may have changed the entry in a free run: then the walk begins again.
                    if self
                        .core
                        .ram
                        .atomic64(address)
                        .compare_exchange(entry, updated, SeqCst, SeqCst)
                        .is_ok()
                    {
                        self.written(address, 8);
                        return Err(Stop::Updated);
                    }
                }
                Walk::Mapped { page, permissions, shift, global } => {
                    let size = 1 << shift.max(PAGE_SHIFT);
                    let whole = page.0 & !(size - 1);
                    let protection = self.core.hart.pmp.of_range(mode.privilege, whole, size);
                    if protection.is_some_and(|protection| !protection.permit(access)) {
                        return Err(self.trap(access.access_fault(), address));
                    }
                    let translation = Translation {
                        page,
                        rights: rights(permissions, protection.unwrap_or(Permissions::ALL)),
                        shift: shift.max(PAGE_SHIFT) as u8,
                        uniform: protection.is_some(),
                        global,
                    };
                    if shift == 0 && self.core.ram.page(page).is_none() {
                        // A device's page without translation: nothing is gained by an entry, and a page of RAM may lose
                        // its own.
                        return Ok(translation);
                    }
                    self.core.tlb.fill(position, mode.index, Gva(address), translation);
                    return Ok(translation);
                }
            }
        }
    }

    fn is_plain(&self, part: &Part) -> bool {
        self.core.ram.is_plain(part.address, part.bytes)
    }

    fn note_write(&self, address: Gpa) {
        let page = self.core.ram.page(address).expect("ORD-1: grants are asked for RAM only");
        self.core.ram.note_write(page);
    }

    /// Gets the grant for a part that lies in plain RAM; for all of its page, fast entries are made if they may be.
    fn own(&mut self, part: &Part, right: Right) -> Result<Extent, Stop> {
        let position = self.position();
        let extent = self.port.grant(position, part.address, right)?;
        match extent {
            Extent::Page => {
                let page = Gpa(part.address.0 & !(PAGE_SIZE - 1));
                if self.core.ram.is_plain(page, PAGE_SIZE) {
                    let rights = match right {
                        Right::Read => Rights::READ.with(Rights::EXECUTE),
                        Right::Write => Rights::READ.with(Rights::WRITE).with(Rights::EXECUTE),
                    };
                    if right == Right::Write {
                        self.note_write(page);
                    }
                    let host = self.core.ram.host(page);
                    self.core.tlb.allow(part.mode, part.virtual_address, part.translation, rights, host);
                }
            }
            Extent::Line => {
                let second = (part.address.0 | (LINE_SIZE - 1)) + 1;
                if second < part.address.0 + part.bytes {
                    self.port.grant(position, Gpa(second), right)?;
                }
            }
        }
        Ok(extent)
    }

    /// Bytes of RAM have been written by this core: code among them takes effect at the next instruction (MMU-3).
    fn written(&mut self, address: Gpa, bytes: u64) {
        let Core { ram, tlb, .. } = &mut *self.core;
        let page = ram.page(address).expect("what was written is RAM");
        if tlb.is_code(page) && self.context.blocks.written(ram, tlb, address, bytes) {
            self.end_block();
        }
    }

    /// Translates a data access: all of it, or both parts where it straddles pages.
    fn data(&mut self, address: u64, bytes: u64, access: Access) -> Result<(Part, Option<Part>), Stop> {
        let mode = self.context.data;
        let room = PAGE_SIZE - Gva(address).offset();
        if bytes <= room {
            return Ok((self.translate(mode, address, bytes, access)?, None));
        }
        let first = self.translate(mode, address, room, access)?;
        let second = self.translate(mode, address.wrapping_add(room), bytes - room, access)?;
        for part in [&first, &second] {
            if !self.is_plain(part) {
                return Err(self.trap(access.access_fault(), part.virtual_address.0));
            }
        }
        Ok((first, Some(second)))
    }

    /// Whether an access to what is not plain RAM may reach a device.
    fn device(&mut self, address: u64, width: Width, access: Access) -> Result<(), Stop> {
        if address.is_multiple_of(width.bytes()) {
            Ok(())
        } else {
            Err(self.trap(access.access_fault(), address))
        }
    }

    fn refused(&mut self, refusal: Refusal, cause: Exception, address: u64) -> Stop {
        match refusal {
            Refusal::Blocked => Stop::Blocked,
            Refusal::Fault => self.trap(cause, address),
        }
    }

    #[cold]
    #[inline(never)]
    pub fn load(mut self, width: Width, address: u64) -> Result<u64, Stop> {
        // One that is not aligned, but stays in its page, needs nothing but the page's fast entry.
        if Gva(address).offset() + width.bytes() <= PAGE_SIZE
            && let Some(at) = self.core.tlb.read(self.context.data.index, Gva(address), 1)
        {
            // SAFETY: a fast entry's page is plain RAM, and all of the access lies in it.
            return Ok(unsafe { host::load(at, width) });
        }
        self.context.counts.misses += 1;
        let (part, second) = self.data(address, width.bytes(), Access::Load)?;
        let Some(second) = second else {
            if !self.is_plain(&part) {
                self.device(address, width, Access::Load)?;
                let loaded = self.port.device_load(self.position(), part.address, width);
                let value =
                    loaded.map_err(|refusal| self.refused(refusal, Exception::LoadAccess, address))?;
                self.exit(Exit::Device);
                return Ok(value);
            }
            self.own(&part, Right::Read)?;
            return Ok(self.core.ram.load(part.address, width));
        };
        self.own(&part, Right::Read)?;
        self.own(&second, Right::Read)?;
        Ok(bytes_of(&part, &second)
            .enumerate()
            .fold(0, |value, (at, byte)| value | self.core.ram.load(byte, Width::Byte) << (8 * at)))
    }

    #[cold]
    #[inline(never)]
    pub fn store(mut self, width: Width, address: u64, value: u64) -> Result<(), Stop> {
        if Gva(address).offset() + width.bytes() <= PAGE_SIZE
            && let Some(at) = self.core.tlb.write(self.context.data.index, Gva(address), 1)
        {
            // SAFETY: as for `load`.
            unsafe { host::store(at, width, value) };
            return Ok(());
        }
        self.context.counts.misses += 1;
        let (part, second) = self.data(address, width.bytes(), Access::Store)?;
        let Some(second) = second else {
            if !self.is_plain(&part) {
                self.device(address, width, Access::Store)?;
                let value = crate::number::zero_extend(width, value);
                let stored = self.port.device_store(self.position(), part.address, width, value);
                stored.map_err(|refusal| self.refused(refusal, Exception::StoreAccess, address))?;
                self.exit(Exit::Device);
                return Ok(());
            }
            self.own(&part, Right::Write)?;
            self.core.ram.store(part.address, width, value);
            self.written(part.address, part.bytes);
            return Ok(());
        };
        self.own(&part, Right::Write)?;
        self.own(&second, Right::Write)?;
        for (at, byte) in bytes_of(&part, &second).enumerate() {
            self.core.ram.store(byte, Width::Byte, value >> (8 * at));
        }
        self.written(part.address, part.bytes);
        self.written(second.address, second.bytes);
        Ok(())
    }

    /// Translates the address of an atomic access, and gets the grant to write there, unless a fast entry has both.
    fn atomic(&mut self, width: Width, address: u64, access: Access) -> Result<Gpa, Stop> {
        if let Some(host) = self.core.tlb.write(self.context.data.index, Gva(address), width.bytes()) {
            return Ok(self.core.ram.address_of(host));
        }
        if !address.is_multiple_of(width.bytes()) {
            return Err(self.trap(access.misaligned(), address));
        }
        let part = self.translate(self.context.data, address, width.bytes(), access)?;
        if !self.is_plain(&part) {
            return Err(self.trap(access.access_fault(), address));
        }
        self.own(&part, Right::Write)?;
        Ok(part.address)
    }

    /// The write grant is asked for already here, so that the store-conditional needs no other one.
    #[inline(never)]
    pub fn load_reserved(mut self, width: Width, address: u64) -> Result<u64, Stop> {
        let at = self.atomic(width, address, Access::Load)?;
        let value = self.core.ram.load(at, width);
        self.core.hart.reservation = Some(Reservation { address: at, width, value });
        self.core.reservation_lost = false;
        Ok(value)
    }

    /// Gives 0 for success, 1 for failure.
    #[inline(never)]
    pub fn store_conditional(mut self, width: Width, address: u64, value: u64) -> Result<u64, Stop> {
        let at = self.atomic(width, address, Access::Store)?;
        let reserved = self.core.hart.reservation.take();
        let stored = match reserved {
            Some(reserved) if reserved.address == at && reserved.width == width => {
                if P::HOST_ATOMICS {
                    self.exchange(width, at, reserved.value, value)
                } else {
                    let intact = !self.core.reservation_lost;
                    let holds = intact && self.port.conditionals_hold()
                        || self.port.conditional(self.position(), intact);
                    if holds {
                        self.core.ram.store(at, width, value);
                    }
                    holds
                }
            }
            Some(_) | None => false,
        };
        if stored {
            self.written(at, width.bytes());
        } else {
            self.exit(Exit::Yield);
        }
        Ok(u64::from(!stored))
    }

    fn exchange(&mut self, width: Width, at: Gpa, from: u64, to: u64) -> bool {
        self.note_write(at);
        match width {
            Width::Double => self.core.ram.atomic64(at).compare_exchange(from, to, SeqCst, SeqCst).is_ok(),
            Width::Word | Width::Half | Width::Byte => {
                let word = self.core.ram.atomic32(at);
                word.compare_exchange(from as u32, to as u32, SeqCst, SeqCst).is_ok()
            }
        }
    }

    /// Zeroes the block that `address` lies in. The other instructions on blocks do nothing but ask that it may be loaded
    /// from or stored to ("CMO", "Access Permissions"; nothing can be stored to that cannot be loaded from), and what
    /// they trap with is a store's, too.
    #[inline(never)]
    pub fn block(mut self, bits: u32, block: Block, address: u64) -> Result<(), Stop> {
        if let Err(Denied) = self.core.hart.block_check(block) {
            return Err(self.illegal(bits));
        }
        let access = if block == Block::Zero { Access::Store } else { Access::Load };
        let start = address & !(CACHE_BLOCK_SIZE - 1);
        if block == Block::Zero
            && let Some(host) = self.core.tlb.write(self.context.data.index, Gva(start), CACHE_BLOCK_SIZE)
        {
            for at in (0..CACHE_BLOCK_SIZE as usize).step_by(8) {
                // SAFETY: a fast entry's page is plain RAM, and an aligned block lies in one page.
                unsafe { host::store(host.add(at), Width::Double, 0) };
            }
            return Ok(());
        }
        let part = match self.translate(self.context.data, start, CACHE_BLOCK_SIZE, access) {
            Ok(part) => part,
            Err(Stop::Trap) => {
                let page = self.context.trap.cause == access.page_fault();
                let cause = if page { Exception::StorePage } else { Exception::StoreAccess };
                return Err(self.trap(cause, address));
            }
            Err(stop @ (Stop::Blocked | Stop::Updated)) => return Err(stop),
        };
        if block != Block::Zero {
            return Ok(());
        }
        if !self.is_plain(&part) {
            return Err(self.trap(Exception::StoreAccess, address));
        }
        // A block is no more than a line, so one grant is for all of it.
        const { assert!(CACHE_BLOCK_SIZE <= LINE_SIZE) }
        self.own(&part, Right::Write)?;
        for at in (0..CACHE_BLOCK_SIZE).step_by(8) {
            self.core.ram.store(part.address.plus(at), Width::Double, 0);
        }
        self.written(part.address, CACHE_BLOCK_SIZE);
        Ok(())
    }

    /// Where an AMO finds its operand in RAM, which it may write. After it, [`Reach::amo_done`].
    #[cold]
    #[inline(never)]
    pub fn amo(mut self, width: Width, address: u64) -> Result<Gpa, Stop> {
        self.context.counts.misses += 1;
        let at = self.atomic(width, address, Access::Store)?;
        self.note_write(at);
        Ok(at)
    }

    #[cold]
    #[inline(never)]
    pub fn amo_done(mut self, width: Width, at: Gpa) {
        self.written(at, width.bytes());
    }

    /// Translates the halfword of code at `address` and gets its grant, if it is not there.
    pub fn code(&mut self, address: u64) -> Result<Code, Stop> {
        let part = self.translate(self.context.code, address, 2, Access::Fetch)?;
        if !self.is_plain(&part) {
            return Err(self.trap(Exception::InstructionAccess, address));
        }
        let extent = if self.core.tlb.execute(part.mode, part.virtual_address).is_some() {
            CodeExtent::Page
        } else {
            match self.own(&part, Right::Read)? {
                Extent::Page if self.core.tlb.execute(part.mode, part.virtual_address).is_some() => {
                    CodeExtent::Page
                }
                Extent::Line if part.translation.uniform && self.line_is_plain(part.address) => {
                    CodeExtent::Line
                }
                Extent::Page | Extent::Line => CodeExtent::Halfword,
            }
        };
        Ok(Code { address: part.address, extent })
    }

    fn line_is_plain(&self, address: Gpa) -> bool {
        self.core.ram.is_plain(Gpa(address.0 & !(LINE_SIZE - 1)), LINE_SIZE)
    }
}

/// Where code lies.
#[derive(Clone, Copy)]
pub(crate) struct Code {
    pub address: Gpa,
    pub extent: CodeExtent,
}

/// How far from a halfword of code the same translation, protection and grant hold.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum CodeExtent {
    /// The page.
    Page,
    /// The line.
    Line,
    /// No further.
    Halfword,
}

/// The addresses of an access that straddles pages.
fn bytes_of(first: &Part, second: &Part) -> impl Iterator<Item = Gpa> {
    let (first, second) = (*first, *second);
    (0..first.bytes)
        .map(move |at| first.address.plus(at))
        .chain((0..second.bytes).map(move |at| second.address.plus(at)))
}

fn right(access: Access) -> Rights {
    match access {
        Access::Fetch => Rights::EXECUTE,
        Access::Load => Rights::READ,
        Access::Store => Rights::WRITE,
    }
}

fn rights(a: Permissions, b: Permissions) -> Rights {
    let mut rights = Rights::NONE;
    for access in [Access::Fetch, Access::Load, Access::Store] {
        if a.permit(access) && b.permit(access) {
            rights = rights.with(right(access));
        }
    }
    rights
}
