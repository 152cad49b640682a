//! Random straight-line instruction streams, as a bare-metal image that says what they did.
//!
//! A stream begins with random registers and ends with all of them, `fcsr`, and a hash over the traps that it took,
//! written to the console as they are: 8 bytes each, in the order of [`Word`]. Instructions that trap are skipped by a small
//! handler. At the end come the bytes of the memory that the streams have loaded from and stored to. Whatever runs such an
//! image must print the same as any other that claims to be the same machine.

use crate::assembler::register::{GP, RA, SP, T, ZERO};
use crate::assembler::{Assembler, Label, bits, csr, i, r, s};
use crate::elf;
use crate::random::Random;
use cantus_isa::riscv::Opcode::{self, *};
use cantus_isa::riscv::{Class, Op, compress, decode};

const BASE: u64 = 0x8000_0000;
const UART: u64 = 0x1000_0000;
const FINISHER: u64 = 0x10_0000;
/// What twelve bits of offset reach, and as much more as the last access is long.
const SCRATCH_SIZE: usize = 4096 + 64;
/// Where `gp` points to in it.
const MIDDLE: u64 = 2048;
const MSCRATCH: u16 = 0x340;
const SSCRATCH: u16 = 0x140;
/// Where the trap handler has its own memory: two registers and two hashes.
const SAVED: [i32; 2] = [0, 8];
const CAUSES: i32 = 16;
const VALUES: i32 = 24;

/// What a stream says of itself, in the order in which it is printed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Word {
    /// An integer register, 1 to 31.
    X(u8),
    /// A floating-point register.
    F(u8),
    /// `fcsr`.
    Fcsr,
    /// A hash over `mcause` of the traps.
    Causes,
    /// A hash over `mtval` and `mepc` of the traps.
    Values,
}

/// The words of one stream.
pub fn words() -> Vec<Word> {
    let x = (1..32).map(Word::X);
    let f = (0..32).map(Word::F);
    x.chain(f).chain([Word::Fcsr, Word::Causes, Word::Values]).collect()
}

/// One stream: what its registers begin with, and its instructions.
#[derive(Clone, Debug)]
pub struct Stream {
    x: [u64; 32],
    f: [u64; 32],
    fcsr: u64,
    /// Encodings, 16 or 32 bits long.
    code: Vec<u32>,
}

impl Stream {
    /// The instructions as text, one a line, but for those that are none.
    pub fn text(&self) -> String {
        let line = |bits: &u32| match decode(*bits) {
            Ok(op) => format!("    {bits:08x}  {}\n", cantus_isa::riscv::disassemble(&op, 0)),
            Err(_) => format!("    {bits:08x}\n"),
        };
        self.code.iter().map(line).collect()
    }

    /// What the register began with.
    pub fn begins_with(&self, word: Word) -> u64 {
        match word {
            Word::X(x) => self.x[usize::from(x)],
            Word::F(f) => self.f[usize::from(f)],
            Word::Fcsr => self.fcsr,
            Word::Causes | Word::Values => 0,
        }
    }
}

/// What operands an opcode has, found by trying.
#[derive(Clone, Copy)]
struct Shape {
    code: Opcode,
    rd: bool,
    rs1: bool,
    rs2: bool,
    rs3: bool,
    rm: bool,
    imm: Immediate,
}

#[derive(Clone, Copy)]
enum Immediate {
    None,
    Signed12,
    Bits(u32),
    Upper,
}

impl Shape {
    fn of(code: Opcode) -> Self {
        let fits = |op: Op| cantus_isa::riscv::encode(&op).is_some();
        let with = |imm| fits(Op { imm, ..Op::of(code) });
        let imm = match () {
            () if with(-1) => Immediate::Signed12,
            () if with(63) => Immediate::Bits(6),
            () if with(31) => Immediate::Bits(5),
            () if with(0x1000) => Immediate::Upper,
            () => Immediate::None,
        };
        Shape {
            code,
            rd: fits(Op { rd: 1, ..Op::of(code) }),
            rs1: fits(Op { rs1: 1, ..Op::of(code) }),
            rs2: fits(Op { rs2: 1, ..Op::of(code) }),
            rs3: fits(Op { rs3: 1, ..Op::of(code) }),
            rm: fits(Op { rm: 7, ..Op::of(code) }),
            imm,
        }
    }
}

