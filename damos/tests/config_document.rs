//! damo's documents: all fields are kept, and what is not one is refused with its place.
#![cfg(feature = "config")]
#![allow(clippy::unwrap_used, reason = "helpers of tests, too")]

use damos::config::{Document, Refusals};
use serde_json::Value;

const RICH: &str = include_str!("damo/kdamonds-rich.json");

fn value(json: &str) -> Value {
    serde_json::from_str(json).unwrap()
}

/// The places where two documents differ, and how.
fn differences(at: &str, old: &Value, new: &Value, out: &mut Vec<String>) {
    match (old, new) {
        (Value::Object(old), Value::Object(new)) => {
            for key in old.keys().chain(new.keys().filter(|k| !old.contains_key(*k))) {
                let at = format!("{at}.{key}");
                match (old.get(key), new.get(key)) {
                    (Some(old), Some(new)) => differences(&at, old, new, out),
                    (old, new) => out.push(format!("{at}: {} -> {}", text(old), text(new))),
                }
            }
        }
        (Value::Array(old), Value::Array(new)) if old.len() == new.len() => {
            for (i, (old, new)) in old.iter().zip(new).enumerate() {
                differences(&format!("{at}[{i}]"), old, new, out);
            }
        }
        _ if old == new => {}
        _ => out.push(format!("{at}: {old} -> {new}")),
    }
}

fn text(v: Option<&Value>) -> String {
    v.map_or("nothing".into(), ToString::to_string)
}

#[test]
fn a_document_with_every_field_is_written_as_it_was_but_for_canonical_texts() {
    let document: Document = RICH.parse().unwrap();
    let written = document.to_string();
    let mut found = Vec::new();
    differences(
        "",
        &value(RICH)["kdamonds"][0]["contexts"][0],
        &value(&written)["kdamonds"][0]["contexts"][0],
        &mut found,
    );
    assert_eq!(
        found,
        [
            r#".probes[2].filters[0].range_max: nothing -> null"#,
            r#".probes[2].filters[0].range_min: nothing -> null"#,
            r#".probes[2].filters[1].range_max: "1 GiB" -> "1024.000 MiB""#,
            r#".probes[2].filters[1].range_min: "2 MiB" -> "2.000 MiB""#,
            r#".schemes[0].filters[0].address_range.end: 8192 -> "8,192""#,
            r#".schemes[0].filters[0].address_range.start: 4096 -> "4,096""#,
            r#".schemes[0].filters[1].damon_target_idx: 0 -> "0""#,
            r#".schemes[0].filters[6].hugepage_size[0]: 2097152 -> "2.000 MiB""#,
            r#".schemes[0].filters[6].hugepage_size[1]: 1073741824 -> "1024.000 MiB""#,
            r#".schemes[0].filters[8].probe_hits_wsum_range[0]: 1 -> "1""#,
            r#".schemes[0].filters[8].probe_hits_wsum_range[1]: 100 -> "100""#,
        ]
    );
    assert_eq!(written.parse::<Document>().unwrap(), document);
    assert_eq!(written.parse::<Document>().unwrap().to_string(), written, "what is canonical stays");
}

