//! What the documents say of the tree is so.

use super::{Complaint, Manifest, Tree};

const MAP: &str = "ARCHITECTURE.md";
const MAP_LINES_MAX: usize = 300;
const FORMAT: &str = "traces/FORMAT.md";
const VOCABULARY: &[(&str, &[&str])] = &[("Event", &["traces/src/"]), ("ChunkKind", &["traces/src/"])];
const README: &str = "README.md";
const README_TEST: &str = "src/cli/tests/readme.rs";

const FILE_ENDINGS: &[&str] = &[".rs", ".toml", ".md", ".ld", ".c", ".h", ".S", ".elf", ".cantus"];
const TRUST: &str = "a map that is wrong in one place is trusted in none";

/// The map exists, is short, and names every crate.
pub fn map_is_short_and_complete(tree: &Tree) -> Vec<Complaint> {
    let Some(map) = tree.text(MAP) else {
        let remedy = "write it: the parts, what each deliberately does not know, the invariants";
        return vec![Complaint::new(MAP, 1, "is missing", "newcomers start with the map", remedy)];
    };
    let mut complaints = Vec::new();
    let lines = map.lines().count();
    if lines > MAP_LINES_MAX {
        let what = format!("has {lines} lines, more than {MAP_LINES_MAX}");
        let remedy = "move what explains a part into that part's `//!`";
        complaints.push(Complaint::new(MAP, MAP_LINES_MAX + 1, what, "a map is read at one sitting", remedy));
    }
    for (_, member) in Manifest::root(tree).iter().flat_map(|root| &root.members) {
        if !named_paths(map).iter().any(|(_, path)| path.trim_end_matches('/') == member) {
            let what = format!("does not name the crate {member}");
            complaints.push(Complaint::new(MAP, 1, what, TRUST, format!("say what `{member}/` is for")));
        }
    }
    complaints
}

/// Every path that the map names exists, and every file that any document links to.
pub fn named_paths_exist(tree: &Tree) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    for (line, path) in tree.text(MAP).map(named_paths).unwrap_or_default() {
        if !is_there(tree, &path) {
            let what = format!("names `{path}`, which does not exist");
            complaints.push(Complaint::new(MAP, line, what, TRUST, "write where it is now, or leave it out"));
        }
    }
    for (document, text) in tree.texts(&[".md"]) {
        for (line, target) in links(text) {
            let folder = document.rsplit_once('/').map_or("", |(folder, _)| folder);
            if !tree.has(&joined(folder, &target)) {
                let what = format!("links to `{target}`, which does not exist");
                complaints.push(Complaint::new(document, line, what, TRUST, "write where it is now"));
            }
        }
    }
    complaints
}

/// The format's description names every kind of event and of chunk.
pub fn format_names_every_tag(tree: &Tree) -> Vec<Complaint> {
    let why = "somebody must be able to write a reader from the description alone";
    let Some(format) = tree.text(FORMAT) else {
        return vec![Complaint::new(FORMAT, 1, "is missing", why, "describe every byte of a trace")];
    };
    let mut complaints = Vec::new();
    for (name, folders) in VOCABULARY {
        let declared = tree
            .texts(&[".rs"])
            .filter(|(path, _)| folders.iter().any(|folder| path.starts_with(folder)))
            .find_map(|(path, text)| Some((path, variants(text, name)?)));
        let Some((path, variants)) = declared else {
            let what = format!("there is no `pub enum {name}` in {}", folders.join(", "));
            let remedy = "tell tools/xtask/src/tidy/documents.rs where it is now";
            complaints.push(Complaint::new(FORMAT, 1, what, why, remedy));
            continue;
        };
        for (line, variant) in variants.into_iter().filter(|(_, variant)| !has_word(format, variant)) {
            let what = format!("{FORMAT} does not name `{name}::{variant}`");
            let remedy = format!("describe it there, and write its name `{variant}`");
            complaints.push(Complaint::new(path, line, what, why, remedy));
        }
    }
    complaints
}

/// README exists, and so does the test that runs its commands.
pub fn readme_is_tested(tree: &Tree) -> Vec<Complaint> {
    let why = "the commands of README are the first that anybody runs";
    let remedies = [
        (README, "write it: what it is, two commands, the tour"),
        (README_TEST, "restore the test that runs every command of README.md"),
    ];
    remedies
        .into_iter()
        .filter(|(path, _)| !tree.has(path))
        .map(|(path, remedy)| Complaint::new(path, 1, "is missing", why, remedy))
        .collect()
}

/// The paths in a document's code spans and code blocks, with their lines.
fn named_paths(text: &str) -> Vec<(usize, String)> {
    let mut paths = Vec::new();
    let mut in_block = false;
    for (number, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            in_block = !in_block;
            continue;
        }
        let spans: Vec<&str> =
            if in_block { vec![line] } else { line.split('`').skip(1).step_by(2).collect() };
        for span in spans {
            let words = span.split(|c: char| !c.is_ascii_alphanumeric() && !"._-/".contains(c));
            for word in words.map(|word| word.trim_start_matches('/').trim_end_matches('.')) {
                if looks_like_path(word) {
                    paths.push((number + 1, word.to_owned()));
                }
            }
        }
    }
    paths
}

