//! Documents as this library's values: what can be done is done, what cannot is refused with its place and the reason.
#![cfg(feature = "config")]
#![allow(clippy::unwrap_used, reason = "helpers of tests, too")]

use std::collections::BTreeMap;
use std::time::Duration;

use damon_core::control::priority::Weights;
use damon_core::control::watermarks::Marks;
use damon_core::{Action, AddrRange, Bp, Dest, Filter, Metric, NodeId, PageFilter, TargetId};
use damos::config::document::OpsKind;
use damos::config::{Config, Document};
use damos::scheme::{AccessPattern, Age, CoreFilter, CoreFilterKind, Freq, Goal, Quota, Scheme, Tuner, Watermarks};
use serde_json::{Value, json};

const RICH: &str = include_str!("damo/kdamonds-rich.json");

fn cgroups() -> BTreeMap<String, u64> {
    [("/user.slice", 11), ("/workload", 12), ("/foo", 13)].map(|(path, id)| (path.to_string(), id)).into()
}

/// Without what is refused.
fn honoured() -> Value {
    let mut document: Value = serde_json::from_str(RICH).unwrap();
    let context = &mut document["kdamonds"][0]["contexts"][0];
    context.as_object_mut().unwrap().remove("sample_control");
    context["probes"][2]["preps"].as_array_mut().unwrap().remove(0);
    context["probes"][2]["filters"].as_array_mut().unwrap().remove(0);
    context["schemes"][0]["filters"].as_array_mut().unwrap().remove(8);
    document
}

fn config(document: &Value) -> Config {
    let document: Document = document.to_string().parse().unwrap();
    document.configs(&cgroups()).unwrap().remove(0)
}

fn refusals(document: &Value) -> Vec<String> {
    let document: Document = document.to_string().parse().unwrap();
    document.configs(&cgroups()).unwrap_err().iter().map(ToString::to_string).collect()
}

#[test]
fn of_every_field_four_cannot_be_honoured_and_are_named() {
    assert_eq!(
        refusals(&serde_json::from_str(RICH).unwrap()),
        [
            "sample_control: how accesses are sampled is the backend's to choose: leave it out",
            "probes[2].preps[0]: pages are not prepared here: backends read accesses without marking pages idle",
            "probes[2].filters[0]: whether a page is marked idle is not tested here",
            "schemes[0].filters[8]: schemes do not filter by probe hits here",
        ]
        .map(|refusal| format!("kdamonds[0].contexts[0].{refusal}"))
    );
}

#[test]
fn the_rest_comes_back_as_the_same_document() {
    let document: Document = honoured().to_string().parse().unwrap();
    let config = document.configs(&cgroups()).unwrap().remove(0);
    assert_eq!(Document::from(config.to_context(&cgroups()).unwrap()), document);
}

#[test]
fn the_rest_means_what_it_says() {
    let Config { ops, attrs, targets, schemes, paused, .. } = config(&honoured());
    assert_eq!(
        (ops, paused, targets[0].pid, targets[0].spec.id),
        (OpsKind::Vaddr, false, Some(1_234), TargetId::new(0))
    );
    let goal = attrs.intervals_goal.unwrap();
    assert_eq!((goal.access_bp, goal.aggregations, goal.max_sampling), (Bp(400), 3, Duration::from_secs(10)));
    assert_eq!(attrs.probes.iter().map(|p| p.weight).collect::<Vec<_>>(), [10, 3, 1]);
    assert_eq!(attrs.probes[1].filters[0].page, PageFilter::Memcg(11));
    assert_eq!(attrs.probes[2].filters[0].page, PageFilter::HugepageSize { min: 2 << 20, max: 1 << 30 });

    let page = |page, allow| Filter { page, matching: true, allow };
    let goal = |metric, target_value| Goal::new(metric, target_value);
    let dest = |node, weight| Dest { node: NodeId(node), weight };
    let expected = Scheme {
        pattern: AccessPattern {
            size: 4_096..=u64::MAX,
            freq: Freq::Percent(5..=u32::MAX),
            age: Age::Time(Duration::from_secs(1)..=Duration::MAX),
            counts: damos::scheme::Counts::Raw,
        },
        apply_interval: Duration::from_secs(1),
        dests: vec![dest(0, 2), dest(1, 1)],
        quota: Quota {
            size: 200 << 20,
            time: Duration::from_millis(10),
            reset_interval: Duration::from_secs(1),
            fail_charge: Some((1, 4_096)),
            weights: Weights { size: 0, nr_accesses: 1_000, age: 1_000 },
            goals: vec![
                goal(Metric::NodeMemUsedBp(NodeId(0)), 9_970),
                goal(Metric::NodeMemcgUsedBp(NodeId(0), 12), 9_500),
                goal(Metric::SomeMemPsiUs, 10_000),
                Goal { current_value: 9_000, ..goal(Metric::UserInput, 10_000) },
            ],
            tuner: Tuner::Temporal,
        },
        watermarks: Some(Watermarks {
            metric: Metric::FreeMemRatePermille,
            interval: Duration::from_secs(5),
            marks: Marks { high: 500, mid: 400, low: 50 },
        }),
        core_filters: vec![
            CoreFilter {
                kind: CoreFilterKind::Addr(AddrRange::new(4_096, 8_192).unwrap()),
                matching: false,
                allow: false,
            },
            CoreFilter { kind: CoreFilterKind::Target(TargetId::new(0)), matching: true, allow: false },
        ],
        filters: vec![
            page(PageFilter::Anon, true),
            page(PageFilter::Active, false),
            page(PageFilter::Memcg(13), false),
            page(PageFilter::Young, false),
            page(PageFilter::HugepageSize { min: 2 << 20, max: 1 << 30 }, true),
            page(PageFilter::Unmapped, false),
        ],
        ..Scheme::new(Action::MigrateHot)
    };
    assert_eq!(schemes, [expected]);
}

