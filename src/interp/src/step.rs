//! The operations of meanings, on numbers, on one core.
//!
//! Everything here is inlined into the loop that runs a block, and nothing but copies of the step's fields leaves it:
//! otherwise the host's compiler could not keep the fields in registers.

use crate::interp::Context;
use crate::number;
use crate::reach::{Reach, Stop};
use crate::{Core, Exit, Port};
use cantus_isa::riscv::Op;
use cantus_isa::riscv::csr::mstatus;
use cantus_isa::riscv::meaning::{Amo, Binary, Block, Change, Flow, Ops, Return, Unary};
use cantus_isa::riscv::trap::Exception;
use cantus_isa::{Gpa, Gva, Width};
use cantus_memory::host;
use std::sync::atomic::{AtomicI32, AtomicI64, AtomicU32, AtomicU64, Ordering::SeqCst, fence};

/// One instruction being executed. Made anew for each, so that all of it stays in host registers.
pub(crate) struct Step<'a, P> {
    pub core: &'a mut Core,
    pub port: &'a mut P,
    pub context: &'a mut Context,
    /// Address of its block.
    pub block: u64,
    /// Its place in the block.
    pub index: usize,
    /// Distance of each of the block's operations from the first, in halfwords.
    pub starts: *const u8,
    /// The TLB's mode for loads and stores.
    pub data: usize,
}

impl<'a, P: Port> Step<'a, P> {
    #[inline(always)]
    fn address(&self) -> u64 {
        // SAFETY: `starts` has one element for each operation of the block that is being executed, and one more.
        let halfwords = unsafe { *self.starts.add(self.index) };
        self.block.wrapping_add(2 * u64::from(halfwords))
    }

    #[inline(always)]
    fn reach(&mut self) -> Reach<'_, P> {
        Reach { core: self.core, port: self.port, context: self.context, index: self.index }
    }

    /// Does an AMO through a pointer; returns what was there.
    ///
    /// # Safety
    /// `at` points to `width` bytes of guest RAM, aligned.
    #[inline(always)]
    unsafe fn amo_at(amo: Amo, width: Width, at: *mut u8, value: u64) -> u64 {
        if !P::HOST_ATOMICS {
            let value = number::zero_extend(width, value);
            // SAFETY: the caller's.
            return unsafe {
                let old = host::load(at, width);
                host::store(at, width, number::amo(amo, width, old, value));
                old
            };
        }
        // SAFETY: in RAM and aligned (the caller's), and shared memory is only ever accessed atomically.
        unsafe {
            match width {
                Width::Double => {
                    let (word, signed) = (&*at.cast::<AtomicU64>(), &*at.cast::<AtomicI64>());
                    match amo {
                        Amo::Swap => word.swap(value, SeqCst),
                        Amo::Add => word.fetch_add(value, SeqCst),
                        Amo::Xor => word.fetch_xor(value, SeqCst),
                        Amo::And => word.fetch_and(value, SeqCst),
                        Amo::Or => word.fetch_or(value, SeqCst),
                        Amo::Min => signed.fetch_min(value as i64, SeqCst) as u64,
                        Amo::Max => signed.fetch_max(value as i64, SeqCst) as u64,
                        Amo::MinUnsigned => word.fetch_min(value, SeqCst),
                        Amo::MaxUnsigned => word.fetch_max(value, SeqCst),
                    }
                }
                Width::Word | Width::Half | Width::Byte => {
                    let (word, signed) = (&*at.cast::<AtomicU32>(), &*at.cast::<AtomicI32>());
                    let value = value as u32;
                    u64::from(match amo {
                        Amo::Swap => word.swap(value, SeqCst),
                        Amo::Add => word.fetch_add(value, SeqCst),
                        Amo::Xor => word.fetch_xor(value, SeqCst),
                        Amo::And => word.fetch_and(value, SeqCst),
                        Amo::Or => word.fetch_or(value, SeqCst),
                        Amo::Min => signed.fetch_min(value as i32, SeqCst) as u32,
                        Amo::Max => signed.fetch_max(value as i32, SeqCst) as u32,
                        Amo::MinUnsigned => word.fetch_min(value, SeqCst),
                        Amo::MaxUnsigned => word.fetch_max(value, SeqCst),
                    })
                }
            }
        }
    }
}

