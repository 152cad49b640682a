//! `decode(encode(op)) == op`, `encode(decode(bits)) == bits`, and the same of compressed instructions.

use cantus_isa::riscv::Opcode::{self, *};
use cantus_isa::riscv::{Op, compress, decode, disassemble, encode, length};

use super::Random;

/// What a format's immediate may be.
enum Values {
    None,
    /// `width` bits, sign-extended, shifted left by `scale`.
    Signed {
        width: u32,
        scale: u32,
    },
    Unsigned {
        width: u32,
    },
}

/// Which operands a format has.
struct Format {
    rd: bool,
    rs1: bool,
    rs2: bool,
    rs3: bool,
    rm: bool,
    imm: Values,
}

const NO_OPERANDS: Format =
    Format { rd: false, rs1: false, rs2: false, rs3: false, rm: false, imm: Values::None };
const R: Format = Format { rd: true, rs1: true, rs2: true, ..NO_OPERANDS };
const R_UNARY: Format = Format { rd: true, rs1: true, ..NO_OPERANDS };
const R_ROUNDED: Format = Format { rm: true, ..R };
const R_UNARY_ROUNDED: Format = Format { rm: true, ..R_UNARY };
const R4: Format = Format { rs3: true, ..R_ROUNDED };
const I: Format = Format { imm: Values::Signed { width: 12, scale: 0 }, ..R_UNARY };
const SHIFT: Format = Format { imm: Values::Unsigned { width: 6 }, ..R_UNARY };
const SHIFT_WORD: Format = Format { imm: Values::Unsigned { width: 5 }, ..R_UNARY };
const CSR: Format = Format { imm: Values::Unsigned { width: 12 }, ..R_UNARY };
const S: Format = Format { rs1: true, rs2: true, imm: Values::Signed { width: 12, scale: 0 }, ..NO_OPERANDS };
const B: Format = Format { rs1: true, rs2: true, imm: Values::Signed { width: 12, scale: 1 }, ..NO_OPERANDS };
const U: Format = Format { rd: true, imm: Values::Signed { width: 20, scale: 12 }, ..NO_OPERANDS };
const J: Format = Format { rd: true, imm: Values::Signed { width: 20, scale: 1 }, ..NO_OPERANDS };
const FENCE: Format = Format { imm: Values::Unsigned { width: 12 }, ..NO_OPERANDS };
const BLOCK: Format = Format { rs1: true, ..NO_OPERANDS };
const FENCE_VMA: Format = Format { rs1: true, rs2: true, ..NO_OPERANDS };

