//! Both levels of the TLB, and their bytes.

use super::*;

const BASE: u64 = 0x8000_0000;
const SV39: u64 = 8 << 60;

#[allow(clippy::single_range_in_vec_init, reason = "one overlay")]
fn ram() -> Ram {
    Ram::new(Gpa(BASE), 64 * PAGE_SIZE, vec![BASE + 0x5000..BASE + 0x5008]).expect("memory")
}

/// A TLB in an address space of Sv39.
fn tlb(ram: &Ram) -> Tlb {
    let mut tlb = Tlb::new(ram);
    tlb.enter(SV39);
    tlb
}

fn satp(asid: u64, root: u64) -> u64 {
    SV39 | asid << 44 | root
}

fn to(page: u64) -> Translation {
    let rights = Rights::READ.with(Rights::WRITE).with(Rights::EXECUTE);
    Translation { page: Gpa(BASE + page * PAGE_SIZE), rights, shift: 12, uniform: true, global: false }
}

const ALL: Rights = Rights(7);

/// Fills, and makes the fast entry.
fn put(tlb: &mut Tlb, ram: &Ram, position: u64, mode: usize, address: Gva, translation: Translation) {
    tlb.fill(position, mode, address, translation);
    tlb.allow(mode, address, translation, ALL, ram.host(translation.page));
}

/// Whether there is a fast entry; one without a translation breaks an invariant.
fn is_fast(tlb: &Tlb, mode: usize, address: Gva) -> bool {
    let fast = tlb.read(mode, address, 1).is_some();
    assert!(
        !fast || tlb.translation(mode, address).is_some(),
        "MMU-1: {address} is fast without translation"
    );
    fast
}

#[test]
fn mmu_1_revocation_empties_every_alias_and_keeps_translations() {
    let ram = ram();
    let mut tlb = tlb(&ram);
    let aliases = [(0, Gva(0x1000)), (1, Gva(0x1000)), (2, Gva(0x7000)), (0, Gva(0x9000))];
    for (mode, address) in aliases {
        put(&mut tlb, &ram, 0, mode, address, to(3));
    }
    put(&mut tlb, &ram, 0, 3, Gva(0x2000), to(4));
    tlb.revoke(PageIndex(3), true);
    for (mode, address) in aliases {
        assert!(tlb.read(mode, address, 8).is_some() && tlb.write(mode, address, 8).is_none());
    }
    tlb.revoke(PageIndex(3), false);
    for (mode, address) in aliases {
        assert!(tlb.read(mode, address, 8).is_none() && tlb.execute(mode, address).is_none());
        assert_eq!(tlb.translation(mode, address), Some(to(3)));
    }
    assert!(tlb.write(3, Gva(0x2008), 8).is_some());
    tlb.revoke_all();
    assert!(tlb.fast.is_empty() && tlb.translation(3, Gva(0x2000)).is_some());
}

/// Five pages of one set, which has four ways.
const RIVALS: [Gva; 5] = [Gva(0x4000), Gva(0x10_5000), Gva(0x20_6000), Gva(0x30_7000), Gva(0x40_0000)];

fn known(tlb: &Tlb, mode: usize) -> [bool; 5] {
    RIVALS.map(|address| tlb.translation(mode, address).is_some())
}

#[test]
fn mmu_1_the_ways_of_a_set_are_given_up_in_turn() {
    let ram = ram();
    let mut tlb = tlb(&ram);
    for (position, address) in RIVALS.into_iter().enumerate() {
        put(&mut tlb, &ram, position as u64, 1, address, to(position as u64));
    }
    assert_eq!(known(&tlb, 1), [false, true, true, true, true]);
    assert!(!is_fast(&tlb, 1, RIVALS[0]));
    // The same page again takes its own place, and drives nobody out.
    put(&mut tlb, &ram, 9, 1, RIVALS[4], Translation { rights: Rights::READ, ..to(9) });
    assert_eq!(known(&tlb, 1), [false, true, true, true, true]);
    assert!(tlb.write(1, RIVALS[4], 8).is_none(), "what the page was before is forgotten");
    put(&mut tlb, &ram, 10, 1, RIVALS[0], to(0));
    assert_eq!(known(&tlb, 1), [true, false, true, true, true]);
    assert_eq!(known(&tlb, 2), [false; 5], "modes are apart");
}

