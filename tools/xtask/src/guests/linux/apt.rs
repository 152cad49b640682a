//! Debian's packages, through a root of apt's own below the work folder: another suite and another architecture than the
//! host's, signatures checked, and nothing of the host's package state read or changed.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use super::host;
use super::lock::Package;

const SUITE: &str = "trixie";
const ARCHITECTURE: &str = "riscv64";
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";
/// Where packages come from, unless the host has a mirror of its own, or this variable says another.
const MIRROR: &str = "http://deb.debian.org/debian";
const MIRROR_VARIABLE: &str = "CANTUS_DEBIAN_MIRROR";

/// A package that is here: in this version, in these files.
pub struct Fetched {
    /// The package; its version may be another than the one that was asked for.
    pub package: Package,
    /// The package's file; of a source package the original source.
    pub path: PathBuf,
}

/// apt, with a root of its own.
pub struct Apt {
    configuration: PathBuf,
    downloads: PathBuf,
    /// Whether the lists are of today.
    updated: Cell<bool>,
}

impl Apt {
    /// The root below a folder, which is made if it is not there.
    pub fn open(work: &Path) -> Result<Self> {
        ensure!(Path::new(KEYRING).is_file(), "{KEYRING} is missing; apt-get install debian-archive-keyring");
        let (root, downloads) = (work.join("apt"), work.join("packages"));
        for folder in [
            "etc/apt/apt.conf.d",
            "etc/apt/preferences.d",
            "etc/apt/sources.list.d",
            "etc/apt/trusted.gpg.d",
            "var/cache/apt/archives/partial",
            "var/lib/apt/lists/partial",
            "var/lib/dpkg",
            "var/log/apt",
        ] {
            fs::create_dir_all(root.join(folder))
                .with_context(|| format!("cannot make {}", root.join(folder).display()))?;
        }
        fs::create_dir_all(&downloads)?;
        fs::write(root.join("var/lib/dpkg/status"), "")?;
        let mirror = mirror();
        let sources: String = ["deb", "deb-src"]
            .map(|kind| format!("{kind} [arch={ARCHITECTURE} signed-by={KEYRING}] {mirror} {SUITE} main\n"))
            .concat();
        fs::write(root.join("etc/apt/sources.list"), sources)?;
        let configuration = root.join("apt.conf");
        let (path, status) = (root.display(), root.join("var/lib/dpkg/status"));
        ensure!(!path.to_string().contains(['"', '\n']), "apt cannot work in {path}");
        fs::write(
            &configuration,
            format!(
                "Dir \"{path}\";\nDir::State::status \"{}\";\nAPT::Architecture \"{ARCHITECTURE}\";\n\
                 APT::Architectures {{ \"{ARCHITECTURE}\"; }};\nAPT::Install-Recommends \"false\";\n\
                 APT::Sandbox::User \"root\";\nAcquire::Languages \"none\";\nAcquire::Retries \"3\";\n",
                status.display()
            ),
        )?;
        Ok(Self { configuration, downloads, updated: Cell::new(false) })
    }

    /// Gets packages, those that are not here already from the mirror.
    ///
    /// Where the mirror no longer has a version, the one that it has is taken, and that is said.
    pub fn fetch(&self, packages: &[Package]) -> Result<Vec<Fetched>> {
        let here = packages.iter().map(|package| self.find(package)).collect::<Result<Vec<_>>>()?;
        let missing: Vec<&Package> = packages
            .iter()
            .zip(&here)
            .filter(|(_, path)| path.is_none())
            .map(|(package, _)| package)
            .collect();
        let replaced = if missing.is_empty() { BTreeMap::new() } else { self.download(&missing)? };
        let mut fetched = Vec::new();
        for (package, path) in packages.iter().zip(here) {
            let package = replaced.get(package).unwrap_or(package).clone();
            let path = match path {
                Some(path) => path,
                None => self.find(&package)?.with_context(|| format!("apt did not download {package}"))?,
            };
            fetched.push(Fetched { package, path });
        }
        Ok(fetched)
    }