/// Chooses streams.
pub struct Chooser {
    random: Random,
    compute: Vec<Shape>,
    memory: Vec<Shape>,
}

impl Chooser {
    /// The streams of a seed.
    pub fn new(seed: u64) -> Self {
        let of = |wanted: fn(Class) -> bool| {
            Opcode::all().filter(|code| wanted(code.class())).map(Shape::of).collect::<Vec<_>>()
        };
        let memory = |class| {
            matches!(class, Class::Load(_) | Class::Store(_) | Class::Amo(_) | Class::StoreConditional(_))
        };
        let mut compute = of(|class| class == Class::Compute);
        // QEMU 7.2 says 63 of a word that is zero, where the manual says 32; and it lacks Zicond.
        compute.retain(|shape| !matches!(shape.code, Ctzw | CzeroEqz | CzeroNez));
        Self { random: Random::new(seed), compute, memory: of(memory) }
    }

    /// The next stream, of about so many instructions.
    pub fn stream(&mut self, length: usize) -> Stream {
        let x = std::array::from_fn(|_| self.integer());
        let f = std::array::from_fn(|_| self.floating());
        // Rarely a rounding mode that there is not.
        let rounding = if self.random.one_in(20) { self.random.between(5, 7) } else { self.random.below(5) };
        let fcsr = rounding << 5 | self.random.below(32);
        let mut code = Vec::new();
        while code.len() < length {
            self.some(&mut code);
        }
        Stream { x, f, fcsr, code }
    }

    fn integer(&mut self) -> u64 {
        let random = &mut self.random;
        let special =
            [0, 1, u64::MAX, 1 << 63, i64::MAX as u64, 1 << 31, (1 << 31) - 1, 0xffff_ffff, !0 << 31];
        match random.below(4) {
            0 => *random.pick(&special),
            1 => random.bits() >> random.below(64),
            2 => (random.bits() as i64 >> random.below(64)) as u64,
            _ => random.bits(),
        }
    }

    fn floating(&mut self) -> u64 {
        let random = &mut self.random;
        let sign = random.below(2);
        if random.one_in(2) {
            let exponent = match random.below(4) {
                0 => *random.pick(&[0, 1, 2046, 2047, 1023, 1023 + 52, 1023 + 63]),
                1 => random.between(1000, 1090),
                _ => random.below(2048),
            };
            let fraction = match random.below(4) {
                0 => 0,
                1 => 1 << random.below(52),
                2 => (1 << 52) - 1 - (1 << random.below(52)),
                _ => random.bits() >> 12,
            };
            return sign << 63 | exponent << 52 | fraction;
        }
        let exponent = match random.below(4) {
            0 => *random.pick(&[0, 1, 254, 255, 127, 127 + 23, 127 + 31]),
            1 => random.between(110, 160),
            _ => random.below(256),
        };
        let fraction = match random.below(4) {
            0 => 0,
            1 => 1 << random.below(23),
            2 => (1 << 23) - 1 - (1 << random.below(23)),
            _ => random.bits() >> 41,
        };
        // Now and then not boxed as a single must be.
        let boxed = if random.one_in(16) { random.bits() >> 32 } else { 0xffff_ffff };
        boxed << 32 | sign << 31 | exponent << 23 | fraction
    }

