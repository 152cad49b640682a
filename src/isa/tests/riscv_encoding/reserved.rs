//! What is legal and what is not, case by case, with the manual's reason.

use cantus_isa::riscv::Opcode::{self, *};
use cantus_isa::riscv::{Illegal, decode};

/// Encodings that are no instruction of this hart.
#[rustfmt::skip]
const ILLEGAL: &[(u32, &str)] = &[
    (0x0000_0000, "the all-zero halfword is defined illegal (Base Instruction-Length Encoding)"),
    (0xffff_ffff, "all ones is defined illegal"),
    (0x0000_001f, "48-bit and longer encodings are not implemented"),
    (0x0000_003f, "64-bit encodings are not implemented"),
    (0x0000_000b, "custom-0"),
    (0x0000_002b, "custom-1"),
    (0x0000_005b, "custom-2"),
    (0x0000_007b, "custom-3"),
    (0x0000_0057, "OP-V: no vector extension"),
    (0x0000_0077, "reserved major opcode"),
    (0x0000_006b, "reserved major opcode"),
    (0x0000_1067, "jalr has funct3 000"),
    (0x0000_2063, "branch, funct3 010 is reserved"),
    (0x0000_3063, "branch, funct3 011 is reserved"),
    (0x0000_7003, "load, funct3 111 is reserved (ldu of RV128)"),
    (0x0000_4023, "store, funct3 100 is reserved (sq of RV128)"),
    (0x0000_0007, "floating-point load of a byte is the vector extension's"),
    (0x0000_1007, "flh is Zfh's"),
    (0x0000_4007, "flq is Q's"),
    (0x0400_1013, "slli with bit 26 set is RV128's"),
    (0x0200_101b, "slliw with shamt bit 5 set is reserved (RV64I)"),
    (0x0200_501b, "srliw with shamt bit 5 set is reserved"),
    (0x4200_501b, "sraiw with shamt bit 5 set is reserved"),
    (0x6200_501b, "roriw has five bits of shift amount"),
    (0x4000_1013, "there is no arithmetic shift to the left"),
    (0x0000_201b, "there is no sltiw"),
    (0x0200_103b, "there is no mulhw"),
    (0x8000_0033, "funct7 of no instruction"),
    (0x0810_403b, "packw is Zbkb's; zext.h has rs2 = 0"),
    (0x6030_1013, "funct12 between cpop and sext.b"),
    (0x6b80_501b, "rev8 of RV32 in the 32-bit opcode"),
    (0x6980_5013, "rev8 of RV32: RV64's has 0110101 11000"),
    (0x2860_5013, "gorci in general was dropped: orc.b only"),
    (0x0000_002f, "amo of a byte is Zabha's"),
    (0x0000_102f, "amo of a halfword is Zabha's"),
    (0x0000_402f, "amo of 128 bits is Zacas's"),
    (0x1010_202f, "lr.w with rs2 other than zero"),
    (0x1010_302f, "lr.d with rs2 other than zero"),
    (0x2800_202f, "amocas.w is Zacas's"),
    (0x0800_5053, "rounding mode 5 is reserved (F, Rounding modes)"),
    (0x0800_6053, "rounding mode 6 is reserved"),
    (0x0000_5043, "rounding mode 5 is reserved, of fmadd.s too"),
    (0x4200_6053, "rounding mode 6 is reserved, of conversions that never round too"),
    (0x0400_0053, "half precision is Zfh's"),
    (0x0600_0053, "quad precision is Q's"),
    (0x0400_0043, "half precision is Zfh's"),
    (0x2000_3053, "fsgnj.s knows three funct3"),
    (0x2800_2053, "fminm.s is Zfa's"),
    (0xa000_4053, "fleq.s is Zfa's"),
    (0x5810_0053, "fsqrt.s with rs2 other than zero"),
    (0x4000_0053, "fcvt.s.s does not exist"),
    (0x4210_0053, "fcvt.d.d does not exist"),
    (0xc040_0053, "fcvt to an integer knows four types"),
    (0xe000_2053, "fclass.s has funct3 001, fmv.x.w 000"),
    (0xe010_0053, "fmv.x.w with rs2 other than zero"),
    (0x0030_200f, "cbo.*, funct12 3 is reserved (CMO)"),
    (0x0050_200f, "cbo.*, funct12 5 is reserved"),
    (0x0000_208f, "cbo.inval with rd other than zero"),
    (0x00d0_00f3, "wrs.nto with rd other than zero"),
    (0x0ef5_6533, "funct3 of no conditional operation (Zicond)"),
    (0x0020_0073, "uret was dropped with the N extension"),
    (0x0000_00f3, "ecall with rd other than zero"),
    (0x0010_80f3, "ebreak with registers"),
    (0x3020_0173, "mret with rd other than zero"),
    (0x1020_8073, "sret with rs1 other than zero"),
    (0x1050_0173, "wfi with rd other than zero"),
    (0x1200_00f3, "sfence.vma with rd other than zero"),
    (0x1600_00f3, "sinval.vma with rd other than zero"),
    (0x1820_0073, "beside sfence.w.inval and sfence.inval.ir"),
    (0x2200_0073, "hfence.vvma is the hypervisor extension's"),
    (0x7b20_0073, "dret is for debug mode"),
    (0x7020_0073, "mnret is Smrnmi's"),
    (0x0000_4073, "SYSTEM with funct3 100 is the hypervisor extension's and Zimop's"),
    (0x0000_8000, "quadrant 0, funct3 100 is reserved (Zcb's)"),
    (0x0000_2001, "c.addiw to x0 is reserved"),
    (0x0000_6101, "c.addi16sp with an immediate of zero is reserved"),
    (0x0000_6081, "c.lui with an immediate of zero is reserved"),
    (0x0000_6001, "c.lui to x0 with an immediate of zero is reserved rather than a hint"),
    (0x0000_9c41, "c.mul is Zcb's"),
    (0x0000_9c61, "c.zext.b and its like are Zcb's"),
    (0x0000_4002, "c.lwsp to x0 is reserved"),
    (0x0000_6002, "c.ldsp to x0 is reserved"),
    (0x0000_8002, "c.jr to x0 is reserved"),
];

