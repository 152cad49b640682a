//! F and D through the executor: the state around them. Their arithmetic has its own tests.

use crate::board::{BASE, Board, DATA};
use cantus_isa::riscv::csr::number::*;

const HANDLER: u64 = BASE + 0x200;
const INITIAL: u64 = 1 << 13;
const DIRTY: u64 = 3 << 13;

fn board(program: &str, fs: u64) -> Board {
    let mut board = Board::new(program);
    board.set_csr(MTVEC, HANDLER);
    board.core.hart.mstatus = fs;
    board.core.hart.x[11] = DATA;
    board.core.hart.x[12] = 3;
    board.core.hart.f[1] = 1.5f64.to_bits();
    board.core.hart.f[2] = 2.25f64.to_bits();
    board.core.hart.f[3] = single(1.5);
    board.core.hart.f[4] = single(-2.25);
    board.write_double(DATA, 0x1111_2222_c010_0000);
    board
}

fn single(value: f32) -> u64 {
    u64::from(value.to_bits()) | 0xffff_ffff << 32
}

/// Instruction; result in f10 or x10; flags; whether `mstatus.FS` becomes dirty ("Extension Context Status").
#[test]
#[rustfmt::skip]
fn results_flags_and_dirtiness() {
    let double = f64::to_bits;
    let table: &[(&str, u64, u64, bool)] = &[
        ("fadd.d f10,f1,f2", double(3.75), 0, true),
        ("fsub.d f10,f1,f2", double(-0.75), 0, true),
        ("fmul.d f10,f1,f2", double(3.375), 0, true),
        ("fdiv.d f10,f2,f1", double(1.5), 0, true),
        ("fdiv.d f10,f1,f2", double(1.5 / 2.25), 1, true),
        ("fsqrt.d f10,f2", double(1.5), 0, true),
        ("fmadd.d f10,f1,f2,f1", double(4.875), 0, true),
        ("fmsub.d f10,f1,f2,f1", double(1.875), 0, true),
        ("fnmsub.d f10,f1,f2,f1", double(-1.875), 0, true),
        ("fnmadd.d f10,f1,f2,f1", double(-4.875), 0, true),
        ("fmin.d f10,f1,f2", double(1.5), 0, true),
        ("fmax.d f10,f1,f2", double(2.25), 0, true),
        ("fsgnjn.d f10,f1,f2", double(-1.5), 0, true),
        ("fadd.s f10,f3,f4", single(-0.75), 0, true),
        ("fmul.s f10,f3,f4", single(-3.375), 0, true),
        ("fsgnj.s f10,f3,f4", single(-1.5), 0, true),
        ("fcvt.d.s f10,f4", double(-2.25), 0, true),
        ("fcvt.s.d f10,f1", single(1.5), 0, true),
        ("fcvt.d.l f10,x12", double(3.0), 0, true),
        ("fcvt.s.wu f10,x12", single(3.0), 0, true),
        // Not boxed: the canonical NaN takes its place.
        ("fadd.s f10,f1,f3", 0xffff_ffff_7fc0_0000, 0, true),
        ("fmv.d.x f10,x12", 3, 0, true),
        ("fmv.w.x f10,x12", 3 | 0xffff_ffff << 32, 0, true),
        ("flw f10,0(x11)", single(-2.25), 0, true),
        ("fld f10,0(x11)", 0x1111_2222_c010_0000, 0, true),
        ("c.fld f10,0(x11)", 0x1111_2222_c010_0000, 0, true),
        // Into integer registers: dirty only if a flag is raised.
        ("fcvt.w.d x10,f2,rne", 2, 1, true),
        ("fcvt.w.d x10,f2,rup", 3, 1, true),
        ("fcvt.l.s x10,f4,rtz", -2i64 as u64, 1, true),
        ("fcvt.lu.s x10,f4,rtz", 0, 16, true),
        ("feq.d x10,f1,f2", 0, 0, false),
        ("flt.d x10,f1,f2", 1, 0, false),
        ("fle.s x10,f4,f3", 1, 0, false),
        ("fclass.d x10,f1", 64, 0, false),
        ("fmv.x.d x10,f1", 1.5f64.to_bits(), 0, false),
        ("fmv.x.w x10,f4", 0xffff_ffff_c010_0000, 0, false),
    ];
    for &(text, expected, flags, dirty) in table {
        let mut board = board(text, INITIAL);
        board.run(1);
        let value = if text.contains("x10") { board.x(10) } else { board.core.hart.f[10] };
        assert_eq!(value, expected, "{text}");
        assert_eq!(board.csr(FFLAGS), flags, "{text}");
        assert_eq!(board.core.hart.mstatus, if dirty { DIRTY } else { INITIAL }, "{text}");
    }
}

