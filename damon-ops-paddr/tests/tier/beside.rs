//! Kernel DAMON and `tier` side by side: the same kernel, the same subject, the same goals.

use std::time::Duration;

use crate::cases::{NO_SWAP, PARTS, SHORT, seconds, tell};
use crate::kernel::{MemTier, has_goals};
use crate::machine::{Pressure, SLOW, alone, in_vm};
use crate::run::{Outcome, watch};
use crate::subject::Subject;
use crate::tiering::Tier;

/// Lets `start`ed who tiers loose on a subject whose hot part then moves; how each went.
fn both<W>(name: &str, start: impl FnOnce() -> W, cpu: impl Fn(&W) -> Duration, end: impl FnOnce(W)) -> [Outcome; 2] {
    let mut subject = Subject::start(&PARTS);
    let _pressure = Pressure::leave(SHORT);
    subject.heat(0);
    let who = start();
    let first = watch(&[(&subject, 0)], seconds(60), seconds(2), || cpu(&who));
    tell(name, &first);
    subject.place(1, SLOW);
    subject.heat(1);
    let then = watch(&[(&subject, 1)], seconds(60), seconds(2), || cpu(&who));
    tell(&format!("{name}, what is hot has moved"), &then);
    end(who);
    assert_eq!(subject.damaged(), 0, "what was in pages that moved");
    [first, then]
}

#[test]
fn kernel_damons_own_schemes_and_these_side_by_side() {
    let _alone = alone();
    if !in_vm() || !has_goals() {
        return;
    }
    let kernels = both("kernel DAMON", MemTier::start, MemTier::cpu, |kernel| {
        println!("bytes that it promoted and demoted: {:?}", kernel.applied());
    });
    let ours = both("tier", || Tier::start(None, &[]), Tier::cpu, |tier| drop(tier.end()));
    for (kernels, ours) in kernels.iter().zip(&ours) {
        // If that fails the comparison is with nothing.
        kernels.verdict().unwrap();
        ours.verdict().unwrap();
        assert!(ours.there > kernels.there - 0.05, "{} to {}", ours.there, kernels.there);
        assert!(ours.swapped < NO_SWAP, "{} bytes to swap", ours.swapped);
    }
}
