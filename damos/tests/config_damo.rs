//! damo takes what is written here, and what it writes of that means the same here.
//!
//! Needs damo 3.4.3, its path in `DAMO`: `.ci/jobs/damo` installs it. `damo args damon` on a file converts that file
//! and nothing else; it asks to be root all the same.
#![cfg(feature = "config")]
#![allow(clippy::unwrap_used, reason = "helpers of tests, too")]

use std::path::Path;
use std::process::Command;

use damos::config::Document;

const RICH: &str = include_str!("damo/kdamonds-rich.json");

/// What damo makes of a document.
fn through_damo(name: &str, document: &Document) -> Document {
    let damo = std::env::var_os("DAMO").expect("DAMO is damo's path; `.ci/jobs/damo` sets it");
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&file, document.to_string()).unwrap();
    let output =
        Command::new(damo).args(["args", "damon", "--format", "json", "--kdamonds"]).arg(&file).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{}{text}", String::from_utf8_lossy(&output.stderr));
    text.parse().unwrap_or_else(|e| panic!("{e}\n{text}"))
}

#[test]
#[ignore = "needs damo: .ci/jobs/damo"]
fn a_document_with_every_field_goes_through_damo_unchanged() {
    let document: Document = RICH.parse().unwrap();
    assert_eq!(through_damo("rich.json", &document), document);
}

#[test]
#[ignore = "needs damo: .ci/jobs/damo"]
fn a_document_in_other_units_goes_through_damo_unchanged() {
    let json = r#"{"kdamonds":[{"contexts":[{"ops":"paddr","targets":[{"pid":null,"regions":[{"start":"0","end":"4 GiB"}]}],
        "schemes":[{"access_pattern": {"sz_bytes": {"min": "min", "max": "1.5 TiB"},
            "nr_accesses": {"min": "3 samples", "max": "max samples"}, "age": {"min": "10 aggr_intervals", "max": "1,000 aggr_intervals"}},
            "watermarks": {"metric": "free_mem_rate", "interval_us": "1 d 2 h 3 m 4 s 5 ms 6 us",
                "high_permil": "12.5 %", "mid_permil": 7, "low_permil": 0}}]}]}]}"#;
    let document: Document = json.parse().unwrap();
    assert_eq!(through_damo("units.json", &document), document);
}

#[test]
#[ignore = "needs damo: .ci/jobs/damo"]
fn of_a_size_that_three_decimals_cannot_say_damo_reads_all() {
    let json = r#"{"kdamonds":[{"contexts":[{"ops":"fvaddr","addr_unit":"4097",
        "targets":[{"pid":1,"regions":[{"start":4097,"end":"8,193"}]}]}]}]}"#;
    let document: Document = json.parse().unwrap();
    assert_eq!(document.kdamonds[0].contexts[0].addr_unit.to_string(), "4097 B");
    let read = through_damo("odd.json", &document);
    assert_eq!(read.kdamonds[0].contexts[0].targets, document.kdamonds[0].contexts[0].targets);
    // damo prints it in six decimals: 4.000977 KiB.
    assert_eq!(read.kdamonds[0].contexts[0].addr_unit, document.kdamonds[0].contexts[0].addr_unit);
}
