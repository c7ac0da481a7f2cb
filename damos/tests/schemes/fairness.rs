//! A quota that several targets share.

use damon_core::{Action, AttrsSpec, Dest, Filter, Instant, Monitor, NodeId, PageFilter, Sees, TargetId};
use damos::engine::Schemes;
use damos::scheme::{AccessPattern, Freq, Quota, Scheme, TargetShare};

use super::support::*;

const QUOTA: u64 = 70;

/// Three targets of 10,000 pages each; of those in `busy` all is accessed all the time, so that a scheme on idle memory has
/// nothing to do there.
fn three(busy: [bool; 3]) -> Monitor {
    let targets = vec![vec![span(pages(0, 10_000), Sees::Accesses)]; 3];
    let hot = move |t: TargetId, _| busy[t.get() as usize];
    watched(AttrsSpec::default(), 1, 3, &mut Picture { targets, hot })
}

fn by_weight() -> Scheme {
    let share = |(target, weight)| TargetShare { target: TargetId::new(target), weight };
    let idle = AccessPattern { freq: Freq::NONE, ..AccessPattern::default() };
    Scheme {
        pattern: idle,
        quota: Quota { size: QUOTA * GRANULE, ..Quota::default() },
        shares: [(0, 1), (1, 2), (2, 4)].map(share).to_vec(),
        ..Scheme::new(Action::Pageout)
    }
}

/// Pages that each target had paged out in ten windows.
fn ten_windows(scheme: Scheme, busy: [bool; 3]) -> [u64; 3] {
    let mut monitor = three(busy);
    let mut actor = Actor::default();
    let mut schemes = Schemes::new(&monitor.view(), &actor, vec![scheme]).expect("a valid scheme");
    for second in 0..10 {
        let _ = schemes.apply(Instant::ZERO + MS * 1_000 * second, true, &mut monitor, &mut actor, &mut ());
        assert!(schemes.charged(0) <= Some(QUOTA * GRANULE));
    }
    let mut ranges: Vec<_> = actor.asked.iter().map(|a| (a.target, a.range.start(), a.range.end())).collect();
    ranges.sort_unstable();
    assert!(
        ranges.windows(2).all(|r| (r[0].0, r[0].2) <= (r[1].0, r[1].1)),
        "each goes on where its last window stopped"
    );
    let of = |t| actor.asked.iter().filter(|a| a.target.get() == t).map(|a| a.range.size() / GRANULE).sum();
    [of(0), of(1), of(2)]
}

#[test]
fn a_quota_is_shared_by_weight_and_what_is_unused_is_lent_on() {
    let in_order = Scheme { shares: Vec::new(), ..by_weight() };
    let primary = Scheme { primary: vec![T0], ..by_weight() };
    let two = Scheme { primary: vec![T0, TargetId::new(1)], ..by_weight() };
    let rows = [
        ("first come, first served", in_order, [false; 3], [700, 0, 0]),
        ("by weight", by_weight(), [false; 3], [100, 200, 400]),
        ("by weight, the third busy", by_weight(), [false, false, true], [240, 460, 0]),
        ("by weight, the first busy", by_weight(), [true, false, false], [0, 240, 460]),
        ("the first is primary", primary.clone(), [false; 3], [700, 0, 0]),
        ("the first is primary, and busy", primary, [true, false, false], [0, 240, 460]),
        ("the first two are primary", two.clone(), [false; 3], [240, 460, 0]),
        ("the first two are primary, and busy", two, [true, true, false], [0, 0, 700]),
    ];
    let mut table =
        String::from("| 70 pages a window, ten windows | weight 1 | weight 2 | weight 4 |\n|---|---|---|---|\n");
    for (name, scheme, busy, expected) in rows {
        let [a, b, c] = ten_windows(scheme, busy);
        table += &format!("| {name} | {a} | {b} | {c} |\n");
        for (got, expected) in [a, b, c].into_iter().zip(expected) {
            // A page that cannot be divided goes to the first who wants it: ten windows, ten pages.
            assert!(got.abs_diff(expected) <= 10, "{name}: {a}, {b}, {c}");
        }
        assert_eq!(a + b + c, 10 * QUOTA, "{name}: nothing is left unused");
    }
    println!("{table}");
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/schemes.md");
    let text = std::fs::read_to_string(page).expect("the page is there");
    assert!(text.contains(&table), "{page} lacks this table:\n{table}");
}

#[test]
fn a_primary_target_that_wants_little_leaves_the_rest() {
    let sizes = [10, 10_000, 10_000];
    let targets = sizes.map(|size| vec![span(pages(0, size), Sees::Accesses)]).to_vec();
    let mut monitor = watched(AttrsSpec::default(), 1, 3, &mut Picture { targets, hot: |_, _| false });
    let mut actor = Actor::default();
    let scheme = Scheme { primary: vec![T0], ..by_weight() };
    let mut schemes = Schemes::new(&monitor.view(), &actor, vec![scheme]).expect("a valid scheme");
    let _ = schemes.apply(Instant::ZERO, true, &mut monitor, &mut actor, &mut ());
    let of = |t: u32| actor.asked.iter().filter(|a| a.target.get() == t).map(|a| a.range.size() / GRANULE).sum::<u64>();
    assert_eq!([of(0), of(1), of(2)], [10, 20, 40]);
}

#[test]
fn who_has_to_be_asked_for_the_node_is_asked_about_each_target() {
    let mut monitor = three([false; 3]);
    let mut actor = Actor::default();
    let from = Filter { page: PageFilter::Node(NodeId(0)), matching: false, allow: false };
    let dests = vec![Dest { node: NodeId(1), weight: 1 }];
    let scheme = Scheme { action: Action::MigrateCold, filters: vec![from], dests, ..by_weight() };
    let mut schemes = Schemes::new(&monitor.view(), &actor, vec![scheme]).expect("a valid scheme");
    for second in 0..10 {
        let _ = schemes.apply(Instant::ZERO + MS * 1_000 * second, true, &mut monitor, &mut actor, &mut ());
    }
    let moved = |t| actor.asked.iter().filter(move |a| a.target.get() == t && a.action == Action::MigrateCold);
    let of = |t| moved(t).map(|a| a.range.size() / GRANULE).sum::<u64>();
    assert!(
        [(0, 100), (1, 200), (2, 400)].iter().all(|&(t, n)| of(t).abs_diff(n) <= 10),
        "{} {} {}",
        of(0),
        of(1),
        of(2)
    );
}
