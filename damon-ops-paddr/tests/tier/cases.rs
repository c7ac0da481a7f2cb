//! The cases: each a way in which tiering has to work by itself, and the ways in which it must be seen to fail.

use std::time::Duration;

use crate::kernel::{MemTier, has_goals};
use crate::machine::{FAST, Pressure, SLOW, alone, counts, in_vm, moved};
use crate::run::{COLUMNS, Outcome, watch};
use crate::subject::{Part, Subject};
use crate::tiering::{Tier, says};

pub(crate) const MIB: u64 = 1 << 20;

/// What is hot at first and what is hot later, both on the slow node; and what never is, on the fast one.
pub(crate) const PARTS: [Part; 3] =
    [Part { mib: 48, node: SLOW }, Part { mib: 48, node: SLOW }, Part { mib: 128, node: FAST }];
/// Free on the fast node: too little for what is hot.
pub(crate) const SHORT: u64 = 32 * MIB;
/// Enough for all.
const AMPLE: u64 = 256 * MIB;
/// So little to swap is not for what was promoted: other programs and the kernel allocate, too, and what is free falls by more than what
/// was moved, since the CPUs refill their lists of free pages.
pub(crate) const NO_SWAP: u64 = 4 * MIB;

pub(crate) fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// A row of the table.
pub(crate) fn tell(who: &str, out: &Outcome) {
    println!("{:<34}{COLUMNS}\n{who:<34}{out}", "");
}

#[test]
fn what_is_hot_comes_to_the_fast_node_by_itself_and_again_when_it_moves() {
    let _alone = alone();
    if !in_vm() {
        return;
    }
    let mut subject = Subject::start(&PARTS);
    let _pressure = Pressure::leave(SHORT);
    subject.heat(0);
    let tier = Tier::start(None, &[]);
    let first = watch(&[(&subject, 0)], seconds(90), seconds(2), || tier.cpu());
    tell("tier", &first);
    first.verdict().unwrap();
    // What was taken along goes back: all of it is to come by itself.
    subject.place(1, SLOW);
    subject.heat(1);
    let then = watch(&[(&subject, 1)], seconds(90), seconds(2), || tier.cpu());
    tell("tier, what is hot has moved", &then);
    then.verdict().unwrap();
    println!("the subject touched all that was hot {} times", subject.rounds());
    tier.end();
    let after = moved();
    std::thread::sleep(seconds(2));
    assert!(moved() - after < MIB, "nothing is left behind that moves memory");
    assert_eq!(subject.damaged(), 0, "what was in pages that moved");
    if counts("pswpout") {
        assert!(first.swapped + then.swapped < NO_SWAP, "{} and {} bytes to swap", first.swapped, then.swapped);
    }
}

#[test]
fn no_more_is_moved_than_the_quota() {
    let _alone = alone();
    if !in_vm() || !counts("pgmigrate_success") {
        return;
    }
    let mut subject = Subject::start(&PARTS);
    let _pressure = Pressure::leave(AMPLE);
    subject.heat(0);
    let quota = 8 * MIB;
    let tier = Tier::start(Some("bytes_per_s = \"8 MiB\"\n"), &[]);
    let out = watch(&[(&subject, 0)], seconds(60), seconds(1), || tier.cpu());
    tell("tier, 8 MiB/s", &out);
    tier.end();
    out.verdict().unwrap();
    // There is room for all: only promotion moves. A second that is looked at may have parts of two charge windows.
    let windows = out.took.as_secs() + 2;
    assert!(out.moved <= quota * windows && out.fastest <= 2 * quota, "{} in {windows} windows", out.moved);
    assert_eq!(subject.damaged(), 0);
}

#[test]
fn who_does_nothing_is_found_out() {
    let _alone = alone();
    if !in_vm() {
        return;
    }
    let mut subject = Subject::start(&PARTS);
    subject.heat(0);
    let tier = Tier::start(None, &["--dry-run"]);
    let nothing = watch(&[(&subject, 0)], seconds(6), seconds(1), || tier.cpu());
    tell("tier --dry-run", &nothing);
    tier.end();
    assert!(nothing.verdict().is_err() && nothing.moved < MIB, "{} bytes moved", nothing.moved);
    assert_eq!(subject.damaged(), 0);
}

#[test]
fn who_does_the_wrong_thing_is_found_out() {
    let _alone = alone();
    if !in_vm() || !has_goals() {
        return;
    }
    // What is hot is where it belongs, until hot memory is demoted.
    let mut subject = Subject::start(&[Part { mib: 48, node: FAST }]);
    subject.heat(0);
    let wrong = MemTier::wrong();
    let out = watch(&[(&subject, 0)], seconds(10), seconds(10), || wrong.cpu());
    tell("hot memory demoted", &out);
    assert!(out.verdict().is_err() && subject.on(SLOW, 0) > 0.9, "{:?}", wrong.applied());
    assert_eq!(subject.damaged(), 0);
}

#[test]
fn on_an_emulated_machine_told_latencies_count_and_that_is_said() {
    let _alone = alone();
    if !in_vm() {
        return;
    }
    let text = says();
    println!("{text}");
    assert!(text.contains("NodeLatencyNs(NodeId(1)) cannot be read") && text.contains("as on an emulated CPU"));
}
