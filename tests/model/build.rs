//! Makes the mutants: copies of the protocol, each with one bug seeded by replacing a piece of its text.

use std::path::{Path, PathBuf};
use std::{env, fs};

const SOURCES: &str = "../../src/transactions/src";
const FILES: [&str; 4] = ["core_set.rs", "granule_state.rs", "safepoint.rs", "ownership.rs"];

struct Mutant {
    name: &'static str,
    file: &'static str,
    from: &'static str,
    to: &'static str,
}

const MUTANTS: [Mutant; 14] = [
    Mutant {
        name: "a_writer_that_did_nothing_hides_others",
        file: "granule_state.rs",
        from: "self.exclusive_since.take().is_some_and(|since| since < position)",
        to: "self.exclusive_since.take().is_some()",
    },
    Mutant {
        name: "a_reader_that_did_nothing_hides_others",
        file: "granule_state.rs",
        from: "self.holders.swap_remove(at).position < position",
        to: "self.holders.swap_remove(at).position <= position",
    },
    Mutant {
        name: "a_merge_hides_others",
        file: "ownership.rs",
        from: "GranuleState::exclusive(core, position, before)",
        to: "GranuleState::exclusive(core, position, vec![Edge { core, position }])",
    },
    Mutant {
        name: "claims_never_end",
        file: "ownership.rs",
        from: "if claim.refusals > REFUSALS_MAX {",
        to: "if claim.refusals > u32::MAX - REFUSALS_MAX {",
    },
    Mutant {
        name: "give_up_forgets_the_reader",
        file: "granule_state.rs",
        from: "self.departed.push(edge);",
        to: "",
    },
    Mutant {
        name: "give_up_forgets_the_writer",
        file: "granule_state.rs",
        from: "self.before = vec![edge];",
        to: "let _ = edge;",
    },
    Mutant {
        name: "writer_forgets_the_readers",
        file: "granule_state.rs",
        from: "after.extend(&self.departed);",
        to: "",
    },
    Mutant {
        name: "park_keeps_the_old_position",
        file: "ownership.rs",
        from: "(mailbox.parked, mailbox.position) = (true, position);",
        to: "let _ = position; mailbox.parked = true;",
    },
    Mutant {
        name: "park_leaves_requests_unanswered",
        file: "ownership.rs",
        from: "for request in mailbox.requests.drain(..) {",
        to: "for request in mailbox.requests.drain(..0) {",
    },
    Mutant {
        name: "unpark_hides_what_was_lost",
        file: "ownership.rs",
        from: "mailbox.parked = false;\n        revoked.append(&mut mailbox.revoked);",
        to: "mailbox.parked = false;\n        let _ = revoked;",
    },
    Mutant { name: "unpark_is_not_seen", file: "ownership.rs", from: "mailbox.parked = false;", to: "" },
    Mutant {
        name: "answer_gives_what_nobody_is_told",
        file: "ownership.rs",
        from: "let keep_read = state.give_up(core, position, right);\n                revoked.push(Revoked { granule, keep_read });",
        to: "state.give_up(core, position, right);",
    },
    Mutant {
        name: "merge_takes_from_those_who_run",
        file: "ownership.rs",
        from: "return false;\n            }\n        }",
        to: "for other in state.in_the_way(core, Right::Write).iter() {\n                    state.give_up(other, 0, Right::Write);\n                }\n\n            }\n        }",
    },
    Mutant {
        name: "split_keeps_the_whole_page",
        file: "ownership.rs",
        from: ".push(Revoked { granule: whole, keep_read: false });",
        to: ".retain(|revoked| revoked.granule != whole);",
    },
];

/// The text without its inner docstring, which an included file may not have.
fn text(path: &Path) -> String {
    println!("cargo::rerun-if-changed={}", path.display());
    let whole = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    whole.lines().filter(|line| !line.starts_with("//!")).flat_map(|line| [line, "\n"]).collect()
}

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo names it"));
    for Mutant { name, file, from, to } in MUTANTS {
        let folder = out.join(name);
        fs::create_dir_all(&folder).expect("the build folder can be written");
        for source in FILES {
            let mut text = text(&Path::new(SOURCES).join(source));
            if source == file {
                assert_eq!(text.matches(from).count(), 1, "{name}: {file} has changed; adapt the seeded bug");
                text = text.replace(from, to);
            }
            fs::write(folder.join(source), text).expect("the build folder can be written");
        }
        fs::write(folder.join("discipline.rs"), text(Path::new("src/discipline.rs")))
            .expect("the build folder can be written");
    }
}
