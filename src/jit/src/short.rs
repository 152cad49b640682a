//! Instructions in their short forms.
//!
//! The assembler writes what it is told only when it runs in four bytes. Most displacements and constants fit into one
//! (Intel SDM, volume 2, "Displacement and Immediate Bytes"), and shorter code leaves the host's caches room for more of it.

/// Assembles an instruction with an operand in memory, so far from what the brackets name.
macro_rules! near {
    ($asm:expr; $at:expr; $($front:tt)*) => {
        $crate::short::near!(@ $asm; $at; () $($front)*)
    };
    (@ $asm:expr; $at:expr; ($($front:tt)*) [$($base:tt)*] $($behind:tt)*) => {
        match i8::try_from($at) {
            Ok(at) => dynasm!($asm; .arch x64; $($front)* [BYTE $($base)* + at] $($behind)*),
            Err(_) => {
                let at: i32 = $at;
                dynasm!($asm; .arch x64; $($front)* [DWORD $($base)* + at] $($behind)*);
            }
        }
    };
    (@ $asm:expr; $at:expr; ($($front:tt)*) $next:tt $($behind:tt)*) => {
        $crate::short::near!(@ $asm; $at; ($($front)* $next) $($behind)*)
    };
}

/// Assembles an instruction on a register, the last operand of which is a constant.
macro_rules! small {
    ($asm:expr; $value:expr; $($code:tt)*) => {
        match i8::try_from($value) {
            Ok(value) => dynasm!($asm; .arch x64; $($code)*, BYTE value),
            Err(_) => {
                let value: i32 = $value;
                dynasm!($asm; .arch x64; $($code)*, DWORD value);
            }
        }
    };
}

pub(crate) use {near, small};

#[cfg(test)]
mod tests {
    use crate::frame::{Assembler, x};
    use dynasmrt::{DynasmApi, dynasm};

    fn code(make: impl Fn(&mut Assembler)) -> Vec<u8> {
        let mut asm = Assembler::new(0);
        make(&mut asm);
        asm.finalize().expect("it has no labels")
    }

    #[test]
    fn what_fits_into_a_byte_takes_one() {
        for at in [i32::MIN, -129, -128, -1, 0, 127, 128, i32::MAX] {
            let (size, bytes) = if (-128..128).contains(&at) { (0x40, 1) } else { (0x80, 4) };
            let at_bytes = &at.to_le_bytes()[..bytes];
            let is =
                |code: Vec<u8>, start: &[u8], end: &[u8]| assert_eq!(code, [start, at_bytes, end].concat());
            is(code(|asm| near!(asm; at; mov rax, [rbx])), &[0x48, 0x8b, size | 3], &[]);
            is(code(|asm| near!(asm; at; mov [rbx], rax)), &[0x48, 0x89, size | 3], &[]);
            is(
                code(|asm| near!(asm; at; cmp QWORD [rbx], DWORD 5)),
                &[0x48, 0x81, size | 0x3b],
                &[5, 0, 0, 0],
            );
            // r12 as it is named when code is made, without an index and with rcx.
            is(code(|asm| near!(asm; at; mov Rq(1), [Rq(12)])), &[0x49, 0x8b, size | 0x0c, 0x24], &[]);
            is(code(|asm| near!(asm; at; mov Rq(1), [Rq(12) + rcx])), &[0x49, 0x8b, size | 0x0c, 0x0c], &[]);
            let opcode = if bytes == 1 { 0x83 } else { 0x81 };
            is(code(|asm| small!(asm; at; sub Rq(14))), &[0x49, opcode, 0xee], &[]);
        }
    }

    #[test]
    fn integer_registers_of_the_guest_are_near() {
        assert!((0..32).all(|register| i8::try_from(x(register)).is_ok()));
    }
}
