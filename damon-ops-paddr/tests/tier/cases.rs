//! The cases: each a way in which tiering has to work by itself, and the ways in which it must be seen to fail.

use std::time::Duration;

use crate::machine::{FAST, Pressure, SLOW, alone, counts_moves, in_vm};
use crate::run::{COLUMNS, Outcome, watch};
use crate::subject::{Part, Subject};
use crate::tiering::Tier;

const MIB: u64 = 1 << 20;

/// What is hot at first and what is hot later, both on the slow node; and what never is, on the fast one.
const PARTS: [Part; 3] = [Part { mib: 48, node: SLOW }, Part { mib: 48, node: SLOW }, Part { mib: 128, node: FAST }];
/// Free on the fast node: too little for what is hot.
const SHORT: u64 = 32 * MIB;
/// Enough for all.
const AMPLE: u64 = 256 * MIB;

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// A row of the table.
fn tell(who: &str, out: &Outcome) {
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
    subject.heat(1);
    let then = watch(&[(&subject, 1)], seconds(90), seconds(2), || tier.cpu());
    tell("tier, what is hot has moved", &then);
    then.verdict().unwrap();
    println!("the subject touched all that was hot {} times", subject.rounds());
    tier.end();
    assert_eq!(subject.damaged(), 0, "what was in pages that moved");
}

#[test]
fn no_more_is_moved_than_the_quota() {
    let _alone = alone();
    if !in_vm() || !counts_moves() {
        return;
    }
    let mut subject = Subject::start(&PARTS);
    let _pressure = Pressure::leave(AMPLE);
    subject.heat(0);
    let quota = 8 * MIB;
    let tier = Tier::start(Some("bytes_per_s = \"8 MiB\"\n"), &[]);
    let out = watch(&[(&subject, 0)], seconds(40), seconds(1), || tier.cpu());
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
