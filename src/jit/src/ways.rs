//! Where units go on: within themselves, in other units of the page, in other pages.

use crate::frame::{NOT_FLOATING, PAGE, PC, SPENT, x};
use crate::homes::Swap;
use crate::landing::land;
use crate::select::{Condition, Free};
use crate::short::{near, small};
use crate::tolls::Toll;
use crate::translate::{LINKS_OF_BLOCK, Labels, Link, STALE_LINK, Translator};
use crate::tree::Value;
use crate::unit::start;
use cantus_isa::address::PAGE_SIZE;
use cantus_isa::riscv::op::Op;
use dynasmrt::{DynamicLabel, DynasmApi, DynasmLabelApi, dynasm};

/// An exit out of line.
pub(crate) struct Exit {
    at: DynamicLabel,
    /// The distance of where it goes to from the page's start; the link that it is.
    to: i32,
    link: u32,
    /// What has been paid for that will not come.
    ahead: Toll,
}

/// A way to a block of the unit out of line.
pub(crate) struct Entrance {
    at: DynamicLabel,
    toll: Toll,
    to: usize,
    entry: DynamicLabel,
}

impl Translator<'_> {
    /// Goes on at a distance from the page's start.
    pub(crate) fn go(&mut self, to: i32) {
        if let Some(place) = self.inside(to) {
            self.enter(place, place == self.place + 1);
        } else if let Some(exit) = self.exit(to) {
            self.pad(1);
            dynasm!(self.asm; .arch x64; jmp =>exit);
            self.link();
        } else {
            self.go_far(to);
        }
    }

    /// Goes on at a distance from the page's start, in another page.
    fn go_far(&mut self, to: i32) {
        self.give_back();
        self.swap_out();
        near!(self.asm; PAGE; mov rax, [rsp]);
        small!(self.asm; to; add rax);
        land(&mut self.asm, self.target.stubs.lookup);
    }

    /// Goes on at a distance from this operation if a condition holds, else behind it.
    pub(crate) fn go_if(&mut self, op: &Op, condition: Value, offset: i32) {
        let (next, to) = (self.offset + i32::from(op.length), self.offset + offset);
        if let Some(known) = self.tree.constant(condition) {
            return self.go(if known == 0 { next } else { to });
        }
        if self.convert(op, condition, next, to) {
            return;
        }
        let condition = self.selector().condition(condition, Free::ALL);
        if self.follows(to) {
            self.go_on_if(condition.inverted(), next);
            self.go(to);
        } else {
            self.go_on_if(condition, to);
            self.go(next);
        }
    }

    /// Goes on at a distance from the page's start if a condition holds.
    fn go_on_if(&mut self, condition: Condition, to: i32) {
        if let Some(place) = self.inside(to) {
            self.enter_if(condition, place);
        } else if let Some(exit) = self.exit(to) {
            self.pad(2);
            self.jump_if(condition, exit);
            self.link();
        } else {
            let away = self.asm.new_dynamic_label();
            self.jump_if(condition.inverted(), away);
            self.go_far(to);
            dynasm!(self.asm; .arch x64; =>away);
        }
    }

    /// The block of the unit that is there: what is known of all of it while it runs is still known there.
    fn inside(&self, to: i32) -> Option<usize> {
        self.unit.blocks.iter().position(|block| start(block) == to)
    }

    /// Where the code of a block of the unit is entered from here.
    pub(crate) fn entry(&self, place: usize) -> DynamicLabel {
        let Labels { start, ready, needed, .. } = self.labels[place];
        if self.floats.known >= needed { ready } else { start }
    }

    /// Where one goes on to a block of the unit with nothing more to do than what is done in front of it.
    fn plain_entry(&self, place: usize) -> Option<DynamicLabel> {
        let Labels { front, start, needed, .. } = self.labels[place];
        let (toll, entry) = (self.unit.tolls.between(self.place, place), self.entry(place));
        if toll == Toll::default() {
            return Some(entry);
        }
        let is_ready = needed != NOT_FLOATING && entry != start;
        (toll == self.unit.tolls.front(place) && !is_ready).then_some(front)
    }

    /// Goes on at a block of the unit, the code of which comes right behind this, or elsewhere.
    pub(crate) fn enter(&mut self, place: usize, follows: bool) {
        let (toll, front) = (self.unit.tolls.between(self.place, place), self.unit.tolls.front(place));
        if follows && toll == front {
            return;
        }
        match self.plain_entry(place) {
            Some(entry) => dynasm!(self.asm; .arch x64; jmp =>entry),
            None => self.pay(toll, place, Some(self.entry(place))),
        }
    }

    /// Goes on at a block of the unit if a condition holds.
    pub(crate) fn enter_if(&mut self, condition: Condition, place: usize) {
        let (toll, entry) = (self.unit.tolls.between(self.place, place), self.entry(place));
        if let Some(entry) = self.plain_entry(place) {
            self.jump_if(condition, entry);
        } else if self.unit.tolls.is_usual(self.place, place) {
            let away = self.asm.new_dynamic_label();
            self.jump_if(condition.inverted(), away);
            self.pay(toll, place, Some(entry));
            dynasm!(self.asm; .arch x64; =>away);
        } else {
            let at = self.asm.new_dynamic_label();
            self.jump_if(condition, at);
            self.entrances.push(Entrance { at, toll, to: place, entry });
        }
    }

    /// Makes the code of ways to blocks of the unit that lie out of line.
    pub(crate) fn entrances(&mut self) {
        for Entrance { at, toll, to, entry } in std::mem::take(&mut self.entrances) {
            dynasm!(self.asm; .arch x64; =>at);
            self.pay(toll, to, Some(entry));
        }
    }

    /// Pays for the block at `place`, and goes there, or on behind this; or leaves, where the budget does not allow it.
    pub(crate) fn pay(&mut self, toll: Toll, place: usize, entry: Option<DynamicLabel>) {
        let (toll, out) = (toll.bits(), self.labels[place].out);
        if toll > 0 {
            self.outs |= 1 << place;
        }
        match entry {
            Some(entry) if toll > 0 => {
                dynasm!(self.asm; .arch x64; sub r15, DWORD toll; jge =>entry; jmp =>out);
            }
            None if toll > 0 => dynasm!(self.asm; .arch x64; sub r15, DWORD toll; jl =>out),
            Some(_) | None => {
                self.add(toll);
                if let Some(entry) = entry {
                    dynasm!(self.asm; .arch x64; jmp =>entry);
                }
            }
        }
    }

    /// Gives back what was paid ahead: the unit is left.
    pub(crate) fn give_back(&mut self) {
        self.add(-self.unit.tolls.ahead(self.place).bits());
    }

    /// Takes off the budget what is not more than nothing.
    fn add(&mut self, toll: i32) {
        if toll != 0 {
            dynasm!(self.asm; .arch x64; add r15, DWORD -toll);
        }
    }

    /// Whether the code of the block there comes right behind this one's.
    fn follows(&self, to: i32) -> bool {
        self.inside(to) == Some(self.place + 1)
    }

    /// An exit to a place in the page.
    fn exit(&mut self, to: i32) -> Option<DynamicLabel> {
        (0..PAGE_SIZE as i32).contains(&to).then(|| {
            let label = self.asm.new_dynamic_label();
            let first = LINKS_OF_BLOCK * self.member(self.place);
            let link = self.exits.last().map_or(first, |last| first.max(last.link + 1));
            assert!(link - first < STALE_LINK, "a block has two exits at most");
            self.exits.push(Exit { at: label, to, link, ahead: self.unit.tolls.ahead(self.place) });
            label
        })
    }

    /// Lets a jump begin where its distance, which follows `bytes` bytes, can be written at once.
    fn pad(&mut self, bytes: usize) {
        match (self.asm.offset().0 + bytes) % 4 {
            0 => {}
            1 => dynasm!(self.asm; .arch x64; nop DWORD [rax]),
            2 => dynasm!(self.asm; .arch x64; .bytes [0x66u8, 0x90]),
            _ => dynasm!(self.asm; .arch x64; nop),
        }
    }

    /// Notes the jump that has just been written as one to the last exit, unless something is to be done first.
    fn link(&mut self) {
        let &Exit { to, link, ahead, .. } = self.exits.last().expect("an exit was made");
        if self.is_direct(ahead) {
            self.note_link(to, link);
        }
    }

    /// Whether nothing is to be done where the unit is left, with so much ahead.
    fn is_direct(&self, ahead: Toll) -> bool {
        self.unit.swaps.is_empty() && ahead == Toll::default()
    }

    fn note_link(&mut self, to: i32, link: u32) {
        let page = self.unit.blocks[0].host() & !(PAGE_SIZE - 1);
        self.links.push((link, Link { at: self.asm.offset().0 - 4, host: page + to as u64, out: 0 }));
    }

    /// Makes the code of the exits.
    pub(crate) fn exits(&mut self) {
        for Exit { at, to, link, ahead } in std::mem::take(&mut self.exits) {
            dynasm!(self.asm; .arch x64; =>at);
            if !self.is_direct(ahead) {
                self.add(-ahead.bits());
                self.swap_out();
                self.linked(to, link);
            }
            self.leave(to, link + 1);
        }
    }

    /// Makes the code of the way out of a unit that is stale: another one may have come in its place.
    pub(crate) fn stale(&mut self, stale: DynamicLabel) {
        let (to, link) = (start(self.unit.blocks[0]), LINKS_OF_BLOCK * self.member(0) + STALE_LINK);
        dynasm!(self.asm; .arch x64; =>stale);
        self.linked(to, link);
        self.leave(to, link + 1);
    }

    /// A link that goes on behind itself first.
    fn linked(&mut self, to: i32, link: u32) {
        let behind = self.asm.new_dynamic_label();
        self.pad(1);
        dynasm!(self.asm; .arch x64; jmp =>behind);
        self.note_link(to, link);
        dynasm!(self.asm; .arch x64; =>behind);
    }

    /// Leaves, to go on at a distance from the page's start; all registers are where they usually are.
    pub(crate) fn leave(&mut self, to: i32, with: u32) {
        dynasm!(self.asm
            ; .arch x64
            ; mov rax, [rsp + PAGE]
            ; add rax, to
            ; mov [rbx + PC], rax
            ; mov eax, DWORD with as i32
            ; jmp extern self.target.stubs.leave
        );
    }

    /// Begins another stretch before the block at `place`, which is paid for with more than there was, or leaves.
    pub(crate) fn out(&mut self, place: usize) {
        if self.outs >> place & 1 == 0 {
            return;
        }
        let Labels { start: here, out, .. } = self.labels[place];
        let paid = self.unit.tolls.paid(place);
        dynasm!(self.asm
            ; .arch x64
            ;=>out
            ; add r15, DWORD paid.bits()
            ; mov eax, DWORD paid.steps
            ; call extern self.target.stubs.stretch
            ; test rax, rax
            ; jz >spent
            ; lea r15, [rax - paid.bits()]
            ; jmp =>here
            ;spent:
        );
        self.call_swap_out();
        self.leave(start(self.unit.blocks[place]), SPENT);
    }

    pub(crate) fn jump_if(&mut self, condition: Condition, to: DynamicLabel) {
        match condition {
            Condition::Equal => dynasm!(self.asm; .arch x64; je =>to),
            Condition::NotEqual => dynasm!(self.asm; .arch x64; jne =>to),
            Condition::Less => dynasm!(self.asm; .arch x64; jl =>to),
            Condition::NotLess => dynasm!(self.asm; .arch x64; jge =>to),
            Condition::Below => dynasm!(self.asm; .arch x64; jb =>to),
            Condition::NotBelow => dynasm!(self.asm; .arch x64; jae =>to),
        }
    }

    /// From here on registers are where the unit has them.
    pub(crate) fn swap_in(&mut self) {
        for &Swap { host, usual, instead } in &self.unit.swaps {
            near!(self.asm; x(usual); mov [rbx], Rq(host));
            near!(self.asm; x(instead); mov Rq(host), [rbx]);
        }
    }

    /// From here on registers are where they usually are. Changes no other ones.
    pub(crate) fn swap_out(&mut self) {
        for &Swap { host, usual, instead } in &self.unit.swaps {
            near!(self.asm; x(instead); mov [rbx], Rq(host));
            near!(self.asm; x(usual); mov Rq(host), [rbx]);
        }
    }
}