    /// Downloads packages, and says which other ones were taken instead of some.
    fn download(&self, packages: &[&Package]) -> Result<BTreeMap<Package, Package>> {
        self.update()?;
        let on_mirror = self.versions(packages)?;
        let mut replaced = BTreeMap::new();
        for package in packages {
            let versions = on_mirror.get(&(package.source, package.name.clone()));
            if versions.is_some_and(|versions| versions.contains(&package.version)) {
                continue;
            }
            let instead = match versions.and_then(|versions| versions.first()) {
                Some(version) => Package { version: version.clone(), ..(*package).clone() },
                None if package.is_kernel() => self.kernel()?,
                None => bail!(
                    "the mirror no longer has {}; run `cargo xtask guests --linux --refresh`",
                    package.name
                ),
            };
            eprintln!(
                "note: the mirror no longer has {package}; {instead} is taken. `cargo xtask guests --linux --refresh` pins \
                 what the mirror has"
            );
            replaced.insert((*package).clone(), instead);
        }
        let wanted = packages.iter().map(|package| replaced.get(package).unwrap_or(package));
        let (sources, binaries): (Vec<&Package>, Vec<&Package>) = wanted.partition(|package| package.source);
        eprintln!("downloading {} packages", packages.len());
        let argument = |package: &&Package| format!("{}={}", package.name, package.version);
        if !binaries.is_empty() {
            host::output(
                self.command("apt-get")
                    .current_dir(&self.downloads)
                    .args(["-qq", "download"])
                    .args(binaries.iter().map(argument)),
            )?;
        }
        if !sources.is_empty() {
            host::output(
                self.command("apt-get")
                    .current_dir(&self.downloads)
                    .args(["-qq", "source", "--download-only"])
                    .args(sources.iter().map(argument)),
            )?;
        }
        Ok(replaced)
    }

    /// What installing these packages would install, in the versions of today.
    pub fn closure(&self, names: &[&str]) -> Result<Vec<Package>> {
        self.update()?;
        let text = host::text(self.command("apt-get").args(["install", "--simulate"]).args(names))?;
        Ok(installed(&text))
    }

    /// Debian's kernel of today.
    pub fn kernel(&self) -> Result<Package> {
        self.update()?;
        let meta = format!("linux-image-{ARCHITECTURE}");
        let text = host::text(self.command("apt-cache").args(["depends", &meta]))?;
        let name = text
            .lines()
            .find_map(|line| {
                line.trim().strip_prefix("Depends: ").filter(|name| name.starts_with("linux-image-"))
            })
            .with_context(|| format!("{meta} depends on no kernel"))?;
        self.newest(&Package::binary(name, ""))
    }

    /// The newest version of a package.
    pub fn newest(&self, package: &Package) -> Result<Package> {
        self.update()?;
        let versions = self.versions(&[package])?;
        let version = versions
            .get(&(package.source, package.name.clone()))
            .and_then(|versions| versions.first())
            .with_context(|| format!("the mirror has no package {}", package.name))?;
        Ok(Package { version: version.clone(), ..package.clone() })
    }

    /// The versions on the mirror, newest first, by whether a package is one of sources and by its name.
    fn versions(&self, packages: &[&Package]) -> Result<BTreeMap<(bool, String), Vec<String>>> {
        let names = packages.iter().map(|package| &package.name);
        Ok(listed(&host::text(self.command("apt-cache").arg("madison").args(names))?))
    }

    /// Gets today's lists, once.
    fn update(&self) -> Result<()> {
        if !self.updated.get() {
            eprintln!("reading the lists of Debian {SUITE}");
            host::output(self.command("apt-get").args(["-qq", "update"]))?;
            self.updated.set(true);
        }
        Ok(())
    }

    /// The file of a package, if it was downloaded.
    fn find(&self, package: &Package) -> Result<Option<PathBuf>> {
        let Package { source, name, version } = package;
        let begin = if *source {
            // The original source has neither epoch nor Debian's revision in its name.
            let upstream = version.split_once(':').map_or(version.as_str(), |(_, rest)| rest);
            format!(
                "{name}_{}.orig.tar",
                upstream.rsplit_once('-').map_or(upstream, |(upstream, _)| upstream)
            )
        } else {
            format!("{name}_{}_", version.replace(':', "%3a"))
        };
        for entry in fs::read_dir(&self.downloads)? {
            let entry = entry?;
            let file = entry.file_name().to_string_lossy().into_owned();
            if file.starts_with(&begin) && (*source || file.ends_with(".deb")) && !file.ends_with(".asc") {
                return Ok(Some(entry.path()));
            }
        }
        Ok(None)
    }

