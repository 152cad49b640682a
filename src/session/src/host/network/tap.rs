//! A tap device of the host (`Documentation/networking/tuntap.rst` of Linux). Somebody with the right to has made it:
//! `ip tuntap add NAME mode tap user USER`.

use rustix::ioctl::{Updater, ioctl, opcode};
use std::ffi::{c_int, c_short};
use std::fs::File;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

const DEVICE: &str = "/dev/net/tun";
/// The most bytes of an interface's name (`IFNAMSIZ`), with the zero behind it.
const NAME_BYTES: usize = 16;
/// Frames of Ethernet, and nothing before them (`IFF_TAP | IFF_NO_PI`).
const FRAMES: c_short = 0x1002;
const SET_INTERFACE: rustix::ioctl::Opcode = opcode::write::<c_int>(b'T', 202);

/// What the host is asked with (`struct ifreq`, of which the flags are one of many meanings).
#[repr(C)]
struct InterfaceRequest {
    name: [u8; NAME_BYTES],
    flags: c_short,
    rest: [u8; 22],
}

/// The device of this name. Reading and writing do not block.
///
/// # Errors
/// Where there is no such device, or it may not be used.
pub(super) fn open(name: &str) -> io::Result<File> {
    let mut request = InterfaceRequest { name: [0; NAME_BYTES], flags: FRAMES, rest: [0; 22] };
    if name.is_empty() || name.len() >= NAME_BYTES || name.contains(['/', '\0']) || name.starts_with('.') {
        let text = format!("the name of a device has 1 to {} bytes and no slash", NAME_BYTES - 1);
        return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    }
    request.name[..name.len()].copy_from_slice(name.as_bytes());
    // Who may, would otherwise make a new one that is connected to nothing, and gone with the run.
    if !Path::new("/sys/class/net").join(name).exists() {
        let text = "the host has no such device; it is made by: ip tuntap add NAME mode tap user USER";
        return Err(io::Error::new(io::ErrorKind::NotFound, text));
    }
    let nonblocking = rustix::fs::OFlags::NONBLOCK.bits() as i32;
    let tap = File::options().read(true).write(true).custom_flags(nonblocking).open(DEVICE);
    let tap = tap.map_err(|error| io::Error::new(error.kind(), format!("{DEVICE}: {error}")))?;
    // SAFETY: the kernel reads and writes one `struct ifreq` for this request. `InterfaceRequest` has its size and layout
    // (asserted below) and lives until the call returns.
    unsafe { ioctl(&tap, Updater::<SET_INTERFACE, _>::new(&mut request))? };
    Ok(tap)
}

const _: () = assert!(size_of::<InterfaceRequest>() == 40);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_tap_device_is_an_error_that_says_so() {
        for name in ["", "a/b", "..", "sixteen-bytes-xx"] {
            assert_eq!(open(name).unwrap_err().kind(), io::ErrorKind::InvalidInput, "{name}");
        }
        assert!(open("cantus-none").unwrap_err().to_string().contains("ip tuntap add"));
        assert!(open("lo").is_err(), "a device of another kind, or none may be used here at all");
    }
}