/// The manual's format of every instruction, written down independently of the table.
#[rustfmt::skip]
fn format(code: Opcode) -> Format {
    match code {
        Lui | Auipc => U,
        Jal => J,
        Beq | Bne | Blt | Bge | Bltu | Bgeu => B,
        Jalr | Lb | Lh | Lw | Ld | Lbu | Lhu | Lwu | Flw | Fld
        | Addi | Slti | Sltiu | Xori | Ori | Andi | Addiw => I,
        Sb | Sh | Sw | Sd | Fsw | Fsd => S,
        Slli | Srli | Srai | SlliUw | Rori | Bclri | Bexti | Binvi | Bseti => SHIFT,
        Slliw | Srliw | Sraiw | Roriw => SHIFT_WORD,
        Fence => FENCE,
        Pause | Ecall | Ebreak | FenceI | Mret | Sret | Wfi | WrsNto | WrsSto | SfenceWInval | SfenceInvalIr =>
            NO_OPERANDS,
        CboInval | CboClean | CboFlush | CboZero => BLOCK,
        SfenceVma | SinvalVma => FENCE_VMA,
        Csrrw | Csrrs | Csrrc | Csrrwi | Csrrsi | Csrrci => CSR,
        FmaddS | FmsubS | FnmsubS | FnmaddS | FmaddD | FmsubD | FnmsubD | FnmaddD => R4,
        FaddS | FsubS | FmulS | FdivS | FaddD | FsubD | FmulD | FdivD => R_ROUNDED,
        FsqrtS | FsqrtD
        | FcvtWS | FcvtWuS | FcvtLS | FcvtLuS | FcvtSW | FcvtSWu | FcvtSL | FcvtSLu
        | FcvtWD | FcvtWuD | FcvtLD | FcvtLuD | FcvtDW | FcvtDWu | FcvtDL | FcvtDLu
        | FcvtSD | FcvtDS => R_UNARY_ROUNDED,
        FmvXW | FmvWX | FmvXD | FmvDX | FclassS | FclassD | LrW | LrD
        | Clz | Clzw | Ctz | Ctzw | Cpop | Cpopw | SextB | SextH | ZextH | OrcB | Rev8 => R_UNARY,
        Add | Sub | Sll | Slt | Sltu | Xor | Srl | Sra | Or | And | Addw | Subw | Sllw | Srlw | Sraw
        | Mul | Mulh | Mulhsu | Mulhu | Div | Divu | Rem | Remu | Mulw | Divw | Divuw | Remw | Remuw
        | ScW | AmoswapW | AmoaddW | AmoxorW | AmoandW | AmoorW | AmominW | AmomaxW | AmominuW | AmomaxuW
        | ScD | AmoswapD | AmoaddD | AmoxorD | AmoandD | AmoorD | AmominD | AmomaxD | AmominuD | AmomaxuD
        | FsgnjS | FsgnjnS | FsgnjxS | FminS | FmaxS | FeqS | FltS | FleS
        | FsgnjD | FsgnjnD | FsgnjxD | FminD | FmaxD | FeqD | FltD | FleD
        | AddUw | Sh1add | Sh1addUw | Sh2add | Sh2addUw | Sh3add | Sh3addUw
        | Andn | Orn | Xnor | Max | Maxu | Min | Minu | Rol | Rolw | Ror | Rorw
        | Bclr | Bext | Binv | Bset | CzeroEqz | CzeroNez => R,
    }
}

/// An operation of this opcode with random operands, all of which fit.
fn operation(code: Opcode, random: &mut Random) -> Op {
    let format = format(code);
    let mut op = Op::of(code);
    if format.rd {
        op.rd = random.register();
    }
    if format.rs1 {
        op.rs1 = random.register();
    }
    if format.rs2 {
        op.rs2 = random.register();
    }
    if format.rs3 {
        op.rs3 = random.register();
    }
    if format.rm {
        op.rm = [0, 1, 2, 3, 4, 7][random.below(6) as usize];
    }
    op.imm = match format.imm {
        Values::None => 0,
        Values::Signed { width, scale } => {
            (random.bits() as i32 >> (32 - width)).wrapping_shl(scale) & (-1i32).wrapping_shl(scale)
        }
        Values::Unsigned { width } => random.below(1 << width) as i32,
    };
    op
}

/// `count` operations of this opcode with random operands and their encodings.
pub fn operations(code: Opcode, count: usize) -> impl Iterator<Item = Op> {
    let mut random = Random(code as u64);
    let random = std::iter::repeat_with(move || operation(code, &mut random));
    // `fence w,0` has the bits of `pause`.
    random.filter(|op| op.code != Fence || op.imm != 0x010).take(count).map(|op| {
        let bits = encode(&op).unwrap_or_else(|| panic!("{op:?} has an encoding"));
        Op { bits, ..op }
    })
}

#[test]
fn decoding_inverts_encoding() {
    for op in Opcode::all().flat_map(|code| operations(code, 500)) {
        assert_eq!(decode(op.bits), Ok(op));
    }
}

/// Bits that the decoder ignores, as a mask: `aq` and `rl`, and the reserved fields of fences.
fn ignored(code: Opcode) -> u32 {
    if code == Fence {
        0x000f_8f80
    } else if code == FenceI {
        0xffff_8f80
    } else if code.is_atomic() {
        3 << 25
    } else {
        0
    }
}

#[test]
fn encoding_inverts_decoding() {
    let mut random = Random(2);
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..3_000_000 {
        // Random bits seldom hit the rarer major opcodes' function codes, so some of the zeros are made likely.
        let bits = (random.bits() & random.bits() | random.bits() & 0x0fff_8f80) | 3;
        if let Ok(op) = decode(bits) {
            seen.insert(op.code as u8);
            let bits = bits & !ignored(op.code);
            // Without its ignored fields, `fence w,0` is `pause`.
            let expected = (op.code != Fence || op.imm != 0x010).then_some(bits);
            assert_eq!(encode(&op), expected, "{op:?}");
        }
    }
    assert!(seen.len() > 150, "the bits hit most opcodes, here {}", seen.len());
}

