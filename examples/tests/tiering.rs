//! The tiering preset on simulated machines, beside no tiering, kernel DAMON's sample module and the limit. Without optimization it
//! would take minutes: `cargo test --release -p examples --test tiering`.
#![cfg(not(debug_assertions))]
#![allow(clippy::unwrap_used)]

use std::path::Path;

use damon_ops_sim::tiering::{Costs, Outcome, Spec, run};
use examples::placement::policy;

const SEED: u64 = 7;

/// The gains of `damon`, `ours` and the oracle, as parts.
fn gains(file: &str) -> [f64; 3] {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../damon-ops-sim/tiering").join(file);
    let spec = Spec::read(&path).unwrap();
    let of =
        |name: &str| -> Outcome { run(&spec, Costs::default(), SEED, policy(name, SEED).unwrap().as_mut()).unwrap() };
    let none = of("none");
    let gains = ["damon", "ours", "oracle"].map(|name| of(name).gain(&none));
    println!("{file}: damon {:+.4}, ours {:+.4}, oracle {:+.4}", gains[0], gains[1], gains[2]);
    gains
}

fn is_near_the_limit(file: &str, part: f64) {
    let [damon, ours, oracle] = gains(file);
    assert!(ours >= 2.0 * damon, "twice the sample module's gain");
    assert!(ours >= part * oracle, "{:.0}% of the oracle's", 100.0 * ours / oracle);
}

#[test]
fn a_tenant_that_came_late_gets_what_the_first_does_not_use() {
    is_near_the_limit("tenants.json", 0.9);
}

#[test]
fn a_program_that_goes_on_to_other_memory_is_followed() {
    is_near_the_limit("trace.json", 0.85);
}

#[test]
fn there_is_room_for_new_memory_which_is_what_is_hot() {
    is_near_the_limit("latest.json", 0.85);
}

#[test]
fn a_program_short_of_bandwidth_gets_that_of_the_slow_node_too() {
    is_near_the_limit("bandwidth.json", 0.85);
}

#[test]
fn where_nothing_is_to_be_gained_next_to_nothing_is_spent() {
    let [_, ours, _] = gains("stream.json");
    assert!(ours >= -0.01);
}