    /// One instruction, or a few that belong together.
    fn some(&mut self, code: &mut Vec<u32>) {
        match self.random.below(100) {
            0..=67 => {
                let shape = *self.random.pick(&self.compute);
                let op = self.operands(shape);
                self.push(code, op);
            }
            68..=84 => self.memory(code),
            85..=87 => self.reserved(code),
            88..=91 => {
                // Over the next instruction, or not.
                let branch = *self.random.pick(&[Beq, Bne, Blt, Bge, Bltu, Bgeu]);
                let shape = *self.random.pick(&self.compute);
                let next = bits(self.operands(shape));
                let [rs1, rs2] = [(); 2].map(|()| self.random.below(32) as u8);
                code.push(bits(s(branch, rs2, rs1, 8)));
                code.push(next);
            }
            92 => {
                let rd = self.destination();
                code.push(bits(i(Jal, rd, 0, 4)));
            }
            93..=95 => {
                let number = *self.random.pick(&[1, 2, 3]);
                let how = *self.random.pick(&[Csrrw, Csrrs, Csrrc, Csrrwi, Csrrsi, Csrrci]);
                let (rd, rs1) = (self.destination(), self.random.below(32) as u8);
                code.push(bits(csr(how, rd, number, rs1)));
            }
            // Not `ebreak`, whose `mtval` may be its address or zero.
            96 => code.push(bits(*self.random.pick(&[Op::of(Ecall), Op::of(FenceI)]))),
            97 => {
                // From nowhere, to nowhere. Not across a word's edge: QEMU rounds `mtval` there.
                let imm = self.random.below(256) as i32 * 8;
                let rd = self.destination();
                let op = *self.random.pick(&[i(Ld, rd, 0, imm), s(Sw, rd, 0, imm), i(Lhu, rd, 0, imm)]);
                code.push(bits(op));
            }
            _ => {
                if let Some(word) = self.illegal() {
                    code.push(word);
                }
            }
        }
    }

    /// A word that is no instruction. Of those that an extension could give a meaning to, only what none has.
    fn illegal(&mut self) -> Option<u32> {
        let word = match self.random.below(3) {
            0 => 0xffff_ffff,
            // A floating-point format that is reserved, as a sum.
            1 => 0x0600_7053 | (self.random.below(32) as u32) << 7,
            // c.addi4spn of nothing: the instruction whose bits are all zero.
            _ => 0,
        };
        decode(word).is_err().then_some(word)
    }

    fn destination(&mut self) -> u8 {
        // `gp` points to memory.
        match self.random.below(32) as u8 {
            GP => 0,
            other => other,
        }
    }

    fn operands(&mut self, shape: Shape) -> Op {
        let random = &mut self.random;
        // Instructions on the same few registers depend on each other.
        let wide = random.one_in(2);
        let mut register = |exists: bool| {
            let number = if wide { random.below(32) } else { random.between(8, 15) };
            if exists { number as u8 } else { 0 }
        };
        let (rs1, rs2, rs3) = (register(shape.rs1), register(shape.rs2), register(shape.rs3));
        let rd = register(shape.rd);
        let imm = match shape.imm {
            Immediate::None => 0,
            Immediate::Signed12 => (self.random.bits() as i32) << 20 >> 20,
            Immediate::Bits(bits) => self.random.below(1 << bits) as i32,
            Immediate::Upper => (self.random.bits() as i32) & !0xfff,
        };
        let rm = if shape.rm { *self.random.pick(&[0, 1, 2, 3, 4, 7, 7, 7]) } else { 0 };
        let rd = if rd == GP && !shape.code.writes_float() { 0 } else { rd };
        Op { rd, rs1, rs2, rs3, rm, imm, ..Op::of(shape.code) }
    }

    /// A load, a store or an atomic, on memory that is there.
    fn memory(&mut self, code: &mut Vec<u32>) {
        let shape = *self.random.pick(&self.memory);
        let mut op = self.operands(shape);
        op.rm = 0;
        let narrow = matches!(op.code.class(), Class::Load(_) | Class::Store(_));
        if narrow && self.random.one_in(2) {
            op.rs1 = GP;
            self.push(code, op);
            return;
        }
        // Through another register; aligned but for a few, and but for `sc`, whose alignment QEMU does not check.
        let width = op.code.width().map_or(1, |width| width.bytes() as i32);
        let at = (self.random.below(4000) as i32 - 2000) / width * width;
        let conditional = matches!(op.code.class(), Class::StoreConditional(_));
        let at = if !conditional && self.random.one_in(12) { at + 1 } else { at };
        op.rs1 = *self.random.pick(&[SP, 8, 9, 15, 31]);
        code.push(bits(i(Addi, op.rs1, GP, at)));
        op.imm = if narrow { self.random.below(8) as i32 * width } else { 0 };
        self.push(code, op);
    }