#[test]
fn ord_4_undo_restores_what_an_unfinished_step_replaced() {
    let ram = ram();
    let mut tlb = tlb(&ram);
    for (position, address) in RIVALS[..4].iter().enumerate() {
        put(&mut tlb, &ram, position as u64, 1, *address, to(position as u64));
    }
    let mut before = Vec::new();
    tlb.write_translations(&mut before);
    put(&mut tlb, &ram, 8, 1, RIVALS[4], to(7));
    put(&mut tlb, &ram, 8, 1, RIVALS[4], to(8));
    put(&mut tlb, &ram, 8, 1, RIVALS[1], Translation { shift: 21, ..to(9) });
    assert_eq!(known(&tlb, 1), [true; 5], "the first is part of the superpage");
    tlb.undo(9);
    assert_eq!(tlb.translation(1, RIVALS[4]), Some(to(8)));
    tlb.undo(8);
    assert_eq!(known(&tlb, 1), [true, true, true, true, false]);
    assert!(!is_fast(&tlb, 1, RIVALS[4]) && !is_fast(&tlb, 1, RIVALS[1]) && !is_fast(&tlb, 1, RIVALS[0]));
    let mut after = Vec::new();
    tlb.write_translations(&mut after);
    assert!(before == after, "ORD-4: the turns, too");
    // Nothing is left of it to undo.
    tlb.undo(8);
    assert_eq!(known(&tlb, 1), [true, true, true, true, false]);
}

#[test]
fn an_unaligned_access_never_takes_the_fast_path() {
    let ram = ram();
    let mut tlb = tlb(&ram);
    put(&mut tlb, &ram, 0, 0, Gva(0x1000), to(1));
    assert!(tlb.read(0, Gva(0x1ff8), 8).is_some());
    assert!(tlb.read(0, Gva(0x1ff9), 8).is_none());
    assert!(tlb.read(0, Gva(0x1fff), 1).is_some());
    assert!(tlb.write(0, Gva(0x1001), 2).is_none());
}

#[test]
fn mmu_3_a_page_of_code_has_no_fast_write() {
    let ram = ram();
    let mut tlb = tlb(&ram);
    let allow = |tlb: &mut Tlb| tlb.allow(0, Gva(0x1000), to(1), ALL, ram.host(Gpa(BASE + 0x1000)));
    tlb.fill(0, 0, Gva(0x1000), to(1));
    allow(&mut tlb);
    tlb.mark_code(PageIndex(1));
    assert!(tlb.write(0, Gva(0x1000), 8).is_none() && tlb.execute(0, Gva(0x1000)).is_some());
    allow(&mut tlb);
    assert!(tlb.write(0, Gva(0x1000), 8).is_none());
    tlb.clear_code(PageIndex(1));
    allow(&mut tlb);
    assert!(tlb.write(0, Gva(0x1000), 8).is_some());
}

/// A right is given only for what the translation says now.
#[test]
fn mmu_1_no_fast_entry_without_its_translation() {
    let ram = ram();
    let mut tlb = tlb(&ram);
    let host = ram.host(Gpa(BASE + 0x1000));
    tlb.allow(1, Gva(0x1000), to(1), ALL, host);
    assert!(!is_fast(&tlb, 1, Gva(0x1000)), "there is none");
    tlb.fill(0, 1, Gva(0x1000), to(2));
    tlb.allow(1, Gva(0x1000), to(1), ALL, host);
    assert!(!is_fast(&tlb, 1, Gva(0x1000)), "it is another");
    tlb.fill(0, 1, Gva(0x1000), Translation { uniform: false, ..to(1) });
    tlb.allow(1, Gva(0x1000), Translation { uniform: false, ..to(1) }, ALL, host);
    assert!(!is_fast(&tlb, 1, Gva(0x1000)), "protection differs in the page");
}

