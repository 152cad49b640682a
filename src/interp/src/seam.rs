//! What an executor is to the engine, and the engine to an executor.
//!
//! Guarantees asked of every executor (REP-2): it completes the same steps as the reference executor, stops exactly at
//! the position that it is told, and asks its port the same questions at the same positions.

use crate::Counts;
use cantus_isa::{Gpa, Width, riscv::hart::Hart};
use cantus_memory::{Ram, Right, Tlb};
use std::sync::Arc;

/// One emulated CPU as executors see it. A struct, not a thread and not a stack.
pub struct Core {
    /// The core's number.
    pub id: u8,
    /// The architectural state.
    pub hart: Hart,
    /// Translations (architectural) and grants (transient).
    pub tlb: Tlb,
    /// Steps completed: instructions that retired or ended in an exception, and accessed/dirty updates.
    pub position: u64,
    /// Bytes of code that this core has decoded may have been changed by others when this number is not the one at
    /// which they were last compared. The engine counts it up where a grant is lost (record) and at an order edge behind
    /// which code may have been written (replay), the executor at a `fence.i` before which it may have been (a free run).
    pub code_epoch: u64,
    /// Set by the engine when another core has written to the granule of the reservation (ORD-7).
    pub reservation_lost: bool,
    /// Guest RAM, shared by all cores.
    pub ram: Arc<Ram>,
}

/// How far a grant reaches.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Extent {
    /// The whole page: a fast TLB entry may be made.
    Page,
    /// Only the 64-byte line that was asked for, and only for this instruction: the page is split.
    Line,
}

/// The grant cannot be had at once. Nothing of the instruction may become visible (ORD-4): the executor undoes its TLB
/// fills at this position and returns [`Exit::Blocked`]; it is run again from the same state later.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Blocked;

/// Why a device did not do what it was asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// As [`Blocked`]: the device needs guest memory that cannot be had at once. The device has done nothing.
    Blocked,
    /// No device answers at this address, or not to this width: an access fault.
    Fault,
}

/// What an executor may ask of the world outside of its core. Every question names the position of the step that asks.
///
/// A step asks in this order: the grants for its fetch, for its walks, for its data; then, when it can no longer be
/// blocked, device, clock, timer or store-conditional, at most one of them.
pub trait Port {
    /// Whether other cores access memory at the same time without anything in between (a free run): atomics must then
    /// be host atomics, and store-conditionals compare-and-swap (ORD-7). Otherwise plain loads and stores suffice.
    const HOST_ATOMICS: bool;

    /// May the core do this to the granule of RAM at `address`, for the step at `position`? Both halves of an access
    /// that straddles lines are asked for.
    fn grant(&mut self, position: u64, address: Gpa, right: Right) -> Result<Extent, Blocked>;

    /// A load from what is not plain RAM. Zero-extended.
    fn device_load(&mut self, position: u64, address: Gpa, width: Width) -> Result<u64, Refusal>;

    /// A store to what is not plain RAM.
    fn device_store(&mut self, position: u64, address: Gpa, width: Width, value: u64) -> Result<(), Refusal>;

    /// The clock, in ticks of the time base.
    fn clock(&mut self, position: u64) -> u64;

    /// The core's supervisor timer interrupt is pending from here on exactly while the clock is at or past `ticks`; all
    /// ones is never. The executor comes back after this step ([`Exit::Device`]).
    fn set_timer(&mut self, position: u64, ticks: u64);

    /// Whether a store-conditional whose reservation matches succeeds; `intact` is what this core saw (always true
    /// outside of a recording). Not asked in a free run.
    fn conditional(&mut self, position: u64, intact: bool) -> bool;

    /// Whether one whose reservation is intact succeeds without being asked for, until the port is next asked or told
    /// anything.
    fn conditionals_hold(&self) -> bool;

    /// Whether the engine wants the core at a safepoint. Asked between blocks.
    fn attention(&self) -> bool;

    /// The core has completed this many steps, and their memory accesses are done. Told between blocks.
    fn completed(&self, position: u64);
}

/// Why an executor came back. The core stands between two steps, its state exact.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Exit {
    /// The position asked for is reached.
    Until,
    /// The engine wants a safepoint.
    Attention,
    /// The next step lacks a grant.
    Blocked,
    /// The last step was a WFI, and no interrupt that it waits for is pending. To go on is allowed, too.
    Wait,
    /// The last step accessed a device, or set the core's timer: interrupt lines may have changed.
    Device,
    /// The last step was a hint that this core is spinning (`pause`, a failed store-conditional).
    Yield,
}

/// An executor of one core. It may keep caches of its own; they never show in the core's state.
pub trait Executor: Send {
    /// Runs `core` until its position is `until`, or until there is another reason to come back; at once when
    /// `until` is reached already. An interrupt that is pending and enabled is taken at the first position where it
    /// is, which needs no step.
    fn run<P: Port>(&mut self, core: &mut Core, port: &mut P, until: u64) -> Exit;

    /// What it has done so far.
    fn counts(&self) -> Counts;
}