#[test]
fn each_refusal_names_the_place_and_the_reason() {
    for (pointer, new, expected) in [
        ("/targets/0/pid", json!(null), "targets[0].pid: is missing: say whose virtual memory"),
        (
            "/targets/0/obsolete",
            json!(true),
            "targets[0].obsolete: a target that is not wanted is left out of the list",
        ),
        (
            "/targets/0/regions",
            json!([{"start": 0, "end": 1}]),
            "targets[0].regions: vaddr finds the regions by itself: leave them out, or use fvaddr to keep to them",
        ),
        ("/ops", json!("fvaddr"), "targets[0].regions: is missing: say which ranges, or use vaddr for all"),
        ("/ops", json!("paddr"), "targets[0].pid: physical memory is nobody's: use null"),
        ("/addr_unit", json!(3), "addr_unit: is 3 B, but must be such that a page has a power of two of them"),
        ("/addr_unit", json!(0), "addr_unit: is 0, but must be at least 1"),
        ("/intervals/aggr_us", json!("4 ms"), "intervals.aggr_us: is 4ms, but must be at least sampling, 5ms"),
        (
            "/intervals/intervals_goal/access_bp",
            json!("101 %"),
            "intervals.intervals_goal.access_bp: is 10100, but must be 1 to 10,000 basis points",
        ),
        ("/nr_regions/min", json!(2), "nr_regions.min: is 2, but must be at least 3"),
        ("/probes/1/filters/0/path", json!(null), "probes[1].filters[0].path: is missing: say which cgroup"),
        ("/probes/0/filters/0/path", json!("/foo"), "probes[0].filters[0].path: is of no use to this kind of filter"),
        ("/schemes/0/action", json!("pageout"), "schemes[0].dests: is of no use to actions that do not migrate"),
        ("/schemes/0/dests", json!([]), "schemes[0].target_nid: is missing: say where to migrate to"),
        ("/schemes/0/target_nid", json!(1), "schemes[0].target_nid: there are dests as well: leave one of the two out"),
        (
            "/schemes/0/dests/1/id",
            json!(65_536),
            "schemes[0].dests[1].id: is 65536, but must be the number of a node, 0 to 65,535",
        ),
        (
            "/schemes/0/access_pattern/nr_accesses/min",
            json!("3 samples"),
            "schemes[0].access_pattern.nr_accesses.max: \
             is 18,446,744,073,709,551,615 %, but must be in the same unit as min",
        ),
        (
            "/schemes/0/access_pattern/nr_accesses/min",
            json!("5.5 %"),
            "schemes[0].access_pattern.nr_accesses.min: is 5.5 %, but must be a whole number of percent",
        ),
        (
            "/schemes/0/access_pattern/age/max",
            json!("1 ms"),
            "schemes[0].access_pattern.age.min: is 1s, but must be at most max, 1ms",
        ),
        (
            "/schemes/0/quotas/fail_charge_denom",
            json!(0),
            "schemes[0].quotas.fail_charge_denom: is 0, but must be what fail_charge_num is divided by, at least 1",
        ),
        (
            "/schemes/0/quotas/goals/0/complement",
            json!(true),
            "schemes[0].quotas.goals[0].complement: \
             a goal on the rest of the whole has to name that: node_mem_free_bp, not used",
        ),
        ("/schemes/0/quotas/goals/0/nid", json!(null), "schemes[0].quotas.goals[0].nid: is missing: say of which node"),
        ("/schemes/0/quotas/goals/2/nid", json!(1), "schemes[0].quotas.goals[2].nid: is of no use to this metric"),
        (
            "/schemes/0/quotas/goals/1/memcg_path",
            json!("/elsewhere"),
            "schemes[0].quotas.goals[1].memcg_path: there is no cgroup \"/elsewhere\"",
        ),
        (
            "/schemes/0/quotas/goals/0/target_value",
            json!("10 ms"),
            "schemes[0].quotas.goals[0].target_value: \
             is 10 ms, but must be a part in percent or a number of basis points",
        ),
        (
            "/schemes/0/quotas/goals/3/target_value",
            json!(0),
            "schemes[0].quotas.goals[3].target_value: \
             is 0, but must be a plain number, at least 1: nothing can be measured against 0",
        ),
        (
            "/schemes/0/watermarks/mid_permil",
            json!("60 %"),
            "schemes[0].watermarks.mid_permil: is 60 %, but must be at most high_permil, 50 %",
        ),
        (
            "/schemes/0/filters/0/address_range/end",
            json!(4_096),
            "schemes[0].filters[0].address_range.end: is 4,096, but must be more than start, 4,096",
        ),
        (
            "/schemes/0/filters/1/damon_target_idx",
            json!(1),
            "schemes[0].filters[1].damon_target_idx: is 1, but must be the place of a target, of which there are 1",
        ),
        (
            "/schemes/0/filters/6/hugepage_size",
            json!(null),
            "schemes[0].filters[6].hugepage_size: is missing: say which sizes",
        ),
    ] {
        let mut document = honoured();
        *document.pointer_mut(&format!("/kdamonds/0/contexts/0{pointer}")).unwrap() = new;
        assert_eq!(refusals(&document), [format!("kdamonds[0].contexts[0].{expected}")]);
    }
}