/// Pages of every size are one entry, which any address in them finds, and drops.
#[test]
fn mmu_1_superpages_are_one_entry_each() {
    let ram = ram();
    for (shift, size) in [(16, 1 << 16), (21, 1 << 21), (30, 1 << 30), (39, 1u64 << 39)] {
        let mut tlb = tlb(&ram);
        let part = Translation { shift, ..to(16) };
        let start = 5 * size;
        put(&mut tlb, &ram, 0, 1, Gva(start), part);
        let at = |offset: u64| Translation { page: Gpa(BASE + 0x1_0000 + offset), ..part };
        assert_eq!(tlb.translation(1, Gva(start + 0x3fff)), Some(at(0x3000)));
        assert_eq!(tlb.translation(1, Gva(start + size - 1)), Some(at(size - 0x1000)));
        assert_eq!((tlb.translation(1, Gva(start + size)), tlb.translation(2, Gva(start))), (None, None));
        tlb.allow(1, Gva(start + 0x3000), at(0x3000), ALL, ram.host(Gpa(BASE + 0x1_3000)));
        put(&mut tlb, &ram, 1, 1, Gva(0x1000), to(1));
        tlb.fence(Some(Gva(start - 1)), None);
        assert!(is_fast(&tlb, 1, Gva(start + 0x3000)), "2^{shift}: the page before");
        tlb.fence(Some(Gva(start + size - 8)), None);
        assert_eq!(tlb.translation(1, Gva(start + 0x3000)), None, "2^{shift}");
        assert!(!is_fast(&tlb, 1, Gva(start)) && !is_fast(&tlb, 1, Gva(start + 0x3000)), "2^{shift}");
        assert!(is_fast(&tlb, 1, Gva(0x1000)), "2^{shift}: another page");
    }
}

/// A page that became part of a superpage, or stopped to be, is found by its new size.
#[test]
fn mmu_1_the_last_walk_says_the_size() {
    let ram = ram();
    let mut tlb = tlb(&ram);
    let clean = Translation { rights: Rights::READ, ..to(1) };
    put(&mut tlb, &ram, 0, 1, Gva(0x1000), clean);
    put(&mut tlb, &ram, 1, 1, Gva(0x1000), Translation { shift: 21, ..to(1) });
    assert_eq!(tlb.translation(1, Gva(0x1000)), Some(Translation { shift: 21, ..to(1) }));
    put(&mut tlb, &ram, 2, 1, Gva(0x1000), clean);
    assert_eq!(tlb.translation(1, Gva(0x1000)), Some(clean));
    assert_eq!(tlb.translation(1, Gva(0x2000)), None, "the superpage is gone");
    tlb.undo(2);
    assert_eq!(tlb.translation(1, Gva(0x2000)), Some(Translation { shift: 21, ..to(2) }));
}

/// "Supervisor Address Translation and Protection Register": ASIDs keep address spaces apart, at no cost.
#[test]
fn mmu_1_a_change_of_the_asid_drops_nothing() {
    let ram = ram();
    let mut tlb = tlb(&ram);
    let (private, shared) = (Gva(0x1000), Gva(0x2000));
    tlb.enter(satp(1, 100));
    put(&mut tlb, &ram, 0, 1, private, to(1));
    put(&mut tlb, &ram, 0, 1, shared, Translation { global: true, ..to(2) });
    tlb.enter(satp(0xffff, 200));
    assert_eq!(tlb.translation(1, private), None);
    assert!(!is_fast(&tlb, 1, private));
    assert!(is_fast(&tlb, 1, shared), "global mappings stay, with their grants");
    put(&mut tlb, &ram, 1, 1, private, to(3));
    tlb.enter(satp(1, 100));
    assert_eq!(tlb.translation(1, private), Some(to(1)));
    assert!(!is_fast(&tlb, 1, private), "its host address is asked for again");
    tlb.enter(satp(0xffff, 200));
    assert_eq!(tlb.translation(1, private), Some(to(3)));
    // Another mode of translation is another space, and without one nothing translated is seen.
    tlb.enter(satp(0xffff, 200) ^ 1 << 60);
    assert_eq!(tlb.translation(1, private), None);
    tlb.enter(0);
    assert_eq!((tlb.translation(1, private), tlb.translation(1, shared)), (None, None));
    assert!(!is_fast(&tlb, 1, shared));
    put(&mut tlb, &ram, 2, 1, private, to(4));
    tlb.enter(satp(0xffff, 200));
    assert_eq!(tlb.translation(1, private), Some(to(3)));
    assert!(!is_fast(&tlb, 1, private));
    // Another root of the same space: as if by a fence.
    tlb.enter(satp(0xffff, 201));
    assert_eq!(tlb.translation(1, private), None);
    assert!(tlb.translation(1, shared).is_some());
}