/// Encodings that look odd and are instructions nevertheless.
#[rustfmt::skip]
const LEGAL: &[(u32, Opcode, &str)] = &[
    (0x0200_1013, Slli,   "shamt bit 5 is part of RV64's shift amount"),
    (0x0000_7053, FaddS,  "rounding mode 7 is dynamic"),
    (0x4200_7053, FcvtDS, "the rounding mode of an exact conversion does not matter"),
    (0xffff_8f8f, Fence,  "reserved fields of fence are ignored (Memory Ordering Instructions)"),
    (0x8330_000f, Fence,  "fence.tso is a fence"),
    (0x5000_000f, Fence,  "a reserved fm is a normal fence"),
    (0x0000_000f, Fence,  "empty sets are hints"),
    (0x0100_000f, Pause,  "fence w,0 without registers is pause (Zihintpause)"),
    (0x0100_008f, Fence,  "with a register it is not"),
    (0xffff_9f8f, FenceI, "the fields of fence.i are ignored (Zifencei)"),
    (0x0000_0013, Addi,   "nop"),
    (0x0000_5037, Lui,    "writes of x0 are hints"),
    (0x4010_5013, Srai,   "semihosting's hint after ebreak"),
    (0x0620_b1af, AmoaddD,"aq and rl are free"),
    (0x1600_b1af, LrD,    "aq and rl are free"),
    (0xfff0_1073, Csrrw,  "whether a CSR exists is not the decoder's matter"),
    (0x1200_0073, SfenceVma, "both registers may be x0"),
    (0x0000_0005, Addi,   "c.nop with an immediate is a hint"),
    (0x0000_0081, Addi,   "c.addi with an immediate of zero is a hint"),
    (0x0000_4001, Addi,   "c.li to x0 is a hint"),
    (0x0000_6005, Lui,    "c.lui to x0 is a hint"),
    (0x0000_8401, Srai,   "c.srai by zero is a hint"),
    (0x0000_0002, Slli,   "c.slli of x0 by zero is a hint"),
    (0x0000_8006, Add,    "c.mv to x0 is a hint"),
    (0x0000_9006, Add,    "c.add to x0 is a hint"),
    (0x0000_2002, Fld,    "c.fldsp may load f0"),
    (0x0000_9002, Ebreak, "c.ebreak"),
];

#[test]
fn reserved_encodings_are_illegal() {
    for &(bits, why) in ILLEGAL {
        let length = if bits & 3 == 3 { 4 } else { 2 };
        assert_eq!(decode(bits), Err(Illegal { bits, length }), "{bits:#010x}: {why}");
    }
}

#[test]
fn odd_encodings_are_legal() {
    for &(bits, code, why) in LEGAL {
        assert_eq!(decode(bits).map(|op| op.code), Ok(code), "{bits:#010x}: {why}");
    }
}

/// `mtval` shows a compressed instruction without what stands behind it.
#[test]
fn illegal_bits_are_those_of_the_instruction() {
    assert_eq!(decode(0xabcd_0000), Err(Illegal { bits: 0, length: 2 }));
    assert_eq!(decode(0xabcd_8002), Err(Illegal { bits: 0x8002, length: 2 }));
    assert_eq!(decode(0xabcd_000b), Err(Illegal { bits: 0xabcd_000b, length: 4 }));
}
