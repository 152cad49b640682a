//! A reader of traces that knows `FORMAT.md` and nothing of the crate but the words for what it has read. It trusts its
//! input: it is there to show that the document suffices, and says where it does not by panicking.

use cantus_traces::{
    Checkpoint, ClockPolicy, Configuration, ContentDigest, CoreEnd, CoreId, DeviceId, Digest, EndReason,
    Event, Footer, Header, HostFacts, Image, ImageRole, MachineDigest, Position, Schedule, Setting, Totals,
};

/// All that a complete trace says.
pub struct Contents {
    pub header: Header,
    pub events: Vec<Vec<(Position, Event)>>,
    pub machine_digests: Vec<MachineDigest>,
    pub pages: Vec<(ContentDigest, Vec<u8>)>,
    pub checkpoints: Vec<Checkpoint>,
    /// By their index in the header.
    pub images: Vec<Vec<u8>>,
    pub footer: Footer,
    pub totals: Totals,
    /// Whether there is an index, which then was as the chunks are.
    pub is_indexed: bool,
}

/// A place in some bytes.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn bytes(&mut self, length: usize) -> &'a [u8] {
        let (now, later) = self.0.split_at(length);
        self.0 = later;
        now
    }

    fn fixed(&mut self, length: usize) -> u64 {
        self.bytes(length).iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte))
    }

    fn array<const N: usize>(&mut self) -> [u8; N] {
        self.bytes(N).try_into().unwrap()
    }

    fn varint(&mut self) -> u64 {
        let byte = self.fixed(1);
        if byte < 128 { byte } else { byte - 128 + (self.varint() << 7) }
    }

    // The types of bincode blocks.

    fn integer(&mut self) -> u64 {
        match self.fixed(1) {
            251 => self.fixed(2),
            252 => self.fixed(4),
            253 => self.fixed(8),
            small => small,
        }
    }

    fn u32(&mut self) -> u32 {
        self.integer().try_into().unwrap()
    }

    fn u16(&mut self) -> u16 {
        self.integer().try_into().unwrap()
    }

    fn option<T>(&mut self, some: impl FnOnce(&mut Self) -> T) -> Option<T> {
        (self.fixed(1) == 1).then(|| some(self))
    }

    fn list<T>(&mut self, mut item: impl FnMut(&mut Self) -> T) -> Vec<T> {
        let length = self.integer();
        (0..length).map(|_| item(self)).collect()
    }

    fn text(&mut self) -> String {
        let length = self.integer() as usize;
        String::from_utf8(self.bytes(length).to_vec()).unwrap()
    }

    fn positions(&mut self) -> Vec<Position> {
        self.list(|r| Position(r.integer()))
    }

    fn settings(&mut self) -> Vec<Setting> {
        self.list(|r| Setting { name: r.text(), value: r.text() })
    }

    fn header(&mut self) -> Header {
        Header {
            recorder: self.text(),
            configuration: Configuration {
                isa: self.text(),
                board: self.text(),
                cores: self.u16(),
                ram_bytes: self.integer(),
                clock: [ClockPolicy::Host, ClockPolicy::Virtual][self.integer() as usize],
                timebase_hz: self.integer(),
                digest_interval: self.integer(),
                settings: self.settings(),
            },
            images: self.list(Reader::image),
            schedule: Schedule { seed: self.integer(), workers: self.u16(), settings: self.settings() },
            host: HostFacts {
                cpu: self.text(),
                cpus: self.u16(),
                os: self.text(),
                started_unix: self.integer(),
            },
            command_line: self.list(Reader::text),
        }
    }

    fn image(&mut self) -> Image {
        use ImageRole::*;
        Image {
            name: self.text(),
            role: [Program, Firmware, Kernel, Initrd, DeviceTree, Drive][self.integer() as usize],
            address: self.option(Reader::integer),
            bytes: self.integer(),
            digest: ContentDigest(self.array()),
            stored: self.fixed(1) == 1,
        }
    }

    fn machine_digest(&mut self) -> MachineDigest {
        MachineDigest { cut: self.u32(), positions: self.positions(), memory: ContentDigest(self.array()) }
    }

    /// A checkpoint without its pages, and how many it has.
    fn checkpoint(&mut self) -> (Checkpoint, u64) {
        let checkpoint = Checkpoint {
            cut: self.u32(),
            base: self.option(Reader::u32),
            positions: self.positions(),
            cores: self.list(|r| r.list(|r| r.fixed(1) as u8)),
            devices: self.list(|r| r.fixed(1) as u8),
            pages: Vec::new(),
        };
        (checkpoint, self.integer())
    }

    fn footer(&mut self) -> Footer {
        Footer {
            reason: match self.integer() {
                0 => EndReason::Exited,
                1 => EndReason::Interrupted,
                2 => EndReason::LimitReached,
                3 => EndReason::Deadlocked,
                4 => EndReason::Failed(self.text()),
                5 => EndReason::Matched(self.text()),
                other => panic!("reason {other}"),
            },
            exit_status: self.option(|r| {
                let zigzag = r.u32();
                (zigzag / 2) as i32 ^ if zigzag.is_multiple_of(2) { 0 } else { -1 }
            }),
            cores: self.list(|r| CoreEnd { position: Position(r.integer()), state: Digest(r.array()) }),
            memory: ContentDigest(self.array()),
        }
    }

    fn totals(&mut self) -> Totals {
        Totals {
            chunks: self.u32(),
            events: self.integer(),
            event_bytes: self.integer(),
            event_bytes_stored: self.integer(),
            file_bytes: self.integer(),
        }
    }

    fn events(&mut self, first: u64, count: u64) -> Vec<(Position, Event)> {
        let (mut position, mut after, mut known) = (first, 0_u8, [0_u64; 256]);
        let (mut clock_position, mut clock_value, mut steps, mut ticks, mut read) =
            (first, 0_u64, 0, 0, false);
        let mut events = Vec::new();
        for _ in 0..count {
            let head = self.fixed(1);
            let high = if head & 128 != 0 { self.varint() } else { 0 };
            position += high * 16 + head / 8 % 16;
            let event = match head % 8 {
                tag @ (0 | 1) => {
                    if tag == 1 {
                        after = self.fixed(1) as u8;
                    }
                    known[usize::from(after)] += self.varint();
                    Event::Order { after: CoreId(after), position: Position(known[usize::from(after)]) }
                }
                2 => Event::Lines(self.varint().try_into().unwrap()),
                tag @ (3 | 4) => {
                    let value = if tag == 3 {
                        clock_value.wrapping_add(self.varint())
                    } else {
                        let product = u128::from(position - clock_position) * u128::from(ticks);
                        let ahead = if steps == 0 || product >> 64 != 0 { 0 } else { product as u64 / steps };
                        let zigzag = self.varint();
                        let off = if zigzag.is_multiple_of(2) { zigzag / 2 } else { !(zigzag / 2) };
                        clock_value.wrapping_add(ahead).wrapping_add(off)
                    };
                    if read && position > clock_position {
                        (steps, ticks) = (position - clock_position, value.wrapping_sub(clock_value));
                    }
                    (clock_position, clock_value, read) = (position, value, true);
                    Event::Clock(value)
                }
                5 => Event::ConditionalFailed,
                6 => match self.fixed(1) {
                    0 => Event::Digest { state: Digest(self.array()), history: Digest(self.array()) },
                    1 => {
                        let device = DeviceId(self.fixed(1) as u8);
                        let length = self.varint() as usize;
                        Event::Input { device, bytes: self.bytes(length).to_vec() }
                    }
                    2 => Event::Cut { number: self.varint().try_into().unwrap() },
                    3 => {
                        after = self.fixed(1) as u8;
                        known[usize::from(after)] = self.varint();
                        Event::Order { after: CoreId(after), position: Position(known[usize::from(after)]) }
                    }
                    4 => {
                        let device = DeviceId(self.fixed(1) as u8);
                        let length = self.varint() as usize;
                        Event::Answer { device, bytes: self.bytes(length).to_vec() }
                    }
                    other => panic!("sub-tag {other}"),
                },
                other => panic!("tag {other}"),
            };
            events.push((Position(position), event));
        }
        events
    }

    fn end(&self) {
        assert_eq!(self.0, [0_u8; 0], "nothing is left over");
    }
}