fn looks_like_path(word: &str) -> bool {
    let ends_as_file = FILE_ENDINGS.iter().any(|ending| word.len() > ending.len() && word.ends_with(ending));
    let is_folder = word.len() > 1 && word.ends_with('/');
    let has_known_top = ["src/", "tests/", "tools/", "traces/", "recorder/", "replayer/", "golden/"]
        .iter()
        .any(|top| word.starts_with(top));
    !word.contains("..") && (ends_as_file || is_folder || has_known_top)
}

/// Whether a path exists: from the root, or as the end of some path.
fn is_there(tree: &Tree, path: &str) -> bool {
    let wanted = path.trim_end_matches('/');
    let ending = format!("/{wanted}");
    let within = format!("/{wanted}/");
    tree.has(wanted) || tree.paths().any(|known| known.ends_with(&ending) || known.contains(&within))
}

/// The targets of relative links, with their lines.
fn links(text: &str) -> Vec<(usize, String)> {
    let mut links = Vec::new();
    for (number, line) in text.lines().enumerate() {
        for part in line.split("](").skip(1) {
            let target = part.split([')', '#', ' ']).next().unwrap_or_default();
            if !target.is_empty() && !target.contains(':') {
                links.push((number + 1, target.to_owned()));
            }
        }
    }
    links
}

fn joined(folder: &str, target: &str) -> String {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            name => parts.push(name),
        }
    }
    parts.join("/")
}

/// The variants of a public enum, with their lines.
fn variants(text: &str, name: &str) -> Option<Vec<(usize, String)>> {
    let opening = format!("pub enum {name} {{");
    let mut lines = text.lines().enumerate();
    lines.find(|(_, line)| line.trim() == opening)?;
    let mut variants = Vec::new();
    let mut depth = 1;
    for (number, line) in lines {
        let code = line.split("//").next().unwrap_or_default().trim();
        let first: String = code.chars().take_while(|c| c.is_alphanumeric()).collect();
        if depth == 1 && first.starts_with(|c: char| c.is_ascii_uppercase()) {
            variants.push((number + 1, first));
        }
        for c in code.chars() {
            match c {
                '{' | '(' => depth += 1,
                '}' | ')' => depth -= 1,
                _ => {}
            }
        }
        if depth == 0 {
            return Some(variants);
        }
    }
    None
}

fn has_word(text: &str, word: &str) -> bool {
    text.split(|c: char| !c.is_alphanumeric()).any(|other| other == word)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whats(complaints: Vec<Complaint>) -> Vec<String> {
        complaints.iter().map(|c| format!("{}:{}: {}", c.path, c.line, c.what)).collect()
    }

    #[test]
    fn a_map_must_name_every_crate() {
        let tree = Tree::of(&[
            ("Cargo.toml", "[workspace]\nmembers = [\"traces\", \"src/isa\"]\n"),
            (MAP, "# Map\n`traces/` is the file.\n"),
        ]);
        assert_eq!(
            whats(map_is_short_and_complete(&tree)),
            [format!("{MAP}:1: does not name the crate src/isa")]
        );
        let long = "x\n".repeat(MAP_LINES_MAX + 1);
        assert_eq!(map_is_short_and_complete(&Tree::of(&[(MAP, &long)])).len(), 1);
        assert_eq!(whats(map_is_short_and_complete(&Tree::of(&[]))), [format!("{MAP}:1: is missing")]);
    }

    #[test]
    fn paths_that_are_gone_are_found() {
        let tree = Tree::of(&[
            (
                MAP,
                "`src/isa/` and `decode.rs`, not `gone.rs`; A/D bits, `x/y`\n```\nsrc/gone/   old\n```\n[x](src/no.md)\n",
            ),
            ("src/isa/src/decode.rs", ""),
            (
                "src/isa/README.md",
                "[up](../../ARCHITECTURE.md#there) [out](https://example.org/x) [no](./no.md)\n",
            ),
        ]);
        assert_eq!(
            whats(named_paths_exist(&tree)),
            [
                format!("{MAP}:1: names `gone.rs`, which does not exist"),
                format!("{MAP}:3: names `src/gone/`, which does not exist"),
                format!("{MAP}:5: links to `src/no.md`, which does not exist"),
                "src/isa/README.md:1: links to `./no.md`, which does not exist".to_owned(),
            ]
        );
    }

    #[test]
    fn an_event_that_is_not_described_is_found() {
        let events = "//! X.\npub enum Event {\n    /// An edge.\n    Order {\n        /// Core.\n        Core: u8,\n    },\n    \
                      Lines(u32),\n}\npub enum ChunkKind {\n    Footer = 3,\n    Core,\n}\n";
        let format = "`Order` and `Footer` and `Core`; AirLines";
        let tree = Tree::of(&[("traces/src/x.rs", events), (FORMAT, format)]);
        assert_eq!(
            whats(format_names_every_tag(&tree)),
            [format!("traces/src/x.rs:8: {FORMAT} does not name `Event::Lines`")]
        );
    }

    #[test]
    fn a_readme_needs_its_test() {
        let tree = Tree::of(&[(README, "")]);
        assert_eq!(whats(readme_is_tested(&tree)), [format!("{README_TEST}:1: is missing")]);
    }
}
