//! Accesses to memory by fast TLB entries.
//!
//! What an entry adds to an address comes into rcx. Where addresses are physical that is the same for all of RAM, and an operand
//! of the instruction ([`Place::operand`]).

use crate::fold::{Covered, Group, Part};
use crate::frame::{ADDEND, RAX, SLOT_MASK, SLOT_SHIFT, kept, window};
use crate::idioms::idioms;
use crate::known::Floats;
use crate::select::{Free, Source};
use crate::short::near;
use crate::translate::Translator;
use crate::tree::{Node, Place, Value};
use cantus_isa::Width;
use cantus_isa::address::PAGE_SIZE;
use cantus_isa::riscv::meaning::Binary;
use cantus_isa::riscv::op::Op;
use dynasmrt::{DynamicLabel, DynasmApi, DynasmLabelApi, dynasm};

/// An access that leaves the way of the others, out of line: where it does, where it goes on, and where it does if there is
/// no fast entry for it; and what it looks for.
#[derive(Clone, Copy)]
pub(crate) struct Detour {
    pub from: DynamicLabel,
    pub to: DynamicLabel,
    pub slow: DynamicLabel,
    pub width: Width,
    pub place: Place,
    pub right: i32,
}

/// An access that is not checked together with the others of its group.
pub(crate) struct Alone {
    detour: Detour,
    part: Part,
}

/// Operations whose accesses the first one does not cover, out of line: where that is, where code goes on, which ones they
/// are; and what is known before them.
pub(crate) struct Apart {
    from: DynamicLabel,
    to: DynamicLabel,
    place: usize,
    first: usize,
    covered: Covered,
    group: Group,
    groups: usize,
    words: u32,
    floats: Floats,
}

/// An access whose window shows another page.
pub(crate) struct Missed {
    detour: Detour,
    window: usize,
}

