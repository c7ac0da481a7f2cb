//! The part of the suite for who acts: does it keep the promises of [`ApplyOps`]?

use damon_core::{Action, AddrRange, Applied, ApplyOps, Dest, Filter, Instant, NodeId, PageFilter, Request, TargetId};

use super::{KEPT, Kept, Report, outcome};

/// Who acts, with memory to act on.
///
/// All of the memory is one range of one target, all resident and in small pages when a check begins ([`reset`](Self::reset)
/// makes it so); nobody else uses it.
pub trait ActFixture {
    /// Who acts.
    type Actor: ApplyOps;

    /// Who acts.
    fn actor(&mut self) -> &mut Self::Actor;

    /// Whose memory it is.
    fn target(&self) -> TargetId;

    /// The memory: 64 pages at least, whole ones.
    fn range(&self) -> AddrRange;

    /// Makes all of it resident again; and is its content what it was?
    fn reset(&mut self) -> bool;

    /// By the fixture's own knowledge: of how many bytes of `range` it is true that they are paged out. `None`: it cannot
    /// tell, and then nothing beyond counts is checked of pageout.
    fn paged_out(&mut self, range: AddrRange) -> Option<u64> {
        let _ = range;
        None
    }

    /// Where to migrate: nodes that it can migrate to.
    fn nodes(&self) -> Vec<NodeId> {
        Vec::new()
    }

    /// Bytes of a page.
    fn page_bytes(&self) -> u64 {
        4096
    }
}

/// Runs the part for who acts.
///
/// ```
/// use damon_core::{AddrRange, NodeId, TargetId};
/// use damon_ops_sim::conformance::{self, ActFixture};
/// use damon_ops_sim::machine::{Costs, Machine, Node};
/// use damon_ops_sim::{Clock, memory::Mapping, workload::Blocks};
///
/// struct Sim(Machine);
/// impl ActFixture for Sim {
///     type Actor = Machine;
///     fn actor(&mut self) -> &mut Machine { &mut self.0 }
///     fn target(&self) -> TargetId { TargetId::new(0) }
///     fn range(&self) -> AddrRange { AddrRange::new(0, 1 << 20).unwrap() }
///     fn reset(&mut self) -> bool {
///         let all = (self.range(), damon_core::Request::new(damon_core::Action::Willneed, &[], &[]));
///         damon_core::ApplyOps::apply(&mut self.0, TargetId::new(0), all.0, &all.1).error.is_none()
///     }
/// }
///
/// let mut machine = Machine::new(1, &Clock::new(), &[Node { id: NodeId(0), bytes: 1 << 30 }], Costs::default());
/// machine.insert(TargetId::new(0), vec![Mapping::new(AddrRange::new(0, 1 << 20).unwrap())], Blocks::default())?;
/// conformance::run_acting(&mut Sim(machine)).assert();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn run_acting<F: ActFixture + ?Sized>(fixture: &mut F) -> Report {
    let mut b = Bench { fixture };
    macro_rules! suite {
        ($($name:ident)*) => { vec![$(outcome(stringify!($name), b.$name())),*] };
    }
    Report {
        outcomes: suite![
            content_stays
            what_is_supported_is_done
            counts_stay_within_the_range
            what_is_refused_when_asked_is_refused_when_told
            an_unknown_target_gets_an_error_and_nothing_is_done
            stat_does_nothing
            nothing_beyond_the_range_is_done
            parts_come_to_the_whole
            a_filter_that_lets_nothing_pass_lets_nothing_be_done
            a_filter_and_its_opposite_divide_the_range
            a_migration_without_a_destination_is_refused
            verification_finds_what_was_done_and_no_more
            opening_and_closing_twice_does_no_harm
        ],
    }
}

/// All that an actor may be asked for; a migration goes to all nodes there are.
const ACTIONS: [Action; 11] = [
    Action::Stat,
    Action::Willneed,
    Action::Cold,
    Action::Pageout,
    Action::Hugepage,
    Action::Nohugepage,
    Action::LruPrio,
    Action::LruDeprio,
    Action::MigrateHot,
    Action::MigrateCold,
    // Last: it leaves huge pages.
    Action::Collapse,
];

const fn line(matching: bool, allow: bool) -> Filter {
    Filter { page: PageFilter::Anon, matching, allow }
}

struct Bench<'a, F: ?Sized> {
    fixture: &'a mut F,
}

