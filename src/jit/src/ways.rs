//! Where units go on: within themselves, in other units of the page, in other pages.

use crate::frame::{PAGE, PC, SPENT, toll, x};
use crate::homes::Swap;
use crate::landing::land;
use crate::select::{Condition, Free};
use crate::translate::{LINKS_OF_BLOCK, Labels, Link, STALE_LINK, Translator};
use crate::tree::Value;
use crate::unit::start;
use cantus_isa::address::PAGE_SIZE;
use cantus_isa::riscv::op::Op;
use dynasmrt::{DynamicLabel, DynasmApi, DynasmLabelApi, dynasm};

impl Translator<'_> {
    /// Goes on at a distance from the page's start.
    pub(crate) fn go(&mut self, to: i32) {
        if self.follows(to) {
            // Its code comes right behind this.
        } else if let Some(label) = self.inside(to) {
            dynasm!(self.asm; .arch x64; jmp =>label);
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
        self.swap_out();
        dynasm!(self.asm; .arch x64; mov rax, [rsp + PAGE]; add rax, to);
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
        if let Some(label) = self.inside(to) {
            self.jump_if(condition, label);
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

    /// The code of a block of the unit: what is known of all of it while it runs is still known there.
    fn inside(&self, to: i32) -> Option<DynamicLabel> {
        let place = self.unit.blocks.iter().position(|block| start(block) == to)?;
        let Labels { start, ready, needed, .. } = self.labels[place];
        Some(if self.floats.known >= needed { ready } else { start })
    }

    /// Whether the code of the block there comes right behind this one's.
    fn follows(&self, to: i32) -> bool {
        self.unit.blocks.get(self.place + 1).is_some_and(|block| start(block) == to)
    }

    /// An exit to a place in the page.
    fn exit(&mut self, to: i32) -> Option<DynamicLabel> {
        (0..PAGE_SIZE as i32).contains(&to).then(|| {
            let label = self.asm.new_dynamic_label();
            let first = LINKS_OF_BLOCK * self.member(self.place);
            let link = self.exits.last().map_or(first, |&(.., last)| first.max(last + 1));
            assert!(link - first < STALE_LINK, "a block has two exits at most");
            self.exits.push((label, to, link));
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

    /// Notes the jump that has just been written as one to the last exit, unless registers have to be swapped first.
    fn link(&mut self) {
        if self.unit.swaps.is_empty() {
            let &(_, to, link) = self.exits.last().expect("an exit was made");
            self.note_link(to, link);
        }
    }

    fn note_link(&mut self, to: i32, link: u32) {
        let page = self.unit.blocks[0].host() & !(PAGE_SIZE - 1);
        self.links.push((link, Link { at: self.asm.offset().0 - 4, host: page + to as u64, out: 0 }));
    }

    /// Makes the code of the exits.
    pub(crate) fn exits(&mut self) {
        for (exit, to, link) in std::mem::take(&mut self.exits) {
            dynasm!(self.asm; .arch x64; =>exit);
            if !self.unit.swaps.is_empty() {
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

    /// Begins another stretch before the block at `place`, whose steps the budget does not allow, or leaves.
    pub(crate) fn out(&mut self, place: usize) {
        let block = self.unit.blocks[place];
        let Labels { start: here, out, .. } = self.labels[place];
        dynasm!(self.asm
            ; .arch x64
            ;=>out
            ; add r15, DWORD toll(block.len())
            ; mov eax, DWORD block.len() as i32
            ; call extern self.target.stubs.stretch
            ; test rax, rax
            ; jz >spent
            ; mov r15, rax
            ; jmp =>here
            ;spent:
        );
        self.call_swap_out();
        self.leave(start(block), SPENT);
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
            dynasm!(self.asm; .arch x64; mov [rbx + x(usual)], Rq(host); mov Rq(host), [rbx + x(instead)]);
        }
    }

    /// From here on registers are where they usually are. Changes no other ones.
    pub(crate) fn swap_out(&mut self) {
        for &Swap { host, usual, instead } in &self.unit.swaps {
            dynasm!(self.asm; .arch x64; mov [rbx + x(instead)], Rq(host); mov Rq(host), [rbx + x(usual)]);
        }
    }
}
