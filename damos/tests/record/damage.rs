//! Damaged, cut and hostile records: an error that says where, and all before it.

use std::io::Write;

use damos::record::{BinaryWriter, Reader, Region, Series, Snapshot, WriteError};
use proptest::prelude::*;

use crate::support::{begins, binary, damo, read, record};

fn some(snapshots: u64) -> Vec<(Series, Vec<Snapshot>)> {
    let snapshot = |n| Snapshot {
        start_ns: n * 100,
        end_ns: n * 100 + 100,
        regions: (0..5)
            .map(|i| Region { nr_accesses: i, ..Region::new(u64::from(i) << 12, u64::from(i + 1) << 12) })
            .collect(),
        ..Snapshot::default()
    };
    vec![(Series::default(), (0..snapshots).map(snapshot).collect())]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn a_cut_record_is_read_up_to_the_cut(record in record(), damo_s in any::<bool>()) {
        let whole = if damo_s { damo(&record) } else { binary(&record) };
        for cut in 0..whole.len() {
            let (part, error) = read(&whole[..cut]);
            prop_assert!(begins(&record, &part), "cut at {}", cut);
            // A cut between frames is a whole record; damo's is whole at its end alone.
            prop_assert!(error.is_some() || (!damo_s && cut >= 12), "cut at {}", cut);
        }
    }

    #[test]
    fn a_flipped_bit_in_a_binary_record_is_found(record in record()) {
        let whole = binary(&record);
        // Two bytes of the header say nothing yet.
        for bit in (0..whole.len() * 8).filter(|bit| !(80..96).contains(bit)) {
            let mut flipped = whole.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let (part, error) = read(&flipped);
            prop_assert!(error.is_some(), "bit {}", bit);
            prop_assert!(begins(&record, &part), "bit {}", bit);
        }
    }

    #[test]
    fn all_text_before_a_damage_is_read(record in record(), seed in any::<u64>()) {
        // Not compressed, so that the place of a byte is known: the document ends there.
        let mut whole = Vec::new();
        std::io::Read::read_to_end(&mut flate2::read::ZlibDecoder::new(&damo(&record)[..]), &mut whole).unwrap();
        let at = (seed % whole.len() as u64) as usize;
        whole[at] = 0;
        let (part, error) = read(&whole);
        prop_assert!(begins(&record, &part), "byte {}", at);
        let offset: usize = error.unwrap().split(' ').nth(3).and_then(|n| n.trim_end_matches(':').parse().ok()).unwrap();
        prop_assert!(offset <= at + 1, "byte {}, found at {}", at, offset);
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), as_binary in any::<bool>()) {
        let mut whole = if as_binary { binary(&some(1)) } else { Vec::new() };
        whole.extend(bytes);
        let _ = read(&whole);
    }
}

#[test]
fn a_flipped_bit_in_damos_format_is_found() {
    let record = some(2);
    let whole = damo(&record);
    for bit in 0..whole.len() * 8 {
        let mut flipped = whole.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        // The checksum comes last: what is damaged may have been read by then, and is told all the same. A few bits mean nothing.
        let (part, error) = read(&flipped);
        assert!(error.is_some() || part == record, "bit {bit}");
    }
}

#[test]
fn errors_say_where_and_what() {
    let whole = binary(&some(2));
    let end = whole.len();
    for (bytes, expected) in [
        (&b""[..], "record: at byte 0: this is neither"),
        (
            b"PERFILE2",
            "record: at byte 0: this is neither a record of damo (compressed JSON) nor a binary one; it looks like perf's data: `damo convert",
        ),
        (
            b"       kdamond.0  4452 [000] 82877.315633: damon:damon_aggregated: target_id=0 nr_regions=17 4096-8192: 0 3\n",
            "record: at byte 0: this is neither a record of damo (compressed JSON) nor a binary one; it looks like what `perf script` prints",
        ),
        (
            b"{\"kdamonds\": []}",
            "record: at byte 0: this is neither a record of damo (compressed JSON) nor a binary one; it looks like a JSON object",
        ),
        (b"DAMONREC\x02\0\0\0", "record: at byte 0: version 2 of the binary format is newer than this program"),
        (&whole[..end - 1], "it ends in the middle of a frame"),
        (b"[{\"snapshots\": [{}]}]", "record: at byte 17: missing field `start_time`"),
        (
            b"[{\"snapshots\": [{\"start_time\": -1}]}]",
            "record: at byte 32: invalid type: integer `-1`, expected a number of 0 or more",
        ),
        (b"[1]", "record: at byte 1: expected a record: an object"),
        (b"[{}] x", "record: at byte 5: expected the end of the document"),
        (b"[{}", "record: at byte 3: it ends in the middle of the document"),
    ] {
        let error = read(bytes).1.unwrap();
        assert!(error.contains(expected), "{error}\n{expected}");
    }
}