/// "Supervisor Memory-Management Fence Instruction": what rs1 and rs2 name, and nothing else.
#[test]
fn mmu_1_a_fence_drops_what_it_names() {
    let ram = ram();
    let address = Gva(0x1000);
    // What the fence names; what is left of: the page in space 1, another page there, the page in space 2, a global page,
    // the page in M-mode.
    type Row = (Option<Gva>, Option<u16>, [bool; 5]);
    let table: [Row; 8] = [
        (None, None, [false, false, false, false, true]),
        (None, Some(1), [false, false, true, true, true]),
        (None, Some(2), [true, true, false, true, true]),
        (None, Some(3), [true, true, true, true, true]),
        (Some(address), None, [false, true, false, true, true]),
        (Some(address), Some(1), [false, true, true, true, true]),
        (Some(Gva(0x3fff)), None, [true, true, true, false, true]),
        (Some(Gva(0x3000)), Some(1), [true, true, true, true, true]),
    ];
    for (of, asid, left) in table {
        for current in [1, 2] {
            let mut tlb = tlb(&ram);
            for (space, page) in [(2, 2), (1, 1)] {
                tlb.enter(satp(space, space));
                put(&mut tlb, &ram, 0, 1, address, to(page));
            }
            put(&mut tlb, &ram, 0, 1, Gva(0x2000), to(3));
            put(&mut tlb, &ram, 0, 1, Gva(0x3000), Translation { global: true, ..to(4) });
            put(&mut tlb, &ram, 0, 0, address, to(5));
            tlb.enter(satp(current, current));
            tlb.fence(of, asid);
            let mut seen = [false; 5];
            for (at, space, mode, address) in
                [(0, 1, 1, address), (1, 1, 1, Gva(0x2000)), (2, 2, 1, address), (3, 1, 1, Gva(0x3000))]
            {
                is_fast(&tlb, mode, address);
                tlb.enter(satp(space, space));
                is_fast(&tlb, mode, address);
                seen[at] = tlb.translation(mode, address).is_some();
            }
            seen[4] = is_fast(&tlb, 0, address);
            assert_eq!(seen, left, "{of:?}, {asid:?}, in space {current}");
        }
    }
}

/// Of too many address spaces the one that was left the longest ago is forgotten.
#[test]
fn mmu_1_spaces_are_forgotten_in_the_order_of_their_use() {
    let ram = ram();
    let mut tlb = tlb(&ram);
    let address = Gva(0x1000);
    let max = translations::SPACES_MAX as u64;
    for asid in 1..=max {
        tlb.enter(satp(asid, asid));
        put(&mut tlb, &ram, asid, 1, Gva(asid << 12), to(asid % 64));
    }
    // The first is used again, so the second is the one to go.
    tlb.enter(satp(1, 1));
    tlb.enter(satp(max + 1, 1));
    tlb.fill(999, 1, address, to(1));
    for (asid, left) in [(1, true), (3, true), (max, true), (2, false)] {
        tlb.enter(satp(asid, asid));
        assert_eq!(tlb.translation(1, Gva(asid << 12)).is_some(), left, "space {asid}");
    }
}

/// A random use of everything, with the position of every fill.
struct Use {
    tlb: Tlb,
    seed: u64,
}

impl Use {
    fn next(&mut self, below: u64) -> u64 {
        self.seed = self.seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.seed >> 33) % below
    }

    /// One step; returns whether its address was walked for.
    fn step(&mut self, ram: &Ram, position: u64) -> bool {
        let (mode, address) = (self.next(7) as usize, Gva(self.next(3000) * PAGE_SIZE));
        match self.next(40) {
            0 => {
                let page = PageIndex(self.next(64) as u32);
                self.tlb.revoke(page, false);
            }
            1 => self.tlb.fence(Some(address), None),
            2 => {
                let asid = self.next(80) as u16;
                self.tlb.fence(Some(address), Some(asid));
            }
            3 if self.next(20) == 0 => self.tlb.fence(None, None),
            4 if self.next(4) == 0 => {
                let asid = self.next(80) as u16;
                self.tlb.fence(None, Some(asid));
            }
            5..=8 => {
                let asid = self.next(80);
                self.tlb.enter(if asid == 0 { 0 } else { satp(asid, asid) });
            }
            9 if self.next(30) == 0 => self.tlb.flush(),
            10 => self.tlb.revoke_all(),
            kind => {
                let page = self.next(64);
                let flat = is_machine(mode) || self.tlb.translations.satp == 0;
                let address = if flat { Gva(BASE + page * PAGE_SIZE) } else { address };
                if self.tlb.translation(mode, address).is_some() {
                    return false;
                }
                let shift = if flat { 12 } else { [12, 12, 12, 16, 21, 30][self.next(6) as usize] };
                let inside = address.0 & ((1 << shift) - 1);
                let page = if shift == 12 { BASE + page * PAGE_SIZE } else { BASE + inside };
                let global = self.next(4) == 0;
                let translation = Translation { page: Gpa(page), shift, global, ..to(0) };
                self.tlb.fill(position, mode, address, translation);
                if self.tlb.ram_page(translation.page).is_some() {
                    self.tlb.allow(mode, address, translation, ALL, ram.host(translation.page));
                }
                if kind == 11 {
                    self.tlb.undo(position);
                }
                return true;
            }
        }
        false
    }
}

