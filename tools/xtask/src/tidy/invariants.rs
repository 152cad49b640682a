//! Invariants have ids, and an id means something: it is listed in the map, and guarded in the code.

use std::collections::BTreeMap;

use super::{Complaint, Tree};

const MAP: &str = "ARCHITECTURE.md";

/// The groups of invariants.
const GROUPS: &[&str] = &["STATE", "ORD", "MMU", "REP", "CHK"];

/// This folder's tests name ids that do not exist.
const EXEMPT: &str = "tools/xtask/src/tidy/";

/// Every id of the map stands in the message of an assertion or in the name of a test.
pub fn ids_are_guarded(tree: &Tree) -> Vec<Complaint> {
    let sources = || tree.texts(&[".rs"]).filter(|(path, _)| !path.starts_with(EXEMPT));
    listed(tree)
        .into_iter()
        .filter(|(id, _)| !sources().any(|(_, text)| text.lines().any(|line| guards(line, id))))
        .map(|(id, line)| {
            Complaint::new(
                MAP,
                line,
                format!("no assertion and no test names {id}"),
                "an invariant that nothing guards is a wish",
                format!(
                    "write `{id}` into the message of the assertion that guards it, or call the test that attacks it \
                     `{}_…`",
                    id.to_lowercase().replace('-', "_")
                ),
            )
        })
        .collect()
}

/// Every id in the code and in the documents is one of the map's.
pub fn ids_are_known(tree: &Tree) -> Vec<Complaint> {
    let listed = listed(tree);
    if listed.is_empty() {
        return Vec::new();
    }
    let mut complaints = Vec::new();
    for (path, text) in tree.texts(&[".rs", ".md", ".c", ".S"]).filter(|(path, _)| !path.starts_with(EXEMPT))
    {
        for (number, line) in text.lines().enumerate() {
            for id in ids(line).into_iter().filter(|id| !listed.contains_key(id)) {
                complaints.push(Complaint::new(
                    path,
                    number + 1,
                    format!("{id} is not in the list of {MAP}"),
                    "an id stands for a sentence that can be looked up",
                    "correct the id, or add the invariant to the list",
                ));
            }
        }
    }
    complaints
}

/// The ids of the map, each with the line where it comes first.
fn listed(tree: &Tree) -> BTreeMap<String, usize> {
    let mut listed = BTreeMap::new();
    for (number, line) in tree.text(MAP).unwrap_or_default().lines().enumerate() {
        for id in ids(line) {
            listed.entry(id).or_insert(number + 1);
        }
    }
    listed
}

/// The ids in a line.
fn ids(line: &str) -> Vec<String> {
    let mut ids = Vec::new();
    for word in line.split(|c: char| !c.is_ascii_alphanumeric() && c != '-') {
        if let Some((group, number)) = word.split_once('-')
            && GROUPS.contains(&group)
            && !number.is_empty()
            && number.bytes().all(|byte| byte.is_ascii_digit())
        {
            ids.push(word.to_owned());
        }
    }
    ids
}

/// Whether a line names an id in a string (of an assertion) or in the name of a function (of a test).
fn guards(line: &str, id: &str) -> bool {
    let code = line.trim_start();
    if code.starts_with("//") {
        return false;
    }
    let in_string = code.match_indices(id).any(|(at, _)| {
        let continues = code[at + id.len()..].starts_with(|c: char| c.is_ascii_digit());
        code[..at].matches('"').count() % 2 == 1 && !continues
    });
    let name = code.split("fn ").nth(1).and_then(|rest| rest.split('(').next()).unwrap_or_default();
    let wanted = format!("_{}_", id.to_lowercase().replace('-', "_"));
    in_string || format!("_{name}_").contains(&wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whats(complaints: Vec<Complaint>) -> Vec<String> {
        complaints.iter().map(|c| format!("{}:{}: {}", c.path, c.line, c.what)).collect()
    }

    #[test]
    fn an_id_is_guarded_by_a_message_or_by_a_name() {
        assert!(guards("    assert!(held, \"ORD-1: core {core} touches what it does not hold\");", "ORD-1"));
        assert!(guards("        \"ORD-1: a message on a line of its own\"", "ORD-1"));
        assert!(guards("fn ord_1_nobody_writes_what_another_reads() {", "ORD-1"));
        assert!(guards("fn waiting_answers_ord_5() {", "ORD-5"));
        assert!(!guards("// \"ORD-1\" is kept here.", "ORD-1"));
        assert!(!guards("let x = 1; // ORD-1", "ORD-1"));
        assert!(!guards("\"ORD-12\"", "ORD-1"));
        assert!(!guards("fn ord_12_x() {", "ORD-1"));
    }

    #[test]
    fn unguarded_and_unknown_ids_are_found() {
        let tree = Tree::of(&[
            (MAP, "- ORD-1. One writer.\n- CHK-2. Says where (see ORD-1).\n"),
            ("src/a.rs", "//! ORD-1 and ORD-9.\nassert!(x, \"CHK-2\");\n"),
        ]);
        assert_eq!(whats(ids_are_guarded(&tree)), [format!("{MAP}:1: no assertion and no test names ORD-1")]);
        assert_eq!(whats(ids_are_known(&tree)), [format!("src/a.rs:1: ORD-9 is not in the list of {MAP}")]);
    }
}
