use super::*;

const RIGHT: &str = r#"{"name": "n", "about": "a", "page_bytes": 4096, "pages": 1000, "ranges": [[0, 10], [20, 1000]],
    "attrs": {"sample_us": 5000, "aggr_us": 100000, "min_nr_regions": 10, "max_nr_regions": 100, "max_checks": 5},
    "aggregations": 40, "warmup_aggregations": 10, "hot_rate": 0.5,
    "phases": [{"aggregations": 2, "spans": [[0, 30, 1.5], [10, 20, 0]]}, {"aggregations": 1, "spans": []}]}"#;

fn error(from: &str, to: &str) -> String {
    assert!(RIGHT.contains(from), "{from}");
    Scenario::parse("x.json", &RIGHT.replace(from, to)).unwrap_err().to_string()
}

#[test]
fn a_scenario_says_what_is_monitored_how_and_the_truth() {
    let s = Scenario::parse("x.json", RIGHT).unwrap();
    let range = |first: u64, end: u64| AddrRange::new(first * 4096, end * 4096).unwrap();
    assert_eq!(s.ranges(), [range(0, 10), range(20, 1000)]);
    let (first, place) = s.cycle().at(4).unwrap();
    assert_eq!(first.heats(), [Heat::reads(range(0, 10), 1.5), Heat::reads(range(20, 30), 1.5)]);
    assert_eq!((place.phase, place.since, place.of), (0, 1, 2));
    let attrs = s.attrs(Adjust::Classic, None).unwrap();
    assert_eq!((attrs.samples_per_aggregation(), attrs.spec().max_checks), (20, Some(5)));
    assert_eq!(s.attrs(Adjust::Classic, Some(7)).unwrap().spec().max_checks, Some(7));
}

#[test]
fn errors_name_scenario_field_phase_and_span() {
    for (from, to, message) in [
        ("[10, 20, 0]", "[10, 10, 0]", "phases[0].spans[1] is 10..10, but must be at least a page below page 1000"),
        ("[0, 30, 1.5]", "[0, 1001, 1]", "phases[0].spans[0] is 0..1001, but must be at least a page below page 1000"),
        ("[10, 20, 0]", "[10, 20, -1]", "phases[0].spans[1].hz is -1, but must be 0 or more"),
        (r#""aggregations": 1,"#, r#""aggregations": 0,"#, "phases[1].aggregations is 0, but must be at least 1"),
        ("[20, 1000]", "[9, 1000]", "ranges[1] is 9..1000, but must be above the one before it"),
        ("[[0, 10], [20, 1000]]", "[]", "ranges is [], but must be left out, or at least one"),
        ("4096", "4095", "page_bytes is 4095, but must be a power of two"),
        (
            r#""pages": 1000"#,
            r#""pages": 4503599627370496"#,
            "pages is 4503599627370496, but must be at least 1, and all of them below 2^64 bytes",
        ),
        ("0.5", "0", "hot_rate is 0, but must be above 0, at most 1"),
        (
            r#""warmup_aggregations": 10"#,
            r#""warmup_aggregations": 40"#,
            "warmup_aggregations is 40, but must be below aggregations, 40",
        ),
        (r#""min_nr_regions": 10"#, r#""min_nr_regions": 2"#, "attrs: min_nr_regions is 2, but must be at least 3"),
    ] {
        assert_eq!(error(from, to).strip_prefix("scenario n: "), Some(message));
    }
}

#[test]
fn what_is_not_of_the_format_is_said_with_file_and_line() {
    let e = error("hot_rate", "hot_rat");
    assert!(e.starts_with("x.json: unknown field `hot_rat`, expected one of") && e.contains("at line 3"), "{e}");
    let e = error("max_checks", "max_check");
    assert!(e.starts_with("x.json: unknown field `max_check`"), "{e}");
    let e = error("[0, 30, 1.5]", "[0, 30]");
    assert!(e.starts_with("x.json: invalid length 2, expected a tuple of size 3 at line 4"), "{e}");
    let e = Scenario::read("/nowhere/x.json").unwrap_err().to_string();
    assert!(e.starts_with("/nowhere/x.json: "), "{e}");
}

#[test]
fn the_scenarios_beside_this_crate_are_right_and_a_third_of_them_change() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    let page = std::fs::read_to_string(dir.join("README.md")).unwrap();
    for (folder, count) in [("", 8), ("own/", 8), ("held-out/", 8), ("scattered/", 3)] {
        let mut changing = 0;
        let mut names: Vec<String> = Vec::new();
        for entry in std::fs::read_dir(dir.join(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|e| e == "json") {
                let scenario = Scenario::read(&path).unwrap();
                let name = &scenario.spec().name;
                assert_eq!(path.file_stem().unwrap(), name.as_str());
                assert!(folder.is_empty() || page.contains(&format!("| `{folder}{name}` |")), "{name} is in no table");
                changing += usize::from(scenario.spec().phases.len() > 1);
                names.push(name.clone());
            }
        }
        assert_eq!(names.len(), count, "{folder}: {names:?}");
        assert!(folder.is_empty() || changing * 3 >= count, "{folder}: {changing} change");
    }
}
