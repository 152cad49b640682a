//! Who may know whom: the directions between our crates, and the owner of each outside dependency.
//!
//! Both are tables, to be read as the architecture's rules and changed when it changes. Development dependencies are
//! free, since what ships does not depend on them; crates that ship nothing (suites, tools) are free in the same way.

use std::collections::BTreeSet;

use super::manifest::Dependency;
use super::{Complaint, Manifest, Section, Tree};

/// A crate of ours, and what it may know of the others.
struct Crate {
    /// Its folder.
    folder: &'static str,
    /// Its package's name.
    package: &'static str,
    /// The crates that it may depend on, by folder.
    may_know: &'static [&'static str],
    /// What it is, so that the list before is right.
    because: &'static str,
    /// Whether it ends up in what users run.
    ships: bool,
}

/// In the order in which they build on each other: a crate knows only what stands above it.
const CRATES: &[Crate] = &[
    Crate {
        folder: "traces",
        package: "cantus-traces",
        may_know: &[],
        because: "a trace is readable without an emulator",
        ships: true,
    },
    Crate {
        folder: "src/isa",
        package: "cantus-isa",
        may_know: &[],
        because: "an instruction means the same whoever executes it",
        ships: true,
    },
    Crate {
        folder: "src/memory",
        package: "cantus-memory",
        may_know: &["src/isa"],
        because: "memory knows addresses, but neither cores nor their order",
        ships: true,
    },
    Crate {
        folder: "src/interp",
        package: "cantus-interp",
        may_know: &["src/isa", "src/memory"],
        because: "an executor is a sequential emulator that knows nothing of other cores",
        ships: true,
    },
    Crate {
        folder: "src/jit",
        package: "cantus-jit",
        may_know: &["src/isa", "src/memory", "src/interp"],
        because: "a translator stands in for the interpreter's loop, and knows no more of other cores than that",
        ships: true,
    },
    Crate {
        folder: "src/transactions",
        package: "cantus-transactions",
        may_know: &["traces", "src/memory"],
        because: "the ownership protocol is small enough to be model-checked, without executors and I/O",
        ships: true,
    },
    Crate {
        folder: "src/engine",
        package: "cantus-engine",
        may_know: &["traces", "src/isa", "src/memory", "src/interp", "src/transactions"],
        because: "the engine asks its boundary, and never sees who answers: recorder and replayer are not its business",
        ships: true,
    },
    Crate {
        folder: "src/devices",
        package: "cantus-devices",
        may_know: &["src/isa"],
        because: "a device sees registers, lines and bytes; who accesses it, and in which order, is the machine's business",
        ships: true,
    },
    Crate {
        folder: "recorder",
        package: "cantus-recorder",
        may_know: &["traces", "src/memory", "src/interp", "src/transactions", "src/engine"],
        because: "the recorder is one side of the boundary; it shares with the replayer only the vocabulary",
        ships: true,
    },
    Crate {
        folder: "replayer",
        package: "cantus-replayer",
        may_know: &["traces", "src/memory", "src/interp", "src/transactions", "src/engine"],
        because: "the replayer is the other side of the boundary; it shares with the recorder only the vocabulary",
        ships: true,
    },
    Crate {
        folder: "src/machine",
        package: "cantus-machine",
        may_know: &[
            "traces",
            "src/isa",
            "src/memory",
            "src/interp",
            "src/transactions",
            "src/engine",
            "src/devices",
        ],
        because: "the board is the same whether its run is recorded, replayed or neither",
        ships: true,
    },
    Crate {
        folder: "src/analyses",
        package: "cantus-analyses",
        may_know: &["traces", "src/isa"],
        because: "analyses read traces; who replays them is handed in",
        ships: true,
    },
    Crate {
        folder: "src/session",
        package: "cantus",
        may_know: &[
            "traces",
            "src/isa",
            "src/memory",
            "src/interp",
            "src/jit",
            "src/transactions",
            "src/engine",
            "src/devices",
            "recorder",
            "replayer",
            "src/machine",
            "src/analyses",
        ],
        because: "this is the one place where a boundary is put into an engine",
        ships: true,
    },
    Crate {
        folder: "src/cli",
        package: "cantus-cli",
        may_know: &["traces", "src/isa", "src/analyses", "src/session"],
        because: "the command line does nothing that the library does not offer to others",
        ships: true,
    },
    Crate {
        folder: "tests/guests",
        package: "cantus-guests",
        may_know: &[],
        because: "the catalogue lists guests; it does not run them",
        ships: false,
    },
    Crate {
        folder: "tests/model",
        package: "cantus-model",
        may_know: &["traces", "src/memory"],
        because: "it compiles the protocol's sources once more, with atomics that are watched",
        ships: false,
    },
    Crate {
        folder: "tests",
        package: "cantus-tests",
        may_know: &[
            "traces",
            "src/isa",
            "src/engine",
            "src/machine",
            "src/analyses",
            "src/session",
            "tests/guests",
        ],
        because: "whole-system suites see what users of the library see, and the vocabulary",
        ships: false,
    },
    Crate {
        folder: "tools/xtask",
        package: "xtask",
        may_know: &[
            "traces",
            "src/isa",
            "src/engine",
            "src/analyses",
            "src/session",
            "tests/guests",
            "tests",
        ],
        because: "tools drive the library as users do",
        ships: false,
    },
];