#[test]
fn stores_take_the_low_bits() {
    for (text, expected) in [
        ("fsd f1,0(x11)", 1.5f64.to_bits()),
        ("fsw f4,0(x11)", 0x1111_2222_c010_0000),
        // A single that is not boxed is stored as it is.
        ("fsw f2,0(x11)", 0x1111_2222_0000_0000),
        ("fsw f3,4(x11)", 0x3fc0_0000_c010_0000),
    ] {
        let mut board = board(text, INITIAL);
        board.run(1);
        assert_eq!(board.double(DATA), expected, "{text}");
        assert_eq!(board.core.hart.mstatus, INITIAL, "{text}");
    }
}

#[test]
fn flags_accrue_until_they_are_cleared() {
    let mut board = board(
        "fdiv.d f5,f1,f2\nfdiv.d f6,f1,f7\nfsqrt.d f8,f9\ncsrrs x5,fflags,x0\ncsrrwi x0,fflags,0\ncsrrs x6,fcsr,x0",
        INITIAL,
    );
    board.core.hart.f[9] = (-1f64).to_bits();
    board.run(6);
    assert_eq!((board.x(5), board.x(6)), (1 | 8 | 16, 0));
}

/// "Floating-Point Control and Status Register": modes 5, 6 and 7 in `frm` make dynamic rounding illegal.
#[test]
fn rounding_modes() {
    for frm in 0..8 {
        let mut board =
            board("csrrw x0,frm,x13\nfcvt.l.d x10,f2\nfcvt.l.d x14,f2,rup\nfmin.d f5,f1,f2", INITIAL);
        board.core.hart.x[13] = frm;
        board.run(2);
        let rounded = [2, 2, 2, 3, 2];
        match rounded.get(frm as usize) {
            Some(&expected) => {
                board.run(4);
                assert_eq!(
                    (board.x(10), board.x(14), board.core.hart.pc),
                    (expected, 3, BASE + 16),
                    "frm = {frm}"
                );
            }
            None => {
                assert_eq!(
                    (board.csr(MCAUSE), board.csr(MEPC), board.x(10)),
                    (2, BASE + 4, 0),
                    "frm = {frm}"
                );
                // A static mode, or none, is not concerned.
                board.core.hart.pc = BASE + 8;
                board.run(4);
                assert_eq!((board.x(14), board.core.hart.pc), (3, BASE + 16), "frm = {frm}");
            }
        }
    }
}

/// "Extension Context Status in mstatus Register".
#[test]
fn illegal_while_off() {
    for text in [
        "fadd.d f10,f1,f2",
        "fmadd.s f10,f1,f2,f3",
        "fsgnj.d f10,f1,f2",
        "feq.s x10,f1,f2",
        "fcvt.w.d x10,f1",
        "fcvt.d.w f10,x12",
        "fmv.x.d x10,f1",
        "fmv.w.x f10,x12",
        "flw f10,0(x11)",
        "fld f10,0(x11)",
        "fsw f1,0(x11)",
        "fsd f1,0(x11)",
        "fclass.s x10,f1",
        "c.fsd f9,0(x11)",
        "csrrs x10,fcsr,x0",
        "csrrwi x0,frm,1",
    ] {
        let mut board = board(text, 0);
        let before = board.double(DATA);
        board.run(1);
        assert_eq!((board.csr(MCAUSE), board.core.hart.pc), (2, HANDLER), "{text}");
        assert_eq!((board.x(10), board.core.hart.f[10], board.double(DATA)), (0, 0, before), "{text}");
    }
}