    /// A load-reserved and its store-conditional, with something between them that does not concern memory.
    fn reserved(&mut self, code: &mut Vec<u32>) {
        let (load, store, width) = *self.random.pick(&[(LrW, ScW, 4), (LrD, ScD, 8)]);
        let at = (self.random.below(4000) as i32 - 2000) / width * width;
        let pointer = 18;
        let [first, second] = [(); 2].map(|()| self.destination());
        let value = self.random.below(32) as u8;
        code.push(bits(i(Addi, pointer, GP, at)));
        code.push(bits(Op { rd: if first == pointer { 0 } else { first }, rs1: pointer, ..Op::of(load) }));
        code.push(bits(r(store, second, pointer, value)));
    }

    /// In 16 bits every other time, where that can be.
    fn push(&mut self, code: &mut Vec<u32>, op: Op) {
        let short = compress(&op).filter(|_| self.random.one_in(2));
        code.push(short.map_or_else(|| bits(op), u32::from));
    }
}

trait WritesFloat {
    fn writes_float(self) -> bool;
}

impl WritesFloat for Opcode {
    fn writes_float(self) -> bool {
        use cantus_isa::riscv::disassemble;
        // The disassembler names the destination first.
        let op = Op { rd: 1, ..Op::of(self) };
        let text = disassemble(&Op { bits: bits(op), ..op }, 0);
        text.split_whitespace().nth(1).is_some_and(|operands| operands.starts_with('f'))
    }
}

/// The image of these streams.
pub fn image(streams: &[Stream], seed: u64) -> Vec<u8> {
    let mut code = Assembler::new(BASE, false);
    let [handler, saved, scratch, results, end, first] = [(); 6].map(|()| code.label());
    // One hart is enough.
    code.op(csr(Csrrs, T[0], 0xf14, ZERO));
    code.branch(Beq, T[0], ZERO, first);
    let asleep = code.mark();
    code.op(Op::of(Wfi));
    code.jump(Op::of(Jal), asleep);
    code.place(first);
    code.address(T[0], handler);
    code.op(csr(Csrrw, ZERO, 0x305, T[0]));
    code.address(T[0], saved);
    code.op(csr(Csrrw, ZERO, MSCRATCH, T[0]));
    code.address(T[0], results);
    code.op(csr(Csrrw, ZERO, SSCRATCH, T[0]));
    // FS initial; everything is permitted.
    code.number(T[0], 1 << 13);
    code.op(csr(Csrrs, ZERO, 0x300, T[0]));
    for stream in streams {
        write(&mut code, stream, scratch, saved);
    }
    code.jump(Op::of(Jal), end);
    trap_handler(&mut code, handler);
    code.align(8);
    code.place(saved);
    (0..8).for_each(|_| code.word(0));
    code.place(scratch);
    let mut random = Random::new(seed);
    (0..SCRATCH_SIZE / 4).for_each(|_| code.word(random.bits() as u32));
    code.place(end);
    print(&mut code, scratch, SCRATCH_SIZE, results, streams.len() * words().len() * 8);
    code.align(8);
    code.place(results);
    let bytes = code.finish();
    let length = bytes.len() + streams.len() * words().len() * 8;
    elf::file(BASE, &bytes, length as u64)
}

