//! What is run: a program, or a kernel with all that it is started with; files under their names.

use crate::{Error, Options};
use cantus_machine::{Boot, GuestImage, KernelBoot};
use cantus_traces::{ContentDigest, Image, ImageRole, Setting, Trace};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{fs, io};

/// A file of a guest.
#[derive(Clone)]
pub struct GuestFile {
    /// What to call it: the file's name without its folder.
    pub name: String,
    /// The file's bytes.
    pub bytes: Arc<[u8]>,
    /// Where it is, if it is a file of the host.
    pub path: Option<PathBuf>,
}

impl GuestFile {
    /// Reads a file.
    ///
    /// # Errors
    /// Whatever the host says of the file.
    pub fn open(path: impl AsRef<Path>) -> io::Result<Self> {
        let path = path.as_ref();
        let name =
            path.file_name().map_or_else(|| "guest".into(), |name| name.to_string_lossy().into_owned());
        Ok(Self { name, bytes: fs::read(path)?.into(), path: path.canonicalize().ok() })
    }

    /// A file that is in memory already.
    pub fn new(name: impl Into<String>, bytes: impl Into<Arc<[u8]>>) -> Self {
        Self { name: name.into(), bytes: bytes.into(), path: None }
    }
}

/// A guest.
#[derive(Clone)]
pub struct Guest {
    /// What to call it: the program's or the kernel's file name, without its folder.
    pub name: String,
    /// The program: an ELF file or a raw image. Or the kernel.
    pub bytes: Arc<[u8]>,
    /// Where that is, if it is a file of the host.
    pub path: Option<PathBuf>,
    /// With what a kernel is started; none if the guest is a program that runs in machine mode.
    pub kernel: Option<KernelStart>,
}

/// With what a kernel is started.
#[derive(Clone, Default)]
pub struct KernelStart {
    /// Its initial RAM disk.
    pub initrd: Option<GuestFile>,
    /// Its command line.
    pub command_line: String,
    /// Firmware in place of Cantus's own.
    pub firmware: Option<GuestFile>,
}

/// Names of the settings of a trace's machine.
const COMMAND_LINE: &str = "append";
const SEED: &str = "rng-seed";

impl Guest {
    /// Reads a program from a file.
    ///
    /// # Errors
    /// Whatever the host says of the file.
    pub fn open(path: impl AsRef<Path>) -> io::Result<Self> {
        Ok(Self::of_file(GuestFile::open(path)?, None))
    }

    /// A program that is in memory already.
    pub fn new(name: impl Into<String>, bytes: impl Into<Arc<[u8]>>) -> Self {
        Self::of_file(GuestFile::new(name, bytes), None)
    }

    /// A program, or a kernel with what it is started with.
    pub fn of_file(file: GuestFile, kernel: Option<KernelStart>) -> Self {
        Self { name: file.name, bytes: file.bytes, path: file.path, kernel }
    }

    /// All its files, with what each is for.
    pub(crate) fn files(&self) -> Vec<(ImageRole, GuestFile)> {
        let role = if self.kernel.is_some() { ImageRole::Kernel } else { ImageRole::Program };
        let first =
            (role, GuestFile { name: self.name.clone(), bytes: self.bytes.clone(), path: self.path.clone() });
        let start = self.kernel.iter();
        let initrd = start.clone().filter_map(|start| Some((ImageRole::Initrd, start.initrd.clone()?)));
        let firmware = start.filter_map(|start| Some((ImageRole::Firmware, start.firmware.clone()?)));
        std::iter::once(first).chain(initrd).chain(firmware).collect()
    }

    /// What else a replay must know of it.
    pub(crate) fn settings(&self, options: &Options) -> Vec<Setting> {
        let setting = |name: &str, value: String| Setting { name: name.into(), value };
        let kernel = self.kernel.iter();
        kernel
            .flat_map(|kernel| {
                [setting(COMMAND_LINE, kernel.command_line.clone()), setting(SEED, options.seed.to_string())]
            })
            .collect()
    }