#[test]
fn mmu_1_chains_survive_random_use() {
    let ram = ram();
    let mut random = Use { tlb: tlb(&ram), seed: 1 };
    for position in 0..40_000 {
        random.step(&ram, position);
        if position % 64 == 0 {
            for page in 0..3000 {
                let mode = (position / 64 % 7) as usize;
                is_fast(&random.tlb, mode, Gva(page * PAGE_SIZE));
                is_fast(&random.tlb, mode, Gva(BASE + page % 64 * PAGE_SIZE));
            }
        }
    }
    random.tlb.flush();
    assert!(random.tlb.fast.is_empty());
}

/// A core that goes on from the bytes walks where the other does.
#[test]
fn mmu_1_translations_that_were_read_back_are_the_same() {
    let ram = ram();
    for seed in 0..20 {
        let mut first = Use { tlb: tlb(&ram), seed };
        for position in 0..4_000 {
            first.step(&ram, position);
        }
        let mut bytes = Vec::new();
        first.tlb.write_translations(&mut bytes);
        let mut second = Use { tlb: Tlb::new(&ram), seed: first.seed };
        second.tlb.read_translations(&bytes).expect("they were written just now");
        let mut again = Vec::new();
        second.tlb.write_translations(&mut again);
        assert!(bytes == again, "seed {seed}");
        for position in 4_000..12_000 {
            let (walked, expected) = (second.step(&ram, position), first.step(&ram, position));
            assert_eq!(walked, expected, "MMU-1: seed {seed}, at {position}");
        }
        let (mut one, mut other) = (Vec::new(), Vec::new());
        first.tlb.write_translations(&mut one);
        second.tlb.write_translations(&mut other);
        assert!(one == other, "seed {seed}, in the end");
    }
}

/// Bytes that were altered are refused, or are others that write themselves.
#[test]
fn rep_3_altered_bytes_never_panic() {
    let ram = ram();
    let mut random = Use { tlb: tlb(&ram), seed: 3 };
    for position in 0..3_000 {
        random.step(&ram, position);
    }
    let mut bytes = Vec::new();
    random.tlb.write_translations(&mut bytes);
    let mut read = Tlb::new(&ram);
    let (mut refused, mut others) = (0, 0);
    for at in 0..bytes.len() {
        let mut altered = bytes.clone();
        altered[at] ^= 1 << (at % 8);
        match read.read_translations(&altered) {
            Err(BadTranslations { at: read, .. }) => {
                assert!(read > 0 && read <= bytes.len());
                refused += 1;
            }
            Ok(()) => {
                let mut again = Vec::new();
                read.write_translations(&mut again);
                assert!(again == altered, "byte {at}");
                others += 1;
            }
        }
    }
    assert!(refused > 1_000 && others > 100, "{refused} refused, {others} others");
    for length in (0..bytes.len()).step_by(7) {
        assert!(read.read_translations(&bytes[..length]).is_err(), "{length} bytes");
    }
    bytes.push(0);
    assert!(read.read_translations(&bytes).is_err(), "one byte more");
}

#[test]
fn overlays_are_not_plain_ram() {
    let ram = ram();
    assert!(ram.is_plain(Gpa(BASE + 0x4ff8), 8));
    assert!(!ram.is_plain(Gpa(BASE + 0x4ffc), 8));
    assert!(!ram.is_plain(Gpa(BASE + 0x5000), 1) && !ram.is_plain(Gpa(BASE + 64 * PAGE_SIZE - 4), 8));
    assert!(!ram.is_plain(Gpa(u64::MAX), 8));
}
