//! Tenants alike, of which the fast node holds a part: what they get of it is as their shares are, or who comes first.

use crate::cases::{MIB, seconds, tell};
use crate::machine::{FAST, Pressure, SLOW, alone, in_vm, write};
use crate::run::watch;
use crate::subject::{Part, Subject};
use crate::tiering::Tier;

/// What is hot of each, and what it can give for that.
const PARTS: [Part; 2] = [Part { mib: 48, node: SLOW }, Part { mib: 12, node: FAST }];
/// Free on the fast node: with what both can give for half of what is hot.
const ROOM: u64 = 32 * MIB;

#[test]
fn of_two_tenants_that_cannot_both_fit_the_one_with_the_larger_share_gets_more() {
    let _alone = alone();
    if !in_vm() {
        return;
    }
    let mut tenants = ["tenants/a", "tenants/b"].map(|cgroup| Subject::start_in(Some(cgroup), &PARTS));
    let _pressure = Pressure::leave(ROOM);
    tenants.iter_mut().for_each(|tenant| tenant.heat(0));
    // Not to the one that comes first anyway.
    let shares = ["--cgroup", "/tenants", "--share", "/tenants/a=100", "--share", "/tenants/b=300"];
    let tier = Tier::start(Some("bytes_per_s = \"8 MiB\"\n"), &shares);
    let [a, b] = &tenants;
    let out = watch(&[(a, 0), (b, 0)], seconds(40), seconds(40), || tier.cpu());
    tell("tier, the worse off of two tenants", &out);
    let (less, more) = (a.on(FAST, 0), b.on(FAST, 0));
    println!("promoted: {:.1}% of the one with 300, {:.1}% of the one with 100", 100.0 * more, 100.0 * less);
    tier.end();
    // How much is left free depends on how many whole blocks were to be had, and so how much fits in all.
    assert!(out.verdict().is_err(), "both fit: {less:.3} and {more:.3}");
    assert!((more > 2.0 * less || more > 0.95) && less > 0.02, "{more:.3} to {less:.3}");
    assert_eq!(tenants.map(|mut tenant| tenant.damaged()), [0, 0]);
}

/// Half of a tenant, and of what it can give.
const HALF: [Part; 2] = [Part { mib: 24, node: SLOW }, Part { mib: 6, node: FAST }];

#[test]
fn the_processes_of_a_primary_workload_come_first_also_those_that_come_later() {
    let _alone = alone();
    if !in_vm() {
        return;
    }
    let mut other = Subject::start_in(Some("tenants/a"), &PARTS);
    let mut primary = ["tenants/b", "tenants/c"].map(|cgroup| Subject::start_in(Some(cgroup), &HALF));
    let _pressure = Pressure::leave(ROOM);
    other.heat(0);
    primary.iter_mut().for_each(|subject| subject.heat(0));
    // Not the one that comes first anyway.
    let tier = Tier::start(Some("bytes_per_s = \"8 MiB\"\n"), &["--cgroup", "/tenants", "--primary", "/tenants/b"]);
    write("/sys/fs/cgroup/tenants/b/cgroup.procs", primary[1].pid());
    let [b, c] = &primary;
    let out = watch(&[(b, 0), (c, 0)], seconds(60), seconds(5), || tier.cpu());
    tell("tier, a primary tenant", &out);
    let rest = other.on(FAST, 0);
    println!(
        "promoted: {:.1}% of the worse off of the primary's processes, {:.1}% of the other's",
        100.0 * out.there,
        100.0 * rest
    );
    let said = tier.end();
    assert!(said.contains("processes come first"), "{said}");
    assert!(out.there > 0.9 && rest < 0.5, "{:.3} and {rest:.3}", out.there);
    assert_eq!((other.damaged(), primary.map(|mut subject| subject.damaged())), (0, [0, 0]));
}