#[test]
fn compressing_inverts_decoding_of_compressed() {
    for bits in 0..=u16::MAX {
        if length(bits) == 4 {
            continue;
        }
        let Ok(op) = decode(bits.into()) else { continue };
        let again = compress(&op).unwrap_or_else(|| panic!("{op:?} came from {bits:#06x}"));
        let read = decode(again.into()).expect("what is compressed decodes");
        assert_eq!(Op { bits: op.bits, ..read }, op, "{bits:#06x} and {again:#06x}");
        // The same instruction in 32 bits means the same.
        let wide = decode(encode(&op).expect("an expansion has an encoding")).expect("which decodes");
        assert_eq!(Op { bits: op.bits, length: 2, ..wide }, op);
    }
}

#[test]
fn compressing_any_operation_keeps_it() {
    let mut random = Random(3);
    let mut compressed = 0;
    for _ in 0..200 {
        for code in Opcode::all() {
            let op = operation(code, &mut random);
            if let Some(bits) = compress(&op) {
                let read = decode(bits.into()).expect("what is compressed decodes");
                assert_eq!(Op { bits: 0, length: 4, ..read }, op);
                compressed += 1;
            }
        }
    }
    assert!(compressed > 100, "some of them can be compressed, here {compressed}");
}

#[test]
fn what_does_not_fit_has_no_encoding() {
    let mut unfit = vec![
        Op { rd: 32, ..Op::of(Add) },
        Op { rs1: 255, ..Op::of(Add) },
        Op { rs2: 32, ..Op::of(Sw) },
        Op { rs3: 32, ..Op::of(FmaddS) },
        Op { rs3: 1, ..Op::of(FaddS) },
        Op { rm: 5, ..Op::of(FaddS) },
        Op { rm: 6, ..Op::of(FaddD) },
        Op { rm: 8, ..Op::of(FaddD) },
        Op { rm: 1, ..Op::of(FsgnjD) },
        Op { rs2: 1, ..Op::of(LrW) },
        Op { rd: 1, ..Op::of(Beq) },
        Op { rd: 1, ..Op::of(SfenceVma) },
        Op { imm: 1, ..Op::of(Add) },
        Op { imm: 0x010, ..Op::of(Fence) },
    ];
    let ranges = [
        (Addi, -2048, 2047, 1),
        (Sd, -2048, 2047, 1),
        (Slli, 0, 63, 1),
        (Slliw, 0, 31, 1),
        (Csrrw, 0, 4095, 1),
        (Fence, 0, 4095, 1),
        (Beq, -4096, 4094, 2),
        (Jal, -1_048_576, 1_048_574, 2),
        (Lui, i32::MIN, 0x7fff_f000, 4096),
    ];
    for (code, low, high, step) in ranges {
        for imm in [low, low + step, high - step, high] {
            assert!(encode(&Op { imm, ..Op::of(code) }).is_some(), "{code:?} {imm}");
        }
        let outside = [low.checked_sub(step), high.checked_add(step), (step > 1).then_some(low + 1)];
        unfit.extend(outside.into_iter().flatten().map(|imm| Op { imm, ..Op::of(code) }));
    }
    for op in unfit {
        assert_eq!(encode(&op), None, "{op:?}");
    }
}

/// The disassembler takes operations that no encoding gives.
#[test]
fn any_operation_has_a_text() {
    let mut random = Random(4);
    for code in Opcode::all() {
        for _ in 0..50 {
            let bits = random.next();
            let [rd, rs1, rs2, rs3, rm, length, ..] = bits.to_le_bytes();
            let imm = random.bits() as i32;
            let op = Op { code, rd, rs1, rs2, rs3, rm, length, imm, bits: bits as u32 };
            assert!(!disassemble(&op, random.next()).is_empty());
        }
    }
}