/// A frame's head that is right, without the payload that it promises.
fn head(kind: u8, length: u32) -> [u8; 11] {
    let mut head = [0; 11];
    head[0] = kind;
    head[1..5].copy_from_slice(&length.to_le_bytes());
    let mut crc = flate2::Crc::new();
    crc.update(&head[..5]);
    head[5..7].copy_from_slice(&(crc.sum() as u16).to_le_bytes());
    head
}

#[test]
fn a_hostile_length_allocates_nothing() {
    let mut whole = binary(&some(1));
    whole.extend(head(2, 0x03ff_ffff));
    assert!(read(&whole).1.unwrap().contains("it ends in the middle of a frame"));
    whole.truncate(whole.len() - 11);
    whole.extend(head(2, u32::MAX));
    assert!(read(&whole).1.unwrap().contains("a frame of more than 67108864 bytes"));
}

/// A stream that is a thousand times as long as its bytes.
fn bomb(text: &str, times: usize) -> Vec<u8> {
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(b"[").unwrap();
    (0..times).for_each(|_| encoder.write_all(text.as_bytes()).unwrap());
    encoder.finish().unwrap()
}

#[test]
fn what_is_endless_is_refused_early() {
    let long = "0,".repeat(1 << 16);
    for (bytes, expected) in [
        (bomb("{},", 1 << 20), "a list of series of more than 33554432 bytes"),
        (bomb(&format!("{{\"target_id\": [{long}"), 16), "a value of more than 1048576 bytes"),
        (bomb(&format!("{{\"x\": \"{long}"), 1), "it ends in the middle of a value"),
        (bomb(&" ".repeat(1 << 20), 64), "it ends in the middle of the document"),
    ] {
        let mut reader = Reader::new(&bytes[..]).unwrap();
        let error = reader.find_map(Result::err).unwrap().to_string();
        assert!(error.contains(expected), "{error}\n{expected}");
    }
    let mut writer = BinaryWriter::new(Vec::new()).unwrap();
    writer.series(&Series::default()).unwrap();
    let page = |n: u64| Region::new(n << 12, (n + 1) << 12);
    let regions = (0..=1 << 20).map(page).collect();
    let refused = writer.snapshot(0, &Snapshot { regions, ..Snapshot::default() }).unwrap_err();
    assert!(refused.to_string().starts_with("1048577 entries are more"), "{refused}");
}

#[test]
fn a_writer_goes_on_after_a_crash() {
    let path = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("append.damonrec");
    let record = some(3);
    let whole = binary(&record);
    // Cut at every byte of the last frame, and what a file system may leave behind it.
    let last = {
        let mut shorter = record.clone();
        shorter[0].1.pop();
        binary(&shorter).len()
    };
    for (cut, zeros) in (last..whole.len()).map(|cut| (cut, 0)).chain([(last, 100)]) {
        let mut file = std::fs::File::create(&path).unwrap();
        file.write_all(&whole[..cut]).unwrap();
        file.write_all(&vec![0; zeros]).unwrap();
        let mut writer = BinaryWriter::append(&path).unwrap();
        assert_eq!(writer.nr_series(), 1);
        writer.snapshot(0, &record[0].1[2]).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), whole, "cut at {cut}");
    }
    // A length that was damaged is no end of the file: what comes behind it would be lost.
    for byte in [13, 14, 15, 20] {
        let mut damaged = whole.clone();
        damaged[byte] ^= 1;
        std::fs::write(&path, &damaged).unwrap();
        assert!(BinaryWriter::append(&path).unwrap_err().to_string().contains("at byte 12: the checksum is wrong"));
        assert_eq!(std::fs::read(&path).unwrap(), damaged, "left as it is");
    }
    // The bytes of the last frame never reached the disk.
    let mut empty = whole.clone();
    empty[last + 20..].fill(0);
    std::fs::write(&path, &empty).unwrap();
    BinaryWriter::append(&path).unwrap().snapshot(0, &record[0].1[2]).unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), whole);
    std::fs::remove_file(&path).unwrap();
    assert_eq!(BinaryWriter::append(&path).unwrap().nr_series(), 0, "a new one");
    assert_eq!(Reader::open(&path).unwrap().count(), 0);
}

#[test]
fn a_region_without_addresses_is_refused_and_nothing_is_written() {
    let mut writer = BinaryWriter::new(Vec::new()).unwrap();
    assert!(matches!(writer.snapshot(0, &Snapshot::default()), Err(WriteError::NoSeries(0))));
    writer.series(&Series::default()).unwrap();
    let before = writer.get_ref().len();
    let wrong = Snapshot { regions: vec![Region::new(0, 4), Region::new(8, 8)], ..Snapshot::default() };
    let error = writer.snapshot(0, &wrong).unwrap_err().to_string();
    assert_eq!(error, "region 0x8..0x8 is empty");
    assert_eq!(writer.get_ref().len(), before);
}
