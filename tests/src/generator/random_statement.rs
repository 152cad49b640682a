//! Chooses programs.

use super::emit::DEPTH_MAX;
use super::layout::{FUNCTION_OFFSETS, FUNCTIONS_IN_WINDOW, SHARED_PAGES, WINDOW_DATA};
use super::{Counter, Paging, Place, Program, Pte, Read, Size, Statement};
use crate::random::Random;
use cantus_isa::Width;
use cantus_isa::riscv::Opcode::{self, *};

const LOADS: [Opcode; 7] = [Lb, Lbu, Lh, Lhu, Lw, Lwu, Ld];
const WIDTHS: [Width; 4] = [Width::Byte, Width::Half, Width::Word, Width::Double];
const AMOS_W: [Opcode; 9] =
    [AmoswapW, AmoaddW, AmoxorW, AmoandW, AmoorW, AmominW, AmomaxW, AmominuW, AmomaxuW];
const AMOS_D: [Opcode; 9] =
    [AmoswapD, AmoaddD, AmoxorD, AmoandD, AmoorD, AmominD, AmomaxD, AmominuD, AmomaxuD];
const ALU: [Opcode; 18] =
    [Add, Sub, Xor, Mul, Mulhu, Mulhsu, Div, Remu, Sll, Sra, Sltu, Rol, Max, Min, Andn, Sh2add, Addw, Divuw];
const FLOAT: [Opcode; 21] = [
    FaddD, FsubD, FmulD, FdivD, FsqrtD, FmaddD, FmsubD, FnmaddD, FnmsubD, FmaddS, FaddS, FmulS, FdivS, FminD,
    FmaxD, FcvtSD, FcvtDS, FcvtDL, FcvtLD, FltD, FcvtWD,
];
/// What an entry of the window for data may say.
const DATA_FLAGS: [u8; 7] = [
    // D A and R W X V.
    0b1100_0111,
    0b0100_0111,
    0b0000_0111,
    0b0100_0011,
    0b0000_0011,
    0b1000_0111,
    0b0000_0000,
];

/// The style of a program: what there is more of, and where.
struct Style {
    paging: Paging,
    cores: u64,
    /// Offsets into shared data that everybody likes.
    hot: Vec<u16>,
    /// One in so many accesses is to the core's own page.
    private_one_in: u64,
    /// Whether page tables change, code changes, interrupts fly.
    maps: bool,
    patches: bool,
    interrupts: bool,
    /// The longest loop.
    times_max: u64,
    /// Whether only that is done on whose outcome every machine agrees.
    portable: bool,
}

pub(super) fn program(random: &mut Random, size: Size) -> Program {
    // As often few cores as many.
    let cores =
        if random.one_in(2) { random.between(2, 4) } else { random.between(2, size.cores_max.max(2)) };
    of_cores(random, cores, size.statements_max, false)
}

pub(super) fn portable(random: &mut Random, statements_max: u64) -> Program {
    of_cores(random, 1, statements_max, true)
}

fn of_cores(random: &mut Random, cores: u64, statements_max: u64, portable: bool) -> Program {
    let paging = *random.pick(&[Paging::Bare, Paging::Sv39, Paging::Sv39, Paging::Sv48]);
    let spots = *random.pick(&[1, 2, 3, 3, 5, 12]);
    let style = Style {
        paging,
        cores,
        hot: (0..spots).map(|_| spot(random)).collect(),
        private_one_in: random.between(2, 12),
        maps: paging != Paging::Bare && random.one_in(2),
        patches: random.one_in(2),
        interrupts: random.one_in(2) && !portable,
        times_max: *random.pick(&[4, 16, 16, 64, 150]),
        portable,
    };
    let cores = (0..cores)
        .map(|_| {
            let statements = random.between(1, statements_max);
            let mut left = statements * 3;
            (0..statements).flat_map(|_| style.statements(random, 0, &mut left)).collect()
        })
        .collect();
    Program {
        cores,
        paging,
        compressed: random.one_in(2),
        external: random.one_in(4) && !portable,
        contents: random.bits(),
        prints: portable,
    }
}

