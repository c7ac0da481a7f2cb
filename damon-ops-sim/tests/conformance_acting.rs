//! The suite for who acts passes the simulated machine, and rejects broken actors by the name of what they break.
#![allow(clippy::unwrap_used, reason = "helpers of tests, too")]

use damon_core::{Action, AddrRange, Applied, ApplyOps, Instant, NodeId, PageFilter, Request, TargetId, Unsupported};
use damon_ops_sim::Clock;
use damon_ops_sim::conformance::{self, ActFixture};
use damon_ops_sim::machine::{Costs, Machine, MachineError, Node};
use damon_ops_sim::memory::Mapping;
use damon_ops_sim::workload::Blocks;

const ID: TargetId = TargetId::new(3);
const PAGE: u64 = 4096;

type Done = Applied<MachineError>;

/// A machine's actor, and what is wrong with it.
struct Broken {
    machine: Machine,
    intact: bool,
    supports: fn(&Request<'_>, Result<(), Unsupported>) -> Result<(), Unsupported>,
    /// May do something else than what it is asked.
    apply: fn(&mut Self, TargetId, AddrRange, &Request<'_>) -> Done,
    verify: fn(Option<u64>) -> Option<u64>,
}

fn range() -> AddrRange {
    AddrRange::new(0, 256 * PAGE).unwrap()
}

impl Broken {
    fn not() -> Self {
        let nodes = [0, 1].map(|n| Node { id: NodeId(n), bytes: 64 << 20 });
        let machine = Machine::new(1, &Clock::new(), &nodes, Costs::default());
        let mapping = |start, end, has| Mapping { has, ..Mapping::new(AddrRange::new(start, end).unwrap()) };
        let mappings = vec![mapping(0, 64 * PAGE, vec![PageFilter::Anon]), mapping(64 * PAGE, 256 * PAGE, vec![])];
        machine.insert(ID, mappings, Blocks::default()).unwrap();
        Self {
            machine,
            intact: true,
            supports: |_, answer| answer,
            apply: |b, id, range, req| b.machine.apply(id, range, req),
            verify: |size| size,
        }
    }

    fn failed(mut self) -> Vec<&'static str> {
        conformance::run_acting(&mut self).failed().collect()
    }
}

impl ApplyOps for Broken {
    type Error = MachineError;
    fn supports(&self, target: Option<TargetId>, req: &Request<'_>) -> Result<(), Unsupported> {
        (self.supports)(req, self.machine.supports(target, req))
    }
    fn open(&mut self, now: Instant) -> Result<(), MachineError> {
        self.machine.open(now)
    }
    fn apply(&mut self, target: TargetId, range: AddrRange, req: &Request<'_>) -> Done {
        (self.apply)(self, target, range, req)
    }
    fn verify(&mut self, target: TargetId, range: AddrRange, req: &Request<'_>) -> Result<Option<u64>, MachineError> {
        self.machine.verify(target, range, req).map(self.verify)
    }
}

impl ActFixture for Broken {
    type Actor = Self;
    fn actor(&mut self) -> &mut Self {
        self
    }
    fn target(&self) -> TargetId {
        ID
    }
    fn range(&self) -> AddrRange {
        range()
    }
    fn reset(&mut self) -> bool {
        let back = Request::new(Action::Willneed, &[], &[]);
        self.machine.apply(ID, range(), &back).error.is_none() && self.intact
    }
    fn paged_out(&mut self, range: AddrRange) -> Option<u64> {
        self.machine.verify(ID, range, &Request::new(Action::Pageout, &[], &[])).unwrap()
    }
    fn nodes(&self) -> Vec<NodeId> {
        vec![NodeId(0), NodeId(1)]
    }
}

#[test]
fn the_simulated_machine_conforms() {
    conformance::run_acting(&mut Broken::not()).assert();
}

#[test]
fn an_actor_that_destroys_content_is_rejected() {
    let apply = |b: &mut Broken, id, range, req: &Request<'_>| {
        b.intact &= req.action != Action::Cold;
        b.machine.apply(id, range, req)
    };
    assert!(Broken { apply, ..Broken::not() }.failed().contains(&"content_stays"));
}