/// An outside dependency and the crates of ours that may use it.
struct Owned {
    name: &'static str,
    owners: &'static [&'static str],
    /// Why these.
    because: &'static str,
}

const fn owned(name: &'static str, owners: &'static [&'static str], because: &'static str) -> Owned {
    Owned { name, owners, because }
}

/// Every outside dependency that ships.
const OUTSIDE: &[Owned] = &[
    // The file format.
    owned("bincode", &["traces"], "its bytes are documented in traces/FORMAT.md, and nowhere else"),
    owned("blake3", &["traces"], "what a digest is, one crate decides"),
    owned("zstd", &["traces"], "what is compressed, and how, one crate decides"),
    // The vocabulary of Rust programs, in which crates talk to each other. No behaviour of ours hides behind it.
    owned(
        "serde",
        &["traces", "src/analyses", "src/cli"],
        "shapes of plain data, for the file and for `--json`",
    ),
    owned(
        "thiserror",
        &["traces", "src/devices", "src/machine", "src/analyses", "replayer", "src/session"],
        "the texts of errors",
    ),
    owned("derive_more", &["src/interp", "src/engine"], "sums of what was counted"),
    owned("serde_json", &["src/cli"], "JSON is how the command line prints facts"),
    // Host threads and what they share.
    owned(
        "parking_lot",
        &[
            "src/memory",
            "src/transactions",
            "src/engine",
            "src/machine",
            "recorder",
            "replayer",
            "src/session",
        ],
        "locks where workers meet; executors, devices and traces have none",
    ),
    owned(
        "crossbeam",
        &["src/transactions", "src/engine", "recorder", "replayer"],
        "queues and cache padding where workers meet",
    ),
    owned("libc", &["src/memory", "src/jit"], "mapping guest RAM, and memory for code, into the host"),
    owned("dynasmrt", &["src/jit"], "the only emitter of host code"),
    owned(
        "rustix",
        &["src/session", "src/cli"],
        "folders that a guest reads and cannot leave; its network's devices; the terminal",
    ),
    owned("smoltcp", &["src/session"], "whom a guest speaks to on a network of its own"),
    // The machine.
    owned("vm-fdt", &["src/machine"], "the device tree"),
    owned(
        "object",
        &["src/machine", "src/analyses"],
        "ELF files twice: the loader's view is segments, the analyses' view is sections and symbols",
    ),
    // What an address means.
    owned("addr2line", &["src/analyses"], "source lines"),
    owned("flate2", &["src/machine"], "compressed kernels"),
    owned("gimli", &["src/analyses"], "DWARF"),
    owned("rustc-demangle", &["src/analyses"], "names as they were written"),
    owned("cpp_demangle", &["src/analyses"], "names as they were written"),
    owned("quick-junit", &["src/analyses"], "reports for CI systems"),
    // What ends a run.
    owned("regex", &["src/session"], "lines of the console that end a run"),
    // The terminal.
    owned("anstream", &["src/cli"], "colour where the terminal wants it"),
    owned("anyhow", &["src/cli"], "errors that only people read"),
    owned("clap", &["src/cli"], "the arguments"),
    owned("clap_complete", &["src/cli"], "completions, from the same definitions as the help"),
    owned("clap_mangen", &["src/cli"], "the man page, from the same definitions as the help"),
    owned("comfy-table", &["src/cli"], "tables"),
    owned("ctrlc", &["src/cli"], "an interrupted recording is closed properly"),
    owned("indicatif", &["src/cli"], "progress"),
    owned("owo-colors", &["src/cli"], "colour"),
    owned("tempfile", &["src/cli"], "files and links that are replaced at once or not at all"),
    owned("tracing", &["src/cli"], "what CANTUS_LOG asks for"),
    owned("tracing-subscriber", &["src/cli"], "what CANTUS_LOG asks for"),
];

/// Dependencies that a crate uses without naming them, each with the reason.
const UNNAMED: &[(&str, &str, &str)] =
    &[("tests/model", "crossbeam", "the protocol's sources, which its build script copies, use it")];

const DIRECTION: &str = "the architecture is the directions between crates: what may not know of others cannot depend \
                         on them by accident";
const OWNERSHIP: &str = "an outside crate with one owner can be replaced, pinned or audited in one place";
const HERE: &str = "tools/xtask/src/tidy/crates.rs";

/// Every member of the workspace stands in the table, and the reverse.
pub fn members_stand_in_the_table(tree: &Tree) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    let Some(root) = Manifest::root(tree) else {
        let remedy = "restore it";
        return vec![Complaint::new("Cargo.toml", 1, "there is no root manifest", DIRECTION, remedy)];
    };
    for (line, member) in &root.members {
        if !CRATES.iter().any(|ours| ours.folder == member) {
            let what = format!("{member} does not stand in the table of crates");
            let remedy = format!("say in {HERE} what it may know, and why");
            complaints.push(Complaint::new("Cargo.toml", *line, what, DIRECTION, remedy));
        }
    }
    for ours in CRATES.iter().filter(|ours| !root.members.iter().any(|(_, member)| member == ours.folder)) {
        let what = format!("{} stands in the table of crates, but is no member", ours.folder);
        let remedy = format!("add it to the members, or take it out of the table in {HERE}");
        complaints.push(Complaint::new("Cargo.toml", 1, what, DIRECTION, remedy));
    }
    for manifest in Manifest::all(tree) {
        let Some(ours) = CRATES.iter().find(|ours| ours.folder == manifest.folder()) else { continue };
        if ours.package != manifest.package {
            let what = format!("the package is called {}, not {}", manifest.package, ours.package);
            let remedy = format!("give it that name, or change the table in {HERE}");
            complaints.push(Complaint::new(&manifest.path, 1, what, DIRECTION, remedy));
        }
    }
    complaints
}