/// An offset into shared data: often at the end of a line or of a page, so that accesses straddle.
fn spot(random: &mut Random) -> u16 {
    let page = random.below(SHARED_PAGES) * 4096;
    let line = random.below(64) * 64;
    let offset = match random.below(7) {
        0 => line + 64 - random.between(1, 8),
        1 | 2 => 4096 - random.between(1, 8),
        3 => line + random.below(64),
        _ => line + random.below(8) * 8,
    };
    (page + offset).min(SHARED_PAGES * 4096 - 16) as u16
}

impl Style {
    fn place(&self, random: &mut Random) -> Place {
        if random.one_in(self.private_one_in) {
            return Place::Private(random.below(4096 - 16) as u16);
        }
        if self.paging != Paging::Bare && random.one_in(3) {
            let offset = (*random.pick(&self.hot) % 4096).min(if random.one_in(8) { 4095 } else { 4080 });
            return Place::Window { page: random.below(WINDOW_DATA - 1) as u8, offset };
        }
        let nearby = if random.one_in(3) { random.below(4) as u16 * 64 } else { 0 };
        let offset = (random.pick(&self.hot) + nearby).min((SHARED_PAGES * 4096 - 16) as u16);
        let stride = *random.pick(&[0, 0, 0, 0, 8, 64, 3]);
        Place::Shared { offset, stride }
    }

    fn aligned(&self, random: &mut Random, bytes: u16) -> Place {
        let align = |offset: u16| offset / bytes * bytes;
        match self.place(random) {
            // Once in a while an atomic is not aligned, and traps.
            place if random.one_in(40) => place,
            Place::Shared { offset, .. } => Place::Shared { offset: align(offset), stride: 0 },
            Place::Private(offset) => Place::Private(align(offset)),
            Place::Window { page, offset } => Place::Window { page, offset: align(offset) },
        }
    }

    fn memory(&self, random: &mut Random) -> Statement {
        let acc = random.below(8) as u8;
        match random.below(8) {
            0..=2 => Statement::Load { code: *random.pick(&LOADS), place: self.place(random), acc },
            3..=5 => Statement::Store { width: *random.pick(&WIDTHS), place: self.place(random), acc },
            6 => Statement::Amo { code: *random.pick(&AMOS_W), place: self.aligned(random, 4), acc },
            _ => Statement::Amo { code: *random.pick(&AMOS_D), place: self.aligned(random, 8), acc },
        }
    }

    fn body(&self, random: &mut Random, depth: usize, left: &mut u64) -> Vec<Statement> {
        (0..random.between(1, 4)).flat_map(|_| self.statements(random, depth, left)).collect()
    }

    /// A statement. Where machines are to agree, with the fences that it needs, or none if they may differ all the same.
    fn statements(&self, random: &mut Random, depth: usize, left: &mut u64) -> Vec<Statement> {
        let mut statement = self.statement(random, depth, left);
        if !self.portable {
            return vec![statement];
        }
        if let Statement::Map { window, .. } = statement {
            let window = random.one_in(2).then_some(window);
            return vec![statement, Statement::FenceVma { window, parts: random.one_in(2) }];
        }
        if let Statement::Patch { fence, .. } = &mut statement {
            *fence = true;
        }
        if let Statement::Reserve { between, place, .. } = &mut statement {
            *between = None;
            // QEMU does not check the alignment of `lr`, and a store-conditional that fails may fault or not.
            let (Place::Shared { offset, .. } | Place::Private(offset) | Place::Window { offset, .. }) =
                *place;
            *place = Place::Shared { offset: offset & !7, stride: 0 };
        }
        let open = matches!(
            statement,
            Statement::Count { .. }
                | Statement::Device { .. }
                | Statement::SetDevice { .. }
                | Statement::Print { .. }
                | Statement::PatchSelf { .. }
                // Whose `mtval` may be zero.
                | Statement::Trap { kind: 1 }
        );
        if open { Vec::new() } else { vec![statement] }
    }

