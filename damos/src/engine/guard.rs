//! Remembers what a scheme acted on: what came back soon after is left alone, each time for twice as long. And where it found
//! nothing to migrate, which would take the turn of what is there.

use core::time::Duration;
use std::collections::BTreeMap;

use damon_core::{AddrRange, Editor, Instant, Monitor, TargetId};

use super::{Running, filter};
use crate::scheme::pattern::Bounds;

/// For so long nobody looks again where there was nothing to migrate.
const EMPTY: Duration = Duration::from_secs(10);

/// Marks on memory, apart from each other, by target and first address.
#[derive(Debug, Default)]
pub(super) struct Guard {
    marks: BTreeMap<(TargetId, u64), Mark>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Mark {
    end: u64,
    /// When it was acted on.
    acted: Instant,
    /// For how long it is left alone, or was when it came back last; zero if it never did.
    rest: Duration,
    /// Until when, since it came back.
    until: Option<Instant>,
}

impl Guard {
    /// The marks in a range.
    fn within(&self, target: TargetId, range: AddrRange) -> impl Iterator<Item = (AddrRange, Mark)> {
        let before = self.marks.range(..(target, range.start())).next_back();
        let rest = self.marks.range((target, range.start())..(target, range.end()));
        before.into_iter().chain(rest).filter_map(move |(&(of, start), &mark)| {
            let part = AddrRange::new(start, mark.end)?.intersection(range)?;
            (of == target).then_some((part, mark))
        })
    }

    /// Marks a range; what of other marks lies outside of it stays.
    fn mark(&mut self, target: TargetId, range: AddrRange, new: Mark) {
        let old: Vec<_> = self.within(target, range).map(|(part, _)| part).collect();
        for part in old {
            let Some((&key, &mark)) = self.marks.range(..=(target, part.start())).next_back() else { continue };
            self.marks.remove(&key);
            if key.1 < range.start() {
                self.marks.insert(key, Mark { end: range.start(), ..mark });
            }
            if mark.end > range.end() {
                self.marks.insert((target, range.end()), mark);
            }
        }
        if let Some((&(of, _), last)) = self.marks.range_mut(..(target, range.start())).next_back() {
            if of == target && *last == (Mark { end: range.start(), ..new }) {
                last.end = new.end;
                return;
            }
        }
        self.marks.insert((target, range.start()), new);
    }

    /// The range was acted on.
    pub(super) fn acted(&mut self, target: TargetId, range: AddrRange, now: Instant) {
        let rest = self.within(target, range).map(|(_, mark)| mark.rest).max().unwrap_or_default();
        self.mark(target, range, Mark { end: range.end(), acted: now, rest, until: None });
    }

    /// Nothing was found in the range: frames whose pages have moved are as hot as they were when they were seen last.
    pub(super) fn was_empty(&mut self, target: TargetId, range: AddrRange, now: Instant) {
        self.mark(target, range, Mark { end: range.end(), acted: now, rest: EMPTY, until: Some(now + EMPTY) });
    }

    /// The range is not as the action expected it to be. Gives how much of it was acted on not long ago.
    fn came_back(&mut self, target: TargetId, range: AddrRange, now: Instant, soon: Duration) -> u64 {
        let back: Vec<_> = self.within(target, range).filter(|(_, m)| m.until.is_none() && now > m.acted).collect();
        for (part, mark) in &back {
            let rest = mark.rest.saturating_mul(2).max(soon);
            self.mark(target, *part, Mark { end: part.end(), rest, until: Some(now + rest), ..*mark });
        }
        back.iter().map(|(part, _)| part.size()).sum()
    }

    /// Forgets what stayed away, and what was left alone and not acted on since for as long again.
    fn forget(&mut self, now: Instant, soon: Duration) {
        self.marks.retain(|_, m| match m.until {
            None => now <= m.acted + soon,
            Some(until) => now < until + m.rest,
        });
    }
}

impl Running {
    /// Looks whether memory that was acted on is accessed in another way than the action expected.
    pub(super) fn look_back(&mut self, now: Instant, bounds: &Bounds, targets: &[TargetId], monitor: &mut Monitor) {
        self.guard.forget(now, self.scheme.thrash_guard.unwrap_or(EMPTY));
        let Some(soon) = self.scheme.thrash_guard else { return };
        if self.guard.marks.is_empty() {
            return;
        }
        for &target in targets {
            let Some(editor) = monitor.edit(target) else { continue };
            for r in editor.regions().iter().filter(|r| !bounds.hold_often(r, bounds.count(&editor, r))) {
                self.stats.sz_came_back += self.guard.came_back(target, r.range(), now, soon);
            }
        }
    }

    /// Is region `i` left alone because it came back? It is cut where that ends.
    pub(super) fn spares(&self, target: TargetId, i: usize, now: Instant, editor: &mut Editor<'_>) -> bool {
        if self.guard.marks.is_empty() {
            return false;
        }
        let Some(range) = editor.regions().get(i).map(|r| r.range()) else { return false };
        let resting = self.guard.within(target, range).find(|(_, m)| m.until.is_some_and(|until| now < until));
        resting.is_some_and(|(part, _)| filter::lies_in(part, i, editor))
    }
}