#[test]
fn an_actor_that_claims_more_than_there_is_is_rejected() {
    let apply = |b: &mut Broken, id, range: AddrRange, req: &Request<'_>| {
        let done = b.machine.apply(id, range, req);
        Applied { size: done.size + if done.size > 0 { PAGE } else { 0 }, ..done }
    };
    assert_eq!(Broken { apply, ..Broken::not() }.failed(), ["counts_stay_within_the_range", "parts_come_to_the_whole"]);
}

#[test]
fn an_actor_that_is_off_by_one_page_is_rejected() {
    let apply = |b: &mut Broken, id, range: AddrRange, req: &Request<'_>| {
        let wider = AddrRange::new(range.start(), range.end() + PAGE).unwrap();
        let done = b.machine.apply(id, wider, req);
        Applied { size: done.size.min(range.size()), filter_passed: done.filter_passed.min(range.size()), ..done }
    };
    assert_eq!(Broken { apply, ..Broken::not() }.failed(), ["nothing_beyond_the_range_is_done"]);
}

#[test]
fn an_actor_that_ignores_filters_is_rejected() {
    let apply = |b: &mut Broken, id, range, req: &Request<'_>| {
        b.machine.apply(id, range, &Request::new(req.action, &[], req.dests))
    };
    let failed = Broken { apply, ..Broken::not() }.failed();
    let names = ["a_filter_that_lets_nothing_pass_lets_nothing_be_done", "a_filter_and_its_opposite_divide_the_range"];
    assert_eq!(failed, names);
}

#[test]
fn an_actor_that_takes_any_target_for_its_own_is_rejected() {
    let apply = |b: &mut Broken, _, range, req: &Request<'_>| b.machine.apply(ID, range, req);
    let failed = Broken { apply, ..Broken::not() }.failed();
    assert_eq!(failed, ["an_unknown_target_gets_an_error_and_nothing_is_done"]);
}

#[test]
fn an_actor_whose_stat_acts_is_rejected() {
    let apply = |b: &mut Broken, id, range, req: &Request<'_>| {
        let stat = req.action == Action::Stat;
        let action = if stat { Action::Pageout } else { req.action };
        b.machine.apply(id, range, &Request::new(action, req.filters, req.dests))
    };
    assert!(Broken { apply, ..Broken::not() }.failed().contains(&"stat_does_nothing"));
}

#[test]
fn an_actor_that_promises_what_it_does_not_do_is_rejected() {
    let supports = |req: &Request<'_>, answer| if req.action == Action::Hugepage { Ok(()) } else { answer };
    assert!(Broken { supports, ..Broken::not() }.failed().contains(&"what_is_supported_is_done"));
    let apply = |b: &mut Broken, id, range, req: &Request<'_>| match req.action {
        Action::Cold => Applied { size: 0, ..Applied::whole(range) },
        _ => b.machine.apply(id, range, req),
    };
    assert!(Broken { apply, ..Broken::not() }.failed().contains(&"what_is_supported_is_done"));
}

#[test]
fn an_actor_that_does_what_it_refused_is_rejected() {
    let supports = |req: &Request<'_>, answer| match req.action {
        Action::Pageout => Err(Unsupported::new(Action::Pageout, "not today")),
        _ => answer,
    };
    let failed = Broken { supports, ..Broken::not() }.failed();
    assert_eq!(failed, ["what_is_refused_when_asked_is_refused_when_told"]);
}

#[test]
fn an_actor_that_migrates_to_nowhere_is_rejected() {
    let supports = |req: &Request<'_>, answer| if req.action == Action::MigrateHot { Ok(()) } else { answer };
    assert!(Broken { supports, ..Broken::not() }.failed().contains(&"a_migration_without_a_destination_is_refused"));
}

#[test]
fn an_actor_that_verifies_more_than_is_true_is_rejected() {
    let twice = Broken { verify: |size| size.map(|size| size * 2), ..Broken::not() };
    assert_eq!(twice.failed(), ["verification_finds_what_was_done_and_no_more"]);
    let always = Broken { verify: |_| Some(PAGE), ..Broken::not() };
    assert_eq!(always.failed(), ["verification_finds_what_was_done_and_no_more"]);
    let unsure = Broken { verify: |_| None, ..Broken::not() };
    assert!(unsure.failed().is_empty());
}