    fn statement(&self, random: &mut Random, depth: usize, left: &mut u64) -> Statement {
        *left = left.saturating_sub(1);
        let acc = random.below(8) as u8;
        let deeper = *left > 0;
        match random.below(64) {
            0..=17 => self.memory(random),
            18..=25 if deeper && depth < DEPTH_MAX => {
                // Loops in loops are short.
                let times = random.between(1, if depth == 0 { self.times_max } else { 4 }) as u16;
                Statement::Repeat { times, body: self.body(random, depth + 1, left) }
            }
            26..=29 => {
                let double = random.one_in(2);
                let between = random.one_in(3).then(|| Box::new(self.memory(random)));
                let place = self.aligned(random, if double { 8 } else { 4 });
                Statement::Reserve { double, place, acc, tries: random.between(1, 8) as u8, between }
            }
            30..=32 if deeper => {
                let lock = self.aligned(random, 4);
                let body = self.body(random, depth, left);
                Statement::Locked { lock, looks: random.between(1, 20) as u8, body }
            }
            33 => Statement::Fence,
            34 => Statement::FenceI,
            35..=37 if self.interrupts => Statement::Interrupt { core: random.below(self.cores) as u8 },
            38 | 39 if self.interrupts => {
                let core = random.below(self.cores) as u8;
                Statement::Timer { core, ticks: random.below(20) as u16 }
            }
            40 if self.interrupts => Statement::Sleep { ticks: random.below(60) as u16 },
            41 | 42 => {
                let counter = [Counter::Time, Counter::Cycle, Counter::Retired, Counter::Clint];
                Statement::Count { counter: *random.pick(&counter), acc }
            }
            43..=45 if self.patches => Statement::Patch {
                function: random.below(FUNCTION_OFFSETS.len() as u64) as u8,
                whole: random.one_in(2),
                acc,
                fence: random.one_in(2),
            },
            46..=48 if self.patches => {
                let window = random.one_in(2).then(|| random.below(2) as u8);
                let function = match window {
                    Some(_) => random.below(u64::from(FUNCTIONS_IN_WINDOW)),
                    None => random.below(FUNCTION_OFFSETS.len() as u64),
                };
                Statement::Call { function: function as u8, window, acc }
            }
            49 if self.patches => Statement::PatchSelf { acc, gap: random.below(3) as u8 },
            50..=52 if self.maps => {
                let window = random.below(WINDOW_DATA + 2) as u8;
                let flags = if u64::from(window) < WINDOW_DATA {
                    *random.pick(&DATA_FLAGS)
                } else {
                    *random.pick(&[0b1100_1111, 0b0000_1011, 0b0100_1011])
                };
                // Of the types QEMU lets pass the reserved one, too.
                let memory_type = if random.one_in(2) { 0 } else { random.below(3) as u8 };
                let pte = Pte { target: random.below(SHARED_PAGES) as u8, flags, memory_type };
                Statement::Map { window, pte, swap: random.one_in(2) }
            }
            53 | 54 if self.maps => {
                let window = random.one_in(2).then(|| random.below(WINDOW_DATA + 2) as u8);
                Statement::FenceVma { window, parts: random.one_in(2) }
            }
            55 if self.paging != Paging::Bare && random.one_in(2) => {
                Statement::Space { asid: *random.pick(&[0, 1, 2, 3, 0xffff]) }
            }
            55 if self.paging != Paging::Bare => {
                Statement::ReadPte { window: random.below(WINDOW_DATA + 2) as u8, acc }
            }
            56 => Statement::Print { acc },
            57 => {
                let core = random.below(self.cores) as u8;
                let read = [
                    Read::LineStatus,
                    Read::Received,
                    Read::Scratch,
                    Read::SoftwareInterrupt(core),
                    Read::Priority,
                    Read::Pending,
                ];
                Statement::Device { read: *random.pick(&read), acc }
            }
            58 => Statement::SetDevice { plic: random.one_in(2), acc },
            59 => Statement::Float { code: *random.pick(&FLOAT), acc },
            60 => Statement::Trap { kind: random.below(4) as u8 },
            63 if !self.portable => Statement::Zero { place: self.place(random) },
            61 | 62 => {
                let [rs1, rs2] = [random.below(8) as u8, random.below(8) as u8];
                Statement::Alu { code: *random.pick(&ALU), rd: acc, rs1, rs2 }
            }
            _ => self.memory(random),
        }
    }
}