/// No crate depends on one that it may not know.
pub fn dependencies_point_one_way(tree: &Tree) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    for manifest in Manifest::all(tree) {
        let Some(ours) = CRATES.iter().find(|ours| ours.folder == manifest.folder()) else { continue };
        for dependency in manifest.section(Section::Shipped) {
            let Some(other) = by_package(&dependency.name) else { continue };
            if !ours.may_know.contains(&other.folder) {
                let what = format!("{} depends on {}, which it may not know", ours.folder, other.folder);
                let remedy = format!(
                    "remember that {}; move the code, or hand it in. If the architecture changes, change {HERE}",
                    ours.because
                );
                complaints.push(Complaint::new(&manifest.path, dependency.line, what, DIRECTION, remedy));
            }
        }
    }
    complaints
}

/// What ships uses an outside dependency only in its owner crates, and with the workspace's version.
pub fn outside_dependencies_have_owners(tree: &Tree) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    for manifest in Manifest::all(tree) {
        let ships = CRATES.iter().find(|ours| ours.folder == manifest.folder()).is_none_or(|ours| ours.ships);
        for dependency in outside(&manifest) {
            let mut complain = |what, remedy| {
                complaints.push(Complaint::new(&manifest.path, dependency.line, what, OWNERSHIP, remedy));
            };
            let name = &dependency.name;
            if !dependency.is_inherited() {
                let what = format!("{name} has a version of its own");
                complain(
                    what,
                    format!("write `{name}.workspace = true`, and the version into the root's Cargo.toml"),
                );
            }
            if dependency.section != Section::Shipped || !ships {
                continue;
            }
            match OUTSIDE.iter().find(|owned| owned.name == name) {
                None => complain(
                    format!("{name} has no owner"),
                    format!("add it to the table in {HERE}, with its owner and the reason"),
                ),
                Some(owned) if !owned.owners.contains(&manifest.folder()) => complain(
                    format!("{name} belongs to {} ({})", owned.owners.join(", "), owned.because),
                    format!("use it through its owner, or add this crate to its owners in {HERE}"),
                ),
                Some(_) => {}
            }
        }
    }
    complaints
}