impl Translator<'_> {
    /// Finds where an aligned access goes, without rdx; where no fast entry allows it, the operation is a step.
    pub(crate) fn reach_aligned(&mut self, width: Width, address: Value, right: i32) -> Place {
        let slow = self.slow();
        let place = self.place_of(address);
        self.check(width, place, right, slow);
        place
    }

    /// Finds where a load or store goes, without rdx; where no fast entry allows it, the operation is a step.
    pub(crate) fn reach(&mut self, width: Width, address: Value, right: i32) -> Place {
        match self.parts[self.index] {
            Some(Part::Covering(group, covered)) => return self.cover(address, right, group, covered),
            // What the leader has found is still in rcx.
            Some(Part::Covered) => return self.place_of(address),
            Some(Part::Leader(_) | Part::Follower(_)) | None => {}
        }
        let slow = self.slow();
        let place = self.place_of(address);
        let [alone, found] = [(); 2].map(|()| self.asm.new_dynamic_label());
        let slow = self.unaligned_or(Detour { from: alone, to: found, slow, width, place, right });
        let Some(part @ (Part::Leader(group) | Part::Follower(group))) = self.parts[self.index] else {
            self.look(width, place, right, slow);
            self.addend();
            dynasm!(self.asm; .arch x64; =>found);
            return place;
        };
        let kept = kept(group.number);
        match part {
            Part::Leader(_) => {
                self.lead(place, right, group, alone);
                self.keep(group);
            }
            Part::Follower(_) | Part::Covering(..) | Part::Covered => {
                near!(self.asm; kept; mov rcx, [rsp]);
                dynasm!(self.asm; .arch x64; test rcx, rcx; jz =>alone);
            }
        }
        dynasm!(self.asm; .arch x64; =>found);
        self.alone.push(Alone { detour: Detour { from: alone, to: found, slow, width, place, right }, part });
        place
    }

    /// Finds a fast entry for all of a group, or goes elsewhere.
    fn lead(&mut self, place: Place, right: i32, group: Group, alone: DynamicLabel) {
        let (Group { low, end, widest, .. }, Place { index, .. }) = (group, place);
        // In rdx first the page, then how far the register lies before it.
        self.look(widest, Place { offset: low, ..place }, right, alone);
        dynasm!(self.asm
            ; .arch x64
            ; sub rdx, Rq(index)
            ; cmp rdx, DWORD end - PAGE_SIZE as i32
            ; jl =>alone
        );
        self.addend();
    }

    /// Keeps what a leader has found: if it is a constant, that it has found something.
    fn keep(&mut self, group: Group) {
        match self.target.regime.distance {
            None => near!(self.asm; kept(group.number); mov [rsp], rcx),
            Some(_) => near!(self.asm; kept(group.number); mov QWORD [rsp], DWORD 1),
        }
    }

    /// Finds where an access goes that covers those behind it.
    fn cover(&mut self, address: Value, right: i32, group: Group, covered: Covered) -> Place {
        let place = self.place_of(address);
        let [apart, behind] = [(); 2].map(|()| self.asm.new_dynamic_label());
        self.lead(place, right, group, apart);
        if covered.leaves {
            self.keep(group);
        }
        self.cover_until = Some((covered.last, behind));
        self.apart.push(Apart {
            from: apart,
            to: behind,
            place: self.place,
            first: self.index,
            covered,
            group,
            groups: self.groups,
            words: self.words,
            floats: self.floats,
        });
        place
    }

    /// Makes the code of operations whose accesses are not found together.
    pub(crate) fn apart(&mut self) {
        for at in std::mem::take(&mut self.apart) {
            dynasm!(self.asm; .arch x64; =>at.from);
            if at.covered.leaves {
                dynasm!(self.asm; .arch x64; mov QWORD [rsp + kept(at.group.number)], 0);
            }
            let block = self.unit.blocks[at.place];
            (self.place, self.groups, self.words, self.floats) = (at.place, at.groups, at.words, at.floats);
            self.parts = vec![None; block.len()];
            let ops: Vec<&Op> = block.ops().map(|(_, op)| op).collect();
            let (first, last) = (at.first, at.covered.last);
            for (index, idiom) in idioms(&ops).into_iter().enumerate().take(last + 1).skip(first) {
                self.index = index;
                self.made(block, idiom);
            }
            dynasm!(self.asm; .arch x64; jmp =>at.to);
        }
    }

    /// Makes the code of accesses that are not checked together with the others of their group.
    pub(crate) fn alone(&mut self) {
        for Alone { detour, part } in std::mem::take(&mut self.alone) {
            let Detour { from, to, slow, width, place, right } = detour;
            dynasm!(self.asm; .arch x64; =>from);
            if let Part::Leader(group) = part {
                dynasm!(self.asm; .arch x64; mov QWORD [rsp + kept(group.number)], 0);
            }
            self.check(width, place, right, slow);
            dynasm!(self.asm; .arch x64; jmp =>to);
        }
    }

    /// Makes the code of accesses whose windows show other pages.
    pub(crate) fn missed(&mut self) {
        for Missed { detour, window: number } in std::mem::take(&mut self.missed) {
            let Detour { from, to, slow, width, place, right } = detour;
            dynasm!(self.asm; .arch x64; =>from);
            self.compare(width, place, right, slow);
            // It is aligned, so that what was compared is the tag that any access to the page is compared with.
            let (tag, addend) = window(number);
            dynasm!(self.asm; .arch x64; mov [rsp + tag], rdx);
            self.entry_addend();
            if place.distance.is_none() {
                dynasm!(self.asm; .arch x64; mov [rsp + addend], rcx);
            }
            dynasm!(self.asm; .arch x64; jmp =>to);
        }
    }

    /// After a step nothing is known of the groups of the block.
    pub(crate) fn forget(&mut self, groups: usize) {
        for group in 0..groups {
            dynasm!(self.asm; .arch x64; mov QWORD [rsp + kept(group)], 0);
        }
    }

    /// Where an address is found: in a register, plus an offset. The host's address is to come into rcx.
    fn place_of(&mut self, address: Value) -> Place {
        let (mut base, mut offset) = (address, 0);
        if let Node::Binary(Binary::Add, a, b) = self.tree.node(address)
            && let Some(Source::Immediate(immediate)) = self.selector().source(b)
            && i16::try_from(immediate).is_ok()
        {
            (base, offset) = (a, immediate);
        }
        let index = match self.selector().source(base) {
            Some(Source::Register(register)) => register,
            Some(Source::Immediate(_) | Source::Memory(_)) | None => {
                self.selector().compute(base, RAX, Free::ALL);
                RAX
            }
        };
        Place { index, offset, distance: self.target.regime.distance }
    }

    /// Finds the fast entry of an access, for [`Self::addend`], and gives in rdx the page, which it is for.
    fn look(&mut self, width: Width, place: Place, right: i32, slow: DynamicLabel) {
        let Some(number) = self.window else { return self.compare(width, place, right, slow) };
        let [from, to] = [(); 2].map(|()| self.asm.new_dynamic_label());
        let (tag, _) = window(number);
        self.address(place);
        self.page(width);
        near!(self.asm; tag; cmp rdx, [rsp]);
        dynasm!(self.asm; .arch x64; jne =>from; =>to);
        self.missed.push(Missed { detour: Detour { from, to, slow, width, place, right }, window: number });
    }

    /// Gives in rcx what the fast entry of an access that has just been found adds to its address, unless that is a constant.
    fn addend(&mut self) {
        match self.window.map(window) {
            None => self.entry_addend(),
            Some((_, addend)) if self.target.regime.distance.is_none() => {
                dynasm!(self.asm; .arch x64; mov rcx, [rsp + addend]);
            }
            Some(_) => {}
        }
    }

    /// The same of the fast entry where rcx says.
    fn entry_addend(&mut self) {
        if self.target.regime.distance.is_none() {
            dynasm!(self.asm; .arch x64; mov rcx, [r13 + rcx + ADDEND]);
        }
    }

    /// Gives in rcx what the fast entry of an access adds to its address, unless that is a constant.
    fn check(&mut self, width: Width, place: Place, right: i32, slow: DynamicLabel) {
        self.compare(width, place, right, slow);
        self.entry_addend();
    }

    /// Gives in rcx where the fast entry of an access is among those of its mode, and in rdx the page, which it is for.
    fn compare(&mut self, width: Width, place: Place, right: i32, slow: DynamicLabel) {
        self.address(place);
        if self.target.features.shifts {
            dynasm!(self.asm; .arch x64; rorx ecx, edx, SLOT_SHIFT);
        } else {
            dynasm!(self.asm; .arch x64; mov ecx, edx; shr ecx, SLOT_SHIFT);
        }
        dynasm!(self.asm; .arch x64; and ecx, SLOT_MASK);
        self.page(width);
        dynasm!(self.asm; .arch x64; cmp rdx, [r13 + rcx + right]; jne =>slow);
    }

    /// Gives an address in rdx.
    pub(crate) fn address(&mut self, Place { index, offset, .. }: Place) {
        if offset == 0 {
            dynasm!(self.asm; .arch x64; mov rdx, Rq(index));
        } else {
            near!(self.asm; offset; lea rdx, [Rq(index)]);
        }
    }

    /// Makes an address in rdx its page; the bits that would make the access unaligned stay in it.
    fn page(&mut self, width: Width) {
        let mask = -(PAGE_SIZE as i32) | (width.bytes() as i32 - 1);
        dynasm!(self.asm; .arch x64; and rdx, DWORD mask);
    }
}