    /// The guest of a trace. Files that the trace does not hold are looked for in `given`.
    pub(crate) fn of_trace(trace: &Trace, path: &Path, given: &[GuestFile]) -> Result<Self, Error> {
        let header = trace.header();
        let of_role = |role: ImageRole| {
            let found = header.images.iter().enumerate().find(|(_, image)| image.role == role);
            found.map(|(at, image)| file_of_trace(trace, path, given, at, image)).transpose()
        };
        if let Some(program) = of_role(ImageRole::Program)? {
            return Ok(Self::of_file(program, None));
        }
        let no_program =
            || Error::ImageMissing { path: path.to_owned(), image: "program".into(), place: None };
        let kernel = of_role(ImageRole::Kernel)?.ok_or_else(no_program)?;
        let start = KernelStart {
            initrd: of_role(ImageRole::Initrd)?,
            command_line: setting(trace, COMMAND_LINE).unwrap_or_default().to_owned(),
            firmware: of_role(ImageRole::Firmware)?,
        };
        Ok(Self::of_file(kernel, Some(start)))
    }

    /// The seed of the random numbers of a trace's guest.
    pub(crate) fn seed_of_trace(trace: &Trace) -> u64 {
        setting(trace, SEED).and_then(|seed| seed.parse().ok()).unwrap_or_default()
    }

    /// How a machine is started with it. The kernel's random numbers follow from `seed`.
    pub(crate) fn boot(&self, seed: u64) -> Result<Boot, Error> {
        let bytes = self.bytes.to_vec();
        let Some(start) = &self.kernel else {
            return Ok(GuestImage::from_bytes(self.name.clone(), bytes)?.into());
        };
        let firmware = match &start.firmware {
            Some(file) => GuestImage::from_bytes(file.name.clone(), file.bytes.to_vec())?,
            None => KernelBoot::own_firmware()?,
        };
        Ok(Boot::Kernel(Box::new(KernelBoot {
            firmware,
            kernel: GuestImage::kernel_from_bytes(self.name.clone(), bytes)?,
            initrd: start.initrd.as_ref().map(|file| file.bytes.to_vec()),
            command_line: start.command_line.clone(),
            seed: ContentDigest::of(format!("rng-seed {seed}").as_bytes()).0,
        })))
    }
}

/// The setting of a trace's machine that says where an image is which the trace does not hold: its number and the path.
const PLACE: &str = "image-place";

/// Where the images are that a trace does not hold, for its settings.
pub(crate) fn places<'a>(files: impl Iterator<Item = (bool, &'a GuestFile)>) -> Vec<Setting> {
    let place = |(at, (is_stored, file)): (usize, (bool, &GuestFile))| {
        let path = file.path.as_ref().filter(|_| !is_stored)?.to_str()?;
        Some(Setting { name: PLACE.into(), value: format!("{at} {path}") })
    };
    files.enumerate().filter_map(place).collect()
}

/// Whether a setting says where an image is.
pub(crate) fn is_place(setting: &Setting) -> bool {
    setting.name == PLACE
}

/// The image with this number of a trace. What the trace does not hold is looked for in `given`, and then where it was.
pub(crate) fn file_of_trace(
    trace: &Trace,
    path: &Path,
    given: &[GuestFile],
    at: usize,
    image: &Image,
) -> Result<GuestFile, Error> {
    if image.stored {
        return Ok(GuestFile::new(image.name.clone(), trace.image(at)?));
    }
    let found = |file: GuestFile| GuestFile { name: image.name.clone(), ..file };
    if let Some(file) = given.iter().find(|file| image.is(&file.bytes)) {
        return Ok(found(file.clone()));
    }
    let place = trace.header().configuration.settings.iter().filter(|setting| is_place(setting)).find_map(
        |setting| {
            let (number, place) = setting.value.split_once(' ')?;
            (number.parse() == Ok(at)).then(|| PathBuf::from(place))
        },
    );
    let named = || given.iter().find(|file| file.name == image.name).cloned();
    let there = || place.as_ref().and_then(|place| GuestFile::open(place).ok());
    match named().or_else(there) {
        Some(file) if image.is(&file.bytes) => Ok(found(file)),
        Some(file) => Err(Error::ImageDiffers {
            path: path.to_owned(),
            file: file.path.unwrap_or_else(|| file.name.into()),
            expected: image.digest,
            came: ContentDigest::of(&file.bytes),
        }),
        None => Err(Error::ImageMissing { path: path.to_owned(), image: image.name.clone(), place }),
    }
}

/// A setting of a trace's machine.
fn setting<'a>(trace: &'a Trace, name: &str) -> Option<&'a str> {
    let settings = &trace.header().configuration.settings;
    settings.iter().find(|setting| setting.name == name).map(|setting| setting.value.as_str())
}
