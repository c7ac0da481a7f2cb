//! Records in both formats: the bytes as they come, and behind checksums and a compression that are right, which chance would never
//! find. What is read is told the place of; it survives the journey through the binary format, and figures take it however wild.
#![no_main]

use std::io::Write;

use damon_core::Action;
use damos::record::figures::{Axis, HeatGrid, HeatUnit, Survey, Timing, idle_time_us};
use damos::record::{Item, Reader, Replay, Wrong, to_binary};
use damos::scheme::Scheme;
use libfuzzer_sys::fuzz_target;

fn read(bytes: &[u8]) -> Vec<Item> {
    let mut items = Vec::new();
    match Reader::new(bytes) {
        Ok(reader) => {
            for item in reader {
                match item {
                    Ok(item) => items.push(item),
                    Err(e) => {
                        assert!(!matches!(e.wrong, Wrong::Io(_)), "memory fails in no other way: {e}");
                        assert!(e.uncompressed || e.offset <= bytes.len() as u64, "{e}");
                    }
                }
            }
        }
        Err(e) => assert_eq!(e.offset, 0),
    }
    items
}

/// The frames of a binary record, with checksums that are right whatever became of them.
fn resealed(record: &[u8]) -> Vec<u8> {
    let mut out = b"DAMONREC\x01\0\0\0".to_vec();
    let mut rest = record.get(12..).unwrap_or_default();
    while let Some(([kind, a, b, c, d, ..], more)) = rest.split_at_checked(11) {
        let (payload, next) = more.split_at(more.len().min(u32::from_le_bytes([*a, *b, *c, *d]) as usize));
        let mut head = vec![kind % 5];
        head.extend((payload.len() as u32).to_le_bytes());
        let mut crc = crc32fast::Hasher::new();
        crc.update(&head);
        head.extend((crc.clone().finalize() as u16).to_le_bytes());
        crc.update(payload);
        head.extend(crc.finalize().to_le_bytes());
        out.extend(head);
        out.extend(payload);
        rest = next;
    }
    out
}

fn compressed(text: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

fn figures(items: &[Item]) {
    let mut survey = Survey::default();
    items.iter().for_each(|item| survey.add(item));
    for (n, s) in survey.series().iter().enumerate() {
        assert!(s.ranges().is_sorted_by(|a, b| a.end < b.start) && s.ranges().iter().all(|r| r.start < r.end));
        let axis = |start: u64, end: u64| Axis::new(start, end, 3).or(Axis::new(0, 9, 3)).unwrap();
        let space = s.hottest().map_or(axis(0, 9), |r| axis(r.start, r.end));
        let mut grid = HeatGrid::new(axis(s.start_ns, s.end_ns), space, HeatUnit::Hz);
        let mut replay = Replay::new(vec![Scheme::new(Action::Stat)]);
        for item in items {
            let Item::Snapshot(of, snapshot) = item else { continue };
            if *of == n {
                grid.add(&s.series, snapshot);
                let _ = (snapshot.working_set_bytes(1), grid.range());
                assert!((0..9).all(|i| grid.unseen(i / 3, i % 3) >= 0.0));
                if let Some(timing) = Timing::of(&s.series, snapshot) {
                    let _ = (snapshot.bandwidth(&timing), idle_time_us(snapshot, &timing, &[0.0, 50.0, 100.0]));
                }
                let _ = replay.step(&s.series, snapshot, &mut (), &mut |_| ());
            }
        }
    }
}

fuzz_target!(|input: &[u8]| {
    let [form, bytes @ ..] = input else { return };
    let (text, behind) = bytes.split_at(bytes.len() / 2);
    let record = match form % 4 {
        0 => bytes.to_vec(),
        1 => resealed(bytes),
        2 => compressed(bytes),
        _ => [&compressed(text), behind].concat(),
    };
    let items = read(&record);
    figures(&items);
    if let Ok(copy) = Reader::new(&record[..]).map_err(Into::into).and_then(|reader| to_binary(reader, Vec::new())) {
        assert_eq!(read(&copy), items);
    }
});
