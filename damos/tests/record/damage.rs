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
    fn a_flipped_bit_in_damos_format_never_panics(record in record(), seed in any::<u64>()) {
        let mut flipped = damo(&record);
        let bit = (seed % (flipped.len() as u64 * 8)) as usize;
        flipped[bit / 8] ^= 1 << (bit % 8);
        let _ = read(&flipped);
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), as_binary in any::<bool>()) {
        let mut whole = if as_binary { binary(&some(1)) } else { Vec::new() };
        whole.extend(bytes);
        let _ = read(&whole);
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
            "record: at byte 0: this is neither a record of damo (compressed JSON) nor a binary one; it looks like perf's data",
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

#[test]
fn a_hostile_length_allocates_nothing() {
    let mut whole = binary(&some(1));
    whole.extend([2, 0xff, 0xff, 0xff, 0x03, 1, 2, 3, 4, 5]);
    assert!(read(&whole).1.unwrap().contains("it ends in the middle of a frame"));
    whole.truncate(whole.len() - 10);
    whole.extend([2, 0xff, 0xff, 0xff, 0xff, 1, 2, 3, 4, 5]);
    assert!(read(&whole).1.unwrap().contains("a frame of more than 67108864 bytes"));
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
    let mut damaged = whole.clone();
    damaged[20] ^= 1;
    std::fs::write(&path, &damaged).unwrap();
    assert!(BinaryWriter::append(&path).unwrap_err().to_string().contains("at byte 12: the checksum is wrong"));
    assert_eq!(std::fs::read(&path).unwrap(), damaged, "left as it is");
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
