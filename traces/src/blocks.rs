//! The cold parts of a trace as bytes: the one place that knows bincode.
//!
//! bincode 2.0.1, `standard()` configuration: little-endian, integers of variable length. `FORMAT.md` documents the
//! bytes. Callers bound the length and check the checksum before they decode.

use serde::{Serialize, de::DeserializeOwned};

use crate::limits::CHUNK_BYTES_MAX;

fn configuration() -> impl bincode::config::Config {
    bincode::config::standard().with_limit::<{ CHUNK_BYTES_MAX as usize }>()
}

/// The bytes of a value.
pub(crate) fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    bincode::serde::encode_to_vec(value, configuration())
        .expect("a struct of integers, strings and lists always has an encoding")
}

/// The value of some bytes: of all of them.
pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    match bincode::serde::decode_from_slice(bytes, configuration()) {
        Ok((value, used)) if used == bytes.len() => Ok(value),
        Ok((_, used)) => Err(format!("{} bytes too many", bytes.len() - used)),
        Err(error) => Err(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*, sample::select};

    use super::*;
    use crate::{
        ClockPolicy, Configuration, ContentDigest, CoreEnd, Digest, EndReason, Footer, Header, HostFacts,
        Image, ImageRole, MachineDigest, Position, Schedule, Setting, Totals,
        footer::{FooterBlock, IndexEntry},
        records::CheckpointBlock,
    };

    /// Integers around the places where the encoding gets longer, and others.
    fn integer() -> impl Strategy<Value = u64> {
        prop_oneof![
            select(vec![0, 250, 251, 252, 0xffff, 0x1_0000, 0xffff_ffff, 0x1_0000_0000, u64::MAX]),
            any::<u64>(),
        ]
    }

    fn settings() -> impl Strategy<Value = Vec<Setting>> {
        vec((".*", ".*").prop_map(|(name, value)| Setting { name, value }), 0..4)
    }

    fn image() -> impl Strategy<Value = Image> {
        use ImageRole::*;
        let role = select(vec![Program, Firmware, Kernel, Initrd, DeviceTree, Drive]);
        (".*", role, prop::option::of(integer()), integer(), any::<[u8; 32]>(), any::<bool>()).prop_map(
            |(name, role, address, bytes, digest, stored)| Image {
                name,
                role,
                address,
                bytes,
                digest: ContentDigest(digest),
                stored,
            },
        )
    }

    fn header() -> impl Strategy<Value = Header> {
        let clock = select(vec![ClockPolicy::Host, ClockPolicy::Virtual]);
        let machine = (".*", ".*", any::<u16>(), integer(), clock, integer(), integer(), settings());
        let configuration = machine.prop_map(
            |(isa, board, cores, ram_bytes, clock, timebase_hz, digest_interval, settings)| Configuration {
                isa,
                board,
                cores,
                ram_bytes,
                clock,
                timebase_hz,
                digest_interval,
                settings,
            },
        );
        let schedule = (integer(), any::<u16>(), settings()).prop_map(|(seed, workers, settings)| Schedule {
            seed,
            workers,
            settings,
        });
        let host = (".*", any::<u16>(), ".*", integer())
            .prop_map(|(cpu, cpus, os, started_unix)| HostFacts { cpu, cpus, os, started_unix });
        (".*", configuration, vec(image(), 0..4), schedule, host, vec(".*", 0..4)).prop_map(
            |(recorder, configuration, images, schedule, host, command_line)| Header {
                recorder,
                configuration,
                images,
                schedule,
                host,
                command_line,
            },
        )
    }

    fn index_entry() -> impl Strategy<Value = IndexEntry> {
        let small = any::<[u8; 3]>();
        (small, integer(), integer(), any::<u32>(), any::<u32>(), any::<u32>()).prop_map(
            |([kind, core, codec], first, last, count, raw_bytes, stored_bytes)| IndexEntry {
                kind,
                core,
                codec,
                first,
                last,
                count,
                raw_bytes,
                stored_bytes,
            },
        )
    }

    fn footer() -> impl Strategy<Value = FooterBlock> {
        use EndReason::*;
        let reason = prop_oneof![
            select(vec![Exited, Interrupted, LimitReached, Deadlocked]),
            ".*".prop_map(Failed),
            ".*".prop_map(Matched)
        ];
        let core = (integer(), any::<[u8; 16]>())
            .prop_map(|(position, state)| CoreEnd { position: Position(position), state: Digest(state) });
        let footer = (reason, prop::option::of(any::<i32>()), vec(core, 0..4), any::<[u8; 32]>()).prop_map(
            |(reason, exit_status, cores, memory)| Footer {
                reason,
                exit_status,
                cores,
                memory: ContentDigest(memory),
            },
        );
        let totals = (any::<u32>(), integer(), integer(), integer(), integer()).prop_map(
            |(chunks, events, event_bytes, event_bytes_stored, file_bytes)| Totals {
                chunks,
                events,
                event_bytes,
                event_bytes_stored,
                file_bytes,
            },
        );
        (footer, totals, prop::option::of(vec(index_entry(), 0..300)))
            .prop_map(|(footer, totals, index)| FooterBlock { footer, totals, index })
    }

    fn positions() -> impl Strategy<Value = Vec<Position>> {
        vec(integer().prop_map(Position), 0..5)
    }

    /// bincode and wincode write the same bytes of a value, and read the value from them.
    macro_rules! agree {
        ($value:expr, $type:ty) => {{
            let value: $type = $value;
            let configuration = wincode::config::Configuration::default().with_varint_encoding();
            let bytes = encode(&value);
            let theirs = wincode::config::serialize(&value, configuration).unwrap();
            prop_assert_eq!(&theirs, &bytes);
            prop_assert_eq!(&decode::<$type>(&bytes).unwrap(), &value);
            prop_assert_eq!(
                &wincode::config::deserialize::<$type, _>(&bytes, configuration).unwrap(),
                &value
            );
            prop_assert!(decode::<$type>(&[&bytes[..], &[0]].concat()).is_err());
            prop_assert!(decode::<$type>(&bytes[..bytes.len() - 1]).is_err());
        }};
    }

    proptest! {
        #[test]
        fn wincode_agrees_on_headers(header in header()) {
            agree!(header, Header);
        }

        #[test]
        fn wincode_agrees_on_footers(footer in footer()) {
            agree!(footer, FooterBlock);
        }

        #[test]
        fn wincode_agrees_on_machine_digests(cut: u32, positions in positions(), memory: [u8; 32]) {
            agree!(MachineDigest { cut, positions, memory: ContentDigest(memory) }, MachineDigest);
        }

        #[test]
        fn wincode_agrees_on_checkpoints(
            cut: u32,
            base: Option<u32>,
            positions in positions(),
            cores in vec(vec(any::<u8>(), 0..300), 0..4),
            devices in vec(any::<u8>(), 0..300),
            pages in integer(),
        ) {
            agree!(CheckpointBlock { cut, base, positions, cores, devices, pages }, CheckpointBlock);
        }

        #[test]
        fn any_bytes_decode_or_do_not(bytes in vec(any::<u8>(), 0..200)) {
            let _ = (decode::<Header>(&bytes), decode::<FooterBlock>(&bytes), decode::<CheckpointBlock>(&bytes));
        }

        #[test]
        fn json_comes_back(header in header(), footer in footer()) {
            let json = serde_json::to_string(&header).unwrap();
            prop_assert_eq!(&serde_json::from_str::<Header>(&json).unwrap(), &header);
            let json = serde_json::to_string(&footer.footer).unwrap();
            prop_assert_eq!(&serde_json::from_str::<Footer>(&json).unwrap(), &footer.footer);
        }
    }

    #[test]
    fn lengths_beyond_the_bytes_claim_no_memory() {
        // A string of 2^64 - 1 bytes.
        let mut bytes = vec![0xfd];
        bytes.extend_from_slice(&[0xff; 8]);
        assert!(decode::<Header>(&bytes).is_err());
        // A list of 2^48 entries.
        assert!(decode::<Vec<IndexEntry>>(&[0xfd, 0, 0, 0, 0, 0, 1, 0, 0]).is_err());
    }
}
