//! Binary traces: the bytes as they come, and as a block whose checksum is right, which chance would never find.
#![no_main]

use damon_ops_sim::trace::{BinaryReader, BinaryWriter, Event, MAGIC, VERSION};
use libfuzzer_sys::fuzz_target;

fn read(bytes: &[u8]) -> Vec<Event> {
    BinaryReader::new(bytes).into_iter().flatten().map_while(Result::ok).collect()
}

fuzz_target!(|input: (u32, &[u8])| {
    let (nr_events, payload) = input;
    read(payload);

    let mut bytes = MAGIC.to_vec();
    bytes.extend(VERSION.to_le_bytes());
    bytes.extend([0; 2]);
    for word in [nr_events, payload.len() as u32, crc32fast::hash(payload)] {
        bytes.extend(word.to_le_bytes());
    }
    bytes.extend(payload);
    let events = read(&bytes);

    let mut writer = BinaryWriter::new(Vec::new()).unwrap();
    events.iter().for_each(|event| writer.write(event).unwrap());
    assert_eq!(read(&writer.finish().unwrap()), events);
});