#[test]
fn values_of_goals_are_read_in_their_metrics_units() {
    let mut document = honoured();
    let goals = &mut document["kdamonds"][0]["contexts"][0]["schemes"][0]["quotas"]["goals"];
    goals[0]["target_value"] = json!("99.7 %");
    goals[2]["target_value"] = json!("10 ms");
    assert_eq!(config(&document).schemes, config(&honoured()).schemes);
}

#[test]
fn what_is_only_said_among_the_figures_is_kept() {
    let mut document = honoured();
    document["kdamonds"][0]["contexts"][0]["schemes"][0]["stats"] = json!({
        "nr_tried": "1,000", "sz_tried": "1.000 GiB", "nr_applied": 7, "sz_applied": "max", "sz_ops_filter_passed": 0,
        "qt_exceeds": 0, "max_nr_snapshots": "12"
    });
    let config = config(&document);
    assert_eq!(config.schemes[0].max_nr_snapshots, Some(12));
    let stats = config.to_context(&cgroups()).unwrap().schemes.remove(0).stats.unwrap();
    assert_eq!((stats.max_nr_snapshots.0, stats.nr_tried.0), (12, 0));
}

#[test]
fn what_documents_have_no_words_for_is_refused_too() {
    type Change = fn(&mut Config);
    let cases: [(Change, &str); 12] = [
        (
            |c| c.schemes[0].action = Action::Custom(1),
            "schemes[0].action: documents have no word for actions of one's own",
        ),
        (
            |c| c.schemes[0].quota.goals[0].metric = Metric::Refaults,
            "schemes[0].quotas.goals[0].metric: documents have",
        ),
        (
            |c| c.schemes[0].quota.time = Duration::from_micros(1),
            "schemes[0].quotas.time_ms: is 1µs, but must be a whole",
        ),
        (|c| c.schemes[0].filters[2].page = PageFilter::Memcg(99), "schemes[0].filters[4].memcg_path: the path of the"),
        (|c| c.schemes[0].filters[2].page = PageFilter::Custom(0), "schemes[0].filters[4]: documents have no word for"),
        (|c| c.schemes[0].dry_run = true, "schemes[0]: has settings that documents have no words for"),
        (|c| c.schemes[0].allow_write_only = true, "schemes[0]: has settings that documents have no words for"),
        (|c| c.schemes[0].max_nr_snapshots = Some(0), "schemes[0]: has settings that documents have no words for"),
        (|c| c.attrs.granule = 64, "intervals: has settings that documents have no words for"),
        (|c| c.attrs.probes[0].filters[0].page = PageFilter::Young, "probes[0].filters[0]: documents have probes for"),
        (|c| c.targets[0].spec.id = TargetId::new(7), "targets[0]: is called 7, but must be called by its place, 0"),
        (|c| c.targets[0].spec.weight = 1, "targets[0]: has settings that documents have no words for"),
    ];
    for (change, expected) in cases {
        let mut config = config(&honoured());
        change(&mut config);
        let refusals = config.to_context(&cgroups()).unwrap_err().to_string();
        assert!(refusals.starts_with(expected) && !refusals.contains('\n'), "{refusals}\n  is not\n{expected}");
    }
}