/// Above every outside dependency stands what it is for.
pub fn outside_dependencies_have_reasons(tree: &Tree) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    for manifest in Manifest::all(tree) {
        for dependency in outside(&manifest).filter(|dependency| !dependency.has_reason) {
            complaints.push(Complaint::new(
                &manifest.path,
                dependency.line,
                format!("{} gives no reason", dependency.name),
                "who wants to get rid of a dependency must know what it is for",
                "write one line above it: `# What it is for.`",
            ));
        }
    }
    complaints
}

/// Every dependency is used by the crate that lists it, and every version by some crate.
pub fn dependencies_are_used(tree: &Tree) -> Vec<Complaint> {
    let why = "an unused dependency is built, audited and updated for nothing";
    let manifests = Manifest::all(tree);
    let folders: Vec<&str> = manifests.iter().map(Manifest::folder).collect();
    let mut complaints = Vec::new();
    let mut listed = BTreeSet::new();
    for manifest in &manifests {
        let words = words_of_crate(tree, manifest.folder(), &folders);
        let entries = manifest.dependencies.iter().filter(|entry| entry.section != Section::Workspace);
        for dependency in entries {
            listed.insert(dependency.name.as_str());
            let is_unnamed = |(folder, name, _): &&(&str, &str, &str)| {
                *folder == manifest.folder() && *name == dependency.name
            };
            if UNNAMED.iter().find(is_unnamed).is_none()
                && !words.contains(dependency.name.replace('-', "_").as_str())
            {
                let what = format!("{} is not used by {}", dependency.name, manifest.package);
                complaints.push(Complaint::new(
                    &manifest.path,
                    dependency.line,
                    what,
                    why,
                    "remove the entry",
                ));
            }
        }
    }
    for version in manifests.iter().flat_map(|manifest| manifest.section(Section::Workspace)) {
        if !listed.contains(version.name.as_str()) {
            let what = format!("no crate uses {}", version.name);
            complaints.push(Complaint::new("Cargo.toml", version.line, what, why, "remove the entry"));
        }
    }
    complaints
}

fn by_package(package: &str) -> Option<&'static Crate> {
    CRATES.iter().find(|ours| ours.package == package)
}

fn outside(manifest: &Manifest) -> impl Iterator<Item = &Dependency> {
    manifest.dependencies.iter().filter(|dependency| {
        dependency.section != Section::Workspace && by_package(&dependency.name).is_none()
    })
}

