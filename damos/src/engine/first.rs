//! Serves the ranges that stand first in line, before the rest of a snapshot is gone through.

use damon_core::{AddrRange, ApplyOps, Editor, Monitor, TargetId};

use super::apply::{Due, Pass};
use super::filter;

impl<A: ApplyOps + ?Sized> Pass<'_, A> {
    pub(super) fn first(&mut self, due: &mut Due<'_>, monitor: &mut Monitor) {
        let ranges = due.running.scheme.priority_ranges.len();
        if due.running.is_done() {
            return;
        }
        for i in 0..ranges {
            let Some(first) = due.running.scheme.priority_ranges.get(i).copied().filter(|f| self.now < f.until) else {
                continue;
            };
            if let Some(mut editor) = monitor.edit(first.target) {
                self.first_of(due, first.target, first.range, &mut editor);
            }
        }
    }

    fn first_of(&mut self, due: &mut Due<'_>, target: TargetId, range: AddrRange, editor: &mut Editor<'_>) {
        let mut i = editor.regions().partition_point(|r| r.range().end() <= range.start());
        while let Some(r) = editor.regions().get(i).filter(|r| r.range().start() < range.end()) {
            let n = due.bounds.count(editor, r);
            let s = &due.running;
            if s.quota.is_full_for(target, &s.scheme.quota, editor.granule()) {
                return;
            }
            let fits = due.bounds.hold(r, n) && !s.is_blind(r.sees()) && !due.did(target, r.range());
            if fits && filter::lies_in(range, i, editor) && !due.running.spares(target, i, self.now, editor) {
                if let Some(done) = self.act(due.index, due.running, target, i, n, editor) {
                    due.first.push((target, done));
                }
            }
            i += 1;
        }
    }
}

impl Due<'_> {
    /// Has the range been served already, since it stood first in line?
    pub(super) fn did(&self, target: TargetId, range: AddrRange) -> bool {
        self.first.iter().any(|(t, done)| *t == target && done.intersection(range) == Some(range))
    }
}
