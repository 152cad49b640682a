//! Interrupt lines in words.

/// The interrupt lines by the names of their bits (Privileged ISA, "Machine Interrupt Registers").
pub(crate) fn line_names(bits: u32) -> String {
    const NAMES: [(u32, &str); 6] =
        [(1, "SSIP"), (3, "MSIP"), (5, "STIP"), (7, "MTIP"), (9, "SEIP"), (11, "MEIP")];
    let mut names: Vec<String> =
        NAMES.iter().filter(|(bit, _)| bits >> bit & 1 == 1).map(|(_, name)| (*name).to_owned()).collect();
    let others = NAMES.iter().fold(bits, |bits, (bit, _)| bits & !(1 << bit));
    names.extend((others != 0).then(|| format!("{others:#x}")));
    match names.is_empty() {
        true => "none".to_owned(),
        false => names.join("+"),
    }
}