/// All words of a crate's sources, without the crates in folders below it.
fn words_of_crate<'a>(tree: &'a Tree, folder: &str, folders: &[&str]) -> BTreeSet<&'a str> {
    let is_below =
        |path: &str, folder: &str| path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'));
    let nested: Vec<&&str> = folders.iter().filter(|other| is_below(other, folder)).collect();
    tree.texts(&[".rs"])
        .filter(|(path, _)| is_below(path, folder) && !nested.iter().any(|other| is_below(path, other)))
        .flat_map(|(_, text)| text.split(|c: char| !c.is_alphanumeric() && c != '_'))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whats(complaints: Vec<Complaint>) -> Vec<String> {
        complaints.iter().map(|c| format!("{}:{}: {}", c.path, c.line, c.what)).collect()
    }

    #[test]
    fn the_table_is_in_building_order() {
        for (place, ours) in CRATES.iter().enumerate() {
            for known in ours.may_know {
                let above = CRATES[..place].iter().any(|other| other.folder == *known);
                assert!(above, "{} may know {known}, which does not stand above it", ours.folder);
            }
        }
    }

    #[test]
    fn owners_are_crates_that_ship() {
        for owned in OUTSIDE {
            for owner in owned.owners {
                let ships = CRATES.iter().any(|ours| ours.folder == *owner && ours.ships);
                assert!(ships, "{} belongs to {owner}, which is no crate that ships", owned.name);
            }
        }
    }

    #[test]
    fn the_engine_may_not_see_the_recorder() {
        let tree = Tree::of(&[(
            "src/engine/Cargo.toml",
            "[package]\nname = \"cantus-engine\"\n[dependencies]\ncantus-isa.workspace = true\n\
             cantus-recorder.workspace = true\n[dev-dependencies]\ncantus-replayer.workspace = true\n",
        )]);
        assert_eq!(
            whats(dependencies_point_one_way(&tree)),
            ["src/engine/Cargo.toml:5: src/engine depends on recorder, which it may not know"]
        );
    }

    #[test]
    fn members_are_known_by_folder_and_by_name() {
        let mut members: Vec<String> =
            CRATES[1..].iter().map(|ours| format!("\"{}\",\n", ours.folder)).collect();
        members.insert(0, "\"src/helpers\",\n".to_owned());
        let root = format!("[workspace]\nmembers = [\n{}]\n", members.concat());
        let tree = Tree::of(&[("Cargo.toml", &root), ("src/isa/Cargo.toml", "[package]\nname = \"isa\"\n")]);
        assert_eq!(
            whats(members_stand_in_the_table(&tree)),
            [
                "Cargo.toml:3: src/helpers does not stand in the table of crates",
                "Cargo.toml:1: traces stands in the table of crates, but is no member",
                "src/isa/Cargo.toml:1: the package is called isa, not cantus-isa",
            ]
        );
    }

    #[test]
    fn an_outside_dependency_has_owner_version_and_reason() {
        let tree = Tree::of(&[
            (
                "src/isa/Cargo.toml",
                "[package]\nname = \"cantus-isa\"\n[dependencies]\nzstd.workspace = true\n# Speed.\n\
                 fast = { workspace = true }\n[dev-dependencies]\n# Truth.\nzstd = \"0.14\"\n",
            ),
            (
                "tools/xtask/Cargo.toml",
                "[package]\nname = \"xtask\"\n[dependencies]\nfree.workspace = true\n",
            ),
        ]);
        assert_eq!(
            whats(outside_dependencies_have_owners(&tree)),
            [
                "src/isa/Cargo.toml:4: zstd belongs to traces (what is compressed, and how, one crate decides)",
                "src/isa/Cargo.toml:6: fast has no owner",
                "src/isa/Cargo.toml:9: zstd has a version of its own",
            ]
        );
        assert_eq!(
            whats(outside_dependencies_have_reasons(&tree)),
            ["src/isa/Cargo.toml:4: zstd gives no reason", "tools/xtask/Cargo.toml:4: free gives no reason"]
        );
    }

    #[test]
    fn what_a_nested_crate_uses_does_not_count() {
        let tree = Tree::of(&[
            ("Cargo.toml", "[workspace.dependencies]\nfast-map = \"1\"\nslow = \"1\"\n"),
            ("tests/Cargo.toml", "[package]\nname = \"t\"\n[dependencies]\nfast-map.workspace = true\n"),
            ("tests/src/lib.rs", "use other;"),
            (
                "tests/guests/Cargo.toml",
                "[package]\nname = \"g\"\n[dependencies]\nfast-map.workspace = true\n",
            ),
            ("tests/guests/src/lib.rs", "use fast_map::Map;"),
        ]);
        assert_eq!(
            whats(dependencies_are_used(&tree)),
            ["tests/Cargo.toml:4: fast-map is not used by t", "Cargo.toml:3: no crate uses slow"]
        );
    }
}