/// One stream, with what is before and behind it.
fn write(code: &mut Assembler, stream: &Stream, scratch: Label, saved: Label) {
    let (table, behind) = (code.label(), code.label());
    // The table stands before the code that reads it, out of the way.
    code.jump(Op::of(Jal), behind);
    code.align(8);
    code.place(table);
    let beginning: Vec<u64> = words().into_iter().map(|word| stream.begins_with(word)).collect();
    for word in &beginning {
        code.word(*word as u32);
        code.word((word >> 32) as u32);
    }
    code.place(behind);
    code.address(31, saved);
    code.op(s(Sd, ZERO, 31, CAUSES));
    code.op(s(Sd, ZERO, 31, VALUES));
    code.address(31, table);
    let at = |index: usize| 8 * index as i32;
    for (index, word) in words().into_iter().enumerate() {
        match word {
            Word::F(f) => code.op(i(Fld, f, 31, at(index))),
            Word::Fcsr => {
                code.op(i(Ld, T[0], 31, at(index)));
                code.op(csr(Csrrw, ZERO, 3, T[0]));
            }
            Word::X(_) | Word::Causes | Word::Values => {}
        }
    }
    for (index, word) in words().into_iter().enumerate() {
        if let Word::X(x) = word
            && x != 31
        {
            code.op(i(Ld, x, 31, at(index)));
        }
    }
    code.op(i(Ld, 31, 31, at(30)));
    // In the middle, so that offsets of both signs stay inside.
    code.address(GP, scratch);
    code.number(RA, MIDDLE);
    code.op(r(Add, GP, GP, RA));
    for bits in &stream.code {
        match bits & 3 {
            3 => code.word(*bits),
            _ => code.half(*bits as u16),
        }
    }
    if !code.here().is_multiple_of(4) {
        code.half(1);
    }
    code.op(csr(Csrrw, 31, SSCRATCH, 31));
    for (index, word) in words().into_iter().enumerate() {
        match word {
            Word::X(31) => {
                code.op(csr(Csrrs, T[0], SSCRATCH, ZERO));
                code.op(s(Sd, T[0], 31, at(index)));
            }
            Word::X(x) => code.op(s(Sd, x, 31, at(index))),
            Word::F(f) => code.op(s(Fsd, f, 31, at(index))),
            Word::Fcsr => {
                code.op(csr(Csrrs, T[0], 3, ZERO));
                code.op(s(Sd, T[0], 31, at(index)));
            }
            Word::Causes | Word::Values => {
                let from = if word == Word::Causes { CAUSES } else { VALUES };
                code.address(T[1], saved);
                code.op(i(Ld, T[0], T[1], from));
                code.op(s(Sd, T[0], 31, at(index)));
            }
        }
    }
    code.op(i(Addi, 31, 31, at(words().len())));
    code.op(csr(Csrrw, ZERO, SSCRATCH, 31));
}

/// Notes what came, and skips the instruction.
fn trap_handler(code: &mut Assembler, handler: Label) {
    let [one, two] = [T[0], T[1]];
    code.align(4);
    code.place(handler);
    code.op(csr(Csrrw, SP, MSCRATCH, SP));
    code.op(s(Sd, one, SP, SAVED[0]));
    code.op(s(Sd, two, SP, SAVED[1]));
    let note = |code: &mut Assembler, number: u16, at: i32| {
        code.op(csr(Csrrs, one, number, ZERO));
        code.op(i(Ld, two, SP, at));
        code.op(i(Rori, two, two, 7));
        code.op(r(Add, two, two, one));
        code.op(s(Sd, two, SP, at));
    };
    note(code, 0x342, CAUSES);
    note(code, 0x343, VALUES);
    note(code, 0x341, VALUES);
    code.op(csr(Csrrs, one, 0x341, ZERO));
    code.op(i(Lhu, two, one, 0));
    code.op(i(Andi, two, two, 3));
    code.op(i(Xori, two, two, 3));
    code.op(r(Sltu, two, ZERO, two));
    code.op(i(Slli, two, two, 1));
    code.op(r(Sub, one, one, two));
    code.op(i(Addi, one, one, 4));
    code.op(csr(Csrrw, ZERO, 0x341, one));
    // Back to where it came from, in the same mode.
    code.number(one, 3 << 11);
    code.op(csr(Csrrs, ZERO, 0x300, one));
    code.op(i(Ld, one, SP, SAVED[0]));
    code.op(i(Ld, two, SP, SAVED[1]));
    code.op(csr(Csrrw, SP, MSCRATCH, SP));
    code.op(Op::of(Mret));
}

/// Writes both ranges to the console, and stops the machine.
fn print(code: &mut Assembler, scratch: Label, scratch_size: usize, results: Label, results_size: usize) {
    for (from, size) in [(results, results_size), (scratch, scratch_size)] {
        code.address(T[0], from);
        code.number(T[1], size as u64);
        code.op(r(Add, T[1], T[1], T[0]));
        code.print(UART, [T[0], T[1], T[2], T[3]]);
    }
    code.number(T[0], FINISHER);
    code.number(T[1], 0x5555);
    code.op(s(Sw, T[1], T[0], 0));
    let forever = code.mark();
    code.jump(Op::of(Jal), forever);
}
