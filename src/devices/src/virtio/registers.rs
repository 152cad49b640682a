//! The registers of virtio over MMIO (Virtual I/O Device 1.2, sections 4.2.2 and 4.2.4), 32 bits each.

/// The last offset plus one: configuration goes on to here.
pub const END: u64 = 0x1000;
/// Where the device's own configuration begins; any width.
pub const CONFIG: u64 = 0x100;
/// What `MagicValue` says: "virt".
pub const MAGIC: u32 = 0x7472_6976;
/// What `VendorID` says, as on QEMU: "QEMU".
pub const VENDOR: u32 = 0x554d_4551;

/// Bits of the device status (section 2.1).
pub mod status {
    /// The driver is set up.
    pub const DRIVER_OK: u32 = 4;
    /// The driver has acknowledged the features that it understands.
    pub const FEATURES_OK: u32 = 8;
    /// The device has met something from which it cannot recover.
    pub const NEEDS_RESET: u32 = 64;
    /// All that a driver writes.
    pub const ALL: u32 = 0xff;
}

/// Bits of `InterruptStatus`.
pub mod interrupt {
    /// The device has used a buffer.
    pub const USED: u32 = 1;
    /// The device's configuration, or its need of a reset, has changed.
    pub const CONFIG: u32 = 2;
}

/// Features of the transport (section 6).
pub mod feature {
    /// Descriptors may name a table of descriptors.
    pub const INDIRECT: u64 = 1 << 28;
    /// Either side says at which entry it wants to be told of the next ones.
    pub const EVENT_IDX: u64 = 1 << 29;
    /// The driver follows version 1 of the specification.
    pub const VERSION_1: u64 = 1 << 32;
}

/// Which registers a slot has.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Layout {
    /// Version 1 of the registers (section 4.2.4), for drivers from before the specification's first version.
    Legacy,
    /// Version 2 (section 4.2.2).
    #[default]
    Modern,
}

impl Layout {
    /// What the register `Version` says.
    pub fn version(self) -> u32 {
        match self {
            Layout::Legacy => 1,
            Layout::Modern => 2,
        }
    }
}

/// A register.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Register {
    /// `MagicValue`.
    Magic,
    /// `Version`.
    Version,
    /// `DeviceID`.
    Device,
    /// `VendorID`.
    Vendor,
    /// `DeviceFeatures`.
    DeviceFeatures,
    /// `DeviceFeaturesSel`.
    DeviceFeaturesSelect,
    /// `DriverFeatures`.
    DriverFeatures,
    /// `DriverFeaturesSel`.
    DriverFeaturesSelect,
    /// `GuestPageSize`; legacy.
    PageSize,
    /// `QueueSel`.
    QueueSelect,
    /// `QueueNumMax`.
    QueueSizeMax,
    /// `QueueNum`.
    QueueSize,
    /// `QueueAlign`; legacy.
    QueueAlign,
    /// `QueuePFN`; legacy.
    QueuePage,
    /// `QueueReady`.
    QueueReady,
    /// `QueueNotify`.
    QueueNotify,
    /// `InterruptStatus`.
    InterruptStatus,
    /// `InterruptACK`.
    InterruptAcknowledge,
    /// `Status`.
    Status,
    /// One half (0 the low one) of `QueueDesc`, `QueueDriver` or `QueueDevice` (0 to 2).
    QueueAddress(usize, u32),
    /// `SHMLenLow` and the other three: there is no shared memory, which is said by all ones.
    SharedMemory,
    /// `ConfigGeneration`.
    ConfigGeneration,
}

impl Register {
    /// The register at an offset.
    pub fn at(offset: u64, layout: Layout) -> Option<Self> {
        let modern = layout == Layout::Modern;
        Some(match offset {
            0x00 => Register::Magic,
            0x04 => Register::Version,
            0x08 => Register::Device,
            0x0c => Register::Vendor,
            0x10 => Register::DeviceFeatures,
            0x14 => Register::DeviceFeaturesSelect,
            0x20 => Register::DriverFeatures,
            0x24 => Register::DriverFeaturesSelect,
            0x28 if !modern => Register::PageSize,
            0x30 => Register::QueueSelect,
            0x34 => Register::QueueSizeMax,
            0x38 => Register::QueueSize,
            0x3c if !modern => Register::QueueAlign,
            0x40 if !modern => Register::QueuePage,
            0x44 if modern => Register::QueueReady,
            0x50 => Register::QueueNotify,
            0x60 => Register::InterruptStatus,
            0x64 => Register::InterruptAcknowledge,
            0x70 => Register::Status,
            0x80 if modern => Register::QueueAddress(0, 0),
            0x84 if modern => Register::QueueAddress(0, 1),
            0x90 if modern => Register::QueueAddress(1, 0),
            0x94 if modern => Register::QueueAddress(1, 1),
            0xa0 if modern => Register::QueueAddress(2, 0),
            0xa4 if modern => Register::QueueAddress(2, 1),
            0xb0 | 0xb4 | 0xb8 | 0xbc if modern => Register::SharedMemory,
            0xfc if modern => Register::ConfigGeneration,
            _ => return None,
        })
    }
}