impl<F: ActFixture + ?Sized> Bench<'_, F> {
    fn dests(&self) -> Vec<Dest> {
        self.fixture.nodes().into_iter().map(|node| Dest { node, weight: 1 }).collect()
    }

    fn supports(&mut self, action: Action, filters: &[Filter]) -> bool {
        let (target, dests) = (self.fixture.target(), self.dests());
        self.fixture.actor().supports(Some(target), &Request::new(action, filters, &dests)).is_ok()
    }

    fn reset(&mut self) -> Result<(), String> {
        if self.fixture.reset() { Ok(()) } else { Err("the memory's content is not what it was".into()) }
    }

    fn try_apply(
        &mut self,
        target: TargetId,
        range: AddrRange,
        action: Action,
        filters: &[Filter],
    ) -> Result<Applied<<F::Actor as ApplyOps>::Error>, String> {
        let dests = self.dests();
        let actor = self.fixture.actor();
        actor.open(Instant::from_nanos(0)).map_err(|e| format!("open gave an error: {e}"))?;
        let applied = actor.apply(target, range, &Request::new(action, filters, &dests));
        actor.close().map_err(|e| format!("close gave an error: {e}"))?;
        Ok(applied)
    }

    /// What it said it did, and what passed: no error is expected.
    fn apply(&mut self, range: AddrRange, action: Action, filters: &[Filter]) -> Result<(u64, u64), String> {
        let applied = self.try_apply(self.fixture.target(), range, action, filters)?;
        match applied.error {
            // Whether a block can have a huge page is the kernel's to say.
            Some(e) if action != Action::Collapse => Err(format!("{action:?} on {range} gave an error: {e}")),
            _ => Ok((applied.size, applied.filter_passed)),
        }
    }

    /// A quarter of the range from its middle on.
    fn middle(&self) -> Option<AddrRange> {
        let (range, page) = (self.fixture.range(), self.fixture.page_bytes());
        let quarter = range.size() / page / 4 * page;
        AddrRange::from_len(range.start() + quarter, quarter)
    }

    fn content_stays(&mut self) -> Kept {
        for action in ACTIONS {
            self.reset()?;
            let _ = self.try_apply(self.fixture.target(), self.fixture.range(), action, &[])?;
            self.reset().map_err(|how| format!("after {action:?}: {how}"))?;
        }
        KEPT
    }

    fn what_is_supported_is_done(&mut self) -> Kept {
        for action in ACTIONS {
            if action == Action::Stat || !self.supports(action, &[]) {
                continue;
            }
            self.reset()?;
            let (size, passed) = self.apply(self.fixture.range(), action, &[])?;
            if passed == 0 || (size == 0 && action != Action::Collapse && !migrates(action)) {
                return Err(format!("{action:?} is supported, but of {passed} bytes that passed it did {size}"));
            }
        }
        KEPT
    }

    fn counts_stay_within_the_range(&mut self) -> Kept {
        for action in ACTIONS {
            for range in [Some(self.fixture.range()), self.middle()].into_iter().flatten() {
                self.reset()?;
                let Applied { size, filter_passed, .. } = self.try_apply(self.fixture.target(), range, action, &[])?;
                if size > filter_passed || filter_passed > range.size() {
                    let all = range.size();
                    return Err(format!("{action:?}: {size} bytes done of {filter_passed} that passed of {all}"));
                }
            }
        }
        KEPT
    }

    fn what_is_refused_when_asked_is_refused_when_told(&mut self) -> Kept {
        let mut refused = 0;
        for action in ACTIONS.into_iter().chain([Action::Custom(u16::MAX)]) {
            if self.supports(action, &[]) {
                continue;
            }
            refused += 1;
            let applied = self.try_apply(self.fixture.target(), self.fixture.range(), action, &[])?;
            if applied.error.is_none() || applied.size > 0 {
                return Err(format!(
                    "{action:?} is not supported, but {} bytes were done without an error",
                    applied.size
                ));
            }
        }
        if refused == 0 { Ok(Some("it supports everything".into())) } else { KEPT }
    }

    fn an_unknown_target_gets_an_error_and_nothing_is_done(&mut self) -> Kept {
        self.reset()?;
        let (range, other) = (self.fixture.range(), TargetId::new(self.fixture.target().get() ^ 0x4000_0000));
        let applied = self.try_apply(other, range, Action::Pageout, &[])?;
        if applied.error.is_none() || applied.size > 0 {
            return Err(format!("{} bytes of a target that nobody knows, and no error", applied.size));
        }
        self.expect_out(range, 0)
    }

    fn stat_does_nothing(&mut self) -> Kept {
        if !self.supports(Action::Stat, &[]) {
            return Ok(Some("stat is not supported".into()));
        }
        self.reset()?;
        let range = self.fixture.range();
        let (_, passed) = self.apply(range, Action::Stat, &[])?;
        if passed != range.size() {
            return Err(format!("{passed} bytes of {} passed no filters", range.size()));
        }
        self.expect_out(range, 0)
    }

    fn nothing_beyond_the_range_is_done(&mut self) -> Kept {
        if !self.supports(Action::Pageout, &[]) {
            return Ok(Some("pageout is not supported".into()));
        }
        self.reset()?;
        let (all, Some(middle)) = (self.fixture.range(), self.middle()) else { return KEPT };
        self.apply(middle, Action::Pageout, &[])?;
        let sides = [AddrRange::new(all.start(), middle.start()), AddrRange::new(middle.end(), all.end())];
        for side in sides.into_iter().flatten() {
            self.expect_out(side, 0)?;
        }
        KEPT
    }

    fn parts_come_to_the_whole(&mut self) -> Kept {
        let range = self.fixture.range();
        let half = range.start() + range.size() / self.fixture.page_bytes() / 2 * self.fixture.page_bytes();
        let parts = [AddrRange::new(range.start(), half), AddrRange::new(half, range.end())];
        for action in [Action::Cold, Action::LruDeprio, Action::Willneed, Action::Stat] {
            if !self.supports(action, &[]) {
                continue;
            }
            self.reset()?;
            let whole = self.apply(range, action, &[])?;
            let mut sum = (0, 0);
            for part in parts.into_iter().flatten() {
                let (size, passed) = self.apply(part, action, &[])?;
                sum = (sum.0 + size, sum.1 + passed);
            }
            if sum != whole {
                return Err(format!("{action:?}: two halves came to {sum:?}, and both at once to {whole:?}"));
            }
        }
        KEPT
    }

    fn a_filter_that_lets_nothing_pass_lets_nothing_be_done(&mut self) -> Kept {
        let none = [line(true, false), line(false, false)];
        let mut tried = 0;
        for action in ACTIONS.into_iter().filter(|&action| action != Action::Collapse) {
            if !self.supports(action, &none) {
                continue;
            }
            tried += 1;
            self.reset()?;
            let range = self.fixture.range();
            let (size, passed) = self.apply(range, action, &none)?;
            if (size, passed) != (0, 0) {
                return Err(format!("{action:?}: {size} bytes done of {passed} that passed, and none may pass"));
            }
            self.expect_out(range, 0)?;
        }
        if tried == 0 { Ok(Some("it knows no filters".into())) } else { KEPT }
    }

    fn a_filter_and_its_opposite_divide_the_range(&mut self) -> Kept {
        if !self.supports(Action::Stat, &[line(true, true)]) {
            return Ok(Some("it knows no filters".into()));
        }
        self.reset()?;
        let range = self.fixture.range();
        let (_, with) = self.apply(range, Action::Stat, &[line(true, true)])?;
        let (_, without) = self.apply(range, Action::Stat, &[line(true, false)])?;
        if with + without == range.size() {
            KEPT
        } else {
            Err(format!("{with} bytes are anonymous and {without} are not, of {}", range.size()))
        }
    }

    fn a_migration_without_a_destination_is_refused(&mut self) -> Kept {
        let (target, range) = (self.fixture.target(), self.fixture.range());
        for action in [Action::MigrateHot, Action::MigrateCold] {
            let req = Request::new(action, &[], &[]);
            let actor = self.fixture.actor();
            if actor.supports(Some(target), &req).is_ok() {
                return Err(format!("{action:?} to nowhere is said to be supported"));
            }
            let applied = actor.apply(target, range, &req);
            if applied.size > 0 {
                return Err(format!("{action:?} to nowhere did {} bytes", applied.size));
            }
        }
        KEPT
    }

    fn verification_finds_what_was_done_and_no_more(&mut self) -> Kept {
        let (target, all, dests) = (self.fixture.target(), self.fixture.range(), self.dests());
        let mut told = 0;
        for action in [Action::Pageout, Action::MigrateHot, Action::Willneed, Action::Cold] {
            let Some(middle) = self.middle().filter(|_| self.supports(action, &[])) else { continue };
            self.reset()?;
            let req = Request::new(action, &[], &dests);
            let verify = |b: &mut Self, range: AddrRange| match b.fixture.actor().verify(target, range, &req) {
                Ok(Some(size)) if size > range.size() => {
                    Err(format!("{action:?} is said to be in effect on {size} bytes of {}", range.size()))
                }
                Ok(size) => Ok(size),
                Err(e) => Err(format!("verifying {action:?} gave an error: {e}")),
            };
            let Some(before) = verify(self, all)? else { continue };
            told += 1;
            self.apply(middle, action, &[])?;
            let after = verify(self, middle)?;
            if action != Action::Pageout {
                continue;
            }
            if before != 0 {
                return Err(format!("{before} bytes are said to be paged out, and all were used a moment ago"));
            }
            if let (Some(said), Some(truly)) = (after, self.fixture.paged_out(middle)) {
                if said != truly {
                    return Err(format!("{said} bytes are said to be paged out, and {truly} are"));
                }
            }
        }
        if told == 0 { Ok(Some("it cannot verify".into())) } else { KEPT }
    }

    fn opening_and_closing_twice_does_no_harm(&mut self) -> Kept {
        self.reset()?;
        for _ in 0..2 {
            let actor = self.fixture.actor();
            for _ in 0..2 {
                actor.open(Instant::from_nanos(0)).map_err(|e| format!("open gave an error: {e}"))?;
            }
            for _ in 0..2 {
                actor.close().map_err(|e| format!("close gave an error: {e}"))?;
            }
        }
        self.expect_out(self.fixture.range(), 0)
    }

    fn expect_out(&mut self, range: AddrRange, expected: u64) -> Kept {
        match self.fixture.paged_out(range) {
            Some(out) if out != expected => Err(format!("{out} bytes of {range} are paged out, not {expected}")),
            Some(_) => KEPT,
            None => Ok(Some("the fixture cannot tell what is paged out".into())),
        }
    }
}

const fn migrates(action: Action) -> bool {
    matches!(action, Action::MigrateHot | Action::MigrateCold)
}
