//! From end to end: proactive reclaim of a child of which most is idle.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use damon_core::{Attrs, Monitor, Next};
use damon_ops_vaddr::Remote;
use damon_ops_vaddr::linux::act::Guardrails;
use damon_ops_vaddr::remote::Watch;
use damos::Context;
use damos::clock::Clock;
use damos::preset::{Monitoring, Reclaim};
use damos::scheme::Scheme;

use crate::child::Child;
use crate::support::{PAGE, has_page_idle, has_swap, is_root, part, resident, swapped, turn};

const MIB: u64 = 1 << 20;
/// In each second.
const QUOTA: u64 = 4 * MIB;

#[test]
fn what_is_idle_is_paged_out_within_the_quota_and_what_is_used_stays() {
    let _turn = turn();
    if !is_root() || !has_swap() || !has_page_idle() {
        return;
    }
    let mut child = Child::new();
    let range = child.anon(24 * MIB);
    let (hot, idle) = (part(range, 0, 4 * MIB / PAGE), part(range, 4 * MIB / PAGE, 20 * MIB / PAGE));
    child.about("sweep", hot);

    let mut remote = Remote::new().unwrap();
    remote.watch(Watch { ranges: vec![range], ..Watch::process(child.pid()) }).unwrap();
    let monitoring = Monitoring {
        sampling: Duration::from_millis(50),
        aggregation: Duration::from_millis(250),
        min_nr_regions: 10,
        max_nr_regions: 30,
        autotune: false,
    };
    let reclaim = Reclaim {
        min_age: Duration::from_millis(1_000),
        time: Duration::ZERO,
        size: QUOTA,
        watermarks: None,
        monitoring,
        ..Reclaim::default()
    };
    let (attrs, schemes) = reclaim.plan();
    let mut context = Context::new(Monitor::new(Attrs::try_from(attrs).unwrap(), 1), remote);
    context.set_actor(context.ops().actor(Guardrails::default()));
    context.set_schemes(schemes.into_iter().map(|s| Scheme { verify: true, ..s }).collect()).unwrap();
    let trail: Arc<Mutex<Vec<(Instant, u64)>>> = Arc::default();
    let (started, noted) = (Instant::now(), Arc::clone(&trail));
    context.set_observer(move |tried| noted.lock().unwrap().push((Instant::now(), tried.applied)));

    let clock = Clock::new();
    while started.elapsed() < Duration::from_secs(60) && swapped(child.pid(), idle) * PAGE < idle.size() * 9 / 10 {
        let next = context.step(clock.now(), Duration::ZERO).unwrap();
        let Next::At(at) = next else { panic!("{next:?}") };
        std::thread::sleep(clock.until(at));
    }
    let (out, hot_out) = (swapped(child.pid(), idle) * PAGE, swapped(child.pid(), hot) * PAGE);
    let stats = context.schemes().stats(0).unwrap();
    println!(
        "{} of {} MiB of idle memory paged out in {:.1} s, {} KiB of {} MiB in use; {} MiB applied, {} MiB verified",
        out / MIB,
        idle.size() / MIB,
        started.elapsed().as_secs_f64(),
        hot_out >> 10,
        hot.size() / MIB,
        stats.sz_applied / MIB,
        stats.sz_verified / MIB,
    );
    assert!(out >= idle.size() * 8 / 10, "{out}: {stats:?} {:?}", context.last_action_error());
    assert!(resident(child.pid(), hot) * PAGE >= hot.size() * 9 / 10, "{hot_out} of what is in use was paged out");
    assert!(stats.sz_verified * 10 >= stats.sz_applied * 8, "{stats:?}");
    assert_eq!(stats.nr_failed, 0, "{:?}", context.last_action_error());
    // No second saw more than two charge windows' worth.
    let trail = trail.lock().unwrap();
    for (at, _) in trail.iter() {
        let second = trail.iter().filter(|(t, _)| t >= at && t.duration_since(*at) < Duration::from_secs(1));
        let applied: u64 = second.map(|(_, applied)| applied).sum();
        assert!(applied <= 2 * QUOTA, "{applied}");
    }
    let windows = started.elapsed().as_secs() + 2;
    assert!(stats.sz_applied <= windows * QUOTA, "{} in {windows} windows", stats.sz_applied);
    assert!(child.is_intact(range));
}