#[test]
fn what_is_left_out_is_what_damo_takes_it_for() {
    let document: Document =
        r#"{"kdamonds": [{"contexts": [{"ops": "paddr", "targets": [], "schemes": [{}]}]}]}"#.parse().unwrap();
    let context = &value(&document.to_string())["kdamonds"][0]["contexts"][0];
    for (pointer, expected) in [
        ("/addr_unit", r#""1 B""#),
        ("/intervals/aggr_us", r#""100 ms""#),
        ("/intervals/intervals_goal/aggrs", r#""0""#),
        ("/nr_regions/max", r#""1,000""#),
        ("/sample_control/primitives_enabled", r#"{"page_fault":false,"page_table":true}"#),
        ("/schemes/0/action", r#""stat""#),
        ("/schemes/0/quotas/reset_interval_ms", r#""max""#),
        ("/schemes/0/access_pattern/nr_accesses/max", r#""18,446,744,073,709,551,615 %""#),
        ("/schemes/0/watermarks/metric", r#""none""#),
    ] {
        assert_eq!(context.pointer(pointer).map(ToString::to_string).as_deref(), Some(expected), "{pointer}");
    }
}

#[test]
fn each_error_names_its_place() {
    for (pointer, new, expected) in [
        ("/targets/0/pid", r#""init""#, "targets[0].pid: \"init\" is not a whole number"),
        (
            "/schemes/0/quotas/time_ms",
            r#""5 parsecs""#,
            "schemes[0].quotas.time_ms: \"5 parsecs\" is not a time such as",
        ),
        ("/schemes/0/quotas/goals/2/nid", r#"[1]"#, "schemes[0].quotas.goals[2].nid: invalid type: sequence, expected"),
        (
            "/schemes/0/filters/0/filter_type",
            r#""colour""#,
            "schemes[0].filters[0].filter_type: unknown variant `colour`",
        ),
        ("/schemes/0/filters/6/hugepage_size", r#"["2 MiB"]"#, "schemes[0].filters[6].hugepage_size: invalid length 1"),
        ("/intervals/sample_us", "-5", "intervals.sample_us: \"-5\" is not a time such as"),
        ("/intervals/sample_us", "0.5", "intervals.sample_us: \"0.5\" is not a time such as"),
        ("/pause", r#""maybe""#, "pause: invalid value: string \"maybe\", expected true, false"),
        ("/nr_regions", r#"{"min": 10}"#, "nr_regions: missing field `max`"),
        ("/schemes/0/quotas", r#"{"time_ms": 1, "weight": 2}"#, "schemes[0].quotas.weight: unknown field `weight`"),
        ("/targets/0", r#"{"regions": []}"#, "targets[0]: missing field `pid`"),
        ("", r#"{"ops": "paddr", "targets": [], "ops_attrs": {}}"#, "ops_attrs: unknown field `ops_attrs`"),
    ] {
        let mut document = value(RICH);
        let at = format!("/kdamonds/0/contexts/0{pointer}");
        *document.pointer_mut(&at).unwrap() = value(new);
        let error = document.to_string().parse::<Document>().unwrap_err().to_string();
        let expected = format!("kdamonds[0].contexts[0].{expected}");
        assert!(error.starts_with(&expected), "{error}\n  is not\n{expected}");
    }
}

#[test]
fn what_is_no_document_is_refused() {
    for (json, expected) in [
        ("", ".: EOF while parsing"),
        ("{}", ".: missing field `kdamonds`"),
        (r#"{"kdamonds": []} x"#, ".: trailing characters"),
        (r#"{"kdamonds": [], "kdamonds": []}"#, ".: duplicate field `kdamonds`"),
        (r#"{"kdamonds": [{}]}"#, "kdamonds[0]: missing field `contexts`"),
    ] {
        let error = json.parse::<Document>().unwrap_err().to_string();
        assert!(error.starts_with(expected), "{json}: {error}");
    }
}

#[test]
fn words_for_yes_and_older_names_are_read() {
    let json = r#"{"kdamonds": [{"state": "on", "pid": "1,234", "refresh_ms": "5 ms", "contexts": [{"ops": "vaddr", "pause": "Yes",
        "targets": [{"pid": "42", "obsolete": "n", "regions": []}],
        "schemes": [{"filters": [{"filter_type": "anon", "matching": "true", "filter_pass": true, "memcg_path": ""}]}]}]}]}"#;
    let written = value(&json.parse::<Document>().unwrap().to_string());
    let kdamond = &written["kdamonds"][0];
    assert_eq!((&kdamond["state"], &kdamond["pid"], &kdamond["refresh_ms"]), (&"on".into(), &1_234.into(), &5.into()));
    let context = &kdamond["contexts"][0];
    assert_eq!((&context["pause"], &context["targets"][0]["pid"]), (&true.into(), &42.into()));
    let filter = &context["schemes"][0]["filters"][0];
    assert_eq!((&filter["allow"], &filter["memcg_path"]), (&true.into(), &Value::Null));
}

#[test]
fn all_that_cannot_be_done_is_said_at_once() {
    let refusals: Refusals = RICH.parse::<Document>().unwrap().configs(&()).unwrap_err();
    let paths: Vec<_> = refusals.iter().map(|r| r.path.as_str()).collect();
    assert!(paths.len() > 5 && paths.iter().all(|p| p.starts_with("kdamonds[0].contexts[0].")), "{refusals}");
}
