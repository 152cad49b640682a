//! What the checks want to know of a `Cargo.toml`: its dependencies, and the comments above them.
//!
//! It is read line by line, because a parser of TOML drops comments. An entry that takes several lines is seen by its
//! first line, which is all that is asked of it.

use super::Tree;

/// A list of dependencies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Section {
    /// `[dependencies]` and `[build-dependencies]`, for one target or for all: what ships.
    Shipped,
    /// `[dev-dependencies]`: what tests use.
    Dev,
    /// `[workspace.dependencies]`: where the versions stand.
    Workspace,
}

/// A dependency as a manifest lists it.
#[derive(Debug)]
pub struct Dependency {
    /// In which list.
    pub section: Section,
    /// Its name in the list.
    pub name: String,
    /// What stands behind the name.
    pub value: String,
    /// Its line, from 1.
    pub line: usize,
    /// Whether a comment stands directly above.
    pub has_reason: bool,
}

impl Dependency {
    /// Whether the version is the workspace's.
    pub fn is_inherited(&self) -> bool {
        self.value.contains("workspace = true")
    }
}

/// A crate's manifest.
#[derive(Debug)]
pub struct Manifest {
    /// Where it lies.
    pub path: String,
    /// The package's name; empty in the root.
    pub package: String,
    /// All its dependencies.
    pub dependencies: Vec<Dependency>,
    /// The members that it names, with their lines; empty but in the root.
    pub members: Vec<(usize, String)>,
}

impl Manifest {
    /// All manifests of a tree.
    pub fn all(tree: &Tree) -> Vec<Self> {
        tree.texts(&["Cargo.toml"]).map(|(path, text)| Self::parse(path, text)).collect()
    }

    /// The root's manifest.
    pub fn root(tree: &Tree) -> Option<Self> {
        tree.text("Cargo.toml").map(|text| Self::parse("Cargo.toml", text))
    }

    /// The folder of the crate; empty for the root.
    pub fn folder(&self) -> &str {
        self.path.strip_suffix("Cargo.toml").unwrap_or_default().trim_end_matches('/')
    }

    /// The dependencies of one list.
    pub fn section(&self, section: Section) -> impl Iterator<Item = &Dependency> {
        self.dependencies.iter().filter(move |dependency| dependency.section == section)
    }

    fn parse(path: &str, text: &str) -> Self {
        let mut manifest = Self {
            path: path.to_owned(),
            package: String::new(),
            dependencies: Vec::new(),
            members: Vec::new(),
        };
        let mut header = "";
        let mut in_members = false;
        let mut above = "";
        for (number, line) in text.lines().enumerate() {
            let (line_number, line) = (number + 1, line.trim());
            if in_members || header == "workspace" && line.starts_with("members") {
                let strings = line.split('"').skip(1).step_by(2);
                manifest.members.extend(strings.map(|member| (line_number, member.to_owned())));
                in_members = !line.ends_with(']');
            } else if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
                header = name;
            } else if let Some((key, value)) = line.split_once('=').filter(|_| !line.starts_with('#')) {
                let (key, value) = (key.trim(), value.trim());
                if header == "package" && key == "name" {
                    manifest.package = value.trim_matches('"').to_owned();
                }
                if let Some(section) = section_of(header) {
                    let (name, value) = match key.split_once('.') {
                        Some((name, field)) => (name, format!("{field} = {value}")),
                        None => (key, value.to_owned()),
                    };
                    let has_reason = above.starts_with('#');
                    let name = name.trim_matches('"').to_owned();
                    manifest.dependencies.push(Dependency {
                        section,
                        name,
                        value,
                        line: line_number,
                        has_reason,
                    });
                }
            }
            above = line;
        }
        manifest
    }
}

fn section_of(header: &str) -> Option<Section> {
    match header.rsplit('.').next()? {
        "dependencies" if header == "workspace.dependencies" => Some(Section::Workspace),
        "dependencies" | "build-dependencies" => Some(Section::Shipped),
        "dev-dependencies" => Some(Section::Dev),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_have_a_section_a_line_and_perhaps_a_reason() {
        let text = "[package]\nname = \"x\"\n\n[dependencies]\n# For y.\ny.workspace = true\nz = \"1\"\n\n\
                    [target.'cfg(unix)'.dependencies]\nl = { workspace = true, features = [\"a\"] }\n\
                    [dev-dependencies]\nd = \"2\"\n";
        let manifest = Manifest::parse("a/x/Cargo.toml", text);
        assert_eq!((manifest.package.as_str(), manifest.folder()), ("x", "a/x"));
        let entries: Vec<_> = manifest
            .dependencies
            .iter()
            .map(|d| (d.section, d.name.as_str(), d.line, d.has_reason, d.is_inherited()))
            .collect();
        assert_eq!(
            entries,
            [
                (Section::Shipped, "y", 6, true, true),
                (Section::Shipped, "z", 7, false, false),
                (Section::Shipped, "l", 10, false, true),
                (Section::Dev, "d", 12, false, false),
            ]
        );
    }

    #[test]
    fn the_root_names_its_members() {
        let text = "[workspace]\nresolver = \"3\"\nmembers = [\n  \"a\",\n  \"b/c\",\n]\n\
                    [workspace.dependencies]\nx = \"1\"\n";
        let manifest = Manifest::parse("Cargo.toml", text);
        assert_eq!(manifest.members, [(4, "a".to_owned()), (5, "b/c".to_owned())]);
        assert_eq!(manifest.section(Section::Workspace).count(), 1);
        assert_eq!(manifest.folder(), "");
    }
}