fn check(sum: &[u8], parts: &[&[u8]]) {
    assert_eq!(sum, &blake3::hash(&parts.concat()).as_bytes()[..sum.len()], "the checksum holds");
}

/// Reads a complete trace.
pub fn read(file: &[u8]) -> Contents {
    let mut prologue = Reader(file);
    assert_eq!(prologue.bytes(8), b"CANTUSTR");
    assert_eq!(prologue.fixed(4), 0);
    let length = prologue.fixed(4) as usize;
    let block = &file[24..24 + length];
    check(&file[16..24], &[&file[..16], block]);
    let mut block = Reader(block);
    let header = block.header();
    block.end();

    let trailer = &file[file.len() - 24..];
    assert_eq!(&trailer[..8], b"CANTUSND");
    check(&trailer[16..], &[&trailer[..16]]);
    let footer_at = Reader(&trailer[8..16]).fixed(8) as usize;

    let cores = usize::from(header.configuration.cores);
    let (mut events, mut reached) = (vec![Vec::new(); cores], vec![0; cores]);
    let mut images = vec![Vec::new(); header.images.len()];
    let (mut machine_digests, mut pages, mut listed, mut checkpoints) = (vec![], vec![], vec![], vec![]);
    let mut index = Vec::new();
    let mut at = 24 + length;
    loop {
        let chunk = &file[at..];
        let mut head = Reader(chunk);
        let [kind, core, codec, zero] = head.array();
        let number = head.fixed(4);
        let (first, last) = (head.fixed(8), head.fixed(8));
        let (count, raw_bytes, stored_bytes) = (head.fixed(4), head.fixed(4), head.fixed(4));
        let stored = &chunk[48..48 + stored_bytes as usize];
        assert_eq!((zero, number as usize), (0, index.len()));
        check(&chunk[36..40], &[&chunk[..36]]);
        check(&chunk[40..48], &[&chunk[..40], stored]);
        let raw = match codec {
            0 => stored.to_vec(),
            1 => zstd::decode_all(stored).unwrap(),
            other => panic!("codec {other}"),
        };
        assert_eq!(raw.len() as u64, raw_bytes);
        let mut payload = Reader(&raw);
        match kind {
            1 => {
                let core = usize::from(core);
                assert_eq!(first, reached[core]);
                reached[core] = last;
                events[core].extend(payload.events(first, count));
            }
            2 => machine_digests.push(payload.machine_digest()),
            3 => (0..count)
                .for_each(|_| pages.push((ContentDigest(payload.array()), payload.bytes(4096).to_vec()))),
            4 => (0..count)
                .for_each(|_| listed.push((first, payload.fixed(8), ContentDigest(payload.array())))),
            5 => {
                let (mut checkpoint, count) = payload.checkpoint();
                let of_cut = listed.iter().filter(|(cut, ..)| *cut == first);
                checkpoint.pages = of_cut.map(|(_, page, digest)| (*page, *digest)).collect();
                assert_eq!(checkpoint.pages.len() as u64, count);
                checkpoints.push(checkpoint);
            }
            6 => {
                let image = &mut images[usize::from(core)];
                assert_eq!((image.len() as u64, image.len() as u64 + raw_bytes), (first, last));
                image.extend_from_slice(payload.bytes(raw.len()));
            }
            7 => {
                assert_eq!(at, footer_at);
                assert_eq!(at + 48 + stored.len() + 24, file.len());
                let (footer, totals) = (payload.footer(), payload.totals());
                let read_index = payload.option(|r| {
                    r.list(|r| {
                        let bytes: [u8; 3] = r.array();
                        (bytes, [r.integer(), r.integer(), r.integer(), r.integer(), r.integer()])
                    })
                });
                payload.end();
                let is_indexed = read_index.is_some();
                assert!(read_index.is_none_or(|read_index| read_index == index));
                for (end, reached) in footer.cores.iter().zip(reached) {
                    assert_eq!(end.position.0 + 1, reached);
                }
                return Contents {
                    header,
                    events,
                    machine_digests,
                    pages,
                    checkpoints,
                    images,
                    footer,
                    totals,
                    is_indexed,
                };
            }
            other => panic!("kind {other}"),
        }
        payload.end();
        index.push(([kind, core, codec], [first, last, count, raw_bytes, stored_bytes]));
        at += 48 + stored.len();
    }
}