    fn command(&self, program: &str) -> Command {
        let mut command = host::command(program);
        command.env("APT_CONFIG", &self.configuration);
        command
    }
}

/// The mirror to use: the variable's, the host's own, or Debian's.
fn mirror() -> String {
    let of_host = || {
        let text = host::text(host::command("apt-get").args([
            "indextargets",
            "--format",
            "$(SITE)",
            "Created-By: Packages",
            "Origin: Debian",
        ]));
        text.ok()?.lines().find(|site| !site.contains("security")).map(str::to_owned)
    };
    let mirror = std::env::var(MIRROR_VARIABLE).ok().or_else(of_host).unwrap_or_else(|| MIRROR.to_owned());
    mirror.trim_end_matches('/').to_owned()
}

/// What `apt-get install --simulate` says that it would install.
fn installed(text: &str) -> Vec<Package> {
    text.lines()
        .filter_map(|line| {
            let (name, rest) = line.strip_prefix("Inst ")?.split_once(" (")?;
            let name = name.split([':', ' ']).next()?;
            Some(Package::binary(name, rest.split([' ', ')']).next()?))
        })
        .collect()
}

/// What `apt-cache madison` lists: `name | version | archive`, the newest version of each first.
fn listed(text: &str) -> BTreeMap<(bool, String), Vec<String>> {
    let mut versions: BTreeMap<(bool, String), Vec<String>> = BTreeMap::new();
    for line in text.lines() {
        let columns: Vec<&str> = line.split('|').map(str::trim).collect();
        if let [name, version, archive] = columns[..] {
            versions
                .entry((archive.ends_with(" Sources"), name.to_owned()))
                .or_default()
                .push(version.to_owned());
        }
    }
    versions
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_be_installed_is_read() {
        let text = "Reading package lists...\nInst libc6 (2.41-12 Debian:13/stable [riscv64])\n\
                    Inst zlib1g:riscv64 (1:1.3 Debian:13 [riscv64]) []\nConf libc6 (2.41-12 Debian:13 [riscv64])\n";
        assert_eq!(
            installed(text),
            [Package::binary("libc6", "2.41-12"), Package::binary("zlib1g", "1:1.3")]
        );
    }

    #[test]
    fn versions_of_sources_and_of_packages_are_told_apart() {
        let text = "  pbzip2 | 1.1.13-1+b1 | http://m/debian trixie/main riscv64 Packages\n\
                    \x20 pbzip2 |   1.1.13-1 | http://m/debian trixie/main Sources\n";
        let versions = listed(text);
        assert_eq!(versions[&(false, "pbzip2".to_owned())], ["1.1.13-1+b1"]);
        assert_eq!(versions[&(true, "pbzip2".to_owned())], ["1.1.13-1"]);
    }

    #[test]
    fn downloaded_files_are_found_by_name_and_version() {
        let folder = tempfile::tempdir().unwrap();
        let apt = Apt {
            configuration: PathBuf::new(),
            downloads: folder.path().to_owned(),
            updated: Cell::new(true),
        };
        for file in ["zlib1g_1%3a1.3_riscv64.deb", "p_1.1.13-1.dsc", "p_1.1.13.orig.tar.gz"] {
            fs::write(folder.path().join(file), "").unwrap();
        }
        assert!(apt.find(&Package::binary("zlib1g", "1:1.3")).unwrap().is_some());
        assert!(apt.find(&Package::binary("zlib1g", "1:1")).unwrap().is_none());
        let source = Package { source: true, ..Package::binary("p", "2:1.1.13-1") };
        assert_eq!(apt.find(&source).unwrap(), Some(folder.path().join("p_1.1.13.orig.tar.gz")));
    }
}