impl<P: Port> Ops for Step<'_, P> {
    type Value = u64;
    type Stop = Stop;

    #[inline(always)]
    fn constant(&mut self, value: u64) -> u64 {
        value
    }

    #[inline(always)]
    fn pc(&mut self) -> u64 {
        self.address()
    }

    #[inline(always)]
    fn x(&mut self, register: u8) -> u64 {
        self.core.hart.x[usize::from(register & 31)]
    }

    #[inline(always)]
    fn set_x(&mut self, register: u8, value: u64) {
        self.core.hart.x[usize::from(register & 31)] = value;
        self.core.hart.x[0] = 0;
    }

    #[inline(always)]
    fn f(&mut self, register: u8) -> u64 {
        self.core.hart.f[usize::from(register & 31)]
    }

    #[inline(always)]
    fn set_f(&mut self, register: u8, value: u64) {
        self.core.hart.f[usize::from(register & 31)] = value;
        self.core.hart.floating_point_changed();
    }

    #[inline(always)]
    fn binary(&mut self, operation: Binary, a: u64, b: u64) -> u64 {
        number::binary(operation, a, b)
    }

    #[inline(always)]
    fn unary(&mut self, operation: Unary, a: u64) -> u64 {
        number::unary(operation, a)
    }

    #[inline(always)]
    fn sign_extend(&mut self, width: Width, a: u64) -> u64 {
        number::sign_extend(width, a)
    }

    #[inline(always)]
    fn zero_extend(&mut self, width: Width, a: u64) -> u64 {
        number::zero_extend(width, a)
    }

    #[inline(always)]
    fn select(&mut self, condition: u64, yes: u64, no: u64) -> u64 {
        if condition != 0 { yes } else { no }
    }

    #[inline(always)]
    fn branch(&mut self, op: &Op, condition: u64, offset: i32) {
        let distance = if condition != 0 { i64::from(offset) as u64 } else { u64::from(op.length) };
        self.core.hart.pc = self.address().wrapping_add(distance);
    }

    #[inline(always)]
    fn jump(&mut self, target: u64) {
        self.core.hart.pc = target;
    }

    #[inline(always)]
    fn load(&mut self, width: Width, address: u64) -> Result<u64, Stop> {
        match self.core.tlb.read(self.data, Gva(address), width.bytes()) {
            // SAFETY: a fast entry's page is plain RAM, and its tag has been compared with all of an aligned access.
            Some(at) => Ok(unsafe { host::load(at, width) }),
            None => self.reach().load(width, address),
        }
    }

    #[inline(always)]
    fn store(&mut self, width: Width, address: u64, value: u64) -> Result<(), Stop> {
        match self.core.tlb.write(self.data, Gva(address), width.bytes()) {
            Some(at) => {
                // SAFETY: as for `load`.
                unsafe { host::store(at, width, value) };
                Ok(())
            }
            None => self.reach().store(width, address, value),
        }
    }

    #[inline(always)]
    fn load_reserved(&mut self, width: Width, address: u64) -> Result<u64, Stop> {
        self.reach().load_reserved(width, address)
    }

    #[inline(always)]
    fn store_conditional(&mut self, width: Width, address: u64, value: u64) -> Result<u64, Stop> {
        self.reach().store_conditional(width, address, value)
    }

    #[inline(always)]
    fn amo(&mut self, amo: Amo, width: Width, address: u64, value: u64) -> Result<u64, Stop> {
        if let Some(at) = self.core.tlb.write(self.data, Gva(address), width.bytes()) {
            // SAFETY: as for `load`.
            return Ok(unsafe { Self::amo_at(amo, width, at, value) });
        }
        let at: Gpa = self.reach().amo(width, address)?;
        // SAFETY: the place is plain RAM and aligned, or `Reach::amo` would not have given it.
        let old = unsafe { Self::amo_at(amo, width, self.core.ram.host(at), value) };
        self.reach().amo_done(width, at);
        Ok(old)
    }

    #[inline(always)]
    fn block(&mut self, op: &Op, block: Block, address: u64) -> Result<(), Stop> {
        self.reach().block(op.bits, block, address)
    }

    #[inline(always)]
    fn fence(&mut self) {
        // Under grants, accesses are sequentially consistent without.
        if P::HOST_ATOMICS {
            fence(SeqCst);
        }
    }

    #[inline(always)]
    fn floating(&mut self, op: &Op) -> Result<(), Stop> {
        if self.core.hart.mstatus & mstatus::FS == 0 { Err(self.reach().illegal(op.bits)) } else { Ok(()) }
    }

    #[inline(always)]
    fn evaluate(&mut self, op: &Op, a: u64, b: u64, c: u64) -> Result<u64, Stop> {
        self.reach().evaluate(op, [a, b, c])
    }

    #[inline(always)]
    fn csr(&mut self, op: &Op, change: Option<(Change, u64)>) -> Result<u64, Stop> {
        self.reach().csr(op, change)
    }

    #[inline(always)]
    fn fence_i(&mut self) -> Result<Flow, Stop> {
        self.fence();
        // Under grants, and in their replay, code is what it is without being asked (MMU-3).
        let Core { tlb, ram, code_epoch, .. } = &mut *self.core;
        *code_epoch += u64::from(P::HOST_ATOMICS && tlb.may_code_differ(ram));
        Ok(Flow::Sync)
    }

    #[inline(always)]
    fn sfence_vma(&mut self, op: &Op, address: Option<u64>, asid: Option<u64>) -> Result<Flow, Stop> {
        self.fence();
        self.reach().sfence_vma(op.bits, address, asid)
    }

    #[inline(always)]
    fn invalidation_fence(&mut self, op: &Op) -> Result<Flow, Stop> {
        self.fence();
        self.reach().invalidation_fence(op.bits)
    }

    #[inline(always)]
    fn trap_return(&mut self, op: &Op, from: Return) -> Result<Flow, Stop> {
        self.reach().trap_return(op.bits, from)
    }

    #[inline(always)]
    fn wait(&mut self, op: &Op) -> Result<Flow, Stop> {
        self.reach().wait(op.bits)
    }

    #[inline(always)]
    fn pause(&mut self) {
        self.context.exit = Some(Exit::Yield);
    }

    #[inline(always)]
    fn ecall(&mut self) -> Stop {
        self.reach().ecall()
    }

    #[inline(always)]
    fn ebreak(&mut self) -> Stop {
        let address = self.address();
        self.reach().trap(Exception::Breakpoint, address)
    }
}
