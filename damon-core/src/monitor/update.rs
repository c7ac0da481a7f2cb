//! Looks at who is there and what they map.

use alloc::vec::Vec;

use super::Monitor;
use crate::addr::{AddrRange, align_down};
use crate::ops::Ops;
use crate::sight::{Sees, Span};
use crate::target::{TargetEvent, TargetSpec};
use crate::time::Instant;

impl Monitor {
    /// Takes the backend's events, and each target's ranges as they are now. Events that came before an error count.
    pub(super) fn update<O: Ops + ?Sized>(&mut self, now: Instant, ops: &mut O) -> Result<(), O::Error> {
        let mut events = core::mem::take(&mut self.events);
        let outcome = ops.targets(&mut events);
        for event in events.drain(..) {
            match event {
                TargetEvent::Joined(spec) => self.add_target(spec),
                TargetEvent::Gone(id) => drop(self.remove_target(id)),
                TargetEvent::Replaced(id) => drop(self.replace_target(id)),
            }
        }
        self.events = events;
        outcome?;

        for i in 0..self.targets.len() {
            self.spans.clear();
            let spec = &self.targets[i].spec;
            ops.ranges(spec.id, &mut self.spans)?;
            clip(&mut self.spans, spec);
            align(&mut self.spans, self.attrs.spec().granule);
            if self.spans != self.targets[i].spans {
                self.refit(i);
            }
        }
        self.adjuster.limit_sizes(&self.attrs, &mut self.targets);
        self.update_due = now + self.attrs.spec().update;
        Ok(())
    }
}

/// Leaves what the target's spec asks for. Where the backend has nothing to say, that is watched by reports alone.
fn clip(spans: &mut Vec<Span>, spec: &TargetSpec) {
    if spec.ranges.is_empty() {
        return;
    }
    let offered = spans.len();
    for &range in &spec.ranges {
        if offered == 0 {
            spans.push(Span { range, sees: Sees::Reports });
        }
        for i in 0..offered {
            let Span { range: whole, sees } = spans[i];
            spans.extend(whole.intersection(range).map(|range| Span { range, sees }));
        }
    }
    spans.drain(..offered);
}

/// Makes the spans ascending, apart, aligned to the granule, and as few as they can be.
fn align(spans: &mut Vec<Span>, granule: u64) {
    spans.sort_unstable_by_key(|s| (s.range.start(), s.range.end()));
    let mut end = 0;
    spans.retain_mut(|span| {
        // What cannot be rounded up ends at the last multiple.
        let last = align_down(u64::MAX, granule);
        let aligned = span
            .range
            .aligned_outward(granule)
            .or_else(|| AddrRange::new(align_down(span.range.start(), granule), last));
        // A granule belongs to the first span that is in it.
        let Some(range) = aligned.and_then(|a| AddrRange::new(a.start().max(end), a.end())) else { return false };
        end = range.end();
        span.range = range;
        true
    });
    spans.dedup_by(|next, last| {
        let joined = next.range.start() == last.range.end() && next.sees == last.sees;
        if joined {
            last.range = AddrRange::ordered(last.range.start(), next.range.end());
        }
        joined
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::TargetId;
    use alloc::vec;

    fn span(start: u64, end: u64, sees: Sees) -> Span {
        Span { range: AddrRange::new(start, end).unwrap(), sees }
    }

    #[test]
    fn spans_become_sorted_aligned_and_joined() {
        let mut spans = vec![
            span(0x5000, 0x6800, Sees::Writes),
            span(0x1000, 0x2000, Sees::Accesses),
            span(0x2000, 0x2800, Sees::Accesses),
            span(0x2900, 0x3000, Sees::Writes),
            span(u64::MAX - 9_000, u64::MAX, Sees::Writes),
        ];
        align(&mut spans, 0x1000);
        let top = align_down(u64::MAX, 0x1000);
        assert_eq!(
            spans,
            [
                span(0x1000, 0x3000, Sees::Accesses),
                span(0x5000, 0x7000, Sees::Writes),
                span(top - 0x2000, top, Sees::Writes)
            ]
        );
    }

    #[test]
    fn a_spec_clips_what_the_backend_offers_and_stands_alone_where_it_offers_nothing() {
        let ranges = vec![AddrRange::new(10, 20).unwrap()];
        let spec = TargetSpec { ranges, ..TargetSpec::new(TargetId::new(0)) };
        let mut spans = vec![span(0, 12, Sees::Writes), span(15, 30, Sees::Accesses)];
        clip(&mut spans, &spec);
        assert_eq!(spans, [span(10, 12, Sees::Writes), span(15, 20, Sees::Accesses)]);
        spans.clear();
        clip(&mut spans, &spec);
        assert_eq!(spans, [span(10, 20, Sees::Reports)]);
    }
}
