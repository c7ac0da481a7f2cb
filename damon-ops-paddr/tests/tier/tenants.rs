//! Two tenants alike, of which the fast node holds one at most: what they get of it is as their shares are.

use crate::cases::{MIB, seconds, tell};
use crate::machine::{FAST, Pressure, SLOW, alone, in_vm};
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
    assert!(out.verdict().is_err() && less + more < 1.5, "both fit: {less:.3} and {more:.3}");
    assert!(more > 2.0 * less && less > 0.02, "{more:.3} to {less:.3}");
    assert_eq!(tenants.map(|mut tenant| tenant.damaged()), [0, 0]);
}
