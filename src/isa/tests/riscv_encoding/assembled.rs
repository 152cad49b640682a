//! What the GNU assembler makes of our texts: `assembled.txt` has the words and says how they were made.

use std::collections::BTreeSet;

use cantus_isa::riscv::{Opcode, compress, csr_names, decode, disassemble, encode};

const TABLE: &str = include_str!("assembled.txt");

/// The table's words with their texts.
fn table() -> impl Iterator<Item = (&'static str, u32, &'static str)> {
    TABLE.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).map(|line| {
        let (word, text) = line.split_once(' ').expect("a word and a text");
        (word, u32::from_str_radix(word, 16).expect("a hexadecimal number"), text)
    })
}

#[test]
fn words_have_the_texts_that_they_were_assembled_from() {
    for (word, bits, text) in table() {
        let op = decode(bits).unwrap_or_else(|illegal| panic!("{word} is {text}, not {illegal:?}"));
        assert_eq!(usize::from(op.length) * 2, word.len(), "{word} {text}");
        assert_eq!(disassemble(&op, 0x8000_0000), text, "{word}");
    }
}

#[test]
fn operations_have_the_words_that_the_assembler_gives() {
    for (word, bits, text) in table() {
        let op = decode(bits).unwrap_or_else(|illegal| panic!("{word} is {text}, not {illegal:?}"));
        if op.length == 2 {
            assert_eq!(compress(&op).map(u32::from), Some(bits), "{word} {text}");
        } else {
            // `aq` and `rl` are not in the operation.
            let ordering = if op.code.is_atomic() { 3 << 25 } else { 0 };
            assert_eq!(encode(&op), Some(bits & !ordering), "{word} {text}");
        }
    }
}

#[test]
fn the_table_has_every_opcode_and_every_csr() {
    let words: BTreeSet<_> = table().map(|(_, bits, _)| bits).collect();
    let opcodes: BTreeSet<_> = words.iter().map(|&bits| decode(bits).expect("legal").code as u8).collect();
    assert_eq!(opcodes.len(), Opcode::all().len());
    for csr in (0..0x1000).filter(|&csr| csr_names::name(csr).is_some()) {
        // csrr a0,csr
        assert!(words.contains(&(u32::from(csr) << 20 | 0x2573)), "{csr:#x}");
    }
}
