//! The header: all that a replay must know before the first event.
//!
//! What stands in [`Configuration`] and [`Image`] decides how the guest runs; a replay takes it from here and nowhere
//! else. [`HostFacts`], [`Schedule`] and the command line are for people: no replay depends on them.

use serde::{Deserialize, Serialize};

use crate::{
    CORES_MAX, ContentDigest,
    limits::{
        IMAGE_BYTES_MAX, IMAGES_MAX, PAGE_BYTES, RAM_BYTES_MAX, RAM_BYTES_MIN, TIMEBASE_HZ_MAX, WORDS_MAX,
    },
};

/// All that a trace says before its first chunk.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(wincode::SchemaWrite, wincode::SchemaRead))]
pub struct Header {
    /// The program and version that recorded, such as `cantus 0.1.0`. For people.
    pub recorder: String,
    /// The guest machine.
    pub configuration: Configuration,
    /// What was loaded into it, in the order of loading.
    pub images: Vec<Image>,
    /// How the cores were scheduled. For people: what came of it stands in the events.
    pub schedule: Schedule,
    /// The host that recorded. For people.
    pub host: HostFacts,
    /// The words of the command that recorded. For people.
    pub command_line: Vec<String>,
}

/// The guest machine: everything about it that its execution depends on, apart from the images.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(wincode::SchemaWrite, wincode::SchemaRead))]
pub struct Configuration {
    /// The instruction set, such as `rv64gc_zba_zbb_zbs`.
    pub isa: String,
    /// The board, such as `virt`.
    pub board: String,
    /// How many cores: 1 to 255.
    pub cores: u16,
    /// The size of RAM: a multiple of 4096, at most 1 TiB.
    pub ram_bytes: u64,
    /// Where guest time came from.
    pub clock: ClockPolicy,
    /// Ticks of the guest's clock in a second.
    pub timebase_hz: u64,
    /// Every how many steps the digest of a core is taken; 0: only at cuts and at the end.
    pub digest_interval: u64,
    /// Whatever else the machine depends on, by name, in an order that means something only to the machine.
    pub settings: Vec<Setting>,
}

/// A named value.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(wincode::SchemaWrite, wincode::SchemaRead))]
pub struct Setting {
    /// What is set.
    pub name: String,
    /// To what.
    pub value: String,
}

/// Where guest time comes from while recording. In replay it comes from the trace.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(wincode::SchemaWrite, wincode::SchemaRead))]
#[serde(rename_all = "kebab-case")]
pub enum ClockPolicy {
    /// The host's monotonic clock, scaled to the time base.
    Host,
    /// The steps that cores complete; when all cores wait for interrupts, a jump to the next timer.
    Virtual,
}

/// What an image is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(wincode::SchemaWrite, wincode::SchemaRead))]
#[serde(rename_all = "kebab-case")]
pub enum ImageRole {
    /// A bare-metal program.
    Program,
    /// Firmware that starts the machine.
    Firmware,
    /// An operating-system kernel.
    Kernel,
    /// The kernel's initial RAM disk.
    Initrd,
    /// A device tree, as it was given to the guest.
    DeviceTree,
    /// The contents of a disk before the first step.
    Drive,
}

/// A file that the guest was made of. Its bytes lie in chunks of their own, unless they were left out.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(wincode::SchemaWrite, wincode::SchemaRead))]
pub struct Image {
    /// The file's name, for people.
    pub name: String,
    /// What it is for.
    pub role: ImageRole,
    /// Where it was loaded, if the file itself does not say.
    pub address: Option<u64>,
    /// How many bytes it has: at most 4 GiB.
    pub bytes: u64,
    /// The digest of its bytes.
    pub digest: ContentDigest,
    /// Whether the trace holds the bytes.
    pub stored: bool,
}

impl Image {
    /// Describes an image whose bytes the trace holds.
    pub fn stored(name: &str, role: ImageRole, contents: &[u8]) -> Image {
        Image {
            name: name.to_owned(),
            role,
            address: None,
            bytes: contents.len() as u64,
            digest: ContentDigest::of(contents),
            stored: true,
        }
    }

    /// Describes an image whose bytes are left out of the trace: a replay must be given the same bytes.
    pub fn left_out(name: &str, role: ImageRole, contents: &[u8]) -> Image {
        Image { stored: false, ..Image::stored(name, role, contents) }
    }

    /// Says where the image was loaded.
    pub fn at(self, address: u64) -> Image {
        Image { address: Some(address), ..self }
    }

    /// Whether these are the image's bytes.
    pub fn is(&self, contents: &[u8]) -> bool {
        self.bytes == contents.len() as u64 && self.digest == ContentDigest::of(contents)
    }
}

/// How the cores were put on workers. For people, and for who wants to record the like of it again.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(wincode::SchemaWrite, wincode::SchemaRead))]
pub struct Schedule {
    /// The seed of all choices that the scheduler made.
    pub seed: u64,
    /// How many workers.
    pub workers: u16,
    /// Whatever else was set.
    pub settings: Vec<Setting>,
}

/// The host that recorded.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(wincode::SchemaWrite, wincode::SchemaRead))]
pub struct HostFacts {
    /// The processor's name.
    pub cpu: String,
    /// How many processors the recorder could use.
    pub cpus: u16,
    /// The operating system and its version.
    pub os: String,
    /// When the recording began: seconds since 1970, or 0 if that is not known.
    pub started_unix: u64,
}

impl Header {
    /// Says what lies outside the format's limits, if anything does.
    pub fn check(&self) -> Result<(), String> {
        let Configuration { cores, ram_bytes, timebase_hz, .. } = self.configuration;
        let settings = &self.configuration.settings;
        let limits = [
            (usize::from(cores) >= 1 && usize::from(cores) <= CORES_MAX, "cores must be 1 to 255"),
            ((RAM_BYTES_MIN..=RAM_BYTES_MAX).contains(&ram_bytes), "RAM must have 4 KiB to 1 TiB"),
            (ram_bytes.is_multiple_of(PAGE_BYTES as u64), "RAM must be a multiple of 4 KiB"),
            ((1..=TIMEBASE_HZ_MAX).contains(&timebase_hz), "the time base must have 1 Hz to 10 GHz"),
            (self.images.len() <= IMAGES_MAX, "there may be at most 64 images"),
            (
                self.images.iter().all(|image| image.bytes <= IMAGE_BYTES_MAX),
                "an image may have at most 4 GiB",
            ),
            (settings.len() <= WORDS_MAX, "the machine may have at most 4096 settings"),
            (self.schedule.settings.len() <= WORDS_MAX, "the schedule may have at most 4096 settings"),
            (self.command_line.len() <= WORDS_MAX, "the command line may have at most 4096 words"),
        ];
        match limits.iter().find(|(kept, _)| !kept) {
            None => Ok(()),
            Some((_, limit)) => Err(format!(
                "{limit}, but came: {cores} cores, {ram_bytes} bytes of RAM, {timebase_hz} Hz, {} images, {} and {} settings, {} words",
                self.images.len(),
                settings.len(),
                self.schedule.settings.len(),
                self.command_line.len(),
            )),
        }
    }
}
