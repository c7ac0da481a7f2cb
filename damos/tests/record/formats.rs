//! Both formats say the same.

use damos::record::{Item, Reader, Region, Snapshot, to_binary, to_damo};
use proptest::prelude::*;

use crate::support::{binary, damo, read, record};

proptest! {
    #[test]
    fn a_record_is_what_was_recorded_in_either_format(record in record()) {
        prop_assert_eq!(read(&binary(&record)), (record.clone(), None));
        prop_assert_eq!(read(&damo(&record)), (record, None));
    }

    #[test]
    fn each_format_becomes_the_other_and_is_the_same_again(record in record()) {
        let (ours, theirs) = (binary(&record), damo(&record));
        let to_ours = to_binary(Reader::new(&theirs[..]).unwrap(), Vec::new()).unwrap();
        prop_assert_eq!(&to_ours, &ours);
        let to_theirs = to_damo(|| Reader::new(&ours[..]), Vec::new()).unwrap();
        prop_assert_eq!(to_theirs, theirs);
    }
}

#[test]
fn fields_may_come_in_any_order_and_numbers_in_any_form() {
    let json = br#"[ {"snapshots": [
            {"regions": [{"end": "8.000 KiB", "start": "4,096", "age": {"aggr_intervals": "1,107", "usec": null},
                          "nr_accesses": {"percent": null, "samples": "3"}, "new_in_damo_9": {"x": [1]}}],
             "start_time": "1,000", "end_time": 2000.0, "sample_interval_us": "5 ms"}
        ], "target_id": "a", "unknown": 1}, {"target_id": 2, "snapshots": []} ]"#;
    let (record, error) = read(json);
    assert_eq!(error, None);
    let region = Region { nr_accesses: 3, age: 1_107, ..Region::new(4_096, 8_192) };
    let sampling = Some(std::time::Duration::from_millis(5));
    assert_eq!(
        record[0].1,
        [Snapshot { start_ns: 1_000, end_ns: 2_000, sampling, regions: vec![region], ..Snapshot::default() }]
    );
    assert_eq!(record[0].0.target_id, Some(damos::record::TargetName::Text("a".into())), "it came after the snapshots");
    assert_eq!(record.len(), 2);
}

/// Published records of real servers, where they are beside the checkout: read whole, sums as computed from the same JSON by
/// other means.
#[test]
fn real_records_read_whole() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/records");
    let Ok(folders) = std::fs::read_dir(&root) else {
        eprintln!("NOT TESTED: no records in {}", root.display());
        return;
    };
    let files =
        folders.flatten().filter_map(|f| std::fs::read_dir(f.path()).ok()).flat_map(|f| f.flatten().map(|f| f.path()));
    let mut read = 0;
    for path in files.filter(|path| path.extension().is_none_or(|e| e != "kdamonds")) {
        let items = Reader::open(&path).unwrap().collect::<Result<Vec<_>, _>>().unwrap();
        let mut text = Vec::new();
        std::io::Read::read_to_end(&mut flate2::read::ZlibDecoder::new(std::fs::File::open(&path).unwrap()), &mut text)
            .unwrap();
        let json: serde_json::Value = serde_json::from_slice(&text).unwrap();
        let number = |v: &serde_json::Value| v.as_str().unwrap().replace(',', "").parse::<u64>().unwrap();
        for (of_series, record) in json.as_array().unwrap().iter().enumerate() {
            let snapshots = items.iter().filter_map(|i| match i {
                Item::Snapshot(n, s) if *n == of_series => Some(s),
                _ => None,
            });
            for (s, expected) in snapshots.zip(record["snapshots"].as_array().unwrap()) {
                let regions = expected["regions"].as_array().unwrap();
                assert_eq!(s.regions.len(), regions.len(), "{path:?}");
                assert_eq!((s.start_ns, s.end_ns), (number(&expected["start_time"]), number(&expected["end_time"])));
                for (r, e) in s.regions.iter().zip(regions) {
                    assert_eq!((r.start, r.end), (number(&e["start"]), number(&e["end"])), "{path:?}");
                    assert_eq!(u64::from(r.nr_accesses), e["nr_accesses"]["samples"].as_u64().unwrap());
                    assert_eq!(u64::from(r.age), number(&e["age"]["aggr_intervals"]));
                }
                read += 1;
            }
        }
    }
    assert!(read >= 20, "only {read} snapshots");
}

#[test]
fn what_fuzzing_begins_with_is_a_record_in_each_format() {
    let seeds = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/seeds/records");
    let items = |name: &str| Reader::open(seeds.join(name)).unwrap().collect::<Result<Vec<_>, _>>().unwrap();
    let all = items("record.json");
    assert_eq!(all.len(), 5);
    for name in ["record.damon", "record.damonrec"] {
        assert_eq!(items(name), all, "{name}");
    }
    assert!(items("demo.damonrec").iter().any(|item| matches!(item, Item::Mappings(..))));
    let perf = Reader::open(seeds.join("record.perf")).unwrap_err().to_string();
    assert!(perf.contains("`perf script` prints"), "{perf}");
}
