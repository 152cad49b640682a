//! A place in the guest's code, in all the words that there are for it.

use std::fmt;

use cantus_isa::Gva;
use cantus_isa::riscv::{decode, disassemble};
use serde::Serialize;

use crate::symbols::{Frame, Place, Symbols};

/// Gives the text of a line of a source file, if it can be had. Called with the path as the compiler recorded it.
pub type SourceText<'a> = dyn Fn(&str, u32) -> Option<String> + 'a;

/// A place in the guest's code.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Site {
    /// The address of the instruction.
    #[serde(serialize_with = "crate::hex")]
    pub pc: Gva,
    /// The symbol that holds it.
    pub place: Option<Place>,
    /// The source position, the innermost inlined call first.
    pub frames: Vec<Frame>,
    /// The line's text.
    pub text: Option<String>,
    /// The instruction that the guest's file has there. The guest may have written another one since.
    pub instruction: Option<String>,
}

/// Finds sites: a guest's symbols, and its source text where it can be had.
#[derive(Clone, Copy)]
pub struct Sites<'a> {
    symbols: &'a Symbols,
    text: &'a SourceText<'a>,
}

impl<'a> Sites<'a> {
    /// Sites of the guest with these symbols.
    pub fn new(symbols: &'a Symbols, text: &'a SourceText<'a>) -> Self {
        Self { symbols, text }
    }

    /// The symbols.
    pub fn symbols(&self) -> &'a Symbols {
        self.symbols
    }

    /// All that is known about an address of code.
    pub fn at(&self, pc: Gva) -> Site {
        let frames = self.symbols.frames(pc);
        let text = frames.first().and_then(|frame| {
            let line = (self.text)(frame.file.as_deref()?, frame.line?)?;
            Some(line.trim().to_owned()).filter(|line| !line.is_empty())
        });
        Site { pc, place: self.symbols.place(pc), frames, text, instruction: self.instruction(pc) }
    }

    fn instruction(&self, pc: Gva) -> Option<String> {
        let bytes = self.symbols.bytes(pc)?;
        // A compressed instruction may be the last thing in its segment.
        let mut word = [0; 4];
        let length = bytes.len().min(4);
        word[..length].copy_from_slice(&bytes[..length]);
        let operation = decode(u32::from_le_bytes(word)).ok()?;
        (usize::from(operation.length) <= length).then(|| disassemble(&operation, pc.0))
    }
}

/// No source text at all.
pub fn no_text(_: &str, _: u32) -> Option<String> {
    None
}

impl fmt::Display for Site {
    /// `bank.c:41 in transfer()`; without debug information `transfer+0x14`; without symbols the address.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.frames.first().filter(|frame| frame.file.is_some()), &self.place) {
            (Some(frame), _) => frame.fmt(f),
            (None, Some(place)) => place.fmt(f),
            (None, None) => self.pc.fmt(f),
        }
    }
}
