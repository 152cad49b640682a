//! Which board a trace was recorded on: what the build that recorded it put into the machine beside the guest's files.
//!
//! A replay builds the machine anew. A build that puts in something else, such as other firmware, would diverge at the
//! first comparison of memory; instead it is told before the first step.

use cantus_machine::Makeup;
use cantus_traces::{Digest, Setting};

/// This program and its version, as traces name it.
pub(crate) const BUILD: &str = concat!("cantus ", env!("CARGO_PKG_VERSION"));

/// Names of the settings of a trace's machine, and what the parts are called.
const FIRMWARE: (&str, &str) = ("board-firmware", "firmware");
const DEVICE_TREE: (&str, &str) = ("board-tree", "device tree");
const DEVICES: (&str, &str) = ("board-devices", "devices");

/// What a trace says of the board that it was recorded on.
pub(crate) fn settings(makeup: &Makeup) -> impl Iterator<Item = Setting> {
    let Makeup { firmware, device_tree, devices } = *makeup;
    let parts = [(FIRMWARE, firmware), (DEVICE_TREE, Some(device_tree)), (DEVICES, Some(devices))];
    let setting = |((name, _), digest): ((&str, &str), Option<Digest>)| {
        Some(Setting { name: name.into(), value: digest?.to_string() })
    };
    parts.into_iter().filter_map(setting)
}

/// What of the board is other than a trace says. Where it begins at a checkpoint, that has all of memory, and only the
/// devices are made by the build. A trace that says nothing of a part may have any.
pub(crate) fn differing(makeup: &Makeup, of_trace: &[Setting], at_checkpoint: bool) -> Vec<&'static str> {
    let here: Vec<_> = settings(makeup).collect();
    let parts = if at_checkpoint { &[DEVICES][..] } else { &[FIRMWARE, DEVICE_TREE, DEVICES] };
    let value = |settings: &[Setting], name: &str| {
        settings.iter().find(|setting| setting.name == name).map(|setting| setting.value.clone())
    };
    let differs =
        |name: &str| value(of_trace, name).is_some_and(|recorded| value(&here, name) != Some(recorded));
    parts.iter().filter(|(name, _)| differs(name)).map(|&(_, part)| part).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_trace_says_can_differ() {
        let one = Makeup {
            firmware: Some(Digest([1; 16])),
            device_tree: Digest([2; 16]),
            devices: Digest([3; 16]),
        };
        let recorded: Vec<_> = settings(&one).collect();
        assert_eq!(recorded.len(), 3);
        assert!(differing(&one, &recorded, false).is_empty());
        assert!(differing(&one, &[], false).is_empty(), "an older trace");
        let other = Makeup { firmware: None, device_tree: Digest([4; 16]), ..one };
        assert_eq!(differing(&other, &recorded, false), ["firmware", "device tree"]);
        assert!(differing(&other, &recorded, true).is_empty(), "a checkpoint has memory");
        let other = Makeup { devices: Digest([5; 16]), ..one };
        assert_eq!(differing(&other, &recorded, true), ["devices"]);
    }
}
